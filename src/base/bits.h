/* SPDX-License-Identifier: MIT */
/*
 * bits -- integer arithmetic on powers of two.  Pure; arguments for which a result would be
 * undefined are asserted.
 */
#ifndef TRACT_BASE_BITS_H
#define TRACT_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

static inline bool
is_pow2(size_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

/* floor(log2(x)); x > 0. */
static inline unsigned
lg_floor(uint64_t x)
{
	assert(x != 0);
	return 63 - (unsigned)__builtin_clzll(x);
}

/* ceil(log2(x)); x > 0. */
static inline unsigned
lg_ceil(uint64_t x)
{
	assert(x != 0);
	return x == 1 ? 0 : lg_floor(x - 1) + 1;
}

/* Number of zero bits below the lowest set bit; x > 0. */
static inline unsigned
first_set(uint64_t x)
{
	assert(x != 0);
	return (unsigned)__builtin_ctzll(x);
}

static inline unsigned
count_set(uint64_t x)
{
	return (unsigned)__builtin_popcountll(x);
}

/* Round to a multiple of a power of two.  Wraps: sizes from a user go through base/checked.h. */
static inline size_t
align_up(size_t x, size_t alignment)
{
	assert(is_pow2(alignment));
	return (x + alignment - 1) & ~(alignment - 1);
}

static inline size_t
align_down(size_t x, size_t alignment)
{
	assert(is_pow2(alignment));
	return x & ~(alignment - 1);
}

static inline bool
is_aligned(size_t x, size_t alignment)
{
	assert(is_pow2(alignment));
	return (x & (alignment - 1)) == 0;
}

static inline size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t
max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#endif
