/* SPDX-License-Identifier: MIT */
/*
 * What the random driver of a shard (model/hpa.c) knows, and how a shard ought to be: what is out,
 * since when each pageslab has been worth a huge page or a purge, what was due when.
 */
#ifndef TEST_MODEL_HPA_H
#define TEST_MODEL_HPA_H

#include "page/hpa.h"

#include "config/options.h"
#include "extent/emap.h"
#include "harness/fake_kernel.h"
#include "page/limit.h"

#define ARENA 4000 /* no arena has this index */
#define LIVE_MAX 3000
#define DEPTH_MAX 3
#define NEVER UINT64_MAX

/* What has happened, and how often at least it is to have happened in a million steps. */
#define MEETINGS(M) \
	M(ALLOC_DURING_PURGE, 2000) \
	M(FREE_DURING_PURGE, 2000) \
	M(EMPTIED_DURING_PURGE, 200) \
	M(ALLOC_DURING_HUGIFY, 2000) /* in that pageslab, as the next two */ \
	M(FREE_DURING_HUGIFY, 1000) \
	M(EMPTIED_DURING_HUGIFY, 200) \
	M(ALLOC_DURING_DEHUGIFY, 1000) \
	M(FREE_DURING_DEHUGIFY, 500) /* in that pageslab */ \
	M(ALLOC_DURING_MAP, 200) \
	M(ROOM_MADE_DURING_MAP, 50) /* nobody needs the new pageslab */ \
	M(ALLOC_AFTER_DEHUGIFY, 1000) \
	M(HUGIFY_AFTER_DEHUGIFY, 200) \
	M(PURGE_DURING_PURGE, 500) \
	M(PURGE_DURING_HUGIFY, 500) /* and not of that pageslab */ \
	M(WORK_DURING_WORK, 500) \
	M(CANDIDATE_GONE, 2000) /* before it was made huge */ \
	M(PURGE_BY_AMOUNT, 2000) \
	M(PURGE_BY_TIME, 500) \
	M(PURGE_WHEN_FREED, 500) \
	M(PURGE_OF_EVERYTHING, 500) \
	M(PURGE_OF_EMPTY_HUGE, 200) \
	M(PURGE_FAILED, 200) \
	M(PURGE_PARTLY, 50) \
	M(HUGIFY_FAILED, 200) \
	M(COLLAPSE_FAILED, 100) \
	M(DEHUGIFY_FAILED, 200) \
	M(MAP_REFUSED, 200) \
	M(ALLOC_FAILED_BY_MAP, 20) \
	M(ALLOC_FAILED_BY_BASE, 5) \
	M(ALLOC_FAILED_BY_LIMIT, 20) \
	M(BATCH_IN_PART, 50) \
	M(ZERO_OF_USED, 1000) /* the shard had to clear pages */ \
	M(HONEST_NEVER, 50) \
	M(HONEST_LATER, 500)

enum meeting {
#define M(name, least) name,
	MEETINGS(M)
#undef M
	    MEETING_COUNT
};

static const struct {
	const char *name;
	unsigned least;
} meetings[MEETING_COUNT] = {
#define M(name, least) { #name, least },
	MEETINGS(M)
#undef M
};

/* What a thread is at. */
enum task { TASK_ALLOC, TASK_FREE, TASK_WORK, TASK_EVERYTHING, TASK_OTHER };

struct live {
	struct edata *e;
	uintptr_t addr;
	size_t size;
	uint64_t stamp;
};

/* What is known of a pageslab. */
struct known {
	const struct hpdata *ps;
	unsigned n_active;
	bool is_purging, is_dehugified;
	/* Since when; NEVER: not now. */
	uint64_t full_ns, candidate_ns, worth_ns, decay_ns;
};

static struct {
	uint64_t seed;
	uint64_t n_steps, n_steps_left;
	struct hpa hpa;
	struct hpa_central central;
	struct hpa_options options;
	struct live live[LIVE_MAX];
	unsigned n_live;
	unsigned live_wanted; /* about so many of this phase */
	uint64_t next_stamp;
	struct known known[KERNEL_SLABS];
	unsigned depth;
	enum task tasks[DEPTH_MAX + 1]; /* by depth */
	bool is_quiet;                  /* no other thread now */
	bool is_charging_limited;
	bool has_failed; /* some call has, in this life */
	/* Of the round of purging by amount. */
	uint64_t n_rounds, round_ns;
	size_t n_round_slabs;
	uint64_t n_vain, n_honest;
	uint64_t met[MEETING_COUNT];
} m;

