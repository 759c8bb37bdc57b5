/* SPDX-License-Identifier: MIT */
/*
 * dss -- memory at the program break (sbrk), as another place that default hooks take address
 * space from; and which arena prefers it.
 *
 * The break is not ours: libc, or any library, may move it between two calls.  So every
 * extension is checked against where the break was, and what others put in between is left
 * alone.  Memory from here is never unmapped and the break never moved back, because others may
 * stand behind it; it never merges with mapped memory either: every mapping begins with the head
 * bit, and the default merge hook says no.
 *
 * Locking: `dss_lock', rank LEAF, around the calls of sbrk, which is not thread safe.  Where the
 * break has been is two atomics, which only grow apart.
 */
#ifndef TRACT_EXTENT_DSS_H
#define TRACT_EXTENT_DSS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/options.h"

/* New zeroed memory, committed, aligned to `alignment' (>= the page); exactly at `at' if that is
 * not NULL.  NULL: the break cannot move that far. */
void *dss_alloc(void *at, size_t size, size_t alignment);
/* Does it lie between the lowest and the highest byte that ever came from here? */
bool dss_contains(const void *addr);

/* Can sbrk give memory in this process at all? */
bool dss_is_usable(void);

/*
 * What an arena prefers.  One begins with the default of that moment: opt.dss until
 * dss_set_default changes it.  Setters: false where sbrk is not usable and something else than
 * DSS_DISABLED is asked.
 */
enum dss dss_preference(unsigned arena_index);
bool dss_set_preference(unsigned arena_index, enum dss preference);
enum dss dss_default(void);
bool dss_set_default(enum dss preference);
/* An arena of that index begins. */
void dss_arena_begins(unsigned arena_index);

void dss_fork_prepare(void);
void dss_fork_parent(void);
void dss_fork_child(void);

#endif
