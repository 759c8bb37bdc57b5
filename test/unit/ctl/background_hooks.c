/* SPDX-License-Identifier: MIT */
/*
 * Workers that are in the middle of something: in a user's hook, while others stop them, ask, fork.
 */
#include "ctl/background.h"

#include <pthread.h>
#include <sys/mman.h>

#include "api/names.h"
#include "arena/arena.h"
#include "cache/pool.h"
#include "ctl/stats.h"
#include "harness/hooked.h"
#include "harness/test.h"
#include "os/os.h"
#include "thread/thread.h"

#define SECOND ((uint64_t)1000 * 1000 * 1000)
#define MOMENT ((uint64_t)10 * 1000 * 1000)

static void
sleep_ns(uint64_t ns)
{
	const struct timespec time = { .tv_sec = (time_t)(ns / SECOND),
		.tv_nsec = (long)(ns % SECOND) };

	nanosleep(&time, NULL);
}

static void
wait_for(_Atomic(bool) *flag)
{
	while (!load_acquire(flag))
		sleep_ns(MOMENT / 10);
}

/* Passes of all workers. */
static uint64_t
count_runs(void)
{
	struct background_figures f;
	struct mutex_figures control, worst;

	background_gather(&f, &control, &worst);
	return f.num_runs;
}

/* ---- an arena whose memory a worker gives back by a hook that waits to be let go ---- */

static _Atomic(bool) is_in_hook, may_go;
static int rc_of_switch, rc_of_reset, rc_of_epoch;
static bool had_record;
static extent_hooks_t slow_hooks;
static unsigned slow_arena;

static void *
slow_alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena_index)
{
	(void)hooks;
	return ehooks_default.alloc(&ehooks_default, new_addr, size, alignment, zero,
	    commit, arena_index);
}

/* Asks and allocates, as it may. */
static bool
slow_dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
    unsigned arena_index)
{
	bool off = false;
	uint64_t epoch = 1;

	(void)hooks, (void)committed, (void)arena_index;
	store_release(&is_in_hook, true);
	wait_for(&may_go);
	rc_of_switch = WRITE("background_thread", off);
	rc_of_reset = API(mallctl)("stats.mutexes.reset", NULL, NULL, NULL, 0);
	rc_of_epoch = WRITE("epoch", epoch);
	API(free)(API(malloc)(100));
	API(free)(API(malloc)(100000));
	had_record = thread_self != NULL && thread_self != &thread_ended;
	return munmap(addr, size) != 0;
}

/* Workers run, and one is in the hook. */
static void
send_into_hook(void)
{
	ssize_t soon = 50;

	alarm(60);
	store_release(&is_in_hook, false);
	store_release(&may_go, false);
	slow_hooks = (extent_hooks_t){ .alloc = slow_alloc, .dalloc = slow_dalloc };
	slow_arena = new_arena(&slow_hooks, METADATA_ELSEWHERE);
	CHECK_EQ(WRITE(node(slow_arena, "dirty_decay_ms"), soon), 0);
	void *p = API(mallocx)((size_t)8 << 20, FLAGS(slow_arena));
	REQUIRE(p != NULL);
	REQUIRE(background_set(BACKGROUND_ON));
	API(dallocx)(p, FLAGS(slow_arena));
	wait_for(&is_in_hook);
}

static void
let_go(void)
{
	store_release(&may_go, true);
}

static void *
stop_workers(void *unused)
{
	CHECK(background_set(BACKGROUND_OFF));
	return unused;
}

TEST(a_hook_may_ask_and_allocate_while_its_worker_is_stopped)
{
	pthread_t stopper;

	send_into_hook();
	REQUIRE(pthread_create(&stopper, NULL, stop_workers, NULL) == 0);
	sleep_ns(5 * MOMENT);
	let_go();
	pthread_join(stopper, NULL);
	/* It cannot wait for its own end. */
	CHECK_EQ(rc_of_switch, EFAULT);
	CHECK_EQ(rc_of_reset, 0);
	CHECK_EQ(rc_of_epoch, 0);
	CHECK(!had_record);
	CHECK(!background_is_on());
	CHECK_EQ(run(slow_arena, "destroy"), 0);
}

TEST(a_child_may_destroy_the_arena_that_a_worker_was_at_work_on)
{
	if (BUILT_FOR_TSAN)
		SKIP("ThreadSanitizer allows no thread in a child");
	send_into_hook();
	const pid_t child = fork();
	if (child == 0) {
		alarm(60);
		let_go();
		_exit(run(slow_arena, "destroy") != 0);
	}
	int status = -1;
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	let_go();
	CHECK(background_set(BACKGROUND_OFF));
	CHECK_EQ(run(slow_arena, "destroy"), 0);
}

/* ---- those who stop them ---- */

static void *
stop_and_be_cancelled(void *unused)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
	CHECK(background_set(BACKGROUND_OFF));
	pthread_testcancel();
	return unused;
}

