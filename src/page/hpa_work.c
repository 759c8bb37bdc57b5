/* SPDX-License-Identifier: MIT */
/*
 * hpa_work -- what a shard does later: it purges pageslabs, and makes them huge.
 *
 * Every step takes some pageslabs by their flags, lets go of the lock, calls the kernel, and writes
 * down under the lock what has happened.  A pageslab that is being purged gives no pages meanwhile,
 * so that what is free in it stays so; frees into it go on.  One that is being made huge goes on
 * with both, and is purged by nobody.
 */
#include "page/hpa.h"

#include "config/options.h"
#include "page/limit.h"

/* Steps of a thread that does this beside its own work; a step on which the kernel copies a huge
 * page counts for several. */
#define BRIEF_STEPS 16
#define COLLAPSE_STEPS 4
/* Pageslabs that the walk looks at in a step. */
#define WALK_STEP 256
/* After the kernel has refused, or nothing could be purged, so long nothing is tried. */
#define IN_VAIN_NS ((uint64_t)100 * 1000 * 1000)

static uint64_t
later(uint64_t since_ns, uint64_t delay_ns)
{
	return since_ns > UINT64_MAX - delay_ns ? UINT64_MAX : since_ns + delay_ns;
}

static uint64_t
earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

static uint64_t
after(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

/* -1 and 0 as of dirty_decay_ms. Relaxed: written under the lock. */
static ssize_t
decay_ms(struct hpa *hpa)
{
	return load_relaxed(&hpa->decay_ms);
}

static uint64_t
decay_ns(struct hpa *hpa)
{
	return (uint64_t)decay_ms(hpa) * 1000000;
}

/* ---- what a pageslab is due for -------------------------------------------------------------- */

/* Does the shard ask for huge pages, one by one, and for small ones before it purges? */
static bool
makes_huge(const struct hpa *hpa)
{
	const struct hpa_options *options = &hpa->options;

	return options->style == HPA_STYLE_LAZY
	    || (options->style == HPA_STYLE_EAGER && options->enforce_hugify);
}

/* Is as much of it in use as makes a huge page worth it?  Pages that were purged inside slabs are
 * not. */
static bool
is_well_used(const struct hpa *hpa, const struct hpdata *ps)
{
	/* Relaxed: a hint. */
	const unsigned n_unbacked = load_relaxed(&ps->n_unbacked);

	return makes_huge(hpa) && n_unbacked <= ps->n_active
	    && (ps->n_active - n_unbacked) * os_page_size
	    >= hpa->options.hugification_threshold;
}

/* What was made small for its dirty pages is not made huge again as it is: an idle process would go
 * on with that for ever. */
static bool
is_candidate(const struct hpa *hpa, const struct hpdata *ps)
{
	return is_well_used(hpa, ps) && !ps->is_huge && !ps->is_hugifying
	    && ps->n_failures < HPA_HUGIFY_TRIES && ps->n_active > ps->n_small;
}

static bool
is_worth_purging(const struct hpa *hpa, const struct hpdata *ps)
{
	const unsigned n_dirty = hpdata_dirty(ps);

	return n_dirty != 0
	    && (hpdata_is_empty(ps)
		|| n_dirty * os_page_size >= hpa->options.purge_threshold);
}

/* A huge page that is used for the most part is worth the rest of it; what is dirty in it is seen
 * when there is too much for the bound. */
static bool
keeps_huge(const struct hpa *hpa, const struct hpdata *ps)
{
	return ps->is_huge
	    && (is_well_used(hpa, ps) || ps->n_active * 10u >= hpdata_pages() * 9);
}

/* When time alone has it purged; DEFERRED_NEVER: not as it is. */
static uint64_t
due_by_time(struct hpa *hpa, const struct hpdata *ps)
{
	if (!ps->may_decay || ps->is_purging || ps->is_hugifying || decay_ms(hpa) < 0)
		return DEFERRED_NEVER;
	return later(ps->decay_since_ns, decay_ns(hpa));
}

void
hpa_judge_locked(struct hpa *hpa, struct hpdata *ps, uint64_t now_ns)
{
	if (!is_well_used(hpa, ps))
		ps->n_small = 0;
	const bool may_hugify = is_candidate(hpa, ps);
	const bool may_purge = is_worth_purging(hpa, ps);
	/* What is about to be huge would be backed again. */
	const bool may_decay = may_purge && !may_hugify && !keeps_huge(hpa, ps);

	if (may_hugify && !ps->may_hugify)
		ps->hugify_since_ns = now_ns;
	if (may_purge && !ps->may_purge)
		ps->purge_since_ns = now_ns;
	if (may_decay && !ps->may_decay)
		ps->decay_since_ns = now_ns;
	ps->may_hugify = may_hugify;
	ps->may_purge = may_purge;
	ps->may_decay = may_decay;
	hpa->decay_due_ns = earlier(hpa->decay_due_ns, due_by_time(hpa, ps));
}

/* ---- the bound by amount --------------------------------------------------------------------- */

/* Would so many more dirty pages be too many?  Those that are being purged are none any more. */
static bool
exceeds(const struct hpa *hpa, size_t n_more)
{
	const size_t n_dirty = psset_dirty(&hpa->set) + n_more;
	const size_t n_active = psset_active(&hpa->set);

	return hpa->options.dirty_mult >= 0 && n_dirty > hpa->n_purging
	    && n_dirty - hpa->n_purging
	    > (uint64_t)n_active * (uint64_t)hpa->options.dirty_mult / RATIO_ONE;
}

/* The first candidate, where making it huge would make dirty pages too many. */
static bool
is_blocked(const struct hpa *hpa, const struct hpdata *ps)
{
	return ps != NULL && exceeds(hpa, hpdata_pages() - ps->n_touched);
}

/* Is it time to purge by amount, but for the interval between two rounds? */
static bool
is_over(struct hpa *hpa)
{
	if (decay_ms(hpa) < 0 || psset_dirty(&hpa->set) == hpa->n_purging)
		return false;
	return exceeds(hpa, 0) || is_blocked(hpa, psset_pick_hugify(&hpa->set));
}

/*
 * Was purging wrong?  If a good part of what was purged within a second is needed anew in it, then
 * the next round waits, longer each time: a load in waves pays for its first troughs alone.  A few
 * pages tell nothing, for who grows needs more than those; and what was learned is forgotten when
 * no trough has come for a second, so that the last one is given back at once.
 */
#define WRONG_NS ((uint64_t)1000 * 1000 * 1000)
#define LG_WRONG_SHARE 2
#define TELLING_BYTES ((size_t)4 << 20)
#define LG_TELLING_SHARE 3 /* of what is active */
#define PATIENCE_MIN_NS ((uint64_t)500 * 1000 * 1000)
#define PATIENCE_MAX_NS ((uint64_t)4000 * 1000 * 1000)

static bool
is_telling(const struct hpa *hpa)
{
	return hpa->n_forgone >= TELLING_BYTES / os_page_size
	    && hpa->n_forgone >= psset_active(&hpa->set) >> LG_TELLING_SHARE;
}

void
hpa_note_fresh_locked(struct hpa *hpa, size_t n_pages, uint64_t now_ns)
{
	if (hpa->n_forgone == 0 || now_ns - hpa->forgone_ns >= WRONG_NS)
		return;
	hpa->n_fresh += n_pages;
	if (hpa->n_fresh <= hpa->n_forgone >> LG_WRONG_SHARE || !is_telling(hpa))
		return;
	hpa->n_forgone = 0;
	hpa->forgone_ns = now_ns;
	hpa->patience_ns = hpa->patience_ns == 0 ? PATIENCE_MIN_NS : 2 * hpa->patience_ns;
	if (hpa->patience_ns > PATIENCE_MAX_NS)
		hpa->patience_ns = PATIENCE_MAX_NS;
}

/* A round begins. */
static void
begin_judging_locked(struct hpa *hpa, uint64_t now)
{
	if (hpa->n_forgone != 0 && now - hpa->forgone_ns < WRONG_NS)
		return;
	/* Right the last time, or long ago. */
	if (hpa->n_forgone != 0 || now - hpa->forgone_ns >= hpa->patience_ns + WRONG_NS)
		hpa->patience_ns = 0;
	hpa->forgone_ns = now;
	hpa->n_forgone = hpa->n_fresh = 0;
}

/* ---- when there is work ---------------------------------------------------------------------- */

static uint64_t
hugify_due(struct hpa *hpa)
{
	const struct hpdata *ps = psset_pick_hugify(&hpa->set);

	/* What is blocked is looked at again after a round of purging. */
	if (ps == NULL || is_blocked(hpa, ps))
		return DEFERRED_NEVER;
	return later(ps->hugify_since_ns, hpa->options.hugify_delay_ns);
}

/* When the next round may begin that has something to purge. */
static uint64_t
round_due(const struct hpa *hpa)
{
	const uint64_t delay = hpa->options.min_purge_delay_ns;
	/* What goes on, or was right, waits for nothing. */
	const uint64_t first = hpa->n_forgone != 0
	    ? hpa->round_due_ns
	    : after(hpa->round_due_ns, hpa->forgone_ns + hpa->patience_ns);

	if (!psset_has_purge(&hpa->set))
		return DEFERRED_NEVER;
	if (delay == 0)
		return first;
	return after(first, later(psset_purge_since(&hpa->set), delay));
}

/* Before the lock is let go of.  Relaxed: figures. */
static void
publish_pages_locked(struct hpa *hpa)
{
	store_relaxed(&hpa->active_pages, psset_active(&hpa->set));
	store_relaxed(&hpa->dirty_pages, psset_dirty(&hpa->set));
	store_relaxed(&hpa->n_pageslabs, psset_pageslabs(&hpa->set));
}

void
hpa_publish_locked(struct hpa *hpa, uint64_t now_ns)
{
	uint64_t due = hugify_due(hpa);

	if (psset_dirty(&hpa->set) == 0)
		hpa->decay_due_ns = DEFERRED_NEVER;
	due = earlier(due, hpa->decay_due_ns);
	if (hpa->walk != NULL)
		due = earlier(due, now_ns);
	if (is_over(hpa))
		due = earlier(due, round_due(hpa));
	/* Relaxed: a hint. */
	store_relaxed(&hpa->due_ns, due);
	publish_pages_locked(hpa);
}

uint64_t
hpa_time_until_deferred_work(struct pai *self)
{
	struct hpa *hpa = CONTAINER_OF(self, struct hpa, pai);
	/* Relaxed: a hint. */
	const uint64_t due = load_relaxed(&hpa->due_ns);

	if (limit_is_pressed() && hpa_dirty_pages(hpa) != 0)
		return 0;
	if (due == DEFERRED_NEVER)
		return due;
	const uint64_t now = hpa->central->system->now_ns();
	return due > now ? due - now : 0;
}

/* ---- purging --------------------------------------------------------------------------------- */

/* What the calling thread is about with no lock held: its own fork child, which a signal handler
 * has made, goes on with it. */
static _Thread_local const struct hpa_purge *own_purge TLS_MODEL;
static _Thread_local const struct hpdata *own_hugified TLS_MODEL;

bool
hpa_purge_add_locked(struct hpa *hpa, struct hpa_purge *purge, struct hpdata *ps)
{
	assert(mutex_is_held(&hpa->lock));
	if (purge->n == HPA_PURGE_SLABS || ps->is_purging || ps->is_hugifying
	    || hpdata_dirty(ps) == 0)
		return false;
	psset_update_begin(&hpa->set, ps);
	ps->is_purging = true;
	psset_update_end(&hpa->set, ps);
	purge->slabs[purge->n] = ps;
	purge->n_dirty[purge->n++] = hpdata_dirty(ps);
	hpa->n_purging += hpdata_dirty(ps);
	return true;
}

/* By a fork, in whose child the thread goes on. */
static bool
is_frozen(const struct hpa *hpa, const struct hpdata *ps)
{
	return UNLIKELY(ps->epoch != hpa->epoch);
}

/* What is dirty in it goes, too. */
static void
make_small_locked(struct hpa *hpa, struct hpdata *ps)
{
	uint64_t (*const now_ns)(void) = hpa->central->system->now_ns;
	struct hpa_purge purge = {
		.n = 1, .slabs = { ps }, .n_dirty = { hpdata_dirty(ps) }
	};

	psset_update_begin(&hpa->set, ps);
	ps->is_purging = true;
	psset_update_end(&hpa->set, ps);
	hpa->n_purging += purge.n_dirty[0];
	(void)hpa_purge_locked(hpa, &purge);
	if (is_frozen(hpa, ps))
		return;
	const uint64_t now = now_ns();
	if (ps->is_huge)
		hpa->small_due_ns = later(now, IN_VAIN_NS);
	psset_update_begin(&hpa->set, ps);
	/* Huge again after much of it was free: not while it is as full as this. */
	if (is_well_used(hpa, ps) && !ps->is_huge)
		ps->n_small = (uint16_t)hpdata_pages();
	hpa_judge_locked(hpa, ps, now);
	psset_update_end(&hpa->set, ps);
	hpa_publish_locked(hpa, now);
}

/* Does half of it lie idle, free or in slabs with few live regions?  In these an eighth at least:
 * what is free may be fresh. */
static bool
is_mostly_idle(const struct hpdata *ps)
{
	const unsigned n = hpdata_pages(), n_free = n - ps->n_active;
	const unsigned n_sparse = load_relaxed(&ps->n_sparse); /* relaxed: a hint */

	return n_sparse >= n / 8 && n_sparse + n_free >= n / 2;
}

bool
hpa_lets_purge_inside(struct hpa *hpa, struct hpdata *ps)
{
	/* Relaxed: hints. */
	if (!load_relaxed(&ps->is_huge))
		return true;
	if (!makes_huge(hpa) || load_relaxed(&ps->n_sparse) < hpdata_pages() / 8)
		return false;
	mutex_lock(&hpa->lock);
	if (!is_frozen(hpa, ps) && ps->is_huge && is_mostly_idle(ps) && !ps->is_purging
	    && !ps->is_hugifying && hpa->central->system->now_ns() >= hpa->small_due_ns)
		make_small_locked(hpa, ps);
	const bool is_small = !ps->is_huge;
	mutex_unlock(&hpa->lock);
	return is_small;
}

/* As many ranges as one system call takes, and where to go on. */
struct ranges {
	unsigned slab, page;
	unsigned n;
	struct iovec addr[OS_PURGE_MANY];
	struct hpdata_range range[OS_PURGE_MANY];
	uint8_t of[OS_PURGE_MANY]; /* which of the pageslabs */
	bool is_done[OS_PURGE_MANY];
};

static void
collect_locked(const struct hpa_purge *purge, struct ranges *r)
{
	unsigned n_dirty = 0;

	r->n = 0;
	while (r->n < OS_PURGE_MANY && r->slab < purge->n) {
		const struct hpdata *ps = purge->slabs[r->slab];
		const unsigned n = hpdata_purge_ranges(ps, &r->page, &r->range[r->n],
		    OS_PURGE_MANY - r->n, &n_dirty);
		for (unsigned end = r->n + n; r->n < end; r->n++) {
			const struct hpdata_range *range = &r->range[r->n];
			r->addr[r->n] = (struct iovec){
				(void *)(ps->addr + range->page * os_page_size),
				range->n * os_page_size,
			};
			r->of[r->n] = (uint8_t)r->slab;
		}
		if (r->page < hpdata_pages())
			break;
		r->slab++;
		r->page = 0;
	}
}

/* With no lock held.  A range that the kernel refuses is left out. */
static void
purge_ranges(const struct hpa *hpa, struct ranges *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		unsigned n_done = hpa->central->system->purge(&r->addr[i], r->n - i);
		for (; n_done != 0 && i < r->n; n_done--, i++)
			r->is_done[i] = true;
		if (i < r->n)
			r->is_done[i] = false;
	}
}

