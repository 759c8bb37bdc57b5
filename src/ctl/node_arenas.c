/* SPDX-License-Identifier: MIT */
/*
 * node_arenas -- arenas.*: how many there are, making new ones, finding an object's.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "config/size_class.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "os/pages.h"

static int
narenas(struct ctl_call *call)
{
	call->value.u = arenas_total();
	return 0;
}

static int
quantum(struct ctl_call *call)
{
	call->value.size = QUANTUM;
	return 0;
}

static int
page(struct ctl_call *call)
{
	call->value.size = os_page_size;
	return 0;
}

static int
hugepage(struct ctl_call *call)
{
	call->value.size = OS_HUGEPAGE;
	return 0;
}

static int
tcache_max(struct ctl_call *call)
{
	call->value.size = opt.tcache_max;
	return 0;
}

static int
nbins(struct ctl_call *call)
{
	call->value.u = SC_NBINS;
	return 0;
}

static int
nhbins(struct ctl_call *call)
{
	call->value.u = size_class_of(opt.tcache_max) + 1;
	return 0;
}

static int
nlextents(struct ctl_call *call)
{
	call->value.u = SC_NLARGE;
	return 0;
}

/* ---- Decay of arenas to come. A row's offset is its kind. ---- */

static int
decay_ms(struct ctl_call *call)
{
	const struct field *field = call->row;
	_Atomic(ssize_t) *ms = &pac_default_ms[field->offset];
	ssize_t new;

	/* Relaxed: arenas made at the same time may have the old or the new one. */
	call->value.ssize = load_relaxed(ms);
	if (call->new == NULL)
		return 0;
	memcpy(&new, call->new, sizeof new);
	if (!decay_ms_is_valid(new))
		return EFAULT;
	store_relaxed(ms, new);
	if (field->offset == DECAY_DIRTY)
		store_relaxed(&pac_default_bounded, false);
	return 0;
}

/* ---- New arenas. ---- */

static int
make(struct ctl_call *call, const arena_config_t *config)
{
	struct arena *arena = arena_create_manual(config);

	if (arena == NULL)
		return EAGAIN;
	call->value.u = arena->index;
	return 0;
}

static int
create(struct ctl_call *call)
{
	arena_config_t config = { .extent_hooks = NULL };

	if (call->new != NULL) {
		memcpy(&config.extent_hooks, call->new, sizeof config.extent_hooks);
		config.metadata_use_hooks = config.extent_hooks != NULL;
	}
	return make(call, &config);
}

int
arenas_create_ext(struct ctl_call *call)
{
	arena_config_t config = { .extent_hooks = NULL };

	if (call->new != NULL)
		memcpy(&config, call->new, sizeof config);
	return make(call, &config);
}

static int
lookup(struct ctl_call *call)
{
	const void *p;

	memcpy(&p, call->new, sizeof p);
	const struct edata *e = emap_lookup(p);
	if (e == NULL)
		return EINVAL;
	call->value.u = edata_arena(e);
	return 0;
}

#define VALUE(name, type, act, doc) \
	{ \
		{ name, FIELD_##type, 0, doc }, CTL_READ, 0, act \
	}

const struct ctl_row arenas_rows[] = {
	VALUE("narenas", UNSIGNED, narenas, "One past the highest index of an arena."),
	{ { "dirty_decay_ms", FIELD_SSIZE, DECAY_DIRTY,
	      "arena.<i>.dirty_decay_ms of later ones." },
	    CTL_READ | CTL_WRITE, 0, decay_ms },
	{ { "muzzy_decay_ms", FIELD_SSIZE, DECAY_MUZZY,
	      "arena.<i>.muzzy_decay_ms of later ones." },
	    CTL_READ | CTL_WRITE, 0, decay_ms },
	VALUE("quantum", SIZE, quantum, "Bytes between the smallest size classes."),
	VALUE("page", SIZE, page, "Bytes of a page."),
	VALUE("hugepage", SIZE, hugepage, "Bytes of a huge page."),
	VALUE("tcache_max", SIZE, tcache_max,
	    "Largest object in a thread's own slabs, in bytes."),
	VALUE("nbins", UNSIGNED, nbins, "Small size classes."),
	VALUE("nhbins", UNSIGNED, nhbins, "Size classes in a thread's own slabs."),
	VALUE("nlextents", UNSIGNED, nlextents, "Large size classes."),
	{ { "create", FIELD_UNSIGNED, 0, "Makes an arena; takes an extent_hooks_t *." },
	    CTL_READ | CTL_MUST_READ | CTL_ARGUMENT, sizeof(extent_hooks_t *), create },
	{ { "lookup", FIELD_UNSIGNED, 0, "The arena of an object; takes its address." },
	    CTL_READ | CTL_NEEDS_NEW, sizeof(void *), lookup },
};
const unsigned n_arenas_rows = COUNT_OF(arenas_rows);
