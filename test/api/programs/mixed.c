/* SPDX-License-Identifier: MIT */
/*
 * mixed -- functions of both families on the same objects, as programs do that know jemalloc.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mallocx(size_t, int) __attribute__((weak));
void *rallocx(void *, size_t, int) __attribute__((weak));
void dallocx(void *, int) __attribute__((weak));

int
main(void)
{
	if (mallocx == NULL) {
		puts("no mallocx");
		return 1;
	}
	for (size_t size = 1; size < 100000; size = size * 2 + 1) {
		free(mallocx(size, 0));
		dallocx(malloc(size), 0);
		char *p = realloc(mallocx(size, 0), size + 1000);
		memset(p, 'x', size + 1000);
		dallocx(rallocx(p, size, 0), 0);
	}
	return 0;
}
