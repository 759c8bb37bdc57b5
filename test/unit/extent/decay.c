/* SPDX-License-Identifier: MIT */
#include "extent/decay.h"

#include "harness/test.h"

#define SECOND UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)

static struct decay decay; /* its mutex wants an address that stays */
static size_t backlog[DECAY_EPOCHS];

static struct decay *
new_decay(ssize_t ms, uint64_t now)
{
	memset(&decay, 0, sizeof decay);
	memset(backlog, 0, sizeof backlog);
	decay_init(&decay, backlog, ms, now);
	return &decay;
}

TEST(weights_fall_smoothly_from_one_to_nothing)
{
	CHECK(decay_weight(0) > (1u << 24) * 0.99999 && decay_weight(0) <= 1u << 24);
	CHECK_EQ(decay_weight(DECAY_EPOCHS - 1), 0);
	CHECK_EQ(decay_weight(DECAY_EPOCHS / 2 - 1), 1u << 23);
	for (unsigned k = 1; k < DECAY_EPOCHS; k++)
		CHECK(decay_weight(k) <= decay_weight(k - 1));
	/* The curve itself, in floating point. */
	for (unsigned k = 0; k < DECAY_EPOCHS; k++) {
		const double x = (k + 1) / (double)DECAY_EPOCHS;
		const double w = 1 - x * x * x * (x * (6 * x - 15) + 10);
		const double got = decay_weight(k) / (double)(1u << 24);
		CHECK(got > w - 1e-6 && got < w + 1e-6);
	}
}

TEST(values_out_of_range_are_refused)
{
	CHECK(decay_ms_is_valid(-1));
	CHECK(decay_ms_is_valid(0));
	CHECK(decay_ms_is_valid(DECAY_MS_MAX));
	CHECK(!decay_ms_is_valid(-2));
	CHECK(!decay_ms_is_valid(DECAY_MS_MAX + 1));
}

/* Pages that stay `age_ms' after all of `npages' were freed at once. */
static size_t
limit_after(ssize_t ms, uint64_t age_ms, size_t npages)
{
	struct decay *d = new_decay(ms, SECOND);

	for (uint64_t t = 0; t <= age_ms; t++)
		(void)decay_advance(d, SECOND + t * MS_NS, npages);
	return decay_limit(d);
}

TEST(young_pages_stay_and_old_ones_go)
{
	CHECK(limit_after(1000, 50, 100000) > 99000);
	CHECK(limit_after(1000, 500, 100000) > 45000
	    && limit_after(1000, 500, 100000) < 60000);
	CHECK(limit_after(1000, 950, 100000) < 1000);
	CHECK_EQ(limit_after(1000, 1100, 100000), 0);
}

TEST(a_decay_time_below_an_interval_still_ends)
{
	CHECK_EQ(limit_after(1, 10, 100000), 0);
	CHECK_EQ(limit_after(7, 30, 100000), 0);
}

TEST(nothing_happens_before_the_deadline_and_something_within_two_intervals)
{
	uint64_t seed = test_seed();

	for (unsigned i = 0; i < 100; i++) {
		const uint64_t start = SECOND + test_random_below(&seed, SECOND);
		struct decay *d = new_decay(1000, start);
		CHECK(!decay_advance(d, start + 5 * MS_NS - 1, 10));
		CHECK(decay_advance(d, start + 10 * MS_NS, 10));
	}
}

TEST(a_long_pause_forgets_every_epoch)
{
	struct decay *d = new_decay(1000, SECOND);

	CHECK(decay_advance(d, SECOND + 10 * MS_NS, 5000));
	CHECK(decay_advance(d, 100 * SECOND, 5000));
	CHECK_EQ(decay_limit(d), 0);
	CHECK(decay_advance(d, UINT64_MAX / 2, 5000));
}

TEST(a_clock_that_steps_back_does_not_stop_decay)
{
	struct decay *d = new_decay(1000, 1000 * SECOND);

	CHECK(decay_advance(d, 1001 * SECOND, 100));
	(void)decay_advance(d, SECOND, 100);
	for (uint64_t t = 0; t < 1100; t++)
		(void)decay_advance(d, SECOND + t * MS_NS, 100);
	CHECK_EQ(decay_limit(d), 0);
}

TEST(only_pages_beyond_those_left_by_the_last_purge_are_fresh)
{
	struct decay *d = new_decay(1000, SECOND);

	CHECK(decay_advance(d, SECOND + 20 * MS_NS, 1000));
	decay_purged(d, 400);
	for (uint64_t t = 30; t < 1100; t++)
		(void)decay_advance(d, SECOND + t * MS_NS, 400);
	CHECK_EQ(decay_limit(d), 0);
	CHECK(decay_advance(d, SECOND + 1110 * MS_NS, 500));
	CHECK(decay_limit(d) <= 100 && decay_limit(d) >= 99);
}

TEST(never_and_at_once_have_no_epochs)
{
	CHECK(!decay_advance(new_decay(-1, SECOND), 9000 * SECOND, 1000));
	CHECK(!decay_advance(new_decay(0, SECOND), 9000 * SECOND, 1000));
}

TEST(a_new_time_makes_all_present_pages_fresh)
{
	struct decay *d = new_decay(1000, SECOND);

	CHECK(decay_advance(d, 3 * SECOND, 5000));
	decay_restart(d, 2000, 3 * SECOND, 5000);
	CHECK(decay_limit(d) > 4990);
	CHECK(decay_advance(d, 3 * SECOND + 1000 * MS_NS, 5000));
	CHECK(decay_limit(d) > 2200 && decay_limit(d) < 2800);
}

TEST(time_until_work_is_when_that_much_may_go)
{
	struct decay *d = new_decay(1000, SECOND);

	CHECK_EQ(decay_ns_until(d, SECOND, 0, 1024), UINT64_MAX);
	decay_restart(d, 1000, SECOND, 100000);
	const uint64_t due = decay_ns_until(d, SECOND, 100000, 1024);
	/* 1024 of 100000 pages are gone after some 11 % of the curve. */
	CHECK(due >= 50 * MS_NS && due <= 200 * MS_NS);
	/* Too few to be worth it: the whole curve. */
	decay_restart(d, 1000, SECOND, 100);
	CHECK_EQ(decay_ns_until(d, SECOND, 100, 1024), SECOND);
	CHECK_EQ(decay_ns_until(d, 4 * SECOND, 100, 1024), 0);
	decay_restart(d, -1, SECOND, 100000);
	CHECK_EQ(decay_ns_until(d, SECOND, 100000, 1024), UINT64_MAX);
	decay_restart(d, 0, SECOND, 100000);
	CHECK_EQ(decay_ns_until(d, SECOND, 100000, 1024), UINT64_MAX);
}

TEST(pages_freed_since_the_last_epoch_are_no_work_yet)
{
	struct decay *d = new_decay(1000, SECOND);
	const uint64_t due = decay_ns_until(d, SECOND, 100000, 1024);

	CHECK(due >= 50 * MS_NS && due <= 200 * MS_NS);
}
