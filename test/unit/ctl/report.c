/* SPDX-License-Identifier: MIT */
/*
 * Reports follow the table of nodes: whatever can be read below config, opt, arenas, prof and
 * stats stands in the JSON, with the value that mallctl tells, and in the text.
 */
#define _GNU_SOURCE
#include "ctl/report.h"

#include <stdarg.h>
#include <tract/tract.h>

#include "api/boot.h"
#include "base/bits.h"
#include "config/options.h"
#include "ctl/ctl.h"
#include "ctl/snapshot.h"
#include "harness/json.h"
#include "harness/test.h"

static char output[8 << 20];
static size_t output_length;

static void
collect(void *opaque, const char *text)
{
	const size_t length = strlen(text);

	CHECK(opaque == output);
	REQUIRE(output_length + length < sizeof output);
	memcpy(output + output_length, text, length + 1);
	output_length += length;
}

static const char *
print(const char *options)
{
	output_length = 0;
	output[0] = '\0';
	report_print(collect, output, options);
	return output;
}

/* Something of everything. */
static void
use_memory(void)
{
	static void *volatile kept[400];

	REQUIRE(boot());
	for (unsigned i = 0; i < COUNT_OF(kept); i++) {
		void *other = t_malloc(50 * i);
		kept[i] = t_malloc(100 * i);
		REQUIRE(kept[i] != NULL);
		t_free(other);
	}
}

/* ---- Nodes and their values as text. ---- */

#define CTL_PATH_SIZE 160

struct names {
	char node[CTL_PATH_SIZE], json[CTL_PATH_SIZE];
};

static void
append(char *to, const char *format, ...)
{
	const size_t length = strlen(to);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(to + length, CTL_PATH_SIZE - length, format, arguments);
	va_end(arguments);
}

/* The names of a row, with the indices that its path needs. */
static struct names
names_of(const struct ctl_group *group, const unsigned *index, const char *row)
{
	struct names n = { "", "/jemalloc" };
	char path[CTL_PATH_SIZE];
	const char *before = "";

	snprintf(path, sizeof path, "%s", group->path);
	for (char *rest = path, *c; (c = strsep(&rest, ".")) != NULL; before = c) {
		const bool is_arenas =
		    strcmp(before, "stats") == 0 && strcmp(c, "arenas") == 0;
		if (c[0] != '<') {
			append(n.node, "%s.", c);
			append(n.json, "%c%s", is_arenas ? '.' : '/', c);
			continue;
		}
		append(n.node, "%u.", *index);
		if (strcmp(c, "<seen>") == 0 && *index == CTL_ARENAS_ALL)
			append(n.json, "/merged");
		else
			append(n.json, "/%u", *index);
		index++;
	}
	append(n.node, "%s", row);
	append(n.json, "/%s", row);
	return n;
}

static void
value_text(enum field_type type, const union ctl_value *v, char *text, size_t size)
{
	switch (type) {
	case FIELD_BOOL: snprintf(text, size, "%s", v->flag ? "true" : "false"); return;
	case FIELD_UNSIGNED: snprintf(text, size, "%u", v->u); return;
	case FIELD_U32: snprintf(text, size, "%" PRIu32, v->u32); return;
	case FIELD_U64: snprintf(text, size, "%" PRIu64, v->u64); return;
	case FIELD_I64: snprintf(text, size, "%" PRId64, v->i64); return;
	case FIELD_SIZE: snprintf(text, size, "%zu", v->size); return;
	case FIELD_SSIZE: snprintf(text, size, "%zd", v->ssize); return;
	default: snprintf(text, size, "%s", v->string); return;
	}
}

/* The JSON has them as text, as jemalloc's. */
static bool
is_ratio(const struct ctl_group *group, const struct field *field)
{
	return strcmp(group->path, "opt") == 0
	    && CONTAINER_OF(field, const struct option, field)->kind == OPTION_KIND_RATIO;
}

static unsigned n_compared, n_absent;

/* The JSON has what mallctl tells, and nothing where mallctl knows nothing. */
static void
compare(const struct ctl_group *group, unsigned row, const unsigned *index)
{
	const struct field *field = tree_row_field(group, row);
	const struct names n = names_of(group, index, field->name);
	union ctl_value value = { 0 };
	size_t length =
	    field->type == FIELD_ENUM ? sizeof(char *) : field_size(field->type);
	char text[256];

	const int rc = t_mallctl(n.node, &value, &length, NULL, 0);
	const char *found = json_value(n.json);
	if (rc == ENOENT) {
		n_absent++;
		if (found != NULL)
			printf("# %s\n", n.json);
		CHECK(found == NULL);
		return;
	}
	n_compared++;
	if (is_ratio(group, field))
		snprintf(text, sizeof text, "%g", value.u32 / 65536.0);
	else
		value_text(field->type, &value, text, sizeof text);
	if (rc != 0 || found == NULL || strcmp(found, text) != 0)
		printf("# %s is %s, %s is %s (%d)\n", n.json,
		    found == NULL ? "absent" : found, n.node, text, rc);
	CHECK(rc == 0 && found != NULL && strcmp(found, text) == 0);
}

