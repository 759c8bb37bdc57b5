/* SPDX-License-Identifier: MIT */
/*
 * pressure -- workers give everything back while the process's control group is near its
 * memory.high, beyond which the kernel holds up whoever allocates.
 *
 * A worker looks when it comes by, that is, while there is something to give back (what never
 * decays, too), and at least each PRESSURE_LOOK_NS then; one that has nothing to do sleeps on.
 * Where no group has a memory.high, as is usual, it looks again only after PRESSURE_AGAIN_NS.  A
 * look is reading /proc/self/cgroup and two small files for each group above: 10 to 30
 * microseconds.  A trigger of the kernel (memory.pressure, memory.events) would need a descriptor
 * in the program's table, and wake a worker that has nothing to give.
 *
 * While it is near, all page allocators purge whatever they have (limit_is_pressed).
 */
#ifndef TRACT_CTL_PRESSURE_H
#define TRACT_CTL_PRESSURE_H

#include <stddef.h>
#include <stdint.h>

#define PRESSURE_LOOK_NS ((uint64_t)1000 * 1000 * 1000)
#define PRESSURE_AGAIN_NS ((uint64_t)10 * 1000 * 1000 * 1000)

/* By a worker, before each of its passes. */
void pressure_look(void);
/* How long a worker may sleep whose next work is due in so many nanoseconds, and that could give
 * back so many pages, be they due or not. */
uint64_t pressure_sleep(uint64_t due_ns, size_t n_pages);
/* Nobody looks any more: when workers are told to end, and by each at its end, for it may have been
 * in the middle of a look. */
void pressure_forget(void);

/* How often the group came near. */
uint64_t pressure_count(void);

/* For tests: where the files lie, "" for /. */
extern const char *pressure_root;

#endif
