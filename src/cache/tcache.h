/* SPDX-License-Identifier: MIT */
/*
 * tcache -- what a thread allocates from: the slabs it owns.
 *
 * The main invariant.  A region of an owned slab is in exactly one place:
 *
 *	in the program, or on the tcache's list of the class       (live: counted in need)
 *	on the slab's free list, on its remote chain, or untouched (free)
 *
 * list[c] holds regions of the class's current slab, taken from it whole.  malloc pops it
 * and touches nothing else.  free pushes on the slab's own free list and counts `need'
 * down; at zero tcache_slab_settle decides:
 *
 *	state     need counts                              at zero
 *	CURRENT   live regions                             all free; stays current
 *	PARTIAL   live regions                             empty: kept in `empty' or given back
 *	WATCHED   live regions above a few                 WATCHED for fewer; see cache/comb.c
 *	FULL      frees until it is worth using again      becomes PARTIAL
 *	EMPTY     0                                        -
 *
 * A region freed by another thread goes, through that thread's message cache, on the slab's remote
 * chain; whoever made the chain non-empty announces the slab in the owner's inbox.  The
 * owner drains the inbox on slow paths.  Messages in flight count as live, so their slab
 * stays.
 *
 * Only the owner thread touches a tcache, but `inbox'.  A tcache without thread lies in its arena's
 * pool, and belongs to the holder of arena->tcache_lock; see cache/pool.h.  tcaches are type-stable
 * and never unmapped.
 */
#ifndef TRACT_CACHE_TCACHE_H
#define TRACT_CACHE_TCACHE_H

#include "arena/arena.h"
#include "arena/slab_purge.h"
#include "cache/shape.h"
#include "config/size_class.h"

/* A class is cold in a thread until so many regions came from shared slabs. */
#define TCACHE_COLD (CONFIG_HOSTILE ? 1 : 15)
/* Bytes carved at a time, so that no page is touched before it is needed. */
#define TCACHE_CARVE_BYTES 4096
#define TCACHE_CARVE_COUNT (CONFIG_HOSTILE ? 2 : 64)
/* Messages: slabs remembered, and regions and bytes per slab, before they are posted. */
#define TCACHE_MESSAGES (CONFIG_HOSTILE ? 2 : 64)
#define TCACHE_MESSAGE_COUNT (CONFIG_HOSTILE ? 2 : 32)
#define TCACHE_MESSAGE_BYTES 4096
/* Classes of up to 20 KiB, of which a list of one region is lengthened: two larger ones that are
 * used in turn push each other's pages out of the processor's first cache. */
#define TCACHE_LONE_CLASSES (SC_NBINS + 2)
/* Fillings before that: a class that is used now and then needs no second region. */
#define TCACHE_LENGTHEN (CONFIG_HOSTILE ? 2 : 512)
/* A slab is worth at most so much of what is owned of its class: 1 / n, up to a power of two. */
#define TCACHE_GROWTH (CONFIG_HOSTILE ? 1 : 8)
/* Large objects kept: how many at most (see opt.tcache_nslots_large), how large each, how much in
 * all. */
#define TCACHE_LARGE_COUNT (CONFIG_HOSTILE ? 2 : 32)
#define TCACHE_LARGE_MAX ((size_t)512 << 10)
#define TCACHE_LARGE_BYTES ((size_t)1 << 20)
/* Of these, how many stay when a request finds none of its size. */
#define TCACHE_LARGE_UNASKED (CONFIG_HOSTILE ? 1 : 4)
/* Slow paths between two looks at the clock, if opt.tcache_gc_incr_bytes is the initial value, and
 * the time between two trimmings. */
#define TCACHE_TICK (CONFIG_HOSTILE ? 5 : 64)
#define TCACHE_TRIM_NS ((uint64_t)(CONFIG_HOSTILE ? 0 : 10 * 1000 * 1000))
/* A thread that owns less watches only what idles: slabs of few regions have an event at every
 * other free, and the densest are used first (bench medium, 15 MiB a thread: a third more
 * instructions). */
#define TCACHE_WATCH_MIN (CONFIG_HOSTILE ? 1 : (size_t)32 << 20)
/* Sparse slabs of a thread that are never many. */
#define TCACHE_COMB_MIN (CONFIG_HOSTILE ? (size_t)64 << 10 : (size_t)16 << 20)
/*
 * Empty slabs kept: as much as the most that was owned lately, within these bounds.  The upper one
 * is for all threads of an arena together: a slab that goes back and comes for another class has
 * other lines in the processor's caches, so a lone thread keeps what a ramp of some megabytes
 * uses; many threads must not each.
 */
