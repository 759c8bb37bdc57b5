/* SPDX-License-Identifier: MIT */
/*
 * gather_hpa -- copies the counters of an arena's huge page allocator, and of the small extent
 * cache in front of it, into a plain record, each under its lock.
 *
 * What an extent cache holds is active for the allocator behind it, but free for the arena: it is
 * counted as dirty there.  Otherwise the arena's figures are the sums of both page allocators':
 *
 *	arena's active pages = the PAC's + hpa_shard.nactive - hpa_sec_bytes
 *	arena's dirty pages  = the PAC's + hpa_shard.ndirty + hpa_sec_bytes
 *	retained             = the PAC's + what is neither active nor dirty in page slabs
 *	                       (arena 0: + gather_hpa_unused, whether it has page slabs or not)
 */
#ifndef TRACT_CTL_GATHER_HPA_H
#define TRACT_CTL_GATHER_HPA_H

#include "ctl/stats.h"

struct hpa;
struct hpa_central;
struct sec;

/* Added to what is gathered of the PAC.  Returns the bytes that are backed, but neither active nor
 * dirty: what was never touched in a huge page. */
size_t gather_hpa(struct hpa *hpa, struct sec *sec, struct arena_record *r);

/* Bytes of address space for page slabs that no arena has. */
size_t gather_hpa_unused(struct hpa_central *central);

/* The counters of all locks of a small extent cache, as of one. */
void gather_sec_mutex(struct sec *sec, struct mutex_figures *sum);
void gather_reset_sec_mutex(struct sec *sec);

#endif
