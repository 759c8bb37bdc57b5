/* SPDX-License-Identifier: MIT */
#include "page/pac_purge.h"

#include "base/bits.h"
#include "config/options.h"
#include "os/os.h"
#include "os/pages.h"
#include "page/limit.h"
#include "page/pac_guard.h"

/* The bound by amount never asks for less than this to stay. */
#define BOUND_MIN ((size_t)4 << 20)
#define PEAK_NS ((uint64_t)1000 * 1000 * 1000)
/* Purging fewer pages than this is not worth a wake-up. */
#define WAKE_PAGES 1024
/* Extents are cut for purging only beyond this: no crumbs. */
#define PURGE_CUT_MIN ((size_t)64 << 10)

/*
 * ---- how many dirty pages may stay by amount ----
 *
 * After a trough demand comes back, or it does not.  Keeping what the peak of the last second used
 * is right in the first case; in the second it is kept for ever where the process makes no further
 * call.  So trust must be earned: the bound first asks for what is beyond a share of what is
 * active at once.  If within a second a good part of as many pages is needed anew, that was wrong,
 * and from then on the last second's peak is kept.  When a peak leaves that second and has not
 * come back, trust is gone.  A load in waves thus pays for its first trough alone; one that ends
 * leaves the share.
 *
 * Trust goes as deep as the troughs that it was earned by.  Where much less is active than in any
 * of those, this may be the end of the work, and the share is the bound again, until judged.
 *
 * All of it is relaxed: hints; racing threads at worst forget a peak early.
 */

/* Beyond the larger of these the bound asks for pages. */
static size_t
dirty_share(size_t active)
{
	return max_size(BOUND_MIN / os_page_size, active / 4);
}

static size_t
known_peak(const struct pac *pac)
{
	return max_size(load_relaxed(&pac->peak_pages[0]),
	    load_relaxed(&pac->peak_pages[1]));
}

/* Peak of active pages over the last one to two seconds. */
static size_t
recent_peak(struct pac *pac, uint64_t now)
{
	const uint64_t since = load_relaxed(&pac->peak_since_ns);
	const size_t active = load_relaxed(&pac->stats.active_pages);
	const size_t before = known_peak(pac);

	if (now - since < PEAK_NS)
		return before;
	store_relaxed(&pac->peak_pages[1],
	    now - since >= 2 * PEAK_NS ? active : load_relaxed(&pac->peak_pages[0]));
	store_relaxed(&pac->peak_pages[0], active);
	store_relaxed(&pac->peak_since_ns, now);
	const size_t peak = known_peak(pac);
	if (before > peak + dirty_share(active))
		store_relaxed(&pac->is_trusted, false);
	return peak;
}

/* Not near it any more: less than this part of it. */
#define LG_DEEPER 2

/* The fewest active pages that demand came back from; more where the peak has grown since. */
static size_t
trusted_level(const struct pac *pac)
{
	const size_t before = max_size(load_relaxed(&pac->trusted_peak), 1);

	return load_relaxed(&pac->trusted_pages) * max_size(known_peak(pac) / before, 1);
}

bool
pac_trusts_demand(struct pac *pac)
{
	return load_relaxed(&pac->is_trusted)
	    && load_relaxed(&pac->stats.active_pages) >= trusted_level(pac) >> LG_DEEPER;
}

/* Demand came back from the lowest that was active since pages went by the bound. */
static void
trust(struct pac *pac)
{
	const size_t lowest = load_relaxed(&pac->trough_pages);

	if (!load_relaxed(&pac->is_trusted) || lowest < trusted_level(pac)) {
		store_relaxed(&pac->trusted_pages, lowest);
		store_relaxed(&pac->trusted_peak, known_peak(pac));
	}
	store_relaxed(&pac->is_trusted, true);
}

/* Was it wrong to purge by the bound?  If so much of it was needed anew. */
#define LG_WRONG_SHARE 2

