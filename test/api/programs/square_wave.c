/* SPDX-License-Identifier: MIT */
/*
 * square_wave -- a load that is high for a while, then low, and so on; and what the process holds.
 *
 *	square_wave plot LOW HIGH HALF_MS WAVES SAMPLE_MS
 *		prints CSV: milliseconds, and KiB live, active, dirty, muzzy, huge, resident
 *	square_wave settles LOW HIGH DECAY_MS WAVES
 *		2 x DECAY_MS after each fall RSS is near what is live, without a call of malloc; a
 *		worker that comes to no processor has some times as long
 *	square_wave waits LOW HIGH DECAY_MS WAVES
 *		only at the next slow calls of malloc it is, and before them it is not
 *
 * LOW and HIGH are MiB of live objects of 16 bytes to 64 KiB, each written to.  A thread of its own
 * has the load; the first thread looks, and allocates nothing: what it reads goes to its stack.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

struct object {
	struct object *next;
	size_t size;
};

enum step { RISE, FALL, TURN_OVER, END };

static atomic_size_t live;
static size_t low, high;
static _Atomic(enum step) wanted;
static atomic_uint n_wanted, n_done;
/* The load's own. */
static struct object *at_low, *above;
static uint64_t seed = 42;

static long
ms_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static long
now_ms(void)
{
	return ms_of(CLOCK_MONOTONIC);
}

/* ---- what the process holds, in KiB ---------------------------------------------------------- */

static size_t
huge(void)
{
	char text[4000];

	read_file("/proc/self/smaps_rollup", text, sizeof text);
	const char *line = strstr(text, "AnonHugePages:");
	return line == NULL ? 0 : strtoul(line + strlen("AnonHugePages:"), NULL, 10);
}

static int (*control)(const char *, void *, size_t *, void *, size_t);

/* 0 where the malloc is another one. */
static size_t
statistic(const char *name)
{
	size_t value = 0, size = sizeof value;

	if (control == NULL || control(name, &value, &size, NULL, 0) != 0)
		return 0;
	return value;
}

static void
sample(long began)
{
	uint64_t epoch = 1;

	if (control != NULL)
		control("epoch", NULL, NULL, &epoch, sizeof epoch);
	const size_t page = statistic("arenas.page");
	char line[200];
	const int n = snprintf(line, sizeof line, "%ld,%zu,%zu,%zu,%zu,%zu,%zu\n",
	    now_ms() - began, atomic_load(&live) / 1024, statistic("stats.active") / 1024,
	    statistic("stats.arenas.4096.pdirty") * page / 1024,
	    statistic("stats.arenas.4096.pmuzzy") * page / 1024, huge(), resident_kib());
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		abort();
}

/* ---- the load -------------------------------------------------------------------------------- */

static size_t
random_size(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	/* Every power of two as likely. */
	const unsigned bits = 4 + seed % 12;
	return ((size_t)1 << bits) + (seed >> 20) % ((size_t)1 << bits);
}

static void
grow(struct object **list, size_t until)
{
	while (atomic_load(&live) < until) {
		struct object *object = malloc(random_size());
		if (object == NULL)
			abort();
		const size_t size = malloc_usable_size(object);
		memset(object, 1, size);
		*object = (struct object){ *list, size };
		*list = object;
		atomic_fetch_add(&live, size);
	}
}

static void
shrink(struct object **list)
{
	struct object *object;

	while ((object = *list) != NULL) {
		*list = object->next;
		atomic_fetch_sub(&live, object->size);
		free(object);
	}
}

/* Calls that no cache of a thread answers, for some tens of milliseconds of the thread's own: on a
 * busy machine it may have none in as many of the clock's. */
static void
turn_over(void)
{
	const long end = ms_of(CLOCK_THREAD_CPUTIME_ID) + 60;

	while (ms_of(CLOCK_THREAD_CPUTIME_ID) < end)
		free(memset(malloc(MIB / 4), 1, 1));
}

static void *
have_load(void *unused)
{
	grow(&at_low, low);
	for (;;) {
		while (atomic_load(&n_wanted) == atomic_load(&n_done))
			sleep_ms(5);
		switch (atomic_load(&wanted)) {
		case RISE: grow(&above, high); break;
		case FALL: shrink(&above); break;
		case TURN_OVER: turn_over(); break;
		case END: return unused;
		}
		atomic_fetch_add(&n_done, 1);
	}
}

static void
ask(enum step step)
{
	atomic_store(&wanted, step);
	atomic_fetch_add(&n_wanted, 1);
}

static void
ask_and_wait(enum step step)
{
	ask(step);
	while (atomic_load(&n_done) != atomic_load(&n_wanted))
		sleep_ms(1);
}

/* ---- what is to be seen ---------------------------------------------------------------------- */

static void
plot(long half_ms, long waves, long sample_ms)
{
	const long began = now_ms();
	long due = 0;

	puts("ms,live,active,dirty,muzzy,huge,resident");
	fflush(stdout);
	for (long half = 0; half < 2 * waves; half++) {
		ask(half % 2 == 0 ? RISE : FALL);
		for (const long end = (half + 1) * half_ms; due < end; due += sample_ms) {
			const long left = began + due - now_ms();
			if (left > 0)
				sleep_ms(left);
			sample(began);
		}
	}
	ask_and_wait(FALL);
}

/* KiB that may be resident: a tenth more than is live, and 4 MiB. */
static size_t
bound(void)
{
	return (atomic_load(&live) + atomic_load(&live) / 10 + 4 * MIB) / 1024;
}

static int
is_within(const char *when)
{
	const size_t now = resident_kib();

	printf("%s: %zu KiB live, %zu resident, at most %zu\n", when,
	    atomic_load(&live) / 1024, now, bound());
	return now <= bound();
}

/* So many times what an idle machine needs: less than the 10 s that pages have by default. */
#define LATE 8

static int
settles(long decay_ms, long waves)
{
	int good = 1;

	for (long i = 0; i < waves; i++) {
		ask_and_wait(RISE);
		ask_and_wait(FALL);
		int settled = 0;
		for (long k = 0; k < LATE && !settled; k++) {
			sleep_ms(2 * decay_ms);
			settled = is_within("idle");
		}
		good &= settled;
	}
	return good;
}

static int
waits(long decay_ms, long waves)
{
	int good = 1;

	for (long i = 0; i < waves; i++) {
		ask_and_wait(RISE);
		ask_and_wait(FALL);
		sleep_ms(2 * decay_ms);
		good &= !is_within("idle");
		ask_and_wait(TURN_OVER);
		good &= is_within("after slow calls");
	}
	return good;
}

int
main(int argc, char **argv)
{
	char buffer[4096];
	pthread_t thread;
	int good = 1;

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	if (argc < 6)
		return 2;
	*(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
	low = strtoul(argv[2], NULL, 10) * MIB;
	high = strtoul(argv[3], NULL, 10) * MIB;
	if (pthread_create(&thread, NULL, have_load, NULL) != 0)
		return 2;
	while (atomic_load(&live) < low)
		sleep_ms(1);
	if (strcmp(argv[1], "plot") == 0 && argc == 7)
		plot(atol(argv[4]), atol(argv[5]), atol(argv[6]));
	else if (strcmp(argv[1], "settles") == 0)
		good = settles(atol(argv[4]), atol(argv[5]));
	else if (strcmp(argv[1], "waits") == 0)
		good = waits(atol(argv[4]), atol(argv[5]));
	else
		good = 0;
	ask(END);
	pthread_join(thread, NULL);
	return !good;
}
