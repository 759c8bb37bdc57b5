/* SPDX-License-Identifier: MIT */
#include "meta/base.h"

#include <sys/mman.h>

#include "base/bits.h"
#include "config/options.h"
#include "harness/test.h"
#include "harness/vmflags.h"
#include "os/pages.h"

/* Blocks of a test: the k-th mapping may be refused, large ones always. */
static struct {
	size_t largest;
	unsigned n_maps, n_unmaps, refuse_at;
} blocks;

static void *
map_block(void *context, size_t size, size_t alignment)
{
	CHECK(context == &blocks);
	if (++blocks.n_maps == blocks.refuse_at || size > blocks.largest)
		return NULL;
	return base_map_system(NULL, size, alignment);
}

static void
unmap_block(void *context, void *addr, size_t size)
{
	CHECK(context == &blocks);
	blocks.n_unmaps++;
	base_unmap_system(NULL, addr, size);
}

static struct base *
new_base(void)
{
	memset(&blocks, 0, sizeof blocks);
	blocks.largest = SIZE_MAX;
	struct base *base = base_new(map_block, unmap_block, &blocks);
	REQUIRE(base != NULL);
	return base;
}

static bool
is_filled(const unsigned char *p, size_t size, unsigned char with)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != with)
			return false;
	return true;
}

TEST(memory_is_zeroed_aligned_and_its_own)
{
	enum { PIECES = 3000 };
	static unsigned char *pieces[PIECES];
	static size_t sizes[PIECES];
	uint64_t seed = test_seed();
	struct base *base = new_base();

	for (unsigned i = 0; i < PIECES; i++) {
		const size_t alignment = (size_t)16 << test_random_below(&seed, 8);
		sizes[i] = 1 + test_random_below(&seed, i % 64 == 0 ? 100000 : 700);
		pieces[i] = base_alloc(base, sizes[i], alignment);
		REQUIRE(pieces[i] != NULL);
		CHECK(is_aligned((uintptr_t)pieces[i], alignment));
		CHECK(is_filled(pieces[i], sizes[i], 0));
		memset(pieces[i], (int)(i % 255 + 1), sizes[i]);
	}
	for (unsigned i = 0; i < PIECES; i++)
		CHECK(is_filled(pieces[i], sizes[i], (unsigned char)(i % 255 + 1)));
	base_delete(base);
	CHECK_EQ(blocks.n_unmaps, blocks.n_maps);
}

TEST(a_recycled_piece_is_zeroed_and_its_own)
{
	enum { PIECES = 256 };
	static unsigned char *pieces[PIECES];
	static size_t sizes[PIECES];
	uint64_t seed = test_seed();
	struct base *base = new_base();

	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < PIECES; i++) {
			if (pieces[i] != NULL || test_random_below(&seed, 2) == 0)
				continue;
			sizes[i] = 1 + test_random_below(&seed, BASE_RECYCLE_MAX);
			pieces[i] = base_alloc(base, sizes[i], CACHE_LINE);
			REQUIRE(pieces[i] != NULL);
			CHECK(is_filled(pieces[i], sizes[i], 0));
			memset(pieces[i], (int)(i % 255 + 1), sizes[i]);
			/* A neighbour that asks for less alignment than a line. */
			unsigned char *small = base_alloc(base, 16, 16);
			REQUIRE(small != NULL);
			CHECK(is_filled(small, 16, 0));
		}
		for (unsigned i = 0; i < PIECES; i++) {
			if (pieces[i] == NULL)
				continue;
			CHECK(is_filled(pieces[i], sizes[i],
			    (unsigned char)(i % 255 + 1)));
			if (test_random_below(&seed, 2) == 0)
				continue;
			base_free(base, pieces[i], sizes[i]);
			pieces[i] = NULL;
		}
	}
	/* 20,000 pieces of up to 512 bytes were made of the memory of the few that lived. */
	CHECK(blocks.n_maps <= (CONFIG_HOSTILE ? 12 : 1));
	base_delete(base);
}

TEST(recycling_does_not_touch_what_follows_the_piece)
{
	struct base *base = new_base();
	char *first = base_alloc(base, 100, CACHE_LINE);
	char *second = base_alloc(base, 16, 16);

	memset(second, 'x', 16);
	base_free(base, first, 100);
	CHECK(base_alloc(base, 128, CACHE_LINE) != NULL);
	CHECK(is_filled((unsigned char *)second, 16, 'x'));
	base_delete(base);
}