static void
judge(struct pac *pac, uint64_t now)
{
	const size_t forgone = load_relaxed(&pac->forgone_pages);
	const size_t since =
	    load_relaxed(&pac->fresh_pages) - load_relaxed(&pac->fresh_before);
	/* What is not needed in the end may have been counted before that time. */
	const size_t fresh = since > SIZE_MAX / 2 ? 0 : since;

	if (forgone == 0)
		return;
	if (fresh > forgone >> LG_WRONG_SHARE)
		trust(pac);
	else if (now - load_relaxed(&pac->forgone_ns) < PEAK_NS)
		return;
	store_relaxed(&pac->forgone_pages, 0);
}

static size_t
dirty_bound(struct pac *pac, uint64_t now)
{
	judge(pac, now);
	const size_t peak = recent_peak(pac, now);
	const size_t active = load_relaxed(&pac->stats.active_pages);
	const size_t share = dirty_share(active);

	/* Pieces that do not fit lie beside what is needed. */
	const size_t room = peak + dirty_share(peak);

	return room > active && pac_trusts_demand(pac) ? max_size(share, room - active)
						       : share;
}

/* So many pages go by the bound: whether rightly so is seen from now on. */
static void
forgo(struct pac *pac, size_t npages, uint64_t now)
{
	const size_t unjudged = load_relaxed(&pac->forgone_pages);

	if (pac_trusts_demand(pac))
		return;
	if (unjudged == 0) {
		store_relaxed(&pac->trough_pages, load_relaxed(&pac->stats.active_pages));
		store_relaxed(&pac->forgone_ns, now);
		store_relaxed(&pac->fresh_before, load_relaxed(&pac->fresh_pages));
	}
	store_relaxed(&pac->forgone_pages, unjudged + npages);
}

/* ---- getting rid of an extent ---------------------------------------------------------------- */

/* From state MERGING to gone, or to retained in the best shape it can be given. */
static void
dispose(struct pac *pac, struct edata *e)
{
	struct ehooks *eh = pac->ehooks;
	/* The default hook keeps address space when retain is on: no need to ask. */
	const bool may_go = !ehooks_are_default(eh) || !opt.retain;

	/* Who takes it away takes the guards, too. */
	if (UNLIKELY(e->guarded) && may_go)
		(void)pac_guard_open(pac, e);
	void *addr = edata_base(e);
	const size_t size = e->size;
	fetch_sub_relaxed(&pac->stats.mapped, size);
	if (may_go && !e->guarded) {
		emap_deregister(e);
		if (ehooks_dalloc(eh, addr, size, e->committed)) {
			limit_discharge(pac->arena_index, size);
			edata_pool_put(pac->edata_pool, e);
			return;
		}
		/* The leaves exist: this cannot fail. */
		(void)emap_register(e);
	}
	if (ehooks_decommit(eh, addr, size, 0, size)) {
		e->committed = false;
		e->zeroed = ehooks_purge_zeroes(eh);
	} else if (ehooks_purge_forced(eh, addr, size, 0, size)) {
		e->zeroed = ehooks_purge_zeroes(eh);
	} else {
		(void)ehooks_purge_lazy(eh, addr, size, 0, size);
	}
	/* Not before: others may use as much from now on. */
	limit_discharge(pac->arena_index, size);
	fetch_add_relaxed(&pac->stats.retained, size);
	ecache_put(&pac->retained, e);
}

/* One step onward: dirty to muzzy, or away. */
static void
purge(struct pac *pac, enum decay_kind kind, struct edata *e, enum purge_extent how)
{
	const size_t pages = e->size / os_page_size;

	fetch_add_relaxed(&pac->stats.purged[kind].n_advise, 1);
	fetch_add_relaxed(&pac->stats.purged[kind].n_pages, pages);
	if (kind == DECAY_DIRTY && how == PURGE_BY_CURVE
	    && decay_get_ms(&pac->decay[DECAY_MUZZY]) != 0
	    && ehooks_purge_lazy(pac->ehooks, edata_base(e), e->size, 0, e->size)) {
		decay_come(&pac->decay[DECAY_MUZZY], os_clock_coarse_ns(),
		    pac_muzzy_pages(pac));
		ecache_put(&pac->muzzy, e);
	} else {
		dispose(pac, e);
	}
}

