/* SPDX-License-Identifier: MIT */
/*
 * cgroup -- how much processor time the process's control group grants.
 */
#ifndef TRACT_OS_CGROUP_H
#define TRACT_OS_CGROUP_H

#include <stdbool.h>

/*
 * The least quota over period of the process's group and all above it, v2 and v1, in processors,
 * rounded up; 0 when there is no limit.  May change errno.
 */
unsigned cgroup_cpu_quota(void);

/* For tests: the same with the files under `root' in place of /. */
unsigned cgroup_cpu_quota_under(const char *root);

#endif
