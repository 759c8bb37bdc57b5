/* SPDX-License-Identifier: MIT */
/*
 * rank -- in debug builds, the locks that the calling thread holds, and their order.
 *
 * Always true of a thread whose checks are not paused: each lock it waits for has a rank above all
 * the ranks it holds.  A lock got by trylock may break the order, since nobody waits for it, and
 * then counts like any other for the locks taken after it.
 * Release builds: empty functions, no thread-local memory.
 */
#ifndef TRACT_SYNC_RANK_H
#define TRACT_SYNC_RANK_H

#include <stdbool.h>

struct mutex;

/* Before waiting for m: assert that the order allows it and that m is not held already. */
void rank_check(const struct mutex *m);
void rank_acquired(const struct mutex *m);
void rank_released(const struct mutex *m);
bool rank_is_held(const struct mutex *m);
bool rank_none_held(void);
/* m, which the caller may hold, has been reset in a fork child. */
void rank_forget(const struct mutex *m);

/*
 * Fork handlers take every lock there is, many of equal rank, and release them in another
 * function: between these two the calling thread's acquisitions are neither checked nor recorded.
 * They do not nest.
 */
void sync_rank_checks_pause(void);
void sync_rank_checks_resume(void);

#endif
