/* SPDX-License-Identifier: MIT */
/*
 * rtree -- page address to leaf word, for the whole process.  Two levels: a static root of one slot
 * per GiB of address space (zero pages until used), leaves of one word per granule, mapped on
 * demand and never freed.
 *
 *	address:  | 0 | root 17 bits | leaf 18 bits | granule 12 bits |      (x86-64, 47 bits)
 *
 * A root slot holds the leaf's address *biased*: minus the index of its first granule, so that
 * slot + (address >> LG_GRANULE) * 8 is the word; 0 while there is no leaf.
 *
 * A leaf word is an offset from RTREE_ORIGIN (the root itself), so that an empty word, 0, still
 * reads inside our memory when it is taken for a record: free compares the owner it finds there
 * with a tcache pointer before it looks at anything else, and rtree.root never holds one.
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
#define RTREE_LEAF_BITS 18
#define RTREE_LG_LEAF_SPAN (LG_GRANULE + RTREE_LEAF_BITS)
#define RTREE_ROOT_COUNT ((size_t)1 << (RTREE_VADDR_BITS - RTREE_LG_LEAF_SPAN))

struct rtree {
	_Atomic(uintptr_t)
	    root[RTREE_ROOT_COUNT]; /* Biased leaf, or 0. Written under rtree_lock. */
};

extern struct rtree rtree ALIGNED(128);

#define RTREE_ORIGIN ((uintptr_t)&rtree)

typedef _Atomic(uintptr_t) rtree_word;

/* The word of an address, or NULL where no leaf covers it. */
static inline rtree_word *
rtree_find(uintptr_t address)
{
	if (UNLIKELY(address >> RTREE_VADDR_BITS != 0))
		return NULL;
	const uintptr_t leaf = load_acquire(&rtree.root[address >> RTREE_LG_LEAF_SPAN]);
	if (UNLIKELY(leaf == 0))
		return NULL;
	return (rtree_word *)(leaf + (address >> LG_GRANULE) * sizeof(uintptr_t));
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
