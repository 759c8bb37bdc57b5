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

TEST(only_memory_high_of_version_2_limits)
{
	files_begin();
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_UNLIMITED);
	files_put("proc/self/cgroup", "4:memory:/m\n0::/a/b\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_UNLIMITED);
	files_put("sys/fs/cgroup/memory/m/memory.soft_limit_in_bytes", "1\n");
	files_put("sys/fs/cgroup/a/b/memory.current", "1000000\n");
	files_put("sys/fs/cgroup/a/b/memory.high", "max\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_UNLIMITED);
	files_put("sys/fs/cgroup/a/b/memory.high", "1600000\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_BELOW);
	files_end();
}

TEST(near_is_when_less_than_a_sixteenth_is_left_in_any_group_above)
{
	files_begin();
	files_put("proc/self/cgroup", "0::/a/b\n");
	files_put("sys/fs/cgroup/a/b/memory.current", "1499999\n");
	files_put("sys/fs/cgroup/a/b/memory.high", "1600000\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_BELOW);
	files_put("sys/fs/cgroup/a/b/memory.current", "1500000\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_NEAR);
	files_put("sys/fs/cgroup/a/b/memory.current", "1\n");
	files_put("sys/fs/cgroup/memory.current", "99999999\n");
	files_put("sys/fs/cgroup/memory.high", "9999\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_NEAR);
	files_end();
}

TEST(files_that_the_kernel_drops_first_do_not_count)
{
	files_begin();
	files_put("proc/self/cgroup", "0::/\n");
	files_put("sys/fs/cgroup/memory.current", "1600000\n");
	files_put("sys/fs/cgroup/memory.high", "1600000\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_NEAR);
	files_put("sys/fs/cgroup/memory.stat",
	    "anon 1000\nfile 900000\ninactive_anon 1600000\ninactive_file 100000\n"
	    "active_file 800000\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_NEAR);
	files_put("sys/fs/cgroup/memory.stat",
	    "anon 1000\nfile 900000\ninactive_file 100001\nactive_file 0\n");
	CHECK_EQ(cgroup_memory_under(files_root), CGROUP_BELOW);
	files_end();
}
