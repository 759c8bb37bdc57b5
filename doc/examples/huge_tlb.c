/* SPDX-License-Identifier: MIT */
/*
 * huge_tlb -- an arena on huge pages that the administrator has reserved (MAP_HUGETLB).
 *
 * A pool of them is mapped at once: such memory can be cut and given back in whole huge pages
 * only, so `alloc' hands it out from front to back, nothing is given back before the end, and
 * nothing is purged. Where the system has no huge pages in reserve, the pool is ordinary memory
 * that the kernel is asked to back with transparent ones.  In a pool of a few pages an arena
 * should not double its steps: arena.<i>.retain_grow_limit keeps them at one huge page.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <tract/tract.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define POOL (8 * HUGE_PAGE)

static char *pool;
static _Atomic(size_t) used;

/* A pool that begins with a huge page; *kind says of which sort. */
static char *
map_pool(const char **kind)
{
	char *p = mmap(NULL, POOL, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	*kind = "huge pages in reserve";
	if (p != MAP_FAILED)
		return p;
	*kind = "no huge pages in reserve; transparent ones, perhaps";
	p = mmap(NULL, POOL + HUGE_PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	p = (char *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	(void)madvise(p, POOL, MADV_HUGEPAGE);
	return p;
}

static void *
alloc_in_pool(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	size_t old = atomic_load(&used), first;

	(void)hooks, (void)arena;
	do {
		first = (((uintptr_t)pool + old + alignment - 1) & ~(alignment - 1))
		    - (uintptr_t)pool;
		if (first > POOL || size > POOL - first
		    || (new_addr != NULL && new_addr != pool + first))
			return NULL;
	} while (!atomic_compare_exchange_weak(&used, &old, first + size));
	*zero = *commit = true;
	return pool + first;
}

static bool
split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a, size_t size_b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)size_a, (void)size_b, (void)committed;
	(void)arena;
	return false;
}

static bool
merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)a, (void)size_a, (void)b, (void)size_b, (void)committed;
	(void)arena;
	return false;
}

static extent_hooks_t hooks = { .alloc = alloc_in_pool, .split = split, .merge = merge };

int
main(void)
{
	arena_config_t config = { &hooks, false };
	const char *kind;
	unsigned arena, n = 0;
	size_t length = sizeof arena, limit = HUGE_PAGE;
	char name[64];
	static char *p[POOL / 65536];

	pool = map_pool(&kind);
	if (pool == NULL)
		return 1;
	puts(kind);
	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;
	snprintf(name, sizeof name, "arena.%u.retain_grow_limit", arena);
	if (mallctl(name, NULL, NULL, &limit, sizeof limit) != 0)
		return 1;

	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	const unsigned most = sizeof p / sizeof p[0];
	while (n < most && (p[n] = mallocx(65536, flags)) != NULL) {
		memset(p[n], 1, 65536);
		n++;
	}
	printf("%u objects of 64 KiB lie in a pool of %zu MiB\n", n, POOL >> 20);
	for (unsigned i = 0; i < n; i++)
		dallocx(p[i], flags);

	/* The arena is done with the pool, and the pool goes as it came: whole. */
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	if (mallctl(name, NULL, NULL, NULL, 0) != 0 || munmap(pool, POOL) != 0
	    || n != most)
		return 1;
	puts("huge_tlb: ok");
	return 0;
}
