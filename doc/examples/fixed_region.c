/* SPDX-License-Identifier: MIT */
/*
 * fixed_region -- a heap inside 64 MiB, not a byte more.
 *
 * `alloc' hands out a region from front to back, and NULL when it is used up: then the arena's
 * requests fail, until something in it is freed.  There is no `dalloc': the arena keeps what it
 * got, and uses it again.  The arena's records lie elsewhere (metadata_use_hooks is false): the
 * 64 MiB are for objects alone.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <tract/tract.h>

#define REGION ((size_t)64 << 20)
#define SIZE 100000

static char *region;
static _Atomic(size_t) used;

static void *
alloc_in_region(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	size_t old = atomic_load(&used), first;

	(void)hooks, (void)arena;
	do {
		first = (((uintptr_t)region + old + alignment - 1) & ~(alignment - 1))
		    - (uintptr_t)region;
		if (first > REGION || size > REGION - first)
			return NULL;
		if (new_addr != NULL && new_addr != region + first)
			return NULL;
	} while (!atomic_compare_exchange_weak(&used, &old, first + size));
	/* Never handed out before, so still as the kernel made it. */
	*zero = *commit = true;
	return region + first;
}

/* Any piece may be cut, and any two that lie side by side are one. */
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

static extent_hooks_t hooks = {
	.alloc = alloc_in_region, .split = split, .merge = merge
};

static unsigned
fill(char **p, unsigned limit, int flags)
{
	unsigned n = 0;

	while (n < limit && (p[n] = mallocx(SIZE, flags)) != NULL)
		n++;
	return n;
}

int
main(void)
{
	static char *p[REGION / SIZE];
	arena_config_t config = { &hooks, false };
	unsigned arena;
	size_t length = sizeof arena;

	region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
	if (region == MAP_FAILED)
		return 1;
	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;

	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	const unsigned most = sizeof p / sizeof p[0];
	const unsigned n = fill(p, most, flags);
	printf("%u objects of %d bytes fill %u %% of the region\n", n, SIZE,
	    (unsigned)(100 * n / most));
	for (unsigned i = 0; i < n; i++) {
		if (p[i] < region || p[i] + SIZE > region + REGION)
			return 1;
		dallocx(p[i], flags);
	}
	/* All of it is there again. */
	const unsigned again = fill(p, most, flags);
	printf("%u of them after all were freed\n", again);
	if (n < most * 9 / 10 || again < n)
		return 1;
	puts("fixed_region: ok");
	return 0;
}
