/* SPDX-License-Identifier: MIT */
/*
 * bin -- the shared slabs of one class, and the birth and death of all slabs of it.
 *
 * Always true while `lock' is free: a shared slab is current, or in `partial' (0 < need <
 * nregs), or in `full' (need == nregs); one without live regions is current or gone.
 */
#include "arena/slab_purge.h"

#include "base/bits.h"
#include "os/pages.h"

static size_t
bitmap_bytes(unsigned nregs)
{
	return align_up((nregs + 7u) / 8, CACHE_LINE);
}

void
bin_init(struct bin *bin, unsigned szind)
{
	mutex_init(&bin->lock, RANK_BIN);
	bin->szind = (uint8_t)szind;
	list_init(&bin->full);
	list_init(&bin->owned);
}

/* A new slab of the bin, its owner's. */
static void
enlist(struct bin *bin, struct edata *e, struct tcache *owner)
{
	const unsigned worth = slab_worth(e);

	mutex_lock(&bin->lock);
	bin->stats.n_slabs += worth;
	bin->stats.cur_slabs += worth;
	e->epoch = bin->epoch;
	/* Relaxed: regions reach other threads through the program's own synchronisation. */
	store_relaxed(&e->owner, owner);
	if (owner != NULL) {
		list_push_back(&bin->owned, &e->bin_link);
		e->owned_purged = 0;
	}
	mutex_unlock(&bin->lock);
}

struct edata *
arena_slab_new(struct arena *arena, unsigned szind, unsigned worth, struct tcache *owner)
{
	const struct slab_geometry *geometry = &slab_geometry[szind];
	const unsigned nregs = worth * geometry->nregs;
	const struct page_request request = {
		.size = (size_t)worth * geometry->slab_size,
		.alignment = os_page_size,
		.use = USE_SLAB,
		.szind = (uint8_t)szind,
		.guarded = arena_guards_slab(arena),
	};

	assert(worth != 0 && worth <= geometry->grown);
	uint64_t *bitmap = base_alloc(arena->base, bitmap_bytes(nregs), CACHE_LINE);
	if (bitmap == NULL)
		return NULL;
	struct edata *e = arena_pages_alloc(arena, &request);
	if (e == NULL) {
		base_free(arena->base, bitmap, bitmap_bytes(nregs));
		return NULL;
	}
	e->bitmap = bitmap;
	e->nregs = (uint16_t)nregs;
	e->free = NULL;
	e->need = 0;
	e->carved = 0;
	e->slab_state = SLAB_EMPTY;
	if (owner == NULL)
		slab_bitmap_fill(e);
	enlist(&arena->bins[szind], e, owner);
	return e;
}

/* A slab that outlived a freeze of its bin is in no list of it. */
static void
unlist_owned_locked(struct bin *bin, struct edata *e)
{
	if (LIKELY(e->epoch == bin->epoch))
		list_remove(&e->bin_link);
	e->epoch = bin->epoch;
}

/* A slab that is going; who owned it. */
static struct tcache *
delist(struct bin *bin, struct edata *e)
{
	mutex_lock(&bin->lock);
	struct tcache *owner = load_relaxed(&e->owner);
	if (owner != NULL)
		unlist_owned_locked(bin, e);
	bin->stats.cur_slabs -= slab_worth(e);
	mutex_unlock(&bin->lock);
	return owner;
}

/* Room for the bits of so many regions instead of those it has. */
static bool
resize_bitmap(struct arena *arena, struct edata *e, unsigned nregs)
{
	const size_t before = bitmap_bytes(e->nregs), after = bitmap_bytes(nregs);

	if (LIKELY(before == after))
		return true;
	uint64_t *bitmap = base_alloc(arena->base, after, CACHE_LINE);
	if (bitmap == NULL)
		return false;
	base_free(arena->base, e->bitmap, before);
	e->bitmap = bitmap;
	return true;
}

bool
arena_slab_recast(struct arena *arena, struct edata *e, unsigned szind)
{
	const struct slab_geometry *geometry = &slab_geometry[szind];
	const unsigned worth = slab_worth(e), nregs = worth * geometry->nregs;

	assert(e->size == (size_t)worth * geometry->slab_size);
	assert(load_relaxed(&e->remote) == 0);
	if (worth > geometry->grown || !resize_bitmap(arena, e, nregs))
		return false;
	struct tcache *owner = delist(&arena->bins[e->szind], e);
	e->szind = (uint8_t)szind;
	e->nregs = (uint16_t)nregs;
	e->free = NULL;
	e->need = 0;
	e->carved = 0;
	enlist(&arena->bins[szind], e, owner);
	return true;
}

