/* SPDX-License-Identifier: MIT */
/*
 * A shard of the huge page allocator over a kernel and a clock that the test has made, driven at
 * random: HPA_STEPS steps (or as many as the environment says) in lives of LIFE_STEPS, each with
 * other options and pages.  Inside each system call "another thread" takes steps of its own, up to
 * DEPTH_MAX deep, so that everything happens in the middle of everything that the flags of a
 * pageslab allow.
 *
 * The kernel (harness/fake_kernel.h) knows which pages are in use and which are backed; model/hpa.h
 * knows what ought to be.  Each kind of meeting is counted, so that none is missed.
 *
 *	HPA_STEPS=10000000 TEST_SEED=7 test/model/hpa
 */
#include "model/hpa.h"

/* Asserts that walk everything, and sanitizers, take their time. */
#if CONFIG_DEBUG || CONFIG_HOSTILE || BUILT_FOR_TSAN || defined(__SANITIZE_ADDRESS__)
#define HPA_STEPS 100000
#else
#define HPA_STEPS 1000000
#endif

#define LIFE_STEPS 4000

static void any_step(unsigned slab);

/* ---- other threads --------------------------------------------------------------------------- */

static void
count_failure(enum kernel_call call, enum kernel_moment moment)
{
	static const enum meeting failed[CALL_COUNT] = {
		[CALL_MAP] = MAP_REFUSED,
		[CALL_PURGE] = PURGE_FAILED,
		[CALL_HUGIFY] = HUGIFY_FAILED,
		[CALL_COLLAPSE] = COLLAPSE_FAILED,
		[CALL_DEHUGIFY] = DEHUGIFY_FAILED,
	};

	m.has_failed = true;
	meet(moment == REFUSED ? failed[call] : PURGE_PARTLY);
}

static void
during(enum kernel_call call, unsigned slab, enum kernel_moment moment)
{
	if (moment == BEFORE) {
		observe();
		if (call == CALL_PURGE || call == CALL_DEHUGIFY)
			see_chosen();
		if (call == CALL_HUGIFY)
			check_hugify(slab);
	} else if (moment != AFTER) {
		count_failure(call, moment);
		return;
	}
	if (m.is_quiet || m.depth == DEPTH_MAX || below(2) != 0)
		return;
	const unsigned n_live = m.n_live;
	m.depth++;
	for (unsigned n = 1 + (unsigned)below(3); n != 0; n--)
		any_step(slab);
	m.depth--;
	if (call == CALL_MAP && m.n_live < n_live)
		meet(ROOM_MADE_DURING_MAP);
}

/* ---- what a thread may do -------------------------------------------------------------------- */

static void
begin(enum task task)
{
	m.tasks[m.depth] = task;
}

static void
stamp(const struct live *l)
{
	for (uintptr_t p = l->addr; p < l->addr + l->size; p += os_page_size)
		for (unsigned i = 0; i < KERNEL_WORDS; i++)
			*kernel_word(p, i) = l->stamp + (p - l->addr) / os_page_size;
}

static void
check_stamps(const struct live *l)
{
	for (uintptr_t p = l->addr; p < l->addr + l->size; p += os_page_size)
		for (unsigned i = 0; i < KERNEL_WORDS; i++)
			REQUIRE(*kernel_word(p, i)
			    == l->stamp + (p - l->addr) / os_page_size);
}

static void
check_zero(const struct live *l)
{
	for (uintptr_t p = l->addr; p < l->addr + l->size; p += os_page_size)
		for (unsigned i = 0; i < KERNEL_WORDS; i++)
			REQUIRE(*kernel_word(p, i) == 0);
}

static void
count_alloc(const struct hpdata *ps)
{
	if (ps->is_hugifying)
		meet(ALLOC_DURING_HUGIFY);
	if (m.known[kernel_slab_of(ps->addr)].is_dehugified)
		meet(ALLOC_AFTER_DEHUGIFY);
	if (kernel.n_inside[CALL_PURGE] != 0)
		meet(ALLOC_DURING_PURGE);
	if (kernel.n_inside[CALL_DEHUGIFY] != 0)
		meet(ALLOC_DURING_DEHUGIFY);
	if (kernel.n_inside[CALL_MAP] != 0)
		meet(ALLOC_DURING_MAP);
}

