/* SPDX-License-Identifier: MIT */
/*
 * pool -- tcaches whose thread has ended, waiting in their arena for the next thread.
 *
 * A pooled tcache keeps its slabs, so that the next thread finds the objects it inherits at home.
 * What has been pooled for TCACHE_POOL_NS is handed to the shared bins by any thread's tick; the
 * bare tcache stays for reuse.  All under arena->tcache_lock (rank TCACHE_LIST) but the handing
 * over itself, during which the tcache is in nobody's list.
 */
#ifndef TRACT_CACHE_POOL_H
#define TRACT_CACHE_POOL_H

#include "cache/tcache.h"

#define TCACHE_POOL_NS ((uint64_t)(CONFIG_HOSTILE ? 0 : 1000 * 1000 * 1000))

/* A tcache for a thread of the arena: a pooled one, newest first, or a new one. NULL: no memory. */
struct tcache *tcache_pool_get(struct arena *arena);
/* The thread ends, or leaves the arena. */
void tcache_pool_put(struct tcache *tc);
/* Give the slabs of an owned tcache to the shared bins. */
void tcache_share_slabs(struct tcache *tc);
/*
 * The calling thread's tcache gets its new slabs from this automatic arena from now on, and is
 * listed there.  The slabs it owns stay its own: a slab's owner and its arena are two things.
 */
void tcache_move(struct tcache *tc, struct arena *arena);
/* Hand over one that has waited too long.  False: there is none, or another thread is at it. */
bool tcache_pool_age(struct arena *arena, uint64_t now_ns);
/* Nanoseconds until one will have; UINT64_MAX: none waits. */
uint64_t tcache_pool_ns_until(struct arena *arena, uint64_t now_ns);
/* In a fork child: pools that were in use are empty. */
void tcache_pools_fork_child(void);
/*
 * In a fork child: the tcaches left are `own' (NULL: none) and those in the pools.  Other threads'
 * stay as they were and are never used again, so their slabs are frozen.
 */
void tcaches_fork_alone(struct tcache *own);

#endif
