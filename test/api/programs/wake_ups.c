/* SPDX-License-Identifier: MIT */
/*
 * wake_ups -- how often background workers run in a process that makes no call.
 *
 *	wake_ups idle SECONDS        with nothing to do: never
 *	wake_ups decay MS MIB        while so much decays: as often as its curve needs
 *
 * Counted by the library (stats.background_thread.num_runs), and by the system (voluntary context
 * switches of the worker's thread).
 */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
/* A worker purges when so many pages may go. */
#define PAGES_A_PASS 1024

static int (*control)(const char *, void *, size_t *, void *, size_t);

struct counts {
	uint64_t runs;
	unsigned long switches, workers;
};

static uint64_t
runs(void)
{
	uint64_t epoch = 1, n = 0;
	size_t size = sizeof n;

	if (control("epoch", NULL, NULL, &epoch, sizeof epoch) != 0
	    || control("stats.background_thread.num_runs", &n, &size, NULL, 0) != 0)
		abort();
	return n;
}

/* Of a task, if it is a worker. */
static void
add_task(const char *task, struct counts *counts)
{
	char path[300], line[200];

	snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
	FILE *file = fopen(path, "r");
	if (file == NULL || fgets(line, sizeof line, file) == NULL)
		abort();
	const int is_worker = strcmp(line, "Name:\ttract_bg\n") == 0;
	counts->workers += is_worker;
	while (is_worker && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			counts->switches += strtoul(line + 24, NULL, 10);
	fclose(file);
}

static struct counts
count(void)
{
	struct counts counts = { .runs = runs() };
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			add_task(entry->d_name, &counts);
	closedir(dir);
	return counts;
}

static struct counts
counts_in(unsigned seconds)
{
	const struct counts before = count();

	sleep(seconds);
	struct counts after = count();
	printf("in %u s: %ld runs, %ld voluntary switches of %lu workers\n", seconds,
	    (long)(after.runs - before.runs), (long)(after.switches - before.switches),
	    after.workers);
	after.runs -= before.runs;
	after.switches -= before.switches;
	return after;
}

/* What counting itself left behind has decayed. */
static void
settle(void)
{
	for (unsigned i = 0; i < 20 && counts_in(2).runs != 0; i++)
		continue;
}

static int
idle(unsigned seconds)
{
	settle();
	const struct counts counts = counts_in(seconds);
	return counts.workers != 0 && counts.runs == 0 && counts.switches == 0;
}

static int
decays(unsigned ms, size_t bytes)
{
	ssize_t decay_ms = ms;
	char *p = malloc(bytes);

	if (control("arena.0.dirty_decay_ms", NULL, NULL, &decay_ms, sizeof decay_ms)
	    != 0)
		abort();
	memset(p, 1, bytes);
	settle();
	free(p);
	/* The first pass comes within a second, and the last may be late by its epoch's jitter. */
	const struct counts counts = counts_in(ms / 1000 + 2);
	const unsigned needed =
	    (unsigned)(bytes / (size_t)sysconf(_SC_PAGESIZE)) / PAGES_A_PASS;
	printf("%u passes are needed\n", needed);
	/* Those at the beginning and the end; what counting left takes some, too. */
	return counts.workers != 0 && counts.runs >= needed / 4
	    && counts.runs <= needed + 4
	    && counts.switches <= counts.runs + 4 * counts.workers;
}

int
main(int argc, char **argv)
{
	*(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
	if (control == NULL || argc < 3)
		return 2;
	if (strcmp(argv[1], "idle") == 0)
		return !idle((unsigned)atoi(argv[2]));
	if (strcmp(argv[1], "decay") == 0 && argc == 4)
		return !decays((unsigned)atoi(argv[2]), strtoul(argv[3], NULL, 10) * MIB);
	return 2;
}
