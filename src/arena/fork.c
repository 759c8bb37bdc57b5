/* SPDX-License-Identifier: MIT */
/*
 * fork -- all arenas, and the metadata they share, across a fork.  See sync/fork.h and api/fork.h.
 *
 * Locks are taken rank by rank, not arena by arena: a thread may hold one arena's lock while it
 * waits for another's of a later rank.  ORDER LOCK-RANKS.
 * A manual arena can be destroyed by another thread unless arenas_lock was got; without that lock
 * those are left alone before the fork, and frozen in the child.
 */
#include "arena/arena.h"
#include "extent/dss.h"
#include "page/limit.h"
#include "sync/fork.h"

/* One past the last arena that no other thread can destroy. */
static unsigned
stable_end(void)
{
	return load_relaxed(&arenas_lock.fork_state) != FORK_NONE ? arenas_total()
								  : arenas_automatic();
}

#define FOR_EACH_ARENA(arena, end) \
	for (unsigned i_ = 0, end_ = (end); i_ < end_; i_++) \
		for (struct arena *arena = arena_get(i_); arena != NULL; arena = NULL)

static void
prepare_bins(struct arena *arena)
{
	(void)mutex_fork_prepare(&arena->mixed.lock);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		(void)mutex_fork_prepare(&arena->bins[i].lock);
}

void
arenas_fork_prepare(void)
{
	(void)mutex_fork_prepare(&arenas_lock);
	const unsigned end = stable_end();
	FOR_EACH_ARENA (arena, end)
		(void)mutex_fork_prepare(&arena->tcache_lock);
	FOR_EACH_ARENA (arena, end)
		arena_pages_fork_prepare(arena, RANK_DECAY);
	FOR_EACH_ARENA (arena, end)
		prepare_bins(arena);
	FOR_EACH_ARENA (arena, end)
		(void)mutex_fork_prepare(&arena->large_lock);
	FOR_EACH_ARENA (arena, end)
		arena_pages_fork_prepare(arena, RANK_GROW);
	FOR_EACH_ARENA (arena, end)
		arena_pages_fork_prepare(arena, RANK_HPA_SEC);
	FOR_EACH_ARENA (arena, end)
		arena_pages_fork_prepare(arena, RANK_HPA_GROW);
	hpa_central_fork_prepare(&hpa_central);
	FOR_EACH_ARENA (arena, end)
		arena_pages_fork_prepare(arena, RANK_HPA);
	FOR_EACH_ARENA (arena, end)
		arena_pages_fork_prepare(arena, RANK_ECACHE);
	FOR_EACH_ARENA (arena, end)
		edata_pool_fork_prepare(&arena->edata_pool);
	edata_pool_fork_prepare(&edata_orphans);
	rtree_fork_prepare();
	FOR_EACH_ARENA (arena, end)
		if (arena->base != &base_zero)
			base_fork_prepare(arena->base);
	base_fork_prepare(&base_zero);
	dss_fork_prepare();
}

void
arenas_fork_parent(void)
{
	dss_fork_parent();
	base_fork_parent(&base_zero);
	rtree_fork_parent();
	edata_pool_fork_parent(&edata_orphans);
	hpa_central_fork_parent(&hpa_central);
	FOR_EACH_ARENA (arena, stable_end()) {
		if (arena->base != &base_zero)
			base_fork_parent(arena->base);
		edata_pool_fork_parent(&arena->edata_pool);
		arena_pages_fork_parent(arena);
		mutex_fork_parent(&arena->large_lock);
		mutex_fork_parent(&arena->mixed.lock);
		for (unsigned i = 0; i < SC_NOWNED; i++)
			mutex_fork_parent(&arena->bins[i].lock);
		mutex_fork_parent(&arena->tcache_lock);
	}
	mutex_fork_parent(&arenas_lock);
}

static void
reset_in_child(struct arena *arena)
{
	if (arena->base != &base_zero)
		base_fork_child(arena->base);
	edata_pool_fork_child(&arena->edata_pool);
	arena_pages_fork_child(arena);
	if (!mutex_fork_child(&arena->large_lock)) {
		arena->large_epoch++;
		list_init(&arena->large);
	}
	if (!mutex_fork_child(&arena->mixed.lock))
		mixed_freeze(&arena->mixed);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		if (!mutex_fork_child(&arena->bins[i].lock))
			bin_freeze(&arena->bins[i]);
}

void
arenas_fork_child(void)
{
	dss_fork_child();
	base_fork_child(&base_zero);
	rtree_fork_child();
	edata_pool_fork_child(&edata_orphans);
	hpa_central_fork_child(&hpa_central);
	FOR_EACH_ARENA (arena, arenas_total())
		reset_in_child(arena);
	(void)mutex_fork_child(&arenas_lock);
}

void
arenas_fork_alone(struct arena *own)
{
	size_t used = 0;

	FOR_EACH_ARENA (arena, arenas_total()) {
		store_relaxed(&arena->n_threads,
		    arena == own); /* one thread in the child */
		used += arena_pages_charged(arena);
	}
	limit_fork_child(used);
	arenas_forget_reservations();
}
