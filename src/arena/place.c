/* SPDX-License-Identifier: MIT */
#include "arena/place.h"

#include <errno.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "base/fmt.h"
#include "config/options.h"
#include "os/os.h"
#include "os/topology.h"

int (*place_cpu)(void) = os_cpu_current;
const char *place_root = "";

/* Set once at boot. */
static enum place_rule rule;
static unsigned n_units; /* nodes, processors or cores that have arenas of their own */
static uint8_t node_of[TOPOLOGY_CPUS] BULKY;

enum place_rule
place_rule(void)
{
	return rule;
}

void
place_set(enum place_rule new_rule, unsigned new_n_units)
{
	rule = new_rule;
	n_units = new_n_units;
}

void
place_set_node(unsigned cpu, unsigned node)
{
	node_of[cpu] = (uint8_t)node;
}

/* ---- boot ------------------------------------------------------------------------------------ */

static void
tell_number(void (*tell)(const char *), const char *format, unsigned n)
{
	char line[160];
	struct fmt f;

	fmt_init(&f, line, sizeof line);
	fmt_print(&f, format, n);
	tell(line);
	if (opt.abort)
		os_abort();
}

static void
boot_percpu(unsigned *n_arenas, void (*tell)(const char *))
{
	const struct topology_cpus cpus = topology_cpus_under(place_root);

	if (place_cpu() < 0) {
		opt.percpu_arena = PERCPU_DISABLED;
		tell_number(tell,
		    "<tract>: percpu_arena: getcpu does not work here. narenas is %u, "
		    "for "
		    "all threads.\n",
		    *n_arenas);
		return;
	}
	if (opt.percpu_arena == PERCPU_PERCPU) {
		place_set(PLACE_CPU, min_size(cpus.possible, NARENAS_MAX));
	} else {
		if (cpus.online % 2 != 0 && cpus.online != 1)
			tell_number(tell,
			    "<tract>: percpu_arena:phycpu: %u processors are not two for "
			    "each core (no hyper-threading?).\n",
			    cpus.online);
		place_set(PLACE_CORE, min_size((cpus.online + 1) / 2, NARENAS_MAX));
	}
	if (*n_arenas < n_units)
		*n_arenas = n_units;
}

/* Asking takes longer than all else of a start; so few processors are of one node. */
#define NODES_CPUS 8

static bool
may_have_nodes(void)
{
	return *place_root != '\0' || os_cpu_end() >= NODES_CPUS;
}

COLD void
place_boot(unsigned *n_arenas, void (*tell)(const char *))
{
	const int saved_errno = errno;

	if (opt.percpu_arena != PERCPU_DISABLED) {
		boot_percpu(n_arenas, tell);
	} else if (*n_arenas > 1 && may_have_nodes() && place_cpu() >= 0) {
		const unsigned n_nodes = topology_nodes_under(place_root, node_of);
		if (n_nodes > 1)
			place_set(PLACE_NODE, min_size(n_nodes, *n_arenas));
	}
	errno = saved_errno;
}

/* ---- where a thread belongs ------------------------------------------------------------------ */

/* The unit that runs the caller; below n_units, whatever the number of its processor. */
static unsigned
unit_now(void)
{
	const int cpu = place_cpu();
	const unsigned number = cpu < 0 ? 0 : (unsigned)cpu;

	return (rule == PLACE_NODE ? node_of[number % TOPOLOGY_CPUS] : number) % n_units;
}

/*
 * Of the arenas first, first + step... that with the fewest threads, lowest index first; one that
 * does not exist yet counts as having none, but an existing one without threads comes first.  NULL:
 * there is none, and no memory.
 */
static struct arena *
fewest_threads(unsigned first, unsigned step)
{
	struct arena *best = NULL;
	unsigned missing = arenas_automatic();

	for (unsigned i = first; i < arenas_automatic(); i += step) {
		struct arena *arena = arena_get(i);
		if (arena == NULL) {
			if (missing == arenas_automatic())
				missing = i;
			continue;
		}
		/* Relaxed: a race costs an uneven spread. */
		if (best == NULL
		    || load_relaxed(&arena->n_threads) < load_relaxed(&best->n_threads))
			best = arena;
	}
	if (missing == arenas_automatic()
	    || (best != NULL && load_relaxed(&best->n_threads) == 0))
		return best;
	struct arena *made = arena_automatic(missing);
	return made != NULL ? made : best;
}

static struct arena *
choose(void)
{
	switch (rule) {
	case PLACE_ANYWHERE: return fewest_threads(0, 1);
	case PLACE_NODE: return fewest_threads(unit_now(), n_units);
	case PLACE_CPU:
	case PLACE_CORE: break;
	}
	return arena_automatic(unit_now());
}

struct arena *
arena_choose(void)
{
	struct arena *arena = choose();

	/* Without memory for the right one, the one that is always there. */
	if (arena == NULL)
		arena = arena_get(0);
	arena_thread_in(arena);
	return arena;
}

struct arena *
place_again(struct arena *now)
{
	if (rule == PLACE_ANYWHERE || now->index % n_units == unit_now())
		return now;
	struct arena *arena = choose();
	return arena != NULL ? arena : now;
}
