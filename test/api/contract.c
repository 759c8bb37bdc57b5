/* SPDX-License-Identifier: MIT */
/*
 * The error contract of every function that allocates: what cannot be served is NULL with ENOMEM,
 * what is no alignment is EINVAL, zero sizes are objects, and free leaves errno alone.
 */
#include <malloc.h>
#include <stdlib.h>

#include "api/names.h"
#include "harness/test.h"

static const size_t impossible[] = {
	SIZE_MAX,
	SIZE_MAX - 1,
	SIZE_MAX - 15,
	SIZE_MAX - 4095, /* a page multiple: rounding adds nothing */
	SIZE_MAX - 4096,
	SIZE_MAX / 2 + 1, /* PTRDIFF_MAX + 1 */
	SIZE_MAX / 2 + 2,
	SIZE_MAX / 2, /* PTRDIFF_MAX itself: rounding exceeds it */
	SIZE_MAX / 2 - 100,
	SIZE_MAX / 4 * 3,
};

#define FOR_EACH_IMPOSSIBLE(size) \
	for (size_t i_ = 0, size; \
	     i_ < sizeof impossible / sizeof *impossible && (size = impossible[i_], 1); \
	     i_++)

/* The call answers NULL, and says so with `error'. */
#define CHECK_FAILS(error, call) \
	do { \
		errno = 0; \
		void *volatile got_ = (call); \
		const int errno_ = errno; \
		CHECK(got_ == NULL); \
		CHECK_EQ(errno_, (error)); \
	} while (0)

#define CHECK_OBJECT(call) \
	do { \
		char *got_ = (call); \
		REQUIRE(got_ != NULL); \
		CHECK(API(malloc_usable_size)(got_) != 0); \
		API(free)(got_); \
	} while (0)

TEST(malloc_of_an_impossible_size_is_enomem)
{
	FOR_EACH_IMPOSSIBLE(size)
	CHECK_FAILS(ENOMEM, API(malloc)(size));
}

TEST(calloc_of_an_impossible_product_is_enomem)
{
	FOR_EACH_IMPOSSIBLE(size)
	{
		CHECK_FAILS(ENOMEM, API(calloc)(1, size));
		CHECK_FAILS(ENOMEM, API(calloc)(size, 1));
		CHECK_FAILS(ENOMEM, API(calloc)(size, 2));
		CHECK_FAILS(ENOMEM, API(calloc)(size, size));
	}
	/* The product wraps around to something small. */
	CHECK_FAILS(ENOMEM, API(calloc)((size_t)1 << 32, (size_t)1 << 32));
	CHECK_FAILS(ENOMEM, API(calloc)(((size_t)1 << 60) + 1, 16));
}

TEST(realloc_to_an_impossible_size_is_enomem_and_keeps_the_object)
{
	static const size_t olds[] = { 1, 100, 5000, 20000, 100000, 3000000 };

	for (size_t k = 0; k < sizeof olds / sizeof *olds; k++) {
		char *p = API(malloc)(olds[k]);
		REQUIRE(p != NULL);
		memset(p, 0x3c, olds[k]);
		FOR_EACH_IMPOSSIBLE(size)
		{
			CHECK_FAILS(ENOMEM, API(realloc)(p, size));
			CHECK_FAILS(ENOMEM, API(reallocarray)(p, size, 1));
			CHECK_FAILS(ENOMEM, API(reallocarray)(p, 2, size));
			CHECK_FAILS(ENOMEM, API(rallocx)(p, size, 0));
			CHECK_EQ(API(xallocx)(p, size, 0, 0), API(malloc_usable_size)(p));
		}
		CHECK_FAILS(ENOMEM,
		    API(reallocarray)(p, (size_t)1 << 32, (size_t)1 << 32));
		CHECK(p[0] == 0x3c && p[olds[k] - 1] == 0x3c);
		API(free)(p);
	}
	FOR_EACH_IMPOSSIBLE(size)
	{
		CHECK_FAILS(ENOMEM, API(realloc)(NULL, size));
		CHECK_FAILS(ENOMEM, API(reallocarray)(NULL, size, 1));
	}
}

TEST(aligned_allocation_of_an_impossible_size_is_enomem)
{
	FOR_EACH_IMPOSSIBLE(size)
	{
		for (size_t alignment = 8; alignment != 0; alignment <<= 1) {
			void *p = &p;
			CHECK_FAILS(ENOMEM, API(aligned_alloc)(alignment, size));
			CHECK_FAILS(ENOMEM, API(memalign)(alignment, size));
			errno = 0;
			CHECK_EQ(API(posix_memalign)(&p, alignment, size), ENOMEM);
			CHECK(p == &p);
			CHECK_EQ(errno, 0);
		}
		CHECK_FAILS(ENOMEM, API(valloc)(size));
		CHECK_FAILS(ENOMEM, API(pvalloc)(size));
	}
}

