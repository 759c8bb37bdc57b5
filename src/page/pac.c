/* SPDX-License-Identifier: MIT */
#include "page/pac.h"

#include <string.h>

#include "base/bits.h"
#include "base/checked.h"
#include "config/options.h"
#include "extent/dss.h"
#include "extent/guard.h"
#include "os/os.h"
#include "os/pages.h"
#include "page/limit.h"
#include "page/pac_guard.h"
#include "page/pac_move.h"
#include "page/pac_purge.h"
#include "sync/fork.h"

/* A growth step holds so many requests like the one that caused it; none is larger than this,
 * but for one request. */
#define STEP_REQUESTS 4
#define STEP_MAX ((size_t)1 << 30)
#define STEP_FIRST (CONFIG_HOSTILE ? (size_t)256 << 10 : OS_HUGEPAGE)
/* Requests from here on may take a dirty extent that is too small and stretch it. */
#define STRETCH_MIN (CONFIG_HOSTILE ? (size_t)1 : (size_t)64 << 10)

/* Relaxed: set at boot, and by control nodes; arenas made later use them. */
_Atomic(ssize_t) pac_default_ms[DECAY_KINDS];
_Atomic(bool) pac_default_bounded = true;
_Atomic(bool) pac_is_served;

/* ---- the ecache of memory that is not in use ------------------------------------------------- */

/* Where what is cut off an extent, or given up, belongs: pinned, or retained. */
static struct ecache *
reserve_of(struct pac *pac, const struct edata *e)
{
	return e->is_pinned ? &pac->pinned : &pac->retained;
}

/* `bytes' of e's kind come into the reserve or leave it; pinned ones are mapped all the time. */
static void
count_in_reserve(struct pac *pac, const struct edata *e, size_t bytes)
{
	fetch_add_relaxed(e->is_pinned ? &pac->stats.pinned : &pac->stats.retained,
	    bytes);
	if (e->is_pinned)
		return;
	fetch_sub_relaxed(&pac->stats.mapped, bytes);
	limit_discharge(pac->arena_index, bytes);
}

/* They have been charged: see limit.h. */
static void
count_from_reserve(struct pac *pac, const struct edata *e, size_t bytes)
{
	fetch_sub_relaxed(e->is_pinned ? &pac->stats.pinned : &pac->stats.retained,
	    bytes);
	if (e->is_pinned)
		return;
	fetch_add_relaxed(&pac->stats.mapped, bytes);
	/* Relaxed: a hint of demand. */
	fetch_add_relaxed(&pac->fresh_pages, bytes / os_page_size);
}

/* A new mapping, in the reserve. */
static void
count_new(struct pac *pac, const struct edata *e)
{
	fetch_add_relaxed(e->is_pinned ? &pac->stats.pinned : &pac->stats.retained,
	    e->size);
	if (!e->is_pinned)
		return;
	fetch_add_relaxed(&pac->stats.mapped, e->size);
	fetch_add_relaxed(&pac->stats.pinned_mapped, e->size);
}

/* ---- address space -------------------------------------------------------------------------- */

/* A fresh mapping of `size' bytes as an extent in state MERGING. NULL: no memory. */
static struct edata *
map_extent(struct pac *pac, size_t size, size_t alignment, enum os_commit commit)
{
	bool zeroed = false, committed = commit == OS_COMMITTED;
	struct edata *e = edata_pool_get(pac->edata_pool, pac->arena_index);

	if (e == NULL)
		return NULL;
	void *addr =
	    ehooks_alloc(pac->ehooks, NULL, size, alignment, &zeroed, &committed);
	if (addr == NULL) {
		edata_pool_put(pac->edata_pool, e);
		return NULL;
	}
	e->addr = (uintptr_t)addr & ~(uintptr_t)EXTENT_ALLOC_FLAG_PINNED;
	e->is_pinned = e->addr != (uintptr_t)addr;
	e->size = size;
	e->zeroed = zeroed;
	e->committed = committed;
	e->is_head = e->is_tail = true;
	e->sn = fetch_add_relaxed(&pac->next_sn, 1);
	e->state = EXTENT_MERGING;
	if (emap_is_free(e) && emap_register(e))
		return e;
	/* What nobody takes back is lost; the leak is counted. */
	if (!ehooks_discard(pac->ehooks, edata_base(e), size, committed))
		fetch_add_relaxed(&pac->stats.abandoned_vm, size);
	edata_pool_put(pac->edata_pool, e);
	return NULL;
}

