/* SPDX-License-Identifier: MIT */
#include "extent/ehooks.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "base/bits.h"
#include "config/options.h"
#include "extent/dss.h"
#include "os/os.h"
#include "os/pages.h"
#include "sync/mutex.h"

static void
nothing(void)
{
}

void (*ehooks_enter)(void) = nothing;
void (*ehooks_leave)(void) = nothing;

/* ---- the default hooks; true is failure, as for all public hooks ---- */

/* From the break, or mapped: in the order that the arena prefers. */
static void *
find_space(void *new_addr, size_t size, size_t alignment, enum dss preference,
    enum os_commit *got)
{
	const enum os_commit wanted = *got;
	void *p = NULL;

	if (preference == DSS_PRIMARY) {
		*got = OS_COMMITTED;
		if ((p = dss_alloc(new_addr, size, alignment)) != NULL)
			return p;
		*got = wanted;
	}
	p = os_pages_map(new_addr, size, alignment, got);
	if (p != NULL || preference != DSS_SECONDARY)
		return p;
	*got = OS_COMMITTED;
	return dss_alloc(new_addr, size, alignment);
}

unsigned ehooks_huge_arena = UINT_MAX;

static bool
asks_for_huge(unsigned arena_index)
{
	return opt.thp == THP_ALWAYS
	    || (UNLIKELY(arena_index == ehooks_huge_arena) && opt.thp == THP_DEFAULT);
}

bool
ehooks_ask_for_huge(struct ehooks *eh)
{
	return asks_for_huge(eh->arena_index) && ehooks_are_default(eh);
}

static void *
default_alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena_index)
{
	enum os_commit got = *commit ? OS_COMMITTED : OS_RESERVED;

	(void)hooks;
	void *p =
	    find_space(new_addr, size, alignment, dss_preference(arena_index), &got);
	if (p == NULL)
		return NULL;
	if (asks_for_huge(arena_index))
		(void)os_pages_huge(p, size);
	else if (opt.thp == THP_NEVER)
		(void)os_pages_nohuge(p, size);
	*zero = true;
	*commit = got == OS_COMMITTED;
	return p;
}

static bool
default_dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
    unsigned arena_index)
{
	(void)hooks, (void)committed, (void)arena_index;
	return opt.retain || dss_contains(addr) || !os_pages_unmap(addr, size);
}

static void
default_destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
    unsigned arena_index)
{
	(void)hooks, (void)committed, (void)arena_index;
	if (!dss_contains(addr))
		(void)os_pages_unmap(addr, size);
}

#define DEFAULT_RANGE_HOOK(name, function) \
	static bool name(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, \
	    size_t length, unsigned arena_index) \
	{ \
		(void)hooks, (void)size, (void)arena_index; \
		return !function((char *)addr + offset, length); \
	}

DEFAULT_RANGE_HOOK(default_commit, os_pages_commit)
DEFAULT_RANGE_HOOK(default_decommit, os_pages_decommit)
DEFAULT_RANGE_HOOK(default_purge_lazy, os_pages_purge_lazy)

void (*ehooks_notice)(const char *line);

/*
 * Does MADV_DONTNEED zero, as the hook promises?  Some emulators of the kernel ignore it.  The
 * first extent that is purged is the trial: its contents matter to nobody.
 */
enum zeroing { ZEROING_UNKNOWN, ZEROING_WORKS, ZEROING_FAILS };
static _Atomic(enum zeroing) zeroing; /* Relaxed: all find the same. */

static COLD void
tell_that_nothing_is_zeroed(void)
{
	if (ehooks_notice == NULL)
		return;
	ehooks_enter();
	ehooks_notice(
	    "<tract>: MADV_DONTNEED does not zero memory here: nothing is purged, "
	    "and what must be zero is written.\n");
	ehooks_notice(
	    "<tract>: QEMU's emulation of single programs is known for that.\n");
	ehooks_leave();
	if (opt.abort)
		os_abort();
}

