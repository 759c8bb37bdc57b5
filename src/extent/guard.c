/* SPDX-License-Identifier: MIT */
#include "extent/guard.h"

#include "extent/emap.h"
#include "os/guard.h"

/* Extents with guards, in the process. */
static _Atomic(size_t) n_guarded; /* Relaxed: a count. */

static void *
page_before(const struct edata *e)
{
	return (void *)(e->addr - os_page_size);
}

static void *
page_behind(const struct edata *e)
{
	return (void *)edata_end(e);
}

/* Give e, which is registered, another place that has leaves already, or needs them.  False:
 * no memory for one; nothing changed. */
static bool
move_edges(struct edata *e, uintptr_t addr, size_t size)
{
	const uintptr_t old_addr = e->addr;
	const size_t old_size = e->size;

	emap_deregister(e);
	e->addr = addr;
	e->size = size;
	if (emap_register(e))
		return true;
	e->addr = old_addr;
	e->size = old_size;
	(void)emap_register(e);
	return false;
}

static bool
put_up(struct edata *e)
{
	return os_guard(page_before(e), os_page_size)
	    && os_guard(page_behind(e), os_page_size);
}

static bool
take_down(struct edata *e)
{
	const bool before = os_unguard(page_before(e), os_page_size);

	return os_unguard(page_behind(e), os_page_size) && before;
}

void
guard_forget(struct edata *e)
{
	assert(e->guarded && e->state != EXTENT_ACTIVE);
	e->guarded = e->is_half_guarded = false;
	/* The leaves exist: this cannot fail. */
	(void)move_edges(e, e->addr - os_page_size, e->size + guard_bytes());
	fetch_sub_relaxed(&n_guarded, 1);
}

bool
guard_enclose(struct edata *e)
{
	assert(!e->guarded && e->state != EXTENT_ACTIVE && e->committed);
	assert(e->size > guard_bytes());
	if (2 * fetch_add_relaxed(&n_guarded, 1) >= os_guards_max()
	    || !move_edges(e, e->addr + os_page_size, e->size - guard_bytes())) {
		fetch_sub_relaxed(&n_guarded, 1);
		return false;
	}
	e->guarded = true;
	if (put_up(e))
		return true;
	if (take_down(e))
		guard_forget(e);
	else
		e->is_half_guarded = true;
	return false;
}

bool
guard_complete(struct edata *e)
{
	assert(e->guarded && e->state != EXTENT_ACTIVE);
	if (e->is_half_guarded && put_up(e))
		e->is_half_guarded = false;
	return !e->is_half_guarded;
}

bool
guard_open(struct edata *e)
{
	assert(e->guarded && e->state != EXTENT_ACTIVE);
	e->is_half_guarded = true;
	if (!take_down(e))
		return false;
	/* What the guards hold is not known. */
	e->zeroed = false;
	guard_forget(e);
	return true;
}
