/* SPDX-License-Identifier: MIT */
/*
 * foreign -- objects of the C library's malloc that come to another one's free and realloc.
 *
 *	foreign heap    small objects: in the brk heap
 *	foreign mapped  large objects, each with a mapping of its own
 *	foreign stack   something that looks like neither
 *
 * The C library's malloc is found the way a library with RTLD_DEEPBIND finds it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "heap";
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	void *(*libc_malloc)(size_t);
	const size_t size = strcmp(mode, "mapped") == 0 ? 1000000 : 1000;

	if (libc == NULL)
		return 77;
	*(void **)&libc_malloc = dlsym(libc, "malloc");
	if (libc_malloc == malloc) {
		fprintf(stderr, "malloc is the C library's\n");
		return 2;
	}
	if (strcmp(mode, "stack") == 0) {
		/* With a header before it as glibc has, but in no place of glibc's. */
		size_t words[16] __attribute__((aligned(16))) = { 0, 0x31 };
		free(words + 2);
		return 0;
	}
	for (int i = 0; i < 100; i++) {
		char *p = libc_malloc(size), *q = libc_malloc(size);
		if (malloc_usable_size(p) < size)
			return 3;
		memset(q, 0x5a, size);
		q = realloc(q, 2 * size);
		if (q == NULL || q[0] != 0x5a || q[size - 1] != 0x5a)
			return 4;
		free(p);
		free(q);
	}
	return 0;
}
