/* SPDX-License-Identifier: MIT */
#include "page/pac_purge.h"

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