static bool
is_reported(const struct ctl_group *group)
{
	static const char *const tops[] = { "config", "opt", "arenas", "prof", "stats" };

	for (unsigned i = 0; i < COUNT_OF(tops); i++) {
		const size_t length = strlen(tops[i]);
		if (strncmp(group->path, tops[i], length) == 0
		    && (group->path[length] == '\0' || group->path[length] == '.'))
			return true;
	}
	return false;
}

/* Every row of a group, for all values of its indices from the nth on. */
static void
compare_group(unsigned g, unsigned *index, unsigned depth, unsigned nth)
{
	const struct ctl_tree *tree = ctl_tree();
	const struct ctl_group *group = &tree->groups[g];

	for (; depth < tree->paths[g].depth; depth++) {
		if (tree->paths[g].kind[depth] == 0)
			continue;
		const struct ctl_index_kind *kind =
		    &tree->kinds[tree->paths[g].kind[depth] - 1];
		const bool is_arena = strcmp(kind->name, "<seen>") == 0;
		for (unsigned i = 0; is_arena ? i < 2 : kind->is_valid(i); i++) {
			index[nth] = is_arena && i == 1 ? CTL_ARENAS_ALL : i;
			compare_group(g, index, depth + 1, nth + 1);
		}
		return;
	}
	for (unsigned row = 0; row < tree_row_count(group); row++)
		if (ctl_row_is_value(group, row))
			compare(group, row, index);
}

TEST(json_has_every_node_with_the_value_that_mallctl_tells)
{
	unsigned index[CTL_INDICES] = { 0 };

	use_memory();
	REQUIRE(json_parse(print("J")));
	for (unsigned g = 0; g < ctl_tree()->n_groups; g++)
		if (is_reported(&ctl_tree()->groups[g]))
			compare_group(g, index, 0, 0);
	printf("# %u values compared, %u absent\n", n_compared, n_absent);
	CHECK(n_compared > 5000);
}

TEST(text_has_every_row_by_its_name)
{
	char line[CTL_PATH_SIZE];

	use_memory();
	const char *text = print("");
	for (unsigned g = 0; g < ctl_tree()->n_groups; g++) {
		const struct ctl_group *group = &ctl_tree()->groups[g];
		const bool is_figure = strncmp(group->path, "stats", 5) == 0;
		if (!is_reported(group))
			continue;
		if (!is_figure && strchr(group->path, '<') != NULL)
			continue; /* sizes of classes stand in other tables */
		for (unsigned i = 0; i < tree_row_count(group); i++) {
			const char *name = tree_row_field(group, i)->name;
			const unsigned none[CTL_INDICES] = { 0 };
			union ctl_value value;
			enum field_type type;
			if (!ctl_row_is_value(group, i)
			    || ctl_row_read(group, i, none, &value, &type) != 0)
				continue;
			if (is_figure)
				snprintf(line, sizeof line, " %s", name);
			else
				snprintf(line, sizeof line, "\n  %s.%s: ", group->path,
				    name);
			if (strstr(text, line) == NULL)
				printf("# %s\n", line);
			CHECK(strstr(text, line) != NULL);
		}
	}
}

TEST(names_of_the_reference_stand_beside_ours)
{
	REQUIRE(json_parse(print("J")));
	CHECK_STR(json_value("/jemalloc/stats.arenas/0/uptime_ns"),
	    json_value("/jemalloc/stats.arenas/0/uptime"));
	CHECK(json_value("/jemalloc/system/thp_mode") != NULL);
}

TEST(what_is_left_out_is_left_out_everywhere)
{
	REQUIRE(json_parse(print("Jxb")));
	CHECK(json_value("/jemalloc/stats/mutexes") == NULL);
	CHECK(json_value("/jemalloc/stats.arenas/0/mutexes") == NULL);
	CHECK(json_value("/jemalloc/stats.arenas/0/bins") == NULL);
	CHECK(json_value("/jemalloc/stats.arenas/0/lextents/0/nmalloc") != NULL);
	REQUIRE(json_parse(print("Jle")));
	CHECK(json_value("/jemalloc/stats/mutexes/ctl/num_ops") != NULL);
	CHECK(json_value("/jemalloc/stats.arenas/0/bins/0/mutex/num_ops") != NULL);
	CHECK(json_value("/jemalloc/stats.arenas/0/lextents") == NULL);
	CHECK(json_value("/jemalloc/stats.arenas/0/extents") == NULL);
}
