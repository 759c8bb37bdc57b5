/* SPDX-License-Identifier: MIT */
#include "cache/shape.h"

#include "cache/tcache.h"

const struct tcache_shape *tcache_shape_default;

static struct tcache_shape of_options BULKY; /* Set once at boot. */

void
tcache_shape_copy(struct tcache_shape *to, const struct tcache_shape *from)
{
	if (from == NULL)
		from = tcache_shape_default;
	if (from != NULL) {
		*to = *from;
		return;
	}
	to->n_served = SC_NOWNED;
	for (unsigned i = 0; i < SC_NOWNED; i++)
		to->slots[i] = OPTION_LIST_UNSET;
}

void
tcache_shape_limit(struct tcache_shape *shape, size_t max)
{
	if (max > SC_OWNED_MAX)
		max = SC_OWNED_MAX;
	shape->n_served = max == 0 ? 0 : (uint8_t)(size_class_of(max) + 1);
}

COLD void
tcache_shape_boot(void)
{
	if (opt.tcache_max >= SC_OWNED_MAX && opt.tcache_ncached_max == NULL)
		return;
	tcache_shape_copy(&of_options, NULL);
	tcache_shape_limit(&of_options, opt.tcache_max);
	for (unsigned i = 0; opt.tcache_ncached_max != NULL && i < SC_NOWNED; i++)
		of_options.slots[i] = opt.tcache_ncached_max[i];
	tcache_shape_default = &of_options;
}

size_t
tcache_shape_max(const struct tcache_shape *shape)
{
	if (shape == NULL)
		return SC_OWNED_MAX;
	return shape->n_served == 0 ? 0 : size_class_size(shape->n_served - 1);
}

size_t
tcache_shape_slots(const struct tcache_shape *shape, unsigned szind)
{
	const struct slab_geometry *geometry = &slab_geometry[szind];

	if (!tcache_shape_serves(shape, szind))
		return 0;
	if (shape != NULL && shape->slots[szind] != OPTION_LIST_UNSET)
		return shape->slots[szind];
	return TCACHE_EMPTY_MAX / geometry->slab_size * geometry->nregs;
}
