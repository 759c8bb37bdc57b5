/* SPDX-License-Identifier: MIT */
/*
 * slab_purge -- giving back whole free pages inside slabs that are in use.
 *
 * Who purges owns the slab.  First its pages become purged ones, so that no link and no
 * free region that may be handed out lies on them; then the system is asked, with no lock
 * held; where it refuses, they are pages like others again.  A slab that is shared later
 * keeps its purged pages.
 *
 * Only memory that the default hooks gave: hooks of the user know extents, not parts of what is
 * active.  A huge page is kept whole until half of it is free or in sparse slabs; then it is made
 * small before.  In the bitmaps of a pageslab what is purged inside an extent counts as active, and
 * when the slab is freed as dirty.  Only its amount is known there: with much of it, it is not made
 * huge.
 */
#ifndef TRACT_ARENA_SLAB_PURGE_H
#define TRACT_ARENA_SLAB_PURGE_H

#include "arena/arena.h"

/* Pages on their way to the system, many in a call. */
struct slab_purge {
	struct arena *arena; /* of those gathered now; NULL: none yet */
	unsigned n;
	size_t npages; /* purged so far */
	struct iovec ranges[OS_PURGE_MANY];
	struct edata *slabs[OS_PURGE_MANY];
};

/* May pages of the arena's slabs be purged at all?  Not where nothing ever is. */
bool slab_purge_is_on(struct arena *arena);
/* Of this one? */
bool slab_may_be_purged(const struct edata *e);
/* And now?  A sparse one.  With no lock held: its huge page may be made small. */
bool slab_purge_is_worth_it(const struct edata *e);

/* It becomes sparse, and is so no longer: huge pages count such slabs. */
static inline void
slab_count_sparse(const struct edata *e)
{
	if (e->hpa)
		fetch_add_relaxed(&e->pageslab->n_sparse,
		    (unsigned)(e->size / os_page_size));
}

static inline void
slab_count_not_sparse(const struct edata *e)
{
	if (e->hpa)
		fetch_sub_relaxed(&e->pageslab->n_sparse,
		    (unsigned)(e->size / os_page_size));
}

/* Purged pages are in use again, or go with their slab. */
static inline void
slab_count_used_again(const struct edata *e, uint64_t pages)
{
	const unsigned n = count_set(pages);

	if (LIKELY(pages == 0))
		return;
	/* Relaxed: counters. */
	fetch_sub_relaxed(&arena_of(e)->slab_pages.unbacked, (size_t)n);
	if (e->hpa)
		fetch_sub_relaxed(&e->pageslab->n_unbacked, n);
}

void slab_purge_begin(struct slab_purge *purge);
/* These pages of e, which are in its set of purged ones already. */
void slab_purge_add(struct slab_purge *purge, struct edata *e, uint64_t pages);
/* Returns how many pages were purged. */
size_t slab_purge_end(struct slab_purge *purge);

#endif
