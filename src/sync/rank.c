/* SPDX-License-Identifier: MIT */
#include "sync/rank.h"

#include "base/assert.h"
#include "base/attr.h"
#include "sync/mutex.h"

/* Ranks increase strictly, but for trylocks: a thread holds few locks beyond one a rank. */
#define MAX_HELD (RANK_COUNT + 8)

struct held_locks {
	const struct mutex *locks[MAX_HELD];
	unsigned count;
	bool is_paused;
	bool was_reset; /* A fork has made this thread's older locks void. */
};

/* Owner thread only.  Initial-exec: a dynamic block would be allocated with malloc, with locks. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct held_locks held;

/* Index of m in held.locks; held.count when it is not there. */
static unsigned
find_held(const struct mutex *m)
{
	unsigned i = 0;
	while (i < held.count && held.locks[i] != m)
		i++;
	return i;
}

void
rank_check(const struct mutex *m)
{
	if (!CONFIG_DEBUG || held.is_paused)
		return;
	for (unsigned i = 0; i < held.count; i++) {
		assert(held.locks[i] != m);
		assert(held.locks[i]->rank < m->rank);
	}
}

void
rank_acquired(const struct mutex *m)
{
	if (!CONFIG_DEBUG || held.is_paused)
		return;
	assert(held.count < MAX_HELD);
	held.locks[held.count++] = m;
}

void
rank_released(const struct mutex *m)
{
	if (!CONFIG_DEBUG || held.is_paused)
		return;
	unsigned i = find_held(m);
	if (i == held.count) {
		/* Only the interrupted holder in a fork child may release what it does not hold. */
		assert(held.was_reset);
		return;
	}
	held.locks[i] = held.locks[--held.count];
}

bool
rank_is_held(const struct mutex *m)
{
	return !CONFIG_DEBUG || held.is_paused || find_held(m) < held.count;
}

bool
rank_none_held(void)
{
	if (!CONFIG_DEBUG || held.is_paused)
		return true;
	for (unsigned i = 0; i < held.count; i++)
		if (held.locks[i]->rank != RANK_BACKGROUND
		    && held.locks[i]->rank != RANK_BACKGROUND_RUN)
			return false;
	return true;
}

void
rank_forget(const struct mutex *m)
{
	if (!CONFIG_DEBUG)
		return;
	unsigned i = find_held(m);
	held.was_reset = true;
	if (i < held.count)
		held.locks[i] = held.locks[--held.count];
}

void
sync_rank_checks_pause(void)
{
	if (CONFIG_DEBUG) {
		assert(!held.is_paused);
		held.is_paused = true;
	}
}

void
sync_rank_checks_resume(void)
{
	if (CONFIG_DEBUG) {
		assert(held.is_paused);
		held.is_paused = false;
	}
}
