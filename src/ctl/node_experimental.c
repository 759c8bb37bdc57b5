/* SPDX-License-Identifier: MIT */
/*
 * node_experimental -- experimental.arenas, arenas_create_ext and batch_alloc.  Layouts of
 * what is handed in and out are ABI: callers declare them themselves.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "ctl/pin.h"

/* ---- arenas ---- */

static int
pactivep(struct ctl_call *call)
{
	struct arena *arena = arena_pin(call->index[0]);

	if (arena == NULL)
		return EFAULT;
	call->value.pointer = arena_pages_active(arena);
	arena_unpin(arena);
	return 0;
}

static_assert(sizeof(_Atomic(size_t)) == sizeof(size_t), "callers read it as a size_t");

#define EXPERIMENTAL_ARENAS_ROWS(ROW) \
	ROW(pactivep, POINTER, CTL_READ, 0, pactivep, 0, \
	    "Where the arena counts its active pages: a size_t.")

CTL_ROWS(experimental_arenas, EXPERIMENTAL_ARENAS_ROWS);

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

#define EXPERIMENTAL_ROWS(ROW) \
	ROW(arenas_create_ext, UNSIGNED, CTL_READ | CTL_MUST_READ | CTL_ARGUMENT, \
	    sizeof(arena_config_t), arenas_create_ext, 0, \
	    "Makes a manual arena, and tells its index; takes an arena_config_t.") \
	ROW(batch_alloc, SIZE, CTL_READ | CTL_MUST_READ | CTL_NEEDS_NEW, \
	    sizeof(struct batch), batch_alloc, 0, \
	    "Makes many objects of one size; how many there are.")

CTL_ROWS(experimental, EXPERIMENTAL_ROWS);