/* Those of one pageslab, from the i-th on, are written down; the first behind them. */
static unsigned
note_purged_locked(struct hpa *hpa, const struct hpa_purge *purge, const struct ranges *r,
    unsigned i)
{
	const unsigned slab = r->of[i];
	struct hpdata *ps = purge->slabs[slab];
	unsigned end = i;

	while (end < r->n && r->of[end] == slab)
		end++;
	if (is_frozen(hpa, ps))
		return end;
	psset_update_begin(&hpa->set, ps);
	for (; i < end; i++) {
		if (!r->is_done[i])
			continue;
		hpdata_purged(ps, r->range[i]);
		ps->n_failures = 0;
		hpa->stats.n_purges++;
	}
	psset_update_end(&hpa->set, ps);
	return end;
}

/* Not where mappings would become too many.  Relaxed: a hint. */
static bool
may_make_small(const struct hpa *hpa)
{
	const struct hpa_central *central = hpa->central;

	return makes_huge(hpa) && load_relaxed(&central->n_small) < central->small_max;
}

/* What would come back by itself is made small.  Bits: which are. */
static unsigned
dehugify(struct hpa *hpa, const struct hpa_purge *purge)
{
	unsigned done = 0;

	for (unsigned i = 0; may_make_small(hpa) && i < purge->n; i++) {
		const struct hpdata *ps = purge->slabs[i];
		/* Nobody else writes that while it is being purged. */
		if (ps->is_huge
		    && hpa->central->system->dehugify((void *)ps->addr, OS_HUGEPAGE))
			done |= 1u << i;
	}
	return done;
}

