/* SPDX-License-Identifier: MIT */
/*
 * decay -- how many unused pages may stay, as time goes by.
 *
 * Pages freed in one interval (1/200 of decay_ms) form an epoch.  The pages of an epoch that is k
 * intervals old may stay by the share w[k] of a smootherstep that falls from 1 to 0 (6x^5 - 15x^4 +
 * 10x^3): young pages nearly all, old ones none.  The sum over the last 200 epochs is the limit.
 * Pure arithmetic: time and the number of pages are arguments.  `lock' guards what is not atomic.
 */
#ifndef TRACT_EXTENT_DECAY_H
#define TRACT_EXTENT_DECAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomic.h"
#include "base/prng.h"
#include "sync/mutex.h"

#define DECAY_EPOCHS 200
#define DECAY_NEVER (-1)
#define DECAY_MS_MAX ((ssize_t)(UINT64_MAX / 1000000 / 2))

struct decay {
	struct mutex lock;             /* rank DECAY */
	_Atomic(ssize_t) ms;           /* written under lock; relaxed readers */
	_Atomic(uint64_t) interval_ns; /* of ms; likewise */
	_Atomic(uint64_t) came_ns;     /* when pages came last; relaxed, a hint */
	/* Guarded by lock. */
	bool is_purging;      /* a thread purges by the curve, with the lock free */
	bool has_ended;       /* an epoch has, in decay_come: nobody has been told */
	uint64_t epoch_ns;    /* start of the running epoch */
	uint64_t deadline_ns; /* its jittered end */
	struct prng prng;
	size_t n_last;   /* unused pages when the last epoch ended */
	size_t *backlog; /* pages that came in each of DECAY_EPOCHS, newest last */
};

/* Share of an epoch k intervals old (0 .. DECAY_EPOCHS - 1) that may stay, of 1 << 24. */
uint32_t decay_weight(unsigned k);

bool decay_ms_is_valid(ssize_t ms);
/* d is zeroed memory, and so is the backlog, which is not touched before the first epoch ends. */
void decay_init(struct decay *d, size_t backlog[DECAY_EPOCHS], ssize_t ms,
    uint64_t now_ns);
/* A new time: all of the `npages' present count as fresh. */
void decay_restart(struct decay *d, ssize_t ms, uint64_t now_ns, size_t npages);
/*
 * Pages come, besides `npages' that are unused already.  Those that no epoch has counted are as old
 * as the last of them, however late somebody looks; after a pause they are counted here.  The
 * caller does not hold lock.
 */
void decay_come(struct decay *d, uint64_t now_ns, size_t npages);

/* Let time pass; true when an epoch has ended. `npages': how many are unused now. */
bool decay_advance(struct decay *d, uint64_t now_ns, size_t npages);
/* After purging: so many are left. */
void decay_purged(struct decay *d, size_t npages);
/* How many may stay, by the curve, of those that an epoch has counted. ms > 0. */
size_t decay_limit(const struct decay *d);
/* Nanoseconds until more than `threshold' pages may be purged, UINT64_MAX for never. */
uint64_t decay_ns_until(const struct decay *d, uint64_t now_ns, size_t npages,
    size_t threshold);

/* Of npages, those that no epoch has counted yet: all of them may stay. */
static inline size_t
decay_fresh(const struct decay *d, size_t npages)
{
	return npages > d->n_last ? npages - d->n_last : 0;
}

static inline ssize_t
decay_get_ms(struct decay *d)
{
	return load_relaxed(&d->ms);
}

#endif
