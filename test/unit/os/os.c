/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "os/os.h"

#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "harness/test.h"
#include "os/thread.h"

extern char **environ;

TEST(clocks_go_forward_on_one_scale)
{
	uint64_t last = os_clock_ns();
	for (int i = 0; i < 1000; i++) {
		uint64_t now = os_clock_ns();
		CHECK(now >= last);
		last = now;
	}
	uint64_t coarse = os_clock_coarse_ns();
	CHECK(coarse <= os_clock_ns());
	CHECK(coarse + UINT64_C(1000000000) > last);
}

TEST(cpu_count_is_within_the_affinity_mask)
{
	cpu_set_t set, old;
	REQUIRE(sched_getaffinity(0, sizeof(old), &old) == 0);
	errno = 0;
	unsigned count = os_cpu_count();
	CHECK(count >= 1 && count <= (unsigned)CPU_COUNT(&old));
	CHECK_EQ(errno, 0);
	int cpu = os_cpu_current();
	CHECK(cpu >= 0 && CPU_ISSET(cpu, &old));
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
	CHECK_EQ(os_cpu_count(), 1);
	CHECK_EQ(os_cpu_current(), cpu);
	sched_setaffinity(0, sizeof(old), &old);
}

TEST(entropy_differs_between_calls)
{
	uint64_t a = os_entropy(), b = os_entropy(), c = os_entropy();
	CHECK(a != b && b != c && a != c);
}

TEST(getenv_follows_the_program)
{
	setenv("TRACT_TEST_NAME", "value", 1);
	CHECK(os_getenv("TRACT_TEST_NAME") != NULL);
	CHECK_STR(os_getenv("TRACT_TEST_NAME"), "value");
	CHECK(os_getenv("TRACT_TEST_NAM") == NULL);
	CHECK(os_getenv("TRACT_TEST_NAME2") == NULL);
	setenv("TRACT_TEST_NAME", "", 1);
	CHECK_STR(os_getenv("TRACT_TEST_NAME"), "");
	unsetenv("TRACT_TEST_NAME");
	CHECK(os_getenv("TRACT_TEST_NAME") == NULL);
}

TEST(getenv_works_before_libc_has_set_environ)
{
	const char *path = getenv("PATH");
	if (path == NULL)
		SKIP("no PATH in the environment");
	char **saved = environ;
	environ = NULL;
	const char *early = os_getenv("PATH");
	bool has_other = os_getenv("TRACT_TEST_ABSENT") != NULL;
	environ = saved;
	REQUIRE(early != NULL);
	CHECK_STR(early, path);
	CHECK(!has_other);
}

TEST(readlink_and_read_file_cut_and_terminate)
{
	char name[] = "/tmp/tract-test-XXXXXX", target[64], small[4];
	int fd = mkstemp(name);
	REQUIRE(fd >= 0);
	CHECK(write(fd, "contents", 8) == 8);
	close(fd);
	errno = 0;
	CHECK_EQ(os_read_file(name, target, sizeof(target)), 8);
	CHECK_STR(target, "contents");
	CHECK_EQ(os_read_file(name, small, sizeof(small)), 3);
	CHECK_STR(small, "con");
	CHECK(!os_readlink(name, target, sizeof(target)));
	CHECK_STR(target, "contents"); /* untouched */
	unlink(name);
	CHECK_EQ(os_read_file(name, target, sizeof(target)), 0);
	CHECK_EQ(os_read_file("/", target, sizeof(target)), 0);
	CHECK_EQ(errno, 0);
	REQUIRE(symlink("some:target", name) == 0);
	CHECK(os_readlink(name, target, sizeof(target)));
	CHECK_STR(target, "some:target");
	CHECK(os_readlink(name, small, sizeof(small)));
	CHECK_STR(small, "som");
	unlink(name);
}

static void
say_and_abort(void)
{
	os_write_stderr("last words\n", 11);
	os_abort();
}

static void
break_a_promise(void)
{
	unreachable_state();
}

TEST(death_says_why)
{
	test_dies(say_and_abort, "last words");
	test_dies(break_a_promise, "unreachable");
}

static void *
thread_identity(void *result)
{
	((uintptr_t *)result)[0] = os_thread_pointer();
	((uintptr_t *)result)[1] = (uintptr_t)os_thread_id();
	return NULL;
}

TEST(threads_have_different_identities)
{
	pthread_t thread;
	uintptr_t other[2];
	REQUIRE(pthread_create(&thread, NULL, thread_identity, other) == 0);
	CHECK(os_thread_pointer() == os_thread_pointer());
	CHECK_EQ(os_thread_id(), getpid());
	pthread_join(thread, NULL);
	CHECK(other[0] != os_thread_pointer());
	CHECK(other[1] != (uintptr_t)os_thread_id());
}

static _Atomic(uint32_t) futex_word;

static void *
wake_later(void *unused)
{
	(void)unused;
	usleep(20000);
	atomic_store(&futex_word, 1);
	os_futex_wake(&futex_word, 1);
	return NULL;
}

TEST(futex_sleeps_wakes_and_times_out)
{
	errno = 0;
	atomic_store(&futex_word, 0);
	CHECK(os_futex_wait(&futex_word, 5,
	    UINT64_MAX)); /* another value: returns at once */
	uint64_t start = os_clock_ns();
	CHECK(!os_futex_wait(&futex_word, 0, 10000000));
	CHECK(os_clock_ns() - start >= 9000000);
	pthread_t thread;
	REQUIRE(pthread_create(&thread, NULL, wake_later, NULL) == 0);
	while (atomic_load(&futex_word) == 0)
		os_futex_wait(&futex_word, 0, UINT64_MAX);
	pthread_join(thread, NULL);
	CHECK_EQ(errno, 0);
}
