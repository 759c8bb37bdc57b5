/* SPDX-License-Identifier: MIT */
#include "extent/dss.h"

#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/bits.h"
#include "base/checked.h"
#include "os/pages.h"
#include "sync/fork.h"
#include "sync/mutex.h"

/* Indices of arenas end below this.  ORDER ARENAS-MAX: arena/arena.h. */
#define PREFERENCES 4096
/* Times that another user of the break may come between before we give up. */
#define TRIES 8

static struct mutex dss_lock = MUTEX_INITIALIZER(LEAF);
/* All memory that ever came from here lies in [lowest, highest). Written under dss_lock. */
static _Atomic(uintptr_t) lowest = UINTPTR_MAX, highest;

/* preference + 1 of each arena, 0: opt.dss.  Relaxed; set by control calls. */
static _Atomic(uint8_t) preferences[PREFERENCES] BULKY;
static _Atomic(bool)
    has_preferences; /* some are not 0; so the table need not be touched */
static _Atomic(int) default_now = -1; /* -1: opt.dss */

/* ---- the break ---- */

static void
note_range(uintptr_t first, uintptr_t end)
{
	assert(mutex_is_held(&dss_lock));
	if (first < load_relaxed(&lowest))
		store_relaxed(&lowest, first);
	if (end > load_relaxed(&highest))
		store_relaxed(&highest, end);
}

/*
 * Extend what we own at the break until it holds an aligned range.  Where somebody else has moved
 * the break in between, begin again behind him; what we had in front of him is lost, as sbrk takes
 * nothing back.
 */
static void *
extend_locked(uintptr_t at, size_t size, size_t alignment)
{
	uintptr_t first = (uintptr_t)os_sbrk(0), end = first;

	for (unsigned i = 0; i < TRIES && first != 0; i++) {
		const uintptr_t addr = align_up(first, alignment);
		const size_t padded = checked_add(size, addr - first);
		if (padded == SIZE_TOO_LARGE || (at != 0 && addr != at))
			return NULL;
		if (padded <= end - first) {
			note_range(addr, addr + size);
			return (void *)addr;
		}
		const size_t more = padded - (end - first);
		const uintptr_t old =
		    more > PTRDIFF_MAX ? 0 : (uintptr_t)os_sbrk((intptr_t)more);
		if (old == 0)
			return NULL;
		if (old != end)
			first = old;
		end = old + more;
	}
	return NULL;
}

void *
dss_alloc(void *at, size_t size, size_t alignment)
{
	if (!dss_is_usable())
		return NULL;
	mutex_lock(&dss_lock);
	void *p = extend_locked((uintptr_t)at, size, alignment);
	mutex_unlock(&dss_lock);
	return p;
}

bool
dss_contains(const void *addr)
{
	/* Relaxed: who asks got the memory, and with it the bounds, from who wrote them. */
	return (uintptr_t)addr >= load_relaxed(&lowest)
	    && (uintptr_t)addr < load_relaxed(&highest);
}

bool
dss_is_usable(void)
{
	return CONFIG_DSS && os_has_sbrk;
}

/* ---- preferences ---- */

enum dss
dss_default(void)
{
	const int now = load_relaxed(&default_now);

	return now < 0 ? (enum dss)opt.dss : (enum dss)now;
}

bool
dss_set_default(enum dss preference)
{
	if (preference != DSS_DISABLED && !dss_is_usable())
		return false;
	store_relaxed(&default_now, (int)preference);
	return true;
}

enum dss
dss_preference(unsigned arena_index)
{
	/* A user's hook may call the default ones with any number. */
	if (LIKELY(!load_relaxed(&has_preferences)) || arena_index >= PREFERENCES)
		return (enum dss)opt.dss;
	const uint8_t own = load_relaxed(&preferences[arena_index]);
	return own == 0 ? (enum dss)opt.dss : (enum dss)(own - 1);
}

bool
dss_set_preference(unsigned arena_index, enum dss preference)
{
	assert(arena_index < PREFERENCES);
	if (preference != DSS_DISABLED && !dss_is_usable())
		return false;
	store_relaxed(&preferences[arena_index], (uint8_t)(preference + 1));
	store_relaxed(&has_preferences, true);
	return true;
}

void
dss_arena_begins(unsigned arena_index)
{
	/* An index may have been another arena's. */
	if (load_relaxed(&has_preferences) || dss_default() != (enum dss)opt.dss)
		(void)dss_set_preference(arena_index, dss_default());
}

/* ---- fork: the bounds are never torn ---- */

void
dss_fork_prepare(void)
{
	(void)mutex_fork_prepare(&dss_lock);
}

void
dss_fork_parent(void)
{
	mutex_fork_parent(&dss_lock);
}

void
dss_fork_child(void)
{
	(void)mutex_fork_child(&dss_lock);
}