#define TCACHE_EMPTY_MIN (CONFIG_HOSTILE ? 0 : (size_t)128 << 10)
#define TCACHE_EMPTY_MAX ((size_t)4 << 20)

struct tcache_class {
	struct list partial; /* oldest first */
	struct list full;    /* combed ones first; see comb.c */
	/* Whoever holds them, see kept.h. */
	struct edata *empty; /* slabs without live regions, through link.next */
	/* In the least of the classes with slabs of this size: how many such slabs they have
	 * together, and the fewest since the last trimming. */
	uint16_t n_empty, n_empty_low;
	uint32_t owned_kib; /* of its slabs, but the empty ones; owner only */
	/* Owner writes, all read. */
	_Atomic(uint64_t) n_taken;   /* regions of own slabs that ever went to the list */
	_Atomic(uint64_t) n_fills;   /* times that some went there */
	_Atomic(uint64_t) n_flushes; /* batches of the class posted to other threads */
	uint32_t taken_at_trim;      /* n_taken, cut, when trimming last looked */
	bool lengthens;              /* it was filled TCACHE_LENGTHEN times */
	uint8_t
	    n_cold; /* regions from shared slabs, at most TCACHE_COLD; or warm: one more */
};

struct tcache_message {
	struct edata *slab; /* NULL: unused */
	void *head, *tail;
	unsigned count; /* regions it will hold */
	unsigned left;  /* of them still to come */
};

/* What a thread needs that purges pages of its slabs; see cache/comb.c. */
struct tcache_comb {
	bool is_wary;       /* combs by time alone */
	uint64_t looked_ns; /* when it last looked for what idles */
	uint64_t sparse_ns; /* since when slabs wait for being combed; 0: not yet known */
	size_t combed_pages;               /* purged lately, */
	size_t recalled_pages;             /* and of those used again */
	uint32_t taken_at_look[SC_NOWNED]; /* n_taken, cut, when it looked */
	unsigned first;                    /* the class that combing begins with */
	struct list sparse[SC_NOWNED];     /* slabs that wait, oldest first */
};

struct tcache {
	/* ---- hit path; owner thread only ---- */
	void *list[SC_NOWNED];
	uint8_t
	    lookup[SC_LOOKUP_COUNT]; /* a copy of size_class_lookup, one load nearer */
	/* The slab that regions come from.  It lies here, not among the classes: where a list is
	 * empty and its free list is not, little else is touched. */
	struct edata *current[SC_NOWNED];
	/* ---- slow paths; owner thread only ---- */
	struct arena *arena; /* new slabs come from it; older ones may be of others */
	unsigned n_slow;     /* slow paths since the last tick */
	unsigned n_large;
	size_t owned_bytes;  /* of owned slabs, but the empty ones that are kept */
	size_t empty_limit;  /* bytes of these that may be kept; trimming lowers it */
	size_t shrunk_bytes; /* given back instead, since a slab was needed last */
	/* ---- whoever holds what is kept, see kept.h; relaxed readers of the first three ---- */
	_Atomic(uint8_t) kept_holder;
	_Atomic(size_t) empty_bytes;
	_Atomic(uint64_t) with_empty; /* a bit for each class that has one */
	uint32_t n_kept_changes;      /* slabs put and taken */
	uint32_t kept_changes_seen;   /* when somebody looked last */
	/* ---- slow paths; owner thread only ---- */
	size_t sparse_bytes; /* of slabs not combed since they became sparse, */
	size_t comb_at;      /* and with more, combing begins */
	uint64_t trimmed_ns;
	const struct tcache_shape *shape; /* NULL: the usual one */
	_Atomic(size_t) large_bytes;      /* of `large'; anybody reads */
	/* ---- guarded by arena->tcache_lock ---- */
	struct list arena_link; /* in arena->tcaches */
	struct list pool_link;  /* in arena->pooled or ->bare while no thread has it */
	uint64_t pooled_ns;
	/* ---- owner thread only ---- */
	struct tcache_class classes[SC_NOWNED];
	/* ---- any thread ---- */
	_Atomic(struct edata *) inbox ALIGNED(CACHE_LINE); /* through announced_next */
	/* ---- owner thread only; not touched by a thread that only allocates a little ---- */
	struct edata *large[TCACHE_LARGE_COUNT] ALIGNED(CACHE_LINE); /* oldest first */
	unsigned n_ticks;
	struct tcache_comb *comb; /* NULL: no slab was ever sparse */
	struct tcache_message messages[TCACHE_MESSAGES];
};

