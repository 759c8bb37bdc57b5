/* SPDX-License-Identifier: MIT */
/*
 * allocating -- hooks that allocate, free, and print.
 *
 * While a hook runs, its thread is served by an arena without hooks of the program, so that what
 * it allocates never leads to another hook.  Nothing of tract is locked meanwhile.  The one thing
 * not to do is to ask for the arena of the hook by name (MALLOCX_ARENA): that may call the hook
 * again.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tract/tract.h>

static extent_hooks_t *original;
static char *protocol; /* grows with every call; this program has one thread */
static unsigned n_lines, depth, deepest;

__attribute__((format(printf, 1, 2))) static void
note(const char *format, ...)
{
	char line[100];
	va_list args;

	depth++;
	deepest = depth > deepest ? depth : deepest;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	const size_t old = protocol == NULL ? 0 : strlen(protocol);
	char *longer = realloc(protocol, old + strlen(line) + 1);
	if (longer != NULL) {
		strcpy(longer + old, line);
		protocol = longer;
		n_lines++;
	}
	depth--;
}

static void *
alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	note("arena %u maps %zu KiB\n", arena, size >> 10);
	return original->alloc(hooks, new_addr, size, alignment, zero, commit, arena);
}

static bool
dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	note("arena %u could do without %zu KiB\n", arena, size >> 10);
	return original->dalloc(hooks, addr, size, committed, arena);
}

static bool
purge_forced(extent_hooks_t *hooks, void *addr, size_t size, size_t offset, size_t length,
    unsigned arena)
{
	note("arena %u purges %zu KiB\n", arena, length >> 10);
	return original->purge_forced(hooks, addr, size, offset, length, arena);
}

int
main(void)
{
	static extent_hooks_t noting;
	extent_hooks_t *hooks = &noting;
	size_t length = sizeof original;
	char *p[10];

	/* Arena 0 itself: the one that serves this thread's malloc. */
	if (mallctl("arena.0.extent_hooks", &original, &length, NULL, 0) != 0)
		return 1;
	noting = *original;
	noting.alloc = alloc;
	noting.dalloc = dalloc;
	noting.purge_forced = purge_forced;
	if (mallctl("arena.0.extent_hooks", NULL, NULL, &hooks, sizeof hooks) != 0)
		return 1;
	for (unsigned i = 0; i < 10; i++) {
		p[i] = malloc((size_t)5 << 20);
		if (p[i] == NULL)
			return 1;
		memset(p[i], 1, (size_t)5 << 20);
	}
	for (unsigned i = 0; i < 10; i++)
		free(p[i]);
	if (mallctl("arena.0.purge", NULL, NULL, NULL, 0) != 0)
		return 1;
	if (protocol == NULL)
		return 1;
	fputs(protocol, stdout);
	printf("%u lines; a hook called within a hook: %s\n", n_lines,
	    deepest > 1 ? "yes" : "never");
	if (n_lines < 3 || deepest != 1)
		return 1;
	puts("allocating: ok");
	return 0;
}
