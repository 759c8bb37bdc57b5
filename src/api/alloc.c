/* SPDX-License-Identifier: MIT */
/*
 * malloc and calloc: the hit path (alloc_inl.h), then everything it does not do itself.
 */
#include "api/alloc.h"

#include <errno.h>
#include <string.h>

#include "api/alloc_inl.h"
#include "api/boot.h"
#include "api/names.h"
#include "arena/misuse.h"
#include "base/bits.h"
#include "base/checked.h"
#include "base/fmt.h"
#include "cache/explicit.h"
#include "config/options.h"
#include "ctl/relief.h"
#include "os/os.h"
#include "os/pages.h"
#include "page/limit.h"
#include "thread/count.h"

uint8_t medium_lookup[SC_OWNED_MAX / MEDIUM_STEP + 1] EARLY;

EXPORT HOT void *
API(malloc)(size_t size)
{
	return alloc_inline(size, malloc_refill, malloc_large);
}
LIBC_NAME(__libc_malloc, malloc);

HOT void *
alloc_malloc(size_t size)
{
	return alloc_inline(size, alloc_refill, alloc_large);
}

/* What calloc's hit path does not do itself: no region at hand, another size. */
static NOINLINE void *
calloc_other(size_t bytes)
{
	if (bytes > SC_OWNED_MAX) {
		void *p = alloc_aligned(1, bytes, ZERO_YES);
		return LIKELY(p != NULL) ? p : alloc_failed("calloc");
	}
	void *p = alloc_inline(bytes, alloc_refill, alloc_large);
	return LIKELY(p != NULL) ? memset(p, 0, bytes) : alloc_failed("calloc");
}

EXPORT HOT void *
API(calloc)(size_t n, size_t size)
{
	size_t bytes;

	if (UNLIKELY(__builtin_mul_overflow(n, size, &bytes)))
		return alloc_failed("calloc");
	if (UNLIKELY(bytes > SC_LOOKUP_MAX))
		return calloc_other(bytes);
	struct tcache *tc = thread_tcache;
	void *p = tcache_pop(tc, tc->lookup[(bytes + 7) >> 3]);
	return LIKELY(p != NULL) ? memset(p, 0, bytes) : calloc_other(bytes);
}
LIBC_NAME(__libc_calloc, calloc);

/* ---- slow paths ---------------------------------------------------------------------------- */

void
alloc_boot(void)
{
	for (unsigned i = 0; i < COUNT_OF(medium_lookup); i++)
		medium_lookup[i] = (uint8_t)size_class_of(i * MEDIUM_STEP);
}

static unsigned
class_of_request(size_t size)
{
	return size <= SC_LOOKUP_MAX ? size_class_lookup[(size + 7) >> 3]
				     : medium_class(size);
}

/* From shared slabs, one region. */
static void *
alloc_shared(struct arena *arena, unsigned szind)
{
	void *p = NULL;

	arena_tick_now_and_then(arena);
	return bin_fill(arena, szind, 1, &p) == 1 ? p : NULL;
}

static struct arena *
oversize_arena(struct arena *arena, size_t size)
{
	return pac_is_oversize(&arena->pac, size) && !arena->is_manual
		&& thread_n_hooks == 0
	    ? arenas_oversize(arena)
	    : arena;
}

static ALWAYS_INLINE void *
alloc_extent(struct arena *arena, struct tcache *tc, size_t size, size_t alignment,
    enum alloc_zero zero)
{
	if (tc != NULL)
		tcache_tick(tc);
	if (large_is_guarded(alignment)) {
		void *p = large_alloc_guarded(arena, size, zero == ZERO_YES);
		if (p != NULL)
			return p;
	} else if (tc != NULL && alignment <= os_page_size) {
		struct edata *e =
		    tcache_large_take(tc, large_extent_size(size, alignment));
		if (e != NULL) {
			/* Relaxed: a counter. */
			fetch_add_relaxed(
			    &arena->large_stats[e->szind - SC_NBINS].n_reused, 1);
			void *p = large_place(e, size, alignment);
			return zero == ZERO_YES ? memset(p, 0, size) : p;
		}
	}
	void *p = large_alloc(arena, size, alignment, zero == ZERO_YES);
	if (p == NULL && tc != NULL) {
		tcache_flush(tc);
		p = large_alloc(arena, size, alignment, zero == ZERO_YES);
	}
	return p;
}

