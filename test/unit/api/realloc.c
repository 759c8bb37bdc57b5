/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "api/names.h"
#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "os/inject.h"
#include "tract/tract.h"

extern void *API(malloc)(size_t size);
extern void *API(realloc)(void *p, size_t size);
extern void API(free)(void *p);

#define MEGABYTES(n) ((size_t)(n) << 20)

static void
fill(uint64_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes / 8; i += 101)
		p[i] = i * 3 + 1;
}

static bool
is_filled(const uint64_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes / 8; i += 101)
		if (p[i] != i * 3 + 1)
			return false;
	return true;
}

static unsigned n_moves;

static int
count_moves(const char *what)
{
	n_moves += strcmp(what, "move") == 0;
	return 0;
}

/* Sizes that are moved by page tables, with something behind that keeps them from growing. */
static void
grow_large_ones(void)
{
	n_moves = 0;
	os_inject = count_moves;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t *p = API(malloc)(MEGABYTES(3));
		void *wall = API(malloc)(MEGABYTES(1));
		REQUIRE(p != NULL && wall != NULL);
		fill(p, MEGABYTES(3));
		p = API(realloc)(p, MEGABYTES(20));
		REQUIRE(p != NULL && is_filled(p, MEGABYTES(3)));
		struct edata *e = emap_lookup(p);
		REQUIRE(e != NULL && large_object(e) == p);
		CHECK(large_usable(e) >= MEGABYTES(20));
		fill(p, MEGABYTES(20));
		p = API(realloc)(p, MEGABYTES(2));
		REQUIRE(p != NULL && is_filled(p, MEGABYTES(2)));
		API(free)(p);
		API(free)(wall);
		/* Only to memory never touched are pages moved. */
		arena_decay(arena_get(0), PURGE_EVERYTHING);
	}
	os_inject = NULL;
	CHECK(n_moves != 0 || !CONFIG_DEBUG);
}

TEST(large_objects_keep_their_contents_when_pages_move)
{
	grow_large_ones();
}

TEST(objects_that_begin_anywhere_keep_their_contents_when_pages_move)
{
	opt.cache_oblivious = true;
	grow_large_ones();
	opt.cache_oblivious = false;
	/* Either kind under the other setting. */
	grow_large_ones();
}

TEST(an_object_whose_pages_move_is_aligned_as_asked)
{
	const size_t old = MEGABYTES(3), new = MEGABYTES(20);

	opt.cache_oblivious = true;
	n_moves = 0;
	os_inject = count_moves;
	for (unsigned i = 0; i < 40; i++) {
		char *p = API(mallocx)(old, 0);
		void *wall = API(malloc)(MEGABYTES(1));
		REQUIRE(p != NULL && wall != NULL);
		memset(p, 0xee, old);
		const size_t alignment = (size_t)1 << (6 + i % 6);
		p = API(rallocx)(p, new, MALLOCX_ALIGN(alignment));
		REQUIRE(p != NULL && p[old - 1] != 0);
		CHECK(is_aligned((uintptr_t)p, alignment));
		API(free)(p);
		API(free)(wall);
		arena_decay(arena_get(0), PURGE_EVERYTHING);
	}
	os_inject = NULL;
	opt.cache_oblivious = false;
	CHECK(n_moves != 0 || !CONFIG_DEBUG);
}
