/* SPDX-License-Identifier: MIT */
/*
 * heap -- an intrusive pairing heap: insert O(1), minimum O(1), remove O(log n) amortised.
 *
 * A node's children form a list by `next'; `prev' is the left sibling, or the parent for a first
 * child, and NULL for the root.  Always true: no child is less than its parent.  Nodes that are
 * equal under `less' leave in no particular order.
 * Owns nothing, takes no lock, does not recurse.
 */
#ifndef TRACT_BASE_HEAP_H
#define TRACT_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
	struct heap_node *child, *next, *prev;
};

struct heap {
	struct heap_node *root;
};

/* A strict weak order that does not change while the nodes are in the heap. */
typedef bool heap_less(const struct heap_node *a, const struct heap_node *b);

static inline void
heap_init(struct heap *h)
{
	h->root = NULL;
}

static inline bool
heap_is_empty(const struct heap *h)
{
	return h->root == NULL;
}

/* NULL when the heap is empty. */
static inline struct heap_node *
heap_min(const struct heap *h)
{
	return h->root;
}

void heap_insert(struct heap *h, struct heap_node *n, heap_less *less);
/* n is in h. */
void heap_remove(struct heap *h, struct heap_node *n, heap_less *less);
/* Remove and return the minimum; NULL when the heap is empty. */
struct heap_node *heap_pop(struct heap *h, heap_less *less);
/* The next node of a walk from heap_min that meets parents before children; NULL at the end. */
const struct heap_node *heap_next(const struct heap_node *n);
/* Walk the whole heap: true when links and order are as they must be. */
bool heap_check(const struct heap *h, heap_less *less);

#endif
