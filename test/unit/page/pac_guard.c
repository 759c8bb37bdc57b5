/* SPDX-License-Identifier: MIT */
#include "page/pac_guard.h"

#include "base/bits.h"
#include "config/options.h"
#include "harness/guards.h"
#include "harness/region.h"

static struct pac_fixture fixture;

static struct pac *
open_default(enum os_guards way)
{
	/* So far no guard is up: the one before took all of its own down. */
	store_relaxed(&os_guards, way);
	return fixture_open(&fixture, &ehooks_default);
}

static bool
is_there(enum os_guards way)
{
	bool is = way == OS_GUARDS_PROTECTION;
	enum os_commit commit = OS_COMMITTED;

	if (is)
		return true;
	void *p = os_pages_map(NULL, os_page_size, os_page_size, &commit);
	REQUIRE(p != NULL);
	is = guards_have_markers(p, os_page_size);
	CHECK(os_pages_unmap(p, os_page_size));
	return is;
}

#define FOR_EACH_WAY(way) \
	for (enum os_guards way = OS_GUARDS_MARKERS; way <= OS_GUARDS_PROTECTION; way++) \
		if (is_there(way))

static struct edata *
alloc(struct pac *pac, size_t pages, enum extent_use use, bool zero)
{
	const struct page_request request = { .size = pages * os_page_size,
		.alignment = os_page_size,
		.use = use,
		.zero = zero,
		.guarded = true };
	bool deferred = false;
	struct edata *e = pac->pai.alloc(&pac->pai, &request, &deferred);

	pac_check(pac);
	if (e != NULL)
		CHECK(e->size == request.size && e->use == use && e->committed);
	return e;
}

static void
dalloc(struct pac *pac, struct edata *e)
{
	fixture_dalloc(pac, e);
	pac_check(pac);
}

static bool
is_enclosed(const struct edata *e)
{
	return e->guarded && guards_enclose(edata_base(e), e->size, os_page_size);
}

static size_t
guard_pages(struct pac *pac)
{
	return load_relaxed(&pac->stats.guards) / os_page_size;
}

TEST(a_guarded_extent_lies_between_pages_that_fault_and_are_nobodys)
{
	FOR_EACH_WAY(way)
	{
		struct pac *pac = open_default(way);
		for (enum extent_use use = USE_LARGE; use <= USE_SLAB; use++) {
			struct edata *e = alloc(pac, 3, use, true);
			REQUIRE(e != NULL);
			for (size_t i = 0; i < e->size; i++)
				CHECK(((char *)edata_base(e))[i] == 0);
			CHECK(is_enclosed(e));
			CHECK(emap_lookup(edata_base(e)) == e);
			CHECK(emap_lookup((void *)(edata_end(e) - 1)) == e);
			CHECK((emap_lookup((void *)(e->addr + os_page_size)) == e)
			    == (use == USE_SLAB));
			CHECK(emap_lookup_any((void *)(e->addr - 1)) == NULL);
			CHECK(emap_lookup_any((void *)(e->addr - os_page_size)) == NULL);
			CHECK(emap_lookup_any((void *)edata_end(e)) == NULL);
			CHECK_EQ(load_relaxed(&pac->stats.active_pages), 3);
			CHECK_EQ(guard_pages(pac), 2);
			dalloc(pac, e);
			CHECK_EQ(guard_pages(pac), use == USE_SLAB ? 2 : 0);
		}
		fixture_close(&fixture);
	}
}

/* Through each state that a free extent goes through; returns calls for guards. */
static unsigned
reuse_from(struct pac *pac, struct edata **e, struct ecache *from)
{
	const uintptr_t addr = (*e)->addr;

	guards_fail(0, 0);
	dalloc(pac, *e);
	if (from == &pac->muzzy) {
		CHECK(pac_set_decay_ms(pac, DECAY_DIRTY, 0, true));
		CHECK(pac_set_decay_ms(pac, DECAY_DIRTY, -1, true));
	} else if (from == &pac->retained) {
		pac_decay(pac, PURGE_EVERYTHING);
	}
	pac_check(pac);
	CHECK_EQ(load_relaxed(&from->n_guarded) * GRANULE, 2 * os_page_size);
	*e = alloc(pac, 2, USE_SLAB, false);
	REQUIRE(*e != NULL);
	CHECK_EQ((*e)->addr, addr);
	CHECK_EQ(load_relaxed(&from->n_guarded), 0);
	const unsigned n = guards_end_count();
	CHECK(is_enclosed(*e));
	return n;
}

