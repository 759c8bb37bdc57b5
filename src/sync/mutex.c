/* SPDX-License-Identifier: MIT */
/*
 * The byte:
 *
 *	0                free
 *	LOCKED           held, nobody sleeps
 *	LOCKED | PARKED  held, the parking lot may have sleepers: unlock has to look
 *	PARKED           free, with sleepers left behind; the next unlock wakes one more
 *
 * PARKED is set by those about to sleep, by compare-and-swap and only together with LOCKED; it is
 * cleared only by the holder, in the parking lot.  A woken thread competes with newcomers: if it
 * loses it sets PARKED again before it sleeps, so none is forgotten.
 */
#include "sync/mutex.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/attr.h"
#include "os/os.h"
#include "os/thread.h"
#include "sync/fork.h"
#include "sync/parking.h"
#include "sync/rank.h"

#define LOCKED ((uint8_t)1)
#define PARKED ((uint8_t)2)

/* Spinning goes in rounds of 1, 2, ... up to this many pauses, so that spinners stay off
 * the bus. */
#define MAX_PAUSES 16

_Atomic(int64_t) mutex_max_spin = CONFIG_HOSTILE ? 2 : 600;

void
mutex_init(struct mutex *m, enum lock_rank rank)
{
	*m = (struct mutex){ .rank = (uint8_t)rank };
}

/* Thread pointers are 16-aligned at least; 36 bits tell threads apart well enough for a counter. */
static uint32_t
caller_id(void)
{
	return (uint32_t)(os_thread_pointer() >> 4);
}

/* With m just locked by the caller. */
static void
record_acquisition(struct mutex *m)
{
	uint32_t self = caller_id();
	owner_add(&m->stats.n_ops, 1);
	/* Relaxed: counters, written under the lock. */
	if (load_relaxed(&m->stats.last_owner) != self) {
		store_relaxed(&m->stats.last_owner, self);
		owner_add(&m->stats.n_owner_switch, 1);
	}
	rank_acquired(m);
}

/* Does the caller hold m already, for the fork that it is making?  Then m is its own to use. */
static bool
take_from_fork(struct mutex *m)
{
	uint8_t state = FORK_HELD;

	/* Relaxed: what another thread wrote there is of no interest. */
	return UNLIKELY(load_relaxed(&m->fork_state) == FORK_HELD) && fork_is_mine()
	    && cas_strong_acquire(&m->fork_state, &state, FORK_IN_USE);
}

/* Take m if it is free; PARKED stays as it is. */
static bool
try_acquire(struct mutex *m)
{
	uint8_t word = load_relaxed(&m->word); /* a guess, confirmed by the CAS */
	while ((word & LOCKED) == 0)
		if (cas_weak_acquire(&m->word, &word,
			word | LOCKED)) /* pairs with unlock */
			return true;
	return take_from_fork(m);
}

static bool
spin(struct mutex *m)
{
	/* Relaxed: the thread that boots may be setting it. */
	const int64_t most = load_relaxed(&mutex_max_spin);
	unsigned pauses = 1;

	for (int64_t i = 0; most < 0 || i < most; i += pauses) {
		for (unsigned k = 0; k < pauses; k++)
			os_cpu_relax();
		if (try_acquire(m))
			return true;
		if (pauses < MAX_PAUSES)
			pauses *= 2;
		else if (UNLIKELY(load_relaxed(&m->fork_state) == FORK_HELD))
			break; /* not a matter of microseconds */
		else if (most < 0)
			os_yield();
	}
	return false;
}

/* Sleep until m could be taken.  Returns whether it slept at all. */
static bool
park(struct mutex *m)
{
	bool has_slept = false;
	for (;;) {
		if (try_acquire(m))
			return has_slept;
		uint8_t word = LOCKED;
		/* Seq: pairs with mutex_hold_for_fork, which sees PARKED, or we see HELD. */
		if (!cas_strong_seq(&m->word, &word, LOCKED | PARKED)
		    && word != (LOCKED | PARKED))
			continue;
		if (UNLIKELY(load_seq(&m->fork_state) == FORK_HELD)) {
			if (mutex_wait_for_fork(m))
				return true;
			continue;
		}
		has_slept |= parking_wait(&m->word, LOCKED | PARKED);
	}
}

