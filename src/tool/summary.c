/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memfd_create */
#include "tool/summary.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"

/* Shells and scripts use the descriptors below 10 by number; stay clear of them. */
#define FIGURES_FD_MIN 100

struct figures {
	long pid;
	unsigned long long allocated;
	unsigned long long active;
	unsigned long long resident;
	unsigned long long retained;
};

int
summary_memory_file(const char *name)
{
	const int low = memfd_create(name, 0);
	if (low < 0) {
		return -1;
	}
	int fd = fcntl(low, F_DUPFD, FIGURES_FD_MIN);
	if (fd < 0) {
		fd = low;
	} else {
		close(low);
	}
	if (fcntl(fd, F_SETFL, O_APPEND) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int
summary_open(void)
{
	const int fd = summary_memory_file(SUMMARY_FILE_NAME);
	char number[16];
	snprintf(number, sizeof number, "%d", fd);
	if (fd >= 0 && setenv(SUMMARY_VARIABLE, number, 1) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
parse_line(const char *line, size_t length, struct figures *figures)
{
	char text[256];
	if (length >= sizeof text) {
		return false;
	}
	memcpy(text, line, length);
	text[length] = '\0';
	return sscanf(text,
		   "pid=%ld allocated=%llu active=%llu resident=%llu retained=%llu",
		   &figures->pid, &figures->allocated, &figures->active,
		   &figures->resident, &figures->retained)
	    == 5;
}

/* The last line that `pid' wrote, if any.  `others' counts the lines of other processes.
 */
static bool
read_figures(int fd, pid_t pid, struct figures *found, unsigned *others)
{
	*others = 0;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0) {
		return false;
	}
	const size_t size = (size_t)st.st_size;
	char *text = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED) {
		return false;
	}
	bool is_found = false;
	const char *end = text + size;
	for (const char *line = text, *newline; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (newline == NULL) {
			break;
		}
		struct figures figures;
		if (!parse_line(line, (size_t)(newline - line), &figures)) {
			continue;
		}
		if (figures.pid == (long)pid) {
			*found = figures;
			is_found = true;
		} else {
			++*others;
		}
	}
	munmap(text, size);
	return is_found;
}

static double
seconds_between(struct timespec from, struct timespec to)
{
	return (double)(to.tv_sec - from.tv_sec)
	    + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void
print_row(const char *label, unsigned long long bytes)
{
	fprintf(stderr, "  %-12s%12.3f MiB  (%llu bytes)\n", label,
	    (double)bytes / 1048576, bytes);
}

static void
print_ending(int wait_status)
{
	if (WIFSIGNALED(wait_status)) {
		const int number = WTERMSIG(wait_status);
		fprintf(stderr, "  %-12skilled by signal %d (%s)%s\n", "ended", number,
		    strsignal(number), WCOREDUMP(wait_status) ? ", core dumped" : "");
	} else {
		fprintf(stderr, "  %-12sexit status %d\n", "ended",
		    WEXITSTATUS(wait_status));
	}
}

static void
print_figures(const struct summary *summary)
{
	struct figures figures;
	unsigned others;
	const bool is_found =
	    read_figures(summary->figures_fd, summary->pid, &figures, &others);
	if (is_found) {
		fprintf(stderr, "held at exit by the allocator:\n");
		print_row("allocated", figures.allocated);
		print_row("active", figures.active);
		print_row("resident", figures.resident);
		print_row("retained", figures.retained);
	} else {
		fprintf(stderr,
		    "held at exit by the allocator: not reported (the "
		    "process was killed, "
		    "left by _exit, or closed the descriptor)\n");
	}
	if (others > 0) {
		fprintf(stderr, "%u other process%s of the command reported too\n",
		    others, others == 1 ? "" : "es");
	}
}

void
summary_print(const struct summary *summary)
{
	fprintf(stderr, "--- tract: %s (pid %ld)\n", summary->command,
	    (long)summary->pid);
	fprintf(stderr, "  %-12s%12.3f s\n", "wall time",
	    seconds_between(summary->started, summary->ended));
	const double user = seconds(summary->usage.ru_utime);
	const double system = seconds(summary->usage.ru_stime);
	fprintf(stderr, "  %-12s%12.3f s    (%.3f user + %.3f system)\n", "CPU time",
	    user + system, user, system);
	print_row("peak RSS", (unsigned long long)summary->usage.ru_maxrss * 1024);
	print_ending(summary->wait_status);
	print_figures(summary);
}
