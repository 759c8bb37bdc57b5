/* SPDX-License-Identifier: MIT */
#include "sync/mutex.h"

#include <pthread.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "harness/test.h"
#include "os/os.h"
#include "sync/rank.h"

#define N_THREADS 8

static struct mutex first = MUTEX_INITIALIZER(ARENAS);
static struct mutex second = MUTEX_INITIALIZER(BIN);
static struct mutex twin = MUTEX_INITIALIZER(BIN);

static void
run_threads(void *(*body)(void *), void *argument)
{
	pthread_t threads[N_THREADS];
	for (unsigned i = 0; i < N_THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, body, argument) == 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
}

TEST(trylock_fails_on_a_held_lock_only)
{
	CHECK(mutex_none_held());
	CHECK(mutex_trylock(&first));
	CHECK(mutex_is_held(&first));
	CHECK(!mutex_trylock(&first));
	uint64_t start = os_clock_ns();
	CHECK(!mutex_trylock_for(&first, 1000000));
	CHECK(os_clock_ns() - start >= 1000000);
	mutex_unlock(&first);
	CHECK(mutex_trylock_for(&first, 0));
	mutex_unlock(&first);
	CHECK(mutex_none_held());
}

TEST(unlocking_what_a_fork_has_reset_is_harmless)
{
	mutex_lock(&first);
	mutex_reset_in_child(&first);
	sync_reset_in_child();
	mutex_unlock(&first);
	CHECK(mutex_trylock(&first));
	mutex_unlock(&first);
}

TEST(a_lock_begins_free_with_its_rank)
{
	struct mutex m;
	mutex_init(&m, RANK_DECAY);
	CHECK_EQ(m.rank, RANK_DECAY);
	CHECK_EQ(load_relaxed(&m.stats.n_ops), 0);
	CHECK(mutex_trylock(&m));
	mutex_unlock(&m);
}

/* Several locks, so that buckets and waiters of different locks mix. */
struct counter {
	struct mutex lock;
	uint64_t value; /* Guarded by lock. */
};

static struct counter counters[3];
#define ROUNDS 30000

static void *
count_up(void *unused)
{
	(void)unused;
	uint64_t random = (uint64_t)os_thread_id();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct counter *c =
		    &counters[test_random_below(&random, COUNT_OF(counters))];
		if (i % 16 != 0)
			mutex_lock(&c->lock);
		else if (!mutex_trylock(&c->lock))
			mutex_lock(&c->lock);
		c->value++;
		if (i % 512 == 0)
			os_yield(); /* be preempted with the lock: others have to sleep */
		mutex_unlock(&c->lock);
	}
	return NULL;
}

static void
count_with_spins(int64_t max_spin)
{
	int64_t saved = mutex_max_spin;
	mutex_max_spin = max_spin;
	uint64_t sum = 0, n_ops = 0, n_wait = 0;
	for (unsigned i = 0; i < COUNT_OF(counters); i++) {
		mutex_init(&counters[i].lock, RANK_LEAF);
		counters[i].value = 0;
	}
	run_threads(count_up, NULL);
	for (unsigned i = 0; i < COUNT_OF(counters); i++) {
		struct mutex_stats *stats = &counters[i].lock.stats;
		sum += counters[i].value;
		n_ops += load_relaxed(&stats->n_ops);
		n_wait += load_relaxed(&stats->n_wait);
		CHECK_EQ(load_relaxed(&counters[i].lock.word), 0);
		CHECK_EQ(load_relaxed(&stats->waiting), 0);
		CHECK(load_relaxed(&stats->max_waiting) <= N_THREADS);
		CHECK(load_relaxed(&stats->n_owner_switch) >= 1);
		CHECK(load_relaxed(&stats->max_wait_ns)
		    <= load_relaxed(&stats->total_wait_ns));
	}
	CHECK_EQ(sum, (uint64_t)N_THREADS * ROUNDS);
	CHECK_EQ(n_ops, (uint64_t)N_THREADS * ROUNDS);
	CHECK(max_spin >= 0 || n_wait == 0);
	mutex_max_spin = saved;
}

