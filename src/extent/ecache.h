/* SPDX-License-Identifier: MIT */
/*
 * ecache -- free extents an arena may reuse before asking the system.
 *
 * All extents of an ecache are in its one state.  No two mergeable neighbours stay apart while
 * `lock' is free, unless the merge hook refused.  What a thread takes out is in state MERGING:
 * nobody else touches it, and hooks and system calls may run on it without a lock.
 *
 * Guarded extents have a set of their own.  They go out whole, to who asks for their very size, and
 * as the oldest only when there are no others.
 *
 * Locking: `lock' guards the set, rank ECACHE, one ecache at a time.  Hooks are called with it
 * released.
 */
#ifndef TRACT_EXTENT_ECACHE_H
#define TRACT_EXTENT_ECACHE_H

#include "extent/edata_pool.h"
#include "extent/ehooks.h"
#include "extent/emap.h"
#include "extent/eset.h"
#include "sync/mutex.h"

struct ecache {
	struct mutex lock;
	struct eset eset; /* Guarded by lock. */
	/* Guarded extents; NULL: takes none.  All zero before the first.  Guarded by lock. */
	struct eset *guarded;
	_Atomic(size_t)
	    n_guarded;           /* granules in it; written under lock, relaxed readers */
	enum extent_state state; /* Set once. */
	struct ehooks *ehooks;   /* Set once. */
	struct edata_pool *pool; /* Set once. */
	/* Set in a fork child that found the set in use: extents outside it may say our state. */
	bool is_frozen;
};

void ecache_init(struct ecache *ec, enum extent_state state, struct ehooks *ehooks,
    struct edata_pool *pool);

/* Let guarded extents in; `set': zeroed memory, untouched until there is one. */
void ecache_allow_guarded(struct ecache *ec, struct eset *set);

/* Exactly `size' bytes at `alignment', in state MERGING; NULL: nothing fits, or no memory for the
 * record of what is cut off. */
struct edata *ecache_take(struct ecache *ec, size_t size, size_t alignment,
    size_t largest);
/* File an extent in state MERGING, merged with its neighbours. */
void ecache_put(struct ecache *ec, struct edata *e);
/* Cut e, in state MERGING, to exactly `size' bytes at `alignment'; what is cut off is filed.  NULL:
 * the hook refuses, or no memory for a record; all of e is filed. */
struct edata *ecache_carve(struct ecache *ec, struct edata *e, size_t size,
    size_t alignment);
/* `size' bytes right behind e, in state MERGING; NULL: not there. */
struct edata *ecache_take_behind(struct ecache *ec, const struct edata *e, size_t size);
/* What lies right behind e where it is less than `size' bytes, whole and in state MERGING, if an
 * extent in state `behind' seems to follow it; NULL: nothing, or enough, or none follows. */
struct edata *ecache_take_short_behind(struct ecache *ec, const struct edata *e,
    size_t size, enum extent_state behind);
/* One that is too small by up to a half, whole and in state MERGING, where an extent in state
 * `behind' seems to follow it; NULL: none. */
struct edata *ecache_take_followed(struct ecache *ec, size_t size,
    enum extent_state behind);
/* One of the largest, whole and in state MERGING; NULL: none has `least' bytes. */
struct edata *ecache_take_largest(struct ecache *ec, size_t least);
/* A guarded extent of exactly `size' bytes, in state MERGING; NULL: none. */
struct edata *ecache_take_guarded(struct ecache *ec, size_t size);
/* The guarded extent that has been here longest, in state MERGING; NULL: none. */
struct edata *ecache_take_oldest_guarded(struct ecache *ec);
/* What has been here longest, at most `limit' bytes of it, in state MERGING; NULL: empty. */
struct edata *ecache_take_oldest(struct ecache *ec, size_t limit);

/* Cut e (MERGING or ACTIVE, the caller's) to `size' bytes; the rest, in the same state. NULL: the
 * hook refuses, or no memory; e is whole. */
struct edata *extent_split(struct ehooks *ehooks, struct edata_pool *pool,
    struct edata *e, size_t size);
/* e and what lies right behind it, in the same state; false: the hook refuses. */
bool extent_merge(struct ehooks *ehooks, struct edata_pool *pool, struct edata *e,
    struct edata *next);

static inline size_t
ecache_pages(struct ecache *ec)
{
	return load_relaxed(&ec->eset.npages) + load_relaxed(&ec->n_guarded);
}

/* The sets, without holes: 0 that of others, 1 that of guarded extents, if there are any.  Caller:
 * the lock. */
static inline const struct eset *
ecache_set(const struct ecache *ec, unsigned i)
{
	return i == 0                                     ? &ec->eset
	    : i == 1 && load_relaxed(&ec->n_guarded) != 0 ? ec->guarded
							  : NULL;
}

#define ECACHE_FOR_EACH_SET(set, ec) \
	for (unsigned set##_i = 0; set##_i < 2; set##_i++) \
		for (const struct eset *set = ecache_set((ec), set##_i); set != NULL; \
		     set = NULL)

void ecache_check(struct ecache *ec);

void ecache_fork_prepare(struct ecache *ec);
void ecache_fork_parent(struct ecache *ec);
void ecache_fork_child(struct ecache *ec);

#endif
