/* SPDX-License-Identifier: MIT */
/*
 * stats -- plain copies of the live counters, and tables that describe them (stats.def).
 *
 * Live counters stay in their owners' structs; gather.c copies them into these under the
 * owners' locks.  What an arena's parts add up to is computed from the parts, so wholes
 * equal the sums of their parts always:
 *
 *	small  = all bins                      large = all lextents (allocated: by pages)
 *	hpa.slabs = full + empty + all nonfull
 *	active pages = small.allocated + large.allocated + owned_free + shared_free
 *	               + slab_rounding
 *	mapped = active + dirty + muzzy + pinned pages; address space = mapped + retained + guards
 *	stats.X = merged arena's X = sum of all arenas' X
 */
#ifndef TRACT_CTL_STATS_H
#define TRACT_CTL_STATS_H

#include "base/field.h"
#include "config/size_class.h"

enum stat_merge { STAT_SUM, STAT_MAX, STAT_FIRST };

enum stat_unit { STAT_COUNT, STAT_BYTES, STAT_PAGES, STAT_NS, STAT_MS, STAT_TEXT };

struct stat_row {
	struct field field; /* first: groups of control nodes are tables of these */
	enum stat_merge merge;
	enum stat_unit unit;
	bool is_counter; /* it only grows */
};

typedef uint64_t stat_type_U64;
typedef uint32_t stat_type_U32;
typedef unsigned stat_type_UNSIGNED;
typedef size_t stat_type_SIZE;
typedef size_t stat_type_TALLY;
typedef size_t stat_type_BYTES;
typedef size_t stat_type_PAGES;
typedef uint64_t stat_type_PAGES64;
typedef uint64_t stat_type_NS;
typedef ssize_t stat_type_MS;
typedef const char *stat_type_STRING;

#define STAT_MEMBER(name, type, merge, doc) stat_type_##type name;

struct mutex_figures {
#define STAT_MUTEX STAT_MEMBER
#include "ctl/stats.def"
};

struct arena_figures {
#define STAT_ARENA STAT_MEMBER
#include "ctl/stats.def"
};

struct classes_figures {
#define STAT_CLASSES STAT_MEMBER
#include "ctl/stats.def"
};

struct bin_figures {
#define STAT_BIN STAT_MEMBER
#include "ctl/stats.def"
	struct mutex_figures mutex;
};

struct lextent_figures {
#define STAT_LEXTENT STAT_MEMBER
#include "ctl/stats.def"
};

struct extent_figures {
#define STAT_EXTENT STAT_MEMBER
#include "ctl/stats.def"
};

struct total_figures {
#define STAT_TOTAL STAT_MEMBER
#include "ctl/stats.def"
};

struct background_figures {
#define STAT_BACKGROUND STAT_MEMBER
#include "ctl/stats.def"
};

struct hpa_shard_figures {
#define STAT_HPA_SHARD STAT_MEMBER
#include "ctl/stats.def"
};

struct hpa_slabs_figures {
#define STAT_HPA_SLABS STAT_MEMBER
#include "ctl/stats.def"
};

struct hpa_alloc_figures {
#define STAT_HPA_ALLOC STAT_MEMBER
#include "ctl/stats.def"
};

#undef STAT_MEMBER

enum arena_mutex {
#define ARENA_MUTEX(name) ARENA_MUTEX_##name,
#include "ctl/stats.def"
	ARENA_MUTEXES
};

enum process_mutex {
#define PROCESS_MUTEX(name) PROCESS_MUTEX_##name,
#include "ctl/stats.def"
	PROCESS_MUTEXES
};

#define MUTEX_NAME_SIZE 24

extern const char arena_mutex_names[ARENA_MUTEXES][MUTEX_NAME_SIZE];
extern const char process_mutex_names[PROCESS_MUTEXES][MUTEX_NAME_SIZE];

/* Page classes: the multiples of the page below 16 KiB, then the large size classes. */
#define PAGE_CLASSES_MAX (3 + SC_NLARGE)

/* Lists of partly used page slabs, by their longest free run; sizes of batches. */
#define HPA_LISTS 64
#define HPA_BATCHES 9

/* The huge page allocator of an arena. */
struct hpa_figures {
	struct hpa_shard_figures shard;
	struct hpa_slabs_figures slabs, full, empty, nonfull[HPA_LISTS];
	struct hpa_alloc_figures alloc[HPA_BATCHES];
};

/* All about one arena. */
struct arena_record {
	struct arena_figures arena;
	struct classes_figures small, large;
	struct mutex_figures mutexes[ARENA_MUTEXES];
	struct bin_figures bins[SC_NBINS];
	struct lextent_figures lextents[SC_NLARGE];
	struct extent_figures extents[PAGE_CLASSES_MAX];
	struct hpa_figures hpa;
};

/* A table for each list. Arrays, so that the groups of control nodes can be constants. */
extern const struct stat_row mutex_stats_rows[], arena_stats_rows[], classes_stats_rows[],
    bin_stats_rows[], lextent_stats_rows[], extent_stats_rows[], total_stats_rows[],
    background_stats_rows[], hpa_shard_stats_rows[], hpa_slabs_stats_rows[],
    hpa_alloc_stats_rows[];
extern const unsigned n_mutex_stats, n_arena_stats, n_classes_stats, n_bin_stats,
    n_lextent_stats, n_extent_stats, n_total_stats, n_background_stats, n_hpa_shard_stats,
    n_hpa_slabs_stats, n_hpa_alloc_stats;

void mutex_figures_merge(struct mutex_figures *sum, const struct mutex_figures *one);
void arena_record_merge(struct arena_record *sum, const struct arena_record *one);

/* Page classes with the page this process has, and that of a size. */
unsigned page_class_count(void);
unsigned page_class_floor(size_t size);
size_t page_class_size(unsigned page_class);

#endif
