/* SPDX-License-Identifier: MIT */
/*
 * Always true while `lock' is free: of a slab's bitmaps, `start' is a subset of `used',
 * and the first used granule after an unused one is a start; need is the number of
 * starts.  A slab with need 0 is current or gone; one with room is current or in
 * `partial' or was found too full to be tried again before something in it is freed.
 */
#include "arena/mixed.h"

#include "arena/arena.h"
#include "base/bitmap.h"
#include "os/pages.h"

static size_t
granules_of(const struct edata *e)
{
	return e->size / MIXED_GRANULE;
}

static uint64_t *
used_bits(const struct edata *e)
{
	return e->bitmap;
}

static uint64_t *
start_bits(const struct edata *e)
{
	return e->bitmap + BITMAP_WORDS(granules_of(e));
}

static size_t
bitmap_bytes(size_t slab_size)
{
	return 2 * BITMAP_WORDS(slab_size / MIXED_GRANULE) * sizeof(uint64_t);
}

void
mixed_init(struct mixed *mixed)
{
	mutex_init(&mixed->lock, RANK_BIN);
	list_init(&mixed->partial);
}

/* Granules from `first', which is used, to the end of its region. */
static size_t
region_granules(const struct edata *e, size_t first)
{
	const size_t n = granules_of(e);
	const size_t unused = bitmap_first_zero_from(used_bits(e), n, first + 1);
	const size_t next = bitmap_first_set_from(start_bits(e), n, first + 1);

	return (unused < next ? unused : next) - first;
}

/* Lowest place for n granules at a multiple of `alignment' granules; granules_of(e): none. */
static size_t
find_room(const struct edata *e, size_t n, size_t alignment)
{
	const size_t end = granules_of(e);
	size_t first = 0;

	for (;;) {
		first =
		    align_up(bitmap_first_zero_from(used_bits(e), end, first), alignment);
		if (first + n > end)
			return end;
		const size_t taken = bitmap_first_set_from(used_bits(e), end, first);
		if (taken - first >= n)
			return first;
		first = taken;
	}
}

/* NULL: no room in this slab. */
static void *
take_locked(struct mixed *mixed, struct edata *e, unsigned szind)
{
	const size_t size = size_class_size(szind);
	/* What a slab of the class alone would promise. */
	const size_t alignment = size & -size;
	const size_t n = size / MIXED_GRANULE;

	assert(mutex_is_held(&mixed->lock));
	const size_t first = find_room(e, n, alignment / MIXED_GRANULE);
	if (first == granules_of(e))
		return NULL;
	bitmap_set_range(used_bits(e), first, first + n);
	bitmap_set(start_bits(e), first);
	e->need++;
	mixed->stats.n_malloc[szind]++;
	return (void *)(e->addr + first * MIXED_GRANULE);
}

/* From the current slab, or one of the first few others, which becomes current then. */
static void *
take_from_any_locked(struct mixed *mixed, unsigned szind)
{
	void *p = NULL;

	if (mixed->current != NULL)
		p = take_locked(mixed, mixed->current, szind);
	for (unsigned i = 0; p == NULL && i < MIXED_TRIES; i++) {
		struct list *l = list_pop_front(&mixed->partial);
		if (l == NULL)
			break;
		struct edata *e = LIST_ENTRY(l, struct edata, link);
		p = take_locked(mixed, e, szind);
		if (mixed->current != NULL)
			mixed->current->slab_state = SLAB_SHARED_FULL;
		mixed->current = e;
		e->slab_state = SLAB_SHARED_CURRENT;
	}
	return p;
}

static struct edata *
new_slab(struct arena *arena)
{
	const size_t size = max_size(MIXED_SLAB_SIZE, os_page_size);
	const struct page_request request = {
		.size = size,
		.alignment = os_page_size,
		.use = USE_MIXED,
		.guarded = arena_guards_slab(arena),
	};

	uint64_t *bitmap = base_alloc(arena->base, bitmap_bytes(size), CACHE_LINE);
	if (bitmap == NULL)
		return NULL;
	struct edata *e = arena_pages_alloc(arena, &request);
	if (e == NULL) {
		base_free(arena->base, bitmap, bitmap_bytes(size));
		return NULL;
	}
	e->bitmap = bitmap;
	e->nregs = (uint16_t)granules_of(e);
	e->need = 0;
	return e;
}

static void
delete_slab(struct arena *arena, struct edata *e)
{
	uint64_t *bitmap = e->bitmap;
	const size_t bytes = bitmap_bytes(e->size);

	e->bitmap = NULL;
	arena_pages_dalloc(arena, e);
	base_free(arena->base, bitmap, bytes);
}

