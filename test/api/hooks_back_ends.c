/* SPDX-License-Identifier: MIT */
/*
 * Huge pages and guards are for memory of the default hooks: with hooks of a user an arena goes on
 * without them, and loses nothing, whether it had such hooks from the start or gets them.
 */
#include "harness/hooked.h"
#include "harness/whole.h"

const char *API(malloc_conf) =
    "abort_conf:false,hpa:true,hpa_start_huge_from:0,san_guard_large:2,san_guard_small:2";

static bool
is_guarded(const void *p)
{
	return emap_lookup(p)->guarded;
}

static bool
is_in_page_slab(const void *p)
{
	return emap_lookup(p)->hpa;
}

static void
make_objects(unsigned index)
{
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (objects[i].p == NULL)
			make_object(index, i);
		REQUIRE(objects[i].p != NULL);
	}
}

static void
free_objects(unsigned from, unsigned step)
{
	for (unsigned i = from; i < OBJECTS; i += step) {
		if (objects[i].p == NULL)
			continue;
		check_object(&objects[i]);
		API(dallocx)(objects[i].p, MALLOCX_TCACHE_NONE);
		objects[i].p = NULL;
	}
}

static unsigned
count(bool (*is)(const void *))
{
	unsigned n = 0;

	for (unsigned i = 0; i < OBJECTS; i++)
		n += objects[i].p != NULL && is(objects[i].p);
	return n;
}

TEST(an_arena_made_with_hooks_has_neither_huge_pages_nor_guards)
{
	region_reset(test_seed());
	const unsigned index = new_arena(&region.hooks, METADATA_TOO);
	CHECK(!arena_get(index)->may_have_huge);
	make_objects(index);
	CHECK_EQ(count(is_guarded), 0);
	CHECK_EQ(count(is_in_page_slab), 0);
	CHECK_EQ(load_relaxed(&arena_get(index)->pac.stats.guards), 0);
	whole_check();
	free_objects(0, 1);
	work_in_arena(index);
	CHECK_EQ(run(index, "destroy"), 0);
	CHECK_EQ(region_pages_out(), 0);
	whole_check();
}

static extent_hooks_t *
give_hooks(unsigned index, extent_hooks_t *new)
{
	extent_hooks_t *old = NULL;
	size_t length = sizeof(old);

	CHECK_EQ(API(mallctl)(node(index, "extent_hooks"), &old, &length, &new,
		     sizeof(new)),
	    0);
	return old;
}

/* Not a region of a slab that the arena had before. */
static bool
is_large_and_guarded(const void *p)
{
	return is_guarded(p) && emap_lookup(p)->use == USE_LARGE;
}

/* As the default ones are; but nobody knows. */
static extent_hooks_t own;

TEST(an_arena_that_gets_hooks_goes_on_without_either_and_gives_back_what_it_had)
{
	const unsigned index = new_arena(NULL, METADATA_ELSEWHERE);
	struct arena *arena = arena_get(index);
	const bool has_huge = arena->may_have_huge;

	make_objects(index);
	CHECK(count(is_large_and_guarded) != 0);
	CHECK_EQ(count(is_in_page_slab) != 0, has_huge);
	own = ehooks_default;
	extent_hooks_t *const before = give_hooks(index, &own);
	/* Half of the old ones go, and are there no longer for new ones. */
	free_objects(0, 2);
	CHECK_EQ(run(index, "purge"), 0);
	const unsigned guarded = count(is_guarded),
		       in_page_slabs = count(is_in_page_slab);
	for (unsigned i = 0; i < OBJECTS; i += 2) {
		/* Large: no region of an old slab. */
		objects[i].size = 40000 + 5000 * i;
		objects[i].p = API(mallocx)(objects[i].size, FLAGS(index));
		REQUIRE(objects[i].p != NULL);
		fill(&objects[i]);
	}
	CHECK_EQ(count(is_guarded), guarded);
	CHECK_EQ(count(is_in_page_slab), in_page_slabs);
	whole_check();
	free_objects(0, 1);
	CHECK_EQ(run(index, "purge"), 0);
	work_in_arena(index);
	(void)give_hooks(index, before);
	make_objects(index);
	CHECK_EQ(count(is_large_and_guarded), 0);
	whole_check();
	free_objects(0, 1);
	CHECK_EQ(run(index, "destroy"), 0);
	whole_check();
}
