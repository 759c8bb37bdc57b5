/* SPDX-License-Identifier: MIT */
/*
 * shape -- which classes a thread takes from slabs of its own, and how much of each it keeps.
 *
 * A tcache without a shape has the usual one: every class, and empty slabs within the bounds of
 * tcache.h.  The options tcache_max and tcache_ncached_max give all tcaches another; a thread may
 * have its own (thread.tcache.max, thread.tcache.ncached_max).
 *
 * A number of slots is the most free regions of the class that are kept in empty slabs; only whole
 * slabs are.  With none the class comes from shared slabs, like those above the largest.
 */
#ifndef TRACT_CACHE_SHAPE_H
#define TRACT_CACHE_SHAPE_H

#include "config/options.h"
#include "config/size_class.h"

struct tcache_shape {
	uint16_t slots[SC_NOWNED]; /* OPTION_LIST_UNSET: the usual number */
	uint8_t n_served;          /* classes from 0 on; none above */
};

/* Of tcaches whose thread has none of its own; NULL: the usual one.  Set once at boot. */
extern const struct tcache_shape *tcache_shape_default;

/* From the options. */
void tcache_shape_boot(void);
/* A copy of a shape, or of the default one for NULL. */
void tcache_shape_copy(struct tcache_shape *to, const struct tcache_shape *from);
/* No object above `max' bytes, rounded up to a class. */
void tcache_shape_limit(struct tcache_shape *shape, size_t max);
/* The largest object, in bytes; 0: none. */
size_t tcache_shape_max(const struct tcache_shape *shape);
/* Slots of a class in force. */
size_t tcache_shape_slots(const struct tcache_shape *shape, unsigned szind);

/* May the class come from own slabs? */
static inline bool
tcache_shape_serves(const struct tcache_shape *shape, unsigned szind)
{
	return shape == NULL || (szind < shape->n_served && shape->slots[szind] != 0);
}

#endif