/* The bytes of a mapping that holds `size' at `alignment' wherever it lies; too large
 * wraps to 0. */
static size_t
size_padded(size_t size, size_t alignment)
{
	const size_t padded =
	    alignment <= os_page_size ? size : checked_add(size, alignment);

	return align_up(padded, os_page_size);
}

/*
 * The bytes of the next growth step that holds `least' bytes.  Steps double, and hold a large
 * request several times: no extent merges across two mappings, so few big ones fragment less.
 */
static size_t
step_for(const struct pac *pac, size_t least)
{
	const size_t several = checked_mul(least, STEP_REQUESTS);
	const size_t limit = load_relaxed(&pac->grow_limit);

	return align_up(max_size(least,
			    min_size(max_size(pac->grow_next, several), limit)),
	    os_page_size);
}

/*
 * After a step of `got' bytes (0: none) where `wanted' were asked for and `least' needed.  Where a
 * region nears its end, the next step begins with what could still be had.
 */
static void
advance_step_locked(struct pac *pac, size_t wanted, size_t got, size_t least)
{
	assert(mutex_is_held(&pac->grow_lock));
	if (got == wanted)
		pac->grow_next = min_size(min_size(2 * pac->grow_next, STEP_MAX),
		    max_size(load_relaxed(&pac->grow_limit), os_page_size));
	else
		pac->grow_next = min_size(pac->grow_next, max_size(got, least));
}

/*
 * A growth step, in state MERGING.  The hook runs with the lock free, for it may allocate; so
 * several steps at a time are possible.
 */
static struct edata *
map_step(struct pac *pac, size_t size, size_t alignment)
{
	const size_t least = size_padded(size, alignment);
	struct edata *e = NULL;

	if (least < size)
		return NULL;
	/* Advice for huge pages means something only to whole ones. */
	const size_t unit = ehooks_ask_for_huge(pac->ehooks) ? OS_HUGEPAGE : os_page_size;
	mutex_lock(&pac->grow_lock);
	const size_t wanted = step_for(pac, least);
	mutex_unlock(&pac->grow_lock);
	size_t step = wanted;
	/* Near a limit of address space by halves: mappings of one slab each would never merge. */
	while (step >= least && (e = map_extent(pac, step, unit, OS_RESERVED)) == NULL)
		step = step / 2 & ~(os_page_size - 1);
	mutex_lock(&pac->grow_lock);
	/* Pinned memory is there to be used: not more of it than needed. */
	if (e == NULL || !e->is_pinned)
		advance_step_locked(pac, wanted, e != NULL ? step : 0, least);
	mutex_unlock(&pac->grow_lock);
	return e;
}

/* New address space, counted as in the reserve; what is not used of a step is filed there. */
static struct edata *
grow(struct pac *pac, size_t size, size_t alignment)
{
	struct edata *e = NULL;

	/* Relaxed: a hint. */
	if (opt.retain && !load_relaxed(&pac->is_exact)) {
		struct edata *step = map_step(pac, size, alignment);
		if (step != NULL) {
			count_new(pac, step);
			e = ecache_carve(reserve_of(pac, step), step, size, alignment);
		}
		/* Hooks that do not split would have us map one step after the other in vain. */
		if (step != NULL && e == NULL && !ehooks_are_default(pac->ehooks))
			store_relaxed(&pac->is_exact, true);
	}
	if (e != NULL)
		return e;
	e = map_extent(pac, size, alignment, OS_COMMITTED);
	if (e != NULL)
		count_new(pac, e);
	return e;
}

/* ---- the interface -------------------------------------------------------------------------- */

static inline struct pac *
pac_of(struct pai *pai)
{
	return CONTAINER_OF(pai, struct pac, pai);
}

