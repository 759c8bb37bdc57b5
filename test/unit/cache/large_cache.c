/* SPDX-License-Identifier: MIT */
#include "base/bits.h"
#include "config/options.h"
#include "harness/whole.h"

#include "api/boot.h"

static struct tcache *
new_tcache(void)
{
	REQUIRE(boot());
	struct tcache *tc = tcache_pool_get(arena_get(0));
	REQUIRE(tc != NULL);
	return tc;
}

static void
end_tcache(struct tcache *tc)
{
	tcache_share_slabs(tc);
	tcache_pool_put(tc);
	whole_check_empty();
}

static struct edata *
new_extent(struct arena *arena, size_t size)
{
	void *p = large_alloc(arena, size, 1, false);

	REQUIRE(p != NULL);
	return emap_lookup(p);
}

#define MOST_KEPT min_size(opt.tcache_nslots_large, TCACHE_LARGE_COUNT)

TEST(a_kept_extent_serves_its_own_size_only)
{
	struct tcache *tc = new_tcache();
	struct edata *e = new_extent(arena_get(0), 65536);

	CHECK(tcache_large_keep(tc, e));
	CHECK(e->cached && emap_lookup(edata_base(e)) == e);
	CHECK_EQ(load_relaxed(&tc->large_bytes), 65536);
	CHECK(tcache_large_take(tc, 65536 + os_page_size) == NULL);
	CHECK(tcache_large_take(tc, 65536 - os_page_size) == NULL);
	CHECK(tcache_large_take(tc, 65536) == e);
	CHECK(!e->cached);
	CHECK_EQ(load_relaxed(&tc->large_bytes), 0);
	CHECK(tcache_large_take(tc, 65536) == NULL);
	large_free(e);
	end_tcache(tc);
}

TEST(number_and_bytes_are_bounded_and_the_oldest_go_first)
{
	struct tcache *tc = new_tcache();
	struct edata *last = NULL;
	const size_t first = align_up(40960, os_page_size);

	for (unsigned i = 0; i < 3 * MOST_KEPT; i++) {
		/* Three sizes, as many of each as are kept. */
		last = new_extent(arena_get(0), first + i / MOST_KEPT * os_page_size);
		CHECK(tcache_large_keep(tc, last));
		CHECK(tc->n_large <= MOST_KEPT);
	}
	CHECK_EQ(tc->n_large, MOST_KEPT);
	CHECK(tcache_large_take(tc, first) == NULL);
	CHECK(tcache_large_take(tc, first + os_page_size) == NULL);
	last = tcache_large_take(tc, first + 2 * os_page_size);
	REQUIRE(last != NULL);
	large_free(last);
	for (unsigned i = 0; i < 10; i++) {
		CHECK(tcache_large_keep(tc, new_extent(arena_get(0), TCACHE_LARGE_MAX)));
		CHECK(load_relaxed(&tc->large_bytes) <= TCACHE_LARGE_BYTES);
	}
	tcache_large_flush(tc);
	CHECK_EQ(tc->n_large, 0);
	CHECK_EQ(load_relaxed(&tc->large_bytes), 0);
	end_tcache(tc);
}

TEST(a_request_of_another_size_sends_the_oldest_back_until_few_are_left)
{
	struct tcache *tc = new_tcache();
	struct edata *e[TCACHE_LARGE_UNASKED + 1];
	const size_t size = align_up(40960, os_page_size), other = size + os_page_size;

	for (unsigned i = 0; i <= TCACHE_LARGE_UNASKED; i++)
		CHECK(tcache_large_keep(tc, e[i] = new_extent(arena_get(0), size)));
	const unsigned n = tc->n_large;
	CHECK(tcache_large_take(tc, other) == NULL);
	CHECK_EQ(tc->n_large, min_size(n, TCACHE_LARGE_UNASKED));
	CHECK(tc->large[0] == e[TCACHE_LARGE_UNASKED + 1 - tc->n_large]);
	CHECK_EQ(load_relaxed(&tc->large_bytes), tc->n_large * size);
	CHECK(tcache_large_take(tc, other) == NULL);
	CHECK_EQ(tc->n_large, min_size(n, TCACHE_LARGE_UNASKED));
	end_tcache(tc);
}

TEST(some_sizes_used_in_turn_come_to_be_found)
{
	struct tcache *tc = new_tcache();
	unsigned n_found = 0;

	for (unsigned i = 0; i < 20; i++) {
		const size_t size = (size_t)(128 + 64 * (i % 4)) << 10;
		struct edata *e = tcache_large_take(tc, size);
		n_found += e != NULL;
		if (e == NULL)
			e = new_extent(arena_get(0), size);
		CHECK(tcache_large_keep(tc, e));
	}
	if (!CONFIG_HOSTILE)
		CHECK_EQ(n_found, 16);
	end_tcache(tc);
}

TEST(what_is_too_large_or_of_a_manual_arena_is_not_kept)
{
	struct tcache *tc = new_tcache();
	struct arena *arena = arena_create_manual(NULL);
	struct edata *e = new_extent(arena_get(0), TCACHE_LARGE_MAX + os_page_size);

	REQUIRE(arena != NULL);
	CHECK(!tcache_large_keep(tc, e));
	large_free(e);
	e = new_extent(arena, 65536);
	CHECK(!tcache_large_keep(tc, e));
	CHECK_EQ(tc->n_large, 0);
	arena_destroy(arena);
	end_tcache(tc);
}
