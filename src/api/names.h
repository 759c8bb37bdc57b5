/* SPDX-License-Identifier: MIT */
/*
 * names -- the public functions, as this build calls them (API puts the prefix before the name).
 */
#ifndef TRACT_API_NAMES_H
#define TRACT_API_NAMES_H

#include <assert.h>
#include <stddef.h>

#include "base/attr.h"
#include "tract_config.h"

/*
 * The other name that glibc has for one of its functions, as an alias beside the definition.  Some
 * programs call it, and in a statically linked one it would pull in glibc's own malloc beside ours.
 */
#if HAVE_GLIBC && !CONFIG_PREFIXED
#define LIBC_NAME(other, name) extern EXPORT __typeof__(name) other ALIAS_OF(name)
#else
#define LIBC_NAME(other, name) static_assert(1, #other)
#endif

EXPORT void *API(malloc)(size_t size);
EXPORT void *API(calloc)(size_t n, size_t size);
EXPORT void *API(realloc)(void *p, size_t size);
EXPORT void *API(reallocarray)(void *p, size_t n, size_t size);
EXPORT void API(free)(void *p);
EXPORT void API(free_sized)(void *p, size_t size);
EXPORT void API(free_aligned_sized)(void *p, size_t alignment, size_t size);
EXPORT void API(cfree)(void *p);
EXPORT void *API(aligned_alloc)(size_t alignment, size_t size);
EXPORT int API(posix_memalign)(void **result, size_t alignment, size_t size);
EXPORT void *API(memalign)(size_t alignment, size_t size);
EXPORT void *API(valloc)(size_t size);
EXPORT void *API(pvalloc)(size_t size);
EXPORT size_t API(malloc_usable_size)(void *p);

EXPORT void *API(mallocx)(size_t size, int flags);
EXPORT void *API(rallocx)(void *p, size_t size, int flags);
EXPORT size_t API(xallocx)(void *p, size_t size, size_t extra, int flags);
EXPORT size_t API(sallocx)(const void *p, int flags);
EXPORT void API(dallocx)(void *p, int flags);
EXPORT void API(sdallocx)(void *p, size_t size, int flags);
EXPORT size_t API(nallocx)(size_t size, int flags);

EXPORT int API(mallctl)(const char *name, void *oldp, size_t *oldlenp, void *newp,
    size_t newlen);
EXPORT int API(mallctlnametomib)(const char *name, size_t *mibp, size_t *miblenp);
EXPORT int API(mallctlbymib)(const size_t *mib, size_t miblen, void *oldp,
    size_t *oldlenp, void *newp, size_t newlen);
EXPORT void API(malloc_stats_print)(void (*write)(void *, const char *), void *opaque,
    const char *options);

extern EXPORT WEAK const char *API(malloc_conf);
extern EXPORT WEAK const char *API(malloc_conf_2_conf_harder);
extern EXPORT void (*API(malloc_message))(void *opaque, const char *text);

#endif
