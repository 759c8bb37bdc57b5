/* SPDX-License-Identifier: MIT */
/*
 * place -- which automatic arenas serve which processor.
 *
 *	anywhere  any arena serves any thread: the one with the fewest threads, for good
 *	node      several nodes of memory: arena i serves node i modulo their number, and a
 *	          thread uses that with the fewest threads of those of its node
 *	cpu       percpu_arena:percpu: arena i serves processor i
 *	core      percpu_arena:phycpu: ... and processor i + n/2, the other half of the same
 *	          core on most machines
 *
 * Numbers of processors that nobody foresaw (they may come and go) are taken modulo, so that an
 * index is always that of an automatic arena.
 *
 * In all but the first, place_again tells where a thread belongs that may have moved;
 * thread/thread.h says when that is asked.
 */
#ifndef TRACT_ARENA_PLACE_H
#define TRACT_ARENA_PLACE_H

#include <stdbool.h>

struct arena;

enum place_rule { PLACE_ANYWHERE, PLACE_NODE, PLACE_CPU, PLACE_CORE };

/* What the options and the machine ask for, before arenas_boot; *n_arenas may grow.  `tell' gets a
 * line where they cannot be had. */
void place_boot(unsigned *n_arenas, void (*tell)(const char *line));
enum place_rule place_rule(void);

/* The automatic arena that a new thread should use; counts the thread in. */
struct arena *arena_choose(void);
/* Where a thread of arena `now' belongs that runs here: `now', if that serves this processor. */
struct arena *place_again(struct arena *now);

/* For tests: who tells the processor, os_cpu_current else; another machine, with its files under
 * place_root in place of /, or as place_set has it. */
extern int (*place_cpu)(void);
extern const char *place_root;
void place_set(enum place_rule rule, unsigned n_units);
void place_set_node(unsigned cpu, unsigned node);

#endif
