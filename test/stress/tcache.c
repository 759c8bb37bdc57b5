/* SPDX-License-Identifier: MIT */
/*
 * Threads allocate, hand objects to each other through a board, free what they find there, and end;
 * others are born and adopt their tcaches.  When all is freed, all must be home.
 */
#include "harness/whole.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "api/names.h"
#include "os/os.h"

#define THREADS 8
#define GENERATIONS (BUILT_FOR_TSAN ? 6 : 20)
#define OPERATIONS (BUILT_FOR_TSAN ? 6000 : CONFIG_HOSTILE ? 30000 : 100000)
#define BOARD 3000

struct object {
	size_t size;
	uint64_t check;
};

static _Atomic(struct object *) board[BOARD];
static _Atomic(unsigned) n_torn;

static uint64_t
checksum(const struct object *o)
{
	return (uint64_t)(uintptr_t)o * 0x9e3779b97f4a7c15 ^ o->size;
}

static size_t
random_size(uint64_t *seed)
{
	const uint64_t kind = test_random_below(seed, 100);

	if (kind == 0)
		return 33000 + test_random_below(seed, 300000);
	if (kind < 5)
		return 1024 + test_random_below(seed, 31000);
	return sizeof(struct object) + test_random_below(seed, 400);
}

static struct object *
new_object(uint64_t *seed)
{
	const size_t size = random_size(seed);
	const int flags = test_random_below(seed, 20) == 0 ? 1 << 8 : 0;
	struct object *o = API(mallocx)(size, flags);

	REQUIRE(o != NULL);
	o->size = size;
	o->check = checksum(o);
	return o;
}

static void
end_object(struct object *o)
{
	if (o == NULL)
		return;
	if (o->check != checksum(o))
		atomic_fetch_add(&n_torn, 1);
	o->check = 0;
	API(free)(o);
}

static void *
work(void *number)
{
	uint64_t seed = test_seed() + (uintptr_t)number * 7919;
	struct object *own[64] = { NULL };

	for (unsigned i = 0; i < OPERATIONS; i++) {
		struct object **slot = &own[test_random_below(&seed, 64)];
		if (test_random_below(&seed, 3) == 0)
			end_object(atomic_exchange(
			    &board[test_random_below(&seed, BOARD)], new_object(&seed)));
		end_object(*slot);
		*slot = new_object(&seed);
	}
	if (thread_self != NULL && thread_self->tcache != NULL)
		tcache_check(thread_self->tcache);
	/* Half of them outlive the thread. */
	for (unsigned i = 0; i < 64; i++)
		end_object(i % 2 == 0
			? own[i]
			: atomic_exchange(&board[test_random_below(&seed, BOARD)],
			    own[i]));
	return NULL;
}

static void
clear_board(void)
{
	for (unsigned i = 0; i < BOARD; i++)
		end_object(atomic_exchange(&board[i], NULL));
}

TEST(objects_handed_around_by_threads_that_come_and_go_all_come_home)
{
	pthread_t threads[THREADS];
	uintptr_t number = 0;

	(void)test_seed();
	for (unsigned i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, (void *)number++) == 0);
	/* Each that ends is followed by another one, not all at the same time. */
	for (unsigned i = 0; i < THREADS * GENERATIONS; i++) {
		pthread_join(threads[i % THREADS], NULL);
		REQUIRE(pthread_create(&threads[i % THREADS], NULL, work,
			    (void *)number++)
		    == 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	clear_board();
	CHECK_EQ(n_torn, 0);
	whole_check_empty();
}

/* Objects that the other thread is to free, one at a time, while the owner shares its slabs. */
#define HANDED 8
#define SHARINGS (BUILT_FOR_TSAN ? 3000 : 30000)
/* Where others are at work, each wait of a round may be a time slice of theirs: that is enough. */
#define SHARING_NS ((uint64_t)20 * 1000 * 1000 * 1000)
#define LEAST_SHARINGS 500
#define OVER UINT_MAX

static void *handed[HANDED];
static _Atomic(unsigned) n_handed, n_returned; /* rounds */

static void *
return_handed(void *unused)
{
	(void)unused;
	for (unsigned round = 1;; round++) {
		while (atomic_load(&n_handed) < round)
			sched_yield();
		if (atomic_load(&n_handed) == OVER)
			return NULL;
		for (unsigned i = 0; i < HANDED; i++)
			tcache_free_remote(NULL, emap_lookup(handed[i]), handed[i]);
		atomic_store(&n_returned, round);
	}
}

/* The bounded part that spins makes the two meet at every offset. */
static void
share_while_returned(unsigned round, uint64_t *seed)
{
	struct tcache *tc = thread_self->tcache;
	volatile unsigned spins = (unsigned)test_random_below(seed, 2000);

	/* A class that owns nothing may turn cold again at any tick: then some are of shared
	 * slabs. */
	for (unsigned n = 0; n < HANDED;) {
		void *p = API(malloc)(200);
		if (load_relaxed(&emap_lookup(p)->owner) == tc)
			handed[n++] = p;
		else
			API(free)(p);
	}
	atomic_store(&n_handed, round);
	while (spins > 0)
		spins = spins - 1;
	tcache_share_slabs(tc);
	while (atomic_load(&n_returned) != round)
		sched_yield();
	CHECK(load_relaxed(&tc->inbox) == NULL);
}

TEST(nothing_waits_in_the_inbox_of_a_tcache_that_has_shared_its_slabs)
{
	uint64_t seed = test_seed();
	pthread_t thread;

	API(free)(API(malloc)(1));
	REQUIRE(pthread_create(&thread, NULL, return_handed, NULL) == 0);
	const uint64_t end_ns = os_clock_ns() + SHARING_NS;
	for (unsigned round = 1;
	     round <= LEAST_SHARINGS || (round <= SHARINGS && os_clock_ns() < end_ns);
	     round++)
		share_while_returned(round, &seed);
	atomic_store(&n_handed, OVER);
	pthread_join(thread, NULL);
	whole_check_empty();
}

static size_t
count_tcaches(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			LIST_FOR_EACH (l, &arena_get(i)->tcaches)
				n += l != NULL;
	return n;
}

TEST(there_are_no_more_tcaches_than_threads_at_a_time)
{
	/* One for the main thread; one more in each arena if threads spread unevenly. */
	CHECK(count_tcaches() <= 1 + THREADS * (size_t)arenas_automatic());
	CHECK(count_tcaches() >= 2);
}