TEST(a_guarded_slab_decays_like_others_and_is_used_again_without_a_call_for_guards)
{
	FOR_EACH_WAY(way)
	{
		struct pac *pac = open_default(way);
		struct edata *e = alloc(pac, 2, USE_SLAB, false);
		REQUIRE(e != NULL);
		memset(edata_base(e), 1, e->size);
		const uint64_t calls = load_relaxed(&pac->stats.n_guard_calls);
		CHECK_EQ(calls, 2);
		CHECK_EQ(reuse_from(pac, &e, &pac->dirty), 0);
		CHECK(((char *)edata_base(e))[e->size - 2] == 1);
		if (os_has_lazy_free)
			CHECK_EQ(reuse_from(pac, &e, &pac->muzzy), 0);
		CHECK_EQ(reuse_from(pac, &e, &pac->retained), 0);
		CHECK(((char *)edata_base(e))[e->size - 2] == 0);
		CHECK_EQ(load_relaxed(&pac->stats.n_guard_calls), calls);
		dalloc(pac, e);
		fixture_close(&fixture);
	}
}

TEST(only_a_request_of_its_size_gets_a_guarded_slab)
{
	struct pac *pac = open_default(OS_GUARDS_PROTECTION);
	struct edata *e = alloc(pac, 4, USE_SLAB, false);

	REQUIRE(e != NULL);
	const uintptr_t addr = e->addr;
	dalloc(pac, e);
	struct edata *smaller = alloc(pac, 3, USE_SLAB, false);
	struct edata *plain = fixture_alloc(pac, 4, os_page_size, false);
	REQUIRE(smaller != NULL && plain != NULL);
	CHECK(smaller->addr != addr && plain->addr != addr);
	CHECK(is_enclosed(smaller));
	CHECK(!plain->guarded);
	e = alloc(pac, 4, USE_SLAB, false);
	CHECK_EQ(e->addr, addr);
	dalloc(pac, e);
	dalloc(pac, smaller);
	dalloc(pac, plain);
	fixture_close(&fixture);
}

TEST(guarded_extents_neither_grow_nor_shrink_nor_merge)
{
	struct pac *pac = open_default(OS_GUARDS_PROTECTION);
	struct edata *e[3];
	bool deferred = false;

	for (unsigned i = 0; i < 3; i++)
		REQUIRE((e[i] = alloc(pac, 2, USE_SLAB, false)) != NULL);
	struct edata *large = alloc(pac, 4, USE_LARGE, false);
	REQUIRE(large != NULL);
	CHECK(!pac->pai.expand(&pac->pai, large, 5 * os_page_size, false, &deferred));
	CHECK(!pac->pai.shrink(&pac->pai, large, 3 * os_page_size, &deferred));
	CHECK(is_enclosed(large));
	for (unsigned i = 0; i < 3; i++)
		dalloc(pac, e[i]);
	CHECK_EQ(load_relaxed(&pac->dirty.n_guarded) * GRANULE, 6 * os_page_size);
	CHECK_EQ(ecache_pages(&pac->dirty), load_relaxed(&pac->dirty.n_guarded));
	dalloc(pac, large);
	/* That one lost its guards, and is as any other. */
	CHECK_EQ(pac_dirty_pages(pac), 6 + 4 + 2);
	fixture_close(&fixture);
}

TEST(guarded_extents_are_purged_after_all_others)
{
	struct pac *pac = open_default(OS_GUARDS_PROTECTION);
	struct edata *guarded = alloc(pac, 2, USE_SLAB, false);
	struct edata *plain = fixture_alloc(pac, 64, os_page_size, false);

	REQUIRE(guarded != NULL && plain != NULL);
	dalloc(pac, guarded);
	dalloc(pac, plain);
	/* The guarded one has been there longest. */
	struct edata *first = ecache_take_oldest(&pac->dirty, SIZE_MAX);
	struct edata *second = ecache_take_oldest(&pac->dirty, os_page_size);
	CHECK(first == plain);
	CHECK(second == guarded && second->size == 2 * os_page_size);
	ecache_put(&pac->dirty, first);
	ecache_put(&pac->dirty, second);
	fixture_close(&fixture);
}

