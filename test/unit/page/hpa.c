/* SPDX-License-Identifier: MIT */
#include "page/hpa.h"

#include <pthread.h>
#include <string.h>

#include "config/options.h"
#include "extent/emap.h"
#include "page/limit.h"
#include "sync/fork.h"
#include "harness/test.h"

/* ---- a kernel that counts, and a clock that stands still ---------------------------------- */

#define MS ((uint64_t)1000 * 1000)
#define SECOND (1000 * MS)

static struct {
	uint64_t now_ns;
	unsigned n_maps, n_unmaps, n_purges, n_hugifies, n_collapses, n_dehugifies;
	size_t map_max; /* more is refused */
	bool refuses_purge, refuses_hugify, refuses_collapse;
	void (*in_purge)(void);
} kernel;

static void *
fake_map(size_t size)
{
	if (size > kernel.map_max)
		return NULL;
	kernel.n_maps++;
	return hpa_system_real.map(size);
}

static bool
fake_unmap(void *addr, size_t size)
{
	kernel.n_unmaps++;
	return hpa_system_real.unmap(addr, size);
}

static unsigned
fake_purge(const struct iovec *ranges, unsigned n)
{
	if (kernel.refuses_purge)
		return 0;
	kernel.n_purges++;
	if (kernel.in_purge != NULL)
		kernel.in_purge();
	return hpa_system_real.purge(ranges, n);
}

static bool
fake_hugify(void *addr, size_t size)
{
	CHECK((uintptr_t)addr % OS_HUGEPAGE == 0 && size % OS_HUGEPAGE == 0);
	kernel.n_hugifies += !kernel.refuses_hugify;
	return !kernel.refuses_hugify;
}

static bool
fake_collapse(void *addr, size_t size)
{
	(void)addr, (void)size;
	kernel.n_collapses++;
	return !kernel.refuses_collapse;
}

static bool
fake_dehugify(void *addr, size_t size)
{
	(void)addr, (void)size;
	kernel.n_dehugifies++;
	return true;
}

static uint64_t
fake_now(void)
{
	return kernel.now_ns;
}

static const struct hpa_system system_fake = { fake_map, fake_unmap, fake_purge,
	fake_hugify, fake_collapse, fake_dehugify, fake_now };

/* ---- a shard of its own ---------------------------------------------------------------------- */

#define ARENA 4000 /* no arena has this index */
#define EXTENTS 4096

static struct {
	struct base *base;
	struct edata_pool pool;
	struct hpa_central central;
	struct hpa hpa;
	struct edata *extents[EXTENTS];
	unsigned n;
} own;

static const struct hpa_options plain = {
	.slab_max_alloc = 64 << 10,
	.hugification_threshold = OS_HUGEPAGE * 95 / 100,
	.purge_threshold = 1,
	.hugify_delay_ns = 10 * SECOND,
	.min_purge_interval_ns = 5 * SECOND,
	.dirty_mult = RATIO_ONE / 4,
	.max_purge_pageslabs = -1,
	.style = HPA_STYLE_LAZY,
};

static struct hpa *
begin(const struct hpa_options *options, ssize_t decay_ms)
{
	memset(&own, 0, sizeof own);
	memset(&kernel, 0, sizeof kernel);
	kernel.now_ns = 1000 * SECOND;
	kernel.map_max = SIZE_MAX;
	own.base = base_new(base_map_system, base_unmap_system, NULL);
	REQUIRE(own.base != NULL);
	edata_pool_init(&own.pool, own.base);
	hpa_central_init(&own.central, &system_fake);
	hpa_init(&own.hpa, ARENA, own.base, &own.pool, &own.central, options, decay_ms);
	return &own.hpa;
}

