/* SPDX-License-Identifier: MIT */
/*
 * node_experimental -- experimental.*.  Layouts of what is handed in and out are ABI:
 * callers declare them themselves.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "arena/misuse.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/gather.h"
#include "ctl/nodes.h"
#include "ctl/pin.h"

/* ---- hooks ---- */

/* NULL: abort as usual. */
static int
safety_check_abort(struct ctl_call *call)
{
	if (call->new != NULL)
		memcpy(&misuse_abort, call->new, sizeof misuse_abort);
	return 0;
}

const struct ctl_row hooks_rows[] = {
	{ { "safety_check_abort", FIELD_POINTER, 0,
	      "Called instead of abort on misuse." },
	    CTL_WRITE, 0, safety_check_abort },
};
const unsigned n_hooks_rows = COUNT_OF(hooks_rows);

/* ---- utilization ---- */

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
	use->bin_n_regs = bin.n_slabs * e->nregs;
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

const struct ctl_row utilization_rows[] = {
	{ { "query", FIELD_POINTER, 0, "How full an object's slab and bin are." },
	    CTL_READ | CTL_NEEDS_NEW | CTL_OWN_LENGTHS, 0, query },
	{ { "batch_query", FIELD_POINTER, 0, "How full the slabs of many objects are." },
	    CTL_READ | CTL_NEEDS_NEW | CTL_OWN_LENGTHS, 0, batch_query },
};
const unsigned n_utilization_rows = COUNT_OF(utilization_rows);

/* ---- arenas ---- */

static int
pactivep(struct ctl_call *call)
{
	struct arena *arena = arena_pin(call->index[0]);

	if (arena == NULL)
		return EFAULT;
	call->value.pointer = &arena->pac.stats.active_pages;
	arena_unpin(arena);
	return 0;
}

static_assert(sizeof(_Atomic(size_t)) == sizeof(size_t), "callers read it as a size_t");

const struct ctl_row experimental_arenas_rows[] = {
	{ { "pactivep", FIELD_POINTER, 0, "Where the arena counts its active pages." },
	    CTL_READ, 0, pactivep },
};
const unsigned n_experimental_arenas_rows = COUNT_OF(experimental_arenas_rows);

/* ---- experimental itself ---- */

struct batch {
	void **objects;
	size_t count;
	size_t size;
	int flags;
};

/* As many as memory allows, one by one: a thread's own slabs are as good as a batch. */
static int
batch_alloc(struct ctl_call *call)
{
	void *(*const allocx)(size_t, int) = load_relaxed(&ctl_allocx);
	struct batch batch;
	size_t n = 0;

	memcpy(&batch, call->new, sizeof batch);
	while (n < batch.count
	    && (batch.objects[n] = allocx(batch.size, batch.flags)) != NULL)
		n++;
	call->value.size = n;
	return 0;
}

const struct ctl_row experimental_rows[] = {
	{ { "arenas_create_ext", FIELD_UNSIGNED, 0,
	      "Makes an arena; takes an arena_config_t." },
	    CTL_READ | CTL_MUST_READ | CTL_ARGUMENT, sizeof(arena_config_t),
	    arenas_create_ext },
	{ { "batch_alloc", FIELD_SIZE, 0, "Makes many objects; how many there are." },
	    CTL_READ | CTL_MUST_READ | CTL_NEEDS_NEW, sizeof(struct batch), batch_alloc },
};
const unsigned n_experimental_rows = COUNT_OF(experimental_rows);