/* A region of the class through a tcache; tc may be NULL. */
static void *
alloc_region(struct arena *arena, struct tcache *tc, unsigned szind)
{
	if (large_is_apart(szind))
		return alloc_extent(arena, tc, size_class_size(szind), 1, ZERO_NO);
	if (tc == NULL)
		return alloc_shared(arena, szind);
	void *p = tc->list[szind];
	if (p == NULL)
		return tcache_refill(tc, szind);
	tc->list[szind] = *(void **)p;
	return p;
}

static void *
alloc_sized(const struct alloc_request *r, struct arena *arena, struct tcache *tc,
    size_t usable)
{
	if (usable > SC_OWNED_MAX || r->alignment > os_page_size) {
		const size_t size = checked_align_up(usable, os_page_size);
		/* Who names an arena means it. */
		if (r->arena == NULL)
			arena = oversize_arena(arena, size);
		return alloc_extent(arena, tc, size, max_size(r->alignment, 1), r->zero);
	}
	void *p = alloc_region(arena, tc, class_of_request(usable));
	return p != NULL && r->zero == ZERO_YES ? memset(p, 0, usable) : p;
}

static void *
alloc_explicit(const struct alloc_request *r, struct arena *arena, size_t usable)
{
	const unsigned szind = class_of_request(usable);
	void *p = large_is_apart(szind) ? alloc_region(arena, NULL, szind)
					: explicit_tcache_alloc(r->tcache, arena, szind);

	return p != NULL && r->zero == ZERO_YES ? memset(p, 0, usable) : p;
}

void
alloc_fill(void *p, size_t bytes, enum alloc_zero zero)
{
	if (opt.zero)
		memset(p, 0, bytes);
	else if (zero == ZERO_NO && (opt.junk == JUNK_TRUE || opt.junk == JUNK_ALLOC))
		memset(p, 0xa5, bytes);
}

static struct tcache *
tcache_for(const struct alloc_request *r, const struct thread *thread)
{
	return thread == NULL || r->no_tcache || r->arena != NULL
		|| (thread->modes & (MODE_NO_TCACHE | MODE_REENTRANT)) != 0
	    ? NULL
	    : thread->tcache;
}

/* Whose memory, and through which cache. */
static void *
alloc_found(const struct alloc_request *r, struct thread *thread, size_t usable,
    size_t alignment)
{
	struct tcache *tc = tcache_for(r, thread);

	if (tc == NULL && thread != NULL)
		thread_visits_arena(thread);
	struct arena *arena = r->arena != NULL ? r->arena
	    : thread_n_hooks != 0              ? arenas_inside_hooks()
	    : thread != NULL                   ? thread->arena
					       : arena_get(0);
	if (UNLIKELY(arena == NULL))
		return NULL;
	return r->tcache != NULL && usable <= SC_OWNED_MAX && alignment <= os_page_size
	    ? alloc_explicit(r, arena, usable)
	    : alloc_sized(r, arena, tc, usable);
}

/* The hard limit was in the way: with what tract can do without, then with what the program can. */
static COLD void *
alloc_at_limit(const struct alloc_request *r, struct thread *thread, size_t usable,
    size_t alignment)
{
	void *p = NULL;

	if (relief_purge())
		p = alloc_found(r, thread, usable, alignment);
	if (p == NULL && relief_ask(usable))
		p = alloc_found(r, thread, usable, alignment);
	if (p == NULL)
		relief_failed();
	return p;
}

/*
 * The whole rule: from there, counted and filled or not.
 */
