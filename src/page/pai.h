/* SPDX-License-Identifier: MIT */
/*
 * pai -- the page allocator interface: what PAC and HPA both are to the arena.
 *
 * All sizes are page multiples.  Any function may find work that should be done later (purging); it
 * says so in *deferred (set to true, never cleared).  No lock is held on entry.
 * What alloc returns is active, registered (every granule for a slab), committed, and its record
 * has owner NULL.  What dalloc takes is active and owned by the caller.
 */
#ifndef TRACT_PAGE_PAI_H
#define TRACT_PAGE_PAI_H

#include "extent/edata.h"

struct page_request {
	size_t size;
	size_t alignment;    /* a power of two >= the page */
	enum extent_use use; /* with regions: interior granules are registered, too */
	uint8_t szind;
	bool zero; /* contents must read as zero */
};

struct pai {
	struct edata *(*alloc)(struct pai *self, const struct page_request *request,
	    bool *deferred);
	/* Grow in place to new_size; the tail reads as zero when `zero'. */
	bool (*expand)(struct pai *self, struct edata *e, size_t new_size, bool zero,
	    bool *deferred);
	bool (*shrink)(struct pai *self, struct edata *e, size_t new_size,
	    bool *deferred);
	void (*dalloc)(struct pai *self, struct edata *e, bool *deferred);
	/* Nanoseconds until deferred work is worth doing; 0 now; UINT64_MAX never as things are. */
	uint64_t (*time_until_deferred_work)(struct pai *self);
};

#define DEFERRED_NEVER UINT64_MAX

#endif
