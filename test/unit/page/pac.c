/* SPDX-License-Identifier: MIT */
#include "page/pac.h"

#include <limits.h>

#include "base/bits.h"
#include "config/options.h"
#include "harness/region.h"
#include "os/inject.h"

static struct pac_fixture fixture;

static struct pac *
open_default(void)
{
	return fixture_open(&fixture, &ehooks_default);
}

static struct pac *
open_region(void)
{
	region_reset(test_seed());
	return fixture_open(&fixture, &region.hooks);
}

static bool
is_zero(const struct edata *e)
{
	const uint64_t *p = edata_base(e);

	for (size_t i = 0; i < e->size / sizeof *p; i++)
		if (p[i] != 0)
			return false;
	return true;
}

TEST(an_extent_is_as_asked_for_and_can_be_looked_up)
{
	struct pac *pac = open_default();

	for (unsigned lg = 0; lg <= 10; lg++) {
		const size_t alignment = os_page_size << lg;
		struct edata *e = fixture_alloc(pac, 3, alignment, true);
		REQUIRE(e != NULL);
		CHECK_EQ(e->size, 3 * os_page_size);
		CHECK(is_aligned(e->addr, alignment));
		CHECK(e->state == EXTENT_ACTIVE && e->use == USE_LARGE && e->committed);
		CHECK(load_relaxed(&e->owner) == NULL);
		CHECK_EQ(edata_arena(e), FIXTURE_ARENA);
		CHECK(emap_lookup(edata_base(e)) == e);
		CHECK(emap_lookup((void *)(edata_end(e) - 1)) == e);
		CHECK(emap_lookup((char *)edata_base(e) + os_page_size) == NULL);
		CHECK(is_zero(e));
		memset(edata_base(e), 1, e->size);
		pac_check(pac);
		fixture_dalloc(pac, e);
		CHECK(emap_lookup(edata_base(e)) == NULL);
		pac_check(pac);
	}
	fixture_close(&fixture);
}

TEST(a_slab_is_found_from_each_of_its_pages_until_it_is_freed)
{
	struct pac *pac = open_default();
	const struct page_request request = { .size = 5 * os_page_size,
		.alignment = os_page_size,
		.use = USE_SLAB,
		.szind = 7 };
	bool deferred = false;
	struct edata *e = pac->pai.alloc(&pac->pai, &request, &deferred);

	REQUIRE(e != NULL);
	CHECK(e->use == USE_SLAB && e->szind == 7);
	char *p = edata_base(e);
	for (size_t offset = 0; offset < 5 * os_page_size; offset += GRANULE)
		CHECK(emap_lookup(p + offset) == e);
	pac->pai.dalloc(&pac->pai, e, &deferred);
	for (size_t offset = 0; offset < 5 * os_page_size; offset += GRANULE)
		CHECK(emap_lookup(p + offset) == NULL);
	fixture_close(&fixture);
}

TEST(freed_memory_is_used_again_before_new_memory)
{
	struct pac *pac = open_default();
	struct edata *a = fixture_alloc(pac, 16, os_page_size, false);
	struct edata *wall = fixture_alloc(pac, 1, os_page_size, false);
	const uintptr_t addr = a->addr;

	fixture_dalloc(pac, a);
	struct edata *b = fixture_alloc(pac, 4, os_page_size, false);
	CHECK_EQ(b->addr, addr);
	CHECK_EQ(pac_dirty_pages(pac), 12);
	fixture_dalloc(pac, b);
	CHECK_EQ(pac_dirty_pages(pac), 16);
	fixture_dalloc(pac, wall);
	fixture_close(&fixture);
}

TEST(a_dirty_extent_that_is_too_small_is_stretched_over_unused_memory_behind_it)
{
	struct pac *pac = open_default();
	const size_t size = 32 * os_page_size;
	struct edata *a = fixture_alloc(pac, 32, os_page_size, false);
	const uintptr_t addr = a->addr;

	memset(edata_base(a), 1, size);
	fixture_dalloc(pac, a);
	CHECK(ecache_pages(&pac->retained) != 0);
	struct edata *b = fixture_alloc(pac, 40, os_page_size, true);
	CHECK_EQ(b->addr, addr);
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK(is_zero(b));
	pac_check(pac);
	fixture_dalloc(pac, b);
	fixture_close(&fixture);
}

