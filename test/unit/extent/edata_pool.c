/* SPDX-License-Identifier: MIT */
#include "extent/edata_pool.h"

#include "base/bits.h"
#include "harness/test.h"

static size_t room; /* bytes that may still be mapped */

static void *
map_some(void *context, size_t size, size_t alignment)
{
	if (size > room)
		return NULL;
	room -= size;
	return base_map_system(context, size, alignment);
}

static void
open_pool(struct edata_pool *pool, size_t bytes)
{
	room = bytes;
	memset(pool, 0, sizeof *pool);
	struct base *base = base_new(map_some, base_unmap_system, NULL);
	REQUIRE(base != NULL);
	edata_pool_init(pool, base);
}

TEST(a_record_is_aligned_and_cleared_whatever_it_was)
{
	static struct edata_pool pool;

	open_pool(&pool, SIZE_MAX);
	for (unsigned round = 0; round < 3; round++) {
		struct edata *all[100];
		for (unsigned i = 0; i < 100; i++) {
			static const struct edata empty;
			struct edata *e = all[i] = edata_pool_get(&pool, 1000 + i);
			REQUIRE(e != NULL && is_aligned((uintptr_t)e, EDATA_ALIGNMENT));
			CHECK_EQ(edata_arena(e), 1000 + i);
			store_relaxed(&e->arena_index, 0);
			CHECK(memcmp((char *)e, (const char *)&empty, sizeof *e) == 0);
			e->addr = e->size = e->sn = 77;
			e->zeroed = e->is_head = true;
			e->free = e->side = e->bitmap = (void *)&pool;
		}
		for (unsigned i = 0; i < 100; i++)
			edata_pool_put(&pool, all[i]);
		CHECK_EQ(pool.n_free, load_relaxed(&pool.n_all));
	}
	CHECK(load_relaxed(&pool.n_all) < 120);
}

TEST(without_memory_there_is_none_and_freed_ones_are_used_again)
{
	static struct edata_pool pool;

	open_pool(&pool, BASE_BLOCK_SIZE);
	struct edata *last = NULL, *e;
	size_t n = 0;
	while ((e = edata_pool_get(&pool, 1)) != NULL)
		last = e, n++;
	CHECK(n > BASE_BLOCK_SIZE / sizeof(struct edata) - 40);
	CHECK(edata_pool_get(&pool, 1) == NULL);
	edata_pool_put(&pool, last);
	CHECK(edata_pool_get(&pool, 2) == last);
	CHECK(edata_pool_get(&pool, 1) == NULL);
}

TEST(orphans_serve_manual_arenas_first)
{
	static struct edata_pool pool, heir, automatic;
	struct edata *e[20];

	edata_pool_init_manual(&pool);
	for (unsigned i = 0; i < 20; i++)
		REQUIRE((e[i] = edata_pool_get(&pool, 1)) != NULL);
	for (unsigned i = 0; i < 20; i++)
		edata_pool_put(&pool, e[i]);
	const size_t n_all = load_relaxed(&pool.n_all);
	edata_pool_abandon(&pool);
	CHECK_EQ(pool.n_free, 0);
	CHECK_EQ(load_relaxed(&pool.n_all), 0);
	CHECK_EQ(edata_orphans.n_free, n_all);
	CHECK_EQ(load_relaxed(&edata_orphans.n_all), n_all);
	/* Not an automatic arena. */
	open_pool(&automatic, SIZE_MAX);
	CHECK(edata_pool_get(&automatic, 0) != NULL);
	CHECK_EQ(edata_orphans.n_free, n_all);
	edata_pool_init_manual(&heir);
	for (size_t i = 0; i < n_all; i++)
		CHECK(edata_pool_get(&heir, 2) != NULL);
	CHECK_EQ(load_relaxed(&heir.n_all), n_all);
	CHECK_EQ(edata_orphans.n_free + load_relaxed(&edata_orphans.n_all), 0);
	CHECK(edata_pool_get(&heir, 2) != NULL);
	CHECK(load_relaxed(&heir.n_all) > n_all);
}