/* An extent has been handed out. */
static void
take(struct edata *e, const struct page_request *request)
{
	struct live *l = &m.live[m.n_live++];
	const unsigned slab = kernel_slab_of(e->addr), page = kernel_page_of(e->addr);
	const unsigned n = (unsigned)(e->size / os_page_size);
	struct kernel_slab *s = &kernel.slabs[slab];

	*l = (struct live){ e, e->addr, e->size, m.next_stamp };
	m.next_stamp += 1 << 16;
	REQUIRE(e->size == request->size && e->use == request->use);
	REQUIRE(e->szind == request->szind && e->state == EXTENT_ACTIVE);
	REQUIRE(e->hpa && e->committed && !e->guarded);
	REQUIRE(edata_arena(e) == ARENA && load_relaxed(&e->owner) == NULL);
	/* In one pageslab, which is not being purged, and nobody else's. */
	REQUIRE(s->is_mapped && page + n <= hpdata_pages());
	REQUIRE(e->pageslab->addr == kernel_addr(slab, 0));
	REQUIRE(!e->pageslab->is_purging);
	REQUIRE(bitmap_count_range(s->active, page, page + n) == 0);
	REQUIRE(emap_lookup((void *)e->addr) == e);
	REQUIRE(emap_lookup((void *)(edata_end(e) - 1)) == e);
	if (n > 2 && use_has_regions((enum extent_use)e->use))
		REQUIRE(emap_lookup((void *)(e->addr + os_page_size)) == e);
	if (request->zero) {
		check_zero(l);
		if (bitmap_count_range(s->backed, page, page + n) != 0 && !s->was_huge)
			meet(ZERO_OF_USED);
	}
	count_alloc(e->pageslab);
	bitmap_set_range(s->active, page, page + n);
	kernel_touch(e->addr, e->size);
	stamp(l);
}

/* No reason, no failure. */
static void
explain_failure(const uint64_t *n_failed_before)
{
	/* Refused now, or so lately that it was not asked. */
	const bool by_map = kernel.n_failed[CALL_MAP] != n_failed_before[CALL_MAP]
	    || kernel.now_ns < load_relaxed(&m.central.map_due_ns);

	REQUIRE(by_map || base_fails || m.is_charging_limited);
	if (m.is_charging_limited)
		meet(ALLOC_FAILED_BY_LIMIT);
	else if (base_fails)
		meet(ALLOC_FAILED_BY_BASE);
	else
		meet(ALLOC_FAILED_BY_MAP);
}

static struct page_request
any_request(void)
{
	const unsigned all = hpdata_pages();
	const bool is_slab = below(2) == 0;
	const size_t most = is_slab ? (below(10) == 0 ? all : all / 8)
				    : m.options.slab_max_alloc / os_page_size;

	return (struct page_request){
		.size = (1 + below(most < 8 || below(3) == 0 ? most : 8)) * os_page_size,
		.alignment = os_page_size,
		.use = is_slab ? (below(4) == 0 ? USE_MIXED : USE_SLAB) : USE_LARGE,
		.szind = (uint8_t)below(100),
		.zero = below(3) == 0,
	};
}

/* After an operation that may have found work. */
static void
check_deferred(bool deferred)
{
	if (m.hpa.pai.time_until_deferred_work(&m.hpa.pai) != DEFERRED_NEVER)
		REQUIRE(deferred);
}

static void
step_alloc(void)
{
	const struct page_request request = any_request();
	const bool is_batch = below(3) == 0;
	const unsigned n = is_batch ? 1 + (unsigned)below(HPA_BATCH_MAX + 2) : 1;
	uint64_t n_failed[CALL_COUNT];
	bool deferred = below(4) == 0;
	struct list extents, *first;
	unsigned got;

	if (m.n_live + HPA_BATCH_MAX + 2 > LIVE_MAX)
		return;
	begin(TASK_ALLOC);
	REQUIRE(hpa_serves(&m.hpa, &request));
	memcpy(n_failed, kernel.n_failed, sizeof(n_failed));
	list_init(&extents);
	if (is_batch) {
		got = m.hpa.pai.alloc_batch(&m.hpa.pai, &request, n, &extents, &deferred);
	} else {
		struct edata *e = m.hpa.pai.alloc(&m.hpa.pai, &request, &deferred);
		got = e != NULL;
		if (e != NULL)
			list_push_back(&extents, &e->link);
	}
	REQUIRE(got <= n && (got == 0) == list_is_empty(&extents));
	if (got == 0)
		explain_failure(n_failed);
	else if (got < n && got < HPA_BATCH_MAX)
		meet(BATCH_IN_PART);
	for (; (first = list_pop_front(&extents)) != NULL; got--)
		take(LIST_ENTRY(first, struct edata, link), &request);
	REQUIRE(got == 0);
	check_deferred(deferred);
}

