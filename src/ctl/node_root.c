/* SPDX-License-Identifier: MIT */
/*
 * node_root -- version, epoch, opt.malloc_conf.*, stats.mutexes.reset,
 * approximate_stats.*.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "ctl/background.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "ctl/pin.h"
#include "ctl/snapshot.h"
#include "os/pages.h"

static int
version(struct ctl_call *call)
{
	/* First the interface's, which programs written for jemalloc parse. */
	call->value.string = CONFIG_JEMALLOC_VERSION " tract-" TRACT_VERSION;
	return 0;
}

/* The value read is that after the refresh, not the old one. */
static int
epoch(struct ctl_call *call)
{
	if (call->new != NULL) {
		const int rc = snapshot_refresh();
		if (rc != 0)
			return rc;
	}
	call->value.u64 = snapshot_epoch();
	return 0;
}

static int
background_thread(struct ctl_call *call)
{
	bool wanted;

	call->value.flag = background_is_on();
	if (call->new == NULL)
		return 0;
	memcpy(&wanted, call->new, sizeof wanted);
	return background_set(wanted ? BACKGROUND_ON : BACKGROUND_OFF) ? 0 : EFAULT;
}

static int
max_background_threads(struct ctl_call *call)
{
	size_t max;

	call->value.size = background_max();
	if (call->new == NULL)
		return 0;
	memcpy(&max, call->new, sizeof max);
	if (max == 0 || max > opt.max_background_threads)
		return EINVAL;
	return background_set_max(max) ? 0 : EFAULT;
}

#define ROOT_ROWS(ROW) \
	ROW(version, STRING, CTL_READ, 0, version, 0, \
	    "Version of the interface, and of tract.") \
	ROW(epoch, U64, CTL_READ | CTL_WRITE, 0, epoch, 0, \
	    "Number of the snapshot of statistics; writing anything makes a new one, " \
	    "and " \
	    "what is read is its number.") \
	ROW(background_thread, BOOL, CTL_READ | CTL_WRITE, 0, background_thread, 0, \
	    "Do background threads purge? Writing starts or ends them; EFAULT: none is " \
	    "to " \
	    "be had.") \
	ROW(max_background_threads, SIZE, CTL_READ | CTL_WRITE, 0, \
	    max_background_threads, 0, \
	    "Most background threads, at most opt.max_background_threads.")

CTL_ROWS(root, ROOT_ROWS);

/* ---- opt.malloc_conf: a row's offset is its source. ---- */

static int
conf_source(struct ctl_call *call)
{
	call->value.string = options_source((enum conf_source)ctl_call_offset(call));
	return call->value.string == NULL ? ENOENT : 0;
}

#define MALLOC_CONF_ROWS(ROW) \
	ROW(symlink, STRING, CTL_READ, 0, conf_source, CONF_SYMLINK, \
	    "Options in the target of the symbolic link.") \
	ROW(env_var, STRING, CTL_READ, 0, conf_source, CONF_ENVIRONMENT, \
	    "Options in the environment variable.") \
	ROW(global_var, STRING, CTL_READ, 0, conf_source, CONF_GLOBAL, \
	    "Options in the variable malloc_conf.") \
	ROW(global_var_2_conf_harder, STRING, CTL_READ, 0, conf_source, CONF_HARDER, \
	    "Options in the variable malloc_conf_2_conf_harder.")

CTL_ROWS(malloc_conf, MALLOC_CONF_ROWS);

/* ---- stats.mutexes ---- */

static int
reset_mutexes(struct ctl_call *call)
{
	(void)call;
	snapshot_reset_mutexes();
	return 0;
}

#define MUTEXES_ROWS(ROW) \
	ROW(reset, BOOL, CONFIG_STATS ? 0 : CTL_MISSING, 0, reset_mutexes, 0, \
	    "Zero the counters of every lock.")

CTL_ROWS(mutexes, MUTEXES_ROWS);

/* ---- approximate_stats ---- */

static size_t
active_pages(unsigned first, unsigned end)
{
	size_t npages = 0;

	for (unsigned i = first; i < end; i++) {
		struct arena *arena = arena_get(i);
		/* Relaxed: a count. */
		if (arena != NULL)
			npages += load_relaxed(arena_pages_active(arena));
	}
	return npages;
}

/* Automatic arenas stay; only to see others the lock is needed, under which none goes. */
static int
approximate_active(struct ctl_call *call)
{
	size_t npages = active_pages(0, arenas_automatic());

	if (arenas_total() > arenas_automatic()) {
		mutex_lock(&ctl_lock);
		for (unsigned i = arenas_automatic(); i < arenas_total(); i++)
			if (!arena_is_doomed(i))
				npages += active_pages(i, i + 1);
		mutex_unlock(&ctl_lock);
	}
	call->value.size = npages * os_page_size;
	return 0;
}

#define APPROXIMATE_ROWS(ROW) \
	ROW(active, SIZE, CTL_READ | (CONFIG_STATS ? 0 : CTL_MISSING), 0, \
	    approximate_active, 0, \
	    "Bytes of pages that hold live objects, now, without a new epoch.")

CTL_ROWS(approximate, APPROXIMATE_ROWS);
