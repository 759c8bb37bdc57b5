/* SPDX-License-Identifier: MIT */
/*
 * rtree -- page address to leaf word, for the whole process.  Two levels: a static root of one slot
 * per 4 GiB of address space, leaves of one word per granule, mapped on demand and never freed.
 *
 *	address:  | 0 | root 15 bits | leaf 20 bits | granule 12 bits |      (x86-64, 47 bits)
 *
 * The root holds offsets from RTREE_ORIGIN, and so do leaves: nothing is where everything begins.
 * A root slot that is 0 leads to the static leaf `nothing', of which no word is ever written; a
 * word that is 0 leads to RTREE_ORIGIN, the same place, which is no record but reads as one that
 * nobody owns.  So free follows slot and word of any pointer without a test, and compares the
 * owner that it finds with a tcache before it looks at anything else.
 *
 * A leaf spans 4 GiB so that the low half of an address, shifted, is the index in it.
 *
 * Reads take no lock.  A leaf is published with release and read with acquire; readers on free's
 * hit path load relaxed, because the pointer they look up was made known to them after its
 * extent was registered.  Leaf creation is under `rtree_lock'.
 * Addresses at or above 2^RTREE_VADDR_BITS are refused at registration and read as empty.
 */
#ifndef TRACT_META_RTREE_H
#define TRACT_META_RTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "tract_config.h"

#define LG_GRANULE CONFIG_LG_PAGE
#define GRANULE ((size_t)1 << LG_GRANULE)

#define RTREE_VADDR_BITS CONFIG_LG_VADDR
#define RTREE_LG_LEAF_SPAN 32
#define RTREE_LEAF_BITS (RTREE_LG_LEAF_SPAN - LG_GRANULE)
#define RTREE_LEAF_COUNT ((size_t)1 << RTREE_LEAF_BITS)
#define RTREE_ROOT_COUNT ((size_t)1 << (RTREE_VADDR_BITS - RTREE_LG_LEAF_SPAN))

typedef _Atomic(uintptr_t) rtree_word;

struct rtree {
	rtree_word nothing[RTREE_LEAF_COUNT]; /* Zero. Never written, nor backed. */
	/* Leaf - RTREE_ORIGIN, or 0. Written under rtree_lock. */
	_Atomic(uintptr_t) root[RTREE_ROOT_COUNT];
};

extern struct rtree rtree ALIGNED(128);

#define RTREE_ORIGIN ((uintptr_t)&rtree)

static ALWAYS_INLINE size_t
rtree_index_in_leaf(uintptr_t address)
{
	return (uint32_t)address >> LG_GRANULE;
}

/* The word of an address, or NULL where no leaf covers it. */
static inline rtree_word *
rtree_find(uintptr_t address)
{
	if (UNLIKELY(address >> RTREE_VADDR_BITS != 0))
		return NULL;
	const uintptr_t slot = load_acquire(&rtree.root[address >> RTREE_LG_LEAF_SPAN]);
	if (UNLIKELY(slot == 0))
		return NULL;
	return (rtree_word *)(RTREE_ORIGIN + slot) + rtree_index_in_leaf(address);
}

/* The word's content; 0 where there is none. */
static inline uintptr_t
rtree_read(uintptr_t address)
{
	rtree_word *word = rtree_find(address);
	return word == NULL ? 0 : load_acquire(word);
}

/* Make sure that every granule of [first, end) has a word. False: out of memory or range; nothing
 * is lost, leaves made meanwhile stay. */
bool rtree_cover(uintptr_t first, uintptr_t end);

/* Bytes of leaves mapped / touched at most, for statistics. */
size_t rtree_mapped_bytes(void);

void rtree_fork_prepare(void);
void rtree_fork_parent(void);
void rtree_fork_child(void);

#endif
