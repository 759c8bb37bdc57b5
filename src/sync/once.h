/* SPDX-License-Identifier: MIT */
/*
 * once -- run a function once in the process's life, without allocating.
 *
 * idle -> running (by `owner') -> done.  Other threads sleep while it runs; the running thread,
 * when it comes again through the function itself, is told "in progress" and has to make do with
 * what is ready.
 */
#ifndef TRACT_SYNC_ONCE_H
#define TRACT_SYNC_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"

enum once_state { ONCE_IDLE, ONCE_RUNNING, ONCE_RUNNING_WITH_WAITERS, ONCE_DONE };

struct once {
	_Atomic(uint32_t) state;  /* a futex; enum once_state */
	_Atomic(uintptr_t) owner; /* os_thread_pointer of the running thread */
};

#define ONCE_INITIALIZER \
	{ \
		ONCE_IDLE, 0 \
	}

bool once_run_slow(struct once *o, void (*fn)(void));

/* True when fn has returned, here or elsewhere; false when this thread is inside it. */
static inline bool
once_run(struct once *o, void (*fn)(void))
{
	if (LIKELY(load_acquire(&o->state) == ONCE_DONE)) /* pairs with once_run_slow */
		return true;
	return once_run_slow(o, fn);
}

static inline bool
once_is_done(struct once *o)
{
	return load_acquire(&o->state) == ONCE_DONE; /* pairs with once_run_slow */
}

/* In a fork child: what another thread was running when the process forked will be run again. */
void once_reset_in_child(struct once *o);

#endif
