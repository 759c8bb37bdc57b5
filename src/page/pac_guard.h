/* SPDX-License-Identifier: MIT */
/*
 * pac_guard -- guarded extents of a PAC: made where they are asked for, kept where they are used
 * again.
 *
 * Slabs keep their guards when they are freed, through dirty, muzzy and retained, and go out again
 * by exact size: no system call for guards.  Large extents lose them when they are freed, and are
 * like any other from then on.  All guards go when the arena does, when hooks of a user are to be
 * shown an extent, or when nothing else is left to find room in.
 *
 * Only where all memory of the arena came from default hooks, and opt.retain is on.  Where a guard
 * cannot be put up the request is served without.
 *
 * Guards are counted apart (stats.guards): they are in no extent, so neither active nor retained.
 */
#ifndef TRACT_PAGE_PAC_GUARD_H
#define TRACT_PAGE_PAC_GUARD_H

#include "page/pac.h"

/* May this one be guarded? */
bool pac_guards(struct pac *pac, const struct page_request *request);
/* A free guarded extent of that size, in state MERGING and counted as mapped; NULL: none. */
struct edata *pac_guard_reuse(struct pac *pac, size_t size);
/*
 * Put guards up within e, which is committed, in state MERGING and counted as mapped.  NULL: that
 * failed, and e is filed, where others may use it.
 */
struct edata *pac_guard_enclose(struct pac *pac, struct edata *e);
/* Take the guards of e down, in state MERGING and counted as mapped.  False: that failed, or the
 * hard limit is in the way; e is guarded still. */
bool pac_guard_open(struct pac *pac, struct edata *e);
/* Take down those of all retained extents.  False: there are none, or it failed. */
bool pac_guard_open_retained(struct pac *pac);

#endif