static struct edata *
alloc(size_t pages, bool zero)
{
	const struct page_request request = { .size = pages * os_page_size,
		.alignment = os_page_size,
		.use = USE_LARGE,
		.zero = zero };
	bool deferred = false;
	struct edata *e = own.hpa.pai.alloc(&own.hpa.pai, &request, &deferred);

	if (e != NULL) {
		REQUIRE(own.n < EXTENTS);
		own.extents[own.n++] = e;
		CHECK(emap_lookup(edata_base(e)) == e);
	}
	CHECK_EQ(deferred,
	    own.hpa.pai.time_until_deferred_work(&own.hpa.pai) != DEFERRED_NEVER);
	return e;
}

static void
dalloc_from(unsigned first)
{
	bool deferred = false;

	while (own.n > first) {
		struct edata *e = own.extents[--own.n];
		void *p = edata_base(e);
		own.hpa.pai.dalloc(&own.hpa.pai, e, &deferred);
		CHECK(emap_lookup_any(p) == NULL);
	}
}

/* n pageslabs without a free page, in extents of eight. */
static unsigned
fill(unsigned n)
{
	const unsigned first = own.n;

	for (unsigned i = 0; i < n * hpdata_pages() / 8; i++)
		REQUIRE(alloc(8, false) != NULL);
	return first;
}

static void
work(void)
{
	own.hpa.pai.work(&own.hpa.pai, PURGE_BY_CURVE);
	hpa_check(&own.hpa);
}

static uint64_t
time_until(void)
{
	return own.hpa.pai.time_until_deferred_work(&own.hpa.pai);
}

static size_t
dirty(void)
{
	return hpa_count_pages(&own.hpa).dirty;
}

static void
end(void)
{
	dalloc_from(0);
	hpa_check(&own.hpa);
	CHECK_EQ(hpa_count_pages(&own.hpa).active, 0);
	const size_t n = psset_pageslabs(&own.hpa.set);
	kernel.n_unmaps = 0;
	hpa_destroy(&own.hpa);
	CHECK_EQ(kernel.n_unmaps + own.central.n_kept, n);
	CHECK_EQ(limit_used(), 0);
	CHECK_EQ(own.pool.n_free, load_relaxed(&own.pool.n_all));
}

/* ---- allocation ------------------------------------------------------------------------------ */

TEST(pages_not_touched_read_as_zero_and_others_are_cleared_when_asked)
{
	begin(&plain, 10000);
	char *fresh = edata_base(alloc(3, true));
	for (size_t i = 0; i < 3 * os_page_size; i++)
		REQUIRE(fresh[i] == 0);
	memset(fresh, 1, 3 * os_page_size);
	dalloc_from(0);
	char *used = edata_base(alloc(4, true));
	CHECK(used == fresh);
	for (size_t i = 0; i < 4 * os_page_size; i++)
		REQUIRE(used[i] == 0);
	CHECK_EQ(hpa_count_pages(&own.hpa).active, 4);
	CHECK_EQ(hpa_count_pages(&own.hpa).retained, hpdata_pages() - 4);
	end();
}

TEST(a_batch_comes_from_one_pageslab_and_never_maps_for_more_than_one)
{
	const struct page_request request = {
		.size = 16 * os_page_size, .alignment = os_page_size, .use = USE_SLAB
	};
	struct list extents;
	bool deferred = false;

	struct hpa *hpa = begin(&plain, -1);
	list_init(&extents);
	CHECK_EQ(hpa->pai.alloc_batch(&hpa->pai, &request, 5, &extents, &deferred), 5);
	CHECK_EQ(hpa->stats.alloc[5].extents_per_ps, 1);
	CHECK_EQ(hpa->stats.alloc[5].pages_per_ps, 80);
	LIST_FOR_EACH (l, &extents) {
		const struct edata *e = LIST_ENTRY(l, struct edata, link);
		CHECK(emap_lookup((char *)edata_base(e) + 7 * os_page_size) == e);
	}
	/* Until two fit: three are asked for, two come. */
	unsigned n = 5;
	while (hpdata_pages() / 16 - n > 2)
		n += hpa->pai.alloc_batch(&hpa->pai, &request, 1, &extents, &deferred);
	CHECK_EQ(hpa->pai.alloc_batch(&hpa->pai, &request, 3, &extents, &deferred), 2);
	CHECK_EQ(psset_pageslabs(&hpa->set), 1);
	hpa->pai.dalloc_batch(&hpa->pai, &extents, &deferred);
	CHECK(list_is_empty(&extents));
	end();
}

