/* SPDX-License-Identifier: MIT */
/*
 * Which objects get guards, what they cost when memory is used again, and what becomes of them.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <tract/tract.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "config/options.h"
#include "harness/guards.h"
#include "harness/whole.h"
#include "os/pages.h"

/* Nothing goes by time: how many slabs a round of work needs is the same each time. */
const char *t_malloc_conf = "san_guard_large:3,san_guard_small:1,dirty_decay_ms:-1,"
			    "tcache_gc_incr_bytes:1g";

#define LARGE ((size_t)100000)

static bool
is_guarded(const void *p)
{
	return emap_lookup(p)->guarded;
}

static uint64_t
node(const char *name)
{
	const uint64_t epoch = 1;
	uint64_t value = 0;
	size_t length = sizeof value;

	REQUIRE(t_mallctl("epoch", NULL, NULL, (void *)&epoch, sizeof epoch) == 0);
	REQUIRE(t_mallctl(name, &value, &length, NULL, 0) == 0);
	return value;
}

static void
run_node(const char *name)
{
	REQUIRE(t_mallctl(name, NULL, NULL, NULL, 0) == 0);
}

static unsigned
create_arena(void)
{
	unsigned arena;
	size_t length = sizeof arena;

	REQUIRE(t_mallctl("arenas.create", &arena, &length, NULL, 0) == 0);
	return arena;
}

/* ---- Counting. ---- */

static void *
count_in_a_thread(void *unused)
{
	void *p[9];

	(void)unused;
	for (unsigned i = 0; i < 9; i++) {
		p[i] = t_malloc(i % 2 == 0 ? LARGE : align_up(20480, os_page_size));
		CHECK_EQ(is_guarded(p[i]), i % 3 == 2);
	}
	for (unsigned i = 0; i < 9; i++)
		t_free(p[i]);
	/* The same from what the thread kept; and through other functions. */
	for (unsigned i = 0; i < 9; i++) {
		p[i] = i % 2 == 0 ? t_calloc(1, LARGE)
				  : t_mallocx(LARGE, MALLOCX_TCACHE_NONE);
		CHECK_EQ(is_guarded(p[i]), i % 3 == 2);
	}
	for (unsigned i = 0; i < 9; i++)
		t_free(p[i]);
	return NULL;
}

TEST(each_third_large_object_of_a_thread_is_guarded)
{
	pthread_t threads[2];

	for (unsigned i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, count_in_a_thread, NULL) == 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void *
count_aligned(void *unused)
{
	void *p[6];

	(void)unused;
	p[0] = t_malloc(LARGE);
	p[1] = t_malloc(LARGE);
	p[2] = t_aligned_alloc(2 * os_page_size, 2 * LARGE);
	p[3] = t_aligned_alloc(64 * os_page_size, 2 * LARGE);
	p[4] = t_aligned_alloc(os_page_size, 2 * LARGE);
	p[5] = t_malloc(LARGE);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(is_guarded(p[i]), i == 4);
		t_free(p[i]);
	}
	return NULL;
}

TEST(the_next_that_lies_at_a_page_takes_the_place_of_one_that_may_not)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, count_aligned, NULL) == 0);
	pthread_join(thread, NULL);
}

TEST(large_objects_as_small_as_slabs_hold_lie_apart)
{
	if (os_page_size > 4096)
		SKIP("pages are larger than they are");
	for (size_t size = SC_SMALL_MAX + 1; size <= SC_OWNED_MAX; size += 1000) {
		void *p = t_malloc(size), *q = t_calloc(1, size);
		CHECK(emap_lookup(p)->use == USE_LARGE);
		CHECK(emap_lookup(q)->use == USE_LARGE);
		CHECK_EQ(t_malloc_usable_size(p), t_nallocx(size, 0));
		t_sdallocx(p, size, 0);
		p = t_mallocx(size, MALLOCX_TCACHE_NONE);
		CHECK(emap_lookup(p)->use == USE_LARGE);
		t_free(p);
		q = t_realloc(q, size / 2);
		q = t_realloc(q, size);
		t_free(q);
	}
}

