/* SPDX-License-Identifier: MIT */
#include "meta/rtree.h"

#include "os/pages.h"
#include "sync/mutex.h"

#define LEAF_BYTES (sizeof(uintptr_t) << RTREE_LEAF_BITS)

struct rtree rtree ALIGNED(128);

static struct mutex rtree_lock = MUTEX_INITIALIZER(RTREE);
static _Atomic(size_t) n_leaves; /* Written under rtree_lock; relaxed, statistics. */
static bool lock_is_held_for_fork; /* The forking thread only. */

/* A new leaf, biased for a slot; 0: out of memory. */
static uintptr_t
leaf_new(size_t slot)
{
	enum os_commit commit = OS_COMMITTED;
	void *leaf = os_pages_map(NULL, LEAF_BYTES, os_page_size, &commit);
	if (leaf == NULL)
		return 0;
	/* One word a page is touched: a huge page for the first of them would cost 2 MiB. */
	if (os_thp_mode == OS_THP_ALWAYS)
		(void)os_pages_nohuge(leaf, LEAF_BYTES);
	const uintptr_t biased = (uintptr_t)leaf - slot * LEAF_BYTES;
	/* 0 says that there is no leaf: this one address cannot be used. */
	if (biased == 0)
		(void)os_pages_unmap(leaf, LEAF_BYTES);
	return biased;
}

static bool
cover_slot(size_t slot)
{
	if (load_acquire(&rtree.root[slot]) != 0)
		return true;
	mutex_lock(&rtree_lock);
	/* Relaxed: written under this lock. */
	uintptr_t leaf = load_relaxed(&rtree.root[slot]);
	if (leaf == 0) {
		leaf = leaf_new(slot);
		if (leaf != 0) {
			/* Release: pairs with rtree_find. */
			store_release(&rtree.root[slot], leaf);
			owner_add(&n_leaves, 1);
		}
	}
	mutex_unlock(&rtree_lock);
	return leaf != 0;
}

bool
rtree_cover(uintptr_t first, uintptr_t end)
{
	assert(first < end);
	if ((end - 1) >> RTREE_VADDR_BITS != 0)
		return false;
	const size_t last = (end - 1) >> RTREE_LG_LEAF_SPAN;
	for (size_t slot = first >> RTREE_LG_LEAF_SPAN; slot <= last; slot++)
		if (!cover_slot(slot))
			return false;
	return true;
}

size_t
rtree_mapped_bytes(void)
{
	return sizeof rtree + load_relaxed(&n_leaves) * LEAF_BYTES;
}

bool
rtree_fork_prepare(uint64_t limit_ns)
{
	lock_is_held_for_fork = mutex_trylock_for(&rtree_lock, limit_ns);
	return lock_is_held_for_fork;
}

void
rtree_fork_parent(void)
{
	if (lock_is_held_for_fork)
		mutex_unlock(&rtree_lock);
	lock_is_held_for_fork = false;
}

/* What the lock guards is never torn: a slot is written in one store. */
void
rtree_fork_child(void)
{
	lock_is_held_for_fork = false;
	mutex_reset_in_child(&rtree_lock);
}
