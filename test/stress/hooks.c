/* SPDX-License-Identifier: MIT */
/*
 * The tests of tcache.c once more, with hooks on every automatic arena that allocate and free
 * inside each call: any path that calls a hook with a lock held, or in the middle of something,
 * shows.
 */
#include "stress/tcache.c"

#include "tract/tract.h"

static extent_hooks_t *original, noisy;
static _Atomic(unsigned) n_hook_calls;

static void
make_noise(void)
{
	void *small = API(malloc)(100), *large = API(malloc)(50000);

	n_hook_calls++;
	API(free)(small);
	API(free)(large);
}

static void *
noisy_alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	make_noise();
	return original->alloc(hooks, new_addr, size, alignment, zero, commit, arena);
}

static bool
noisy_dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
    unsigned arena)
{
	make_noise();
	return original->dalloc(hooks, addr, size, committed, arena);
}

static bool
noisy_purge(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, size_t length,
    unsigned arena)
{
	make_noise();
	return original->purge_forced(hooks, addr, size, offset, length, arena);
}

static bool
noisy_split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a, size_t size_b,
    bool committed, unsigned arena)
{
	make_noise();
	return original->split(hooks, addr, size, size_a, size_b, committed, arena);
}

static bool
noisy_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena)
{
	make_noise();
	return original->merge(hooks, a, size_a, b, size_b, committed, arena);
}

/* Before the first test. */
__attribute__((constructor)) static void
wrap_all_arenas(void)
{
	extent_hooks_t *hooks = &noisy;
	size_t length = sizeof original;
	unsigned n;

	REQUIRE(API(mallctl)("arena.0.extent_hooks", &original, &length, NULL, 0) == 0);
	noisy = *original;
	noisy.alloc = noisy_alloc;
	noisy.dalloc = noisy_dalloc;
	noisy.purge_forced = noisy_purge;
	noisy.split = noisy_split;
	noisy.merge = noisy_merge;
	length = sizeof n;
	REQUIRE(API(mallctl)("arenas.narenas", &n, &length, NULL, 0) == 0);
	for (unsigned i = 0; i < n; i++) {
		char name[40];
		snprintf(name, sizeof name, "arena.%u.extent_hooks", i);
		REQUIRE(API(mallctl)(name, NULL, NULL, &hooks, sizeof(extent_hooks_t *))
		    == 0);
	}
}

TEST(the_hooks_were_called)
{
	printf("# %u calls\n", n_hook_calls);
	CHECK(n_hook_calls > 1000);
}