TEST(guarded_objects_are_resized_elsewhere)
{
	void *p, *others[2];

	do
		p = t_malloc(LARGE);
	while (!is_guarded(p));
	const size_t old = t_malloc_usable_size(p);
	memset(p, 5, old);
	CHECK_EQ(t_xallocx(p, 2 * LARGE, 0, 0), old);
	CHECK_EQ(t_xallocx(p, LARGE / 2, 0, 0), old);
	char *q = t_realloc(p, 3 * LARGE);
	for (size_t i = 0; i < old; i++)
		CHECK(q[i] == 5);
	t_free(q);
	/* By page tables, where both are guarded. */
	for (unsigned i = 0; i < 6; i++) {
		p = t_malloc((size_t)4 << 20);
		memset(p, 6, (size_t)4 << 20);
		others[0] = t_malloc(LARGE);
		others[1] = i % 2 == 0 ? t_malloc(LARGE) : NULL;
		q = t_realloc(p, (size_t)9 << 20);
		CHECK(q[0] == 6 && q[((size_t)4 << 20) - 1] == 6);
		if (is_guarded(q))
			CHECK(guards_enclose(q, (size_t)9 << 20, os_page_size));
		t_free(q);
		t_free(others[0]);
		t_free(others[1]);
	}
	whole_check();
}

/* ---- Costs. ---- */

#define OBJECTS 3000

