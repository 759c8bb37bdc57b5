/* SPDX-License-Identifier: MIT */
/*
 * xmalloc and experimental_infallible_new: no failure returns to the program.  Each function says
 * its own name.
 */
#include "harness/test.h"

#include "api/cxx.h"
#include "api/names.h"
#include "config/options.h"

#define TOO_MUCH ((size_t)PTRDIFF_MAX - 4096)

extern void *API(malloc)(size_t size);
extern void *API(calloc)(size_t n, size_t size);
extern void *API(realloc)(void *p, size_t size);
extern void *API(reallocarray)(void *p, size_t n, size_t size);
extern void *API(aligned_alloc)(size_t alignment, size_t size);
extern void *API(memalign)(size_t alignment, size_t size);
extern int API(posix_memalign)(void **result, size_t alignment, size_t size);
extern void *API(valloc)(size_t size);
extern void *API(pvalloc)(size_t size);
extern void *API(mallocx)(size_t size, int flags);
extern void *API(rallocx)(void *p, size_t size, int flags);

/* The result matters to nobody; but it must not be thrown away by the compiler. */
static void *volatile result;
static char tag;

#define BODY(name, expression) \
	static void name(void) \
	{ \
		result = (expression); \
	}

static void *
aligned_by_posix(void)
{
	void *p = NULL;

	errno = 4711;
	const int rc = API(posix_memalign)(&p, 64, TOO_MUCH);
	CHECK(rc == ENOMEM && p == NULL && errno == 4711);
	return p;
}

BODY(by_malloc, API(malloc)(TOO_MUCH))
BODY(by_calloc, API(calloc)(1, TOO_MUCH))
BODY(by_calloc_overflow, API(calloc)(SIZE_MAX / 2, 3))
BODY(by_realloc_new, API(realloc)(NULL, TOO_MUCH))
BODY(by_realloc, API(realloc)(API(malloc)(10), TOO_MUCH))
BODY(by_reallocarray, API(reallocarray)(NULL, SIZE_MAX / 2, 3))
BODY(by_aligned_alloc, API(aligned_alloc)(64, TOO_MUCH))
BODY(by_memalign, API(memalign)(64, TOO_MUCH))
BODY(by_posix_memalign, aligned_by_posix())
BODY(by_valloc, API(valloc)(TOO_MUCH))
BODY(by_pvalloc, API(pvalloc)(SIZE_MAX))
BODY(by_mallocx, API(mallocx)(TOO_MUCH, 0))
BODY(by_mallocx_zeroed, API(mallocx)(TOO_MUCH, 0x40))
BODY(by_rallocx, API(rallocx)(API(malloc)(10), TOO_MUCH, 0))
BODY(by_new, cxx_new(TOO_MUCH))
BODY(by_new_nothrow, cxx_new_nothrow(TOO_MUCH, &tag))
BODY(by_new_aligned_nothrow, cxx_new_aligned_nothrow(TOO_MUCH, 64, &tag))

static const struct {
	void (*run)(void);
	const char *line;
} functions[] = {
#define LINE(name) "<tract>: Error in " name "(): out of memory"
	{ by_malloc, LINE("malloc") },
	{ by_calloc, LINE("calloc") },
	{ by_calloc_overflow, LINE("calloc") },
	{ by_realloc_new, LINE("realloc") },
	{ by_realloc, LINE("realloc") },
	{ by_reallocarray, LINE("reallocarray") },
	{ by_aligned_alloc, LINE("aligned_alloc") },
	{ by_memalign, LINE("memalign") },
	{ by_posix_memalign, LINE("posix_memalign") },
	{ by_valloc, LINE("valloc") },
	{ by_pvalloc, LINE("pvalloc") },
	{ by_mallocx, LINE("mallocx") },
	{ by_mallocx_zeroed, LINE("mallocx") },
	{ by_rallocx, LINE("rallocx") },
	{ by_new, LINE("operator new") },
	{ by_new_nothrow, LINE("operator new") },
	{ by_new_aligned_nothrow, LINE("operator new") },
};

#define COUNT (sizeof functions / sizeof functions[0])

TEST(without_the_option_out_of_memory_is_null_and_enomem)
{
	for (unsigned i = 0; i < COUNT; i++) {
		if (functions[i].run == by_new)
			continue;
		result = &tag;
		errno = 0;
		functions[i].run();
		CHECK(result == NULL);
		if (strstr(functions[i].line, "new") == NULL
		    && functions[i].run != by_posix_memalign)
			CHECK_EQ(errno, ENOMEM);
	}
}

TEST(xmalloc_names_the_function_and_aborts)
{
	opt.xmalloc = true;
	for (unsigned i = 0; i < COUNT; i++)
		test_dies(functions[i].run, functions[i].line);
	/* A bad alignment is another error. */
	CHECK(API(aligned_alloc)(48, 100) == NULL && errno == EINVAL);
	CHECK_EQ(API(posix_memalign)((void **)&(void *){ NULL }, 3, 100), EINVAL);
	opt.xmalloc = false;
}

TEST(infallible_new_names_the_size_and_aborts)
{
#define SIZE_LINE "<tract>: Allocation of size 9223372036854771711 failed"
	opt.experimental_infallible_new = true;
	test_dies(by_new, SIZE_LINE);
	test_dies(by_new_nothrow, SIZE_LINE);
	test_dies(by_new_aligned_nothrow, SIZE_LINE);
	/* C goes on. */
	CHECK(API(malloc)(TOO_MUCH) == NULL);
	opt.experimental_infallible_new = false;
}
