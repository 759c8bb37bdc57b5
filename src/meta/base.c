/* SPDX-License-Identifier: MIT */
#include "meta/base.h"

#include <string.h>

#include "base/assert.h"
#include "base/attr.h"
#include "base/bits.h"
#include "os/pages.h"

/* What is asked for where the system refuses a whole block (a low `ulimit -v'). */
#define BASE_BLOCK_SMALL ((size_t)64 << 10)

/* At the start of every block. */
struct base_block {
	struct base_block *older; /* Guarded by the base's lock. */
	size_t size;              /* Set once. */
};

struct base_free_piece {
	struct base_free_piece *next; /* Guarded by the base's lock. */
};

#define BLOCK_HEADER CACHE_LINE
static_assert(sizeof(struct base_block) <= BLOCK_HEADER, "the header has a line");

struct base base_zero = {
	.lock = MUTEX_INITIALIZER(BASE),
	.map = base_map_system,
	.unmap = base_unmap_system,
};

void *
base_map_system(void *context UNUSED, size_t size, size_t alignment)
{
	enum os_commit commit = OS_COMMITTED;
	void *addr = os_pages_map(NULL, size, alignment, &commit);
	/* Records are few: a huge page for the first of them would cost 2 MiB. */
	if (addr != NULL && os_thp_mode == OS_THP_ALWAYS)
		(void)os_pages_nohuge(addr, size);
	return addr;
}

void
base_unmap_system(void *context UNUSED, void *addr, size_t size)
{
	(void)os_pages_unmap(addr, size);
}

/* A block with room for `size' bytes after its header.  NULL: out of memory. */
static struct base_block *
block_new(base_map_fn *map, void *context, size_t size, size_t alignment)
{
	const size_t need = align_up(align_up(BLOCK_HEADER, alignment) + size, os_page_size);
	size_t block_size = max_size(need, BASE_BLOCK_SIZE);
	struct base_block *block = map(context, block_size, os_page_size);
	if (block == NULL) {
		block_size = max_size(need, max_size(BASE_BLOCK_SMALL, os_page_size));
		block = map(context, block_size, os_page_size);
	}
	if (block != NULL) {
		block->older = NULL;
		block->size = block_size;
	}
	return block;
}

static char *
block_first(struct base_block *block)
{
	return (char *)block + BLOCK_HEADER;
}

/* Bytes of `alignment'-aligned memory left in the current piece. */
static bool
has_room(const struct base *base, size_t size, size_t alignment)
{
	if (base->next == NULL)
		return false;
	const uintptr_t first = align_up((uintptr_t)base->next, alignment);
	return first <= (uintptr_t)base->end && (uintptr_t)base->end - first >= size;
}

static size_t
pages_to(const char *p)
{
	return align_up((uintptr_t)p, os_page_size);
}

static void *
cut_locked(struct base *base, size_t size, size_t alignment)
{
	assert(mutex_is_held(&base->lock));
	assert(has_room(base, size, alignment));
	char *piece = base->next + (-(uintptr_t)base->next & (alignment - 1));
	base->resident += pages_to(piece + size) - pages_to(base->next);
	base->allocated += size;
	base->next = piece + size;
	return piece;
}

/* Cut from the new block from now on, unless the old piece's rest is the longer one. */
static void
add_block_locked(struct base *base, struct base_block *block, size_t wanted)
{
	char *end = (char *)block + block->size;
	assert(mutex_is_held(&base->lock));
	block->older = base->blocks;
	base->blocks = block;
	base->mapped += block->size;
	base->resident += os_page_size;
	if ((size_t)(base->end - base->next) < (size_t)(end - block_first(block)) || wanted != 0) {
		base->next = block_first(block);
		base->end = end;
	}
}

struct base *
base_new(base_map_fn *map, base_unmap_fn *unmap, void *context)
{
	struct base_block *block = block_new(map, context, sizeof(struct base), CACHE_LINE);
	if (block == NULL)
		return NULL;
	/* The memory is zeroed: so are all fields not named. */
	struct base *base = (struct base *)block_first(block);
	mutex_init(&base->lock, RANK_BASE);
	base->map = map;
	base->unmap = unmap;
	base->context = context;
	base->blocks = block;
	base->mapped = block->size;
	base->next = block_first(block) + align_up(sizeof(struct base), CACHE_LINE);
	base->end = (char *)block + block->size;
	base->allocated = (size_t)(base->next - (char *)block);
	base->resident = pages_to(base->next) - (uintptr_t)block;
	return base;
}

void
base_delete(struct base *base)
{
	base_unmap_fn *const unmap = base->unmap;
	void *const context = base->context;
	assert(base != &base_zero);
	/* The oldest block, which holds the base itself, comes last. */
	for (struct base_block *block = base->blocks; block != NULL;) {
		struct base_block *older = block->older;
		unmap(context, block, block->size);
		block = older;
	}
}

static unsigned
recycle_index(size_t size)
{
	return (unsigned)((size - 1) / CACHE_LINE);
}

void *
base_alloc(struct base *base, size_t size, size_t alignment)
{
	assert(size > 0);
	assert(is_pow2(alignment) && alignment >= 16 && alignment <= os_page_size);
	size = align_up(size, min_size(alignment, CACHE_LINE));
	mutex_lock(&base->lock);
	if (size <= BASE_RECYCLE_MAX && alignment == CACHE_LINE) {
		struct base_free_piece **head = &base->free_pieces[recycle_index(size)];
		struct base_free_piece *piece = *head;
		if (piece != NULL) {
			*head = piece->next;
			base->allocated += size;
			mutex_unlock(&base->lock);
			return memset(piece, 0, size);
		}
	}
	while (!has_room(base, size, alignment)) {
		mutex_unlock(&base->lock);
		struct base_block *block = block_new(base->map, base->context, size, alignment);
		if (block == NULL)
			return NULL;
		mutex_lock(&base->lock);
		add_block_locked(base, block, has_room(base, size, alignment) ? 0 : size);
	}
	void *piece = cut_locked(base, size, alignment);
	mutex_unlock(&base->lock);
	return piece;
}

void
base_free(struct base *base, void *piece, size_t size)
{
	struct base_free_piece *p = piece;
	assert(size > 0 && size <= BASE_RECYCLE_MAX);
	assert(is_aligned((uintptr_t)piece, CACHE_LINE));
	size = align_up(size, CACHE_LINE);
	mutex_lock(&base->lock);
	struct base_free_piece **head = &base->free_pieces[recycle_index(size)];
	p->next = *head;
	*head = p;
	base->allocated -= size;
	mutex_unlock(&base->lock);
}

struct base_stats
base_stats(struct base *base)
{
	mutex_lock(&base->lock);
	const struct base_stats stats = { base->allocated, base->mapped, base->resident };
	mutex_unlock(&base->lock);
	return stats;
}

bool
base_fork_prepare(struct base *base, uint64_t limit_ns)
{
	base->is_held_for_fork = mutex_trylock_for(&base->lock, limit_ns);
	return base->is_held_for_fork;
}

void
base_fork_parent(struct base *base)
{
	if (base->is_held_for_fork) {
		base->is_held_for_fork = false;
		mutex_unlock(&base->lock);
	}
}

void
base_fork_child(struct base *base)
{
	if (!base->is_held_for_fork) {
		base->next = base->end = NULL;
		memset(base->free_pieces, 0, sizeof base->free_pieces);
	}
	base->is_held_for_fork = false;
	mutex_reset_in_child(&base->lock);
}
