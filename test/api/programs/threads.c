/* SPDX-License-Identifier: MIT */
/*
 * threads -- what threads leave behind.
 *
 *	threads destructors N  N threads, one after another, whose key destructors allocate and free
 *	                       in every round
 *	threads short N        N short threads, eight at a time, that leave some objects to others
 *	threads late N         frees by and to threads that have ended, after the last destructor
 *	threads keys           a thread while no key is left for anybody
 *
 * Prints how much resident memory grew, in KiB, after a warm-up of a tenth of the work;
 * exits with 1 if that is above a MiB.  Threads that run at once leave dirty pages, more or fewer
 * as they happen to overlap; so for `short' these are given back first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_KIB 1024
#define N_KEYS 3
#define N_AT_ONCE_MAX 8

static int n_at_once = N_AT_ONCE_MAX;
static int is_trimmed;
static pthread_key_t keys[N_KEYS];
static _Atomic(void *) handed[64];

static long
resident_kib(void)
{
	char text[256] = "";
	long pages = 0;

	if (is_trimmed)
		malloc_trim(0);
	FILE *file = fopen("/proc/self/statm", "r");

	if (file != NULL && fgets(text, sizeof text, file) != NULL)
		sscanf(text, "%*d %ld", &pages);
	if (file != NULL)
		fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	_exit(2);
}

/* Always one more round: libc gives up after PTHREAD_DESTRUCTOR_ITERATIONS. */
static void
allocate_again(void *value)
{
	for (size_t size = 8; size <= 40000; size += size / 2) {
		char *p = malloc(size);
		if (p == NULL)
			fail("malloc in a destructor");
		memset(p, 1, size);
		free(p);
	}
	/* Only the first round's is an object: nothing is left behind. */
	if (value != keys)
		free(value);
	for (int i = 0; i < N_KEYS; i++)
		if (pthread_getspecific(keys[i]) == NULL)
			pthread_setspecific(keys[i], keys);
}

static void *
with_destructors(void *arg)
{
	for (int i = 0; i < N_KEYS; i++)
		pthread_setspecific(keys[i], malloc(100));
	return arg;
}

static void *
be_short(void *arg)
{
	void *objects[20];

	for (size_t i = 0; i < 20; i++)
		objects[i] = malloc(16 + i * i * 8);
	for (size_t i = 0; i < 19; i++)
		free(objects[i]);
	/* The last outlives its thread. */
	free(atomic_exchange(&handed[(uintptr_t)arg % 64], objects[19]));
	return NULL;
}

/* Freed by a thread when it ends, after all destructors have had their rounds. */
static void
free_late(void *value)
{
	free(atomic_exchange(&handed[0], malloc(300)));
	free(value);
	for (int i = 0; i < 4; i++)
		free(malloc((size_t)1 << (4 * i + 4)));
}

static void *
end_late(void *arg)
{
	pthread_key_t *late = arg;

	pthread_setspecific(*late, malloc(64));
	/* The block of libc's second-level table is freed after the destructors. */
	return strdup("freed by the joiner");
}

static void
run_threads(int n, void *(*body)(void *), void *arg)
{
	pthread_t threads[N_AT_ONCE_MAX];

	for (int done = 0; done < n; done += n_at_once) {
		for (uintptr_t i = 0; i < (uintptr_t)n_at_once; i++)
			if (pthread_create(&threads[i], NULL, body,
				arg != NULL ? arg : (void *)(i + (uintptr_t)done))
			    != 0)
				fail("pthread_create");
		for (int i = 0; i < n_at_once; i++) {
			void *result = NULL;
			pthread_join(threads[i], &result);
			if (arg != NULL)
				free(result);
		}
	}
}

static int
measure(const char *mode, int n, void *(*body)(void *), void *arg)
{
	run_threads(n / 10, body, arg);
	const long before = resident_kib();
	run_threads(n, body, arg);
	const long grown = resident_kib() - before;
	printf("%s: %d threads, %ld KiB grown\n", mode, n, grown);
	return grown > LIMIT_KIB;
}

static void *
without_key(void *arg)
{
	for (int i = 0; i < 100; i++)
		free(malloc((size_t)i * 10));
	return arg;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "short";
	const int n = argc > 2 ? atoi(argv[2]) : 1000;

	if (strcmp(mode, "destructors") == 0) {
		for (int i = 0; i < N_KEYS; i++)
			pthread_key_create(&keys[i], allocate_again);
		n_at_once = 1;
		return measure(mode, n, with_destructors, NULL);
	}
	if (strcmp(mode, "late") == 0) {
		static pthread_key_t late;
		/* Beyond libc's first table, so that its second-level block is allocated
		 * and freed. */
		for (int i = 0; i < 100; i++)
			pthread_key_create(&late, i == 99 ? free_late : NULL);
		return measure(mode, n, end_late, &late);
	}
	if (strcmp(mode, "keys") == 0) {
		pthread_key_t key;
		while (pthread_key_create(&key, NULL) == 0)
			;
		return measure(mode, n, without_key, NULL);
	}
	is_trimmed = 1;
	return measure(mode, n, be_short, NULL);
}
