/* SPDX-License-Identifier: MIT */
#include "meta/rtree.h"

#include "config/options.h"
#include "meta/base.h"
#include "os/pages.h"
#include "sync/fork.h"
#include "sync/mutex.h"

#define LEAF_BYTES (sizeof(uintptr_t) << RTREE_LEAF_BITS)

struct rtree rtree ALIGNED(128) BULKY;

static struct mutex rtree_lock = MUTEX_INITIALIZER(RTREE);
static _Atomic(size_t) n_leaves; /* Relaxed; statistics. */

/* The first leaf of all is known to be: its slot's page is then written without having
 * been read, one page fault instead of two. */
static inline bool
is_missing(size_t slot)
{
	return load_relaxed(&n_leaves) == 0 || load_acquire(&rtree.root[slot]) == 0;
}

/* metadata_thp:auto: the second leaf that is used is a sign that there will be many. */
static bool
wants_huge_leaf(void)
{
	return opt.metadata_thp == METADATA_THP_ALWAYS
	    || (opt.metadata_thp == METADATA_THP_AUTO && load_relaxed(&n_leaves) != 0);
}

/* Under rtree_lock, so that two threads do not map the same leaf. */
static bool
make_leaf(size_t slot)
{
	enum os_commit commit = OS_COMMITTED;
	bool made = true;

	mutex_lock(&rtree_lock);
	if (is_missing(slot)) {
		const bool is_huge = wants_huge_leaf();
		void *leaf = os_pages_map(NULL, LEAF_BYTES,
		    is_huge ? LEAF_BYTES : os_page_size, &commit);
		made = leaf != NULL;
		if (made) {
			base_advise(leaf, LEAF_BYTES, is_huge);
			fetch_add_relaxed(&n_leaves, 1);
			/* Release: pairs with the acquire in rtree_find. */
			store_release(&rtree.root[slot], (uintptr_t)leaf - RTREE_ORIGIN);
		}
	}
	mutex_unlock(&rtree_lock);
	return made;
}

bool
rtree_cover(uintptr_t first, uintptr_t end)
{
	if ((end - 1) >> RTREE_VADDR_BITS != 0)
		return false;
	for (size_t slot = first >> RTREE_LG_LEAF_SPAN;
	     slot <= (end - 1) >> RTREE_LG_LEAF_SPAN; slot++)
		if (UNLIKELY(is_missing(slot)) && !make_leaf(slot))
			return false;
	return true;
}

size_t
rtree_mapped_bytes(void)
{
	return load_relaxed(&n_leaves) * LEAF_BYTES;
}

void
rtree_fork_prepare(void)
{
	(void)mutex_fork_prepare(&rtree_lock);
}

void
rtree_fork_parent(void)
{
	mutex_fork_parent(&rtree_lock);
}

/* A torn leaf does not exist: the root slot is written last. */
void
rtree_fork_child(void)
{
	(void)mutex_fork_child(&rtree_lock);
}
