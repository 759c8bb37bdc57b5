/* SPDX-License-Identifier: MIT */
/*
 * The functions of --enable-redis-compat, used as Redis uses them: objects whose hint says so move
 * past the tcache, pass after pass.
 */
#include <pthread.h>
#include <tract/tract.h>

#include "api/redis.h"
#include "harness/test.h"

#if CONFIG_REDIS

#define N_OBJECTS 60000u

static char *objects[N_OBJECTS];

static size_t
node(const char *name)
{
	size_t value = 0, length = sizeof value;
	uint64_t any = 0;

	t_mallctl("epoch", NULL, NULL, &any, sizeof any);
	CHECK_EQ(t_mallctl(name, &value, &length, NULL, 0), 0);
	return value;
}

/* Slabs, but for empty ones that the thread keeps, and regions of a slab, of a class. */
static size_t
slabs_of(size_t size, size_t *nregs)
{
	char name[80];

	CHECK_EQ(t_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof name, "arenas.bin.%u.size", i);
		if (node(name) < size)
			continue;
		uint32_t n = 0;
		size_t length = sizeof n;
		snprintf(name, sizeof name, "arenas.bin.%u.nregs", i);
		CHECK_EQ(t_mallctl(name, &n, &length, NULL, 0), 0);
		*nregs = n;
		snprintf(name, sizeof name, "stats.arenas.%u.bins.%u.curslabs",
		    MALLCTL_ARENAS_ALL, i);
		return node(name);
	}
}

static void
fill(size_t size)
{
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		objects[i] = t_malloc(size);
		REQUIRE(objects[i] != NULL);
		snprintf(objects[i], size, "%u", i);
	}
}

/* Free all but one in `keep', at random. Returns how many are left. */
static unsigned
thin_out(unsigned keep)
{
	uint64_t random = test_seed();
	unsigned left = 0;

	for (unsigned i = 0; i < N_OBJECTS; i++) {
		if (test_random_below(&random, keep) == 0) {
			left++;
			continue;
		}
		t_free(objects[i]);
		objects[i] = NULL;
	}
	return left;
}

/* One pass over all objects; returns how many moved. */
static unsigned
defragment(size_t size)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < N_OBJECTS; i++) {
		if (objects[i] == NULL || !t_get_defrag_hint(objects[i]))
			continue;
		char *p = t_mallocx(size, MALLOCX_TCACHE_NONE);
		REQUIRE(p != NULL);
		memcpy(p, objects[i], size);
		t_dallocx(objects[i], MALLOCX_TCACHE_NONE);
		objects[i] = p;
		moved++;
	}
	return moved;
}

static void
empty(void)
{
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		if (objects[i] != NULL) {
			char text[16];
			snprintf(text, sizeof text, "%u", i);
			CHECK_STR(objects[i], text);
		}
		t_free(objects[i]);
		objects[i] = NULL;
	}
	CHECK_EQ(t_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
}

/* Sizes of few and of many regions a slab. */
static const size_t sizes[] = { 16, 64, 200, 1024 };

TEST(moving_what_the_hint_says_packs_the_objects)
{
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t nregs;
		unsigned moved = 0, passes = 0, last;
		fill(sizes[i]);
		const unsigned left = thin_out(4);
		const size_t before = slabs_of(sizes[i], &nregs);
		do {
			last = defragment(sizes[i]);
			moved += last;
		} while (last != 0 && ++passes < 30);
		const size_t after = slabs_of(sizes[i], &nregs),
			     needed = left / nregs + 1;
		printf("# %zu bytes: %zu slabs, after %u moves in %u passes %zu, needed "
		       "%zu\n",
		    sizes[i], before, moved, passes, after, needed);
		CHECK(before > 3 * needed);
		CHECK(after < needed + needed / 4 + 5);
		CHECK_EQ(last, 0);
		CHECK(moved <= 2 * left);
		empty();
	}
}

TEST(objects_of_full_slabs_stay)
{
	fill(64);
	CHECK_EQ(defragment(64), 0);
	thin_out(100); /* One in a hundred is left, ... */
	CHECK(defragment(64) > 0);
	empty();
	fill(64);
	for (unsigned i = 0; i < N_OBJECTS; i += 100) {
		t_free(objects[i]); /* ... or one in a hundred is gone. */
		objects[i] = NULL;
	}
	CHECK_EQ(defragment(64), 0);
	empty();
}

static void *
fill_and_thin_out(void *left)
{
	fill(64);
	*(unsigned *)left = thin_out(4);
	return NULL;
}

TEST(what_a_thread_left_behind_is_packed_by_another)
{
	unsigned left = 0, last = 0;
	size_t nregs;
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, fill_and_thin_out, &left) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	const size_t before = slabs_of(64, &nregs);
	for (unsigned i = 0; i < 30 && (i == 0 || last != 0); i++)
		last = defragment(64);
	CHECK_EQ(last, 0);
	t_malloc_trim(0); /* What the thread's tcache still has of them. */
	const size_t after = slabs_of(64, &nregs);
	printf("# %zu slabs, then %zu\n", before, after);
	CHECK(after < before / 2);
	empty();
}

TEST(large_objects_and_strangers_get_no_hint)
{
	void *large = t_malloc(100000);
	int here = 0;

	CHECK_EQ(t_get_defrag_hint(large), 0);
	CHECK_EQ(t_get_defrag_hint(&here), 0);
	CHECK_EQ(t_get_defrag_hint(NULL), 0);
	t_free(large);
}

TEST(usable_sizes_come_with_the_objects)
{
	size_t usize = 1, old = 1, new = 1;

	char *p = t_malloc_with_usize(100, &usize);
	REQUIRE(p != NULL);
	CHECK_EQ(usize, t_malloc_usable_size(p));
	CHECK_EQ(usize, 112);
	memset(p, 'x', usize);
	p = t_realloc_with_usize(p, 5000, &old, &new);
	REQUIRE(p != NULL);
	CHECK_EQ(old, 112);
	CHECK_EQ(new, t_malloc_usable_size(p));
	CHECK(p[99] == 'x');
	t_free_with_usize(p, &old);
	CHECK_EQ(old, new);

	p = t_calloc_with_usize(3, 20, &usize);
	REQUIRE(p != NULL);
	CHECK_EQ(usize, 64);
	for (unsigned i = 0; i < 60; i++)
		CHECK_EQ(p[i], 0);
	CHECK(t_realloc_with_usize(p, 0, &old, &new) == NULL);
	CHECK_EQ(old, 64);
	CHECK_EQ(new, 0);
	p = t_realloc_with_usize(NULL, 10, &old, NULL);
	CHECK_EQ(old, 0);
	t_free_with_usize(p, NULL);
	t_free_with_usize(NULL, &old);
	CHECK_EQ(old, 0);
}

TEST(without_memory_the_size_is_none)
{
	size_t usize = 1, old = 1, new = 1;
	volatile size_t too_large = SIZE_MAX / 2;
	void *p = t_malloc(10);

	CHECK(t_malloc_with_usize(too_large, &usize) == NULL);
	CHECK_EQ(usize, 0);
	CHECK(t_realloc_with_usize(p, too_large, &old, &new) == NULL);
	CHECK_EQ(old, 16);
	CHECK_EQ(new, 0);
	t_free(p);
}

#else

TEST(the_functions_are_there)
{
	SKIP("built without --enable-redis-compat");
}

#endif
