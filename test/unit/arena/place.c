/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sched_setaffinity */
#include "arena/place.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "api/boot.h"
#include "api/names.h"
#include "config/options.h"
#include "ctl/gather.h"
#include "ctl/stats.h"
#include "harness/files.h"
#include "harness/whole.h"
#include "os/os.h"

#define ARENAS 8

/* A rule at boot has threads look where they are; the tests set others. */
const char *API(malloc_conf) = "narenas:8,percpu_arena:percpu";

static _Thread_local int cpu;

static int
fake_cpu(void)
{
	return cpu;
}

static void
begin(enum place_rule rule, unsigned n_units)
{
	REQUIRE(boot());
	REQUIRE(arenas_automatic() >= ARENAS);
	place_set(rule, n_units);
	place_cpu = fake_cpu;
	cpu = 0;
}

static struct arena *
choose(int at)
{
	cpu = at;
	struct arena *arena = arena_choose();
	REQUIRE(arena != NULL);
	return arena;
}

TEST(percpu_arena_makes_as_many_arenas_as_there_may_be_processors)
{
	REQUIRE(boot());
	CHECK_EQ(place_rule(), PLACE_CPU);
	CHECK(place_cpu() < (int)opt.narenas);
}

/* ---- what the options and the machine ask for ---- */

static char told[256];
static int cpu_works;

static int
perhaps_cpu(void)
{
	return cpu_works - 1;
}

static void
tell(const char *line)
{
	snprintf(told, sizeof told, "%s", line);
}

/* Arenas there are then. */
static unsigned
boot_again(int percpu, unsigned n_arenas)
{
	place_set(PLACE_ANYWHERE, 1);
	place_cpu = perhaps_cpu;
	place_root = files_root;
	opt.percpu_arena = percpu;
	opt.abort = false;
	told[0] = '\0';
	place_boot(&n_arenas, tell);
	place_root = "";
	return n_arenas;
}

TEST(arenas_grow_to_the_number_of_processors_or_cores)
{
	REQUIRE(boot());
	files_begin();
	cpu_works = 1;
	files_put("sys/devices/system/cpu/possible", "0-63\n");
	files_put("sys/devices/system/cpu/online", "0-23\n");
	CHECK_EQ(boot_again(PERCPU_PERCPU, 4), 64);
	CHECK_EQ(place_rule(), PLACE_CPU);
	CHECK_EQ(boot_again(PERCPU_PERCPU, 100), 100);
	CHECK_EQ(boot_again(PERCPU_PHYCPU, 4), 12);
	CHECK_EQ(place_rule(), PLACE_CORE);
	CHECK_STR(told, "");
	files_put("sys/devices/system/cpu/possible", "0-8191\n");
	CHECK_EQ(boot_again(PERCPU_PERCPU, 4), NARENAS_MAX);
	files_put("sys/devices/system/cpu/online", "0\n");
	CHECK_EQ(boot_again(PERCPU_PHYCPU, 1), 1);
	CHECK_STR(told, "");
	files_end();
}

TEST(an_odd_number_of_processors_is_told)
{
	files_begin();
	cpu_works = 1;
	files_put("sys/devices/system/cpu/online", "0-6\n");
	CHECK_EQ(boot_again(PERCPU_PHYCPU, 1), 4);
	CHECK_STR(told,
	    "<tract>: percpu_arena:phycpu: 7 processors are not two for each core (no "
	    "hyper-threading?).\n");
	files_end();
}

TEST(where_nobody_tells_the_processor_there_are_ordinary_arenas)
{
	files_begin();
	cpu_works = 0;
	CHECK_EQ(boot_again(PERCPU_PERCPU, 4), 4);
	CHECK_EQ(place_rule(), PLACE_ANYWHERE);
	CHECK_EQ(opt.percpu_arena, PERCPU_DISABLED);
	CHECK_STR(told,
	    "<tract>: percpu_arena: getcpu does not work here. narenas is 4, for all "
	    "threads.\n");
	files_end();
}

