/* SPDX-License-Identifier: MIT */
/*
 * options -- what an option does to a program that knows nothing of it.
 *
 *	options zeroed         new memory is zero, where dirty memory was before
 *	options junked         new memory is full of 0xa5
 *	options poisoned       freed memory is full of 0x5a
 *	options shrinks        realloc(p, 0) gives an object
 *	options frees          realloc(p, 0) frees and gives NULL
 *	options works          allocates and frees in every way
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = { 1, 24, 100, 1000, 3000, 14000, 20000, 32768, 33000,
	200000, 5000000 };

#define COUNT (sizeof(sizes) / sizeof(sizes[0]))

static int
is_full_of(const volatile char *p, size_t size, char value)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != value)
			return 0;
	return 1;
}

/* Dirty memory of that size is free now. */
static void
soil(size_t size)
{
	void *p[20];

	for (int i = 0; i < 20; i++) {
		p[i] = malloc(size);
		if (p[i] == NULL)
			abort();
		memset(p[i], 0xee, malloc_usable_size(p[i]));
	}
	for (int i = 0; i < 20; i++)
		free(p[i]);
}

static int
all_new_are(char value)
{
	int is_good = 1;

	for (size_t i = 0; i < COUNT; i++) {
		soil(sizes[i]);
		char *p = malloc(sizes[i]), *z = calloc(1, sizes[i]);
		char *a = aligned_alloc(64, sizes[i]);
		if (p == NULL || z == NULL || a == NULL)
			return 0;
		is_good &= is_full_of(p, malloc_usable_size(p), value);
		is_good &= is_full_of(a, malloc_usable_size(a), value);
		is_good &= is_full_of(z, sizes[i], 0);
		free(p);
		free(z);
		free(a);
	}
	return is_good;
}

/* Reads what it has freed: small slabs are still there. */
static int
all_freed_are(char value)
{
	int is_good = 1;

	for (size_t i = 0; sizes[i] < 1000; i++) {
		char *volatile p = malloc(sizes[i]);
		const size_t size = malloc_usable_size(p);
		memset(p, 1, size);
		free(p);
		/* Behind the link of a list of free objects. */
		is_good &= size <= 16 || is_full_of(p + 16, size - 16, value);
	}
	return is_good;
}

static int
is_shrunk_by_zero(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		void *p = realloc(malloc(sizes[i]), 0);
		if (p == NULL)
			return 0;
		free(p);
	}
	return 1;
}

static int
is_freed_by_zero(void)
{
	for (size_t i = 0; i < COUNT; i++)
		if (realloc(malloc(sizes[i]), 0) != NULL)
			return 0;
	return 1;
}

static void *
churn(void *seed)
{
	uint64_t random = (uintptr_t)seed * 77 + 1;
	char *object[300] = { NULL };
	size_t size[300] = { 0 };
	uintptr_t is_good = 1;

	for (int n = 0; n < 30000; n++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		const unsigned i = (unsigned)(random >> 33) % 300;
		const size_t new_size =
		    1 + (random >> 45) % (n % 100 == 0 ? 300000 : 3000);
		if (object[i] != NULL && object[i][size[i] - 1] != (char)i)
			is_good = 0;
		switch (n % 3) {
		case 0:
			free(object[i]);
			object[i] = malloc(new_size);
			break;
		case 1:
			free(object[i]);
			object[i] = calloc(new_size, 1);
			break;
		default: object[i] = realloc(object[i], new_size); break;
		}
		if (object[i] == NULL)
			return NULL;
		size[i] = new_size;
		object[i][0] = object[i][new_size - 1] = (char)i;
	}
	for (int i = 0; i < 300; i++)
		free(object[i]);
	return (void *)is_good;
}

static int
does_work(void)
{
	pthread_t thread[4];
	int n_good = 0;

	for (uintptr_t i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, churn, (void *)i) != 0)
			return 0;
	for (int i = 0; i < 4; i++) {
		void *is_good = NULL;
		pthread_join(thread[i], &is_good);
		n_good += is_good != NULL;
	}
	return n_good == 4 && churn((void *)(uintptr_t)4) != NULL;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "zeroed") == 0)
		return !all_new_are(0);
	if (strcmp(mode, "junked") == 0)
		return !all_new_are((char)0xa5);
	if (strcmp(mode, "poisoned") == 0)
		return !all_freed_are(0x5a);
	if (strcmp(mode, "shrinks") == 0)
		return !is_shrunk_by_zero();
	if (strcmp(mode, "frees") == 0)
		return !is_freed_by_zero();
	if (strcmp(mode, "works") == 0)
		return !does_work();
	return 2;
}
