/* SPDX-License-Identifier: MIT */
#include "ctl/pin.h"

#include "arena/arena.h"
#include "base/bitmap.h"
#include "ctl/snapshot.h"
#include "os/os.h"
#include "thread/thread.h"

/* Guarded by ctl_lock. */
static uint16_t pins[ARENAS_MAX + 1] BULKY;
static uint64_t doomed[BITMAP_WORDS(ARENAS_MAX + 1)] BULKY;

bool
arena_is_doomed(unsigned index)
{
	assert(mutex_is_held(&ctl_lock));
	return bitmap_get(doomed, index);
}

struct arena *
arena_pin(size_t index)
{
	if (index > ARENAS_MAX)
		return NULL;
	mutex_lock(&ctl_lock);
	struct arena *arena =
	    bitmap_get(doomed, index) ? NULL : arena_get((unsigned)index);
	if (arena != NULL)
		pins[index]++;
	mutex_unlock(&ctl_lock);
	return arena;
}

void
arena_unpin(struct arena *arena)
{
	mutex_lock(&ctl_lock);
	assert(pins[arena->index] != 0);
	pins[arena->index]--;
	mutex_unlock(&ctl_lock);
}

static bool
is_pinned(unsigned index)
{
	mutex_lock(&ctl_lock);
	const bool pinned = pins[index] != 0;
	mutex_unlock(&ctl_lock);
	return pinned;
}

bool
arena_doom(unsigned index)
{
	/* A hook runs for somebody who may have pinned the arena: this thread. */
	if (thread_n_hooks != 0)
		return false;
	mutex_lock(&ctl_lock);
	const bool is_first = !bitmap_get(doomed, index);
	bitmap_set(doomed, index);
	mutex_unlock(&ctl_lock);
	if (!is_first)
		return false;
	while (is_pinned(index))
		os_yield();
	return true;
}

void
arena_doom_done(unsigned index)
{
	mutex_lock(&ctl_lock);
	bitmap_clear(doomed, index);
	mutex_unlock(&ctl_lock);
}

void
arena_pins_fork_child(void)
{
	for (unsigned i = 0; i < arenas_total() && thread_n_hooks == 0; i++)
		pins[i] = 0;
}

void
arenas_for_each(void (*work)(struct arena *arena))
{
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_pin(i);
		if (arena == NULL)
			continue;
		work(arena);
		arena_unpin(arena);
	}
}
