/* SPDX-License-Identifier: MIT */
/*
 * tables -- the library's tables of options and control nodes, one line a row, for
 * scripts/gen-manual and scripts/check-doc.
 *
 * It is linked with the library's objects and prints what they hold, so a build with other
 * switches has other initial values.  Fields are separated by tabs:
 *
 *	option  NAME TYPE INITIAL MIN MAX reject|clip VALUES DOC     MIN, MAX: "" where none
 *	name    NAME alias|later|obsolete OF                         no row of its own
 *	group   PATH FIRST         FIRST: the first group with the same rows, often itself
 *	node    PATH TYPE ACCESS ARGUMENT DOC      of the groups that are the first with theirs
 *
 * ACCESS: r, w, rw, command; r+ takes an argument of ARGUMENT bytes, r(+) may take one.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "base/bits.h"
#include "config/options.h"
#include "config/size_class.h"
#include "ctl/ctl.h"

static const char *const type_names[FIELD_TYPES] = {
	[FIELD_BOOL] = "bool",
	[FIELD_UNSIGNED] = "unsigned",
	[FIELD_U32] = "uint32_t",
	[FIELD_U64] = "uint64_t",
	[FIELD_I64] = "int64_t",
	[FIELD_SIZE] = "size_t",
	[FIELD_SSIZE] = "ssize_t",
	[FIELD_STRING] = "const char *",
	[FIELD_ENUM] = "const char *",
	[FIELD_POINTER] = "void *",
};

/* ---- Options. ---- */

/* What a type can hold is no limit of the option. */
static void
print_limits(const struct option *o)
{
	const bool is_signed = o->kind == OPTION_KIND_SSIZE || o->kind == OPTION_KIND_I64;
	const uintmax_t no_max = is_signed    ? INT64_MAX
	    : o->kind == OPTION_KIND_UNSIGNED ? UINT_MAX
					      : UINT64_MAX;

	if (o->kind == OPTION_KIND_BOOL || o->kind == OPTION_KIND_ENUM) {
		printf("\t\t");
		return;
	}
	printf("%jd\t", o->min);
	if (o->max < no_max)
		printf("%ju", o->max);
	printf("\t");
}

static void
print_option(const struct option *o)
{
	printf("option\t%s\t%s\t", o->field.name,
	    o->kind == OPTION_KIND_ENUM ? "word" : type_names[o->field.type]);
	if (o->kind == OPTION_KIND_ENUM)
		printf("%s\t", option_word(o, (int)o->initial));
	else if (o->kind == OPTION_KIND_BOOL)
		printf("%s\t", o->initial ? "true" : "false");
	else
		printf("%jd\t", o->initial);
	print_limits(o);
	printf("%s\t", o->policy == OPTION_CLIP ? "clip" : "reject");
	if (o->kind == OPTION_KIND_BOOL)
		printf("true false");
	for (int i = 0; o->kind == OPTION_KIND_ENUM && option_word(o, i) != NULL; i++)
		printf("%s%s", i == 0 ? "" : " ", option_word(o, i));
	printf("\t%s\n", o->field.doc);
}

static void
print_options(void)
{
	static const char *const what[] = {
		[OPTION_IS_LG_ALIAS] = "alias",
		[OPTION_IS_LATER] = "later",
		[OPTION_IS_OBSOLETE] = "obsolete",
	};

	for (unsigned i = 0; i < option_count; i++)
		print_option(&option_table[i]);
	for (unsigned i = 0; i < option_name_count; i++)
		printf("name\t%s\t%s\t%s\n", option_names[i].name,
		    what[option_names[i].what], option_names[i].of);
}

/* ---- Nodes. ---- */

static const struct ctl_group *
first_with_rows_of(const struct ctl_tree *tree, const struct ctl_group *group)
{
	const struct ctl_group *first = tree->groups;

	while (first->rows != group->rows)
		first++;
	return first;
}

static const char *
access_of(const struct ctl_group *group, const struct ctl_row *row)
{
	if (group->acts == NULL)
		return "r";
	if ((row->access & (CTL_READ | CTL_NEEDS_NEW)) == (CTL_READ | CTL_NEEDS_NEW))
		return "r+";
	if ((row->access & CTL_ARGUMENT) != 0)
		return "r(+)";
	switch (row->access & (CTL_READ | CTL_WRITE | CTL_NEEDS_NEW)) {
	case CTL_READ: return "r";
	case CTL_READ | CTL_WRITE: return "rw";
	case 0: return "command";
	default: return "w";
	}
}

static void
print_node(const struct ctl_group *group, unsigned i)
{
	const struct field *field = tree_row_field(group, i);
	const struct ctl_row *row = group->acts != NULL ? tree_row(group, i) : NULL;
	const char *access = access_of(group, row);

	printf("node\t%s%s%s\t%s\t%s\t%zu\t%s%s\n", group->path,
	    *group->path == '\0' ? "" : ".", field->name,
	    strcmp(access, "command") == 0 ? "" : type_names[field->type], access,
	    row == NULL ? 0 : (size_t)row->new_size, field->doc,
	    row != NULL && (row->access & CTL_MISSING) != 0
		? " Not in this version: ENOENT."
		: "");
}

static void
print_nodes(const struct ctl_tree *tree)
{
	for (unsigned i = 0; i < tree->n_groups; i++) {
		const struct ctl_group *group = &tree->groups[i];
		if (group->rows == NULL)
			continue;
		const struct ctl_group *first = first_with_rows_of(tree, group);
		printf("group\t%s\t%s\n", group->path, first->path);
		for (unsigned row = 0; first == group && row < tree_row_count(group);
		     row++)
			print_node(group, row);
	}
}

int
main(void)
{
	print_options();
	print_nodes(ctl_tree());
	return ferror(stdout) || fflush(stdout) != 0;
}
