/* SPDX-License-Identifier: MIT */
/*
 * prng -- splitmix64: one word of state, any seed is good, passes the usual statistical tests.
 *
 * For jitter, sampling and tests; nothing that must resist prediction rests on it.
 */
#ifndef TRACT_BASE_PRNG_H
#define TRACT_BASE_PRNG_H

#include <stdint.h>

#include "base/assert.h"
#include "base/hash.h"

struct prng {
	uint64_t state; /* Owner only. */
};

static inline void
prng_seed(struct prng *p, uint64_t seed)
{
	p->state = seed;
}

static inline uint64_t
prng_next(struct prng *p)
{
	p->state += UINT64_C(0x9e3779b97f4a7c15); /* 2^64 over the golden ratio, odd */
	return hash_u64(p->state);
}

/* Uniform in [0, n), n > 0; biased by less than n / 2^64. */
static inline uint64_t
prng_below(struct prng *p, uint64_t n)
{
	assert(n != 0);
	return (uint64_t)(((unsigned __int128)prng_next(p) * n) >> 64);
}

#endif
