/* SPDX-License-Identifier: MIT */
/*
 * opt.background_thread_auto's worker, by the calls that interposed functions make.  The tests go
 * on from each other: what the program chooses in the last of them holds for good.
 */
#include "ctl/background.h"

#include <pthread.h>
#include <sys/wait.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "ctl/stats.h"
#include "harness/test.h"
#include "os/inject.h"
#include "os/os.h"
#include "os/thread.h"
#include "thread/thread.h"

static unsigned
n_workers(void)
{
	struct background_figures f;
	struct mutex_figures control, worst;

	background_gather(&f, &control, &worst);
	return (unsigned)f.num_threads;
}

TEST(threads_of_the_process_are_counted)
{
	const unsigned before = os_thread_count();
	/* A sanitizer may have its own. */
	REQUIRE(before >= 1);
	errno = 77;
	CHECK_EQ(os_thread_count(), before);
	CHECK_EQ(errno, 77);
	CHECK(os_thread_is_first());
}

static void *
make_it_elsewhere(void *is_first)
{
	*(bool *)is_first = os_thread_is_first();
	(void)background_thread_coming();
	return NULL;
}

/* Else nobody would end it with the first thread. */
TEST(the_first_thread_must_be_known_before_there_is_a_worker)
{
	pthread_t thread;
	bool is_first = true;

	opt.background_thread_auto = true;
	REQUIRE(pthread_create(&thread, NULL, make_it_elsewhere, &is_first) == 0);
	pthread_join(thread, NULL);
	CHECK(!is_first);
	CHECK(!background_is_on());
}

static int
no_threads(const char *what)
{
	return strcmp(what, "thread") == 0 ? EAGAIN : 0;
}

TEST(none_is_made_inside_a_hook)
{
	ehooks_enter();
	(void)background_thread_coming();
	ehooks_leave();
	CHECK(!background_is_on());
}

TEST(a_worker_that_was_not_to_be_had_is_tried_again_with_the_next_thread)
{
	if (CONFIG_DEBUG) {
		os_inject = no_threads;
		CHECK(!background_thread_coming());
		os_inject = NULL;
		CHECK(!background_is_on());
		CHECK(load_relaxed(&arena_delegate) == NULL);
	}
	CHECK(background_thread_coming());
	CHECK_EQ(n_workers(), 1);
	CHECK(!background_thread_coming());
	CHECK_EQ(n_workers(), 1);
}

TEST(it_ends_when_the_thread_it_was_made_for_is_not_to_be_had)
{
	background_thread_refused();
	CHECK(!background_is_on());
	CHECK(load_relaxed(&arena_delegate) == NULL);
	background_thread_refused();
	/* On a busy machine the other may need longer to end than anybody waits for it. */
	for (unsigned i = 0; i < 100 && !background_thread_coming(); i++)
		usleep(10000);
	CHECK_EQ(n_workers(), 1);
}

TEST(it_steps_aside_for_its_one_thread_and_comes_back_with_the_next)
{
	bool is_alone = false;

	if (os_thread_count() != 2)
		SKIP("the process has threads that nobody here made");
	/* On a busy machine it may need longer to end than anybody waits for it. */
	for (unsigned i = 0; i < 5 && !is_alone; i++) {
		background_step_aside();
		CHECK(!background_is_on());
		is_alone = os_thread_count() == 1;
		CHECK(load_relaxed(&arena_delegate) == NULL);
		while (os_thread_count() != 1)
			usleep(1000);
		(void)background_thread_coming();
		CHECK_EQ(n_workers(), 1);
	}
	CHECK(is_alone);
}

static void *
wait_at(void *barrier)
{
	pthread_barrier_wait(barrier);
	return NULL;
}

TEST(it_stays_while_there_are_several_threads)
{
	pthread_barrier_t barrier;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	REQUIRE(pthread_create(&thread, NULL, wait_at, &barrier) == 0);
	background_step_aside();
	CHECK_EQ(n_workers(), 1);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

TEST(a_child_has_none_before_it_makes_a_thread)
{
	if (BUILT_FOR_TSAN)
		SKIP("ThreadSanitizer allows no thread in a child");
	const pid_t child = fork();
	if (child == 0) {
		const bool has = background_is_on();
		(void)background_thread_coming();
		_exit(has || n_workers() != 1);
	}
	int status = -1;
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	(void)background_thread_coming();
	CHECK_EQ(n_workers(), 1);
}

TEST(who_asks_for_workers_gets_more_than_this_one_and_they_stay)
{
	REQUIRE(background_set(BACKGROUND_ON));
	CHECK_EQ(n_workers(), min_size(opt.max_background_threads, arenas_automatic()));
	background_step_aside();
	CHECK(background_is_on());
	REQUIRE(background_set(BACKGROUND_OFF));
}

TEST(who_wants_none_gets_none)
{
	CHECK(!background_thread_coming());
	CHECK(!background_is_on());
}
