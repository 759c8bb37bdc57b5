/* SPDX-License-Identifier: MIT */
/*
 * fork -- locks across a fork: taken before it with bounded patience, released or reset after it.
 *
 * Between fork_begin and the end in the parent (fork_end) or the child (fork_end_in_child) the
 * process has one forking thread.  The locks it got are marked in `fork_state':
 *
 *	FORK_NONE    an ordinary lock
 *	FORK_HELD    held for the fork, by nobody's operation: what it guards is whole
 *	FORK_IN_USE  ... and the forking thread is inside an operation under it: another library's
 *	             fork handler has called malloc
 *	FORK_STOLEN  taken over by a thread that had waited too long
 *	FORK_INTERRUPTED
 *	             in the child: it was this thread's own before the fork, which a signal handler
 *	             or a hook has made; it stays locked until the operation goes on and ends
 *
 * So the forking thread may go on allocating: taking a FORK_HELD lock turns it FORK_IN_USE, and
 * releasing it turns it back.  When the forking thread has to wait for a lock that it did not get,
 * it must not do so with the others held, nor, in the child, for a thread that does not exist:
 * fork_rescue is called first, and lets go of everything, or makes the child's reset early.  It is
 * called, too, when the interrupted thread comes to its own lock again.
 *
 * Nor may others wait for the fork without bound.  libc's fork takes locks of its own after our
 * handler, stdio's for one, and their holder may be the one that waits for ours.  So whoever waits
 * longer than a fork should take steals the lock: it marks it, so that a child made from now on
 * freezes what it guards, and touches that only after the kernel has finished copying for a child
 * that does not see the mark.
 */
#ifndef TRACT_SYNC_FORK_H
#define TRACT_SYNC_FORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "os/thread.h"

struct mutex;

enum fork_state { FORK_NONE, FORK_HELD, FORK_IN_USE, FORK_STOLEN, FORK_INTERRUPTED };

/* os_thread_pointer of the forking thread, 0 when there is none. */
extern _Atomic(uintptr_t) fork_owner;
/* Called by the forking thread before it waits for m.  Installed at boot; NULL: nothing. */
extern void (*fork_rescue)(const struct mutex *m);

static inline bool
fork_is_mine(void)
{
	/* Relaxed: a thread finds its own value only where it stored it. */
	return load_relaxed(&fork_owner) == os_thread_pointer();
}

/*
 * Become the forking thread, waiting for another one at most as long as a fork takes.  False: not
 * got, or this thread forks already (from a signal handler, from another library's fork handler);
 * then the child finds no lock held.
 */
bool fork_begin(void);
void fork_end(void);
/* The last step of the child's reset: this is its only thread, and no fork is under way. */
void fork_end_in_child(void);

/* Take m for the fork.  False: it is somebody's, and was not let go in time. */
bool mutex_fork_prepare(struct mutex *m);
/* Release m if it was taken; if an operation uses it, that one's unlock will. */
void mutex_fork_parent(struct mutex *m);
/* Reset m.  True: it was taken, so what it guards is whole; false: it may be torn. */
bool mutex_fork_child(struct mutex *m);
/* By a thread that waits for m while it is FORK_HELD: wait on, or steal it.  True: m is
 * the caller's. */
bool mutex_wait_for_fork(struct mutex *m);
/*
 * Between these two, much later in the child: mutex_fork_child resets interrupted locks, and for
 * those only answers false.
 */
void fork_begin_interrupted(void);
void fork_end_interrupted(void);

#endif
