/* SPDX-License-Identifier: MIT */
/*
 * tool -- what the parts of the command `tract' share: its exit statuses, its error line,
 * and where its library lies.
 *
 * The command is an ordinary program on libc.  It contains nothing of the allocator: it
 * may be run with any malloc, its own library preloaded included.
 */
#ifndef TRACT_TOOL_TOOL_H
#define TRACT_TOOL_TOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

#ifndef TOOL_LIBRARY
#define TOOL_LIBRARY "libtract.so.1"
#endif

/* The statuses of env(1) and nohup(1): what is not the command's own fault lies above
 * 124. */
enum tool_status {
	TOOL_FAILED = 125, /* The mistake is in how `tract' was called or installed. */
	TOOL_CANNOT_RUN =
	    126, /* The command exists, but cannot run with the library preloaded. */
	TOOL_NOT_FOUND = 127,   /* There is no such command. */
	TOOL_SIGNAL_BASE = 128, /* The command was ended by signal N: 128 + N. */
};

/* One line on stderr, "tract: ..." with a newline added. */
void tool_error(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * Write the absolute path of the library into `path': the one that lies in ../lib beside
 * this command, else the one that was installed.  False, and an empty path, if neither
 * can be read; `tried' (may be NULL) then receives the places for the error message.
 */
bool tool_find_library(char *path, size_t path_size, char *tried, size_t tried_size);

#endif
