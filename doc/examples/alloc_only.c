/* SPDX-License-Identifier: MIT */
/*
 * alloc_only -- the smallest table of hooks: alloc, and NULL for everything else.
 *
 * NULL means "never possible".  So extents are never cut or joined, each request that finds
 * nothing free of its size is a call of `alloc', and the arena keeps all that it ever got, for
 * later requests.  That is enough for an arena that serves objects of a few sizes.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <tract/tract.h>

static unsigned n_calls; /* this program has one thread */

static void *
alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	(void)hooks, (void)arena;
	if (new_addr != NULL || alignment > 4096)
		return NULL;
	void *p =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	n_calls++;
	*zero = *commit = true;
	return p;
}

int
main(void)
{
	static extent_hooks_t hooks = { .alloc = alloc };
	arena_config_t config = { &hooks, false };
	unsigned arena, n_first = 0;
	size_t length = sizeof arena;
	void *p[1000];

	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;
	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 1000; i++)
			if ((p[i] = mallocx(i % 2 ? 200 : 5000, flags)) == NULL)
				return 1;
		for (unsigned i = 0; i < 1000; i++)
			dallocx(p[i], flags);
		if (round == 0)
			n_first = n_calls;
	}
	printf("%u calls for the first 1000 objects, %u for 100000\n", n_first, n_calls);
	if (n_calls > 2 * n_first)
		return 1;
	puts("alloc_only: ok");
	return 0;
}
