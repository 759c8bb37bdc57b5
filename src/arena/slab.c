/* SPDX-License-Identifier: MIT */
#include "arena/slab.h"

#include "base/bits.h"
#include "base/bitmap.h"

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

/* ---- pages ---- */

/* The set of pages first .. last. */
static inline uint64_t
page_range(unsigned first, unsigned last)
{
	assert(first <= last && last < SLAB_MAXPAGES);
	return UINT64_MAX >> (SLAB_MAXPAGES - 1 - (last - first)) << first;
}

uint64_t
slab_pages_of(const struct edata *e, unsigned index)
{
	const size_t size = slab_region_size(e), first = index * size;
	const unsigned lg_page = first_set(os_page_size);

	return page_range((unsigned)(first >> lg_page),
	    (unsigned)((first + size - 1) >> lg_page));
}

/* Regions that overlap page `page': first .. end - 1. */
static void
regions_on(const struct edata *e, unsigned page, unsigned *first, unsigned *end)
{
	const char *start = (char *)e->addr + page * os_page_size;
	const unsigned last = slab_index(e, start + os_page_size - 1);

	*first = slab_index(e, start);
	*end = last < e->nregs ? last + 1 : e->nregs;
}

uint64_t
slab_free_pages(const struct edata *e, const uint64_t *bits)
{
	uint64_t pages = 0;
	unsigned first, end;

	for (unsigned page = 0; page < slab_pages(e); page++) {
		regions_on(e, page, &first, &end);
		if (first < end && bitmap_first_zero_from(bits, e->nregs, first) >= end)
			pages |= (uint64_t)1 << page;
	}
	return pages;
}

/* Regions on a set of pages. */
static void
add_regions_on(const struct edata *e, uint64_t pages, uint64_t *bits)
{
	unsigned first, end;

	for (; pages != 0; pages &= pages - 1) {
		regions_on(e, first_set(pages), &first, &end);
		bitmap_set_range(bits, first, end);
	}
}

/* Those in no list of an owned slab. */
static void
add_untouched(const struct edata *e, uint64_t *bits)
{
	if (e->owned_purged != 0)
		add_regions_on(e, e->owned_purged, bits);
	else
		bitmap_set_range(bits, e->carved, e->nregs);
}

/* All lists at once, a link each: one after the other would wait for each load. */
void
slab_map_free(struct edata *const *slabs, unsigned n, uint64_t (*bits)[SLAB_BITMAP_WORDS])
{
	void *p[SLAB_BITMAP_WORDS];
	bool is_done = false;

	assert(n <= COUNT_OF(p));
	for (unsigned i = 0; i < n; i++) {
		add_untouched(slabs[i], bits[i]);
		p[i] = slabs[i]->free;
	}
	while (!is_done) {
		is_done = true;
		for (unsigned i = 0; i < n; i++) {
			if (p[i] == NULL)
				continue;
			bitmap_set(bits[i], slab_index(slabs[i], p[i]));
			p[i] = *(void **)p[i];
			is_done = false;
		}
	}
}

/* Take what lies on these pages off the free list; how many. */
static unsigned
unlink_regions(struct edata *e, uint64_t pages)
{
	void **at = &e->free;
	unsigned n = 0;

	for (void *p = e->free, *next; p != NULL; p = next) {
		next = *(void **)p;
		if ((slab_pages_of(e, slab_index(e, p)) & pages) != 0) {
			n++;
			continue;
		}
		if (*at != p)
			*at = p;
		at = p;
	}
	if (*at != NULL)
		*at = NULL;
	return n;
}

uint64_t
slab_forget_pages(struct edata *e, const uint64_t *bits)
{
	/* A slab that is still being carved has pages that were never touched: no need. */
	if (e->owned_purged == 0 && e->carved < e->nregs)
		return 0;
	const uint64_t pages = slab_free_pages(e, bits) & ~e->owned_purged;
	if (pages == 0)
		return 0;
	e->carved = (uint16_t)(e->carved - unlink_regions(e, pages));
	e->owned_purged |= pages;
	return pages;
}

uint64_t
slab_first_purged(const struct edata *e)
{
	unsigned first, end;

	assert(e->owned_purged != 0);
	regions_on(e, first_set(e->owned_purged), &first, &end);
	return slab_pages_of(e, first) & e->owned_purged;
}

