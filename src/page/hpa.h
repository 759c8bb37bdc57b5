/* SPDX-License-Identifier: MIT */
/*
 * hpa -- the huge page allocator of an arena: extents packed so that huge pages fill up or run
 * empty.
 *
 * A shard owns pageslabs, from hpa_central, for its whole life.  Small extents, and slabs of up to
 * a huge page, are cut from the fullest pageslab that has room (page/psset.h).  A free extent is
 * nothing but clear bits: it has no record, no word in the rtree, and no neighbours to merge with.
 * Extents never grow nor shrink in place.
 *
 * A pageslab begins as small pages.  When hpa_hugification_threshold bytes of it are active it is a
 * candidate, and when it is one still after hpa_hugify_delay_ms it is made huge; so one that is
 * about to be emptied never is.  From then on all of it is backed, and counts as touched.
 * Where the kernel makes all memory huge, or the style is eager, pageslabs begin so.  In the lazy
 * one they are asked to, too, unless hpa_start_huge_from is 0: who asks has much active, and one
 * more that is not filled yet is little.
 *
 * Purged are dirty pages
 *   - by amount: when there are more than hpa_dirty_mult times active ones, or so many that a
 *     candidate cannot be made huge.  Empty pageslabs first, then the dirtiest, in rounds
 *     hpa_min_purge_interval_ms apart, until there are few enough.  Where a good part of what a
 *     round purged is needed anew within a second, the next one waits for longer and longer;
 *   - by time: of pageslabs that have been worth it for dirty_decay_ms while nothing was taken from
 *     them, but of huge ones only when more than a tenth of them is not active;
 *   - at once when they are freed, where dirty_decay_ms is 0.  Never where it is -1.
 * A pageslab that is huge is made small before (in the lazy style), for what is purged would come
 * back.
 *
 * What it does not serve (too large, aligned, guarded) is the PAC's: hpa_serves says so.  Off for
 * arenas with hooks of the user, without retain, and where the kernel does not overcommit.
 *
 * Locks: `grow_lock' (rank HPA_GROW): one thread at a time adds a pageslab, so that those who wait
 * share it.  `lock' (rank HPA) guards all pageslabs.  System calls are made with neither held, on
 * pageslabs whose flags keep others away.
 */
#ifndef TRACT_PAGE_HPA_H
#define TRACT_PAGE_HPA_H

#include "extent/edata_pool.h"
#include "page/hpa_central.h"
#include "page/pai.h"
#include "page/psset.h"

/* Options, as a shard has them: those of the process at boot, a test's own in tests. */
struct hpa_options {
	size_t slab_max_alloc;         /* bytes of the largest extent that is no slab */
	size_t hugification_threshold; /* active bytes of a candidate */
	size_t purge_threshold;        /* dirty bytes that make purging worth it */
	uint64_t hugify_delay_ns, min_purge_interval_ns, min_purge_delay_ns;
	int64_t dirty_mult;          /* of RATIO_ONE; -1: never purge */
	int64_t max_purge_pageslabs; /* of a round; -1: all */
	/* No AUTO: hpa_options_of_process has decided. */
	enum { HPA_STYLE_NONE, HPA_STYLE_EAGER, HPA_STYLE_LAZY } style;
	bool hugify_sync;
	bool grows_huge; /* fresh pageslabs are asked to be huge, in the lazy style */
	bool start_huge; /* the kernel makes fresh pageslabs huge */
	bool enforce_hugify;
};

#define HPA_BATCH_MAX 8 /* extents of an alloc_batch; and the last index of the figures */
/* How often one pageslab is tried to be made huge, before it has been purged. */
#define HPA_HUGIFY_TRIES 3

struct hpa_stats { /* Guarded by the shard's lock. */
	uint64_t n_purge_passes, n_purges, n_hugifies, n_hugify_failures, n_dehugifies;
	struct {
		uint64_t min_extents, max_extents, extents, ps;
		uint64_t pages_per_ps, extents_per_ps, total_elapsed_ns_per_ps;
	} alloc[HPA_BATCH_MAX + 1];
};

