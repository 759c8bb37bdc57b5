/* SPDX-License-Identifier: MIT */
/*
 * background -- are there workers, and does an idle process give its memory back?
 *
 *	background workers THREADS N    after so many threads, each joined, there are N workers
 *	background workers c11 N        after one of thrd_create
 *	background idle                 with a thread made, RSS falls after a peak, without a call
 *	background child N              a fork child has N workers, and its RSS falls with any
 *	background dlopen LIBRARY N     a library that is loaded late has N workers
 *	background storm                makes a thread and forks, over and over: few workers
 *	background alone WHAT           with one thread left, fork or unshare find it alone
 *	background orphan               ends with its last thread, long after its first
 *	background orphan-asks          so does one whose last thread asks for workers
 *	background orphan-child         so does a child that a thread forks
 */
#define _GNU_SOURCE /* unshare */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

static void *
nothing(void *unused)
{
	return unused;
}

static void
make_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) != 0)
		abort();
	pthread_join(thread, NULL);
}

static int
nothing_either(void *unused)
{
	return unused != NULL;
}

static void
make_c11_thread(void)
{
	thrd_t thread;

	if (thrd_create(&thread, nothing_either, NULL) != thrd_success)
		abort();
	thrd_join(thread, NULL);
}

/* A worker takes a moment to tell its name; one too many is seen in that time, too. */
static int
has_workers(unsigned wanted)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };

	for (unsigned i = 0; i < 1000 && count_workers() != wanted; i++)
		nanosleep(&moment, NULL);
	nanosleep(&moment, NULL);
	printf("%u workers, %u wanted\n", count_workers(), wanted);
	return count_workers() == wanted;
}

/* Some seconds and, on a busy machine, some more.  stdio's buffer comes from malloc: not a call
 * until the end. */
static int
gives_back(void)
{
	enum { N = 200000, SIZE = 300 };
	static void *objects[N];

	for (unsigned i = 0; i < N; i++)
		memset(objects[i] = malloc(SIZE), 1, SIZE);
	const long peak = (long)resident_kib();
	for (unsigned i = 0; i < N; i++)
		free(objects[i]);
	long idle = peak;
	for (unsigned i = 0; i < 80 && idle >= peak / 3; i++) {
		sleep_ms(250);
		idle = (long)resident_kib();
	}
	printf("peak %ld KiB, idle %ld KiB\n", peak, idle);
	return idle < peak / 3;
}

#define LARGE ((size_t)32 << 20)

static void
use_much(void)
{
	char *volatile p = malloc(LARGE);

	memset(p, 1, LARGE);
	make_thread();
	free(p);
}

static unsigned
count_threads(void)
{
	struct stat status;

	return stat("/proc/self/task", &status) == 0 ? (unsigned)status.st_nlink - 2 : 0;
}

/* A thread that ended is counted a little longer, and a worker that began has no name yet: until
 * the first thread and workers are all there are.  False: they are not, long after. */
static int
has_settled(void)
{
	for (unsigned i = 0; i < 10000 && count_threads() != 1 + count_workers(); i++)
		usleep(1000);
	return count_threads() == 1 + count_workers();
}

/* True: it was alone as soon as it had returned. */
static int
is_alone_after_fork(void)
{
	int status = 0;

	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	const unsigned n = count_threads();
	printf("%u threads\n", n);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		abort();
	return n == 1;
}

/* Nobody waits long for a worker that comes to no processor: a busy machine has some tries. */
static int
alone(const char *what)
{
	int is = 0;

	use_much();
	for (unsigned i = 0; i < 8 && !is; i++) {
		if (!has_workers(1) || !has_settled())
			return 0;
		/* Does nothing, where there is one thread; else it is denied. */
		is = strcmp(what, "unshare") == 0 ? unshare(CLONE_VM) == 0
						  : is_alone_after_fork();
		if (!has_workers(0) || !has_settled())
			return 0;
		make_thread();
	}
	return is;
}

/* A worker is made for the first sixteen threads, then one a second. */
static int
storm(void)
{
	const time_t begin = time(NULL);
	unsigned n = 0;

	for (unsigned i = 0; i < 60; i++) {
		make_thread();
		if (!has_settled())
			return 0;
		n += count_workers();
		const pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		if (waitpid(pid, NULL, 0) != pid || !has_settled()
		    || count_workers() != 0)
			return 0;
	}
	printf("%u workers in 60 rounds\n", n);
	return n >= 16 && n <= 17 + time(NULL) - begin;
}

static void *
end_late(void *unused)
{
	usleep(200 * 1000);
	/* Not in its own destructors: others' are run, too. */
	free(malloc(1000));
	return unused;
}

static void
leave_threads_behind(void)
{
	pthread_t thread;

	use_much();
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, end_late, NULL) != 0
		    || pthread_detach(thread) != 0)
			abort();
	if (!has_workers(1))
		abort();
}

/* Has the first thread ended? */
static int
is_orphan(void)
{
	char text[4000];

	read_file("/proc/self/stat", text, sizeof text);
	return strstr(text, ") Z ") != NULL;
}

/* The first thread ended unseen: there was no worker yet. */
static void *
ask_for_workers(void *unused)
{
	int (*control)(const char *, void *, size_t *, void *, size_t);
	_Bool on = 1;

	*(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
	while (!is_orphan())
		usleep(1000);
	if (control("background_thread", NULL, NULL, &on, sizeof on) == 0)
		abort();
	return unused;
}

static void
leave_one_that_asks(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, ask_for_workers, NULL) != 0)
		abort();
	pthread_exit(NULL);
}

static void *
fork_here(void *status)
{
	const pid_t pid = fork();

	/* The child's first thread, and it returns. */
	if (pid == 0) {
		leave_threads_behind();
		return status;
	}
	if (waitpid(pid, status, 0) != pid)
		abort();
	return status;
}

static int
child_of_a_thread(void)
{
	static int status = -1;
	pthread_t thread;

	if (pthread_create(&thread, NULL, fork_here, &status) != 0)
		abort();
	pthread_join(thread, NULL);
	return status == 0;
}

static int
child(unsigned wanted)
{
	int status;

	fflush(stdout);
	const pid_t pid = fork();
	if (pid == 0)
		exit(!(has_workers(wanted) && (wanted == 0 || gives_back())));
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "workers") == 0 && argc == 4) {
		if (strcmp(argv[2], "c11") == 0)
			make_c11_thread();
		for (int i = atoi(argv[2]); i > 0; i--)
			make_thread();
		return !has_workers((unsigned)atoi(argv[3]));
	}
	if (strcmp(what, "idle") == 0) {
		use_much();
		return !gives_back();
	}
	if (strcmp(what, "child") == 0 && argc == 3)
		return !child((unsigned)atoi(argv[2]));
	if (strcmp(what, "storm") == 0)
		return !storm();
	if (strcmp(what, "alone") == 0 && argc == 3)
		return !alone(argv[2]);
	if (strcmp(what, "orphan") == 0) {
		leave_threads_behind();
		pthread_exit(NULL);
	}
	if (strcmp(what, "orphan-asks") == 0)
		leave_one_that_asks();
	if (strcmp(what, "orphan-child") == 0)
		return !child_of_a_thread();
	if (strcmp(what, "dlopen") == 0 && argc == 4)
		return dlopen(argv[2], RTLD_NOW) == NULL
		    || !has_workers((unsigned)atoi(argv[3]));
	return 2;
}