TEST(a_dirty_extent_below_half_of_the_request_stays_whole)
{
	struct pac *pac = open_default();
	struct edata *a = fixture_alloc(pac, 32, os_page_size, false);
	const uintptr_t addr = a->addr;

	fixture_dalloc(pac, a);
	struct edata *b = fixture_alloc(pac, 80, os_page_size, false);
	CHECK(b->addr != addr);
	/* But where so little is a piece to be moved. */
	CHECK(CONFIG_HOSTILE || pac_dirty_pages(pac) == 32);
	fixture_dalloc(pac, b);
	fixture_close(&fixture);
}

TEST(neighbours_become_one_in_any_order_of_frees)
{
	struct pac *pac = open_default();
	static const unsigned orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

	for (unsigned o = 0; o < 6; o++) {
		struct edata *e[4];
		for (unsigned i = 0; i < 4; i++)
			REQUIRE((e[i] = fixture_alloc(pac, 2, os_page_size, false))
			    != NULL);
		const uintptr_t addr = e[0]->addr;
		CHECK_EQ(e[3]->addr, addr + 6 * os_page_size);
		for (unsigned i = 0; i < 3; i++) {
			fixture_dalloc(pac, e[orders[o][i]]);
			pac_check(pac);
		}
		struct edata *all = fixture_alloc(pac, 6, os_page_size, false);
		CHECK_EQ(all->addr, addr);
		fixture_dalloc(pac, all);
		fixture_dalloc(pac, e[3]);
	}
	fixture_close(&fixture);
}

TEST(by_default_any_request_cuts_any_dirty_extent_and_the_option_limits_that)
{
	static const struct {
		size_t lg, dirty_pages;
	} cases[] = { { 64, 199 }, { 6, 200 } };
	const size_t initial = opt.lg_extent_max_active_fit;

	CHECK_EQ(initial, 64);
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct pac *pac = open_default();
		opt.lg_extent_max_active_fit = cases[i].lg;
		struct edata *big = fixture_alloc(pac, 200, os_page_size, false);
		fixture_dalloc(pac, big);
		struct edata *small = fixture_alloc(pac, 1, os_page_size, false);
		CHECK_EQ(pac_dirty_pages(pac), cases[i].dirty_pages);
		struct edata *fair = fixture_alloc(pac, 10, os_page_size, false);
		CHECK_EQ(pac_dirty_pages(pac), cases[i].dirty_pages - 10);
		fixture_dalloc(pac, small);
		fixture_dalloc(pac, fair);
		fixture_close(&fixture);
	}
	opt.lg_extent_max_active_fit = initial;
}

TEST(zeroed_memory_is_zero_whatever_lay_there)
{
	struct pac *pac = open_default();
	static const size_t sizes[] = { 1, 7, 64, 1023, 1024, 3000 };

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
			struct edata *e =
			    fixture_alloc(pac, sizes[i], os_page_size, true);
			REQUIRE(e != NULL);
			CHECK(is_zero(e));
			memset(edata_base(e), 0xff, e->size);
			fixture_dalloc(pac, e);
			if (round == 1)
				pac_decay(pac, PURGE_EVERYTHING);
		}
	}
	fixture_close(&fixture);
}

