/* SPDX-License-Identifier: MIT */
/*
 * hash -- 64-bit mixers for tables inside one process.  Not keyed, not stable across versions.
 */
#ifndef TRACT_BASE_HASH_H
#define TRACT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

/* A bijection in which every input bit flips each output bit with probability near 1/2
 * (the finaliser of splitmix64). */
static inline uint64_t
hash_u64(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t
hash_pointer(const void *p)
{
	return hash_u64((uint64_t)(uintptr_t)p);
}

/* The length is part of the hash, so a zero-padded last word is no collision. */
static inline uint64_t
hash_bytes(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t h = hash_u64(size + 1);
	for (; size >= sizeof(uint64_t);
	     size -= sizeof(uint64_t), p += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		h = hash_u64(h ^ word);
	}
	if (size != 0) {
		uint64_t word = 0;
		memcpy(&word, p, size);
		h = hash_u64(h ^ word);
	}
	return h;
}

#endif
