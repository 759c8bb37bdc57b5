/* SPDX-License-Identifier: MIT */
/*
 * eset -- free extents by size and age.
 *
 * An extent sits in the heap of the largest page class that is <= its size (four classes per
 * doubling), oldest mapping and lowest address first, and at the tail of an LRU list.
 * A set by exact size has a heap for each number of granules instead, but for large ones, which
 * share the last: what cannot be cut is of use to requests of its own size alone.
 * Everything is guarded by the ecache's lock, except npages, which anybody may read.
 */
#ifndef TRACT_EXTENT_ESET_H
#define TRACT_EXTENT_ESET_H

#include "base/bitmap.h"
#include "extent/edata.h"

/* 1, 2, 3 granules, then four classes a doubling up to the whole address space. */
#define ESET_CLASSES 140

struct eset {
	struct heap heaps[ESET_CLASSES];
	uint64_t nonempty[BITMAP_WORDS(ESET_CLASSES)];
	struct list lru;        /* oldest first */
	_Atomic(size_t) npages; /* granules; written under the lock, relaxed readers */
	bool is_exact;          /* Set once. */
};

/* Largest class <= size; smallest class >= size; bytes of a class. Sizes in bytes. */
unsigned eset_class_floor(size_t size);
unsigned eset_class_ceil(size_t size);
size_t eset_class_size(unsigned class);

void eset_init(struct eset *eset);
void eset_init_exact(struct eset *eset);
void eset_insert(struct eset *eset, struct edata *e);
void eset_remove(struct eset *eset, struct edata *e);
/*
 * An extent that holds `size' bytes at `alignment', of the smallest class that has one, none above
 * `largest' bytes; within the class the oldest mapping, lowest address.  (The oldest of all classes
 * instead cuts up the largest extents first: a third more peak memory on buffers of 1-25 MiB.)
 * NULL: none.  The extent stays in the set.
 */
struct edata *eset_fit(struct eset *eset, size_t size, size_t alignment, size_t largest);
/* The oldest mapping, lowest address, of exactly `size' bytes in a set by exact size; NULL: none.
 * It stays in the set. */
struct edata *eset_exact(const struct eset *eset, size_t size);
/* The largest extent of less than `size' and at least half of it that an extent in state `behind'
 * follows, as far as the first of each class shows; NULL: none.  It stays in the set. */
struct edata *eset_followed(const struct eset *eset, size_t size,
    enum extent_state behind);
/* The oldest of the largest class; NULL when empty. */
struct edata *eset_largest(const struct eset *eset);
/* The extent that has been here longest; NULL when empty. */
struct edata *eset_oldest(struct eset *eset);
/* Walks everything; the number of granules must agree. */
void eset_check(const struct eset *eset);

#endif
