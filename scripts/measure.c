/* SPDX-License-Identifier: MIT */
/*
 * measure -- run a command and write, to the file given first, its time in microseconds and the
 * largest peak of resident memory, in KiB, of it and of the processes it waited for.
 *
 * Exits like the command.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long
now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int
main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: measure FILE COMMAND [ARGUMENT...]\n");
		return 2;
	}
	const long long start_us = now_us();
	const pid_t child = fork();
	if (child == 0) {
		/* Only the command shall see the library, not this program. */
		const char *library = getenv("MEASURE_PRELOAD");
		if (library != NULL)
			setenv("LD_PRELOAD", library, 1);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child) {
		perror("measure");
		return 2;
	}
	const long long end_us = now_us();
	FILE *file = fopen(argv[1], "w");
	if (file == NULL) {
		perror(argv[1]);
		return 2;
	}
	fprintf(file, "%lld %ld\n", end_us - start_us, usage.ru_maxrss);
	fclose(file);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
