/* SPDX-License-Identifier: MIT */
/*
 * conf -- a program with options of its own: prints opt.narenas.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

extern const char *malloc_conf;
const char *malloc_conf = "narenas:7";

int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

int
main(void)
{
	unsigned n = 0;
	size_t length = sizeof n;
	void *volatile p = malloc(1); /* So that the linker takes the library. */

	free(p);
	if (mallctl == NULL || mallctl("opt.narenas", &n, &length, NULL, 0) != 0)
		return 1;
	printf("%u\n", n);
	return 0;
}
