/* SPDX-License-Identifier: MIT */
/*
 * A refresh of all statistics costs little, and stops nobody: 64 arenas, 64 threads.
 */
#include <pthread.h>
#include <tract/tract.h>

#include "harness/test.h"
#include "base/attr.h"
#include "tract_config.h"

#define N 64
#define OBJECTS 2000
/* Milliseconds of processor time. */
#define BAR_MS 20.0

const char *t_malloc_conf = "narenas:64,oversize_threshold:32m";

static pthread_barrier_t barrier;
static _Atomic(bool) is_over;
static _Atomic(uint64_t) n_calls[N];

/* Objects of all small classes and some large ones, in an arena of its own. */
static void *
work(void *arg)
{
	const unsigned index = (unsigned)(uintptr_t)arg;
	uint64_t state = index + 1;
	void **objects = calloc(OBJECTS, sizeof *objects);
	unsigned arena = index;

	CHECK_EQ(t_mallctl("thread.arena", NULL, NULL, &arena, sizeof arena), 0);
	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i] = t_malloc(test_random_below(&state, (size_t)16 << i % 11));
	pthread_barrier_wait(&barrier); /* All is quiet now; */
	pthread_barrier_wait(&barrier); /* and here no more. */
	for (unsigned calls = 1; !is_over; calls++) {
		if (calls % 64 == 0)
			usleep(1000); /* Two processors may have to do for all. */
		const size_t i = test_random_below(&state, OBJECTS);
		t_free(objects[i]);
		objects[i] = t_malloc(test_random_below(&state, (size_t)16 << i % 11));
		atomic_fetch_add_explicit(&n_calls[index], 1, memory_order_relaxed);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		t_free(objects[i]);
	free(objects);
	return NULL;
}

static double
cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The least of some refreshes: what else the machine does only adds. */
static double
least_refresh_ms(void)
{
	double least = 1e9;

	for (unsigned i = 0; i < 7; i++) {
		uint64_t any = 0;
		const double before = cpu_ms();
		CHECK_EQ(t_mallctl("epoch", NULL, NULL, &any, sizeof any), 0);
		const double took = cpu_ms() - before;
		least = took < least ? took : least;
	}
	return least;
}

TEST(a_refresh_of_many_arenas_is_cheap_and_stops_nobody)
{
	pthread_t threads[N];
	unsigned narenas = 0;
	uint64_t any = 0;

	REQUIRE(pthread_barrier_init(&barrier, NULL, N + 1) == 0);
	for (uintptr_t i = 0; i < N; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(t_mallctl("arenas.narenas", &narenas, &(size_t){ sizeof narenas }, NULL,
		     0),
	    0);
	CHECK(narenas >= N);
	const double quiet = least_refresh_ms();
	unsigned nthreads = 0;
	CHECK_EQ(t_mallctl("stats.arenas.4096.nthreads", &nthreads,
		     &(size_t){ sizeof nthreads }, NULL, 0),
	    0);
	CHECK(nthreads >= N);
	pthread_barrier_wait(&barrier);
	const double busy = least_refresh_ms();
	/* Others go on while somebody asks all the time. */
	uint64_t before[N];
	for (unsigned i = 0; i < N; i++)
		before[i] = n_calls[i];
	const time_t end = time(NULL) + 30;
	unsigned progressed = 0;
	while (progressed < N && time(NULL) < end) {
		CHECK_EQ(t_mallctl("epoch", NULL, NULL, &any, sizeof any), 0);
		while (progressed < N && n_calls[progressed] != before[progressed])
			progressed++;
	}
	CHECK_EQ(progressed, N);
	is_over = true;
	for (unsigned i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	printf("# %.2f ms of processor time quiet, %.2f ms busy\n", quiet, busy);
	/* Builds that check everything may take longer. */
	if (!CONFIG_DEBUG && !CONFIG_HOSTILE && !BUILT_FOR_TSAN) {
		CHECK(quiet < BAR_MS);
		CHECK(busy < BAR_MS);
	}
}

/* It comes with the first such object, behind the automatic ones. */
TEST(the_arena_of_oversize_objects_has_a_name)
{
	void *p = t_malloc((size_t)32 << 20);
	unsigned index = 0;
	char name[32] = "", *at = name, node[64];

	CHECK_EQ(t_mallctl("arenas.lookup", &index, &(size_t){ sizeof index }, &p,
		     sizeof p),
	    0);
	CHECK_EQ(index, N);
	snprintf(node, sizeof node, "arena.%u.name", index);
	CHECK_EQ(t_mallctl(node, &at, &(size_t){ sizeof at }, NULL, 0), 0);
	CHECK_STR(name, "auto_oversize");
	t_free(p);
	p = t_malloc((size_t)16 << 20);
	CHECK_EQ(t_mallctl("arenas.lookup", &index, &(size_t){ sizeof index }, &p,
		     sizeof p),
	    0);
	CHECK(index < N);
	t_free(p);
}

TEST(who_names_an_arena_gets_that_one_for_oversize_objects_too)
{
	unsigned index = 1;
	const int flags = MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE;
	void *p = t_mallocx((size_t)64 << 20, flags);

	REQUIRE(p != NULL);
	CHECK_EQ(t_mallctl("arenas.lookup", &index, &(size_t){ sizeof index }, &p,
		     sizeof p),
	    0);
	CHECK_EQ(index, 0);
	t_dallocx(p, flags);
}
