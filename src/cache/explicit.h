/* SPDX-License-Identifier: MIT */
/*
 * explicit -- caches that a program makes and names (tcache.create, MALLOCX_TCACHE).
 *
 * Any thread may use one, so they own no slab: each is a bounded array of regions of shared slabs
 * per class, under a lock of its own (rank TCACHES_ONE), which is free while arenas are
 * asked or given to: their hooks may run then.  The table of them is under another (rank
 * TCACHES); only a fork holds both.
 */
#ifndef TRACT_CACHE_EXPLICIT_H
#define TRACT_CACHE_EXPLICIT_H

#include <stdbool.h>
#include <stddef.h>

#include "extent/emap.h"

struct arena;
struct explicit_tcache;

#define EXPLICIT_TCACHES_MAX 4093

/* False: no identifier or no memory left. */
bool explicit_tcache_create(unsigned *id);
/* False: no such cache. */
bool explicit_tcache_flush(unsigned id);
bool explicit_tcache_destroy(unsigned id);
/* NULL: no such cache. */
struct explicit_tcache *explicit_tcache_get(unsigned id);

/* A region; from the arena when the cache has none. */
void *explicit_tcache_alloc(struct explicit_tcache *cache, struct arena *arena,
    unsigned szind);
/* Keep or free a region. A region of an owned slab goes to its owner. */
void explicit_tcache_free(struct explicit_tcache *cache, struct edata *e, void *p);
/* Across a fork.  In the child a cache that was in use is empty, and what was in it is lost. */
void explicit_tcaches_fork_prepare(void);
void explicit_tcaches_fork_parent(void);
void explicit_tcaches_fork_child(void);

#endif
