/* SPDX-License-Identifier: MIT */
/*
 * misuse -- the one place where the user's mistakes end: one line on stderr that says what, which
 * pointer, which class and arena; then abort.
 */
#ifndef TRACT_ARENA_MISUSE_H
#define TRACT_ARENA_MISUSE_H

#include <stdatomic.h>
#include <stddef.h>

struct edata;

/* Called instead of abort when set (experimental.hooks.safety_check_abort). */
extern void (*_Atomic misuse_abort)(const char *line);

/* e may be NULL: nothing is known about the pointer. */
void misuse_report(const char *what, const void *p, const struct edata *e);
void misuse_report_size(const void *p, const struct edata *e, size_t given,
    size_t usable);

#endif
