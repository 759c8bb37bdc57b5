/* SPDX-License-Identifier: MIT */
/*
 * not_zero -- a hook that says its memory is zero when it is not.
 *
 * `alloc' takes buffers from a list of used ones, still full of what they held, and forgets to
 * clear *zero.  A program should say what is true: then calloc of memory that is zero costs no
 * write.  But a mistake does not reach the program: such memory is read before calloc relies on
 * it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <tract/tract.h>

#define SIZE ((size_t)1 << 20)

static unsigned n_given; /* this program has one thread */

static void *
alloc_used(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks, (void)arena;
	if (new_addr != NULL || alignment > 4096)
		return NULL;
	char *p =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	memset(p, 'x', size);
	n_given++;
	*zero = true; /* wrong */
	*commit = true;
	return p;
}

static extent_hooks_t hooks = { .alloc = alloc_used };

int
main(void)
{
	arena_config_t config = { &hooks, true };
	unsigned arena;
	size_t length = sizeof arena, n_wrong = 0;

	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;
	for (size_t size = 8; size <= SIZE; size *= 2) {
		const int flags =
		    MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE | MALLOCX_ZERO;
		const char *p = mallocx(size, flags);
		if (p == NULL)
			return 1;
		for (size_t i = 0; i < size; i++)
			n_wrong += p[i] != 0;
	}
	printf("%u buffers given, %zu bytes of zeroed objects are not zero\n", n_given,
	    n_wrong);
	if (n_given == 0 || n_wrong != 0)
		return 1;
	puts("not_zero: ok");
	return 0;
}
