/* SPDX-License-Identifier: MIT */
/*
 * arena -- one independent heap: its own records, page allocator and shared bins.
 *
 * Automatic arenas (index below arenas_automatic()) serve threads and live for ever.  Manual ones
 * are created and destroyed through control nodes, may have hooks of the user, and never have
 * owned slabs: every object in them is found from their bins and their list of large extents.
 *
 * Locks: each bin has one (rank BIN); `large_lock' (rank LARGE) guards the list of large extents;
 * below them the page allocator's.  Nothing here calls a hook or the system with a lock held.
 */
#ifndef TRACT_ARENA_ARENA_H
#define TRACT_ARENA_ARENA_H

#include "arena/mixed.h"
#include "arena/slab.h"
#include "base/bits.h"
#include "base/heap.h"
#include "base/list.h"
#include "config/options.h"
#include "extent/emap.h"
#include "os/pages.h"
#include "page/hpa.h"
#include "page/pac.h"
#include "page/sec.h"

#define ARENA_NAME_SIZE 32

struct bin_stats {               /* Guarded by the bin's lock. */
	uint64_t n_malloc;       /* regions taken from shared slabs */
	uint64_t n_dalloc;       /* regions returned to shared slabs */
	uint64_t n_fills;        /* batches taken */
	uint64_t n_flushes;      /* batches returned */
	uint64_t n_slabs;        /* slabs ever created, owned ones included */
	uint64_t n_reslabs;      /* times an earlier slab became current again */
	size_t cur_slabs;        /* slabs now, owned ones included */
	size_t cur_regs;         /* live regions in shared slabs */
	uint64_t n_frozen_frees; /* frees into slabs that a fork froze */
};

/* The slabs of one class in an arena. */
struct bin {
	struct mutex lock;
	uint8_t szind; /* Set once. */
	uint8_t epoch; /* Grows when a fork froze the bin's slabs. Guarded by lock. */
	/* Guarded by lock. */
	struct edata *current; /* shared slab allocated from; may be empty or NULL */
	struct heap partial;   /* other shared slabs with free regions: oldest first */
	struct list full;      /* shared slabs without */
	struct list owned;     /* slabs of this epoch that threads own, by bin_link */
	struct bin_stats stats;
	/* Regions counted as taken that nobody asked for: threads put them back from their
	 * lists, or explicit caches hold them.  What such a cache got by a free and hands out
	 * again counts down: may be less than 0.  Relaxed. */
	_Atomic(uint64_t) n_unused;
};

struct large_stats { /* Relaxed counters, one per large class. */
	_Atomic(uint64_t) n_malloc, n_dalloc;
	_Atomic(uint64_t) n_reused; /* of those a thread kept; they were never freed */
};

/* What tcaches counted before they moved on to another arena. Guarded by tcache_lock. */
struct moved_counts {
	uint64_t n_taken, n_fills, n_flushes;
};

/* The huge page allocator of an arena, and the cache in front of it. */
struct arena_huge {
	struct sec sec;
	struct hpa hpa;
};

/* Pages of slabs that were purged while the slab was in use.  Relaxed counters. */
struct slab_page_stats {
	_Atomic(uint64_t) n_purge, n_advise, n_purged;
	_Atomic(size_t) unbacked; /* now */
};