/* Of all lives: records are for ever. */
static struct base *base;
static struct edata_pool pool;
static bool base_fails;

static uint64_t
below(uint64_t n)
{
	return test_random_below(&m.seed, n);
}

static void
meet(enum meeting meeting)
{
	m.met[meeting]++;
}

static void *
map_for_base(void *context, size_t size, size_t alignment)
{
	return base_fails ? NULL : base_map_system(context, size, alignment);
}

/* ---- pageslabs as they ought to be ----------------------------------------------------------- */

static bool
makes_huge(void)
{
	return m.options.style == HPA_STYLE_LAZY
	    || (m.options.style == HPA_STYLE_EAGER && m.options.enforce_hugify);
}

/* A condition that holds now, and since when it does. */
static void
since(uint64_t *since_ns, bool holds)
{
	if (!holds)
		*since_ns = NEVER;
	else if (*since_ns == NEVER)
		*since_ns = kernel.now_ns;
}

static bool
is_due(uint64_t since_ns, uint64_t delay_ns)
{
	return since_ns != NEVER && kernel.now_ns - since_ns >= delay_ns;
}

static uint64_t
decay_time_ns(void)
{
	return (uint64_t)load_relaxed(&m.hpa.decay_ms) * 1000000;
}

/* How far above others; see page/psset.h. 0: not to be purged now. */
static unsigned
purge_rank(const struct hpdata *ps)
{
	const unsigned dirty = hpdata_dirty(ps);

	if (dirty == 0)
		return 0;
	if (hpdata_is_empty(ps))
		return ps->is_huge ? 1001 : 1000;
	return 1 + psset_class(dirty) * 2 + !ps->is_huge;
}

static bool
is_worth(const struct hpdata *ps)
{
	const unsigned dirty = hpdata_dirty(ps);

	return dirty != 0
	    && (hpdata_is_empty(ps) || dirty * os_page_size >= m.options.purge_threshold);
}

static bool
is_full(const struct hpdata *ps)
{
	return ps->n_active * os_page_size >= m.options.hugification_threshold;
}

static bool
is_candidate(const struct hpdata *ps)
{
	return makes_huge() && is_full(ps) && !ps->is_huge && !ps->is_hugifying
	    && ps->n_failures < HPA_HUGIFY_TRIES && ps->n_active > ps->n_small;
}

/* What is huge and worth it is not purged for its age, nor what will be. */
static bool
may_decay(const struct hpdata *ps)
{
	return is_worth(ps) && !is_candidate(ps)
	    && !(ps->is_huge
		&& ((makes_huge() && is_full(ps))
		    || ps->n_active * 10u >= hpdata_pages() * 9));
}

static void
observe_slab(const struct hpdata *ps, struct known *k)
{
	if (k->is_purging && !ps->is_purging) {
		k->worth_ns = k->decay_ns = NEVER;
		k->is_dehugified |= kernel.slabs[k - m.known].was_kept_small;
	}
	if (k->candidate_ns != NEVER && !is_full(ps) && !ps->is_huge)
		meet(CANDIDATE_GONE);
	k->ps = ps;
	k->is_purging &= ps->is_purging;
	since(&k->full_ns, is_full(ps));
	since(&k->candidate_ns, is_candidate(ps));
	since(&k->worth_ns, is_worth(ps));
	/* What is taken from is in use. */
	if (ps->n_active > k->n_active)
		k->decay_ns = NEVER;
	k->n_active = ps->n_active;
	since(&k->decay_ns, may_decay(ps));
}

/* The time has come on, or something has changed. */
static void
observe(void)
{
	LIST_FOR_EACH (l, &m.hpa.all) {
		const struct hpdata *ps = LIST_ENTRY(l, struct hpdata, all_link);
		observe_slab(ps, &m.known[kernel_slab_of(ps->addr)]);
	}
}

static bool
is_over(size_t n_dirty, size_t n_active)
{
	return m.options.dirty_mult >= 0
	    && n_dirty > n_active * (uint64_t)m.options.dirty_mult / RATIO_ONE;
}

/* On entry into a call that purges: has a round begun? */
static void
see_round(void)
{
	if (m.hpa.stats.n_purge_passes == m.n_rounds)
		return;
	REQUIRE(m.n_rounds == 0
	    || kernel.now_ns - m.round_ns >= m.options.min_purge_interval_ns);
	m.n_rounds = m.hpa.stats.n_purge_passes;
	m.round_ns = kernel.now_ns;
	m.n_round_slabs = 0;
}

