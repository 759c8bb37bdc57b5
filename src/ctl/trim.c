/* SPDX-License-Identifier: MIT */
#include "ctl/trim.h"

#include "arena/arena.h"
#include "cache/kept.h"
#include "cache/pool.h"
#include "ctl/pin.h"
#include "ctl/snapshot.h"
#include "os/os.h"
#include "thread/thread.h"

static bool
has_pooled(struct arena *arena)
{
	mutex_lock(&arena->tcache_lock);
	const bool has = !list_is_empty(&arena->pooled);
	mutex_unlock(&arena->tcache_lock);
	return has;
}

void
trim_arena(struct arena *arena)
{
	/* As if their time were over; one tcache a call. */
	const uint64_t later = os_clock_coarse_ns() + TCACHE_POOL_NS;

	while (has_pooled(arena))
		(void)tcache_pool_age(arena, later);
	tcache_kept_reclaim(arena, KEPT_ALL, later);
	arena_decay(arena, PURGE_EVERYTHING);
}

static uint64_t
purged_pages(void)
{
	uint64_t npages = 0;

	mutex_lock(&ctl_lock);
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_is_doomed(i) ? NULL : arena_get(i);
		if (arena == NULL)
			continue;
		npages += arena_pages_purged(arena);
		/* Relaxed: a counter. */
		npages += load_relaxed(&arena->slab_pages.n_purged);
	}
	mutex_unlock(&ctl_lock);
	return npages;
}

bool
ctl_trim(void)
{
	struct tcache *tc = thread_own_tcache();
	const uint64_t before = purged_pages();

	if (tc != NULL)
		tcache_comb_everything(tc);
	arenas_for_each(trim_arena);
	return purged_pages() != before;
}
