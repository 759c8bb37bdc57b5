/* SPDX-License-Identifier: MIT */
/*
 * main -- the command `tract': one program, a word for each thing it does.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/report.h"
#include "tool/run.h"
#include "tool/tool.h"
#include "tract_config.h"

typedef int mallctl_function(const char *, void *, size_t *, void *, size_t);

static int
help_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("usage: " RUN_USAGE "\n"
	     "       tract version\n"
	     "       tract help\n"
	     "\n"
	     "run      execute COMMAND on tract's malloc, by preloading the library that "
	     "lies\n"
	     "         beside this command or that was installed with it\n"
	     "  -o KEY:VALUE  an option of the allocator, appended to " CONFIG_CONF_ENV
	     "\n"
	     "  --summary     when COMMAND has ended, print on stderr its time, its peak "
	     "memory and\n"
	     "                what the allocator held\n"
	     "  --report[=FORM]  when COMMAND has ended, print on stderr the allocator's "
	     "statistics:\n"
	     "                " REPORT_FORMS "; without FORM human\n"
	     "  The exit status is COMMAND's; 128+N if signal N ended it; 127 if there "
	     "is no such\n"
	     "  command, 126 if it cannot run with the library, 125 for any other "
	     "mistake.\n"
	     "version  print the version of this command, and of the library that it "
	     "uses");
	return EXIT_SUCCESS;
}

/* Loading the library beside our own malloc is harmless, and shows whether it can be
 * loaded. */
static int
version_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("tract " TRACT_VERSION);
	char library[PATH_MAX], tried[2 * PATH_MAX];
	if (!tool_find_library(library, sizeof library, tried, sizeof tried)) {
		tool_error("cannot find the library; tried %s", tried);
		return TOOL_FAILED;
	}
	printf("library %s\n", library);
	fflush(stdout);
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		tool_error("cannot load the library: %s", dlerror());
		return TOOL_FAILED;
	}
	mallctl_function *control;
	*(void **)&control = dlsym(handle, CONFIG_PUBLIC_PREFIX "mallctl");
	const char *version;
	size_t size = sizeof version;
	if (control == NULL || control("version", &version, &size, NULL, 0) != 0) {
		tool_error("the library does not tell its version");
		return TOOL_FAILED;
	}
	printf("library version %s\n", version);
	return EXIT_SUCCESS;
}

static const struct {
	const char *word;
	int (*main)(int argc, char **argv);
} words[] = {
	{ "run", run_main },
	{ "version", version_main },
	{ "--version", version_main },
	{ "help", help_main },
	{ "--help", help_main },
	{ "-h", help_main },
};

int
main(int argc, char **argv)
{
	if (argc < 2) {
		help_main(argc, argv);
		return TOOL_FAILED;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(argv[1], words[i].word) == 0) {
			return words[i].main(argc - 1, argv + 1);
		}
	}
	tool_error("unknown command '%s'; 'tract help' lists them", argv[1]);
	return TOOL_FAILED;
}
