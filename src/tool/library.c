/* SPDX-License-Identifier: MIT */
#include "tool/tool.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
tool_error(const char *format, ...)
{
	char line[2 * PATH_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	fprintf(stderr, "tract: %s\n", line);
}

/* "/x/bin/tract" gives "/x/lib/libtract.so.1"; the empty string if the kernel does not
 * say. */
static void
beside_this_command(char *path, size_t size)
{
	path[0] = '\0';
	char exe[PATH_MAX];
	const ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (length <= 0) {
		return;
	}
	exe[length] = '\0';
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(exe, '/');
		if (slash == NULL) {
			return;
		}
		*slash = '\0';
	}
	snprintf(path, size, "%s/lib/" TOOL_LIBRARY, exe);
}

bool
tool_find_library(char *path, size_t path_size, char *tried, size_t tried_size)
{
	char beside[PATH_MAX + sizeof TOOL_LIBRARY + 8];
	beside_this_command(beside, sizeof beside);
#ifdef TRACT_LIBDIR
	const char *installed = TRACT_LIBDIR "/" TOOL_LIBRARY;
#else
	const char *installed = "";
#endif
	const char *candidates[] = { beside, installed };
	for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
		if (candidates[i][0] != '\0' && access(candidates[i], R_OK) == 0) {
			return (size_t)snprintf(path, path_size, "%s", candidates[i])
			    < path_size;
		}
	}
	path[0] = '\0';
	if (tried != NULL) {
		const char *between =
		    beside[0] != '\0' && installed[0] != '\0' ? " and " : "";
		snprintf(tried, tried_size, "%s%s%s", beside, between, installed);
	}
	return false;
}
