/* SPDX-License-Identifier: MIT */
/*
 * tract/extent_hooks.h -- the functions through which an arena gets and returns memory.
 *
 * Sizes, addresses and alignments are in bytes and multiples of the page.  Functions that return
 * bool answer true for failure or refusal.  A NULL pointer (not allowed for `alloc') means that the
 * operation is never possible.  Hooks may be called by any thread at any time, without a lock of
 * tract held, and may themselves allocate.
 */
#ifndef TRACT_EXTENT_HOOKS_H
#define TRACT_EXTENT_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct extent_hooks_s extent_hooks_t;

/*
 * Flags in the low 8 bits of what an alloc hook returns, `address | EXTENT_ALLOC_FLAG_...'.
 * PINNED: the memory cannot be taken away while it is mapped (locked, registered with a device,
 * huge pages in reserve).  It must be committed.  The arena never purges it, nor hands it to dalloc
 * before it is destroyed, but keeps what is free for its next requests, before all other memory.
 */
#define EXTENT_ALLOC_FLAG_PINNED 0x1
#define EXTENT_ALLOC_FLAG_MASK 0xff

/* New memory of `size' bytes aligned to `alignment'; at new_addr exactly when it is not NULL.  Must
 * set *zero when the memory reads as zero and *commit when it is backed, and deliver at least what
 * they ask for on entry.  NULL: none. */
typedef void *(extent_alloc_t)(extent_hooks_t *hooks, void *new_addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind);
/* Take memory back.  True: refused, tract keeps it and tries the next way to dispose of it. */
typedef bool(extent_dalloc_t)(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind);
/* Take memory back when its arena is destroyed. */
typedef void(extent_destroy_t)(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind);
/* Back (back no longer) [addr + offset, addr + offset + length). */
typedef bool(extent_commit_t)(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
typedef bool(extent_decommit_t)(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
/* Contents are not needed: lazily, they may vanish at any time until written again; forced, they
 * read as zero afterwards. */
typedef bool(extent_purge_t)(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
/* May [addr, addr + size) be treated as two extents? */
typedef bool(extent_split_t)(extent_hooks_t *hooks, void *addr, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena_ind);
/* May two adjacent extents be treated as one? */
typedef bool(extent_merge_t)(extent_hooks_t *hooks, void *addr_a, size_t size_a,
    void *addr_b, size_t size_b, bool committed, unsigned arena_ind);

struct extent_hooks_s {
	extent_alloc_t *alloc;
	extent_dalloc_t *dalloc;
	extent_destroy_t *destroy;
	extent_commit_t *commit;
	extent_decommit_t *decommit;
	extent_purge_t *purge_lazy;
	extent_purge_t *purge_forced;
	extent_split_t *split;
	extent_merge_t *merge;
};

/* For experimental.arenas_create_ext.  With metadata_use_hooks false the arena's own records come
 * from the default hooks. */
struct arena_config_s {
	extent_hooks_t *extent_hooks;
	bool metadata_use_hooks;
};
typedef struct arena_config_s arena_config_t;

#ifdef __cplusplus
}
#endif

#endif
