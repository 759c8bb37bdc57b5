/* SPDX-License-Identifier: MIT */
/*
 * node_prof -- prof.*, thread.prof.*, experimental.prof_recent.*: profiling is not in this
 * version, so every one of them answers ENOENT, but each has its place in the name space.
 */
#include "base/bits.h"
#include "ctl/nodes.h"

#define READS (CTL_READ | CTL_MISSING)
#define WRITES (CTL_WRITE | CTL_MISSING)
#define BOTH (CTL_READ | CTL_WRITE | CTL_MISSING)

#define THREAD_PROF_ROWS(ROW) \
	ROW(name, STRING, BOTH, 0, NULL, 0, "Name of the thread in profiles.") \
	ROW(active, BOOL, BOTH, 0, NULL, 0, "Are the thread's allocations sampled?")

CTL_ROWS(thread_prof, THREAD_PROF_ROWS);

#define PROF_ROWS(ROW) \
	ROW(thread_active_init, BOOL, BOTH, 0, NULL, 0, \
	    "thread.prof.active of threads that begin.") \
	ROW(active, BOOL, BOTH, 0, NULL, 0, "Are allocations sampled?") \
	ROW(dump, STRING, WRITES, 0, NULL, 0, "Write a profile to that file.") \
	ROW(gdump, BOOL, BOTH, 0, NULL, 0, \
	    "Write a profile whenever mapped memory reaches a new peak.") \
	ROW(prefix, STRING, WRITES, 0, NULL, 0, "How names of profiles begin.") \
	ROW(reset, SIZE, WRITES, 0, NULL, 0, \
	    "Drop all samples; a new logarithm of the sampling period.") \
	ROW(interval, U64, READS, 0, NULL, 0, "Bytes between two profiles.") \
	ROW(lg_sample, SIZE, READS, 0, NULL, 0, "Logarithm of the sampling period.") \
	ROW(log_start, STRING, WRITES, 0, NULL, 0, "Begin to log samples.") \
	ROW(log_stop, BOOL, CTL_MISSING, 0, NULL, 0, "Write the log of samples.")

CTL_ROWS(prof, PROF_ROWS);

/* Each is two uint64_t. */
#define PROF_STATS_ROWS(ROW) \
	ROW(live, U64, READS, 0, NULL, 0, "Bytes and number of live sampled objects.") \
	ROW(accum, U64, READS, 0, NULL, 0, "Bytes and number of all sampled objects.")

CTL_ROWS(prof_stats, PROF_STATS_ROWS);

#define PROF_RECENT_ROWS(ROW) \
	ROW(alloc_max, SSIZE, BOTH, 0, NULL, 0, "Samples kept; -1: all.") \
	ROW(alloc_dump, POINTER, WRITES, 0, NULL, 0, "Write the samples kept.")

CTL_ROWS(prof_recent, PROF_RECENT_ROWS);
