/* SPDX-License-Identifier: MIT */
/*
 * Extent hooks through the public surface: what they get to see, what they may do and answer, and
 * that nothing is lost whatever they do.
 *
 * The hooks are those of harness/region.h: they check every range that they are called on, and that
 * no merge joins what came from two calls of alloc.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "api/names.h"
#include "arena/arena.h"
#include "harness/region.h"
#include "harness/test.h"
#include "thread/thread.h"
#include "tract/tract.h"

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

static int
run(unsigned index, const char *name)
{
	return API(mallctl)(node(index, name), NULL, NULL, NULL, 0);
}

enum metadata { METADATA_ELSEWHERE, METADATA_TOO };

/* False: the hooks had no memory for it. */
static bool
create(extent_hooks_t *hooks, enum metadata metadata, unsigned *index)
{
	const arena_config_t config = { hooks, metadata == METADATA_TOO };
	size_t length = sizeof *index;

	return API(mallctl)("experimental.arenas_create_ext", index, &length,
		   (void *)(uintptr_t)&config, sizeof config)
	    == 0;
}

static unsigned
new_arena(extent_hooks_t *hooks, enum metadata metadata)
{
	unsigned index = 0;

	REQUIRE(create(hooks, metadata, &index));
	return index;
}

static extent_hooks_t *
read_hooks(unsigned index)
{
	extent_hooks_t *hooks = NULL;
	size_t length = sizeof hooks;

	REQUIRE(API(mallctl)(node(index, "extent_hooks"), &hooks, &length, NULL, 0) == 0);
	return hooks;
}

/* In a process of its own, for what cannot be undone; the checks are counted here. */
static void
in_child(void (*work)(void))
{
	int status = 0;

	fflush(NULL);
	const pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		alarm(60);
		work();
		fflush(NULL);
		_exit(atomic_load(&test_failures) != 0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	CHECK_EQ(status, 0);
}

/* ---- Hooks that allocate. -------------------------------------------------------------------- */

static _Atomic(unsigned) n_inside;

/* As much as a hook might do: it logs, counts, asks for statistics. */
static void
allocate_inside(void)
{
	static _Thread_local unsigned depth;
	static _Thread_local char *kept[4];
	static _Thread_local unsigned n;
	const size_t sizes[] = { 16, 700, 30000, 200000 };

	/* Each call once: nobody should ever come here from within. */
	CHECK(depth == 0);
	if (depth != 0)
		return;
	depth++;
	n_inside++;
	char **slot = &kept[n++ % 4];
	API(free)(*slot);
	*slot = API(malloc)(sizes[n % 4]);
	REQUIRE(*slot != NULL);
	memset(*slot, 1, sizes[n % 4]);
	*slot = API(realloc)(*slot, sizes[(n + 1) % 4]);
	REQUIRE(*slot != NULL);
	char *zeroed = API(calloc)(1, sizes[n % 4]);
	REQUIRE(zeroed != NULL && zeroed[0] == 0 && zeroed[sizes[n % 4] - 1] == 0);
	API(free)(zeroed);
	depth--;
}

/* What goes into an arena without a flag that names it. */
static void
allocate_by_malloc(unsigned rounds)
{
	enum { N = 64 };
	char *p[N];

	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < N; i++) {
			p[i] = API(malloc)(i % 8 == 0 ? 3 << 20 : 8 + i * 100);
			REQUIRE(p[i] != NULL);
			p[i][0] = (char)i;
		}
		for (unsigned i = 0; i < N; i++) {
			CHECK_EQ(p[i][0], (char)i);
			API(free)(p[i]);
		}
		CHECK_EQ(run(0, "purge"), 0);
	}
}

/* The default alloc hook, called by ours. */
static extent_hooks_t *default_hooks;
static _Atomic(unsigned) n_allocs;

static void *
alloc_that_allocates(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks;
	n_allocs++;
	allocate_inside();
	void *p = default_hooks->alloc(default_hooks, new_addr, size, alignment, zero,
	    commit, arena);
	allocate_inside();
	return p;
}

static extent_hooks_t wrapped;

/* Every arena there is gets alloc_that_allocates, by reading and writing back. */
static void
wrap_all_arenas(void)
{
	extent_hooks_t *hooks = &wrapped;
	unsigned n = 0;
	size_t length = sizeof n;

	REQUIRE(API(mallctl)("arenas.narenas", &n, &length, NULL, 0) == 0);
	if (default_hooks == NULL)
		default_hooks = read_hooks(0);
	wrapped = *default_hooks;
	wrapped.alloc = alloc_that_allocates;
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(WRITE(node(i, "extent_hooks"), hooks),
		    i < arenas_automatic() || arena_get(i) != NULL ? 0 : EFAULT);
	CHECK(read_hooks(0) == &wrapped);
}

