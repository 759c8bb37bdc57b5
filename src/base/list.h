/* SPDX-License-Identifier: MIT */
/*
 * list -- intrusive, circular, doubly linked.
 *
 * A list head is a `struct list' that is never an element.  Always true: n->next->prev == n and
 * n->prev->next == n, for the head and every element; an empty head, and an element that has been
 * removed, not only detached, point at themselves, so removing twice is asserted.
 * Owns nothing, takes no lock: the caller guards head and elements together.
 */
#ifndef TRACT_BASE_LIST_H
#define TRACT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"
#include "base/bits.h"

struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_insert_between(struct list *prev, struct list *n, struct list *next)
{
	assert(prev->next == next);
	assert(next->prev == prev);
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}

static inline void
list_push_front(struct list *l, struct list *n)
{
	list_insert_between(l, n, l->next);
}

static inline void
list_push_back(struct list *l, struct list *n)
{
	list_insert_between(l->prev, n, l);
}

static inline void
list_remove(struct list *n)
{
	assert(n->next != n);
	assert(n->next->prev == n);
	assert(n->prev->next == n);
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* The same, for an element that is inserted again, or goes, before anybody asks whether it is in a
 * list. */
static inline void
list_detach(struct list *n)
{
	if (CONFIG_DEBUG) {
		list_remove(n);
		return;
	}
	n->prev->next = n->next;
	n->next->prev = n->prev;
}

/* NULL when the list is empty. */
static inline struct list *
list_first(const struct list *l)
{
	return list_is_empty(l) ? NULL : l->next;
}

static inline struct list *
list_last(const struct list *l)
{
	return list_is_empty(l) ? NULL : l->prev;
}

static inline struct list *
list_pop_front(struct list *l)
{
	struct list *n = list_first(l);
	if (n != NULL)
		list_remove(n);
	return n;
}

/* Append all of src, in its order, to dst; src is empty afterwards. */
static inline void
list_splice_back(struct list *dst, struct list *src)
{
	assert(dst != src);
	if (list_is_empty(src))
		return;
	src->next->prev = dst->prev;
	dst->prev->next = src->next;
	src->prev->next = dst;
	dst->prev = src->prev;
	list_init(src);
}

/* Declares `var'.  The body may not remove it; use list_pop_front to empty a list. */
#define LIST_FOR_EACH(var, l) \
	for (struct list *var = (l)->next; var != (l); var = var->next)

#define LIST_ENTRY(ptr, type, member) CONTAINER_OF(ptr, type, member)

#endif
