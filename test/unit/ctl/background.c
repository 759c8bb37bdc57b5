/* SPDX-License-Identifier: MIT */
#include "ctl/background.h"

#include <dirent.h>
#include <pthread.h>

#include "api/names.h"
#include "arena/arena.h"
#include "base/bits.h"
#include "cache/pool.h"
#include "config/options.h"
#include "ctl/pin.h"
#include "ctl/stats.h"
#include "harness/test.h"
#include "os/inject.h"
#include "os/os.h"
#include "os/pages.h"
#include "thread/thread.h"

#define NO_TCACHE (1 << 8)
#define SECOND ((uint64_t)1000 * 1000 * 1000)

static struct background_figures
figures(void)
{
	struct background_figures f;
	struct mutex_figures control, worst;

	background_gather(&f, &control, &worst);
	return f;
}

/* Workers, as the system knows them. */
static unsigned
count_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		if (os_read_file(path, name, sizeof name) != 0)
			n += strcmp(name, "tract_bg\n") == 0;
	}
	closedir(dir);
	return n;
}

static void
sleep_ns(uint64_t ns)
{
	const struct timespec time = { .tv_sec = (time_t)(ns / SECOND),
		.tv_nsec = (long)(ns % SECOND) };

	nanosleep(&time, NULL);
}

static size_t
dirty_pages(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			n += pac_dirty_pages(&arena_get(i)->pac);
	return n;
}

/* A new worker has to tell its name first, and one that was joined is listed a little longer. */
static bool
are_workers(unsigned n)
{
	for (unsigned i = 0; i < 2000 && count_workers() != n; i++)
		sleep_ns(10 * 1000 * 1000);
	return count_workers() == n && figures().num_threads == n;
}

/* Without a call of the allocator. */
static bool
becomes_clean_within(uint64_t ns)
{
	const uint64_t end = os_clock_ns() + ns;

	while (dirty_pages() != 0 && os_clock_ns() < end)
		sleep_ns(10 * 1000 * 1000);
	return dirty_pages() == 0;
}

static void
set_decay_ms(ssize_t ms)
{
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			CHECK(arena_set_decay_ms(arena_get(i), DECAY_DIRTY, ms));
}

static void
free_much(size_t bytes)
{
	void *p = API(mallocx)(bytes, NO_TCACHE);

	REQUIRE(p != NULL);
	memset(p, 1, bytes);
	API(dallocx)(p, NO_TCACHE);
}

TEST(no_worker_runs_unasked)
{
	free_much(1 << 20);
	CHECK(!background_is_on());
	CHECK(are_workers(0));
}

TEST(an_idle_process_gives_its_memory_back)
{
	set_decay_ms(300);
	REQUIRE(background_set(BACKGROUND_ON));
	CHECK(background_is_on());
	CHECK(are_workers((unsigned)min_size(opt.max_background_threads,
	    arenas_automatic())));
	free_much((size_t)64 << 20);
	CHECK(becomes_clean_within(10 * SECOND));
}

TEST(without_work_nobody_wakes_up)
{
	uint64_t before = 0;

	/* The passes that find nothing left are over soon, but on a busy machine. */
	for (unsigned i = 0; i < 10 && figures().num_runs != before; i++) {
		before = figures().num_runs;
		sleep_ns(2 * SECOND);
	}
	CHECK_EQ(figures().num_runs, before);
}

TEST(the_first_work_wakes_who_sleeps_for_ever)
{
	free_much((size_t)8 << 20);
	CHECK(becomes_clean_within(10 * SECOND));
}

TEST(work_that_is_due_earlier_wakes_who_sleeps_long)
{
	set_decay_ms(1000 * 1000);
	free_much((size_t)8 << 20);
	/* The worker sleeps for minutes now. */
	sleep_ns(1500 * 1000 * 1000);
	CHECK(dirty_pages() != 0);
	set_decay_ms(100);
	CHECK(becomes_clean_within(20 * SECOND));
}