TEST(without_memory_there_is_no_extent_and_with_little_there_are_some)
{
	begin(&plain, -1);
	kernel.map_max = 0;
	CHECK(alloc(1, false) == NULL);
	kernel.map_max = OS_HUGEPAGE;
	CHECK(alloc(1, false) != NULL);
	CHECK_EQ(kernel.n_maps, 1);
	end();
}

TEST(an_arena_that_goes_leaves_a_few_pageslabs_for_the_next)
{
	begin(&plain, -1);
	memset(edata_base(alloc(4, false)), 1, 4 * os_page_size);
	const uintptr_t addr = own.extents[0]->addr;
	dalloc_from(0);
	hpa_destroy(&own.hpa);
	memset(&own.hpa, 0, sizeof own.hpa);
	hpa_init(&own.hpa, ARENA, own.base, &own.pool, &own.central, &plain, -1);
	const char *p = edata_base(alloc(4, true));
	CHECK_EQ((uintptr_t)p, addr);
	CHECK_EQ(p[0], 0);
	CHECK_EQ(kernel.n_maps, 1);
	fill(HPA_KEPT + 3);
	end();
	CHECK_EQ(own.central.n_kept, HPA_KEPT);
}

/* ---- huge pages ------------------------------------------------------------------------------ */

TEST(a_full_pageslab_is_made_huge_after_the_delay_if_it_is_full_still)
{
	begin(&plain, -1);
	fill(1);
	CHECK_EQ(time_until(), 10 * SECOND);
	kernel.now_ns += 10 * SECOND - 1;
	work();
	CHECK_EQ(kernel.n_hugifies, 0);
	/* Not any more, for a moment: the delay begins anew. */
	dalloc_from(own.n - 8);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	fill(1);
	kernel.now_ns += 1;
	work();
	CHECK_EQ(kernel.n_hugifies, 0);
	kernel.now_ns += 10 * SECOND - 1;
	CHECK_EQ(time_until(), 0);
	work();
	CHECK_EQ(kernel.n_hugifies, 1);
	CHECK_EQ(kernel.n_collapses, 0);
	CHECK_EQ(own.hpa.stats.n_hugifies, 1);
	end();
}

TEST(a_huge_pageslab_is_touched_as_a_whole)
{
	begin(&plain, -1);
	for (unsigned i = 0; i < hpdata_pages() * 97 / 100; i++)
		REQUIRE(alloc(1, false) != NULL);
	CHECK(hpa_count_pages(&own.hpa).retained != 0);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(hpa_count_pages(&own.hpa).retained, 0);
	CHECK_EQ(limit_used(), OS_HUGEPAGE);
	end();
}

TEST(a_pageslab_that_cannot_be_made_huge_is_tried_a_few_times)
{
	begin(&plain, -1);
	kernel.refuses_hugify = true;
	fill(1);
	for (unsigned i = 0; i < 10; i++) {
		kernel.now_ns += 10 * SECOND;
		work();
	}
	CHECK_EQ(own.hpa.stats.n_hugify_failures, HPA_HUGIFY_TRIES);
	CHECK_EQ(own.hpa.stats.n_hugifies, 0);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	end();
}

TEST(collapsing_is_asked_for_where_the_option_says_so)
{
	struct hpa_options options = plain;

	options.hugify_sync = true;
	begin(&options, -1);
	kernel.refuses_collapse = true;
	fill(2);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_collapses, 2);
	CHECK_EQ(own.hpa.stats.n_hugify_failures, 2);
	/* The kernel has been advised, and may come to it. */
	CHECK_EQ(own.hpa.stats.n_hugifies, 2);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	end();
}

