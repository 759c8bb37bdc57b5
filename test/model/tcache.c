/* SPDX-License-Identifier: MIT */
/*
 * A tcache under random operations, and checked after each: allocations, own frees, frees
 * by a second thread, flushes, trimming, purging of pages inside slabs, sharing and
 * adoption.  The second thread acts on demand, so that a run can be repeated.
 */
#include "harness/whole.h"

#include <pthread.h>
#include <semaphore.h>

#include "api/names.h"

#define SLOTS 600
#define STEPS (BUILT_FOR_TSAN ? 5000 : 200000)

static struct slot {
	unsigned char *p;
	size_t size;
	unsigned char mark;
} slots[SLOTS];

/* ---- the other thread ---- */

static sem_t wanted, finished;
static void *to_free[64];
static unsigned n_to_free;
static bool is_over;

static void *
other_thread(void *arg)
{
	thread_grow_up(thread_start());
	for (;;) {
		sem_wait(&wanted);
		if (is_over)
			return arg;
		for (unsigned i = 0; i < n_to_free; i++)
			API(free)(to_free[i]);
		/* Now and then it leaves messages unposted. */
		if (n_to_free % 3 != 0)
			tcache_post_all(thread_start()->tcache);
		tcache_check(thread_start()->tcache);
		sem_post(&finished);
	}
}

/* ---- operations ---- */

static void
take(uint64_t *seed, struct slot *s)
{
	/* Few classes, so that slabs fill up. */
	static const size_t sizes[] = { 8, 16, 48, 320, 1024, 1280, 2560, 7168, 20000,
		32768, 40960, 70000 };

	s->size = sizes[test_random_below(seed, sizeof sizes / sizeof sizes[0])];
	s->mark = (unsigned char)test_random(seed);
	s->p = API(malloc)(s->size);
	REQUIRE(s->p != NULL);
	memset(s->p, s->mark, s->size);
}

static void
check_slot(const struct slot *s)
{
	for (size_t i = 0; i < s->size; i += i < 32 ? 1 : 61)
		if (s->p[i] != s->mark) {
			CHECK(!"an object keeps its contents");
			return;
		}
}

static void
drop(struct slot *s)
{
	check_slot(s);
	API(free)(s->p);
	s->p = NULL;
}

static void
drop_elsewhere(uint64_t *seed)
{
	n_to_free = 0;
	for (unsigned i = 0; i < 64; i++) {
		struct slot *s = &slots[test_random_below(seed, SLOTS)];
		if (s->p == NULL)
			continue;
		check_slot(s);
		to_free[n_to_free++] = s->p;
		s->p = NULL;
	}
	sem_post(&wanted);
	sem_wait(&finished);
}

/* The tcache goes to the pool; the next one comes from there, most often the same. */
static void
change_tcache(uint64_t *seed)
{
	struct thread *thread = thread_self;
	struct tcache *tc = thread->tcache;

	thread_tcache = &tcache_none;
	tcache_pool_put(tc);
	if (test_random_below(seed, 2) == 0)
		tcache_pool_age(thread->arena, UINT64_MAX / 2);
	thread->tcache = tcache_pool_get(thread->arena);
	REQUIRE(thread->tcache != NULL);
	thread_tcache = thread->tcache;
}

static void
act(uint64_t *seed)
{
	struct slot *s = &slots[test_random_below(seed, SLOTS)];
	const uint64_t kind = test_random_below(seed, 1000);

	if (kind < 3)
		tcache_flush(thread_self->tcache);
	else if (kind < 5)
		tcache_share_slabs(thread_self->tcache);
	else if (kind < 8)
		change_tcache(seed);
	else if (kind < 12)
		tcache_comb_everything(thread_self->tcache);
	else if (kind < 15)
		tcache_tick_now(thread_self->tcache);
	else if (kind < 20)
		(void)tcache_drain(thread_self->tcache);
	else if (kind < 30)
		drop_elsewhere(seed);
	else if (s->p == NULL)
		take(seed, s);
	else
		drop(s);
}

TEST(a_tcache_is_whole_after_each_of_many_random_operations)
{
	uint64_t seed = test_seed();
	pthread_t other;

	REQUIRE(thread_start() != NULL);
	REQUIRE(sem_init(&wanted, 0, 0) == 0 && sem_init(&finished, 0, 0) == 0);
	REQUIRE(pthread_create(&other, NULL, other_thread, NULL) == 0);
	for (unsigned step = 0; step < STEPS; step++) {
		act(&seed);
		tcache_check(thread_self->tcache);
		if (step % 64 == 0)
			arena_check_shared(thread_self->arena);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].p != NULL)
			drop(&slots[i]);
	is_over = true;
	sem_post(&wanted);
	pthread_join(other, NULL);
	whole_check_empty();
}