struct arena {
	unsigned index;
	bool is_manual;
	_Atomic(unsigned) n_threads;
	struct base *base;
	struct ehooks ehooks;      /* for data */
	struct ehooks meta_ehooks; /* for the base */
	struct edata_pool edata_pool;
	_Atomic(bool)
	    has_deferred; /* the page allocator has work for later; relaxed, a hint */
	_Atomic(uint64_t) ticked_ns; /* when that was looked at; relaxed, a hint */
	_Atomic(size_t)
	    foreseen_pages; /* dirty ones: with more, the work is looked at; a hint */
	_Atomic(uint64_t)
	    foreseen_ns; /* with work in huge pages sooner, likewise; a hint */
	/* May it get a huge page allocator?  Set once.  Then it counts active pages; relaxed. */
	bool may_have_huge;
	_Atomic(bool) begins_huge; /* A thread is making it. */
	_Atomic(size_t) active_pages;
	/* NULL: none, or not yet. Set once, under pac.grow_lock. */
	_Atomic(struct arena_huge *) huge;
	struct mutex large_lock;
	struct list large; /* Guarded by large_lock. Extents of manual arenas, by link. */
	uint8_t large_epoch;         /* As a bin's. Guarded by large_lock. */
	_Atomic(unsigned) n_offsets; /* of objects placed by cache_oblivious; relaxed */
	_Atomic(size_t)
	    n_guardable; /* slabs made while opt.san_guard_small is set; relaxed */
	_Atomic(uint64_t) created_ns;
	char name[ARENA_NAME_SIZE]; /* Guarded by the ctl lock. */
	/* tcaches: all of them, and those whose thread has ended. See cache/pool.h. */
	struct mutex tcache_lock; /* rank TCACHE_LIST */
	struct list tcaches;      /* Guarded by tcache_lock. */
	struct list pooled;       /* Guarded by tcache_lock. With slabs, newest first. */
	struct list bare;         /* Guarded by tcache_lock. Pooled, without slabs. */
	/* Is there a tcache that keeps empty slabs, and when was it looked at last?  Relaxed
	 * readers; see cache/kept.h. */
	_Atomic(bool) has_kept;
	_Atomic(uint64_t) kept_looked_ns;
	struct mixed mixed; /* automatic arenas only */
	struct bin bins[SC_NOWNED];
	struct pac pac;
	/* What a small process does not touch is last. */
	struct slab_page_stats slab_pages;
	struct large_stats large_stats[SC_NSIZES - SC_NBINS];
	struct moved_counts moved[SC_NOWNED];
	struct pac_backlogs backlogs;
};

/* NULL: it has none. */
static inline struct arena_huge *
arena_huge(const struct arena *arena)
{
	/* Acquire: pairs with who makes it. */
	return load_acquire(&arena->huge);
}

/* ---- arenas.c: the table of all arenas ---- */

#define ARENAS_MAX 4095 /* ORDER ARENAS-MAX: extent/dss.c */
extern _Atomic(struct arena *) arena_table[ARENAS_MAX + 1];
extern struct mutex arenas_lock;

static inline struct arena *
arena_get(unsigned index)
{
	return index > ARENAS_MAX ? NULL : load_acquire(&arena_table[index]);
}

static inline struct arena *
arena_of(const struct edata *e)
{
	return arena_get(edata_arena(e));
}

/* Number of automatic arenas at most, and one past the highest index ever used. */
extern unsigned arenas_n_automatic; /* Set once at boot. */

static inline unsigned
arenas_automatic(void)
{
	return arenas_n_automatic;
}

unsigned arenas_total(void);
/* Creates arena 0. False: out of memory. */
bool arenas_boot(unsigned n_automatic);
/* An automatic arena, created when missing; NULL when memory lacks. */
struct arena *arena_automatic(unsigned index);
/* A new manual arena; NULL when indices or memory lack. Reuses indices of destroyed ones. */
struct arena *arena_create_manual(const arena_config_t *config);
/* The arena of oversize objects; `instead' while there is no memory for it, and where
 * opt.oversize_threshold is 0. */
struct arena *arenas_oversize(struct arena *instead);
/*
 * The arena of what a user's hook allocates: arena 0, or where that has hooks of the user one that
 * has none, made at the first need, so that no hook comes to call itself.  NULL: no memory for it.
 */
struct arena *arenas_inside_hooks(void);
/* Threads of an arena; which one they should use: arena/place.h. */
void arena_thread_in(struct arena *arena);
void arena_thread_out(struct arena *arena);
/* Its index is free again. */
void arenas_forget(struct arena *arena);
/* While an arena is being destroyed no other one gets its index, until it is released. */
void arenas_reserve(unsigned index);
void arenas_release(unsigned index);
/* In a fork child: nobody is making an arena. */
void arenas_forget_reservations(void);

/* ---- arena.c ---- */

struct arena *arena_new(unsigned index, const arena_config_t *config, bool is_manual);
/* Drop all objects of a manual arena. Nobody else uses it. */
void arena_reset(struct arena *arena);
/* Reset, return all memory, and free the index. */
void arena_destroy(struct arena *arena);

/* ---- pages.c: its page allocators ---- */

