/* SPDX-License-Identifier: MIT */
/*
 * node_utilization -- experimental.utilization.*: how full the slab of an object is.
 * Layouts of what is handed out are ABI: callers declare them themselves.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/gather.h"
#include "ctl/nodes.h"
#include "ctl/pin.h"

struct use {
	size_t n_free, n_regs; /* regions */
	size_t size;           /* bytes of the slab or extent */
};

struct use_verbose {
	void *current_slab;
	struct use extent;
	size_t bin_n_free, bin_n_regs;
};

static_assert(sizeof(struct use) == 3 * sizeof(size_t), "ABI");
static_assert(sizeof(struct use_verbose) == 6 * sizeof(size_t), "ABI");

/* A mixed slab as if all of it were of the object's class. */
static struct use
use_of_mixed(const struct edata *e, size_t size)
{
	const size_t n_regs = e->size / size;

	return (struct use){
		.n_free = n_regs - min_size(n_regs, gather_live(e)),
		.n_regs = n_regs,
		.size = e->size,
	};
}

/* Zeros for what is not from here. */
static struct use
use_of(const struct edata *e, const void *p)
{
	if (e == NULL)
		return (struct use){ 0, 0, 0 };
	if (e->use == USE_LARGE)
		return (struct use){ .n_regs = 1, .size = e->size };
	if (e->use == USE_MIXED) {
		const size_t size = mixed_usable_size(arena_of(e), e, p);
		return size == 0 ? (struct use){ 0, 0, 0 } : use_of_mixed(e, size);
	}
	return (struct use){
		.n_free = e->nregs - gather_live(e),
		.n_regs = e->nregs,
		.size = e->size,
	};
}

static void
add_bin(const struct edata *e, struct use_verbose *use)
{
	struct arena *arena = arena_pin(edata_arena(e));

	if (arena == NULL)
		return;
	const struct gathered_bin bin = gather_bin(arena, e->szind);
	arena_unpin(arena);
	use->current_slab = bin.current;
	use->bin_n_regs = bin.n_slabs * slab_geometry[e->szind].nregs;
	use->bin_n_free = use->bin_n_regs - bin.n_live;
}

static int
query(struct ctl_call *call)
{
	const void *p;
	struct use_verbose use;

	if (call->old == NULL || call->old_length == NULL
	    || *call->old_length != sizeof use || call->new == NULL
	    || call->new_length != sizeof p)
		return EINVAL;
	memcpy(&p, call->new, sizeof p);
	const struct edata *e = emap_lookup(p);
	use = (struct use_verbose){ .extent = use_of(e, p) };
	if (e != NULL && e->use == USE_SLAB)
		add_bin(e, &use);
	if (e != NULL && e->use == USE_MIXED) {
		use.current_slab = edata_base(e);
		use.bin_n_free = use.extent.n_free;
		use.bin_n_regs = use.extent.n_regs;
	}
	memcpy(call->old, &use, sizeof use);
	return 0;
}

static int
batch_query(struct ctl_call *call)
{
	const size_t n = call->new_length / sizeof(void *);
	const char *pointers = call->new;
	char *out = call->old;

	if (call->old == NULL || call->old_length == NULL || call->new == NULL || n == 0
	    || call->new_length % sizeof(void *) != 0
	    || *call->old_length != n * sizeof(struct use))
		return EINVAL;
	for (size_t i = 0; i < n; i++) {
		const void *p;
		memcpy(&p, pointers + i * sizeof p, sizeof p);
		const struct use use = use_of(emap_lookup(p), p);
		memcpy(out + i * sizeof use, &use, sizeof use);
	}
	return 0;
}

#define UTILIZATION_ROWS(ROW) \
	ROW(query, POINTER, CTL_READ | CTL_NEEDS_NEW | CTL_OWN_LENGTHS, 0, query, 0, \
	    "How full an object's slab and bin are; takes its address.") \
	ROW(batch_query, POINTER, CTL_READ | CTL_NEEDS_NEW | CTL_OWN_LENGTHS, 0, \
	    batch_query, 0, \
	    "How full the slabs of many objects are; takes their addresses.")

CTL_ROWS(utilization, UTILIZATION_ROWS);
