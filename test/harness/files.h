/* SPDX-License-Identifier: MIT */
/*
 * files -- a directory of a test's own, with files as the kernel has them under / elsewhere.
 */
#ifndef TEST_HARNESS_FILES_H
#define TEST_HARNESS_FILES_H

#include <sys/stat.h>

#include "harness/test.h"

static char files_root[64];

static TEST_UNUSED void
files_begin(void)
{
	strcpy(files_root, "/tmp/tract-test-XXXXXX");
	REQUIRE(mkdtemp(files_root) != NULL);
}

static TEST_UNUSED void
files_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", files_root);
	CHECK(system(command) == 0);
}

/* Write `text' to files_root/path, making the directories on the way.  Who reads it meanwhile finds
 * all of the old text or of the new. */
static TEST_UNUSED void
files_put(const char *path, const char *text)
{
	char full[256], new[sizeof(files_root) + 4];

	snprintf(full, sizeof(full), "%s/%s", files_root, path);
	snprintf(new, sizeof(new), "%s/new", files_root);
	for (char *p = full + strlen(files_root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	FILE *file = fopen(new, "w");
	REQUIRE(file != NULL);
	fputs(text, file);
	fclose(file);
	REQUIRE(rename(new, full) == 0);
}

#endif