static void
count_active(struct pac *pac, size_t bytes)
{
	const size_t pages = bytes / os_page_size;
	const size_t active = fetch_add_relaxed(&pac->stats.active_pages, pages) + pages;

	/* Relaxed: a lost update costs some precision of a hint. */
	if (active > load_relaxed(&pac->peak_pages[0]))
		store_relaxed(&pac->peak_pages[0], active);
}

/* A dirty extent, the caller's, takes `more' bytes of unused memory right behind it, which have
 * been charged.  False: they are not there, or cannot be had. */
static bool
stretch_by(struct pac *pac, struct edata *e, size_t more)
{
	const size_t size = e->size;
	struct edata *next = ecache_take_behind(&pac->retained, e, more);

	if (next == NULL)
		return false;
	if (!extent_merge(pac->ehooks, pac->edata_pool, e, next)) {
		ecache_put(&pac->retained, next);
		return false;
	}
	count_from_reserve(pac, e, more);
	(void)pac_move_dirty_to(pac, e, size);
	return true;
}

/* e, dirty and the caller's, made `more' bytes longer; NULL: it is dirty and filed again. */
static struct edata *
stretch_or_file(struct pac *pac, struct edata *e, size_t more)
{
	if (limit_charge_quietly(pac->arena_index, more)) {
		if (stretch_by(pac, e, more))
			return e;
		limit_discharge(pac->arena_index, more);
	}
	ecache_put(&pac->dirty, e);
	return NULL;
}

/* A dirty extent that is too small and unused memory right behind it: less is touched anew. */
static struct edata *
stretch(struct pac *pac, size_t size)
{
	struct edata *e = ecache_take_followed(&pac->dirty, size, EXTENT_RETAINED);

	return e == NULL ? NULL : stretch_or_file(pac, e, size - e->size);
}

static struct edata *
take_pinned(struct pac *pac, size_t size, size_t alignment)
{
	/* Most arenas have none. */
	if (LIKELY(ecache_pages(&pac->pinned) == 0))
		return NULL;
	struct edata *e = ecache_take(&pac->pinned, size, alignment, SIZE_MAX);
	if (e != NULL)
		count_from_reserve(pac, e, size);
	return e;
}

/* What is not in use, or fresh, in state MERGING, charged and counted as mapped. NULL: no memory,
 * or the hard limit. */
static struct edata *
find_unused(struct pac *pac, size_t size, size_t alignment)
{
	if (!limit_charge(pac->arena_index, size))
		return NULL;
	struct edata *e = ecache_take(&pac->retained, size, alignment, SIZE_MAX);
	if (e == NULL)
		e = grow(pac, size, alignment);
	if (e == NULL && pac_guard_open_retained(pac))
		e = ecache_take(&pac->retained, size, alignment, SIZE_MAX);
	if (e == NULL || e->is_pinned)
		limit_discharge(pac->arena_index, size);
	if (e == NULL)
		return NULL;
	count_from_reserve(pac, e, size);
	return e;
}

/* From an ecache or fresh, in state MERGING, counted as mapped. */
static struct edata *
find(struct pac *pac, size_t size, size_t alignment)
{
	const size_t largest = opt.lg_extent_max_active_fit >= 63
		|| size > SIZE_MAX >> opt.lg_extent_max_active_fit
	    ? SIZE_MAX
	    : size << opt.lg_extent_max_active_fit;

	struct edata *e = take_pinned(pac, size, alignment);
	if (e == NULL)
		e = ecache_take(&pac->dirty, size, alignment, largest);
	if (e == NULL && ecache_pages(&pac->muzzy) != 0)
		e = ecache_take(&pac->muzzy, size, alignment, SIZE_MAX);
	if (e == NULL && size >= STRETCH_MIN && alignment <= os_page_size)
		e = stretch(pac, size);
	if (e != NULL)
		return e;
	e = find_unused(pac, size, alignment);
	/* Without new memory, from what `largest' was to keep whole. */
	return e != NULL ? e : ecache_take(&pac->dirty, size, alignment, SIZE_MAX);
}

/* Back to where unbacked or unused memory lies, from state MERGING. */
static void
give_up(struct pac *pac, struct edata *e)
{
	count_in_reserve(pac, e, e->size);
	ecache_put(reserve_of(pac, e), e);
}

