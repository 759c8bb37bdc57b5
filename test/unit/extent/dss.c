/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include "extent/dss.h"

#include <limits.h>

#include <pthread.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "extent/ehooks.h"
#include "harness/test.h"
#include "harness/vmflags.h"
#include "os/inject.h"
#include "os/pages.h"

#define SIZE (16 * os_page_size)

#define NEEDS_SBRK() \
	do { \
		if (!dss_is_usable()) \
			SKIP("this libc has no sbrk"); \
	} while (0)

static bool
is_filled(const char *p, size_t size, char with)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != with)
			return false;
	return true;
}

TEST(memory_at_the_break_is_zero_aligned_and_known)
{
	NEEDS_SBRK();
	errno = 4711;
	for (size_t alignment = os_page_size; alignment <= 2 * OS_HUGEPAGE;
	     alignment *= 2) {
		char *p = dss_alloc(NULL, SIZE, alignment);
		REQUIRE(p != NULL);
		CHECK(is_aligned((uintptr_t)p, alignment));
		CHECK(is_filled(p, SIZE, 0));
		CHECK(dss_contains(p) && dss_contains(p + SIZE - 1));
		memset(p, 7, SIZE);
	}
	CHECK_EQ(errno, 4711);
	CHECK(!dss_contains((char *)sbrk(0)));
	CHECK(!dss_contains(&errno));
}

TEST(other_users_of_the_break_keep_what_is_theirs)
{
	enum { ROUNDS = 50 };
	char *ours[ROUNDS], *theirs[ROUNDS];

	NEEDS_SBRK();
	for (unsigned i = 0; i < ROUNDS; i++) {
		ours[i] = dss_alloc(NULL, SIZE, os_page_size);
		REQUIRE(ours[i] != NULL);
		memset(ours[i], (int)i, SIZE);
		theirs[i] = sbrk(1000 + (intptr_t)i);
		memset(theirs[i], 100 + (int)i, 1000 + i);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK(is_filled(ours[i], SIZE, (char)i));
		CHECK(is_filled(theirs[i], 1000 + i, (char)(100 + i)));
	}
}

static unsigned n_calls;
static char *intruder;

/* Moves the break between our look at it and our call. */
static int
intrude(const char *what)
{
	if (strcmp(what, "map") == 0 && ++n_calls == 2) {
		intruder = sbrk(5000);
		memset(intruder, 3, 5000);
	}
	return 0;
}

TEST(a_break_that_moves_under_our_hands_is_noticed)
{
	NEEDS_SBRK();
	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject");
	n_calls = 0;
	os_inject = intrude;
	char *p = dss_alloc(NULL, SIZE, os_page_size);
	os_inject = NULL;
	REQUIRE(p != NULL && intruder != NULL);
	memset(p, 1, SIZE);
	CHECK(is_filled(intruder, 5000, 3));
	CHECK(is_aligned((uintptr_t)p, os_page_size));
	CHECK((char *)sbrk(0) >= p + SIZE);
}

TEST(an_address_is_served_exactly_or_not_at_all)
{
	NEEDS_SBRK();
	char *p = dss_alloc(NULL, SIZE, os_page_size);
	REQUIRE(p != NULL);
	CHECK(dss_alloc(p, SIZE, os_page_size) == NULL);
	CHECK(dss_alloc(p + 64 * SIZE, SIZE, os_page_size) == NULL);
	CHECK(dss_alloc(p + SIZE, SIZE, os_page_size) == p + SIZE);
	CHECK(dss_alloc(NULL, PTRDIFF_MAX & ~(os_page_size - 1), os_page_size) == NULL);
	CHECK(dss_alloc(NULL, SIZE_MAX & ~(os_page_size - 1), os_page_size) == NULL);
}

static void *
allocate_many(void *arg)
{
	char **mine = arg;

	for (unsigned i = 0; i < 100; i++) {
		mine[i] = dss_alloc(NULL, os_page_size, os_page_size);
		if (mine[i] != NULL)
			memset(mine[i], (int)(uintptr_t)mine & 0xff, os_page_size);
	}
	return NULL;
}

TEST(threads_never_get_the_same_memory)
{
	static char *got[4][100];
	pthread_t threads[4];

	NEEDS_SBRK();
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, allocate_many, got[i]) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 400; i++)
		for (unsigned j = 0; j < i; j++)
			CHECK(got[i / 100][i % 100] != got[j / 100][j % 100]);
}

/* ---- in the default hooks ---- */

static void *
hook_alloc(unsigned index)
{
	bool zero = false, commit = true;

	void *p = ehooks_default.alloc(&ehooks_default, NULL, SIZE, os_page_size, &zero,
	    &commit, index);
	CHECK(p == NULL || (zero && commit));
	return p;
}

static int
fail_first_map(const char *what)
{
	return strcmp(what, "map") == 0 && ++n_calls == 1 ? ENOMEM : 0;
}

static int
fail_maps(const char *what)
{
	return strcmp(what, "map") == 0 ? ENOMEM : 0;
}

