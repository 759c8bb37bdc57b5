/* SPDX-License-Identifier: MIT */
/*
 * nodes -- the table of all control nodes, and the rows of its groups.
 *
 * Rows that act live in a file a topic, node_*.c; rows that are plain values are the
 * tables of their owners: options, statistics.  A new leaf is one row.
 */
#ifndef TRACT_CTL_NODES_H
#define TRACT_CTL_NODES_H

#include "ctl/tree.h"

extern const struct ctl_group ctl_groups[];
extern const unsigned ctl_n_groups;
extern const struct ctl_index_kind ctl_index_kinds[];
extern const unsigned ctl_n_index_kinds;

/* Computes what is constant only from boot on. */
void nodes_boot(void);

/* Does an index of arena.<i> and stats.arenas.<i> mean all arenas? One past the last
 * does, too. */
bool ctl_means_all(size_t index);

/* node_root.c: version, epoch, opt.malloc_conf, stats.mutexes, approximate_stats */
extern const struct ctl_row root_rows[], malloc_conf_rows[], mutexes_rows[],
    approximate_rows[];
extern const unsigned n_root_rows, n_malloc_conf_rows, n_mutexes_rows, n_approximate_rows;

/* node_config.c: what was configured and what follows from it */
struct config_values;
extern const struct config_values config_values;
extern const struct field config_rows[], bin_value_rows[], lextent_value_rows[];
extern const unsigned n_config_rows, n_bin_value_rows, n_lextent_value_rows;
void bin_values_boot(void);
const void *bin_values_at(unsigned bin);

/* node_thread.c: thread, thread.tcache, tcache */
extern const struct ctl_row thread_rows[], thread_tcache_rows[], tcache_rows[];
extern const unsigned n_thread_rows, n_thread_tcache_rows, n_tcache_rows;

/* node_arena.c: arena.<i> */
extern const struct ctl_row arena_rows[];
extern const unsigned n_arena_rows;

/* node_arenas.c: arenas, experimental.arenas_create_ext */
extern const struct ctl_row arenas_rows[];
extern const unsigned n_arenas_rows;
int arenas_create_ext(struct ctl_call *call);

/* node_experimental.c */
extern const struct ctl_row experimental_rows[], hooks_rows[], utilization_rows[],
    experimental_arenas_rows[];
extern const unsigned n_experimental_rows, n_hooks_rows, n_utilization_rows,
    n_experimental_arenas_rows;

#endif
