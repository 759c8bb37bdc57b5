/* SPDX-License-Identifier: MIT */
/*
 * pac_purge -- the deferred work of a PAC: when to purge how much, and the disposal cascade.
 */
#ifndef TRACT_PAGE_PAC_PURGE_H
#define TRACT_PAGE_PAC_PURGE_H

#include "page/pac.h"

/* An extent in state MERGING, just freed, goes past dirty and muzzy. */
void pac_purge_now(struct pac *pac, struct edata *e);

/* Nanoseconds until purging is worth while, see struct pai. */
uint64_t pac_time_until_deferred_work(struct pai *self);

#endif