TEST(expanding_takes_the_pages_behind_and_nothing_else)
{
	struct pac *pac = open_default();
	bool deferred = false;
	struct edata *a = fixture_alloc(pac, 4, os_page_size, false);
	struct edata *b = fixture_alloc(pac, 4, os_page_size, false);
	struct edata *c = fixture_alloc(pac, 4, os_page_size, false);

	memset(edata_base(a), 'a', a->size);
	memset(edata_base(b), 'b', b->size);
	CHECK(!pac->pai.expand(&pac->pai, a, 5 * os_page_size, false, &deferred));
	fixture_dalloc(pac, b);
	CHECK(!pac->pai.expand(&pac->pai, a, 9 * os_page_size, false, &deferred));
	pac_check(pac);
	CHECK(pac->pai.expand(&pac->pai, a, 5 * os_page_size, true, &deferred));
	pac_check(pac);
	CHECK_EQ(a->size, 5 * os_page_size);
	CHECK(emap_lookup((void *)(edata_end(a) - 1)) == a);
	CHECK(((char *)a->addr)[4 * os_page_size - 1] == 'a');
	CHECK(((char *)a->addr)[4 * os_page_size] == 0);
	CHECK(((char *)a->addr)[5 * os_page_size - 1] == 0);
	CHECK(pac->pai.expand(&pac->pai, a, 8 * os_page_size, false, &deferred));
	CHECK(!pac->pai.expand(&pac->pai, a, 9 * os_page_size, false, &deferred));
	/* Behind c lie retained pages of the same mapping. */
	CHECK(pac->pai.expand(&pac->pai, c, 40 * os_page_size, true, &deferred));
	pac_check(pac);
	fixture_dalloc(pac, a);
	fixture_dalloc(pac, c);
	fixture_close(&fixture);
}

TEST(expanding_takes_dirty_pages_and_unused_ones_behind_them)
{
	struct pac *pac = open_default();
	bool deferred = false;
	struct edata *a = fixture_alloc(pac, 4, os_page_size, false);
	struct edata *b = fixture_alloc(pac, 4, os_page_size, false);
	struct edata *c = fixture_alloc(pac, 4, os_page_size, false);

	memset(edata_base(a), 'a', a->size);
	memset(edata_base(b), 'b', b->size);
	memset(edata_base(c), 'c', c->size);
	fixture_dalloc(pac, c);
	CHECK_EQ(pac_dirty_pages(pac), 4);
	CHECK(pac->pai.expand(&pac->pai, b, 20 * os_page_size, true, &deferred));
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK_EQ(b->size, 20 * os_page_size);
	CHECK(emap_lookup((void *)(edata_end(b) - 1)) == b);
	pac_check(pac);
	const char *p = edata_base(b);
	CHECK(p[0] == 'b' && p[4 * os_page_size - 1] == 'b');
	for (size_t i = 4 * os_page_size; i < b->size; i++)
		REQUIRE(p[i] == 0);
	/* Too much: what has been taken lies where it was. */
	REQUIRE(pac->pai.shrink(&pac->pai, b, 8 * os_page_size, &deferred));
	const size_t retained = ecache_pages(&pac->retained) * GRANULE;
	CHECK(!pac->pai.expand(&pac->pai, b, 21 * os_page_size + retained, false,
	    &deferred));
	CHECK_EQ(pac_dirty_pages(pac), 12);
	CHECK_EQ(ecache_pages(&pac->retained) * GRANULE, retained);
	pac_check(pac);
	fixture_dalloc(pac, a);
	fixture_dalloc(pac, b);
	fixture_close(&fixture);
}

TEST(shrinking_frees_the_tail)
{
	struct pac *pac = open_default();
	bool deferred = false;
	struct edata *a = fixture_alloc(pac, 8, os_page_size, false);
	char *p = edata_base(a);

	memset(p, 'a', a->size);
	CHECK(pac->pai.shrink(&pac->pai, a, 3 * os_page_size, &deferred));
	pac_check(pac);
	CHECK_EQ(a->size, 3 * os_page_size);
	CHECK_EQ(pac_dirty_pages(pac), 5);
	CHECK(emap_lookup(p + 3 * os_page_size - 1) == a);
	CHECK(emap_lookup(p + 3 * os_page_size) == NULL);
	CHECK(p[3 * os_page_size - 1] == 'a');
	fixture_dalloc(pac, a);
	CHECK_EQ(pac_dirty_pages(pac), 8);
	fixture_close(&fixture);
}

