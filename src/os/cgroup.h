/* SPDX-License-Identifier: MIT */
/*
 * cgroup -- how much processor time the process's control group grants, and how near it is to the
 * memory that it should not exceed.
 */
#ifndef TRACT_OS_CGROUP_H
#define TRACT_OS_CGROUP_H

#include <stdbool.h>

/*
 * The least quota over period of the process's group and all above it, v2 and v1, in processors,
 * rounded up; 0 when there is no limit.  May change errno.
 */
unsigned cgroup_cpu_quota(void);

/*
 * memory.high, of the group and all above it; v2 alone has such a thing.  Near: less than a
 * sixteenth of it is left, not counting cached files out of use, which the kernel drops first.
 * May change errno.
 */
enum cgroup_memory {
	CGROUP_UNLIMITED, /* no group has one */
	CGROUP_BELOW,
	CGROUP_NEAR, /* or beyond it, where the kernel holds up who allocates */
};
enum cgroup_memory cgroup_memory(void);

/* For tests: the same with the files under `root' in place of /. */
unsigned cgroup_cpu_quota_under(const char *root);
enum cgroup_memory cgroup_memory_under(const char *root);

#endif
