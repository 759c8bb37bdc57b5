/* SPDX-License-Identifier: MIT */
#include "base/bits.h"

#include "base/checked.h"
#include "harness/test.h"

TEST(logarithms_round_as_named)
{
	CHECK_EQ(lg_floor(1), 0);
	CHECK_EQ(lg_ceil(1), 0);
	for (unsigned i = 1; i < 64; i++) {
		uint64_t power = UINT64_C(1) << i;
		CHECK_EQ(lg_floor(power), i);
		CHECK_EQ(lg_ceil(power), i);
		CHECK_EQ(lg_floor(power - 1), i - 1);
		CHECK_EQ(lg_ceil(power - 1), i == 1 ? 0 : i);
		CHECK_EQ(first_set(power | UINT64_C(1) << 63), i);
	}
}

TEST(alignment_rounds_both_ways)
{
	CHECK_EQ(align_up(0, 16), 0);
	CHECK_EQ(align_up(1, 16), 16);
	CHECK_EQ(align_up(16, 16), 16);
	CHECK_EQ(align_down(31, 16), 16);
	CHECK(is_aligned(4096, 4096));
	CHECK(!is_aligned(4097, 2));
	CHECK(is_pow2(1) && is_pow2(SIZE_MAX / 2 + 1));
	CHECK(!is_pow2(0) && !is_pow2(12));
}

TEST(sizes_above_ptrdiff_max_are_too_large)
{
	const size_t max = PTRDIFF_MAX;
	CHECK_EQ(checked_size(max), max);
	CHECK_EQ(checked_size(max + 1), SIZE_TOO_LARGE);
	CHECK_EQ(checked_add(max - 1, 1), max);
	CHECK_EQ(checked_add(max, 1), SIZE_TOO_LARGE);
	CHECK_EQ(checked_add(SIZE_MAX, 1), SIZE_TOO_LARGE);
	CHECK_EQ(checked_mul(max / 2, 2), max - 1);
	CHECK_EQ(checked_mul(max / 2 + 1, 2), SIZE_TOO_LARGE);
	CHECK_EQ(checked_mul(SIZE_MAX, SIZE_MAX), SIZE_TOO_LARGE);
	CHECK_EQ(checked_mul(SIZE_MAX, 0), 0);
	CHECK_EQ(checked_align_up(max - 4095, 4096), max - 4095);
	CHECK_EQ(checked_align_up(max, 4096), SIZE_TOO_LARGE);
	CHECK_EQ(checked_align_up(SIZE_TOO_LARGE, 16), SIZE_TOO_LARGE);
	CHECK_EQ(checked_align_up(17, 16), 32);
}
