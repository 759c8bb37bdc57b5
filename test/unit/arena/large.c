/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "api/boot.h"
#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "os/pages.h"

static struct arena *
new_arena(void)
{
	REQUIRE(boot());
	struct arena *arena = arena_create_manual(NULL);
	REQUIRE(arena != NULL);
	(void)pac_set_decay_ms(&arena->pac, DECAY_DIRTY, -1, true);
	return arena;
}

TEST(a_large_object_is_one_extent_of_its_size)
{
	struct arena *arena = new_arena();

	for (size_t pages = SC_LARGE_MIN / os_page_size + 1; pages < 2000;
	     pages = pages * 2 + 1) {
		const size_t size = pages * os_page_size;
		char *p = large_alloc(arena, size, 1, false);
		REQUIRE(p != NULL);
		struct edata *e = emap_lookup(p);
		CHECK(edata_base(e) == p && e->size == size && e->use == USE_LARGE);
		CHECK(arena_of(e) == arena);
		memset(p, 0xee, size);
		large_free(e);
		CHECK(emap_lookup(p) == NULL);
		arena_check(arena);
	}
	CHECK_EQ(load_relaxed(arena_pages_active(arena)), 0);
	arena_destroy(arena);
}

TEST(alignment_is_kept)
{
	struct arena *arena = new_arena();

	for (size_t alignment = 1; alignment <= (size_t)64 << 20; alignment *= 2) {
		void *p = large_alloc(arena, 40 * os_page_size, alignment, false);
		REQUIRE(p != NULL);
		CHECK(is_aligned((uintptr_t)p, alignment));
	}
	arena_check(arena);
	arena_destroy(arena);
}

TEST(zeroed_memory_is_zero_even_when_used_before)
{
	struct arena *arena = new_arena();
	const size_t size = 64 * os_page_size;
	char *p = large_alloc(arena, size, 1, false);

	REQUIRE(p != NULL);
	memset(p, 0xee, size);
	large_free(emap_lookup(p));
	char *q = large_alloc(arena, size, 1, true);
	CHECK(q == p);
	for (size_t i = 0; i < size; i++)
		if (q[i] != 0) {
			CHECK(!"all is zero");
			break;
		}
	arena_destroy(arena);
}

TEST(resizing_in_place_keeps_contents_and_counts)
{
	struct arena *arena = new_arena();
	const size_t size = 64 * os_page_size;
	char *p = large_alloc(arena, size, 1, false);

	REQUIRE(p != NULL);
	struct edata *e = emap_lookup(p);
	memset(p, 0xee, size);
	CHECK(large_resize(e, size, false));
	CHECK(large_resize(e, size / 4, false));
	CHECK_EQ(e->size, size / 4);
	CHECK(emap_lookup(p + size / 4) == NULL);
	arena_check(arena);
	/* The tail is still there, dirty. */
	CHECK(large_resize(e, size, true));
	CHECK_EQ(e->size, size);
	CHECK_EQ((unsigned char)p[size / 4 - 1], 0xee);
	CHECK_EQ(p[size / 4], 0);
	CHECK_EQ(p[size - 1], 0);
	arena_check(arena);
	void *behind = large_alloc(arena, size, 1, false);
	if (behind == p + size)
		CHECK(!large_resize(e, 2 * size, false));
	uint64_t n_malloc = 0, n_dalloc = 0;
	for (unsigned i = 0; i < SC_NSIZES - SC_NBINS; i++) {
		n_malloc += load_relaxed(&arena->large_stats[i].n_malloc);
		n_dalloc += load_relaxed(&arena->large_stats[i].n_dalloc);
	}
	CHECK_EQ(n_malloc - n_dalloc, 2);
	arena_destroy(arena);
}

TEST(a_manual_arena_knows_its_large_objects)
{
	struct arena *arena = new_arena();
	unsigned n = 0;

	for (unsigned i = 0; i < 10; i++)
		REQUIRE(large_alloc(arena, os_page_size * (i + 16), 1, false) != NULL);
	LIST_FOR_EACH (l, &arena->large)
		n += arena_of(LIST_ENTRY(l, struct edata, link)) == arena;
	CHECK_EQ(n, 10);
	arena_reset(arena);
	CHECK(list_is_empty(&arena->large));
	CHECK_EQ(load_relaxed(arena_pages_active(arena)), 0);
	arena_destroy(arena);
}

TEST(cache_oblivious_objects_begin_at_all_cache_lines_of_a_page)
{
	enum { OBJECTS = 256 };
	struct arena *arena = new_arena();
	const size_t size = align_up(40960, os_page_size);
	uint64_t seen[GRANULE / CACHE_LINE] = { 0 };
	size_t n_seen = 0;

	opt.cache_oblivious = true;
	for (unsigned i = 0; i < OBJECTS; i++) {
		char *p = large_alloc(arena, size, 1, false);
		REQUIRE(p != NULL && is_aligned((uintptr_t)p, CACHE_LINE));
		struct edata *e = emap_lookup(p);
		REQUIRE(e != NULL && large_object(e) == p);
		CHECK_EQ(large_usable(e), size);
		CHECK_EQ(e->size, size + os_page_size);
		CHECK(p + size <= (char *)edata_end(e));
		memset(p, 1, size);
		n_seen += seen[(uintptr_t)p % GRANULE / CACHE_LINE]++ == 0;
	}
	CHECK_EQ(n_seen, GRANULE / CACHE_LINE);
	opt.cache_oblivious = false;
	/* An object of each kind may be freed under either setting. */
	arena_reset(arena);
	for (unsigned i = 0; i < SC_NSIZES - SC_NBINS; i++)
		CHECK_EQ(load_relaxed(&arena->large_stats[i].n_malloc),
		    load_relaxed(&arena->large_stats[i].n_dalloc));
	arena_destroy(arena);
}

TEST(cache_oblivious_objects_keep_their_alignment)
{
	struct arena *arena = new_arena();

	opt.cache_oblivious = true;
	for (size_t alignment = 1; alignment <= 4 * os_page_size; alignment *= 2)
		for (unsigned i = 0; i < 20; i++) {
			char *p = large_alloc(arena, 65536, alignment, false);
			REQUIRE(p != NULL && is_aligned((uintptr_t)p, alignment));
			CHECK_EQ(large_usable(emap_lookup(p)), 65536);
		}
	opt.cache_oblivious = false;
	arena_check(arena);
	arena_destroy(arena);
}

TEST(cache_oblivious_objects_grow_and_shrink_zeroed)
{
	struct arena *arena = new_arena();
	const size_t size = 16 * os_page_size;
	unsigned n_grown = 0;

	opt.cache_oblivious = true;
	for (unsigned i = 0; i < 70; i++) {
		char *p = large_alloc(arena, 2 * size, 1, false);
		REQUIRE(p != NULL);
		struct edata *e = emap_lookup(p);
		/* Also behind the object. */
		memset(edata_base(e), 0xee, e->size);
		REQUIRE(large_resize(e, size, false));
		CHECK(large_usable(e) == size && large_object(e) == p);
		if (!large_resize(e, 2 * size, true))
			continue;
		n_grown++;
		CHECK_EQ(large_usable(e), 2 * size);
		for (size_t j = 0; j < 2 * size; j++)
			REQUIRE(p[j] == (char)(j < size ? 0xee : 0));
	}
	CHECK(n_grown > 10);
	opt.cache_oblivious = false;
	arena_check(arena);
	arena_destroy(arena);
}
