/* SPDX-License-Identifier: MIT */
/* What a thread is charged for, whichever way an object comes, is resized and goes. */
#include <pthread.h>

#include "api/names.h"
#include "harness/test.h"
#include "tract/tract.h"

static uint64_t
read_u64(const char *name)
{
	uint64_t value = 0;
	size_t size = sizeof value;

	REQUIRE(API(mallctl)(name, &value, &size, NULL, 0) == 0);
	return value;
}

/* Bytes that are the thread's now. */
static uint64_t
charged(void)
{
	return read_u64("thread.allocated") - read_u64("thread.deallocated");
}

TEST(an_object_resized_in_place_is_charged_for_what_it_has)
{
	const uint64_t before = charged();
	void *p = API(malloc)(1 << 20);

	for (size_t mib = 3; mib > 1; mib--) {
		p = API(realloc)(p, mib << 20);
		REQUIRE(p != NULL);
		CHECK_EQ(charged() - before, API(sallocx)(p, 0));
	}
	CHECK_EQ(API(xallocx)(p, 1 << 20, 0, 0), (size_t)1 << 20);
	CHECK_EQ(charged() - before, (uint64_t)1 << 20);
	API(free)(p);
	CHECK_EQ(charged(), before);
}

TEST(a_free_past_the_thread_s_cache_is_counted)
{
	const uint64_t before = charged();
	unsigned id;
	size_t size = sizeof id;

	API(dallocx)(API(mallocx)(100, MALLOCX_TCACHE_NONE), MALLOCX_TCACHE_NONE);
	CHECK_EQ(charged(), before);
	REQUIRE(API(mallctl)("tcache.create", &id, &size, NULL, 0) == 0);
	API(dallocx)(API(mallocx)(100, MALLOCX_TCACHE(id)), MALLOCX_TCACHE(id));
	CHECK_EQ(charged(), before);
	CHECK(API(mallctl)("tcache.destroy", NULL, NULL, &id, sizeof id) == 0);
}

TEST(xallocx_leaves_an_object_within_its_bounds_alone)
{
	void *p = API(malloc)(1 << 20);

	CHECK_EQ(API(xallocx)(p, 40960, SIZE_MAX - 40960, 0), (size_t)1 << 20);
	CHECK_EQ(API(xallocx)(p, 40960, PTRDIFF_MAX, 0), (size_t)1 << 20);
	API(free)(p);
}

static pthread_key_t key;

static void
allocate_late(void *arg)
{
	(void)arg;
	API(free)(API(malloc)(100));
}

static void *
set_key(void *arg)
{
	pthread_setspecific(key, arg);
	return arg;
}

static unsigned
threads_in_arenas(void)
{
	unsigned n_arenas, sum = 0, n;
	uint64_t epoch = 1;
	size_t size = sizeof n;
	char name[64];

	REQUIRE(API(mallctl)("epoch", NULL, NULL, &epoch, sizeof epoch) == 0);
	REQUIRE(API(mallctl)("arenas.narenas", &n_arenas, &size, NULL, 0) == 0);
	for (unsigned i = 0; i < n_arenas; i++) {
		snprintf(name, sizeof name, "stats.arenas.%u.nthreads", i);
		size = sizeof n;
		if (API(mallctl)(name, &n, &size, NULL, 0) == 0)
			sum += n;
	}
	return sum;
}

TEST(a_thread_that_begins_in_its_last_destructors_ends_too)
{
	const unsigned before = threads_in_arenas();
	pthread_t thread;

	REQUIRE(pthread_key_create(&key, allocate_late) == 0);
	for (int i = 0; i < 20; i++) {
		REQUIRE(pthread_create(&thread, NULL, set_key, &key) == 0);
		REQUIRE(pthread_join(thread, NULL) == 0);
	}
	CHECK_EQ(threads_in_arenas(), before);
}

/* ---- a hook that allocates ---- */

static int hook_flags;

static bool
allocating_purge(extent_hooks_t *hooks, void *addr, size_t size, size_t offset,
    size_t length, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)offset, (void)length, (void)arena;
	void *p = API(mallocx)(64, hook_flags);

	API(dallocx)(p, hook_flags);
	errno = EDOM;
	return true;
}

/* An arena that purges at once, with that hook. */
static unsigned
create_arena(void)
{
	static extent_hooks_t mine;
	extent_hooks_t *hooks;
	const ssize_t at_once = 0;
	unsigned arena;
	char name[64];
	size_t size = sizeof hooks;

	REQUIRE(API(mallctl)("arena.0.extent_hooks", &hooks, &size, NULL, 0) == 0);
	mine = *hooks;
	mine.purge_forced = mine.purge_lazy = allocating_purge;
	hooks = &mine;
	size = sizeof arena;
	REQUIRE(API(mallctl)("arenas.create", &arena, &size, &hooks, sizeof hooks) == 0);
	snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", arena);
	REQUIRE(API(mallctl)(name, NULL, NULL, (void *)&at_once, sizeof at_once) == 0);
	return arena;
}

static int
destroy_arena(unsigned arena)
{
	char name[64];

	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	return API(mallctl)(name, NULL, NULL, NULL, 0);
}

TEST(a_hook_may_use_the_cache_whose_memory_it_supplies)
{
	const unsigned arena = create_arena();
	unsigned cache;
	size_t size = sizeof cache;
	void *p[300];

	REQUIRE(API(mallctl)("tcache.create", &cache, &size, NULL, 0) == 0);
	hook_flags = MALLOCX_TCACHE(cache);
	const int flags = MALLOCX_ARENA(arena) | hook_flags;
	for (int i = 0; i < 300; i++)
		REQUIRE((p[i] = API(mallocx)(4096, flags)) != NULL);
	errno = 77;
	for (int i = 0; i < 300; i++)
		API(dallocx)(p[i], flags);
	CHECK_EQ(errno, 77);
	CHECK(API(mallctl)("tcache.destroy", NULL, NULL, &cache, sizeof cache) == 0);
	hook_flags = 0;
	CHECK_EQ(destroy_arena(arena), 0);
}

/* A thread that is in a hook for good may not destroy an arena. */
static void *
free_first(void *p)
{
	API(free)(p);
	return (void *)(intptr_t)destroy_arena(create_arena());
}

TEST(a_thread_that_begins_in_a_hook_leaves_it)
{
	const unsigned arena = create_arena();
	void *p = API(mallocx)(1 << 20, MALLOCX_ARENA(arena)), *result;
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, free_first, p) == 0);
	REQUIRE(pthread_join(thread, &result) == 0);
	CHECK(result == NULL);
	CHECK_EQ(destroy_arena(arena), 0);
}