struct hpa {
	struct pai pai; /* first */
	unsigned arena_index;
	struct hpa_options options;  /* Set once. */
	struct hpa_central *central; /* Set once. */
	struct edata_pool *edata_pool;
	struct base *base; /* records of pageslabs come from it */
	struct mutex grow_lock;
	struct mutex lock;
	/* Guarded by lock. */
	struct psset set;
	struct list all; /* every pageslab, by all_link; none leaves it */
	uint64_t next_age;
	uint8_t epoch;    /* Grows when a fork froze the pageslabs. */
	bool is_working;  /* a thread does what is due */
	size_t n_purging; /* dirty pages that are being purged */
	/* By amount: when the next round may begin; 0 pageslabs: none is under way. */
	uint64_t round_due_ns;
	size_t n_round; /* pageslabs purged in this round, and one */
	/* Since when is it counted what rounds purged, and what was touched anew; 0 pages purged:
	 * nothing is.  And how long from then on the next round waits because that was wrong. */
	uint64_t forgone_ns;
	size_t n_forgone, n_fresh;
	uint64_t patience_ns;
	/* By time: not before this is any pageslab due; the next one to look at, or NULL. */
	uint64_t decay_due_ns;
	struct list *walk;
	uint64_t walk_due_ns; /* of what the walk has left */
	uint64_t
	    small_due_ns; /* the kernel refused to make one small: not before this again */
	struct hpa_stats stats;
	/* Relaxed, written under lock, for who reads without it. */
	_Atomic(ssize_t) decay_ms;
	_Atomic(uint64_t) due_ns; /* when there will be work; DEFERRED_NEVER */
	_Atomic(size_t) active_pages, dirty_pages, n_pageslabs;
	_Atomic(uint64_t) n_purged_pages;
};

/* The options of the process. */
void hpa_options_of_process(struct hpa_options *options);
/* What hpa_central is to advise for shards with such options. */
enum hpa_advice hpa_advice(const struct hpa_options *options);

/* hpa is zeroed memory. */
void hpa_init(struct hpa *hpa, unsigned arena_index, struct base *base,
    struct edata_pool *edata_pool, struct hpa_central *central,
    const struct hpa_options *options, ssize_t decay_ms);
bool hpa_serves(const struct hpa *hpa, const struct page_request *request);
/* Purges at once what the new value says. */
void hpa_set_decay_ms(struct hpa *hpa, ssize_t ms);
/* The arena is going, and has no extents: all goes back to central. */
void hpa_destroy(struct hpa *hpa);

/* Pages of all pageslabs at one moment. */
struct hpa_pages {
	size_t active, dirty, retained;
};
struct hpa_pages hpa_count_pages(struct hpa *hpa);

static inline size_t
hpa_touched_pages(struct hpa *hpa)
{
	return load_relaxed(&hpa->active_pages) + load_relaxed(&hpa->dirty_pages);
}

static inline size_t
hpa_dirty_pages(struct hpa *hpa)
{
	return load_relaxed(&hpa->dirty_pages);
}

/* ---- hpa_work.c ---- */

/* What pai.work and pai.time_until_deferred_work are. */
void hpa_work(struct pai *self, enum purge_extent how);
uint64_t hpa_time_until_deferred_work(struct pai *self);
/* After any change of ps, between brackets of the set: is it a candidate now, worth purging? */
void hpa_judge_locked(struct hpa *hpa, struct hpdata *ps, uint64_t now_ns);
/* So many pages were touched anew. */
void hpa_note_fresh_locked(struct hpa *hpa, size_t n_pages, uint64_t now_ns);
/* After any change at all: figures for others, and when there is work. */
void hpa_publish_locked(struct hpa *hpa, uint64_t now_ns);

/* Pageslabs that one thread purges. */
#define HPA_PURGE_SLABS 16
struct hpa_purge {
	unsigned n;
	struct hpdata *slabs[HPA_PURGE_SLABS];
	unsigned n_dirty[HPA_PURGE_SLABS];
	const struct hpa_purge *outer; /* of the same thread, interrupted by a signal */
};
/* Is ps small among huge ones from now on?  Counted.  With the lock held, or nobody else there. */
void hpa_splits_mapping(struct hpa *hpa, struct hpdata *ps, bool splits);
/* May single pages of an extent in ps be purged?  Not of a huge page, unless half of it is free or
 * in sparse slabs; then it is made small, and what is dirty in it is purged. */
bool hpa_lets_purge_inside(struct hpa *hpa, struct hpdata *ps);
/* Adds ps, if it may be purged now and there is room. */
bool hpa_purge_add_locked(struct hpa *hpa, struct hpa_purge *purge, struct hpdata *ps);
/* Purges them; the lock is let go of meanwhile.  How many pages; purge is empty then. */
size_t hpa_purge_locked(struct hpa *hpa, struct hpa_purge *purge);

/* In a fork child: nobody works but, if a signal handler has forked in the middle of that, the
 * calling thread. */
void hpa_fork_work(struct hpa *hpa);

/* Walk everything; aborts through assert on a broken invariant.  Takes the lock. */
void hpa_check(struct hpa *hpa);

/* Across a fork: the ranks HPA_GROW and HPA one after the other.  A shard that was in use keeps its
 * pageslabs as they are in the child, allocates from none of them, and ignores frees into them. */
void hpa_fork_prepare(struct hpa *hpa, enum lock_rank rank);
void hpa_fork_parent(struct hpa *hpa);
void hpa_fork_child(struct hpa *hpa);

#endif
