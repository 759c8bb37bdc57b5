/* SPDX-License-Identifier: MIT */
/*
 * large_cache -- a few freed extents that a thread keeps for its next request of the same size.
 *
 * They stay active for everybody else (`cached' marks them, so that a second free is seen), oldest
 * first in tc->large.  Where others are asked for than are kept, the oldest goes back, until few
 * are left.  Only extents of automatic arenas, up to TCACHE_LARGE_MAX each, and no guarded ones:
 * which object is guarded is for counting to say.
 */
#include "base/bits.h"
#include "cache/tcache.h"
#include "config/options.h"

static struct edata *
remove_at(struct tcache *tc, unsigned i)
{
	struct edata *e = tc->large[i];

	tc->n_large--;
	for (; i < tc->n_large; i++)
		tc->large[i] = tc->large[i + 1];
	owner_sub(&tc->large_bytes, e->size);
	e->cached = false;
	return e;
}

struct edata *
tcache_large_search(struct tcache *tc, size_t size)
{
	for (unsigned i = tc->n_large; i-- > 0;)
		if (tc->large[i]->size == size)
			return remove_at(tc, i);
	/* Its pages first, before new ones are touched. */
	if (tc->n_large > TCACHE_LARGE_UNASKED)
		large_free(remove_at(tc, 0));
	return NULL;
}

/* The option has no more than there is room for, but in hostile builds. */
static unsigned
most(void)
{
	return CONFIG_HOSTILE ? TCACHE_LARGE_COUNT : opt.tcache_nslots_large;
}

bool
tcache_large_keep(struct tcache *tc, struct edata *e)
{
	const size_t size = e->size;

	/* Who wants less than all classes kept wants nothing beyond them. */
	if (tc->shape != NULL && tcache_shape_max(tc->shape) < SC_OWNED_MAX)
		return false;
	if (size > TCACHE_LARGE_MAX || edata_arena(e) >= arenas_automatic() || e->guarded)
		return false;
	while (UNLIKELY(tc->n_large >= most()
	    || load_relaxed(&tc->large_bytes) + size > TCACHE_LARGE_BYTES))
		large_free(remove_at(tc, 0));
	e->cached = true;
	tc->large[tc->n_large++] = e;
	owner_add(&tc->large_bytes, size);
	return true;
}

void
tcache_large_flush(struct tcache *tc)
{
	while (tc->n_large != 0)
		large_free(remove_at(tc, 0));
}