static COLD void
try_zeroing(char *p)
{
	enum zeroing unknown = ZEROING_UNKNOWN;

	*(volatile char *)p = 1;
	if (!os_pages_purge_forced(p, os_page_size))
		return;
	if (*(volatile char *)p == 0)
		store_relaxed(&zeroing, ZEROING_WORKS);
	else if (cas_strong_relaxed(&zeroing, &unknown, ZEROING_FAILS))
		tell_that_nothing_is_zeroed();
}

static bool
purge_forced(void *addr, size_t size)
{
	/* Where it fails, what must be zero is zeroed by hand. */
	return (opt.trust_madvise || load_relaxed(&zeroing) != ZEROING_FAILS)
	    && os_pages_purge_forced(addr, size);
}

DEFAULT_RANGE_HOOK(default_purge_forced, purge_forced)

static bool
default_split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a,
    size_t size_b, bool committed, unsigned arena_index)
{
	(void)hooks, (void)addr, (void)size, (void)size_a, (void)size_b, (void)committed;
	(void)arena_index;
	return false;
}

static bool
default_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena_index)
{
	(void)hooks, (void)size_a, (void)size_b, (void)committed, (void)arena_index;
	return dss_contains(a) != dss_contains(b);
}

extent_hooks_t ehooks_default = {
	.alloc = default_alloc,
	.dalloc = default_dalloc,
	.destroy = default_destroy,
	.commit = default_commit,
	.decommit = default_decommit,
	.purge_lazy = default_purge_lazy,
	.purge_forced = default_purge_forced,
	.split = default_split,
	.merge = default_merge,
};

/* ---- calling them ---- */

void
ehooks_init(struct ehooks *eh, extent_hooks_t *hooks, unsigned arena_index)
{
	store_relaxed(&eh->were_custom, false);
	ehooks_set(eh, hooks);
	eh->arena_index = arena_index;
}

extent_hooks_t *
ehooks_get(struct ehooks *eh)
{
	return load_acquire(&eh->hooks);
}

void
ehooks_set(struct ehooks *eh, extent_hooks_t *hooks)
{
	if (hooks != &ehooks_default)
		store_relaxed(&eh->were_custom, true);
	store_release(&eh->hooks, hooks);
}

bool
ehooks_are_default(struct ehooks *eh)
{
	return ehooks_get(eh) == &ehooks_default;
}

bool
ehooks_gave_plain_memory(struct ehooks *eh)
{
	return !load_relaxed(&eh->were_custom);
}

static extent_hooks_t *
begin(struct ehooks *eh)
{
	extent_hooks_t *hooks = ehooks_get(eh);

	assert(hooks == &ehooks_default || mutex_none_held());
	if (hooks != &ehooks_default)
		ehooks_enter();
	return hooks;
}

/* errno as it was: free may have led to the hook. */
static void
end(const extent_hooks_t *hooks, int saved)
{
	if (hooks != &ehooks_default)
		ehooks_leave();
	errno = saved;
}

static bool
take_back(extent_hooks_t *hooks, struct ehooks *eh, void *addr, size_t size,
    bool committed)
{
	return hooks->dalloc != NULL
	    && !hooks->dalloc(hooks, addr, size, committed, eh->arena_index);
}

static bool
destroy(extent_hooks_t *hooks, struct ehooks *eh, void *addr, size_t size, bool committed)
{
	if (hooks->destroy != NULL)
		hooks->destroy(hooks, addr, size, committed, eh->arena_index);
	return hooks->destroy != NULL;
}

static bool
is_as_asked(const void *p, const void *new_addr, size_t alignment)
{
	return is_aligned((uintptr_t)p, max_size(alignment, os_page_size))
	    && (new_addr == NULL || p == new_addr);
}

static char *
without_flags(char *p)
{
	return p - ((uintptr_t)p & EXTENT_ALLOC_FLAG_PINNED);
}