static void
finish_locked(struct hpa *hpa, const struct hpa_purge *purge, unsigned made_small,
    uint64_t now)
{
	for (unsigned i = 0; i < purge->n; i++) {
		struct hpdata *ps = purge->slabs[i];
		if (is_frozen(hpa, ps))
			continue;
		psset_update_begin(&hpa->set, ps);
		assert(ps->is_purging && hpa->n_purging >= purge->n_dirty[i]);
		hpa->n_purging -= purge->n_dirty[i];
		ps->is_purging = false;
		if ((made_small >> i & 1) != 0) {
			ps->is_huge = false;
			ps->n_small = ps->n_active;
			hpa_splits_mapping(hpa, ps, true);
			hpa->stats.n_dehugifies++;
		}
		/* What is dirty still is so from now on. */
		ps->may_purge = ps->may_decay = false;
		hpa_judge_locked(hpa, ps, now);
		psset_update_end(&hpa->set, ps);
	}
}

static size_t
touched(const struct hpa *hpa)
{
	return psset_active(&hpa->set) + psset_dirty(&hpa->set);
}

size_t
hpa_purge_locked(struct hpa *hpa, struct hpa_purge *purge)
{
	struct ranges r;
	size_t n_pages = 0;

	assert(mutex_is_held(&hpa->lock));
	purge->outer = own_purge;
	own_purge = purge;
	publish_pages_locked(hpa);
	mutex_unlock(&hpa->lock);
	const unsigned made_small = dehugify(hpa, purge);
	mutex_lock(&hpa->lock);
	r.slab = r.page = 0;
	for (collect_locked(purge, &r); r.n != 0; collect_locked(purge, &r)) {
		mutex_unlock(&hpa->lock);
		purge_ranges(hpa, &r);
		mutex_lock(&hpa->lock);
		const size_t before = touched(hpa);
		for (unsigned i = 0; i < r.n;)
			i = note_purged_locked(hpa, purge, &r, i);
		n_pages += before - touched(hpa);
		publish_pages_locked(hpa);
	}
	finish_locked(hpa, purge, made_small, hpa->central->system->now_ns());
	own_purge = purge->outer;
	purge->n = 0;
	fetch_add_relaxed(&hpa->n_purged_pages, n_pages);
	/* Others may use as much from now on. */
	if (n_pages != 0)
		limit_discharge(hpa->arena_index, n_pages * os_page_size);
	return n_pages;
}

