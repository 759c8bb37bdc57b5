/* SPDX-License-Identifier: MIT */
/*
 * Misuse ends in one line that says what, and SIGABRT.  Only what costs nothing to find is looked
 * for: regions of a thread's own slabs are looked at by debug builds alone.
 */
#include <pthread.h>

#include "api/names.h"
#include "config/options.h"
#include "harness/test.h"

#define NO_TCACHE (1 << 8)

static char in_data[4096];

/* So that the compiler does not see what becomes of it. */
static void *
hidden(void *p)
{
	__asm__ volatile("" : "+r"(p));
	return p;
}

static void
free_static(void)
{
	API(free)(hidden(in_data + 64));
}

static void
free_stack(void)
{
	char on_stack[256];

	API(free)(hidden(on_stack + 64));
}

static void
free_wild(void)
{
	API(free)(hidden((void *)0x123456789aa0));
}

static void
free_libc_pointer(void)
{
	API(free)(hidden(malloc(100)));
}

TEST(free_of_a_pointer_from_elsewhere_dies)
{
	API(free)(API(malloc)(1));
	test_dies(free_static, "free of a pointer that is not from here");
	test_dies(free_stack, "free of a pointer that is not from here");
	test_dies(free_wild, "free of a pointer that is not from here");
	/* Under a public prefix libc's pointers are not ours to forward. */
	if (CONFIG_PREFIXED)
		test_dies(free_libc_pointer, "free of a pointer that is not from here");
}

static void
realloc_static(void)
{
	(void)API(realloc)(hidden(in_data + 64), 1000);
}

TEST(realloc_of_a_pointer_from_elsewhere_dies)
{
	test_dies(realloc_static, "realloc of a pointer that is not from here");
}

static void
free_large_twice(void)
{
	void *p = API(malloc)(100000);

	API(free)(p);
	API(free)(hidden(p));
}

static void
free_huge_twice(void)
{
	void *p = API(malloc)((size_t)8 << 20);

	API(free)(p);
	API(free)(hidden(p));
}

static void
free_shared_twice(void)
{
	void *keep = API(mallocx)(64, NO_TCACHE);
	void *p = API(mallocx)(64, NO_TCACHE);

	API(dallocx)(p, NO_TCACHE);
	API(dallocx)(hidden(p), NO_TCACHE);
	API(free)(keep);
}

TEST(a_double_free_dies)
{
	test_dies(free_large_twice, "double free");
	test_dies(free_huge_twice, "double free");
	test_dies(free_shared_twice, "double free");
}

static void
free_inside_large(void)
{
	char *p = API(malloc)(100000);

	API(free)(hidden(p + 16));
}

static void
free_inside_shared(void)
{
	char *p = API(mallocx)(640, NO_TCACHE);

	API(dallocx)(hidden(p + 16), NO_TCACHE);
}

static void
free_misaligned_large(void)
{
	char *p = API(malloc)(100000);

	API(free)(hidden(p + 1));
}

static void
realloc_inside_large(void)
{
	char *p = API(malloc)(100000);

	(void)API(realloc)(hidden(p + 16), 10);
}

static void
realloc_inside_own(size_t size)
{
	for (unsigned i = 0; i < 100; i++)
		(void)hidden(API(malloc)(100));
	char *p = API(malloc)(100);

	(void)API(realloc)(hidden(p + 16), size);
}

static void
grow_inside_own(void)
{
	realloc_inside_own(1000);
}

static void
shrink_inside_own(void)
{
	realloc_inside_own(10);
}

static void
end_inside_large(void)
{
	char *p = API(malloc)(100000);

	(void)API(realloc)(hidden(p + 64), 0);
}

static void
end_inside_mixed(void)
{
	char *p = API(malloc)(40);

	(void)API(realloc)(hidden(p + 16), 0);
}

static void
end_twice(void)
{
	char *p = hidden(API(malloc)(40));

	(void)API(realloc)(p, 0);
	(void)API(realloc)(hidden(p), 0);
}

