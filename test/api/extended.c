/* SPDX-License-Identifier: MIT */
/*
 * mallocx and its family: every kind of size with every kind of flags, and what objects keep when
 * they are resized.
 */
#include <tract/tract.h>

#include "harness/test.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* One of every kind: slabs, slabs of large classes, extents, extents that move by pages. */
static const size_t sizes[] = { 1, 8, 17, 100, 1000, 1025, 5000, 14336, 14337, 20000,
	32768, 32769, 70000, 300000, 2500000 };

static unsigned
made_by(const char *node)
{
	unsigned id = 0;
	size_t length = sizeof(id);

	CHECK_EQ(t_mallctl(node, &id, &length, NULL, 0), 0);
	return id;
}

static void
unmake(const char *node, unsigned id)
{
	char name[64];

	if (strcmp(node, "tcache") == 0) {
		CHECK_EQ(t_mallctl("tcache.destroy", NULL, NULL, &id, sizeof(id)), 0);
		return;
	}
	snprintf(name, sizeof(name), "arena.%u.destroy", id);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
}

/* Every combination that a program may ask for, but alignment. */
struct places {
	unsigned arena, tcache;
	int flags[6];
};

static void
places_open(struct places *places)
{
	places->arena = made_by("arenas.create");
	places->tcache = made_by("tcache.create");
	memcpy(places->flags,
	    (int[]){ 0, MALLOCX_TCACHE_NONE, MALLOCX_TCACHE(places->tcache),
		MALLOCX_ARENA(places->arena),
		MALLOCX_ARENA(places->arena) | MALLOCX_TCACHE_NONE, MALLOCX_ARENA(0) },
	    sizeof(places->flags));
}

static void
places_close(const struct places *places)
{
	unmake("tcache", places->tcache);
	unmake("arena", places->arena);
}

static void
fill(char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (char)(i * 7 + 3);
}

static bool
is_filled(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (char)(i * 7 + 3))
			return false;
	return true;
}

static bool
is_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* A dirty object of that size was here a moment ago. */
static void
soil(size_t size, int flags)
{
	char *p = t_mallocx(size, flags);
	REQUIRE(p != NULL);
	memset(p, 0xee, t_sallocx(p, flags));
	t_dallocx(p, flags);
}

TEST(an_object_is_where_and_as_its_flags_say)
{
	struct places places;

	places_open(&places);
	for (size_t k = 0; k < COUNT(places.flags) * COUNT(sizes); k++) {
		const size_t size = sizes[k / COUNT(places.flags)];
		for (unsigned lg = 0; lg <= 22; lg++) {
			const int place = places.flags[k % COUNT(places.flags)];
			const int flags = place | MALLOCX_LG_ALIGN(lg) | MALLOCX_ZERO;
			soil(size, place | MALLOCX_LG_ALIGN(lg));
			char *p = t_mallocx(size, flags);
			REQUIRE(p != NULL);
			CHECK_EQ((uintptr_t)p % ((uintptr_t)1 << lg), 0);
			CHECK_EQ(t_sallocx(p, flags), t_nallocx(size, flags));
			CHECK_EQ(t_sallocx(p, flags), t_malloc_usable_size(p));
			CHECK(is_zero(p, t_sallocx(p, flags)));
			if (lg % 2 == 0)
				t_dallocx(p, flags);
			else
				t_sdallocx(p, size, flags);
		}
	}
	places_close(&places);
}

TEST(rallocx_keeps_the_contents_and_clears_the_rest)
{
	struct places places;

	places_open(&places);
	for (size_t k = 0; k < COUNT(places.flags); k++) {
		for (size_t i = 0; i < COUNT(sizes) * COUNT(sizes); i++) {
			const size_t from = sizes[i / COUNT(sizes)],
				     to = sizes[i % COUNT(sizes)];
			const int flags = places.flags[k] | MALLOCX_ALIGN(64);
			char *p = t_mallocx(from, flags);
			REQUIRE(p != NULL);
			const size_t old = t_sallocx(p, 0);
			fill(p, old);
			soil(to, flags);
			p = t_rallocx(p, to, flags | MALLOCX_ZERO);
			REQUIRE(p != NULL);
			const size_t new = t_sallocx(p, 0);
			CHECK_EQ((uintptr_t)p % 64, 0);
			CHECK_EQ(new, t_nallocx(to, flags));
			CHECK(is_filled(p, old < to ? old : to));
			if (new > old)
				CHECK(is_zero(p + old, new - old));
			t_dallocx(p, flags);
		}
	}
	places_close(&places);
}

