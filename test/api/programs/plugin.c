/* SPDX-License-Identifier: MIT */
/*
 * plugin -- a library that is loaded with RTLD_DEEPBIND, whose malloc is then libc's, hands objects
 * to a program on another malloc, which resizes and frees them.
 *
 * Compiled with -DPLUGIN it is the library; else: plugin LIBRARY
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PLUGIN

char *
plugin_text(size_t size)
{
	char *p = malloc(size);
	memset(p, 'p', size);
	return p;
}

void *
plugin_malloc(void)
{
	return (void *)malloc;
}

#else

int
main(int argc, char **argv)
{
	void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;

	if (plugin == NULL) {
		puts(dlerror());
		return 1;
	}
	char *(*text)(size_t) = (char *(*)(size_t))dlsym(plugin, "plugin_text");
	void *(*its_malloc)(void) = (void *(*)(void))dlsym(plugin, "plugin_malloc");
	if (its_malloc() == (void *)malloc) {
		puts("both have the same malloc: nothing is tested");
		return 1;
	}
	for (size_t size = 1; size < 400000; size = size * 3 + 1) {
		char *p = text(size);
		if (malloc_usable_size(p) < size)
			return 1;
		p = realloc(p, size + 100);
		for (size_t i = 0; i < size; i++)
			if (p[i] != 'p')
				return 1;
		free(p);
		free(text(size));
	}
	return 0;
}

#endif
