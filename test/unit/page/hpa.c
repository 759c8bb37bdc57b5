/* SPDX-License-Identifier: MIT */
#include "harness/hpa_shard.h"

/* ---- allocation ------------------------------------------------------------------------------ */

TEST(pages_not_touched_read_as_zero_and_others_are_cleared_when_asked)
{
	begin(&plain, 10000);
	char *fresh = edata_base(alloc(3, true));
	for (size_t i = 0; i < 3 * os_page_size; i++)
		REQUIRE(fresh[i] == 0);
	memset(fresh, 1, 3 * os_page_size);
	dalloc_from(0);
	char *used = edata_base(alloc(4, true));
	CHECK(used == fresh);
	for (size_t i = 0; i < 4 * os_page_size; i++)
		REQUIRE(used[i] == 0);
	CHECK_EQ(hpa_count_pages(&own.hpa).active, 4);
	CHECK_EQ(hpa_count_pages(&own.hpa).retained, hpdata_pages() - 4);
	end();
}

TEST(a_batch_comes_from_one_pageslab_and_never_maps_for_more_than_one)
{
	const struct page_request request = {
		.size = 16 * os_page_size, .alignment = os_page_size, .use = USE_SLAB
	};
	struct list extents;
	bool deferred = false;

	struct hpa *hpa = begin(&plain, -1);
	list_init(&extents);
	CHECK_EQ(hpa->pai.alloc_batch(&hpa->pai, &request, 5, &extents, &deferred), 5);
	CHECK_EQ(hpa->stats.alloc[5].extents_per_ps, 1);
	CHECK_EQ(hpa->stats.alloc[5].pages_per_ps, 80);
	LIST_FOR_EACH (l, &extents) {
		const struct edata *e = LIST_ENTRY(l, struct edata, link);
		CHECK(emap_lookup((char *)edata_base(e) + 7 * os_page_size) == e);
	}
	/* Until two fit: three are asked for, two come. */
	unsigned n = 5;
	while (hpdata_pages() / 16 - n > 2)
		n += hpa->pai.alloc_batch(&hpa->pai, &request, 1, &extents, &deferred);
	CHECK_EQ(hpa->pai.alloc_batch(&hpa->pai, &request, 3, &extents, &deferred), 2);
	CHECK_EQ(psset_pageslabs(&hpa->set), 1);
	hpa->pai.dalloc_batch(&hpa->pai, &extents, &deferred);
	CHECK(list_is_empty(&extents));
	end();
}

TEST(without_memory_there_is_no_extent_and_with_little_there_are_some)
{
	begin(&plain, -1);
	kernel.map_max = 0;
	CHECK(alloc(1, false) == NULL);
	kernel.map_max = OS_HUGEPAGE;
	kernel.now_ns += 100 * MS;
	CHECK(alloc(1, false) != NULL);
	CHECK_EQ(kernel.n_maps, 1);
	end();
}

TEST(who_was_refused_an_eden_asks_no_more_for_a_while)
{
	begin(&plain, -1);
	kernel.map_max = 0;
	CHECK(alloc(1, false) == NULL);
	const unsigned n = kernel.n_refused;
	CHECK(n != 0);
	CHECK(alloc(1, false) == NULL);
	CHECK_EQ(kernel.n_refused, n);
	kernel.now_ns += 100 * MS;
	CHECK(alloc(1, false) == NULL);
	CHECK_EQ(kernel.n_refused, 2 * n);
	end();
}

TEST(address_space_is_a_quarter_more_than_what_is_used_or_little)
{
	const size_t little = HPA_EDEN_FIRST * OS_HUGEPAGE;

	begin(&plain, -1);
	for (size_t used = OS_HUGEPAGE; own.n + hpdata_pages() / 8 <= EXTENTS;
	     used += OS_HUGEPAGE) {
		fill(1);
		CHECK(load_relaxed(&own.central.mapped) <= used + used / 4 + little);
	}
	/* Each is so large, in the end, that there are few. */
	CHECK(CONFIG_HOSTILE || kernel.n_maps <= 3 + own.n * 8 / hpdata_pages() / 8);
	end();
}

