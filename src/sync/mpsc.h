/* SPDX-License-Identifier: MIT */
/*
 * mpsc -- a queue that many threads push to and one drains: the inbox of an owner.
 *
 * A chain of nodes from the newest to the oldest.  A push links a whole chain by one
 * compare-and-swap, a drain takes everything by one exchange, so there is no moment at which the
 * queue is half linked: a fork child finds it whole.  Any thread may push; who drains is the
 * caller's affair (no ABA: a drain never takes a single node).
 *
 * Ordering: what was written before mpsc_push happens before what follows the mpsc_drain that
 * returns the node.  The pushes between are read-modify-writes and thus continue each other's
 * release sequence: acquiring the last one acquires all.
 */
#ifndef TRACT_SYNC_MPSC_H
#define TRACT_SYNC_MPSC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"

struct mpsc_node {
	_Atomic(struct mpsc_node *) next;
};

struct mpsc {
	_Atomic(struct mpsc_node *) head;
};

static inline void
mpsc_init(struct mpsc *q)
{
	store_relaxed(&q->head, NULL); /* not shared yet */
}

/* A hint unless the caller drains: then false is certain. */
static inline bool
mpsc_is_empty(struct mpsc *q)
{
	return load_relaxed(&q->head) == NULL;
}

/* Push the chain head -> ... -> tail, linked by the caller; tail->next is overwritten. */
static inline void
mpsc_push_chain(struct mpsc *q, struct mpsc_node *head, struct mpsc_node *tail)
{
	struct mpsc_node *old = load_relaxed(&q->head); /* only compared and stored */
	do {
		store_relaxed(&tail->next, old);           /* published by the CAS */
	} while (!cas_weak_release(&q->head, &old, head)); /* pairs with mpsc_drain */
}

static inline void
mpsc_push(struct mpsc *q, struct mpsc_node *n)
{
	mpsc_push_chain(q, n, n);
}

/* Take all; newest first, NULL-terminated.  NULL when empty. */
static inline struct mpsc_node *
mpsc_drain(struct mpsc *q)
{
	if (mpsc_is_empty(q))
		return NULL;
	return exchange_acquire(&q->head, NULL); /* pairs with mpsc_push_chain */
}

static inline struct mpsc_node *
mpsc_next(struct mpsc_node *n)
{
	return load_relaxed(&n->next); /* the drain has acquired it */
}

#endif
