/* SPDX-License-Identifier: MIT */
/*
 * limit -- how much memory the process may use for objects: a soft limit, beyond which unused
 * pages are not kept, and a hard one, beyond which there is no more memory.
 *
 * What is limited is the sum over all arenas of active, dirty and muzzy pages: those that are
 * backed, or will be once they are touched, and huge pages whole.  Not guards of extents, nor
 * tract's own records (one or two percent of it; stats.metadata), nor memory that a hook gave as
 * pinned, which is there whether it is used or not.  Other memory of hooks counts as any.
 *
 * Page allocators charge bytes before an extent that was retained or not mapped leaves for use, and
 * discharge them after it has been purged.  So the sum charged is never less than what is in use,
 * and never more than the hard limit, but where that was set below what was in use already.
 *
 * No counter is shared by all: each arena (by index modulo LIMIT_SHARES) has a share, bytes charged
 * to the process that nobody uses, and goes to the process's counter only for LIMIT_BATCH more, or
 * to give as much back.  Near a limit batches shrink, and before anything is refused all shares
 * are called in.  Hence no slack: what a limit sees is what is used.
 *
 *	charged = used + what lies in shares
 *
 * Locking: none; relaxed counters.
 */
#ifndef TRACT_PAGE_LIMIT_H
#define TRACT_PAGE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"

#define LIMIT_SHARES 64
#define LIMIT_BATCH (CONFIG_HOSTILE ? (size_t)16 << 10 : (size_t)256 << 10)

enum limit_kind { LIMIT_SOFT, LIMIT_HARD, LIMIT_KINDS };

/* Why memory is short: as long as any bit is set, decay purges everything, whatever the times. */
enum limit_pressure {
	LIMIT_OVER_SOFT = 1, /* the soft limit has been exceeded */
	LIMIT_GROUP_HIGH =
	    2, /* the control group is near its memory.high, ctl/pressure.h */
};
extern _Atomic(unsigned) limit_pressure; /* Relaxed: a hint. */

static inline bool
limit_is_pressed(void)
{
	return UNLIKELY(load_relaxed(&limit_pressure) != 0);
}

/*
 * `bytes' more are going to be used.  False: the hard limit is in the way, and nothing is charged.
 * With no lock held: who exceeds the soft limit first purges all arenas, and the program's callback
 * may run.
 */
bool limit_charge(unsigned arena_index, size_t bytes);
/* The same where something is in hand that others may want: never calls anybody. */
bool limit_charge_quietly(unsigned arena_index, size_t bytes);
/* They are used no longer. */
void limit_discharge(unsigned arena_index, size_t bytes);

/* Bytes in use. While others charge, a moment's mixture. */
size_t limit_used(void);
/* 0: there is none. */
size_t limit_get(enum limit_kind kind);
void limit_set(enum limit_kind kind, size_t bytes);
/* How often the hard limit was in the way. */
uint64_t limit_refusals(void);

/* Would `bytes' more exceed it? */
bool limit_exceeds(enum limit_kind kind, size_t bytes);

/* Called with no lock held by who exceeds the soft limit, `bytes' more being needed; once until use
 * has fallen by a sixteenth below it.  False: not now, not here; the next one asks again.  From
 * layers above; NULL: nobody. */
extern bool (*_Atomic limit_on_soft)(size_t bytes);

/* True: it was not set before. */
bool limit_pressure_set(enum limit_pressure why);
void limit_pressure_clear(enum limit_pressure why);

/* In a fork child: what is in use, by the arenas' own counters.  What other threads had charged and
 * not used yet is forgotten. */
void limit_fork_child(size_t used);

#endif
