/* SPDX-License-Identifier: MIT */
/*
 * nodes -- the table of all control nodes, and the rows of its groups.
 *
 * Rows that act live in a file a topic, node_*.c; rows that are plain values are the
 * tables of their owners: options, statistics.  A new leaf is one row.
 *
 * Rows that act are lists, LIST(ROW), of
 *	ROW(name, type, access, new_size, act, offset, doc)
 * which CTL_ROWS turns into two tables, the rows and what they do.
 */
#ifndef TRACT_CTL_NODES_H
#define TRACT_CTL_NODES_H

#include "base/attr.h"
#include "base/bits.h"
#include "ctl/tree.h"

#define CTL_ROW_TEXT(name, type, access, new_size, act, offset, doc) \
	{ { #name, FIELD_##type, offset, doc }, access, new_size },
#define CTL_ROW_ACT(name, type, access, new_size, act, offset, doc) act,
#define CTL_ROWS(name, LIST) \
	const struct ctl_row name##_rows[] LATE_TABLE = { LIST(CTL_ROW_TEXT) }; \
	ctl_act *const name##_acts[] = { LIST(CTL_ROW_ACT) }; \
	const unsigned n_##name##_rows = COUNT_OF(name##_rows)

#define CTL_ROWS_OF(name) \
	extern const struct ctl_row name##_rows[]; \
	extern ctl_act *const name##_acts[]; \
	extern const unsigned n_##name##_rows

/* Filled in by nodes_boot. */
extern struct ctl_group ctl_groups[];
extern const unsigned ctl_n_groups;
extern const struct ctl_index_kind ctl_index_kinds[];
extern const unsigned ctl_n_index_kinds;

/* Computes what is constant only from boot on. */
void nodes_boot(void);

/* Does an index of arena.<i> and stats.arenas.<i> mean all arenas? One past the last
 * does, too. */
bool ctl_means_all(size_t index);

/* The offset of a call's row. */
unsigned ctl_call_offset(const struct ctl_call *call);

/* node_root.c */
CTL_ROWS_OF(root);
CTL_ROWS_OF(malloc_conf);
CTL_ROWS_OF(mutexes);
CTL_ROWS_OF(approximate);

/* node_config.c: what was configured and what follows from it */
struct config_values;
extern const struct config_values config_values;
extern const struct field config_rows[], bin_value_rows[], lextent_value_rows[];
extern const unsigned n_config_rows, n_bin_value_rows, n_lextent_value_rows;
void bin_values_boot(void);
const void *bin_values_at(unsigned bin);

/* node_thread.c */
CTL_ROWS_OF(thread);
CTL_ROWS_OF(peak);

/* node_tcache.c: a thread's own slabs, and explicit caches */
CTL_ROWS_OF(thread_tcache);
CTL_ROWS_OF(ncached_max);
CTL_ROWS_OF(tcache);

/* node_arena.c: arena.<i> */
CTL_ROWS_OF(arena);

/* node_arenas.c: arenas, experimental.arenas_create_ext */
CTL_ROWS_OF(arenas);
int arenas_create_ext(struct ctl_call *call);

/* node_limit.c: limit */
CTL_ROWS_OF(limit);

/* node_prof.c: of profiling, which this version lacks */
CTL_ROWS_OF(thread_prof);
CTL_ROWS_OF(prof);
CTL_ROWS_OF(prof_stats);
CTL_ROWS_OF(prof_recent);

/* node_hooks.c: experimental.hooks */
CTL_ROWS_OF(hooks);

/* node_experimental.c, node_utilization.c */
CTL_ROWS_OF(experimental);
CTL_ROWS_OF(experimental_arenas);
CTL_ROWS_OF(utilization);

#endif