/* The round goes on with n_new more pageslabs of so many dirty pages. */
static void
check_round(unsigned n_new, size_t n_new_dirty, size_t n_most_dirty)
{
	const size_t n_active = psset_active(&m.hpa.set);
	size_t n_dirty = psset_dirty(&m.hpa.set), n_blocked = 0;
	bool is_other = false;

	m.n_round_slabs += n_new;
	REQUIRE(m.options.max_purge_pageslabs < 0
	    || m.n_round_slabs <= (size_t)m.options.max_purge_pageslabs);
	for (unsigned i = 0; i < KERNEL_SLABS; i++) {
		const struct hpdata *ps = m.known[i].ps;
		is_other |= m.known[i].is_purging;
		/* The first candidate may be among the chosen. */
		if (ps != NULL && ps->may_hugify)
			n_blocked = max_size(n_blocked, hpdata_pages() - ps->n_touched);
	}
	if (is_other)
		return;
	/* Too many before the last was chosen. */
	n_dirty += n_blocked;
	REQUIRE(is_over(n_dirty - n_new_dirty + n_most_dirty, n_active));
}

/* Pageslabs have just been chosen to be purged, those that are `is_new'. */
static void
check_chosen(const bool *is_new, enum task task)
{
	const bool by_amount = task == TASK_WORK && m.hpa.n_round != 0;
	unsigned n_new = 0, least_rank = UINT32_MAX;
	size_t n_dirty = 0, n_most = 0;

	for (unsigned i = 0; i < KERNEL_SLABS; i++) {
		const struct known *k = &m.known[i];
		if (!is_new[i])
			continue;
		REQUIRE(!k->ps->is_hugifying && hpdata_dirty(k->ps) != 0);
		kernel.slabs[i].is_dehugify_refused = false;
		n_new++;
		n_dirty += hpdata_dirty(k->ps);
		n_most = max_size(n_most, hpdata_dirty(k->ps));
		if (purge_rank(k->ps) < least_rank)
			least_rank = purge_rank(k->ps);
		if (by_amount)
			REQUIRE(is_due(k->worth_ns, m.options.min_purge_delay_ns));
		else if (task == TASK_WORK)
			REQUIRE(is_due(k->decay_ns, decay_time_ns()));
		if (hpdata_is_empty(k->ps) && k->ps->is_huge)
			meet(PURGE_OF_EMPTY_HUGE);
		meet(task == TASK_EVERYTHING ? PURGE_OF_EVERYTHING
			: task == TASK_FREE  ? PURGE_WHEN_FREED
			: by_amount          ? PURGE_BY_AMOUNT
					     : PURGE_BY_TIME);
	}
	REQUIRE(n_new <= HPA_PURGE_SLABS);
	REQUIRE(task != TASK_FREE || load_relaxed(&m.hpa.decay_ms) == 0);
	REQUIRE(task != TASK_WORK || load_relaxed(&m.hpa.decay_ms) >= 0);
	REQUIRE(task == TASK_FREE || task == TASK_WORK || task == TASK_EVERYTHING);
	if (!by_amount)
		return;
	check_round(n_new, n_dirty, n_most);
	/* The empty ones first, then the dirtiest. */
	for (unsigned i = 0; i < KERNEL_SLABS; i++) {
		const struct known *k = &m.known[i];
		if (k->ps != NULL && !k->ps->is_purging && !k->ps->is_hugifying
		    && is_due(k->worth_ns, m.options.min_purge_delay_ns))
			REQUIRE(purge_rank(k->ps) <= least_rank);
	}
}

/* On entry into a call that purges: what has been chosen since the last? */
static void
see_chosen(void)
{
	bool is_new[KERNEL_SLABS] = { false }, is_any = false;

	see_round();
	for (unsigned i = 0; i < KERNEL_SLABS; i++) {
		const struct known *k = &m.known[i];
		is_new[i] = k->ps != NULL && k->ps->is_purging && !k->is_purging;
		is_any |= is_new[i];
	}
	if (is_any)
		check_chosen(is_new, m.tasks[m.depth]);
	for (unsigned i = 0; i < KERNEL_SLABS; i++)
		m.known[i].is_purging |= is_new[i];
}

