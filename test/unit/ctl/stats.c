/* SPDX-License-Identifier: MIT */
#include "ctl/stats.h"

#include "harness/test.h"
#include "os/pages.h"
#include "api/boot.h"

static struct arena_record sum, one;

TEST(records_merge_by_their_rows)
{
	memset(&sum, 0, sizeof sum);
	memset(&one, 0, sizeof one);
	one.arena.nthreads = 2;
	one.arena.uptime = 100;
	one.arena.dirty_decay_ms = 5;
	one.arena.mapped = 4096;
	one.small.nmalloc = 3;
	one.bins[1].curregs = 4;
	one.bins[1].mutex.max_num_thds = 9;
	one.lextents[SC_NLARGE - 1].nmalloc = 1;
	one.extents[PAGE_CLASSES_MAX - 1].ndirty = 6;
	one.mutexes[ARENA_MUTEXES - 1].num_ops = 8;
	sum.arena.dirty_decay_ms = -1;
	arena_record_merge(&sum, &one);
	one.arena.uptime = 50;
	one.bins[1].mutex.max_num_thds = 3;
	arena_record_merge(&sum, &one);
	CHECK_EQ(sum.arena.nthreads, 4);
	CHECK_EQ(sum.arena.uptime, 100);
	CHECK(sum.arena.dirty_decay_ms == -1);
	CHECK_EQ(sum.arena.mapped, 8192);
	CHECK_EQ(sum.small.nmalloc, 6);
	CHECK_EQ(sum.bins[1].curregs, 8);
	CHECK_EQ(sum.bins[1].mutex.max_num_thds, 9);
	CHECK_EQ(sum.lextents[SC_NLARGE - 1].nmalloc, 2);
	CHECK_EQ(sum.extents[PAGE_CLASSES_MAX - 1].ndirty, 12);
	CHECK_EQ(sum.mutexes[ARENA_MUTEXES - 1].num_ops, 16);
	CHECK_EQ(sum.arena.pdirty, 0);
}

/* Each row describes its own bytes, and no two the same ones. */
TEST(rows_cover_their_struct)
{
	static const struct {
		const struct stat_row *rows;
		const unsigned *n;
		size_t size;
	} tables[] = {
		{ mutex_stats_rows, &n_mutex_stats, sizeof(struct mutex_figures) },
		{ arena_stats_rows, &n_arena_stats, sizeof(struct arena_figures) },
		{ bin_stats_rows, &n_bin_stats, offsetof(struct bin_figures, mutex) },
		{ total_stats_rows, &n_total_stats, sizeof(struct total_figures) },
	};

	for (unsigned t = 0; t < sizeof tables / sizeof tables[0]; t++) {
		size_t end = 0;
		for (unsigned i = 0; i < *tables[t].n; i++) {
			const struct field *field = &tables[t].rows[i].field;
			CHECK(field->offset >= end
			    && field->offset - end < sizeof(uint64_t));
			end = field->offset + field_size(field->type);
		}
		CHECK(end <= tables[t].size && tables[t].size - end < sizeof(uint64_t));
	}
}

TEST(page_classes_are_floors)
{
	(void)boot();
	for (unsigned i = 0; i < page_class_count(); i++) {
		const size_t size = page_class_size(i);
		CHECK_EQ(page_class_floor(size), i);
		if (i + 1 < page_class_count())
			CHECK_EQ(page_class_floor(page_class_size(i + 1) - 1), i);
	}
	CHECK_EQ(page_class_size(0), os_page_size);
	CHECK(page_class_count() <= PAGE_CLASSES_MAX);
}
