/* SPDX-License-Identifier: MIT */
/*
 * faults -- print how many page faults a command takes, at least, in a few runs.
 *
 *	faults LIBRARY COMMAND [ARGUMENT...]		with LIBRARY preloaded
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where libraries lie changes from run to run, and with it which pages they share. */
#define RUNS 50

/* -1: the command failed. */
static long
faults_of(char **argv)
{
	struct rusage usage;
	int status;
	const pid_t child = fork();

	if (child == 0) {
		setenv("LD_PRELOAD", argv[1], 1);
		if (freopen("/dev/null", "w", stdout) != NULL)
			execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0)
		return -1;
	return usage.ru_minflt;
}

int
main(int argc, char **argv)
{
	long least = -1;

	if (argc < 3)
		return 2;
	for (int run = 0; run < RUNS; run++) {
		const long n = faults_of(argv);
		if (n < 0)
			return 1;
		if (least < 0 || n < least)
			least = n;
	}
	printf("%ld\n", least);
	return 0;
}
