/* SPDX-License-Identifier: MIT */
/*
 * linked -- a program linked to the library, for valgrind to look at.
 *
 *	linked		allocates, grows and frees what it allocates
 *	linked overrun	writes one byte behind a block
 *	linked leak	forgets a block
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(int argc, char **argv)
{
	const char *const fault = argc > 1 ? argv[1] : "";
	char *block[200];

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 200; i++) {
			block[i] = malloc(i * 37 + 1);
			if (block[i] == NULL)
				return 1;
			memset(block[i], (int)i, i * 37 + 1);
		}
		for (size_t i = 0; i < 200; i += 3) {
			char *const moved = realloc(block[i], i * 90 + 1);
			if (moved == NULL)
				return 1;
			block[i] = moved;
		}
		for (size_t i = 0; i < 200; i++)
			free(block[i]);
	}
	char *volatile last = calloc(1, 24);
	if (last == NULL)
		return 1;
	if (strcmp(fault, "overrun") == 0)
		last[24] = 1;
	if (strcmp(fault, "leak") != 0)
		free(last);
	last = NULL;
	puts("done");
	return 0;
}
