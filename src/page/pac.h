/* SPDX-License-Identifier: MIT */
/*
 * pac -- the classic page allocator of an arena: dirty, muzzy and retained ecaches, growth of
 * address space in steps, and decay.
 *
 * Sources of an extent, in order: pinned, dirty, muzzy (when muzzy decay is on), retained,
 * growth, the alloc hook for exactly the size.  What is too large is split; the rest goes
 * back where it came from, or to retained from a fresh mapping.
 * What nothing backs is backed by dirty pieces that were too small: page/pac_move.h.
 * Given back: to dirty, merged eagerly.  Decay moves it on: dirty -> muzzy (lazy purge) ->
 * retained (disposal cascade dalloc, decommit, purge_forced, purge_lazy).
 * Guarded extents: page/pac_guard.h.
 * Memory that a hook gave as pinned is kept apart, with an ecache of its own: nothing decays there,
 * nothing of it is retained, and since it is backed whether it is used or not, it is used first.
 *
 * Bound on dirty pages besides time: max(4 MiB, a quarter of active).  Where demand has been seen
 * to come back within a second, never so low that active + dirty falls below the peak of active in
 * the last second and that share of it.  An explicit decay setting (option, or control node; -1
 * too) switches the bound off.
 *
 * Locking: each ecache has a lock (rank ECACHE, one at a time); `grow_lock' guards the next
 * step's size; each decay has one.  Hooks and system calls run with none of them held.
 */
#ifndef TRACT_PAGE_PAC_H
#define TRACT_PAGE_PAC_H

#include "config/size_class.h"
#include "extent/decay.h"
#include "extent/ecache.h"
#include "extent/edata_pool.h"
#include "extent/ehooks.h"
#include "os/pages.h"
#include "page/pai.h"

enum decay_kind { DECAY_DIRTY, DECAY_MUZZY, DECAY_KINDS };

struct pac_stats { /* Relaxed counters. */
	_Atomic(size_t) active_pages;
	_Atomic(size_t) mapped;   /* bytes in active, dirty, muzzy and pinned extents */
	_Atomic(size_t) retained; /* bytes in retained extents */
	_Atomic(size_t) pinned;   /* bytes in free pinned extents */
	_Atomic(size_t) pinned_mapped; /* bytes in all pinned ones: a part of `mapped' */
	_Atomic(size_t) abandoned_vm;  /* bytes lost when a split found no record */
	_Atomic(size_t) guards; /* bytes beside guarded extents, in none of the above */
	_Atomic(uint64_t)
	    n_guard_calls; /* of the system, to put guards up or take them down */
	struct {
		_Atomic(uint64_t) n_purge, n_advise, n_pages;
	} purged[DECAY_KINDS];
};

struct pac {
	struct pai pai; /* first */
	unsigned arena_index;
	struct ehooks *ehooks;
	struct edata_pool *edata_pool;
	struct ecache dirty, muzzy, retained;
	struct mutex grow_lock;
	size_t grow_next;           /* Guarded by grow_lock: bytes of the next step. */
	_Atomic(size_t) grow_limit; /* largest step; relaxed */
	_Atomic(bool) is_exact;     /* the hooks refused to split a step: no more steps */
	_Atomic(uint64_t) next_sn;
	_Atomic(bool) bounded;              /* the bound by amount is on */
	_Atomic(size_t) oversize_threshold; /* see pac_is_oversize; relaxed */
	/* Demand, see pac_purge.c; all of it relaxed, hints. */
	_Atomic(size_t) peak_pages[2]; /* of active, in the current and the last second */
	_Atomic(uint64_t) peak_since_ns;
	_Atomic(bool) is_trusted; /* demand that went has come back within a second */
	_Atomic(size_t) trusted_pages; /* the fewest active that it came back from */
	_Atomic(size_t) trusted_peak;  /* ... at this peak */
	_Atomic(size_t) forgone_pages; /* purged by the bound, not yet judged */
	_Atomic(uint64_t) forgone_ns;  /* since when */
	_Atomic(size_t) trough_pages;  /* the fewest active since then */
	_Atomic(size_t) fresh_pages;   /* ever needed that nothing backed, wrapping */
	_Atomic(size_t) fresh_before;  /* the same, at forgone_ns */
	struct pac_stats stats;
	struct decay decay[DECAY_KINDS]; /* of dirty and muzzy */
	struct ecache pinned;
};

