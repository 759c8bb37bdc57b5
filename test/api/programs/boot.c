/* SPDX-License-Identifier: MIT */
/*
 * boot -- a malloc_message that allocates, from the very first line on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int n_lines, n_failed;

static void
message(void *opaque, const char *line)
{
	char *copy = malloc(strlen(line) + 1);

	(void)opaque;
	n_lines++;
	if (copy == NULL) {
		n_failed++;
		return;
	}
	strcpy(copy, line);
	free(copy);
}

void (*malloc_message)(void *, const char *) = message;
const char *malloc_conf =
    "abort:false,abort_conf:false,no_such_option:1,no_such_either:2";

int
main(void)
{
	free(malloc(1));
	printf("%d lines, %d without memory\n", n_lines, n_failed);
	return n_lines < 2 || n_failed != 0;
}