TEST(what_is_oversize_is_purged_by_the_worker_and_not_by_who_frees_it)
{
	CHECK(becomes_clean_within(10 * SECOND));
	struct pac *pac = &arena_get(0)->pac;
	const size_t before = pac_oversize_threshold(pac);

	for (unsigned i = 0; i < arenas_automatic(); i++)
		if (arena_get(i) != NULL)
			pac_set_oversize_threshold(&arena_get(i)->pac, (size_t)1 << 20);
	/* The worker must not have begun before this thread looks. */
	set_decay_ms(1000 * 1000);
	free_much((size_t)8 << 20);
	CHECK(dirty_pages() >= ((size_t)8 << 20) / os_page_size);
	set_decay_ms(500);
	CHECK(becomes_clean_within(10 * SECOND));
	for (unsigned i = 0; i < arenas_automatic(); i++)
		if (arena_get(i) != NULL)
			pac_set_oversize_threshold(&arena_get(i)->pac, before);
}

TEST(few_pages_at_a_time_change_the_plan_too)
{
	static void *objects[4096];

	set_decay_ms(10 * 1000);
	free_much(1 << 20);
	sleep_ns(300 * 1000 * 1000);
	for (unsigned i = 0; i < COUNT_OF(objects); i++)
		objects[i] = API(mallocx)(40000, NO_TCACHE);
	const uint64_t before = figures().num_runs;
	for (unsigned i = 0; i < COUNT_OF(objects); i++)
		API(dallocx)(objects[i], NO_TCACHE);
	/* 160 MiB: the first 4 MiB of them go long before the 10 s are over. */
	const uint64_t end = os_clock_ns() + 8 * SECOND;
	while (figures().num_runs == before && os_clock_ns() < end)
		sleep_ns(10 * 1000 * 1000);
	CHECK(figures().num_runs != before);
	set_decay_ms(100);
}

static void *
use_small_objects(void *unused)
{
	void *objects[1000];

	for (unsigned i = 0; i < COUNT_OF(objects); i++)
		objects[i] = API(malloc)(i);
	for (unsigned i = 0; i < COUNT_OF(objects); i++)
		API(free)(objects[i]);
	return unused;
}

TEST(tcaches_of_threads_that_ended_are_emptied)
{
	CHECK(becomes_clean_within(10 * SECOND));
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, use_small_objects, NULL) == 0);
	pthread_join(thread, NULL);
	const uint64_t end = os_clock_ns() + 10 * SECOND;
	bool has_pooled = true;
	while (has_pooled && os_clock_ns() < end) {
		sleep_ns(10 * 1000 * 1000);
		has_pooled = false;
		for (unsigned i = 0; i < arenas_total(); i++)
			if (arena_get(i) != NULL
			    && tcache_pool_ns_until(arena_get(i), 0) != UINT64_MAX)
				has_pooled = true;
	}
	CHECK(!has_pooled);
}

TEST(off_means_that_no_thread_is_left)
{
	REQUIRE(background_set(BACKGROUND_OFF));
	CHECK(!background_is_on() && are_workers(0));
	CHECK(load_relaxed(&arena_delegate) == NULL);
	CHECK(background_set(BACKGROUND_OFF));
}

