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

/*
 * Relaxed: the pointer was made known to us after its extent was registered.  Where the compiler
 * allows a plain read, so that it may be an operand of an addition.
 */
static ALWAYS_INLINE uintptr_t
read_offset(const rtree_word *offset)
{
#if BUILT_FOR_TSAN
	return load_relaxed(offset);
#else
	return *(const uintptr_t *)offset;
#endif
}

/* What the leaf word of any pointer below 2^RTREE_VADDR_BITS leads to, tags included. */
static ALWAYS_INLINE struct edata *
record_inline(const void *p)
{
	const uintptr_t address = (uintptr_t)p;

	uintptr_t leaf = read_offset(&rtree.root[address >> RTREE_LG_LEAF_SPAN]);
	AS_IT_IS(leaf);
	leaf += RTREE_ORIGIN;
	AS_IT_IS(leaf);
	return (struct edata *)(RTREE_ORIGIN
	    + read_offset((const rtree_word *)leaf + rtree_index_in_leaf(address)));
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
