/* SPDX-License-Identifier: MIT */
/*
 * Objects that grow and shrink at random, by realloc, rallocx and xallocx, against copies in libc's
 * memory: the bytes that both sizes share are kept, alignment and zeroing are as asked.
 */
#include "harness/whole.h"

#include "api/names.h"
#include "config/options.h"

#define OBJECTS 40
#define STEPS 6000
#define SIZE_MAX_OBJECT 600000
#define NO_TCACHE (1 << 8)
#define ZERO 0x40

static struct object {
	unsigned char *p, *copy;
	size_t size;
} objects[OBJECTS];

static size_t
random_size(uint64_t *seed)
{
	static const size_t limits[] = { 64, 1024, 5000, 40000, 140000, SIZE_MAX_OBJECT };

	return 1 + test_random_below(seed, limits[test_random_below(seed, 6)]);
}

static void
write_new(uint64_t *seed, struct object *o, size_t from)
{
	for (size_t i = from; i < o->size; i++)
		o->copy[i] = (unsigned char)(test_random(seed) >> 40);
	if (from < o->size)
		memcpy(o->p + from, o->copy + from, o->size - from);
}

static bool
is_zero(const unsigned char *p, size_t from, size_t to)
{
	for (; from < to; from++)
		if (p[from] != 0)
			return false;
	return true;
}

static void
resize(uint64_t *seed, struct object *o)
{
	const size_t old = o->size, usable = API(sallocx)(o->p, 0);
	const unsigned lg = (unsigned)test_random_below(seed, 14);
	size_t size = random_size(seed);
	int flags = 0;

	CHECK(usable >= old);
	switch (test_random_below(seed, 4)) {
	case 0:
		flags = (int)lg | (test_random_below(seed, 2) ? ZERO : 0)
		    | (test_random_below(seed, 2) ? NO_TCACHE : 0);
		o->p = API(rallocx)(o->p, size, flags);
		REQUIRE(o->p != NULL);
		CHECK((uintptr_t)o->p % ((size_t)1 << lg) == 0);
		/* What lies beyond the old usable size. */
		if ((flags & ZERO) != 0 && size > usable)
			CHECK(is_zero(o->p, usable, size));
		break;
	case 1: {
		const size_t got =
		    API(xallocx)(o->p, size, test_random_below(seed, 5000), 0);
		CHECK(got == API(sallocx)(o->p, 0));
		size = got < size ? got : size;
		break;
	}
	default: o->p = API(realloc)(o->p, size); REQUIRE(o->p != NULL);
	}
	CHECK(API(malloc_usable_size)(o->p) >= size);
	CHECK(memcmp(o->p, o->copy, old < size ? old : size) == 0);
	o->size = size;
	write_new(seed, o, old < size ? old : size);
}

static void
resize_at_random(void)
{
	uint64_t seed = test_seed();

	for (unsigned i = 0; i < OBJECTS; i++)
		REQUIRE((objects[i].copy = malloc(SIZE_MAX_OBJECT + 1)) != NULL);
	for (unsigned step = 0; step < STEPS; step++) {
		struct object *o = &objects[test_random_below(&seed, OBJECTS)];
		if (o->p == NULL) {
			o->size = random_size(&seed);
			REQUIRE((o->p = API(malloc)(o->size)) != NULL);
			write_new(&seed, o, 0);
		} else if (test_random_below(&seed, 10) == 0) {
			CHECK(memcmp(o->p, o->copy, o->size) == 0);
			API(free)(o->p);
			o->p = NULL;
		} else {
			resize(&seed, o);
		}
		if (step % 20 == 0)
			whole_check();
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		API(free)(objects[i].p);
		objects[i].p = NULL;
		free(objects[i].copy);
	}
	whole_check_empty();
}

TEST(contents_survive_any_resizing)
{
	resize_at_random();
}

TEST(contents_survive_any_resizing_of_objects_that_begin_anywhere)
{
	opt.cache_oblivious = true;
	resize_at_random();
	opt.cache_oblivious = false;
}