/* ---- steps: each returns whether there may be another -------------------------------------- */

static void
end_round_locked(struct hpa *hpa, uint64_t now)
{
	hpa->n_round = 0;
	if (hpa->round_due_ns < later(now, IN_VAIN_NS))
		hpa->round_due_ns = later(now, IN_VAIN_NS);
}

static void
pick_by_amount_locked(struct hpa *hpa, struct hpa_purge *purge, uint64_t now)
{
	const struct hpa_options *options = &hpa->options;
	const size_t left = options->max_purge_pageslabs < 0
	    ? SIZE_MAX
	    : (size_t)options->max_purge_pageslabs - (hpa->n_round - 1);
	struct hpdata *ps;

	if (now < options->min_purge_delay_ns)
		return;
	while (purge->n < left && is_over(hpa)
	    && (ps = psset_pick_purge(&hpa->set, now - options->min_purge_delay_ns))
		!= NULL
	    && hpa_purge_add_locked(hpa, purge, ps))
		continue;
}

static bool
purge_by_amount_locked(struct hpa *hpa, uint64_t now)
{
	struct hpa_purge purge;

	purge.n = 0;
	if (!is_over(hpa)) {
		hpa->n_round = 0;
		return false;
	}
	if (hpa->n_round == 0) {
		if (now < round_due(hpa))
			return false;
		hpa->n_round = 1;
		begin_judging_locked(hpa, now);
		hpa->round_due_ns = later(now, hpa->options.min_purge_interval_ns);
		hpa->stats.n_purge_passes++;
	}
	pick_by_amount_locked(hpa, &purge, now);
	hpa->n_round += purge.n;
	if (purge.n == 0) {
		hpa->n_round = 0;
		return false;
	}
	const size_t n_pages = hpa_purge_locked(hpa, &purge);
	hpa->n_forgone += n_pages;
	if (n_pages == 0)
		end_round_locked(hpa, now);
	return n_pages != 0;
}