/* Out of the table, before it is freed: what happens meanwhile must not meet it. */
static struct edata *
give(unsigned i)
{
	const struct live l = m.live[i];
	const unsigned slab = kernel_slab_of(l.addr), page = kernel_page_of(l.addr);

	REQUIRE(l.e->addr == l.addr && l.e->size == l.size
	    && l.e->state == EXTENT_ACTIVE);
	check_stamps(&l);
	bitmap_clear_range(kernel.slabs[slab].active, page, page + l.size / os_page_size);
	m.live[i] = m.live[--m.n_live];
	if (l.e->pageslab->is_purging)
		meet(kernel.n_inside[CALL_DEHUGIFY] != 0 ? FREE_DURING_DEHUGIFY
							 : FREE_DURING_PURGE);
	if (l.e->pageslab->is_hugifying)
		meet(FREE_DURING_HUGIFY);
	if (bitmap_is_empty(kernel.slabs[slab].active, hpdata_pages())) {
		if (l.e->pageslab->is_purging)
			meet(EMPTIED_DURING_PURGE);
		if (l.e->pageslab->is_hugifying)
			meet(EMPTIED_DURING_HUGIFY);
	}
	/* As a cache in front hands it on. */
	if (below(8) == 0) {
		if (use_has_regions((enum extent_use)l.e->use))
			emap_deregister_interior(l.e);
		l.e->use = USE_NONE;
		emap_set_state(l.e, EXTENT_MERGING);
	}
	return l.e;
}

static void
free_all(struct list *extents)
{
	bool deferred = below(4) == 0;

	begin(TASK_FREE);
	if (list_first(extents) == list_last(extents))
		m.hpa.pai.dalloc(&m.hpa.pai,
		    LIST_ENTRY(list_pop_front(extents), struct edata, link), &deferred);
	else
		m.hpa.pai.dalloc_batch(&m.hpa.pai, extents, &deferred);
	REQUIRE(list_is_empty(extents));
	check_deferred(deferred);
}

/* What has been freed and is not in use again is found by nobody. */
static void
check_forgotten(uintptr_t addr)
{
	const unsigned slab = kernel_slab_of(addr), page = kernel_page_of(addr);

	if (!bitmap_get(kernel.slabs[slab].active, page))
		REQUIRE(emap_lookup_any((void *)addr) == NULL);
}

/* n extents, of one pageslab or of any. */
static void
step_free(unsigned slab, unsigned n)
{
	uintptr_t first = 0, last = 0; /* pages of the latest of them */
	struct list extents;

	list_init(&extents);
	for (unsigned i = m.n_live == 0 ? 0 : (unsigned)below(m.n_live), tries = m.n_live;
	     tries != 0 && n != 0 && m.n_live != 0; tries--) {
		i = i % m.n_live;
		if (slab != KERNEL_NO_SLAB && kernel_slab_of(m.live[i].addr) != slab) {
			i++;
			continue;
		}
		first = m.live[i].addr;
		last = first + m.live[i].size - os_page_size;
		list_push_back(&extents, &give(i)->link);
		n--;
	}
	if (list_is_empty(&extents))
		return;
	free_all(&extents);
	check_forgotten(first);
	check_forgotten(last);
}

static unsigned
any_slab(void)
{
	return m.n_live == 0 ? KERNEL_NO_SLAB
			     : kernel_slab_of(m.live[below(m.n_live)].addr);
}

static void
step_work(enum purge_extent how)
{
	const uint64_t n_purges = kernel.n_calls[CALL_PURGE];
	const bool was_working = m.hpa.is_working;

	begin(how == PURGE_EVERYTHING ? TASK_EVERYTHING : TASK_WORK);
	if (was_working && how != PURGE_EVERYTHING)
		meet(WORK_DURING_WORK);
	m.hpa.pai.work(&m.hpa.pai, how);
	REQUIRE(m.hpa.is_working == was_working);
	if (kernel.n_calls[CALL_PURGE] == n_purges)
		return;
	if (kernel.n_inside[CALL_PURGE] != 0)
		meet(PURGE_DURING_PURGE);
	if (kernel.n_inside[CALL_HUGIFY] + kernel.n_inside[CALL_COLLAPSE] != 0)
		meet(PURGE_DURING_HUGIFY);
}

static void
step_time(void)
{
	kernel.now_ns += below(UINT64_C(1) << below(31));
}

