/* SPDX-License-Identifier: MIT */
#include "extent/edata_pool.h"

#include <string.h>

#include "sync/fork.h"

/* Records taken from the base at a time. */
#define BATCH (CONFIG_HOSTILE ? 1 : 8)

struct edata_pool edata_orphans = {
	.lock = MUTEX_INITIALIZER(EDATA_POOL),
	.base = &base_zero,
	.records = { &edata_orphans.records, &edata_orphans.records },
};

void
edata_pool_init(struct edata_pool *pool, struct base *base)
{
	mutex_init(&pool->lock, RANK_EDATA_POOL);
	pool->base = base;
	list_init(&pool->records);
}

void
edata_pool_init_manual(struct edata_pool *pool)
{
	edata_pool_init(pool, &base_zero);
	pool->orphanage = &edata_orphans;
}

static struct edata *
pop(struct edata_pool *pool)
{
	mutex_lock(&pool->lock);
	struct list *l = list_pop_front(&pool->records);
	if (l != NULL)
		pool->n_free--;
	mutex_unlock(&pool->lock);
	return l == NULL ? NULL : LIST_ENTRY(l, struct edata, link);
}

void
edata_pool_pass(struct edata_pool *from, struct edata_pool *to)
{
	fetch_sub_relaxed(&from->n_all, 1);
	fetch_add_relaxed(&to->n_all, 1);
}

static struct edata *
adopt_orphan(struct edata_pool *pool)
{
	struct edata *e = pool->orphanage == NULL ? NULL : pop(pool->orphanage);

	if (e != NULL)
		edata_pool_pass(pool->orphanage, pool);
	return e;
}

static struct edata *
make(struct edata_pool *pool)
{
	unsigned n = BATCH;
	struct edata *batch = base_alloc(pool->base, n * sizeof *batch, EDATA_ALIGNMENT);

	if (batch == NULL) {
		n = 1;
		batch = base_alloc(pool->base, sizeof *batch, EDATA_ALIGNMENT);
	}
	if (batch == NULL)
		return NULL;
	fetch_add_relaxed(&pool->n_all, n);
	for (unsigned i = 1; i < n; i++)
		edata_pool_put(pool, &batch[i]);
	return &batch[0];
}

/* As new, and of that arena; NULL stays NULL. */
static struct edata *
renew(struct edata *e, unsigned arena_index)
{
	if (e == NULL)
		return NULL;
	assert(load_relaxed(&e->owner) == NULL && load_relaxed(&e->remote) == 0);
	/* A stale reader may look at the first word and at the arena while we clear the rest. */
	memset(&e->free, 0,
	    offsetof(struct edata, arena_index) - offsetof(struct edata, free));
	memset(&e->slab_state, 0,
	    offsetof(struct edata, remote) - offsetof(struct edata, slab_state));
	memset(&e->sn, 0, sizeof *e - offsetof(struct edata, sn));
	/* Release: pairs with emap_neighbour, which may know the record from its last arena. */
	store_release(&e->arena_index, (uint16_t)arena_index);
	return e;
}

struct edata *
edata_pool_get(struct edata_pool *pool, unsigned arena_index)
{
	struct edata *e = pop(pool);

	if (e == NULL)
		e = adopt_orphan(pool);
	if (e == NULL)
		e = make(pool);
	return renew(e, arena_index);
}

struct edata *
edata_pool_get_ready(struct edata_pool *pool, unsigned arena_index)
{
	return renew(pop(pool), arena_index);
}

void
edata_pool_put(struct edata_pool *pool, struct edata *e)
{
	assert(load_relaxed(&e->owner) == NULL && load_relaxed(&e->remote) == 0);
	mutex_lock(&pool->lock);
	list_push_front(&pool->records, &e->link);
	pool->n_free++;
	mutex_unlock(&pool->lock);
}

void
edata_pool_abandon(struct edata_pool *pool)
{
	struct edata *e;

	while ((e = pop(pool)) != NULL) {
		edata_pool_pass(pool, &edata_orphans);
		edata_pool_put(&edata_orphans, e);
	}
}

void
edata_pool_fork_prepare(struct edata_pool *pool)
{
	(void)mutex_fork_prepare(&pool->lock);
}

void
edata_pool_fork_parent(struct edata_pool *pool)
{
	mutex_fork_parent(&pool->lock);
}

void
edata_pool_fork_child(struct edata_pool *pool)
{
	if (mutex_fork_child(&pool->lock))
		return;
	list_init(&pool->records);
	pool->n_free = 0;
}
