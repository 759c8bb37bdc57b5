/* SPDX-License-Identifier: MIT */
#include "api/exit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/control.h"
#include "base/fmt.h"
#include "config/options.h"
#include "ctl/report.h"
#include "os/os.h"

/* ORDER TRACT-SUMMARY: tool/summary.h. */
#define SUMMARY_VARIABLE "TRACT_SUMMARY_FD"
#define SUMMARY_TARGET "/memfd:tract-summary"
/* ORDER TRACT-REPORT: tool/report.h. */
#define REPORT_VARIABLE "TRACT_REPORT"
#define REPORT_TARGET "/memfd:tract-report"

/* A small decimal number, which ends at `end'; *text moves past that.  -1 for anything
 * else. */
static int
read_number(const char **text, char end)
{
	const char *p = *text;
	int value = 0;

	if (p == NULL || *p == end)
		return -1;
	for (; *p != end; p++) {
		if (*p < '0' || *p > '9' || p - *text >= 9)
			return -1;
		value = value * 10 + (*p - '0');
	}
	*text = p + 1;
	return value;
}

/* Does the descriptor still lead to the file we were given, or to one of the
 * program's? */
static bool
leads_to(int fd, const char *name)
{
	char path[32], target[64];
	struct fmt f;

	fmt_init(&f, path, sizeof path);
	fmt_print(&f, "/proc/self/fd/%d", fd);
	return os_readlink(path, target, sizeof target)
	    && strncmp(target, name, strlen(name)) == 0;
}

static void
write_summary(int fd)
{
	struct total_figures held;
	char line[160];
	struct fmt f;

	report_held(&held);
	fmt_init(&f, line, sizeof line);
	fmt_print(&f, "pid=%d allocated=%zu active=%zu resident=%zu retained=%zu\n",
	    (int)getpid(), held.allocated, held.active, held.resident, held.retained);
	if (write(fd, line, f.length) < 0)
		return; /* Nobody is left to tell. */
}

static void
write_piece(void *fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		const ssize_t done = write(*(int *)fd, text, left);
		if (done <= 0)
			return; /* Nobody is left to tell. */
		text += done;
		left -= (size_t)done;
	}
}

/* <descriptor>:<process>:<letters> */
static void
write_report(const char *request)
{
	int fd = read_number(&request, ':');
	const int pid = fd < 0 ? -1 : read_number(&request, ':');

	if (pid == (int)getpid() && leads_to(fd, REPORT_TARGET))
		report_print(write_piece, &fd, request);
}

static void
at_exit(void)
{
	const char *number = os_getenv(SUMMARY_VARIABLE);
	const int fd = read_number(&number, '\0');

	if (fd >= 0 && leads_to(fd, SUMMARY_TARGET))
		write_summary(fd);
	write_report(os_getenv(REPORT_VARIABLE));
	if (opt.stats_print)
		control_print(opt.stats_print_opts);
}

void
exit_boot(void)
{
	if (opt.stats_print || os_getenv(SUMMARY_VARIABLE) != NULL
	    || os_getenv(REPORT_VARIABLE) != NULL)
		(void)atexit(at_exit);
}