void
arena_slab_delete(struct arena *arena, struct edata *e)
{
	uint64_t *bitmap = e->bitmap;
	const size_t bytes = bitmap_bytes(e->nregs);

	assert(load_relaxed(&e->remote) == 0);
	slab_count_used_again(e,
	    load_relaxed(&e->owner) != NULL ? e->owned_purged : e->shared_purged);
	(void)delist(&arena->bins[e->szind], e);
	store_relaxed(&e->owner, NULL);
	e->free = NULL;
	e->bitmap = NULL;
	arena_pages_dalloc(arena, e);
	base_free(arena->base, bitmap, bytes);
}

/* File a shared slab by its number of live regions. Not the current one, not an empty one. */
static void
file_locked(struct bin *bin, struct edata *e)
{
	assert(mutex_is_held(&bin->lock));
	assert(e->need != 0);
	if (e->need == e->nregs) {
		e->slab_state = SLAB_SHARED_FULL;
		list_push_back(&bin->full, &e->link);
	} else {
		e->slab_state = SLAB_SHARED_PARTIAL;
		heap_insert(&bin->partial, &e->node, slab_order);
	}
}

static void
unfile_locked(struct bin *bin, struct edata *e)
{
	if (e->slab_state == SLAB_SHARED_FULL)
		list_remove(&e->link);
	else
		heap_remove(&bin->partial, &e->node, slab_order);
}

void
arena_slab_share(struct arena *arena, struct edata *e, unsigned live)
{
	struct bin *bin = &arena->bins[e->szind];

	if (live == 0) {
		arena_slab_delete(arena, e);
		return;
	}
	mutex_lock(&bin->lock);
	unlist_owned_locked(bin, e);
	slab_share(e, live);
	bin->stats.cur_regs += live;
	file_locked(bin, e);
	mutex_unlock(&bin->lock);
}

/* Make another slab current; `fresh' (may be NULL) is one just made. */
static bool
next_current_locked(struct bin *bin, struct edata **fresh)
{
	struct edata *old = bin->current;

	struct heap_node *node = heap_pop(&bin->partial, slab_order);
	if (node != NULL) {
		bin->current = CONTAINER_OF(node, struct edata, node);
		bin->stats.n_reslabs++;
	} else if (*fresh != NULL) {
		bin->current = *fresh;
		bin->current->epoch = bin->epoch;
		*fresh = NULL;
	} else {
		return false;
	}
	bin->current->slab_state = SLAB_SHARED_CURRENT;
	if (old != NULL)
		file_locked(bin, old);
	return true;
}

/* Up to n regions of the current slab. */
static unsigned
take_locked(struct bin *bin, unsigned n, void **chain)
{
	struct edata *e = bin->current;
	const uint64_t purged = e->shared_purged;

	assert(mutex_is_held(&bin->lock));
	const unsigned taken = slab_take(e, n, chain);
	slab_count_used_again(e, purged & ~e->shared_purged);
	return taken;
}

unsigned
bin_fill(struct arena *arena, unsigned szind, unsigned n, void **chain)
{
	struct bin *bin = &arena->bins[szind];
	struct edata *fresh = NULL;
	unsigned taken = 0;

	mutex_lock(&bin->lock);
	for (;;) {
		if (bin->current != NULL)
			taken += take_locked(bin, n - taken, chain);
		if (taken == n)
			break;
		if (next_current_locked(bin, &fresh))
			continue;
		if (taken != 0)
			break;
		mutex_unlock(&bin->lock);
		fresh = arena_slab_new(arena, szind, 1, NULL);
		if (fresh == NULL)
			return 0;
		mutex_lock(&bin->lock);
	}
	bin->stats.n_malloc += taken;
	bin->stats.cur_regs += taken;
	bin->stats.n_fills++;
	mutex_unlock(&bin->lock);
	/* Another thread brought a slab into service while we made ours. */
	if (fresh != NULL)
		arena_slab_delete(arena, fresh);
	return taken;
}

