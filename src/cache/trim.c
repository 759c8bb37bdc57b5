/* SPDX-License-Identifier: MIT */
/*
 * trim -- what a thread gives back while it runs.
 *
 * Every tcache_period slow paths the clock is read; every TCACHE_TRIM_NS (or each time, without
 * opt.experimental_tcache_gc) a thread posts its messages, drains its inbox, gives back half of the
 * large objects it keeps (opt.lg_tcache_flush_large_div) and the empty slabs that no class has
 * needed since the last look, and for each class from which nothing was taken puts the list back
 * and gives back its current slab if nothing in it is live; no slabs of at most
 * opt.tcache_gc_delay_bytes.
 */
#include <limits.h>

#include "base/bits.h"
#include "cache/kept.h"
#include "cache/pool.h"
#include "cache/tcache.h"
#include "config/options.h"
#include "os/os.h"
#include "page/limit.h"

/* A slow path hands out about so many bytes. */
#define LG_BYTES_A_SLOW_PATH 10

void (*_Atomic tcache_on_slow)(void);
void (*_Atomic tcache_on_tick)(struct tcache *tc);
unsigned tcache_period EARLY = TCACHE_TICK;

void
tcache_trim_boot(void)
{
	if (option_was_set(OPTION_tcache_gc_incr_bytes))
		tcache_period =
		    (unsigned)min_size(opt.tcache_gc_incr_bytes >> LG_BYTES_A_SLOW_PATH,
			UINT_MAX);
}

/* The current slab goes when nothing in it is live: the class is idle. */
static void
delete_current_if_free(struct tcache *tc, unsigned szind)
{
	struct edata *e = tc->current[szind];

	if (e == NULL || e->need != 0)
		return;
	tc->current[szind] = NULL;
	tcache_loses(tc, e);
	arena_slab_delete(arena_of(e), e);
}

/* Without any slab, a class that is not used starts again from shared ones. */
static bool
owns_nothing(const struct tcache *tc, unsigned szind)
{
	const struct tcache_class *k = &tc->classes[szind];

	return tc->current[szind] == NULL && list_is_empty(&k->partial)
	    && list_is_empty(&k->full);
}

static void
trim_class(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind];

	if (tcache_class_is_idle(k)) {
		tcache_unlist(tc, szind);
		if (tcache_is_worth_trimming(slab_geometry[szind].slab_size))
			delete_current_if_free(tc, szind);
		if (owns_nothing(tc, szind))
			k->n_cold = 0;
	}
	k->taken_at_trim = (uint32_t)load_relaxed(&k->n_taken);
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
	/* Acquire: pairs with who installs it. */
	void (*const on_tick)(struct tcache *) = load_acquire(&tcache_on_tick);
	if (UNLIKELY(on_tick != NULL))
		on_tick(tc);
	if (opt.experimental_tcache_gc && now < tc->trimmed_ns + TCACHE_TRIM_NS)
		return;
	tc->trimmed_ns = now;
	if (limit_is_pressed())
		tcache_flush(tc);
	tc->empty_limit = tcache_empty_share(tc);
	tcache_post_all(tc);
	(void)tcache_drain(tc);
	const unsigned lg_div = opt.lg_tcache_flush_large_div;
	for (unsigned n = (tc->n_large + (1u << lg_div) - 1) >> lg_div; n > 0; n--)
		large_free(tcache_large_take(tc, tc->large[0]->size));
	tcache_kept_trim(tc);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		trim_class(tc, i);
	tcache_comb_by_time(tc, now);
	(void)tcache_pool_age(tc->arena, now);
	tcache_kept_reclaim(tc->arena, KEPT_IDLE, now);
	arena_tick(tc->arena, now);
}

void
tcache_flush(struct tcache *tc)
{
	tcache_post_all(tc);
	(void)tcache_drain(tc);
	tcache_large_flush(tc);
	tcache_kept_flush(tc);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		tcache_unlist(tc, i);
		delete_current_if_free(tc, i);
	}
}
