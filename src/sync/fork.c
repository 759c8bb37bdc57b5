/* SPDX-License-Identifier: MIT */
#include "sync/fork.h"

#include "base/assert.h"
#include "os/os.h"
#include "sync/mutex.h"
#include "sync/rank.h"

/* For one lock: many times what any holder that runs needs. */
#define LOCK_PATIENCE_NS ((uint64_t)100 * 1000)
/* For all locks of one fork; afterwards each is tried once. */
#define FORK_PATIENCE_NS ((uint64_t)2 * 1000 * 1000)
/* For another thread's fork. */
#define OTHER_FORK_NS ((uint64_t)20 * 1000 * 1000)

_Atomic(uintptr_t) fork_owner;
void (*fork_rescue)(void);

static uint64_t patience_ns; /* Left in this fork. Forking thread only. */

bool
fork_begin(void)
{
	const uint64_t start = os_clock_ns();
	uintptr_t owner = 0;

	if (fork_is_mine())
		return false;
	/* Acquire: pairs with fork_end. */
	while (!cas_strong_acquire(&fork_owner, &owner, os_thread_pointer())) {
		if (os_clock_ns() - start > OTHER_FORK_NS)
			return false;
		os_yield();
		owner = 0;
	}
	patience_ns = FORK_PATIENCE_NS;
	sync_rank_checks_pause();
	return true;
}

void
fork_end(void)
{
	assert(fork_is_mine());
	sync_rank_checks_resume();
	store_release(&fork_owner, 0); /* pairs with fork_begin */
}

void
fork_end_in_child(void)
{
	if (fork_is_mine())
		sync_rank_checks_resume();
	store_relaxed(&fork_owner, 0); /* one thread in the child */
}

bool
mutex_fork_prepare(struct mutex *m)
{
	assert(fork_is_mine());
	if (!mutex_trylock(m)) {
		if (patience_ns == 0)
			return false;
		const uint64_t start = os_clock_ns();
		const bool is_held = mutex_trylock_for(m, LOCK_PATIENCE_NS);
		const uint64_t waited = os_clock_ns() - start;
		patience_ns -= waited < patience_ns ? waited : patience_ns;
		if (!is_held)
			return false;
	}
	/* Relaxed: means something to this thread only. */
	store_relaxed(&m->fork_state, FORK_HELD);
	return true;
}

void
mutex_fork_parent(struct mutex *m)
{
	const uint8_t state = load_relaxed(&m->fork_state);

	if (state == FORK_NONE)
		return;
	store_relaxed(&m->fork_state, FORK_NONE);
	if (state == FORK_HELD)
		mutex_unlock(m);
}

bool
mutex_fork_child(struct mutex *m)
{
	const uint8_t state = load_relaxed(&m->fork_state);

	store_relaxed(&m->fork_state, FORK_NONE);
	mutex_reset_in_child(m);
	/* Taken by another thread for its own fork: there is no such thread here. */
	if (!fork_is_mine())
		return false;
	if (state == FORK_IN_USE)
		(void)mutex_trylock(m);
	return state != FORK_NONE;
}
