/* SPDX-License-Identifier: MIT */
/*
 * edata_pool -- an arena's free records: an unbounded list, filled from the arena's base.
 * Records are cleared when handed out (all but `owner' and `remote', which stale readers may see:
 * those are already zero in a free record, asserted).
 * Locking: `lock', rank EDATA_POOL.
 */
#ifndef TRACT_EXTENT_EDATA_POOL_H
#define TRACT_EXTENT_EDATA_POOL_H

#include "extent/edata.h"
#include "meta/base.h"

struct edata_pool {
	struct mutex lock;
	struct base *base;
	struct list records;   /* Guarded by lock. */
	size_t n_free;         /* Guarded by lock. */
	_Atomic(size_t) n_all; /* records ever made; relaxed, statistics */
};

void edata_pool_init(struct edata_pool *pool, struct base *base);
struct edata *edata_pool_get(struct edata_pool *pool, unsigned arena_index);
void edata_pool_put(struct edata_pool *pool, struct edata *e);
/* The records of a destroyed arena live on: move them all to `heir' (the process's own pool). */
void edata_pool_bequeath(struct edata_pool *pool, struct edata_pool *heir);
/* Across a fork; a pool that was in use starts empty in the child. */
void edata_pool_fork_prepare(struct edata_pool *pool);
void edata_pool_fork_parent(struct edata_pool *pool);
void edata_pool_fork_child(struct edata_pool *pool);

#endif
