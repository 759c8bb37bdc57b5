/* SPDX-License-Identifier: MIT */
/*
 * Which page allocator an arena asks: the huge page allocator only while it has as much active as
 * hpa_start_huge_from says.
 */
#include <tract/tract.h>

#include "api/names.h"
#include "arena/arena.h"
#include "config/options.h"
#include "extent/emap.h"
#include "harness/test.h"

/* Whatever the kernel says, where it can be. */
const char *API(malloc_conf) = "abort_conf:false,hpa:true";

#define BYTES ((size_t)48 << 10)
#define FROM ((size_t)4 << 20)
#define OBJECTS (4 * FROM / BYTES)

#define NEEDS_HUGE() \
	do { \
		if (!options_hpa()) \
			SKIP("no huge page allocator here"); \
	} while (0)

static void *objects[OBJECTS];
static unsigned index_;

static struct arena *
begin(size_t from)
{
	size_t length = sizeof index_;

	opt.hpa_start_huge_from = from;
	arena_pages_boot();
	REQUIRE(t_mallctl("arenas.create", &index_, &length, NULL, 0) == 0);
	REQUIRE(arena_get(index_)->may_have_huge);
	return arena_get(index_);
}

static void
run(const char *what)
{
	char name[64];

	snprintf(name, sizeof name, "arena.%u.%s", index_, what);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
}

static void
end(void)
{
	arena_check(arena_get(index_));
	run("destroy");
}

static bool
is_in_pageslab(unsigned i)
{
	return emap_lookup(objects[i])->hpa;
}

static void
take(unsigned i)
{
	objects[i] = t_mallocx(BYTES, MALLOCX_ARENA(index_) | MALLOCX_TCACHE_NONE);
	REQUIRE(objects[i] != NULL);
}

static void
give_back(unsigned i)
{
	t_dallocx(objects[i], MALLOCX_TCACHE_NONE);
}

static size_t
active(const struct arena *arena)
{
	return load_relaxed(&arena->active_pages) * os_page_size;
}

static size_t
retained_of_arena_0(void)
{
	uint64_t epoch = 1;
	size_t bytes = 0, length = sizeof bytes;

	CHECK_EQ(t_mallctl("epoch", NULL, NULL, &epoch, sizeof epoch), 0);
	CHECK_EQ(t_mallctl("stats.arenas.0.retained", &bytes, &length, NULL, 0), 0);
	return bytes;
}

TEST(what_no_arena_has_of_an_eden_is_arena_0s_without_pageslabs_of_its_own_too)
{
	NEEDS_HUGE();
	begin(1);
	take(0);
	take(1);
	if (arena_huge(arena_get(0)) != NULL)
		SKIP("arena 0 has page slabs");
	REQUIRE(is_in_pageslab(1));
	CHECK_EQ(retained_of_arena_0(),
	    load_relaxed(&arena_get(0)->pac.stats.retained) + hpa_central.end
		- hpa_central.next + hpa_central.n_kept * OS_HUGEPAGE);
	CHECK(hpa_central.end != hpa_central.next);
	give_back(0);
	give_back(1);
	end();
}

TEST(an_arena_asks_for_huge_pages_as_long_as_it_is_not_small)
{
	NEEDS_HUGE();
	const struct arena *arena = begin(FROM);
	unsigned n = 0, n_small = 0;

	for (unsigned i = 0; i < OBJECTS; i++) {
		const bool is_small = active(arena) < FROM;
		take(i);
		CHECK_EQ(is_in_pageslab(i), !is_small);
		n_small += is_small;
	}
	CHECK(n_small >= FROM / BYTES && n_small < OBJECTS / 2);
	/* What it has stays where it is, small or not; new ones go by what there is now. */
	for (; active(arena) >= FROM; n++)
		give_back(n);
	CHECK(is_in_pageslab(OBJECTS - 1) && n < OBJECTS);
	take(--n);
	CHECK(!is_in_pageslab(n));
	while (active(arena) < FROM)
		take(--n);
	take(--n);
	CHECK(is_in_pageslab(n));
	for (unsigned i = n; i < OBJECTS; i++)
		give_back(i);
	CHECK_EQ(active(arena), 0);
	run("purge");
	CHECK_EQ(load_relaxed(&arena_huge(arena)->hpa.active_pages), 0);
	take(0);
	CHECK(!is_in_pageslab(0));
	give_back(0);
	end();
}

TEST(from_0_on_is_always_and_nothing_is_asked_to_be_huge_at_once)
{
	NEEDS_HUGE();
	for (size_t from = 0; from < 2; from++) {
		struct arena *arena = begin(from);
		take(0);
		CHECK(is_in_pageslab(0));
		CHECK_EQ(arena_huge(arena)->hpa.options.grows_huge, from != 0);
		give_back(0);
		end();
	}
}

TEST(an_arena_that_is_never_large_has_no_pageslab)
{
	NEEDS_HUGE();
	struct arena *arena = begin(SIZE_MAX);

	for (unsigned i = 0; i < OBJECTS; i++)
		take(i);
	for (unsigned i = 0; i < OBJECTS; i++)
		give_back(i);
	CHECK(arena_huge(arena) == NULL);
	end();
}

TEST(the_huge_page_allocator_begins_with_the_arenas_decay_time)
{
	NEEDS_HUGE();
	struct arena *arena = begin(FROM);
	ssize_t ms = 1234;
	char name[64];

	snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", index_);
	CHECK_EQ(t_mallctl(name, NULL, NULL, &ms, sizeof ms), 0);
	CHECK(arena_huge(arena) == NULL);
	for (unsigned i = 0; i < OBJECTS; i++)
		take(i);
	REQUIRE(arena_huge(arena) != NULL);
	CHECK_EQ(load_relaxed(&arena_huge(arena)->hpa.decay_ms), 1234);
	for (unsigned i = 0; i < OBJECTS; i++)
		give_back(i);
	end();
}
