/* SPDX-License-Identifier: MIT */
/*
 * node_config -- config.*, and the constants below arenas.bin and arenas.lextent.
 */
#include "base/attr.h"
#include "base/bits.h"
#include "config/size_class.h"
#include "ctl/nodes.h"

struct config_values {
	bool cache_oblivious, debug, fill, lazy_lock, opt_safety_checks, prof,
	    prof_libgcc;
	bool prof_libunwind, prof_frameptr, stats, utrace, xmalloc;
	const char *malloc_conf;
};

const struct config_values config_values = {
	.debug = CONFIG_DEBUG,
	.cache_oblivious = CONFIG_CACHE_OBLIVIOUS,
	.fill = CONFIG_FILL,
	.opt_safety_checks = CONFIG_OPT_SAFETY_CHECKS,
	.stats = CONFIG_STATS,
	.xmalloc = CONFIG_XMALLOC,
	.malloc_conf = CONFIG_MALLOC_CONF,
};

#define ROW(name, type, doc) \
	{ \
#name, FIELD_##type, offsetof(struct config_values, name), doc \
	}

const struct field config_rows[] LATE_TABLE = {
	ROW(cache_oblivious, BOOL, "Large objects begin at varying cache lines."),
	ROW(debug, BOOL, "Assertions are checked."),
	ROW(fill, BOOL, "The options junk and zero work."),
	ROW(lazy_lock, BOOL, "Locks work only from the second thread on."),
	ROW(malloc_conf, STRING, "Options given to configure."),
	ROW(opt_safety_checks, BOOL,
	    "More checks for misuse than those that cost nothing."),
	ROW(prof, BOOL, "Profiling is there."),
	ROW(prof_libgcc, BOOL, "Profiling unwinds by libgcc."),
	ROW(prof_libunwind, BOOL, "Profiling unwinds by libunwind."),
	ROW(prof_frameptr, BOOL, "Profiling unwinds by frame pointers."),
	ROW(stats, BOOL, "Statistics are there."),
	ROW(utrace, BOOL, "The option utrace works."),
	ROW(xmalloc, BOOL, "The option xmalloc works."),
};
const unsigned n_config_rows = COUNT_OF(config_rows);

#undef ROW

/* With the types that callers expect. */
struct bin_values {
	size_t size, slab_size;
	uint32_t nregs, nshards;
};

static struct bin_values bin_values[SC_NBINS] BULKY; /* Set once, by bin_values_boot. */

void
bin_values_boot(void)
{
	for (unsigned i = 0; i < SC_NBINS; i++) {
		bin_values[i] = (struct bin_values){
			.size = size_class_size(i),
			.slab_size = slab_geometry[i].slab_size,
			.nregs = slab_geometry[i].nregs,
			.nshards = 1,
		};
	}
}

const void *
bin_values_at(unsigned bin)
{
	return &bin_values[bin];
}

#define ROW(name, type, doc) \
	{ \
#name, FIELD_##type, offsetof(struct bin_values, name), doc \
	}

const struct field bin_value_rows[] LATE_TABLE = {
	ROW(size, SIZE, "Bytes of a region."),
	ROW(nregs, U32, "Regions in a slab."),
	ROW(slab_size, SIZE, "Bytes of a slab."),
	ROW(nshards, U32, "Locks of the class in an arena."),
};
const unsigned n_bin_value_rows = COUNT_OF(bin_value_rows);

const struct field lextent_value_rows[] LATE_TABLE = {
	{ "size", FIELD_SIZE, 0, "Bytes of the class." },
};
const unsigned n_lextent_value_rows = COUNT_OF(lextent_value_rows);
