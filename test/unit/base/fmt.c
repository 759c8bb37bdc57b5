/* SPDX-License-Identifier: MIT */
#include "base/fmt.h"

#include <limits.h>

#include "harness/test.h"

static char text[256];

/* Format with fmt and with libc: the same, and of the same length. */
#define CHECK_LIKE_PRINTF(...) \
	do { \
		char expected[256]; \
		struct fmt f; \
		int length = snprintf(expected, sizeof(expected), __VA_ARGS__); \
		memset(text, 'x', sizeof(text)); \
		fmt_init(&f, text, sizeof(text)); \
		fmt_print(&f, __VA_ARGS__); \
		CHECK_STR(text, expected); \
		CHECK_EQ(f.length, (size_t)length); \
	} while (0)

TEST(print_agrees_with_printf)
{
	CHECK_LIKE_PRINTF("nothing");
	CHECK_LIKE_PRINTF("%s|%c|%%|%d", "text", 'c', -1);
	CHECK_LIKE_PRINTF("%d %i %u", INT_MIN, INT_MAX, UINT_MAX);
	CHECK_LIKE_PRINTF("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	CHECK_LIKE_PRINTF("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, 0ull);
	CHECK_LIKE_PRINTF("%zu %zd %zx", SIZE_MAX, (ssize_t)-5, (size_t)0xbeef);
	CHECK_LIKE_PRINTF("%x %p", 0xfeedu, (void *)text);
	CHECK_LIKE_PRINTF("[%5d] [%-5d] [%05d] [%05d] [%2d]", 42, 42, 42, -42, 12345);
	CHECK_LIKE_PRINTF("[%8s] [%-8s] [%2s] [%.2s] [%*s] [%.*s]", "abc", "abc", "abc",
	    "abc", 6, "abc", 1, "abc");
	CHECK_LIKE_PRINTF("[%016lx] [%-10zu] [%10llu] [%3c] [%-3c]", 0xabcul, (size_t)7,
	    8ull, 'x', 'y');
}

TEST(null_text_is_no_crash)
{
	struct fmt f;
	const char *volatile nothing = NULL;
	fmt_init(&f, text, sizeof(text));
	fmt_print(&f, "%s", nothing);
	CHECK_STR(text, "(null)");
}

TEST(parts_append)
{
	struct fmt f;
	fmt_init(&f, text, sizeof(text));
	fmt_text(&f, "a");
	fmt_char(&f, '=');
	fmt_u64(&f, UINT64_MAX);
	fmt_pad(&f, '.', 3);
	fmt_i64(&f, INT64_MIN);
	fmt_char(&f, ' ');
	fmt_hex(&f, 0x1234);
	CHECK_STR(text, "a=18446744073709551615...-9223372036854775808 0x1234");
	CHECK_EQ(f.length, strlen(text));
}

TEST(what_does_not_fit_is_cut)
{
	for (size_t size = 1; size < 40; size++) {
		char expected[64];
		struct fmt f;
		memset(text, 'x', sizeof(text));
		snprintf(expected, size, "%s %10d %-10s", "longer", 12, "text");
		fmt_init(&f, text, size);
		fmt_print(&f, "%s %10d %-10s", "longer", 12, "text");
		CHECK_STR(text, expected);
		CHECK_EQ(f.length, strlen(expected));
		CHECK_EQ(text[size], 'x');
	}
}
