/* SPDX-License-Identifier: MIT */
/*
 * shared_file -- objects that other processes see: an arena inside a file mapped MAP_SHARED.
 *
 * The file is mapped once, and `alloc' hands it out from front to back.  `purge_forced' gives
 * pages of free memory back to the file system (a hole in the file).  The arena's records stay
 * private to this process (metadata_use_hooks is false), so only objects lie in the file.  Such
 * memory must never be treated like private pages: tract zeroes it by writing, whatever purging
 * did.
 *
 * After a fork both processes would allocate from the same file, each by records of its own: only
 * one of them may go on to use the arena.  Here the child just reads and writes an object.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <tract/tract.h>
#include <unistd.h>

#define REGION ((size_t)32 << 20)

static char *region;
static _Atomic(size_t) used;

static void *
alloc_in_file(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	size_t old = atomic_load(&used), first;

	(void)hooks, (void)arena;
	do {
		first = (((uintptr_t)region + old + alignment - 1) & ~(alignment - 1))
		    - (uintptr_t)region;
		if (first > REGION || size > REGION - first
		    || (new_addr != NULL && new_addr != region + first))
			return NULL;
	} while (!atomic_compare_exchange_weak(&used, &old, first + size));
	*zero = *commit = true;
	return region + first;
}

static bool
purge_forced(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, size_t length,
    unsigned arena)
{
	(void)hooks, (void)size, (void)arena;
	return madvise((char *)addr + offset, length, MADV_REMOVE) != 0;
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

static extent_hooks_t hooks = { .alloc = alloc_in_file,
	.purge_forced = purge_forced,
	.split = split,
	.merge = merge };

int
main(void)
{
	arena_config_t config = { &hooks, false };
	unsigned arena;
	size_t length = sizeof arena;
	char name[64];
	int status;

	const int file = memfd_create("objects", 0);
	if (file < 0 || ftruncate(file, (off_t)REGION) != 0)
		return 1;
	region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (region == MAP_FAILED)
		return 1;
	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;

	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	char *message = mallocx(100, flags);
	char *large = mallocx((size_t)4 << 20, flags);
	if (message == NULL || large == NULL)
		return 1;
	strcpy(message, "from the parent");
	const pid_t child = fork();
	if (child == 0) {
		const bool seen = strcmp(message, "from the parent") == 0;
		strcpy(message, "from the child");
		_exit(!seen);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	printf("the object says: %s\n", message);
	/* And through the file. */
	char text[100] = "";
	if (pread(file, text, sizeof text, message - region) != sizeof text)
		return 1;
	printf("the file says: %s\n", text);

	/* Freed and purged, it is a hole; used again, zero is zero. */
	memset(large, 'x', (size_t)4 << 20);
	dallocx(large, flags);
	snprintf(name, sizeof name, "arena.%u.purge", arena);
	if (mallctl(name, NULL, NULL, NULL, 0) != 0)
		return 1;
	large = mallocx((size_t)4 << 20, flags | MALLOCX_ZERO);
	for (size_t i = 0; large != NULL && i < (size_t)4 << 20; i++)
		if (large[i] != 0)
			return 1;
	if (strcmp(message, "from the child") != 0 || strcmp(text, message) != 0)
		return 1;
	puts("shared_file: ok");
	return 0;
}
