/* SPDX-License-Identifier: MIT */
#include "extent/ecache.h"

#include "base/bits.h"
#include "os/pages.h"
#include "sync/fork.h"

void
ecache_init(struct ecache *ec, enum extent_state state, struct ehooks *ehooks,
    struct edata_pool *pool)
{
	mutex_init(&ec->lock, RANK_ECACHE);
	eset_init(&ec->eset);
	ec->state = state;
	ec->ehooks = ehooks;
	ec->pool = pool;
}

void
ecache_allow_guarded(struct ecache *ec, struct eset *set)
{
	ec->guarded = set;
}

struct edata *
extent_split(struct ehooks *ehooks, struct edata_pool *pool, struct edata *e, size_t size)
{
	assert(!e->guarded);
	struct edata *trail = edata_pool_get(pool, edata_arena(e));
	if (trail == NULL)
		return NULL;
	if ((ehooks_are_default(ehooks)
		|| ehooks_split(ehooks, edata_base(e), e->size, size, e->committed))
	    && emap_split(e, size, trail))
		return trail;
	edata_pool_put(pool, trail);
	return NULL;
}

bool
extent_merge(struct ehooks *ehooks, struct edata_pool *pool, struct edata *e,
    struct edata *next)
{
	if (!ehooks_are_default(ehooks)
	    && !ehooks_merge(ehooks, edata_base(e), e->size, edata_base(next), next->size,
		e->committed))
		return false;
	emap_merge(e, next);
	edata_pool_put(pool, next);
	return true;
}

static void
take_locked(struct ecache *ec, struct edata *e)
{
	assert(mutex_is_held(&ec->lock) && e->state == ec->state);
	if (UNLIKELY(e->guarded)) {
		eset_remove(ec->guarded, e);
		owner_sub(&ec->n_guarded, e->size >> LG_GRANULE);
	} else {
		eset_remove(&ec->eset, e);
	}
	emap_set_state(e, EXTENT_MERGING);
}

static void
file_locked(struct ecache *ec, struct edata *e)
{
	assert(mutex_is_held(&ec->lock) && e->state == EXTENT_MERGING);
	emap_set_state(e, ec->state);
	if (LIKELY(!e->guarded)) {
		eset_insert(&ec->eset, e);
		return;
	}
	assert(ec->guarded != NULL);
	if (!ec->guarded->is_exact)
		eset_init_exact(ec->guarded);
	eset_insert(ec->guarded, e);
	owner_add(&ec->n_guarded, e->size >> LG_GRANULE);
}

/* Take the neighbour, or else file e: both under one hold of the lock, or a neighbour that comes
 * meanwhile would be missed. */
static struct edata *
neighbour_or_file(struct ecache *ec, struct edata *e, bool try_next, bool try_previous,
    enum emap_side *side)
{
	struct edata *other = NULL;

	mutex_lock(&ec->lock);
	/* Only now: waiting for the lock in another library's fork handler may have
	 * frozen the set. */
	if (ec->is_frozen || e->guarded)
		try_next = try_previous = false;
	if (try_next) {
		*side = EMAP_NEXT;
		other = emap_neighbour(e, EMAP_NEXT, ec->state);
	}
	if (other == NULL && try_previous) {
		*side = EMAP_PREVIOUS;
		other = emap_neighbour(e, EMAP_PREVIOUS, ec->state);
	}
	if (other != NULL)
		take_locked(ec, other);
	else
		file_locked(ec, e);
	mutex_unlock(&ec->lock);
	return other;
}

/* The neighbours on a side, several where a hook had kept them apart, leave the set and become one
 * extent with e, which is in none.  The other records go to `records'. */
static struct edata *
merge_locked(struct ecache *ec, struct edata *e, enum emap_side side,
    struct list *records)
{
	struct edata *other;

	while ((other = emap_neighbour(e, side, ec->state)) != NULL) {
		eset_remove(&ec->eset, other);
		struct edata *low = side == EMAP_NEXT ? e : other,
			     *high = side == EMAP_NEXT ? other : e;
		emap_merge(low, high);
		list_push_back(records, &high->link);
		e = low;
	}
	return e;
}

