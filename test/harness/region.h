/* SPDX-License-Identifier: MIT */
/*
 * region -- extent hooks over a private range of pages, which see to it that a PAC keeps the rules,
 * and which fail when told to.
 *
 * Every page has a state and the number of the mapping that it came with.  Each hook checks that
 * the range is what it may be called on, that no lock of tract is held, and that sizes fit.  Memory
 * that is not said to be zero is garbage; memory that is not committed cannot be touched.
 */
#ifndef TEST_HARNESS_REGION_H
#define TEST_HARNESS_REGION_H

#include <pthread.h>
#include <sys/mman.h>

#include "extent/ecache.h"
#include "harness/test.h"
#include "os/pages.h"
#include "page/limit.h"
#include "page/pac.h"

#define REGION_BYTES ((size_t)512 << 20)
#define REGION_GARBAGE 0xd7

enum region_page { REGION_FREE, REGION_COMMITTED, REGION_RESERVED };
enum region_hook {
	HOOK_ALLOC,
	HOOK_DALLOC,
	HOOK_COMMIT,
	HOOK_DECOMMIT,
	HOOK_LAZY,
	HOOK_FORCED,
	HOOK_SPLIT,
	HOOK_MERGE,
	HOOK_DESTROY, /* cannot fail */
	HOOK_COUNT
};

enum region_failure { REGION_FAIL_ONCE, REGION_FAIL_FROM_THEN_ON };
/* What the alloc hook answers wrongly. */
enum region_lie {
	REGION_HONEST,
	REGION_ODD,    /* aligned to the page, never to more */
	REGION_CROOKED /* not even that, every other time */
};

static struct region {
	extent_hooks_t hooks;
	pthread_mutex_t lock;
	char *first;
	size_t n_pages, n_used; /* n_used: one past the last page ever handed out */
	uint8_t *pages;         /* enum region_page */
	uint32_t *mappings;     /* number of the alloc call */
	bool *is_pinned;
	uint32_t n_mappings;
	uint64_t seed;
	unsigned n_calls[HOOK_COUNT];
	unsigned percent[HOOK_COUNT]; /* how often each hook fails */
	unsigned n_all_calls,
	    fail_at; /* the fail_at-th call of any hook fails; 0: none */
	/* The k-th call of each hook fails, once or from then on; 0: none. */
	unsigned fail_hook_at[HOOK_COUNT];
	enum region_failure fail_how;
	enum region_lie lie;
	bool zero_lie; /* say that garbage is zero */
	unsigned percent_pinned;
	bool takes_pinned; /* dalloc may be asked for it: the arena is being destroyed */
	bool may_reserve;  /* hand out memory that is not committed, when allowed */
	void (*inside)(void); /* called in every hook */
} region;

static void
region_enter(extent_hooks_t *hooks)
{
	CHECK(hooks == &region.hooks);
	/* A hook may allocate: it must find every lock free. */
	CHECK(mutex_none_held());
	if (region.inside != NULL)
		region.inside();
	pthread_mutex_lock(&region.lock);
}

static bool
region_leave(bool failed)
{
	pthread_mutex_unlock(&region.lock);
	return failed;
}

static bool
region_fails(enum region_hook hook)
{
	const unsigned at = region.fail_hook_at[hook];
	const unsigned nth = ++region.n_calls[hook];

	return ++region.n_all_calls == region.fail_at || (at != 0 && nth == at)
	    || (at != 0 && nth > at && region.fail_how == REGION_FAIL_FROM_THEN_ON)
	    || test_random_below(&region.seed, 100) < region.percent[hook];
}

/* Check that all of a range is in a state, and give it another. */
static void
region_turn(void *addr, size_t size, enum region_page from, enum region_page to)
{
	const size_t first = (size_t)((char *)addr - region.first) / os_page_size;

	REQUIRE((char *)addr >= region.first && size != 0 && size % os_page_size == 0);
	REQUIRE(first + size / os_page_size <= region.n_pages);
	for (size_t i = first; i < first + size / os_page_size; i++) {
		REQUIRE(region.pages[i] == from);
		region.pages[i] = (uint8_t)to;
	}
}

/* What is taken away keeps its contents, and costs no page fault when it is handed out again. */
static void
region_access(void *addr, size_t size, bool allowed)
{
	REQUIRE(mprotect(addr, size, allowed ? PROT_READ | PROT_WRITE : PROT_NONE) == 0);
}

/* Beyond what was ever handed out it is zero anyway. */
static void
region_zero(char *addr, size_t size)
{
	char *const used_end = region.first + region.n_used * os_page_size;

	if (addr < used_end)
		memset(addr, 0,
		    addr + size < used_end ? size : (size_t)(used_end - addr));
}

static bool
region_suits(size_t page, size_t alignment)
{
	const uintptr_t number = (uintptr_t)region.first / os_page_size + page;

	if (region.lie == REGION_ODD)
		return number % 2 != 0;
	return number % (alignment / os_page_size) == 0;
}

