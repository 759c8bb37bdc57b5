/* SPDX-License-Identifier: MIT */
/*
 * redis -- a hint for active defragmentation, and the malloc family with usable sizes.
 *
 * Sizes are stored where the pointer to the size is not NULL; on failure 0.
 */
#include "api/redis.h"

#include "api/names.h"
#include "ctl/defrag.h"

#if CONFIG_REDIS

/* The object's size, 0 for NULL, to where the caller wants it. */
static void *
with_usize(void *p, size_t *usize)
{
	if (usize != NULL)
		*usize = API(malloc_usable_size)(p);
	return p;
}

/* 1: moving the object to new memory helps to empty its slab. */
EXPORT int
API(get_defrag_hint)(void *p)
{
	return defrag_would_help(p);
}

EXPORT void *
API(malloc_with_usize)(size_t size, size_t *usize)
{
	return with_usize(API(malloc)(size), usize);
}

EXPORT void *
API(calloc_with_usize)(size_t n, size_t size, size_t *usize)
{
	return with_usize(API(calloc)(n, size), usize);
}

EXPORT void *
API(realloc_with_usize)(void *p, size_t size, size_t *old_usize, size_t *new_usize)
{
	with_usize(p, old_usize);
	return with_usize(API(realloc)(p, size), new_usize);
}

EXPORT void
API(free_with_usize)(void *p, size_t *usize)
{
	with_usize(p, usize);
	API(free)(p);
}

#endif