static bool
commit(struct pac *pac, struct edata *e)
{
	if (!e->committed)
		e->committed =
		    ehooks_commit(pac->ehooks, edata_base(e), e->size, 0, e->size);
	return e->committed;
}

static bool
reads_as_zero(const struct edata *e)
{
	const uint64_t *p = edata_base(e), *end = p + e->size / sizeof *p;

	for (; p != end; p += 8)
		if ((p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7]) != 0)
			return false;
	return true;
}

static void
zero(struct pac *pac, struct edata *e)
{
	/* A user's hook may be wrong about it; reading leaves untouched pages untouched. */
	if (e->zeroed && (ehooks_gave_plain_memory(pac->ehooks) || reads_as_zero(e)))
		return;
	if (e->size >= opt.calloc_madvise_threshold && ehooks_purge_zeroes(pac->ehooks)
	    && ehooks_purge_forced(pac->ehooks, edata_base(e), e->size, 0, e->size))
		return;
	memset(edata_base(e), 0, e->size);
}

/* Memory that has not been touched gets dirty pages.  How many bytes, from its start. */
static size_t
back_from_dirty(struct pac *pac, struct edata *e, const struct page_request *request)
{
	if (!e->zeroed || e->guarded
	    || (request->zero && e->size >= opt.calloc_madvise_threshold))
		return 0;
	return pac_move_dirty_to(pac, e, 0);
}

/*
 * In state MERGING, counted as mapped; NULL: without guards, then.  Guards for a slab stay for
 * long: they are put up where nothing is yet, not in the midst of memory in use, which they would
 * break up for ever.
 */
static struct edata *
find_guarded(struct pac *pac, const struct page_request *request)
{
	const bool stays = use_has_regions(request->use);
	const size_t size = request->size + guard_bytes();
	struct edata *e = NULL;

	if (!pac_guards(pac, request))
		return NULL;
	if (stays) {
		e = pac_guard_reuse(pac, request->size);
		if (e != NULL)
			return e;
		e = find_unused(pac, size, os_page_size);
	}
	if (e == NULL)
		e = find(pac, size, os_page_size);
	if (e == NULL)
		return NULL;
	if (commit(pac, e))
		return pac_guard_enclose(pac, e);
	give_up(pac, e);
	return NULL;
}

static struct edata *
pac_alloc(struct pai *self, const struct page_request *request, bool *deferred)
{
	struct pac *pac = pac_of(self);
	struct edata *e = NULL;

	(void)deferred;
	if (UNLIKELY(request->guarded))
		e = find_guarded(pac, request);
	if (e == NULL)
		e = find(pac, request->size, request->alignment);
	if (e == NULL)
		return NULL;
	if (!commit(pac, e)) {
		give_up(pac, e);
		return NULL;
	}
	if (use_has_regions(request->use) && !rtree_cover(e->addr, edata_end(e))) {
		give_up(pac, e);
		return NULL;
	}
	const bool was_fresh = e->zeroed;
	const size_t moved = back_from_dirty(pac, e, request);
	if (request->zero && moved != 0)
		memset(edata_base(e), 0, moved);
	else if (request->zero)
		zero(pac, e);
	/* With a few pages from elsewhere, too: one of these is less than a copy of all. */
	e->is_fresh = was_fresh && moved <= e->size / 2 && !request->zero;
	e->is_unbacked = false;
	e->zeroed = false;
	e->use = (uint8_t)request->use;
	e->szind = request->szind;
	e->cached = false;
	emap_set_state(e, EXTENT_ACTIVE);
	if (use_has_regions(request->use))
		emap_register_interior(e);
	count_active(pac, e->size);
	return e;
}

static void
uncount_active(struct pac *pac, size_t bytes)
{
	const size_t pages = bytes / os_page_size;
	const size_t active = fetch_sub_relaxed(&pac->stats.active_pages, pages) - pages;

	/* Relaxed: as in count_active. */
	if (active < load_relaxed(&pac->trough_pages))
		store_relaxed(&pac->trough_pages, active);
}

