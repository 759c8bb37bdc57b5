/* SPDX-License-Identifier: MIT */
#include "sync/once.h"

#include <limits.h>

#include "base/assert.h"
#include "os/os.h"
#include "os/thread.h"

/* Sleep until the state is no longer one of the running ones. */
static void
wait_while_running(struct once *o)
{
	for (;;) {
		uint32_t state = load_acquire(&o->state); /* pairs with run */
		if (state == ONCE_RUNNING) {
			/* Failing, somebody else changed the state: look again. */
			(void)cas_strong_relaxed(&o->state, &state,
			    ONCE_RUNNING_WITH_WAITERS);
			continue;
		}
		if (state != ONCE_RUNNING_WITH_WAITERS)
			return;
		os_futex_wait(&o->state, ONCE_RUNNING_WITH_WAITERS, UINT64_MAX);
	}
}

static void
run(struct once *o, void (*fn)(void))
{
	store_relaxed(&o->owner,
	    os_thread_pointer()); /* only this thread finds itself in it */
	fn();
	store_relaxed(&o->owner, 0);
	/* Release pairs with the acquiring loads in once_run and wait_while_running. */
	if (exchange_acq_rel(&o->state, ONCE_DONE) == ONCE_RUNNING_WITH_WAITERS)
		os_futex_wake(&o->state, INT_MAX);
}

COLD bool
once_run_slow(struct once *o, void (*fn)(void))
{
	for (;;) {
		uint32_t state = ONCE_IDLE;
		/* Acquire: what an earlier runner, dead in a fork's parent, had done is seen. */
		if (cas_strong_acquire(&o->state, &state, ONCE_RUNNING)) {
			run(o, fn);
			return true;
		}
		if (state == ONCE_DONE && once_is_done(o))
			return true;
		if (load_relaxed(&o->owner) == os_thread_pointer())
			return false;
		wait_while_running(o);
	}
}

void
once_reset_in_child(struct once *o)
{
	/* The child has one thread: no ordering needed.  Its own run goes on after the fork. */
	if (load_relaxed(&o->owner) == os_thread_pointer())
		return;
	if (load_relaxed(&o->state) != ONCE_DONE)
		store_relaxed(&o->state, ONCE_IDLE);
	store_relaxed(&o->owner, 0);
}
