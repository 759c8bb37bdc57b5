/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "os/syscall.h"

void
os_write_stderr(const char *text, size_t length)
{
	int saved_errno = errno;
	while (length > 0) {
		ssize_t written = sys_write(STDERR_FILENO, text, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		text += written;
		length -= (size_t)written;
	}
	errno = saved_errno;
}

static void
report(const char *line)
{
	os_write_stderr(line, strlen(line));
}

void (*assert_report)(const char *line) = report;

_Noreturn void
os_abort(void)
{
	abort();
}
