/* SPDX-License-Identifier: MIT */
/*
 * count -- the bytes that a thread allocates and frees, call by call, and what is told of
 * them: its peak, and functions of the program that are called every so many bytes.
 *
 * Counting costs every call the slow path, so a thread counts (MODE_COUNTING) only from
 * its first question on, or from when it notices that somebody wants to be called: at once
 * if it registers the function itself or begins later, else within a few thousand calls.
 * From then on both counters are exact.
 *
 * A function is called after the allocation or free that made it due is complete; it may
 * allocate and free, which counts but calls nobody.  Functions are never taken back.
 */
#ifndef TRACT_THREAD_COUNT_H
#define TRACT_THREAD_COUNT_H

#include "thread/thread.h"

enum count_direction { COUNT_ALLOCATED, COUNT_FREED };

/* Told the thread's two counters. */
typedef void count_hook_fn(bool is_alloc, uint64_t allocated, uint64_t deallocated);

struct count_hook {
	count_hook_fn *call;
	uint64_t interval;  /* bytes, more than 0 */
	bool is_alloc_only; /* else freed bytes make it due as well as allocated ones */
};

extern _Atomic(unsigned) count_n_hooks;

/* The thread counts from now on. */
void count_start(struct thread *thread);

/* False: no slot is left, or it is no hook. */
bool count_hook_add(const struct count_hook *hook);
/* Call the hooks that are due. */
void count_call_hooks(struct thread *thread, enum count_direction direction);

/* The highest that allocated less freed bytes have been since count_peak_reset, above what
 * they were then. */
void count_peak_reset(struct thread *thread);

/* All inline functions here: thread may be NULL, and need not count. */

static inline bool
is_counting(const struct thread *thread)
{
	return thread != NULL && (thread->modes & MODE_COUNTING) != 0;
}

/* Bytes that the thread holds more than when its peak was reset. */
static inline int64_t
count_net(const struct thread *thread)
{
	/* Relaxed: our own counters. */
	return (int64_t)(load_relaxed(&thread->allocated)
	    - load_relaxed(&thread->deallocated) - thread->peak_zero);
}

static inline void
count_allocated(struct thread *thread, size_t bytes)
{
	if (thread == NULL || (thread->modes & MODE_COUNTING) == 0)
		return;
	owner_add(&thread->allocated, (uint64_t)bytes);
	const int64_t net = count_net(thread);
	if (net > thread->peak)
		thread->peak = net;
}

static inline void
count_freed(struct thread *thread, size_t bytes)
{
	if (is_counting(thread))
		owner_add(&thread->deallocated, (uint64_t)bytes);
}

/* When all else is done, with no lock held. */
static inline void
count_done(struct thread *thread, enum count_direction direction)
{
	/* Relaxed: what is in the slots is acquired. */
	if (UNLIKELY(is_counting(thread) && load_relaxed(&count_n_hooks) != 0))
		count_call_hooks(thread, direction);
}

#endif
