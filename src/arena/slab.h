/* SPDX-License-Identifier: MIT */
/*
 * slab -- pages cut into equal regions, and the arithmetic on them.
 *
 * A slab is shared (owner NULL: regions are bits in `bitmap', 1 = free, under its bin's
 * lock; `need' counts the live ones; never written into) or owned by one tcache (free
 * regions linked through themselves from `free'; see cache/tcache.h for `need').  Every slab
 * has room for its bitmap from the start, so that an owned one can be shared without failing.
 *
 * Untouched regions.  An owned slab has nregs - carved regions that are in no list: while it is
 * first used, those from index `carved' on; later, all that overlap a page in its set of purged
 * pages.  It is never both: pages are purged only once all regions have been carved.  So
 *
 *	carved = live regions + those on the list of the class + those on the slab's free list
 *	         + those on its remote chain,	in either case.
 *
 * Purged pages are whole pages of the slab without a live region, given back to the system.  Of a
 * shared slab their regions are free in the bitmap like others.  A set of pages is a word, bit i
 * for page i.
 */
#ifndef TRACT_ARENA_SLAB_H
#define TRACT_ARENA_SLAB_H

#include "config/size_class.h"
#include "extent/edata.h"
#include "os/pages.h"

enum slab_state {
	SLAB_SHARED_CURRENT, /* its bin allocates from it */
	SLAB_SHARED_PARTIAL, /* in its bin's heap */
	SLAB_SHARED_FULL,    /* in its bin's list */
	SLAB_CURRENT,        /* owned: the tcache's current slab of the class */
	SLAB_PARTIAL,        /* owned: in the tcache's list of slabs with free regions */
	SLAB_FULL,           /* owned: in the tcache's list of full slabs */
	SLAB_EMPTY,          /* owned: kept by the tcache without a live region */
	/* owned: as SLAB_PARTIAL, but need counts to nregs >> (slab_state - SLAB_WATCHED) live
	 * regions instead of none.  Last. */
	SLAB_WATCHED,
	/* And this bit: it has become sparse, and was not combed since; see cache/comb.c. */
	SLAB_UNCOMBED = 32,
};

static_assert((SLAB_MAXREGS >> (SLAB_UNCOMBED - 1 - SLAB_WATCHED)) == 0,
    "halvings have room");

#define SLAB_MAXPAGES 64
#define SLAB_BITMAP_WORDS (SLAB_MAXREGS / 64)

static inline size_t
slab_region_size(const struct edata *e)
{
	return slab_geometry[e->szind].reg_size;
}

static inline void *
slab_region(const struct edata *e, unsigned index)
{
	return (void *)(e->addr + index * slab_region_size(e));
}

static inline unsigned
slab_index(const struct edata *e, const void *p)
{
	const uint64_t offset = (uintptr_t)p - e->addr;
	return (unsigned)(offset * slab_geometry[e->szind].reciprocal >> 32);
}

/* Does p point at the start of a region? */
static inline bool
slab_is_region(const struct edata *e, const void *p)
{
	const unsigned index = slab_index(e, p);
	return index < e->nregs && slab_region(e, index) == p;
}

/* Slabs of its class that it is worth; see SLAB_GROWN_MAX. */
static inline unsigned
slab_worth(const struct edata *e)
{
	return e->nregs / slab_geometry[e->szind].nregs;
}

static inline unsigned
slab_bitmap_words(const struct edata *e)
{
	return (e->nregs + 63u) / 64;
}

static inline unsigned
slab_pages(const struct edata *e)
{
	return (unsigned)(e->size / os_page_size);
}

/* Owned, with free regions, and not the current one? */
static inline bool
slab_state_is_partial(unsigned state)
{
	return state == SLAB_PARTIAL || state >= SLAB_WATCHED;
}

/* Live regions at which need is zero in this state; not SLAB_FULL. */
static inline unsigned
slab_target(unsigned state, unsigned nregs)
{
	return state > SLAB_WATCHED ? nregs >> (state % SLAB_UNCOMBED - SLAB_WATCHED) : 0;
}

/* Live regions of an owned slab, those on the class's list and in messages included. */
static inline unsigned
slab_live(const struct edata *e)
{
	/* A full slab's need counts down from `wake'; so many have come back. */
	if (e->slab_state == SLAB_FULL)
		return e->nregs - (slab_wake(e->nregs) - e->need);
	return e->need + slab_target(e->slab_state, e->nregs);
}

/* Pages that a region lies on. */
uint64_t slab_pages_of(const struct edata *e, unsigned index);
/* Pages with regions, all of whose regions are in the bitmap. */
uint64_t slab_free_pages(const struct edata *e, const uint64_t *bits);

/* Add what is free of n owned slabs, on their free lists or untouched, to as many bitmaps. */
void slab_map_free(struct edata *const *slabs, unsigned n,
    uint64_t (*bits)[SLAB_BITMAP_WORDS]);
/*
 * Make the regions on wholly free pages of an owned slab untouched; bits are what is free.  Returns
 * the pages, which hold no link any more and are for the caller to purge.
 */
uint64_t slab_forget_pages(struct edata *e, const uint64_t *bits);
/*
 * The other way: pages that are purged are no more.  The chain of all regions that lie on no purged
 * page now, and how many they are; NULL: none.  Touches these regions.
 */
void *slab_recall_pages(struct edata *e, uint64_t pages, unsigned *n);
/* The purged pages that a region has to itself and others share, the lowest; there are some. */
uint64_t slab_first_purged(const struct edata *e);

/* Order of a bin's partial slabs: the oldest first. A heap_less. */
bool slab_order(const struct heap_node *a, const struct heap_node *b);

/* Mark every region free in the bitmap. */
void slab_bitmap_fill(struct edata *e);

/*
 * Take up to n free regions of a shared slab, lowest first, and prepend them to *chain (linked
 * through their first words).  Returns how many.  Caller: the bin's lock.
 */
unsigned slab_take(struct edata *e, unsigned n, void **chain);

/* Mark region free in a shared slab. False: it was free already. Caller: the bin's lock. */
bool slab_return(struct edata *e, unsigned index);

/*
 * An owned slab as a shared one: its free list and untouched regions become bits.  The caller owns
 * it and has taken back listed regions; sets need to the live count, owner to NULL.
 */
void slab_share(struct edata *e, unsigned live);

/* Number of set bits agrees with need; free list entries are regions, as many as need says. */
void slab_check(const struct edata *e);

#endif