TEST(holders_exclude_each_other_when_all_sleep)
{
	count_with_spins(0);
}

TEST(holders_exclude_each_other_when_some_spin)
{
	count_with_spins(100);
}

TEST(holders_exclude_each_other_when_nobody_sleeps)
{
	count_with_spins(-1);
}

static void *
lock_and_unlock(void *m)
{
	mutex_lock(m);
	mutex_unlock(m);
	return NULL;
}

TEST(sleepers_are_counted_and_all_woken)
{
	pthread_t threads[N_THREADS];
	struct mutex m = MUTEX_INITIALIZER(BASE);
	mutex_lock(&m);
	for (unsigned i = 0; i < N_THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, lock_and_unlock, &m) == 0);
	while (load_relaxed(&m.stats.waiting) < N_THREADS)
		usleep(1000);
	usleep(10000);
	mutex_unlock(&m);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(load_relaxed(&m.stats.n_ops), N_THREADS + 1);
	CHECK_EQ(load_relaxed(&m.stats.max_waiting), N_THREADS);
	CHECK(load_relaxed(&m.stats.n_wait) >= 1);
	CHECK(load_relaxed(&m.stats.max_wait_ns) >= 5000000);
}

TEST(child_of_a_fork_works_after_the_reset)
{
	pthread_t threads[2];
	struct mutex m = MUTEX_INITIALIZER(BASE);
	mutex_lock(&m);
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, lock_and_unlock, &m) == 0);
	while (load_relaxed(&m.stats.waiting) < 2)
		usleep(1000);
	usleep(5000);
	pid_t child = fork();
	if (child == 0) {
		mutex_reset_in_child(&m);
		sync_reset_in_child();
		alarm(20);
		mutex_lock(&m);
		bool is_whole = load_relaxed(&m.stats.waiting) == 0;
		mutex_unlock(&m);
		_exit(is_whole && load_relaxed(&m.word) == 0 ? 0 : 1);
	}
	int status = -1;
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
	mutex_unlock(&m);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void
take_backwards(void)
{
	mutex_lock(&second);
	mutex_lock(&first);
}

static void
take_equals(void)
{
	mutex_lock(&second);
	mutex_lock(&twin);
}

static void
take_twice(void)
{
	mutex_lock(&first);
	mutex_lock(&first);
}

static void *
release(void *m)
{
	mutex_unlock(m);
	return NULL;
}

static void
release_what_is_free(void)
{
	/* Not the process that an earlier test reset: a thread of its own has a clean record. */
	pthread_t thread;
	pthread_create(&thread, NULL, release, &first);
	pthread_join(thread, NULL);
}

TEST(rank_order_is_asserted)
{
	if (!CONFIG_DEBUG)
		SKIP("ranks are checked in debug builds");
	test_dies(take_backwards, "rank < m->rank");
	test_dies(take_equals, "rank < m->rank");
	test_dies(take_twice, "!= m");
	test_dies(release_what_is_free, "was_reset");
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&first);
	CHECK(mutex_is_held(&second) && !mutex_is_held(&first) && !mutex_none_held());
	mutex_unlock(&second);
}

TEST(trylock_may_break_the_order)
{
	mutex_lock(&second);
	CHECK(mutex_trylock(&first));
	CHECK(mutex_trylock(&twin));
	mutex_unlock(&second);
	mutex_unlock(&twin);
	mutex_unlock(&first);
	CHECK(mutex_none_held());
}

TEST(fork_handlers_may_take_equal_ranks)
{
	sync_rank_checks_pause();
	mutex_lock(&second);
	mutex_lock(&twin);
	mutex_unlock(&second);
	mutex_unlock(&twin);
	sync_rank_checks_resume();
	CHECK(mutex_none_held());
}
