/* SPDX-License-Identifier: MIT */
/*
 * edata -- the record of one extent: a run of pages with one owner, one state, one use.
 *
 * Records are 128-byte aligned and type-stable for the whole process: memory that was ever a record
 * is a record for ever (also after its arena is destroyed), so a stale reader sees a record.
 *
 * The first line is what malloc and free of an owned slab touch.  `owner' comes first: free finds
 * the record through the leaf word and compares it with the calling thread's tcache.  The tags of
 * an inactive extent are multiples of 8 below 128, so that a compare through a tagged word still
 * reads an aligned word of this record: no word but `owner' may ever equal a tcache's address.
 *
 *	+---------------- line 0: owner thread, or the slab's bin lock -----------------+
 *	| owner | free | need carved nregs | addr | size | szind.. arena | link (2 words) |
 *	+---------------- line 1: everybody ---------------------------------------------+
 *	| remote | announced_next | sn | side | node (3 words) | bitmap                  |
 *
 * Who writes what: an active slab's first line belongs to its owner thread (`owner' set) or to the
 * bin whose lock is held (`owner' NULL).  An inactive extent belongs to the holder of its ecache's
 * lock, or to the thread that took it out.
 */
#ifndef TRACT_EXTENT_EDATA_H
#define TRACT_EXTENT_EDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/heap.h"
#include "base/list.h"

struct hpdata;
struct tcache;

/* In the leaf word as the tag state << EXTENT_STATE_SHIFT.  ACTIVE is 0: the bare record. */
enum extent_state {
	EXTENT_ACTIVE,
	EXTENT_DIRTY,    /* free, backed */
	EXTENT_MUZZY,    /* free, purged lazily */
	EXTENT_RETAINED, /* free, address space only */
	EXTENT_PINNED,   /* free, backed, never to be purged: what a hook gave so */
	EXTENT_MERGING,  /* free, out of its ecache, owned by one thread */
};

enum extent_use { USE_NONE, USE_LARGE, USE_SLAB, USE_MIXED };

/* Regions in it are found by any address: it has a leaf word in every granule. */
static inline bool
use_has_regions(enum extent_use use)
{
	return use == USE_SLAB || use == USE_MIXED;
}

struct edata {
	/* ---- line 0 ---- */
	_Atomic(struct tcache *) owner; /* NULL unless an owned slab. Relaxed readers. */
	union {
		void *
		    free; /* owned slab: freed regions, linked through their first word */
		uint64_t shared_purged; /* shared or mixed slab: its purged pages */
	};
	union {
		uint32_t
		    need; /* owned slab: frees until the next event, see cache/tcache.h */
		uint32_t pad; /* large: bytes of `size' that are not the object's */
	};
	union {
		uint16_t
		    carved; /* owned slab: regions that were touched; see arena/slab.h */
		uint16_t
		    offset; /* large: where the object begins, in the first granule */
	};
	uint16_t nregs; /* slab: regions in all */
	uintptr_t addr; /* first byte */
	size_t size;    /* bytes, a page multiple */
	uint8_t
	    szind; /* class of the slab's regions, or statistics class of a large extent */
	uint8_t state : 4;  /* enum extent_state; mirrors the tag */
	bool is_tail : 1;   /* last of its mapping: no merge crosses its end */
	bool is_pinned : 1; /* all of its mapping is */
	bool
	    is_half_guarded : 1; /* guarded, but a guard may be missing, see extent/guard.h */
	uint8_t use;             /* enum extent_use, while active */
	bool committed : 1;
	bool zeroed : 1;  /* reads as zero throughout */
	bool is_head : 1; /* first of its mapping: no merge crosses its start */
	bool guarded : 1; /* between two pages that nobody may touch, not part of it */
	bool hpa : 1;     /* back end: PAC or HPA */
	bool
	    cached : 1; /* large, kept free by a tcache: still active for everybody else */
	bool
	    is_fresh : 1; /* large: came from retained, most pages are not backed until touched */
	bool is_unbacked : 1; /* large: its pages were moved away, it reads as zero */
	_Atomic(uint16_t) arena_index;
	uint8_t slab_state; /* enum slab_state of its owner, see cache/ and arena/ */
	uint8_t
	    epoch; /* shared slab: that of its bin; another one means frozen by a fork */
	struct list link; /* LRU of an eset; slab lists; an arena's large list */
	/* ---- line 1 ---- */
	_Atomic(uint64_t)
	    remote; /* regions freed by other threads: address << 16 | count */
	_Atomic(struct edata *) announced_next; /* in the owner's inbox */
	union {
		uint64_t sn;             /* PAC: serial number of the mapping, age */
		struct hpdata *pageslab; /* HPA: where it lies */
	};
	void *side; /* reserved for tagged heaps */
	union {
		struct heap_node node; /* eset; heap of a bin's available shared slabs */
		struct {
			struct list bin_link;  /* owned slab: its bin's list of such */
			uint64_t owned_purged; /* owned slab: its purged pages */
		};
	};
	uint64_t *bitmap; /* shared slab: 1 = region is free; allocated with every slab */
};

static_assert(sizeof(struct edata) == 128, "two cache lines");
static_assert(offsetof(struct edata, owner) == 0, "the first word");
static_assert(offsetof(struct edata, remote) == 64, "line 1");

#define EDATA_ALIGNMENT 128

static inline unsigned
edata_arena(const struct edata *e)
{
	/* Relaxed: set before the extent is handed out, stable while anybody may ask. */
	return load_relaxed(&e->arena_index);
}

/*
 * Is the slab owned by tc?  A plain read where the compiler allows: only the owner itself sees
 * its own address there, and it wrote it.
 */
static inline bool
edata_is_owned_by(const struct edata *e, const struct tcache *tc)
{
#if BUILT_FOR_TSAN
	return load_relaxed(&e->owner) == tc;
#else
	return *(struct tcache *const *)&e->owner == tc;
#endif
}

static inline void *
edata_base(const struct edata *e)
{
	return (void *)e->addr;
}

static inline uintptr_t
edata_end(const struct edata *e)
{
	return e->addr + e->size;
}

/* Older mapping first, then lower address; the HPA's by address alone, behind all others. */
static inline bool
edata_is_older(const struct edata *a, const struct edata *b)
{
	if (UNLIKELY(a->hpa || b->hpa))
		return a->hpa == b->hpa ? a->addr < b->addr : b->hpa;
	return a->sn != b->sn ? a->sn < b->sn : a->addr < b->addr;
}

#endif
