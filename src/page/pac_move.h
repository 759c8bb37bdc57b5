/* SPDX-License-Identifier: MIT */
/*
 * pac_move -- dirty pages that lie in the wrong places serve a request all the same: the kernel
 * moves them, by page tables, to where nothing has been touched yet.
 *
 * A page touched anew costs a fault and a page more; one that is moved a small part of that, and
 * nothing is resident that was not before.  What a piece leaves behind is retained memory, which
 * reads as zero.
 *
 * For the kernel each piece stays a mapping of its own.  A move takes away all the borders inside
 * its target and makes two, and no piece is less than a certain part of the arena's address space:
 * so there are never many.  A dirty extent across such borders is moved in parts.
 */
#ifndef TRACT_PAGE_PAC_MOVE_H
#define TRACT_PAGE_PAC_MOVE_H

#include "page/pac.h"

/*
 * Backs e, the caller's and counted as mapped, from `from' on with what dirty extents hold, as far
 * as there are pieces worth moving.  Nothing of e beyond `from' may be backed before.  How many
 * bytes are: they hold anything, the rest of e what it held.
 */
size_t pac_move_dirty_to(struct pac *pac, struct edata *e, size_t from);

#endif
