/* SPDX-License-Identifier: MIT */
/*
 * no_dump -- a block cache that must not fill core files.
 *
 * An arena of its own, whose memory is advised MADV_DONTDUMP as it is mapped.  The arena is made
 * with the default hooks, so that its records stay in ordinary memory; then the hooks are read,
 * copied, and written back with an `alloc' that calls the original.  An explicit cache keeps the
 * threads' own caches out of it: what is freed goes back to this arena.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <tract/tract.h>

#define OBJECTS 100
#define SIZE 32000

static extent_hooks_t *original;

static void *
alloc_no_dump(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	void *p = original->alloc(hooks, new_addr, size, alignment, zero, commit, arena);

	/* Where the kernel refuses the advice, the cache works all the same. */
	if (p != NULL)
		(void)madvise(p, size, MADV_DONTDUMP);
	return p;
}

/* Do the kernel's flags of the mapping around p say "do not dump"? */
static bool
is_not_dumped(const void *p)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512];
	bool is_here = false, found = false;

	while (smaps != NULL && fgets(line, sizeof line, smaps) != NULL) {
		unsigned long first, end;
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			is_here = (unsigned long)p >= first && (unsigned long)p < end;
		else if (is_here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	if (smaps != NULL)
		fclose(smaps);
	return found;
}

int
main(void)
{
	static extent_hooks_t no_dump;
	extent_hooks_t *hooks = &no_dump;
	unsigned arena, cache;
	size_t length = sizeof arena, pointer = sizeof original;
	char name[64];
	char *p[OBJECTS];

	if (mallctl("arenas.create", &arena, &length, NULL, 0) != 0
	    || mallctl("tcache.create", &cache, &length, NULL, 0) != 0)
		return 1;
	snprintf(name, sizeof name, "arena.%u.extent_hooks", arena);
	if (mallctl(name, &original, &pointer, NULL, 0) != 0)
		return 1;
	no_dump = *original;
	no_dump.alloc = alloc_no_dump;
	if (mallctl(name, NULL, NULL, &hooks, sizeof hooks) != 0)
		return 1;

	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE(cache);
	for (unsigned i = 0; i < OBJECTS; i++) {
		p[i] = mallocx(SIZE, flags);
		if (p[i] == NULL)
			return 1;
		memset(p[i], 1, SIZE);
	}
	unsigned n = 0;
	for (unsigned i = 0; i < OBJECTS; i++)
		n += is_not_dumped(p[i]);
	printf("%u of %u objects are kept out of core files\n", n, OBJECTS);
	for (unsigned i = 0; i < OBJECTS; i++)
		dallocx(p[i], flags);

	/* First the cache, which holds objects of the arena; then the arena. */
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	if (mallctl("tcache.destroy", NULL, NULL, &cache, sizeof cache) != 0
	    || mallctl(name, NULL, NULL, NULL, 0) != 0 || n != OBJECTS)
		return 1;
	puts("no_dump: ok");
	return 0;
}
