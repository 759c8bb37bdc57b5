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

/* ---- the curve, as mathematics has it -------------------------------------------------------- */

/* What stays at age x, of a whole decay time: 1 - (6x^5 - 15x^4 + 10x^3), 1 before, 0 after. */
static long double
share_at(long double x)
{
	if (x <= 0)
		return 1;
	return x >= 1 ? 0 : 1 - x * x * x * (x * (6 * x - 15) + 10);
}

/* A weight is the curve rounded up, so a limit of n pages is never one too low, nor too high by
 * more than n / 2^24 pages. */
static bool
is_limit(size_t limit, long double exact, size_t n)
{
	const long double slack = 1e-6L;

	return limit > exact - 1 - slack
	    && limit < exact + n / (long double)(1u << 24) + slack;
}

TEST(weights_are_the_smootherstep_rounded_up)
{
	CHECK_EQ(decay_weight(DECAY_EPOCHS - 1), 0);
	CHECK_EQ(decay_weight(DECAY_EPOCHS / 2 - 1), 1u << 23);
	for (unsigned k = 0; k < DECAY_EPOCHS; k++) {
		const long double exact =
		    share_at((k + 1) / (long double)DECAY_EPOCHS) * (1u << 24);
		CHECK(decay_weight(k) >= exact - 1e-9L);
		CHECK(decay_weight(k) < exact + 1);
		CHECK(k == 0 || decay_weight(k) <= decay_weight(k - 1));
	}
}

#define INTERVAL (SECOND / DECAY_EPOCHS)

/* Two intervals are when an epoch has ended, however its end was jittered. */
static void
pass_two(struct decay *d, uint64_t *now, size_t npages)
{
	*now += 2 * INTERVAL;
	CHECK(decay_advance(d, *now, npages));
}

TEST(a_step_decays_by_the_curve)
{
	static const size_t sizes[] = { 1, 7, 1000, 123456789, (size_t)1 << 36 };

	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint64_t now = SECOND;
		struct decay *d = new_decay(1000, now);
		size_t before = sizes[i];
		for (unsigned k = 1; k < 2 * DECAY_EPOCHS; k += 2) {
			pass_two(d, &now, sizes[i]);
			const long double share = share_at(k / (long double)DECAY_EPOCHS);
			CHECK(is_limit(decay_limit(d), share * sizes[i], sizes[i]));
			CHECK(decay_limit(d) <= before);
			before = decay_limit(d);
		}
		CHECK_EQ(before, 0);
	}
}

/* r pages an interval for ever: what may stay is r times the area under the curve, half a decay
 * time.  Two intervals' come at once here: the middles of 100 strips give the area exactly. */
TEST(a_ramp_comes_to_rest_at_half_of_what_a_decay_time_brings)
{
	const size_t r = 12345;
	uint64_t now = SECOND;
	struct decay *d = new_decay(1000, now);
	size_t npages = 0, before = 0;

	for (unsigned k = 0; k < DECAY_EPOCHS; k += 2) {
		npages += 2 * r;
		pass_two(d, &now, npages);
		CHECK(decay_limit(d) >= before);
		before = decay_limit(d);
	}
	for (unsigned k = 0; k < 50; k++) {
		CHECK(is_limit(decay_limit(d), (long double)r * DECAY_EPOCHS / 2,
		    2 * r * DECAY_EPOCHS));
		npages += 2 * r;
		pass_two(d, &now, npages);
	}
}

/*
 * Pages come at any time, and somebody looks at least once an interval.  The age that decay gives
 * them is between two intervals less and three more than their own.
 */
