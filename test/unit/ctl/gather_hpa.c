/* SPDX-License-Identifier: MIT */
#include "ctl/gather_hpa.h"

#include "base/bits.h"
#include "ctl/gather.h"
#include "harness/test.h"
#include "page/hpa.h"
#include "page/sec.h"

#define ARENA 4002 /* no arena has this index */
#define N 24       /* a pageslab has 128 pages at least */

static struct hpa_central central;
static struct edata_pool pool;
static struct hpa hpa;
static struct sec sec;
static struct arena_record record;
static bool deferred;

static void
open_all(void)
{
	const struct hpa_options options = { .slab_max_alloc = 16 * os_page_size,
		.hugification_threshold = OS_HUGEPAGE,
		.purge_threshold = os_page_size,
		.hugify_delay_ns = 0,
		.dirty_mult = -1,
		.max_purge_pageslabs = -1,
		.style = HPA_STYLE_NONE };
	const struct sec_options cached = { 1, os_page_size, 32 * os_page_size };
	struct base *base = base_new(base_map_system, base_unmap_system, NULL);

	REQUIRE(base != NULL);
	memset(&hpa, 0, sizeof hpa);
	memset(&sec, 0, sizeof sec);
	memset(&record, 0, sizeof record);
	hpa_central_init(&central, &hpa_system_real);
	edata_pool_init(&pool, base);
	hpa_init(&hpa, ARENA, base, &pool, &central, &options, -1);
	sec_init(&sec, base, &hpa.pai, &cached, -1);
}

static struct edata *
take(size_t pages)
{
	const struct page_request request = {
		.size = pages * os_page_size, .alignment = os_page_size, .use = USE_LARGE
	};
	struct edata *e = sec.pai.alloc(&sec.pai, &request, &deferred);

	REQUIRE(e != NULL);
	memset(edata_base(e), 1, e->size);
	return e;
}

static size_t
sum_of_parts(const struct hpa_slabs_figures *slabs, size_t offset)
{
	size_t sum = 0;

	for (unsigned i = 0; i < HPA_LISTS; i++)
		sum += *(const size_t *)((const char *)&slabs[i] + offset);
	return sum;
}

/* The whole is what its parts add up to, in every column. */
static void
check_sums(void)
{
	const struct hpa_figures *f = &record.hpa;

	for (unsigned i = 0; i < n_hpa_slabs_stats; i++) {
		const size_t at = hpa_slabs_stats_rows[i].field.offset;
		CHECK_EQ(*(const size_t *)((const char *)&f->slabs + at),
		    *(const size_t *)((const char *)&f->full + at)
			+ *(const size_t *)((const char *)&f->empty + at)
			+ sum_of_parts(f->nonfull, at));
	}
	CHECK_EQ(f->shard.npageslabs,
	    f->slabs.npageslabs_nonhuge + f->slabs.npageslabs_huge);
	CHECK_EQ(f->shard.nactive, f->slabs.nactive_nonhuge + f->slabs.nactive_huge);
	CHECK_EQ(f->shard.ndirty, f->slabs.ndirty_nonhuge + f->slabs.ndirty_huge);
	CHECK_EQ(record.arena.mapped,
	    (record.arena.pactive + record.arena.pdirty) * os_page_size);
	CHECK_EQ(record.arena.mapped + record.arena.retained,
	    f->shard.npageslabs * OS_HUGEPAGE);
}

static void
gather(void)
{
	memset(&record, 0, sizeof record);
	CHECK_EQ(gather_hpa(&hpa, &sec, &record), 0);
	check_sums();
}

