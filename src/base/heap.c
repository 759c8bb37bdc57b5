/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include "base/assert.h"

/* Make one heap of two whose roots have no siblings; the smaller root becomes the root. */
static struct heap_node *
meld(struct heap_node *a, struct heap_node *b, heap_less *less)
{
	assert(a->next == NULL && b->next == NULL);
	if (less(b, a)) {
		struct heap_node *t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	a->prev = NULL;
	return a;
}

/*
 * Make one heap of a list of siblings: meld neighbours in pairs from the left, then fold the pairs
 * from the right.  The first pass stacks its pairs by `next', so the second meets them in that
 * order.  These two passes are what bounds the amortised cost.
 */
static struct heap_node *
meld_siblings(struct heap_node *first, heap_less *less)
{
	struct heap_node *pairs = NULL;
	while (first != NULL) {
		struct heap_node *pair = first;
		struct heap_node *partner = first->next;
		first = partner == NULL ? NULL : partner->next;
		pair->next = NULL;
		if (partner != NULL) {
			partner->next = NULL;
			pair = meld(pair, partner, less);
		}
		pair->next = pairs;
		pairs = pair;
	}
	if (pairs == NULL)
		return NULL;
	struct heap_node *root = pairs;
	pairs = root->next;
	root->next = NULL;
	while (pairs != NULL) {
		struct heap_node *pair = pairs;
		pairs = pair->next;
		pair->next = NULL;
		root = meld(root, pair, less);
	}
	root->prev = NULL;
	return root;
}

/* Take n, with the heap below it, out of its parent's children. */
static void
cut(struct heap_node *n)
{
	assert(n->prev != NULL);
	if (n->prev->child == n)
		n->prev->child = n->next;
	else
		n->prev->next = n->next;
	if (n->next != NULL)
		n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

void
heap_insert(struct heap *h, struct heap_node *n, heap_less *less)
{
	n->child = n->next = n->prev = NULL;
	h->root = h->root == NULL ? n : meld(h->root, n, less);
}

struct heap_node *
heap_pop(struct heap *h, heap_less *less)
{
	struct heap_node *min = h->root;
	if (min == NULL)
		return NULL;
	h->root = meld_siblings(min->child, less);
	min->child = NULL;
	return min;
}

void
heap_remove(struct heap *h, struct heap_node *n, heap_less *less)
{
	assert(h->root != NULL);
	if (n == h->root) {
		heap_pop(h, less);
		return;
	}
	cut(n);
	struct heap_node *below = meld_siblings(n->child, less);
	n->child = NULL;
	if (below != NULL)
		h->root = meld(h->root, below, less);
}

const struct heap_node *
heap_next(const struct heap_node *n)
{
	if (n->child != NULL)
		return n->child;
	while (n->next == NULL) {
		while (n->prev != NULL && n->prev->child != n)
			n = n->prev;
		n = n->prev;
		if (n == NULL)
			return NULL;
	}
	return n->next;
}

bool
heap_check(const struct heap *h, heap_less *less)
{
	if (h->root == NULL)
		return true;
	if (h->root->prev != NULL || h->root->next != NULL)
		return false;
	for (const struct heap_node *n = h->root; n != NULL; n = heap_next(n)) {
		const struct heap_node *left = n;
		for (const struct heap_node *c = n->child; c != NULL;
		     left = c, c = c->next)
			if (c->prev != left || less(c, n))
				return false;
	}
	return true;
}
