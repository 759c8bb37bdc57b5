/* SPDX-License-Identifier: MIT */
/*
 * pin -- arenas that control nodes work on stay until they are done.
 *
 * Manual arenas come and go.  Nodes act on arenas with no lock held, since hooks may be
 * called; so they pin the arena first.  Destroying one begins with its doom: from then on
 * nobody can pin it or sees it in a snapshot, and those who have it pinned are waited
 * for.
 *
 * The program still has to see to it that nobody allocates from an arena that it
 * destroys. Locking: the counts are guarded by ctl_lock, which these functions take.
 */
#ifndef TRACT_CTL_PIN_H
#define TRACT_CTL_PIN_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* NULL: there is no such arena, or it is being destroyed. */
struct arena *arena_pin(size_t index);
void arena_unpin(struct arena *arena);
/* False: somebody destroys it already, or this thread is inside one of its hooks. */
bool arena_doom(unsigned index);
/* The arena is gone, and its index is free. */
void arena_doom_done(unsigned index);
/* The caller holds ctl_lock. */
bool arena_is_doomed(unsigned index);

/* In a fork child: who had arenas pinned is not here, but for a hook that the caller is in. */
void arena_pins_fork_child(void);

/* Calls `work' for every arena, pinned. */
void arenas_for_each(void (*work)(struct arena *arena));

#endif
