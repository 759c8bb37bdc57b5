/* SPDX-License-Identifier: MIT */
/*
 * icount -- count the instructions that a call retires in the preloaded library, and what it calls.
 *
 *	icount LIBRARY
 *
 * The parent single-steps a child, on which the library is preloaded, between two traps, and counts
 * every instruction outside the child's own program: `ret' included, the program's own calls not.
 * The count is exact and the same in each run; it measures no time.  One test a figure: "ok" where
 * it is at most its bar.  x86-64 Linux.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS 2000
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define TRAP() __asm__ volatile("int3" ::: "memory")

/* Through pointers, so that no compiler knows what they are. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void (*volatile do_free)(void *) = free;

static void *object[2 * OBJECTS];
static void *kept[40];
static atomic_int is_ready;

/* ---- the child: what is measured ----------------------------------------------------------- */

static void
allocate(unsigned first, unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		*(char *)(object[first + i] = do_malloc(size)) = 1;
}

static void
release(unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		do_free(object[first + i]);
}

/* To a steady state: a few times up and down, and some objects stay. */
static void
warm(size_t size)
{
	for (int round = 0; round < 4; round++) {
		allocate(0, 2 * OBJECTS, size);
		release(0, 2 * OBJECTS);
	}
	for (unsigned i = 0; i < COUNT_OF(kept); i++)
		kept[i] = do_malloc(size);
}

static void
first(size_t size)
{
	TRAP();
	kept[0] = do_malloc(size);
	TRAP();
}

static void
one_malloc(size_t size)
{
	warm(size);
	do_free(do_malloc(size));
	do_free(do_malloc(size));
	TRAP();
	kept[0] = do_malloc(size);
	TRAP();
}

static void
one_free(size_t size)
{
	warm(size);
	do_free(do_malloc(size));
	void *p = do_malloc(size);
	TRAP();
	do_free(p);
	TRAP();
}

static void
pair(size_t size)
{
	warm(size);
	do_free(do_malloc(size));
	TRAP();
	do_free(do_malloc(size));
	TRAP();
}

/* One after the other: what a single call costs depends on how many regions its slab has free. */
static void
pairs(size_t size)
{
	warm(size);
	TRAP();
	for (unsigned i = 0; i < OBJECTS; i++)
		do_free(do_malloc(size));
	TRAP();
}

static void
one_calloc(size_t size)
{
	warm(size);
	do_free(do_malloc(size));
	TRAP();
	kept[0] = do_calloc(1, size);
	TRAP();
}

/* One byte less: the class stays. */
static void
one_realloc(size_t size)
{
	warm(size);
	void *p = do_malloc(size);
	TRAP();
	kept[0] = do_realloc(p, size - 1);
	TRAP();
}

static void
malloc_burst(size_t size)
{
	warm(size);
	TRAP();
	for (unsigned i = 0; i < OBJECTS; i++)
		object[i] = do_malloc(size);
	TRAP();
}

static void
free_burst(size_t size)
{
	warm(size);
	allocate(0, OBJECTS, size);
	TRAP();
	release(0, OBJECTS);
	TRAP();
}

static void *
produce(void *size)
{
	allocate(0, 2 * OBJECTS, *(size_t *)size);
	atomic_store(&is_ready, 1);
	for (;;)
		pause();
	return NULL;
}

/* Another thread's objects; the first half of them warms up. */
static void
remote(size_t size)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, produce, &size) != 0)
		exit(1);
	while (!atomic_load(&is_ready))
		usleep(1000);
	release(0, OBJECTS);
	TRAP();
	release(OBJECTS, OBJECTS);
	TRAP();
}

static void *
consume(void *unused)
{
	release(0, OBJECTS);
	return unused;
}

/* Own objects that another thread freed: what a malloc costs that takes them in again. */
static void
taken_back(size_t size)
{
	pthread_t thread;

	warm(size);
	for (unsigned round = 0; round < 2; round++) {
		allocate(0, OBJECTS, size);
		if (pthread_create(&thread, NULL, consume, NULL) != 0)
			exit(1);
		pthread_join(thread, NULL);
	}
	TRAP();
	for (unsigned i = 0; i < OBJECTS; i++)
		object[i] = do_malloc(size);
	TRAP();
}

