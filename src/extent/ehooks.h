/* SPDX-License-Identifier: MIT */
/*
 * ehooks -- the nine extent hooks of an arena, called safely.
 *
 * Each wrapper answers true for success (the public hooks answer true for failure).  A NULL hook is
 * a constant "no".  No lock may be held around a call (asserted).  The default hooks are called
 * directly, custom ones with the thread's re-entrancy raised through ehooks_enter / ehooks_leave
 * (installed by the thread layer), so that a hook may allocate.
 *
 * What the user's hooks say is taken on trust but for two things: a result of alloc that cannot be
 * used is refused, and memory said to be zero is looked at before anybody relies on it (pac).
 */
#ifndef TRACT_EXTENT_EHOOKS_H
#define TRACT_EXTENT_EHOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/atomic.h"
#include "tract/extent_hooks.h"

struct ehooks {
	_Atomic(extent_hooks_t *) hooks; /* Release on write, acquire on read. */
	_Atomic(bool) were_custom; /* Ever. Relaxed: set before memory of them is seen. */
	unsigned arena_index;      /* Set once. */
};

extern extent_hooks_t ehooks_default; /* works when called directly, too */

/* Installed at boot by the thread layer; no-ops before. */
extern void (*ehooks_enter)(void);
extern void (*ehooks_leave)(void);

/* Says a line to the user, who may allocate meanwhile.  Installed at boot. */
extern void (*ehooks_notice)(const char *line);

/* The arena whose memory may be huge where opt.thp says nothing. Set once at boot; or UINT_MAX. */
extern unsigned ehooks_huge_arena;

void ehooks_init(struct ehooks *eh, extent_hooks_t *hooks, unsigned arena_index);
extent_hooks_t *ehooks_get(struct ehooks *eh);
void ehooks_set(struct ehooks *eh, extent_hooks_t *hooks);
bool ehooks_are_default(struct ehooks *eh);
/* Does what the default hooks map for it come with advice to be on huge pages? */
bool ehooks_ask_for_huge(struct ehooks *eh);
/* Is all memory that ever came through them private, anonymous, and as the kernel gave it? */
bool ehooks_gave_plain_memory(struct ehooks *eh);

/* *zeroed, *committed: wanted on entry, got on return.  The result may carry
 * EXTENT_ALLOC_FLAG_PINNED.  One that is misaligned, not at new_addr when asked, or pinned but not
 * committed, is refused (and discarded). */
void *ehooks_alloc(struct ehooks *eh, void *new_addr, size_t size, size_t alignment,
    bool *zeroed, bool *committed);
bool ehooks_dalloc(struct ehooks *eh, void *addr, size_t size, bool committed);
/* At the end of its arena: to destroy, or where that is missing, to dalloc. */
bool ehooks_destroy(struct ehooks *eh, void *addr, size_t size, bool committed);
/* What cannot be kept: to dalloc, and what that refuses, to destroy. */
bool ehooks_discard(struct ehooks *eh, void *addr, size_t size, bool committed);
bool ehooks_commit(struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length);
bool ehooks_decommit(struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length);
bool ehooks_purge_lazy(struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length);
bool ehooks_purge_forced(struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length);
bool ehooks_split(struct ehooks *eh, void *addr, size_t size, size_t size_a,
    bool committed);
bool ehooks_merge(struct ehooks *eh, void *a, size_t size_a, void *b, size_t size_b,
    bool committed);
/* Forced purge of part of an extent in use: by the default hooks alone, for those of the user know
 * extents. */
bool ehooks_purge_part(struct ehooks *eh, void *addr, size_t length);
/* Forced purge of n whole extents in one call: how many of them, from the first on, are purged and
 * read as zero.  None where only the one hook may be asked. */
unsigned ehooks_purge_many(struct ehooks *eh, const struct iovec *extents, unsigned n);
/* After ehooks_purge_forced succeeded, does the range read as zero?  Plain memory only. */
bool ehooks_purge_zeroes(struct ehooks *eh);

#endif
