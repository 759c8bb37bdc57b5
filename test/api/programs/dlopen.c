/* SPDX-License-Identifier: MIT */
/*
 * dlopen -- load the library late and unload it again, a hundred times, with threads in it.
 *
 *	dlopen LIBRARY
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_THREADS 4

static void *(*their_malloc)(size_t);
static void (*their_free)(void *);
static atomic_int is_closed;

static void
use(void)
{
	char *objects[100];

	for (size_t i = 0; i < 100; i++) {
		objects[i] = their_malloc(i * i * 20 + 1);
		if (objects[i] == NULL)
			abort();
		memset(objects[i], (int)i, i * i * 20 + 1);
	}
	for (size_t i = 0; i < 100; i++)
		their_free(objects[i]);
}

/* Ends, with the library's destructor for its thread, after dlclose. */
static void *
outlive(void *arg)
{
	use();
	while (!atomic_load(&is_closed))
		;
	use();
	return arg;
}

int
main(int argc, char **argv)
{
	pthread_t threads[N_THREADS];

	if (argc < 2)
		return 2;
	for (int round = 0; round < 100; round++) {
		void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
		if (library == NULL) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		*(void **)&their_malloc = dlsym(library, "malloc");
		*(void **)&their_free = dlsym(library, "free");
		if (their_malloc == NULL || their_malloc == malloc)
			return 3;
		use();
		if (round % 20 == 0) {
			atomic_store(&is_closed, 0);
			for (int i = 0; i < N_THREADS; i++)
				pthread_create(&threads[i], NULL, outlive, NULL);
		}
		if (dlclose(library) != 0)
			return 4;
		if (round % 20 == 0) {
			atomic_store(&is_closed, 1);
			for (int i = 0; i < N_THREADS; i++)
				pthread_join(threads[i], NULL);
		}
	}
	return 0;
}