static const struct figure {
	const char *name;
	void (*run)(size_t size);
	size_t size;
	unsigned per; /* objects that share the count */
	long bar;     /* instructions an object */
} figures[] = {
	{ "malloc", one_malloc, 16, 1, 15 },
	{ "malloc", one_malloc, 64, 1, 15 },
	{ "malloc", one_malloc, 200, 1, 15 },
	{ "malloc", one_malloc, 1000, 1, 15 },
	{ "malloc", one_malloc, 1500, 1, 25 },
	{ "malloc", one_malloc, 100000, 1, 120 },
	{ "free", one_free, 16, 1, 18 },
	{ "free", one_free, 64, 1, 18 },
	{ "free", one_free, 1000, 1, 18 },
	{ "free", one_free, 100000, 1, 120 },
	{ "malloc and free", pair, 64, 1, 31 },
	{ "malloc and free, many times", pairs, 64, OBJECTS, 33 },
	{ "malloc and free, many times", pairs, 20000, OBJECTS, 65 },
	{ "calloc", one_calloc, 64, 1, 30 },
	{ "realloc in its class", one_realloc, 64, 1, 24 },
	{ "malloc in a burst", malloc_burst, 64, OBJECTS, 20 },
	{ "free in a burst", free_burst, 64, OBJECTS, 20 },
	{ "free by another thread", remote, 64, OBJECTS, 35 },
	{ "malloc of what came back", taken_back, 64, OBJECTS, 25 },
	{ "the first malloc of all", first, 64, 1, 7000 },
};

/* ---- the parent ---------------------------------------------------------------------------- */

/* Where the code of the program itself lies in the child. */
static int
find_program(pid_t child, const char *program, unsigned long *start, unsigned long *end)
{
	char line[4400], path[4096], flags[8];
	int is_found = 0;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)child);
	FILE *maps = fopen(line, "r");
	while (maps != NULL && !is_found && fgets(line, sizeof(line), maps) != NULL)
		is_found = sscanf(line, "%lx-%lx %7s %*s %*s %*s %4095s", start, end,
			       flags, path)
			== 4
		    && flags[2] == 'x' && strcmp(path, program) == 0;
	if (maps != NULL)
		fclose(maps);
	return is_found;
}

/* Wait for the child's next stop by a trap; 0: it ended, or stopped for another reason. */
static int
wait_trap(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && WIFSTOPPED(status)
	    && WSTOPSIG(status) == SIGTRAP;
}

static long
step_to_trap(pid_t child, unsigned long start, unsigned long end)
{
	struct user_regs_struct registers;
	long n = 0;

	while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 && wait_trap(child)) {
		ptrace(PTRACE_GETREGS, child, NULL, &registers);
		if (registers.rip < start || registers.rip >= end)
			n++;
		else if ((ptrace(PTRACE_PEEKTEXT, child, registers.rip, NULL) & 0xff)
		    == 0xcc)
			return n;
	}
	return -1;
}

/* Instructions between the figure's traps; -1: something went wrong. */
static long
count(const char *program, const char *library, unsigned figure)
{
	char number[16];
	unsigned long start, end;
	long n = -1;

	snprintf(number, sizeof(number), "%u", figure);
	const pid_t child = fork();
	if (child < 0)
		return -1;
	if (child == 0) {
		setenv("LD_PRELOAD", library, 1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(program, program, "--figure", number, (char *)NULL);
		_exit(127);
	}
	if (wait_trap(child) && ptrace(PTRACE_CONT, child, NULL, NULL) == 0
	    && wait_trap(child) && find_program(child, program, &start, &end))
		n = step_to_trap(child, start, end);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return n;
}

int
main(int argc, char **argv)
{
	char program[4096] = "";
	int n_failed = 0;

	if (argc == 3 && strcmp(argv[1], "--figure") == 0) {
		const struct figure *f = &figures[strtoul(argv[2], NULL, 10)];
		f->run(f->size);
		return 0;
	}
	if (argc != 2 || readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		return 2;
	for (unsigned i = 0; i < COUNT_OF(figures); i++) {
		const struct figure *f = &figures[i];
		const long n = count(program, argv[1], i);
		const int is_good = n > 0 && n <= f->bar * f->per;
		printf("%s %s, %zu bytes: %.1f instructions, at most %ld\n",
		    is_good ? "ok" : "not ok", f->name, f->size, (double)n / f->per,
		    f->bar);
		fflush(stdout);
		n_failed += !is_good;
	}
	return n_failed != 0;
}
