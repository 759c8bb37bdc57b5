/* SPDX-License-Identifier: MIT */
#include "extent/emap.h"

#include "base/bits.h"

static uintptr_t
tags(const struct edata *e)
{
	/* Active: none, for free. */
	return e->state == EXTENT_ACTIVE ? 0
					 : (uintptr_t)e->state << EXTENT_STATE_SHIFT
		| (e->is_head ? EXTENT_HEAD_BIT : 0);
}

static uintptr_t
word_of(const struct edata *e)
{
	return ((uintptr_t)e - RTREE_ORIGIN) | tags(e);
}

/* Release, here and below: pairs with rtree_read; the record is filled in before it can be
 * found. */
static void
write_word(uintptr_t address, uintptr_t word)
{
	store_release(rtree_find(address), word);
}

/* Where the words of so many granules from the first on, at least one, lie side by side. */
static size_t
count_in_leaf(uintptr_t first, size_t n)
{
	const size_t left = RTREE_LEAF_COUNT - rtree_index_in_leaf(first);

	return n < left ? n : left;
}

static void
write_edges(const struct edata *e, uintptr_t word)
{
	const size_t n = e->size >> LG_GRANULE;
	rtree_word *const first = rtree_find(e->addr);

	store_release(first, word);
	if (LIKELY(count_in_leaf(e->addr, n) == n))
		store_release(first + n - 1, word);
	else
		write_word(edata_end(e) - GRANULE, word);
}

struct edata *
emap_lookup_any(const void *p)
{
	const uintptr_t word = rtree_read((uintptr_t)p);

	return word == 0 ? NULL : emap_record(word);
}

bool
emap_is_free(const struct edata *e)
{
	/* Without a leaf nothing is read: see is_missing in meta/rtree.c. */
	return rtree_mapped_bytes() == 0
	    || (rtree_read(e->addr) == 0 && rtree_read(edata_end(e) - GRANULE) == 0);
}

bool
emap_register(struct edata *e)
{
	assert(is_aligned((uintptr_t)e - RTREE_ORIGIN, EDATA_ALIGNMENT));
	assert(is_aligned(e->addr, GRANULE) && e->size != 0);
	/* The edges are all that is written; a terabyte would need a thousand leaves. */
	if (!rtree_cover(e->addr, e->addr + GRANULE)
	    || !rtree_cover(edata_end(e) - GRANULE, edata_end(e)))
		return false;
	write_edges(e, word_of(e));
	return true;
}

void
emap_deregister(struct edata *e)
{
	write_edges(e, 0);
}

void
emap_set_state(struct edata *e, enum extent_state state)
{
	e->state = (uint8_t)state;
	write_edges(e, word_of(e));
}

static void
write_interior(const struct edata *e, uintptr_t word)
{
	const uintptr_t end = edata_end(e) - GRANULE;

	for (uintptr_t a = e->addr + GRANULE; a < end;) {
		const size_t n = count_in_leaf(a, (end - a) >> LG_GRANULE);
		rtree_word *const first = rtree_find(a);
		for (size_t i = 0; i < n; i++)
			store_release(first + i, word);
		a += n << LG_GRANULE;
	}
}

void
emap_register_interior(struct edata *e)
{
	assert(e->state == EXTENT_ACTIVE);
	write_interior(e, word_of(e));
}

void
emap_deregister_interior(struct edata *e)
{
	write_interior(e, 0);
}

struct edata *
emap_neighbour(const struct edata *e, enum emap_side side, enum extent_state state)
{
	if (side == EMAP_PREVIOUS ? e->is_head : e->is_tail)
		return NULL;
	const uintptr_t place = side == EMAP_PREVIOUS ? e->addr - GRANULE : edata_end(e);
	const uintptr_t word = rtree_read(place);
	if (word == 0
	    || (word & EMAP_TAG_MASK & ~EXTENT_HEAD_BIT)
		!= (uintptr_t)state << EXTENT_STATE_SHIFT)
		return NULL;
	if (side == EMAP_NEXT && (word & EXTENT_HEAD_BIT) != 0)
		return NULL;
	struct edata *other = emap_record(word);
	/*
	 * Acquire, pairs with the release in edata_pool_get: the neighbour may have been one of
	 * an arena that is destroyed meanwhile, and its record ours since.  Then its words were
	 * cleared before, and the second look sees that.  It stays ours: see edata_pool.
	 */
	if (load_acquire(&other->arena_index) != edata_arena(e)
	    || rtree_read(place) != word)
		return NULL;
	if (other->hpa != e->hpa || other->committed != e->committed || other->guarded
	    || e->guarded)
		return NULL;
	return side == EMAP_PREVIOUS && other->is_tail ? NULL : other;
}

bool
emap_is_followed(const struct edata *e, enum extent_state state)
{
	return (rtree_read(edata_end(e)) & EMAP_TAG_MASK)
	    == (uintptr_t)state << EXTENT_STATE_SHIFT;
}

bool
emap_split(struct edata *e, size_t size, struct edata *trail)
{
	const uintptr_t cut = e->addr + size;

	assert(size != 0 && size < e->size && is_aligned(size, GRANULE));
	if (!rtree_cover(cut - GRANULE, cut + GRANULE))
		return false;
	trail->addr = cut;
	trail->size = e->size - size;
	trail->state = e->state;
	trail->committed = e->committed;
	trail->zeroed = e->zeroed;
	trail->hpa = e->hpa;
	trail->is_head = false;
	trail->is_pinned = e->is_pinned;
	trail->is_tail = e->is_tail;
	e->is_tail = false;
	trail->sn = e->sn;
	e->size = size;
	write_edges(trail, word_of(trail));
	write_edges(e, word_of(e));
	return true;
}

void
emap_merge(struct edata *e, struct edata *next)
{
	assert(edata_end(e) == next->addr && e->state == next->state);
	if (e->size > GRANULE)
		write_word(edata_end(e) - GRANULE, 0);
	write_word(next->addr, 0);
	e->size += next->size;
	e->zeroed = e->zeroed && next->zeroed;
	e->is_tail = next->is_tail;
	if (next->sn < e->sn)
		e->sn = next->sn;
	write_edges(e, word_of(e));
}
