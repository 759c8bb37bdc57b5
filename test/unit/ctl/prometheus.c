/* SPDX-License-Identifier: MIT */
/*
 * Names of metrics: every figure of every group has one, no two figures share one, and it
 * tells the unit.
 */
#include "ctl/prometheus.h"

#include <ctype.h>

#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/stats.h"
#include "harness/test.h"

#define NAMES 512

static struct {
	char name[PROMETHEUS_NAME_SIZE];
	const char *prefix;
	unsigned row;
} seen[NAMES];
static unsigned n_seen;

static bool
ends_in(const char *name, const char *end)
{
	return strlen(name) >= strlen(end)
	    && strcmp(name + strlen(name) - strlen(end), end) == 0;
}

static void
check_name(const char *name, const struct stat_row *row)
{
	char base[PROMETHEUS_NAME_SIZE];

	for (const char *p = name; *p != '\0'; p++)
		CHECK(*p == '_' || islower((unsigned char)*p)
		    || isdigit((unsigned char)*p));
	CHECK(strstr(name, "__") == NULL);
	snprintf(base, sizeof base, "%s", name);
	CHECK_EQ(ends_in(base, "_total"), row->is_counter);
	if (row->is_counter)
		base[strlen(base) - strlen("_total")] = '\0';
	CHECK_EQ(ends_in(base, "_bytes"),
	    row->unit == STAT_BYTES || row->unit == STAT_PAGES);
	CHECK_EQ(ends_in(base, "_seconds"), row->unit == STAT_NS || row->unit == STAT_MS);
	CHECK(!ends_in(base, "_ms") && !ends_in(base, "_bytes_bytes"));
}

/* The same prefix and row make the same metric: groups of one family. */
static void
check_unique(const char *name, const char *prefix, unsigned row)
{
	for (unsigned i = 0; i < n_seen; i++) {
		if (strcmp(seen[i].name, name) != 0)
			continue;
		if (seen[i].prefix != prefix || seen[i].row != row)
			printf("# %s twice\n", name);
		CHECK(seen[i].prefix == prefix && seen[i].row == row);
		return;
	}
	REQUIRE(n_seen < NAMES);
	snprintf(seen[n_seen].name, PROMETHEUS_NAME_SIZE, "%s", name);
	seen[n_seen].prefix = prefix;
	seen[n_seen++].row = row;
}

TEST(every_figure_is_a_metric_with_a_name_of_its_own)
{
	char name[PROMETHEUS_NAME_SIZE];

	for (unsigned g = 0; g < ctl_tree()->n_groups; g++) {
		const struct ctl_group *group = &ctl_tree()->groups[g];
		const char *prefix = prometheus_prefix(group);
		if (strncmp(group->path, "stats", 5) != 0 || group->acts != NULL
		    || tree_row_count(group) == 0) {
			CHECK(prefix == NULL);
			continue;
		}
		if (prefix == NULL)
			printf("# %s has no metrics\n", group->path);
		REQUIRE(prefix != NULL);
		for (unsigned i = 0; i < tree_row_count(group); i++) {
			const struct stat_row *row = tree_row(group, i);
			if (row->unit == STAT_TEXT)
				continue;
			prometheus_name(name, prefix, row);
			check_name(name, row);
			check_unique(name, prefix, i);
		}
	}
	printf("# %u metrics\n", n_seen);
	CHECK(n_seen > 90);
}