void
pac_purge_now(struct pac *pac, struct edata *e)
{
	fetch_add_relaxed(&pac->stats.purged[DECAY_DIRTY].n_purge, 1);
	purge(pac, DECAY_DIRTY, e, PURGE_EVERYTHING);
}

/* In one system call as many as can be, the rest one by one.  n is not 0. */
static void
dispose_many(struct pac *pac, enum decay_kind kind, struct edata **extents, unsigned n)
{
	struct iovec ranges[OS_PURGE_MANY];
	unsigned n_ranges = 0;
	size_t bytes = 0;

	do {
		struct edata *e = extents[n_ranges];
		ranges[n_ranges] = (struct iovec){ edata_base(e), e->size };
	} while (++n_ranges < n);
	unsigned n_purged = ehooks_purge_many(pac->ehooks, ranges, n);
	n_purged = n_purged < n ? n_purged : n;
	for (unsigned i = 0; i < n_purged; i++) {
		bytes += extents[i]->size;
		extents[i]->zeroed = true;
	}
	/* Before anybody can take them, so that no sum is ever too large. */
	fetch_add_relaxed(&pac->stats.purged[kind].n_advise, n_purged != 0);
	fetch_add_relaxed(&pac->stats.purged[kind].n_pages, bytes / os_page_size);
	fetch_sub_relaxed(&pac->stats.mapped, bytes);
	limit_discharge(pac->arena_index, bytes);
	fetch_add_relaxed(&pac->stats.retained, bytes);
	for (unsigned i = 0; i < n_purged; i++)
		ecache_put(&pac->retained, extents[i]);
	for (unsigned i = n_purged; i < n; i++)
		purge(pac, kind, extents[i], PURGE_EVERYTHING);
}

static_assert(OS_PURGE_MANY == 128, "the upper bound of opt.process_madvise_max_batch");

/* How many extents at a time may be disposed of; 0: they are not, or not by forced purging. */
static unsigned
batch_size(struct pac *pac, enum decay_kind kind, enum purge_extent how)
{
	const bool is_disposed = kind == DECAY_MUZZY || how == PURGE_EVERYTHING
	    || decay_get_ms(&pac->decay[DECAY_MUZZY]) == 0;

	return is_disposed && opt.retain && os_overcommits
	    ? (unsigned)opt.process_madvise_max_batch
	    : 0;
}

/* Purge down to `limit' pages; at most what is there now, so that it ends. */
static void
purge_to(struct pac *pac, enum decay_kind kind, size_t limit, enum purge_extent how)
{
	struct ecache *ec = kind == DECAY_DIRTY ? &pac->dirty : &pac->muzzy;
	const size_t present = ecache_pages(ec) * GRANULE;
	size_t left = present > limit * os_page_size ? present - limit * os_page_size : 0;
	const unsigned batch = batch_size(pac, kind, how);
	struct edata *extents[OS_PURGE_MANY], *e;
	unsigned n = 0;

	if (left == 0)
		return;
	fetch_add_relaxed(&pac->stats.purged[kind].n_purge, 1);
	while (left != 0
	    && (e = ecache_take_oldest(ec, max_size(left, PURGE_CUT_MIN))) != NULL) {
		left -= min_size(left, e->size);
		if (batch == 0) {
			purge(pac, kind, e, how);
			continue;
		}
		extents[n++] = e;
		if (n == batch) {
			dispose_many(pac, kind, extents, n);
			n = 0;
		}
	}
	if (n != 0)
		dispose_many(pac, kind, extents, n);
}

/* ---- when ------------------------------------------------------------------------------------ */

static size_t
pages_of(struct pac *pac, enum decay_kind kind)
{
	return kind == DECAY_DIRTY ? pac_dirty_pages(pac) : pac_muzzy_pages(pac);
}