TEST(several_nodes_of_memory_are_told_apart)
{
	files_begin();
	cpu_works = 1;
	CHECK_EQ(boot_again(PERCPU_DISABLED, 4), 4);
	CHECK_EQ(place_rule(), PLACE_ANYWHERE);
	files_put("sys/devices/system/node/has_cpu", "0-1\n");
	files_put("sys/devices/system/node/node0/cpulist", "0-1\n");
	files_put("sys/devices/system/node/node1/cpulist", "2-3\n");
	CHECK_EQ(boot_again(PERCPU_DISABLED, 4), 4);
	CHECK_EQ(place_rule(), PLACE_NODE);
	begin(PLACE_NODE, 2);
	for (int i = 0; i < 4; i++) {
		struct arena *arena = choose(i);
		CHECK_EQ(arena->index % 2, i / 2);
		arena_thread_out(arena);
	}
	/* One arena is everybody's. */
	CHECK_EQ(boot_again(PERCPU_DISABLED, 1), 1);
	CHECK_EQ(place_rule(), PLACE_ANYWHERE);
	opt.percpu_arena = PERCPU_PERCPU;
	for (unsigned i = 0; i < 4; i++)
		place_set_node(i, 0);
	files_end();
}

/* ---- the rules ---- */

TEST(each_processor_has_an_arena)
{
	begin(PLACE_CPU, ARENAS);
	for (int i = 0; i < ARENAS; i++) {
		struct arena *arena = choose(i);
		CHECK_EQ(arena->index, i);
		CHECK(place_again(arena) == arena);
		arena_thread_out(arena);
	}
}

TEST(the_two_halves_of_a_core_share_one)
{
	begin(PLACE_CORE, ARENAS / 2);
	for (int i = 0; i < ARENAS; i++) {
		struct arena *arena = choose(i);
		CHECK_EQ(arena->index, i % (ARENAS / 2));
		arena_thread_out(arena);
	}
}

/* Processors may be added, and the kernel may refuse to say. */
TEST(whatever_the_number_of_the_processor_the_index_is_one_of_the_automatic_arenas)
{
	static const int odd[] = { -1, INT_MIN, INT_MAX, 8191, 8192, 8193, 65535,
		ARENAS };
	uint64_t seed = test_seed();

	for (enum place_rule rule = PLACE_NODE; rule <= PLACE_CORE; rule++) {
		begin(rule, 3);
		for (unsigned i = 0; i < 10000; i++) {
			struct arena *arena =
			    choose(i < COUNT_OF(odd) ? odd[i] : (int)test_random(&seed));
			CHECK(arena->index < arenas_automatic());
			if (rule != PLACE_NODE)
				CHECK(arena->index < 3);
			CHECK(place_again(arena) == arena);
			arena_thread_out(arena);
		}
	}
}

TEST(a_node_has_its_own_arenas_and_threads_spread_over_them)
{
	struct arena *chosen[ARENAS];

	begin(PLACE_NODE, 2);
	for (unsigned i = 0; i < 4; i++)
		place_set_node(i, i / 2);
	for (unsigned i = 0; i < ARENAS; i++) {
		chosen[i] = choose((int)i % 4);
		CHECK_EQ(chosen[i]->index % 2, i % 4 / 2);
		for (unsigned k = 0; k < i; k++)
			CHECK(chosen[k] != chosen[i]);
	}
	/* At its node a thread stays where it is, and leaves for no arena elsewhere. */
	cpu = 3;
	CHECK(place_again(chosen[2]) == chosen[2]);
	cpu = 0;
	CHECK_EQ(place_again(chosen[2])->index % 2, 0);
	for (unsigned i = 0; i < ARENAS; i++)
		arena_thread_out(chosen[i]);
	for (unsigned i = 0; i < 4; i++)
		place_set_node(i, 0);
}

/* ---- threads that move ---- */

#define CLASS_SIZE 192
#define OBJECTS 4000

static void
in_a_thread(void *(*body)(void *))
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, body, NULL) == 0);
	pthread_join(thread, NULL);
}

