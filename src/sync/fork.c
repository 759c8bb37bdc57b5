/* SPDX-License-Identifier: MIT */
#include "sync/fork.h"

#include "base/assert.h"
#include "os/os.h"
#include "os/pages.h"
#include "sync/mutex.h"
#include "sync/rank.h"

/* For one lock: many times what any holder that runs needs. */
#define LOCK_PATIENCE_NS ((uint64_t)100 * 1000)
/* For all locks of one fork; afterwards each is tried once. */
#define FORK_PATIENCE_NS ((uint64_t)2 * 1000 * 1000)
/* For another thread's fork. */
#define OTHER_FORK_NS ((uint64_t)20 * 1000 * 1000)

/* Longer than the fork of a process of a GiB takes. */
#define STEAL_AFTER_NS ((uint64_t)20 * 1000 * 1000)
#define POLL_NS ((uint64_t)1000 * 1000)

_Atomic(uintptr_t) fork_owner;
void (*fork_rescue)(const struct mutex *m);

static uint64_t patience_ns; /* Left in this fork. Forking thread only. */
static bool
    is_for_interrupted; /* Between fork_begin_interrupted and fork_end_interrupted. */

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
		if (patience_ns == 0 || mutex_was_taken_by_caller(m))
			return false;
		const uint64_t start = os_clock_ns();
		const bool is_held = mutex_trylock_for(m, LOCK_PATIENCE_NS);
		const uint64_t waited = os_clock_ns() - start;
		patience_ns -= waited < patience_ns ? waited : patience_ns;
		if (!is_held)
			return false;
	}
	mutex_hold_for_fork(m);
	return true;
}

/* Fork copies page tables with the process's mappings locked: so does this call, after it. */
static void
wait_for_copying(void)
{
	enum os_commit commit = OS_RESERVED;
	void *p = os_pages_map(NULL, os_page_size, os_page_size, &commit);

	if (p != NULL)
		(void)os_pages_unmap(p, os_page_size);
}

bool
mutex_wait_for_fork(struct mutex *m)
{
	const uint64_t start = os_clock_ns();
	uint32_t never = 0;

	/* Relaxed: only whether to go on waiting. */
	while (load_relaxed(&m->fork_state) == FORK_HELD) {
		uint8_t state = FORK_HELD;
		if (os_clock_ns() - start > STEAL_AFTER_NS
		    && cas_strong_acquire(&m->fork_state, &state, FORK_STOLEN)) {
			wait_for_copying();
			return true;
		}
		os_futex_wait(&never, 0, POLL_NS);
	}
	return false;
}

void
mutex_fork_parent(struct mutex *m)
{
	uint8_t state = FORK_HELD;

	/* Release pairs with a thief's acquire, which then fails. */
	if (cas_strong_acq_rel(&m->fork_state, &state, FORK_NONE))
		mutex_unlock(m);
	else if (state == FORK_IN_USE)
		store_relaxed(&m->fork_state, FORK_NONE);
}

bool
mutex_fork_child(struct mutex *m)
{
	const uint8_t state = load_relaxed(&m->fork_state);

	if (is_for_interrupted && state != FORK_INTERRUPTED)
		return true;
	/* Taken by another thread for its own fork: there is no such thread here. */
	const bool is_mine = !is_for_interrupted && fork_is_mine();
	if (is_mine && (state == FORK_NONE || state == FORK_INTERRUPTED)
	    && mutex_was_taken_by_caller(m)) {
		store_relaxed(&m->fork_state, FORK_INTERRUPTED);
		return true;
	}
	store_relaxed(&m->fork_state, FORK_NONE);
	mutex_reset_in_child(m);
	if (is_mine && state == FORK_IN_USE)
		(void)mutex_trylock(m);
	return is_mine && (state == FORK_HELD || state == FORK_IN_USE);
}

void
fork_begin_interrupted(void)
{
	is_for_interrupted = true;
}

void
fork_end_interrupted(void)
{
	is_for_interrupted = false;
}
