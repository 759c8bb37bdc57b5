/* SPDX-License-Identifier: MIT */
#include "cache/explicit.h"

#include "harness/region.h"
#include "harness/whole.h"

#include "api/boot.h"
#include "config/options.h"

#define CLASS 12

TEST(identifiers_are_reused_and_unknown_ones_refused)
{
	unsigned a = 0, b = 0, c = 0;

	REQUIRE(boot());
	CHECK(explicit_tcache_create(&a) && explicit_tcache_create(&b) && a != b);
	CHECK(explicit_tcache_get(a) != NULL
	    && explicit_tcache_get(a) != explicit_tcache_get(b));
	CHECK(explicit_tcache_destroy(a));
	CHECK(explicit_tcache_get(a) == NULL);
	CHECK(!explicit_tcache_destroy(a) && !explicit_tcache_flush(a));
	CHECK(explicit_tcache_get(EXPLICIT_TCACHES_MAX) == NULL);
	CHECK(!explicit_tcache_destroy(EXPLICIT_TCACHES_MAX));
	CHECK(explicit_tcache_create(&c) && c == a);
	CHECK(explicit_tcache_destroy(b) && explicit_tcache_destroy(c));
}

TEST(what_is_kept_is_handed_out_again_and_a_flush_returns_it)
{
	struct arena *arena = arena_create_manual(NULL);
	unsigned id;

	REQUIRE(arena != NULL && explicit_tcache_create(&id));
	struct explicit_tcache *cache = explicit_tcache_get(id);
	void *p = explicit_tcache_alloc(cache, arena, CLASS);
	REQUIRE(p != NULL);
	explicit_tcache_free(cache, emap_lookup(p), p);
	CHECK(explicit_tcache_alloc(cache, arena, CLASS) == p);
	explicit_tcache_free(cache, emap_lookup(p), p);
	CHECK(arena->bins[CLASS].stats.cur_regs != 0);
	CHECK(explicit_tcache_flush(id));
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, 0);
	arena_check(arena);
	CHECK(explicit_tcache_destroy(id));
	arena_destroy(arena);
}

TEST(no_more_than_a_few_regions_are_kept)
{
	struct arena *arena = arena_create_manual(NULL);
	void *all[500];
	unsigned id;

	REQUIRE(arena != NULL && explicit_tcache_create(&id));
	struct explicit_tcache *cache = explicit_tcache_get(id);
	for (unsigned i = 0; i < 500; i++) {
		REQUIRE((all[i] = explicit_tcache_alloc(cache, arena, CLASS)) != NULL);
		*(unsigned *)all[i] = i;
	}
	for (unsigned i = 0; i < 500; i++)
		CHECK_EQ(*(unsigned *)all[i], i);
	for (unsigned i = 0; i < 500; i++)
		explicit_tcache_free(cache, emap_lookup(all[i]), all[i]);
	CHECK(arena->bins[CLASS].stats.cur_regs <= opt.tcache_nslots_small_max);
	CHECK(explicit_tcache_destroy(id));
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, 0);
	arena_check(arena);
	arena_destroy(arena);
}

/* Live regions of the bin when a cache was given so many. */
static size_t
kept_of(unsigned szind, unsigned n)
{
	struct arena *arena = arena_create_manual(NULL);
	static void *all[500];
	unsigned id;

	REQUIRE(arena != NULL && explicit_tcache_create(&id));
	/* One that has no room yet: those used before keep theirs. */
	unsigned fresh[8] = { 0 }, n_fresh = 0;
	while (n_fresh < 8)
		REQUIRE(explicit_tcache_create(&fresh[n_fresh++]));
	struct explicit_tcache *cache = explicit_tcache_get(fresh[7]);
	void *chain = NULL;
	for (unsigned i = 0; i < n; i++) {
		chain = NULL;
		REQUIRE(bin_fill(arena, szind, 1, &chain) == 1);
		all[i] = chain;
	}
	for (unsigned i = 0; i < n; i++)
		explicit_tcache_free(cache, emap_lookup(all[i]), all[i]);
	const size_t kept = arena->bins[szind].stats.cur_regs;
	CHECK(explicit_tcache_flush(fresh[7]));
	CHECK_EQ(arena->bins[szind].stats.cur_regs, 0);
	arena_destroy(arena);
	/* The ids stay in use: the next cache is a new one again. */
	return kept;
}

