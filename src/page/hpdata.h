/* SPDX-License-Identifier: MIT */
/*
 * hpdata -- the record of one pageslab: a huge page's worth of address space, cut into extents.
 *
 * Two bitmaps say all: a page is active (in an extent), and it is touched (active, or dirty: was
 * used since it was last purged or made huge, and so is backed).  Always true: active is a part of
 * touched.  Counts and the longest free run follow the bitmaps.
 *
 *	page     0 1 2 3 4 5 6 7 8 ..       touched - active: dirty, may be purged
 *	active   1 1 . . 1 . . . .          neither: retained, address space only
 *	touched  1 1 1 1 1 . 1 1 .
 *
 * Pure: no lock, no system call, no clock.  Guarded by the lock of the shard that owns it; while it
 * is being purged or made huge the shard drops that lock, and the flags say what others may do.
 * Atomic fields are hints, which anybody reads; n_sparse and n_unbacked anybody writes, too.
 */
#ifndef TRACT_PAGE_HPDATA_H
#define TRACT_PAGE_HPDATA_H

#include "base/atomic.h"
#include "base/bitmap.h"
#include "base/heap.h"
#include "base/list.h"
#include "os/pages.h"

/* Of huge pages larger than this no use is made. */
#define HPDATA_SIZE_MAX ((size_t)16 << 20)
/* For the smallest page; there are hpdata_pages() of them. */
#define HPDATA_PAGES_MAX \
	((OS_HUGEPAGE < HPDATA_SIZE_MAX ? OS_HUGEPAGE : HPDATA_SIZE_MAX) \
	    >> CONFIG_LG_PAGE)

struct hpdata {
	uintptr_t addr; /* Set once; a multiple of OS_HUGEPAGE. */
	uint64_t age;   /* Set when it comes into use: who has less is older. */
	uint16_t n_active, n_touched;
	uint16_t longest_free; /* pages of the longest run that is not active */
	_Atomic(bool) is_huge; /* advised so, and not taken back */
	bool splits_mapping;   /* small among huge ones */
	bool is_purging;       /* neither allocated from nor purged by others */
	bool is_hugifying;     /* allocated from, but not purged */
	bool may_hugify;       /* a candidate since hugify_since_ns */
	bool may_purge;        /* worth purging since purge_since_ns */
	bool may_decay; /* so much that time alone is a reason, since decay_since_ns */
	bool in_psset;  /* and not between brackets; the psset's, as the next three */
	bool is_empty_filed;
	uint8_t heap_filed, purge_filed; /* which of them; PSSET_NOWHERE */
	uint8_t epoch; /* Set once: that of its shard; another one: frozen by a fork */
	uint8_t n_failures;           /* of making it huge */
	_Atomic(unsigned) n_sparse;   /* pages of slabs with few live regions; */
	_Atomic(unsigned) n_unbacked; /* pages purged inside slabs, active here */
	uint16_t
	    n_small; /* active pages when it was made small, while it is a candidate's */
	uint64_t hugify_since_ns, purge_since_ns, decay_since_ns;
	/* Of the psset. */
	struct heap_node node;   /* by age, of those that have room */
	struct list empty_link;  /* of those without active pages */
	struct list purge_link;  /* of those that may be purged */
	struct list hugify_link; /* of the candidates, oldest first */
	struct list all_link;    /* the shard's list of all */
	uint64_t active[BITMAP_WORDS(HPDATA_PAGES_MAX)];
	uint64_t touched[BITMAP_WORDS(HPDATA_PAGES_MAX)];
};

/* Pages of a pageslab, the allocator's: what is known at boot. */
static inline unsigned
hpdata_pages(void)
{
	return (unsigned)(OS_HUGEPAGE / os_page_size);
}

static inline unsigned
hpdata_dirty(const struct hpdata *ps)
{
	return ps->n_touched - ps->n_active;
}

static inline bool
hpdata_is_empty(const struct hpdata *ps)
{
	return ps->n_active == 0;
}

static inline bool
hpdata_is_full(const struct hpdata *ps)
{
	return ps->n_active == hpdata_pages();
}

/* A pageslab of which nothing was ever touched. */
void hpdata_init(struct hpdata *ps, uintptr_t addr, uint64_t age);

/*
 * The first run of n pages that is free becomes active; n is at most longest_free.  Its first page.
 * *n_fresh: how many of them were not touched, and so read as zero; they are touched from now on.
 */
unsigned hpdata_reserve(struct hpdata *ps, unsigned n, unsigned *n_fresh);
/* It is made huge: all pages are backed.  How many were not touched. */
unsigned hpdata_touch_all(struct hpdata *ps);
/* n active pages from `page' on are free, and dirty. */
void hpdata_release(struct hpdata *ps, unsigned page, unsigned n);

/*
 * What a purge of ps covers: its whole free runs that hold a dirty page; of a huge one all its free
 * runs, since every page of it is backed (so ask before is_huge is cleared).  Untouched pages in a
 * run cost nothing, and what the kernel backed beyond what was touched goes, too.
 * Filled into `ranges', n_ranges of them at most, from page *next on, which is moved on; how many;
 * 0: no more.  *n_dirty grows by the dirty pages in them.
 */
struct hpdata_range {
	uint16_t page, n;
};
unsigned hpdata_purge_ranges(const struct hpdata *ps, unsigned *next,
    struct hpdata_range *ranges, unsigned n_ranges, unsigned *n_dirty);
/* A range of those was purged: nothing in it is touched. None of it became active meanwhile. */
void hpdata_purged(struct hpdata *ps, struct hpdata_range range);

/* Aborts through assert on a broken invariant. */
void hpdata_check(const struct hpdata *ps);

#endif
