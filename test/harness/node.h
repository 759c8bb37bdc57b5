/* SPDX-License-Identifier: MIT */
/*
 * node -- numbers of control nodes, as tests of the public interface read them.
 */
#ifndef TEST_HARNESS_NODE_H
#define TEST_HARNESS_NODE_H

#include <stdarg.h>
#include <tract/tract.h>

#include "harness/test.h"

/* Of 4 or 8 bytes; a node that is not there is a failure, and 0. */
static TEST_UNUSED __attribute__((format(printf, 1, 2))) uint64_t
node(const char *format, ...)
{
	char name[128];
	union {
		uint64_t u64;
		uint32_t u32;
	} value = { 0 };
	size_t length = sizeof value;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof name, format, arguments);
	va_end(arguments);
	int rc = t_mallctl(name, &value, &length, NULL, 0);
	if (rc == EINVAL && length == sizeof(uint32_t))
		return value.u32;
	if (rc != 0) {
		printf("# %s\n", name);
		CHECK_EQ(rc, 0);
	}
	return value.u64;
}

/* Nothing listed, nothing kept: only what the program holds is live. */
static TEST_UNUSED void
settle(void)
{
	uint64_t any = 0;

	CHECK_EQ(t_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
	CHECK_EQ(t_mallctl("epoch", NULL, NULL, &any, sizeof any), 0);
}

#endif
