/* SPDX-License-Identifier: MIT */
#include "os/topology.h"

#include "harness/files.h"
#include "os/os.h"

static uint8_t node_of[TOPOLOGY_CPUS];

static unsigned
nodes(void)
{
	memset(node_of, 0xee, sizeof node_of);
	return topology_nodes_under(files_root, node_of);
}

TEST(without_files_the_affinity_mask_counts_and_there_is_one_node)
{
	files_begin();
	const struct topology_cpus cpus = topology_cpus_under(files_root);
	CHECK_EQ(cpus.online, os_cpu_end());
	CHECK_EQ(cpus.possible, os_cpu_end());
	CHECK_EQ(nodes(), 1);
	files_end();
}

TEST(processors_are_as_many_as_their_highest_number_allows)
{
	files_begin();
	files_put("sys/devices/system/cpu/possible", "0-63\n");
	files_put("sys/devices/system/cpu/online", "0,2-3,40\n");
	struct topology_cpus cpus = topology_cpus_under(files_root);
	CHECK_EQ(cpus.possible, 64);
	CHECK_EQ(cpus.online, 41);
	files_put("sys/devices/system/cpu/possible", "0\n");
	files_put("sys/devices/system/cpu/online", "0-99999999999\n");
	cpus = topology_cpus_under(files_root);
	CHECK_EQ(cpus.online, os_cpu_end());
	CHECK(cpus.possible >= cpus.online);
	files_end();
}

TEST(one_node_with_processors_is_none_to_tell_apart)
{
	files_begin();
	files_put("sys/devices/system/node/has_cpu", "0\n");
	files_put("sys/devices/system/node/node0/cpulist", "0-3\n");
	CHECK_EQ(nodes(), 1);
	/* Nothing was written. */
	CHECK_EQ(node_of[0], 0xee);
	files_end();
}

TEST(nodes_are_numbered_without_gaps)
{
	files_begin();
	files_put("sys/devices/system/node/has_cpu", "0,2,8-9\n");
	files_put("sys/devices/system/node/node0/cpulist", "0-1,8-9\n");
	files_put("sys/devices/system/node/node2/cpulist", "2,4,6\n");
	files_put("sys/devices/system/node/node8/cpulist", "3\n");
	/* Of node 9 nobody says anything. */
	CHECK_EQ(nodes(), 3);
	static const uint8_t expected[12] = { 0, 0, 1, 2, 1, 0, 1, 0, 0, 0, 0, 0 };
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(node_of[i], expected[i]);
	files_end();
}

TEST(a_list_longer_than_its_room_is_used_as_far_as_it_is_whole)
{
	static char list[40000];
	size_t length = 0;

	files_begin();
	files_put("sys/devices/system/node/has_cpu", "0-1\n");
	for (unsigned cpu = 0; cpu < TOPOLOGY_CPUS; cpu += 2)
		length += (size_t)sprintf(list + length, "%u,", cpu + 1);
	files_put("sys/devices/system/node/node1/cpulist", list);
	files_put("sys/devices/system/node/node0/cpulist", "0\n");
	CHECK_EQ(nodes(), 2);
	bool is_known = true;
	for (unsigned cpu = 0; cpu < TOPOLOGY_CPUS; cpu += 2) {
		CHECK_EQ(node_of[cpu], 0);
		/* From where the list was cut on, none is taken for another. */
		CHECK(node_of[cpu + 1] <= is_known);
		is_known = node_of[cpu + 1] == 1;
	}
	CHECK(node_of[1999] == 1 && node_of[TOPOLOGY_CPUS - 1] == 0);
	files_end();
}

TEST(this_machine_has_as_many_processors_as_it_says)
{
	const struct topology_cpus cpus = topology_cpus_under("");

	CHECK(cpus.possible >= cpus.online && cpus.online >= os_cpu_end());
	CHECK(os_cpu_end() >= os_cpu_count());
	CHECK(os_cpu_current() < (int)cpus.possible);
	CHECK(topology_nodes_under("", node_of) >= 1);
}