static bool
region_has_pinned(const void *addr, size_t size)
{
	const size_t first = (size_t)((const char *)addr - region.first) / os_page_size;

	for (size_t i = first; i < first + size / os_page_size; i++)
		if (region.is_pinned[i])
			return true;
	return false;
}

/* First fit, so that ranges given back are soon handed out again. */
static char *
region_find(size_t size, size_t alignment)
{
	const size_t n = size / os_page_size;
	size_t run = 0;

	for (size_t i = 0; i < region.n_pages; i++) {
		if (region.pages[i] != REGION_FREE
		    || (run == 0 && !region_suits(i, alignment))) {
			run = 0;
			continue;
		}
		if (++run == n)
			return region.first + (i + 1 - n) * os_page_size;
	}
	return NULL;
}

static void *
region_alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	char *p = new_addr != NULL || region_fails(HOOK_ALLOC)
	    ? NULL
	    : region_find(size, alignment);
	if (p != NULL) {
		if (!*commit || !region.may_reserve)
			*commit = !region.may_reserve
			    || test_random_below(&region.seed, 2) != 0;
		region_turn(p, size, REGION_FREE,
		    *commit ? REGION_COMMITTED : REGION_RESERVED);
		region_access(p, size, *commit);
		region.n_mappings++;
		const bool pinned = *commit
		    && test_random_below(&region.seed, 100) < region.percent_pinned;
		for (size_t i = 0; i < size / os_page_size; i++) {
			const size_t page = (size_t)(p - region.first) / os_page_size + i;
			region.mappings[page] = region.n_mappings;
			region.is_pinned[page] = pinned;
		}
		if (*commit
		    && (region.zero_lie
			|| (!*zero && test_random_below(&region.seed, 2) == 0)))
			memset(p, REGION_GARBAGE, size);
		else if (*commit) {
			region_zero(p, size);
			*zero = true;
		}
		const size_t end = (size_t)(p - region.first + size) / os_page_size;
		region.n_used = end > region.n_used ? end : region.n_used;
		*zero = *zero || region.zero_lie;
		if (region.lie == REGION_CROOKED && region.n_calls[HOOK_ALLOC] % 2 != 0)
			p += 64;
		if (pinned)
			p += EXTENT_ALLOC_FLAG_PINNED;
	}
	(void)region_leave(false);
	return p;
}

static void
region_free(void *addr, size_t size, bool committed)
{
	if (region.lie == REGION_CROOKED)
		addr = (void *)((uintptr_t)addr & ~(uintptr_t)(os_page_size - 1));
	region_turn(addr, size, committed ? REGION_COMMITTED : REGION_RESERVED,
	    REGION_FREE);
	region_access(addr, size, false);
}

static bool
region_dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
    unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	CHECK(region.takes_pinned || !region_has_pinned(addr, size));
	if (region_fails(HOOK_DALLOC))
		return region_leave(true);
	region_free(addr, size, committed);
	return region_leave(false);
}

static void
region_destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
    unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	(void)region_fails(HOOK_DESTROY);
	region_free(addr, size, committed);
	(void)region_leave(false);
}

static bool
region_commit(extent_hooks_t *hooks, void *addr, size_t size, size_t offset,
    size_t length, unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	CHECK(offset + length <= size);
	if (region_fails(HOOK_COMMIT))
		return region_leave(true);
	region_turn((char *)addr + offset, length, REGION_RESERVED, REGION_COMMITTED);
	region_access((char *)addr + offset, length, true);
	memset((char *)addr + offset, REGION_GARBAGE, length);
	return region_leave(false);
}

static bool
region_decommit(extent_hooks_t *hooks, void *addr, size_t size, size_t offset,
    size_t length, unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	CHECK(offset + length <= size);
	CHECK(!region_has_pinned((char *)addr + offset, length));
	if (!region.may_reserve || region_fails(HOOK_DECOMMIT))
		return region_leave(true);
	region_turn((char *)addr + offset, length, REGION_COMMITTED, REGION_RESERVED);
	region_access((char *)addr + offset, length, false);
	return region_leave(false);
}

static bool
region_lazy(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, size_t length,
    unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	CHECK(offset + length <= size);
	CHECK(!region_has_pinned((char *)addr + offset, length));
	if (region_fails(HOOK_LAZY))
		return region_leave(true);
	region_turn((char *)addr + offset, length, REGION_COMMITTED, REGION_COMMITTED);
	memset((char *)addr + offset, REGION_GARBAGE, length);
	return region_leave(false);
}

static bool
region_forced(extent_hooks_t *hooks, void *addr, size_t size, size_t offset,
    size_t length, unsigned arena)
{
	(void)arena;
	region_enter(hooks);
	CHECK(offset + length <= size);
	CHECK(!region_has_pinned((char *)addr + offset, length));
	if (region_fails(HOOK_FORCED))
		return region_leave(true);
	region_turn((char *)addr + offset, length, REGION_COMMITTED, REGION_COMMITTED);
	/* With hooks of a user nobody may rely on zeroes. */
	memset((char *)addr + offset, REGION_GARBAGE, length);
	return region_leave(false);
}