TEST(a_purged_batch_leaves_guards_and_reads_as_zero)
{
	FOR_EACH_WAY(way)
	{
		struct pac *pac = open_default(way);
		struct edata *e[40];
		opt.process_madvise_max_batch = way == OS_GUARDS_MARKERS ? 16 : 0;
		for (unsigned i = 0; i < 40; i++) {
			REQUIRE((e[i] = alloc(pac, 1, USE_SLAB, false)) != NULL);
			memset(edata_base(e[i]), 1, e[i]->size);
		}
		for (unsigned i = 0; i < 40; i++)
			dalloc(pac, e[i]);
		pac_decay(pac, PURGE_EVERYTHING);
		CHECK_EQ(load_relaxed(&pac->retained.n_guarded) * GRANULE,
		    40 * os_page_size);
		for (unsigned i = 0; i < 40; i++) {
			REQUIRE((e[i] = alloc(pac, 1, USE_SLAB, false)) != NULL);
			CHECK(*(char *)edata_base(e[i]) == 0);
			CHECK(is_enclosed(e[i]));
		}
		CHECK_EQ(load_relaxed(&pac->stats.n_guard_calls), 80);
		for (unsigned i = 0; i < 40; i++)
			dalloc(pac, e[i]);
		fixture_close(&fixture);
	}
	opt.process_madvise_max_batch = 0;
}

TEST(guards_are_for_memory_of_the_default_hooks_that_is_retained_alone)
{
	region_reset(test_seed());
	struct pac *pac = fixture_open(&fixture, &region.hooks);
	struct edata *e = alloc(pac, 2, USE_SLAB, false);
	REQUIRE(e != NULL);
	CHECK(!e->guarded);
	dalloc(pac, e);
	fixture_close(&fixture);
	CHECK_EQ(region_pages_out(), 0);
	pac = open_default(OS_GUARDS_PROTECTION);
	opt.retain = false;
	e = alloc(pac, 2, USE_LARGE, false);
	REQUIRE(e != NULL);
	CHECK(!e->guarded);
	dalloc(pac, e);
	fixture_close(&fixture);
	opt.retain = true;
	CHECK_EQ(guard_pages(pac), 0);
}

/* A hook that takes everything. */
static size_t taken_bytes;

static bool
take_all(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)committed, (void)arena;
	CHECK(!guards_stop(addr) && !guards_stop((char *)addr + size - 1));
	CHECK(os_pages_unmap(addr, size));
	taken_bytes += size;
	return false;
}

TEST(hooks_of_a_user_see_extents_without_guards)
{
	FOR_EACH_WAY(way)
	{
		struct pac *pac = open_default(way);
		extent_hooks_t hooks = ehooks_default;
		struct edata *e[4];
		hooks.dalloc = take_all;
		for (unsigned i = 0; i < 4; i++)
			REQUIRE((e[i] = alloc(pac, 2, USE_SLAB, false)) != NULL);
		dalloc(pac, e[0]);
		dalloc(pac, e[1]);
		ehooks_set(&fixture.ehooks, &hooks);
		struct edata *plain = alloc(pac, 7, USE_SLAB, false);
		CHECK(plain != NULL && !plain->guarded);
		dalloc(pac, plain);
		dalloc(pac, e[2]);
		taken_bytes = 0;
		pac_decay(pac, PURGE_EVERYTHING);
		CHECK_EQ(taken_bytes, (3 * 4 + 7) * os_page_size);
		CHECK_EQ(guard_pages(pac), 2);
		dalloc(pac, e[3]);
		fixture_close(&fixture);
	}
}

