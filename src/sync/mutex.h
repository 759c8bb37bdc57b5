/* SPDX-License-Identifier: MIT */
/*
 * mutex -- a lock of one byte over a parking lot, with contention counters beside it.
 *
 * The byte has two bits: LOCKED, and PARKED (somebody sleeps in the parking lot for it).  Taking a
 * free lock is one compare-and-swap, releasing one without sleepers another; a contended acquirer
 * spins a bounded number of times, then parks on the byte's address.  Unfair, with a hand-off to
 * bound starvation not promised.
 *
 * Counters are written by the holder only (relaxed, read by anybody), except n_waiting_max.
 *
 * mutex_unlock by a thread that took the lock before a fork which re-initialised it in the child
 * does nothing harmful: releasing an unlocked lock is ignored.
 *
 * Around a fork, see sync/fork.h: the forking thread may use the locks it holds for the fork.
 *
 * Debug builds keep the ranks held by each thread and assert the order of lock_ranks.def.
 */
#ifndef TRACT_SYNC_MUTEX_H
#define TRACT_SYNC_MUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
#define LOCK_RANK(enumerator) RANK_##enumerator,
#include "sync/lock_ranks.def"
#undef LOCK_RANK
	RANK_COUNT
};

struct mutex_stats {
	_Atomic(uint64_t) n_ops;           /* acquisitions */
	_Atomic(uint64_t) n_wait;          /* acquisitions that slept */
	_Atomic(uint64_t) n_spin_acquired; /* acquisitions that spun, but did not sleep */
	_Atomic(uint64_t)
	    n_owner_switch; /* acquisitions by another thread than the last */
	_Atomic(uint64_t) total_wait_ns;
	_Atomic(uint64_t) max_wait_ns;
	_Atomic(uint32_t) max_waiting;
	_Atomic(uint32_t) waiting;
	_Atomic(uint32_t) last_owner;
};

struct mutex {
	_Atomic(uint8_t) word;
	uint8_t rank; /* Set once. */
	_Atomic(uint8_t)
	    fork_state; /* enum fork_state. Written by the holder, and who steals it. */
	struct mutex_stats stats;
};

#define MUTEX_INITIALIZER(r) \
	{ \
		.rank = RANK_##r \
	}

/* Spins before sleeping; -1 for ever. Set at boot from opt.mutex_max_spin. */
extern _Atomic(int64_t) mutex_max_spin;

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
/* Try for about `limit_ns'; for the handler before a fork, which must never wait without bound. */
bool mutex_trylock_for(struct mutex *m, uint64_t limit_ns);
void mutex_unlock(struct mutex *m);
/* m, which the caller holds, is held for its fork from now on; see sync/fork.h. */
void mutex_hold_for_fork(struct mutex *m);
/* Is m locked, and the caller the last that took it?  A guess in another thread's moment
 * of taking. */
bool mutex_was_taken_by_caller(const struct mutex *m);
/* In a fork child: forget holders and sleepers. Keeps the counters. */
void mutex_reset_in_child(struct mutex *m);
/* Debug builds: does the calling thread hold it?  Release builds: true. */
bool mutex_is_held(const struct mutex *m);
/* Debug builds: the calling thread holds no lock at all, but those of background workers, which
 * nobody needs in order to allocate.  Release builds: true. */
bool mutex_none_held(void);
/* In a fork child: empty the parking lot. */
void sync_reset_in_child(void);

#endif
