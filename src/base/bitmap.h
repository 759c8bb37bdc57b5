/* SPDX-License-Identifier: MIT */
/*
 * bitmap -- arrays of 64-bit words; sizes and positions are in bits.
 *
 * Always true: the bits of the last word beyond the bitmap's size are zero, so words can be counted
 * and scanned whole.  Searches return the size when they find nothing.
 * Owns nothing, takes no lock.
 */
#ifndef TRACT_BASE_BITMAP_H
#define TRACT_BASE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define BITMAP_WORD_BITS 64
#define BITMAP_WORDS(nbits) (((nbits) + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS)

static inline uint64_t
bitmap_mask(size_t bit)
{
	return UINT64_C(1) << (bit % BITMAP_WORD_BITS);
}

/* The bits in use of word `i' of a bitmap of nbits. */
static inline uint64_t
bitmap_word_mask(size_t nbits, size_t i)
{
	assert(i < BITMAP_WORDS(nbits));
	size_t left = nbits - i * BITMAP_WORD_BITS;
	return left >= BITMAP_WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
}

static inline bool
bitmap_get(const uint64_t *words, size_t bit)
{
	return (words[bit / BITMAP_WORD_BITS] & bitmap_mask(bit)) != 0;
}

static inline void
bitmap_set(uint64_t *words, size_t bit)
{
	words[bit / BITMAP_WORD_BITS] |= bitmap_mask(bit);
}

static inline void
bitmap_clear(uint64_t *words, size_t bit)
{
	words[bit / BITMAP_WORD_BITS] &= ~bitmap_mask(bit);
}

static inline void
bitmap_clear_all(uint64_t *words, size_t nbits)
{
	memset(words, 0, BITMAP_WORDS(nbits) * sizeof(*words));
}

static inline void
bitmap_set_all(uint64_t *words, size_t nbits)
{
	for (size_t i = 0; i < BITMAP_WORDS(nbits); i++)
		words[i] = bitmap_word_mask(nbits, i);
}

/* The bits [first, end) of word `i', as a mask; 0 when none lies in it. */
static inline uint64_t
bitmap_range_mask(size_t i, size_t first, size_t end)
{
	size_t low = i * BITMAP_WORD_BITS;
	size_t high = low + BITMAP_WORD_BITS;
	if (first >= high || end <= low || first >= end)
		return 0;
	uint64_t mask = ~UINT64_C(0);
	if (first > low)
		mask &= ~UINT64_C(0) << (first - low);
	if (end < high)
		mask &= (UINT64_C(1) << (end - low)) - 1;
	return mask;
}

static inline void
bitmap_set_range(uint64_t *words, size_t first, size_t end)
{
	for (size_t i = first / BITMAP_WORD_BITS; i * BITMAP_WORD_BITS < end; i++)
		words[i] |= bitmap_range_mask(i, first, end);
}

static inline void
bitmap_clear_range(uint64_t *words, size_t first, size_t end)
{
	for (size_t i = first / BITMAP_WORD_BITS; i * BITMAP_WORD_BITS < end; i++)
		words[i] &= ~bitmap_range_mask(i, first, end);
}

/* The first set bit at or after `from'; nbits when there is none. */
static inline size_t
bitmap_first_set_from(const uint64_t *words, size_t nbits, size_t from)
{
	if (from >= nbits)
		return nbits;
	size_t i = from / BITMAP_WORD_BITS;
	uint64_t word = words[i] & (~UINT64_C(0) << (from % BITMAP_WORD_BITS));
	while (word == 0) {
		if (++i == BITMAP_WORDS(nbits))
			return nbits;
		word = words[i];
	}
	return min_size(nbits, i * BITMAP_WORD_BITS + first_set(word));
}

/* The first clear bit at or after `from'; nbits when there is none. */
static inline size_t
bitmap_first_zero_from(const uint64_t *words, size_t nbits, size_t from)
{
	if (from >= nbits)
		return nbits;
	size_t i = from / BITMAP_WORD_BITS;
	uint64_t word = ~words[i] & (~UINT64_C(0) << (from % BITMAP_WORD_BITS));
	while (word == 0) {
		if (++i == BITMAP_WORDS(nbits))
			return nbits;
		word = ~words[i];
	}
	return min_size(nbits, i * BITMAP_WORD_BITS + first_set(word));
}

static inline size_t
bitmap_find_set(const uint64_t *words, size_t nbits)
{
	return bitmap_first_set_from(words, nbits, 0);
}

static inline size_t
bitmap_find_zero(const uint64_t *words, size_t nbits)
{
	return bitmap_first_zero_from(words, nbits, 0);
}

/* Number of set bits. */
static inline size_t
bitmap_count(const uint64_t *words, size_t nbits)
{
	size_t count = 0;
	for (size_t i = 0; i < BITMAP_WORDS(nbits); i++)
		count += count_set(words[i]);
	return count;
}

/* Number of set bits in [first, end). */
static inline size_t
bitmap_count_range(const uint64_t *words, size_t first, size_t end)
{
	size_t count = 0;
	for (size_t i = first / BITMAP_WORD_BITS; i * BITMAP_WORD_BITS < end; i++)
		count += count_set(words[i] & bitmap_range_mask(i, first, end));
	return count;
}

/* The bit after the last set one below `before'; 0 when there is none. */
static inline size_t
bitmap_end_of_set_below(const uint64_t *words, size_t before)
{
	for (size_t i = BITMAP_WORDS(before); i-- != 0;) {
		const uint64_t word = words[i] & bitmap_range_mask(i, 0, before);
		if (word != 0)
			return i * BITMAP_WORD_BITS + lg_floor(word) + 1;
	}
	return 0;
}

static inline bool
bitmap_is_empty(const uint64_t *words, size_t nbits)
{
	return bitmap_find_set(words, nbits) == nbits;
}

static inline bool
bitmap_is_full(const uint64_t *words, size_t nbits)
{
	return bitmap_find_zero(words, nbits) == nbits;
}

#endif
