/* SPDX-License-Identifier: MIT */
/* Limits of memory: limit.*, and what happens at them. */
#include "tract/tract.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "api/names.h"
#include "config/options.h"
#include "harness/whole.h"
#include "page/limit.h"

#define MIB ((size_t)1 << 20)
/* More than any process of these tests has in use at its start. */
#define ROOM (64 * MIB)

static size_t
get(const char *name)
{
	size_t value = 0, length = sizeof value;

	CHECK_EQ(API(mallctl)(name, &value, &length, NULL, 0), 0);
	return value;
}

static void
set(const char *name, size_t value)
{
	CHECK_EQ(API(mallctl)(name, NULL, NULL, &value, sizeof value), 0);
}

static void
set_callback(limit_callback_fn *call, void *data)
{
	limit_callback_t callback = { call, data };

	CHECK_EQ(API(mallctl)("limit.callback", NULL, NULL, &callback, sizeof callback),
	    0);
}

/* What is in use when all that is free has gone. */
static size_t
used_at_least(void)
{
	(void)API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0);
	CHECK_EQ(API(mallctl)("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	return get("limit.used");
}

static void
end(void)
{
	set("limit.soft", 0);
	set("limit.hard", 0);
	set_callback(NULL, NULL);
}

TEST(there_is_no_limit_until_one_is_asked_for)
{
	API(free)(API(malloc)(1));
	CHECK_EQ(get("limit.soft"), 0);
	CHECK_EQ(get("limit.hard"), 0);
	CHECK_EQ(get("opt.limit_soft"), 0);
	CHECK_EQ(get("opt.limit_hard"), 0);
	CHECK(get("limit.used") != 0);
}

TEST(what_is_written_is_read_with_the_old_value_and_wrong_lengths_are_refused)
{
	size_t old = 1, new = 7 * MIB * 1000, length = sizeof old;
	unsigned small = 1;

	CHECK_EQ(API(mallctl)("limit.hard", &old, &length, &new, sizeof new), 0);
	CHECK_EQ(old, 0);
	CHECK_EQ(get("limit.hard"), 7 * MIB * 1000);
	CHECK_EQ(API(mallctl)("limit.hard", NULL, NULL, &small, sizeof small), EINVAL);
	CHECK_EQ(API(mallctl)("limit.used", NULL, NULL, &new, sizeof new), EPERM);
	CHECK_EQ(API(mallctl)("limit.n_hard", NULL, NULL, &new, sizeof new), EPERM);
	limit_callback_t callback = { NULL, &small }, was;
	length = sizeof was;
	CHECK_EQ(API(mallctl)("limit.callback", NULL, NULL, &callback,
		     sizeof callback - 1),
	    EINVAL);
	CHECK_EQ(API(mallctl)("limit.callback", &was, &length, &callback,
		     sizeof callback),
	    0);
	CHECK(was.call == NULL && was.data == NULL);
	length = sizeof was;
	CHECK_EQ(API(mallctl)("limit.callback", &was, &length, NULL, 0), 0);
	CHECK(was.call == NULL && was.data == &small);
	length = sizeof was - 1;
	CHECK_EQ(API(mallctl)("limit.callback", &was, &length, NULL, 0), EINVAL);
	CHECK_EQ(API(mallctl)("limit.callback", &was, NULL, NULL, 0), EINVAL);
	end();
}

/* Chains of objects, so that nothing else needs memory. */
static size_t
allocate_all(size_t size, void **first)
{
	size_t n = 0;
	void **p;

	*first = NULL;
	for (; (p = API(malloc)(size)) != NULL; n++) {
		*p = *first;
		*first = p;
		CHECK(limit_used() <= get("limit.hard"));
	}
	CHECK_EQ(errno, ENOMEM);
	return n;
}

static void
free_all(void *p)
{
	while (p != NULL) {
		void *next = *(void **)p;
		API(free)(p);
		p = next;
	}
}

TEST(an_allocation_beyond_the_hard_limit_fails_with_ENOMEM_and_all_below_succeed)
{
	static const size_t sizes[] = { 16 * 1024, 40 * 1024, 300 * 1024, 3 * MIB };
	void *first;

	for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
		const size_t before = used_at_least();
		const size_t failed = get("limit.n_hard");
		set("limit.hard", before + ROOM);
		const size_t n = allocate_all(sizes[i], &first);
		/* A slab, and what rounding costs. */
		CHECK(n * sizes[i] >= ROOM - ROOM / 8 - 4 * MIB);
		CHECK_EQ(get("limit.n_hard"), failed + 1);
		CHECK(API(calloc)(1, ROOM) == NULL && errno == ENOMEM);
		CHECK(API(mallocx)(ROOM, 0) == NULL);
		CHECK(API(aligned_alloc)(4096, ROOM) == NULL);
		void *p = API(realloc)(first, ROOM);
		CHECK(p == NULL && errno == ENOMEM);
		CHECK_EQ(get("limit.n_hard"), failed + 5);
		free_all(first);
		/* What was freed can be had again, as one piece. */
		first = API(malloc)(ROOM - 8 * MIB);
		CHECK(first != NULL);
		API(free)(first);
		end();
	}
	whole_check();
}

