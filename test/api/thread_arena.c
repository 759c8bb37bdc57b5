/* SPDX-License-Identifier: MIT */
/*
 * A thread and its arena: moving to another one, manual ones too, and back.
 */
#include <pthread.h>

#include "api/names.h"
#include "harness/test.h"
#include "thread/thread.h"

#define N 600

static unsigned
set_arena(unsigned index)
{
	unsigned old = 0;
	size_t length = sizeof old;

	REQUIRE(API(mallctl)("thread.arena", &old, &length, &index, sizeof index) == 0);
	return old;
}

static unsigned
create_arena(void)
{
	unsigned index = 0;
	size_t length = sizeof index;

	REQUIRE(API(mallctl)("arenas.create", &index, &length, NULL, 0) == 0);
	return index;
}

/* Sizes of slabs that a thread would own, and of extents. */
static size_t
size_of(unsigned i)
{
	return i % 20 == 0 ? 40000 + i * 100 : (i * 37) % 3000;
}

static void
allocate(void **objects)
{
	for (unsigned i = 0; i < N; i++) {
		objects[i] = API(malloc)(size_of(i));
		REQUIRE(objects[i] != NULL);
		memset(objects[i], (int)i, size_of(i));
	}
}

static unsigned
count_in(void **objects, unsigned arena)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		n += edata_arena(emap_lookup(objects[i])) == arena;
	return n;
}

static void
free_all(void **objects)
{
	for (unsigned i = 0; i < N; i++)
		API(free)(objects[i]);
}

TEST(a_manual_arena_serves_its_threads_from_shared_slabs)
{
	static void *before[N], *in[N], *after[N];
	const unsigned manual = create_arena();

	allocate(before);
	const unsigned old = set_arena(manual);
	CHECK(old != manual);
	allocate(in);
	CHECK_EQ(count_in(in, manual), N);
	for (unsigned i = 0; i < N; i++)
		CHECK(load_relaxed(&emap_lookup(in[i])->owner) == NULL);
	/* Also resized, and freed again. */
	for (unsigned i = 0; i < N; i += 3)
		in[i] = API(realloc)(in[i], size_of(i) * 2 + 100);
	CHECK_EQ(count_in(in, manual), N);
	free_all(before);
	CHECK_EQ(set_arena(old), manual);
	allocate(after);
	CHECK_EQ(count_in(after, manual), 0);
	CHECK_EQ(count_in(after, old), N);
	free_all(in);
	free_all(after);
	arena_check(arena_get(manual));
	arena_check(arena_get(old));
}

TEST(nothing_stays_in_a_thread_that_leaves_its_arena)
{
	static void *objects[N];
	const unsigned manual = create_arena();

	allocate(objects);
	free_all(objects);
	const unsigned old = set_arena(manual);
	CHECK(thread_self->tcache == NULL);
	CHECK(thread_tcache == &tcache_none);
	CHECK_EQ(API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
	CHECK_EQ(API(mallctl)("thread.idle", NULL, NULL, NULL, 0), 0);
	set_arena(old);
	CHECK(thread_tcache != &tcache_none);
	tcache_check(thread_tcache);
}

static void *
end_in_manual_arena(void *arg)
{
	static void *objects[N];

	set_arena(*(unsigned *)arg);
	allocate(objects);
	free_all(objects);
	return NULL;
}

TEST(a_thread_may_end_in_a_manual_arena)
{
	unsigned manual = create_arena();
	pthread_t thread;

	for (int i = 0; i < 20; i++) {
		REQUIRE(pthread_create(&thread, NULL, end_in_manual_arena, &manual) == 0);
		pthread_join(thread, NULL);
	}
	CHECK_EQ(load_relaxed(&arena_get(manual)->n_threads), 0);
	arena_check(arena_get(manual));
}

TEST(threads_of_an_automatic_arena_are_counted)
{
	const unsigned manual = create_arena();
	const unsigned old = set_arena(manual);

	CHECK_EQ(load_relaxed(&arena_get(manual)->n_threads), 1);
	const unsigned before = load_relaxed(&arena_get(old)->n_threads);
	set_arena(old);
	CHECK_EQ(load_relaxed(&arena_get(manual)->n_threads), 0);
	CHECK_EQ(load_relaxed(&arena_get(old)->n_threads), before + 1);
}
