/* SPDX-License-Identifier: MIT */
/*
 * The record of a pageslab beside two arrays of bool, for pages of 4, 16 and 64 KiB.
 */
#include "page/hpdata.h"

#define TEST_OWN_MAIN
#include "harness/test.h"

#define ADDR ((uintptr_t)7 << CONFIG_LG_HUGEPAGE)

static struct hpdata ps;
static bool active[HPDATA_PAGES_MAX], touched[HPDATA_PAGES_MAX];
static uint64_t seed;

static const size_t page_sizes[] = { (size_t)4 << 10, (size_t)16 << 10,
	(size_t)64 << 10 };

/* A test body for each size of the page that the pageslab has room for. */
static void
for_each_page_size(void (*body)(void))
{
	const size_t saved = os_page_size;

	for (unsigned i = 0; i < COUNT_OF(page_sizes); i++) {
		os_page_size = page_sizes[i];
		if (os_page_size < (size_t)1 << CONFIG_LG_PAGE
		    || hpdata_pages() > HPDATA_PAGES_MAX || hpdata_pages() < 4)
			continue;
		memset(active, 0, sizeof(active));
		memset(touched, 0, sizeof(touched));
		hpdata_init(&ps, ADDR, 1);
		hpdata_check(&ps);
		body();
	}
	os_page_size = saved;
}

static unsigned
below(unsigned n)
{
	return (unsigned)test_random_below(&seed, n);
}

/* Length of the run of pages that are not active from `page' on. */
static unsigned
model_run(unsigned page)
{
	unsigned n = 0;

	while (page + n < hpdata_pages() && !active[page + n])
		n++;
	return n;
}

static void
check(void)
{
	unsigned n_active = 0, n_touched = 0, longest = 0;

	hpdata_check(&ps);
	for (unsigned i = 0; i < hpdata_pages(); i++) {
		n_active += active[i];
		n_touched += touched[i];
		REQUIRE(bitmap_get(ps.active, i) == active[i]);
		REQUIRE(bitmap_get(ps.touched, i) == touched[i]);
		if (i == 0 || active[i - 1])
			longest = model_run(i) > longest ? model_run(i) : longest;
	}
	REQUIRE(ps.n_active == n_active && ps.n_touched == n_touched);
	REQUIRE(ps.longest_free == longest);
	REQUIRE(hpdata_dirty(&ps) == n_touched - n_active);
	REQUIRE(hpdata_is_empty(&ps) == (n_active == 0));
	REQUIRE(hpdata_is_full(&ps) == (n_active == hpdata_pages()));
}

static unsigned
reserve(unsigned n)
{
	unsigned first = 0, n_untouched = 0, n_fresh = 12345;

	while (model_run(first) < n)
		first++;
	for (unsigned i = first; i < first + n; i++) {
		n_untouched += !touched[i];
		active[i] = touched[i] = true;
	}
	CHECK_EQ(hpdata_reserve(&ps, n, &n_fresh), first);
	CHECK_EQ(n_fresh, n_untouched);
	check();
	return first;
}

static void
release(unsigned page, unsigned n)
{
	hpdata_release(&ps, page, n);
	memset(active + page, 0, n);
	check();
}

/* Purge with room for n_ranges at a time; all that is dirty is met, nothing that is active. */
static void
purge(unsigned n_ranges)
{
	struct hpdata_range ranges[HPDATA_PAGES_MAX / 2 + 1], before = { 0, 0 };
	unsigned next = 0, n, n_dirty = 0;
	const unsigned all_dirty = hpdata_dirty(&ps);
	bool covered[HPDATA_PAGES_MAX] = { false };

	while ((n = hpdata_purge_ranges(&ps, &next, ranges, n_ranges, &n_dirty)) != 0)
		for (unsigned i = 0; i < n; i++) {
			const unsigned page = ranges[i].page, end = page + ranges[i].n;
			bool dirty = false;
			/* In order, maximal, and with a reason. */
			REQUIRE(page >= before.page + before.n && ranges[i].n != 0);
			REQUIRE(page == 0 || active[page - 1]);
			REQUIRE(model_run(page) == ranges[i].n);
			for (unsigned j = page; j < end; j++) {
				dirty |= touched[j];
				covered[j] = true;
			}
			REQUIRE(dirty || ps.is_huge);
			before = ranges[i];
			hpdata_purged(&ps, ranges[i]);
			memset(touched + page, 0, ranges[i].n);
			check();
		}
	CHECK_EQ(n_dirty, all_dirty);
	CHECK_EQ(hpdata_dirty(&ps), 0);
	for (unsigned i = 0; i < hpdata_pages() && ps.is_huge; i++)
		CHECK_EQ(covered[i], !active[i]);
}

static void
body_fill_and_empty(void)
{
	const unsigned n_pages = hpdata_pages();

	for (unsigned i = 0; i < n_pages; i++)
		CHECK_EQ(reserve(1), i);
	CHECK(hpdata_is_full(&ps) && ps.longest_free == 0);
	release(1, 2);
	CHECK_EQ(reserve(2), 1);
	release(0, n_pages);
	CHECK_EQ(ps.longest_free, n_pages);
	CHECK_EQ(hpdata_dirty(&ps), n_pages);
	CHECK_EQ(reserve(n_pages), 0);
	release(0, n_pages);
	purge(1);
	CHECK_EQ(ps.n_touched, 0);
}

TEST(what_is_full_has_no_room_and_what_is_empty_has_all)
{
	for_each_page_size(body_fill_and_empty);
}

static void
body_fresh(void)
{
	unsigned n_fresh;

	CHECK_EQ(hpdata_reserve(&ps, 2, &n_fresh), 0);
	CHECK_EQ(n_fresh, 2);
	hpdata_release(&ps, 0, 2);
	CHECK_EQ(hpdata_reserve(&ps, 3, &n_fresh), 0);
	CHECK_EQ(n_fresh, 1);
	hpdata_release(&ps, 0, 3);
	hpdata_purged(&ps, (struct hpdata_range){ 0, 3 });
	CHECK_EQ(hpdata_reserve(&ps, 3, &n_fresh), 0);
	CHECK_EQ(n_fresh, 3);
}

TEST(only_what_was_not_touched_since_its_purge_is_fresh)
{
	for_each_page_size(body_fresh);
}

static void
body_model(void)
{
	uint16_t at[HPDATA_PAGES_MAX], size[HPDATA_PAGES_MAX];
	unsigned n_live = 0;

	for (unsigned step = 0; step < 1500; step++) {
		const unsigned what = below(100);
		const unsigned grow = step / 100 % 2 ? 60 : 30;
		ps.is_huge = step / 300 % 2 != 0;
		if (what < grow && ps.longest_free != 0) {
			const unsigned most = below(8) == 0 ? ps.longest_free : 9;
			const unsigned n =
			    1 + below(most < ps.longest_free ? most : ps.longest_free);
			size[n_live] = (uint16_t)n;
			at[n_live++] = (uint16_t)reserve(n);
		} else if (what < 95 && n_live != 0) {
			const unsigned i = below(n_live--);
			release(at[i], size[i]);
			at[i] = at[n_live];
			size[i] = size[n_live];
		} else if (what >= 95) {
			purge(1 + below(5));
		}
	}
}

TEST(it_agrees_with_arrays_of_bool)
{
	seed = test_seed();
	for_each_page_size(body_model);
}

int
main(int argc, char **argv)
{
	/* No use is made of such huge pages. */
	if (hpdata_pages() > HPDATA_PAGES_MAX || hpdata_pages() < 4)
		return 77;
	return test_run(argc, argv);
}