TEST(an_arena_that_goes_leaves_a_few_pageslabs_for_the_next)
{
	begin(&plain, -1);
	memset(edata_base(alloc(4, false)), 1, 4 * os_page_size);
	const uintptr_t addr = own.extents[0]->addr;
	dalloc_from(0);
	hpa_destroy(&own.hpa);
	memset(&own.hpa, 0, sizeof own.hpa);
	hpa_init(&own.hpa, ARENA, own.base, &own.pool, &own.central, &plain, -1);
	const char *p = edata_base(alloc(4, true));
	CHECK_EQ((uintptr_t)p, addr);
	CHECK_EQ(p[0], 0);
	CHECK_EQ(kernel.n_maps, 1);
	fill(HPA_KEPT + 3);
	end();
	CHECK_EQ(own.central.n_kept, HPA_KEPT);
}

TEST(what_cannot_be_made_small_is_unmapped_when_its_arena_goes_and_counts_no_more)
{
	struct hpa_options options = plain;

	options.start_huge = true;
	begin(&options, -1);
	fill(3);
	kernel.refuses_dehugify = true;
	end();
	CHECK_EQ(kernel.n_unmaps, 3);
}

/* ---- huge pages ------------------------------------------------------------------------------ */

TEST(a_full_pageslab_is_made_huge_after_the_delay_if_it_is_full_still)
{
	begin(&plain, -1);
	fill(1);
	CHECK_EQ(time_until(), 10 * SECOND);
	kernel.now_ns += 10 * SECOND - 1;
	work();
	CHECK_EQ(kernel.n_hugifies, 0);
	/* Not any more, for a moment: the delay begins anew. */
	dalloc_from(own.n - 8);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	fill(1);
	kernel.now_ns += 1;
	work();
	CHECK_EQ(kernel.n_hugifies, 0);
	kernel.now_ns += 10 * SECOND - 1;
	CHECK_EQ(time_until(), 0);
	work();
	CHECK_EQ(kernel.n_hugifies, 1);
	CHECK_EQ(kernel.n_collapses, 0);
	CHECK_EQ(own.hpa.stats.n_hugifies, 1);
	end();
}

TEST(a_huge_pageslab_is_touched_as_a_whole)
{
	begin(&plain, -1);
	for (unsigned i = 0; i < hpdata_pages() * 97 / 100; i++)
		REQUIRE(alloc(1, false) != NULL);
	CHECK(hpa_count_pages(&own.hpa).retained != 0);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(hpa_count_pages(&own.hpa).retained, 0);
	CHECK_EQ(limit_used(), OS_HUGEPAGE);
	end();
}

TEST(a_pageslab_that_cannot_be_made_huge_is_tried_a_few_times)
{
	begin(&plain, -1);
	kernel.refuses_hugify = true;
	fill(1);
	for (unsigned i = 0; i < 10; i++) {
		kernel.now_ns += 10 * SECOND;
		work();
	}
	CHECK_EQ(own.hpa.stats.n_hugify_failures, HPA_HUGIFY_TRIES);
	CHECK_EQ(own.hpa.stats.n_hugifies, 0);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	end();
}

TEST(collapsing_is_asked_for_where_the_option_says_so)
{
	struct hpa_options options = plain;

	options.hugify_sync = true;
	begin(&options, -1);
	kernel.refuses_collapse = true;
	fill(2);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_collapses, 2);
	CHECK_EQ(own.hpa.stats.n_hugify_failures, 2);
	/* The kernel has been advised, and may come to it. */
	CHECK_EQ(own.hpa.stats.n_hugifies, 2);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	end();
}

TEST(a_thread_of_the_program_makes_only_a_few_pageslabs_huge)
{
	struct hpa_options options = plain;

	options.hugify_sync = true;
	begin(&options, -1);
	fill(8);
	kernel.now_ns += 10 * SECOND;
	own.hpa.pai.work(&own.hpa.pai, PURGE_BRIEFLY);
	CHECK_EQ(kernel.n_hugifies, 4);
	CHECK_EQ(time_until(), 0);
	own.hpa.pai.work(&own.hpa.pai, PURGE_BRIEFLY);
	CHECK_EQ(kernel.n_hugifies, 8);
	end();
}

TEST(a_fresh_pageslab_is_asked_to_be_huge_at_once)
{
	struct hpa_options options = plain;

	options.grows_huge = true;
	begin(&options, -1);
	CHECK(alloc(1, false) != NULL);
	CHECK_EQ(kernel.n_hugifies, 1);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 1);
	CHECK_EQ(limit_used(), OS_HUGEPAGE);
	/* Refused, it begins small. */
	kernel.refuses_hugify = true;
	fill(1);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 1);
	CHECK_EQ(own.hpa.stats.n_hugify_failures, 1);
	CHECK_EQ(limit_used(), OS_HUGEPAGE + 8 * os_page_size);
	hpa_check(&own.hpa);
	end();
}

