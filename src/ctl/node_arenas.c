/* SPDX-License-Identifier: MIT */
/*
 * node_arenas -- arenas.*: how many there are, making new ones, finding an object's.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "cache/shape.h"
#include "base/bits.h"
#include "config/options.h"
#include "config/size_class.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "os/pages.h"

/* ---- Figures, all of type unsigned or size_t. A row's offset says which. ---- */

enum figure { NARENAS, NBINS, NHBINS, NLEXTENTS };

static int
count(struct ctl_call *call)
{
	switch ((enum figure)ctl_call_offset(call)) {
	case NARENAS: call->value.u = arenas_total(); return 0;
	case NBINS: call->value.u = SC_NBINS; return 0;
	case NHBINS:
		call->value.u = tcache_shape_default == NULL
		    ? SC_NOWNED
		    : tcache_shape_default->n_served;
		return 0;
	case NLEXTENTS: call->value.u = SC_NLARGE; return 0;
	}
	unreachable_state();
}

enum size { OF_QUANTUM, OF_PAGE, OF_HUGEPAGE, OF_LARGEST_OWNED };

static int
size(struct ctl_call *call)
{
	switch ((enum size)ctl_call_offset(call)) {
	case OF_QUANTUM: call->value.size = QUANTUM; return 0;
	case OF_PAGE: call->value.size = os_page_size; return 0;
	case OF_HUGEPAGE: call->value.size = OS_HUGEPAGE; return 0;
	case OF_LARGEST_OWNED:
		call->value.size = tcache_shape_max(tcache_shape_default);
		return 0;
	}
	unreachable_state();
}

/* ---- Decay of arenas to come. A row's offset is its kind. ---- */

static int
decay_ms(struct ctl_call *call)
{
	const enum decay_kind kind = (enum decay_kind)ctl_call_offset(call);
	_Atomic(ssize_t) *ms = &pac_default_ms[kind];
	ssize_t new;

	/* Relaxed: arenas made at the same time may have the old or the new one. */
	call->value.ssize = load_relaxed(ms);
	if (call->new == NULL)
		return 0;
	memcpy(&new, call->new, sizeof new);
	if (!decay_ms_is_valid(new))
		return EFAULT;
	store_relaxed(ms, new);
	if (kind == DECAY_DIRTY)
		store_relaxed(&pac_default_bounded, false);
	return 0;
}

/* ---- New arenas. ---- */

static int
make(struct ctl_call *call, const arena_config_t *config)
{
	if (config->extent_hooks != NULL && config->extent_hooks->alloc == NULL)
		return EINVAL;
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

#define ARENAS_ROWS(ROW) \
	ROW(narenas, UNSIGNED, CTL_READ, 0, count, NARENAS, \
	    "One past the highest index of an arena.") \
	ROW(dirty_decay_ms, SSIZE, CTL_READ | CTL_WRITE, 0, decay_ms, DECAY_DIRTY, \
	    "arena.<i>.dirty_decay_ms of arenas made later.") \
	ROW(muzzy_decay_ms, SSIZE, CTL_READ | CTL_WRITE, 0, decay_ms, DECAY_MUZZY, \
	    "arena.<i>.muzzy_decay_ms of arenas made later.") \
	ROW(quantum, SIZE, CTL_READ, 0, size, OF_QUANTUM, \
	    "Bytes between the smallest size classes.") \
	ROW(page, SIZE, CTL_READ, 0, size, OF_PAGE, "Bytes of a page.") \
	ROW(hugepage, SIZE, CTL_READ, 0, size, OF_HUGEPAGE, "Bytes of a huge page.") \
	ROW(tcache_max, SIZE, CTL_READ, 0, size, OF_LARGEST_OWNED, \
	    "Largest object in a thread's own slabs, in bytes.") \
	ROW(nbins, UNSIGNED, CTL_READ, 0, count, NBINS, "Small size classes.") \
	ROW(nhbins, UNSIGNED, CTL_READ, 0, count, NHBINS, \
	    "Size classes in a thread's own slabs.") \
	ROW(nlextents, UNSIGNED, CTL_READ, 0, count, NLEXTENTS, "Large size classes.") \
	ROW(create, UNSIGNED, CTL_READ | CTL_MUST_READ | CTL_ARGUMENT, \
	    sizeof(extent_hooks_t *), create, 0, \
	    "Makes a manual arena, and tells its index; takes an extent_hooks_t *.") \
	ROW(lookup, UNSIGNED, CTL_READ | CTL_NEEDS_NEW, sizeof(void *), lookup, 0, \
	    "The arena of an object; takes its address.")

CTL_ROWS(arenas, ARENAS_ROWS);
