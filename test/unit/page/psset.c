/* SPDX-License-Identifier: MIT */
#include "page/psset.h"

#include "harness/test.h"

static struct psset set;
static struct hpdata slabs[40];
static unsigned n_slabs;

static void
reset(void)
{
	psset_init(&set);
	psset_check(&set);
	n_slabs = 0;
}

/* One more pageslab, younger than all, with n_active pages active. */
static struct hpdata *
add(unsigned n_active)
{
	struct hpdata *ps = &slabs[n_slabs++];
	unsigned n_fresh;

	hpdata_init(ps, (uintptr_t)n_slabs << CONFIG_LG_HUGEPAGE, n_slabs);
	if (n_active != 0)
		CHECK_EQ(hpdata_reserve(ps, n_active, &n_fresh), 0);
	psset_insert(&set, ps);
	psset_check(&set);
	return ps;
}

TEST(classes_ascend_and_have_lower_bounds)
{
	CHECK_EQ(psset_class(1), 0);
	CHECK(psset_class(HPDATA_PAGES_MAX) < PSSET_CLASSES);
	for (unsigned n = 2; n <= HPDATA_PAGES_MAX; n++) {
		const unsigned step = psset_class(n) - psset_class(n - 1);
		CHECK(step <= 1);
		CHECK(step == 1 || n > 32);
	}
}

TEST(an_empty_set_gives_nothing)
{
	reset();
	CHECK(psset_pick_alloc(&set, 1) == NULL);
	CHECK(psset_pick_purge(&set, UINT64_MAX) == NULL);
	CHECK(psset_pick_hugify(&set) == NULL);
	CHECK_EQ(psset_purge_since(&set), UINT64_MAX);
}

TEST(the_fullest_that_suffices_is_taken_then_the_oldest_then_an_empty_one)
{
	const unsigned all = hpdata_pages();

	reset();
	struct hpdata *empty = add(0), *full = add(all), *half = add(all / 2);
	struct hpdata *old = add(all - 3), *young = add(all - 3), *last = add(0);
	CHECK(psset_pick_alloc(&set, 1) == old);
	CHECK(psset_pick_alloc(&set, 3) == old);
	CHECK(psset_pick_alloc(&set, 4) == half);
	CHECK(psset_pick_alloc(&set, all / 2) == half);
	CHECK(psset_pick_alloc(&set, all / 2 + 1) == last);
	psset_remove(&set, old);
	CHECK(psset_pick_alloc(&set, 2) == young);
	psset_remove(&set, last);
	CHECK(psset_pick_alloc(&set, all) == empty);
	psset_update_begin(&set, full);
	hpdata_release(full, 5, 1);
	psset_update_end(&set, full);
	psset_check(&set);
	CHECK(psset_pick_alloc(&set, 1) == full);
}
