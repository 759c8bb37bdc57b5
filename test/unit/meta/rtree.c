/* SPDX-License-Identifier: MIT */
#include "meta/rtree.h"

#include <pthread.h>

#include "config/options.h"
#include "harness/test.h"
#include "harness/vmflags.h"
#include "os/inject.h"
#include "os/pages.h"

#define LEAF_SPAN ((uintptr_t)1 << RTREE_LG_LEAF_SPAN)

/* Far from what the kernel maps by itself; nothing is mapped there, the tree does not mind. */
#define NOWHERE (5 * LEAF_SPAN)

TEST(what_was_never_covered_reads_as_empty)
{
	CHECK(rtree_find(NOWHERE) == NULL);
	CHECK_EQ(rtree_read(NOWHERE), 0);
	CHECK_EQ(rtree_read(0), 0);
	CHECK_EQ(rtree_read(UINTPTR_MAX), 0);
	CHECK_EQ(rtree_read((uintptr_t)1 << RTREE_VADDR_BITS), 0);
	CHECK(rtree_find((uintptr_t)1 << 63) == NULL);
}

TEST(every_granule_of_a_covered_range_has_a_word_of_its_own)
{
	const uintptr_t first = 2 * NOWHERE - 3 * GRANULE,
			end = 2 * NOWHERE + 3 * GRANULE;

	REQUIRE(rtree_cover(first, end));
	for (uintptr_t a = first; a < end; a += GRANULE) {
		REQUIRE(rtree_find(a) != NULL);
		CHECK_EQ(rtree_read(a), 0);
		store_release(rtree_find(a), a + 1);
	}
	for (uintptr_t a = first; a < end; a += GRANULE) {
		CHECK_EQ(rtree_read(a), a + 1);
		CHECK_EQ(rtree_read(a + GRANULE - 1), a + 1);
		store_release(rtree_find(a), 0);
	}
}

TEST(covering_again_changes_nothing)
{
	REQUIRE(rtree_cover(3 * NOWHERE, 3 * NOWHERE + GRANULE));
	store_release(rtree_find(3 * NOWHERE), 42);
	const size_t mapped = rtree_mapped_bytes();
	CHECK(rtree_cover(3 * NOWHERE - GRANULE + LEAF_SPAN / 2,
	    3 * NOWHERE + LEAF_SPAN));
	CHECK_EQ(rtree_read(3 * NOWHERE), 42);
	CHECK_EQ(rtree_mapped_bytes(), mapped);
	store_release(rtree_find(3 * NOWHERE), 0);
}

TEST(addresses_above_the_range_are_refused)
{
	const uintptr_t top = (uintptr_t)1 << RTREE_VADDR_BITS;

	CHECK(rtree_cover(top - GRANULE, top));
	CHECK(!rtree_cover(top - GRANULE, top + GRANULE));
	CHECK(!rtree_cover(top, top + GRANULE));
}

static int
refuse(const char *what)
{
	(void)what;
	return ENOMEM;
}

TEST(a_leaf_that_cannot_be_mapped_is_refused_cleanly)
{
	if (!CONFIG_DEBUG)
		SKIP("release builds do not inject failures");
	os_inject = refuse;
	CHECK(!rtree_cover(7 * NOWHERE, 7 * NOWHERE + GRANULE));
	CHECK(rtree_find(7 * NOWHERE) == NULL);
	os_inject = NULL;
	CHECK(rtree_cover(7 * NOWHERE, 7 * NOWHERE + GRANULE));
	CHECK(rtree_find(7 * NOWHERE) != NULL);
}

static void *
cover_all(void *unused)
{
	for (unsigned i = 0; i < 32; i++) {
		const uintptr_t a = 11 * NOWHERE + i * LEAF_SPAN;
		REQUIRE(rtree_cover(a, a + GRANULE));
		fetch_add_relaxed(rtree_find(a), 1);
	}
	return unused;
}

TEST(threads_that_cover_the_same_range_share_one_leaf)
{
	pthread_t threads[4];
	const size_t mapped = rtree_mapped_bytes();

	for (unsigned i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, cover_all, NULL) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 32; i++)
		CHECK_EQ(rtree_read(11 * NOWHERE + i * LEAF_SPAN), 4);
	CHECK_EQ(rtree_mapped_bytes() - mapped,
	    32 * (sizeof(uintptr_t) << RTREE_LEAF_BITS));
}

TEST(a_leaf_lies_on_huge_pages_only_if_asked)
{
	const enum os_thp mode = os_thp();
	const uintptr_t spans = (uintptr_t)100 << RTREE_LG_LEAF_SPAN;
	const uintptr_t span = (uintptr_t)1 << RTREE_LG_LEAF_SPAN;

	if (mode == OS_THP_UNSUPPORTED)
		SKIP("no huge pages here");
	os_thp_mode = OS_THP_ALWAYS;
	REQUIRE(rtree_cover(spans, spans + 1));
	CHECK(vm_has_flag(rtree_find(spans), " nh"));
	opt.metadata_thp = METADATA_THP_AUTO;
	REQUIRE(rtree_cover(spans + span, spans + span + 1));
	CHECK(vm_has_flag(rtree_find(spans + span), " hg"));
	opt.metadata_thp = METADATA_THP_DISABLED;
	os_thp_mode = mode;
}
