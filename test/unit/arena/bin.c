/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include <pthread.h>

#include "api/boot.h"
#include "arena/arena.h"
#include "os/inject.h"
#include "os/pages.h"

#define CLASS 12
#define MANY 5000

static struct arena *
new_arena(void)
{
	REQUIRE(boot());
	struct arena *arena = arena_create_manual(NULL);
	REQUIRE(arena != NULL);
	return arena;
}

static void
free_one(struct arena *arena, void *p)
{
	CHECK_EQ(bin_free(arena, emap_lookup(p), p), BIN_FREED);
}

TEST(a_fill_gives_as_many_regions_as_there_are_at_hand_and_at_least_one)
{
	struct arena *arena = new_arena();
	const unsigned nregs = slab_geometry[CLASS].nregs;
	void *chain = NULL, *more = NULL;
	unsigned n = 0;

	/* A slab for the first, none for the rest: no fill makes more than one. */
	CHECK_EQ(bin_fill(arena, CLASS, nregs + 5, &chain), nregs);
	CHECK_EQ(bin_fill(arena, CLASS, 3, &more), 3);
	bin_check(arena, &arena->bins[CLASS]);
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, nregs + 3);
	CHECK_EQ(arena->bins[CLASS].stats.cur_slabs, 2);
	CHECK_EQ(arena->bins[CLASS].stats.n_fills, 2);
	for (void *p = chain; p != NULL; p = *(void **)p)
		n++;
	CHECK_EQ(n, nregs);
	arena_destroy(arena);
}

TEST(regions_are_distinct_and_an_empty_slab_goes)
{
	static void *all[MANY];
	struct arena *arena = new_arena();
	uint64_t seed = test_seed();

	for (unsigned i = 0; i < MANY; i++) {
		void *p = NULL;
		REQUIRE(bin_fill(arena, CLASS, 1, &p) == 1);
		memset(p, 0, slab_geometry[CLASS].reg_size);
		*(unsigned *)p = i;
		all[i] = p;
	}
	bin_check(arena, &arena->bins[CLASS]);
	for (unsigned i = 0; i < MANY; i++)
		CHECK_EQ(*(unsigned *)all[i], i);
	for (unsigned n = MANY; n > 0; n--) {
		const unsigned i = (unsigned)test_random_below(&seed, n);
		free_one(arena, all[i]);
		all[i] = all[n - 1];
		if (n % 100 == 0)
			bin_check(arena, &arena->bins[CLASS]);
	}
	bin_check(arena, &arena->bins[CLASS]);
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, 0);
	CHECK_EQ(arena->bins[CLASS].stats.cur_slabs, 1);
	CHECK_EQ(load_relaxed(arena_pages_active(arena)) * os_page_size,
	    slab_geometry[CLASS].slab_size);
	arena_destroy(arena);
}

TEST(who_leaves_takes_the_current_slab_away_once_it_is_empty)
{
	struct arena *arena = new_arena();
	struct bin *bin = &arena->bins[CLASS];
	void *p = NULL, *q = NULL;

	bin_leave(arena, CLASS);
	CHECK_EQ(bin_fill(arena, CLASS, 1, &p), 1);
	CHECK_EQ(bin_fill(arena, CLASS, 1, &q), 1);
	bin_leave(arena, CLASS);
	bin_check(arena, bin);
	CHECK(bin->current == NULL);
	/* Others may still come. */
	free_one(arena, q);
	CHECK_EQ(bin_fill(arena, CLASS, 1, &q), 1);
	CHECK(emap_lookup(p) == emap_lookup(q) && bin->current == emap_lookup(q));
	bin_leave(arena, CLASS);
	free_one(arena, p);
	free_one(arena, q);
	CHECK_EQ(bin->stats.cur_slabs, 0);
	CHECK_EQ(bin_fill(arena, CLASS, 1, &p), 1);
	free_one(arena, p);
	CHECK_EQ(bin->stats.cur_slabs, 1);
	bin_leave(arena, CLASS);
	CHECK_EQ(bin->stats.cur_slabs, 0);
	bin_check(arena, bin);
	arena_destroy(arena);
}