/* All lists empty, lookup all zero: what a thread without tcache allocates from. */
extern struct tcache tcache_none;

/* ---- tcache.c ---- */

void tcache_init(struct tcache *tc, struct arena *arena);
/* Bytes of empty slabs that what is owned now entitles to. */
size_t tcache_empty_share(const struct tcache *tc);
/* A region of the class when its list is empty; NULL: out of memory. szind < SC_NOWNED. */
void *tcache_refill(struct tcache *tc, unsigned szind);
/* `need' of an own slab has reached zero. */
void tcache_slab_settle(struct tcache *tc, struct edata *e);
/* The same for free's hit path, where combing may follow. */
void tcache_slab_event(struct tcache *tc, struct edata *e);
/* Put listed regions of a class back where they came from. */
void tcache_unlist(struct tcache *tc, unsigned szind);
void tcache_check(struct tcache *tc);

/* A class's list was of one region, p, and is empty: untouched ones go there.  Returns p. */
void *tcache_lengthen(struct tcache *tc, size_t szind, struct edata *e, void *p);

/* A slab comes into service, or leaves it. */
static inline void
tcache_gains(struct tcache *tc, const struct edata *e)
{
	tc->owned_bytes += e->size;
	tc->classes[e->szind].owned_kib += (uint32_t)(e->size >> 10);
}

static inline void
tcache_loses(struct tcache *tc, const struct edata *e)
{
	tc->owned_bytes -= e->size;
	tc->classes[e->szind].owned_kib -= (uint32_t)(e->size >> 10);
}

static inline void
tcache_count_taken(struct tcache_class *k, unsigned n)
{
	owner_add(&k->n_taken, (uint64_t)n);
	owner_add(&k->n_fills, (uint64_t)1);
}

/* The free list of the current slab, whole, becomes the class's list; its first region. */
static inline void *
tcache_take_free(struct tcache *tc, size_t szind, struct edata *e)
{
	void *p = e->free;
	const unsigned n = e->carved - e->need;

	assert(tc->list[szind] == NULL && e->slab_state == SLAB_CURRENT);
	tcache_count_taken(&tc->classes[szind], n);
	e->need = e->carved;
	e->free = NULL;
	tc->list[szind] = *(void **)p;
	if (UNLIKELY(n == 1) && szind < TCACHE_LONE_CLASSES && e->carved != e->nregs)
		return tcache_lengthen(tc, szind, e, p);
	return p;
}

/* Push a region on an own slab's free list, as free's hit path does. */
static inline void
tcache_free_own(struct tcache *tc, struct edata *e, void *p)
{
	*(void **)p = e->free;
	e->free = p;
	if (UNLIKELY(--e->need == 0))
		tcache_slab_settle(tc, e);
}

/* ---- remote.c ---- */

/* Regions of an owned slab that other threads have freed, and its owner has not seen yet. */
unsigned tcache_posted(const struct edata *e);
/* Free a region of a slab that another tcache owns. tc may be NULL: post it at once. */
void tcache_free_remote(struct tcache *tc, struct edata *e, void *p);
/* Where a message to this record is, if there is one. */
static inline struct tcache_message *
tcache_message_of(struct tcache *tc, const struct edata *e)
{
	return &tc->messages[(uintptr_t)e / EDATA_ALIGNMENT % TCACHE_MESSAGES];
}

/* The last region has been linked: post it. */
void tcache_message_full(struct tcache *tc, struct tcache_message *m);
/* Post all messages. */
void tcache_post_all(struct tcache *tc);
/* Take in what others freed. True: there was something. */
bool tcache_drain(struct tcache *tc);

static inline bool
tcache_has_mail(struct tcache *tc)
{
	/* Relaxed: a hint; the drain acquires. */
	return load_relaxed(&tc->inbox) != NULL;
}

/* ---- comb.c: purging pages of slabs in use ---- */

