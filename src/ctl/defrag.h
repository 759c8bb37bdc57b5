/* SPDX-License-Identifier: MIT */
/*
 * defrag -- would the program help by moving an object?
 *
 * For programs that move their own objects out of sparse slabs (Redis's active
 * defragmentation): they allocate anew past the tcache, mallocx(size,
 * MALLOCX_TCACHE_NONE), which takes from the bin's shared slabs, copy, and free the old
 * object.  See get_defrag_hint in api/redis.c.
 */
#ifndef TRACT_CTL_DEFRAG_H
#define TRACT_CTL_DEFRAG_H

#include <stdbool.h>

/*
 * Does moving the live object at p bring its slab nearer to being empty, and is there
 * room in fewer slabs for what the class has?  Costs a few loads; now and then a look at
 * all slabs of the class in the arena.
 */
bool defrag_would_help(const void *p);

#endif