/* Without hooks to ask, all under one hold of the lock.  False: there are. */
static bool
put_at_once(struct ecache *ec, struct edata *e)
{
	struct list records, *l;

	list_init(&records);
	mutex_lock(&ec->lock);
	if (UNLIKELY(!ehooks_are_default(ec->ehooks))) {
		mutex_unlock(&ec->lock);
		return false;
	}
	if (UNLIKELY(ec->is_frozen || e->guarded)) {
		file_locked(ec, e);
	} else {
		assert(e->state == EXTENT_MERGING);
		e->state = (uint8_t)ec->state;
		e = merge_locked(ec, e, EMAP_NEXT, &records);
		e = merge_locked(ec, e, EMAP_PREVIOUS, &records);
		if (list_is_empty(&records))
			emap_set_state(e, ec->state);
		eset_insert(&ec->eset, e);
	}
	mutex_unlock(&ec->lock);
	while ((l = list_pop_front(&records)) != NULL)
		edata_pool_put(ec->pool, LIST_ENTRY(l, struct edata, link));
	return true;
}

void
ecache_put(struct ecache *ec, struct edata *e)
{
	if (LIKELY(put_at_once(ec, e)))
		return;
	bool try_next = true, try_previous = true;
	struct edata *other;
	enum emap_side side;

	while ((other = neighbour_or_file(ec, e, try_next, try_previous, &side))
	    != NULL) {
		struct edata *low = side == EMAP_NEXT ? e : other;
		struct edata *high = side == EMAP_NEXT ? other : e;
		if (extent_merge(ec->ehooks, ec->pool, low, high)) {
			e = low;
			continue;
		}
		/* The hook refuses this pair; do not ask again. */
		if (side == EMAP_NEXT)
			try_next = false;
		else
			try_previous = false;
		mutex_lock(&ec->lock);
		file_locked(ec, other);
		mutex_unlock(&ec->lock);
	}
}

struct edata *
ecache_carve(struct ecache *ec, struct edata *e, size_t size, size_t alignment)
{
	const size_t lead = align_up(e->addr, alignment) - e->addr;

	assert(e->state == EXTENT_MERGING && e->size >= lead && e->size - lead >= size);
	if (lead != 0) {
		struct edata *rest = extent_split(ec->ehooks, ec->pool, e, lead);
		if (rest == NULL) {
			ecache_put(ec, e);
			return NULL;
		}
		ecache_put(ec, e);
		e = rest;
	}
	if (e->size != size) {
		struct edata *trail = extent_split(ec->ehooks, ec->pool, e, size);
		if (trail == NULL) {
			ecache_put(ec, e);
			return NULL;
		}
		ecache_put(ec, trail);
	}
	return e;
}

/* Take e, in the set, and cut it to size at once, where that asks no hook, takes no memory and
 * leaves nothing in front. */
static void
take_front_locked(struct ecache *ec, struct edata *e, size_t size, size_t alignment)
{
	struct edata *trail = NULL;

	if (e->size != size && is_aligned(e->addr, alignment)
	    && LIKELY(ehooks_are_default(ec->ehooks)))
		trail = edata_pool_get_ready(ec->pool, edata_arena(e));
	if (trail == NULL) {
		take_locked(ec, e);
		return;
	}
	eset_remove(&ec->eset, e);
	if (emap_split(e, size, trail))
		eset_insert(&ec->eset, trail);
	else
		edata_pool_put(ec->pool, trail);
	emap_set_state(e, EXTENT_MERGING);
}

struct edata *
ecache_take(struct ecache *ec, size_t size, size_t alignment, size_t largest)
{
	mutex_lock(&ec->lock);
	struct edata *e = eset_fit(&ec->eset, size, alignment, largest);
	if (e != NULL)
		take_front_locked(ec, e, size, alignment);
	mutex_unlock(&ec->lock);
	return e == NULL ? NULL : ecache_carve(ec, e, size, alignment);
}

struct edata *
ecache_take_behind(struct ecache *ec, const struct edata *e, size_t size)
{
	mutex_lock(&ec->lock);
	struct edata *next =
	    ec->is_frozen ? NULL : emap_neighbour(e, EMAP_NEXT, ec->state);
	if (next != NULL && next->size >= size)
		take_locked(ec, next);
	else
		next = NULL;
	mutex_unlock(&ec->lock);
	return next == NULL ? NULL : ecache_carve(ec, next, size, os_page_size);
}

struct edata *
ecache_take_short_behind(struct ecache *ec, const struct edata *e, size_t size,
    enum extent_state behind)
{
	mutex_lock(&ec->lock);
	struct edata *next =
	    ec->is_frozen ? NULL : emap_neighbour(e, EMAP_NEXT, ec->state);
	if (next != NULL && next->size < size && !next->guarded
	    && emap_is_followed(next, behind))
		take_locked(ec, next);
	else
		next = NULL;
	mutex_unlock(&ec->lock);
	return next;
}

