/* SPDX-License-Identifier: MIT */
/*
 * assert -- checks of our own mistakes, in debug builds only (CONFIG_DEBUG).
 *
 * A failing assert prints one line through a function that os/ installs at start and aborts.  It
 * never has a side effect and never stands in for handling what the system may return.
 * `unreachable_state' marks what no correct program reaches, in every build.
 */
#ifndef TRACT_BASE_ASSERT_H
#define TRACT_BASE_ASSERT_H

#include <assert.h> /* static_assert */

#include "base/attr.h"
#include "tract_config.h"

_Noreturn COLD void assert_fail(const char *expression, const char *file, int line);

/* Called by assert_fail with the whole line; set once before main by os/output.c. */
extern void (*assert_report)(const char *line);

#undef assert
#if CONFIG_DEBUG
#define assert(e) (LIKELY(e) ? (void)0 : assert_fail(#e, __FILE__, __LINE__))
#else
#define assert(e) ((void)sizeof(!(e)))
#endif

#define unreachable_state() assert_fail("unreachable", __FILE__, __LINE__)

#endif
