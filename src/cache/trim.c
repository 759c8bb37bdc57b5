/* SPDX-License-Identifier: MIT */
/*
 * trim -- what a thread gives back while it runs.
 *
 * Every tcache_period slow paths the clock is read; every TCACHE_TRIM_NS (or each time, without
 * opt.experimental_tcache_gc) a thread posts its messages, drains its inbox, gives back half of the
 * large objects it keeps (opt.lg_tcache_flush_large_div), and for each class from which nothing was
 * taken since the last look puts the list back and gives back its empty slabs, if they are more
 * than opt.tcache_gc_delay_bytes.
 */
#include <limits.h>

#include "base/bits.h"
#include "cache/pool.h"
#include "cache/tcache.h"
#include "config/options.h"
#include "os/os.h"

/* A slow path hands out about so many bytes. */
#define LG_BYTES_A_SLOW_PATH 10

void (*_Atomic tcache_on_slow)(void);
unsigned tcache_period EARLY = TCACHE_TICK;

void
tcache_trim_boot(void)
{
	if (option_was_set(OPTION_tcache_gc_incr_bytes))
		tcache_period =
		    (unsigned)min_size(opt.tcache_gc_incr_bytes >> LG_BYTES_A_SLOW_PATH,
			UINT_MAX);
}

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

/* Does the class keep more in free slabs than an idle one may? */
static bool
is_worth_trimming(const struct tcache_class *k)
{
	size_t bytes = k->current != NULL && k->current->need == 0 ? k->current->size : 0;

	if (LIKELY(opt.tcache_gc_delay_bytes == 0))
		return true;
	for (const struct edata *e = k->empty; e != NULL; e = e->link.next == NULL
		 ? NULL
		 : LIST_ENTRY(e->link.next, struct edata, link))
		bytes += e->size;
	return bytes > opt.tcache_gc_delay_bytes;
}

static void
trim_class(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind];
	const uint64_t taken = load_relaxed(&k->n_taken);

	if ((uint32_t)taken == k->taken_at_trim && is_worth_trimming(k)) {
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
	if (!CONFIG_HOSTILE || tc->n_ticks % CHECK_EVERY != 0)
		return;
	tcache_check(tc);
	arena_check_shared(tc->arena);
}

NOINLINE void
tcache_tick_now(struct tcache *tc)
{
	const uint64_t now = os_clock_coarse_ns();

	tc->n_slow = 0;
	tc->n_ticks++;
	check_now_and_then(tc);
	tcache_notice();
	if (opt.experimental_tcache_gc && now < tc->trimmed_ns + TCACHE_TRIM_NS)
		return;
	tc->trimmed_ns = now;
	tc->empty_limit = tcache_empty_share(tc);
	tcache_post_all(tc);
	(void)tcache_drain(tc);
	const unsigned lg_div = opt.lg_tcache_flush_large_div;
	for (unsigned n = (tc->n_large + (1u << lg_div) - 1) >> lg_div; n > 0; n--)
		large_free(tcache_large_take(tc, tc->large[0]->size));
	for (unsigned i = 0; i < SC_NOWNED; i++)
		trim_class(tc, i);
	(void)tcache_pool_age(tc->arena, now);
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
