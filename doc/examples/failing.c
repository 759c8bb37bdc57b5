/* SPDX-License-Identifier: MIT */
/*
 * failing -- hooks that may fail at any call, and what that means for a program.
 *
 * Each of the nine hooks passes the call on to the default ones, but every third call fails.  A
 * request may fail then (NULL), never more: what is allocated stays as it is, nothing is lost,
 * and when the arena is destroyed every byte that `alloc' gave has come back through `dalloc' or
 * `destroy'.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <tract/tract.h>

#define OBJECTS 500

static extent_hooks_t *original;
static _Atomic(unsigned) n_calls, n_failed;
static _Atomic(size_t) bytes_out;

static bool
fails(void)
{
	const bool now = atomic_fetch_add(&n_calls, 1) % 3 == 2;

	if (now)
		atomic_fetch_add(&n_failed, 1);
	return now;
}

static void *
alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	void *p = fails()
	    ? NULL
	    : original->alloc(hooks, new_addr, size, alignment, zero, commit, arena);

	if (p != NULL)
		atomic_fetch_add(&bytes_out, size);
	return p;
}

static void
destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	original->destroy(hooks, addr, size, committed, arena);
	atomic_fetch_sub(&bytes_out, size);
}

/* The default dalloc keeps address space (opt.retain); this one gives it back. */
static bool
dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	if (fails())
		return true;
	destroy(hooks, addr, size, committed, arena);
	return false;
}

#define RANGE_HOOK(name) \
	static bool name(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, \
	    size_t length, unsigned arena) \
	{ \
		return fails() \
		    || original->name(hooks, addr, size, offset, length, arena); \
	}

RANGE_HOOK(commit)
RANGE_HOOK(decommit)
RANGE_HOOK(purge_lazy)
RANGE_HOOK(purge_forced)

static bool
split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a, size_t size_b,
    bool committed, unsigned arena)
{
	return fails()
	    || original->split(hooks, addr, size, size_a, size_b, committed, arena);
}

static bool
merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena)
{
	return fails() || original->merge(hooks, a, size_a, b, size_b, committed, arena);
}

static extent_hooks_t hooks = { alloc, dalloc, destroy, commit, decommit, purge_lazy,
	purge_forced, split, merge };

int
main(void)
{
	arena_config_t config = { &hooks, true };
	size_t length = sizeof original, size[OBJECTS];
	unsigned arena, n_null = 0;
	unsigned char *p[OBJECTS];
	char name[64];

	if (mallctl("arena.0.extent_hooks", &original, &length, NULL, 0) != 0)
		return 1;
	/* The very first block of the arena may be refused, too: then try again. */
	length = sizeof arena;
	while (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		   sizeof config)
	    != 0)
		n_null++;
	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < OBJECTS; i++) {
			size[i] = i % 50 == 0 ? 300000 : 100 + i * 20;
			p[i] = mallocx(size[i], flags);
			if (p[i] != NULL)
				memset(p[i], (int)i, size[i]);
			else
				n_null++;
		}
		snprintf(name, sizeof name, "arena.%u.purge", arena);
		if (mallctl(name, NULL, NULL, NULL, 0) != 0)
			return 1;
		for (unsigned i = 0; i < OBJECTS; i++) {
			if (p[i] == NULL)
				continue;
			if (p[i][0] != (unsigned char)i
			    || p[i][size[i] - 1] != (unsigned char)i)
				return 1;
			dallocx(p[i], flags);
		}
	}
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	if (mallctl(name, NULL, NULL, NULL, 0) != 0)
		return 1;
	printf("%u of %u calls failed, and %u requests; %zu bytes are missing\n",
	    atomic_load(&n_failed), atomic_load(&n_calls), n_null,
	    atomic_load(&bytes_out));
	if (atomic_load(&n_failed) == 0 || atomic_load(&bytes_out) != 0)
		return 1;
	puts("failing: ok");
	return 0;
}