TEST(realloc_to_nothing_dies_of_what_is_no_object)
{
	test_dies(end_inside_large, "interior pointer");
	test_dies(end_inside_mixed, "interior pointer");
	test_dies(end_twice, "double free");
}

TEST(an_interior_pointer_dies)
{
	test_dies(free_inside_large, "interior pointer");
	test_dies(free_inside_shared, "interior pointer");
	test_dies(free_misaligned_large, "interior pointer");
	test_dies(realloc_inside_large, "interior pointer");
	test_dies(grow_inside_own, "interior pointer");
	test_dies(shrink_inside_own, "interior pointer");
}

static void
free_sized_too_small(void)
{
	API(free_sized)(API(malloc)(200), 20);
}

static void
free_sized_too_large(void)
{
	API(free_sized)(API(malloc)(200), 5000);
}

static void
free_sized_large_too_large(void)
{
	API(free_sized)(API(malloc)(100000), 300000);
}

static void
sdallocx_too_large(void)
{
	API(sdallocx)(API(malloc)(200), 5000, 0);
}

TEST(a_wrong_size_dies_in_debug_builds)
{
	if (!CONFIG_DEBUG)
		SKIP("a release build does not look");
	test_dies(free_sized_too_small, "size");
	test_dies(free_sized_too_large, "size");
	test_dies(free_sized_large_too_large, "size");
	test_dies(sdallocx_too_large, "size");
}

static void
not_misuse(void)
{
	void *p = API(malloc)(200);

	API(free_sized)(p, 200);
	p = API(aligned_alloc)(64, 200);
	API(free_aligned_sized)(p, 64, 200);
	API(free_sized)(API(malloc)(0), 0);
	API(free_sized)(API(calloc)(10, 30), 300);
	API(free_sized)(API(realloc)(API(malloc)(10), 100000), 100000);
	p = API(aligned_alloc)(8192, 100);
	API(free_aligned_sized)(p, 8192, 100);
	API(free_sized)(NULL, 7);
}

TEST(right_sizes_are_no_misuse)
{
	not_misuse();
	CHECK(true);
}

/* ---- regions of a thread's own slabs: debug builds only ---- */

enum { MANY = 200 };

/* Enough of a class that the thread has slabs of its own; the last of them. */
static void *
own_region(void)
{
	static void *all[MANY];

	for (unsigned i = 0; i < MANY; i++)
		all[i] = API(malloc)(320);
	return all[MANY - 1];
}

static void
free_own_twice(void)
{
	void *p = own_region();

	API(free)(p);
	API(free)(hidden(p));
}

static void
free_own_twice_with_others_between(void)
{
	void *p = own_region(), *q = API(malloc)(320), *r = API(malloc)(320);

	API(free)(p);
	API(free)(q);
	API(free)(r);
	API(free)(hidden(p));
}

/* What was freed is on the thread's list by now. */
static void
free_listed_twice(void)
{
	void *p = own_region(), *q = API(malloc)(320);

	API(free)(p);
	API(free)(q);
	for (unsigned i = 0; i < 4000; i++)
		if (API(malloc)(320) == q)
			break;
	API(free)(hidden(p));
}

static void *
free_twice_elsewhere(void *p)
{
	/* Others first, so that the thread has a tcache and a message cache. */
	for (unsigned i = 0; i < 100; i++)
		API(free)(API(malloc)(320));
	API(free)(p);
	API(free)(hidden(p));
	return NULL;
}

static void
free_remote_twice(void)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, free_twice_elsewhere, own_region()) == 0);
	pthread_join(thread, NULL);
}

TEST(debug_builds_find_a_recent_double_free_of_an_own_region)
{
	if (!CONFIG_DEBUG)
		SKIP("debug builds only");
	test_dies(free_own_twice, "double free");
	test_dies(free_own_twice_with_others_between, "double free");
	test_dies(free_listed_twice, "double free");
	if (!CONFIG_HOSTILE)
		test_dies(free_remote_twice, "double free");
}
