/* SPDX-License-Identifier: MIT */
/*
 * shrink -- what a process holds when it has freed most of a peak.
 *
 *	shrink scattered MIB PERCENT
 *		objects of 16 to 1000 bytes, a random nine in ten are freed: without a further
 *		call at most PERCENT of the peak is resident
 *	shrink slowly MIB PERCENT MS
 *		the same after slow calls for so many milliseconds
 *	shrink mixed MIB LEFT MOST MS
 *		objects of 16 bytes to 64 KiB, all but LEFT MiB are freed by who made
 *		them: after MS milliseconds without a call, or some more where a worker is late,
 *		at most MOST MiB are resident
 *	shrink threads N MOST
 *		N idle threads with 40 objects each: at most MOST KiB for each
 *
 * What is counted is what came to be resident since the program began, its tables left out.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "process.h"

#define THREADS_MAX 1000
#define OBJECTS 40

static uint64_t state = 88172645463325252u;
static char **object;
static size_t n_objects;
static pthread_barrier_t barrier;

static size_t
random_below(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (size_t)((state * 0x2545f4914f6cdd1du) >> 32) * n >> 32;
}

static size_t
small_size(void)
{
	return 16 + random_below(985);
}

/* One in eight is large: these are most of the bytes. */
static size_t
mixed_size(void)
{
	return random_below(8) == 0 ? 1024 + random_below(63 << 10) : small_size();
}

static char **
table(size_t n)
{
	void *p = mmap(NULL, n * sizeof(char *), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		exit(2);
	return p;
}

static void
fill(size_t bytes, size_t (*size_of)(void))
{
	const size_t most = bytes / 256;

	for (size_t got = 0; got < bytes && n_objects < most; n_objects++) {
		const size_t size = size_of();
		if ((object[n_objects] = malloc(size)) == NULL)
			exit(2);
		memset(object[n_objects], 1, size);
		got += size;
	}
}

static void
shuffle(void)
{
	for (size_t i = n_objects - 1; i > 0; i--) {
		const size_t k = random_below(i + 1);
		char *const other = object[k];
		object[k] = object[i];
		object[i] = other;
	}
}

static void
free_range(size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		free(object[i]);
}

static int
is_at_most(const char *what, size_t seen, size_t most)
{
	printf("%s: %zu, at most %zu\n", what, seen, most);
	return seen <= most;
}

/* Slow calls of a class of its own, now and then. */
static void
work_for(long ms)
{
	static char *one[4096];

	for (long left = ms; left > 0; left -= 10) {
		for (size_t i = 0; i < sizeof one / sizeof one[0]; i++)
			one[i] = malloc(1200);
		for (size_t i = 0; i < sizeof one / sizeof one[0]; i++)
			free(one[i]);
		sleep_ms(10);
	}
}

static int
scattered(size_t bytes, size_t percent, long ms)
{
	object = table(bytes / 256);
	const size_t before = resident_kib();
	fill(bytes, small_size);
	shuffle();
	const size_t peak = resident_kib() - before;
	free_range(0, n_objects / 10 * 9);
	work_for(ms);
	return is_at_most("KiB", resident_kib() - before, peak * percent / 100);
}

static void *
have_peak(void *arg)
{
	const size_t *bytes = arg;

	fill(bytes[0], mixed_size);
	/* The last ones stay. */
	free_range(0,
	    n_objects
		- (size_t)((double)n_objects / (double)bytes[0] * (double)bytes[1]));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static int
mixed(size_t bytes, size_t left, size_t most, long ms)
{
	size_t of_load[] = { bytes, left };
	pthread_t thread;

	object = table(bytes / 256);
	const size_t before = resident_kib();
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, have_peak, of_load) != 0)
		exit(2);
	pthread_barrier_wait(&barrier);
	int good = 0;
	for (int i = 0; i < 6 && !good; i++) {
		sleep_ms(ms);
		good = is_at_most("KiB", resident_kib() - before, most / 1024);
	}
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	return good;
}

static void *
idle(void *arg)
{
	char *own[OBJECTS];
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < OBJECTS; i++) {
		seed = seed * 1103515245 + 12345;
		own[i] = malloc(16 + (seed >> 16) % 976);
		*(volatile char *)own[i] = 1;
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < OBJECTS; i++)
		free(own[i]);
	return NULL;
}

static int
threads(size_t n, size_t most)
{
	static pthread_t thread[THREADS_MAX];

	free(malloc(100));
	const size_t before = resident_kib();
	pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, idle, (void *)((i + 1) * 7919)) != 0)
			exit(2);
	pthread_barrier_wait(&barrier);
	const int good = is_at_most("KiB a thread", (resident_kib() - before) / n, most);
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	return good;
}

int
main(int argc, char **argv)
{
	const char *what = argv[1];
	size_t n[4] = { 0 };

	for (int i = 0; i < 4 && i + 2 < argc; i++)
		n[i] = strtoul(argv[i + 2], NULL, 10);
	if (argc == 4 && strcmp(what, "scattered") == 0)
		return !scattered(n[0] * MIB, n[1], 0);
	if (argc == 5 && strcmp(what, "slowly") == 0)
		return !scattered(n[0] * MIB, n[1], (long)n[2]);
	if (argc == 6 && strcmp(what, "mixed") == 0)
		return !mixed(n[0] * MIB, n[1] * MIB, n[2] * MIB, (long)n[3]);
	if (argc == 4 && strcmp(what, "threads") == 0 && n[0] <= THREADS_MAX)
		return !threads(n[0], n[1]);
	return 2;
}
