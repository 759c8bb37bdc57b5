/* SPDX-License-Identifier: MIT */
/*
 * sec -- the small extent cache, in front of an HPA: extents that were just freed, to be used again
 * without the HPA's lock.
 *
 * hpa_sec_nshards shards; each has a bin for every page size class up to hpa_sec_max_alloc: a LIFO
 * list of extents of that class, at most hpa_sec_max_bytes of them.  A thread has a home shard,
 * tries that, then the others, and waits for none but its own.  A miss asks the HPA for several and
 * keeps the rest; a bin that is too full gives its cold end back in a batch, to three quarters.
 * Nothing decays in it: it is emptied by purging (PURGE_EVERYTHING), reset and fork.
 *
 * Cached extents are active for the HPA and registered at their edges only, in state MERGING: for
 * free they are nobody's.
 *
 * It is a PAI itself, and passes on to the one behind it what it does not cache.
 * Locks: each bin has one (rank HPA_SEC); the HPA is called with none held.
 */
#ifndef TRACT_PAGE_SEC_H
#define TRACT_PAGE_SEC_H

#include "meta/base.h"
#include "page/pai.h"
#include "sync/mutex.h"

struct sec_stats {
	size_t bytes;
	uint64_t n_hits, n_misses, n_dalloc_noflush, n_dalloc_flush, n_overfills;
};

struct sec_options {
	size_t n_shards;  /* 0: everything is passed on */
	size_t max_alloc; /* bytes of the largest extent cached */
	size_t max_bytes; /* in a bin */
};

struct sec_bin {
	struct mutex lock;
	/* Guarded by lock. */
	struct list extents;    /* by link; the hottest first */
	struct sec_stats stats; /* its part */
};

struct sec {
	struct pai pai;     /* first */
	struct pai *behind; /* Set once. */
	struct sec_options options;
	unsigned n_classes;   /* bins of a shard */
	struct sec_bin *bins; /* [shard][class] */
};

/* False: out of memory.  The bins lie in `base'. */
bool sec_init(struct sec *sec, struct base *base, struct pai *behind,
    const struct sec_options *options);
void sec_options_of_process(struct sec_options *options);
/* All it holds goes to the PAI behind it. */
void sec_flush(struct sec *sec);
/* The sums of all bins. */
void sec_gather(struct sec *sec, struct sec_stats *stats);
void sec_check(struct sec *sec);

/* Across a fork.  A bin that was in use starts empty in the child. */
void sec_fork_prepare(struct sec *sec);
void sec_fork_parent(struct sec *sec);
void sec_fork_child(struct sec *sec);

#endif
