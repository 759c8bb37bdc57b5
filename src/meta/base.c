/* SPDX-License-Identifier: MIT */
/*
 * Memory of a base is never returned while it lives, so a bump pointer is enough.  Where the kernel
 * does not overcommit, a block is committed as a whole.
 */
#include "meta/base.h"

#include <string.h>

#include "base/bits.h"
#include "config/options.h"
#include "os/pages.h"
#include "sync/fork.h"

/* What remains when the system refuses a whole block. */
#define BLOCK_FALLBACK ((size_t)64 << 10)

/* Blocks of a base that metadata_thp:auto takes as a sign that there will be many. */
#define HUGE_FROM 2
#define HUGE_FROM_ZERO 5

struct base_block {
	struct base_block *next;
	size_t size;
};

struct base_free_piece {
	struct base_free_piece *next;
};

struct base base_zero = {
	.lock = MUTEX_INITIALIZER(BASE),
	.map = base_map_system,
	.unmap = base_unmap_system,
};

/* Reading the mode takes a start much longer than the advice. */
static bool
may_be_huge(enum os_thp mode)
{
	return mode == OS_THP_ALWAYS || mode == OS_THP_UNKNOWN;
}

/* Before the first touch, which may otherwise cost a whole huge page. */
void
base_advise(void *addr, size_t size, bool is_huge)
{
	if (is_huge)
		(void)os_pages_huge(addr, size);
	else if (may_be_huge(load_relaxed(&os_thp_mode)))
		(void)os_pages_nohuge(addr, size);
}

void *
base_map_system(void *context, size_t size, size_t alignment)
{
	enum os_commit commit = OS_COMMITTED;

	(void)context;
	void *block = os_pages_map(NULL, size, alignment, &commit);
	if (block != NULL)
		base_advise(block, size, opt.metadata_thp == METADATA_THP_ALWAYS);
	return block;
}

void
base_unmap_system(void *context, void *addr, size_t size)
{
	(void)context;
	(void)os_pages_unmap(addr, size);
}

static struct base_block *
map_block(base_map_fn *map, void *context, size_t least)
{
	size_t size =
	    align_up(least + sizeof(struct base_block) + CACHE_LINE, BASE_BLOCK_SIZE);
	struct base_block *block = map(context, size, BASE_BLOCK_SIZE);

	if (block == NULL) {
		size = align_up(least + sizeof(struct base_block) + CACHE_LINE,
		    BLOCK_FALLBACK);
		size = align_up(size, os_page_size);
		block = map(context, size, os_page_size);
	}
	if (block != NULL)
		block->size = size;
	return block;
}

static void
add_block_locked(struct base *base, struct base_block *block)
{
	const size_t rest = (size_t)(base->end - base->next);

	base->mapped += block->size;
	base->n_blocks++;
	if (base->map == base_map_system && opt.metadata_thp == METADATA_THP_ALWAYS)
		base->n_huge += block->size / OS_HUGEPAGE;
	/* Stay in the block that has more left. */
	block->next = base->blocks;
	base->blocks = block;
	if (block->size - sizeof *block > rest) {
		base->next = (char *)(block + 1);
		base->end = (char *)block + block->size;
		base->resident += os_page_size;
	}
}

/*
 * metadata_thp:auto: a base that needs this many blocks has its blocks on huge pages, older ones
 * included.  Blocks never go while their base lives, so the list is walked without the lock.
 */
static void
make_huge(struct base *base)
{
	const unsigned enough = base == &base_zero ? HUGE_FROM_ZERO : HUGE_FROM;
	size_t n = 0;

	if (opt.metadata_thp != METADATA_THP_AUTO || base->map != base_map_system)
		return;
	mutex_lock(&base->lock);
	struct base_block *first = base->n_blocks < enough ? base->huge : base->blocks;
	struct base_block *done = base->huge;
	base->huge = first;
	mutex_unlock(&base->lock);
	for (struct base_block *block = first; block != done; block = block->next)
		if (os_pages_huge(block, block->size))
			n += block->size / OS_HUGEPAGE;
	if (n == 0)
		return;
	mutex_lock(&base->lock);
	base->n_huge += n;
	mutex_unlock(&base->lock);
}

/* NULL: the block has not that much left. */
static void *
bump_locked(struct base *base, size_t size, size_t alignment)
{
	char *start = (char *)align_up((uintptr_t)base->next, alignment);

	if (base->next == NULL || start > base->end || size > (size_t)(base->end - start))
		return NULL;
	base->resident += align_up((uintptr_t)(start + size), os_page_size)
	    - align_up((uintptr_t)base->next, os_page_size);
	base->next = start + size;
	base->allocated += size;
	return start;
}