/* Memory for decay and for guarded extents, zeroed; apart, because a small process never touches
 * it. */
struct pac_backlogs {
	size_t of[DECAY_KINDS][DECAY_EPOCHS];
	struct eset guarded[3]; /* dirty, muzzy, retained */
};

/* What new PACs begin with: decay times, and whether the bound by amount is on. */
extern _Atomic(ssize_t) pac_default_ms[DECAY_KINDS];
extern _Atomic(bool) pac_default_bounded;

/* Somebody else does deferred work, soon: what is freed is not purged at once for its size.  A
 * hint. */
extern _Atomic(bool) pac_is_served;

bool pac_init(struct pac *pac, struct pac_backlogs *backlogs, unsigned arena_index,
    struct ehooks *ehooks, struct edata_pool *edata_pool);

/* Do the deferred work that is due; trylock, skipped while another thread does it. */
void pac_decay(struct pac *pac, enum purge_extent how);
/* decay_ms of one kind. False: out of range. Setting purges at once what the new value says, and
 * switches the bound by amount off when `explicit'. */
bool pac_set_decay_ms(struct pac *pac, enum decay_kind kind, ssize_t decay_ms,
    bool is_explicit);
ssize_t pac_decay_ms(struct pac *pac, enum decay_kind kind);
/* The arena is going: hand every extent of every ecache to the destroy hook, but memory of the
 * break, which cannot be unmapped, to `heir' (NULL: nobody). */
void pac_destroy(struct pac *pac, struct pac *heir);

/*
 * Bytes from which an extent is purged as soon as it is freed, while dirty pages decay at all and
 * no background worker purges; and for which a thread of an automatic arena goes to the arena of
 * oversize objects, if there is one.  Less than SC_LARGE_MIN: off.
 */
static inline size_t
pac_oversize_threshold(struct pac *pac)
{
	return load_relaxed(&pac->oversize_threshold);
}

static inline void
pac_set_oversize_threshold(struct pac *pac, size_t threshold)
{
	store_relaxed(&pac->oversize_threshold, threshold);
}

static inline bool
pac_is_oversize(struct pac *pac, size_t size)
{
	const size_t threshold = pac_oversize_threshold(pac);
	return UNLIKELY(threshold >= SC_LARGE_MIN) && size >= threshold;
}

/* Has demand been seen to come back from where it is now, or from near it, so that there is no
 * haste to purge? */
bool pac_trusts_demand(struct pac *pac);

/* So many bytes of what had been unused have been backed by pages from elsewhere. */
static inline void
pac_not_needed(struct pac *pac, size_t bytes)
{
	fetch_sub_relaxed(&pac->fresh_pages, bytes / os_page_size);
}

size_t pac_dirty_pages(struct pac *pac);
size_t pac_muzzy_pages(struct pac *pac);

/* Walk everything; aborts through assert on a broken invariant.  Takes the locks.  The
 * first may be called at any time, the second while no other thread uses the arena. */
void pac_check_caches(struct pac *pac);
void pac_check(struct pac *pac);

/* Fork takes the locks of all arenas rank by rank: DECAY, GROW, ECACHE.  An ecache that was in use
 * starts empty in the child. */
void pac_fork_prepare(struct pac *pac, enum lock_rank rank);
void pac_fork_parent(struct pac *pac);
void pac_fork_child(struct pac *pac);

#endif
