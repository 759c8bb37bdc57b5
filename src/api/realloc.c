/* SPDX-License-Identifier: MIT */
/*
 * realloc: in place when the class stays, or when the extent can shrink or take its right
 * neighbour; else new memory, by moving page tables when the object is big.
 */
#include <errno.h>
#include <string.h>

#include "api/alloc.h"
#include "api/foreign.h"
#include "api/free_inl.h"
#include "api/names.h"
#include "arena/arena.h"
#include "arena/misuse.h"
#include "base/bits.h"
#include "base/checked.h"
#include "config/options.h"
#include "ctl/ctl.h"
#include "extent/dss.h"
#include "os/os.h"
#include "os/pages.h"
#include "page/limit.h"
#include "thread/count.h"

/* From here on a move by page tables beats a copy. */
#define MOVE_BY_PAGES_MIN ((size_t)1 << 20)

/* A resized object counts like a new and a freed one; what it grew by is new memory. */
static void
note_resize(void *p, size_t old, size_t new, enum alloc_zero zero)
{
	struct thread *thread = thread_self;

	count_allocated(thread, new);
	count_freed(thread, old);
	if (new > old)
		alloc_fill((char *)p + old, new - old, zero);
	count_done(thread, COUNT_ALLOCATED);
	count_done(thread, COUNT_FREED);
}

size_t
alloc_resize_in_place(void *p, struct edata *e, size_t size, size_t extra,
    enum alloc_zero zero)
{
	const size_t old = alloc_usable_size(p, e);
	const size_t least = size_usable(size);
	size_t most = size_usable(checked_add(size, extra));

	if (e->use != USE_LARGE || least == SIZE_TOO_LARGE)
		return old;
	if (most == SIZE_TOO_LARGE)
		most = size_usable(SC_LARGE_MAX);
	if (old >= least && old <= most)
		return old;
	if (least <= SC_OWNED_MAX)
		return old;
	if (old > most)
		(void)large_resize(e, most, false);
	else if (!large_resize(e, most, zero == ZERO_YES) && most != least)
		(void)large_resize(e, least, zero == ZERO_YES);
	const size_t new = large_usable(e);
	if (new != old)
		note_resize(p, old, new, zero);
	return new;
}

/*
 * Contents of `from' to the object `to' by page tables, where that pays: when copying would have to
 * back fresh pages while as many stay behind unused.  Where the object begins then: pages keep what
 * they hold where they hold it.  NULL: not moved.
 */
static void *
move_pages(struct edata *from, void *to, size_t bytes, size_t alignment)
{
	struct edata *target = emap_lookup(to);

	if (bytes < MOVE_BY_PAGES_MIN || from->use != USE_LARGE || from->hpa
	    || bytes != large_usable(from) || target->use != USE_LARGE
	    || !target->is_fresh || target->size < from->size
	    || target->pad < from->offset || (from->offset & (alignment - 1)) != 0
	    || !ehooks_gave_plain_memory(&arena_of(from)->ehooks)
	    || !ehooks_gave_plain_memory(&arena_of(target)->ehooks)
	    || dss_contains(edata_base(from)) || dss_contains(to))
		return NULL;
	if (!os_pages_move(edata_base(target), edata_base(from), from->size))
		return NULL;
	from->is_unbacked = true;
	target->offset = from->offset;
	return large_object(target);
}

/* What a limit refused may fit where the object is, now that all has been purged that was in the
 * way.  NULL: it does not. */
static COLD void *
resize_at_limit(void *p, struct edata *e, const struct alloc_request *request)
{
	if (limit_get(LIMIT_HARD) == 0 || request->arena != NULL
	    || !is_aligned((uintptr_t)p, max_size(request->alignment, 1)))
		return NULL;
	const size_t wanted = size_usable(request->size);
	return alloc_resize_in_place(p, e, request->size, 0, request->zero) == wanted
	    ? p
	    : NULL;
}

void *
alloc_move(void *p, struct edata *e, const struct alloc_request *request)
{
	const size_t old = alloc_usable_size(p, e);
	const size_t kept = min_size(old, request->size);

	void *new = alloc_requested(request);
	if (new == NULL)
		return resize_at_limit(p, e, request);
	void *moved = move_pages(e, new, kept, max_size(request->alignment, 1));
	if (moved == NULL)
		moved = memcpy(new, p, kept);
	free_requested(p, request);
	return moved;
}