struct base *
base_new(base_map_fn *map, base_unmap_fn *unmap, void *context)
{
	struct base local = { .map = map, .unmap = unmap, .context = context };

	struct base_block *block = map_block(map, context, sizeof(struct base));
	if (block == NULL)
		return NULL;
	add_block_locked(&local, block);
	struct base *base = bump_locked(&local, sizeof *base, CACHE_LINE);
	*base = local;
	mutex_init(&base->lock, RANK_BASE);
	return base;
}

void
base_delete(struct base *base)
{
	base_unmap_fn *unmap = base->unmap;
	void *context = base->context;
	struct base_block *block = base->blocks;

	/* The base lies in the last block of the list. */
	while (block != NULL) {
		struct base_block *next = block->next;
		unmap(context, block, block->size);
		block = next;
	}
}

static void *
recycle_locked(struct base *base, size_t size)
{
	struct base_free_piece **list = &base->free_pieces[(size - 1) / CACHE_LINE];
	struct base_free_piece *piece = *list;

	if (piece != NULL)
		*list = piece->next;
	return piece;
}

static void
file_piece_locked(struct base *base, void *piece, size_t size)
{
	struct base_free_piece *free_piece = piece;
	struct base_free_piece **list = &base->free_pieces[(size - 1) / CACHE_LINE];

	free_piece->next = *list;
	*list = free_piece;
}

/* The front of a larger piece: where no block can be mapped any more. */
static void *
split_piece_locked(struct base *base, size_t size)
{
	for (size_t larger = size + CACHE_LINE; larger <= BASE_RECYCLE_MAX;
	     larger += CACHE_LINE) {
		char *piece = recycle_locked(base, larger);
		if (piece == NULL)
			continue;
		file_piece_locked(base, piece + size, larger - size);
		return piece;
	}
	return NULL;
}

COLD void *
base_alloc(struct base *base, size_t size, size_t alignment)
{
	void *p = NULL;

	assert(size != 0 && is_pow2(alignment));
	/* A piece that may be recycled owns whole lines: base_free files it by them. */
	if (size <= BASE_RECYCLE_MAX && alignment >= CACHE_LINE)
		size = align_up(size, CACHE_LINE);
	mutex_lock(&base->lock);
	const bool is_piece = size <= BASE_RECYCLE_MAX && alignment == CACHE_LINE;
	bool is_recycled = is_piece && (p = recycle_locked(base, size)) != NULL;
	if (p == NULL)
		p = bump_locked(base, size, alignment);
	bool has_grown = false;
	while (p == NULL) {
		mutex_unlock(&base->lock);
		struct base_block *block =
		    map_block(base->map, base->context, size + alignment);
		mutex_lock(&base->lock);
		if (block == NULL)
			break;
		add_block_locked(base, block);
		has_grown = true;
		p = bump_locked(base, size, alignment);
	}
	if (p == NULL && is_piece)
		is_recycled = (p = split_piece_locked(base, size)) != NULL;
	if (is_recycled)
		base->allocated += size;
	mutex_unlock(&base->lock);
	if (UNLIKELY(has_grown))
		make_huge(base);
	return is_recycled || (base->clears && p != NULL) ? memset(p, 0, size) : p;
}

void
base_free(struct base *base, void *piece, size_t size)
{
	assert(size != 0 && size <= BASE_RECYCLE_MAX
	    && is_aligned((uintptr_t)piece, CACHE_LINE));
	size = align_up(size, CACHE_LINE);
	mutex_lock(&base->lock);
	file_piece_locked(base, piece, size);
	base->allocated -= size;
	mutex_unlock(&base->lock);
}

struct base_stats
base_stats(struct base *base)
{
	mutex_lock(&base->lock);
	const struct base_stats stats = { base->allocated, base->mapped, base->resident,
		base->n_huge };
	mutex_unlock(&base->lock);
	return stats;
}

void
base_fork_prepare(struct base *base)
{
	(void)mutex_fork_prepare(&base->lock);
}

void
base_fork_parent(struct base *base)
{
	mutex_fork_parent(&base->lock);
}

void
base_fork_child(struct base *base)
{
	if (mutex_fork_child(&base->lock))
		return;
	base->next = base->end = NULL;
	memset(base->free_pieces, 0, sizeof base->free_pieces);
}
