/* SPDX-License-Identifier: MIT */
#include "extent/ecache.h"

#include "harness/region.h"

/* An ecache of its own; the extents come from the region's alloc hook, 64 pages at a time. */
static struct pac_fixture fixture;
static struct ecache ecache;

static void
open_cache_of(extent_hooks_t *hooks)
{
	region_reset(test_seed());
	(void)fixture_open(&fixture, hooks);
	memset(&ecache, 0, sizeof ecache);
	ecache_init(&ecache, EXTENT_DIRTY, &fixture.ehooks, &fixture.pool);
}

static void
open_cache(void)
{
	open_cache_of(&region.hooks);
}

static struct edata *
new_extent(size_t pages)
{
	bool zeroed = false, committed = true;
	struct edata *e = edata_pool_get(&fixture.pool, FIXTURE_ARENA);

	REQUIRE(e != NULL);
	e->size = pages * os_page_size;
	e->addr = (uintptr_t)ehooks_alloc(&fixture.ehooks, NULL, e->size, os_page_size,
	    &zeroed, &committed);
	REQUIRE(e->addr != 0);
	e->committed = e->is_head = e->is_tail = true;
	e->state = EXTENT_MERGING;
	REQUIRE(emap_register(e));
	return e;
}

/* Takes everything out and gives it back to the region; how many extents there were. */
static unsigned
close_cache(void)
{
	struct edata *e;
	unsigned n = 0;

	ecache_check(&ecache);
	while ((e = ecache_take_oldest(&ecache, SIZE_MAX)) != NULL) {
		emap_deregister(e);
		ehooks_destroy(&fixture.ehooks, edata_base(e), e->size, e->committed);
		edata_pool_put(&fixture.pool, e);
		n++;
	}
	CHECK_EQ(ecache_pages(&ecache), 0);
	CHECK_EQ(region_pages_out(), 0);
	CHECK_EQ(fixture.pool.n_free, load_relaxed(&fixture.pool.n_all));
	return n;
}

TEST(what_is_taken_out_is_nobody_elses)
{
	open_cache();
	ecache_put(&ecache, new_extent(64));
	struct edata *e = ecache_take(&ecache, 64 * os_page_size, os_page_size, SIZE_MAX);
	REQUIRE(e != NULL);
	CHECK_EQ(e->state, EXTENT_MERGING);
	CHECK(ecache_take(&ecache, os_page_size, os_page_size, SIZE_MAX) == NULL);
	CHECK(ecache_take_oldest(&ecache, SIZE_MAX) == NULL);
	ecache_put(&ecache, e);
	CHECK_EQ(close_cache(), 1);
}

TEST(what_is_cut_off_stays_and_comes_together_again)
{
	open_cache();
	ecache_put(&ecache, new_extent(64));
	/* A lead and a trail. */
	struct edata *e =
	    ecache_take(&ecache, 8 * os_page_size, 32 * os_page_size, SIZE_MAX);
	REQUIRE(e != NULL && e->size == 8 * os_page_size);
	CHECK_EQ(ecache_pages(&ecache) * GRANULE, 56 * os_page_size);
	ecache_check(&ecache);
	ecache_put(&ecache, e);
	CHECK_EQ(close_cache(), 1);
}

/* Times that the cache's lock was taken since the last call. */
static uint64_t
holds(void)
{
	static uint64_t seen;
	const uint64_t before = seen;

	seen = load_relaxed(&ecache.lock.stats.n_ops);
	return seen - before;
}

TEST(without_hooks_to_ask_a_take_and_a_put_hold_the_lock_once)
{
	struct edata *e[4];

	open_cache_of(&ehooks_default);
	ecache_put(&ecache, new_extent(64));
	/* Records that lie ready. */
	for (unsigned i = 0; i < 4; i++)
		REQUIRE((e[i] = edata_pool_get(&fixture.pool, FIXTURE_ARENA)) != NULL);
	for (unsigned i = 0; i < 4; i++)
		edata_pool_put(&fixture.pool, e[i]);
	(void)holds();
	for (unsigned i = 0; i < 4; i++) {
		e[i] = ecache_take(&ecache, 8 * os_page_size, os_page_size, SIZE_MAX);
		REQUIRE(e[i] != NULL && e[i]->size == 8 * os_page_size);
		CHECK_EQ(e[i]->state, EXTENT_MERGING);
		CHECK(i == 0 || e[i]->addr == edata_end(e[i - 1]));
		CHECK_EQ(holds(), 1);
		ecache_check(&ecache);
		(void)holds();
	}
	/* With none, a neighbour behind it, one before it, and both. */
	static const unsigned order[] = { 2, 1, 3, 0 };
	for (unsigned i = 0; i < 4; i++) {
		ecache_put(&ecache, e[order[i]]);
		CHECK_EQ(holds(), 1);
		CHECK_EQ(ecache_pages(&ecache) * GRANULE,
		    (32 + 8 * (i + 1)) * os_page_size);
		ecache_check(&ecache);
		(void)holds();
	}
	/* All of it goes at once. */
	e[0] = ecache_take(&ecache, 64 * os_page_size, os_page_size, SIZE_MAX);
	REQUIRE(e[0] != NULL);
	CHECK_EQ(holds(), 1);
	ecache_put(&ecache, e[0]);
	CHECK_EQ(close_cache(), 1);
}

TEST(a_refused_split_leaves_all_of_it)
{
	open_cache();
	ecache_put(&ecache, new_extent(64));
	region.percent[HOOK_SPLIT] = 100;
	CHECK(ecache_take(&ecache, 8 * os_page_size, os_page_size, SIZE_MAX) == NULL);
	CHECK_EQ(ecache_pages(&ecache) * GRANULE, 64 * os_page_size);
	/* Where it cannot be cut, all is taken. */
	struct edata *e = ecache_take_oldest(&ecache, os_page_size);
	REQUIRE(e != NULL && e->size == 64 * os_page_size);
	ecache_put(&ecache, e);
	CHECK_EQ(close_cache(), 1);
}

