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
 * about to be emptied never is.  Purged are pages of pageslabs when there are more dirty than
 * hpa_dirty_mult times active ones: empty pageslabs first, then the dirtiest; in rounds
 * hpa_min_purge_interval_ms apart, a batch of pageslabs each time the lock is dropped.  One that is
 * huge and not empty is made small first, for what is purged would come back.
 *
 * What it does not serve (too large, aligned, guarded, zeroed where it cannot tell cheaply) is the
 * PAC's: hpa_serves says so.  Off for arenas with hooks of the user, without retain, and where the
 * kernel does not overcommit.
 *
 * Locks: `grow_lock' (rank HPA_GROW): one thread at a time gets a new pageslab, the others wait for
 * it and share it.  `lock' (rank HPA) guards all pageslabs.  System calls are made with neither
 * held, on pageslabs whose flags keep others away.
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
	enum { HPA_STYLE_AUTO, HPA_STYLE_NONE, HPA_STYLE_EAGER, HPA_STYLE_LAZY } style;
	bool hugify_sync, start_huge, enforce_hugify;
};

#define HPA_BATCH_MAX 8 /* extents of an alloc_batch; and the last index of the figures */

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
	struct list all;   /* every pageslab, by all_link */
	struct list spare; /* records without a pageslab */
	uint64_t next_age;
	uint64_t purged_ns; /* when the last round of purging began */
	size_t n_purging;   /* dirty pages that are being purged */
	bool is_working;    /* a thread does deferred work */
	struct hpa_stats stats;
	/* Relaxed, written under lock, for who reads without it. */
	_Atomic(size_t) active_pages, dirty_pages, n_pageslabs;
};

/* Can there be an HPA here, by the system and the options?  If not, why, for the user. */
const char *hpa_obstacle(void);
/* The options of the process. */
void hpa_options_of_process(struct hpa_options *options);

void hpa_init(struct hpa *hpa, unsigned arena_index, struct base *base,
    struct edata_pool *edata_pool, struct hpa_central *central,
    const struct hpa_options *options);
bool hpa_serves(const struct hpa *hpa, const struct page_request *request);
/* The arena is going, and has no extents: unmap all. */
void hpa_destroy(struct hpa *hpa);

/* hpa_work.c: what pai.work and pai.time_until_deferred_work are. */
void hpa_work(struct pai *self, enum purge_extent how);
uint64_t hpa_time_until_deferred_work(struct pai *self);
/* After any change of ps, between brackets of the set: is it a candidate now, worth purging? */
void hpa_judge_locked(struct hpa *hpa, struct hpdata *ps, uint64_t now_ns);

/* Walk everything; aborts through assert on a broken invariant.  Takes the lock. */
void hpa_check(struct hpa *hpa);

/* Across a fork: the ranks HPA_GROW and HPA one after the other.  A shard that was in use keeps its
 * pageslabs as they are in the child, and allocates from none of them. */
void hpa_fork_prepare(struct hpa *hpa, enum lock_rank rank);
void hpa_fork_parent(struct hpa *hpa);
void hpa_fork_child(struct hpa *hpa);

#endif
