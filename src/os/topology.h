/* SPDX-License-Identifier: MIT */
/*
 * topology -- how many processors there may ever be, and which nodes of memory they lie at.
 *
 * From /sys, read at boot without allocating; where that lacks, from the affinity mask, and one
 * node.  May change errno.
 */
#ifndef TRACT_OS_TOPOLOGY_H
#define TRACT_OS_TOPOLOGY_H

#include <stdint.h>

/* The kernel's masks are at most 8192 bits today. */
#define TOPOLOGY_CPUS 8192

struct topology_cpus {
	unsigned
	    possible;    /* one past the highest number that a processor may ever have */
	unsigned online; /* one past the highest that one has now */
};

/* The files lie under `root', which is "" but in tests. */
struct topology_cpus topology_cpus_under(const char *root);
/*
 * The number of nodes that have processors; where it is not 1, node_of says for each processor
 * which, as 0 to that number less 1; 0 for processors of which nothing is known.
 */
unsigned topology_nodes_under(const char *root, uint8_t node_of[TOPOLOGY_CPUS]);

#endif
