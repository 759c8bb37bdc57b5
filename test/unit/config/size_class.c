/* SPDX-License-Identifier: MIT */
#include "config/size_class.h"

#include "base/bits.h"
#include "base/checked.h"
#include "config/options.h"
#include "harness/test.h"

static const size_t page_sizes[] = { 4096, 8192, 16384, 32768, 65536 };

/*
 * The classes that programs hard-code, as published; 24, 40 and 56 with quantum 8 only.
 */
static const size_t known_small[] = { 8, 16,
#if CONFIG_LG_QUANTUM == 3
	24,
#endif
	32,
#if CONFIG_LG_QUANTUM == 3
	40,
#endif
	48,
#if CONFIG_LG_QUANTUM == 3
	56,
#endif
	64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
	1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240,
	12288, 14336 };

static size_t
gcd(size_t a, size_t b)
{
	return b == 0 ? a : gcd(b, a % b);
}

TEST(small_classes_are_the_known_ones)
{
	CHECK_EQ(COUNT_OF(known_small), SC_NBINS);
	for (unsigned i = 0; i < SC_NBINS; i++)
		CHECK_EQ(size_class_sizes[i], known_small[i]);
	CHECK_EQ(size_class_sizes[SC_NBINS - 1], SC_SMALL_MAX);
}

TEST(large_classes_are_four_per_doubling_up_to_the_greatest)
{
	unsigned szind = SC_NBINS;
	for (unsigned lg = 14; lg <= 62; lg++) {
		for (size_t quarters = 4; quarters < 8; quarters++) {
			CHECK_EQ(size_class_sizes[szind], quarters << (lg - 2));
			szind++;
		}
	}
	CHECK_EQ(szind, SC_NSIZES);
	CHECK_EQ(size_class_sizes[SC_NBINS], SC_LARGE_MIN);
	CHECK_EQ(size_class_sizes[SC_NOWNED - 1], SC_OWNED_MAX);
	CHECK_EQ(size_class_sizes[SC_NSIZES - 1], SC_LARGE_MAX);
}

TEST(class_of_a_size_is_the_smallest_that_holds_it)
{
	CHECK_EQ(size_class_of(0), 0);
	for (unsigned i = 0; i < SC_NSIZES; i++) {
		CHECK_EQ(size_class_of(size_class_sizes[i]), i);
		if (i + 1 < SC_NSIZES)
			CHECK_EQ(size_class_of(size_class_sizes[i] + 1), i + 1);
	}
	unsigned szind = 0;
	for (size_t size = 1; size <= 70000; size++) {
		if (size > size_class_sizes[szind])
			szind++;
		CHECK_EQ(size_class_of(size), szind);
	}
}

TEST(lookup_table_agrees_with_arithmetic)
{
	for (size_t size = 0; size <= SC_LOOKUP_MAX; size++)
		CHECK_EQ(size_class_lookup[(size + 7) >> 3], size_class_of(size));
}

TEST(floor_is_the_largest_class_within_a_size)
{
	for (unsigned i = 0; i < SC_NSIZES; i++) {
		CHECK_EQ(size_class_floor(size_class_sizes[i]), i);
		CHECK_EQ(size_class_floor(size_class_sizes[i] + 1), i);
		if (i > 0)
			CHECK_EQ(size_class_floor(size_class_sizes[i] - 1), i - 1);
	}
	CHECK_EQ(size_class_floor(SIZE_MAX), SC_NSIZES - 1);
}

static void
check_geometry(unsigned szind, size_t page)
{
	const struct slab_geometry *g = &slab_geometry[szind];

	CHECK_EQ(g->reg_size, size_class_sizes[szind]);
	CHECK(is_aligned(g->slab_size, page));
	CHECK(g->slab_size >= 16384 && g->slab_size <= 256 * 1024);
	CHECK(g->nregs >= 1 && g->nregs <= SLAB_MAXREGS);
	CHECK((size_t)g->nregs * g->reg_size <= g->slab_size);
	CHECK(g->nregs == SLAB_MAXREGS || (g->nregs + 1u) * g->reg_size > g->slab_size);
	CHECK(g->nregs >= (g->reg_size <= 512 ? 32 : g->reg_size <= 2048 ? 16 : 8));
	CHECK(is_pow2(g->grown) && g->grown * g->nregs <= SLAB_MAXREGS);
	CHECK(g->grown == 1 || g->grown * g->slab_size <= SLAB_GROWN_MAX);
	CHECK(2 * g->grown * g->nregs > SLAB_MAXREGS
	    || 2 * g->grown * g->slab_size > SLAB_GROWN_MAX);
	if (page == 4096)
		CHECK(g->slab_size % g->reg_size <= g->slab_size / 32);
}