static bool
purge_by_time_locked(struct hpa *hpa, uint64_t now)
{
	struct hpa_purge purge;

	purge.n = 0;
	if (hpa->walk == NULL) {
		if (hpa->decay_due_ns > now)
			return false;
		hpa->walk = hpa->all.next;
		hpa->walk_due_ns = hpa->decay_due_ns = DEFERRED_NEVER;
	}
	for (unsigned i = 0;
	     i < WALK_STEP && purge.n < HPA_PURGE_SLABS && hpa->walk != &hpa->all;
	     i++, hpa->walk = hpa->walk->next) {
		struct hpdata *ps = LIST_ENTRY(hpa->walk, struct hpdata, all_link);
		const uint64_t due = due_by_time(hpa, ps);
		if (due > now || !hpa_purge_add_locked(hpa, &purge, ps))
			hpa->walk_due_ns = earlier(hpa->walk_due_ns, due);
	}
	if (hpa->walk == &hpa->all) {
		hpa->walk = NULL;
		hpa->decay_due_ns = earlier(hpa->decay_due_ns, hpa->walk_due_ns);
	}
	if (purge.n != 0 && hpa_purge_locked(hpa, &purge) == 0) {
		hpa->walk = NULL;
		hpa->decay_due_ns = later(now, IN_VAIN_NS);
		return false;
	}
	return true;
}

