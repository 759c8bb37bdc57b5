/* SPDX-License-Identifier: MIT */
/*
 * hooked -- an arena on the hooks of region.h, made, used and destroyed through the public surface.
 */
#ifndef TEST_HARNESS_HOOKED_H
#define TEST_HARNESS_HOOKED_H

#include "api/names.h"
#include "arena/arena.h"
#include "harness/region.h"
#include "harness/test.h"
#include "tract/tract.h"

/* Under a sanitizer, some of what is tried elsewhere. */
#if defined __SANITIZE_ADDRESS__ || BUILT_FOR_TSAN
#define IS_SLOW 1
#else
#define IS_SLOW 0
#endif

#define FLAGS(index) (MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE)
#define WRITE(name, variable) \
	API(mallctl)(name, NULL, NULL, &(variable), sizeof(variable))

static const char *
node(unsigned index, const char *name)
{
	static _Thread_local char text[64];

	snprintf(text, sizeof text, "arena.%u.%s", index, name);
	return text;
}

static TEST_UNUSED int
run(unsigned index, const char *name)
{
	return API(mallctl)(node(index, name), NULL, NULL, NULL, 0);
}

enum metadata { METADATA_ELSEWHERE, METADATA_TOO };

/* False: the hooks had no memory for it. */
static TEST_UNUSED bool
create(extent_hooks_t *hooks, enum metadata metadata, unsigned *index)
{
	const arena_config_t config = { hooks, metadata == METADATA_TOO };
	size_t length = sizeof *index;

	return API(mallctl)("experimental.arenas_create_ext", index, &length,
		   (void *)(uintptr_t)&config, sizeof config)
	    == 0;
}

static TEST_UNUSED unsigned
new_arena(extent_hooks_t *hooks, enum metadata metadata)
{
	unsigned index = 0;

	REQUIRE(create(hooks, metadata, &index));
	return index;
}

#define OBJECTS 40

/* What the arena holds; contents tell where a byte was lost or given twice. */
static struct object {
	char *p;
	size_t size;
} objects[OBJECTS];

static TEST_UNUSED void
fill(const struct object *o)
{
	o->p[0] = o->p[o->size - 1] = (char)(o - objects + 1);
}

static TEST_UNUSED void
check_object(const struct object *o)
{
	const char mark = (char)(o - objects + 1);

	CHECK(o->p[0] == mark && o->p[o->size - 1] == mark);
}

/* Zeroed or not, aligned or not, small or large; may fail. */
static TEST_UNUSED void
make_object(unsigned index, unsigned i)
{
	static const size_t sizes[] = { 48, 3000, 40000, 300000, 20000, 70000 };
	struct object *o = &objects[i];
	const bool zero = i % 3 == 0;
	const int alignment = i % 10 == 9 ? MALLOCX_LG_ALIGN(15) : 0;

	o->size = sizes[i % 6] + i;
	o->p =
	    API(mallocx)(o->size, FLAGS(index) | alignment | (zero ? MALLOCX_ZERO : 0));
	if (o->p == NULL)
		return;
	for (size_t at = 0; zero && at < o->size; at += 500)
		CHECK_EQ(o->p[at], 0);
	fill(o);
}

static TEST_UNUSED void
resize_object(unsigned index, unsigned i)
{
	struct object *o = &objects[i];
	const size_t size = i % 2 == 0 ? o->size / 2 + 1 : o->size * 2;

	if (o->p == NULL)
		return;
	/* Both ends, since the old last byte may go. */
	check_object(o);
	o->p[o->size - 1] = 0;
	if (i % 4 < 2) {
		(void)API(xallocx)(o->p, size, 0, FLAGS(index));
		o->size = size < o->size ? size : o->size;
	} else {
		char *p = API(rallocx)(o->p, size, FLAGS(index));
		if (p != NULL) {
			o->p = p;
			o->size = size;
		}
	}
	CHECK_EQ(o->p[0], (char)(i + 1));
	fill(o);
}

static TEST_UNUSED void
check_arena(unsigned index)
{
	struct arena *arena = arena_get(index);

	REQUIRE(arena != NULL);
	arena_check(arena);
}

/* Everything that an arena does, with hooks that may fail at any time. */
static TEST_UNUSED void
work_in_arena(unsigned index)
{
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < OBJECTS; i++)
			if (objects[i].p == NULL)
				make_object(index, i);
		check_arena(index);
		for (unsigned i = 0; i < OBJECTS; i++)
			resize_object(index, i);
		check_arena(index);
		for (unsigned i = round; i < OBJECTS; i += 2) {
			if (objects[i].p == NULL)
				continue;
			check_object(&objects[i]);
			API(dallocx)(objects[i].p, FLAGS(index));
			objects[i].p = NULL;
		}
		check_arena(index);
		CHECK_EQ(run(index, round == 0 ? "decay" : "purge"), 0);
		check_arena(index);
	}
	/* Those that are left go with the arena. */
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (objects[i].p != NULL)
			check_object(&objects[i]);
		objects[i].p = NULL;
	}
}

static TEST_UNUSED void
set_decay(unsigned index, ssize_t dirty_ms, ssize_t muzzy_ms)
{
	CHECK_EQ(WRITE(node(index, "dirty_decay_ms"), dirty_ms), 0);
	CHECK_EQ(WRITE(node(index, "muzzy_decay_ms"), muzzy_ms), 0);
}

/* The ways in which arenas and hooks work. */
enum way {
	WAY_RESERVES = 1, /* some memory is not committed at first */
	WAY_KEEPS = 2,    /* dalloc refuses */
	WAY_MUZZY = 4,    /* free memory is purged lazily at once */
	WAY_LATE = 8,     /* free memory is purged late, not at once */
	WAY_METADATA = 16,
	WAYS = 32,
};

static TEST_UNUSED void
set_up(unsigned way)
{
	region_reset(test_seed());
	region.may_reserve = way & WAY_RESERVES;
	if (way & WAY_KEEPS)
		region.percent[HOOK_DALLOC] = 100;
}

/* An arena's whole life; all memory must have come back. False: there was none. */
static TEST_UNUSED bool
live_and_die(unsigned way)
{
	size_t limit = (size_t)256 << 10;
	unsigned index = 0;

	if (!create(&region.hooks, way & WAY_METADATA ? METADATA_TOO : METADATA_ELSEWHERE,
		&index)) {
		CHECK_EQ(region_pages_out(), 0);
		return false;
	}
	set_decay(index, way & WAY_LATE ? 1000 : 0, way & WAY_MUZZY ? 1000 : 0);
	/* Many calls of alloc. */
	CHECK_EQ(WRITE(node(index, "retain_grow_limit"), limit), 0);
	work_in_arena(index);
	if (way & WAY_METADATA) {
		/* From the start again, on memory that is there. */
		CHECK_EQ(run(index, "reset"), 0);
		CHECK_EQ(load_relaxed(arena_pages_active(arena_get(index))), 0);
		work_in_arena(index);
	}
	const size_t abandoned = load_relaxed(&arena_get(index)->pac.stats.abandoned_vm);
	region.takes_pinned = true;
	CHECK_EQ(run(index, "destroy"), 0);
	region.takes_pinned = false;
	if (region.hooks.dalloc != NULL || region.hooks.destroy != NULL)
		CHECK_EQ(region_pages_out() + abandoned, 0);
	return true;
}

#endif
