/* SPDX-License-Identifier: MIT */
/*
 * mixed -- slabs whose regions are of many classes: where the first few objects of each class of a
 * thread lie, so that a small process, or an idle thread, does not touch a page for every class.
 *
 * A mixed slab is cut by granules of 8 bytes.  Two bitmaps beside it say which granules are used,
 * and at which a region starts; a region ends before the next start or unused granule, so its size
 * needs no record.  Lowest fit first.  `need' counts live regions.  The allocator never writes into
 * a mixed slab.
 *
 * One set per automatic arena, for classes up to MIXED_MAX.  `lock' (rank BIN) guards
 * all of it and the bitmaps of its slabs.
 */
#ifndef TRACT_ARENA_MIXED_H
#define TRACT_ARENA_MIXED_H

#include "config/size_class.h"
#include "extent/emap.h"
#include "sync/mutex.h"

struct arena;

#define MIXED_GRANULE ((size_t)8)
#define MIXED_MAX ((size_t)2048)
#define MIXED_SLAB_SIZE ((size_t)16 << 10)
/* Other partly used slabs tried before a new one is made. */
#define MIXED_TRIES (CONFIG_HOSTILE ? 1 : 4)

struct mixed_stats { /* Guarded by the set's lock. */
	uint64_t n_malloc[SC_NBINS], n_dalloc[SC_NBINS];
	size_t n_slabs;
	uint64_t n_frozen_frees;
};

struct mixed {
	struct mutex lock;
	uint8_t epoch; /* grows when a fork froze the slabs */
	/* Guarded by lock. */
	struct edata *current; /* NULL: none */
	struct list partial;   /* others with room, by link */
	struct mixed_stats stats;
};

enum mixed_freed { MIXED_FREED, MIXED_DOUBLE_FREE, MIXED_INTERIOR };

void mixed_init(struct mixed *mixed);

/* Can regions of this class lie in mixed slabs? */
static inline bool
mixed_holds(unsigned szind)
{
	return size_class_size(szind) <= MIXED_MAX;
}

/* A region of the class, for which mixed_holds; NULL: out of memory. */
void *mixed_alloc(struct arena *arena, unsigned szind);
enum mixed_freed mixed_free(struct arena *arena, struct edata *e, void *p);
/* Bytes of the live region at p; 0: p is no start of one. */
size_t mixed_usable_size(struct arena *arena, const struct edata *e, const void *p);

void mixed_check(struct mixed *mixed);
/* In a fork child that found it in use: start empty, only count frees into what was there. */
void mixed_freeze(struct mixed *mixed);

#endif