/* What new arenas have, by the options. */
void arena_pages_boot(void);
bool arena_pages_init(struct arena *arena);
/* There is no extent left that anybody uses. */
void arena_pages_destroy(struct arena *arena);
/* NULL: out of memory. */
struct edata *arena_pages_alloc(struct arena *arena, const struct page_request *request);
void arena_pages_dalloc(struct arena *arena, struct edata *e);
/* In place; what it grows by reads as zero when `zero'. */
bool arena_pages_resize(struct arena *arena, struct edata *e, size_t new_size, bool zero);

size_t arena_pages_dirty(struct arena *arena);
/* Pages purged ever. */
uint64_t arena_pages_purged(struct arena *arena);
/* Bytes that limits see. */
size_t arena_pages_charged(struct arena *arena);

/* Active ones alone, where they are counted; relaxed. */
static inline _Atomic(size_t) *
arena_pages_active(struct arena *arena)
{
	return arena->may_have_huge ? &arena->active_pages
				    : &arena->pac.stats.active_pages;
}

void arena_pages_check_shared(struct arena *arena);
void arena_pages_check(struct arena *arena);
/* Rank by rank: DECAY, GROW, HPA_SEC, HPA_GROW, HPA, ECACHE. */
void arena_pages_fork_prepare(struct arena *arena, enum lock_rank rank);
void arena_pages_fork_parent(struct arena *arena);
void arena_pages_fork_child(struct arena *arena);

/* ---- defer.c: what they do later ---- */

void arena_defer_init(struct arena *arena);
/* Purge what the decay curves say, or everything. */
void arena_decay(struct arena *arena, enum purge_extent how);
/* decay_ms of one kind, as pac_set_decay_ms, explicitly. */
bool arena_set_decay_ms(struct arena *arena, enum decay_kind kind, ssize_t ms);
/* There is work for later. With no lock held. */
void arena_defer(struct arena *arena);
/* There is work in so many nanoseconds that the page allocator knows nothing of. */
void arena_expect(struct arena *arena, uint64_t due_ns);
/* Deferred work that is due, if there may be any: called from slow paths now and then. */
void arena_tick(struct arena *arena, uint64_t now_ns);
/* The same, if the last time is a while ago. */
void arena_tick_if_due(struct arena *arena);

/* For calls that no tcache counts.  No lock is held. */
static inline void
arena_tick_now_and_then(struct arena *arena)
{
	/* Relaxed: a hint. */
	if (load_relaxed(&arena->has_deferred))
		arena_tick_if_due(arena);
}

/* Does what is due; nanoseconds until there may be more, UINT64_MAX: until arena_defer. */
uint64_t arena_work(struct arena *arena);
/*
 * While it is set, somebody else calls arena_work, and is told when there begins to be some, when
 * much more of it has come, and from ticks: in how many nanoseconds the next is due, UINT64_MAX:
 * none is.  Called with no lock held.
 */
typedef void arena_delegate_fn(struct arena *arena, uint64_t due_ns);
extern _Atomic(arena_delegate_fn *) arena_delegate;
/* Set it, or with NULL no more.  Release. */
void arena_set_delegate(arena_delegate_fn *delegate);

/* Walk everything; aborts through assert on a broken invariant.  Takes the locks.  The first may be
 * called at any time, the second while no other thread uses the arena. */
void arena_check_shared(struct arena *arena);
void arena_check(struct arena *arena);

/* ---- fork.c: all arenas across a fork, see api/fork.h ---- */

void arenas_fork_prepare(void);
void arenas_fork_parent(void);
void arenas_fork_child(void);
/* One thread is left, in arena `own'; NULL: in none. */
void arenas_fork_alone(struct arena *own);

/* ---- slabs and bins: bin.c ---- */

/* Is the slab that is made next one of those between guards?  Counts it. */
static inline bool
arena_guards_slab(struct arena *arena)
{
	return UNLIKELY(opt.san_guard_small != 0)
	    && (fetch_add_relaxed(&arena->n_guardable, 1) + 1) % opt.san_guard_small == 0;
}

/* A new slab, not in any list; NULL: out of memory. Counted in its bin. */
struct edata *arena_slab_new(struct arena *arena, unsigned szind, unsigned worth,
    struct tcache *owner);
