/* SPDX-License-Identifier: MIT */
/*
 * unsplittable -- memory that cannot be cut or joined: each piece is given back as it came.
 *
 * `split' and `merge' refuse, as they must where memory comes from a library that takes whole
 * buffers only (mmap stands for it here; tract's own malloc cannot be it).  The arena learns from
 * the first refusal to ask for exactly what it needs, so little is wasted; what is freed serves
 * requests of its own size.  The hooks need not check anything: `dalloc' sees exactly the pieces
 * that `alloc' gave.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <tract/tract.h>

#define PIECES 1000

static struct piece {
	void *addr;
	size_t size;
} pieces[PIECES];
static unsigned n_pieces, n_strange; /* this program has one thread */

static void *
alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	(void)hooks, (void)arena;
	if (new_addr != NULL || alignment > 4096 || n_pieces == PIECES)
		return NULL;
	void *p =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	*zero = *commit = true;
	pieces[n_pieces++] = (struct piece){ p, size };
	return p;
}

static void
destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)committed, (void)arena;
	for (unsigned i = 0; i < n_pieces; i++)
		if (pieces[i].addr == addr && pieces[i].size == size) {
			pieces[i] = pieces[--n_pieces];
			munmap(addr, size);
			return;
		}
	n_strange++;
}

static bool
dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	destroy(hooks, addr, size, committed, arena);
	return false;
}

static bool
split(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a, size_t size_b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)size_a, (void)size_b, (void)committed;
	(void)arena;
	return true;
}

static bool
merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)a, (void)size_a, (void)b, (void)size_b, (void)committed;
	(void)arena;
	return true;
}

static extent_hooks_t hooks = { .alloc = alloc,
	.dalloc = dalloc,
	.destroy = destroy,
	.split = split,
	.merge = merge };

int
main(void)
{
	arena_config_t config = { &hooks, false };
	unsigned arena;
	size_t length = sizeof arena;
	char name[64];
	void *p[200];

	if (mallctl("experimental.arenas_create_ext", &arena, &length, &config,
		sizeof config)
	    != 0)
		return 1;
	const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 200; i++) {
			p[i] = mallocx(20000 + i * 1000, flags);
			if (p[i] == NULL)
				return 1;
			memset(p[i], 1, 20000 + i * 1000);
		}
		for (unsigned i = 0; i < 200; i++)
			dallocx(p[i], flags);
	}
	printf("%u pieces serve 1000 requests\n", n_pieces);
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	if (mallctl(name, NULL, NULL, NULL, 0) != 0)
		return 1;
	printf("after all: %u pieces left, %u given back otherwise than they came\n",
	    n_pieces, n_strange);
	if (n_pieces != 0 || n_strange != 0)
		return 1;
	puts("unsplittable: ok");
	return 0;
}
