/* SPDX-License-Identifier: MIT */
#include "sync/once.h"

#include <pthread.h>

#include "harness/test.h"
#include "sync/event.h"

static struct once once;
static unsigned n_runs; /* written in the run only */
static bool is_in_progress_inside;

static void
start_over(void)
{
	once = (struct once)ONCE_INITIALIZER;
	n_runs = 0;
	is_in_progress_inside = false;
}

static void
run_slowly(void)
{
	n_runs++;
	is_in_progress_inside = !once_run(&once, run_slowly) && !once_is_done(&once);
	usleep(20000);
}

TEST(runs_once_and_tells_the_runner_that_it_is_inside)
{
	start_over();
	CHECK(!once_is_done(&once));
	CHECK(once_run(&once, run_slowly));
	CHECK(once_run(&once, run_slowly));
	CHECK(once_is_done(&once));
	CHECK(is_in_progress_inside);
	CHECK_EQ(n_runs, 1);
}

static void *
run_and_look(void *unused)
{
	(void)unused;
	CHECK(once_run(&once, run_slowly));
	CHECK_EQ(n_runs, 1);
	return NULL;
}

TEST(other_threads_wait_until_it_is_done)
{
	pthread_t threads[4];
	start_over();
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, run_and_look, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(n_runs, 1);
}

TEST(a_run_that_another_thread_had_begun_begins_anew_in_a_fork_child)
{
	start_over();
	once.state = ONCE_RUNNING;
	once.owner = 1;
	once_reset_in_child(&once);
	CHECK(once_run(&once, run_slowly));
	CHECK_EQ(n_runs, 1);
	once_reset_in_child(&once);
	CHECK(once_is_done(&once));
}

static struct event ping, pong;

static void *
answer(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		CHECK(event_wait(&ping, UINT64_MAX));
		event_signal(&pong);
	}
	return NULL;
}

TEST(event_remembers_one_signal)
{
	struct event e = { 0 };
	CHECK(!event_wait(&e, 0));
	event_signal(&e);
	event_signal(&e);
	CHECK(event_wait(&e, 0));
	uint64_t start = os_clock_ns();
	CHECK(!event_wait(&e, 5000000));
	CHECK(os_clock_ns() - start >= 5000000);
}

TEST(event_signals_are_not_lost)
{
	pthread_t thread;
	REQUIRE(pthread_create(&thread, NULL, answer, NULL) == 0);
	for (int i = 0; i < 2000; i++) {
		event_signal(&ping);
		CHECK(event_wait(&pong, UINT64_C(10000000000)));
	}
	pthread_join(thread, NULL);
	CHECK(!event_wait(&ping, 0) && !event_wait(&pong, 0));
}