TEST(a_cancelled_thread_leaves_no_lock_behind)
{
	pthread_t thread;
	void *result;

	alarm(60);
	REQUIRE(background_set(BACKGROUND_ON));
	REQUIRE(pthread_create(&thread, NULL, stop_and_be_cancelled, NULL) == 0);
	pthread_join(thread, &result);
	CHECK(result == PTHREAD_CANCELED);
	CHECK(background_set(BACKGROUND_ON));
	CHECK(background_set(BACKGROUND_OFF));
}

/* ---- sleep ---- */

#define LARGE ((size_t)1 << 20)

static unsigned
plain_arena(void)
{
	return new_arena(NULL, METADATA_ELSEWHERE);
}

static bool
becomes_clean(unsigned index)
{
	const uint64_t end = os_clock_ns() + 10 * SECOND;

	while (pac_dirty_pages(&arena_get(index)->pac) != 0 && os_clock_ns() < end)
		sleep_ns(MOMENT);
	return pac_dirty_pages(&arena_get(index)->pac) == 0;
}

TEST(a_new_decay_time_wakes_who_sleeps)
{
	const unsigned index = plain_arena();
	ssize_t soon = 100;

	alarm(60);
	set_decay(index, -1, 0);
	REQUIRE(background_set(BACKGROUND_ON));
	API(dallocx)(API(mallocx)(LARGE, FLAGS(index)), FLAGS(index));
	sleep_ns(SECOND / 2);
	CHECK(pac_dirty_pages(&arena_get(index)->pac) != 0);
	CHECK_EQ(WRITE(node(index, "dirty_decay_ms"), soon), 0);
	CHECK(becomes_clean(index));
	CHECK(background_set(BACKGROUND_OFF));
	CHECK_EQ(run(index, "destroy"), 0);
}

TEST(what_comes_after_a_new_decay_time_is_seen)
{
	const unsigned index = plain_arena();
	ssize_t soon = 100;

	alarm(60);
	set_decay(index, -1, 0);
	REQUIRE(background_set(BACKGROUND_ON));
	API(dallocx)(API(mallocx)(LARGE, FLAGS(index)), FLAGS(index));
	sleep_ns(SECOND / 2);
	CHECK_EQ(run(index, "purge"), 0);
	CHECK_EQ(WRITE(node(index, "dirty_decay_ms"), soon), 0);
	API(dallocx)(API(mallocx)(LARGE, FLAGS(index)), FLAGS(index));
	CHECK(becomes_clean(index));
	CHECK(background_set(BACKGROUND_OFF));
	CHECK_EQ(run(index, "destroy"), 0);
}

TEST(pages_that_never_decay_wake_nobody)
{
	const unsigned index = plain_arena();

	alarm(60);
	set_decay(index, -1, 0);
	REQUIRE(background_set(BACKGROUND_ON));
	void *kept = API(mallocx)(LARGE, FLAGS(index));
	API(dallocx)(API(mallocx)(LARGE, FLAGS(index)), FLAGS(index));
	API(dallocx)(kept, FLAGS(index));
	sleep_ns(SECOND / 2);
	const uint64_t before = count_runs();
	for (unsigned i = 0; i < 100; i++) {
		API(dallocx)(API(mallocx)(LARGE, FLAGS(index)), FLAGS(index));
		sleep_ns(MOMENT / 2);
	}
	CHECK(count_runs() - before < 20);
	CHECK(background_set(BACKGROUND_OFF));
	CHECK_EQ(run(index, "destroy"), 0);
}

static void *
use_small_objects(void *barrier)
{
	void *objects[1000];

	for (unsigned i = 0; i < COUNT_OF(objects); i++)
		objects[i] = API(malloc)(i);
	pthread_barrier_wait(barrier);
	for (unsigned i = 0; i < COUNT_OF(objects); i++)
		API(free)(objects[i]);
	return NULL;
}

static bool
has_pooled(void)
{
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL
		    && tcache_pool_ns_until(arena_get(i), 0) != UINT64_MAX)
			return true;
	return false;
}

#define THREADS 40

TEST(threads_that_end_are_seen_to_soon_however_late_pages_decay)
{
	ssize_t late = 1000 * 1000;
	pthread_barrier_t barrier;
	pthread_t threads[THREADS];

	alarm(60);
	REQUIRE(background_set(BACKGROUND_ON));
	for (unsigned i = 0; i < arenas_automatic(); i++)
		if (arena_get(i) != NULL)
			CHECK_EQ(WRITE(node(i, "dirty_decay_ms"), late), 0);
	API(dallocx)(API(mallocx)(64 * LARGE, MALLOCX_TCACHE_NONE), MALLOCX_TCACHE_NONE);
	sleep_ns(SECOND / 2);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, use_small_objects, &barrier)
		    == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	const uint64_t end = os_clock_ns() + 20 * SECOND;
	while (has_pooled() && os_clock_ns() < end)
		sleep_ns(MOMENT);
	CHECK(!has_pooled());
	CHECK(background_set(BACKGROUND_OFF));
}
