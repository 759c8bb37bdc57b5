/* SPDX-License-Identifier: MIT */
/*
 * Free pages go back by time where no thread's cache looks after the arena: objects of manual
 * arenas, and threads whose caches are off.
 */
#include <pthread.h>
#include <tract/tract.h>

#include "harness/test.h"

#define N 200
#define SIZE ((size_t)100000)
#define DECAY_MS 200
#define WORK_MS 20000 /* at most */

static void
set(const char *name, const void *value, size_t length)
{
	REQUIRE(t_mallctl(name, NULL, NULL, (void *)value, length) == 0);
}

static void
set_of_arena(unsigned arena, const char *leaf, ssize_t value)
{
	char name[64];

	snprintf(name, sizeof name, "arena.%u.%s", arena, leaf);
	set(name, &value, sizeof value);
}

static size_t
dirty_pages(unsigned arena)
{
	const uint64_t epoch = 1;
	size_t pages = 0, length = sizeof pages;
	char name[64];

	set("epoch", &epoch, sizeof epoch);
	snprintf(name, sizeof name, "stats.arenas.%u.pdirty", arena);
	REQUIRE(t_mallctl(name, &pages, &length, NULL, 0) == 0);
	return pages;
}

static void
make_dirty_pages(int flags)
{
	static void *objects[N];

	for (unsigned i = 0; i < N; i++)
		REQUIRE((objects[i] = t_mallocx(SIZE, flags)) != NULL);
	for (unsigned i = 0; i < N; i++)
		t_dallocx(objects[i], flags);
}

/* Small objects alone, which come from one slab: no page is freed. */
static bool
work_until_purged(unsigned arena, int flags)
{
	void *kept = t_mallocx(64, flags);
	size_t left = SIZE_MAX;

	for (unsigned ms = 0; ms < WORK_MS && (left = dirty_pages(arena)) != 0; ms++) {
		for (unsigned i = 0; i < 10; i++)
			t_dallocx(t_mallocx(64, flags), flags);
		usleep(1000);
	}
	t_dallocx(kept, flags);
	return left == 0;
}

TEST(manual_arena_purges_by_time)
{
	unsigned arena;
	size_t length = sizeof arena;

	REQUIRE(t_mallctl("arenas.create", &arena, &length, NULL, 0) == 0);
	set_of_arena(arena, "dirty_decay_ms", -1);
	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	make_dirty_pages(flags);
	CHECK(dirty_pages(arena) >= N * SIZE / 65536 / 2);
	set_of_arena(arena, "dirty_decay_ms", DECAY_MS);
	CHECK(dirty_pages(arena) != 0);
	CHECK(work_until_purged(arena, flags));
}

TEST(thread_without_cache_purges_by_time)
{
	const bool off = false;
	unsigned arena;
	size_t length = sizeof arena;

	set("thread.tcache.enabled", &off, sizeof off);
	REQUIRE(t_mallctl("thread.arena", &arena, &length, NULL, 0) == 0);
	set_of_arena(arena, "dirty_decay_ms", -1);
	make_dirty_pages(0);
	CHECK(dirty_pages(arena) >= N * SIZE / 65536 / 2);
	set_of_arena(arena, "dirty_decay_ms", DECAY_MS);
	CHECK(work_until_purged(arena, 0));
}

enum { OF_THREAD = 20000, BYTES_EACH = 500 };
static void *of_thread[OF_THREAD];

static void *
allocate_and_end(void *arg)
{
	for (unsigned i = 0; i < OF_THREAD; i++)
		REQUIRE((of_thread[i] = t_malloc(BYTES_EACH)) != NULL);
	return arg;
}

static size_t
active_bytes(void)
{
	const uint64_t epoch = 1;
	size_t bytes = 0, length = sizeof bytes;

	set("epoch", &epoch, sizeof epoch);
	REQUIRE(t_mallctl("stats.active", &bytes, &length, NULL, 0) == 0);
	return bytes;
}

TEST(purging_includes_what_others_freed_of_threads_that_have_ended)
{
	const size_t before = active_bytes();
	pthread_t thread;

	/* The calling thread has no cache any more, in which they would wait. */
	REQUIRE(pthread_create(&thread, NULL, allocate_and_end, NULL) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	CHECK(active_bytes() >= before + OF_THREAD * BYTES_EACH);
	for (unsigned i = 0; i < OF_THREAD; i++)
		t_free(of_thread[i]);
	set("arena.4096.purge", NULL, 0);
	CHECK(active_bytes() < before + OF_THREAD * BYTES_EACH / 4);
}