void
bin_leave(struct arena *arena, unsigned szind)
{
	struct bin *bin = &arena->bins[szind];
	struct edata *empty = NULL;

	mutex_lock(&bin->lock);
	if (bin->current != NULL) {
		if (bin->current->need == 0)
			empty = bin->current;
		else
			file_locked(bin, bin->current);
		bin->current = NULL;
	}
	mutex_unlock(&bin->lock);
	if (empty != NULL)
		arena_slab_delete(arena, empty);
}

/* One region home. True: the slab has become empty, is out of the bin, and is the caller's to
 * delete. */
static bool
return_locked(struct bin *bin, struct edata *e, unsigned index, enum bin_freed *result)
{
	const bool was_full = e->need == e->nregs;

	if (UNLIKELY(e->epoch != bin->epoch)) {
		bin->stats.n_frozen_frees++;
		return false;
	}
	if (UNLIKELY(!slab_return(e, index))) {
		*result = BIN_DOUBLE_FREE;
		return false;
	}
	bin->stats.n_dalloc++;
	bin->stats.cur_regs--;
	if (e->slab_state == SLAB_SHARED_CURRENT)
		return false;
	if (e->need == 0) {
		if (was_full)
			list_remove(&e->link);
		else
			heap_remove(&bin->partial, &e->node, slab_order);
		return true;
	}
	if (was_full) {
		unfile_locked(bin, e);
		file_locked(bin, e);
	}
	return false;
}

enum bin_freed
bin_free(struct arena *arena, struct edata *e, void *p)
{
	struct bin *bin = &arena->bins[e->szind];
	enum bin_freed result = BIN_FREED;

	mutex_lock(&bin->lock);
	const bool is_empty = return_locked(bin, e, slab_index(e, p), &result);
	mutex_unlock(&bin->lock);
	if (is_empty)
		arena_slab_delete(arena, e);
	return result;
}

void *
bin_free_chain(struct arena *arena, struct edata *e, void *chain)
{
	struct bin *bin = &arena->bins[e->szind];
	enum bin_freed result = BIN_FREED;
	bool is_empty = false;
	void *p = chain;

	mutex_lock(&bin->lock);
	bin->stats.n_flushes++;
	while (p != NULL) {
		void *next = *(void **)p;
		is_empty = return_locked(bin, e, slab_index(e, p), &result);
		if (result != BIN_FREED)
			break;
		p = next;
	}
	mutex_unlock(&bin->lock);
	if (is_empty)
		arena_slab_delete(arena, e);
	return result == BIN_FREED ? NULL : p;
}

void
bin_freeze(struct bin *bin)
{
	bin->epoch++;
	bin->current = NULL;
	heap_init(&bin->partial);
	list_init(&bin->full);
	list_init(&bin->owned);
}

void
bin_check(struct arena *arena, struct bin *bin)
{
	size_t live = 0, slabs = 0;

	(void)arena;
	mutex_lock(&bin->lock);
	const bool is_ordered = heap_check(&bin->partial, slab_order);
	assert(is_ordered);
	(void)is_ordered;
	if (bin->current != NULL) {
		slab_check(bin->current);
		live += bin->current->need;
		slabs += slab_worth(bin->current);
	}
	for (const struct heap_node *n = heap_min(&bin->partial); n != NULL;
	     n = heap_next(n)) {
		const struct edata *e = CONTAINER_OF(n, struct edata, node);
		slab_check(e);
		assert(e->slab_state == SLAB_SHARED_PARTIAL);
		assert(e->need != 0 && e->need < e->nregs);
		live += e->need;
		slabs += slab_worth(e);
	}
	LIST_FOR_EACH (l, &bin->full) {
		const struct edata *e = LIST_ENTRY(l, struct edata, link);
		slab_check(e);
		assert(e->slab_state == SLAB_SHARED_FULL);
		assert(e->need == e->nregs);
		live += e->need;
		slabs += slab_worth(e);
	}
	LIST_FOR_EACH (l, &bin->owned) {
		const struct edata *e = LIST_ENTRY(l, struct edata, bin_link);
		assert(load_relaxed(&e->owner) != NULL && e->szind == bin->szind);
		slabs += slab_worth(e);
	}
	/* Frozen slabs' regions stay counted. */
	assert(live <= bin->stats.cur_regs);
	assert(live == bin->stats.cur_regs || bin->epoch != 0);
	assert(slabs <= bin->stats.cur_slabs);
	mutex_unlock(&bin->lock);
}