TEST(what_is_cached_is_free_and_what_was_freed_is_dirty)
{
	struct edata *small[N], *larger[N];

	open_all();
	gather();
	CHECK_EQ(record.arena.mapped + record.arena.retained, 0);
	for (unsigned i = 0; i < N; i++) {
		small[i] = take(1);
		larger[i] = take(3);
	}
	gather();
	CHECK_EQ(record.hpa.shard.npageslabs, 1);
	CHECK_EQ(record.arena.pactive, 4 * N);
	/* Eight at a time: as many as were asked for. */
	CHECK_EQ(record.arena.hpa_sec_misses, N / 8);
	CHECK_EQ(record.arena.hpa_sec_hits, N - N / 8);
	CHECK_EQ(record.arena.hpa_sec_bytes, 0);
	for (unsigned i = 0; i < 10; i++) {
		sec.pai.dalloc(&sec.pai, small[i], &deferred);
		sec.pai.dalloc(&sec.pai, larger[i], &deferred);
	}
	gather();
	CHECK_EQ(record.arena.pactive, 4 * (N - 10));
	CHECK_EQ(record.arena.pdirty, 4 * 10);
	CHECK_EQ(record.hpa.shard.nactive, 4 * (N - 10) + 10);
	CHECK_EQ(record.hpa.shard.ndirty, 3 * 10);
	CHECK_EQ(record.arena.hpa_sec_bytes, 10 * os_page_size);
	CHECK_EQ(record.arena.hpa_sec_dalloc_noflush, 10);
	sec.pai.work(&sec.pai, PURGE_EVERYTHING);
	gather();
	CHECK_EQ(record.arena.pactive, 4 * (N - 10));
	CHECK_EQ(record.arena.pdirty, 0);
	CHECK(record.hpa.shard.npurges != 0);
	for (unsigned i = 10; i < N; i++) {
		sec.pai.dalloc(&sec.pai, small[i], &deferred);
		sec.pai.dalloc(&sec.pai, larger[i], &deferred);
	}
	sec_flush(&sec, &deferred);
	gather();
	CHECK_EQ(record.arena.pactive, 0);
	CHECK_EQ(record.hpa.empty.npageslabs_nonhuge, 1);
	hpa_destroy(&hpa);
}

TEST(a_batch_is_counted_by_its_size)
{
	struct edata *e;
	uint64_t n_requests = 0, n_extents = 0, n_gained = 0, n_most = 0;

	open_all();
	e = take(1);
	sec.pai.dalloc(&sec.pai, e, &deferred);
	e = take(5);
	sec.pai.dalloc(&sec.pai, e, &deferred);
	sec_flush(&sec, &deferred);
	gather();
	CHECK_EQ(record.hpa.alloc[8].max_extents, 1);
	CHECK_EQ(record.hpa.alloc[8].extents, 1);
	CHECK_EQ(record.hpa.alloc[1].max_extents, 1);
	CHECK_EQ(record.hpa.alloc[8].pages_per_ps, 8);
	CHECK_EQ(record.hpa.alloc[1].pages_per_ps, 5);
	for (unsigned i = 0; i < HPA_BATCHES; i++) {
		n_requests += record.hpa.alloc[i].extents;
		n_most += record.hpa.alloc[i].max_extents;
		n_extents += i * record.hpa.alloc[i].extents;
		n_gained += i * record.hpa.alloc[i].extents_per_ps;
	}
	CHECK_EQ(n_requests, 2);
	CHECK_EQ(n_most, 2);
	CHECK_EQ(n_extents, 9);
	CHECK_EQ(n_gained, 9);
	hpa_destroy(&hpa);
}

TEST(records_merge_column_by_column)
{
	static struct arena_record sum;

	open_all();
	struct edata *e = take(1), *f = take(2);
	gather();
	memset(&sum, 0, sizeof sum);
	arena_record_merge(&sum, &record);
	arena_record_merge(&sum, &record);
	CHECK_EQ(sum.hpa.shard.nactive, 2 * record.hpa.shard.nactive);
	CHECK_EQ(sum.hpa.slabs.nactive_nonhuge, 2 * record.hpa.slabs.nactive_nonhuge);
	CHECK_EQ(sum_of_parts(sum.hpa.nonfull,
		     offsetof(struct hpa_slabs_figures, npageslabs_nonhuge)),
	    2);
	CHECK_EQ(sum.hpa.alloc[8].extents, 2);
	CHECK_EQ(sum.arena.hpa_sec_misses, 2);
	sec.pai.dalloc(&sec.pai, e, &deferred);
	sec.pai.dalloc(&sec.pai, f, &deferred);
	sec_flush(&sec, &deferred);
	hpa_destroy(&hpa);
}

TEST(the_locks_of_a_cache_are_one_in_the_figures)
{
	struct mutex_figures figures;

	open_all();
	gather_reset_sec_mutex(&sec);
	struct edata *e = take(1);
	sec.pai.dalloc(&sec.pai, e, &deferred);
	gather_sec_mutex(&sec, &figures);
	/* Tried, waited for, refilled; given back; and the reset itself. */
	CHECK(figures.num_ops >= 4);
	CHECK_EQ(figures.num_wait, 0);
	const uint64_t before = figures.num_ops;
	sec_flush(&sec, &deferred);
	gather_sec_mutex(&sec, &figures);
	CHECK_EQ(figures.num_ops, before + 1);
	gather_reset_sec_mutex(&sec);
	gather_sec_mutex(&sec, &figures);
	CHECK_EQ(figures.num_ops, 0);
	hpa_destroy(&hpa);
}