/* Stay for less than a quarter of shrinking: the same object will often grow again. */
static inline bool
stays(size_t old, size_t size)
{
	return old - size <= old / 4;
}

static NOINLINE void *
resize_slow(void *p, size_t size)
{
	if (UNLIKELY(emap_lookup(p) == NULL && foreign_usable_size(p) != 0)) {
		void *moved = foreign_realloc(p, size);
		return moved != NULL ? moved : alloc_failed("realloc");
	}
	struct edata *e = alloc_find("realloc of a pointer that is not from here", p);
	if (UNLIKELY(e == NULL))
		return NULL;
	const size_t old = alloc_usable_size(p, e);
	const size_t wanted = size_usable(size);
	if (wanted == SIZE_TOO_LARGE)
		return alloc_failed("realloc");
	if (wanted == old || stays(old, size))
		return p;
	if (e->use == USE_LARGE && wanted > SC_OWNED_MAX
	    && alloc_resize_in_place(p, e, size, 0, ZERO_NO) == wanted)
		return p;
	void *new = alloc_move(p, e, &(struct alloc_request){ .size = size });
	return new != NULL ? new : alloc_failed("realloc");
}

/* Usable bytes of an object; 0 where p is none, but in a slab: only resize_slow looks there. */
static inline size_t
object_size(const void *p, const struct edata *e)
{
	switch (e->use) {
	case USE_SLAB: return slab_region_size(e);
	case USE_LARGE: return large_object(e) == p ? large_usable(e) : 0;
	default: return mixed_usable_size(arena_of(e), e, p);
	}
}

void *
alloc_resize(void *p, size_t size)
{
	const struct edata *e = emap_lookup(p);

	if (LIKELY(e != NULL && stays(object_size(p, e), size)))
		return p;
	return resize_slow(p, size);
}

static void *
realloc_zero(void *p)
{
	fetch_add_relaxed(&ctl_zero_reallocs, 1);
	switch (opt.zero_realloc) {
	case ZERO_REALLOC_ALLOC: return alloc_resize(p, 1);
	case ZERO_REALLOC_ABORT:
		misuse_report("realloc(p, 0) with zero_realloc:abort", p, emap_lookup(p));
		return NULL;
	default: alloc_free(p); return NULL;
	}
}

/* An own region that does not stay, to another region or a large object; NULL: no memory. */
static void *
move_own(void *p, const struct edata *e, size_t size)
{
	const size_t old = slab_region_size(e);

	if (size < old && size_usable(size) == old)
		return p;
	void *new = alloc_malloc(size);
	if (LIKELY(new != NULL)) {
		memcpy(new, p, min_size(old, size));
		alloc_free(p);
	}
	return new;
}

static NOINLINE void *
realloc_away(void *p, size_t size, const struct edata *e)
{
	if (p == NULL) {
		void *new = alloc_malloc(size);
		return LIKELY(new != NULL) ? new : alloc_failed("realloc");
	}
	if (UNLIKELY(size == 0))
		return realloc_zero(p);
	void *moved = NULL;
	/* alloc_resize reports what is none. */
	if (edata_is_owned_by(e, thread_tcache) && slab_is_region(e, p))
		moved = move_own(p, e, size);
	return LIKELY(moved != NULL) ? moved : alloc_resize(p, size);
}

/* What is not an own region stays as often. */
static NOINLINE void *
realloc_other(void *p, size_t size, const struct edata *e)
{
	/* 0 is also the size of what is no object. */
	if (LIKELY(size != 0 && emap_is_active((uintptr_t)e - RTREE_ORIGIN))
	    && stays(object_size(p, e), size))
		return p;
	return realloc_away(p, size, e);
}

/* On the hit path an own region stays; NULL is nobody's, and 0 bytes are too few to stay for. */
EXPORT HOT void *
API(realloc)(void *p, size_t size)
{
	const struct edata *e = record_inline(p);

	if (LIKELY(edata_is_owned_by(e, thread_tcache)
		&& stays(slab_region_size(e), size)))
		return p;
	return realloc_other(p, size, e);
}
LIBC_NAME(__libc_realloc, realloc);

EXPORT void *
API(reallocarray)(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return alloc_failed("reallocarray");
	return API(realloc)(p, bytes);
}

EXPORT size_t
API(malloc_usable_size)(void *p)
{
	if (p == NULL)
		return 0;
	const struct edata *e = emap_lookup(p);
	if (UNLIKELY(e == NULL))
		return foreign_usable_size(p);
	return alloc_usable_size(p, e);
}