/* Pages that were not touched are backed now, or nothing has happened. */
static bool
make_huge(struct hpa *hpa, struct hpdata *ps, size_t charged, bool *is_done)
{
	const struct hpa_system *system = hpa->central->system;
	void *addr = (void *)ps->addr;

	*is_done = false;
	if (charged != 0 && !limit_charge_quietly(hpa->arena_index, charged))
		return false;
	if (!system->hugify(addr, OS_HUGEPAGE)) {
		limit_discharge(hpa->arena_index, charged);
		return false;
	}
	*is_done = !hpa->options.hugify_sync || system->collapse(addr, OS_HUGEPAGE);
	return true;
}

static bool
hugify_locked(struct hpa *hpa, uint64_t now)
{
	struct hpdata *ps = psset_pick_hugify(&hpa->set);
	bool is_done;

	if (hugify_due(hpa) > now)
		return false;
	const unsigned n_fresh = hpdata_pages() - ps->n_touched;
	psset_update_begin(&hpa->set, ps);
	/* Pages inside slabs may have been purged since it was judged. */
	ps->is_hugifying = is_candidate(hpa, ps);
	hpa_judge_locked(hpa, ps, now);
	psset_update_end(&hpa->set, ps);
	if (!ps->is_hugifying)
		return true;
	const struct hpdata *const outer = own_hugified;
	own_hugified = ps;
	mutex_unlock(&hpa->lock);
	/* Where it is advised but not yet done, the kernel will come to it. */
	const bool is_huge = make_huge(hpa, ps, n_fresh * os_page_size, &is_done);
	mutex_lock(&hpa->lock);
	own_hugified = outer;
	if (is_frozen(hpa, ps))
		return true;
	psset_update_begin(&hpa->set, ps);
	ps->is_hugifying = false;
	ps->is_huge = is_huge;
	hpa_splits_mapping(hpa, ps, ps->splits_mapping && !is_huge);
	ps->n_failures += !is_huge;
	/* Some were touched, and charged, meanwhile. */
	if (is_huge)
		limit_discharge(hpa->arena_index,
		    (n_fresh - hpdata_touch_all(ps)) * os_page_size);
	hpa_judge_locked(hpa, ps, hpa->central->system->now_ns());
	psset_update_end(&hpa->set, ps);
	publish_pages_locked(hpa);
	hpa->stats.n_hugifies += is_huge;
	hpa->stats.n_hugify_failures += !is_done;
	return true;
}