TEST(a_double_free_is_told)
{
	struct arena *arena = new_arena();
	void *p = NULL;

	REQUIRE(bin_fill(arena, CLASS, 2, &p) == 2);
	void *const q = *(void **)p;
	free_one(arena, p);
	CHECK_EQ(bin_free(arena, emap_lookup(p), p), BIN_DOUBLE_FREE);
	/* In a chain: the one found free already. */
	*(void **)q = p;
	*(void **)p = NULL;
	CHECK(bin_free_chain(arena, emap_lookup(q), q) == p);
	bin_check(arena, &arena->bins[CLASS]);
	arena_destroy(arena);
}

TEST(a_chain_is_freed_at_once)
{
	struct arena *arena = new_arena();
	void *chain = NULL;

	REQUIRE(bin_fill(arena, CLASS, 20, &chain) == 20);
	CHECK(bin_free_chain(arena, emap_lookup(chain), chain) == NULL);
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, 0);
	CHECK_EQ(arena->bins[CLASS].stats.n_flushes, 1);
	bin_check(arena, &arena->bins[CLASS]);
	arena_destroy(arena);
}

TEST(the_oldest_slab_with_room_is_used_first)
{
	struct arena *arena = new_arena();
	const unsigned nregs = slab_geometry[CLASS].nregs;
	void *a = NULL, *b = NULL, *c = NULL, *again = NULL;

	REQUIRE(bin_fill(arena, CLASS, nregs, &a) == nregs);
	REQUIRE(bin_fill(arena, CLASS, nregs, &b) == nregs);
	REQUIRE(bin_fill(arena, CLASS, nregs, &c) == nregs);
	const struct edata *older = edata_is_older(emap_lookup(a), emap_lookup(b))
	    ? emap_lookup(a)
	    : emap_lookup(b);
	void *in_b = b, *in_a = a;
	free_one(arena, in_b);
	free_one(arena, in_a);
	bin_check(arena, &arena->bins[CLASS]);
	REQUIRE(bin_fill(arena, CLASS, 1, &again) == 1);
	CHECK(emap_lookup(again) == older);
	arena_destroy(arena);
}

TEST(frees_into_frozen_slabs_are_only_counted)
{
	struct arena *arena = new_arena();
	struct bin *bin = &arena->bins[CLASS];
	void *p = NULL, *q = NULL;

	REQUIRE(bin_fill(arena, CLASS, 1, &p) == 1);
	bin_freeze(bin);
	free_one(arena, p);
	free_one(arena, p);
	CHECK_EQ(bin->stats.n_frozen_frees, 2);
	REQUIRE(bin_fill(arena, CLASS, 1, &q) == 1);
	CHECK(emap_lookup(q) != emap_lookup(p));
	bin_check(arena, bin);
	free_one(arena, q);
	bin_check(arena, bin);
}

static int
refuse(const char *what)
{
	(void)what;
	return ENOMEM;
}

TEST(without_memory_a_fill_gives_none_and_loses_nothing)
{
	struct arena *arena = new_arena();
	void *chain = NULL;

	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject failures");
	/* No pages that another arena left. */
	while (hpa_central_take(&hpa_central) != 0)
		continue;
	os_inject = refuse;
	CHECK_EQ(bin_fill(arena, CLASS, 4, &chain), 0);
	os_inject = NULL;
	CHECK(chain == NULL);
	arena_check(arena);
	CHECK_EQ(bin_fill(arena, CLASS, 4, &chain), 4);
	arena_destroy(arena);
}

static void *
take_and_give(void *arg)
{
	struct arena *arena = arg;

	for (unsigned i = 0; i < 3000; i++) {
		void *chain = NULL;
		REQUIRE(bin_fill(arena, CLASS, 7, &chain) != 0);
		while (chain != NULL) {
			void *next = *(void **)chain;
			free_one(arena, chain);
			chain = next;
		}
	}
	return NULL;
}

TEST(threads_share_a_bin)
{
	struct arena *arena = new_arena();
	pthread_t threads[4];

	for (unsigned i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, take_and_give, arena) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	arena_check(arena);
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, 0);
	CHECK_EQ(arena->bins[CLASS].stats.cur_slabs, 1);
	arena_destroy(arena);
}
