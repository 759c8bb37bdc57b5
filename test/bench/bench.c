/* SPDX-License-Identifier: MIT */
/*
 * bench -- one binary, many workloads: runs one of them on the malloc that the process
 *has, and prints what it cost.
 *
 *	bench --list
 *	bench WORKLOAD [--threads N] [--scale X] [--seed S] [--idle SECONDS]
 *	bench --spawn TIMES COMMAND [ARG...]
 *
 * Output: one line of key=value words when the workload is over.  With --idle, a second
 *line with the resident memory after SECONDS in which the process calls no function of
 *malloc. Times cover the workload alone: not the start of the process, not its end.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What the process has used so far. */
struct usage {
	double wall_s, user_s, sys_s;
	long minor_faults;
	long peak_kib;
};

static const struct workload *const tables[] = {
	small_workloads,
	mixed_workloads,
	handover_workloads,
	threads_workloads,
	large_workloads,
	peak_workloads,
};

#define NTABLES (sizeof(tables) / sizeof(tables[0]))

/* Set by bench_mark; main thread only. */
static struct usage usage_end;
static int is_marked;

static void
print_line(const char *line, size_t length)
{
	while (length > 0) {
		const ssize_t n = write(STDOUT_FILENO, line, length);

		if (n < 0 && errno != EINTR)
			_exit(1);
		if (n > 0) {
			line += n;
			length -= (size_t)n;
		}
	}
}

/* Reads the number of KiB behind `key' in a file of /proc; -1 if there is none. */
static long
proc_kib(const char *path, const char *key)
{
	char text[8192];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	size_t length = 0;
	ssize_t n;
	while ((n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)n;
	close(fd);
	text[length] = '\0';
	const char *const at = strstr(text, key);
	return at != NULL ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* smaps_rollup counts page tables; the sums of status may be 64 pages a thread behind. */
static long
resident_kib(void)
{
	const long kib = proc_kib("/proc/self/smaps_rollup", "\nRss:");

	return kib >= 0 ? kib : proc_kib("/proc/self/status", "\nVmRSS:");
}

/* Lets the peak begin anew at what is resident now, where the system can. */
static void
reset_peak(void)
{
	const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	const ssize_t ignored = write(fd, "5", 1);
	(void)ignored;
	close(fd);
}

static double
seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct usage
usage_now(void)
{
	struct rusage ru;
	const double wall_s = now_s();

	getrusage(RUSAGE_SELF, &ru);
	const long hwm_kib = proc_kib("/proc/self/status", "\nVmHWM:");
	return (struct usage){
		.wall_s = wall_s,
		.user_s = seconds_of(ru.ru_utime),
		.sys_s = seconds_of(ru.ru_stime),
		.minor_faults = ru.ru_minflt,
		.peak_kib = hwm_kib >= 0 ? hwm_kib : ru.ru_maxrss,
	};
}

void
bench_mark(void)
{
	if (is_marked)
		return;
	usage_end = usage_now();
	is_marked = 1;
}

void
bench_die(const char *why)
{
	char line[256];
	const int length = snprintf(line, sizeof(line), "bench: %s\n", why);
	const ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);

	(void)ignored;
	_exit(1);
}

static void
list_workloads(void)
{
	for (size_t t = 0; t < NTABLES; t++) {
		for (const struct workload *w = tables[t]; w->name != NULL; w++) {
			char line[256];
			const int length =
			    snprintf(line, sizeof(line), "%-20s %-8s %-5s %-7s %s\n",
				w->name, w->flags & THREADED ? "threads" : "-",
				w->flags & PEAK ? "peak" : "-",
				w->flags & MEMORY_ONLY ? "memory" : "-", w->what);

			print_line(line, (size_t)length);
		}
	}
}

static const struct workload *
find_workload(const char *name)
{
	for (size_t t = 0; t < NTABLES; t++) {
		for (const struct workload *w = tables[t]; w->name != NULL; w++) {
			if (strcmp(w->name, name) == 0)
				return w;
		}
	}
	return NULL;
}

static void
run_workload(const struct run *run, double idle_s)
{
	char line[512];

	reset_peak();
	const struct usage start = usage_now();
	run->work->fn(run);
	bench_mark();
	const struct usage *const end = &usage_end;
	int length = snprintf(line, sizeof(line),
	    "name=%s threads=%u scale=%g seed=%llu wall_s=%.6f "
	    "cpu_s=%.6f user_s=%.6f "
	    "sys_s=%.6f peak_kib=%ld minor_faults=%ld end_kib=%ld\n",
	    run->work->name, run->nthreads, run->scale, (unsigned long long)run->seed,
	    end->wall_s - start.wall_s,
	    end->user_s - start.user_s + end->sys_s - start.sys_s,
	    end->user_s - start.user_s, end->sys_s - start.sys_s, end->peak_kib,
	    end->minor_faults - start.minor_faults, resident_kib());
	print_line(line, (size_t)length);
	if (idle_s <= 0)
		return;

	struct timespec left = { .tv_sec = (time_t)idle_s };
	left.tv_nsec = (long)((idle_s - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	length = snprintf(line, sizeof(line), "idle_s=%g idle_kib=%ld\n", idle_s,
	    resident_kib());
	print_line(line, (size_t)length);
}

_Noreturn static void
usage_error(void)
{
	static const char text[] = "usage: bench WORKLOAD [--threads N] [--scale X] "
				   "[--seed S] [--idle SECONDS]\n"
				   "       bench --list\n"
				   "       bench --spawn TIMES COMMAND [ARG...]\n";
	const ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored;
	exit(2);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list_workloads();
		return 0;
	}
	if (argc >= 4 && strcmp(argv[1], "--spawn") == 0) {
		spawn_run((size_t)strtoul(argv[2], NULL, 10), argv + 3);
		return 0;
	}
	if (argc < 2 || argc % 2 != 0)
		usage_error();

	struct run run = {
		.work = find_workload(argv[1]),
		.seed = 1,
		.scale = 1,
		.nthreads = 2,
	};
	double idle_s = 0;
	if (run.work == NULL)
		bench_die("no such workload; see bench --list");
	for (int i = 2; i < argc; i += 2) {
		const char *const value = argv[i + 1];
		char *end;

		if (strcmp(argv[i], "--threads") == 0)
			run.nthreads = (uint32_t)strtoul(value, &end, 10);
		else if (strcmp(argv[i], "--scale") == 0)
			run.scale = strtod(value, &end);
		else if (strcmp(argv[i], "--seed") == 0)
			run.seed = strtoull(value, &end, 10);
		else if (strcmp(argv[i], "--idle") == 0)
			idle_s = strtod(value, &end);
		else
			usage_error();
		if (end == value || *end != '\0')
			usage_error();
	}
	if (run.nthreads < 1 || run.nthreads > 256
	    || !(run.scale > 0 && run.scale <= 1000))
		usage_error();
	if (!(run.work->flags & THREADED))
		run.nthreads = 1;
	run_workload(&run, idle_s);
	return 0;
}