static void
step_decay_time(void)
{
	static const ssize_t times[] = { -1, 0, 1, 100, 1000, 100000000 };

	begin(TASK_WORK);
	hpa_set_decay_ms(&m.hpa, times[below(COUNT_OF(times))]);
}

/* The kernel fails now and then, or always, or not at all. */
static void
step_failures(void)
{
	for (unsigned call = 0; call < CALL_COUNT; call++)
		kernel.percent[call] = below(3) != 0 ? 0
		    : below(4) == 0                  ? 100
						     : (unsigned)below(40);
	kernel.percent[CALL_UNMAP] = 0;
}

/* Records are short, or the limit is near; or all is well again. */
static void
step_shortage(void)
{
	m.is_charging_limited = base_fails = false;
	limit_set(LIMIT_HARD, 0);
	switch (below(4)) {
	case 0:
		base_fails = true;
		for (size_t size = BASE_RECYCLE_MAX; size >= EDATA_ALIGNMENT; size /= 2)
			while (base_alloc(base, size, 64) != NULL)
				continue;
		break;
	case 1:
		m.is_charging_limited = m.has_failed = true;
		limit_set(LIMIT_HARD, limit_used() + below(20) * os_page_size + 1);
		break;
	default: break;
	}
}

/* Any step of any thread; in a call about a pageslab, often with that one. */
static void
any_step(unsigned slab)
{
	const unsigned what = (unsigned)below(1000);
	const bool grows = m.n_live < m.live_wanted;
	const unsigned target = slab != KERNEL_NO_SLAB ? slab : any_slab();

	m.n_steps++;
	if (what < (grows ? 480 : 280))
		step_alloc();
	else if (what < 640)
		step_free(KERNEL_NO_SLAB, 1);
	else if (what < 700)
		step_free(target, 1);
	else if (what < 740)
		step_free(KERNEL_NO_SLAB, 1 + (unsigned)below(20));
	else if (what < 760)
		step_free(target, UINT32_MAX);
	else if (what < 860)
		step_work(below(2) == 0 ? PURGE_BY_CURVE : PURGE_BRIEFLY);
	else if (what < (m.depth == 0 ? 868 : 900))
		step_work(PURGE_EVERYTHING);
	else if (what < 980)
		step_time();
	else if (what < 992)
		kernel_by_and_by();
	else if (what < 996)
		step_decay_time();
	else if (what < 999)
		step_failures();
	else
		step_shortage();
	check_all();
}

/* ---- one thread, and a kernel that does not fail --------------------------------------------- */

static uint64_t
n_calls(void)
{
	uint64_t n = 0;

	for (unsigned call = 0; call < CALL_COUNT; call++)
		n += kernel.n_calls[call];
	return n;
}

static uint64_t
time_until_work(void)
{
	return m.hpa.pai.time_until_deferred_work(&m.hpa.pai);
}

/* Work until there is none; how many times that was in vain. */
static unsigned
work_until_done(void)
{
	unsigned n = 0, n_vain = 0;

	while (time_until_work() == 0) {
		const uint64_t before = n_calls();
		step_work(PURGE_BY_CURVE);
		check_all();
		n_vain += n_calls() == before;
		/* No thread is kept awake. */
		REQUIRE(n_vain <= 1 && ++n <= KERNEL_SLABS);
	}
	return n_vain;
}

/* Is there work when it says so, and none before? */
static void
step_honesty(void)
{
	if (work_until_done() == 0 && !m.has_failed)
		check_nothing_due();
	const uint64_t wait = time_until_work(), before = n_calls();
	if (wait == DEFERRED_NEVER) {
		meet(HONEST_NEVER);
		step_time();
		step_work(PURGE_BY_CURVE);
		REQUIRE(n_calls() == before && time_until_work() == DEFERRED_NEVER);
		return;
	}
	meet(HONEST_LATER);
	kernel.now_ns += wait - 1;
	step_work(PURGE_BY_CURVE);
	REQUIRE(n_calls() == before);
	REQUIRE(time_until_work() == 1);
	kernel.now_ns++;
	REQUIRE(time_until_work() == 0);
	m.n_honest++;
	m.n_vain += work_until_done() != 0;
}

/* A process that does nothing any more is woken some times, and then never. */
static void
step_idleness(void)
{
	unsigned n_wakes = 0;
	uint64_t wait;

	while ((wait = time_until_work()) != DEFERRED_NEVER) {
		kernel.now_ns += wait;
		work_until_done();
		REQUIRE(++n_wakes < 4 * KERNEL_SLABS);
	}
}