TEST(memory_that_others_keep_free_is_given_back_before_an_allocation_fails)
{
	unsigned arena;
	size_t length = sizeof arena;
	ssize_t never = -1;
	void *p[16];

	CHECK_EQ(API(mallctl)("arenas.create", &arena, &length, NULL, 0), 0);
	char name[64];
	snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", arena);
	CHECK_EQ(API(mallctl)(name, NULL, NULL, &never, sizeof never), 0);
	set("limit.hard", used_at_least() + ROOM);
	for (unsigned i = 0; i < COUNT_OF(p); i++)
		REQUIRE((p[i] = API(mallocx)(2 * MIB,
			     MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE))
		    != NULL);
	for (unsigned i = 0; i < COUNT_OF(p); i++)
		API(dallocx)(p[i], MALLOCX_TCACHE_NONE);
	CHECK(pac_dirty_pages(&arena_get(arena)->pac) * os_page_size >= 32 * MIB);
	void *most = API(malloc)(ROOM - 4 * MIB);
	CHECK(most != NULL);
	CHECK_EQ(pac_dirty_pages(&arena_get(arena)->pac), 0);
	API(free)(most);
	end();
}

/* 40 MiB of free pages in an arena that keeps them. */
static void
keep_dirty(void)
{
	unsigned arena;
	size_t length = sizeof arena;
	ssize_t never = -1;
	char name[64];

	CHECK_EQ(API(mallctl)("arenas.create", &arena, &length, NULL, 0), 0);
	snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", arena);
	CHECK_EQ(API(mallctl)(name, NULL, NULL, &never, sizeof never), 0);
	void *p = API(mallocx)(40 * MIB, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
	REQUIRE(p != NULL);
	API(dallocx)(p, MALLOCX_TCACHE_NONE);
}

TEST(an_object_grows_where_it_is_when_there_is_no_room_for_a_second_one)
{
	const size_t before = used_at_least();
	unsigned arena;
	size_t length = sizeof arena;

	if (!opt.retain)
		SKIP("nothing lies behind an object");
	/* A new arena maps four times as much. */
	CHECK_EQ(API(mallctl)("arenas.create", &arena, &length, NULL, 0), 0);
	char *p = API(mallocx)(16 * MIB, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
	REQUIRE(p != NULL);
	p[16 * MIB - 1] = 77;
	keep_dirty();
	set("limit.hard", before + ROOM);
	char *larger = API(realloc)(p, 56 * MIB);
	CHECK(larger == p && p[16 * MIB - 1] == 77);
	CHECK(limit_used() <= before + ROOM);
	CHECK(API(realloc)(p, 80 * MIB) == NULL && errno == ENOMEM);
	end();
	API(free)(p);
}

TEST(under_pressure_threads_keep_nothing)
{
	static void *p[200];
	struct tcache *tc = thread_start()->tcache;

	if (!opt.tcache)
		SKIP("no cache");
	for (unsigned k = 0; k < 2; k++) {
		/* Nothing is trimmed meanwhile, but then. */
		tc->trimmed_ns = UINT64_MAX - TCACHE_TRIM_NS - 1;
		for (unsigned i = 0; i < COUNT_OF(p); i++)
			REQUIRE((p[i] = API(malloc)(20000)) != NULL);
		for (unsigned i = 0; i < COUNT_OF(p); i++)
			API(free)(p[i]);
		tc->trimmed_ns = 0;
		if (k == 1)
			limit_pressure_set(LIMIT_GROUP_HIGH);
		tcache_tick_now(tc);
		/* A class that is in use keeps some, but for that; hostile: or not. */
		CHECK(CONFIG_HOSTILE ? k == 0 || tc->empty_bytes == 0
				     : (tc->empty_bytes == 0) == (k == 1));
	}
	limit_pressure_clear(LIMIT_GROUP_HIGH);
}

/* ---- callbacks ---- */

static _Atomic(unsigned) n_called;
static limit_event_t last;
static void *to_free;

static void
give_up_something(void *data, const limit_event_t *event)
{
	CHECK(data == &last);
	CHECK(mutex_none_held());
	last = *event;
	n_called++;
	/* Allocates, too, and beyond the limit, which does not lead here again. */
	API(free)(API(malloc)(100));
	CHECK(event->limit == TRACT_LIMIT_SOFT || API(malloc)(16 * ROOM) == NULL);
	void *p = to_free;
	to_free = NULL;
	API(free)(p);
}

TEST(at_the_hard_limit_the_program_may_free_and_the_allocation_succeeds)
{
	const size_t before = used_at_least(), failed = get("limit.n_hard");

	n_called = 0;
	to_free = API(malloc)(ROOM / 2);
	set("limit.hard", before + ROOM);
	set_callback(give_up_something, &last);
	void *p = API(malloc)(ROOM - 8 * MIB);
	CHECK(p != NULL);
	CHECK_EQ(n_called, 1);
	CHECK_EQ(last.limit, TRACT_LIMIT_HARD);
	CHECK_EQ(last.most, before + ROOM);
	CHECK_EQ(last.wanted, ROOM - 8 * MIB);
	CHECK(last.used >= ROOM / 2 && last.used <= last.most);
	/* One that failed inside; then one that fails after all. */
	CHECK_EQ(get("limit.n_hard"), failed + 1);
	CHECK(API(malloc)(ROOM) == NULL);
	CHECK_EQ(n_called, 2);
	CHECK_EQ(get("limit.n_hard"), failed + 3);
	API(free)(p);
	end();
}

TEST(small_objects_that_the_callback_frees_make_room)
{
	void *first;

	set("limit.hard", used_at_least() + ROOM);
	const size_t n = allocate_all(1000, &first);
	CHECK(n * 1000 > ROOM / 2);
	/* The last object is on its list's first place: give it up, and what is behind. */
	to_free = first;
	first = *(void **)first;
	n_called = 0;
	set_callback(give_up_something, &last);
	/* One region is enough for one more. */
	void *p = API(malloc)(1000);
	CHECK(p != NULL);
	CHECK_EQ(n_called, 1);
	API(free)(p);
	set_callback(NULL, NULL);
	free_all(first);
	end();
}

TEST(beyond_the_soft_limit_nothing_free_is_kept_and_the_callback_runs_once)
{
	static void *p[32];
	const size_t before = used_at_least(), soft = get("limit.n_soft");

	n_called = 0;
	set("limit.soft", before + ROOM / 2);
	set_callback(give_up_something, &last);
	for (unsigned i = 0; i < COUNT_OF(p); i++)
		REQUIRE((p[i] = API(malloc)(ROOM / COUNT_OF(p))) != NULL);
	CHECK_EQ(n_called, 1);
	CHECK_EQ(get("limit.n_soft"), soft + 1);
	CHECK_EQ(last.limit, TRACT_LIMIT_SOFT);
	CHECK(last.used + last.wanted > last.most && last.used <= last.most);
	CHECK(limit_is_pressed());
	API(free)(p[0]);
	for (unsigned i = 0; i < 1000 && limit_used() > before + ROOM; i++) {
		API(free)(API(malloc)(700 * 1024));
		usleep(1000);
	}
	CHECK(limit_used() <= before + ROOM);
	for (unsigned i = 1; i < COUNT_OF(p); i++)
		API(free)(p[i]);
	arena_decay(thread_self->arena, PURGE_BY_CURVE);
	CHECK(!limit_is_pressed());
	/* Far below it: the next time is news. */
	void *again = API(malloc)(ROOM);
	CHECK(again != NULL);
	CHECK_EQ(n_called, 2);
	API(free)(again);
	end();
}

TEST(purging_alone_is_no_news_at_the_soft_limit)
{
	n_called = 0;
	set_callback(give_up_something, &last);
	ssize_t never = -1, was;
	size_t length = sizeof was;
	CHECK_EQ(API(mallctl)("arena.0.dirty_decay_ms", &was, &length, &never,
		     sizeof never),
	    0);
	set("limit.soft", used_at_least() + ROOM);
	for (unsigned i = 1; i < 40; i++) {
		void *p = API(malloc)(i * MIB);
		REQUIRE(p != NULL);
		API(free)(p);
	}
	CHECK_EQ(n_called, 0);
	CHECK_EQ(API(mallctl)("arena.0.dirty_decay_ms", NULL, NULL, &was, sizeof was), 0);
	end();
}

/* ---- children ---- */

TEST(a_child_counts_what_it_has)
{
	void *p = API(malloc)(ROOM);

	const pid_t child = fork();
	if (child == 0) {
		const size_t used = used_at_least();
		bool is_right = used >= ROOM;
		size_t mapped = 0;
		for (unsigned i = 0; i < arenas_total(); i++)
			if (arena_get(i) != NULL)
				mapped += arena_pages_charged(arena_get(i));
		is_right &= used == mapped;
		set("limit.hard", used + MIB);
		is_right &= API(malloc)(2 * MIB) == NULL;
		set("limit.hard", used + 4 * MIB);
		void *more = API(malloc)(2 * MIB);
		is_right &= more != NULL;
		API(free)(p);
		/* Its own limit is not the parent's. */
		_exit(is_right ? 0 : 1);
	}
	int status;
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	CHECK_EQ(get("limit.hard"), 0);
	API(free)(p);
}

/* ---- threads ---- */

#define THREADS 4
#define STEPS (CONFIG_DEBUG ? 3000 : 10000)

static void
count_call(void *data, const limit_event_t *event)
{
	(void)data, (void)event;
	n_called++;
	API(free)(API(malloc)(64));
}

static pthread_barrier_t all_have_lived;

static void *
live_at_the_limit(void *arg)
{
	uint64_t seed = test_seed() + (uintptr_t)arg;
	void *mine[128] = { NULL };
	unsigned n_failed = 0;

	for (unsigned i = 0; i < STEPS; i++) {
		void **slot = &mine[test_random_below(&seed, COUNT_OF(mine))];
		API(free)(*slot);
		const size_t size = (size_t)16 << test_random_below(&seed, 16);
		*slot = API(malloc)(size);
		if (*slot == NULL) {
			CHECK_EQ(errno, ENOMEM);
			n_failed++;
		} else {
			memset(*slot, 1, 16);
		}
		CHECK(limit_used() <= ROOM);
	}
	/* Even where they ran one after the other, all hold something at once. */
	pthread_barrier_wait(&all_have_lived);
	for (unsigned i = 0; i < COUNT_OF(mine); i++)
		API(free)(mine[i]);
	/* A failure is no end: what was freed is there again. */
	void *p = API(malloc)(100);
	CHECK(p != NULL);
	API(free)(p);
	return (void *)(uintptr_t)n_failed;
}

TEST(threads_live_at_the_hard_limit)
{
	pthread_t threads[THREADS];
	uintptr_t n_failed = 0;

	/* About as much as one of them would have. */
	(void)test_seed();
	n_called = 0;
	const size_t used = used_at_least();
	const size_t hard = used + 12 * MIB < ROOM ? used + 12 * MIB : ROOM;
	set("limit.soft", used + 6 * MIB);
	set("limit.hard", hard);
	set_callback(count_call, NULL);
	REQUIRE(pthread_barrier_init(&all_have_lived, NULL, THREADS) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, live_at_the_limit, (void *)i)
		    == 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		n_failed += (uintptr_t)failed;
	}
	printf("# %ju allocations failed, %u calls\n", (uintmax_t)n_failed, n_called);
	CHECK(n_failed != 0 && n_called != 0);
	end();
	whole_check();
}
