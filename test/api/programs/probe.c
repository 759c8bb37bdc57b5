/* SPDX-License-Identifier: MIT */
/*
 * probe -- what programs of the kind of folly and RocksDB do to see whether the process's malloc
 * has jemalloc's interface: weak declarations, then a look whether a counter moves at once.
 *
 *	probe		succeeds if it is in use
 *	probe not	succeeds if it is not
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WEAK __attribute__((__weak__))
#define QUIET __attribute__((__nothrow__))

QUIET WEAK void *mallocx(size_t, int);
QUIET WEAK void *rallocx(void *, size_t, int);
QUIET WEAK size_t xallocx(void *, size_t, size_t, int);
QUIET WEAK size_t sallocx(const void *, int);
QUIET WEAK void dallocx(void *, int);
QUIET WEAK void sdallocx(void *, size_t, int);
QUIET WEAK size_t nallocx(size_t, int);
QUIET WEAK int mallctl(const char *, void *, size_t *, void *, size_t);
QUIET WEAK int mallctlnametomib(const char *, size_t *, size_t *);
QUIET WEAK int mallctlbymib(const size_t *, size_t, void *, size_t *, void *, size_t);
WEAK void malloc_stats_print(void (*)(void *, const char *), void *, const char *);
WEAK size_t malloc_usable_size(void *);

/* A volatile read after a malloc(1) whose result is used. */
static bool
counter_moves(const volatile uint64_t *counter)
{
	static void *volatile keep;
	const uint64_t before = *counter;

	keep = malloc(1);
	const bool moved = keep != NULL && *counter != before;
	free(keep);
	return moved;
}

static bool
folly_says_in_use(void)
{
	volatile uint64_t *counter = NULL;
	size_t length = sizeof counter;

	if (mallocx == NULL || rallocx == NULL || xallocx == NULL || sallocx == NULL
	    || dallocx == NULL || sdallocx == NULL || nallocx == NULL || mallctl == NULL
	    || mallctlnametomib == NULL || mallctlbymib == NULL)
		return false;
	if (mallctl("thread.allocatedp", (void *)&counter, &length, NULL, 0) != 0
	    || length != sizeof counter)
		return false;
	return counter_moves(counter);
}

static bool
rocksdb_says_in_use(void)
{
	return folly_says_in_use() && malloc_stats_print != NULL
	    && malloc_usable_size != NULL;
}

/* In a thread that has just begun, too. */
static void *
in_a_thread(void *result)
{
	*(bool *)result = rocksdb_says_in_use();
	return NULL;
}

int
main(int argc, char **argv)
{
	const bool expected = argc == 1;
	bool in_thread = !expected;
	pthread_t thread;

	(void)argv;
	const bool folly = folly_says_in_use(), rocksdb = rocksdb_says_in_use();
	if (pthread_create(&thread, NULL, in_a_thread, &in_thread) != 0)
		return 1;
	pthread_join(thread, NULL);
	printf("folly: %d, rocksdb: %d, in a thread: %d, expected: %d\n", folly, rocksdb,
	    in_thread, expected);
	return folly != expected || rocksdb != expected || in_thread != expected;
}
