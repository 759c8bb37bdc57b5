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

/* A small decimal number; -1 for anything else. */
static int
read_number(const char *text)
{
	int value = 0;

	if (text == NULL || *text == '\0' || strlen(text) > 6)
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
	}
	return value;
}

/* Does the descriptor still lead to the file we were given, or to one of the
 * program's? */
static bool
is_summary_file(int fd)
{
	char path[32], target[64];
	struct fmt f;

	fmt_init(&f, path, sizeof path);
	fmt_print(&f, "/proc/self/fd/%d", fd);
	return os_readlink(path, target, sizeof target)
	    && strncmp(target, SUMMARY_TARGET, strlen(SUMMARY_TARGET)) == 0;
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
at_exit(void)
{
	const int fd = read_number(os_getenv(SUMMARY_VARIABLE));

	if (fd >= 0 && is_summary_file(fd))
		write_summary(fd);
	if (opt.stats_print)
		control_print(opt.stats_print_opts);
}

void
exit_boot(void)
{
	if (opt.stats_print || os_getenv(SUMMARY_VARIABLE) != NULL)
		(void)atexit(at_exit);
}
