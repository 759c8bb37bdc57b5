/* SPDX-License-Identifier: MIT */
/*
 * free: the hit path (free_inl.h), then everything it does not do itself.
 */
#include <errno.h>
#include <string.h>

#include "api/alloc.h"
#include "api/boot.h"
#include "api/foreign.h"
#include "api/free_inl.h"
#include "api/names.h"
#include "arena/misuse.h"
#include "base/bits.h"
#include "cache/explicit.h"
#include "config/options.h"
#include "os/pages.h"
#include "thread/count.h"

/* Frees that a thread without a tcache makes before it gets one. */
#define BARE_FREES_MAX 32

static void free_check_size(const void *p, size_t alignment, size_t size);

EXPORT HOT void
API(free)(void *p)
{
	free_inline(p);
}
LIBC_NAME(__libc_free, free);

HOT void
alloc_free(void *p)
{
	free_inline(p);
}

/* C23. The size is not needed; debug builds check it. */
EXPORT void
API(free_sized)(void *p, size_t size)
{
	if (CONFIG_DEBUG || CONFIG_OPT_SIZE_CHECKS)
		free_check_size(p, 1, size);
	free_inline(p);
}

EXPORT void
API(free_aligned_sized)(void *p, size_t alignment, size_t size)
{
	if (CONFIG_DEBUG || CONFIG_OPT_SIZE_CHECKS)
		free_check_size(p, alignment, size);
	free_inline(p);
}

EXPORT void
API(cfree)(void *p)
{
	free_inline(p);
}

/* ---- slow paths ---------------------------------------------------------------------------- */

static void
free_check_size(const void *p, size_t alignment, size_t size)
{
	const struct edata *e = p == NULL ? NULL : emap_lookup(p);

	if (e == NULL)
		return;
	const size_t usable = alloc_usable_size(p, e);
	const size_t expected = alignment <= 1 || !is_pow2(alignment)
	    ? size_usable(size)
	    : size_usable_aligned(size, alignment);
	/* An object may have been grown in place: then its size lies between. */
	if (expected > usable || (e->use != USE_LARGE && expected != usable))
		misuse_report_size(p, e, size, usable);
}

static bool
is_object(const struct edata *e, const void *p)
{
	switch (e->use) {
	case USE_SLAB: return slab_is_region(e, p);
	case USE_MIXED: return mixed_usable_size(arena_of(e), e, p) != 0;
	default: return large_object(e) == p;
	}
}

struct edata *
alloc_find(const char *what, const void *p)
{
	struct edata *e = emap_lookup(p);

	if (UNLIKELY(e == NULL)) {
		struct edata *any = emap_lookup_any(p);
		misuse_report(any != NULL ? "use of freed memory or interior pointer"
					  : what,
		    p, any);
		return NULL;
	}
	if (UNLIKELY(!is_object(e, p))) {
		misuse_report("interior pointer", p, e);
		return NULL;
	}
	return e;
}

size_t
alloc_usable_size(const void *p, const struct edata *e)
{
	switch (e->use) {
	case USE_SLAB: return slab_region_size(e);
	case USE_MIXED: return mixed_usable_size(arena_of(e), e, p);
	default: return large_usable(e);
	}
}

static NOINLINE void
free_extent(struct edata *e)
{
	struct arena *arena = arena_of(e);

	large_free(e);
	arena_tick_now_and_then(arena);
}

static void
free_large(struct tcache *tc, struct edata *e, void *p)
{
	if (UNLIKELY(large_object(e) != p)) {
		misuse_report("interior pointer", p, e);
		return;
	}
	if (UNLIKELY(e->cached)) {
		misuse_report("double free", p, e);
		return;
	}
	if (tc != NULL) {
		tcache_tick(tc);
		if (tcache_large_keep(tc, e))
			return;
	}
	free_extent(e);
}

static void
free_shared(struct edata *e, void *p)
{
	struct arena *arena = arena_of(e);

	if (UNLIKELY(bin_free(arena, e, p) == BIN_DOUBLE_FREE))
		misuse_report("double free", p, e);
	arena_tick_now_and_then(arena);
}

static void
free_mixed(struct edata *e, void *p)
{
	switch (mixed_free(arena_of(e), e, p)) {
	case MIXED_FREED: return;
	case MIXED_DOUBLE_FREE: misuse_report("double free", p, e); return;
	case MIXED_INTERIOR: misuse_report("interior pointer", p, e); return;
	}
}

/* Free a live object; tc: the thread's tcache if it may be used. */
static void
free_known(struct tcache *tc, struct edata *e, void *p)
{
	if (e->use == USE_LARGE) {
		free_large(tc, e, p);
		return;
	}
	if (e->use == USE_MIXED) {
		free_mixed(e, p);
		return;
	}
	if (UNLIKELY(!slab_is_region(e, p))) {
		misuse_report("interior pointer", p, e);
		return;
	}
	/* Acquire: pairs with the release in slab_share. */
	struct tcache *owner = load_acquire(&e->owner);
	if (owner == NULL)
		free_shared(e, p);
	else if (owner == tc && CONFIG_DEBUG && free_is_double(tc, e, p))
		return;
	else if (owner == tc)
		tcache_free_own(tc, e, p);
	else
		tcache_free_remote(tc, e, p);
}

