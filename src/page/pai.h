/* SPDX-License-Identifier: MIT */
/*
 * pai -- the page allocator interface: what PAC, HPA and SEC are to the arena.
 *
 * All sizes are page multiples.  Any function may find work that should be done later (purging,
 * making huge pages); it says so in *deferred (set to true, never cleared).  No lock is held on
 * entry.
 * What alloc returns is active, registered (every granule for a slab), committed, and its record
 * has owner NULL.  What dalloc takes is the caller's: active, or MERGING with words at its edges
 * alone (use USE_NONE), as a cache in front hands it on.
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
	/* Between two pages that may not be touched, where that can be had; alignment is the
	 * page.  Only PAC can: whoever else is asked for it passes the request on. */
	bool guarded;
};

/* How much of the work is done: what is due; of that, what takes a moment, for a thread of the
 * program waits; or whatever can be purged. */
enum purge_extent { PURGE_BY_CURVE, PURGE_BRIEFLY, PURGE_EVERYTHING };

struct pai {
	struct edata *(*alloc)(struct pai *self, const struct page_request *request,
	    bool *deferred);
	/* Up to n alike, linked by `link' at the end of `extents'; how many: 0 is out of memory. */
	unsigned (*alloc_batch)(struct pai *self, const struct page_request *request,
	    unsigned n, struct list *extents, bool *deferred);
	/* Grow in place to new_size; the tail reads as zero when `zero'. */
	bool (*expand)(struct pai *self, struct edata *e, size_t new_size, bool zero,
	    bool *deferred);
	bool (*shrink)(struct pai *self, struct edata *e, size_t new_size,
	    bool *deferred);
	void (*dalloc)(struct pai *self, struct edata *e, bool *deferred);
	/* All that are linked by `link' in `extents', which is empty then. */
	void (*dalloc_batch)(struct pai *self, struct list *extents, bool *deferred);
	/* Nanoseconds until deferred work is worth doing; 0 now; DEFERRED_NEVER as things are. */
	uint64_t (*time_until_deferred_work)(struct pai *self);
	/* Do it. Any number of threads may ask; what one is at, others leave alone. */
	void (*work)(struct pai *self, enum purge_extent how);
};

#define DEFERRED_NEVER UINT64_MAX

#endif