void *
mixed_alloc(struct arena *arena, unsigned szind)
{
	struct mixed *mixed = &arena->mixed;

	assert(mixed_holds(szind));
	mutex_lock(&mixed->lock);
	void *p = take_from_any_locked(mixed, szind);
	mutex_unlock(&mixed->lock);
	if (LIKELY(p != NULL))
		return p;
	struct edata *e = new_slab(arena);
	if (e == NULL)
		return NULL;
	mutex_lock(&mixed->lock);
	/* What came back meanwhile goes first: an empty slab that is not current would be lost. */
	p = take_from_any_locked(mixed, szind);
	if (p == NULL) {
		e->epoch = mixed->epoch;
		mixed->stats.n_slabs++;
		p = take_locked(mixed, e, szind);
		if (mixed->current != NULL)
			mixed->current->slab_state = SLAB_SHARED_FULL;
		mixed->current = e;
		e->slab_state = SLAB_SHARED_CURRENT;
		e = NULL;
	}
	mutex_unlock(&mixed->lock);
	if (e != NULL)
		delete_slab(arena, e);
	return p;
}

/* Is p the start of a live region? */
static enum mixed_freed
find_region(const struct edata *e, const void *p, size_t *first)
{
	const size_t offset = (uintptr_t)p - e->addr;

	*first = offset / MIXED_GRANULE;
	if (!bitmap_get(used_bits(e), *first))
		return MIXED_DOUBLE_FREE;
	return offset % MIXED_GRANULE == 0 && bitmap_get(start_bits(e), *first)
	    ? MIXED_FREED
	    : MIXED_INTERIOR;
}

/* True: the slab has become empty, is in no list, and is the caller's to delete. */
static bool
return_locked(struct mixed *mixed, struct edata *e, size_t first)
{
	const size_t n = region_granules(e, first);

	bitmap_clear_range(used_bits(e), first, first + n);
	bitmap_clear(start_bits(e), first);
	mixed->stats.n_dalloc[size_class_of(n * MIXED_GRANULE)]++;
	e->need--;
	if (e->slab_state == SLAB_SHARED_CURRENT)
		return false;
	if (e->need == 0) {
		if (e->slab_state == SLAB_SHARED_PARTIAL)
			list_remove(&e->link);
		mixed->stats.n_slabs--;
		return true;
	}
	if (e->slab_state == SLAB_SHARED_FULL) {
		e->slab_state = SLAB_SHARED_PARTIAL;
		list_push_back(&mixed->partial, &e->link);
	}
	return false;
}

enum mixed_freed
mixed_free(struct arena *arena, struct edata *e, void *p)
{
	struct mixed *mixed = &arena->mixed;
	enum mixed_freed result = MIXED_FREED;
	bool is_empty = false;
	size_t first;

	mutex_lock(&mixed->lock);
	if (UNLIKELY(e->epoch != mixed->epoch))
		mixed->stats.n_frozen_frees++;
	else if ((result = find_region(e, p, &first)) == MIXED_FREED)
		is_empty = return_locked(mixed, e, first);
	mutex_unlock(&mixed->lock);
	if (is_empty)
		delete_slab(arena, e);
	return result;
}

size_t
mixed_usable_size(struct arena *arena, const struct edata *e, const void *p)
{
	struct mixed *mixed = &arena->mixed;
	size_t first, size = 0;

	mutex_lock(&mixed->lock);
	if (find_region(e, p, &first) == MIXED_FREED)
		size = region_granules(e, first) * MIXED_GRANULE;
	mutex_unlock(&mixed->lock);
	return size;
}

static void
check_slab(const struct edata *e)
{
	const size_t n = granules_of(e);
	bool was_used = false;

	assert(e->use == USE_MIXED && load_relaxed(&e->owner) == NULL);
	assert(bitmap_count(start_bits(e), n) == e->need);
	for (size_t i = 0; i < n; i++) {
		const bool is_used = bitmap_get(used_bits(e), i);
		assert(is_used || !bitmap_get(start_bits(e), i));
		assert(!is_used || was_used || bitmap_get(start_bits(e), i));
		was_used = is_used;
	}
	(void)was_used;
}

void
mixed_check(struct mixed *mixed)
{
	mutex_lock(&mixed->lock);
	if (mixed->current != NULL)
		check_slab(mixed->current);
	LIST_FOR_EACH (l, &mixed->partial) {
		const struct edata *e = LIST_ENTRY(l, struct edata, link);
		check_slab(e);
		assert(e->need != 0 && e->slab_state == SLAB_SHARED_PARTIAL);
	}
	mutex_unlock(&mixed->lock);
}

void
mixed_freeze(struct mixed *mixed)
{
	mixed->epoch++;
	mixed->current = NULL;
	list_init(&mixed->partial);
}
