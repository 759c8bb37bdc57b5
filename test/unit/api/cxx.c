/* SPDX-License-Identifier: MIT */
/* In a C program: no C++ library, no handler, no exceptions. */
#include "api/cxx.h"

#include "harness/test.h"

#define HUGE_SIZE ((size_t)PTRDIFF_MAX - 4096)

static char tag; /* stands for std::nothrow */

/* Of the C++ library, which the runtime of the address sanitizer brings along. */
extern void __cxa_throw(void *exception, void *type, void (*destroy)(void *))
    __attribute__((weak));

TEST(every_operator_works_without_a_cxx_library)
{
	cxx_delete(cxx_new(100));
	cxx_delete_sized(cxx_new(100), 100);
	cxx_delete_array(cxx_new_array(100));
	cxx_delete_array_sized(cxx_new_array(100), 100);
	cxx_delete_nothrow(cxx_new_nothrow(100, &tag), &tag);
	cxx_delete_array_nothrow(cxx_new_array_nothrow(100, &tag), &tag);

	for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
		void *p[4] = { cxx_new_aligned(100, alignment),
			cxx_new_array_aligned(100, alignment),
			cxx_new_aligned_nothrow(100, alignment, &tag),
			cxx_new_array_aligned_nothrow(100, alignment, &tag) };
		for (int i = 0; i < 4; i++) {
			CHECK(p[i] != NULL);
			CHECK_EQ((uintptr_t)p[i] % alignment, 0);
			memset(p[i], i, 100);
		}
		cxx_delete_aligned(p[0], alignment);
		cxx_delete_array_aligned(p[1], alignment);
		cxx_delete_aligned_nothrow(p[2], alignment, &tag);
		cxx_delete_array_aligned_nothrow(p[3], alignment, &tag);
	}
	cxx_delete_sized_aligned(cxx_new_aligned(100, 64), 100, 64);
	cxx_delete_array_sized_aligned(cxx_new_array_aligned(100, 64), 100, 64);
	cxx_delete(NULL);
	cxx_delete_array(NULL);
	cxx_delete_sized_aligned(NULL, 1, 64);
}

TEST(nothrow_forms_return_null)
{
	CHECK(cxx_new_nothrow(HUGE_SIZE, &tag) == NULL);
	CHECK(cxx_new_array_nothrow(SIZE_MAX, &tag) == NULL);
	CHECK(cxx_new_aligned_nothrow(HUGE_SIZE, 64, &tag) == NULL);
	CHECK(cxx_new_array_aligned_nothrow(SIZE_MAX, 64, &tag) == NULL);
	CHECK(cxx_new_aligned_nothrow(100, 48, &tag) == NULL);
}

static void
new_too_much(void)
{
	cxx_new(HUGE_SIZE);
}

static void
new_array_aligned_too_much(void)
{
	cxx_new_array_aligned(HUGE_SIZE, 64);
}

static void
new_with_bad_alignment(void)
{
	cxx_new_aligned(100, 48);
}

TEST(where_nothing_can_be_thrown_one_line_says_why_it_ends)
{
#define NO_MEMORY "<tract>: operator new: no memory for "
	if (__cxa_throw != NULL)
		SKIP("a C++ library is here, so std::bad_alloc is thrown");
	test_dies(new_too_much, NO_MEMORY "9223372036854771711 bytes");
	test_dies(new_array_aligned_too_much, NO_MEMORY "9223372036854771711 bytes");
	test_dies(new_with_bad_alignment, NO_MEMORY "100 bytes");
}