void *
ehooks_alloc(struct ehooks *eh, void *new_addr, size_t size, size_t alignment,
    bool *zeroed, bool *committed)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	void *p = hooks->alloc == NULL ? NULL
				       : hooks->alloc(hooks, new_addr, size, alignment,
					   zeroed, committed, eh->arena_index);

	char *addr = without_flags(p);
	if (p != NULL
	    && (!is_as_asked(addr, new_addr, alignment) || (addr != p && !*committed))) {
		if (!take_back(hooks, eh, addr, size, *committed))
			(void)destroy(hooks, eh, addr, size, *committed);
		p = NULL;
	}
	end(hooks, saved);
	return p;
}

bool
ehooks_dalloc(struct ehooks *eh, void *addr, size_t size, bool committed)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = take_back(hooks, eh, addr, size, committed);

	end(hooks, saved);
	return done;
}

bool
ehooks_destroy(struct ehooks *eh, void *addr, size_t size, bool committed)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = destroy(hooks, eh, addr, size, committed)
	    || take_back(hooks, eh, addr, size, committed);

	end(hooks, saved);
	return done;
}

bool
ehooks_discard(struct ehooks *eh, void *addr, size_t size, bool committed)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = take_back(hooks, eh, addr, size, committed)
	    || destroy(hooks, eh, addr, size, committed);

	end(hooks, saved);
	return done;
}

bool
ehooks_commit(struct ehooks *eh, void *addr, size_t size, size_t offset, size_t length)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = hooks->commit != NULL
	    && !hooks->commit(hooks, addr, size, offset, length, eh->arena_index);

	end(hooks, saved);
	return done;
}

bool
ehooks_decommit(struct ehooks *eh, void *addr, size_t size, size_t offset, size_t length)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = hooks->decommit != NULL
	    && !hooks->decommit(hooks, addr, size, offset, length, eh->arena_index);

	end(hooks, saved);
	return done;
}

bool
ehooks_purge_lazy(struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = hooks->purge_lazy != NULL
	    && !hooks->purge_lazy(hooks, addr, size, offset, length, eh->arena_index);

	end(hooks, saved);
	return done;
}

static bool
purge_by(extent_hooks_t *hooks, struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length)
{
	if (UNLIKELY(load_relaxed(&zeroing) == ZEROING_UNKNOWN) && !opt.trust_madvise
	    && ehooks_purge_zeroes(eh))
		try_zeroing((char *)addr + offset);
	return hooks->purge_forced != NULL
	    && !hooks->purge_forced(hooks, addr, size, offset, length, eh->arena_index);
}

bool
ehooks_purge_forced(struct ehooks *eh, void *addr, size_t size, size_t offset,
    size_t length)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = purge_by(hooks, eh, addr, size, offset, length);

	end(hooks, saved);
	return done;
}

/* Whoever sets hooks meanwhile: they are not asked. */
bool
ehooks_purge_part(struct ehooks *eh, void *addr, size_t length)
{
	const int saved = errno;
	const bool done = ehooks_are_default(eh)
	    && purge_by(&ehooks_default, eh, addr, length, 0, length);

	errno = saved;
	return done;
}

bool
ehooks_split(struct ehooks *eh, void *addr, size_t size, size_t size_a, bool committed)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = hooks->split != NULL
	    && !hooks->split(hooks, addr, size, size_a, size - size_a, committed,
		eh->arena_index);

	end(hooks, saved);
	return done;
}

bool
ehooks_merge(struct ehooks *eh, void *a, size_t size_a, void *b, size_t size_b,
    bool committed)
{
	const int saved = errno;
	extent_hooks_t *hooks = begin(eh);
	const bool done = hooks->merge != NULL
	    && !hooks->merge(hooks, a, size_a, b, size_b, committed, eh->arena_index);

	end(hooks, saved);
	return done;
}

unsigned
ehooks_purge_many(struct ehooks *eh, const struct iovec *extents, unsigned n)
{
	const bool is_trusted =
	    opt.trust_madvise || load_relaxed(&zeroing) == ZEROING_WORKS;

	return is_trusted && ehooks_purge_zeroes(eh) && ehooks_are_default(eh)
	    ? os_pages_purge_many(extents, n)
	    : 0;
}

bool
ehooks_purge_zeroes(struct ehooks *eh)
{
	return ehooks_gave_plain_memory(eh);
}