/* Nobody is kept awake by a kernel that refuses everything. */
static void
step_refusals(void)
{
	const uint64_t before = n_calls();

	kernel_fails(100);
	step_work(PURGE_BY_CURVE);
	check_all();
	for (unsigned n = 0; time_until_work() == 0; n++) {
		REQUIRE(n < HPA_HUGIFY_TRIES * KERNEL_SLABS);
		step_work(PURGE_BY_CURVE);
		check_all();
	}
	REQUIRE(n_calls() - before < 20 * KERNEL_SLABS * hpdata_pages());
}

/* All that is not in use goes. */
static void
step_purge_everything(void)
{
	step_work(PURGE_EVERYTHING);
	check_all();
	REQUIRE(psset_dirty(&m.hpa.set) == 0);
	LIST_FOR_EACH (l, &m.hpa.all) {
		const struct hpdata *ps = LIST_ENTRY(l, struct hpdata, all_link);
		const unsigned slab = kernel_slab_of(ps->addr);
		if (!ps->is_huge && !kernel_makes_huge(slab)
		    && !kernel.slabs[slab].was_purged_huge)
			REQUIRE(is_subset(kernel.slabs[slab].backed, ps->active));
	}
}

static void
quiet_step(void)
{
	unsigned percent[CALL_COUNT];

	memcpy(percent, kernel.percent, sizeof(percent));
	kernel_fails(0);
	m.is_quiet = true;
	switch (below(8)) {
	case 0: step_purge_everything(); break;
	case 1: step_idleness(); break;
	case 2: step_refusals(); break;
	default: step_honesty(); break;
	}
	m.is_quiet = false;
	memcpy(kernel.percent, percent, sizeof(percent));
	check_all();
}

/* ---- lives ----------------------------------------------------------------------------------- */

static uint64_t
any_time_ns(void)
{
	static const uint64_t times[] = { 0, 0, 1000, 1000000, 100000000 };

	return times[below(COUNT_OF(times))];
}

static void
choose_options(void)
{
	static const int64_t mults[] = { -1, 0, RATIO_ONE / 4, RATIO_ONE };
	static const int64_t mosts[] = { -1, -1, 1, 3 };
	static const unsigned eighths[] = { 8, 7, 7, 6, 4 };
	const unsigned n_pages = hpdata_pages();
	const unsigned style = (unsigned)below(6);

	kernel.thp_always = below(4) == 0;
	m.options = (struct hpa_options){
		.slab_max_alloc = (1 + below(n_pages / 8 + 1)) * os_page_size,
		.hugification_threshold =
		    n_pages * eighths[below(COUNT_OF(eighths))] / 8 * os_page_size,
		.purge_threshold = (1 + below(n_pages / 4)) * os_page_size,
		.hugify_delay_ns = any_time_ns(),
		.min_purge_interval_ns = any_time_ns(),
		.min_purge_delay_ns = any_time_ns(),
		.dirty_mult = mults[below(COUNT_OF(mults))],
		.max_purge_pageslabs = mosts[below(COUNT_OF(mosts))],
		.style = style < 4 ? HPA_STYLE_LAZY
		    : style == 4   ? HPA_STYLE_EAGER
				   : HPA_STYLE_NONE,
		.hugify_sync = below(2) == 0,
		.enforce_hugify = below(2) == 0,
	};
	m.options.start_huge = kernel.thp_always && m.options.style == HPA_STYLE_NONE;
	kernel.wants_dehugify = makes_huge();
	kernel.begins_huge = m.options.start_huge || m.options.style == HPA_STYLE_EAGER;
}

static void
begin_life(void)
{
	kernel_reset(below(UINT64_MAX));
	kernel.during = during;
	kernel.largest_map = (1 + below(6)) * OS_HUGEPAGE;
	choose_options();
	hpa_central_init(&m.central, &kernel_system);
	if (m.options.style == HPA_STYLE_EAGER)
		m.central.advice = HPA_HUGE;
	if (m.options.style == HPA_STYLE_LAZY && kernel.thp_always)
		m.central.advice = HPA_SMALL;
}