void *
alloc_requested(const struct alloc_request *r)
{
	/* First: sizes depend on the page and the options. */
	if (!boot())
		return NULL;
	const size_t alignment = r->alignment == 0 ? 1 : r->alignment;
	const size_t usable = alignment == 1 ? size_usable(r->size)
					     : size_usable_aligned(r->size, alignment);
	if (usable == SIZE_TOO_LARGE)
		return NULL;
	struct thread *thread = thread_start();
	const uint64_t refused = limit_refusals();
	thread_ages(thread);
	void *p = alloc_found(r, thread, usable, alignment);
	if (UNLIKELY(p == NULL) && limit_refusals() != refused)
		p = alloc_at_limit(r, thread, usable, alignment);
	if (p == NULL)
		return NULL;
	count_allocated(thread, usable);
	/* Without a record, too: before the thread has one, and when it has ended. */
	if (thread == NULL || (thread->modes & MODE_FILLING) != 0)
		alloc_fill(p, usable, r->zero);
	count_done(thread, COUNT_ALLOCATED);
	return p;
}

COLD void *
alloc_failed(const char *function)
{
	char line[128];
	struct fmt f;

	errno = ENOMEM;
	if (!opt.xmalloc)
		return NULL;
	fmt_init(&f, line, sizeof line);
	fmt_print(&f, "<tract>: Error in %s(): out of memory\n", function);
	boot_message(line);
	os_abort();
}

/* The thread has no tcache, or is in a mode, or memory lacks. */
static COLD void *
alloc_unusual(size_t size)
{
	return alloc_requested(&(struct alloc_request){ .size = size });
}

static COLD void *
malloc_unusual(size_t size)
{
	void *p = alloc_unusual(size);
	return p != NULL ? p : alloc_failed("malloc");
}

/* An object of a class of which some are to be guarded. */
static NOINLINE void *
alloc_apart(struct tcache *tc, size_t szind)
{
	return alloc_extent(tc->arena, tc, size_class_size((unsigned)szind), 1, ZERO_NO);
}

static ALWAYS_INLINE void *
refill_slow(size_t size, struct tcache *tc, size_t szind, void *(*unusual)(size_t))
{
	/* First: its classes lie on a page that nobody else touches. */
	if (UNLIKELY(tc == &tcache_none))
		return unusual(size);
	tcache_notice();
	void *p = large_is_apart((unsigned)szind) ? alloc_apart(tc, szind)
						  : tcache_refill(tc, (unsigned)szind);
	return LIKELY(p != NULL) ? p : unusual(size);
}

static NOINLINE void *
malloc_refill_slow(size_t size, struct tcache *tc, size_t szind)
{
	return refill_slow(size, tc, szind, malloc_unusual);
}

static NOINLINE void *
alloc_refill_slow(size_t size, struct tcache *tc, size_t szind)
{
	return refill_slow(size, tc, szind, alloc_unusual);
}

/* Most often the current slab has a free list by now; then there is nothing to call. */
static ALWAYS_INLINE void *
refill(size_t size, struct tcache *tc, size_t szind, slow_refill *slow)
{
	struct edata *e = tc->current[szind];

	if (LIKELY(e != NULL && e->free != NULL && !tcache_is_noticed()))
		return tcache_take_free(tc, szind, e);
	return slow(size, tc, szind);
}

NOINLINE void *
malloc_refill(size_t size, struct tcache *tc, size_t szind)
{
	return refill(size, tc, szind, malloc_refill_slow);
}

NOINLINE void *
alloc_refill(size_t size, struct tcache *tc, size_t szind)
{
	return refill(size, tc, szind, alloc_refill_slow);
}

static ALWAYS_INLINE void *
large(size_t size, struct tcache *tc)
{
	const size_t usable = size_usable(size);

	if (UNLIKELY(tc == &tcache_none || usable == SIZE_TOO_LARGE))
		return alloc_unusual(size);
	void *p = alloc_extent(oversize_arena(tc->arena, usable), tc, usable, 1, ZERO_NO);
	return LIKELY(p != NULL) ? p : alloc_unusual(size);
}

NOINLINE void *
alloc_large(size_t size, struct tcache *tc)
{
	return large(size, tc);
}

NOINLINE void *
malloc_large(size_t size, struct tcache *tc)
{
	void *p = large(size, tc);
	return LIKELY(p != NULL) ? p : alloc_failed("malloc");
}

void *
alloc_aligned(size_t alignment, size_t size, enum alloc_zero zero)
{
	return alloc_requested(&(struct alloc_request){
	    .size = size, .alignment = alignment, .zero = zero });
}