/* All of it came with one alloc call. */
static bool
region_is_one_mapping(const void *addr, size_t size)
{
	const size_t first = (size_t)((const char *)addr - region.first) / os_page_size;

	for (size_t i = first; i < first + size / os_page_size; i++)
		if (region.mappings[i] != region.mappings[first])
			return false;
	return true;
}

static bool
region_split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a, size_t size_b,
    bool committed, unsigned arena)
{
	const enum region_page state = committed ? REGION_COMMITTED : REGION_RESERVED;

	(void)arena;
	region_enter(hooks);
	CHECK(size_a != 0 && size_b != 0 && size_a + size_b == size);
	region_turn(addr, size, state, state);
	return region_leave(region_fails(HOOK_SPLIT));
}

static bool
region_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena)
{
	const enum region_page state = committed ? REGION_COMMITTED : REGION_RESERVED;

	(void)arena;
	region_enter(hooks);
	CHECK((char *)a + size_a == (char *)b);
	CHECK(region_is_one_mapping(a, size_a + size_b));
	region_turn(a, size_a + size_b, state, state);
	return region_leave(region_fails(HOOK_MERGE));
}

static TEST_UNUSED void
region_reset(uint64_t seed)
{
	if (region.first == NULL) {
		region.n_pages = REGION_BYTES / os_page_size;
		/* The allocator's page may be larger than the kernel's. */
		char *room = mmap(NULL, REGION_BYTES + os_page_size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		REQUIRE(room != MAP_FAILED);
		region.first = (char *)align_up((uintptr_t)room, os_page_size);
		region.pages = calloc(region.n_pages, sizeof *region.pages);
		region.mappings = calloc(region.n_pages, sizeof *region.mappings);
		region.is_pinned = calloc(region.n_pages, sizeof *region.is_pinned);
		pthread_mutex_init(&region.lock, NULL);
	}
	memset(region.pages, 0, region.n_pages);
	memset(region.n_calls, 0, sizeof region.n_calls);
	memset(region.percent, 0, sizeof region.percent);
	memset(region.fail_hook_at, 0, sizeof region.fail_hook_at);
	region.n_all_calls = region.fail_at = 0;
	region.lie = REGION_HONEST;
	region.may_reserve = region.zero_lie = region.takes_pinned = false;
	region.percent_pinned = 0;
	region.inside = NULL;
	region.seed = seed;
	region.hooks = (extent_hooks_t){ region_alloc, region_dalloc, region_destroy,
		region_commit, region_decommit, region_lazy, region_forced, region_split,
		region_merge };
}

static TEST_UNUSED bool
region_has(const void *p)
{
	return (const char *)p >= region.first
	    && (const char *)p < region.first + REGION_BYTES;
}

static TEST_UNUSED size_t
region_pages_out(void)
{
	size_t n = 0;

	for (size_t i = 0; i < region.n_pages; i++)
		n += region.pages[i] != REGION_FREE;
	return n;
}

/* ---- a PAC of its own ------------------------------------------------------------------------ */

struct pac_fixture {
	struct base *base;
	struct ehooks ehooks;
	struct edata_pool pool;
	struct pac_backlogs backlogs;
	struct pac pac;
};

#define FIXTURE_ARENA 4000 /* no arena has this index */

static TEST_UNUSED struct pac *
fixture_open(struct pac_fixture *f, extent_hooks_t *hooks)
{
	memset(f, 0, sizeof *f);
	f->base = base_new(base_map_system, base_unmap_system, NULL);
	REQUIRE(f->base != NULL);
	ehooks_init(&f->ehooks, hooks, FIXTURE_ARENA);
	edata_pool_init(&f->pool, f->base);
	REQUIRE(pac_init(&f->pac, &f->backlogs, FIXTURE_ARENA, &f->ehooks, &f->pool));
	/* No purging but when a test says so. */
	REQUIRE(pac_set_decay_ms(&f->pac, DECAY_DIRTY, -1, true));
	REQUIRE(pac_set_decay_ms(&f->pac, DECAY_MUZZY, -1, true));
	return &f->pac;
}

/* Nothing may be active.  All records are free afterwards; the base stays: they are for ever. */
static TEST_UNUSED void
fixture_close(struct pac_fixture *f)
{
	pac_check(&f->pac);
	CHECK_EQ(load_relaxed(&f->pac.stats.active_pages), 0);
	region.takes_pinned = true;
	pac_destroy(&f->pac, NULL);
	/* Each byte that was charged has been discharged. */
	CHECK_EQ(limit_used(), 0);
	CHECK_EQ(f->pool.n_free, load_relaxed(&f->pool.n_all));
}

static TEST_UNUSED struct edata *
fixture_alloc(struct pac *pac, size_t pages, size_t alignment, bool zero)
{
	const struct page_request request = { .size = pages * os_page_size,
		.alignment = alignment,
		.use = USE_LARGE,
		.zero = zero };
	bool deferred = false;

	return pac->pai.alloc(&pac->pai, &request, &deferred);
}

static TEST_UNUSED void
fixture_dalloc(struct pac *pac, struct edata *e)
{
	bool deferred = false;

	pac->pai.dalloc(&pac->pai, e, &deferred);
}

#endif
