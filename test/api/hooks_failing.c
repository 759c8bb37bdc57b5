/* SPDX-License-Identifier: MIT */
/*
 * Extent hooks that fail, are missing, or answer wrongly: requests may fail, contents stay, every
 * structure is whole, and when the arena is destroyed all memory has come back.
 */
#include "harness/hooked.h"

/* Each call of a hook, in a way in which it is called often. */
static void
fail_each_call(enum region_hook hook, enum region_failure how, unsigned way)
{
	static const char *const names[HOOK_COUNT] = { "alloc", "dalloc", "commit",
		"decommit", "purge_lazy", "purge_forced", "split", "merge", "destroy" };
	unsigned k = 0, n_calls, step = 1;

	do {
		k += step;
		set_up(way);
		region.fail_hook_at[hook] = k;
		region.fail_how = how;
		(void)live_and_die(way | (k % 4 == 1 ? WAY_METADATA : 0));
		n_calls = region.n_calls[hook];
		if (IS_SLOW)
			step = 1 + k / 4;
	} while (k <= n_calls);
	printf("# %s: call 1 to %u failed%s\n", names[hook], k,
	    how == REGION_FAIL_ONCE ? "" : ", and all after it");
	/* The last run had none; from then on, a few calls are all there is. */
	CHECK(k > (how == REGION_FAIL_ONCE ? 10 : 5));
}

TEST(no_failure_of_a_hook_loses_anything)
{
	static const unsigned ways[HOOK_DESTROY][2] = {
		[HOOK_ALLOC] = { 0, WAY_RESERVES | WAY_KEEPS },
		[HOOK_DALLOC] = { 0, WAY_RESERVES | WAY_MUZZY },
		[HOOK_COMMIT] = { WAY_RESERVES, WAY_RESERVES | WAY_KEEPS },
		[HOOK_DECOMMIT] = { WAY_RESERVES | WAY_KEEPS,
		    WAY_RESERVES | WAY_KEEPS | WAY_LATE },
		[HOOK_LAZY] = { WAY_MUZZY, WAY_MUZZY | WAY_KEEPS },
		[HOOK_FORCED] = { WAY_KEEPS, WAY_KEEPS | WAY_LATE },
		[HOOK_SPLIT] = { WAY_LATE, WAY_KEEPS | WAY_RESERVES },
		[HOOK_MERGE] = { WAY_LATE, WAY_KEEPS | WAY_MUZZY },
	};

	for (unsigned hook = 0; hook < HOOK_DESTROY; hook++)
		for (unsigned i = 0; i < 2; i++) {
			fail_each_call((enum region_hook)hook, REGION_FAIL_ONCE,
			    ways[hook][i]);
			fail_each_call((enum region_hook)hook, REGION_FAIL_FROM_THEN_ON,
			    ways[hook][i]);
		}
}

TEST(no_failures_at_random_lose_anything)
{
	uint64_t seed = test_seed();

	for (unsigned way = 0; way < 2 * WAYS; way++) {
		set_up(way);
		region.seed = seed + way;
		for (unsigned hook = 0; hook < HOOK_DESTROY; hook++)
			region.percent[hook] =
			    (unsigned)test_random_below(&seed, way < WAYS ? 30 : 101);
		(void)live_and_die(way);
	}
}

TEST(pinned_memory_is_not_lost_either)
{
	uint64_t seed = test_seed();

	for (unsigned way = 0; way < 2 * WAYS; way++) {
		set_up(way);
		region.percent_pinned = way % 3 ? 50 : 100;
		region.seed = seed + way;
		for (unsigned hook = 0; hook < HOOK_DESTROY && way >= WAYS; hook++)
			region.percent[hook] = (unsigned)test_random_below(&seed, 30);
		(void)live_and_die(way);
	}
}

TEST(any_hook_but_alloc_may_be_missing)
{
	for (unsigned mask = 0; mask < 1 << 8; mask++) {
		if ((IS_SLOW) && mask % 5 != 0)
			continue;
		unsigned way = mask * 7 % WAYS & ~(unsigned)WAY_RESERVES;
		/* What is neither taken nor destroyed stays. */
		if (!(mask & 2))
			way &= ~(unsigned)WAY_KEEPS;
		set_up(way);
		const extent_hooks_t all = region.hooks;
		region.hooks = (extent_hooks_t){
			.alloc = all.alloc,
			.dalloc = mask & 1 ? all.dalloc : NULL,
			.destroy = mask & 2 ? all.destroy : NULL,
			.commit = mask & 4 ? all.commit : NULL,
			.decommit = mask & 8 ? all.decommit : NULL,
			.purge_lazy = mask & 16 ? all.purge_lazy : NULL,
			.purge_forced = mask & 32 ? all.purge_forced : NULL,
			.split = mask & 64 ? all.split : NULL,
			.merge = mask & 128 ? all.merge : NULL,
		};
		/* What cannot be committed later must be committed. */
		region.may_reserve = mask & 4;
		CHECK(live_and_die(way));
	}
}

/* ---- Wrong answers. -------------------------------------------------------------------------- */

TEST(odd_pieces_serve_any_alignment)
{
	set_up(0);
	region.lie = REGION_ODD;
	const unsigned index = new_arena(&region.hooks, METADATA_TOO);
	for (unsigned lg = 4; lg <= 22; lg++) {
		char *p = API(mallocx)(5000, FLAGS(index) | MALLOCX_LG_ALIGN((int)lg));
		REQUIRE(p != NULL);
		CHECK_EQ((uintptr_t)p % ((uintptr_t)1 << lg), 0);
		CHECK(region_has(p));
		memset(p, 1, 5000);
	}
	check_arena(index);
	CHECK_EQ(run(index, "destroy"), 0);
	CHECK_EQ(region_pages_out(), 0);
	CHECK(live_and_die(WAY_METADATA));
}

TEST(memory_that_begins_within_a_page_is_given_back)
{
	for (unsigned way = 0; way < WAYS; way++) {
		set_up(way);
		region.lie = REGION_CROOKED;
		(void)live_and_die(way);
	}
}

TEST(zeroed_memory_is_zero_whatever_the_hook_says)
{
	for (unsigned way = 0; way < WAYS; way++) {
		set_up(way & ~(unsigned)WAY_RESERVES);
		region.zero_lie = true;
		/* make_object looks. */
		CHECK(live_and_die(way));
	}
}

/* ---- Memory that is tract's already. --------------------------------------------------------- */

static char *taken;
static unsigned n_taken_back;

static void *
alloc_taken(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks, (void)new_addr, (void)size, (void)alignment, (void)arena;
	*zero = *commit = true;
	return taken;
}

static bool
take_back(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)size, (void)committed, (void)arena;
	CHECK(addr == taken);
	n_taken_back++;
	return false;
}

TEST(memory_that_is_in_use_is_refused)
{
	extent_hooks_t hooks = { .alloc = alloc_taken, .dalloc = take_back };
	const unsigned index = new_arena(&hooks, METADATA_ELSEWHERE);

	taken = API(aligned_alloc)(os_page_size, (size_t)64 << 20);
	REQUIRE(taken != NULL);
	taken[0] = 7;
	CHECK(API(mallocx)(5000, FLAGS(index)) == NULL);
	CHECK(API(mallocx)((size_t)1 << 20, FLAGS(index)) == NULL);
	CHECK(n_taken_back != 0);
	CHECK_EQ(run(index, "destroy"), 0);
	CHECK_EQ(taken[0], 7);
	API(free)(taken);
}
