/* SPDX-License-Identifier: MIT */
/*
 * background -- are there workers, and does an idle process give its memory back?
 *
 *	background workers THREADS N    after making so many threads there are N workers
 *	background idle                 with a thread made, RSS falls after a peak, without a call
 *	background child N              a fork child has N workers, and its RSS falls with any
 *	background dlopen LIBRARY N     a library that is loaded late has N workers
 */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *
nothing(void *unused)
{
	return unused;
}

static void
make_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) != 0)
		abort();
	pthread_join(thread, NULL);
}

static unsigned
count_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		FILE *file = fopen(path, "r");
		if (file != NULL && fgets(name, sizeof name, file) != NULL)
			n += strcmp(name, "tract_bg\n") == 0;
		if (file != NULL)
			fclose(file);
	}
	closedir(dir);
	return n;
}

/* A worker takes a moment to tell its name; one too many is seen in that time, too. */
static int
has_workers(unsigned wanted)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };

	for (unsigned i = 0; i < 250 && count_workers() != wanted; i++)
		nanosleep(&moment, NULL);
	nanosleep(&moment, NULL);
	printf("%u workers, %u wanted\n", count_workers(), wanted);
	return count_workers() == wanted;
}

static long
resident_kib(void)
{
	long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2)
		abort();
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* stdio's buffer comes from malloc: not a call until the end. */
static int
gives_back(void)
{
	enum { N = 200000, SIZE = 300 };
	static void *objects[N];

	for (unsigned i = 0; i < N; i++)
		memset(objects[i] = malloc(SIZE), 1, SIZE);
	const long peak = resident_kib();
	for (unsigned i = 0; i < N; i++)
		free(objects[i]);
	sleep(4);
	const long idle = resident_kib();
	printf("peak %ld KiB, idle %ld KiB\n", peak, idle);
	return idle < peak / 3;
}

static int
child(unsigned wanted)
{
	int status;

	fflush(stdout);
	const pid_t pid = fork();
	if (pid == 0)
		exit(!(has_workers(wanted) && (wanted == 0 || gives_back())));
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "workers") == 0 && argc == 4) {
		for (int i = atoi(argv[2]); i > 0; i--)
			make_thread();
		return !has_workers((unsigned)atoi(argv[3]));
	}
	if (strcmp(what, "idle") == 0) {
		make_thread();
		return !gives_back();
	}
	if (strcmp(what, "child") == 0 && argc == 3)
		return !child((unsigned)atoi(argv[2]));
	if (strcmp(what, "dlopen") == 0 && argc == 4)
		return dlopen(argv[2], RTLD_NOW) == NULL
		    || !has_workers((unsigned)atoi(argv[3]));
	return 2;
}
