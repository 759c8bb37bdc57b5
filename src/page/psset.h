/* SPDX-License-Identifier: MIT */
/*
 * psset -- the pageslabs of a shard, by what they are good for.
 *
 * A pageslab that may be allocated from (not being purged, not full) is in the heap of the class of
 * its longest free run, or, when it has no active page, in the list of empty ones.  An allocation
 * takes the smallest class that surely suffices, in it the oldest pageslab: so the fullest fill up
 * and others run empty; an empty one is the last choice, the latest of them first.
 * What may be purged is in one of the purge lists: empty and huge ones first, then empty ones,
 * then by number of dirty pages, those not huge before huge ones of as many.
 * What may be made huge waits in a queue, the longest first.
 *
 * Any change of a pageslab is bracketed: psset_update_begin takes it out of the sums, and
 * psset_update_end puts it back into them and files it anew where it belongs elsewhere now.
 *
 * Always true between brackets: every pageslab of the set is where its counts and flags say;
 * bitmaps of non-empty heaps and lists agree; the sums add up.  Pure: no lock of its own.
 */
#ifndef TRACT_PAGE_PSSET_H
#define TRACT_PAGE_PSSET_H

#include "page/hpdata.h"

#define PSSET_CLASSES 64      /* of runs of pages, see psset_class */
#define PSSET_PURGE_LISTS 128 /* two for each class: huge, not huge */
#define PSSET_NOWHERE 255     /* no heap, no list */

struct psset_sums {
	size_t n_pageslabs, n_active, n_dirty; /* the latter two in pages */
};

enum { PSSET_NOT_HUGE, PSSET_HUGE, PSSET_KINDS };

struct psset {
	struct heap heaps[PSSET_CLASSES];
	uint64_t heaps_used;                  /* bit per non-empty heap */
	struct list empty;                    /* LIFO */
	struct list purge[PSSET_PURGE_LISTS]; /* FIFO */
	uint64_t purge_used[PSSET_PURGE_LISTS / 64];
	struct list hugify; /* by hugify_since_ns */
	/* Statistics, by kind. A class of `partly' is that of the longest free run. */
	struct psset_sums all[PSSET_KINDS];
	struct psset_sums full[PSSET_KINDS],
	    none[PSSET_KINDS]; /* no free page; no active */
	struct psset_sums partly[PSSET_CLASSES][PSSET_KINDS];
};

void psset_init(struct psset *set);

/*
 * The class of a run of n_pages > 0: all runs of class c are shorter than those of c + 1.  Up to 32
 * pages each length is a class, so that what is small leaves nothing over; then four a doubling.
 */
unsigned psset_class(unsigned n_pages);

void psset_insert(struct psset *set, struct hpdata *ps);
void psset_remove(struct psset *set, struct hpdata *ps);
void psset_update_begin(struct psset *set, struct hpdata *ps);
void psset_update_end(struct psset *set, struct hpdata *ps);

/* From which n pages in a row are to be taken; NULL: from none. */
struct hpdata *psset_pick_alloc(struct psset *set, unsigned n_pages);
/* What to purge first among those whose purge_since_ns is not after `until_ns'; NULL: none. */
struct hpdata *psset_pick_purge(struct psset *set, uint64_t until_ns);
/* Is there anything that may be purged? */
static inline bool
psset_has_purge(const struct psset *set)
{
	return !bitmap_is_empty(set->purge_used, PSSET_PURGE_LISTS);
}

/* The earliest purge_since_ns of what may be purged; UINT64_MAX: there is none. */
uint64_t psset_purge_since(const struct psset *set);
/* What has been worth a huge page for longest; NULL: none. */
struct hpdata *psset_pick_hugify(struct psset *set);

static inline size_t
psset_pageslabs(const struct psset *set)
{
	return set->all[PSSET_NOT_HUGE].n_pageslabs + set->all[PSSET_HUGE].n_pageslabs;
}

static inline size_t
psset_active(const struct psset *set)
{
	return set->all[PSSET_NOT_HUGE].n_active + set->all[PSSET_HUGE].n_active;
}

static inline size_t
psset_dirty(const struct psset *set)
{
	return set->all[PSSET_NOT_HUGE].n_dirty + set->all[PSSET_HUGE].n_dirty;
}

/* That ps, of a set, is where it belongs: psset_check does not meet those that are nowhere. */
void psset_check_one(const struct hpdata *ps);
/* Aborts through assert on a broken invariant. */
void psset_check(const struct psset *set);

#endif
