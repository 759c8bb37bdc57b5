/* SPDX-License-Identifier: MIT */
/*
 * edata_pool -- an arena's free records: an unbounded list, filled from the arena's base.
 * Records are cleared when handed out (all but `owner' and `remote', which stale readers may see:
 * those are already zero in a free record, asserted).
 *
 * Records live for ever, those of manual arenas in the process's own base.  When such an arena is
 * destroyed they become orphans, whom later manual arenas take first.  Automatic arenas never do:
 * so a record that anybody can still find in an automatic arena's name is that arena's.
 * Locking: `lock', rank EDATA_POOL.
 */
#ifndef TRACT_EXTENT_EDATA_POOL_H
#define TRACT_EXTENT_EDATA_POOL_H

#include "extent/edata.h"
#include "meta/base.h"

struct edata_pool {
	struct mutex lock;
	struct base *base;            /* Set once. */
	struct edata_pool *orphanage; /* Set once. Asked before base; or NULL. */
	struct list records;          /* Guarded by lock. */
	size_t n_free;                /* Guarded by lock. */
	_Atomic(size_t) n_all; /* records it has, in use or not; relaxed, statistics */
};

extern struct edata_pool edata_orphans;

void edata_pool_init(struct edata_pool *pool, struct base *base);
struct edata *edata_pool_get(struct edata_pool *pool, unsigned arena_index);
/* One that lies ready, without asking the base; NULL: none. */
struct edata *edata_pool_get_ready(struct edata_pool *pool, unsigned arena_index);
void edata_pool_put(struct edata_pool *pool, struct edata *e);
/* The pool of a manual arena. */
void edata_pool_init_manual(struct edata_pool *pool);
/* The arena is destroyed: its free records become orphans. */
void edata_pool_abandon(struct edata_pool *pool);
/* A record in use passes from one arena to another. */
void edata_pool_pass(struct edata_pool *from, struct edata_pool *to);
/* Across a fork; a pool that was in use starts empty in the child. */
void edata_pool_fork_prepare(struct edata_pool *pool);
void edata_pool_fork_parent(struct edata_pool *pool);
void edata_pool_fork_child(struct edata_pool *pool);

#endif
