/* SPDX-License-Identifier: MIT */
#include "base/prng.h"

#include "base/bits.h"
#include "harness/test.h"

TEST(same_seed_same_sequence)
{
	struct prng a, b, c;
	prng_seed(&a, 7);
	prng_seed(&b, 7);
	prng_seed(&c, 8);
	for (int i = 0; i < 100; i++) {
		uint64_t value = prng_next(&a);
		CHECK_EQ(value, prng_next(&b));
		CHECK(value != prng_next(&c));
	}
}

TEST(below_is_in_range_and_roughly_even)
{
	unsigned counts[10] = { 0 };
	struct prng p;
	prng_seed(&p, test_seed());
	for (int i = 0; i < 100000; i++) {
		uint64_t value = prng_below(&p, COUNT_OF(counts));
		REQUIRE(value < COUNT_OF(counts));
		counts[value]++;
	}
	/* 10000 each, standard deviation 95. */
	for (unsigned i = 0; i < COUNT_OF(counts); i++)
		CHECK(counts[i] > 9300 && counts[i] < 10700);
	CHECK_EQ(prng_below(&p, 1), 0);
}

TEST(hash_of_neighbours_differs_in_about_half_the_bits)
{
	uint64_t flipped = 0;
	for (uint64_t i = 0; i < 1000; i++)
		flipped += count_set(hash_u64(i) ^ hash_u64(i + 1));
	CHECK(flipped > 31000 && flipped < 33000);
}

TEST(hash_bytes_depends_on_every_byte_and_the_length)
{
	unsigned char data[40];
	memset(data, 0, sizeof(data));
	for (size_t size = 0; size < sizeof(data); size++) {
		uint64_t hash = hash_bytes(data, size);
		CHECK(hash != hash_bytes(data, size + 1));
		for (size_t i = 0; i < size; i++) {
			data[i] ^= 0x10;
			CHECK(hash != hash_bytes(data, size));
			data[i] ^= 0x10;
		}
		CHECK_EQ(hash, hash_bytes(data, size));
	}
}
