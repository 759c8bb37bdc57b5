/* SPDX-License-Identifier: MIT */
#include "os/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "os/os.h"

#define MAX_PATH 512
/* Room for every processor of 2048 named alone, as where nodes take turns. */
#define LIST_SIZE 8192
#define NODES_MAX UINT8_MAX

/* "0-3,8,10-11": *p moves behind the next range; false at the end, and where it is none. */
static bool
next_range(const char **p, unsigned *first, unsigned *last)
{
	const char *s = *p;

	if (*s == ',')
		s++;
	if (*s < '0' || *s > '9')
		return false;
	for (*first = 0; *s >= '0' && *s <= '9' && *first < TOPOLOGY_CPUS; s++)
		*first = *first * 10 + (unsigned)(*s - '0');
	*last = *first;
	if (*s == '-')
		for (s++, *last = 0; *s >= '0' && *s <= '9' && *last < TOPOLOGY_CPUS; s++)
			*last = *last * 10 + (unsigned)(*s - '0');
	*p = s;
	return *first <= *last && *last < TOPOLOGY_CPUS;
}

static bool
read_list(const char *root, const char *file, char *text, size_t size)
{
	char path[MAX_PATH];
	struct fmt f;

	fmt_init(&f, path, sizeof path);
	fmt_print(&f, "%s/sys/devices/system/%s", root, file);
	const size_t length = os_read_line(path, text, size);
	/* What was cut may end in half a number. */
	if (length == size - 1) {
		char *comma = strrchr(text, ',');
		if (comma != NULL)
			*comma = '\0';
	}
	return length != 0;
}

/* One past the highest in a list; 0: there is none. */
static unsigned
end_of(const char *root, const char *file)
{
	char text[LIST_SIZE];
	const char *p = text;
	unsigned first, last, end = 0;

	if (!read_list(root, file, text, sizeof text))
		return 0;
	while (next_range(&p, &first, &last))
		end = last + 1 > end ? last + 1 : end;
	return end;
}

struct topology_cpus
topology_cpus_under(const char *root)
{
	struct topology_cpus cpus = { end_of(root, "cpu/possible"),
		end_of(root, "cpu/online") };

	if (cpus.online == 0)
		cpus.online = os_cpu_end();
	if (cpus.possible < cpus.online)
		cpus.possible = cpus.online;
	return cpus;
}

/* Which processors a node has; false: nobody says. */
static bool
read_node(const char *root, unsigned node, uint8_t number, uint8_t *node_of)
{
	char file[64], text[LIST_SIZE];
	const char *p = text;
	unsigned first, last;
	struct fmt f;

	fmt_init(&f, file, sizeof file);
	fmt_print(&f, "node/node%u/cpulist", node);
	if (!read_list(root, file, text, sizeof text))
		return false;
	while (next_range(&p, &first, &last))
		memset(node_of + first, number, last - first + 1);
	return true;
}

unsigned
topology_nodes_under(const char *root, uint8_t node_of[TOPOLOGY_CPUS])
{
	char text[LIST_SIZE];
	const char *p = text;
	unsigned first, last, n = 0;

	/* Memory may lie at nodes without processors, which are nobody's own. */
	if (!read_list(root, "node/has_cpu", text, sizeof text))
		return 1;
	if (next_range(&p, &first, &last) && first == last && *p != ',')
		return 1;
	memset(node_of, 0, TOPOLOGY_CPUS);
	p = text;
	while (next_range(&p, &first, &last))
		for (unsigned node = first; node <= last && n < NODES_MAX; node++)
			n += read_node(root, node, (uint8_t)n, node_of);
	return n == 0 ? 1 : n;
}
