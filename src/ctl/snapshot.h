/* SPDX-License-Identifier: MIT */
/*
 * snapshot -- the statistics of all arenas as of the last write of `epoch'.
 *
 * One record an arena index, one for all arenas together, one for what destroyed arenas
 * once did; records of arenas are made when first needed, from the process's base, and
 * kept.
 *
 * Locking: everything here is guarded by `ctl_lock' (rank CTL, before all but INIT).  No
 * hook and no callback of the program runs with it held.
 */
#ifndef TRACT_CTL_SNAPSHOT_H
#define TRACT_CTL_SNAPSHOT_H

#include "ctl/stats.h"
#include "sync/mutex.h"

struct arena;

#define CTL_ARENAS_ALL 4096       /* public: MALLCTL_ARENAS_ALL */
#define CTL_ARENAS_DESTROYED 4097 /* public: MALLCTL_ARENAS_DESTROYED */

extern struct mutex ctl_lock;

/* Gather everything anew. 0, or EAGAIN: no memory, the former snapshot may be lost. */
int snapshot_refresh(void);
/* Its number: 1 with the first. */
uint64_t snapshot_epoch(void);

/* Take the lock, with a snapshot there (gathered now if none ever was). 0, or EAGAIN:
 * not taken. */
int snapshot_enter(void);
void snapshot_leave(void);

/* ---- between enter and leave ---- */

/* Of an arena, of CTL_ARENAS_ALL or of CTL_ARENAS_DESTROYED; NULL: there was none. */
const struct arena_record *snapshot_arena(size_t index);
const struct total_figures *snapshot_total(void);
/* PROCESS_MUTEXES of them. */
const struct mutex_figures *snapshot_mutexes(void);
const struct background_figures *snapshot_background(void);

/* ---- with the lock not held ---- */

/* The arena, doomed and empty, is about to go: add what it did to the record of
 * destroyed ones. */
void snapshot_retire(struct arena *arena);
bool snapshot_has_destroyed(void);
/* Zero the counters of every lock. */
void snapshot_reset_mutexes(void);
/* In a fork child that may have found the snapshot half done. */
void snapshot_forget(void);

#endif
