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
#include <fcntl.h>
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
#define MAX_WORKERS 16

static int (*control)(const char *, void *, size_t *, void *, size_t);

struct counts {
	uint64_t runs;
	unsigned long switches, awake;
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

static char workers[MAX_WORKERS][300]; /* their status files */
static unsigned n_workers;

/* Without a call of malloc, which may be a reason to wake up. */
static void
read_status(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY);
	const ssize_t n = read(fd, text, size - 1);

	if (n <= 0)
		abort();
	text[n] = '\0';
	close(fd);
}

static void
find_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL && n_workers < MAX_WORKERS) {
		char *path = workers[n_workers], text[4000];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof workers[0], "/proc/self/task/%s/status",
		    entry->d_name);
		read_status(path, text, sizeof text);
		n_workers += strncmp(text, "Name:\ttract_bg\n", 15) == 0;
	}
	closedir(dir);
}

/* The runs last: asking for them may be a reason to wake up, too. */
static struct counts
count(void)
{
	struct counts counts = { 0 };

	for (unsigned i = 0; i < n_workers; i++) {
		char text[4000];
		read_status(workers[i], text, sizeof text);
		const char *state = strstr(text, "\nState:\t"),
			   *switches = strstr(text, "\nvoluntary_ctxt_switches:");
		counts.awake += state[8] != 'S';
		counts.switches += strtoul(switches + 25, NULL, 10);
	}
	counts.runs = runs();
	return counts;
}

/* One that is about to go to sleep as a time begins has been awake before it. */
static struct counts
count_asleep(void)
{
	struct counts counts;

	for (unsigned i = 0; counts = count(), counts.awake != 0 && i < 100; i++)
		usleep(10 * 1000);
	return counts;
}

static struct counts
counts_in(unsigned seconds)
{
	const struct counts before = count_asleep();

	sleep(seconds);
	struct counts after = count();
	printf("in %u s: %ld runs, %ld voluntary switches of %u workers\n", seconds,
	    (long)(after.runs - before.runs), (long)(after.switches - before.switches),
	    n_workers);
	after.runs -= before.runs;
	after.switches -= before.switches;
	return after;
}

/* What counting itself left behind has decayed: so long nobody runs. */
static void
settle(unsigned seconds)
{
	sleep(1);
	find_workers();
	for (unsigned i = 0; i < 20 && counts_in(seconds).runs != 0; i++)
		continue;
}

static int
idle(unsigned seconds)
{
	settle(2);
	const struct counts counts = counts_in(seconds);
	return n_workers != 0 && counts.runs == 0 && counts.switches == 0;
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
	settle(2 + ms / 2000);
	free(p);
	/* The first pass comes within a second, and the last may be late by its epoch's jitter. */
	const struct counts counts = counts_in(ms / 1000 + 2);
	const unsigned needed =
	    (unsigned)(bytes / (size_t)sysconf(_SC_PAGESIZE)) / PAGES_A_PASS;
	printf("%u passes are needed\n", needed);
	/* Those at the beginning and the end. */
	return n_workers != 0 && counts.runs >= needed / 4 && counts.runs <= needed + 2
	    && counts.switches <= counts.runs + 4 * n_workers;
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
