/* SPDX-License-Identifier: MIT */
/* A shard while pages inside its extents are purged, and across forks in the middle of its work. */
#include "harness/hpa_shard.h"

#include <pthread.h>

#include "sync/fork.h"

/* ---- pages purged inside extents ------------------------------------------------------------- */

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

/* One that is full, half of it in sparse slabs. */
static struct hpdata *
sparse_huge_pageslab(void)
{
	struct hpa_options options = plain;

	options.grows_huge = true;
	begin(&options, 1000);
	fill(1);
	struct hpdata *ps = LIST_ENTRY(own.hpa.all.next, struct hpdata, all_link);
	CHECK(ps->is_huge && hpdata_is_full(ps));
	store_relaxed(&ps->n_sparse, hpdata_pages() / 2);
	return ps;
}

TEST(what_is_free_counts_where_sparse_slabs_are_an_eighth)
{
	struct hpdata *ps = sparse_huge_pageslab();

	store_relaxed(&ps->n_sparse, hpdata_pages() / 8);
	CHECK(!hpa_lets_purge_inside(&own.hpa, ps));
	dalloc_from(own.n - own.n * 3 / 8);
	store_relaxed(&ps->n_sparse, hpdata_pages() / 8 - 1);
	CHECK(!hpa_lets_purge_inside(&own.hpa, ps));
	store_relaxed(&ps->n_sparse, hpdata_pages() / 8);
	CHECK(hpa_lets_purge_inside(&own.hpa, ps));
	CHECK(!ps->is_huge);
	store_relaxed(&ps->n_sparse, 0);
	end();
}

TEST(a_pageslab_that_the_kernel_does_not_make_small_is_tried_again_after_a_while)
{
	struct hpdata *ps = sparse_huge_pageslab();

	kernel.refuses_dehugify = true;
	CHECK(!hpa_lets_purge_inside(&own.hpa, ps));
	CHECK(!hpa_lets_purge_inside(&own.hpa, ps));
	CHECK_EQ(kernel.n_dehugifies, 1);
	CHECK(ps->is_huge);
	kernel.now_ns += SECOND;
	kernel.refuses_dehugify = false;
	CHECK(hpa_lets_purge_inside(&own.hpa, ps));
	CHECK_EQ(kernel.n_dehugifies, 2);
	CHECK(!ps->is_huge);
	store_relaxed(&ps->n_sparse, 0);
	end();
}

TEST(no_more_pageslabs_are_made_small_than_mappings_may_be_split)
{
	struct hpdata *ps = sparse_huge_pageslab();

	fill(1);
	struct hpdata *other = LIST_ENTRY(ps->all_link.next, struct hpdata, all_link);
	store_relaxed(&other->n_sparse, hpdata_pages() / 2);
	own.central.small_max = 1;
	CHECK(hpa_lets_purge_inside(&own.hpa, ps));
	CHECK_EQ(load_relaxed(&own.central.n_small), 1);
	CHECK(!hpa_lets_purge_inside(&own.hpa, other));
	CHECK(other->is_huge);
	CHECK_EQ(kernel.n_dehugifies, 1);
	/* The first is huge again. */
	store_relaxed(&ps->n_sparse, 0);
	store_relaxed(&other->n_sparse, 0);
	const unsigned n = own.n;
	dalloc_from(n / 4);
	while (own.n < n)
		alloc(8, false);
	kernel.now_ns += 100 * SECOND;
	work();
	CHECK(ps->is_huge);
	CHECK_EQ(load_relaxed(&own.central.n_small), 0);
	end();
	CHECK_EQ(load_relaxed(&own.central.n_small), 0);
}

static unsigned
n_huge_of(unsigned pageslabs)
{
	const unsigned before = kernel.n_hugifies;

	for (unsigned i = 0; i < pageslabs; i++)
		fill(1);
	return kernel.n_hugifies - before;
}

TEST(pageslabs_begin_small_where_huge_pages_are_not_at_hand)
{
	struct hpa_options options = plain;

	options.grows_huge = true;
	begin(&options, -1);
	CHECK_EQ(n_huge_of(4), 4);
	/* Slow ones: 1, 2, 4 small ones after them. */
	kernel.back_ns = OS_HUGEPAGE + 1;
	CHECK_EQ(n_huge_of(1 + 1 + 1 + 2 + 1 + 4), 3);
	/* Quick again. */
	kernel.back_ns = OS_HUGEPAGE;
	CHECK_EQ(n_huge_of(5), 5);
	end();
}

TEST(pages_purged_inside_slabs_are_no_reason_to_make_a_pageslab_huge)
{
	begin(&plain, 1000);
	fill(1);
	struct hpdata *ps = LIST_ENTRY(own.hpa.all.next, struct hpdata, all_link);
	CHECK(ps->may_hugify);
	store_relaxed(&ps->n_unbacked, hpdata_pages() / 10);
	kernel.now_ns += 100 * SECOND;
	work();
	CHECK_EQ(kernel.n_hugifies, 0);
	CHECK(!ps->may_hugify && !ps->is_hugifying);
	/* They are used again. */
	store_relaxed(&ps->n_unbacked, 0);
	dalloc_from(own.n - 1);
	alloc(8, false);
	kernel.now_ns += 100 * SECOND;
	work();
	CHECK_EQ(kernel.n_hugifies, 1);
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

/* ---- forks ----------------------------------------------------------------------------------- */

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

/* Nothing is dirty in it, so nothing would tell but that it is this thread's. */
TEST(a_fork_child_goes_on_making_a_pageslab_small)
{
	struct hpdata *ps = sparse_huge_pageslab();

	kernel.in_dehugify = become_child;
	CHECK(hpa_lets_purge_inside(&own.hpa, ps));
	kernel.in_dehugify = NULL;
	CHECK(!ps->is_huge && !ps->is_purging);
	CHECK_EQ(own.hpa.n_purging, 0);
	CHECK_EQ(own.hpa.stats.n_dehugifies, 1);
	hpa_check(&own.hpa);
	store_relaxed(&ps->n_sparse, 0);
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