TEST(a_thread_of_the_program_makes_only_a_few_pageslabs_huge)
{
	struct hpa_options options = plain;

	options.hugify_sync = true;
	begin(&options, -1);
	fill(8);
	kernel.now_ns += 10 * SECOND;
	own.hpa.pai.work(&own.hpa.pai, PURGE_BRIEFLY);
	CHECK_EQ(kernel.n_hugifies, 4);
	CHECK_EQ(time_until(), 0);
	own.hpa.pai.work(&own.hpa.pai, PURGE_BRIEFLY);
	CHECK_EQ(kernel.n_hugifies, 8);
	end();
}

TEST(a_fresh_pageslab_is_asked_to_be_huge_at_once)
{
	struct hpa_options options = plain;

	options.grows_huge = true;
	begin(&options, -1);
	CHECK(alloc(1, false) != NULL);
	CHECK_EQ(kernel.n_hugifies, 1);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 1);
	CHECK_EQ(limit_used(), OS_HUGEPAGE);
	/* Refused, it begins small. */
	kernel.refuses_hugify = true;
	fill(1);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 1);
	CHECK_EQ(own.hpa.stats.n_hugify_failures, 1);
	CHECK_EQ(limit_used(), OS_HUGEPAGE + 8 * os_page_size);
	hpa_check(&own.hpa);
	end();
}

TEST(near_a_limit_a_fresh_pageslab_begins_small)
{
	const uint64_t n_refused = limit_refusals();
	struct hpa_options options = plain;

	options.grows_huge = true;
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		begin(&options, -1);
		limit_set((enum limit_kind)kind, OS_HUGEPAGE / 2);
		CHECK(alloc(1, false) != NULL);
		CHECK_EQ(kernel.n_hugifies, 0);
		CHECK_EQ(limit_used(), os_page_size);
		limit_set((enum limit_kind)kind, 0);
		fill(1);
		CHECK(alloc(1, false) != NULL);
		CHECK_EQ(kernel.n_hugifies, 1);
		end();
	}
	CHECK_EQ(limit_refusals(), n_refused);
}

/* Most of a slab's life its pages are active; single ones may be purged all the same. */
TEST(a_huge_pageslab_lets_purge_inside_once_half_of_it_is_sparse)
{
	struct hpa_options options = plain;

	options.grows_huge = true;
	begin(&options, 1000);
	fill(1);
	dalloc_from(own.n - 1);
	for (unsigned i = 0; i < 8; i++)
		alloc(1, false);
	struct hpdata *ps = LIST_ENTRY(own.hpa.all.next, struct hpdata, all_link);
	CHECK(ps->is_huge);
	store_relaxed(&ps->n_sparse, hpdata_pages() / 2 - 1);
	CHECK(!hpa_lets_purge_inside(&own.hpa, ps));
	CHECK_EQ(kernel.n_dehugifies, 0);
	store_relaxed(&ps->n_sparse, hpdata_pages() / 2);
	dalloc_from(own.n - 1);
	CHECK(hpa_lets_purge_inside(&own.hpa, ps));
	CHECK(!ps->is_huge);
	CHECK_EQ(kernel.n_dehugifies, 1);
	CHECK_EQ(dirty(), 0);
	/* From now on without a question, and what was purged is not backed again. */
	store_relaxed(&ps->n_sparse, 0);
	CHECK(hpa_lets_purge_inside(&own.hpa, ps));
	CHECK(alloc(1, false) != NULL);
	kernel.now_ns += 100 * SECOND;
	work();
	CHECK_EQ(kernel.n_hugifies, 1);
	/* Much of it was free, and is used again: another life. */
	dalloc_from(own.n / 2);
	fill(1);
	kernel.now_ns += 100 * SECOND;
	work();
	CHECK(ps->is_huge);
	end();
}