TEST(a_small_size_at_an_impossible_alignment_is_enomem)
{
	for (unsigned lg = 62; lg < 64; lg++) {
		void *p = &p;
		CHECK_FAILS(ENOMEM, API(aligned_alloc)((size_t)1 << lg, 16));
		CHECK_FAILS(ENOMEM, API(memalign)((size_t)1 << lg, 16));
		CHECK_EQ(API(posix_memalign)(&p, (size_t)1 << lg, 16), ENOMEM);
		CHECK_FAILS(ENOMEM, API(mallocx)(16, (int)lg));
	}
}

TEST(what_is_no_alignment_is_einval)
{
	static const size_t bad[] = { 0, 3, 5, 6, 7, 12, 24, 100, 4095, 4097, SIZE_MAX };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		void *p = &p;
		CHECK_FAILS(EINVAL, API(aligned_alloc)(bad[i], 64));
		CHECK_FAILS(EINVAL, API(memalign)(bad[i], 64));
		errno = 0;
		CHECK_EQ(API(posix_memalign)(&p, bad[i], 64), EINVAL);
		CHECK(p == &p);
		CHECK_EQ(errno, 0);
	}
	/* Powers of two, but not multiples of a pointer's size. */
	for (size_t alignment = 1; alignment < sizeof(void *); alignment *= 2) {
		void *p = &p;
		CHECK_EQ(API(posix_memalign)(&p, alignment, 64), EINVAL);
		CHECK(p == &p);
		CHECK_OBJECT(API(aligned_alloc)(alignment, 64));
		CHECK_OBJECT(API(memalign)(alignment, 64));
	}
}

TEST(an_object_of_size_zero_is_one_of_its_own)
{
	void *a = API(malloc)(0), *b = API(malloc)(0), *c = NULL;

	CHECK(a != NULL && b != NULL && a != b);
	API(free)(a);
	API(free)(b);
	CHECK_OBJECT(API(calloc)(0, 0));
	CHECK_OBJECT(API(calloc)(0, SIZE_MAX));
	CHECK_OBJECT(API(calloc)(SIZE_MAX, 0));
	CHECK_OBJECT(API(realloc)(NULL, 0));
	CHECK_OBJECT(API(aligned_alloc)(64, 0));
	CHECK_OBJECT(API(memalign)(4096, 0));
	CHECK_OBJECT(API(valloc)(0));
	CHECK_OBJECT(API(pvalloc)(0));
	CHECK_EQ(API(posix_memalign)(&c, 64, 0), 0);
	CHECK_OBJECT(c);
}

TEST(pvalloc_gives_whole_pages)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 70000 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *p = API(pvalloc)(sizes[i]);
		REQUIRE(p != NULL);
		CHECK_EQ((uintptr_t)p % page, 0);
		CHECK(API(malloc_usable_size)(p) >= (sizes[i] + page - 1) / page * page);
		CHECK(API(malloc_usable_size)(p) >= page);
		API(free)(p);
	}
}

TEST(realloc_to_zero_frees)
{
	void *p = API(malloc)(100);

	REQUIRE(p != NULL);
	CHECK(API(realloc)(p, 0) == NULL);
}

TEST(nothing_is_done_with_null)
{
	API(free)(NULL);
	API(cfree)(NULL);
	API(free_sized)(NULL, 10);
	API(free_aligned_sized)(NULL, 64, 10);
	CHECK_EQ(API(malloc_usable_size)(NULL), 0);
	CHECK_OBJECT(API(realloc)(NULL, 10));
	CHECK_OBJECT(API(reallocarray)(NULL, 10, 10));
}

TEST(nallocx_of_an_impossible_size_is_zero)
{
	FOR_EACH_IMPOSSIBLE(size)
	{
		CHECK_EQ(API(nallocx)(size, 0), 0);
		CHECK_EQ(API(nallocx)(size, 12), 0);
		CHECK_FAILS(ENOMEM, API(mallocx)(size, 0));
		CHECK_FAILS(ENOMEM, API(mallocx)(size, 12));
		CHECK_FAILS(ENOMEM, API(mallocx)(size, 1 << 8 /* no tcache */));
	}
	CHECK(API(nallocx)(1, 0) >= 1);
}

/* Frees of every kind of object: listed, shared, remote, large, mapped, purged. */
TEST(free_leaves_errno_alone)
{
	static void *objects[4000];

	for (unsigned round = 0; round < 4; round++) {
		for (size_t i = 0; i < 4000; i++)
			objects[i] = API(malloc)((i * 37 + round) % 900
			    * (i % 50 == 0 ? 4000 : 8));
		for (size_t i = 0; i < 4000; i++) {
			errno = 12345;
			API(free)(objects[i]);
			if (errno != 12345)
				CHECK_EQ(errno, 12345);
		}
	}
	for (size_t size = 1; size < (size_t)1 << 28; size *= 4) {
		void *p = API(malloc)(size);
		errno = 12345;
		API(free)(p);
		CHECK_EQ(errno, 12345);
	}
}

TEST(a_success_leaves_errno_alone)
{
	for (size_t size = 1; size < (size_t)1 << 26; size *= 2) {
		void *p = NULL;
		errno = 12345;
		REQUIRE(API(posix_memalign)(&p, 4096, size) == 0);
		CHECK_EQ(errno, 12345);
		API(free)(p);
	}
}
