/* SPDX-License-Identifier: MIT */
/*
 * thread_create -- notices that the program makes a thread, for background_thread_auto; and that it
 * needs to be without one.
 *
 * In front of libc's pthread_create and thrd_create stand ours, which may start a background worker
 * and then call them: here the program is in no allocation and holds none of libc's locks, which
 * cannot be said of any call of malloc or free (the dynamic linker and pthread_join free memory
 * under locks that making a thread needs).  The worker comes first, and sleeps soon: behind the
 * thread it had the kernel put the program's next one where the first ran.  In front of unshare and
 * setns, which a process with two threads may be denied, stand ours, before which such a worker
 * ends.
 *
 * Only in the shared library, and only with unprefixed names: elsewhere there is no name to stand
 * in front of, and background_thread:true is the way to a worker.
 */
#define _GNU_SOURCE /* RTLD_NEXT, unshare, setns */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <threads.h>

#include "api/boot.h"
#include "base/atomic.h"
#include "base/attr.h"
#include "ctl/background.h"

/*
 * What the name means behind us; NULL: nothing.  `found' keeps it.  The callers have the name on
 * their stack: a constant would lie in a page of the library that they need for nothing else.
 */
static void *
next(const char *name, _Atomic(void *) *found)
{
	/* Relaxed: every thread finds the same. */
	void *function = load_relaxed(found);

	if (function == NULL) {
		function = dlsym(RTLD_NEXT, name);
		store_relaxed(found, function);
	}
	return function;
}

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

EXPORT int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
    void *arg)
{
	const char name[] = "pthread_create";
	static _Atomic(void *) found;
	create_fn *create;

	*(void **)&create = next(name, &found);
	if (create == NULL)
		return EAGAIN;
	const bool is_served = boot() && background_thread_coming();
	const int rc = create(thread, attr, run, arg);
	if (rc == 0 || !is_served)
		return rc;
	background_thread_refused();
	return rc == EAGAIN ? create(thread, attr, run, arg) : rc;
}

/* C11's does not come by pthread_create everywhere. */
EXPORT int
thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	const char name[] = "thrd_create";
	static _Atomic(void *) found;
	int (*create)(thrd_t *, thrd_start_t, void *);

	*(void **)&create = next(name, &found);
	if (create == NULL)
		return thrd_error;
	const bool is_served = boot() && background_thread_coming();
	const int rc = create(thread, run, arg);
	if (rc == thrd_success || !is_served)
		return rc;
	background_thread_refused();
	return create(thread, run, arg);
}

EXPORT int
unshare(int flags)
{
	const char name[] = "unshare";
	static _Atomic(void *) found;
	int (*call)(int);

	*(void **)&call = next(name, &found);
	if (call == NULL) {
		errno = ENOSYS;
		return -1;
	}
	background_step_aside();
	return call(flags);
}

EXPORT int
setns(int fd, int type)
{
	const char name[] = "setns";
	static _Atomic(void *) found;
	int (*call)(int, int);

	*(void **)&call = next(name, &found);
	if (call == NULL) {
		errno = ENOSYS;
		return -1;
	}
	background_step_aside();
	return call(fd, type);
}
