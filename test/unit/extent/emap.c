/* SPDX-License-Identifier: MIT */
#include "extent/emap.h"

#include "harness/test.h"
#include "os/pages.h"

/* Addresses that no mapping of the process has; emap does not touch the memory. */
#define PLACE ((uintptr_t)77 << RTREE_LG_LEAF_SPAN)

static struct edata *
extent_at(size_t page, size_t pages, enum extent_state state)
{
	static _Alignas(EDATA_ALIGNMENT) struct edata records[64];
	static unsigned n;
	struct edata *e = &records[n++ % 64];

	memset(e, 0, sizeof *e);
	e->addr = PLACE + page * os_page_size;
	e->size = pages * os_page_size;
	e->state = (uint8_t)state;
	e->committed = true;
	store_relaxed(&e->arena_index, 5);
	REQUIRE(emap_register(e));
	return e;
}

static void *
at(size_t page)
{
	return (void *)(PLACE + page * os_page_size);
}

TEST(only_an_active_extent_is_looked_up)
{
	struct edata *e = extent_at(10, 4, EXTENT_ACTIVE);

	CHECK(emap_lookup(at(10)) == e);
	CHECK(emap_lookup((char *)at(14) - 1) == e);
	CHECK(emap_lookup(at(11)) == NULL && emap_lookup(at(9)) == NULL
	    && emap_lookup(at(14)) == NULL);
	for (enum extent_state state = EXTENT_DIRTY; state <= EXTENT_MERGING; state++) {
		emap_set_state(e, state);
		CHECK(emap_lookup(at(10)) == NULL && emap_lookup(at(13)) == NULL);
		CHECK(emap_lookup_any(at(10)) == e && emap_lookup_any(at(13)) == e);
		CHECK_EQ(e->state, state);
	}
	emap_deregister(e);
	CHECK(emap_lookup_any(at(10)) == NULL && emap_lookup_any(at(13)) == NULL);
	CHECK(emap_lookup(NULL) == NULL && emap_lookup_any((void *)UINTPTR_MAX) == NULL);
}

TEST(interior_pages_are_found_while_registered)
{
	struct edata *e = extent_at(20, 5, EXTENT_ACTIVE);

	emap_register_interior(e);
	for (size_t i = 20; i < 25; i++)
		CHECK(emap_lookup(at(i)) == e);
	CHECK(emap_lookup(at(25)) == NULL);
	emap_deregister_interior(e);
	for (size_t i = 21; i < 24; i++)
		CHECK(emap_lookup(at(i)) == NULL);
	CHECK(emap_lookup(at(20)) == e && emap_lookup(at(24)) == e);
	emap_deregister(e);
}

TEST(a_neighbour_is_taken_only_in_the_very_state)
{
	struct edata *e = extent_at(30, 1, EXTENT_MERGING);
	struct edata *before = extent_at(28, 2, EXTENT_DIRTY);
	struct edata *behind = extent_at(31, 3, EXTENT_DIRTY);

	CHECK(emap_neighbour(e, EMAP_PREVIOUS, EXTENT_DIRTY) == before);
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_DIRTY) == behind);
	for (enum extent_state state = EXTENT_ACTIVE; state <= EXTENT_MERGING; state++) {
		emap_set_state(before, state);
		emap_set_state(behind, state);
		CHECK((emap_neighbour(e, EMAP_PREVIOUS, EXTENT_DIRTY) == before)
		    == (state == EXTENT_DIRTY));
		CHECK((emap_neighbour(e, EMAP_NEXT, EXTENT_DIRTY) == behind)
		    == (state == EXTENT_DIRTY));
	}
	emap_deregister(before);
	emap_deregister(behind);
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_DIRTY) == NULL);
	CHECK(emap_neighbour(e, EMAP_PREVIOUS, EXTENT_DIRTY) == NULL);
	emap_deregister(e);
}

TEST(no_merge_crosses_the_head_of_a_mapping)
{
	struct edata *e = extent_at(40, 1, EXTENT_MERGING);
	struct edata *before = extent_at(39, 1, EXTENT_DIRTY);
	struct edata *behind = extent_at(41, 1, EXTENT_DIRTY);

	/* That the one before me is a head is no matter. */
	before->is_head = true;
	emap_set_state(before, EXTENT_DIRTY);
	CHECK(emap_neighbour(e, EMAP_PREVIOUS, EXTENT_DIRTY) == before);
	behind->is_head = true;
	emap_set_state(behind, EXTENT_DIRTY);
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_DIRTY) == NULL);
	e->is_head = true;
	CHECK(emap_neighbour(e, EMAP_PREVIOUS, EXTENT_DIRTY) == NULL);
	emap_deregister(before);
	emap_deregister(behind);
	emap_deregister(e);
}

TEST(no_merge_crosses_the_tail_of_a_mapping)
{
	struct edata *e = extent_at(40, 1, EXTENT_MERGING);
	struct edata *before = extent_at(39, 1, EXTENT_DIRTY);
	struct edata *behind = extent_at(41, 1, EXTENT_DIRTY);

	/* That the one behind me is a tail is no matter. */
	behind->is_tail = true;
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_DIRTY) == behind);
	before->is_tail = true;
	CHECK(emap_neighbour(e, EMAP_PREVIOUS, EXTENT_DIRTY) == NULL);
	e->is_tail = true;
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_DIRTY) == NULL);
	emap_deregister(before);
	emap_deregister(behind);
	emap_deregister(e);
}

