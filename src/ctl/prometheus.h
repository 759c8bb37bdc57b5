/* SPDX-License-Identifier: MIT */
/*
 * prometheus -- statistics in the text format of Prometheus (version 0.0.4).
 *
 * Metrics follow the tables of stats.def: a row is a metric, its doc the HELP, its unit
 * the suffix (_bytes, _seconds; pages are told in bytes), _total what only grows.  Groups
 * of control nodes become labels:
 *
 *	tract_bin_malloc_total{arena="0",class="64"} 1234
 *
 *	arena  an index; "destroyed" for what destroyed arenas did; "all" for all of them
 *	       together, in place of each
 *	class  the size of a class, or of a page class, in bytes
 *	mutex, size, slabs, batch    the word or index in the name of the node
 *
 * tract_bytes{state=} splits the memory of all arenas.  What is zero throughout (a class
 * that was never used, a lock that was never taken) has no sample.
 */
#ifndef TRACT_CTL_PROMETHEUS_H
#define TRACT_CTL_PROMETHEUS_H

#include "ctl/walk.h"

struct prometheus_parts {
	bool each_arena; /* each, or all of them together */
	bool destroyed;
};

/* w: an emitter for text, and words of paths that are left out. */
void prometheus_print(const struct walk *w, struct prometheus_parts parts);

/* Has this group of control nodes metrics, below which prefix? NULL: it has none. */
const char *prometheus_prefix(const struct ctl_group *group);

/* Room for the longest name, and the name of a row's metric below a prefix. */
#define PROMETHEUS_NAME_SIZE 96
struct stat_row;
void prometheus_name(char name[PROMETHEUS_NAME_SIZE], const char *prefix,
    const struct stat_row *row);

#endif
