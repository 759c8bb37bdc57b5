/* SPDX-License-Identifier: MIT */
/*
 * large -- objects with an extent of their own.
 */
#include "arena/arena.h"

#include <string.h>

#include "base/bits.h"
#include "config/options.h"
#include "os/pages.h"

/*
 * All cache lines in turn, neighbours in time far from each other in place: 29 is odd, so that it
 * visits all of a power of two, and close to the golden section of 64 * 0.45.
 */
static unsigned
next_offset(struct arena *arena, size_t alignment)
{
	const size_t n = fetch_add_relaxed(&arena->n_offsets, 1);

	return (unsigned)align_down(n * 29 * CACHE_LINE & (GRANULE - 1),
	    max_size(alignment, CACHE_LINE));
}

void *
large_place_padded(struct edata *e, size_t size, size_t alignment)
{
	e->pad = (uint32_t)(e->size - size);
	e->offset = (uint16_t)next_offset(arena_of(e), alignment);
	return large_object(e);
}

/* Large objects until the next guarded one, that one included; 0: none has been counted. */
static _Thread_local size_t until_guarded TLS_MODEL;

COLD bool
large_count_guarded(size_t alignment)
{
	if (until_guarded == 0)
		until_guarded = opt.san_guard_large;
	if (until_guarded > 1) {
		until_guarded--;
		return false;
	}
	if (alignment > os_page_size)
		return false;
	until_guarded = 0;
	return true;
}

static void *
alloc_extent(struct arena *arena, const struct page_request *request, size_t size,
    size_t alignment)
{
	assert(is_aligned(size, os_page_size) && size >= SC_LARGE_MIN);
	struct edata *e = arena_pages_alloc(arena, request);
	if (e == NULL)
		return NULL;
	/* Relaxed: a counter. */
	fetch_add_relaxed(&arena->large_stats[large_stats_index(size)].n_malloc, 1);
	if (arena->is_manual) {
		mutex_lock(&arena->large_lock);
		e->epoch = arena->large_epoch;
		list_push_back(&arena->large, &e->link);
		mutex_unlock(&arena->large_lock);
	}
	return large_place(e, size, alignment);
}

void *
large_alloc(struct arena *arena, size_t size, size_t alignment, bool zero)
{
	const struct page_request request = {
		.size = large_extent_size(size, alignment),
		.alignment = max_size(alignment, os_page_size),
		.use = USE_LARGE,
		.szind = (uint8_t)size_class_of(size),
		.zero = zero,
	};

	return alloc_extent(arena, &request, size, alignment);
}

void *
large_alloc_guarded(struct arena *arena, size_t size, bool zero)
{
	const struct page_request request = {
		.size = size,
		.alignment = os_page_size,
		.use = USE_LARGE,
		.szind = (uint8_t)size_class_of(size),
		.zero = zero,
		.guarded = true,
	};

	return alloc_extent(arena, &request, size, os_page_size);
}

void
large_free(struct edata *e)
{
	struct arena *arena = arena_of(e);

	fetch_add_relaxed(
	    &arena->large_stats[large_stats_index(large_usable(e))].n_dalloc, 1);
	if (arena->is_manual) {
		mutex_lock(&arena->large_lock);
		/* A fork may have frozen the list that it was in. */
		if (LIKELY(e->epoch == arena->large_epoch))
			list_remove(&e->link);
		mutex_unlock(&arena->large_lock);
	}
	arena_pages_dalloc(arena, e);
}

bool
large_resize(struct edata *e, size_t new_size, bool zero)
{
	struct arena *arena = arena_of(e);
	const size_t old_size = large_usable(e);

	if (new_size == old_size)
		return true;
	if (!arena_pages_resize(arena, e, new_size + e->pad, zero))
		return false;
	/* What lay behind the object is its own now, and was not zeroed. */
	if (zero && new_size > old_size && e->pad != 0)
		memset((char *)large_object(e) + old_size, 0, e->pad - e->offset);
	e->szind = (uint8_t)size_class_of(new_size);
	fetch_add_relaxed(&arena->large_stats[large_stats_index(old_size)].n_dalloc, 1);
	fetch_add_relaxed(&arena->large_stats[large_stats_index(new_size)].n_malloc, 1);
	return true;
}