/* An extent that left active use, from state MERGING into dirty, or where it is pinned there. */
static void
file_free(struct pac *pac, struct edata *e, bool *deferred)
{
	e->zeroed = false;
	if (e->is_pinned) {
		give_up(pac, e);
		return;
	}
	if (pac_is_oversize(pac, e->size) && !load_relaxed(&pac_is_served)
	    && decay_get_ms(&pac->decay[DECAY_DIRTY]) >= 0) {
		pac_purge_now(pac, e);
		return;
	}
	decay_come(&pac->decay[DECAY_DIRTY], os_clock_coarse_ns(), pac_dirty_pages(pac));
	ecache_put(&pac->dirty, e);
	if (decay_get_ms(&pac->decay[DECAY_DIRTY]) == 0)
		pac_decay(pac, PURGE_BY_CURVE);
	else
		*deferred = true;
}

static unsigned
pac_alloc_batch(struct pai *self, const struct page_request *request, unsigned n,
    struct list *extents, bool *deferred)
{
	unsigned got = 0;

	for (struct edata *e; got < n; got++) {
		if ((e = pac_alloc(self, request, deferred)) == NULL)
			break;
		list_push_back(extents, &e->link);
	}
	return got;
}

static void
pac_dalloc(struct pai *self, struct edata *e, bool *deferred)
{
	struct pac *pac = pac_of(self);

	assert(load_relaxed(&e->owner) == NULL && load_relaxed(&e->remote) == 0);
	/* Before the extent can be reused: a stale free must not find a word in its middle. */
	const bool has_regions = use_has_regions((enum extent_use)e->use);
	if (has_regions)
		emap_deregister_interior(e);
	e->use = USE_NONE;
	uncount_active(pac, e->size);
	emap_set_state(e, EXTENT_MERGING);
	e->zeroed = e->is_unbacked;
	if (UNLIKELY(e->guarded) && !has_regions)
		(void)pac_guard_open(pac, e);
	if (e->is_unbacked)
		give_up(pac, e);
	else
		file_free(pac, e, deferred);
}

static void
pac_dalloc_batch(struct pai *self, struct list *extents, bool *deferred)
{
	struct list *l;

	while ((l = list_pop_front(extents)) != NULL)
		pac_dalloc(self, LIST_ENTRY(l, struct edata, link), deferred);
}

/* Dirty memory behind e that is too small, and unused memory behind that. */
static struct edata *
take_both_behind(struct pac *pac, struct edata *e, size_t size)
{
	struct edata *next =
	    ecache_take_short_behind(&pac->dirty, e, size, EXTENT_RETAINED);

	return next == NULL ? NULL : stretch_or_file(pac, next, size - next->size);
}

static struct edata *
take_behind(struct pac *pac, struct edata *e, size_t size)
{
	struct edata *next = NULL;

	if (!e->is_pinned)
		next = ecache_take_behind(&pac->dirty, e, size);
	if (next == NULL && ecache_pages(&pac->muzzy) != 0)
		next = ecache_take_behind(&pac->muzzy, e, size);
	if (next == NULL && !e->is_pinned)
		next = take_both_behind(pac, e, size);
	if (next != NULL)
		return next;
	if (!e->is_pinned && !limit_charge(pac->arena_index, size))
		return NULL;
	next = ecache_take_behind(reserve_of(pac, e), e, size);
	if (next != NULL)
		count_from_reserve(pac, next, size);
	else if (!e->is_pinned)
		limit_discharge(pac->arena_index, size);
	return next;
}

static bool
pac_expand(struct pai *self, struct edata *e, size_t new_size, bool want_zero,
    bool *deferred)
{
	struct pac *pac = pac_of(self);
	const size_t more = new_size - e->size;

	(void)deferred;
	assert(new_size > e->size);
	if (UNLIKELY(e->guarded))
		return false;
	struct edata *next = take_behind(pac, e, more);
	if (next == NULL)
		return false;
	if (!commit(pac, next)) {
		give_up(pac, next);
		return false;
	}
	if (next->zeroed && !want_zero)
		(void)pac_move_dirty_to(pac, next, 0);
	if (want_zero)
		zero(pac, next);
	next->zeroed = false;
	next->state = EXTENT_ACTIVE;
	if (extent_merge(pac->ehooks, pac->edata_pool, e, next)) {
		count_active(pac, more);
		return true;
	}
	/* Nobody could have found it meanwhile: its words still say MERGING. */
	next->state = EXTENT_MERGING;
	if (next->is_pinned)
		give_up(pac, next);
	else
		ecache_put(&pac->dirty, next);
	return false;
}