static void
begin_shard(void)
{
	static const ssize_t decays[] = { -1, 0, 10, 1000, 100000000, 100000000 };

	memset(&m.hpa, 0, sizeof(m.hpa));
	memset(m.known, 0, sizeof(m.known));
	for (unsigned i = 0; i < KERNEL_SLABS; i++)
		m.known[i].full_ns = m.known[i].candidate_ns = m.known[i].worth_ns =
		    m.known[i].decay_ns = NEVER;
	m.has_failed = false;
	m.n_rounds = m.n_round_slabs = 0;
	hpa_init(&m.hpa, ARENA, base, &pool, &m.central, &m.options,
	    decays[below(COUNT_OF(decays))]);
}

static size_t
n_mapped(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < KERNEL_SLABS; i++)
		n += kernel.slabs[i].is_mapped;
	return n;
}

static void
end_shard(void)
{
	kernel_fails(0);
	m.is_quiet = true;
	m.is_charging_limited = base_fails = false;
	limit_set(LIMIT_HARD, 0);
	while (m.n_live != 0)
		step_free(KERNEL_NO_SLAB, 1 + (unsigned)below(HPA_BATCH_MAX));
	check_all();
	REQUIRE(psset_active(&m.hpa.set) == 0);
	kernel.takes_unbacked = true;
	kernel.percent[CALL_PURGE] = kernel.percent[CALL_DEHUGIFY] = (unsigned)below(40);
	hpa_destroy(&m.hpa);
	/* Nothing is kept but address space, and nothing lost. */
	for (unsigned i = 0; i < KERNEL_SLABS; i++)
		REQUIRE(m.known[i].ps == NULL || !kernel.slabs[i].is_mapped
		    || bitmap_is_empty(kernel.slabs[i].backed, hpdata_pages()));
	REQUIRE(n_mapped()
	    == (m.central.end - m.central.next) / OS_HUGEPAGE + m.central.n_kept);
	REQUIRE(limit_used() == 0);
	REQUIRE(pool.n_free == load_relaxed(&pool.n_all));
	kernel.takes_unbacked = m.is_quiet = false;
	kernel_fails(0);
}

static void
live(uint64_t n_steps)
{
	const uint64_t end = m.n_steps + n_steps;

	begin_shard();
	for (uint64_t phase = 0; m.n_steps < end;) {
		/* Phases of many extents and of few. */
		if (m.n_steps >= phase) {
			m.live_wanted = (unsigned)below(below(3) == 0 ? 20 : 220);
			phase = m.n_steps + 100 + below(500);
		}
		any_step(KERNEL_NO_SLAB);
		if (below(64) == 0)
			quiet_step();
	}
	end_shard();
}

static uint64_t
steps_wanted(void)
{
	const char *given = getenv("HPA_STEPS");

	return given != NULL ? strtoull(given, NULL, 0) : HPA_STEPS;
}

TEST(a_shard_is_as_it_ought_to_be_whatever_happens_in_the_middle_of_what)
{
	static const unsigned lg_pages[] = { 16, 16, 14, 12 };
	const size_t page = os_page_size;
	const uint64_t n_steps = steps_wanted();

	if (OS_HUGEPAGE > HPDATA_SIZE_MAX || OS_HUGEPAGE >> 16 < 16)
		SKIP("no use is made of such huge pages");
	m.seed = test_seed();
	base = base_new(map_for_base, base_unmap_system, NULL);
	REQUIRE(base != NULL);
	edata_pool_init(&pool, base);
	while (m.n_steps < n_steps) {
		const unsigned lg = lg_pages[below(COUNT_OF(lg_pages))];
		os_page_size = max_size(page, (size_t)1 << lg);
		begin_life();
		/* What the first leaves, the second takes. */
		live(LIFE_STEPS / 2);
		live(LIFE_STEPS / 2);
	}
	os_page_size = page;
	printf("# %" PRIu64 " steps, woken in vain %" PRIu64 " of %" PRIu64 " times\n",
	    m.n_steps, m.n_vain, m.n_honest);
	for (unsigned i = 0; i < MEETING_COUNT; i++)
		printf("# %8" PRIu64 " %s\n", m.met[i], meetings[i].name);
}

TEST(every_meeting_has_happened_often)
{
	/* Lives differ so much that fewer of them have too little of one thing or the other. */
	if (m.n_steps < 1000000)
		SKIP("too few steps");
	for (unsigned i = 0; i < MEETING_COUNT; i++) {
		const uint64_t least = meetings[i].least * m.n_steps / 1000000;
		if (m.met[i] < least)
			printf("# %s: %" PRIu64 " of %" PRIu64 "\n", meetings[i].name,
			    m.met[i], least);
		CHECK(m.met[i] >= least);
	}
}