TEST(neighbours_of_another_kind_are_left_alone)
{
	struct edata *e = extent_at(50, 1, EXTENT_MERGING);
	struct edata *behind = extent_at(51, 1, EXTENT_RETAINED);

	store_relaxed(&behind->arena_index, 6);
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_RETAINED) == NULL);
	store_relaxed(&behind->arena_index, 5);
	behind->committed = false;
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_RETAINED) == NULL);
	behind->committed = true;
	behind->hpa = true;
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_RETAINED) == NULL);
	behind->hpa = false;
	behind->guarded = true;
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_RETAINED) == NULL);
	behind->guarded = false;
	CHECK(emap_neighbour(e, EMAP_NEXT, EXTENT_RETAINED) == behind);
	emap_deregister(behind);
	emap_deregister(e);
}

TEST(at_the_ends_of_the_address_space_there_is_no_neighbour)
{
	struct edata e = { .addr = 0, .size = os_page_size };

	CHECK(emap_neighbour(&e, EMAP_PREVIOUS, EXTENT_DIRTY) == NULL);
	e.addr = ((uintptr_t)1 << RTREE_VADDR_BITS) - os_page_size;
	CHECK(emap_neighbour(&e, EMAP_NEXT, EXTENT_DIRTY) == NULL);
}

TEST(a_split_makes_two_extents_alike)
{
	struct edata *e = extent_at(60, 6, EXTENT_MERGING);
	static _Alignas(EDATA_ALIGNMENT) struct edata trail;

	memset(&trail, 0, sizeof trail);
	store_relaxed(&trail.arena_index, 5);
	e->is_head = e->is_tail = e->zeroed = true;
	e->sn = 99;
	REQUIRE(emap_split(e, 2 * os_page_size, &trail));
	CHECK_EQ(e->size, 2 * os_page_size);
	CHECK_EQ(trail.addr, (uintptr_t)at(62));
	CHECK_EQ(trail.size, 4 * os_page_size);
	CHECK(e->is_head && !trail.is_head);
	CHECK(!e->is_tail && trail.is_tail);
	CHECK(trail.zeroed && trail.committed && trail.sn == 99
	    && trail.state == EXTENT_MERGING);
	CHECK(emap_lookup_any(at(60)) == e && emap_lookup_any(at(61)) == e);
	CHECK(emap_lookup_any(at(62)) == &trail && emap_lookup_any(at(65)) == &trail);
	emap_merge(e, &trail);
	CHECK_EQ(e->size, 6 * os_page_size);
	CHECK(e->is_head && e->is_tail && e->zeroed);
	CHECK(emap_lookup_any(at(60)) == e && emap_lookup_any(at(65)) == e);
	CHECK(emap_lookup_any(at(61)) == NULL && emap_lookup_any(at(62)) == NULL);
	emap_deregister(e);
}

TEST(a_merged_extent_promises_no_more_than_both)
{
	for (unsigned i = 0; i < 4; i++) {
		struct edata *low = extent_at(70, 1, EXTENT_MERGING);
		struct edata *high = extent_at(71, 1, EXTENT_MERGING);
		low->zeroed = i & 1;
		high->zeroed = i & 2;
		low->sn = i == 1 ? 8 : 4;
		high->sn = 6;
		emap_merge(low, high);
		CHECK_EQ(low->zeroed, i == 3);
		CHECK_EQ(low->sn, i == 1 ? 6 : 4);
		emap_deregister(low);
	}
}

/* Wherever the border between two leaves lies: at an edge, at a cut, in the midst. */
TEST(words_are_written_across_the_border_of_two_leaves)
{
	static _Alignas(EDATA_ALIGNMENT) struct edata trail;
	const size_t border = ((uintptr_t)1 << RTREE_LG_LEAF_SPAN) / os_page_size, n = 6;

	if (os_page_size != GRANULE)
		SKIP("pages are larger than what has a word");
	for (size_t before = 0; before <= n; before++) {
		struct edata *e = extent_at(border - before, n, EXTENT_ACTIVE);
		emap_register_interior(e);
		for (size_t i = 0; i < n; i++)
			CHECK(emap_lookup(at(border - before + i)) == e);
		emap_deregister_interior(e);
		for (size_t i = 1; i < n - 1; i++)
			CHECK(emap_lookup(at(border - before + i)) == NULL);
		for (size_t cut = 1; cut < n; cut++) {
			memset(&trail, 0, sizeof trail);
			store_relaxed(&trail.arena_index, 5);
			REQUIRE(emap_split(e, cut * os_page_size, &trail));
			CHECK(emap_lookup(at(border - before + cut - 1)) == e);
			CHECK(emap_lookup(at(border - before + cut)) == &trail);
			CHECK(emap_lookup(at(border - before + n - 1)) == &trail);
			emap_merge(e, &trail);
			CHECK(emap_lookup(at(border - before + n - 1)) == e);
		}
		emap_deregister(e);
		for (size_t i = 0; i < n; i++)
			CHECK(emap_lookup_any(at(border - before + i)) == NULL);
	}
}

TEST(an_extent_out_of_range_is_refused)
{
	static _Alignas(EDATA_ALIGNMENT) struct edata e;

	e.addr = ((uintptr_t)1 << RTREE_VADDR_BITS) - os_page_size;
	e.size = 2 * os_page_size;
	CHECK(!emap_register(&e));
	CHECK(emap_lookup_any((void *)e.addr) == NULL);
}
