/* SPDX-License-Identifier: MIT */
#include "harness/region.h"

#include "api/names.h"
#include "arena/arena.h"
#include "thread/thread.h"

#define ARENA(a) ((int)((a)->index + 1) << 20)
#define NO_TCACHE (1 << 8)

static struct arena *
new_arena(bool metadata_too)
{
	const arena_config_t config = { &region.hooks, metadata_too };

	API(free)(API(malloc)(1));
	region_reset(test_seed());
	struct arena *arena = arena_create_manual(&config);
	REQUIRE(arena != NULL);
	return arena;
}

static void
allocate(struct arena *arena)
{
	for (size_t size = 1; size < 3000000; size += size / 3 + 1) {
		char *p = API(mallocx)(size, ARENA(arena) | NO_TCACHE);
		REQUIRE(p != NULL);
		CHECK_EQ(edata_arena(emap_lookup(p)), arena->index);
		memset(p, 1, size);
	}
}

TEST(a_reset_frees_all_objects_and_keeps_the_memory)
{
	struct arena *arena = new_arena(false);

	allocate(arena);
	const size_t pages = region_pages_out();
	CHECK(pages != 0);
	arena_reset(arena);
	arena_check(arena);
	CHECK_EQ(load_relaxed(arena_pages_active(arena)), 0);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		CHECK_EQ(arena->bins[i].stats.cur_slabs + arena->bins[i].stats.cur_regs,
		    0);
	allocate(arena);
	arena_check(arena);
	arena_destroy(arena);
}

TEST(a_destroyed_arena_returns_every_page)
{
	for (unsigned metadata_too = 0; metadata_too < 2; metadata_too++) {
		struct arena *arena = new_arena(metadata_too != 0);
		const unsigned index = arena->index;
		allocate(arena);
		CHECK(region_pages_out() != 0);
		arena_destroy(arena);
		CHECK_EQ(region_pages_out(), 0);
		CHECK(arena_get(index) == NULL);
	}
}

TEST(metadata_comes_from_the_hooks_only_when_asked)
{
	struct arena *arena = new_arena(false);

	CHECK_EQ(region_pages_out(), 0);
	arena_destroy(arena);
	arena = new_arena(true);
	CHECK(region_pages_out() != 0);
	CHECK((char *)arena >= region.first
	    && (char *)arena < region.first + REGION_BYTES);
	arena_destroy(arena);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(an_arena_whose_hooks_refuse_is_not_made_and_leaks_nothing)
{
	const arena_config_t config = { &region.hooks, true };

	API(free)(API(malloc)(1));
	region_reset(test_seed());
	region.percent[HOOK_ALLOC] = 100;
	CHECK(arena_create_manual(&config) == NULL);
	CHECK_EQ(region_pages_out(), 0);
	/* Memory that cannot be committed is given back. */
	region.percent[HOOK_ALLOC] = 0;
	region.may_reserve = true;
	region.percent[HOOK_COMMIT] = 100;
	for (unsigned i = 0; i < 20; i++) {
		struct arena *arena = arena_create_manual(&config);
		if (arena != NULL)
			arena_destroy(arena);
		CHECK_EQ(region_pages_out(), 0);
	}
}

TEST(a_purge_leaves_nothing_dirty)
{
	struct arena *arena = new_arena(false);

	allocate(arena);
	arena_reset(arena);
	(void)pac_set_decay_ms(&arena->pac, DECAY_DIRTY, -1, true);
	arena_decay(arena, PURGE_EVERYTHING);
	CHECK_EQ(pac_dirty_pages(&arena->pac) + pac_muzzy_pages(&arena->pac), 0);
	arena_check(arena);
	arena_destroy(arena);
}

TEST(a_tick_purges_what_has_decayed_and_then_rests)
{
	struct arena *arena = new_arena(false);

	(void)pac_set_decay_ms(&arena->pac, DECAY_DIRTY, 1, true);
	void *p = API(mallocx)(1 << 20, ARENA(arena) | NO_TCACHE);
	API(dallocx)(p, NO_TCACHE);
	CHECK(load_relaxed(&arena->has_deferred) || pac_dirty_pages(&arena->pac) == 0);
	for (unsigned i = 0; i < 1000 && load_relaxed(&arena->has_deferred); i++) {
		usleep(1000);
		arena_tick(arena, 0);
	}
	CHECK_EQ(pac_dirty_pages(&arena->pac), 0);
	CHECK(!load_relaxed(&arena->has_deferred));
	arena_destroy(arena);
}
