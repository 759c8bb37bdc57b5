/* SPDX-License-Identifier: MIT */
/*
 * slab -- pages cut into equal regions, and the arithmetic on them.
 *
 * A slab is shared (owner NULL: regions are bits in `bitmap', 1 = free, under its bin's
 * lock; `need' counts the live ones; never written into) or owned by one tcache (free
 * regions linked through themselves from `free'; those at and beyond `carved' were never
 * touched; see cache/tcache.h for `need').  Every slab has room for its bitmap from the
 * start, so that an owned one can be shared without failing.
 */
#ifndef TRACT_ARENA_SLAB_H
#define TRACT_ARENA_SLAB_H

#include "config/size_class.h"
#include "extent/edata.h"

enum slab_state {
	SLAB_SHARED_CURRENT, /* its bin allocates from it */
	SLAB_SHARED_PARTIAL, /* in its bin's heap */
	SLAB_SHARED_FULL,    /* in its bin's list */
	SLAB_CURRENT,        /* owned: the tcache's current slab of the class */
	SLAB_PARTIAL,        /* owned: in the tcache's list of slabs with free regions */
	SLAB_FULL,           /* owned: in the tcache's list of full slabs */
	SLAB_EMPTY,          /* owned: kept by the tcache without a live region */
};

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

static inline unsigned
slab_bitmap_words(const struct edata *e)
{
	return (e->nregs + 63u) / 64;
}

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
 * An owned slab as a shared one: its free list and uncarved regions become bits.  The caller owns
 * it and has taken back listed regions; sets need to the live count, owner to NULL.
 */
void slab_share(struct edata *e, unsigned live);

/* Number of set bits agrees with need; free list entries are regions, as many as need says. */
void slab_check(const struct edata *e);

#endif
