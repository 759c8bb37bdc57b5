/* SPDX-License-Identifier: MIT */
#include "tool/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/summary.h"
#include "tool/tool.h"

const char *
report_letters(const char *form)
{
	static const struct {
		const char *form, *letters;
	} forms[] = {
		{ "human", "H" },
		{ "text", "" },
		{ "json", "J" },
		{ "prometheus", "P" },
	};
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (strcmp(forms[i].form, form) == 0) {
			return forms[i].letters;
		}
	}
	return NULL;
}

int
report_open(void)
{
	return summary_memory_file(REPORT_FILE_NAME);
}

void
report_announce(int fd, const char *letters)
{
	char text[64];
	snprintf(text, sizeof text, "%d:%ld:%s", fd, (long)getpid(), letters);
	if (setenv(REPORT_VARIABLE, text, 1) != 0) {
		tool_error("cannot set " REPORT_VARIABLE);
	}
}

void
report_print_file(int fd)
{
	char text[4096];
	off_t at = 0;
	for (ssize_t got; (got = pread(fd, text, sizeof text, at)) > 0; at += got) {
		fwrite(text, 1, (size_t)got, stderr);
	}
	if (at == 0) {
		tool_error("no report (the process was killed, left by _exit, or closed "
			   "the descriptor)");
	}
}
