/* SPDX-License-Identifier: MIT */
/*
 * odd_pieces -- memory in pieces that begin anywhere: at an odd page, with a gap before the next.
 *
 * All that the allocator insists on is the page.  `alloc' here never delivers more alignment than
 * that, whatever is asked for; what is misaligned comes straight back (to `dalloc', or else
 * `destroy'), and the allocator asks for more and cuts the aligned part out itself.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <tract/tract.h>

#define REGION ((size_t)256 << 20)
#define PAGE ((size_t)4096)

static char *region;
static _Atomic(size_t) used;
static _Atomic(unsigned) n_back;

static void *
alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	size_t old = atomic_load(&used), first;

	(void)hooks, (void)alignment, (void)arena;
	if (new_addr != NULL)
		return NULL;
	do {
		/* The next page with an odd number, at least one behind the last piece. */
		first = old + PAGE;
		if (((uintptr_t)region + first) / PAGE % 2 == 0)
			first += PAGE;
		if (first > REGION || size > REGION - first)
			return NULL;
	} while (!atomic_compare_exchange_weak(&used, &old, first + size));
	*zero = *commit = true;
	return region + first;
}

static void
destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)committed, (void)arena;
	atomic_fetch_add(&n_back, 1);
}

static bool
split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a, size_t size_b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)size_a, (void)size_b, (void)committed;
	(void)arena;
	return false;
}

/* Called only for parts of one piece: pieces never grow together. */
static bool
merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)a, (void)size_a, (void)b, (void)size_b, (void)committed;
	(void)arena;
	return false;
}

static extent_hooks_t hooks = {
	.alloc = alloc, .destroy = destroy, .split = split, .merge = merge
};

int
main(void)
{
	arena_config_t config = { &hooks, true };
	unsigned arena, n = 0;
	size_t length = sizeof arena;

	region = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED)
		return 1;
	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;
	for (int lg = 3; lg <= 22; lg++) {
		char *p = mallocx(10000,
		    MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE | MALLOCX_LG_ALIGN(lg));
		if (p == NULL || (uintptr_t)p % ((uintptr_t)1 << lg) != 0 || p < region
		    || p >= region + REGION)
			return 1;
		n++;
	}
	printf("%u alignments served, up to 4 MiB; %u pieces were not as asked\n", n,
	    atomic_load(&n_back));
	puts("odd_pieces: ok");
	return 0;
}
