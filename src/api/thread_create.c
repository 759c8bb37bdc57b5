/* SPDX-License-Identifier: MIT */
/*
 * thread_create -- notices that the program makes a thread, for background_thread_auto.
 *
 * In front of libc's pthread_create stands ours, which calls it and then, once, starts a background
 * worker: here the program is in no allocation and holds none of libc's locks, which cannot be said
 * of any call of malloc or free (the dynamic linker and pthread_join free memory under locks that
 * making a thread needs).
 *
 * Only in the shared library, and only with unprefixed names: elsewhere there is no name to stand
 * in front of, and background_thread:true is the way to a worker.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

#include "api/boot.h"
#include "base/atomic.h"
#include "base/attr.h"
#include "ctl/background.h"

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static create_fn *
libc_create(void)
{
	static _Atomic(create_fn *) found;
	/* Relaxed: every thread finds the same. */
	create_fn *create = load_relaxed(&found);

	if (create == NULL) {
		*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
		store_relaxed(&found, create);
	}
	return create;
}

EXPORT int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
    void *arg)
{
	create_fn *create = libc_create();

	if (create == NULL)
		return EAGAIN;
	const int rc = create(thread, attr, run, arg);
	if (rc == 0 && boot())
		background_thread_made();
	return rc;
}