struct edata *
ecache_take_followed(struct ecache *ec, size_t size, enum extent_state behind)
{
	mutex_lock(&ec->lock);
	struct edata *e = eset_followed(&ec->eset, size, behind);
	if (e != NULL)
		take_locked(ec, e);
	mutex_unlock(&ec->lock);
	return e;
}

struct edata *
ecache_take_largest(struct ecache *ec, size_t least)
{
	mutex_lock(&ec->lock);
	struct edata *e = eset_largest(&ec->eset);
	if (e != NULL && e->size >= least)
		take_locked(ec, e);
	else
		e = NULL;
	mutex_unlock(&ec->lock);
	return e;
}

struct edata *
ecache_take_guarded(struct ecache *ec, size_t size)
{
	struct edata *e = NULL;

	/* Relaxed: a hint. */
	if (load_relaxed(&ec->n_guarded) == 0)
		return NULL;
	mutex_lock(&ec->lock);
	if (load_relaxed(&ec->n_guarded) != 0)
		e = eset_exact(ec->guarded, size);
	if (e != NULL)
		take_locked(ec, e);
	mutex_unlock(&ec->lock);
	return e;
}

static struct edata *
oldest_guarded_locked(struct ecache *ec)
{
	return load_relaxed(&ec->n_guarded) == 0 ? NULL : eset_oldest(ec->guarded);
}

struct edata *
ecache_take_oldest_guarded(struct ecache *ec)
{
	mutex_lock(&ec->lock);
	struct edata *e = oldest_guarded_locked(ec);
	if (e != NULL)
		take_locked(ec, e);
	mutex_unlock(&ec->lock);
	return e;
}

struct edata *
ecache_take_oldest(struct ecache *ec, size_t limit)
{
	mutex_lock(&ec->lock);
	struct edata *e = eset_oldest(&ec->eset);
	if (e == NULL)
		e = oldest_guarded_locked(ec);
	if (e != NULL)
		take_locked(ec, e);
	mutex_unlock(&ec->lock);
	if (e == NULL || e->size <= limit || e->guarded)
		return e;
	/* Where it cannot be split, all of it. */
	struct edata *rest = extent_split(ec->ehooks, ec->pool, e, limit);
	if (rest != NULL)
		ecache_put(ec, rest);
	return e;
}

static UNUSED bool
is_foreign(uintptr_t p)
{
	return emap_lookup_any((void *)p) == NULL;
}

static void
check_extent(struct ecache *ec, const struct edata *e)
{
	const uintptr_t word = rtree_read(e->addr);

	assert(e->state == ec->state && is_aligned(e->size, os_page_size));
	assert(emap_record(word) == e);
	assert((word & EXTENT_HEAD_BIT) == (e->is_head ? EXTENT_HEAD_BIT : 0));
	assert(rtree_read(edata_end(e) - GRANULE) == word);
	assert(ec->is_frozen || !ehooks_are_default(ec->ehooks)
	    || emap_neighbour(e, EMAP_NEXT, ec->state) == NULL);
	assert(!e->guarded
	    || (is_foreign(e->addr - os_page_size) && is_foreign(e->addr - 1)
		&& is_foreign(edata_end(e))
		&& is_foreign(edata_end(e) + os_page_size - 1)));
	(void)word;
}

void
ecache_check(struct ecache *ec)
{
	mutex_lock(&ec->lock);
	ECACHE_FOR_EACH_SET(set, ec)
	{
		eset_check(set);
		LIST_FOR_EACH (l, &set->lru) {
			const struct edata *e = LIST_ENTRY(l, struct edata, link);
			assert(e->guarded == set->is_exact);
			check_extent(ec, e);
		}
	}
	assert(load_relaxed(&ec->n_guarded) == 0
	    || load_relaxed(&ec->n_guarded) == load_relaxed(&ec->guarded->npages));
	mutex_unlock(&ec->lock);
}

void
ecache_fork_prepare(struct ecache *ec)
{
	(void)mutex_fork_prepare(&ec->lock);
}

void
ecache_fork_parent(struct ecache *ec)
{
	mutex_fork_parent(&ec->lock);
}

/* A set that was in use may be torn: the child leaves its extents alone for ever. */
void
ecache_fork_child(struct ecache *ec)
{
	if (mutex_fork_child(&ec->lock))
		return;
	ec->eset = (struct eset){ 0 };
	eset_init(&ec->eset);
	if (ec->guarded != NULL)
		*ec->guarded = (struct eset){ 0 };
	store_relaxed(&ec->n_guarded, 0);
	ec->is_frozen = true;
}