TEST(where_no_room_is_left_retained_extents_lose_their_guards)
{
	struct pac *pac = open_default(OS_GUARDS_PROTECTION);
	struct edata *e[64], *wall;
	unsigned n = 0;

	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	while (n < 64)
		REQUIRE((e[n++] = alloc(pac, 2, USE_SLAB, false)) != NULL);
	while (n > 0)
		dalloc(pac, e[--n]);
	pac_decay(pac, PURGE_EVERYTHING);
	/* All that is unused and not guarded. */
	struct edata *rest[512];
	struct eset *set = &pac->retained.eset;
	while (eset_oldest(set) != NULL)
		REQUIRE((rest[n++] = fixture_alloc(pac,
			     eset_oldest(set)->size / os_page_size, os_page_size, false))
		    != NULL);
	region_reset(test_seed());
	store_relaxed(&pac->grow_limit, os_page_size);
	/* No new mapping. */
	extent_hooks_t *hooks = &ehooks_default;
	void *(*const map)(extent_hooks_t *, void *, size_t, size_t, bool *, bool *,
	    unsigned) = hooks->alloc;
	hooks->alloc = NULL;
	wall = fixture_alloc(pac, 24, os_page_size, false);
	hooks->alloc = map;
	REQUIRE(wall != NULL);
	pac_check(pac);
	CHECK_EQ(guard_pages(pac), 0);
	memset(edata_base(wall), 1, wall->size);
	dalloc(pac, wall);
	while (n > 0)
		dalloc(pac, rest[--n]);
	fixture_close(&fixture);
}

/* Every k-th and following calls fail: requests are served, guarded or not, and nothing is lost. */
TEST(whichever_call_for_a_guard_fails_nothing_is_lost)
{
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	FOR_EACH_WAY(way)
	{
		for (unsigned at = 1; at < 14; at++) {
			for (unsigned more = 0; more < 6; more++) {
				struct pac *pac = open_default(way);
				struct edata *e[4];
				guards_fail(at, more);
				for (unsigned i = 0; i < 4; i++) {
					e[i] = alloc(pac, 2 + i / 2,
					    i % 2 ? USE_LARGE : USE_SLAB, true);
					REQUIRE(e[i] != NULL);
					CHECK(!e[i]->is_half_guarded);
					CHECK(!e[i]->guarded || is_enclosed(e[i]));
					memset(edata_base(e[i]), 1, e[i]->size);
				}
				for (unsigned i = 0; i < 4; i++)
					dalloc(pac, e[i]);
				pac_decay(pac, PURGE_EVERYTHING);
				pac_check(pac);
				e[0] = alloc(pac, 2, USE_SLAB, true);
				REQUIRE(e[0] != NULL);
				CHECK(!e[0]->guarded || is_enclosed(e[0]));
				dalloc(pac, e[0]);
				(void)guards_end_count();
				/* Half guarded ones are completed when they are used again. */
				e[0] = alloc(pac, 2, USE_SLAB, true);
				CHECK(is_enclosed(e[0]));
				dalloc(pac, e[0]);
				fixture_close(&fixture);
			}
		}
	}
}

TEST(guards_by_protection_stay_within_their_share_of_mappings)
{
	struct pac *pac = open_default(OS_GUARDS_PROTECTION);
	const size_t max = os_guards_max() / 2;
	size_t n_guarded = 0, n = 0;

	if (max > 20000)
		SKIP("the system allows too many mappings");
	struct edata **e = calloc(max + 10, sizeof *e);
	for (; n < max + 10; n++) {
		const struct page_request request = { .size = os_page_size,
			.alignment = os_page_size,
			.use = USE_LARGE,
			.guarded = true };
		bool deferred = false;
		e[n] = pac->pai.alloc(&pac->pai, &request, &deferred);
		REQUIRE(e[n] != NULL);
		n_guarded += e[n]->guarded;
	}
	CHECK_EQ(n_guarded, max);
	while (n > 0)
		fixture_dalloc(pac, e[--n]);
	free(e);
	fixture_close(&fixture);
	/* The share is free again. */
	pac = open_default(OS_GUARDS_PROTECTION);
	e = calloc(1, sizeof *e);
	REQUIRE((e[0] = alloc(pac, 1, USE_LARGE, false)) != NULL);
	CHECK(e[0]->guarded);
	dalloc(pac, e[0]);
	free(e);
	fixture_close(&fixture);
}
