/* SPDX-License-Identifier: MIT */
/*
 * resident -- what the resident memory of the process is made of.
 *
 * Every extent of the address map is looked at, and the kernel is asked which of its pages
 * are in memory; so it takes a system call for some MiB, and is for people who ask, not
 * for every second.  No lock is held meanwhile: while threads run, an extent may be seen
 * on its way from one use to another.
 *
 * Of a slab's resident bytes the live regions come first, then the free ones; what is
 * left is the end that no region fills.  The parts and `other' add up to the total.
 */
#ifndef TRACT_CTL_RESIDENT_H
#define TRACT_CTL_RESIDENT_H

#include <stddef.h>
#include <stdint.h>

enum resident_part {
	RESIDENT_LIVE,        /* objects, threads' lists included */
	RESIDENT_ROUNDING,    /* ends of slabs */
	RESIDENT_OWNED_FREE,  /* free regions of slabs that threads own */
	RESIDENT_SHARED_FREE, /* free regions of other slabs */
	RESIDENT_LARGE_KEPT,  /* freed large objects that threads keep */
	RESIDENT_DIRTY,
	RESIDENT_MUZZY,
	RESIDENT_RETAINED, /* address space that should have no memory, and has */
	RESIDENT_METADATA, /* the allocator's records and its address map */
	RESIDENT_PARTS
};

struct resident {
	size_t total; /* of the process; 0: the kernel does not say */
	size_t part[RESIDENT_PARTS];
	int64_t other; /* the rest: code, stacks, mappings that are not tract's */
};

void resident_find(struct resident *r);

#endif
