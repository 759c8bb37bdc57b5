/* SPDX-License-Identifier: MIT */
/*
 * guard -- extents between two pages that nobody may touch.
 *
 *	| page |                 extent                 | page |
 *
 * The guards belong to the extent, but are not part of it: its address and size leave them out,
 * the address map has no word for them.  So a pointer to one is foreign, no neighbour can be found
 * across one, and purging, splitting into regions and page counts know nothing of them.
 * A guarded extent is never split and never merged.
 *
 * Putting up or taking down a guard may fail in the middle.  Then the extent stays guarded, and
 * `is_half_guarded' says that a guard may be missing: it must not be used before guard_complete.
 *
 * Only private, anonymous memory, as default hooks give it.  The caller owns the extent: it is
 * active for it, or MERGING.  No lock is held.
 */
#ifndef TRACT_EXTENT_GUARD_H
#define TRACT_EXTENT_GUARD_H

#include "extent/edata.h"
#include "os/pages.h"

/* What an extent loses to its guards. */
static inline size_t
guard_bytes(void)
{
	return 2 * os_page_size;
}

/* Its first and last page become guards.  False: not so; where e is guarded, it is so by half. */
bool guard_enclose(struct edata *e);
/* Of one that is guarded by half; false: it still is. */
bool guard_complete(struct edata *e);
/* The guards become part of it, with any contents.  False: it is guarded by half. */
bool guard_open(struct edata *e);
/* The same while they stay up: for what is about to be unmapped. */
void guard_forget(struct edata *e);

#endif