static bool
pac_shrink(struct pai *self, struct edata *e, size_t new_size, bool *deferred)
{
	struct pac *pac = pac_of(self);

	assert(new_size < e->size);
	if (UNLIKELY(e->guarded))
		return false;
	struct edata *trail = extent_split(pac->ehooks, pac->edata_pool, e, new_size);
	if (trail == NULL)
		return false;
	uncount_active(pac, trail->size);
	emap_set_state(trail, EXTENT_MERGING);
	file_free(pac, trail, deferred);
	return true;
}

static void
pac_work(struct pai *self, enum purge_extent how)
{
	pac_decay(pac_of(self), how == PURGE_EVERYTHING ? how : PURGE_BY_CURVE);
}

COLD bool
pac_init(struct pac *pac, struct pac_backlogs *backlogs, unsigned arena_index,
    struct ehooks *ehooks, struct edata_pool *edata_pool)
{
	const uint64_t now = os_clock_coarse_ns();

	pac->pai = (struct pai){
		.alloc = pac_alloc,
		.alloc_batch = pac_alloc_batch,
		.expand = pac_expand,
		.shrink = pac_shrink,
		.dalloc = pac_dalloc,
		.dalloc_batch = pac_dalloc_batch,
		.time_until_deferred_work = pac_time_until_deferred_work,
		.work = pac_work,
	};
	pac->arena_index = arena_index;
	pac->ehooks = ehooks;
	pac->edata_pool = edata_pool;
	ecache_init(&pac->dirty, EXTENT_DIRTY, ehooks, edata_pool);
	ecache_init(&pac->muzzy, EXTENT_MUZZY, ehooks, edata_pool);
	ecache_init(&pac->retained, EXTENT_RETAINED, ehooks, edata_pool);
	ecache_init(&pac->pinned, EXTENT_PINNED, ehooks, edata_pool);
	ecache_allow_guarded(&pac->dirty, &backlogs->guarded[0]);
	ecache_allow_guarded(&pac->muzzy, &backlogs->guarded[1]);
	ecache_allow_guarded(&pac->retained, &backlogs->guarded[2]);
	for (unsigned k = 0; k < DECAY_KINDS; k++)
		decay_init(&pac->decay[k], backlogs->of[k],
		    load_relaxed(&pac_default_ms[k]), now);
	mutex_init(&pac->grow_lock, RANK_GROW);
	pac->grow_next = STEP_FIRST;
	store_relaxed(&pac->grow_limit, SC_LARGE_MAX);
	store_relaxed(&pac->bounded, load_relaxed(&pac_default_bounded));
	store_relaxed(&pac->peak_since_ns, now);
	pac_set_oversize_threshold(pac, opt.oversize_threshold);
	return true;
}

/* An extent of an arena that is going, in state MERGING, becomes this one's. */
static void
adopt(struct pac *heir, struct pac *pac, struct edata *e)
{
	if (UNLIKELY(e->guarded) && !guard_open(e))
		fetch_add_relaxed(&heir->stats.guards, guard_bytes());
	emap_deregister(e);
	store_release(&e->arena_index, (uint16_t)heir->arena_index);
	edata_pool_pass(pac->edata_pool, heir->edata_pool);
	/* The leaves exist: this cannot fail. */
	(void)emap_register(e);
	e->zeroed = ehooks_purge_forced(heir->ehooks, edata_base(e), e->size, 0, e->size)
	    && ehooks_purge_zeroes(heir->ehooks);
	fetch_add_relaxed(&heir->stats.retained, e->size);
	ecache_put(&heir->retained, e);
}

