/* SPDX-License-Identifier: MIT */
#include "ctl/snapshot.h"

#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bitmap.h"
#include "ctl/ctl.h"
#include "ctl/background.h"
#include "ctl/gather.h"
#include "ctl/pin.h"
#include "extent/dss.h"
#include "os/pages.h"

struct mutex ctl_lock = MUTEX_INITIALIZER(CTL);

/* Guarded by ctl_lock. */
static uint64_t epoch; /* 0: nothing was ever gathered */
static struct arena_record *records[ARENAS_MAX + 1] BULKY;
static uint64_t seen[BITMAP_WORDS(ARENAS_MAX + 1)] BULKY; /* in the last snapshot */
static struct arena_record merged BULKY, destroyed BULKY, retiring BULKY;
static bool has_destroyed;
static struct total_figures total BULKY;
static struct mutex_figures mutexes[PROCESS_MUTEXES] BULKY;
static struct background_figures background BULKY;

static bool
gather_index(unsigned index)
{
	struct arena *arena = arena_get(index);

	if (arena == NULL || arena_is_doomed(index))
		return true;
	if (records[index] == NULL)
		records[index] =
		    base_alloc(&base_zero, sizeof *records[index], CACHE_LINE);
	if (records[index] == NULL)
		return false;
	gather_arena(arena, records[index]);
	bitmap_set(seen, index);
	arena_record_merge(&merged, records[index]);
	return true;
}

static void
sum_up(void)
{
	const struct arena_figures *a = &merged.arena;

	total = (struct total_figures){
		.allocated = merged.small.allocated + merged.large.allocated,
		.active = a->pactive * os_page_size,
		.metadata = a->base + a->internal,
		.metadata_edata = a->metadata_edata,
		.metadata_rtree = a->metadata_rtree,
		.metadata_thp = a->metadata_thp,
		.resident = a->resident,
		.mapped = a->mapped,
		.retained = a->retained,
		.pinned = a->pinned,
		/* Relaxed: a counter. */
		.zero_reallocs = load_relaxed(&ctl_zero_reallocs),
	};
	merged.arena.dss = option_word(&option_table[OPTION_dss], (int)dss_default());
	merged.arena.dirty_decay_ms = pac_decay_ms(&arena_get(0)->pac, DECAY_DIRTY);
	merged.arena.muzzy_decay_ms = pac_decay_ms(&arena_get(0)->pac, DECAY_MUZZY);
	gather_mutex(&ctl_lock, &mutexes[PROCESS_MUTEX_ctl]);
	background_gather(&background, &mutexes[PROCESS_MUTEX_background_thread],
	    &mutexes[PROCESS_MUTEX_max_per_bg_thd]);
}

static int
refresh_locked(void)
{
	const unsigned n = arenas_total();
	bool done = true;

	assert(mutex_is_held(&ctl_lock));
	memset(&merged, 0, sizeof merged);
	memset(seen, 0, sizeof seen);
	for (unsigned i = 0; i < n && done; i++)
		done = gather_index(i);
	sum_up();
	if (!done)
		return EAGAIN;
	epoch++;
	return 0;
}

int
snapshot_refresh(void)
{
	mutex_lock(&ctl_lock);
	const int rc = refresh_locked();
	mutex_unlock(&ctl_lock);
	return rc;
}

uint64_t
snapshot_epoch(void)
{
	if (snapshot_enter() != 0)
		return 0;
	const uint64_t now = epoch;
	snapshot_leave();
	return now;
}

int
snapshot_enter(void)
{
	int rc = 0;

	mutex_lock(&ctl_lock);
	if (epoch == 0 && (rc = refresh_locked()) != 0)
		mutex_unlock(&ctl_lock);
	return rc;
}

void
snapshot_leave(void)
{
	mutex_unlock(&ctl_lock);
}

const struct arena_record *
snapshot_arena(size_t index)
{
	assert(mutex_is_held(&ctl_lock));
	if (index == CTL_ARENAS_ALL)
		return &merged;
	if (index == CTL_ARENAS_DESTROYED)
		return has_destroyed ? &destroyed : NULL;
	return index <= ARENAS_MAX && bitmap_get(seen, index) ? records[index] : NULL;
}

const struct total_figures *
snapshot_total(void)
{
	return &total;
}

const struct mutex_figures *
snapshot_mutexes(void)
{
	return mutexes;
}

const struct background_figures *
snapshot_background(void)
{
	return &background;
}

/*
 * What is a state, not a sum of events, is no more.
 */
static void
clear_states(struct arena_record *r)
{
	r->arena = (struct arena_figures){
		.dirty_npurge = r->arena.dirty_npurge,
		.dirty_nmadvise = r->arena.dirty_nmadvise,
		.dirty_purged = r->arena.dirty_purged,
		.muzzy_npurge = r->arena.muzzy_npurge,
		.muzzy_nmadvise = r->arena.muzzy_nmadvise,
		.muzzy_purged = r->arena.muzzy_purged,
		.hpa_sec_hits = r->arena.hpa_sec_hits,
		.hpa_sec_misses = r->arena.hpa_sec_misses,
		.hpa_sec_dalloc_noflush = r->arena.hpa_sec_dalloc_noflush,
		.hpa_sec_dalloc_flush = r->arena.hpa_sec_dalloc_flush,
		.hpa_sec_overfills = r->arena.hpa_sec_overfills,
	};
	r->hpa.shard.npageslabs = r->hpa.shard.nactive = r->hpa.shard.ndirty = 0;
	memset(&r->hpa.slabs, 0, sizeof r->hpa.slabs);
	memset(&r->hpa.full, 0, sizeof r->hpa.full);
	memset(&r->hpa.empty, 0, sizeof r->hpa.empty);
	memset(r->hpa.nonfull, 0, sizeof r->hpa.nonfull);
	for (unsigned i = 0; i < SC_NBINS; i++)
		r->bins[i].curslabs = r->bins[i].nonfull_slabs = 0;
	memset(r->extents, 0, sizeof r->extents);
}

void
snapshot_retire(struct arena *arena)
{
	mutex_lock(&ctl_lock);
	gather_arena(arena, &retiring);
	clear_states(&retiring);
	arena_record_merge(&destroyed, &retiring);
	destroyed.arena.dss = "disabled";
	has_destroyed = true;
	bitmap_clear(seen, arena->index);
	mutex_unlock(&ctl_lock);
}

bool
snapshot_has_destroyed(void)
{
	mutex_lock(&ctl_lock);
	const bool has = has_destroyed;
	mutex_unlock(&ctl_lock);
	return has;
}

void
snapshot_reset_mutexes(void)
{
	background_reset_mutexes();
	mutex_lock(&ctl_lock);
	gather_reset_mutex_locked(&ctl_lock);
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_get(i);
		if (arena != NULL && !arena_is_doomed(i))
			gather_reset_mutexes(arena);
	}
	mutex_unlock(&ctl_lock);
}

void
snapshot_forget(void)
{
	epoch = 0;
	memset(records, 0, sizeof records);
}