TEST(near_a_limit_a_fresh_pageslab_begins_small)
{
	const uint64_t n_refused = limit_refusals();
	struct hpa_options options = plain;

	options.grows_huge = true;
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		begin(&options, -1);
		limit_set((enum limit_kind)kind, OS_HUGEPAGE / 2);
		CHECK(alloc(1, false) != NULL);
		CHECK_EQ(kernel.n_hugifies, 0);
		CHECK_EQ(limit_used(), os_page_size);
		limit_set((enum limit_kind)kind, 0);
		fill(1);
		CHECK(alloc(1, false) != NULL);
		CHECK_EQ(kernel.n_hugifies, 1);
		end();
	}
	CHECK_EQ(limit_refusals(), n_refused);
}

TEST(an_eager_shard_takes_pageslabs_for_huge_and_asks_for_nothing)
{
	struct hpa_options options = plain;

	options.style = HPA_STYLE_EAGER;
	begin(&options, -1);
	fill(1);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 1);
	kernel.now_ns += 100 * SECOND;
	work();
	dalloc_from(0);
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(kernel.n_hugifies + kernel.n_dehugifies, 0);
	end();
}

/* ---- purging --------------------------------------------------------------------------------- */

TEST(too_many_dirty_pages_are_purged_a_round_at_a_time)
{
	begin(&plain, 1000000);
	const unsigned first = fill(4);
	fill(4);
	dalloc_from(first + 5 * hpdata_pages() / 8);
	/* Five of eight are left, three are dirty. */
	CHECK_EQ(time_until(), 0);
	work();
	CHECK(dirty() <= 5 * hpdata_pages() / 4);
	CHECK_EQ(own.hpa.stats.n_purge_passes, 1);
	CHECK_EQ(kernel.n_purges, 1);
	/* Empty ones go whole: no more than needed. */
	CHECK_EQ(own.hpa.stats.n_purges, 2);
	dalloc_from(first + 3 * hpdata_pages() / 8);
	work();
	CHECK_EQ(own.hpa.stats.n_purge_passes, 1);
	CHECK_EQ(time_until(), 5 * SECOND);
	kernel.now_ns += 5 * SECOND;
	work();
	CHECK_EQ(own.hpa.stats.n_purge_passes, 2);
	CHECK(dirty() <= 3 * hpdata_pages() / 4);
	end();
}

TEST(a_load_in_waves_pays_for_its_first_troughs_alone)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	fill(4);
	for (unsigned i = 0; i < 100; i++) {
		dalloc_from(hpdata_pages() / 8);
		work();
		kernel.now_ns += 100 * MS;
		fill(3);
		kernel.now_ns += 100 * MS;
	}
	/* 20 seconds: at once, and after 0.5, 1, 2, then 4 each. */
	CHECK(own.hpa.stats.n_purge_passes >= 4 && own.hpa.stats.n_purge_passes <= 9);
	/* One that ends leaves what is allowed, and the next is purged at once again. */
	dalloc_from(hpdata_pages() / 8);
	kernel.now_ns += 4 * SECOND;
	work();
	CHECK(dirty() <= hpdata_pages() / 4);
	kernel.now_ns += SECOND;
	fill(3);
	const uint64_t passes = own.hpa.stats.n_purge_passes;
	dalloc_from(hpdata_pages() / 8);
	work();
	CHECK_EQ(own.hpa.stats.n_purge_passes, passes + 1);
	end();
}

/* n pageslabs filled, and all but a quarter of one freed, piece by piece, with work in between. */
static void
rise_and_fall(unsigned n)
{
	fill(n);
	kernel.now_ns += SECOND / 10;
	while (own.n > hpdata_pages() / 32) {
		dalloc_from(own.n - hpdata_pages() / 32);
		work();
	}
}

TEST(who_grows_and_falls_later_gives_all_of_it_back_at_once)
{
	struct hpa_options options = plain;

	options.min_purge_interval_ns = 0;
	begin(&options, 1000000);
	/* A small trough, and needed anew: that is growth. */
	rise_and_fall(1);
	fill(8);
	CHECK_EQ(own.hpa.patience_ns, 0);
	dalloc_from(hpdata_pages() / 32);
	work();
	CHECK(dirty() <= hpdata_pages() / 16);
	/* Wrong twice; but that is forgotten when nothing has happened for longer. */
	rise_and_fall(8);
	rise_and_fall(8);
	CHECK(own.hpa.patience_ns != 0);
	kernel.now_ns += 10 * SECOND;
	rise_and_fall(8);
	CHECK(dirty() <= hpdata_pages() / 16);
	CHECK_EQ(own.hpa.patience_ns, 0);
	end();
}

