/* SPDX-License-Identifier: MIT */
/*
 * whole -- when a test has freed all it had: is every structure whole, and every region home?
 *
 * No other thread may use tract meanwhile.
 */
#ifndef TEST_HARNESS_WHOLE_H
#define TEST_HARNESS_WHOLE_H

#include "api/names.h"
#include "arena/arena.h"
#include "cache/pool.h"
#include "harness/test.h"
#include "os/pages.h"
#include "page/limit.h"
#include "thread/thread.h"

/* The calling thread has one from here on. */
static TEST_UNUSED struct tcache *
own_tcache(void)
{
	API(free)(API(malloc)(1));
	REQUIRE(thread_self != NULL && thread_self->tcache != NULL);
	return thread_self->tcache;
}

/* The invariants of everything, at any time. */
static TEST_UNUSED void
whole_check(void)
{
	size_t charged = 0;

	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL) {
			arena_check(arena_get(i));
			charged += arena_pages_charged(arena_get(i));
		}
	/* No charge is lost, and none forgotten. */
	CHECK_EQ(limit_used(), charged);
	if (thread_self != NULL && thread_self != &thread_ended
	    && thread_self->tcache != NULL)
		tcache_check(thread_self->tcache);
}

/* Tcaches without thread give back what they hold. */
static TEST_UNUSED void
whole_settle(struct arena *arena)
{
	LIST_FOR_EACH (l, &arena->pooled) {
		struct tcache *tc = LIST_ENTRY(l, struct tcache, pool_link);
		tcache_check(tc);
		tcache_share_slabs(tc);
		tcache_check(tc);
		CHECK_EQ(tc->owned_bytes, 0);
	}
	LIST_FOR_EACH (l, &arena->bare)
		CHECK(!tcache_has_mail(LIST_ENTRY(l, struct tcache, pool_link)));
}

/* Bytes of the slabs that may stay without a live region: one for each bin. */
static TEST_UNUSED size_t
whole_empty_bins(struct arena *arena)
{
	size_t current = 0, unbacked = 0;

	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct bin *bin = &arena->bins[i];
		CHECK_EQ(bin->stats.cur_regs, 0);
		CHECK(list_is_empty(&bin->owned) && list_is_empty(&bin->full));
		CHECK(heap_is_empty(&bin->partial));
		CHECK_EQ(bin->stats.cur_slabs,
		    bin->current != NULL ? slab_worth(bin->current) : 0);
		if (bin->current == NULL)
			continue;
		current += bin->current->size;
		unbacked += count_set(bin->current->shared_purged);
	}
	CHECK_EQ(load_relaxed(&arena->slab_pages.unbacked), unbacked);
	CHECK(list_is_empty(&arena->mixed.partial));
	if (arena->mixed.current != NULL) {
		CHECK_EQ(arena->mixed.current->need, 0);
		current += arena->mixed.current->size;
	}
	return current;
}

/* Nothing is allocated any more: what is active is an empty slab of a bin. */
static TEST_UNUSED void
whole_check_empty(void)
{
	whole_check();
	if (thread_self != NULL && thread_self != &thread_ended
	    && thread_self->tcache != NULL)
		tcache_share_slabs(thread_self->tcache);
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			whole_settle(arena_get(i));
	whole_check();
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_get(i);
		if (arena == NULL)
			continue;
		const size_t current = whole_empty_bins(arena);
		CHECK_EQ(load_relaxed(arena_pages_active(arena)) * os_page_size, current);
	}
}

#endif
