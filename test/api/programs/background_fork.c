/* SPDX-License-Identifier: MIT */
/*
 * background_fork -- a program with a pthread_create of its own, which sees the library's thread
 * made.  It asks for workers there, which nobody may, and forks, from a thread of which the library
 * was not told: the child's first thread brings it a worker, as any process's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static atomic_int n_made;
static atomic_bool is_making, has_forked;
static int status = -1, rc_of_asking;

static void
wait_for(atomic_bool *flag)
{
	for (unsigned i = 0; i < 10000 && !*flag; i++)
		usleep(1000);
}

typedef int control_fn(const char *, void *, size_t *, void *, size_t);

static int
ask_for_workers(void)
{
	bool on = true;
	control_fn *control;

	*(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
	return control("background_thread", NULL, NULL, &on, sizeof on);
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
    void *arg)
{
	static create_fn *next;

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
	/* The second of the process is the library's. */
	if (++n_made == 2) {
		rc_of_asking = ask_for_workers();
		is_making = 1;
		wait_for(&has_forked);
	}
	return next(thread, attr, run, arg);
}

static int
has_worker(void)
{
	for (unsigned i = 0; i < 500 && count_workers() != 1; i++)
		usleep(10000);
	return count_workers() == 1;
}

static void *
nothing(void *unused)
{
	return unused;
}

static void *
fork_meanwhile(void *unused)
{
	pthread_t thread;

	wait_for(&is_making);
	const pid_t child = fork();
	if (child == 0) {
		if (pthread_create(&thread, NULL, nothing, NULL) != 0)
			_exit(2);
		pthread_join(thread, NULL);
		_exit(!has_worker());
	}
	has_forked = 1;
	if (child < 0 || waitpid(child, &status, 0) != child)
		status = -1;
	return unused;
}

int
main(void)
{
	create_fn *create_unseen;
	pthread_t forking, thread;

	*(void **)&create_unseen =
	    dlsym(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), "pthread_create");
	if (create_unseen(&forking, NULL, fork_meanwhile, NULL) != 0
	    || pthread_create(&thread, NULL, nothing, NULL) != 0)
		return 2;
	pthread_join(thread, NULL);
	pthread_join(forking, NULL);
	printf("%d threads made, the child's status is %d, asking: %d\n", n_made, status,
	    rc_of_asking);
	return !(status == 0 && has_worker() && rc_of_asking == EFAULT);
}
