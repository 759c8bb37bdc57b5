/* SPDX-License-Identifier: MIT */
/*
 * kept -- empty slabs that a tcache keeps, and how they come back from a thread that has
 * gone idle.
 *
 * A slab that is needed again soon is not given back at once (tcache.h has the bounds);
 * trimming lets those go that no class has needed since the last time, and so does giving
 * back many more without needing one.  But a thread that goes idle does neither: so who
 * does the deferred work of the arena, and any thread's tick, looks at all tcaches listed
 * there, four times in the decay time while any keeps something, and takes everything
 * from those that have not touched it since the last look.
 *
 * What a tcache keeps belongs to whoever holds it (kept_holder).  Nobody waits: an owner
 * that does not get it keeps nothing, this time, and finds nothing kept.  It is held for
 * some loads and stores, for no call.
 *
 * Order.  The looker clears arena->has_kept, then holds each tcache in turn and looks; an
 * owner holds its own, keeps a slab, looks at has_kept and says that there is something
 * now.  Whoever holds second sees what the first has written: so either the looker sees
 * the slab, or the owner that nobody will look.
 */
#ifndef TRACT_CACHE_KEPT_H
#define TRACT_CACHE_KEPT_H

#include "cache/tcache.h"

/* Who holds what a tcache keeps. */
enum kept_holder { KEPT_FREE, KEPT_BY_OWNER, KEPT_BY_OTHER };

/* ---- by the owner ---- */

/* An empty slab for the class, one of its own or recast, out of every list; NULL: none. */
struct edata *tcache_kept_take(struct tcache *tc, unsigned szind);
/* Keep a slab without live regions, in no list, if that may be. */
bool tcache_kept_put(struct tcache *tc, struct edata *e);
/* Give back those that no class has needed since the last time. */
void tcache_kept_trim(struct tcache *tc);
/* Give back all. */
void tcache_kept_flush(struct tcache *tc);
/* A tcache listed in the arena keeps something: there are looks from now on. */
void tcache_kept_announce(struct arena *arena);
/* Walks them, and compares with what is counted. */
void tcache_kept_check(struct tcache *tc);

/* ---- by any thread ---- */

enum kept_which { KEPT_IDLE, KEPT_ALL };

/* Take what the arena's tcaches keep: what has been idle, if it is time to look; or all of it. */
void tcache_kept_reclaim(struct arena *arena, enum kept_which which, uint64_t now_ns);
/* Nanoseconds until the next look; UINT64_MAX: nothing is kept, or it may stay. */
uint64_t tcache_kept_ns_until(struct arena *arena, uint64_t now_ns);
/* In a fork child, for a surviving tcache: what a thread that is gone was taking is lost. */
void tcache_kept_fork_child(struct tcache *tc);

#endif
