/* SPDX-License-Identifier: MIT */
/*
 * switches -- what switches of configure make of the library, seen from a program:
 *
 *	switches		built with --disable-stats --disable-fill --enable-xmalloc
 *				--disable-user-config --with-malloc-conf=narenas:3 --enable-pageid
 *				--with-lg-hugepage=22 --enable-opt-safety-checks
 *	switches double		dies: every double free is found, of any thread's objects
 *	switches size		dies: sizes of sized frees are checked
 *	switches memory		dies: xmalloc:true
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tract/tract.h>

static int failures;

static int
node(const char *name, void *value, size_t length)
{
	return mallctl(name, value, &length, NULL, 0);
}

static void
expect_bool(const char *name, bool expected)
{
	bool value = !expected;

	if (node(name, &value, sizeof value) != 0 || value != expected) {
		printf("%s\n", name);
		failures++;
	}
}

static void
expect_missing(const char *name)
{
	char value[64];

	if (node(name, value, sizeof value) != ENOENT) {
		printf("%s is there\n", name);
		failures++;
	}
}

static void
expect_named_mappings(void)
{
	char line[512];
	bool can = false, is_named = false;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		is_named |= strstr(line, "[anon:tract]") != NULL;
	if (maps != NULL)
		fclose(maps);
	FILE *config =
	    popen("zcat /proc/config.gz 2> /dev/null | grep -c ^CONFIG_ANON_VMA_NAME=y",
		"r");
	can = config != NULL && fgetc(config) == '1';
	if (config != NULL)
		pclose(config);
	printf("mappings are %snamed\n", is_named ? "" : "not ");
	failures += can && !is_named;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned narenas = 0;
	size_t hugepage = 0;
	void *volatile p = malloc(100);

	if (strcmp(mode, "double") == 0) {
		void *volatile kept[1000];
		for (unsigned i = 0; i < 1000; i++)
			kept[i] = malloc(100);
		free(kept[500]);
		free(p);
		free(kept[500]);
		return 1;
	}
	if (strcmp(mode, "size") == 0) {
		sdallocx(p, 1000, 0);
		return 1;
	}
	if (strcmp(mode, "memory") == 0) {
		p = malloc(SIZE_MAX / 4);
		return 1;
	}
	expect_bool("config.stats", false);
	expect_bool("config.fill", false);
	expect_bool("config.xmalloc", true);
	expect_bool("config.opt_safety_checks", true);
	expect_bool("opt.xmalloc", false);
	expect_missing("stats.allocated");
	expect_missing("stats.arenas.0.pactive");
	expect_missing("opt.junk");
	expect_missing("opt.zero");
	if (node("opt.narenas", &narenas, sizeof narenas) != 0 || narenas != 3) {
		printf("opt.narenas is %u\n", narenas);
		failures++;
	}
	if (node("arenas.hugepage", &hugepage, sizeof hugepage) != 0
	    || hugepage != 1 << 22) {
		printf("arenas.hugepage is %zu\n", hugepage);
		failures++;
	}
	expect_named_mappings();
	free(p);
	return failures != 0;
}
