/* SPDX-License-Identifier: MIT */
/*
 * trim -- what a thread gives back while it runs.
 *
 * Every TCACHE_TICK slow paths the clock is read; every TCACHE_TRIM_NS a thread posts its messages,
 * drains its inbox, gives back half of the large objects it keeps, and for each class from which
 * nothing was taken since the last look puts the list back and gives back its empty slabs.
 */
#include "cache/pool.h"
#include "cache/tcache.h"
#include "os/os.h"

void (*_Atomic tcache_on_slow)(void);

static struct edata *
pop_empty(struct tcache *tc, struct tcache_class *k)
{
	struct edata *e = k->empty;

	k->empty =
	    e->link.next == NULL ? NULL : LIST_ENTRY(e->link.next, struct edata, link);
	e->link.next = NULL;
	tc->empty_bytes -= e->size;
	tc->owned_bytes -= e->size;
	return e;
}

static void
delete_empty(struct tcache *tc, struct tcache_class *k)
{
	while (k->empty != NULL)
		arena_slab_delete(tc->arena, pop_empty(tc, k));
}

/* The current slab goes when nothing in it is live: the class is idle. */
static void
delete_current_if_free(struct tcache *tc, struct tcache_class *k)
{
	struct edata *e = k->current;

	if (e == NULL || e->need != 0)
		return;
	k->current = NULL;
	tc->owned_bytes -= e->size;
	arena_slab_delete(tc->arena, e);
}

/* Without any slab, a class that is not used starts again from shared ones. */
static bool
owns_nothing(const struct tcache_class *k)
{
	return k->current == NULL && list_is_empty(&k->partial)
	    && list_is_empty(&k->full);
}

static void
trim_class(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind];
	const uint64_t taken = load_relaxed(&k->n_taken);

	if ((uint32_t)taken == k->taken_at_trim) {
		tcache_unlist(tc, szind);
		delete_empty(tc, k);
		delete_current_if_free(tc, k);
		if (owns_nothing(k))
			k->n_cold = 0;
	}
	k->taken_at_trim = (uint32_t)taken;
}

/* Hostile builds: is all as it must be? */
#define CHECK_EVERY 256

static void
check_now_and_then(struct tcache *tc)
{
	if (!CONFIG_HOSTILE || tc->n_slow / TCACHE_TICK % CHECK_EVERY != 0)
		return;
	tcache_check(tc);
	arena_check_shared(tc->arena);
}

NOINLINE void
tcache_tick_now(struct tcache *tc)
{
	const uint64_t now = os_clock_coarse_ns();

	check_now_and_then(tc);
	tcache_notice();
	if (now < tc->trimmed_ns + TCACHE_TRIM_NS)
		return;
	tc->trimmed_ns = now;
	tc->empty_limit = tcache_empty_share(tc);
	tcache_post_all(tc);
	(void)tcache_drain(tc);
	for (unsigned n = (tc->n_large + 1) / 2; n > 0; n--)
		large_free(tcache_large_take(tc, tc->large[0]->size));
	for (unsigned i = 0; i < SC_NOWNED; i++)
		trim_class(tc, i);
	tcache_pool_age(tc->arena, now);
	arena_tick(tc->arena, now);
}

void
tcache_flush(struct tcache *tc)
{
	tcache_post_all(tc);
	(void)tcache_drain(tc);
	tcache_large_flush(tc);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		tcache_unlist(tc, i);
		delete_empty(tc, &tc->classes[i]);
		delete_current_if_free(tc, &tc->classes[i]);
	}
}
