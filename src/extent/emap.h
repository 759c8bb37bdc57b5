/* SPDX-License-Identifier: MIT */
/*
 * emap -- what the rtree means for extents.
 *
 * The leaf word of an extent's first and last granule is its record (an offset from RTREE_ORIGIN)
 * with the tags state and head; a slab has its word in every granule.  An active extent has no
 * tags: free takes the word as it is.
 *
 *	word:  | record - RTREE_ORIGIN, multiple of 128 | head:1 | state:3 | 0 0 0 |
 *
 * Who may write: the thread that owns the extent (it is active for it, or MERGING, or the thread
 * holds the lock of the ecache that holds it).
 *
 * Neighbour protocol.  A thread that holds the lock of the ecache of state S may take the extent
 * next to one it owns only if the neighbour's word says exactly S (and the head rule holds); only
 * then does it follow the record.  Leaving state S needs that lock, so the record is what the word
 * said.  Releases pair with the acquire in rtree_read.
 *
 * Head rule.  No merge crosses the start or the end of a mapping.  The first extent of a mapping is
 * its head, the last its tail, and splitting and merging hand that on.  Both are needed: where a
 * dalloc hook took the middle of a mapping, what lies behind the gap is no head, and what is mapped
 * into the gap later must not merge with it.
 */
#ifndef TRACT_EXTENT_EMAP_H
#define TRACT_EXTENT_EMAP_H

#include "extent/edata.h"
#include "meta/rtree.h"

#define EXTENT_STATE_SHIFT 3
#define EXTENT_HEAD_BIT ((uintptr_t)1 << 6)
#define EMAP_TAG_MASK ((uintptr_t)EDATA_ALIGNMENT - 1)

static inline struct edata *
emap_record(uintptr_t word)
{
	return (struct edata *)(RTREE_ORIGIN + (word & ~EMAP_TAG_MASK));
}

/* Is the word that of an active extent? */
static inline bool
emap_is_active(uintptr_t word)
{
	return word != 0 && (word & EMAP_TAG_MASK) == 0;
}

/* The active extent that has a word for `p', or NULL: a foreign pointer, freed memory, or the
 * interior of a large extent. Any p. */
static inline struct edata *
emap_lookup(const void *p)
{
	const uintptr_t word = rtree_read((uintptr_t)p);
	return emap_is_active(word) ? emap_record(word) : NULL;
}

/* Like emap_lookup, for inactive extents too; for diagnosis: the record may change under the
 * reader unless it owns the extent. */
struct edata *emap_lookup_any(const void *p);

/* Does no extent have the first or the last granule of e? (What a hook gave may be in use.) */
bool emap_is_free(const struct edata *e);
/* Give an extent its words (state from e->state).  False: no memory for a leaf; nothing changed. */
bool emap_register(struct edata *e);
/* Clear its edge words. */
void emap_deregister(struct edata *e);
/* Write e->state := state to the edge words. */
void emap_set_state(struct edata *e, enum extent_state state);
/* Write / clear the interior words of an active slab (edges stay). */
void emap_register_interior(struct edata *e);
void emap_deregister_interior(struct edata *e);

enum emap_side { EMAP_PREVIOUS, EMAP_NEXT };
/*
 * The neighbour of `e' on a side, if its word says exactly `state', the head rule allows a merge
 * and it has the same arena, back end and commitment; else NULL.  The caller holds the lock of the
 * ecache of that state in e's arena.
 */
struct edata *emap_neighbour(const struct edata *e, enum emap_side side,
    enum extent_state state);
/* Does such an extent begin where e ends? A hint, without any lock: emap_neighbour decides. */
bool emap_is_followed(const struct edata *e, enum extent_state state);

/*
 * Cut e (owned) to its first `size' bytes; `trail' (fresh record) describes the rest, registered in
 * e's state, same flags.  False: no memory for a leaf; nothing changed.  The caller has asked the
 * split hook.
 */
bool emap_split(struct edata *e, size_t size, struct edata *trail);
/* e and the adjacent `next' (both owned, same state) become e; next's record is the caller's. */
void emap_merge(struct edata *e, struct edata *next);

#endif