/* What can grow in place stays. */
TEST(rallocx_moves_to_the_arena_that_it_is_told)
{
	struct places places;
	unsigned index = 0;
	size_t length = sizeof(index), n_moved = 0;

	places_open(&places);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *p = t_malloc(sizes[i]);
		REQUIRE(p != NULL);
		fill(p, sizes[i]);
		const uintptr_t old = (uintptr_t)p;
		p = t_rallocx(p, sizes[i] * 3, MALLOCX_ARENA(places.arena));
		REQUIRE(p != NULL);
		CHECK(is_filled(p, sizes[i]));
		CHECK_EQ(t_mallctl("arenas.lookup", &index, &length, &p, sizeof(p)), 0);
		CHECK((uintptr_t)p == old || index == places.arena);
		n_moved += (uintptr_t)p != old;
		t_free(p);
	}
	CHECK(n_moved > COUNT(sizes) / 2);
	places_close(&places);
}

TEST(rallocx_to_a_greater_alignment_moves_if_it_must)
{
	for (unsigned lg = 5; lg <= 22; lg++) {
		char *p = t_malloc(48), *q = t_malloc(40000);
		REQUIRE(p != NULL && q != NULL);
		fill(p, 48);
		fill(q, 40000);
		p = t_rallocx(p, 48, MALLOCX_LG_ALIGN(lg));
		q = t_rallocx(q, 40000, MALLOCX_LG_ALIGN(lg));
		REQUIRE(p != NULL && q != NULL);
		CHECK_EQ((uintptr_t)p % ((uintptr_t)1 << lg), 0);
		CHECK_EQ((uintptr_t)q % ((uintptr_t)1 << lg), 0);
		CHECK(is_filled(p, 48) && is_filled(q, 40000));
		t_free(p);
		t_free(q);
	}
}

TEST(what_cannot_be_resized_stays_as_it_was)
{
	static const size_t impossible[] = { SIZE_MAX, SIZE_MAX - 4096,
		SIZE_MAX / 2 + 1 };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *p = t_mallocx(sizes[i], 0);
		REQUIRE(p != NULL);
		const size_t old = t_sallocx(p, 0);
		fill(p, old);
		for (size_t k = 0; k < COUNT(impossible); k++) {
			errno = 0;
			void *volatile moved = t_rallocx(p, impossible[k], 0);
			CHECK(moved == NULL);
			CHECK_EQ(errno, ENOMEM);
			CHECK_EQ(t_xallocx(p, impossible[k], 0, 0), old);
		}
		/* No such arena, no such cache. */
		errno = 0;
		void *volatile moved = t_rallocx(p, sizes[i] * 2, MALLOCX_ARENA(4000));
		CHECK(moved == NULL);
		CHECK_EQ(errno, EINVAL);
		moved = t_rallocx(p, sizes[i] * 2, MALLOCX_TCACHE(4000));
		CHECK(moved == NULL);
		CHECK_EQ(t_sallocx(p, 0), old);
		CHECK(is_filled(p, old));
		t_free(p);
	}
}

TEST(what_does_not_exist_cannot_be_allocated_from)
{
	static const int flags[] = { MALLOCX_ARENA(4000), MALLOCX_TCACHE(4000),
		MALLOCX_ARENA(4094),
		MALLOCX_ARENA(4000) | MALLOCX_ZERO | MALLOCX_ALIGN(4096) };

	for (size_t i = 0; i < COUNT(flags); i++) {
		errno = 0;
		void *volatile p = t_mallocx(100, flags[i]);
		CHECK(p == NULL);
		CHECK_EQ(errno, EINVAL);
	}
}

TEST(xallocx_never_moves_and_tells_the_size)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *p = t_malloc(sizes[i]);
		REQUIRE(p != NULL);
		const size_t old = t_sallocx(p, 0);
		fill(p, old);
		/* The size it has, and what it cannot have. */
		CHECK_EQ(t_xallocx(p, sizes[i], 0, 0), old);
		CHECK_EQ(t_xallocx(p, old, 0, 0), old);
		const size_t grown = t_xallocx(p, old + 1, 100000, MALLOCX_ZERO);
		CHECK(grown >= old);
		CHECK_EQ(grown, t_sallocx(p, 0));
		CHECK(is_filled(p, old));
		CHECK(is_zero(p + old, grown - old));
		const size_t shrunk = t_xallocx(p, 1, old - 1, 0);
		CHECK(shrunk <= grown);
		CHECK_EQ(shrunk, t_sallocx(p, 0));
		CHECK(is_filled(p, old < shrunk ? old : shrunk));
		/* An alignment that it has not: nothing happens. */
		if ((uintptr_t)p % ((size_t)1 << 30) != 0)
			CHECK_EQ(t_xallocx(p, old * 4, 0, MALLOCX_LG_ALIGN(30)), shrunk);
		t_free(p);
	}
}

TEST(an_extra_that_leads_too_far_is_cut)
{
	char *p = t_mallocx(100000, 0);
	REQUIRE(p != NULL);
	const size_t got = t_xallocx(p, 100000, SIZE_MAX, 0);
	CHECK(got >= 100000 && got <= SIZE_MAX / 2);
	CHECK_EQ(got, t_sallocx(p, 0));
	t_free(p);
}