TEST(a_small_pageslab_lets_purge_inside_and_a_style_that_makes_none_small_does_not)
{
	struct hpa_options options = plain;

	begin(&options, 1000);
	fill(1);
	CHECK(hpa_lets_purge_inside(&own.hpa,
	    LIST_ENTRY(own.hpa.all.next, struct hpdata, all_link)));
	end();
	options.style = HPA_STYLE_EAGER;
	begin(&options, 1000);
	fill(1);
	struct hpdata *ps = LIST_ENTRY(own.hpa.all.next, struct hpdata, all_link);
	store_relaxed(&ps->n_sparse, hpdata_pages());
	CHECK(!hpa_lets_purge_inside(&own.hpa, ps));
	store_relaxed(&ps->n_sparse, 0);
	end();
}

TEST(an_eager_shard_takes_pageslabs_for_huge_and_asks_for_nothing)
{
	struct hpa_options options = plain;

	options.style = HPA_STYLE_EAGER;
	begin(&options, -1);
	fill(1);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 1);
	kernel.now_ns += 100 * SECOND;
	work();
	dalloc_from(0);
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(kernel.n_hugifies + kernel.n_dehugifies, 0);
	end();
}

/* ---- purging --------------------------------------------------------------------------------- */

TEST(too_many_dirty_pages_are_purged_a_round_at_a_time)
{
	begin(&plain, 1000000);
	const unsigned first = fill(4);
	fill(4);
	dalloc_from(first + 5 * hpdata_pages() / 8);
	/* Five of eight are left, three are dirty. */
	CHECK_EQ(time_until(), 0);
	work();
	CHECK(dirty() <= 5 * hpdata_pages() / 4);
	CHECK_EQ(own.hpa.stats.n_purge_passes, 1);
	CHECK_EQ(kernel.n_purges, 1);
	/* Empty ones go whole: no more than needed. */
	CHECK_EQ(own.hpa.stats.n_purges, 2);
	dalloc_from(first + 3 * hpdata_pages() / 8);
	work();
	CHECK_EQ(own.hpa.stats.n_purge_passes, 1);
	CHECK_EQ(time_until(), 5 * SECOND);
	kernel.now_ns += 5 * SECOND;
	work();
	CHECK_EQ(own.hpa.stats.n_purge_passes, 2);
	CHECK(dirty() <= 3 * hpdata_pages() / 4);
	end();
}

TEST(a_load_in_waves_pays_for_its_first_troughs_alone)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	fill(4);
	for (unsigned i = 0; i < 100; i++) {
		dalloc_from(hpdata_pages() / 8);
		work();
		kernel.now_ns += 100 * MS;
		fill(3);
		kernel.now_ns += 100 * MS;
	}
	/* 20 seconds: at once, and after 0.5, 1, 2, then 4 each. */
	CHECK(own.hpa.stats.n_purge_passes >= 4 && own.hpa.stats.n_purge_passes <= 9);
	/* One that ends leaves what is allowed, and the next is purged at once again. */
	dalloc_from(hpdata_pages() / 8);
	kernel.now_ns += 4 * SECOND;
	work();
	CHECK(dirty() <= hpdata_pages() / 4);
	kernel.now_ns += SECOND;
	fill(3);
	const uint64_t passes = own.hpa.stats.n_purge_passes;
	dalloc_from(hpdata_pages() / 8);
	work();
	CHECK_EQ(own.hpa.stats.n_purge_passes, passes + 1);
	end();
}

/* n pageslabs filled, and all but a quarter of one freed, piece by piece, with work in between. */
static void
rise_and_fall(unsigned n)
{
	fill(n);
	kernel.now_ns += SECOND / 10;
	while (own.n > hpdata_pages() / 32) {
		dalloc_from(own.n - hpdata_pages() / 32);
		work();
	}
}

TEST(who_grows_and_falls_later_gives_all_of_it_back_at_once)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	/* A small trough, and needed anew: that is growth. */
	rise_and_fall(1);
	fill(8);
	CHECK_EQ(own.hpa.patience_ns, 0);
	dalloc_from(hpdata_pages() / 32);
	work();
	CHECK(dirty() <= hpdata_pages() / 16);
	/* Wrong twice; but that is forgotten when nothing has happened for longer. */
	rise_and_fall(8);
	rise_and_fall(8);
	CHECK(own.hpa.patience_ns != 0);
	kernel.now_ns += 10 * SECOND;
	rise_and_fall(8);
	CHECK(dirty() <= hpdata_pages() / 16);
	CHECK_EQ(own.hpa.patience_ns, 0);
	end();
}

