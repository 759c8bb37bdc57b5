/* SPDX-License-Identifier: MIT */
/*
 * huge -- random access over many small objects: what huge pages are worth.
 *
 *	huge MIB SETTLE_SECONDS STEPS SEED
 *
 * Fills so many MiB with objects of 64 bytes to 4 KiB, every size equally likely, and links them in
 * an order of its own, one big ring.  Then it goes on for a while as programs do, with a few
 * objects that come and go, and at last walks the ring: each step is a load from anywhere.
 * Prints key=value words: seconds of filling, nanoseconds a step, KiB resident, in huge pages, and
 * at the peak.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MIN 64
#define SIZE_MAX_ 4096

static uint64_t state;

static uint64_t
draw(uint64_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint64_t)(((unsigned __int128)(state * 2685821657736338717u) * below)
	    >> 64);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* KiB of a line of a file in /proc/self; 0: there is none. */
static unsigned long
figure(const char *path, const char *name)
{
	static char text[65536];
	const int fd = open(path, O_RDONLY);
	const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	const char *line = strstr(text, name);
	return line == NULL ? 0 : strtoul(line + strlen(name), NULL, 10);
}

/* The table lies outside of the library under test. */
static size_t
fill(void ***objects, size_t bytes)
{
	const size_t most = bytes / SIZE_MIN;
	size_t n = 0;

	*objects = mmap(NULL, most * sizeof **objects, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (*objects == MAP_FAILED)
		exit(2);
	for (size_t sum = 0; sum < bytes; n++) {
		const size_t size = SIZE_MIN + draw(SIZE_MAX_ - SIZE_MIN + 1);
		void *p = malloc(size);
		if (p == NULL)
			exit(2);
		memset(p, 1, size);
		(*objects)[n] = p;
		sum += size;
	}
	return n;
}

static void *
link_in_random_order(void **objects, size_t n)
{
	for (size_t i = n - 1; i > 0; i--) {
		const size_t k = draw(i + 1);
		void *p = objects[i];
		objects[i] = objects[k];
		objects[k] = p;
	}
	for (size_t i = 0; i < n; i++)
		*(void **)objects[i] = objects[(i + 1) % n];
	return objects[0];
}

/* Work of no size: what it frees and allocates is counted in kilobytes. */
static void
settle(double seconds)
{
	const struct timespec pause = { 0, 1000000 };
	const double end = now() + seconds;

	while (now() < end) {
		void *some[100];
		for (unsigned i = 0; i < 100; i++)
			some[i] = malloc(1000 + i);
		for (unsigned i = 0; i < 100; i++)
			free(some[i]);
		free(malloc(40000));
		nanosleep(&pause, NULL);
	}
}

int
main(int argc, char **argv)
{
	void **objects;

	if (argc != 5)
		return 2;
	const size_t bytes = (size_t)strtoull(argv[1], NULL, 10) << 20;
	const size_t steps = (size_t)strtoull(argv[3], NULL, 10);
	state = strtoull(argv[4], NULL, 10) * 2 + 1;
	const double start = now();
	const size_t n = fill(&objects, bytes);
	const double filled = now();
	void *p = link_in_random_order(objects, n);
	munmap(objects, bytes / SIZE_MIN * sizeof *objects);
	settle(strtod(argv[2], NULL));
	const double begin = now();
	for (size_t i = 0; i < steps; i++)
		p = *(void *volatile *)p;
	const double end = now();
	printf("objects=%zu fill_s=%.3f step_ns=%.2f rss_kib=%lu huge_kib=%lu "
	       "peak_kib=%lu%s\n",
	    n, filled - start, (end - begin) * 1e9 / (double)steps,
	    figure("/proc/self/status", "VmRSS:"),
	    figure("/proc/self/smaps_rollup", "AnonHugePages:"),
	    figure("/proc/self/status", "VmHWM:"), p == NULL ? "?" : "");
	return 0;
}
