/* SPDX-License-Identifier: MIT */
#include "arena/slab_purge.h"

#include "base/bits.h"

bool
slab_purge_is_on(struct arena *arena)
{
	return pac_decay_ms(&arena->pac, DECAY_DIRTY) >= 0
	    && ehooks_are_default(&arena->ehooks)
	    && ehooks_gave_plain_memory(&arena->ehooks);
}

bool
slab_may_be_purged(const struct edata *e)
{
	return !e->is_pinned && slab_purge_is_on(arena_of(e));
}

bool
slab_purge_is_worth_it(const struct edata *e)
{
	return !e->hpa
	    || hpa_lets_purge_inside(&arena_huge(arena_of(e))->hpa, e->pageslab);
}

void
slab_purge_begin(struct slab_purge *purge)
{
	purge->arena = NULL;
	purge->n = 0;
	purge->npages = 0;
}

/* The system refused: pages like others. */
static void
take_back(struct edata *e, uint64_t pages)
{
	unsigned n;

	void **chain = slab_recall_pages(e, pages, &n);
	while (chain != NULL) {
		void **next = *chain;
		*chain = e->free;
		e->free = chain;
		chain = next;
	}
}

static uint64_t
pages_in(const struct edata *e, const struct iovec *range)
{
	const size_t first = ((uintptr_t)range->iov_base - e->addr) / os_page_size;

	return UINT64_MAX >> (SLAB_MAXPAGES - range->iov_len / os_page_size) << first;
}

/* It is done. */
static size_t
note_purged(const struct edata *e, const struct iovec *range)
{
	if (e->hpa)
		fetch_add_relaxed(&e->pageslab->n_unbacked,
		    (unsigned)(range->iov_len / os_page_size));
	return range->iov_len;
}

static bool
purge_one(struct slab_purge *purge, const struct iovec *range)
{
	fetch_add_relaxed(&purge->arena->slab_pages.n_advise, 1);
	return ehooks_purge_part(&purge->arena->ehooks, range->iov_base, range->iov_len);
}

/* In one system call as many as can be, the rest one by one. */
static void
flush(struct slab_purge *purge)
{
	const unsigned n = purge->n;
	unsigned n_many = 0;
	size_t bytes = 0;

	if (opt.process_madvise_max_batch != 0 && n > 1)
		n_many = ehooks_purge_many(&purge->arena->ehooks, purge->ranges, n);
	if (n_many != 0)
		fetch_add_relaxed(&purge->arena->slab_pages.n_advise, 1);
	for (unsigned i = 0; i < n; i++) {
		if (i < n_many || purge_one(purge, &purge->ranges[i]))
			bytes += note_purged(purge->slabs[i], &purge->ranges[i]);
		else
			take_back(purge->slabs[i],
			    pages_in(purge->slabs[i], &purge->ranges[i]));
	}
	purge->n = 0;
	purge->npages += bytes / os_page_size;
	/* Relaxed: counters. */
	fetch_add_relaxed(&purge->arena->slab_pages.n_purged, bytes / os_page_size);
	fetch_add_relaxed(&purge->arena->slab_pages.unbacked, bytes / os_page_size);
}

static void
change_arena(struct slab_purge *purge, struct arena *arena)
{
	if (purge->n != 0)
		flush(purge);
	purge->arena = arena;
	/* Relaxed: a counter. */
	fetch_add_relaxed(&arena->slab_pages.n_purge, 1);
}

void
slab_purge_add(struct slab_purge *purge, struct edata *e, uint64_t pages)
{
	const size_t most = max_size(opt.process_madvise_max_batch, 1);
	struct arena *arena = arena_of(e);

	if (pages != 0 && arena != purge->arena)
		change_arena(purge, arena);
	while (pages != 0) {
		const unsigned first = first_set(pages);
		const uint64_t others = ~(pages >> first);
		const unsigned n = others == 0 ? SLAB_MAXPAGES : first_set(others);
		purge->ranges[purge->n] = (struct iovec){
			.iov_base = (void *)(e->addr + first * os_page_size),
			.iov_len = n * os_page_size,
		};
		purge->slabs[purge->n++] = e;
		pages &= ~(UINT64_MAX >> (SLAB_MAXPAGES - n) << first);
		if (purge->n >= most)
			flush(purge);
	}
}

size_t
slab_purge_end(struct slab_purge *purge)
{
	if (purge->n != 0)
		flush(purge);
	return purge->npages;
}
