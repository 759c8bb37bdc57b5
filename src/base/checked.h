/* SPDX-License-Identifier: MIT */
/*
 * checked -- all arithmetic on sizes that come from outside.
 *
 * A result above PTRDIFF_MAX is "too large" from every entry point, whatever the operation was:
 * each function returns SIZE_TOO_LARGE then, and passes it through when it comes in.
 */
#ifndef TRACT_BASE_CHECKED_H
#define TRACT_BASE_CHECKED_H

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

#define SIZE_TOO_LARGE SIZE_MAX

static inline size_t
checked_size(size_t size)
{
	return size > PTRDIFF_MAX ? SIZE_TOO_LARGE : size;
}

static inline size_t
checked_add(size_t a, size_t b)
{
	size_t sum;
	return __builtin_add_overflow(a, b, &sum) ? SIZE_TOO_LARGE : checked_size(sum);
}

static inline size_t
checked_mul(size_t a, size_t b)
{
	size_t product;
	return __builtin_mul_overflow(a, b, &product) ? SIZE_TOO_LARGE
						      : checked_size(product);
}

/* Round up to a multiple of a power of two. */
static inline size_t
checked_align_up(size_t size, size_t alignment)
{
	size_t sum = checked_add(size, alignment - 1);
	return sum == SIZE_TOO_LARGE ? SIZE_TOO_LARGE : align_down(sum, alignment);
}

#endif