static void
destroy_ecache(struct pac *pac, struct ecache *ec, struct pac *heir)
{
	const bool is_default = ehooks_are_default(pac->ehooks);
	struct edata *e;

	while ((e = ecache_take_oldest(ec, SIZE_MAX)) != NULL) {
		if (ec == &pac->dirty || ec == &pac->muzzy)
			limit_discharge(pac->arena_index, e->size);
		if (heir != NULL && is_default && dss_contains(edata_base(e))) {
			adopt(heir, pac, e);
			continue;
		}
		/* A hook of the user takes it as if it were from there. */
		if (UNLIKELY(e->guarded) && (is_default || !guard_open(e)))
			guard_forget(e);
		emap_deregister(e);
		/* A user's dalloc has refused what is retained, but was not asked for the rest. */
		if (ec == &pac->retained || is_default)
			(void)ehooks_destroy(pac->ehooks, edata_base(e), e->size,
			    e->committed);
		else
			(void)ehooks_discard(pac->ehooks, edata_base(e), e->size,
			    e->committed);
		edata_pool_put(pac->edata_pool, e);
	}
}

void
pac_destroy(struct pac *pac, struct pac *heir)
{
	destroy_ecache(pac, &pac->dirty, heir);
	destroy_ecache(pac, &pac->muzzy, heir);
	destroy_ecache(pac, &pac->retained, heir);
	destroy_ecache(pac, &pac->pinned, heir);
}

size_t
pac_dirty_pages(struct pac *pac)
{
	return ecache_pages(&pac->dirty) * GRANULE / os_page_size;
}

size_t
pac_muzzy_pages(struct pac *pac)
{
	return ecache_pages(&pac->muzzy) * GRANULE / os_page_size;
}

void
pac_check_caches(struct pac *pac)
{
	ecache_check(&pac->dirty);
	ecache_check(&pac->muzzy);
	ecache_check(&pac->retained);
	ecache_check(&pac->pinned);
}

void
pac_check(struct pac *pac)
{
	pac_check_caches(pac);
	/* True while no other thread is between two counters: callers see to that. */
	assert(load_relaxed(&pac->stats.retained)
	    == ecache_pages(&pac->retained) * GRANULE);
	assert(load_relaxed(&pac->stats.pinned) == ecache_pages(&pac->pinned) * GRANULE);
	assert(load_relaxed(&pac->stats.mapped)
	    == (load_relaxed(&pac->stats.active_pages) + pac_dirty_pages(pac)
		   + pac_muzzy_pages(pac))
		    * os_page_size
		+ load_relaxed(&pac->stats.pinned));
}

/* ---- fork ----------------------------------------------------------------------------------- */

void
pac_fork_prepare(struct pac *pac, enum lock_rank rank)
{
	switch (rank) {
	case RANK_DECAY:
		(void)mutex_fork_prepare(&pac->decay[DECAY_DIRTY].lock);
		(void)mutex_fork_prepare(&pac->decay[DECAY_MUZZY].lock);
		break;
	case RANK_GROW: (void)mutex_fork_prepare(&pac->grow_lock); break;
	default:
		assert(rank == RANK_ECACHE);
		ecache_fork_prepare(&pac->dirty);
		ecache_fork_prepare(&pac->muzzy);
		ecache_fork_prepare(&pac->retained);
		ecache_fork_prepare(&pac->pinned);
	}
}

void
pac_fork_parent(struct pac *pac)
{
	ecache_fork_parent(&pac->pinned);
	ecache_fork_parent(&pac->retained);
	ecache_fork_parent(&pac->muzzy);
	ecache_fork_parent(&pac->dirty);
	mutex_fork_parent(&pac->grow_lock);
	mutex_fork_parent(&pac->decay[DECAY_MUZZY].lock);
	mutex_fork_parent(&pac->decay[DECAY_DIRTY].lock);
}

void
pac_fork_child(struct pac *pac)
{
	ecache_fork_child(&pac->pinned);
	ecache_fork_child(&pac->retained);
	ecache_fork_child(&pac->muzzy);
	ecache_fork_child(&pac->dirty);
	(void)mutex_fork_child(&pac->grow_lock);
	(void)mutex_fork_child(&pac->decay[DECAY_MUZZY].lock);
	(void)mutex_fork_child(&pac->decay[DECAY_DIRTY].lock);
	/* The thread that purged is not here; what it had taken out is lost. */
	pac->decay[DECAY_DIRTY].is_purging = pac->decay[DECAY_MUZZY].is_purging = false;
}
