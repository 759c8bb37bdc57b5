/* SPDX-License-Identifier: MIT */
#include "os/cgroup.h"

#include "harness/files.h"

TEST(no_control_group_no_limit)
{
	files_begin();
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 0);
	files_put("proc/self/cgroup", "0::/a/b\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 0);
	files_put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 0);
	files_end();
}

TEST(v2_takes_the_least_of_the_group_and_its_ancestors)
{
	files_begin();
	files_put("proc/self/cgroup", "0::/a/b\n");
	files_put("sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 4); /* 3.5, rounded up */
	files_put("sys/fs/cgroup/a/cpu.max", "200000 100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 2);
	files_put("sys/fs/cgroup/cpu.max", "1000 100000\n"); /* a container's own group */
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 1);
	files_end();
}

TEST(v1_reads_the_hierarchy_of_the_cpu_controller)
{
	files_begin();
	files_put("proc/self/cgroup",
	    "9:memory:/m\n4:cpuset:/s\n3:cpu,cpuacct:/docker/x\n0::/\n");
	files_put("sys/fs/cgroup/cpu/m/cpu.cfs_quota_us", "100000\n");
	files_put("sys/fs/cgroup/cpu/m/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 0);
	files_put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "-1\n");
	files_put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 0);
	files_put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
	files_put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(files_root), 3);
	files_end();
}