TEST(address_space_grows_in_larger_and_larger_steps)
{
	struct pac *pac = open_region();
	struct edata *e[2000];

	for (unsigned i = 0; i < 2000; i++)
		REQUIRE((e[i] = fixture_alloc(pac, 10, os_page_size, false)) != NULL);
	/* 80 MiB: 2 2.5 3 3.5 4 5 6 7 8 10 12 14 16 */
	CHECK(region.n_calls[HOOK_ALLOC] <= (CONFIG_HOSTILE ? 18 : 14));
	for (unsigned i = 0; i < 2000; i++)
		fixture_dalloc(pac, e[i]);
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(the_growth_limit_is_kept_but_for_one_request_that_is_larger)
{
	struct pac *pac = open_region();

	store_relaxed(&pac->grow_limit, (size_t)2 << 20);
	struct edata *e[200];
	for (unsigned i = 0; i < 200; i++)
		REQUIRE((e[i] = fixture_alloc(pac, 16, os_page_size, false)) != NULL);
	/* Hostile builds begin with smaller steps. */
	if (!CONFIG_HOSTILE)
		CHECK_EQ(region_pages_out() * os_page_size % ((size_t)2 << 20), 0);
	CHECK(region.n_calls[HOOK_ALLOC] >= 6);
	for (unsigned i = 0; i < 200; i++)
		fixture_dalloc(pac, e[i]);
	struct edata *large = fixture_alloc(pac, 2000, os_page_size, false);
	CHECK(large != NULL);
	fixture_dalloc(pac, large);
	fixture_close(&fixture);
}

TEST(no_lock_is_held_around_a_hook)
{
	struct pac *pac = open_region();
	bool deferred = false;

	/* The hooks themselves check. */
	pac_set_decay_ms(pac, DECAY_MUZZY, -1, true);
	struct edata *e = fixture_alloc(pac, 10, os_page_size, false);
	CHECK(pac->pai.expand(&pac->pai, e, 20 * os_page_size, true, &deferred));
	CHECK(pac->pai.shrink(&pac->pai, e, 10 * os_page_size, &deferred));
	fixture_dalloc(pac, e);
	pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
	pac_set_decay_ms(pac, DECAY_MUZZY, 0, true);
	pac_decay(pac, PURGE_EVERYTHING);
	CHECK(region.n_calls[HOOK_SPLIT] != 0 && region.n_calls[HOOK_MERGE] != 0);
	CHECK(region.n_calls[HOOK_DALLOC] != 0 && region.n_calls[HOOK_LAZY] != 0);
	fixture_close(&fixture);
}

static struct pac *nested_pac;

static void
allocate_inside(void)
{
	static _Thread_local bool inside;

	if (inside)
		return;
	inside = true;
	struct edata *e = fixture_alloc(nested_pac, 3, os_page_size, false);
	if (e != NULL)
		fixture_dalloc(nested_pac, e);
	pac_decay(nested_pac, PURGE_BY_CURVE);
	inside = false;
}

TEST(a_hook_may_allocate_from_its_own_arena)
{
	struct pac *pac = open_region();
	struct edata *e[100];

	nested_pac = pac;
	region.inside = allocate_inside;
	pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
	for (unsigned i = 0; i < 100; i++)
		REQUIRE((e[i] = fixture_alloc(pac, 100, os_page_size, false)) != NULL);
	for (unsigned i = 0; i < 100; i++)
		fixture_dalloc(pac, e[i]);
	pac_decay(pac, PURGE_EVERYTHING);
	region.inside = NULL;
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

/* With hooks that never (or refuse to) split, memory is served, and address space is not wasted. */
static void
serve_without_splitting(struct pac *pac)
{
	struct edata *e[100];

	for (unsigned i = 0; i < 100; i++)
		CHECK((e[i] = fixture_alloc(pac, 1 + i % 7, os_page_size, false))
		    != NULL);
	for (unsigned i = 0; i < 100; i++)
		if (e[i] != NULL)
			fixture_dalloc(pac, e[i]);
	/* One growth step to learn it by, then exactly what was asked for. */
	CHECK(region_pages_out() * os_page_size
	    <= ((size_t)2 << 20) + 400 * os_page_size);
	for (unsigned i = 0; i < 100; i++)
		CHECK((e[i] = fixture_alloc(pac, 1 + i % 7, os_page_size, false))
		    != NULL);
	for (unsigned i = 0; i < 100; i++)
		if (e[i] != NULL)
			fixture_dalloc(pac, e[i]);
	CHECK(region_pages_out() * os_page_size
	    <= ((size_t)2 << 20) + 400 * os_page_size);
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(hooks_that_refuse_to_split_are_served_exactly)
{
	struct pac *pac = open_region();

	region.percent[HOOK_SPLIT] = 100;
	serve_without_splitting(pac);
}

TEST(hooks_without_split_and_merge_are_served_exactly)
{
	struct pac *pac = open_region();

	region.hooks.split = NULL;
	region.hooks.merge = NULL;
	serve_without_splitting(pac);
}

TEST(a_table_with_alloc_alone_works)
{
	struct pac *pac = open_region();
	struct edata *e[100];

	region.hooks = (extent_hooks_t){ .alloc = region_alloc };
	pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 100; i++)
			CHECK((e[i] = fixture_alloc(pac, 1 + i % 7, os_page_size, true))
			    != NULL);
		for (unsigned i = 0; i < 100; i++) {
			CHECK(is_zero(e[i]));
			memset(edata_base(e[i]), 1, e[i]->size);
			fixture_dalloc(pac, e[i]);
		}
		pac_check(pac);
	}
	CHECK_EQ(load_relaxed(&pac->stats.mapped), 0);
	fixture_close(&fixture);
}

TEST(memory_that_a_hook_wrongly_calls_zero_is_zeroed)
{
	struct pac *pac = open_region();

	region.zero_lie = true;
	for (unsigned i = 0; i < 20; i++) {
		struct edata *e = fixture_alloc(pac, 1 + i * 7, os_page_size, true);
		REQUIRE(e != NULL);
		CHECK(is_zero(e));
		memset(edata_base(e), 1, e->size);
		fixture_dalloc(pac, e);
	}
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(a_region_that_runs_out_is_used_to_its_end)
{
	struct pac *pac = open_region();
	struct edata *e[4096];
	unsigned n = 0;

	/* 64 pages are left. */
	memset(region.pages + 64, REGION_COMMITTED, region.n_pages - 64);
	while (n < 4096 && (e[n] = fixture_alloc(pac, 1, os_page_size, false)) != NULL)
		n++;
	CHECK_EQ(n, 64);
	/* Asking again and again does not search from the top. */
	const unsigned before = region.n_calls[HOOK_ALLOC];
	CHECK(fixture_alloc(pac, 1, os_page_size, false) == NULL);
	CHECK(region.n_calls[HOOK_ALLOC] - before <= 4);
	while (n > 0)
		fixture_dalloc(pac, e[--n]);
	fixture_close(&fixture);
	memset(region.pages + 64, REGION_FREE, region.n_pages - 64);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(what_is_not_retained_is_offered_to_dalloc_before_it_is_destroyed)
{
	struct pac *pac = open_region();
	struct edata *e = fixture_alloc(pac, 512, os_page_size, false);

	REQUIRE(e != NULL);
	fixture_dalloc(pac, e);
	const size_t retained = load_relaxed(&pac->stats.retained);
	CHECK_EQ(region.n_calls[HOOK_DALLOC], 0);
	fixture_close(&fixture);
	CHECK_EQ(region.n_calls[HOOK_DALLOC], 1);
	CHECK_EQ(region.n_calls[HOOK_DESTROY], retained != 0);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(pinned_memory_is_never_purged_and_used_first)
{
	struct pac *pac = open_region();
	struct edata *plain = fixture_alloc(pac, 16, os_page_size, false);
	bool deferred = false;

	region.percent_pinned = 100;
	/* More than the first step has left. */
	struct edata *e = fixture_alloc(pac, 1024, os_page_size, false);
	REQUIRE(plain != NULL && !plain->is_pinned && e != NULL && e->is_pinned);
	const size_t first = load_relaxed(&pac->stats.pinned) + e->size;
	fixture_dalloc(pac, plain);
	fixture_dalloc(pac, e);
	CHECK_EQ(load_relaxed(&pac->stats.pinned), first);
	CHECK_EQ(pac_dirty_pages(pac), 16);
	pac_check(pac);
	/* The region's hooks check that they are not called for it. */
	pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
	pac_set_decay_ms(pac, DECAY_MUZZY, 0, true);
	pac_decay(pac, PURGE_EVERYTHING);
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK_EQ(load_relaxed(&pac->stats.pinned), first);
	/* Before everything else, and within itself alone. */
	e = fixture_alloc(pac, 4, os_page_size, true);
	REQUIRE(e != NULL && e->is_pinned && is_zero(e));
	CHECK(pac->pai.expand(&pac->pai, e, 20 * os_page_size, true, &deferred));
	CHECK(pac->pai.shrink(&pac->pai, e, 5 * os_page_size, &deferred));
	CHECK_EQ(load_relaxed(&pac->stats.pinned), first - 5 * os_page_size);
	fixture_dalloc(pac, e);
	CHECK(!deferred && pac_dirty_pages(pac) == 0);
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(steps_of_pinned_memory_do_not_grow)
{
	struct pac *pac = open_region();
	struct edata *e[100];

	region.percent_pinned = 100;
	for (unsigned i = 0; i < 100; i++)
		REQUIRE((e[i] = fixture_alloc(pac, 64, os_page_size, false)) != NULL);
	/* 25 MiB, by 2 (or 1, four requests, in a hostile build). */
	CHECK(region.n_calls[HOOK_ALLOC] >= 13);
	CHECK(region_pages_out() <= 100 * 64 + 512);
	for (unsigned i = 0; i < 100; i++)
		fixture_dalloc(pac, e[i]);
	fixture_close(&fixture);
}

TEST(what_the_dalloc_hook_takes_is_gone)
{
	struct pac *pac = open_region();
	struct edata *e = fixture_alloc(pac, 512, os_page_size, false);

	fixture_dalloc(pac, e);
	pac_decay(pac, PURGE_EVERYTHING);
	pac_check(pac);
	CHECK_EQ(load_relaxed(&pac->stats.mapped), 0);
	CHECK_EQ(load_relaxed(&pac->stats.retained), region_pages_out() * os_page_size);
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(memory_that_is_not_backed_is_committed_before_use)
{
	struct pac *pac = open_region();
	struct edata *e[64];

	region.may_reserve = true;
	region.percent[HOOK_DALLOC] = 100;
	pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
	pac_set_decay_ms(pac, DECAY_MUZZY, 0, true);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 64; i++) {
			REQUIRE((e[i] = fixture_alloc(pac, 1 + i, os_page_size, i & 1))
			    != NULL);
			CHECK(e[i]->committed);
			CHECK(!(i & 1) || is_zero(e[i]));
			memset(edata_base(e[i]), 1, e[i]->size);
		}
		for (unsigned i = 0; i < 64; i++)
			fixture_dalloc(pac, e[i]);
		pac_check(pac);
	}
	CHECK(region.n_calls[HOOK_COMMIT] != 0 && region.n_calls[HOOK_DECOMMIT] != 0);
	region.percent[HOOK_COMMIT] = 100;
	struct edata *none = fixture_alloc(pac, 200, os_page_size, false);
	CHECK(none == NULL || none->committed);
	if (none != NULL)
		fixture_dalloc(pac, none);
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
}

/* Everything a PAC does, with the k-th of something failing: NULL and false, nothing lost. */
static void
exercise(struct pac *pac)
{
	struct edata *e[24];
	bool deferred = false;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 24; i++) {
			const size_t alignment = os_page_size << (i % 8 == 7 ? 6 : 0);
			e[i] = fixture_alloc(pac, 1 + i * 3, alignment, i & 1);
			if (e[i] == NULL)
				continue;
			CHECK(!(i & 1) || is_zero(e[i]));
			memset(edata_base(e[i]), (int)i + 1, e[i]->size);
		}
		pac_check(pac);
		for (unsigned i = 0; i < 24; i += 2) {
			if (e[i] != NULL)
				fixture_dalloc(pac, e[i]);
		}
		for (unsigned i = 1; i < 24; i += 2) {
			if (e[i] == NULL)
				continue;
			(void)pac->pai.shrink(&pac->pai, e[i], e[i]->size - os_page_size,
			    &deferred);
			(void)pac->pai.expand(&pac->pai, e[i],
			    e[i]->size + 2 * os_page_size, true, &deferred);
			CHECK_EQ(*(char *)edata_base(e[i]), i + 1);
			pac_check(pac);
		}
		pac_decay(pac, round == 0 ? PURGE_BY_CURVE : PURGE_EVERYTHING);
		for (unsigned i = 1; i < 24; i += 2)
			if (e[i] != NULL)
				fixture_dalloc(pac, e[i]);
		pac_check(pac);
	}
	pac_decay(pac, PURGE_EVERYTHING);
	CHECK_EQ(pac_dirty_pages(pac) + pac_muzzy_pages(pac), 0);
}

TEST(the_failure_of_any_one_hook_call_loses_nothing)
{
	unsigned n_calls = 1;

	for (unsigned k = 0; k <= n_calls; k++) {
		struct pac *pac = open_region();
		region.seed = k;
		region.may_reserve = k & 1;
		region.percent[HOOK_DALLOC] = k & 2 ? 50 : 0;
		region.fail_at = k;
		pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
		exercise(pac);
		if (region.n_all_calls > n_calls)
			n_calls = region.n_all_calls;
		region.fail_at = 0;
		fixture_close(&fixture);
		CHECK_EQ(region_pages_out(), 0);
	}
	CHECK(n_calls > 100);
	printf("# %u hook calls\n", n_calls);
}

static unsigned n_os_calls, fail_os_call;

static int
fail_kth(const char *what)
{
	(void)what;
	return ++n_os_calls == fail_os_call ? ENOMEM : 0;
}

TEST(the_failure_of_any_one_system_call_loses_nothing)
{
	unsigned n_calls = 1;

	if (!CONFIG_DEBUG)
		SKIP("release builds do not inject failures");
	for (unsigned retain = 0; retain < 2; retain++) {
		opt.retain = retain != 0;
		for (unsigned k = 0; k <= n_calls; k++) {
			struct pac *pac = open_default();
			n_os_calls = 0;
			fail_os_call = k;
			os_inject = fail_kth;
			pac_set_decay_ms(pac, DECAY_DIRTY, 0, true);
			exercise(pac);
			os_inject = NULL;
			if (n_os_calls > n_calls)
				n_calls = n_os_calls;
			fixture_close(&fixture);
		}
		printf("# retain %u: %u system calls\n", retain, n_calls);
		CHECK(n_calls > 20);
		n_calls = 1;
	}
	opt.retain = true;
}

static int
fail_all_maps(const char *what)
{
	return strcmp(what, "map") == 0 ? ENOMEM : 0;
}

TEST(without_address_space_requests_fail_and_the_rest_goes_on)
{
	struct pac *pac = open_default();

	if (!CONFIG_DEBUG)
		SKIP("release builds do not inject failures");
	struct edata *e = fixture_alloc(pac, 100, os_page_size, false);
	os_inject = fail_all_maps;
	CHECK(fixture_alloc(pac, 100000, os_page_size, false) == NULL);
	struct edata *other = fixture_alloc(pac, 10, os_page_size, false);
	CHECK(other != NULL);
	os_inject = NULL;
	fixture_dalloc(pac, other);
	fixture_dalloc(pac, e);
	fixture_close(&fixture);
}

TEST(absurd_sizes_are_refused)
{
	struct pac *pac = open_default();
	const size_t huge = PTRDIFF_MAX / os_page_size;

	CHECK(fixture_alloc(pac, huge, os_page_size, false) == NULL);
	CHECK(fixture_alloc(pac, huge, (size_t)1 << 40, false) == NULL);
	CHECK(fixture_alloc(pac, 1, (size_t)1 << 62, false) == NULL);
	CHECK(fixture_alloc(pac, (size_t)1 << (48 - 12), os_page_size, false) == NULL);
	pac_check(pac);
	fixture_close(&fixture);
}
