/* SPDX-License-Identifier: MIT */
/*
 * base -- memory for tract's own records: a bump allocator over big blocks, one per arena.
 *
 * What it returns is zeroed, aligned, and never given back to the system while the base lives;
 * records that come and go are recycled by whoever owns them (edata_pool, and the free lists of
 * base_free for pieces of up to BASE_RECYCLE_MAX bytes).  Blocks come from the default hooks, or
 * from the arena's own when metadata_use_hooks is on (a function pointer handed down).
 *
 * A block is not touched on huge pages unless opt.metadata_thp asks: where the kernel would use
 * them everywhere, it is told not to.
 *
 * Locking: `lock', rank BASE; blocks are mapped with it released.
 */
#ifndef TRACT_META_BASE_H
#define TRACT_META_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/mutex.h"

#define BASE_BLOCK_SIZE (CONFIG_HOSTILE ? (size_t)64 << 10 : (size_t)2 << 20)
#define BASE_RECYCLE_MAX 2048 /* bytes; free lists in steps of a cache line */

struct base_block;
struct base_free_piece;

/* Where blocks come from. NULL on failure; memory must be committed, and zeroed unless `clears'. */
typedef void *base_map_fn(void *context, size_t size, size_t alignment);
typedef void base_unmap_fn(void *context, void *addr, size_t size);

struct base {
	struct mutex lock;
	base_map_fn *map;     /* Set once. */
	base_unmap_fn *unmap; /* Set once. */
	void *context;        /* Set once; handed to map and unmap. */
	bool clears; /* Set once. Blocks may hold anything: clear what is handed out. */
	/* Guarded by lock. */
	struct base_block *blocks;
	char *next,
	    *end; /* unused rest of the newest block; committed up to next's page */
	struct base_free_piece *free_pieces[BASE_RECYCLE_MAX / 64];
	size_t allocated; /* bytes handed out */
	size_t mapped;    /* bytes of blocks */
	size_t resident;  /* bytes of pages ever handed out from */
	unsigned n_blocks;
	struct base_block
	    *huge;     /* this block and all older ones were made huge by `auto' */
	size_t n_huge; /* huge pages asked for */
};

/* The process's own base: lives in static memory, blocks from the system. */
extern struct base base_zero;

/* Blocks straight from os/pages; the default for `map' and `unmap'. */
void *base_map_system(void *context, size_t size, size_t alignment);
void base_unmap_system(void *context, void *addr, size_t size);

/* Metadata that lies at addr, not touched yet: on huge pages, or never on such a one. */
void base_advise(void *addr, size_t size, bool is_huge);

/* A base whose own struct lies in its first block.  NULL: out of memory. */
struct base *base_new(base_map_fn *map, base_unmap_fn *unmap, void *context);
/* Unmaps every block, the base itself included. */
void base_delete(struct base *base);

/* `size' zeroed bytes aligned to `alignment' (a power of two, >= 16, <= the page).  NULL: none. */
void *base_alloc(struct base *base, size_t size, size_t alignment);
/* Give a piece of base_alloc back for recycling; size as asked, <= BASE_RECYCLE_MAX, aligned to a
 * cache line. */
void base_free(struct base *base, void *piece, size_t size);

/* Across a fork; a base that was in use starts a new block in the child. */
void base_fork_prepare(struct base *base);
void base_fork_parent(struct base *base);
void base_fork_child(struct base *base);

struct base_stats {
	size_t allocated, mapped, resident;
	size_t n_huge; /* huge pages asked for, see opt.metadata_thp */
};
struct base_stats base_stats(struct base *base);

#endif