static void
check_hugify(unsigned slab)
{
	const struct known *k = &m.known[slab];

	/* An eden is advised before it is a pageslab. */
	if (k->ps == NULL) {
		REQUIRE(m.options.style == HPA_STYLE_EAGER);
		return;
	}
	REQUIRE(makes_huge() && k->ps->is_hugifying && !k->ps->is_purging);
	REQUIRE(!k->ps->is_huge);
	REQUIRE(is_due(k->full_ns, m.options.hugify_delay_ns));
	/* What it has backed is not too much; what is being purged is gone. */
	const size_t n_fresh = hpdata_pages() - k->ps->n_touched;
	REQUIRE(!is_over(psset_dirty(&m.hpa.set) - m.hpa.n_purging + n_fresh,
	    psset_active(&m.hpa.set)));
	if (k->is_dehugified)
		meet(HUGIFY_AFTER_DEHUGIFY);
}

/* ---- structures ------------------------------------------------------------------------------ */

static bool
is_subset(const uint64_t *a, const uint64_t *b)
{
	for (unsigned i = 0; i < BITMAP_WORDS(hpdata_pages()); i++)
		if ((a[i] & ~b[i]) != 0)
			return false;
	return true;
}

/* The shard and the kernel agree about a pageslab. */
static void
check_slab(const struct hpdata *ps)
{
	const unsigned slab = kernel_slab_of(ps->addr);
	const struct kernel_slab *s = &kernel.slabs[slab];
	const size_t bytes = BITMAP_WORDS(hpdata_pages()) * sizeof(uint64_t);

	REQUIRE(s->is_mapped);
	REQUIRE(memcmp(ps->active, s->active, bytes) == 0);
	/* What is backed is known, but where the kernel has huge pages unasked. */
	if (!ps->is_huge && !ps->is_hugifying && !kernel_makes_huge(slab)
	    && !s->was_purged_huge)
		REQUIRE(is_subset(s->backed, ps->touched));
	if (!s->was_huge && !ps->is_hugifying && !ps->is_purging)
		REQUIRE(is_subset(ps->touched, s->backed));
}

/* With another thread in the middle of a call, or with none. */
static void
check_all(void)
{
	size_t n_touched = 0;

	observe();
	LIST_FOR_EACH (l, &m.hpa.all) {
		const struct hpdata *ps = LIST_ENTRY(l, struct hpdata, all_link);
		check_slab(ps);
		n_touched += ps->n_touched;
		if (m.depth == 0)
			REQUIRE(!ps->is_purging && !ps->is_hugifying);
	}
	psset_check(&m.hpa.set);
	if (m.depth != 0) {
		REQUIRE(limit_used() >= n_touched * os_page_size);
		return;
	}
	hpa_check(&m.hpa);
	REQUIRE(limit_used() == n_touched * os_page_size);
	REQUIRE(m.hpa.n_purging == 0 && !m.hpa.is_working);
}

/* ---- nothing is forgotten -------------------------------------------------------------------- */

/* Would it be too much to make one that is a candidate huge? */
static bool
is_blocked(const struct known *k)
{
	return is_over(psset_dirty(&m.hpa.set) + hpdata_pages() - k->ps->n_touched,
	    psset_active(&m.hpa.set));
}

/* All that was due has been done; no call has failed in this life. */
static void
check_nothing_due(void)
{
	const bool may_purge = load_relaxed(&m.hpa.decay_ms) >= 0;
	unsigned n_candidates = 0, n_blocked = 0;
	bool is_purge_due = false, is_hugify_due = false;

	for (unsigned i = 0; i < KERNEL_SLABS; i++) {
		const struct known *k = &m.known[i];
		if (k->ps == NULL)
			continue;
		REQUIRE(!may_purge || !is_due(k->decay_ns, decay_time_ns()));
		n_candidates += k->candidate_ns != NEVER;
		n_blocked += k->candidate_ns != NEVER && is_blocked(k);
		is_purge_due |= is_due(k->worth_ns, m.options.min_purge_delay_ns);
		is_hugify_due |= is_due(k->candidate_ns, m.options.hugify_delay_ns);
	}
	REQUIRE(!is_hugify_due || n_blocked != 0);
	/* Nothing is purged though it ought to be, but for intervals and the limit. */
	if (may_purge && m.options.min_purge_interval_ns == 0 && m.hpa.patience_ns == 0
	    && m.options.max_purge_pageslabs < 0
	    && (is_over(psset_dirty(&m.hpa.set), psset_active(&m.hpa.set))
		|| (n_blocked != 0 && n_blocked == n_candidates)))
		REQUIRE(!is_purge_due);
}

#endif
