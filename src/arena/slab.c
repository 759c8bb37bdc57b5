/* SPDX-License-Identifier: MIT */
#include "arena/slab.h"

#include "base/bits.h"

bool
slab_order(const struct heap_node *a, const struct heap_node *b)
{
	return edata_is_older(CONTAINER_OF(a, struct edata, node),
	    CONTAINER_OF(b, struct edata, node));
}

void
slab_bitmap_fill(struct edata *e)
{
	const unsigned full_words = e->nregs / 64;

	for (unsigned i = 0; i < full_words; i++)
		e->bitmap[i] = UINT64_MAX;
	if (e->nregs % 64 != 0)
		e->bitmap[full_words] = ((uint64_t)1 << e->nregs % 64) - 1;
}

unsigned
slab_take(struct edata *e, unsigned n, void **chain)
{
	unsigned taken = 0;

	assert(load_relaxed(&e->owner) == NULL);
	for (unsigned w = 0; w < slab_bitmap_words(e) && taken < n; w++) {
		uint64_t bits = e->bitmap[w];
		while (bits != 0 && taken < n) {
			void *p = slab_region(e, w * 64 + first_set(bits));
			bits &= bits - 1;
			*(void **)p = *chain;
			*chain = p;
			taken++;
		}
		e->bitmap[w] = bits;
	}
	e->need += taken;
	assert(e->need <= e->nregs);
	return taken;
}

bool
slab_return(struct edata *e, unsigned index)
{
	const uint64_t bit = (uint64_t)1 << index % 64;

	assert(index < e->nregs);
	if ((e->bitmap[index / 64] & bit) != 0)
		return false;
	e->bitmap[index / 64] |= bit;
	e->need--;
	return true;
}

void
slab_share(struct edata *e, unsigned live)
{
	for (unsigned w = 0; w < slab_bitmap_words(e); w++)
		e->bitmap[w] = 0;
	for (void *p = e->free; p != NULL; p = *(void **)p) {
		const unsigned index = slab_index(e, p);
		e->bitmap[index / 64] |= (uint64_t)1 << index % 64;
	}
	for (unsigned index = e->carved; index < e->nregs; index++)
		e->bitmap[index / 64] |= (uint64_t)1 << index % 64;
	e->free = NULL;
	e->need = live;
	e->carved = e->nregs;
	/* A thread that finds no owner goes to the bin, whose lock we hold or take; sequentially
	 * consistent for the sake of those who announce (cache/remote.c). */
	store_seq(&e->owner, NULL);
}

void
slab_check(const struct edata *e)
{
	unsigned n_free = 0;

	assert(e->use == USE_SLAB && e->state == EXTENT_ACTIVE);
	assert(e->nregs != 0 && e->carved <= e->nregs);
	if (load_relaxed(&e->owner) == NULL) {
		for (unsigned w = 0; w < slab_bitmap_words(e); w++)
			n_free += count_set(e->bitmap[w]);
		assert(e->need == e->nregs - n_free);
		return;
	}
	for (void *p = e->free; p != NULL; p = *(void **)p) {
		assert(slab_is_region(e, p) && slab_index(e, p) < e->carved);
		n_free++;
		assert(n_free <= e->carved);
	}
	/* What is neither free nor untouched is live, listed, or in a message. */
	if (e->slab_state == SLAB_FULL)
		assert(n_free == (unsigned)slab_geometry[e->szind].wake - e->need);
	else
		assert(n_free == e->carved - e->need);
}