/* As a signal handler that forks does in the middle of it: the child goes on. */
static void
become_child(void)
{
	REQUIRE(fork_begin());
	hpa_fork_prepare(&own.hpa, RANK_HPA_GROW);
	hpa_fork_prepare(&own.hpa, RANK_HPA);
	hpa_fork_child(&own.hpa);
	fork_end_in_child();
}

TEST(a_fork_child_goes_on_with_what_a_signal_interrupted_under_the_lock)
{
	begin(&plain, -1);
	fill(1);
	struct hpdata *ps = psset_pick_alloc(&own.hpa.set, 1);
	CHECK(ps == NULL);
	alloc(1, false);
	mutex_lock(&own.hpa.lock);
	ps = psset_pick_alloc(&own.hpa.set, 1);
	REQUIRE(ps != NULL);
	psset_update_begin(&own.hpa.set, ps);
	ps->is_hugifying = true;
	become_child();
	ps->is_hugifying = false;
	psset_update_end(&own.hpa.set, ps);
	mutex_unlock(&own.hpa.lock);
	CHECK_EQ(own.hpa.epoch, 0);
	hpa_check(&own.hpa);
	CHECK(alloc(1, false) != NULL);
	end();
}

TEST(a_fork_child_goes_on_with_a_purge_that_a_signal_interrupted)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	fill(4);
	kernel.in_purge = become_child;
	/* One of them is used in part. */
	dalloc_from(hpdata_pages() / 8 + hpdata_pages() / 32);
	work();
	CHECK(kernel.n_purges != 0);
	CHECK_EQ(own.hpa.n_purging, 0);
	hpa_check(&own.hpa);
	kernel.in_purge = NULL;
	fill(3);
	dalloc_from(hpdata_pages() / 8);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK(dirty() <= hpdata_pages() / 4);
	end();
}

/* The handler allocates before the purge goes on. */
static void
allocate_in_child(void)
{
	kernel.in_purge = NULL;
	become_child();
	for (unsigned i = fill(3); i < own.n; i++)
		memset(edata_base(own.extents[i]), 1, own.extents[i]->size);
}

TEST(what_a_fork_child_allocates_within_its_interrupted_purge_is_not_purged)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	fill(4);
	const unsigned first = hpdata_pages() / 8;
	dalloc_from(first);
	kernel.in_purge = allocate_in_child;
	work();
	CHECK(kernel.n_purges != 0 && own.n > first);
	CHECK_EQ(own.hpa.n_purging, 0);
	for (unsigned i = first; i < own.n; i++)
		CHECK_EQ(*(char *)edata_base(own.extents[i]), 1);
	end();
}

static void *
lock_for_ever(void *arg)
{
	mutex_lock(arg);
	return NULL;
}

/* Another thread holds the lock meanwhile: the shard is frozen in the child. */
static void
become_frozen_child(void)
{
	pthread_t thread;

	kernel.in_purge = NULL;
	REQUIRE(pthread_create(&thread, NULL, lock_for_ever, &own.hpa.lock) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	become_child();
	CHECK_EQ(own.hpa.epoch, 1);
}

TEST(a_purge_that_goes_on_in_a_fork_child_leaves_what_is_frozen_alone)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	fill(4);
	dalloc_from(hpdata_pages() / 8);
	kernel.in_purge = become_frozen_child;
	work();
	CHECK_EQ(own.hpa.n_purging, 0);
	CHECK_EQ(hpa_touched_pages(&own.hpa), 0);
	/* As arenas_fork_alone does. */
	limit_fork_child(0);
	dalloc_from(0);
	CHECK_EQ(limit_used(), 0);
	fill(2);
	end();
}

