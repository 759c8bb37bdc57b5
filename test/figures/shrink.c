/* SPDX-License-Identifier: MIT */
/*
 * shrink -- what a process keeps of a peak that it has freed.
 *
 *	shrink CASE MIB SECONDS		prints the MiB resident at the peak, when what goes is
 *					freed, and after SECONDS without a call of malloc
 *
 *	scattered	objects of 16..1000 bytes; a random 90 % are freed, in random order
 *	ordered		the same, freed from the first to the last
 *	whole		objects of 16 bytes to 64 KiB; all but the last 1/32 are freed
 *	threaded	the same, in a process that has had another thread
 *
 * The tables come from mmap and count for every library alike.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t state = 88172645463325252u;

static uint32_t
next_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
}

static size_t
random_below(size_t n)
{
	return (size_t)((uint64_t)next_random() * n >> 32);
}

static double
resident_mib(void)
{
	char text[64] = "";
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fgets(text, sizeof text, file) == NULL
	    || sscanf(text, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* One object in eight is large, so that it makes up most of the bytes of a mixed peak. */
static size_t
mixed_size(void)
{
	return random_below(8) == 0 ? 1024 + random_below(63 << 10)
				    : 16 + random_below(985);
}

static char **
fill(size_t bytes, size_t *count, size_t (*size_of)(void))
{
	const size_t most = bytes / 256;
	char **object = mmap(NULL, most * sizeof *object, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n = 0;

	if (object == MAP_FAILED)
		exit(1);
	for (size_t got = 0; got < bytes && n < most; n++) {
		const size_t size = size_of();
		if ((object[n] = malloc(size)) == NULL)
			exit(1);
		memset(object[n], 1, size);
		got += size;
	}
	*count = n;
	return object;
}

static size_t
small_size(void)
{
	return 16 + random_below(985);
}

static void
shuffle(char **object, size_t n)
{
	for (size_t i = n - 1; i > 0; i--) {
		const size_t k = random_below(i + 1);
		char *const other = object[k];
		object[k] = object[i];
		object[i] = other;
	}
}

static void *
nothing(void *arg)
{
	return arg;
}

int
main(int argc, char **argv)
{
	size_t n;

	if (argc != 4)
		return 2;
	const size_t bytes = (size_t)atol(argv[2]) << 20;
	const char *what = argv[1];
	const int is_scattered = strcmp(what, "scattered") == 0,
		  is_small = is_scattered || strcmp(what, "ordered") == 0;
	pthread_t thread;
	if (strcmp(what, "threaded") == 0
	    && (pthread_create(&thread, NULL, nothing, NULL) != 0
		|| pthread_join(thread, NULL) != 0))
		return 1;
	char **object = fill(bytes, &n, is_small ? small_size : mixed_size);
	if (is_scattered)
		shuffle(object, n);
	const double peak = resident_mib();
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < n; i++)
		if (is_small ? is_scattered ? i < n / 10 * 9 : random_below(10) != 0
			     : i < n - n / 32) {
			free(object[i]);
			object[i] = NULL;
		}
	clock_gettime(CLOCK_MONOTONIC, &end);
	const double after = resident_mib();
	sleep((unsigned)atoi(argv[3]));
	printf("%.1f %.1f %.1f\n", peak, after, resident_mib());
	fprintf(stderr, "freed in %.0f ms\n",
	    (double)(end.tv_sec - begin.tv_sec) * 1e3
		+ (double)(end.tv_nsec - begin.tv_nsec) / 1e6);
	return 0;
}