TEST(a_smaller_block_serves_where_a_whole_one_is_refused)
{
	memset(&blocks, 0, sizeof blocks);
	blocks.largest = (size_t)128 << 10;
	struct base *base = base_new(map_block, unmap_block, &blocks);
	REQUIRE(base != NULL);
	for (unsigned i = 0; i < 1000; i++)
		CHECK(base_alloc(base, 128, 128) != NULL);
	CHECK(base_alloc(base, (size_t)1 << 20, 64) == NULL);
	CHECK(base_alloc(base, 128, 128) != NULL);
	CHECK(base_stats(base).mapped < (size_t)1 << 20);
	base_delete(base);
}

TEST(a_refused_block_is_null_and_loses_nothing)
{
	struct base *base = new_base();

	blocks.largest = 0;
	unsigned n = 0;
	while (base_alloc(base, 4096, 64) != NULL)
		n++;
	CHECK(n > BASE_BLOCK_SIZE / 4096 - 3);
	const struct base_stats before = base_stats(base);
	CHECK(base_alloc(base, 4096, 64) == NULL);
	const struct base_stats after = base_stats(base);
	CHECK_EQ(before.allocated, after.allocated);
	CHECK_EQ(before.mapped, after.mapped);
	blocks.largest = SIZE_MAX;
	CHECK(base_alloc(base, 4096, 64) != NULL);
	base_delete(base);
	CHECK(base_new(map_block, unmap_block, &blocks) != NULL);
	blocks.largest = 0;
	CHECK(base_new(map_block, unmap_block, &blocks) == NULL);
}

TEST(statistics_are_ordered_and_count_every_byte)
{
	struct base *base = new_base();
	struct base_stats before = base_stats(base);

	CHECK(base_alloc(base, 1000, 64) != NULL);
	void *piece = base_alloc(base, 128, 64);
	struct base_stats after = base_stats(base);
	CHECK(after.allocated >= before.allocated + 1128);
	CHECK(after.allocated <= after.resident);
	CHECK(after.resident <= after.mapped);
	base_free(base, piece, 128);
	CHECK_EQ(base_stats(base).allocated, after.allocated - 128);
	CHECK(base_alloc(base, 128, 64) == piece);
	CHECK_EQ(base_stats(base).allocated, after.allocated);
	base_delete(base);
}

/* A base like the one of an automatic arena, grown to so many blocks. */
static struct base *
system_base(unsigned n_blocks)
{
	struct base *base = base_new(base_map_system, base_unmap_system, NULL);

	REQUIRE(base != NULL);
	while (base->n_blocks < n_blocks)
		REQUIRE(base_alloc(base, 1000, CACHE_LINE) != NULL);
	return base;
}

TEST(metadata_is_kept_off_huge_pages_where_the_kernel_uses_them_always)
{
	const enum os_thp mode = os_thp();

	if (mode == OS_THP_UNSUPPORTED || CONFIG_HOSTILE)
		SKIP("no huge pages here");
	os_thp_mode = OS_THP_ALWAYS;
	struct base *base = system_base(2);
	CHECK(vm_has_flag(base, " nh"));
	CHECK(vm_has_flag(base->next, " nh"));
	CHECK_EQ(base_stats(base).n_huge, 0);
	base_delete(base);
	os_thp_mode = mode;
}

TEST(metadata_thp_always_asks_for_huge_pages)
{
	if (os_thp() == OS_THP_UNSUPPORTED || CONFIG_HOSTILE)
		SKIP("no huge pages here");
	opt.metadata_thp = METADATA_THP_ALWAYS;
	struct base *base = system_base(1);
	CHECK(vm_has_flag(base, " hg"));
	CHECK_EQ(base_stats(base).n_huge, BASE_BLOCK_SIZE / OS_HUGEPAGE);
	base_delete(base);
	opt.metadata_thp = METADATA_THP_DISABLED;
}

TEST(metadata_thp_auto_asks_from_the_second_block_on_and_for_the_first_then)
{
	if (os_thp() == OS_THP_UNSUPPORTED || CONFIG_HOSTILE)
		SKIP("no huge pages here");
	opt.metadata_thp = METADATA_THP_AUTO;
	struct base *base = system_base(1);
	CHECK(!vm_has_flag(base, " hg"));
	CHECK_EQ(base_stats(base).n_huge, 0);
	while (base->n_blocks < 3)
		REQUIRE(base_alloc(base, 1000, CACHE_LINE) != NULL);
	CHECK(vm_has_flag(base, " hg"));
	CHECK(vm_has_flag(base->next, " hg"));
	CHECK_EQ(base_stats(base).n_huge, 3 * BASE_BLOCK_SIZE / OS_HUGEPAGE);
	base_delete(base);
	opt.metadata_thp = METADATA_THP_DISABLED;
}