TEST(a_refused_merge_leaves_both)
{
	open_cache();
	struct edata *e = new_extent(64);
	struct edata *rest =
	    extent_split(&fixture.ehooks, &fixture.pool, e, 16 * os_page_size);
	REQUIRE(rest != NULL);
	struct edata *last =
	    extent_split(&fixture.ehooks, &fixture.pool, rest, 16 * os_page_size);
	REQUIRE(last != NULL);
	region.percent[HOOK_MERGE] = 100;
	ecache_put(&ecache, e);
	ecache_put(&ecache, last);
	ecache_put(&ecache, rest);
	/* Each pair is asked once. */
	CHECK_EQ(region.n_calls[HOOK_MERGE], 2);
	CHECK_EQ(ecache_pages(&ecache) * GRANULE, 64 * os_page_size);
	CHECK_EQ(close_cache(), 3);
}

TEST(what_a_hook_kept_apart_comes_together_when_nobody_is_asked_any_more)
{
	struct edata *e[8];

	open_cache();
	e[0] = new_extent(64);
	for (unsigned i = 1; i < 8; i++)
		REQUIRE((e[i] = extent_split(&fixture.ehooks, &fixture.pool, e[i - 1],
			     8 * os_page_size))
		    != NULL);
	region.percent[HOOK_MERGE] = 100;
	for (unsigned i = 0; i < 8; i++)
		if (i != 3)
			ecache_put(&ecache, e[i]);
	ehooks_set(&fixture.ehooks, &ehooks_default);
	ecache_put(&ecache, e[3]);
	ecache_check(&ecache);
	ehooks_set(&fixture.ehooks, &region.hooks);
	region.percent[HOOK_MERGE] = 0;
	CHECK_EQ(close_cache(), 1);
}

TEST(mappings_that_touch_stay_apart)
{
	open_cache();
	struct edata *a = new_extent(4), *b = new_extent(4);
	CHECK_EQ(edata_end(a), b->addr); /* The region is first fit. */
	ecache_put(&ecache, a);
	ecache_put(&ecache, b);
	CHECK_EQ(region.n_calls[HOOK_MERGE], 0);
	CHECK_EQ(close_cache(), 2);
}

TEST(what_is_mapped_into_a_gap_stays_apart)
{
	open_cache();
	struct edata *a = new_extent(12);
	struct edata *b =
	    extent_split(&fixture.ehooks, &fixture.pool, a, 4 * os_page_size);
	struct edata *c =
	    extent_split(&fixture.ehooks, &fixture.pool, b, 4 * os_page_size);
	REQUIRE(b != NULL && c != NULL);
	emap_deregister(b);
	CHECK(ehooks_dalloc(&fixture.ehooks, edata_base(b), b->size, true));
	edata_pool_put(&fixture.pool, b);
	b = new_extent(4);
	CHECK_EQ(b->addr, edata_end(a));
	ecache_put(&ecache, a);
	ecache_put(&ecache, c);
	ecache_put(&ecache, b);
	CHECK_EQ(region.n_calls[HOOK_MERGE], 0);
	/* Nor when the one in the middle is there first. */
	CHECK(ecache_take_behind(&ecache, a, os_page_size) == NULL);
	CHECK(ecache_take_behind(&ecache, b, os_page_size) == NULL);
	CHECK_EQ(close_cache(), 3);
}

TEST(only_what_lies_right_behind_is_taken_and_only_if_it_suffices)
{
	open_cache();
	struct edata *e = new_extent(64);
	struct edata *rest =
	    extent_split(&fixture.ehooks, &fixture.pool, e, 16 * os_page_size);
	REQUIRE(rest != NULL);
	CHECK(ecache_take_behind(&ecache, e, os_page_size) == NULL);
	ecache_put(&ecache, rest);
	CHECK(ecache_take_behind(&ecache, e, 49 * os_page_size) == NULL);
	CHECK_EQ(ecache_pages(&ecache) * GRANULE, 48 * os_page_size);
	struct edata *next = ecache_take_behind(&ecache, e, 5 * os_page_size);
	REQUIRE(next != NULL);
	CHECK_EQ(next->addr, edata_end(e));
	CHECK_EQ(next->size, 5 * os_page_size);
	ecache_put(&ecache, next);
	ecache_put(&ecache, e);
	CHECK_EQ(close_cache(), 1);
}

TEST(the_largest_is_taken_if_it_is_large_enough)
{
	open_cache();
	CHECK(ecache_take_largest(&ecache, 0) == NULL);
	for (size_t pages = 1; pages <= 256; pages *= 4)
		ecache_put(&ecache, new_extent(pages));
	CHECK(ecache_take_largest(&ecache, 257 * os_page_size) == NULL);
	for (size_t pages = 256; pages >= 1; pages /= 4) {
		struct edata *e = ecache_take_largest(&ecache, pages * os_page_size);
		REQUIRE(e != NULL);
		CHECK_EQ(e->size, pages * os_page_size);
		CHECK_EQ(e->state, EXTENT_MERGING);
		CHECK(ecache_take_largest(&ecache, pages * os_page_size) == NULL);
		emap_deregister(e);
		ehooks_destroy(&fixture.ehooks, edata_base(e), e->size, e->committed);
		edata_pool_put(&fixture.pool, e);
	}
	CHECK_EQ(close_cache(), 0);
}