TEST(the_preference_says_where_hooks_look_and_in_which_order)
{
	NEEDS_SBRK();
	CHECK_EQ(dss_preference(7), opt.dss);
	CHECK(!dss_contains(hook_alloc(7)));
	REQUIRE(dss_set_preference(7, DSS_PRIMARY));
	CHECK(dss_contains(hook_alloc(7)));
	CHECK(!dss_contains(hook_alloc(8)));
	/* Any number may come from a user's hook. */
	CHECK(!dss_contains(hook_alloc(100000)));
	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject failures");
	REQUIRE(dss_set_preference(7, DSS_SECONDARY));
	n_calls = 0;
	os_inject = fail_first_map;
	CHECK(dss_contains(hook_alloc(7)));
	REQUIRE(dss_set_preference(7, DSS_DISABLED));
	n_calls = 0;
	CHECK(hook_alloc(7) == NULL);
	REQUIRE(dss_set_preference(7, DSS_PRIMARY));
	n_calls = 0;
	void *p = hook_alloc(7);
	CHECK(p != NULL && !dss_contains(p));
	os_inject = fail_maps;
	CHECK(hook_alloc(7) == NULL);
	os_inject = NULL;
}

TEST(memory_of_the_break_is_neither_unmapped_nor_merged)
{
	const bool retain = opt.retain;
	bool zero = true, commit = true;

	NEEDS_SBRK();
	char *p = dss_alloc(NULL, SIZE, os_page_size);
	REQUIRE(p != NULL);
	char *mapped = ehooks_default.alloc(&ehooks_default, NULL, SIZE, os_page_size,
	    &zero, &commit, 9);
	REQUIRE(mapped != NULL && !dss_contains(mapped));
	memset(p, 5, SIZE);
	opt.retain = false;
	CHECK(ehooks_default.dalloc(&ehooks_default, p, SIZE, true, 0));
	opt.retain = retain;
	ehooks_default.destroy(&ehooks_default, p, SIZE, true, 0);
	CHECK(is_filled(p, SIZE, 5));
	CHECK(ehooks_default.merge(&ehooks_default, p, SIZE, mapped, SIZE, true, 0));
	CHECK(!ehooks_default.merge(&ehooks_default, p, SIZE / 2, p + SIZE / 2, SIZE / 2,
	    true, 0));
}

TEST(an_arena_begins_with_the_default_of_that_moment)
{
	NEEDS_SBRK();
	CHECK_EQ(dss_default(), opt.dss);
	REQUIRE(dss_set_preference(20, DSS_PRIMARY));
	dss_arena_begins(20);
	CHECK_EQ(dss_preference(20), opt.dss);
	REQUIRE(dss_set_default(DSS_DISABLED));
	CHECK_EQ(dss_preference(20), opt.dss);
	dss_arena_begins(21);
	CHECK_EQ(dss_preference(21), DSS_DISABLED);
	CHECK_EQ(dss_default(), DSS_DISABLED);
	REQUIRE(dss_set_default((enum dss)opt.dss));
}

TEST(the_break_memory_of_a_destroyed_arena_is_used_again)
{
	const size_t size = (size_t)3 << 20;

	NEEDS_SBRK();
	REQUIRE(arena_get(0) != NULL || arenas_boot(1));
	for (unsigned round = 0; round < 3; round++) {
		struct arena *arena = arena_create_manual(NULL);
		REQUIRE(arena != NULL);
		REQUIRE(dss_set_preference(arena->index, DSS_PRIMARY));
		char *p = large_alloc(arena, size, os_page_size, false);
		REQUIRE(p != NULL && dss_contains(p));
		memset(p, 1, size);
		arena_destroy(arena);
		/* Arena 0 has it now, zeroed, as one piece. */
		const void *before = sbrk(0);
		char *q = large_alloc(arena_get(0), size, os_page_size, true);
		REQUIRE(q != NULL);
		CHECK(dss_contains(q) && is_filled(q, size, 0));
		CHECK(sbrk(0) == before);
		large_free(emap_lookup(q));
		arena_check(arena_get(0));
		arena_decay(arena_get(0), PURGE_EVERYTHING);
	}
}

TEST(thp_advice_is_given_to_every_mapping)
{
	bool zero = true, commit = true;

	if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0)
		SKIP("no huge pages here");
	opt.thp = THP_ALWAYS;
	CHECK(vm_has_flag(ehooks_default.alloc(&ehooks_default, NULL, OS_HUGEPAGE,
			      OS_HUGEPAGE, &zero, &commit, 30),
	    " hg"));
	opt.thp = THP_NEVER;
	CHECK(vm_has_flag(ehooks_default.alloc(&ehooks_default, NULL, OS_HUGEPAGE,
			      OS_HUGEPAGE, &zero, &commit, 30),
	    " nh"));
	opt.thp = THP_DEFAULT;
}

TEST(an_arena_for_oversize_objects_may_have_huge_pages_alone)
{
	struct ehooks own, other;

	if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0)
		SKIP("no huge pages here");
	ehooks_huge_arena = 31;
	ehooks_init(&own, &ehooks_default, 31);
	ehooks_init(&other, &ehooks_default, 30);
	for (unsigned thp = THP_DEFAULT; thp <= THP_NEVER; thp++) {
		bool zero = true, commit = true;
		opt.thp = (int)thp;
		CHECK_EQ(vm_has_flag(ehooks_alloc(&own, NULL, OS_HUGEPAGE, OS_HUGEPAGE,
					 &zero, &commit),
			     " hg"),
		    thp != THP_NEVER);
		CHECK_EQ(ehooks_ask_for_huge(&own), thp != THP_NEVER);
		CHECK_EQ(vm_has_flag(ehooks_alloc(&other, NULL, OS_HUGEPAGE, OS_HUGEPAGE,
					 &zero, &commit),
			     " hg"),
		    thp == THP_ALWAYS);
		CHECK_EQ(ehooks_ask_for_huge(&other), thp == THP_ALWAYS);
	}
	opt.thp = THP_DEFAULT;
	ehooks_huge_arena = UINT_MAX;
}