/* How many of the pages may stay by the curve and the bound. */
static size_t
limit_locked(struct pac *pac, enum decay_kind kind, size_t present)
{
	struct decay *d = &pac->decay[kind];
	const uint64_t now = os_clock_coarse_ns();
	size_t limit = present;

	assert(mutex_is_held(&d->lock));
	if (decay_advance(d, now, present))
		limit = decay_limit(d) + decay_fresh(d, present);
	if (kind == DECAY_MUZZY || !load_relaxed(&pac->bounded))
		return limit;
	const size_t bound = dirty_bound(pac, now);
	if (bound >= limit)
		return limit;
	forgo(pac, limit - bound, now);
	return bound;
}

/* One thread at a time; skipped where another one is at it. */
static void
purge_by_curve(struct pac *pac, enum decay_kind kind)
{
	struct decay *d = &pac->decay[kind];
	const size_t present = pages_of(pac, kind);

	if (!mutex_trylock(&d->lock))
		return;
	const size_t limit = d->is_purging ? present : limit_locked(pac, kind, present);
	const bool is_over = limit < present;
	if (is_over)
		d->is_purging = true;
	mutex_unlock(&d->lock);
	if (!is_over)
		return;
	purge_to(pac, kind, limit, PURGE_BY_CURVE);
	mutex_lock(&d->lock);
	d->is_purging = false;
	decay_purged(d, pages_of(pac, kind));
	mutex_unlock(&d->lock);
}

static void
decay_kind(struct pac *pac, enum decay_kind kind, enum purge_extent how)
{
	struct decay *d = &pac->decay[kind];

	if (how == PURGE_BY_CURVE && decay_get_ms(d) != 0) {
		purge_by_curve(pac, kind);
		return;
	}
	/* All of it, whoever else purges: any number of threads may take out of an ecache. */
	purge_to(pac, kind, 0, how);
	mutex_lock(&d->lock);
	decay_purged(d, pages_of(pac, kind));
	mutex_unlock(&d->lock);
}

void
pac_decay(struct pac *pac, enum purge_extent how)
{
	if (limit_is_pressed())
		how = PURGE_EVERYTHING;
	decay_kind(pac, DECAY_DIRTY, how);
	decay_kind(pac, DECAY_MUZZY, how);
}

bool
pac_set_decay_ms(struct pac *pac, enum decay_kind kind, ssize_t ms, bool is_explicit)
{
	struct decay *d = &pac->decay[kind];

	if (!decay_ms_is_valid(ms))
		return false;
	mutex_lock(&d->lock);
	decay_restart(d, ms, os_clock_coarse_ns(), pages_of(pac, kind));
	mutex_unlock(&d->lock);
	if (kind == DECAY_DIRTY && is_explicit)
		store_relaxed(&pac->bounded, false);
	pac_decay(pac, PURGE_BY_CURVE);
	return true;
}

ssize_t
pac_decay_ms(struct pac *pac, enum decay_kind kind)
{
	return decay_get_ms(&pac->decay[kind]);
}

static uint64_t
time_until(struct pac *pac, enum decay_kind kind, uint64_t now)
{
	struct decay *d = &pac->decay[kind];

	mutex_lock(&d->lock);
	const uint64_t ns = decay_ns_until(d, now, pages_of(pac, kind), WAKE_PAGES);
	mutex_unlock(&d->lock);
	return ns;
}

uint64_t
pac_time_until_deferred_work(struct pai *self)
{
	struct pac *pac = CONTAINER_OF(self, struct pac, pai);
	const uint64_t now = os_clock_coarse_ns();

	if (load_relaxed(&pac->bounded) && pac_dirty_pages(pac) > dirty_bound(pac, now))
		return 0;
	if (limit_is_pressed() && pac_dirty_pages(pac) + pac_muzzy_pages(pac) != 0)
		return 0;
	const uint64_t dirty = time_until(pac, DECAY_DIRTY, now);
	const uint64_t muzzy = time_until(pac, DECAY_MUZZY, now);
	return dirty < muzzy ? dirty : muzzy;
}
