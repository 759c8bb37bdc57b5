/* SPDX-License-Identifier: MIT */
/*
 * vmflags -- what the kernel was told about a mapping: the two-letter flags of /proc/self/smaps
 * ("hg" huge pages wanted, "nh" none wanted).
 */
#ifndef TEST_HARNESS_VMFLAGS_H
#define TEST_HARNESS_VMFLAGS_H

#include "harness/test.h"

/* Has the mapping that holds `addr' this flag? */
static TEST_UNUSED bool
vm_has_flag(const void *addr, const char *flag)
{
	char line[512];
	bool is_here = false, has = false;
	FILE *file = fopen("/proc/self/smaps", "r");

	REQUIRE(file != NULL);
	while (fgets(line, sizeof line, file) != NULL) {
		uintptr_t first, end;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2)
			is_here = (uintptr_t)addr >= first && (uintptr_t)addr < end;
		if (is_here && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line + 8, flag) != NULL;
	}
	fclose(file);
	return has;
}

#endif
