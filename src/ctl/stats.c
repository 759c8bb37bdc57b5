/* SPDX-License-Identifier: MIT */
#include "ctl/stats.h"

#include "base/attr.h"
#include "base/bits.h"
#include "os/pages.h"

/* What a type of stats.def means: how it is stored, its unit, whether a sum of it only
 * grows. */
#define TYPE_U64 FIELD_U64, STAT_COUNT, true
#define TYPE_TALLY FIELD_SIZE, STAT_COUNT, true
#define TYPE_SIZE FIELD_SIZE, STAT_COUNT, false
#define TYPE_U32 FIELD_U32, STAT_COUNT, false
#define TYPE_UNSIGNED FIELD_UNSIGNED, STAT_COUNT, false
#define TYPE_BYTES FIELD_SIZE, STAT_BYTES, false
#define TYPE_PAGES FIELD_SIZE, STAT_PAGES, false
#define TYPE_PAGES64 FIELD_U64, STAT_PAGES, true
#define TYPE_NS FIELD_U64, STAT_NS, true
#define TYPE_MS FIELD_SSIZE, STAT_MS, false
#define TYPE_STRING FIELD_STRING, STAT_TEXT, false

#define STAT_ROW(owner, name, type, merge, doc) \
	STAT_ROW_OF(owner, name, TYPE_##type, STAT_##merge, doc)
#define STAT_ROW_OF(...) STAT_ROW_AS(__VA_ARGS__)
#define STAT_ROW_AS(owner, name, type, unit, grows, merge, doc) \
	{ { #name, (type), offsetof(struct owner, name), doc }, (merge), (unit), \
		(grows) && (merge) == STAT_SUM },

const struct stat_row mutex_stats_rows[] LATE_TABLE = {
#define STAT_MUTEX(name, type, merge, doc) STAT_ROW(mutex_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row arena_stats_rows[] LATE_TABLE = {
#define STAT_ARENA(name, type, merge, doc) STAT_ROW(arena_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row classes_stats_rows[] LATE_TABLE = {
#define STAT_CLASSES(name, type, merge, doc) \
	STAT_ROW(classes_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row bin_stats_rows[] LATE_TABLE = {
#define STAT_BIN(name, type, merge, doc) STAT_ROW(bin_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row lextent_stats_rows[] LATE_TABLE = {
#define STAT_LEXTENT(name, type, merge, doc) \
	STAT_ROW(lextent_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row extent_stats_rows[] LATE_TABLE = {
#define STAT_EXTENT(name, type, merge, doc) \
	STAT_ROW(extent_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row total_stats_rows[] LATE_TABLE = {
#define STAT_TOTAL(name, type, merge, doc) STAT_ROW(total_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row background_stats_rows[] LATE_TABLE = {
#define STAT_BACKGROUND(name, type, merge, doc) \
	STAT_ROW(background_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row hpa_shard_stats_rows[] LATE_TABLE = {
#define STAT_HPA_SHARD(name, type, merge, doc) \
	STAT_ROW(hpa_shard_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row hpa_slabs_stats_rows[] LATE_TABLE = {
#define STAT_HPA_SLABS(name, type, merge, doc) \
	STAT_ROW(hpa_slabs_figures, name, type, merge, doc)
#include "ctl/stats.def"
};
const struct stat_row hpa_alloc_stats_rows[] LATE_TABLE = {
#define STAT_HPA_ALLOC(name, type, merge, doc) \
	STAT_ROW(hpa_alloc_figures, name, type, merge, doc)
#include "ctl/stats.def"
};

const unsigned n_mutex_stats = COUNT_OF(mutex_stats_rows);
const unsigned n_arena_stats = COUNT_OF(arena_stats_rows);
const unsigned n_classes_stats = COUNT_OF(classes_stats_rows);
const unsigned n_bin_stats = COUNT_OF(bin_stats_rows);
const unsigned n_lextent_stats = COUNT_OF(lextent_stats_rows);
const unsigned n_extent_stats = COUNT_OF(extent_stats_rows);
const unsigned n_total_stats = COUNT_OF(total_stats_rows);
const unsigned n_background_stats = COUNT_OF(background_stats_rows);
const unsigned n_hpa_shard_stats = COUNT_OF(hpa_shard_stats_rows);
const unsigned n_hpa_slabs_stats = COUNT_OF(hpa_slabs_stats_rows);
const unsigned n_hpa_alloc_stats = COUNT_OF(hpa_alloc_stats_rows);

const char arena_mutex_names[ARENA_MUTEXES][MUTEX_NAME_SIZE] = {
#define ARENA_MUTEX(name) #name,
#include "ctl/stats.def"
};

const char process_mutex_names[PROCESS_MUTEXES][MUTEX_NAME_SIZE] = {
#define PROCESS_MUTEX(name) #name,
#include "ctl/stats.def"
};

/* ---- Merging. ---- */

static void
store(const struct field *field, void *object, uint64_t value)
{
	void *at = field_at(field, object);

	switch (field->type) {
	case FIELD_U64: *(uint64_t *)at = value; return;
	case FIELD_U32: *(uint32_t *)at = (uint32_t)value; return;
	case FIELD_UNSIGNED: *(unsigned *)at = (unsigned)value; return;
	case FIELD_SIZE: *(size_t *)at = (size_t)value; return;
	default: unreachable_state();
	}
}

/* Add `one' to `sum', both structs that the rows describe. */
static void
merge(const struct stat_row *rows, unsigned n_rows, void *sum, const void *one)
{
	for (unsigned i = 0; i < n_rows; i++) {
		const struct stat_row *row = &rows[i];
		if (row->merge == STAT_FIRST)
			continue;
		const uint64_t a = field_number(&row->field, sum),
			       b = field_number(&row->field, one);
		store(&row->field, sum, row->merge == STAT_SUM ? a + b : a > b ? a : b);
	}
}

void
mutex_figures_merge(struct mutex_figures *sum, const struct mutex_figures *one)
{
	merge(mutex_stats_rows, n_mutex_stats, sum, one);
}

static void
merge_slabs(struct hpa_slabs_figures *sum, const struct hpa_slabs_figures *one)
{
	merge(hpa_slabs_stats_rows, n_hpa_slabs_stats, sum, one);
}

static void
merge_hpa(struct hpa_figures *sum, const struct hpa_figures *one)
{
	merge(hpa_shard_stats_rows, n_hpa_shard_stats, &sum->shard, &one->shard);
	merge_slabs(&sum->slabs, &one->slabs);
	merge_slabs(&sum->full, &one->full);
	merge_slabs(&sum->empty, &one->empty);
	for (unsigned i = 0; i < HPA_LISTS; i++)
		merge_slabs(&sum->nonfull[i], &one->nonfull[i]);
	for (unsigned i = 0; i < HPA_BATCHES; i++)
		merge(hpa_alloc_stats_rows, n_hpa_alloc_stats, &sum->alloc[i],
		    &one->alloc[i]);
}

void
arena_record_merge(struct arena_record *sum, const struct arena_record *one)
{
	merge(arena_stats_rows, n_arena_stats, &sum->arena, &one->arena);
	merge(classes_stats_rows, n_classes_stats, &sum->small, &one->small);
	merge(classes_stats_rows, n_classes_stats, &sum->large, &one->large);
	for (unsigned i = 0; i < ARENA_MUTEXES; i++)
		mutex_figures_merge(&sum->mutexes[i], &one->mutexes[i]);
	for (unsigned i = 0; i < SC_NBINS; i++) {
		struct bin_figures *to = &sum->bins[i];
		const struct bin_figures *from = &one->bins[i];
		merge(bin_stats_rows, n_bin_stats, to, from);
		mutex_figures_merge(&to->mutex, &from->mutex);
	}
	for (unsigned i = 0; i < SC_NLARGE; i++)
		merge(lextent_stats_rows, n_lextent_stats, &sum->lextents[i],
		    &one->lextents[i]);
	for (unsigned i = 0; i < PAGE_CLASSES_MAX; i++)
		merge(extent_stats_rows, n_extent_stats, &sum->extents[i],
		    &one->extents[i]);
	merge_hpa(&sum->hpa, &one->hpa);
}

/* ---- Page classes. ---- */

/* Multiples of the page below the first large class. */
static unsigned
n_below_large(void)
{
	return (unsigned)((SC_LARGE_MIN - 1) / os_page_size);
}

unsigned
page_class_count(void)
{
	return n_below_large() + SC_NLARGE;
}

unsigned
page_class_floor(size_t size)
{
	if (size < SC_LARGE_MIN)
		return (unsigned)(size / os_page_size) - 1;
	return n_below_large() + size_class_floor(size) - SC_NBINS;
}

size_t
page_class_size(unsigned page_class)
{
	if (page_class < n_below_large())
		return (page_class + 1) * os_page_size;
	return size_class_size(page_class - n_below_large() + SC_NBINS);
}