/* Processes that end soon are spared it. */
TEST(the_first_pass_comes_after_a_second)
{
	CHECK_EQ(API(mallctl)("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	const uint64_t begin = os_clock_ns(), before = figures().num_runs;
	REQUIRE(background_set(BACKGROUND_ON));
	while (figures().num_runs == before && os_clock_ns() < begin + 20 * SECOND)
		sleep_ns(10 * 1000 * 1000);
	CHECK(os_clock_ns() >= begin + SECOND);
	CHECK(figures().num_runs != before);
	REQUIRE(background_set(BACKGROUND_OFF));
}

TEST(the_most_is_obeyed_and_changed_while_they_run)
{
	const unsigned most =
	    (unsigned)min_size(opt.max_background_threads, arenas_automatic());

	CHECK_EQ(background_max(), opt.max_background_threads);
	REQUIRE(background_set(BACKGROUND_ON));
	CHECK(are_workers(most));
	REQUIRE(background_set_max(1));
	CHECK(are_workers(1));
	REQUIRE(background_set_max(opt.max_background_threads));
	CHECK(are_workers(most));
	REQUIRE(background_set(BACKGROUND_OFF));
}

static unsigned n_allowed;

static int
no_threads(const char *what)
{
	if (strcmp(what, "thread") != 0)
		return 0;
	return n_allowed-- == 0 ? EAGAIN : 0;
}

TEST(without_threads_to_be_had_all_goes_on_as_before)
{
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	n_allowed = 0;
	os_inject = no_threads;
	CHECK(!background_set(BACKGROUND_ON));
	CHECK(!background_is_on());
	CHECK(load_relaxed(&arena_delegate) == NULL);
	CHECK_EQ(count_workers(), 0);
	/* One is enough for all arenas. */
	n_allowed = 1;
	CHECK(background_set(BACKGROUND_ON));
	CHECK(are_workers(1));
	os_inject = NULL;
	set_decay_ms(100);
	free_much((size_t)8 << 20);
	CHECK(becomes_clean_within(10 * SECOND));
	CHECK(background_set(BACKGROUND_OFF));
}

/* ---- fork ---- */

static int
status_of(pid_t child)
{
	int status = -1;

	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

TEST(a_child_has_workers_again_when_they_were_asked_for)
{
	if (BUILT_FOR_TSAN)
		SKIP("ThreadSanitizer allows no thread in a child");
	REQUIRE(background_set(BACKGROUND_ON));
	for (unsigned i = 0; i < 20; i++) {
		free_much((size_t)1 << 20);
		const pid_t child = fork();
		if (child == 0) {
			set_decay_ms(100);
			free_much((size_t)16 << 20);
			_exit(background_is_on()
				    && are_workers((unsigned)figures().num_threads)
				    && becomes_clean_within(10 * SECOND)
				    && background_set(BACKGROUND_OFF) && are_workers(0)
				? 0
				: 1);
		}
		CHECK_EQ(status_of(child), 0);
	}
	REQUIRE(background_set(BACKGROUND_OFF));
	const pid_t child = fork();
	if (child == 0)
		_exit(background_is_on() || count_workers() != 0);
	CHECK_EQ(status_of(child), 0);
}

/* ---- at once ---- */

static _Atomic(bool) must_stop;

static void *
free_at_random(void *number)
{
	uint64_t seed = test_seed() + (uintptr_t)number;

	while (!load_relaxed(&must_stop))
		free_much(40000 + test_random_below(&seed, 4 << 20));
	return NULL;
}

static void *
switch_at_random(void *number)
{
	uint64_t seed = test_seed() + (uintptr_t)number;

	for (unsigned i = 0; i < (BUILT_FOR_TSAN ? 100 : 400); i++) {
		switch (test_random_below(&seed, 4)) {
		case 0: CHECK(background_set(BACKGROUND_OFF)); break;
		case 1: CHECK(background_set_max(1 + test_random_below(&seed, 4))); break;
		case 2: arenas_for_each(arena_check_shared); break;
		default: CHECK(background_set(BACKGROUND_ON)); break;
		}
	}
	return NULL;
}

TEST(switching_while_threads_free_at_random)
{
	pthread_t switchers[2], freers[2];

	(void)test_seed();
	set_decay_ms(20);
	for (uintptr_t i = 0; i < 2; i++) {
		REQUIRE(pthread_create(&switchers[i], NULL, switch_at_random, (void *)i)
		    == 0);
		REQUIRE(pthread_create(&freers[i], NULL, free_at_random, (void *)(i + 2))
		    == 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(switchers[i], NULL);
	store_relaxed(&must_stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(freers[i], NULL);
	CHECK(background_set(BACKGROUND_OFF));
	CHECK(are_workers(0));
}