TEST(a_slab_wakes_after_a_sixteenth_of_its_regions_but_one_to_eight)
{
	for (unsigned nregs = 1; nregs <= SLAB_MAXREGS; nregs++) {
		const unsigned wake = slab_wake(nregs);
		CHECK(wake >= 1 && wake <= 8 && wake <= nregs);
		CHECK(wake == 1 || wake == 8 || wake == nregs / 16);
		CHECK((nregs < 32) == (wake == 1) && (nregs >= 128) == (wake == 8));
	}
}

TEST(slab_geometry_keeps_its_bounds_on_every_page_size)
{
	for (unsigned p = 0; p < COUNT_OF(page_sizes); p++) {
		size_class_boot(page_sizes[p]);
		for (unsigned i = 0; i < SC_NOWNED; i++)
			check_geometry(i, page_sizes[p]);
	}
	size_class_boot(4096);
}

/* The share of a slab of that size that lies idle behind its last region. */
static double
tail_of(size_t slab_size, size_t reg_size)
{
	return (double)(slab_size % reg_size) / (double)slab_size;
}

TEST(a_slab_is_the_smallest_with_little_tail_or_else_the_one_with_least)
{
	for (unsigned p = 0; p < COUNT_OF(page_sizes); p++) {
		size_class_boot(page_sizes[p]);
		for (unsigned i = 0; i < SC_NOWNED; i++) {
			const struct slab_geometry *g = &slab_geometry[i];
			size_t wanted = g->reg_size <= 512 ? 32
			    : g->reg_size <= 2048          ? 16
							   : 8;
			double own_tail = tail_of(g->slab_size, g->reg_size);
			for (size_t size = max_size(16384, page_sizes[p]);
			     size <= 256 * 1024; size += page_sizes[p]) {
				double tail = tail_of(size, g->reg_size);
				if (size / g->reg_size < wanted)
					continue;
				if (size < g->slab_size)
					CHECK(tail > 1.0 / 32 && tail > own_tail);
				else
					CHECK(own_tail <= 1.0 / 32 || tail >= own_tail);
			}
		}
	}
	size_class_boot(4096);
}

TEST(region_index_by_reciprocal_is_exact_at_every_offset)
{
	for (unsigned p = 0; p < COUNT_OF(page_sizes); p++) {
		size_class_boot(page_sizes[p]);
		for (unsigned i = 0; i < SC_NOWNED; i++) {
			const struct slab_geometry *g = &slab_geometry[i];
			uint64_t wrong = 0;
			for (uint64_t offset = 0; offset < g->grown * g->slab_size;
			     offset++)
				wrong +=
				    offset * g->reciprocal >> 32 != offset / g->reg_size;
			CHECK_EQ(wrong, 0);
		}
	}
	size_class_boot(4096);
}

/* What slab_sizes asks for, brought to what a slab can be. */
static size_t
slab_wanted(size_t reg_size, size_t npages, size_t page)
{
	size_t size = npages * page;

	while (size > 256 * 1024
	    || (size > page && size - page >= SLAB_MAXREGS * reg_size))
		size -= page;
	while (size < reg_size)
		size += page;
	return size;
}

TEST(slabs_have_the_pages_that_are_asked_for_within_bounds)
{
	static const uint16_t wanted[] = { 1, 2, 3, 7, 16, 64, 512 };

	for (unsigned p = 0; p < COUNT_OF(page_sizes); p++) {
		for (unsigned w = 0; w < COUNT_OF(wanted); w++) {
			uint16_t npages[SC_NBINS];
			size_class_boot(page_sizes[p]);
			const struct slab_geometry kept = slab_geometry[5];
			for (unsigned i = 0; i < SC_NBINS; i++)
				npages[i] = i == 5 ? OPTION_LIST_UNSET : wanted[w];
			size_class_set_slabs(npages);
			CHECK(memcmp(&kept, &slab_geometry[5], sizeof kept) == 0);
			for (unsigned i = 0; i < SC_NBINS; i++) {
				const struct slab_geometry *g = &slab_geometry[i];
				if (i == 5)
					continue;
				CHECK_EQ(g->slab_size,
				    slab_wanted(g->reg_size, wanted[w], page_sizes[p]));
				CHECK_EQ(g->nregs,
				    min_size(g->slab_size / g->reg_size, SLAB_MAXREGS));
				CHECK(g->nregs >= 1 && g->grown == 1);
				CHECK_EQ((uint64_t)(g->slab_size - 1) * g->reciprocal
					>> 32,
				    (g->slab_size - 1) / g->reg_size);
			}
		}
	}
	size_class_boot(4096);
}

