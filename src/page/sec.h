/* SPDX-License-Identifier: MIT */
/*
 * sec -- the small extent cache, in front of an HPA: extents that were just freed, to be used again
 * without the HPA's lock.
 *
 * n_shards shards; each has a bin for every multiple of the page up to max_alloc: a LIFO list of
 * extents of exactly that size, at most max_bytes of them while its lock is free.  A thread has a
 * home shard, drawn from its identity; it tries that, then the others in turn, and waits for none
 * but its own.  What finds no extent is a miss: the HPA is asked for several, and the others go to
 * the home bin.  A bin that is too full gives its cold end back in one batch, to three quarters.
 *
 *	free --> | hottest ... coldest | --> too full: a batch to the HPA
 *	alloc <--+
 *
 * What lies idle does not stay: four times in the arena's decay time each bin gives back what it
 * has not needed since the last time, so that all of it is with the HPA after half of that time, to
 * decay there; or after three quarters, where there is no other work to wake up for.  It is emptied
 * by sec_flush, and by work that is to purge everything.
 *
 * A cached extent is in use for the HPA, and nobody's for everybody else: its state is MERGING, its
 * words say so at its edges and are empty between them, from before it is listed until it was
 * taken.  So a stale free of a pointer into it finds no active extent: a double free, as is said.
 *
 * It is a PAI itself.  It passes on what it does not cache: other sizes, alignment beyond the page,
 * requests for zeroes (the HPA knows what was never touched) and for guards, and batches, which
 * need one lock for many already; and while the decay time is 0, everything that is freed.
 *
 * Locks: each bin has one (rank HPA_SEC); the PAI behind is called with none of them held.
 */
#ifndef TRACT_PAGE_SEC_H
#define TRACT_PAGE_SEC_H

#include <sys/types.h>

#include "base/list.h"
#include "meta/base.h"
#include "page/pai.h"
#include "sync/mutex.h"

#define SEC_REFILL_MIN 2u /* extents asked for after a miss: between these two */
#define SEC_REFILL_MAX 8u
/* A thread tries all shards before it waits: more of them gain nothing. */
#define SEC_SHARDS_MAX 256

struct sec_stats {
	size_t bytes;              /* cached now */
	uint64_t n_hits, n_misses; /* requests it served, and did not */
	uint64_t n_dalloc_noflush,
	    n_dalloc_flush;   /* frees it took, without and with a batch */
	uint64_t n_overfills; /* refills that made a bin too full */
};

struct sec_options {
	size_t n_shards;  /* 0: everything is passed on */
	size_t max_alloc; /* bytes of the largest extent cached */
	size_t max_bytes; /* in a bin */
};

struct sec_bin {
	_Alignas(64) struct mutex lock;
	/* Guarded by lock. */
	struct list extents;    /* by link; the hottest first */
	struct sec_stats stats; /* its part */
	size_t idle; /* the least `bytes' have been since the bin was last trimmed */
};

struct sec {
	struct pai pai;             /* first */
	struct pai *behind;         /* Set once. */
	struct sec_options options; /* Set once. */
	unsigned
	    n_classes; /* Set once. Bins of a shard: that of a size is size/page - 1. */
	struct sec_bin *bins;      /* [shard][class] */
	_Atomic(ssize_t) decay_ms; /* as of the arena's dirty pages; relaxed */
	/* When bins are trimmed; DEFERRED_NEVER only while all are empty, or nothing decays. */
	_Atomic(uint64_t) trim_ns;
};

/* When somebody has to wake up for a trim alone, which may come along with other work before that;
 * a hint.  DEFERRED_NEVER: not at all. */
uint64_t sec_wake_ns(const struct sec *sec);
/* The bins lie in `base'; without memory for them it caches nothing. */
void sec_init(struct sec *sec, struct base *base, struct pai *behind,
    const struct sec_options *options, ssize_t decay_ms);
/* -1 and 0 as of dirty_decay_ms. Does not call the HPA: what is due is done by the next work. */
void sec_set_decay_ms(struct sec *sec, ssize_t ms);
void sec_options_of_process(struct sec_options *options);
/* The shard of the calling thread. */
unsigned sec_home(const struct sec *sec);
/* All it holds goes to the PAI behind it. */
void sec_flush(struct sec *sec, bool *deferred);

/* The sums of all bins, added to *stats. */
void sec_gather(struct sec *sec, struct sec_stats *stats);
/* Does each bin's lock in turn: for what holds of all of them. */
void sec_for_each_lock(struct sec *sec, void (*visit)(struct mutex *lock, void *context),
    void *context);

/* Walk everything; aborts through assert on a broken invariant.  Takes the locks. */
void sec_check(struct sec *sec);

/* Across a fork.  A bin that was in use starts empty in the child. */
void sec_fork_prepare(struct sec *sec);
void sec_fork_parent(struct sec *sec);
void sec_fork_child(struct sec *sec);

#endif
