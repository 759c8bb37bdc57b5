/* SPDX-License-Identifier: MIT */
#include "page/pac_purge.h"

#include <limits.h>

#include "base/bits.h"
#include "config/options.h"
#include "harness/region.h"
#include "os/inject.h"

#define EXTENTS 20

static struct pac_fixture fixture;
static unsigned n_advised, fail_at;

static int
count_advice(const char *what)
{
	return strcmp(what, "advise") == 0 && ++n_advised == fail_at ? ENOMEM : 0;
}

static bool
is_zero(const struct edata *e)
{
	const uint64_t *p = edata_base(e);

	for (size_t i = 0; i < e->size / sizeof *p; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* That many dirty extents that cannot merge, full of ones. */
static void
make_dirty(struct pac *pac, struct edata **between)
{
	struct edata *e[EXTENTS];

	for (unsigned i = 0; i < EXTENTS; i++) {
		e[i] = fixture_alloc(pac, 3, os_page_size, false);
		between[i] = fixture_alloc(pac, 1, os_page_size, false);
		memset(edata_base(e[i]), 1, e[i]->size);
	}
	for (unsigned i = 0; i < EXTENTS; i++)
		fixture_dalloc(pac, e[i]);
	CHECK_EQ(pac_dirty_pages(pac), 3 * EXTENTS);
}

static void
free_between(struct pac *pac, struct edata **between)
{
	for (unsigned i = 0; i < EXTENTS; i++)
		fixture_dalloc(pac, between[i]);
	pac_decay(pac, PURGE_EVERYTHING);
	fixture_close(&fixture);
}

/* What was purged reads as zero when it is used again, without having been written. */
static void
check_zero(struct pac *pac)
{
	struct edata *e[EXTENTS];

	for (unsigned i = 0; i < EXTENTS; i++) {
		e[i] = fixture_alloc(pac, 3, os_page_size, true);
		for (size_t j = 0; j < e[i]->size; j++)
			REQUIRE(((char *)edata_base(e[i]))[j] == 0);
	}
	for (unsigned i = 0; i < EXTENTS; i++)
		fixture_dalloc(pac, e[i]);
}

/* System calls that purging all of it takes. */
static unsigned
calls_with_batch(size_t batch, unsigned failing)
{
	struct pac *pac = fixture_open(&fixture, &ehooks_default);
	struct edata *between[EXTENTS];

	make_dirty(pac, between);
	opt.process_madvise_max_batch = batch;
	n_advised = 0;
	fail_at = failing;
	os_inject = count_advice;
	pac_decay(pac, PURGE_EVERYTHING);
	os_inject = NULL;
	opt.process_madvise_max_batch = 0;
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK_EQ(load_relaxed(&pac->stats.purged[DECAY_DIRTY].n_pages), 3 * EXTENTS);
	pac_check(pac);
	check_zero(pac);
	free_between(pac, between);
	return n_advised;
}

TEST(a_batch_of_extents_is_purged_by_one_call)
{
	if (!CONFIG_DEBUG)
		SKIP("only debug builds count system calls");
	if (!os_pages_can_purge_many())
		SKIP("no process_madvise for one's own memory");
	opt.trust_madvise = true;
	CHECK_EQ(calls_with_batch(0, 0), EXTENTS);
	CHECK_EQ(calls_with_batch(1, 0), EXTENTS);
	CHECK_EQ(calls_with_batch(8, 0), 3);
	CHECK_EQ(calls_with_batch(128, 0), 1);
	/* What the one call does not do is done one by one. */
	CHECK_EQ(calls_with_batch(8, 1), 8 + 3);
	opt.trust_madvise = false;
}

/* ---- when, and how far ---- */

static struct pac *
open_default(void)
{
	return fixture_open(&fixture, &ehooks_default);
}

TEST(purging_everything_leaves_nothing_backed)
{
	struct pac *pac = open_default();
	struct edata *e = fixture_alloc(pac, 100, os_page_size, false);

	memset(edata_base(e), 1, e->size);
	fixture_dalloc(pac, e);
	pac_decay(pac, PURGE_EVERYTHING);
	CHECK_EQ(pac_dirty_pages(pac) + pac_muzzy_pages(pac), 0);
	CHECK_EQ(load_relaxed(&pac->stats.mapped), 0);
	CHECK_EQ(load_relaxed(&pac->stats.purged[DECAY_DIRTY].n_pages), 100);
	e = fixture_alloc(pac, 100, os_page_size, true);
	CHECK(is_zero(e));
	fixture_dalloc(pac, e);
	fixture_close(&fixture);
}

TEST(dirty_pages_pass_through_muzzy_where_that_decays)
{
	struct pac *pac = open_default();
	struct edata *e = fixture_alloc(pac, 100, os_page_size, false);

	if (!os_has_lazy_free)
		SKIP("no MADV_FREE");
	fixture_dalloc(pac, e);
	CHECK(pac_set_decay_ms(pac, DECAY_DIRTY, 0, true));
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK_EQ(pac_muzzy_pages(pac), 100);
	pac_check(pac);
	CHECK(pac_set_decay_ms(pac, DECAY_MUZZY, 0, true));
	CHECK_EQ(pac_muzzy_pages(pac), 0);
	fixture_close(&fixture);
}

TEST(with_a_decay_time_of_0_nothing_stays_dirty)
{
	struct pac *pac = open_default();

	CHECK(pac_set_decay_ms(pac, DECAY_DIRTY, 0, true));
	CHECK(pac_set_decay_ms(pac, DECAY_MUZZY, 0, true));
	struct edata *e = fixture_alloc(pac, 30, os_page_size, false);
	bool deferred = false;
	CHECK(pac->pai.shrink(&pac->pai, e, 10 * os_page_size, &deferred));
	CHECK_EQ(pac_dirty_pages(pac), 0);
	fixture_dalloc(pac, e);
	CHECK_EQ(pac_dirty_pages(pac) + pac_muzzy_pages(pac), 0);
	CHECK_EQ(pac->pai.time_until_deferred_work(&pac->pai), DEFERRED_NEVER);
	fixture_close(&fixture);
}

TEST(a_decay_time_out_of_range_is_refused_and_changes_nothing)
{
	struct pac *pac = open_default();

	CHECK(!pac_set_decay_ms(pac, DECAY_DIRTY, -2, true));
	CHECK(!pac_set_decay_ms(pac, DECAY_DIRTY, SSIZE_MAX, true));
	CHECK_EQ(pac_decay_ms(pac, DECAY_DIRTY), -1);
	fixture_close(&fixture);
}

#define MIB ((size_t)1 << 20)

static size_t
dirty_mib(struct pac *pac)
{
	return pac_dirty_pages(pac) * os_page_size / MIB;
}

/* A peak of 64 MiB, and what is left of it. */
static void
make_trough(struct pac *pac)
{
	struct edata *e =
	    fixture_alloc(pac, 64 * MIB / os_page_size, os_page_size, false);
	bool deferred = false;

	pac->pai.dalloc(&pac->pai, e, &deferred);
	CHECK(deferred);
	pac_decay(pac, PURGE_BY_CURVE);
	pac_check(pac);
}

static void
let_pass(struct pac *pac, uint64_t ns)
{
	store_relaxed(&pac->peak_since_ns, load_relaxed(&pac->peak_since_ns) - ns);
	store_relaxed(&pac->forgone_ns, load_relaxed(&pac->forgone_ns) - ns);
}

TEST(dirty_pages_are_bounded_by_amount)
{
	struct pac *pac = open_default();

	store_relaxed(&pac->bounded, true);
	make_trough(pac);
	CHECK_EQ(dirty_mib(pac), 4);
	fixture_close(&fixture);
}

TEST(demand_that_comes_back_within_a_second_is_kept_from_then_on)
{
	struct pac *pac = open_default();

	store_relaxed(&pac->bounded, true);
	make_trough(pac);
	make_trough(pac);
	CHECK(dirty_mib(pac) >= 64);
	/* Two seconds without demand: what is kept was kept in vain. */
	let_pass(pac, UINT64_C(3000000000));
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK_EQ(dirty_mib(pac), 4);
	pac_check(pac);
	/* So the next trough is a first one again. */
	let_pass(pac, UINT64_C(3000000000));
	pac_decay(pac, PURGE_BY_CURVE);
	make_trough(pac);
	CHECK_EQ(dirty_mib(pac), 4);
	fixture_close(&fixture);
}

TEST(demand_that_what_was_kept_suffices_for_is_not_waited_for)
{
	struct pac *pac = open_default();

	store_relaxed(&pac->bounded, true);
	make_trough(pac);
	struct edata *e = fixture_alloc(pac, 3 * MIB / os_page_size, os_page_size, false);
	fixture_dalloc(pac, e);
	make_trough(pac);
	fixture_close(&fixture);
	CHECK(load_relaxed(&pac->is_trusted));
	pac = open_default();
	store_relaxed(&pac->bounded, true);
	make_trough(pac);
	e = fixture_alloc(pac, 3 * MIB / os_page_size, os_page_size, false);
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK(!load_relaxed(&pac->is_trusted));
	fixture_dalloc(pac, e);
	fixture_close(&fixture);
}

TEST(trust_goes_no_deeper_than_the_troughs_that_earned_it)
{
	struct pac *pac = open_default();

	store_relaxed(&pac->bounded, true);
	struct edata *held =
	    fixture_alloc(pac, 32 * MIB / os_page_size, os_page_size, false);
	make_trough(pac);
	CHECK_EQ(dirty_mib(pac), 8);
	make_trough(pac);
	CHECK(dirty_mib(pac) >= 64);
	CHECK(pac_trusts_demand(pac));
	/* Now nothing is active: nothing like it has come back yet. */
	fixture_dalloc(pac, held);
	CHECK(!pac_trusts_demand(pac));
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK_EQ(dirty_mib(pac), 4);
	/* If it does, the next one is trusted. */
	held = fixture_alloc(pac, 96 * MIB / os_page_size, os_page_size, false);
	fixture_dalloc(pac, held);
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK(dirty_mib(pac) >= 96);
	pac_check(pac);
	fixture_close(&fixture);
}

TEST(where_demand_is_trusted_pieces_that_do_not_fit_may_stay)
{
	enum { N = 64 };
	struct pac *pac = open_default();
	struct edata *e[N], *f[N / 8];

	store_relaxed(&pac->bounded, true);
	make_trough(pac);
	make_trough(pac);
	for (unsigned i = 0; i < N; i++)
		e[i] = fixture_alloc(pac, MIB / os_page_size, os_page_size, false);
	for (unsigned i = 0; i < N; i += 2)
		fixture_dalloc(pac, e[i]);
	for (unsigned i = 0; i < N / 8; i++)
		f[i] = fixture_alloc(pac, 2 * MIB / os_page_size, os_page_size, false);
	const size_t dirty = dirty_mib(pac);
	CHECK(dirty >= N / 2 - 4);
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK_EQ(dirty_mib(pac), dirty);
	for (unsigned i = 1; i < N; i += 2)
		fixture_dalloc(pac, e[i]);
	for (unsigned i = 0; i < N / 8; i++)
		fixture_dalloc(pac, f[i]);
	fixture_close(&fixture);
}

TEST(an_explicit_decay_time_switches_the_bound_off)
{
	struct pac *pac = open_default();

	store_relaxed(&pac->bounded, true);
	CHECK(pac_set_decay_ms(pac, DECAY_DIRTY, -1, true));
	struct edata *e = fixture_alloc(pac, 4096, os_page_size, false);
	fixture_dalloc(pac, e);
	store_relaxed(&pac->peak_since_ns, 0);
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK_EQ(pac_dirty_pages(pac), 4096);
	fixture_close(&fixture);
}

TEST(an_oversize_extent_is_purged_as_soon_as_it_is_freed)
{
	struct pac *pac = fixture_open(&fixture, &ehooks_default);
	struct edata *small = fixture_alloc(pac, 15, os_page_size, false);
	struct edata *large = fixture_alloc(pac, 16, os_page_size, false);

	CHECK_EQ(pac_oversize_threshold(pac), opt.oversize_threshold);
	pac_set_oversize_threshold(pac, 16 * os_page_size);
	REQUIRE(pac_set_decay_ms(pac, DECAY_DIRTY, 100000, true));
	fixture_dalloc(pac, small);
	CHECK_EQ(pac_dirty_pages(pac), 15);
	memset(edata_base(large), 1, large->size);
	fixture_dalloc(pac, large);
	CHECK_EQ(pac_dirty_pages(pac), 15);
	CHECK_EQ(load_relaxed(&pac->stats.purged[DECAY_DIRTY].n_pages), 16);
	/* Pages that never decay stay. */
	REQUIRE(pac_set_decay_ms(pac, DECAY_DIRTY, -1, true));
	large = fixture_alloc(pac, 16, os_page_size, true);
	CHECK(is_zero(large));
	fixture_dalloc(pac, large);
	CHECK(pac_dirty_pages(pac) >= 16);
	REQUIRE(pac_set_decay_ms(pac, DECAY_DIRTY, 100000, true));
	pac_set_oversize_threshold(pac, SC_LARGE_MIN - 1);
	fixture_dalloc(pac, fixture_alloc(pac, 100, os_page_size, false));
	CHECK(pac_dirty_pages(pac) >= 100);
	fixture_close(&fixture);
}

TEST(used_memory_is_zeroed_by_purging_from_the_threshold_on)
{
	const size_t threshold = opt.calloc_madvise_threshold;

	if (!CONFIG_DEBUG)
		SKIP("only debug builds count system calls");
	opt.trust_madvise = true;
	opt.calloc_madvise_threshold = 64 * os_page_size;
	for (unsigned npages = 63; npages <= 64; npages++) {
		struct pac *pac = fixture_open(&fixture, &ehooks_default);
		struct edata *e = fixture_alloc(pac, npages, os_page_size, false);
		memset(edata_base(e), 1, e->size);
		fixture_dalloc(pac, e);
		n_advised = fail_at = 0;
		os_inject = count_advice;
		e = fixture_alloc(pac, npages, os_page_size, true);
		os_inject = NULL;
		CHECK_EQ(n_advised, npages == 64);
		CHECK(is_zero(e));
		fixture_dalloc(pac, e);
		fixture_close(&fixture);
	}
	opt.calloc_madvise_threshold = threshold;
	opt.trust_madvise = false;
}
