/* SPDX-License-Identifier: MIT */
/*
 * human -- some thirty lines that say where a process's memory is, and what to try.
 *
 * Resident memory as a waterfall whose lines add up to the total exactly (ctl/resident.h
 * says what each means), the classes that hold most, settings, and one or two hints.
 */
#ifndef TRACT_CTL_HUMAN_H
#define TRACT_CTL_HUMAN_H

#include "ctl/emit.h"
#include "ctl/resident.h"
#include "ctl/stats.h"

/* What the lines are made from. */
struct human_facts {
	struct resident resident;
	struct total_figures total;
	struct arena_figures all; /* of all arenas together */
	unsigned n_arenas;
};

/* e is for text; the snapshot is there. */
void human_print(struct emitter *e);

/* The lines on memory, and those that begin "Try"; for tests, too. */
void human_print_waterfall(struct emitter *e, const struct resident *r);
void human_print_hints(struct emitter *e, const struct human_facts *f);

#endif
