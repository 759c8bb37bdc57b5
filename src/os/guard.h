/* SPDX-License-Identifier: MIT */
/*
 * os/guard -- pages in the middle of memory that nobody may touch: who does dies by SIGSEGV.
 *
 * Two ways.  Markers in the page table (MADV_GUARD_INSTALL, Linux 6.13) need no further mapping;
 * purging the range leaves them, a forked child has them, and advice about huge pages passes them
 * by.  Where the kernel has none, mprotect: each guard costs up to two mappings, of which a
 * process may have only so many.  The first guard of the process finds out which way works, and
 * looks whether it does: emulators of the kernel say yes to advice they do not know.
 *
 * Sizes and addresses are multiples of os_page_size.  errno is left as found.  Both functions may
 * be called again on what is as they make it already.
 */
#ifndef TRACT_OS_GUARD_H
#define TRACT_OS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"

enum os_guards { OS_GUARDS_UNKNOWN, OS_GUARDS_MARKERS, OS_GUARDS_PROTECTION };
/* Set once, by the first guard; relaxed: all find the same.  Tests set it, while no guard is up. */
extern _Atomic(enum os_guards) os_guards;

/* Private memory becomes inaccessible; what it held is gone.  False: it may be, or may not be. */
bool os_guard(void *addr, size_t size);
/* Accessible again, with any contents.  False: it is not, or only a part. */
bool os_unguard(void *addr, size_t size);
/* So many guards may be up in the process; asked after the first one. */
size_t os_guards_max(void);

#endif