TEST(an_extent_grows_and_shrinks_in_place)
{
	size_t page, length = sizeof page;
	REQUIRE(t_mallctl("arenas.page", &page, &length, NULL, 0) == 0);
	const unsigned arena = made_by("arenas.create");
	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	char *p = t_mallocx(100 * page, flags);

	REQUIRE(p != NULL);
	fill(p, 100 * page);
	CHECK_EQ(t_xallocx(p, 50 * page, 0, flags), 50 * page);
	CHECK(is_filled(p, 50 * page));
	/* The pages that were its own are free again, and soiled. */
	CHECK_EQ(t_xallocx(p, 100 * page, 0, flags | MALLOCX_ZERO), 100 * page);
	CHECK(is_filled(p, 50 * page));
	CHECK(is_zero(p + 50 * page, 50 * page));
	/* As far as it goes. */
	char *neighbour = t_mallocx(10 * page, flags);
	REQUIRE(neighbour != NULL);
	CHECK(t_xallocx(p, 60 * page, 40 * page, flags) == 100 * page);
	t_dallocx(neighbour, flags);
	t_dallocx(p, flags);
	unmake("arena", arena);
}

TEST(an_explicit_cache_keeps_what_it_gets)
{
	enum { N = 100 };
	const unsigned id = made_by("tcache.create");
	void *p[N];

	for (size_t i = 0; i < COUNT(sizes); i++) {
		/* More than it holds, and objects that no cache ever held. */
		for (unsigned n = 0; n < N; n++) {
			p[n] = n % 2 == 0 ? t_mallocx(sizes[i], MALLOCX_TCACHE(id))
					  : t_malloc(sizes[i]);
			REQUIRE(p[n] != NULL);
			memset(p[n], (int)n, sizes[i]);
		}
		for (unsigned n = 0; n < N; n++) {
			CHECK_EQ(*(unsigned char *)p[n], n);
			t_dallocx(p[n], n % 3 == 0 ? 0 : MALLOCX_TCACHE(id));
		}
		void *last = t_mallocx(sizes[i], MALLOCX_TCACHE(id));
		REQUIRE(last != NULL);
		t_dallocx(last, MALLOCX_TCACHE_NONE);
	}
	unmake("tcache", id);
}

TEST(nothing_is_freed_with_null)
{
	errno = 4711;
	t_dallocx(NULL, 0);
	t_dallocx(NULL, MALLOCX_TCACHE_NONE);
	t_sdallocx(NULL, 100, 0);
	t_sdallocx(NULL, 100, MALLOCX_ALIGN(64));
	CHECK_EQ(errno, 4711);
}

/* ---- realloc ---- */

TEST(realloc_keeps_the_contents_from_any_size_to_any)
{
	for (size_t i = 0; i < COUNT(sizes) * COUNT(sizes); i++) {
		const size_t from = sizes[i / COUNT(sizes)], to = sizes[i % COUNT(sizes)];
		char *p = t_malloc(from);
		REQUIRE(p != NULL);
		fill(p, from);
		p = i % 2 == 0 ? t_realloc(p, to) : t_reallocarray(p, to, 1);
		REQUIRE(p != NULL);
		CHECK(t_malloc_usable_size(p) >= to);
		CHECK(is_filled(p, from < to ? from : to));
		t_free(p);
	}
}

TEST(realloc_of_aligned_objects_keeps_their_contents)
{
	for (unsigned lg = 3; lg <= 22; lg++) {
		char *p = t_aligned_alloc((size_t)1 << lg, 3000);
		REQUIRE(p != NULL);
		CHECK_EQ((uintptr_t)p % ((uintptr_t)1 << lg), 0);
		fill(p, 3000);
		for (size_t size = 3000; size < 400000; size *= 2) {
			p = t_realloc(p, size);
			REQUIRE(p != NULL);
			CHECK(is_filled(p, 3000));
		}
		p = t_realloc(p, 10);
		REQUIRE(p != NULL);
		CHECK(is_filled(p, 10));
		t_free(p);
	}
}

TEST(objects_grow_and_shrink_for_ever)
{
	uint64_t random = test_seed();
	char *p = NULL;
	size_t old = 0;

	for (unsigned i = 0; i < 3000; i++) {
		const size_t most = (size_t)1 << test_random_below(&random, 23);
		const size_t size = 1 + test_random_below(&random, most);
		p = t_realloc(p, size);
		REQUIRE(p != NULL);
		const size_t kept = old < size ? old : size;
		CHECK(kept == 0
		    || (p[0] == 3 && p[kept - 1] == (char)((kept - 1) * 7 + 3)));
		fill(p, size);
		old = size;
	}
	t_free(p);
}
