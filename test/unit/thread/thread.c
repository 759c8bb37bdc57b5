/* SPDX-License-Identifier: MIT */
#include "thread/thread.h"

#include <pthread.h>

#include "api/names.h"
#include "extent/emap.h"
#include "harness/whole.h"

static void
in_a_thread(void *(*body)(void *))
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, body, NULL) == 0);
	pthread_join(thread, NULL);
}

static void *
begin(void *arg)
{
	CHECK(thread_self == NULL && thread_tcache == &tcache_none);
	void *p = API(malloc)(1);
	CHECK(p != NULL);
	CHECK(thread_self != NULL && thread_self != &thread_ended);
	CHECK(thread_start() == thread_self);
	API(free)(p);
	thread_grow_up(thread_self);
	CHECK(thread_tcache == thread_self->tcache);
	CHECK(thread_self->tcache->arena == thread_self->arena);
	return arg;
}

TEST(a_thread_begins_with_its_first_allocation)
{
	in_a_thread(begin);
	whole_check_empty();
}

static void *
stay_young(void *arg)
{
	struct thread *thread = thread_start();
	void *p[THREAD_YOUNG_CALLS];

	CHECK(thread->tcache == NULL && thread_tcache == &tcache_none);
	for (unsigned i = 0; i < THREAD_YOUNG_CALLS - 1; i++) {
		REQUIRE((p[i] = API(malloc)(100)) != NULL);
		CHECK(emap_lookup(p[i]) != NULL
		    && arena_of(emap_lookup(p[i])) == thread->arena);
		CHECK(thread->tcache == NULL);
	}
	API(free)(p[0]);
	CHECK(thread->tcache != NULL && thread_tcache == thread->tcache);
	for (unsigned i = 1; i < THREAD_YOUNG_CALLS - 1; i++)
		API(free)(p[i]);
	return arg;
}

TEST(a_thread_has_no_tcache_until_it_has_called_often)
{
	/* The first of all has one at once. */
	in_a_thread(begin);
	in_a_thread(stay_young);
	whole_check_empty();
}

static void *
only_free(void *objects)
{
	void **p = objects;

	CHECK(thread_self == NULL);
	for (unsigned i = 0; p[i] != NULL; i++)
		API(free)(p[i]);
	CHECK(thread_self != NULL && thread_self->tcache != NULL);
	return NULL;
}

TEST(a_thread_that_only_frees_gets_one_to_send_messages_from)
{
	static void *p[200];
	pthread_t thread;

	for (unsigned i = 0; i < COUNT_OF(p) - 1; i++)
		REQUIRE((p[i] = API(malloc)(100)) != NULL);
	REQUIRE(pthread_create(&thread, NULL, only_free, p) == 0);
	pthread_join(thread, NULL);
	whole_check_empty();
}

static void *
ask_young(void *arg)
{
	size_t max, size = sizeof max;

	CHECK(thread_start()->tcache == NULL);
	CHECK_EQ(API(mallctl)("thread.tcache.max", &max, &size, NULL, 0), 0);
	CHECK(thread_start()->tcache != NULL);
	return arg;
}

TEST(a_young_thread_that_asks_for_its_tcache_has_one)
{
	in_a_thread(ask_young);
}

static void *
move_young(void *manual)
{
	struct thread *thread = thread_start();
	struct arena *home = thread->arena;

	REQUIRE(thread_migrate(thread, manual));
	for (unsigned i = 0; i < 2 * THREAD_YOUNG_CALLS; i++)
		API(free)(API(malloc)(100));
	CHECK(thread->tcache == NULL);
	REQUIRE(thread_migrate(thread, home));
	CHECK(thread->tcache != NULL && thread_tcache == thread->tcache);
	return NULL;
}

TEST(a_young_thread_may_move_to_a_manual_arena)
{
	pthread_t thread;
	struct arena *manual = arena_create_manual(NULL);

	REQUIRE(manual != NULL);
	REQUIRE(pthread_create(&thread, NULL, move_young, manual) == 0);
	pthread_join(thread, NULL);
	arena_destroy(manual);
}