static void
free_foreign(void *p)
{
	const int saved = errno;
	const bool is_done = foreign_free(p);

	errno = saved;
	if (is_done)
		return;
	const struct edata *any = emap_lookup_any(p);
	if (any == NULL)
		misuse_report("free of a pointer that is not from here", p, NULL);
	else if (any->state == EXTENT_ACTIVE)
		misuse_report("interior pointer", p, any);
	else
		misuse_report("double free", p, any);
}

/* Is p one of the first *left of a list of regions?  Takes those it looks at from *left. */
static bool
is_listed(const void *list, const void *p, unsigned *left)
{
	for (; list != NULL && *left != 0; list = *(void *const *)list, --*left)
		if (list == p)
			return true;
	return false;
}

bool
free_is_double(struct tcache *tc, const struct edata *e, const void *p)
{
	unsigned left = opt.debug_double_free_max_scan;

	if (LIKELY(!is_listed(e->free, p, &left)
		&& !is_listed(tc->list[e->szind], p, &left)
		&& (slab_pages_of(e, slab_index(e, p)) & e->owned_purged) == 0))
		return false;
	misuse_report("double free", p, e);
	return true;
}

/* Count and fill an object that is going, as the modes and options say. */
static void
note_free(const struct edata *e, void *p)
{
	if (is_counting(thread_self))
		count_freed(thread_self, alloc_usable_size(p, e));
	if (opt.junk == JUNK_TRUE || opt.junk == JUNK_FREE)
		memset(p, 0x5a, alloc_usable_size(p, e));
}

/*
 * A thread that only frees needs a tcache, too, for its messages; not for a few frees, which may be
 * libc's own after the last destructor, when no tcache would ever be given back.
 */
static struct thread *
thread_for_free(void)
{
	if (thread_self == NULL && boot() && ++thread_n_bare_frees == BARE_FREES_MAX) {
		struct thread *thread = thread_start();
		if (thread != NULL)
			thread_grow_up(thread);
		return thread;
	}
	return thread_self;
}

/* In a mode: count, fill, and no tcache while it is off or a hook runs. */
static NOINLINE void
free_unusual(struct edata *e, void *p)
{
	struct thread *thread = thread_for_free();
	struct tcache *tc = NULL;

	thread_ages(thread);
	if (thread != NULL && (thread->modes & (MODE_NO_TCACHE | MODE_REENTRANT)) == 0)
		tc = thread->tcache;
	note_free(e, p);
	free_known(tc, e, p);
	count_done(thread, COUNT_FREED);
}

/* errno stays as it is: the layers below keep it, hooks included. */
static NOINLINE void
free_classified(void *p, struct edata *e, struct tcache *tc)
{
	const uintptr_t word = (uintptr_t)e - RTREE_ORIGIN;

	if (UNLIKELY(word == 0 || (word & EMAP_TAG_MASK) != 0))
		free_foreign(p);
	else if (LIKELY(tc != &tcache_none))
		free_known(tc, e, p);
	else
		free_unusual(e, p);
}

/* A message under way to that very record says that it is a slab of another thread. */
NOINLINE void
free_other(void *p, struct edata *e, struct tcache *tc)
{
	struct tcache_message *m = tcache_message_of(tc, e);

	if (LIKELY(m->slab == e)) {
		unsigned left = (unsigned)min_size(opt.debug_double_free_max_scan,
		    m->count - m->left);
		if (CONFIG_DEBUG && is_listed(m->head, p, &left)) {
			misuse_report("double free", p, e);
			return;
		}
		*(void **)p = m->head;
		m->head = p;
		if (UNLIKELY(--m->left == 0))
			tcache_message_full(tc, m);
		return;
	}
	if (p != NULL)
		free_classified(p, e, tc);
}

/* Is it of a slab of the calling thread?  Then that is where it goes, past any cache or not. */
static bool
is_own(const struct edata *e)
{
	const struct thread *thread = thread_self;

	return thread != NULL && thread->tcache != NULL
	    && edata_is_owned_by(e, thread->tcache);
}

void
free_requested(void *p, const struct alloc_request *r)
{
	struct edata *e = alloc_find("free of a pointer that is not from here", p);
	const int saved = errno;

	if (e == NULL)
		return;
	if (r->tcache != NULL && e->use == USE_SLAB) {
		note_free(e, p);
		explicit_tcache_free(r->tcache, e, p);
		count_done(thread_self, COUNT_FREED);
	} else if (r->no_tcache && !is_own(e)) {
		note_free(e, p);
		free_known(NULL, e, p);
		count_done(thread_self, COUNT_FREED);
	} else {
		free_inline(p);
	}
	errno = saved;
}
