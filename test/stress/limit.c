/* SPDX-License-Identifier: MIT */
/*
 * Threads that wander from processor to processor, and live at limits of memory that others move up
 * and down, in plain arenas and in one with hooks, with children made in between: nothing is lost,
 * nothing hangs, the hard limit holds, and in the end what is counted is what is there.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "api/names.h"
#include "arena/place.h"
#include "config/options.h"
#include "harness/whole.h"
#include "os/os.h"
#include "page/limit.h"
#include "tract/tract.h"

#define MIB ((size_t)1 << 20)
#define ARENAS 4
#define THREADS 4
#define SECOND_NS ((uint64_t)1000 * 1000 * 1000)
#define SLOTS 256
#define CHILDREN (BUILT_FOR_TSAN ? 0 : 12)

const char *API(malloc_conf) = "narenas:4,percpu_arena:percpu,dirty_decay_ms:50";

static _Thread_local int cpu;
static _Atomic(bool) is_over;
static _Atomic(unsigned) n_called, n_failed;
static unsigned hooked; /* index of the arena with hooks */
#define HAS_ENDED UINT_MAX
static _Atomic(unsigned) n_lived[THREADS]; /* calls that each has behind it; HAS_ENDED */

static int
fake_cpu(void)
{
	return cpu;
}

/* As the default ones, but the program's own. */
static bool
refuse(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)committed, (void)arena;
	/* Hooks allocate, at the limit, too. */
	API(free)(API(malloc)(100));
	return true;
}

static void
make_hooked(void)
{
	static extent_hooks_t hooks;
	extent_hooks_t *defaults, *own = &hooks;
	size_t length = sizeof defaults;

	CHECK_EQ(API(mallctl)("arena.0.extent_hooks", &defaults, &length, NULL, 0), 0);
	hooks = *defaults;
	hooks.dalloc = refuse;
	length = sizeof hooked;
	CHECK_EQ(API(mallctl)("arenas.create", &hooked, &length, &own, sizeof own), 0);
}

static void
on_limit(void *data, const limit_event_t *event)
{
	CHECK(data == &n_called);
	CHECK(mutex_none_held());
	CHECK(event->limit == TRACT_LIMIT_SOFT || event->limit == TRACT_LIMIT_HARD);
	n_called++;
	API(free)(API(malloc)(event->wanted % 1000));
}

/* A second, and on until both limits were met: which limits are tried in it is chance. */
static bool
is_lived(uint64_t since_ns)
{
	const uint64_t ns = os_clock_ns() - since_ns;

	return ns >= 60 * SECOND_NS
	    || (ns >= SECOND_NS && n_failed != 0 && n_called != 0);
}

static void *
live(void *arg)
{
	const uintptr_t self = (uintptr_t)arg;
	uint64_t seed = test_seed() + self;
	unsigned char *mine[SLOTS] = { NULL };
	size_t sizes[SLOTS] = { 0 };

	const uint64_t since_ns = os_clock_ns();
	for (unsigned i = 0; i % 64 != 0 || !is_lived(since_ns); i++) {
		const size_t slot = test_random_below(&seed, SLOTS);
		unsigned char *p = mine[slot];
		if (i % 64 == 0)
			cpu = (int)test_random_below(&seed, ARENAS);
		if (p != NULL) {
			CHECK_EQ(p[0], (unsigned char)slot);
			CHECK_EQ(p[sizes[slot] - 1], (unsigned char)slot);
			API(free)(p);
		}
		const size_t size = 1 + ((size_t)8 << test_random_below(&seed, 16));
		p = test_random_below(&seed, 8) == 0
		    ? API(mallocx)(size, MALLOCX_ARENA(hooked) | MALLOCX_TCACHE_NONE)
		    : API(malloc)(size);
		mine[slot] = p;
		sizes[slot] = size;
		if (p == NULL)
			n_failed++;
		else
			p[0] = p[size - 1] = (unsigned char)slot;
		n_lived[self]++;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		API(free)(mine[i]);
	n_lived[self] = HAS_ENDED;
	return NULL;
}

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
set_callback(limit_callback_fn *call)
{
	limit_callback_t callback = { call, &n_called };

	CHECK_EQ(API(mallctl)("limit.callback", NULL, NULL, &callback, sizeof callback),
	    0);
}

/* Until each thread has ended the call that it was in. */
static void
let_all_return(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		const unsigned before = n_lived[i];
		while (n_lived[i] == before && before != HAS_ENDED)
			usleep(20);
	}
}

/* Up and down; a limit holds from where use is not above it. */
static void *
move_limits(void *arg)
{
	uint64_t seed = test_seed();

	while (!is_over) {
		const size_t used = limit_used();
		set("limit.soft",
		    test_random_below(&seed, 3) == 0
			? 0
			: used + test_random_below(&seed, 8 * MIB) - 4 * MIB);
		set_callback(test_random_below(&seed, 2) == 0 ? NULL : on_limit);
		const size_t hard = test_random_below(&seed, 3) == 0
		    ? 0
		    : used + 1 + test_random_below(&seed, 8 * MIB);
		set("limit.hard", hard);
		/* Who was about to charge goes by the limit before, and may keep some of it. */
		let_all_return();
		set("limit.hard", hard);
		const bool holds = hard != 0 && !limit_exceeds(LIMIT_HARD, 0);
		for (unsigned i = 0; i < 20; i++) {
			CHECK(!holds || limit_used() <= hard);
			usleep(100);
		}
	}
	set("limit.soft", 0);
	set("limit.hard", 0);
	set_callback(NULL);
	return arg;
}

/* In a child: all can be used, and is counted. */
static bool
works_alone(void)
{
	set("limit.soft", 0);
	set("limit.hard", 0);
	void *p = API(malloc)(4 * MIB);
	if (p == NULL)
		return false;
	const size_t used = get("limit.used");
	set("limit.hard", used + MIB / 4);
	const bool is_refused = API(malloc)(64 * MIB) == NULL;
	set("limit.hard", 0);
	API(free)(p);
	return is_refused;
}

static void
fork_one(void)
{
	const pid_t child = fork();

	if (child == 0)
		_exit(works_alone() ? 0 : 1);
	int status;
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
}

TEST(limits_hold_while_threads_wander_and_limits_move)
{
	pthread_t threads[THREADS], mover;
	size_t charged = 0;

	(void)test_seed();
	API(free)(API(malloc)(1));
	place_set(PLACE_CPU, ARENAS);
	place_cpu = fake_cpu;
	make_hooked();
	REQUIRE(pthread_create(&mover, NULL, move_limits, NULL) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, live, (void *)i) == 0);
	for (int i = 0; i < CHILDREN; i++)
		fork_one();
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	is_over = true;
	pthread_join(mover, NULL);
	printf("# %u allocations failed, %u calls\n", n_failed, n_called);
	CHECK(n_failed != 0 && n_called != 0);
	whole_check_empty();
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			charged += arena_pages_charged(arena_get(i));
	CHECK_EQ(limit_used(), charged);
	CHECK_EQ(API(mallctl)("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	CHECK(limit_used() < 4 * MIB);
}
