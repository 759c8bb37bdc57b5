/* SPDX-License-Identifier: MIT */
/*
 * A random program against a shadow: every live object keeps the pattern written into it, no two
 * overlap, sizes and alignments are what was promised, and the structures hold their invariants.
 */
#include "harness/test.h"

#include "api/names.h"
#include "arena/arena.h"
#include "base/prng.h"
#include "cache/pool.h"
#include "os/pages.h"
#include "thread/thread.h"

#define SLOTS 4000
#define QUANTUM ((size_t)1 << CONFIG_LG_QUANTUM)

struct object {
	unsigned char *p;
	size_t size;
	unsigned char seed;
};

static struct object objects[SLOTS];

static unsigned char
pattern(const struct object *o, size_t i)
{
	return (unsigned char)(o->seed + i * 31);
}

static void
write_pattern(const struct object *o)
{
	for (size_t i = 0; i < o->size; i += i < 64 ? 1 : 509)
		o->p[i] = pattern(o, i);
	if (o->size != 0)
		o->p[o->size - 1] = pattern(o, o->size - 1);
}

static bool
has_pattern(const struct object *o, size_t size)
{
	for (size_t i = 0; i < size; i += i < 64 ? 1 : 509)
		if (o->p[i] != pattern(o, i))
			return false;
	return size == 0 || size != o->size || o->p[size - 1] == pattern(o, size - 1);
}

static size_t
random_size(struct prng *r)
{
	switch (prng_below(r, 16)) {
	case 0: return prng_below(r, 9);
	case 1: return prng_below(r, 2000000);
	case 2:
	case 3: return prng_below(r, 60000);
	default: return prng_below(r, 1500);
	}
}

static void
allocate(struct prng *r, struct object *o)
{
	o->size = random_size(r);
	o->seed = (unsigned char)prng_next(r);
	switch (prng_below(r, 8)) {
	case 0: {
		const size_t alignment = (size_t)1 << prng_below(r, 17);
		o->p = t_aligned_alloc(alignment, o->size);
		CHECK(o->p != NULL && (uintptr_t)o->p % alignment == 0);
		break;
	}
	case 1:
		o->p = t_calloc(1, o->size);
		REQUIRE(o->p != NULL);
		for (size_t i = 0; i < o->size; i++)
			if (o->p[i] != 0) {
				CHECK(!"calloc is zero");
				break;
			}
		break;
	case 2:
		if (o->size == 0)
			o->size = 1;
		o->p = t_mallocx(o->size, 1 << 8 /* MALLOCX_TCACHE_NONE */);
		break;
	default: o->p = t_malloc(o->size);
	}
	REQUIRE(o->p != NULL);
	CHECK(t_malloc_usable_size(o->p) >= o->size);
	CHECK(o->size < QUANTUM || (uintptr_t)o->p % QUANTUM == 0);
	write_pattern(o);
}

static void
release(struct prng *r, struct object *o)
{
	CHECK(has_pattern(o, o->size));
	if (prng_below(r, 4) == 0)
		t_free_sized(o->p, t_malloc_usable_size(o->p));
	else
		t_free(o->p);
	o->p = NULL;
}

static void
resize(struct prng *r, struct object *o)
{
	const size_t size = 1 + random_size(r);
	const size_t kept = size < o->size ? size : o->size;

	CHECK(has_pattern(o, o->size));
	o->p = t_realloc(o->p, size);
	REQUIRE(o->p != NULL);
	CHECK(has_pattern(o, kept));
	o->size = size;
	write_pattern(o);
}

static void
check_all(void)
{
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			arena_check(arena_get(i));
	if (thread_self != NULL && thread_self != &thread_ended)
		tcache_check(thread_self->tcache);
}

TEST(random_program_keeps_its_contents)
{
	struct prng r;

	prng_seed(&r, test_seed());
	for (unsigned step = 0; step < 300000; step++) {
		/* Grow for a while, then shrink: phases of high and low water. */
		const unsigned limit = step / 20000 % 2 == 0 ? SLOTS : SLOTS / 10;
		struct object *o = &objects[prng_below(&r, SLOTS)];
		if (o->p == NULL && prng_below(&r, SLOTS) < limit)
			allocate(&r, o);
		else if (o->p != NULL && prng_below(&r, 4) == 0)
			resize(&r, o);
		else if (o->p != NULL)
			release(&r, o);
		if (step % 1000 == 0)
			check_all();
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (objects[i].p != NULL)
			release(&r, &objects[i]);
	check_all();
}

TEST(all_freed_memory_is_found_free)
{
	struct arena *arena = thread_start()->arena;

	tcache_flush(thread_self->tcache);
	tcache_share_slabs(thread_self->tcache);
	check_all();
	size_t current = arena->mixed.current != NULL ? arena->mixed.current->size : 0;
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		CHECK_EQ(arena->bins[i].stats.cur_regs, 0);
		if (arena->bins[i].current != NULL)
			current += arena->bins[i].current->size;
	}
	CHECK_EQ(load_relaxed(arena_pages_active(arena)) * os_page_size, current);
}
