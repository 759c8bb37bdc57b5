/* SPDX-License-Identifier: MIT */
/*
 * node_root -- version, epoch, opt.malloc_conf.*, stats.mutexes.reset,
 * approximate_stats.*.
 */
#include <errno.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
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

const struct ctl_row root_rows[] = {
	{ { "version", FIELD_STRING, 0, "Version of the interface, and of tract." },
	    CTL_READ, 0, version },
	{ { "epoch", FIELD_U64, 0,
	      "Number of the snapshot; writing anything makes a new one." },
	    CTL_READ | CTL_WRITE, 0, epoch },
};
const unsigned n_root_rows = COUNT_OF(root_rows);

/* ---- opt.malloc_conf: a row's offset is its source. ---- */

static int
conf_source(struct ctl_call *call)
{
	const struct field *field = call->row;

	call->value.string = options_source((enum conf_source)field->offset);
	return call->value.string == NULL ? ENOENT : 0;
}

#define ROW(name, source, doc) \
	{ \
		{ #name, FIELD_STRING, source, doc }, CTL_READ, 0, conf_source \
	}

const struct ctl_row malloc_conf_rows[] = {
	ROW(symlink, CONF_SYMLINK, "Target of the symbolic link."),
	ROW(env_var, CONF_ENVIRONMENT, "The environment variable."),
	ROW(global_var, CONF_GLOBAL, "The variable malloc_conf."),
	ROW(global_var_2_conf_harder, CONF_HARDER,
	    "The variable malloc_conf_2_conf_harder."),
};
const unsigned n_malloc_conf_rows = COUNT_OF(malloc_conf_rows);

#undef ROW

/* ---- stats.mutexes ---- */

static int
reset_mutexes(struct ctl_call *call)
{
	(void)call;
	snapshot_reset_mutexes();
	return 0;
}

const struct ctl_row mutexes_rows[] = {
	{ { "reset", FIELD_BOOL, 0, "Zero the counters of every lock." }, 0, 0,
	    reset_mutexes },
};
const unsigned n_mutexes_rows = COUNT_OF(mutexes_rows);

/* ---- approximate_stats ---- */

/* The lock only keeps arenas from going; nothing is gathered. */
static int
approximate_active(struct ctl_call *call)
{
	size_t npages = 0;

	mutex_lock(&ctl_lock);
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_is_doomed(i) ? NULL : arena_get(i);
		if (arena != NULL)
			npages += load_relaxed(&arena->pac.stats.active_pages);
	}
	mutex_unlock(&ctl_lock);
	call->value.size = npages * os_page_size;
	return 0;
}

const struct ctl_row approximate_rows[] = {
	{ { "active", FIELD_SIZE, 0, "Active bytes now, without a new epoch." }, CTL_READ,
	    0, approximate_active },
};
const unsigned n_approximate_rows = COUNT_OF(approximate_rows);
