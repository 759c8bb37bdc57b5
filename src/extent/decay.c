/* SPDX-License-Identifier: MIT */
#include "extent/decay.h"

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"

#define WEIGHT_BITS 24

/* 1 - smootherstep at (k + 1) / 200, exactly, in integers. */
uint32_t
decay_weight(unsigned k)
{
	const uint64_t n = DECAY_EPOCHS, x = k + 1;
	/* (6x^5 - 15x^4 n + 10x^3 n^2) / n^5 */
	const uint64_t numerator = x * x * x * (6 * x * x + 10 * n * n - 15 * x * n);
	const uint64_t denominator = n * n * n * n * n;

	assert(k < DECAY_EPOCHS);
	return (uint32_t)((1u << WEIGHT_BITS)
	    - (uint64_t)((unsigned __int128)numerator * (1u << WEIGHT_BITS)
		/ denominator));
}

bool
decay_ms_is_valid(ssize_t ms)
{
	return ms >= DECAY_NEVER && ms <= DECAY_MS_MAX;
}

static uint64_t
interval_ns(const struct decay *d)
{
	return load_relaxed(&d->interval_ns);
}

/* The end of an epoch lies anywhere in the interval after the next, so that arenas do not purge in
 * step. */
static void
set_deadline(struct decay *d)
{
	const uint64_t interval = interval_ns(d);

	d->deadline_ns = d->epoch_ns + interval;
	if (decay_get_ms(d) > 0)
		d->deadline_ns += prng_below(&d->prng, interval + 1);
}

static void
set_time(struct decay *d, ssize_t ms, uint64_t now_ns)
{
	const uint64_t interval = ms <= 0 ? 1 : (uint64_t)ms * 1000000 / DECAY_EPOCHS;

	store_relaxed(&d->ms, ms);
	store_relaxed(&d->interval_ns, interval == 0 ? 1 : interval);
	d->epoch_ns = now_ns;
	set_deadline(d);
}

void
decay_restart(struct decay *d, ssize_t ms, uint64_t now_ns, size_t npages)
{
	set_time(d, ms, now_ns);
	d->has_ended = false;
	memset(d->backlog, 0, DECAY_EPOCHS * sizeof d->backlog[0]);
	d->backlog[DECAY_EPOCHS - 1] = npages;
	d->n_last = npages;
}

void
decay_init(struct decay *d, size_t backlog[DECAY_EPOCHS], ssize_t ms, uint64_t now_ns)
{
	d->backlog = backlog;
	mutex_init(&d->lock, RANK_DECAY);
	prng_seed(&d->prng, now_ns ^ (uintptr_t)d);
	/* The rest of a new arena is zero, and its pages untouched. */
	set_time(d, ms, now_ns);
}

/*
 * Of `passed' intervals, how many are over since the last pages came?  Where nobody looks for long,
 * they must not be young when somebody does.
 */
static size_t
age_of_last(const struct decay *d, uint64_t passed)
{
	const uint64_t came_ns = load_relaxed(&d->came_ns);
	const uint64_t end_ns = d->epoch_ns + passed * interval_ns(d);

	/* Whoever let them come did not say so, or the clock stepped back. */
	if (came_ns < d->epoch_ns || came_ns >= end_ns)
		return 0;
	return (size_t)((end_ns - came_ns) / interval_ns(d));
}

static bool
advance(struct decay *d, uint64_t now_ns, size_t npages)
{
	if (decay_get_ms(d) <= 0)
		return false;
	/* A clock that stepped back must not stop us for ever. */
	if (now_ns < d->epoch_ns)
		d->epoch_ns = now_ns, set_deadline(d);
	if (now_ns < d->deadline_ns)
		return false;
	const uint64_t passed = (now_ns - d->epoch_ns) / interval_ns(d);
	const size_t shift = passed < DECAY_EPOCHS ? (size_t)passed : DECAY_EPOCHS;
	memmove(d->backlog, d->backlog + shift,
	    (DECAY_EPOCHS - shift) * sizeof d->backlog[0]);
	memset(d->backlog + DECAY_EPOCHS - shift, 0, shift * sizeof d->backlog[0]);
	const size_t age = age_of_last(d, passed);
	if (age < DECAY_EPOCHS)
		d->backlog[DECAY_EPOCHS - 1 - age] += decay_fresh(d, npages);
	d->n_last = npages;
	d->epoch_ns += passed * interval_ns(d);
	set_deadline(d);
	return true;
}

bool
decay_advance(struct decay *d, uint64_t now_ns, size_t npages)
{
	const bool has_ended = advance(d, now_ns, npages) || d->has_ended;

	d->has_ended = false;
	return has_ended;
}

void
decay_come(struct decay *d, uint64_t now_ns, size_t npages)
{
	/* Relaxed, before the lock, too: who comes second finds it done. */
	if (now_ns - load_relaxed(&d->came_ns) > interval_ns(d)
	    && mutex_trylock(&d->lock)) {
		if (advance(d, now_ns, npages))
			d->has_ended = true;
		mutex_unlock(&d->lock);
	}
	store_relaxed(&d->came_ns, now_ns);
}

void
decay_purged(struct decay *d, size_t npages)
{
	d->n_last = npages;
}

/* The limit when `ahead' more intervals have passed, times 1 << WEIGHT_BITS. */
static uint64_t
weighted_ahead(const struct decay *d, size_t ahead)
{
	uint64_t sum = 0;

	for (size_t i = ahead; i < DECAY_EPOCHS; i++)
		sum += (uint64_t)d->backlog[i]
		    * decay_weight((unsigned)(DECAY_EPOCHS - 1 - (i - ahead)));
	return sum;
}

size_t
decay_limit(const struct decay *d)
{
	return (size_t)(weighted_ahead(d, 0) >> WEIGHT_BITS);
}

uint64_t
decay_ns_until(const struct decay *d, uint64_t now_ns, size_t npages, size_t threshold)
{
	/* What came since the last epoch will be the next one's. */
	const size_t fresh = decay_fresh(d, npages);
	size_t low = 1, high = DECAY_EPOCHS;

	if (load_relaxed(&d->ms) <= 0 || npages == 0)
		return UINT64_MAX;
	if (npages > threshold) {
		/* The first interval after which enough may go. */
		while (low < high) {
			const size_t middle = low + (high - low) / 2;
			const uint64_t limit = weighted_ahead(d, middle)
			    + (uint64_t)fresh * decay_weight((unsigned)middle - 1);
			if (npages > (limit >> WEIGHT_BITS) + threshold)
				high = middle;
			else
				low = middle + 1;
		}
	}
	const uint64_t end = d->epoch_ns + (uint64_t)high * interval_ns(d);
	/* Nothing is purged before the epoch is over, wherever jitter put its end. */
	const uint64_t due = end > d->deadline_ns ? end : d->deadline_ns;
	return due > now_ns ? due - now_ns : 0;
}
