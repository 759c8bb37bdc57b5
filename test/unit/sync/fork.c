/* SPDX-License-Identifier: MIT */
#include "sync/fork.h"

#include <pthread.h>
#include <sys/syscall.h>

#include "harness/test.h"
#include "os/os.h"
#include "sync/mutex.h"

static struct mutex m = MUTEX_INITIALIZER(BIN);
static struct mutex other = MUTEX_INITIALIZER(LARGE);
static atomic_int has_taken;

static void *
take(void *arg)
{
	mutex_lock(arg);
	atomic_store(&has_taken, 1);
	mutex_unlock(arg);
	return NULL;
}

static void *
hold_for_a_while(void *arg)
{
	mutex_lock(arg);
	atomic_store(&has_taken, 1);
	usleep(50000);
	mutex_unlock(arg);
	return NULL;
}

TEST(the_forking_thread_may_use_what_it_holds)
{
	REQUIRE(fork_begin());
	CHECK(mutex_fork_prepare(&m));
	mutex_lock(&m);
	mutex_lock(&other);
	CHECK_EQ(load_relaxed(&m.fork_state), FORK_IN_USE);
	CHECK(!mutex_trylock(&m));
	mutex_unlock(&other);
	mutex_unlock(&m);
	CHECK_EQ(load_relaxed(&m.fork_state), FORK_HELD);
	CHECK(mutex_trylock(&m));
	mutex_unlock(&m);
	CHECK_EQ(load_relaxed(&m.word), 1);
	mutex_fork_parent(&m);
	fork_end();
	CHECK_EQ(load_relaxed(&m.word), 0);
}

/* True: it had to, or this thread slept so long that it did not. */
static bool
waits_for_the_fork(bool *is_late)
{
	pthread_t thread;

	atomic_store(&has_taken, 0);
	REQUIRE(fork_begin());
	CHECK(mutex_fork_prepare(&m));
	const uint64_t begin = os_clock_ns();
	REQUIRE(pthread_create(&thread, NULL, take, &m) == 0);
	usleep(3000);
	const bool has_waited = atomic_load(&has_taken) == 0;
	*is_late = os_clock_ns() - begin > (uint64_t)15 * 1000 * 1000;
	mutex_fork_parent(&m);
	fork_end();
	pthread_join(thread, NULL);
	CHECK_EQ(atomic_load(&has_taken), 1);
	return has_waited || *is_late;
}

TEST(another_thread_has_to_wait_for_the_fork)
{
	bool is_late = true;

	/* On a busy machine this may take a few times: a lock is stolen after 20 ms. */
	for (unsigned i = 0; i < 50 && is_late; i++)
		CHECK(waits_for_the_fork(&is_late));
}

TEST(a_lock_held_too_long_for_a_fork_is_stolen)
{
	pthread_t thread;

	atomic_store(&has_taken, 0);
	REQUIRE(fork_begin());
	CHECK(mutex_fork_prepare(&m));
	REQUIRE(pthread_create(&thread, NULL, take, &m) == 0);
	pthread_join(thread, NULL); /* while the fork still holds it */
	CHECK_EQ(atomic_load(&has_taken), 1);
	CHECK_EQ(load_relaxed(&m.word), 0);
	/* The fork's end does not release what is somebody else's by now. */
	mutex_lock(&m);
	mutex_fork_parent(&m);
	CHECK_EQ(load_relaxed(&m.word), 1);
	mutex_unlock(&m);
	fork_end();
}

/* Somebody who sleeps for the lock already wakes up when it becomes the fork's, and steals it. */
TEST(a_sleeper_steals_too)
{
	pthread_t holder, sleeper;

	atomic_store(&has_taken, 0);
	REQUIRE(pthread_create(&holder, NULL, hold_for_a_while, &m) == 0);
	while (!atomic_load(&has_taken))
		;
	atomic_store(&has_taken, 0);
	REQUIRE(pthread_create(&sleeper, NULL, take, &m) == 0);
	REQUIRE(fork_begin());
	while (!mutex_fork_prepare(&m))
		;
	pthread_join(holder, NULL);
	pthread_join(sleeper, NULL);
	CHECK_EQ(atomic_load(&has_taken), 1);
	mutex_fork_parent(&m);
	fork_end();
	CHECK_EQ(load_relaxed(&m.word), 0);
}