void *
slab_recall_pages(struct edata *e, uint64_t pages, unsigned *n)
{
	uint64_t bits[SLAB_BITMAP_WORDS] = { 0 };
	void *chain = NULL, **end = &chain;

	assert((pages & ~e->owned_purged) == 0);
	*n = 0;
	add_regions_on(e, pages, bits);
	e->owned_purged &= ~pages;
	for (size_t i = 0; (i = bitmap_first_set_from(bits, e->nregs, i)) < e->nregs;
	     i++) {
		if ((slab_pages_of(e, (unsigned)i) & e->owned_purged) != 0)
			continue;
		*end = slab_region(e, (unsigned)i);
		end = *end;
		++*n;
	}
	*end = NULL;
	e->carved = (uint16_t)(e->carved + *n);
	return chain;
}

/* ---- shared slabs ---- */

/* Free regions among these bits that lie on no purged page. */
static uint64_t
backed(const struct edata *e, unsigned word, uint64_t bits)
{
	uint64_t kept = 0;

	for (; bits != 0; bits &= bits - 1) {
		const unsigned i = first_set(bits);
		if ((slab_pages_of(e, word * 64 + i) & e->shared_purged) == 0)
			kept |= (uint64_t)1 << i;
	}
	return kept;
}

/* Of one word, those in `which'. */
static unsigned
take_from_word(struct edata *e, unsigned w, uint64_t which, unsigned n, void **chain)
{
	unsigned taken = 0;

	for (; which != 0 && taken < n; which &= which - 1) {
		const unsigned index = w * 64 + first_set(which);
		void *p = slab_region(e, index);
		if (UNLIKELY(e->shared_purged != 0))
			e->shared_purged &= ~slab_pages_of(e, index);
		bitmap_clear(e->bitmap, index);
		*(void **)p = *chain;
		*chain = p;
		taken++;
	}
	return taken;
}

unsigned
slab_take(struct edata *e, unsigned n, void **chain)
{
	const unsigned words = slab_bitmap_words(e);
	unsigned taken = 0;

	assert(load_relaxed(&e->owner) == NULL);
	for (unsigned w = 0; UNLIKELY(e->shared_purged != 0) && w < words && taken < n;
	     w++)
		taken +=
		    take_from_word(e, w, backed(e, w, e->bitmap[w]), n - taken, chain);
	for (unsigned w = 0; w < words && taken < n; w++)
		taken += take_from_word(e, w, e->bitmap[w], n - taken, chain);
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
	const uint64_t purged = e->owned_purged;

	bitmap_clear_all(e->bitmap, e->nregs);
	for (void *p = e->free; p != NULL; p = *(void **)p)
		bitmap_set(e->bitmap, slab_index(e, p));
	add_untouched(e, e->bitmap);
	e->shared_purged = purged;
	e->need = live;
	e->carved = e->nregs;
	/* A thread that finds no owner goes to the bin, whose lock we hold or take; sequentially
	 * consistent for the sake of those who announce (cache/remote.c). */
	store_seq(&e->owner, NULL);
}

static void
check_shared(const struct edata *e)
{
	unsigned n_free = 0;

	for (unsigned w = 0; w < slab_bitmap_words(e); w++)
		n_free += count_set(e->bitmap[w]);
	assert(e->need == e->nregs - n_free);
	assert((e->shared_purged & ~slab_free_pages(e, e->bitmap)) == 0);
	(void)n_free;
}

void
slab_check(const struct edata *e)
{
	uint64_t bits[SLAB_BITMAP_WORDS] = { 0 };
	unsigned n_free = 0;

	assert(e->use == USE_SLAB && e->state == EXTENT_ACTIVE);
	assert(e->nregs != 0 && e->carved <= e->nregs);
	if (load_relaxed(&e->owner) == NULL) {
		check_shared(e);
		return;
	}
	add_untouched(e, bits);
	assert(bitmap_count(bits, e->nregs) == (size_t)(e->nregs - e->carved));
	for (void *p = e->free; p != NULL; p = *(void **)p) {
		assert(slab_is_region(e, p) && !bitmap_get(bits, slab_index(e, p)));
		n_free++;
		assert(n_free <= e->carved);
	}
	/* What is neither free nor untouched is live, listed, or in a message. */
	assert(n_free
	    == (e->slab_state == SLAB_FULL ? e->nregs : e->carved) - slab_live(e));
	assert(e->slab_state != SLAB_FULL || e->carved == e->nregs);
}
