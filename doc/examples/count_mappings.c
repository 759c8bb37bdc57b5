/* SPDX-License-Identifier: MIT */
/*
 * count_mappings -- watch what the allocator asks the system for, and change nothing.
 *
 * The hooks of an arena are read, copied, and written back with `alloc' replaced; ours calls the
 * original.  Arena 0 exists from the start and serves this thread's malloc, so what is counted is
 * what plain malloc maps from now on.  The hook allocates itself: it keeps a list of what it saw,
 * and that never leads to another call of it.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tract/tract.h>

struct mapping {
	void *addr;
	size_t size;
	struct mapping *next;
};

static extent_hooks_t *original;
static _Atomic(struct mapping *) mappings;

static void *
count(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	void *p = original->alloc(hooks, new_addr, size, alignment, zero, commit, arena);
	struct mapping *m = p == NULL ? NULL : malloc(sizeof *m);

	if (m != NULL) {
		*m = (struct mapping){ p, size, atomic_load(&mappings) };
		while (!atomic_compare_exchange_weak(&mappings, &m->next, m))
			;
	}
	return p;
}

int
main(void)
{
	static extent_hooks_t counting;
	extent_hooks_t *hooks = &counting;
	size_t length = sizeof original, bytes = 0;
	unsigned n = 0;

	if (mallctl("arena.0.extent_hooks", &original, &length, NULL, 0) != 0)
		return 1;
	counting = *original;
	counting.alloc = count;
	if (mallctl("arena.0.extent_hooks", NULL, NULL, &hooks, sizeof hooks) != 0)
		return 1;

	char *p[8];
	for (unsigned i = 0; i < 8; i++) {
		p[i] = malloc((size_t)8 << 20);
		if (p[i] == NULL)
			return 1;
		memset(p[i], 1, (size_t)8 << 20);
	}
	for (unsigned i = 0; i < 8; i++)
		free(p[i]);

	for (struct mapping *m = atomic_load(&mappings); m != NULL; m = m->next) {
		bytes += m->size;
		n++;
	}
	printf("64 MiB were allocated from %u mappings of %zu MiB\n", n, bytes >> 20);
	if (n == 0 || bytes < (size_t)56 << 20)
		return 1;
	puts("count_mappings: ok");
	return 0;
}