TEST(what_is_taken_from_is_not_purged_by_time)
{
	begin(&plain, 1000);
	const unsigned first = fill(1);
	dalloc_from(first + hpdata_pages() / 8 * 85 / 100);
	for (unsigned i = 0; i < 5; i++) {
		kernel.now_ns += 900 * MS;
		alloc(1, false);
		work();
		CHECK_EQ(kernel.n_purges, 0);
	}
	kernel.now_ns += SECOND;
	work();
	CHECK_EQ(dirty(), 0);
	end();
}

TEST(what_has_been_dirty_for_the_decay_time_is_purged_whatever_its_share)
{
	begin(&plain, 10000);
	fill(2);
	/* A tenth, or so. */
	const unsigned n = hpdata_pages() / 8 / 9;
	dalloc_from(own.n - n);
	CHECK_EQ(dirty(), n * 8);
	CHECK_EQ(time_until(), 10 * SECOND);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(dirty(), 0);
	/* Both were full all that time: the other one is huge. */
	CHECK_EQ(kernel.n_hugifies, 1);
	CHECK_EQ(kernel.n_dehugifies, 0);
	end();
}

TEST(what_is_about_to_be_huge_is_not_purged_by_time)
{
	begin(&plain, 5000);
	for (unsigned i = 0; i < hpdata_pages(); i++)
		REQUIRE(alloc(1, false) != NULL);
	dalloc_from(own.n - 1);
	CHECK_EQ(time_until(), 10 * SECOND);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_purges, 0);
	CHECK_EQ(kernel.n_hugifies, 1);
	end();
}

TEST(a_huge_pageslab_is_made_small_before_it_is_purged_but_keeps_a_tenth)
{
	begin(&plain, 10000);
	const unsigned first = fill(1);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_hugifies, 1);
	dalloc_from(first + hpdata_pages() / 8 * 95 / 100);
	CHECK(dirty() != 0);
	kernel.now_ns += 100 * SECOND;
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	work();
	CHECK_EQ(kernel.n_dehugifies, 0);
	dalloc_from(first + hpdata_pages() / 8 / 2);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(kernel.n_dehugifies, 1);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(own.hpa.set.all[PSSET_HUGE].n_pageslabs, 0);
	end();
}

TEST(without_decay_nothing_stays_and_with_never_all_does)
{
	begin(&plain, 0);
	unsigned first = fill(1);
	dalloc_from(first + 1);
	CHECK_EQ(dirty(), 0);
	end();

	begin(&plain, -1);
	first = fill(4);
	dalloc_from(first + 1);
	CHECK_EQ(time_until(), DEFERRED_NEVER);
	kernel.now_ns += 1000 * SECOND;
	work();
	CHECK_EQ(dirty(), 4 * hpdata_pages() - 8);
	hpa_set_decay_ms(&own.hpa, 10000);
	kernel.now_ns += 10 * SECOND;
	work();
	CHECK_EQ(dirty(), 0);
	end();
}

TEST(what_the_kernel_does_not_purge_stays_dirty_and_is_tried_again_later)
{
	begin(&plain, 10000);
	const unsigned first = fill(2);
	dalloc_from(first + 1);
	kernel.refuses_purge = true;
	work();
	kernel.now_ns += 10 * SECOND;
	work();
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	CHECK_EQ(dirty(), 2 * hpdata_pages() - 8);
	CHECK(time_until() != 0 && time_until() != DEFERRED_NEVER);
	kernel.refuses_purge = false;
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(limit_used(), 8 * os_page_size);
	end();
}

TEST(many_ranges_are_purged_in_few_calls)
{
	begin(&plain, -1);
	fill(40);
	/* Every other one. */
	bool deferred = false;
	unsigned kept = 0;
	for (unsigned i = 0; i < own.n; i++)
		if (i % 2 == 0)
			own.hpa.pai.dalloc(&own.hpa.pai, own.extents[i], &deferred);
		else
			own.extents[kept++] = own.extents[i];
	own.n = kept;
	own.hpa.pai.work(&own.hpa.pai, PURGE_EVERYTHING);
	hpa_check(&own.hpa);
	CHECK_EQ(dirty(), 0);
	CHECK_EQ(own.hpa.stats.n_purges, kept);
	CHECK(kernel.n_purges <= kept / OS_PURGE_MANY + 40 / HPA_PURGE_SLABS + 1);
	end();
}
