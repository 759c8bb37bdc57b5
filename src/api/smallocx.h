/* SPDX-License-Identifier: MIT */
/*
 * smallocx -- mallocx that tells the usable size, too (--enable-experimental-smallocx).
 */
#ifndef TRACT_API_SMALLOCX_H
#define TRACT_API_SMALLOCX_H

#include <stddef.h>

#include "base/attr.h"
#include "tract_config.h"

typedef struct {
	void *ptr; /* NULL: no memory */
	size_t size;
} smallocx_return_t;

/* The name ends in the commit of the interface's version: callers mean this one and no other. */
EXPORT smallocx_return_t SMALLOCX(size_t size, int flags);

#endif