/* One more waiter.  Relaxed: a counter; max_waiting may miss a short peak. */
static void
record_waiter(struct mutex *m)
{
	uint32_t waiting = fetch_add_relaxed(&m->stats.waiting, 1) + 1;
	uint32_t max = load_relaxed(&m->stats.max_waiting);
	while (waiting > max && !cas_strong_relaxed(&m->stats.max_waiting, &max, waiting))
		;
}

/* With m just locked by the caller, after sleeping since `start'. */
static void
record_wait(struct mutex *m, uint64_t start)
{
	uint64_t waited = os_clock_ns() - start;
	owner_add(&m->stats.n_wait, 1);
	owner_add(&m->stats.total_wait_ns, waited);
	if (waited
	    > load_relaxed(&m->stats.max_wait_ns)) /* relaxed: written under the lock */
		store_relaxed(&m->stats.max_wait_ns, waited);
}

static COLD void
lock_slow(struct mutex *m)
{
	bool has_slept = false;
	if (take_from_fork(m))
		return;
	if (UNLIKELY(fork_is_mine() || load_relaxed(&m->fork_state) == FORK_INTERRUPTED)
	    && fork_rescue != NULL)
		fork_rescue(m);
	if (!spin(m)) {
		uint64_t start = os_clock_ns();
		record_waiter(m);
		has_slept = park(m);
		fetch_sub_relaxed(&m->stats.waiting, 1);
		if (has_slept)
			record_wait(m, start);
	}
	if (!has_slept)
		owner_add(&m->stats.n_spin_acquired, 1);
}

void
mutex_lock(struct mutex *m)
{
	rank_check(m);
	uint8_t word = 0;
	if (UNLIKELY(!cas_strong_acquire(&m->word, &word,
		LOCKED))) /* pairs with unlock */
		lock_slow(m);
	record_acquisition(m);
}

bool
mutex_trylock(struct mutex *m)
{
	if (!try_acquire(m))
		return false;
	record_acquisition(m);
	return true;
}

bool
mutex_trylock_for(struct mutex *m, uint64_t limit_ns)
{
	if (mutex_trylock(m))
		return true;
	uint64_t start = os_clock_ns();
	do {
		/* The holder may need this processor. */
		os_yield();
		if (mutex_trylock(m))
			return true;
	} while (os_clock_ns() - start < limit_ns);
	return false;
}

void
mutex_unlock(struct mutex *m)
{
	rank_released(m);
	/* Relaxed: the holder wrote it. */
	const uint8_t fork_state = load_relaxed(&m->fork_state);
	if (UNLIKELY(fork_state != FORK_NONE)) {
		if (fork_state == FORK_IN_USE) {
			store_release(&m->fork_state, FORK_HELD); /* pairs with a thief */
			return;
		}
		store_relaxed(&m->fork_state, FORK_NONE);
	}
	uint8_t word = LOCKED;
	/* Release pairs with the acquire in mutex_lock and try_acquire. */
	while (UNLIKELY(!cas_weak_release(&m->word, &word, 0))) {
		if ((word & LOCKED) == 0)
			return; /* re-initialised by a fork while it was held */
		if ((word & PARKED) != 0) {
			parking_wake_one(&m->word, PARKED, 0);
			return;
		}
	}
}

void
mutex_hold_for_fork(struct mutex *m)
{
	/* Seq: pairs with park.  Who sleeps for m does not see that it is the fork's now. */
	store_seq(&m->fork_state, FORK_HELD);
	if ((load_seq(&m->word) & PARKED) != 0)
		parking_wake_one(&m->word, LOCKED | PARKED, LOCKED);
}

bool
mutex_was_taken_by_caller(const struct mutex *m)
{
	/* Relaxed: both are the caller's own if the answer is to be true. */
	return (load_relaxed(&m->word) & LOCKED) != 0
	    && load_relaxed(&m->stats.last_owner) == caller_id();
}

void
mutex_reset_in_child(struct mutex *m)
{
	/* Relaxed: the child has one thread. */
	store_relaxed(&m->word, 0);
	store_relaxed(&m->stats.waiting, 0);
	rank_forget(m);
}

bool
mutex_is_held(const struct mutex *m)
{
	return rank_is_held(m);
}

bool
mutex_none_held(void)
{
	return rank_none_held();
}

void
sync_reset_in_child(void)
{
	parking_reset_in_child();
}
