/* SPDX-License-Identifier: MIT */
/*
 * Huge pages as a program sees them in control nodes; test/api/stats.c sees that they add up.
 * Without page slabs all of it is 0, and small arenas have none; `make check-huge' is with them.
 */
#include "harness/node.h"

#define SHARD "stats.arenas.%u.hpa_shard."

static void *objects[256];

/* Do arenas have page slabs from their first extent on? */
static bool
has_hpa_from_start(void)
{
	bool has_hpa = false;
	size_t length = sizeof has_hpa;

	CHECK_EQ(t_mallctl("opt.hpa", &has_hpa, &length, NULL, 0), 0);
	return has_hpa && node("opt.hpa_start_huge_from") == 0;
}

/* Of all arenas, the destroyed ones apart. */
static uint64_t
shard(const char *name)
{
	return node("stats.arenas.4096.hpa_shard.%s", name);
}

TEST(what_page_slabs_hold_is_seen_and_what_was_done_outlives_its_arena)
{
	enum { COUNT = 256, BYTES = 48 << 10 };
	const uint64_t page = node("arenas.page");
	const bool has_hpa = has_hpa_from_start();
	unsigned index = 0;
	size_t length = sizeof index;

	REQUIRE(t_mallctl("arenas.create", &index, &length, NULL, 0) == 0);
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
	settle();
	const uint64_t active = shard("nactive"), purges = shard("npurges"),
		       slabs = shard("npageslabs");
	for (unsigned i = 0; i < COUNT; i++)
		memset(objects[i] = t_mallocx(BYTES, flags), 1, BYTES);
	settle();
	if (!has_hpa) {
		CHECK_EQ(shard("npageslabs"), 0);
		CHECK_EQ(node("stats.arenas.%u.mutexes.hpa_shard.num_ops", index), 0);
	} else {
		CHECK_EQ((shard("nactive") - active) * page, COUNT * BYTES);
		CHECK((shard("npageslabs") - slabs) * node("arenas.hugepage")
		    >= COUNT * BYTES);
		CHECK_EQ(node(SHARD "alloc.1.extents", index), COUNT);
		CHECK(node("stats.arenas.%u.mutexes.hpa_shard.num_ops", index) >= COUNT);
		CHECK(node("stats.arenas.%u.mutexes.hpa_shard_grow.num_ops", index) != 0);
	}
	for (unsigned i = 0; i < COUNT; i++)
		t_dallocx(objects[i], flags);
	memset(objects, 0, sizeof objects);
	CHECK_EQ(t_mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	settle();
	if (has_hpa) {
		CHECK_EQ(node(SHARD "nactive", index) + node(SHARD "ndirty", index), 0);
		CHECK(shard("npurges") > purges);
	}
	const uint64_t done = node(SHARD "npurges", index);
	char name[64];
	snprintf(name, sizeof name, "arena.%u.destroy", index);
	REQUIRE(t_mallctl(name, NULL, NULL, NULL, 0) == 0);
	settle();
	CHECK(node("stats.arenas.4097.hpa_shard.npurges") >= done);
	CHECK_EQ(node("stats.arenas.4097.hpa_shard.npageslabs"), 0);
	if (has_hpa)
		CHECK(node("stats.arenas.4097.hpa_shard.alloc.1.extents") >= COUNT);
}

TEST(small_extents_come_from_a_cache_before_page_slabs)
{
	unsigned index = 0;
	size_t length = sizeof index;

	if (!has_hpa_from_start() || node("opt.hpa_sec_max_alloc") < node("arenas.page"))
		SKIP("without page slabs");
	REQUIRE(t_mallctl("arenas.create", &index, &length, NULL, 0) == 0);
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
	/* A slab each time. */
	for (unsigned i = 0; i < 50; i++)
		t_dallocx(t_mallocx(100, flags), flags);
	settle();
	const uint64_t hits = node("stats.arenas.%u.hpa_sec_hits", index),
		       misses = node("stats.arenas.%u.hpa_sec_misses", index);
	CHECK(hits + misses != 0 && misses <= 2);
	CHECK(node("stats.arenas.%u.hpa_sec_bytes", index) != 0);
	CHECK(node("stats.arenas.%u.mutexes.hpa_sec.num_ops", index) >= hits + misses);
	char name[64];
	snprintf(name, sizeof name, "arena.%u.purge", index);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
	settle();
	CHECK_EQ(node("stats.arenas.%u.hpa_sec_bytes", index), 0);
	CHECK_EQ(node("stats.arenas.%u.hpa_sec_hits", index), hits);
}