/* Objects of all small sizes, as many each round; all are given back, and what is left purged. */
static void
work(bool purges)
{
	static void *objects[OBJECTS];

	for (unsigned i = 0; i < OBJECTS; i++) {
		const size_t size = 8 + (size_t)i * 4;
		objects[i] = t_malloc(size);
		memset(objects[i], 1, size);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		t_free(objects[i]);
	run_node("thread.tcache.flush");
	if (purges)
		run_node("arena.4096.purge");
}

TEST(in_steady_state_guarded_slabs_cost_no_call_for_guards)
{
	if (!CONFIG_DEBUG)
		SKIP("calls are counted in debug builds");
	/* Each class comes to have all the slabs that it ever needs at once. */
	const uint64_t before = node("stats.arenas.4096.guard_calls");
	uint64_t n_calls = 0;
	unsigned n_quiet = 0;
	for (unsigned i = 0; i < 60 && n_quiet < 10; i++) {
		guards_fail(0, 0);
		work(i % 2 != 0);
		const unsigned n = guards_end_count();
		n_calls += n;
		n_quiet = n == 0 ? n_quiet + 1 : 0;
	}
	CHECK_EQ(n_quiet, 10);
	CHECK_EQ(node("stats.arenas.4096.guard_calls"), before + n_calls);
	CHECK(before + n_calls != 0);
	whole_check();
}

/* ---- What becomes of them. ---- */

static void
check_sums(unsigned arena)
{
	struct pac *pac = &arena_get(arena)->pac;
	size_t bytes = 0, n_guarded = 0;
	struct ecache *caches[] = { &pac->dirty, &pac->muzzy, &pac->retained };

	for (unsigned i = 0; i < COUNT_OF(caches); i++) {
		mutex_lock(&caches[i]->lock);
		ECACHE_FOR_EACH_SET(set, caches[i])
		{
			LIST_FOR_EACH (l, &set->lru) {
				bytes += LIST_ENTRY(l, struct edata, link)->size;
				n_guarded += LIST_ENTRY(l, struct edata, link)->guarded;
			}
		}
		mutex_unlock(&caches[i]->lock);
	}
	CHECK_EQ(bytes,
	    load_relaxed(&pac->stats.retained)
		+ (pac_dirty_pages(pac) + pac_muzzy_pages(pac)) * os_page_size);
	CHECK(load_relaxed(&pac->stats.guards) >= n_guarded * 2 * os_page_size);
	pac_check(pac);
}

TEST(statistics_add_up_with_guards_apart)
{
	const unsigned arena = create_arena();
	const int flags = (int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
	void *p[60];

	for (unsigned i = 0; i < 60; i++)
		p[i] = t_mallocx(i % 3 == 0 ? LARGE : i * 50, flags);
	check_sums(arena);
	for (unsigned i = 0; i < 60; i += 2)
		t_dallocx(p[i], flags);
	check_sums(arena);
	char name[64];
	snprintf(name, sizeof name, "arena.%u.purge", arena);
	run_node(name);
	check_sums(arena);
	/* As the nodes tell it. */
	uint64_t retained = 0;
	for (unsigned i = 0; i < 140; i++) {
		snprintf(name, sizeof name, "stats.arenas.%u.extents.%u.retained_bytes",
		    arena, i);
		retained += node(name);
	}
	snprintf(name, sizeof name, "stats.arenas.%u.retained", arena);
	CHECK_EQ(node(name), retained);
	snprintf(name, sizeof name, "stats.arenas.%u.guards", arena);
	CHECK_EQ(node(name), load_relaxed(&arena_get(arena)->pac.stats.guards));
	snprintf(name, sizeof name, "arena.%u.reset", arena);
	run_node(name);
	check_sums(arena);
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	run_node(name);
}

static size_t
mapped_bytes(const void *first, size_t size)
{
	size_t bytes = 0;
	unsigned char resident;

	for (size_t i = 0; i < size; i += os_page_size)
		bytes +=
		    mincore((char *)(uintptr_t)first + i, os_page_size, &resident) == 0
		    ? os_page_size
		    : 0;
	return bytes;
}

TEST(an_arena_that_is_destroyed_leaves_neither_memory_nor_guards)
{
	const unsigned arena = create_arena();
	const int flags = (int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
	void *p[30];
	char name[64];

	for (unsigned i = 0; i < 30; i++)
		p[i] = t_mallocx(i % 2 == 0 ? LARGE : 64 * i, flags);
	CHECK(mapped_bytes(p[1], os_page_size) != 0);
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	run_node(name);
	for (unsigned i = 0; i < 30; i++)
		CHECK(emap_lookup_any(p[i]) == NULL);
	CHECK_EQ(mapped_bytes(p[1], os_page_size), 0);
	CHECK_EQ(mapped_bytes((char *)((uintptr_t)p[1] & -os_page_size) - os_page_size,
		     os_page_size),
	    0);
}

TEST(a_forked_child_works_with_the_guards_it_finds)
{
	char *small = t_malloc(100), *large;
	int status;

	do
		large = t_malloc(LARGE);
	while (!is_guarded(large));
	const size_t usable = t_malloc_usable_size(large);
	const pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		CHECK(guards_enclose(large, usable, os_page_size));
		t_free(small);
		t_free(large);
		do
			large = t_malloc(LARGE);
		while (!is_guarded(large));
		CHECK(guards_enclose(large, usable, os_page_size));
		work(true);
		whole_check();
		fflush(stdout);
		_exit(test_failures != 0);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	CHECK(guards_enclose(large, usable, os_page_size));
	t_free(small);
	t_free(large);
}

/* ---- Failures: no call for guards, from the k-th on. ---- */

TEST(without_guards_there_is_memory_all_the_same)
{
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	for (unsigned at = 1; at < 30; at += 3) {
		const unsigned arena = create_arena();
		const int flags = (int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
		void *p[40];
		char name[64];
		guards_fail(at, at % 2 == 0 ? 0 : 1000);
		for (unsigned i = 0; i < 40; i++) {
			p[i] = t_mallocx(i % 4 == 0 ? LARGE : 300 * i + 1, flags);
			REQUIRE(p[i] != NULL);
			memset(p[i], 3, t_malloc_usable_size(p[i]));
		}
		for (unsigned i = 0; i < 40; i++)
			t_dallocx(p[i], flags);
		check_sums(arena);
		snprintf(name, sizeof name, "arena.%u.destroy", arena);
		run_node(name);
		(void)guards_end_count();
	}
}
