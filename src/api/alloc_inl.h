/* SPDX-License-Identifier: MIT */
/*
 * alloc_inl -- the hit path of malloc, for the functions that begin with it: malloc, calloc, and
 * operator new.
 *
 * It reads one word of thread-local storage, the class of the size, the head of the class's list,
 * and pops it.  All that is rare was arranged to find that list empty.
 */
#ifndef TRACT_API_ALLOC_INL_H
#define TRACT_API_ALLOC_INL_H

#include "config/size_class.h"
#include "thread/thread.h"

/* Classes of 1025 .. SC_OWNED_MAX, all multiples of 256.  Written once at boot. */
#define MEDIUM_STEP 256
extern uint8_t medium_lookup[SC_OWNED_MAX / MEDIUM_STEP + 1];

static ALWAYS_INLINE unsigned
medium_class(size_t size)
{
	return medium_lookup[(size + MEDIUM_STEP - 1) / MEDIUM_STEP];
}

/* The head of a class's list; NULL when it is empty. */
static ALWAYS_INLINE void *
tcache_pop(struct tcache *tc, size_t szind)
{
	void *p = tc->list[szind];

	if (LIKELY(p != NULL))
		tc->list[szind] = *(void **)p;
	return p;
}

/*
 * What the hit path does not do itself: the list of the class is empty; the size has no class.  tc
 * is thread_tcache.  NULL: no memory.
 */
typedef void *slow_refill(size_t size, struct tcache *tc, size_t szind);
typedef void *slow_large(size_t size, struct tcache *tc);

/* For malloc, which fails there and then; for others, which say themselves what failed. */
slow_refill malloc_refill, alloc_refill;
slow_large malloc_large, alloc_large;

/* Two pops, not one behind a choice of class: so gcc keeps the result where it must end. */
static ALWAYS_INLINE void *
alloc_inline(size_t size, slow_refill *refill, slow_large *large)
{
	struct tcache *tc = thread_tcache;

	if (LIKELY(size <= SC_LOOKUP_MAX)) {
		const size_t szind = tc->lookup[(size + 7) >> 3];
		void *p = tcache_pop(tc, szind);
		return LIKELY(p != NULL) ? p : refill(size, tc, szind);
	}
	if (LIKELY(size <= SC_OWNED_MAX)) {
		const size_t szind = medium_class(size);
		void *p = tcache_pop(tc, szind);
		return LIKELY(p != NULL) ? p : refill(size, tc, szind);
	}
	return large(size, tc);
}

#endif