static void *
allocate_in_thread(void *arg)
{
	allocate_by_malloc(3);
	return arg;
}

static void
arena_0_allocates_inside(void)
{
	pthread_t threads[4];

	wrap_all_arenas();
	allocate_by_malloc(4);
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, allocate_in_thread, NULL) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* Those of the arena that serves the hooks, too: then another one serves. */
	wrap_all_arenas();
	allocate_by_malloc(4);
	CHECK(n_allocs != 0 && n_inside >= 2 * n_allocs);
}

TEST(a_hook_of_arena_0_may_allocate)
{
	in_child(arena_0_allocates_inside);
}

/* Runs when tract has said goodbye to the thread. */
static void
allocate_late(void *arg)
{
	static _Thread_local unsigned rounds;

	if (++rounds < 4) {
		pthread_setspecific(*(pthread_key_t *)arg, arg);
		return;
	}
	CHECK(thread_self == &thread_ended);
	for (unsigned i = 0; i < 8; i++) {
		char *p = API(malloc)((size_t)3 << 20);
		REQUIRE(p != NULL);
		p[0] = 1;
		API(free)(p);
	}
}

static void *
end_late(void *arg)
{
	pthread_setspecific(*(pthread_key_t *)arg, arg);
	API(free)(API(malloc)(10));
	return NULL;
}

static void
threads_without_a_record_allocate_inside(void)
{
	pthread_key_t key;
	pthread_t thread;

	wrap_all_arenas();
	REQUIRE(pthread_key_create(&key, allocate_late) == 0);
	for (unsigned i = 0; i < 3; i++) {
		REQUIRE(pthread_create(&thread, NULL, end_late, &key) == 0);
		pthread_join(thread, NULL);
	}
	CHECK(n_allocs != 0);
}

TEST(a_hook_may_allocate_in_a_thread_that_has_ended)
{
	in_child(threads_without_a_record_allocate_inside);
}

static void
all_hooks_allocate(void)
{
	region_reset(test_seed());
	const unsigned index = new_arena(&region.hooks, METADATA_TOO);
	region.inside = allocate_inside;
	region.may_reserve = true;
	char *p[40];

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 40; i++) {
			p[i] = API(mallocx)(i % 4 == 0 ? 1 << 20 : 100 + i * 1000,
			    FLAGS(index));
			REQUIRE(p[i] != NULL);
		}
		for (unsigned i = 0; i < 40; i += 4)
			(void)API(xallocx)(p[i], round % 2 ? 2 << 20 : 1 << 19, 0,
			    FLAGS(index));
		for (unsigned i = 0; i < 40; i++)
			API(dallocx)(p[i], FLAGS(index));
		region.percent[HOOK_DALLOC] = round * 30;
		CHECK_EQ(run(index, "decay"), 0);
		CHECK_EQ(run(index, "purge"), 0);
	}
	CHECK_EQ(run(index, "destroy"), 0);
	region.inside = NULL;
	CHECK_EQ(region_pages_out(), 0);
	CHECK(region.n_calls[HOOK_DALLOC] != 0 && region.n_calls[HOOK_SPLIT] != 0
	    && region.n_calls[HOOK_MERGE] != 0 && region.n_calls[HOOK_DESTROY] != 0
	    && region.n_calls[HOOK_COMMIT] != 0);
}

TEST(every_hook_may_allocate)
{
	all_hooks_allocate();
}

/* What works on the thread's tcache must wait: a hook may run in the middle of such work. */
static unsigned n_asked;

static void
ask_inside(void)
{
	unsigned zero = 0, now = 0;
	bool off = false;
	size_t length = sizeof now;

	n_asked++;
	CHECK_EQ(API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0), EFAULT);
	CHECK_EQ(WRITE("thread.tcache.enabled", off), EAGAIN);
	CHECK_EQ(API(mallctl)("thread.idle", NULL, NULL, NULL, 0), 0);
	REQUIRE(API(mallctl)("thread.arena", &now, &length, NULL, 0) == 0);
	if (now != 0)
		CHECK_EQ(WRITE("thread.arena", zero), EAGAIN);
	(void)API(mallctl)("epoch", NULL, NULL, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void *
alloc_that_asks(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks;
	ask_inside();
	return default_hooks->alloc(default_hooks, new_addr, size, alignment, zero,
	    commit, arena);
}

static void
the_threads_tcache_is_left_alone(void)
{
	wrap_all_arenas();
	wrapped.alloc = alloc_that_asks;
	allocate_by_malloc(4);
	CHECK(n_asked != 0);
	CHECK_EQ(API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
}

TEST(inside_a_hook_the_threads_tcache_is_left_alone)
{
	in_child(the_threads_tcache_is_left_alone);
}
