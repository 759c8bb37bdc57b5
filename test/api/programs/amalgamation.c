/* SPDX-License-Identifier: MIT */
/*
 * amalgamation -- two copies of tract and libc's malloc in one process.
 *
 * Compiled three times: with COPY naming the table through which main reaches a copy (and
 * TRACT_PREFIX its prefix), and without, for main.  The environment must have
 * FOO_MALLOC_CONF=narenas:3, BAR_MALLOC_CONF=narenas:5 and MALLOC_CONF=narenas:7.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct copy {
	void *(*malloc)(size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	void *(*mallocx)(size_t, int);
	size_t (*usable)(void *);
};

#ifdef COPY
#include "tract.h"

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define NAME(name) JOINED(TRACT_PREFIX, name)

const struct copy COPY = { NAME(malloc), NAME(realloc), NAME(free), NAME(mallctl),
	NAME(mallocx), NAME(malloc_usable_size) };

#else

extern const struct copy foo, bar;

/* Of the program, for one copy; stronger than that copy's own weak variable. */
extern const char *foo_malloc_conf;
const char *foo_malloc_conf = "tcache:true,dirty_decay_ms:4321";

static const struct copy libc = { malloc, realloc, free, NULL, NULL, NULL };

#define REQUIRE(e) \
	do { \
		if (!(e)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #e); \
			_exit(1); \
		} \
	} while (0)

static size_t
number(const struct copy *copy, const char *name, size_t size)
{
	uint64_t value = 0;
	size_t length = size;

	if (copy->mallctl(name, &value, &length, NULL, 0) != 0)
		printf("%s cannot be read\n", name);
	return (size_t)value;
}

static bool
owns(const struct copy *copy, void *p)
{
	unsigned arena;
	size_t length = sizeof arena;

	return copy->mallctl("arenas.lookup", &arena, &length, &p, sizeof p) == 0;
}

static void
check_options(void)
{
	REQUIRE(number(&foo, "opt.narenas", sizeof(unsigned)) == 3);
	REQUIRE(number(&bar, "opt.narenas", sizeof(unsigned)) == 5);
	REQUIRE(number(&foo, "opt.dirty_decay_ms", sizeof(ssize_t)) == 4321);
	REQUIRE(number(&bar, "opt.dirty_decay_ms", sizeof(ssize_t)) != 4321);
}

/* Nobody knows the others' objects, and counts only his own. */
static void
check_apart(void)
{
	const uint64_t before = number(&bar, "thread.allocated", sizeof(uint64_t));
	void *a = foo.malloc(1000);
	void *b = bar.malloc(1000);
	void *c = malloc(1000);

	REQUIRE(a != NULL && b != NULL && c != NULL);
	REQUIRE(owns(&foo, a) && !owns(&foo, b) && !owns(&foo, c));
	REQUIRE(!owns(&bar, a) && owns(&bar, b) && !owns(&bar, c));
	REQUIRE(foo.usable(a) == 1024 && bar.usable(b) == 1024);
	for (int i = 0; i < 10; i++)
		foo.free(foo.malloc(100));
	REQUIRE(number(&bar, "thread.allocated", sizeof(uint64_t)) - before == 1024);
	foo.free(a);
	bar.free(b);
	free(c);
}

enum { SLOTS = 512, ROUNDS = 40000, THREADS = 4 };

static _Atomic(unsigned char *) slots[3][SLOTS];

/* Objects of all three, handed from thread to thread, each with its length and a pattern. */
static void *
exchange(void *arg)
{
	static const struct copy *const copies[] = { &foo, &bar, &libc };
	uint32_t random = 12345u + (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1664525u + 1013904223u;
		const unsigned which = random % 3;
		const size_t size =
		    8 + (random >> 8) % (random >> 28 == 0 ? 100000 : 500);
		unsigned char *p = copies[which]->malloc(size);
		REQUIRE(p != NULL);
		memset(p, (int)(size & 0xff), size);
		memcpy(p, &size, sizeof size);
		p = atomic_exchange(&slots[which][random % SLOTS], p);
		if (p == NULL)
			continue;
		size_t former;
		memcpy(&former, p, sizeof former);
		REQUIRE(former == 8 || p[former - 1] == (former & 0xff));
		p = copies[which]->realloc(p, former + 100);
		REQUIRE(p != NULL && (former == 8 || p[former - 1] == (former & 0xff)));
		copies[which]->free(p);
	}
	return NULL;
}

static void
check_threads(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, exchange, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* A fork while the others run; the child uses all three. */
static void
check_fork(void)
{
	pthread_t threads[THREADS];
	int status;

	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, exchange, (void *)i) == 0);
	for (int i = 0; i < 10; i++) {
		const pid_t child = fork();
		if (child == 0) {
			memset(slots, 0, sizeof slots);
			exchange((void *)77);
			check_apart();
			check_options();
			_exit(0);
		}
		REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int
main(void)
{
	check_options();
	check_apart();
	check_threads();
	check_fork();
	/* With mallocx, the flags of either. */
	REQUIRE((uintptr_t)foo.mallocx(100, 12) % 4096 == 0);
	REQUIRE((uintptr_t)bar.mallocx(100, 12) % 4096 == 0);
	return 0;
}

#endif