/* Enough slow paths for a look where the thread is. */
static void
let_it_tick(void)
{
	static _Thread_local void *large[256];

	for (unsigned i = 0; i < COUNT_OF(large); i++)
		REQUIRE((large[i] = API(malloc)((size_t)600 << 10)) != NULL);
	for (unsigned i = 0; i < COUNT_OF(large); i++)
		API(free)(large[i]);
}

static struct edata *
slab_of(void *p)
{
	struct edata *e = emap_lookup(p);

	REQUIRE(e != NULL);
	return e;
}

static size_t
live_regions(unsigned arena)
{
	return gather_bin(arena_get(arena), size_class_of(CLASS_SIZE)).n_live;
}

static void *
move_with_slabs(void *arg)
{
	static void *objects[2 * OBJECTS];
	struct arena_record *r = calloc(1, sizeof *r);

	cpu = 1;
	for (unsigned i = 0; i < OBJECTS; i++)
		REQUIRE((objects[i] = API(malloc)(CLASS_SIZE)) != NULL);
	struct tcache *tc = thread_self->tcache;
	CHECK_EQ(thread_self->arena->index, 1);
	CHECK(load_relaxed(&slab_of(objects[OBJECTS - 1])->owner) == tc);
	const unsigned at_2 = load_relaxed(&arena_automatic(2)->n_threads);
	const unsigned at_1 = load_relaxed(&arena_get(1)->n_threads);

	cpu = 2;
	let_it_tick();
	CHECK_EQ(thread_self->arena->index, 2);
	CHECK(thread_self->tcache == tc && tc->arena == thread_self->arena);
	CHECK_EQ(load_relaxed(&arena_get(2)->n_threads), at_2 + 1);
	CHECK_EQ(load_relaxed(&arena_get(1)->n_threads), at_1 - 1);
	/* What it has is its own still. */
	CHECK(load_relaxed(&slab_of(objects[OBJECTS - 1])->owner) == tc);
	for (unsigned i = OBJECTS; i < 2 * OBJECTS; i++)
		REQUIRE((objects[i] = API(malloc)(CLASS_SIZE)) != NULL);
	const struct edata *e = slab_of(objects[2 * OBJECTS - 1]);
	CHECK(load_relaxed(&e->owner) == tc);
	CHECK_EQ(edata_arena(e), 2);
	tcache_check(tc);
	/* Counted where they lie, but for what waits on the list and in other slabs. */
	CHECK(live_regions(1) >= OBJECTS - 2 * 64 && live_regions(2) >= OBJECTS - 2 * 64);
	for (unsigned i = 1; i <= 2; i++) {
		memset(r, 0, sizeof *r);
		gather_arena(arena_get(i), r);
		const struct bin_figures *bin = &r->bins[size_class_of(CLASS_SIZE)];
		CHECK(bin->curregs >= OBJECTS - 2 * 64);
		CHECK_EQ(bin->nmalloc - bin->ndalloc, bin->curregs);
		CHECK(r->arena.pactive * os_page_size
		    >= r->small.allocated + r->large.allocated);
	}
	for (unsigned i = 0; i < 2 * OBJECTS; i += 2)
		API(free)(objects[i]);
	/* Each slab goes to the bin of its own arena. */
	tcache_share_slabs(tc);
	arena_check(arena_get(1));
	arena_check(arena_get(2));
	CHECK(live_regions(1) >= OBJECTS / 2 - 2 * 64);
	for (unsigned i = 1; i < 2 * OBJECTS; i += 2)
		API(free)(objects[i]);
	tcache_check(tc);
	free(r);
	return arg;
}

TEST(a_thread_that_moves_keeps_its_slabs_and_gets_new_ones_where_it_is)
{
	begin(PLACE_CPU, ARENAS);
	in_a_thread(move_with_slabs);
	whole_check_empty();
}

static void *
move_bound(void *arg)
{
	struct thread *thread = thread_start();

	cpu = 3;
	REQUIRE(thread != NULL && thread_migrate(thread, arena_automatic(1)));
	let_it_tick();
	CHECK_EQ(thread->arena->index, 1);
	return arg;
}

TEST(an_arena_that_was_asked_for_is_kept)
{
	begin(PLACE_NODE, 2);
	place_set_node(3, 0);
	in_a_thread(move_bound);
	whole_check_empty();
}

