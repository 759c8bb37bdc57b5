/* SPDX-License-Identifier: MIT */
/*
 * spawn -- a command run many times, one after another: what a library costs a process that lives
 * for a moment, and what a real program costs on it.
 *
 * The command gets the library of BENCH_PRELOAD; bench itself runs without it, so that its own
 * memory is nobody's.  Peak and page faults are those of the command and what it waited for.
 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

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

/* Runs the command once; its output is thrown away.  Anything but status 0 ends the bench. */
static void
run_once(char **command, const posix_spawn_file_actions_t *actions)
{
	pid_t child;
	int status;

	if (posix_spawnp(&child, command[0], actions, NULL, command, environ) != 0)
		bench_die("the command cannot be run");
	if (waitpid(child, &status, 0) != child || status != 0)
		bench_die("the command failed");
}

void
spawn_run(size_t times, char **command)
{
	const char *const library = getenv("BENCH_PRELOAD");
	posix_spawn_file_actions_t actions;
	struct rusage used;

	if (library != NULL && library[0] != '\0')
		setenv("LD_PRELOAD", library, 1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	const double start_s = now_s();
	for (size_t i = 0; i < times; i++)
		run_once(command, &actions);
	const double wall_s = now_s() - start_s;
	getrusage(RUSAGE_CHILDREN, &used);
	printf("threads=1 wall_s=%.6f cpu_s=%.6f user_s=%.6f sys_s=%.6f peak_kib=%ld "
	       "minor_faults=%ld\n",
	    wall_s, seconds_of(used.ru_utime) + seconds_of(used.ru_stime),
	    seconds_of(used.ru_utime), seconds_of(used.ru_stime), used.ru_maxrss,
	    used.ru_minflt);
}
