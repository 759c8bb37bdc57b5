/* SPDX-License-Identifier: MIT */
/*
 * summary -- what `tract run --summary' says after the command has ended.
 *
 * The allocator's own figures come from the library: it finds TRACT_SUMMARY_FD=<n> in its
 * environment, and as its process exits it writes to that descriptor, in one write(2), one
 * line (bytes; ORDER TRACT-SUMMARY: api/exit.c writes what is read here):
 *
 *	pid=N allocated=N active=N resident=N retained=N
 *
 * The descriptor is a memory file opened for appending, so writers never wait for a reader
 * and their lines stay whole, however many processes inherit it.  A process may have closed
 * the number and opened a file of its own under it; the library can tell, because the link
 * /proc/self/fd/<n> of ours reads "/memfd:tract-summary (deleted)".  A process that was
 * killed, that left by _exit (dash does) or that closed the descriptor writes nothing, and
 * that is said too.
 */
#ifndef TRACT_TOOL_SUMMARY_H
#define TRACT_TOOL_SUMMARY_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#define SUMMARY_VARIABLE "TRACT_SUMMARY_FD"
#define SUMMARY_FILE_NAME "tract-summary"

struct summary {
	const char *command; /* Not owned. */
	pid_t pid;
	int wait_status;         /* As wait4 gave it. */
	struct rusage usage;     /* Of the command and the children it waited for. */
	struct timespec started; /* CLOCK_MONOTONIC. */
	struct timespec ended;
	int figures_fd; /* -1: none could be opened.  Owned by who called summary_open. */
};

/* Make the file that the library reports to, and name it in the environment; -1 if that
 * fails. */
int summary_open(void);

/* A memory file of that name, open for appending, at a number that programs leave alone; -1
 * if that fails. */
int summary_memory_file(const char *name);

/* Print the summary to stderr. */
void summary_print(const struct summary *summary);

#endif
