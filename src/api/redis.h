/* SPDX-License-Identifier: MIT */
/*
 * redis -- what Redis added to the jemalloc that it carries (--enable-redis-compat).
 */
#ifndef TRACT_API_REDIS_H
#define TRACT_API_REDIS_H

#include <stddef.h>

#include "base/attr.h"
#include "tract_config.h"

EXPORT int API(get_defrag_hint)(void *p);
EXPORT void *API(malloc_with_usize)(size_t size, size_t *usize);
EXPORT void *API(calloc_with_usize)(size_t n, size_t size, size_t *usize);
EXPORT void *API(realloc_with_usize)(void *p, size_t size, size_t *old_usize,
    size_t *new_usize);
EXPORT void API(free_with_usize)(void *p, size_t *usize);

#endif
