/* SPDX-License-Identifier: MIT */
/*
 * static -- a program for fully static linking that uses what only glibc's malloc has.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *
churn(void *arg)
{
	for (size_t i = 1; i < 2000; i++)
		free(realloc(malloc(i), 2 * i));
	return arg;
}

int
main(void)
{
	pthread_t thread;
	int status = 1;
	void *objects[1000];

	for (size_t i = 0; i < 1000; i++)
		objects[i] = strdup("an object of the library");
#if defined __GLIBC__
	struct mallinfo2 info = mallinfo2();
	if (info.uordblks + info.hblkhd < 1000 * 24) {
		printf("mallinfo2 knows of %zu bytes\n", (size_t)info.uordblks);
		return 1;
	}
	(void)malloc_trim(0);
	if (mallopt(M_ARENA_MAX, 1) != 1)
		return 2;
	free(memalign(64, 100));
	free(pvalloc(100));
#endif
	for (size_t i = 0; i < 1000; i++)
		free(objects[i]);
	if (malloc_usable_size(objects[0] = malloc(100)) != 112) {
		printf("another malloc: 100 bytes have %zu\n",
		    malloc_usable_size(objects[0]));
		return 3;
	}
	pthread_create(&thread, NULL, churn, NULL);
	churn(NULL);
	pthread_join(thread, NULL);
	pid_t child = fork();
	if (child == 0) {
		churn(NULL);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status != 0 ? 4 : 0;
}