TEST(what_is_taken_from_is_not_purged_by_time)
{
	begin(&plain, 1000);
	const unsigned first = fill(1);
	dalloc_from(first + hpdata_pages() / 8 * 85 / 100);
	for (unsigned i = 0; i < 5; i++) {
		kernel.now_ns += 900 * MS;
		alloc(1, false);
		work();
		CHECK_EQ(kernel.n_purges, 0);
	}
	kernel.now_ns += SECOND;
	work();
	CHECK_EQ(dirty(), 0);
	end();
}

TEST(what_has_been_dirty_for_the_decay_time_is_purged_whatever_its_share)
{
	begin(&plain, 10000);
	fill(2);
	/* A tenth, or so. */
	const unsigned n = hpdata_pages() / 8 / 9;
	dalloc_from(own.n - n);
	CHECK_EQ(dirty(), n * 8);
	CHECK_EQ(time_until(), 10 * SECOND);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(dirty(), 0);
	/* Both were full all that time: the other one is huge. */
	CHECK_EQ(kernel.n_hugifies, 1);
	CHECK_EQ(kernel.n_dehugifies, 0);
	end();
}

TEST(what_is_about_to_be_huge_is_not_purged_by_time)
{
	begin(&plain, 5000);
	for (unsigned i = 0; i < hpdata_pages(); i++)
		REQUIRE(alloc(1, false) != NULL);
	dalloc_from(own.n - 1);
	CHECK_EQ(time_until(), 10 * SECOND);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_purges, 0);
	CHECK_EQ(kernel.n_hugifies, 1);
	end();
}

TEST(a_huge_pageslab_is_made_small_before_it_is_purged_but_keeps_a_tenth)
{
	begin(&plain, 10000);
	const unsigned first = fill(1);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_hugifies, 1);
	dalloc_from(first + hpdata_pages() / 8 * 95 / 100);
	CHECK(dirty() != 0);
	kernel.now_ns += 100 * SECOND;
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	work();
	CHECK_EQ(kernel.n_dehugifies, 0);
	dalloc_from(first + hpdata_pages() / 8 / 2);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_dehugifies, 1);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 0);
	end();
}

TEST(without_decay_nothing_stays_and_with_never_all_does)
{
	begin(&plain, 0);
	unsigned first = fill(1);
	dalloc_from(first + 1);
	CHECK_EQ(dirty(), 0);
	end();

	begin(&plain, -1);
	first = fill(4);
	dalloc_from(first + 1);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	kernel.now_ns += 1000 * SECOND;
	work();
	CHECK_EQ(dirty(), 4 * hpdata_pages() - 8);
	hpa_set_decay_ms(&own.hpa, 10000);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(dirty(), 0);
	end();
}

TEST(what_the_kernel_does_not_purge_stays_dirty_and_is_tried_again_later)
{
	begin(&plain, 10000);
	const unsigned first = fill(2);
	dalloc_from(first + 1);
	kernel.refuses_purge = true;
	work();
	kernel.now_ns += 10 * SECOND;
	work();
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	CHECK_EQ(dirty(), 2 * hpdata_pages() - 8);
	CHECK(time_until() != 0 && time_until() != DEFERRED_NEVER);
	kernel.refuses_purge = false;
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(limit_used(), 8 * os_page_size);
	end();
}

TEST(many_ranges_are_purged_in_few_calls)
{
	begin(&plain, -1);
	fill(40);
	/* Every other one. */
	bool deferred = false;
	unsigned kept = 0;
	for (unsigned i = 0; i < own.n; i++)
		if (i % 2 == 0)
			own.hpa.pai.dalloc(&own.hpa.pai, own.extents[i], &deferred);
		else
			own.extents[kept++] = own.extents[i];
	own.n = kept;
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	hpa_check(&own.hpa);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(own.hpa.stats.n_purges, kept);
	CHECK(kernel.n_purges <= kept / OS_PURGE_MANY + 40 / HPA_PURGE_SLABS + 1);
	end();
}