static _Atomic(int) may_release;

static void *
hold_until_told(void *mutex)
{
	mutex_lock(mutex);
	atomic_store(&has_taken, 1);
	while (!atomic_load(&may_release))
		usleep(1000);
	mutex_unlock(mutex);
	return NULL;
}

/* The holder lets go only afterwards: who waited for that would wait for ever. */
TEST(preparing_waits_for_a_holder_only_for_a_moment)
{
	pthread_t thread;

	atomic_store(&has_taken, 0);
	REQUIRE(pthread_create(&thread, NULL, hold_until_told, &m) == 0);
	while (!atomic_load(&has_taken))
		usleep(1000);
	REQUIRE(fork_begin());
	const uint64_t start = os_clock_ns();
	CHECK(!mutex_fork_prepare(&m));
	CHECK(os_clock_ns() - start < (uint64_t)10 * 1000 * 1000 * 1000);
	mutex_fork_parent(&m);
	fork_end();
	atomic_store(&may_release, 1);
	pthread_join(thread, NULL);
}

static void *
try_to_fork(void *arg)
{
	*(bool *)arg = fork_begin();
	return NULL;
}

TEST(only_one_thread_forks_and_it_once)
{
	bool is_begun = true;
	pthread_t thread;

	REQUIRE(fork_begin());
	CHECK(!fork_begin());
	REQUIRE(pthread_create(&thread, NULL, try_to_fork, &is_begun) == 0);
	pthread_join(thread, NULL);
	CHECK(!is_begun);
	fork_end();
	CHECK(!fork_is_mine());
}

/* What the child of a real fork finds of three locks: taken, somebody's, and its own before. */
static void
check_in_child(struct mutex *taken, struct mutex *foreign, struct mutex *own)
{
	bool good = mutex_fork_child(taken) && !mutex_fork_child(foreign);

	good = mutex_fork_child(own) && good;
	good = good && load_relaxed(&own->word) != 0;
	sync_reset_in_child();
	fork_end_in_child();
	/* The interrupted operation ends. */
	mutex_unlock(own);
	mutex_lock(taken);
	mutex_unlock(taken);
	mutex_lock(foreign);
	mutex_unlock(foreign);
	good =
	    good && load_relaxed(&own->word) == 0 && load_relaxed(&own->fork_state) == 0;
	_exit(good ? 0 : 1);
}

TEST(the_child_knows_what_was_locked_by_whom)
{
	static struct mutex foreign = MUTEX_INITIALIZER(GROW);
	static struct mutex own = MUTEX_INITIALIZER(BASE);
	pthread_t thread;
	int status = 1;

	atomic_store(&has_taken, 0);
	atomic_store(&may_release, 0);
	REQUIRE(pthread_create(&thread, NULL, hold_until_told, &foreign) == 0);
	while (!atomic_load(&has_taken))
		;
	mutex_lock(&own);
	REQUIRE(fork_begin());
	CHECK(mutex_fork_prepare(&m));
	CHECK(!mutex_fork_prepare(&foreign));
	CHECK(!mutex_fork_prepare(&own));
	/* Not libc's: the library's own handlers would run. */
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		alarm(20);
		check_in_child(&m, &foreign, &own);
	}
	mutex_fork_parent(&own);
	mutex_fork_parent(&foreign);
	mutex_fork_parent(&m);
	fork_end();
	mutex_unlock(&own);
	REQUIRE(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	atomic_store(&may_release, 1);
	pthread_join(thread, NULL);
}
