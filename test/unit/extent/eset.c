/* SPDX-License-Identifier: MIT */
#include "extent/eset.h"

#include "base/bits.h"
#include "harness/test.h"
#include "meta/rtree.h"
#include "os/pages.h"

#define RECORDS 300

static struct eset eset;
static _Alignas(EDATA_ALIGNMENT) struct edata records[RECORDS];

static void
reset(void)
{
	memset(&eset, 0, sizeof eset);
	memset(records, 0, sizeof records);
	eset_init(&eset);
}

static struct edata *
insert(unsigned i, size_t page, size_t pages, uint64_t sn)
{
	struct edata *e = &records[i];

	e->addr = ((uintptr_t)1 << 40) + page * os_page_size;
	e->size = pages * os_page_size;
	e->sn = sn;
	list_init(&e->link);
	eset_insert(&eset, e);
	return e;
}

TEST(classes_enclose_every_size)
{
	for (size_t n = 1; n < 5000; n++) {
		const size_t size = n << LG_GRANULE;
		const unsigned floor = eset_class_floor(size),
			       ceil = eset_class_ceil(size);
		CHECK(eset_class_size(floor) <= size
		    && size < eset_class_size(floor + 1));
		CHECK(eset_class_size(ceil) >= size);
		CHECK(ceil == floor
		    || (ceil == floor + 1 && eset_class_size(floor) < size));
	}
	/* Four a doubling: a class is at most a quarter larger than the one before. */
	for (unsigned class = 4; class < ESET_CLASSES; class ++)
		CHECK(eset_class_size(class) * 4 <= eset_class_size(class - 1) * 5);
	CHECK(eset_class_floor((size_t)1 << RTREE_VADDR_BITS) < ESET_CLASSES);
}

TEST(an_empty_set_has_nothing)
{
	reset();
	CHECK(eset_fit(&eset, os_page_size, os_page_size, SIZE_MAX) == NULL);
	CHECK(eset_oldest(&eset) == NULL);
	eset_check(&eset);
}

TEST(among_equals_the_oldest_mapping_and_lowest_address_wins)
{
	reset();
	(void)insert(0, 100, 8, 7);
	struct edata *second = insert(1, 300, 8, 3);
	struct edata *first = insert(2, 200, 8, 3);
	CHECK(eset_fit(&eset, 8 * os_page_size, os_page_size, SIZE_MAX) == first);
	eset_remove(&eset, first);
	CHECK(eset_fit(&eset, 8 * os_page_size, os_page_size, SIZE_MAX) == second);
}

TEST(the_one_that_came_first_is_the_oldest)
{
	reset();
	struct edata *first = insert(0, 0, 3, 9), *second = insert(1, 10, 1, 1);
	CHECK(eset_oldest(&eset) == first);
	eset_remove(&eset, first);
	CHECK(eset_oldest(&eset) == second);
}

TEST(no_extent_of_a_class_above_the_limit_is_cut)
{
	reset();
	struct edata *e = insert(0, 0, 128, 1);
	CHECK(eset_fit(&eset, os_page_size, os_page_size, 64 * os_page_size) == NULL);
	CHECK(eset_fit(&eset, os_page_size, os_page_size, 128 * os_page_size) == e);
}

TEST(sizes_within_a_class_differ_and_all_are_found)
{
	/* 17 .. 19 pages share a class on 4 KiB pages: the fitting one is not its first. */
	reset();
	(void)insert(0, 0, 17, 1);
	(void)insert(1, 100, 18, 2);
	struct edata *e = insert(2, 200, 19, 3);
	CHECK(eset_fit(&eset, 19 * os_page_size, os_page_size, SIZE_MAX) == e);
}

TEST(an_aligned_place_within_a_larger_extent_is_found)
{
	reset();
	/* 16 pages aligned to 16 lie in [16, 32), but the extent is no larger than 31 pages. */
	struct edata *e = insert(0, 1, 31, 1);
	CHECK(eset_fit(&eset, 16 * os_page_size, 16 * os_page_size, SIZE_MAX) == e);
	CHECK(eset_fit(&eset, 16 * os_page_size, 64 * os_page_size, SIZE_MAX) == NULL);
	eset_remove(&eset, e);
	e = insert(0, 64, 16, 1);
	CHECK(eset_fit(&eset, 16 * os_page_size, 64 * os_page_size, SIZE_MAX) == e);
}

TEST(what_fits_is_found_and_counts_agree_after_any_operations)
{
	uint64_t seed = test_seed();
	bool present[RECORDS] = { false };
	size_t n_pages = 0, n_missed = 0;

	reset();
	for (unsigned step = 0; step < 20000; step++) {
		const unsigned i = (unsigned)test_random_below(&seed, RECORDS);
		if (present[i]) {
			eset_remove(&eset, &records[i]);
			n_pages -= records[i].size / os_page_size;
		} else {
			const size_t pages = 1
			    + test_random_below(&seed,
				(size_t)1 << test_random_below(&seed, 10));
			(void)insert(i, i * 2048 + test_random_below(&seed, 64), pages,
			    test_random_below(&seed, 5));
			n_pages += pages;
		}
		present[i] = !present[i];
		CHECK_EQ(load_relaxed(&eset.npages), n_pages * (os_page_size / GRANULE));
		if (step % 50 == 0)
			eset_check(&eset);

		const size_t size = (1 + test_random_below(&seed, 600)) * os_page_size;
		const size_t alignment = os_page_size << (step % 4 == 0 ? step % 7 : 0);
		const struct edata *e = eset_fit(&eset, size, alignment, SIZE_MAX);
		if (e != NULL) {
			CHECK(align_up(e->addr, alignment) + size <= edata_end(e));
			continue;
		}
		/* Missed only what lies deep in a class, or is aligned by luck. */
		for (unsigned j = 0; j < RECORDS; j++)
			n_missed += present[j] && alignment == os_page_size
			    && eset_class_floor(records[j].size) >= eset_class_ceil(size);
	}
	CHECK_EQ(n_missed, 0);
}
