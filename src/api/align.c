/* SPDX-License-Identifier: MIT */
/*
 * align -- the functions that take an alignment, each with the error contract of its own manual.
 */
#include <errno.h>

#include "api/alloc.h"
#include "api/boot.h"
#include "api/names.h"
#include "base/bits.h"
#include "base/checked.h"
#include "os/pages.h"

/* The first call of all may be one of these: the page is known from boot on. */
static size_t
page_size(void)
{
	(void)boot();
	return os_page_size;
}

static void *
aligned_by_name(const char *function, size_t alignment, size_t size)
{
	void *p = alloc_aligned(alignment, size, ZERO_NO);
	return p != NULL ? p : alloc_failed(function);
}

static void *
refuse_alignment(void)
{
	errno = EINVAL;
	return NULL;
}

/* C11, and glibc 2.38: alignment a power of two; any size. */
EXPORT void *
API(aligned_alloc)(size_t alignment, size_t size)
{
	return is_pow2(alignment) ? aligned_by_name("aligned_alloc", alignment, size)
				  : refuse_alignment();
}

/* POSIX: the error is the result; *result and errno are untouched on failure. */
EXPORT int
API(posix_memalign)(void **result, size_t alignment, size_t size)
{
	const int saved = errno;

	if (!is_pow2(alignment) || alignment < sizeof(void *))
		return EINVAL;
	void *p = aligned_by_name("posix_memalign", alignment, size);
	errno = saved;
	if (p == NULL)
		return ENOMEM;
	*result = p;
	return 0;
}
LIBC_NAME(__posix_memalign, posix_memalign);

EXPORT void *
API(memalign)(size_t alignment, size_t size)
{
	return is_pow2(alignment) ? aligned_by_name("memalign", alignment, size)
				  : refuse_alignment();
}
LIBC_NAME(__libc_memalign, memalign);

EXPORT void *
API(valloc)(size_t size)
{
	return aligned_by_name("valloc", page_size(), size);
}
LIBC_NAME(__libc_valloc, valloc);

EXPORT void *
API(pvalloc)(size_t size)
{
	const size_t page = page_size();
	/* Too large stays too large, and fails below. */
	const size_t rounded = checked_align_up(size == 0 ? 1 : size, page);

	return aligned_by_name("pvalloc", page, rounded);
}
LIBC_NAME(__libc_pvalloc, pvalloc);
