/* SPDX-License-Identifier: MIT */
#include "harness/whole.h"

#include "api/boot.h"
#include "os/os.h"

#define CLASS 12

/* Let it own a slab with one live region. */
static void *
make_own(struct tcache *tc)
{
	for (;;) {
		void *p = tcache_refill(tc, CLASS);
		REQUIRE(p != NULL);
		struct edata *e = emap_lookup(p);
		if (load_relaxed(&e->owner) == tc)
			return p;
		if (e->use == USE_MIXED)
			(void)mixed_free(arena_of(e), e, p);
		else
			(void)bin_free(arena_of(e), e, p);
	}
}

TEST(a_tcache_is_adopted_with_its_slabs)
{
	REQUIRE(boot());
	struct arena *arena = arena_get(0);
	struct tcache *tc = tcache_pool_get(arena);

	REQUIRE(tc != NULL && tc->arena == arena);
	void *p = make_own(tc);
	const size_t owned = tc->owned_bytes;
	tcache_pool_put(tc);
	CHECK(load_relaxed(&emap_lookup(p)->owner) == tc);
	struct tcache *next = tcache_pool_get(arena);
	CHECK(next == tc);
	CHECK_EQ(tc->owned_bytes, owned);
	tcache_check(tc);
	tcache_free_own(tc, emap_lookup(p), p);
	tcache_share_slabs(tc);
	tcache_pool_put(tc);
	whole_check_empty();
}

TEST(the_newest_is_adopted_first)
{
	struct arena *arena = arena_get(0);
	struct tcache *a = tcache_pool_get(arena), *b = tcache_pool_get(arena);

	REQUIRE(a != NULL && b != NULL && a != b);
	tcache_pool_put(a);
	tcache_pool_put(b);
	CHECK(tcache_pool_get(arena) == b);
	CHECK(tcache_pool_get(arena) == a);
	tcache_pool_put(a);
	tcache_pool_put(b);
}

TEST(what_is_live_in_shared_slabs_stays_and_comes_home)
{
	struct arena *arena = arena_get(0);
	struct tcache *tc = tcache_pool_get(arena);
	void *p = make_own(tc);

	*(int *)p = 77;
	tcache_share_slabs(tc);
	CHECK_EQ(tc->owned_bytes, 0);
	CHECK(load_relaxed(&emap_lookup(p)->owner) == NULL);
	CHECK_EQ(arena->bins[CLASS].stats.cur_regs, 1);
	CHECK_EQ(*(int *)p, 77);
	bin_check(arena, &arena->bins[CLASS]);
	CHECK_EQ(bin_free(arena, emap_lookup(p), p), BIN_FREED);
	tcache_pool_put(tc);
	whole_check_empty();
}

TEST(what_waits_too_long_is_handed_to_the_bins)
{
	struct arena *arena = arena_get(0);
	struct tcache *tc = tcache_pool_get(arena);
	void *p = make_own(tc);

	tcache_pool_put(tc);
	if (!CONFIG_HOSTILE) {
		tcache_pool_age(arena, tc->pooled_ns + TCACHE_POOL_NS - 1);
		CHECK(load_relaxed(&emap_lookup(p)->owner) == tc);
	}
	/* One at a time, the oldest first. */
	for (unsigned i = 0; i < 10; i++)
		tcache_pool_age(arena, tc->pooled_ns + TCACHE_POOL_NS);
	CHECK(load_relaxed(&emap_lookup(p)->owner) == NULL);
	CHECK(list_is_empty(&arena->pooled) && !list_is_empty(&arena->bare));
	CHECK_EQ(bin_free(arena, emap_lookup(p), p), BIN_FREED);
	/* A bare one is as good as new. */
	CHECK(tcache_pool_get(arena) != NULL);
	whole_check_empty();
}
