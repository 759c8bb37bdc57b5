/* SPDX-License-Identifier: MIT */
/*
 * two_threads -- a library that stands before libc, as a limit of the system: a process gets two
 * threads and no third.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <threads.h>

static bool
is_full(void)
{
	struct stat status;

	return stat("/proc/self/task", &status) != 0 || status.st_nlink - 2 >= 2;
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
    void *arg)
{
	int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	*(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
	return is_full() ? EAGAIN : next(thread, attr, run, arg);
}

int
thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	int (*next)(thrd_t *, thrd_start_t, void *);

	*(void **)&next = dlsym(RTLD_NEXT, "thrd_create");
	return is_full() ? thrd_error : next(thread, run, arg);
}
