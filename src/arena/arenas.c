/* SPDX-License-Identifier: MIT */
/*
 * arenas -- the table of all arenas, and which one a thread uses.
 *
 * Slots are written under `arenas_lock' (rank ARENAS) with release, read by anybody with acquire.
 * Indices below the automatic count are never reused; those of destroyed manual arenas are.
 */
#include "arena/arena.h"

#include "base/bitmap.h"
#include "config/options.h"

_Atomic(struct arena *) arena_table[ARENAS_MAX + 1] BULKY_BEHIND_EARLY;
struct mutex arenas_lock = MUTEX_INITIALIZER(ARENAS);

static uint64_t reserved[(ARENAS_MAX + 64)
    / 64] BULKY; /* Being made or destroyed. Guarded by arenas_lock. */
unsigned arenas_n_automatic;
static _Atomic(struct arena *) oversize; /* index arenas_n_automatic; set once, release */
static _Atomic(struct arena *) inside_hooks; /* Written under arenas_lock. */
static _Atomic(unsigned)
    n_total; /* One past the highest index. Written under arenas_lock. */

unsigned
arenas_total(void)
{
	return load_acquire(&n_total);
}

/* Returns the new arena, or NULL. */
static struct arena *
create_locked(unsigned index, const arena_config_t *config, bool is_manual)
{
	assert(mutex_is_held(&arenas_lock));
	struct arena *arena = arena_new(index, config, is_manual);
	if (arena == NULL)
		return NULL;
	store_release(&arena_table[index], arena);
	if (index >= load_relaxed(&n_total))
		store_release(&n_total, index + 1);
	return arena;
}

bool
arenas_boot(unsigned count)
{
	arenas_n_automatic = count;
	if (opt.huge_arena_pac_thp && opt.oversize_threshold != 0)
		ehooks_huge_arena = count;
	arena_pages_boot();
	mutex_lock(&arenas_lock);
	const bool done = create_locked(0, NULL, false) != NULL;
	mutex_unlock(&arenas_lock);
	if (done)
		store_release(&n_total, count);
	return done;
}

struct arena *
arena_automatic(unsigned index)
{
	assert(index < arenas_n_automatic);
	struct arena *arena = arena_get(index);
	if (LIKELY(arena != NULL))
		return arena;
	mutex_lock(&arenas_lock);
	arena = arena_get(index);
	if (arena == NULL)
		arena = create_locked(index, NULL, false);
	mutex_unlock(&arenas_lock);
	return arena;
}

/* The first index behind the automatic ones that no arena has; ARENAS_MAX: none. */
static unsigned
free_index_locked(void)
{
	unsigned index = arenas_n_automatic + (opt.oversize_threshold != 0);

	assert(mutex_is_held(&arenas_lock));
	while (index < ARENAS_MAX
	    && (load_relaxed(&arena_table[index]) != NULL || bitmap_get(reserved, index)))
		index++;
	return index;
}

struct arena *
arena_create_manual(const arena_config_t *config)
{
	struct arena *arena = NULL;

	/* Its hooks may be called while its first block is mapped, so no lock is held
	 * then: the index is reserved first. */
	mutex_lock(&arenas_lock);
	const unsigned index = free_index_locked();
	if (index < ARENAS_MAX)
		bitmap_set(reserved, index);
	mutex_unlock(&arenas_lock);
	if (index == ARENAS_MAX)
		return NULL;
	arena = arena_new(index, config, true);
	mutex_lock(&arenas_lock);
	bitmap_clear(reserved, index);
	store_release(&arena_table[index], arena);
	if (arena != NULL && index >= load_relaxed(&n_total))
		store_release(&n_total, index + 1);
	mutex_unlock(&arenas_lock);
	return arena;
}

struct arena *
arenas_oversize(struct arena *instead)
{
	struct arena *arena = load_acquire(&oversize);

	if (LIKELY(arena != NULL))
		return arena;
	/* Its index may be a manual arena's. */
	if (opt.oversize_threshold == 0)
		return instead;
	mutex_lock(&arenas_lock);
	arena = load_relaxed(&oversize);
	if (arena == NULL && arena_get(arenas_n_automatic) == NULL) {
		arena = create_locked(arenas_n_automatic, NULL, false);
		if (arena != NULL)
			store_release(&oversize, arena);
	}
	mutex_unlock(&arenas_lock);
	if (arena == NULL)
		return instead;
	/* A worker purges what is freed, and not the thread that frees it. */
	if (!load_relaxed(&pac_is_served))
		(void)pac_set_decay_ms(&arena->pac, DECAY_DIRTY, 0, true);
	return arena;
}

static bool
has_default_hooks(struct arena *arena)
{
	return arena != NULL && ehooks_are_default(&arena->ehooks);
}

struct arena *
arenas_inside_hooks(void)
{
	struct arena *arena = arena_get(0);

	if (LIKELY(has_default_hooks(arena)))
		return arena;
	/* Acquire: pairs with the release below. */
	arena = load_acquire(&inside_hooks);
	if (LIKELY(has_default_hooks(arena)))
		return arena;
	mutex_lock(&arenas_lock);
	arena = load_relaxed(&inside_hooks);
	if (!has_default_hooks(arena)) {
		const unsigned index = free_index_locked();
		arena = index < ARENAS_MAX ? create_locked(index, NULL, false) : NULL;
		if (arena != NULL)
			store_release(&inside_hooks, arena);
	}
	mutex_unlock(&arenas_lock);
	return arena;
}

void
arenas_forget(struct arena *arena)
{
	mutex_lock(&arenas_lock);
	store_release(&arena_table[arena->index], NULL);
	mutex_unlock(&arenas_lock);
}

void
arenas_reserve(unsigned index)
{
	mutex_lock(&arenas_lock);
	bitmap_set(reserved, index);
	mutex_unlock(&arenas_lock);
}

void
arenas_release(unsigned index)
{
	mutex_lock(&arenas_lock);
	bitmap_clear(reserved, index);
	mutex_unlock(&arenas_lock);
}

void
arenas_forget_reservations(void)
{
	for (unsigned i = 0; i < COUNT_OF(reserved); i++)
		reserved[i] = 0;
}

void
arena_thread_in(struct arena *arena)
{
	fetch_add_relaxed(&arena->n_threads, 1);
}

void
arena_thread_out(struct arena *arena)
{
	fetch_sub_relaxed(&arena->n_threads, 1);
}
