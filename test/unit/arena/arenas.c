/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "api/boot.h"
#include "arena/arena.h"
#include "arena/place.h"
#include "config/options.h"

TEST(arena_0_is_there_from_the_start)
{
	REQUIRE(boot());
	CHECK(arena_get(0) != NULL && arena_get(0)->index == 0
	    && !arena_get(0)->is_manual);
	CHECK(arena_get(0)->base == &base_zero);
	CHECK(arenas_automatic() >= 1 && arenas_total() >= arenas_automatic());
	CHECK(arena_get(ARENAS_MAX) == NULL && arena_get(ARENAS_MAX + 1) == NULL);
}

TEST(an_index_is_free_again_after_destruction)
{
	struct arena *a = arena_create_manual(NULL), *b = arena_create_manual(NULL);

	REQUIRE(a != NULL && b != NULL);
	const unsigned index = a->index;
	CHECK(a->is_manual && index >= arenas_automatic() && b->index == index + 1);
	CHECK(arena_get(index) == a && arenas_total() == index + 2);
	arena_destroy(a);
	CHECK(arena_get(index) == NULL);
	struct arena *c = arena_create_manual(NULL);
	REQUIRE(c != NULL);
	CHECK_EQ(c->index, index);
	arena_destroy(c);
	arena_destroy(b);
}

TEST(threads_go_to_the_arena_with_the_fewest)
{
	unsigned before[64], chosen[64] = { 0 };
	const unsigned n = arenas_automatic() < 64 ? arenas_automatic() : 64;

	for (unsigned i = 0; i < n; i++) {
		REQUIRE(arena_automatic(i) != NULL);
		before[i] = load_relaxed(&arena_get(i)->n_threads);
	}
	for (unsigned i = 0; i < 3 * n; i++) {
		struct arena *arena = arena_choose();
		REQUIRE(arena->index < n);
		chosen[arena->index]++;
	}
	for (unsigned i = 0; i < n; i++) {
		CHECK(before[i] + chosen[i] >= 3);
		CHECK_EQ(load_relaxed(&arena_get(i)->n_threads), before[i] + chosen[i]);
		while (chosen[i]-- != 0)
			arena_thread_out(arena_get(i));
		CHECK_EQ(load_relaxed(&arena_get(i)->n_threads), before[i]);
	}
}

TEST(an_automatic_arena_is_made_once)
{
	for (unsigned i = 0; i < arenas_automatic(); i++) {
		struct arena *arena = arena_automatic(i);
		CHECK(arena != NULL && arena == arena_automatic(i) && arena->index == i);
	}
}

TEST(the_oversize_arena_lies_beside_the_automatic_ones_and_purges_at_once)
{
	struct arena *instead = arena_get(0);

	/* Its index is kept free only when the option was set at the start. */
	if (arena_get(arenas_automatic()) != NULL)
		SKIP("the index is taken");
	CHECK(arenas_oversize(instead) == instead);
	opt.oversize_threshold = (size_t)8 << 20;
	struct arena *arena = arenas_oversize(instead);
	REQUIRE(arena != NULL && arena != instead);
	CHECK_EQ(arena->index, arenas_automatic());
	CHECK(arenas_oversize(instead) == arena);
	CHECK_EQ(pac_decay_ms(&arena->pac, DECAY_DIRTY), 0);
}