TEST(the_options_say_how_much_a_cache_keeps_and_gives_back_at_a_time)
{
	const unsigned min = opt.tcache_nslots_small_min,
		       max = opt.tcache_nslots_small_max;
	const unsigned nregs = slab_geometry[CLASS].nregs;

	if (CONFIG_HOSTILE)
		SKIP("caches have two slots");
	opt.tcache_nslots_small_min = 10;
	opt.tcache_nslots_small_max = 300;
	opt.lg_tcache_nslots_mul = 0;
	CHECK_EQ(kept_of(CLASS, nregs), nregs);
	/* Full: half of it goes, and one more comes. */
	CHECK_EQ(kept_of(CLASS, nregs + 1), nregs - nregs / 2 + 1);
	opt.lg_tcache_nslots_mul = 1;
	CHECK_EQ(kept_of(CLASS, 2 * nregs), 2 * nregs);
	opt.lg_tcache_nslots_mul = -16;
	CHECK_EQ(kept_of(CLASS, 10), 10);
	opt.lg_tcache_flush_small_div = 16;
	CHECK_EQ(kept_of(CLASS, 100), 10);
	opt.lg_tcache_flush_small_div = 1;
	opt.lg_tcache_nslots_mul = 16;
	CHECK_EQ(kept_of(CLASS, 300), 300);
	CHECK_EQ(kept_of(SC_NBINS, opt.tcache_nslots_large), opt.tcache_nslots_large);
	opt.lg_tcache_nslots_mul = 1;
	opt.tcache_nslots_small_min = min;
	opt.tcache_nslots_small_max = max;
}

TEST(a_region_of_an_owned_slab_goes_to_its_owner)
{
	struct tcache *tc = tcache_pool_get(arena_get(0));
	unsigned id;
	void *p;

	REQUIRE(tc != NULL && explicit_tcache_create(&id));
	struct edata *e = arena_slab_new(arena_get(0), CLASS, 1, tc);
	REQUIRE(e != NULL);
	e->slab_state = SLAB_CURRENT;
	tc->current[CLASS] = e;
	tcache_gains(tc, e);
	p = tcache_refill(tc, CLASS);
	REQUIRE(p != NULL && emap_lookup(p) == e);
	explicit_tcache_free(explicit_tcache_get(id), e, p);
	CHECK(tcache_has_mail(tc));
	tcache_check(tc);
	CHECK(tcache_drain(tc));
	tcache_share_slabs(tc);
	tcache_pool_put(tc);
	CHECK(explicit_tcache_destroy(id));
	whole_check_empty();
}

TEST(no_lock_is_held_around_a_hook)
{
	REQUIRE(boot());
	region_reset(test_seed());
	const arena_config_t config = { &region.hooks, true };
	struct arena *arena = arena_create_manual(&config);
	void *all[200];
	unsigned id;

	/* The hooks check. */
	REQUIRE(arena != NULL && explicit_tcache_create(&id));
	struct explicit_tcache *cache = explicit_tcache_get(id);
	(void)pac_set_decay_ms(&arena->pac, DECAY_DIRTY, 0, true);
	for (unsigned i = 0; i < 200; i++)
		REQUIRE((all[i] = explicit_tcache_alloc(cache, arena, 30)) != NULL);
	for (unsigned i = 0; i < 200; i++)
		explicit_tcache_free(cache, emap_lookup(all[i]), all[i]);
	CHECK(region.n_all_calls > 4);
	CHECK(explicit_tcache_destroy(id));
	arena_destroy(arena);
	CHECK_EQ(region_pages_out(), 0);
}
