/* SPDX-License-Identifier: MIT */
#include "base/bitmap.h"

#include "harness/test.h"

#define MAX_BITS 200

static bool model[MAX_BITS];
static uint64_t words[BITMAP_WORDS(MAX_BITS)];

static size_t
model_first(size_t nbits, size_t from, bool value)
{
	while (from < nbits && model[from] != value)
		from++;
	return from < nbits ? from : nbits;
}

/* The searches that have a bound in the middle, with it at `bit'. */
static void
check_bounded(size_t nbits, size_t bit)
{
	size_t count = 0, end_of_set = 0;
	for (size_t i = 0; i < bit; i++) {
		count += model[i];
		if (model[i])
			end_of_set = i + 1;
	}
	CHECK_EQ(bitmap_end_of_set_below(words, bit), end_of_set);
	CHECK_EQ(bitmap_count_range(words, 0, bit), count);
	CHECK_EQ(bitmap_count_range(words, bit, nbits),
	    bitmap_count(words, nbits) - count);
	CHECK_EQ(bitmap_count_range(words, bit, bit), 0);
}

static void
check_against_model(size_t nbits)
{
	size_t count = 0;
	for (size_t i = 0; i < nbits; i++) {
		count += model[i];
		CHECK_EQ(bitmap_get(words, i), model[i]);
		CHECK_EQ(bitmap_first_set_from(words, nbits, i),
		    model_first(nbits, i, true));
		CHECK_EQ(bitmap_first_zero_from(words, nbits, i),
		    model_first(nbits, i, false));
		check_bounded(nbits, i);
	}
	check_bounded(nbits, nbits);
	CHECK_EQ(bitmap_first_set_from(words, nbits, nbits), nbits);
	CHECK_EQ(bitmap_first_zero_from(words, nbits, nbits), nbits);
	CHECK_EQ(bitmap_count(words, nbits), count);
	CHECK_EQ(bitmap_is_empty(words, nbits), count == 0);
	CHECK_EQ(bitmap_is_full(words, nbits), count == nbits);
}

static void
set_model(size_t first, size_t end, bool value)
{
	for (size_t i = first; i < end; i++)
		model[i] = value;
}

TEST(bitmap_agrees_with_an_array_of_bool)
{
	static const size_t sizes[] = { 1, 63, 64, 65, 127, 128, MAX_BITS };
	uint64_t random = test_seed();
	for (unsigned s = 0; s < COUNT_OF(sizes); s++) {
		size_t nbits = sizes[s];
		memset(words, 0xff, sizeof(words));
		set_model(0, nbits, false);
		bitmap_clear_all(words, nbits);
		check_against_model(nbits);
		for (unsigned step = 0; step < 300; step++) {
			size_t bit = test_random_below(&random, nbits);
			size_t end = bit + test_random_below(&random, nbits - bit + 1);
			switch (test_random_below(&random, 4)) {
			case 0:
				bitmap_set(words, bit);
				model[bit] = true;
				break;
			case 1:
				bitmap_clear(words, bit);
				model[bit] = false;
				break;
			case 2:
				bitmap_set_range(words, bit, end);
				set_model(bit, end, true);
				break;
			default:
				bitmap_clear_range(words, bit, end);
				set_model(bit, end, false);
			}
			check_against_model(nbits);
		}
		bitmap_set_all(words, nbits);
		set_model(0, nbits, true);
		check_against_model(nbits);
	}
}
