/* SPDX-License-Identifier: MIT */
/*
 * extended -- mallocx and its family: size, alignment, zeroing, cache and arena in the flags.
 *
 *	flags:  | arena + 1 : 12 | tcache + 2 : 12 | 0 | zero : 1 | lg(alignment) : 6 |
 */
#include <errno.h>

#include "api/alloc.h"
#include "api/boot.h"
#include "api/names.h"
#include "arena/arena.h"
#include "arena/misuse.h"
#include "base/checked.h"
#include "cache/explicit.h"
#include "config/size_class.h"

#define FLAG_LG_ALIGN 0x3f
#define FLAG_ZERO 0x40
#define FLAG_TCACHE_SHIFT 8
#define FLAG_ARENA_SHIFT 20
#define FLAG_FIELD 0xfff

/* False: the flags name an arena or a cache that does not exist. */
static bool
decode(struct alloc_request *r, size_t size, int flags)
{
	const unsigned tcache = (unsigned)flags >> FLAG_TCACHE_SHIFT & FLAG_FIELD;
	const unsigned arena = (unsigned)flags >> FLAG_ARENA_SHIFT & FLAG_FIELD;
	const unsigned lg_align = (unsigned)flags & FLAG_LG_ALIGN;

	*r = (struct alloc_request){
		.size = size,
		.alignment = lg_align == 0 ? 0 : (size_t)1 << lg_align,
		.zero = (flags & FLAG_ZERO) != 0 ? ZERO_YES : ZERO_NO,
		.no_tcache = tcache == 1,
	};
	if (tcache >= 2 && (r->tcache = explicit_tcache_get(tcache - 2)) == NULL)
		return false;
	if (arena == 0)
		return true;
	if (!boot())
		return false;
	r->arena = arena - 1 < arenas_automatic() ? arena_automatic(arena - 1)
						  : arena_get(arena - 1);
	return r->arena != NULL;
}

EXPORT void *
API(mallocx)(size_t size, int flags)
{
	struct alloc_request r;

	if (flags == 0) {
		void *p = alloc_malloc(size);
		return LIKELY(p != NULL) ? p : alloc_failed("mallocx");
	}
	if (!decode(&r, size, flags)) {
		errno = EINVAL;
		return NULL;
	}
	void *p = alloc_requested(&r);
	return p != NULL ? p : alloc_failed("mallocx");
}

static size_t
usable_for(const struct alloc_request *r, size_t size)
{
	return r->alignment <= 1 ? size_usable(size)
				 : size_usable_aligned(size, r->alignment);
}

static bool
is_aligned_for(const struct alloc_request *r, const void *p)
{
	return r->alignment <= 1 || is_aligned((uintptr_t)p, r->alignment);
}

EXPORT void *
API(rallocx)(void *p, size_t size, int flags)
{
	struct edata *e = alloc_find("rallocx of a pointer that is not from here", p);
	struct alloc_request r;

	if (e == NULL || !decode(&r, size, flags)) {
		errno = EINVAL;
		return NULL;
	}
	const size_t old = alloc_usable_size(p, e);
	const size_t wanted = usable_for(&r, size);
	if (wanted != SIZE_TOO_LARGE && is_aligned_for(&r, p)) {
		if (wanted == old)
			return p;
		if (alloc_resize_in_place(p, e, size, 0, r.zero) == wanted)
			return p;
	}
	void *new = wanted == SIZE_TOO_LARGE ? NULL : alloc_move(p, e, &r);
	return new != NULL ? new : alloc_failed("rallocx");
}

EXPORT size_t
API(xallocx)(void *p, size_t size, size_t extra, int flags)
{
	struct edata *e = alloc_find("xallocx of a pointer that is not from here", p);

	if (e == NULL)
		return 0;
	if ((flags & FLAG_LG_ALIGN) != 0
	    && !is_aligned((uintptr_t)p, (size_t)1 << (flags & FLAG_LG_ALIGN)))
		return alloc_usable_size(p, e);
	return alloc_resize_in_place(p, e, size, extra,
	    (flags & FLAG_ZERO) != 0 ? ZERO_YES : ZERO_NO);
}

EXPORT size_t
API(sallocx)(const void *p, int flags)
{
	struct edata *e = alloc_find("sallocx of a pointer that is not from here", p);

	(void)flags;
	return e == NULL ? 0 : alloc_usable_size(p, e);
}

EXPORT void
API(dallocx)(void *p, int flags)
{
	struct alloc_request r;

	if (flags == 0 || p == NULL || !decode(&r, 0, flags))
		alloc_free(p);
	else
		free_requested(p, &r);
}

EXPORT void
API(sdallocx)(void *p, size_t size, int flags)
{
	if ((CONFIG_DEBUG || CONFIG_OPT_SIZE_CHECKS) && p != NULL) {
		struct edata *e =
		    alloc_find("sdallocx of a pointer that is not from here", p);
		if (e != NULL && size > alloc_usable_size(p, e))
			misuse_report_size(p, e, size, alloc_usable_size(p, e));
	}
	API(dallocx)(p, flags);
}

EXPORT size_t
API(nallocx)(size_t size, int flags)
{
	const unsigned lg_align = (unsigned)flags & FLAG_LG_ALIGN;

	if (!boot())
		return 0;
	const size_t usable = lg_align == 0
	    ? size_usable(size)
	    : size_usable_aligned(size, (size_t)1 << lg_align);
	return usable == SIZE_TOO_LARGE ? 0 : usable;
}