static void *
use_modes(void *arg)
{
	struct thread *thread = thread_start();

	REQUIRE(thread != NULL);
	thread_grow_up(thread);
	thread_set_mode(thread, MODE_COUNTING);
	CHECK(thread_tcache == &tcache_none);
	thread_set_mode(thread, MODE_FILLING);
	thread_clear_mode(thread, MODE_COUNTING);
	CHECK(thread_tcache == &tcache_none);
	thread_clear_mode(thread, MODE_FILLING);
	CHECK(thread_tcache == thread->tcache);
	return arg;
}

TEST(any_mode_leads_to_the_slow_path)
{
	in_a_thread(use_modes);
}

static unsigned
all_threads(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < arenas_automatic(); i++)
		if (arena_get(i) != NULL)
			n += load_relaxed(&arena_get(i)->n_threads);
	return n;
}

TEST(a_thread_that_ends_leaves_its_arena_and_its_tcache)
{
	size_t records = 0;

	(void)thread_start();
	const unsigned before = all_threads();
	for (unsigned i = 0; i < 200; i++) {
		in_a_thread(begin);
		CHECK_EQ(all_threads(), before);
		if (i == 20)
			records = base_stats(&base_zero).allocated;
	}
	/* Records and tcaches are used again. */
	CHECK_EQ(base_stats(&base_zero).allocated, records);
}

static pthread_key_t late_key;
/* Atomic, since ThreadSanitizer has forgotten the thread by the last round, and its join too. */
static _Atomic(unsigned) n_late;
static _Atomic(void *) last; /* of the last round, which nobody frees */

static void
allocate_late(void *p)
{
	API(free)(p);
	void *q = API(malloc)(100);
	CHECK(q != NULL);
	memset(q, 1, 100);
	n_late++;
	last = q;
	pthread_setspecific(late_key, q);
}

static void *
end_late(void *arg)
{
	pthread_setspecific(late_key, API(malloc)(100));
	return arg;
}

TEST(destructors_may_allocate_in_every_round)
{
	REQUIRE(pthread_key_create(&late_key, allocate_late) == 0);
	in_a_thread(end_late);
	CHECK(n_late >= 3);
	API(free)(last);
	pthread_key_delete(late_key);
}

static void *
migrate(void *arg)
{
	struct arena *arena = arg;
	struct thread *thread = thread_start();
	struct arena *home = thread->arena;
	void *before[300];

	for (unsigned i = 0; i < 300; i++)
		REQUIRE((before[i] = API(malloc)(200)) != NULL);
	REQUIRE(thread_migrate(thread, arena));
	CHECK(thread->arena == arena && thread->tcache == NULL);
	CHECK(thread_tcache == &tcache_none);
	CHECK_EQ(load_relaxed(&arena->n_threads), 1);
	void *p = API(malloc)(200);
	CHECK(p != NULL && arena_of(emap_lookup(p)) == arena);
	/* What it had is in nobody's slabs now. */
	for (unsigned i = 0; i < 300; i++) {
		CHECK(load_relaxed(&emap_lookup(before[i])->owner) == NULL);
		API(free)(before[i]);
	}
	API(free)(p);
	REQUIRE(thread_migrate(thread, home));
	CHECK(thread->tcache != NULL && thread_tcache == thread->tcache);
	CHECK_EQ(load_relaxed(&arena->n_threads), 0);
	return NULL;
}

TEST(a_thread_may_move_to_a_manual_arena_and_back)
{
	pthread_t thread;
	struct arena *arena = arena_create_manual(NULL);

	REQUIRE(arena != NULL);
	REQUIRE(pthread_create(&thread, NULL, migrate, arena) == 0);
	pthread_join(thread, NULL);
	arena_check(arena);
	arena_destroy(arena);
	whole_check_empty();
}