TEST(usable_size_is_the_class_or_whole_pages)
{
	for (unsigned p = 0; p < COUNT_OF(page_sizes); p++) {
		size_t page = page_sizes[p];
		size_class_boot(page);
		CHECK_EQ(size_usable(0), 8);
		CHECK_EQ(size_usable(1), 8);
		CHECK_EQ(size_usable(100), 112);
		CHECK_EQ(size_usable(SC_OWNED_MAX), SC_OWNED_MAX);
		CHECK_EQ(size_usable(SC_OWNED_MAX + 1), align_up(SC_OWNED_MAX + 1, page));
		CHECK_EQ(size_usable(1000000), align_up(1000000, page));
		CHECK_EQ(size_usable(SC_LARGE_MAX), SC_LARGE_MAX);
	}
	size_class_boot(4096);
	opt.disable_large_size_classes = false;
	CHECK_EQ(size_usable(SC_OWNED_MAX + 1), 40960);
	CHECK_EQ(size_usable(1000000), 1 << 20);
	CHECK_EQ(size_usable(SC_LARGE_MAX - 1), SC_LARGE_MAX);
	opt.disable_large_size_classes = true;
}

TEST(what_cannot_be_served_is_too_large)
{
	static const size_t sizes[] = { SC_LARGE_MAX + 1, PTRDIFF_MAX,
		(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX - 1, SIZE_MAX };

	size_class_boot(4096);
	for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
		CHECK_EQ(size_usable(sizes[i]), SIZE_TOO_LARGE);
		for (unsigned lg = 0; lg < 64; lg++)
			CHECK_EQ(size_usable_aligned(sizes[i], (size_t)1 << lg),
			    SIZE_TOO_LARGE);
	}
	CHECK_EQ(size_usable_aligned(1, (size_t)1 << 63), SIZE_TOO_LARGE);
	CHECK_EQ(size_usable_aligned(SC_LARGE_MAX - 1, 4096), SC_LARGE_MAX);
}

/* What an object of that usable size is aligned to, wherever in memory it lies. */
static size_t
natural_alignment(size_t usable, size_t page)
{
	return usable <= SC_OWNED_MAX ? gcd(usable, page) : page;
}

static void
check_aligned(size_t size, size_t alignment, size_t page)
{
	size_t usable = size_usable_aligned(size, alignment);

	CHECK(usable >= size);
	if (alignment > page) {
		CHECK(usable >= SC_LARGE_MIN && is_aligned(usable, page));
		return;
	}
	CHECK(is_aligned(natural_alignment(usable, page), alignment));
	CHECK_EQ(size_usable(usable), usable);
	/* No smaller class would have done. */
	for (unsigned i = size_class_of(size); size_class_sizes[i] < usable; i++)
		CHECK(i >= SC_NOWNED || size_class_sizes[i] % alignment != 0);
}

TEST(aligned_requests_get_the_smallest_class_that_is_aligned)
{
	for (unsigned p = 0; p < COUNT_OF(page_sizes); p++) {
		size_class_boot(page_sizes[p]);
		for (unsigned lg = 0; lg <= 22; lg++)
			for (size_t size = 0; size < 40000; size += 1 + size / 64)
				check_aligned(size, (size_t)1 << lg, page_sizes[p]);
	}
	size_class_boot(4096);
}

TEST(an_alignment_that_a_class_has_anyway_costs_nothing)
{
	size_class_boot(4096);
	for (size_t size = 16; size <= SC_OWNED_MAX; size += 16)
		CHECK_EQ(size_usable_aligned(size, QUANTUM), size_usable(size));
	CHECK_EQ(size_usable_aligned(0, 1), 8);
	CHECK_EQ(size_usable_aligned(100, 64), 128);
	CHECK_EQ(size_usable_aligned(300, 128), 384);
	CHECK_EQ(size_usable_aligned(1, 4096), 4096);
	CHECK_EQ(size_usable_aligned(4097, 4096), 8192);
	CHECK_EQ(size_usable_aligned(1, 8192), SC_LARGE_MIN);
}
