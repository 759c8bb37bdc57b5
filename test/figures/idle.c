/* SPDX-License-Identifier: MIT */
/*
 * idle -- what a thread costs that holds a few small objects and does nothing.
 *
 *	idle		prints the KiB of resident memory by which the process grows for each thread
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 100
#define OBJECTS 40

static pthread_barrier_t held, measured;

static void *
hold(void *number)
{
	uint32_t state = (uint32_t)(uintptr_t)number * 7919;
	char *object[OBJECTS];

	for (int i = 0; i < OBJECTS; i++) {
		state = state * 1103515245 + 12345;
		object[i] = malloc(16 + (state >> 16) % 976);
		if (object[i] == NULL)
			abort();
		*object[i] = 1;
	}
	pthread_barrier_wait(&held);
	pthread_barrier_wait(&measured);
	for (int i = 0; i < OBJECTS; i++)
		free(object[i]);
	return NULL;
}

static double
resident_kib(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

int
main(void)
{
	pthread_t thread[THREADS];

	pthread_barrier_init(&held, NULL, THREADS + 1);
	pthread_barrier_init(&measured, NULL, THREADS + 1);
	const double before = resident_kib();
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, hold, (void *)(i + 1)) != 0)
			return 1;
	pthread_barrier_wait(&held);
	printf("%.1f\n", (resident_kib() - before) / THREADS);
	pthread_barrier_wait(&measured);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
