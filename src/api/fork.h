/* SPDX-License-Identifier: MIT */
/*
 * fork -- a child that works, whatever the other threads were doing.
 *
 * The handler before a fork takes every lock in the order of lock_ranks.def, each for at most some
 * microseconds: a holder may itself wait for the forking thread.  What could not be locked may be
 * torn in the child, which therefore freezes it: starts that structure empty, and only counts frees
 * into what was in it.  Other threads' tcaches are frozen by never being adopted.
 */
#ifndef TRACT_API_FORK_H
#define TRACT_API_FORK_H

/* Registers the handlers; may allocate. */
void fork_boot(void);

#endif