/* Does the thread own so much that its partly used slabs are watched? */
static inline bool
tcache_watches(const struct tcache *tc)
{
	return UNLIKELY(tc->owned_bytes >= TCACHE_WATCH_MIN)
	    && slab_purge_is_on(tc->arena);
}

/* Watch a slab in the list of partly used ones. */
void tcache_watch(struct edata *e);
/* `need' of a watched one has reached zero: few of its regions are live. */
void tcache_becomes_sparse(struct tcache *tc, struct edata *e);
/* Purge what sparse slabs of so many bytes in all have to give. */
void tcache_comb(struct tcache *tc, size_t bytes);
/* A part of that: because they are many; because memory is to grow; if they are old. */
void tcache_comb_by_amount(struct tcache *tc);
void tcache_comb_for_growth(struct tcache *tc, size_t bytes);
void tcache_comb_by_time(struct tcache *tc, uint64_t now);
/* Flush, and purge all free pages of sparse slabs. */
void tcache_comb_everything(struct tcache *tc);
/* As for regions never used: those of the current slab's lowest purged pages. */
void *tcache_carve_purged(struct tcache *tc, unsigned szind, struct edata *e);

/* The slabs of a class that wait to be combed; NULL: none of any. */
static inline struct list *
tcache_sparse(struct tcache *tc, unsigned szind)
{
	return LIKELY(tc->sparse_bytes == 0) ? NULL : &tc->comb->sparse[szind];
}

/* A slab with free regions leaves its list: need is what is live, from now on. */
static inline void
tcache_leaves_partial(struct tcache *tc, struct edata *e)
{
	if (LIKELY(e->slab_state == SLAB_PARTIAL))
		return;
	e->need = slab_live(e);
	if (UNLIKELY(e->slab_state >= SLAB_UNCOMBED)) {
		tc->sparse_bytes -= e->size;
		slab_count_not_sparse(e);
	}
}

/* ---- large_cache.c ---- */

/* A kept extent of exactly `size' bytes, active again; NULL: none. */
struct edata *tcache_large_search(struct tcache *tc, size_t size);

/* The newest first, without a call. */
static inline struct edata *
tcache_large_take(struct tcache *tc, size_t size)
{
	const unsigned n = tc->n_large;
	struct edata *e;

	if (n == 0 || (e = tc->large[n - 1])->size != size)
		return tcache_large_search(tc, size);
	tc->n_large = n - 1;
	owner_sub(&tc->large_bytes, size);
	e->cached = false;
	return e;
}

/* Keep a freed extent if it fits; false: the caller frees it. */
bool tcache_large_keep(struct tcache *tc, struct edata *e);
void tcache_large_flush(struct tcache *tc);

/* ---- trim.c ---- */

/* Called on slow paths of every thread that has a tcache; NULL: nobody wants that.  From
 * layers above. */
extern void (*_Atomic tcache_on_slow)(void);

/* Called at every tick of a tcache by its owner, who may move it; NULL: nobody wants that.  From
 * layers above. */
extern void (*_Atomic tcache_on_tick)(struct tcache *tc);

/* Does anybody?  A hint. */
static inline bool
tcache_is_noticed(void)
{
	return UNLIKELY(load_relaxed(&tcache_on_slow) != NULL);
}

static inline void
tcache_notice(void)
{
	/* Relaxed: a hint. */
	void (*const on_slow)(void) = load_relaxed(&tcache_on_slow);

	if (UNLIKELY(on_slow != NULL))
		on_slow();
}

/* Every slow path: now and then, post messages, give back what is idle, let the arena decay. */
void tcache_tick_now(struct tcache *tc);

extern unsigned tcache_period; /* Slow paths between two ticks.  Set once at boot. */

static inline void
tcache_tick(struct tcache *tc)
{
	if (UNLIKELY(++tc->n_slow >= tcache_period))
		tcache_tick_now(tc);
}

/* Is it more than what may lie idle? */
static inline bool
tcache_is_worth_trimming(size_t bytes)
{
	return bytes > opt.tcache_gc_delay_bytes;
}

/* Was nothing taken from the class since the last trimming? */
static inline bool
tcache_class_is_idle(const struct tcache_class *k)
{
	/* Relaxed: its own counter. */
	return (uint32_t)load_relaxed(&k->n_taken) == k->taken_at_trim;
}

/* From the options. */
void tcache_trim_boot(void);

/* Give back all that is free: lists, messages, empty slabs, large objects. */
void tcache_flush(struct tcache *tc);

#endif