TEST(pages_that_come_at_random_decay_by_their_age_within_three_intervals)
{
	enum { COMES = 3000 };
	static uint64_t came_ns[COMES];
	static size_t n[COMES];
	uint64_t seed = test_seed(), now = SECOND;
	struct decay *d = new_decay(1000, now);
	size_t npages = 0;

	for (unsigned i = 0; i < COMES; i++) {
		now += test_random_below(&seed, INTERVAL);
		came_ns[i] = now;
		n[i] = test_random_below(&seed, 8) == 0 ? test_random_below(&seed, 10000)
							: 0;
		npages += n[i];
		if (!decay_advance(d, now, npages))
			continue;
		long double least = 0, most = 0;
		for (unsigned k = 0; k <= i; k++) {
			const long double age = now - came_ns[k];
			least += n[k] * share_at((age + 2 * INTERVAL) / SECOND);
			most += n[k] * share_at((age - 3.0L * INTERVAL) / SECOND);
		}
		CHECK(decay_limit(d) > least - 1.01L);
		CHECK(decay_limit(d) < most + 1.01L + npages / (long double)(1u << 24));
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

TEST(an_epoch_ends_in_its_second_interval_and_not_always_at_the_same_point)
{
	uint64_t now = SECOND, least = UINT64_MAX, most = 0;
	struct decay *d = new_decay(1000, now);

	for (unsigned i = 0; i < 1000; i++) {
		const uint64_t jitter = d->deadline_ns - d->epoch_ns - INTERVAL;
		CHECK(d->deadline_ns >= d->epoch_ns + INTERVAL && jitter <= INTERVAL);
		least = jitter < least ? jitter : least;
		most = jitter > most ? jitter : most;
		CHECK(!decay_advance(d, d->deadline_ns - 1, 0));
		now = d->deadline_ns;
		CHECK(decay_advance(d, now, 0));
		/* Epochs begin on a grid: jitter does not add up. */
		CHECK_EQ((d->epoch_ns - SECOND) % INTERVAL, 0);
		CHECK(d->epoch_ns <= now && now - d->epoch_ns < INTERVAL);
	}
	CHECK(least < INTERVAL / 50 && most > INTERVAL - INTERVAL / 50);
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

TEST(a_clock_that_steps_back_begins_an_epoch_and_loses_none)
{
	struct decay *d = new_decay(1000, 1000 * SECOND);

	CHECK(decay_advance(d, 1000 * SECOND + 2 * INTERVAL, 50000000));
	const size_t before = decay_limit(d);
	CHECK(!decay_advance(d, SECOND, 50000000));
	CHECK_EQ(decay_limit(d), before);
	CHECK(d->deadline_ns >= SECOND + INTERVAL);
	CHECK(d->deadline_ns <= SECOND + 2 * INTERVAL);
	CHECK(decay_advance(d, SECOND + 2 * INTERVAL, 50000000));
	CHECK(decay_limit(d) < before);
	/* To before it began, and to the end of time. */
	CHECK(!decay_advance(d, 0, 50000000));
	CHECK(decay_advance(d, UINT64_MAX - SECOND, 50000000));
	CHECK_EQ(decay_limit(d), 0);
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

TEST(one_millisecond_is_a_curve_like_any)
{
	struct decay *d = new_decay(1, SECOND);

	for (unsigned k = 1; k < DECAY_EPOCHS; k += 2) {
		CHECK(decay_advance(d, SECOND + (k + 1) * 5000, 100000));
		CHECK(is_limit(decay_limit(d),
		    share_at(k / (long double)DECAY_EPOCHS) * 100000, 100000));
	}
}

TEST(the_longest_time_overflows_nowhere)
{
	const uint64_t interval = (uint64_t)DECAY_MS_MAX * MS_NS / DECAY_EPOCHS;
	struct decay *d = new_decay(DECAY_MS_MAX, SECOND);

	CHECK_EQ(load_relaxed(&d->interval_ns), interval);
	CHECK(d->deadline_ns >= SECOND + interval);
	CHECK(d->deadline_ns <= SECOND + 2 * interval);
	CHECK(!decay_advance(d, SECOND + interval - 1, 1000));
	CHECK(decay_advance(d, SECOND + 2 * interval, 1000));
	CHECK(decay_limit(d) == 999 || decay_limit(d) == 1000);
	const uint64_t due = decay_ns_until(d, SECOND + 2 * interval, 1000, 1024);
	CHECK(due <= DECAY_EPOCHS * interval && due >= (DECAY_EPOCHS - 2) * interval);
	CHECK(decay_advance(d, UINT64_MAX, 1000));
	CHECK_EQ(decay_limit(d), 0);
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

/* Epoch by epoch, without jitter: in how many intervals may more than `threshold' go? */
static unsigned
intervals_until(struct decay *d, size_t npages, size_t threshold)
{
	unsigned n = 0;

	do {
		d->deadline_ns = d->epoch_ns;
		CHECK(decay_advance(d, d->epoch_ns + load_relaxed(&d->interval_ns),
		    npages));
		n++;
	} while (n < DECAY_EPOCHS && npages <= decay_limit(d) + threshold);
	return n;
}

TEST(time_until_work_is_what_epoch_by_epoch_would_show)
{
	uint64_t seed = test_seed();

	for (unsigned round = 0; round < 300; round++) {
		uint64_t now = SECOND;
		struct decay *d = new_decay(1000, now);
		size_t npages = 0;
		const unsigned n = (unsigned)test_random_below(&seed, 50);
		for (unsigned i = 0; i < n; i++) {
			npages += test_random_below(&seed, 3000);
			now += 2 * INTERVAL * (1 + test_random_below(&seed, 4));
			CHECK(decay_advance(d, now, npages));
		}
		npages += 1 + test_random_below(&seed, 3000);
		const size_t threshold = test_random_below(&seed, 2000);
		const uint64_t from = d->epoch_ns, deadline = d->deadline_ns - from;
		const uint64_t due = decay_ns_until(d, from, npages, threshold);
		const uint64_t exact = intervals_until(d, npages, threshold) * INTERVAL;
		CHECK_EQ(due, exact > deadline ? exact : deadline);
	}
}

TEST(pages_are_as_old_as_the_last_of_them_however_late_somebody_looks)
{
	struct decay *d = new_decay(1000, SECOND);

	/* Some are counted; more come 7 ms later, and nobody looks for half a decay time. */
	CHECK(decay_advance(d, SECOND + 2 * INTERVAL, 100000));
	decay_come(d, SECOND + 2 * INTERVAL + 7 * MS_NS, 100000);
	CHECK(decay_advance(d, SECOND + 102 * INTERVAL, 300000));
	CHECK(is_limit(decay_limit(d),
	    share_at(101 / 200.0L) * 100000 + share_at(99 / 200.0L) * 200000, 300000));
	CHECK(decay_advance(d, SECOND + 210 * INTERVAL, 300000));
	CHECK_EQ(decay_limit(d), 0);
	/* Before this epoch, or after it: not known, so fresh. */
	d->came_ns = SECOND + 205 * INTERVAL;
	CHECK(decay_advance(d, SECOND + 250 * INTERVAL, 400000));
	CHECK(decay_limit(d) > 99990 && decay_limit(d) <= 100000);
	d->came_ns = 2000 * SECOND;
	CHECK(decay_advance(d, SECOND + 500 * INTERVAL, 500000));
	CHECK(decay_limit(d) > 99990 && decay_limit(d) <= 100000);
}

TEST(pages_that_come_do_not_make_those_young_that_came_before_a_pause)
{
	struct decay *d = new_decay(1000, SECOND);

	decay_come(d, SECOND + 1, 0);
	/* 100000 came then, and one more after a decay time, before anybody looks. */
	decay_come(d, SECOND + 250 * INTERVAL, 100000);
	CHECK(decay_advance(d, SECOND + 250 * INTERVAL, 100001));
	CHECK(decay_limit(d) <= 1);
	CHECK_EQ(decay_fresh(d, 100001), 1);
	/* That an epoch has ended is told once. */
	CHECK(!decay_advance(d, SECOND + 250 * INTERVAL, 100001));
	/* Many that come without a pause are one epoch after the other, too. */
	size_t n = 100001;
	uint64_t now = SECOND + 250 * INTERVAL;
	for (unsigned i = 0; i < 4000; i++, now += INTERVAL / 10, n += 10)
		decay_come(d, now, n);
	CHECK(decay_advance(d, now + INTERVAL, n));
	CHECK(decay_limit(d) <= n - 100000);
}
