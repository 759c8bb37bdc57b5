/* SPDX-License-Identifier: MIT */
/*
 * hpa_central -- where the shards of all arenas get address space for pageslabs.
 *
 * It maps an eden at a time, and hands out one huge page after the other.  Edens grow with what was
 * mapped before: address space may be limited, and what is mapped may be locked.  Near a limit they
 * are half as large, down to one huge page; after that was refused nothing is tried for a while.
 * What it handed out is its taker's, for good, or until its arena goes: then a few are kept for the
 * next arena, and the others unmapped.  All of an eden has its place in the rtree, so that
 * registering an extent there cannot fail, and the advice that pageslabs begin with.
 *
 * Also the kernel and the clock as the HPA sees them, one table, so that tests put their own in
 * their place; every call answers true for success, leaves errno alone, and is made with no lock
 * held.
 *
 * Locking: `lock' (rank HPA_CENTRAL) guards the rest of the eden; mapped with it free.
 */
#ifndef TRACT_PAGE_HPA_CENTRAL_H
#define TRACT_PAGE_HPA_CENTRAL_H

#include "os/pages.h"
#include "sync/mutex.h"

/* Pageslabs of the first eden, and at most. */
#define HPA_EDEN_FIRST (CONFIG_HOSTILE ? 2 : 8)
#define HPA_EDEN_PAGESLABS (CONFIG_HOSTILE ? 2 : 128)
#define HPA_KEPT 32
/* Small pageslabs among huge ones: each splits a mapping in three, of 65530 that a process may have
 * by the kernel's default.  With so many, no more are made small. */
#define HPA_SMALL_MAX 8192
#define HPA_SMALL_RUN 64u

struct hpa_system {
	/* Zeroed address space, aligned to OS_HUGEPAGE; NULL: none. */
	void *(*map)(size_t size);
	bool (*unmap)(void *addr, size_t size);
	/* How many of the ranges, from the first on, read as zero now. */
	unsigned (*purge)(const struct iovec *ranges, unsigned n);
	bool (*hugify)(void *addr, size_t size);   /* advice */
	bool (*collapse)(void *addr, size_t size); /* at once */
	bool (*dehugify)(void *addr, size_t size);
	/* Writes to a fresh huge page.  Nanoseconds of the thread's own time. */
	uint64_t (*back)(void *addr);
	uint64_t (*now_ns)(void);
};

extern const struct hpa_system hpa_system_real;

/* What a fresh pageslab is to the kernel: as its setting says, huge, or small in any case. */
enum hpa_advice { HPA_PLAIN, HPA_HUGE, HPA_SMALL };

struct hpa_central {
	struct mutex lock;
	const struct hpa_system *system; /* Set once. */
	_Atomic(enum hpa_advice) advice; /* relaxed; set before the first pageslab */
	/* Guarded by lock: what is left of the newest eden, */
	uintptr_t next, end;
	uintptr_t kept[HPA_KEPT]; /* and pageslabs given back, which read as zero */
	unsigned n_kept;
	/* Pageslabs still to begin small, and how many after the next slow one.  Relaxed, hints. */
	_Atomic(unsigned) n_begin_small, small_run;
	size_t small_max; /* Set once. */
	_Atomic(size_t)
	    n_small; /* pageslabs of all shards that split a mapping; relaxed */
	_Atomic(size_t) mapped; /* bytes it mapped and did not unmap; relaxed */
	_Atomic(uint64_t)
	    map_due_ns; /* refused: not before this again; relaxed, a hint */
};

/* That of the process. */
extern struct hpa_central hpa_central;

void hpa_central_init(struct hpa_central *central, const struct hpa_system *system);
/* The address of a huge page nobody has used; 0: the eden is used up.  Never calls the system. */
uintptr_t hpa_central_take(struct hpa_central *central);
/* With no lock held: one that its taker needs no more, and that is small. */
void hpa_central_give(struct hpa_central *central, uintptr_t addr);
/* With no lock held: one that cannot be made small. */
void hpa_central_drop(struct hpa_central *central, uintptr_t addr);
/* With no lock held: another eden, unless there is room already. False: no memory. */
bool hpa_central_refill(struct hpa_central *central);

/*
 * A fresh pageslab was backed huge in so much time.  Where that takes longer than a byte a
 * nanosecond, the host of a virtual machine has to find memory first, while small pages are mostly
 * at hand: one begins small after the first such, twice as many after each, up to HPA_SMALL_RUN.
 */
void hpa_central_backed(struct hpa_central *central, uint64_t ns);
/* Shall the next one begin small?  Counts it. */
bool hpa_central_begins_small(struct hpa_central *central);

void hpa_central_fork_prepare(struct hpa_central *central);
void hpa_central_fork_parent(struct hpa_central *central);
/* An eden that was in use is lost to the child. */
void hpa_central_fork_child(struct hpa_central *central);

#endif
