/* SPDX-License-Identifier: MIT */
#include "cache/pool.h"

#include "cache/kept.h"
#include "os/os.h"
#include "sync/fork.h"

static struct tcache *
new_tcache(struct arena *arena)
{
	struct tcache *tc = base_alloc(&base_zero, sizeof *tc, CACHE_LINE);

	if (tc == NULL)
		return NULL;
	tcache_init(tc, arena);
	mutex_lock(&arena->tcache_lock);
	list_push_back(&arena->tcaches, &tc->arena_link);
	mutex_unlock(&arena->tcache_lock);
	return tc;
}

struct tcache *
tcache_pool_get(struct arena *arena)
{
	mutex_lock(&arena->tcache_lock);
	struct list *l = list_pop_front(&arena->pooled);
	if (l == NULL)
		l = list_pop_front(&arena->bare);
	mutex_unlock(&arena->tcache_lock);
	return l != NULL ? LIST_ENTRY(l, struct tcache, pool_link) : new_tcache(arena);
}

void
tcache_pool_put(struct tcache *tc)
{
	struct arena *arena = tc->arena;

	tcache_flush(tc);
	tc->shape = tcache_shape_default;
	tc->pooled_ns = os_clock_coarse_ns();
	mutex_lock(&arena->tcache_lock);
	list_push_front(&arena->pooled, &tc->pool_link);
	mutex_unlock(&arena->tcache_lock);
	arena_expect(arena, TCACHE_POOL_NS);
}

/* What the tcache has counted stays with the arena that it leaves. */
static void
leave_counts_locked(struct tcache *tc, struct arena *arena)
{
	assert(mutex_is_held(&arena->tcache_lock));
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct tcache_class *k = &tc->classes[i];
		const uint64_t taken = load_relaxed(&k->n_taken);
		arena->moved[i].n_taken += taken;
		arena->moved[i].n_fills += load_relaxed(&k->n_fills);
		arena->moved[i].n_flushes += load_relaxed(&k->n_flushes);
		k->taken_at_trim -= (uint32_t)taken;
		store_relaxed(&k->n_taken, 0);
		store_relaxed(&k->n_fills, 0);
		store_relaxed(&k->n_flushes, 0);
	}
}

void
tcache_move(struct tcache *tc, struct arena *arena)
{
	struct arena *old = tc->arena;

	tcache_large_flush(tc);
	mutex_lock(&old->tcache_lock);
	list_remove(&tc->arena_link);
	leave_counts_locked(tc, old);
	mutex_unlock(&old->tcache_lock);
	tc->arena = arena;
	mutex_lock(&arena->tcache_lock);
	/* The handler of a signal may have forked: then the child has listed it already. */
	if (!list_is_empty(&tc->arena_link))
		list_remove(&tc->arena_link);
	list_push_back(&arena->tcaches, &tc->arena_link);
	mutex_unlock(&arena->tcache_lock);
	/* Relaxed: the owner's. */
	if (load_relaxed(&tc->empty_bytes) != 0)
		tcache_kept_announce(arena);
}

static void
share_list(struct tcache *tc, struct list *slabs)
{
	struct list *l;

	while ((l = list_pop_front(slabs)) != NULL) {
		struct edata *e = LIST_ENTRY(l, struct edata, link);
		const unsigned live = slab_live(e);
		tcache_loses(tc, e);
		if (e->slab_state >= SLAB_UNCOMBED)
			slab_count_not_sparse(e);
		arena_slab_share(arena_of(e), e, live);
	}
}

void
tcache_share_slabs(struct tcache *tc)
{
	tcache_flush(tc);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct tcache_class *k = &tc->classes[i];
		if (tc->current[i] != NULL) {
			list_push_back(&k->partial, &tc->current[i]->link);
			tc->current[i] = NULL;
		}
		share_list(tc, &k->partial);
		share_list(tc, &k->full);
		if (tcache_sparse(tc, i) != NULL)
			share_list(tc, tcache_sparse(tc, i));
	}
	assert(tc->owned_bytes == 0);
	tc->sparse_bytes = 0;
	/* What was announced to us meanwhile finds its way to the bins. */
	(void)tcache_drain(tc);
}

bool
tcache_pool_age(struct arena *arena, uint64_t now_ns)
{
	struct tcache *tc = NULL;

	if (!mutex_trylock(&arena->tcache_lock))
		return false;
	/* The oldest is last. */
	struct list *l = list_last(&arena->pooled);
	if (l != NULL) {
		tc = LIST_ENTRY(l, struct tcache, pool_link);
		if (now_ns < tc->pooled_ns + TCACHE_POOL_NS)
			tc = NULL;
		else
			list_remove(l);
	}
	mutex_unlock(&arena->tcache_lock);
	if (tc == NULL)
		return false;
	tcache_share_slabs(tc);
	mutex_lock(&arena->tcache_lock);
	list_push_front(&arena->bare, &tc->pool_link);
	mutex_unlock(&arena->tcache_lock);
	return true;
}

uint64_t
tcache_pool_ns_until(struct arena *arena, uint64_t now_ns)
{
	uint64_t ns = UINT64_MAX;

	mutex_lock(&arena->tcache_lock);
	struct list *l = list_last(&arena->pooled);
	if (l != NULL) {
		const uint64_t due =
		    LIST_ENTRY(l, struct tcache, pool_link)->pooled_ns + TCACHE_POOL_NS;
		ns = due > now_ns ? due - now_ns : 0;
	}
	mutex_unlock(&arena->tcache_lock);
	return ns;
}

void
tcache_pools_fork_child(void)
{
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_get(i);
		if (arena == NULL || mutex_fork_child(&arena->tcache_lock))
			continue;
		list_init(&arena->tcaches);
		list_init(&arena->pooled);
		list_init(&arena->bare);
	}
}

static void
keep_listed(struct arena *arena, const struct list *pool)
{
	LIST_FOR_EACH (l, pool) {
		struct tcache *tc = LIST_ENTRY(l, struct tcache, pool_link);
		list_push_back(&arena->tcaches, &tc->arena_link);
	}
}

void
tcaches_fork_alone(struct tcache *own)
{
	if (own != NULL)
		tcache_kept_fork_child(own);
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_get(i);
		if (arena == NULL
		    || load_relaxed(&arena->tcache_lock.fork_state) != FORK_NONE)
			continue;
		list_init(&arena->tcaches);
		keep_listed(arena, &arena->pooled);
		keep_listed(arena, &arena->bare);
		if (own != NULL && own->arena == arena)
			list_push_back(&arena->tcaches, &own->arena_link);
	}
}
