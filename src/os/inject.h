/* SPDX-License-Identifier: MIT */
/*
 * inject -- lets a test make the k-th system call fail.
 *
 * `os_inject' is NULL in normal use.  Debug builds ask it before every map, unmap, protect, advise,
 * guard, move and thread creation, by that name; what it returns, when not 0, is the errno with
 * which that call fails without having been made; INJECT_IGNORED makes an advise or guard succeed
 * without having been made, as an emulated kernel does.  Release builds do not ask.
 */
#ifndef TRACT_OS_INJECT_H
#define TRACT_OS_INJECT_H

#include <stddef.h>

#include "tract_config.h"

#define INJECT_IGNORED (-1)

/* Set by a test while no other thread runs. */
extern int (*os_inject)(const char *what);

static inline int
inject_errno(const char *what)
{
	if (CONFIG_DEBUG && os_inject != NULL)
		return os_inject(what);
	return 0;
}

#endif
