/* SPDX-License-Identifier: MIT */
/*
 * assert -- the end of a program that broke one of tract's own promises.
 *
 * `assert_report' is defined, with its value, in os/output.c: base makes no system calls.
 */
#include "base/assert.h"

#include <stdlib.h>

#include "base/fmt.h"

_Noreturn COLD void
assert_fail(const char *expression, const char *file, int line)
{
	char buffer[256];
	struct fmt f;
	fmt_init(&f, buffer, sizeof(buffer));
	fmt_print(&f, "<tract>: %s:%d: failed assertion: %s\n", file, line, expression);
	if (assert_report != NULL)
		assert_report(buffer);
	abort();
}
