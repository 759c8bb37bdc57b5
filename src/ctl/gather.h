/* SPDX-License-Identifier: MIT */
/*
 * gather -- copies an arena's live counters into a plain record, each under its owner's
 * lock.
 *
 * On a quiet process the figures add up exactly; while threads run, each was true at some
 * moment.
 *
 * What they mean with owned slabs.  A region is live from the moment it goes to a
 * thread's list (or to the program from a shared slab) until it is back on its slab's
 * free list; listed regions, and large objects that a thread keeps, count as live.
 * Taking regions is counted per class, giving back is not: ndalloc = nmalloc - live.
 * nrequests is nmalloc less what threads took to their lists and put back unasked for.
 * Classes above SC_SMALL_MAX that are cut from slabs are reported as large objects.
 */
#ifndef TRACT_CTL_GATHER_H
#define TRACT_CTL_GATHER_H

#include "ctl/stats.h"

struct arena;
struct edata;
struct mutex;

/* The caller holds ctl_lock, so that the arena stays. */
void gather_arena(struct arena *arena, struct arena_record *r);

void gather_mutex(const struct mutex *m, struct mutex_figures *figures);
/* Zero the counters of a lock that the caller holds, or of all locks of an arena. */
void gather_reset_mutex_locked(struct mutex *m);
void gather_reset_mutexes(struct arena *arena);

/* Live regions of an active slab, owned or shared; while its owner runs, roughly.  What another
 * thread has freed and posted is not live. */
unsigned gather_live(const struct edata *e);

/* Bytes of live regions in an arena's mixed slabs. */
size_t gather_mixed_live(struct arena *arena);

/* For one class of an arena, now: all its slabs' regions, and the live ones among
 * them. */
struct gathered_bin {
	size_t n_slabs, n_live;
	void *current; /* start of the bin's current shared slab; NULL: none */
};
struct gathered_bin gather_bin(struct arena *arena, unsigned szind);

#endif
