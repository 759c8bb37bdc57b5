/* SPDX-License-Identifier: MIT */
/*
 * boot -- bringing tract up at the first call, whoever makes it and however early.
 *
 * First what the allocator needs to work, without a call into libc that may allocate; from then on
 * malloc works; then what may allocate itself: the thread key, the fork handlers, the exit handler.
 */
#ifndef TRACT_API_BOOT_H
#define TRACT_API_BOOT_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/attr.h"

extern _Atomic(bool) boot_done; /* Release once; the allocator works. */

/* False: no memory even for the first arena, or boot itself has called; a later call
 * tries again. */
bool boot_slow(void);

static inline bool
boot(void)
{
	return LIKELY(load_acquire(&boot_done)) || boot_slow();
}

/* Print a line to where malloc_message points, or to stderr. */
void boot_message(const char *line);

/* Across a fork. */
void boot_fork_prepare(void);
void boot_fork_parent(void);
void boot_fork_child(void);

#endif
