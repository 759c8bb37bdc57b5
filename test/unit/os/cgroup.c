/* SPDX-License-Identifier: MIT */
#include "os/cgroup.h"

#include <sys/stat.h>

#include "harness/test.h"

static char root[64];

static void
make_root(void)
{
	strcpy(root, "/tmp/tract-test-XXXXXX");
	REQUIRE(mkdtemp(root) != NULL);
}

static void
remove_root(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	CHECK(system(command) == 0);
}

/* Write `text' to root/path, making the directories on the way. */
static void
put(const char *path, const char *text)
{
	char full[256];
	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	FILE *file = fopen(full, "w");
	REQUIRE(file != NULL);
	fputs(text, file);
	fclose(file);
}

TEST(no_control_group_no_limit)
{
	make_root();
	CHECK_EQ(cgroup_cpu_quota_under(root), 0);
	put("proc/self/cgroup", "0::/a/b\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 0);
	put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 0);
	remove_root();
}

TEST(v2_takes_the_least_of_the_group_and_its_ancestors)
{
	make_root();
	put("proc/self/cgroup", "0::/a/b\n");
	put("sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 4); /* 3.5, rounded up */
	put("sys/fs/cgroup/a/cpu.max", "200000 100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 2);
	put("sys/fs/cgroup/cpu.max", "1000 100000\n"); /* a container's own group */
	CHECK_EQ(cgroup_cpu_quota_under(root), 1);
	remove_root();
}

TEST(v1_reads_the_hierarchy_of_the_cpu_controller)
{
	make_root();
	put("proc/self/cgroup",
	    "9:memory:/m\n4:cpuset:/s\n3:cpu,cpuacct:/docker/x\n0::/\n");
	put("sys/fs/cgroup/cpu/m/cpu.cfs_quota_us", "100000\n");
	put("sys/fs/cgroup/cpu/m/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 0);
	put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "-1\n");
	put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 0);
	put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
	put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(cgroup_cpu_quota_under(root), 3);
	remove_root();
}
