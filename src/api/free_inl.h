/* SPDX-License-Identifier: MIT */
/*
 * free_inl -- the hit path of free, for the functions that are free: free and operator delete.
 *
 * The pointer's leaf word leads to a record, and its first word to an owner.  One compare with the
 * thread's own tcache tells an own live region from everything else: NULL, large objects, shared
 * slabs, other threads' slabs, and pointers that nobody owns (an empty word leads to RTREE_ORIGIN,
 * a tagged one into its record: neither place holds a tcache's address).
 */
#ifndef TRACT_API_FREE_INL_H
#define TRACT_API_FREE_INL_H

#include "extent/emap.h"
#include "thread/thread.h"

/*
 * Everything but a live region of an own slab.  `e' is what the leaf word led to, tags included;
 * tc is thread_tcache.
 */
void free_other(void *p, struct edata *e, struct tcache *tc);

/* Debug builds: is the region of an own slab among the free ones that
 * opt.debug_double_free_max_scan says to look at?  Reports it then. */
bool free_is_double(struct tcache *tc, const struct edata *e, const void *p);

/* What the leaf word of any pointer leads to. */
static ALWAYS_INLINE struct edata *
record_inline(const void *p)
{
	const uintptr_t address = (uintptr_t)p;

	/* Relaxed: the pointer was made known to us after its extent was registered. */
	const uintptr_t leaf = load_relaxed(&rtree.root[address >> RTREE_LG_LEAF_SPAN]);
	if (UNLIKELY(leaf == 0))
		return (struct edata *)RTREE_ORIGIN;
	const uintptr_t word = load_relaxed((rtree_word *)(leaf
	    + (address >> LG_GRANULE) * sizeof(uintptr_t)));
	return (struct edata *)(RTREE_ORIGIN + word);
}

static ALWAYS_INLINE void
free_inline(void *p)
{
	struct tcache *tc = thread_tcache;
	struct edata *e = record_inline(p);

	if (UNLIKELY(!edata_is_owned_by(e, tc))) {
		free_other(p, e, tc);
		return;
	}
	if (CONFIG_DEBUG && free_is_double(tc, e, p))
		return;
	*(void **)p = e->free;
	e->free = p;
	if (UNLIKELY(--e->need == 0))
		tcache_slab_event(tc, e);
}

#endif