/* An owned slab without live regions, out of every list of its owner, becomes one of another class
 * with slabs of the same size.  False: out of memory; nothing changed. */
bool arena_slab_recast(struct arena *arena, struct edata *e, unsigned szind);
/* Give back a slab without live regions, out of every list. */
void arena_slab_delete(struct arena *arena, struct edata *e);
/* An owned slab becomes a shared one of its bin, or goes if it has no live region. */
void arena_slab_share(struct arena *arena, struct edata *e, unsigned live);

void bin_init(struct bin *bin, unsigned szind);
/* Take up to n regions as a chain; returns how many (0: out of memory). */
unsigned bin_fill(struct arena *arena, unsigned szind, unsigned n, void **chain);
/* A thread that took regions from here goes over to slabs of its own: the current slab steps back
 * among the others, or goes if it is empty. */
void bin_leave(struct arena *arena, unsigned szind);
enum bin_freed { BIN_FREED, BIN_DOUBLE_FREE };
/* Free one region of a shared slab. */
enum bin_freed bin_free(struct arena *arena, struct edata *e, void *p);
/* Free a chain of regions of one shared slab. The first one found free already is returned; NULL:
 * all went well. */
void *bin_free_chain(struct arena *arena, struct edata *e, void *chain);
void bin_check(struct arena *arena, struct bin *bin);
/*
 * In a fork child, for a bin that was in use: start empty.  Its shared slabs are frozen: they have
 * another epoch now, and frees into them are only counted.  Slabs that a surviving tcache owns stay
 * whole; they are missing in `owned' until they are shared.
 */
void bin_freeze(struct bin *bin);

/*
 * ---- large.c: one extent per object ----
 *
 * With opt.cache_oblivious an extent is a page longer than its object, which begins at one of the
 * cache lines of the first granule, each time another one: objects that begin at a page all
 * would compete for the same few lines of a cache.  Not objects that must lie at a page.
 *
 *	| offset |           object           | pad - offset |
 */

static inline void *
large_object(const struct edata *e)
{
	return (void *)(e->addr + e->offset);
}

static inline size_t
large_usable(const struct edata *e)
{
	return e->size - e->pad;
}

/* Bytes of the extent of an object of `size' bytes.  An object at a page has no choice where to
 * begin. */
static inline size_t
large_extent_size(size_t size, size_t alignment)
{
	return UNLIKELY(opt.cache_oblivious) && alignment < os_page_size
	    ? size + os_page_size
	    : size;
}

void *large_place_padded(struct edata *e, size_t size, size_t alignment);

/* An extent of that size, the caller's, becomes an object. */
static inline void *
large_place(struct edata *e, size_t size, size_t alignment)
{
	if (UNLIKELY(e->size != size))
		return large_place_padded(e, size, alignment);
	e->pad = 0;
	e->offset = 0;
	return (void *)e->addr;
}

/*
 * Is the calling thread's next large object one of those between guards?  Counts it.  One that
 * must lie at more than a page cannot be: the next that can takes its place.
 */
bool large_count_guarded(size_t alignment);

static inline bool
large_is_guarded(size_t alignment)
{
	return UNLIKELY(opt.san_guard_large != 0) && large_count_guarded(alignment);
}

/*
 * Is a large class, small enough for slabs, served by extents of their own?  In a slab an object
 * could have no guards.
 */
static inline bool
large_is_apart(unsigned szind)
{
	return UNLIKELY(opt.san_guard_large != 0) && szind >= SC_NBINS
	    && is_aligned(size_class_size(szind), os_page_size);
}

/* `size' a page multiple of at least SC_LARGE_MIN. NULL: out of memory. */
void *large_alloc(struct arena *arena, size_t size, size_t alignment, bool zero);
/* Between guards, if that can be had: beginning at a page, and ending at one. */
void *large_alloc_guarded(struct arena *arena, size_t size, bool zero);
void large_free(struct edata *e);
/* Resize in place to a page multiple; growing may zero the tail. */
bool large_resize(struct edata *e, size_t new_size, bool zero);

static inline unsigned
large_stats_index(size_t size)
{
	return size_class_of(size) - SC_NBINS;
}

#endif