static void *
move_without_tcache(void *arg)
{
	struct thread *thread = thread_start();

	REQUIRE(thread != NULL);
	thread_set_mode(thread, MODE_NO_TCACHE);
	for (cpu = 1; cpu < 4; cpu++) {
		for (unsigned i = 0; i <= THREAD_VISITS; i++)
			API(free)(API(malloc)(100));
		CHECK_EQ(thread->arena->index, cpu);
	}
	return arg;
}

TEST(a_thread_without_a_cache_moves_too)
{
	begin(PLACE_CPU, ARENAS);
	in_a_thread(move_without_tcache);
	whole_check_empty();
}

static void *
in_percpu(void *arg)
{
	unsigned now, other = 2;
	size_t length = sizeof now;

	cpu = 1;
	API(free)(API(malloc)(1));
	CHECK_EQ(API(mallctl)("thread.arena", &now, &length, NULL, 0), 0);
	CHECK_EQ(now, 1);
	CHECK_EQ(API(mallctl)("thread.arena", NULL, NULL, &other, sizeof other), EPERM);
	CHECK_EQ(API(mallctl)("thread.arena", NULL, NULL, &now, sizeof now), 0);
	CHECK_EQ(API(mallctl)("arenas.create", &other, &length, NULL, 0), 0);
	CHECK_EQ(API(mallctl)("thread.arena", NULL, NULL, &other, sizeof other), 0);
	cpu = 3;
	for (unsigned i = 0; i < 200; i++)
		API(free)(API(malloc)(1));
	CHECK_EQ(thread_self->arena->index, other);
	return arg;
}

TEST(with_percpu_arena_no_thread_chooses_an_automatic_arena)
{
	begin(PLACE_CPU, ARENAS);
	in_a_thread(in_percpu);
}

/* On the processors of this machine, which a thread may not use all. */
static void *
go_from_cpu_to_cpu(void *arg)
{
	cpu_set_t all, one;

	CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (sched_setaffinity(0, sizeof one, &one) != 0)
			continue;
		let_it_tick();
		CHECK_EQ(thread_self->arena->index, (unsigned)i % ARENAS);
	}
	return arg;
}

TEST(a_thread_uses_the_arena_of_the_processor_that_it_may_run_on)
{
	begin(PLACE_CPU, ARENAS);
	place_cpu = os_cpu_current;
	in_a_thread(go_from_cpu_to_cpu);
	whole_check_empty();
}

#define THREADS 4
#define STEPS (CONFIG_DEBUG ? 60000 : 200000)

static void *passed[THREADS][64];
static pthread_mutex_t passing = PTHREAD_MUTEX_INITIALIZER;

/* Half of what it frees another thread made. */
static void *
wander(void *arg)
{
	const unsigned self = (unsigned)(uintptr_t)arg;
	uint64_t seed = test_seed() + self;
	void *mine[256] = { NULL };

	for (unsigned i = 0; i < STEPS; i++) {
		void **slot = &mine[test_random_below(&seed, COUNT_OF(mine))];
		if (i % 512 == 0)
			cpu = (int)test_random_below(&seed, 64);
		API(free)(*slot);
		*slot = API(malloc)(8 << test_random_below(&seed, 11));
		REQUIRE(*slot != NULL);
		if (i % 8 != 0)
			continue;
		pthread_mutex_lock(&passing);
		void **there = &passed[test_random_below(&seed, THREADS)]
				      [test_random_below(&seed, 64)];
		void *p = *there;
		*there = *slot;
		*slot = p;
		pthread_mutex_unlock(&passing);
	}
	for (unsigned i = 0; i < COUNT_OF(mine); i++)
		API(free)(mine[i]);
	return NULL;
}

TEST(nothing_is_lost_when_threads_wander_from_arena_to_arena)
{
	pthread_t threads[THREADS];

	(void)test_seed();
	begin(PLACE_CPU, ARENAS);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, wander, (void *)i) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < 64; k++)
			API(free)(passed[i][k]);
	whole_check_empty();
}
