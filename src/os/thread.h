/* SPDX-License-Identifier: MIT */
/*
 * thread -- who runs here, in one instruction; and threads of the library's own.
 */
#ifndef TRACT_OS_THREAD_H
#define TRACT_OS_THREAD_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Tells live threads apart without a system call; a fork child's thread keeps its value. */
static inline uintptr_t
os_thread_pointer(void)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	uintptr_t self;
	__asm__("mov %%fs:0, %0" : "=r"(self));
	return self;
#elif defined(__aarch64__)
	uintptr_t self;
	__asm__("mrs %0, tpidr_el0" : "=r"(self));
	return self;
#else
	return (uintptr_t)&errno;
#endif
}

/*
 * A thread of our own that runs `run(arg)' with every signal blocked.  False: none is to be had.
 * libc allocates for it, so this is no call to make within an allocation.
 */
bool os_thread_create(pthread_t *thread, void *(*run)(void *), void *arg);
void os_thread_join(pthread_t thread);
/* The thread that began the process, or the one that a fork left. */
bool os_thread_is_first(void);
/* That one has ended, and others go on; false where it is not known. */
bool os_thread_first_has_ended(void);
/* Threads of the process, those included that are about to end; 0: not known. */
unsigned os_thread_count(void);
/* What tools call the calling thread; 15 characters. */
void os_thread_set_name(const char *name);

#endif
