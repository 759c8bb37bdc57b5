/* SPDX-License-Identifier: MIT */
#include "ctl/nodes.h"

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "ctl/snapshot.h"

/* ---- Kinds of indices. ---- */

bool
ctl_means_all(size_t index)
{
	return index == CTL_ARENAS_ALL || index == arenas_total();
}

static bool
is_arena(size_t index)
{
	return index < arenas_total() || ctl_means_all(index)
	    || index == CTL_ARENAS_DESTROYED;
}

static const struct arena_record *
record_of(size_t index)
{
	return snapshot_arena(ctl_means_all(index) ? CTL_ARENAS_ALL : index);
}

static bool
is_seen(size_t index)
{
	if (snapshot_enter() != 0)
		return false;
	const bool is = record_of(index) != NULL;
	snapshot_leave();
	return is;
}

static bool
is_bin(size_t index)
{
	return index < SC_NBINS;
}

static bool
is_large(size_t index)
{
	return index < SC_NLARGE;
}

static bool
is_pages(size_t index)
{
	return index < page_class_count();
}

const struct ctl_index_kind ctl_index_kinds[] = {
	{ "<arena>",
	    is_arena }, /* an arena's index, used or not; all arenas; destroyed ones */
	{ "<seen>", is_seen }, /* one that the snapshot has a record of */
	{ "<bin>", is_bin },
	{ "<large>", is_large },
	{ "<pages>", is_pages },
};
const unsigned ctl_n_index_kinds = COUNT_OF(ctl_index_kinds);

/* ---- Where the bytes are. ---- */

static const void *
locate_options(const unsigned index[CTL_INDICES])
{
	(void)index;
	return &opt;
}

static const char *
option_value_name(const struct field *field, int value)
{
	return CONTAINER_OF(field, const struct option, field)->names[value];
}

static const void *
locate_config(const unsigned index[CTL_INDICES])
{
	(void)index;
	return &config_values;
}

static const void *
locate_bin_values(const unsigned index[CTL_INDICES])
{
	return bin_values_at(index[0]);
}

static const void *
locate_lextent_value(const unsigned index[CTL_INDICES])
{
	return &size_class_sizes[SC_NBINS + index[0]];
}

static const void *
locate_total(const unsigned index[CTL_INDICES])
{
	(void)index;
	return snapshot_total();
}

static const void *
locate_ctl_mutex(const unsigned index[CTL_INDICES])
{
	(void)index;
	return snapshot_ctl_mutex();
}

static const void *
locate_record(const unsigned index[CTL_INDICES])
{
	return record_of(index[0]);
}

static const void *
locate_bin(const unsigned index[CTL_INDICES])
{
	const struct arena_record *r = record_of(index[0]);
	return r == NULL ? NULL : &r->bins[index[1]];
}

static const void *
locate_lextent(const unsigned index[CTL_INDICES])
{
	const struct arena_record *r = record_of(index[0]);
	return r == NULL ? NULL : &r->lextents[index[1]];
}

static const void *
locate_extent(const unsigned index[CTL_INDICES])
{
	const struct arena_record *r = record_of(index[0]);
	return r == NULL ? NULL : &r->extents[index[1]];
}

/* ---- The table. ---- */

#define ACTS(path_, rows_) \
	{ \
		.path = (path_), .rows = (rows_), .n_rows = &n_##rows_, \
		.stride = sizeof(struct ctl_row), .acts = true \
	}
#define VALUES(path_, rows_, locate_) \
	{ \
		.path = (path_), .rows = (rows_), .n_rows = &n_##rows_, \
		.stride = sizeof(struct field), .locate = (locate_) \
	}
#define STATS(path_, list, locate_, offset_) \
	{ \
		.path = (path_), .rows = list##_stats_rows, .n_rows = &n_##list##_stats, \
		.stride = sizeof(struct stat_row), .guard = CTL_SNAPSHOT, \
		.locate = (locate_), .offset = (offset_) \
	}
#define IN_RECORD(member) offsetof(struct arena_record, member)

const struct ctl_group ctl_groups[] = {
	ACTS("", root_rows),
	VALUES("config", config_rows, locate_config),
	{ .path = "opt",
	    .rows = option_table,
	    .n_rows = &option_count,
	    .stride = sizeof(struct option),
	    .locate = locate_options,
	    .name_of = option_value_name },
	ACTS("opt.malloc_conf", malloc_conf_rows),
	ACTS("thread", thread_rows),
	ACTS("thread.tcache", thread_tcache_rows),
	ACTS("tcache", tcache_rows),
	ACTS("arena.<arena>", arena_rows),
	ACTS("arenas", arenas_rows),
	VALUES("arenas.bin.<bin>", bin_value_rows, locate_bin_values),
	VALUES("arenas.lextent.<large>", lextent_value_rows, locate_lextent_value),
	STATS("stats", total, locate_total, 0),
	ACTS("stats.mutexes", mutexes_rows),
	STATS("stats.mutexes.ctl", mutex, locate_ctl_mutex, 0),
	STATS("stats.arenas.<seen>", arena, locate_record, IN_RECORD(arena)),
	STATS("stats.arenas.<seen>.small", classes, locate_record, IN_RECORD(small)),
	STATS("stats.arenas.<seen>.large", classes, locate_record, IN_RECORD(large)),
#define ARENA_MUTEX(name) \
	STATS("stats.arenas.<seen>.mutexes." #name, mutex, locate_record, \
	    IN_RECORD(mutexes) + ARENA_MUTEX_##name * sizeof(struct mutex_figures)),
#include "ctl/stats.def"
	STATS("stats.arenas.<seen>.bins.<bin>", bin, locate_bin, 0),
	STATS("stats.arenas.<seen>.bins.<bin>.mutex", mutex, locate_bin,
	    offsetof(struct bin_figures, mutex)),
	STATS("stats.arenas.<seen>.lextents.<large>", lextent, locate_lextent, 0),
	STATS("stats.arenas.<seen>.extents.<pages>", extent, locate_extent, 0),
	ACTS("approximate_stats", approximate_rows),
	ACTS("experimental", experimental_rows),
	ACTS("experimental.hooks", hooks_rows),
	ACTS("experimental.utilization", utilization_rows),
	ACTS("experimental.arenas.<arena>", experimental_arenas_rows),
};
const unsigned ctl_n_groups = COUNT_OF(ctl_groups);

static_assert(COUNT_OF(ctl_groups) <= CTL_GROUPS_MAX, "numbers of groups fit in a byte");

void
nodes_boot(void)
{
	bin_values_boot();
}
