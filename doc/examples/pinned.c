/* SPDX-License-Identifier: MIT */
/*
 * pinned -- memory that cannot be taken away while it is mapped: locked, or known to a device.
 *
 * `alloc' maps and locks, and says so in the low bits of what it returns: EXTENT_ALLOC_FLAG_PINNED.
 * The arena then never calls the purge hooks for it, which would be in vain, nor dalloc before its
 * own end: what is freed stays mapped, is counted in stats.pinned, and serves the next requests.
 * Where the limit of locked memory is too low, the memory is not locked, and not said to be.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <tract/tract.h>

static _Atomic(size_t) locked, purged;

static void *
alloc_locked(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks, (void)arena;
	if (new_addr != NULL || alignment > 4096)
		return NULL;
	char *p =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	*zero = *commit = true;
	if (mlock(p, size) != 0)
		return p;
	atomic_fetch_add(&locked, size);
	return p + EXTENT_ALLOC_FLAG_PINNED;
}

static void
destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)committed, (void)arena;
	munmap(addr, size);
}

static bool
purge(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, size_t length,
    unsigned arena)
{
	(void)hooks, (void)size, (void)arena;
	atomic_fetch_add(&purged, length);
	return madvise((char *)addr + offset, length, MADV_DONTNEED) != 0;
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

static extent_hooks_t hooks = { .alloc = alloc_locked,
	.destroy = destroy,
	.purge_forced = purge,
	.split = split,
	.merge = merge };

int
main(void)
{
	arena_config_t config = { &hooks, false };
	size_t length, pinned = 0, limit = (size_t)1 << 20;
	uint64_t epoch = 1;
	unsigned arena;
	char name[64];

	length = sizeof arena;
	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;
	/* Steps of at most 1 MiB: locked memory is scarce. */
	snprintf(name, sizeof name, "arena.%u.retain_grow_limit", arena);
	if (mallctl(name, NULL, NULL, &limit, sizeof limit) != 0)
		return 1;

	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	for (unsigned round = 0; round < 10; round++) {
		char *p[40];
		for (unsigned i = 0; i < 40; i++) {
			if ((p[i] = mallocx(100000, flags)) == NULL)
				return 1;
			memset(p[i], 1, 100000);
		}
		for (unsigned i = 0; i < 40; i++)
			dallocx(p[i], flags);
		snprintf(name, sizeof name, "arena.%u.purge", arena);
		if (mallctl(name, NULL, NULL, NULL, 0) != 0)
			return 1;
	}

	/* Figures are those of the last write to epoch. */
	length = sizeof pinned;
	if (mallctl("epoch", NULL, NULL, &epoch, sizeof epoch) != 0
	    || mallctl("stats.pinned", &pinned, &length, NULL, 0) != 0)
		return 1;
	printf("%zu KiB were locked; %zu KiB of them are free now, and kept\n",
	    atomic_load(&locked) >> 10, pinned >> 10);
	if (pinned != atomic_load(&locked))
		return 1;
	if (pinned >= (size_t)4 << 20 && atomic_load(&purged) != 0)
		return 1;
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	if (mallctl(name, NULL, NULL, NULL, 0) != 0)
		return 1;
	puts("pinned: ok");
	return 0;
}
