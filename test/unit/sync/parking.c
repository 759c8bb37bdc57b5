/* SPDX-License-Identifier: MIT */
#include "sync/parking.h"

#include <pthread.h>
#include <sched.h>

#include "base/atomic.h"
#include "harness/test.h"
#include "os/os.h"

#define N_THREADS 4

static _Atomic(uint8_t) words[2];
static _Atomic(unsigned) n_awake[2];
static _Atomic(int) ids[2 * N_THREADS]; /* of who is about to sleep */
static _Atomic(unsigned) n_ids;

TEST(nobody_sleeps_on_a_word_that_has_changed)
{
	store_relaxed(&words[0], 1);
	alarm(5);
	CHECK(!parking_wait(&words[0], 2));
	alarm(0);
}

TEST(waking_where_nobody_sleeps_only_stores)
{
	store_relaxed(&words[0], 3);
	parking_wake_one(&words[0], 2, 0);
	CHECK_EQ(load_relaxed(&words[0]), 0);
}

static void *
sleep_on(void *word)
{
	ids[n_ids++] = (int)os_thread_id();
	CHECK(parking_wait(word, 3));
	atomic_fetch_add(&n_awake[(_Atomic(uint8_t) *)word - words], 1);
	return NULL;
}

/* As the system says. */
static bool
is_asleep(int id)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
	(void)os_read_file(path, text, sizeof text);
	const char *end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' && end[2] == 'S';
}

static void
wait_until_all_sleep(void)
{
	for (unsigned i = 0; i < 2 * N_THREADS; i++)
		while (ids[i] == 0 || !is_asleep(ids[i]))
			usleep(1000);
}

/* Two words, which share a bucket in the hostile build. */
TEST(each_wake_up_wakes_one_sleeper_of_its_own_word)
{
	pthread_t threads[2][N_THREADS];
	for (unsigned w = 0; w < 2; w++) {
		store_relaxed(&words[w], 3);
		for (unsigned i = 0; i < N_THREADS; i++)
			REQUIRE(pthread_create(&threads[w][i], NULL, sleep_on, &words[w])
			    == 0);
	}
	wait_until_all_sleep();
	for (unsigned i = 1; i <= N_THREADS; i++) {
		parking_wake_one(&words[0], 3, 0);
		while (atomic_load(&n_awake[0]) < i)
			sched_yield();
		usleep(2000);
		CHECK_EQ(atomic_load(&n_awake[0]), i);
		CHECK_EQ(load_relaxed(&words[0]), i < N_THREADS ? 3 : 0);
	}
	CHECK_EQ(atomic_load(&n_awake[1]), 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		parking_wake_one(&words[1], 3, 0);
	for (unsigned w = 0; w < 2; w++)
		for (unsigned i = 0; i < N_THREADS; i++)
			pthread_join(threads[w][i], NULL);
	CHECK_EQ(atomic_load(&n_awake[1]), N_THREADS);
}
