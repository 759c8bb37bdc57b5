/* SPDX-License-Identifier: MIT */
/*
 * report -- statistics for people and for parsers: malloc_stats_print, and totals for
 * those who need only these.
 *
 * Text and JSON come from the table of control nodes (ctl/walk.h): every value of
 * config.*, opt.*, arenas.*, prof.* and stats.* is in both.  A report begins with a new
 * epoch; figures are copied struct by struct from the snapshot, and nothing is locked
 * while the writer runs, so a report during which another thread refreshes may mix two
 * epochs.  Nothing is allocated.
 *
 * Text begins with "___ Begin tract statistics ___" and ends with "--- End tract
 * statistics ---"; JSON is one object with the key "jemalloc", which parsers expect.
 */
#ifndef TRACT_CTL_REPORT_H
#define TRACT_CTL_REPORT_H

#include "ctl/emit.h"
#include "ctl/stats.h"

/*
 * `options': letters.  A capital chooses the form, the last one counts; without one it is
 * text.
 *	J  JSON
 *	H  a summary for people (ctl/human.h)
 *	P  the text format of Prometheus (ctl/prometheus.h)
 * A small letter leaves a part out, except of the summary: g general (configuration,
 * options, constants), m all arenas together, d destroyed arenas, a each arena, b bins, l
 * large classes, x locks, e extents, h huge pages.  Prometheus gets all arenas together
 * exactly where a leaves each of them out.  Others are ignored.  NULL: none.
 */
void report_print(emit_write *write, void *opaque, const char *options);

/* What the process holds now. Zeros where there is no memory to find out. */
void report_held(struct total_figures *held);

#endif
