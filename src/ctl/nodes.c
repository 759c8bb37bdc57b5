/* SPDX-License-Identifier: MIT */
#include "ctl/nodes.h"

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "ctl/ctl.h"
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

static bool
is_hpa_list(size_t index)
{
	return index < HPA_LISTS;
}

static bool
is_hpa_batch(size_t index)
{
	return index < HPA_BATCHES;
}

const struct ctl_index_kind ctl_index_kinds[] = {
	{ "<arena>",
	    is_arena }, /* an arena's index, used or not; all arenas; destroyed ones */
	{ "<seen>", is_seen }, /* one that the snapshot has a record of */
	{ "<bin>", is_bin },
	{ "<large>", is_large },
	{ "<pages>", is_pages },
	{ "<slabs>", is_hpa_list },
	{ "<batch>", is_hpa_batch },
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
	return option_word(CONTAINER_OF(field, const struct option, field), value);
}

static bool
option_is_missing(const struct field *field)
{
	return CONTAINER_OF(field, const struct option, field)->node == OPTION_MISSING;
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

/* A member's offset within a group of several locks is that of the lock. */
static const void *
locate_mutexes(const unsigned index[CTL_INDICES])
{
	(void)index;
	return snapshot_mutexes();
}

static const void *
locate_background(const unsigned index[CTL_INDICES])
{
	(void)index;
	return snapshot_background();
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

static const void *
locate_nonfull(const unsigned index[CTL_INDICES])
{
	const struct arena_record *r = record_of(index[0]);
	return r == NULL ? NULL : &r->hpa.nonfull[index[1]];
}

static const void *
locate_batch(const unsigned index[CTL_INDICES])
{
	const struct arena_record *r = record_of(index[0]);
	return r == NULL ? NULL : &r->hpa.alloc[index[1]];
}

/* ---- Rows, and where their bytes are. ---- */

struct ctl_table {
	const void *rows;
	const unsigned *n_rows;
	ctl_act *const *acts;
	const void *(*locate)(const unsigned index[CTL_INDICES]);
	uint16_t stride;
	uint8_t guard;
};

#define ACTS(name) \
	{ \
		.rows = name##_rows, .n_rows = &n_##name##_rows, .acts = name##_acts, \
		.stride = sizeof(struct ctl_row) \
	}
#define VALUES(name, locate_) \
	{ \
		.rows = name##_rows, .n_rows = &n_##name##_rows, .locate = (locate_), \
		.stride = sizeof(struct field) \
	}
#define STATS(list, locate_) \
	{ \
		.rows = list##_stats_rows, .n_rows = &n_##list##_stats, \
		.locate = (locate_), .stride = sizeof(struct stat_row), \
		.guard = CTL_SNAPSHOT \
	}
#define OPTION_VALUES \
	{ \
		.rows = option_table, .n_rows = &option_node_count, \
		.locate = locate_options, .stride = sizeof(struct option) \
	}

/* TABLE(word for it, what it is) */
#define TABLES(TABLE) \
	TABLE(ROOT, ACTS(root)) \
	TABLE(CONFIG, VALUES(config, locate_config)) \
	TABLE(OPTIONS, OPTION_VALUES) \
	TABLE(MALLOC_CONF, ACTS(malloc_conf)) \
	TABLE(THREAD, ACTS(thread)) \
	TABLE(THREAD_TCACHE, ACTS(thread_tcache)) \
	TABLE(NCACHED_MAX, ACTS(ncached_max)) \
	TABLE(PEAK, ACTS(peak)) \
	TABLE(THREAD_PROF, ACTS(thread_prof)) \
	TABLE(TCACHE, ACTS(tcache)) \
	TABLE(ARENA, ACTS(arena)) \
	TABLE(ARENAS, ACTS(arenas)) \
	TABLE(BIN_VALUES, VALUES(bin_value, locate_bin_values)) \
	TABLE(LEXTENT_VALUE, VALUES(lextent_value, locate_lextent_value)) \
	TABLE(LIMIT, ACTS(limit)) \
	TABLE(PROF, ACTS(prof)) \
	TABLE(PROF_STATS, ACTS(prof_stats)) \
	TABLE(TOTAL, STATS(total, locate_total)) \
	TABLE(BACKGROUND, STATS(background, locate_background)) \
	TABLE(MUTEXES, ACTS(mutexes)) \
	TABLE(PROCESS_MUTEX, STATS(mutex, locate_mutexes)) \
	TABLE(ARENA_STATS, STATS(arena, locate_record)) \
	TABLE(CLASSES, STATS(classes, locate_record)) \
	TABLE(ARENA_MUTEX, STATS(mutex, locate_record)) \
	TABLE(BIN, STATS(bin, locate_bin)) \
	TABLE(BIN_MUTEX, STATS(mutex, locate_bin)) \
	TABLE(LEXTENT, STATS(lextent, locate_lextent)) \
	TABLE(EXTENT, STATS(extent, locate_extent)) \
	TABLE(HPA_SHARD, STATS(hpa_shard, locate_record)) \
	TABLE(HPA_SLABS, STATS(hpa_slabs, locate_record)) \
	TABLE(HPA_NONFULL, STATS(hpa_slabs, locate_nonfull)) \
	TABLE(HPA_ALLOC, STATS(hpa_alloc, locate_batch)) \
	TABLE(APPROXIMATE, ACTS(approximate)) \
	TABLE(EXPERIMENTAL, ACTS(experimental)) \
	TABLE(HOOKS, ACTS(hooks)) \
	TABLE(UTILIZATION, ACTS(utilization)) \
	TABLE(EXPERIMENTAL_ARENAS, ACTS(experimental_arenas)) \
	TABLE(PROF_RECENT, ACTS(prof_recent))

#define TABLE_WORD(word, ...) TABLE_##word,
#define TABLE_ITSELF(word, ...) \
	case TABLE_##word: return (struct ctl_table)__VA_ARGS__;

enum { TABLES(TABLE_WORD) };

/* Code, and no array: every process would relocate its pointers as it starts. */
static struct ctl_table
table_of(unsigned word)
{
	switch (word) {
		TABLES(TABLE_ITSELF)
	}
	unreachable_state();
}

/* ---- The groups: text, for the same reason as rows. ---- */

#define PATH_SIZE 56
#define IN_RECORD(member) offsetof(struct arena_record, member)
#define SEEN "stats.arenas.<seen>"

static const struct {
	char path[PATH_SIZE];
	uint32_t offset; /* of the rows' struct in what `locate' finds */
	uint8_t table;
} group_texts[] LATE_TABLE = {
	{ "", 0, TABLE_ROOT },
	{ "config", 0, TABLE_CONFIG },
	{ "opt", 0, TABLE_OPTIONS },
	{ "opt.malloc_conf", 0, TABLE_MALLOC_CONF },
	{ "thread", 0, TABLE_THREAD },
	{ "thread.tcache", 0, TABLE_THREAD_TCACHE },
	{ "thread.tcache.ncached_max", 0, TABLE_NCACHED_MAX },
	{ "thread.peak", 0, TABLE_PEAK },
	{ "thread.prof", 0, TABLE_THREAD_PROF },
	{ "tcache", 0, TABLE_TCACHE },
	{ "arena.<arena>", 0, TABLE_ARENA },
	{ "arenas", 0, TABLE_ARENAS },
	{ "arenas.bin.<bin>", 0, TABLE_BIN_VALUES },
	{ "arenas.lextent.<large>", 0, TABLE_LEXTENT_VALUE },
	{ "limit", 0, TABLE_LIMIT },
	{ "prof", 0, TABLE_PROF },
	{ "prof.stats.bins.<bin>", 0, TABLE_PROF_STATS },
	{ "prof.stats.lextents.<large>", 0, TABLE_PROF_STATS },
	{ "stats", 0, TABLE_TOTAL },
	{ "stats.background_thread", 0, TABLE_BACKGROUND },
	{ "stats.mutexes", 0, TABLE_MUTEXES },
#define PROCESS_MUTEX(name) \
	{ "stats.mutexes." #name, PROCESS_MUTEX_##name * sizeof(struct mutex_figures), \
		TABLE_PROCESS_MUTEX },
#include "ctl/stats.def"
	{ SEEN, IN_RECORD(arena), TABLE_ARENA_STATS },
	{ SEEN ".small", IN_RECORD(small), TABLE_CLASSES },
	{ SEEN ".large", IN_RECORD(large), TABLE_CLASSES },
#define ARENA_MUTEX(name) \
	{ SEEN ".mutexes." #name, \
		IN_RECORD(mutexes) + ARENA_MUTEX_##name * sizeof(struct mutex_figures), \
		TABLE_ARENA_MUTEX },
#include "ctl/stats.def"
	{ SEEN ".bins.<bin>", 0, TABLE_BIN },
	{ SEEN ".bins.<bin>.mutex", offsetof(struct bin_figures, mutex),
	    TABLE_BIN_MUTEX },
	{ SEEN ".lextents.<large>", 0, TABLE_LEXTENT },
	{ SEEN ".extents.<pages>", 0, TABLE_EXTENT },
	{ SEEN ".hpa_shard", IN_RECORD(hpa.shard), TABLE_HPA_SHARD },
	{ SEEN ".hpa_shard.slabs", IN_RECORD(hpa.slabs), TABLE_HPA_SLABS },
	{ SEEN ".hpa_shard.full_slabs", IN_RECORD(hpa.full), TABLE_HPA_SLABS },
	{ SEEN ".hpa_shard.empty_slabs", IN_RECORD(hpa.empty), TABLE_HPA_SLABS },
	{ SEEN ".hpa_shard.nonfull_slabs.<slabs>", 0, TABLE_HPA_NONFULL },
	{ SEEN ".hpa_shard.alloc.<batch>", 0, TABLE_HPA_ALLOC },
	{ "approximate_stats", 0, TABLE_APPROXIMATE },
	{ "experimental", 0, TABLE_EXPERIMENTAL },
	{ "experimental.hooks", 0, TABLE_HOOKS },
	{ "experimental.utilization", 0, TABLE_UTILIZATION },
	{ "experimental.arenas.<arena>", 0, TABLE_EXPERIMENTAL_ARENAS },
	{ "experimental.prof_recent", 0, TABLE_PROF_RECENT },
};

struct ctl_group ctl_groups[COUNT_OF(group_texts)] BULKY;
const unsigned ctl_n_groups = COUNT_OF(group_texts);

static_assert(COUNT_OF(group_texts) <= CTL_GROUPS_MAX, "numbers of groups fit in a byte");

unsigned
ctl_call_offset(const struct ctl_call *call)
{
	const struct field *field = call->row;

	return field->offset;
}

void
nodes_boot(void)
{
	options_settle();
	for (unsigned g = 0; g < ctl_n_groups; g++) {
		const struct ctl_table table = table_of(group_texts[g].table);
		/* Of options alone: not worth two pointers in each table. */
		const bool are_options = table.rows == option_table;
		ctl_groups[g] = (struct ctl_group){
			.path = group_texts[g].path,
			.rows = table.rows,
			.n_rows = table.n_rows,
			.stride = table.stride,
			.acts = table.acts,
			.guard = table.guard,
			.locate = table.locate,
			.offset = group_texts[g].offset,
			.name_of = are_options ? option_value_name : NULL,
			.is_missing = are_options ? option_is_missing : NULL,
		};
	}
	bin_values_boot();
}
