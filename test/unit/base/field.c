/* SPDX-License-Identifier: MIT */
#include "base/field.h"

#include "harness/test.h"

TEST(every_type_has_the_size_of_its_c_type)
{
	CHECK_EQ(field_size(FIELD_BOOL), sizeof(bool));
	CHECK_EQ(field_size(FIELD_UNSIGNED), sizeof(unsigned));
	CHECK_EQ(field_size(FIELD_U32), 4);
	CHECK_EQ(field_size(FIELD_U64), 8);
	CHECK_EQ(field_size(FIELD_I64), 8);
	CHECK_EQ(field_size(FIELD_SIZE), sizeof(size_t));
	CHECK_EQ(field_size(FIELD_SSIZE), sizeof(ssize_t));
	CHECK_EQ(field_size(FIELD_STRING), sizeof(char *));
	CHECK_EQ(field_size(FIELD_ENUM), sizeof(int));
	CHECK_EQ(field_size(FIELD_POINTER), sizeof(void *));
}

TEST(a_field_names_its_bytes_in_any_object)
{
	struct sample {
		bool flag;
		size_t size;
	};
	static const struct field size_field = { "size", FIELD_SIZE,
		offsetof(struct sample, size), "A size." };
	struct sample a = { true, 1 }, b = { false, 2 };

	*(size_t *)field_at(&size_field, &a) = 10;
	CHECK_EQ(a.size, 10);
	CHECK(a.flag);
	CHECK_EQ(*(const size_t *)field_at_const(&size_field, &b), 2);
}

TEST(a_number_is_read_whatever_its_width)
{
	const struct numbers {
		uint64_t u64;
		uint32_t u32;
		unsigned u;
		size_t size;
		ssize_t ssize;
	} object = { UINT64_MAX, UINT32_MAX, 3, SIZE_MAX - 1, -2 };
	const struct field fields[] = {
		{ "u64", FIELD_U64, 0, "" },
		{ "u32", FIELD_U32, offsetof(struct numbers, u32), "" },
		{ "u", FIELD_UNSIGNED, offsetof(struct numbers, u), "" },
		{ "size", FIELD_SIZE, offsetof(struct numbers, size), "" },
		{ "ssize", FIELD_SSIZE, offsetof(struct numbers, ssize), "" },
	};

	CHECK_EQ(field_number(&fields[0], &object), UINT64_MAX);
	CHECK_EQ(field_number(&fields[1], &object), UINT32_MAX);
	CHECK_EQ(field_number(&fields[2], &object), 3);
	CHECK_EQ(field_number(&fields[3], &object), SIZE_MAX - 1);
	CHECK_EQ(field_number(&fields[4], &object), (uint64_t)-2);
}
