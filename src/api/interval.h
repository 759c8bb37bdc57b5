/* SPDX-License-Identifier: MIT */
/*
 * interval -- statistics printed about every opt.stats_interval bytes that the process allocates.
 *
 * Every thread counts then (thread/count.h), and adds what it has allocated to the process's sum
 * every so often; who makes the sum pass a multiple of the interval prints.  Without the option
 * nothing counts and nothing is called.
 */
#ifndef TRACT_API_INTERVAL_H
#define TRACT_API_INTERVAL_H

void interval_boot(void);
/* Whoever was printing is not here. */
void interval_fork_child(void);

#endif
