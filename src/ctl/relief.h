/* SPDX-License-Identifier: MIT */
/*
 * relief -- what is done when the process comes to a limit of its memory (page/limit.h).
 *
 * At the soft limit: whoever would exceed it purges all arenas; where that is not enough, the
 * program's callback is called, once until use has fallen below again.  While it is exceeded, decay
 * purges everything (limit_is_pressed).
 *
 * At the hard limit: an allocation that it refuses is tried again after the thread has given back
 * what it keeps and all arenas have been purged; then after the callback has been called, and that
 * done once more; then there is no memory.
 *
 * Arenas with hooks of the user are purged only by their own threads, by workers and by request:
 * the program may be holding a lock that a hook takes.  For the same reason nothing is done inside
 * a hook.  A callback runs as a hook does: with no lock of tract held, and free to allocate and
 * free; then arena 0 serves it, and no limit leads to another call.
 *
 * Locking: the callback and its argument are guarded by ctl_lock, which these functions take.
 */
#ifndef TRACT_CTL_RELIEF_H
#define TRACT_CTL_RELIEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "tract/limit.h"

/* The limits that the options ask for, and what happens at them; malloc works by now. */
void relief_boot(void);

/* The hard limit refused this thread memory for an object of `bytes'.  True: try again. */
bool relief_purge(void);
bool relief_ask(size_t bytes);
/* It was in vain. */
void relief_failed(void);

/* The old one; the new one is called from now on. A call in another thread may be under way. */
struct limit_callback_s relief_callback(void);
void relief_set_callback(const struct limit_callback_s *callback);

struct relief_counts {
	uint64_t n_soft; /* the soft limit was exceeded, and purging did not help */
	uint64_t n_hard; /* allocations that failed */
};
struct relief_counts relief_counts(void);

#endif
