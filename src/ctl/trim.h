/* SPDX-License-Identifier: MIT */
/*
 * trim -- give back, now, all free memory that can be: what the calling thread has listed
 * and keeps, the slabs of ended threads, and every free page of every arena.
 */
#ifndef TRACT_CTL_TRIM_H
#define TRACT_CTL_TRIM_H

#include <stdbool.h>

/* True: the system got some. */
bool ctl_trim(void);

struct arena;

/* Tcaches without thread give back their slabs, and all free pages are purged. The arena is pinned.
 */
void trim_arena(struct arena *arena);

#endif