/* What one step has cost, of BRIEF_STEPS; 0: there was nothing to do. */
static unsigned
step_locked(struct hpa *hpa)
{
	uint64_t (*const now_ns)(void) = hpa->central->system->now_ns;

	/* Time passes in each of them. */
	if (purge_by_amount_locked(hpa, now_ns()) || purge_by_time_locked(hpa, now_ns()))
		return 1;
	if (hugify_locked(hpa, now_ns()))
		return hpa->options.hugify_sync ? COLLAPSE_STEPS : 1;
	return 0;
}

static void
work_locked(struct hpa *hpa, enum purge_extent how)
{
	/* Others make new work all the time: an end in any case. */
	unsigned left = how == PURGE_BRIEFLY
	    ? BRIEF_STEPS
	    : 1024 + (unsigned)psset_pageslabs(&hpa->set),
		 cost;

	if (hpa->is_working)
		return;
	hpa->is_working = true;
	while (left != 0 && (cost = step_locked(hpa)) != 0)
		left -= cost < left ? cost : left;
	hpa->is_working = false;
}

static void
purge_everything_locked(struct hpa *hpa)
{
	struct list *last = hpa->all.prev, *at = hpa->all.next;
	struct hpa_purge purge;

	purge.n = 0;
	/* Those that come behind the last one meanwhile are not part of it. */
	for (bool is_end = list_is_empty(&hpa->all); !is_end; at = at->next) {
		is_end = at == last;
		(void)hpa_purge_add_locked(hpa, &purge,
		    LIST_ENTRY(at, struct hpdata, all_link));
		if (purge.n == HPA_PURGE_SLABS || (is_end && purge.n != 0))
			(void)hpa_purge_locked(hpa, &purge);
	}
}

void
hpa_work(struct pai *self, enum purge_extent how)
{
	struct hpa *hpa = CONTAINER_OF(self, struct hpa, pai);

	mutex_lock(&hpa->lock);
	if (how == PURGE_EVERYTHING || limit_is_pressed())
		purge_everything_locked(hpa);
	if (how != PURGE_EVERYTHING)
		work_locked(hpa, how);
	hpa_publish_locked(hpa, hpa->central->system->now_ns());
	mutex_unlock(&hpa->lock);
}

void
hpa_set_decay_ms(struct hpa *hpa, ssize_t ms)
{
	mutex_lock(&hpa->lock);
	store_relaxed(&hpa->decay_ms, ms);
	/* The walk finds out what is due when. */
	hpa->decay_due_ns = ms < 0 ? DEFERRED_NEVER : 0;
	mutex_unlock(&hpa->lock);
	hpa_work(&hpa->pai, PURGE_BY_CURVE);
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* Is the calling thread purging it?  Adds its dirty pages to *n_dirty. */
static bool
is_own(const struct hpdata *ps, size_t *n_dirty)
{
	for (const struct hpa_purge *purge = own_purge; purge != NULL;
	     purge = purge->outer)
		for (unsigned i = 0; i < purge->n; i++)
			if (purge->slabs[i] == ps) {
				*n_dirty += purge->n_dirty[i];
				return true;
			}
	return false;
}

/* Another who was purging it, or making it huge, is not here; what it has not told is as before. */
void
hpa_fork_work(struct hpa *hpa)
{
	const uint64_t now = hpa->central->system->now_ns();

	hpa->is_working = false;
	hpa->n_purging = 0;
	hpa->n_round = 0;
	hpa->walk = NULL;
	LIST_FOR_EACH (l, &hpa->all) {
		struct hpdata *ps = LIST_ENTRY(l, struct hpdata, all_link);
		if (is_own(ps, &hpa->n_purging) || ps == own_hugified
		    || (!ps->is_purging && !ps->is_hugifying))
			continue;
		psset_update_begin(&hpa->set, ps);
		ps->is_purging = ps->is_hugifying = false;
		hpa_judge_locked(hpa, ps, now);
		psset_update_end(&hpa->set, ps);
	}
}
