/* SPDX-License-Identifier: MIT */
/*
 * tables -- the library's tables of options and control nodes, one line a row, for
 * scripts/gen-manual and scripts/check-doc.
 *
 * It is linked with the library's objects and prints what they hold, so a build with other
 * switches has other initial values.  Fields are separated by tabs:
 *
 *	option  NAME TYPE INITIAL MIN MAX reject|clip|reduce VALUES DOC STANDING
 *	        MIN, MAX: "" where none; STANDING: live|switch|parameter|shape|alias
 *	obsolete NAME
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

static const char *
type_of(const struct option *o)
{
	switch ((enum option_kind)o->kind) {
	case OPTION_KIND_ENUM: return "word";
	case OPTION_KIND_RATIO:
	case OPTION_KIND_RATIO_ALIAS: return "ratio";
	case OPTION_KIND_TEXT: return "text";
	case OPTION_KIND_LETTERS: return "letters";
	case OPTION_KIND_LIST: return "lo-hi:n|lo-hi:n...";
	case OPTION_KIND_LG_ALIAS: return "n";
	default: return type_names[o->field.type];
	}
}

static void
print_initial(const struct option *o)
{
	switch ((enum option_kind)o->kind) {
	case OPTION_KIND_BOOL: printf("%s", o->initial ? "true" : "false"); return;
	case OPTION_KIND_ENUM: printf("%s", option_word(o, (int)o->initial)); return;
	case OPTION_KIND_RATIO: printf("%g", (double)o->initial / RATIO_ONE); return;
	case OPTION_KIND_TEXT: printf("%s", o->words); return;
	case OPTION_KIND_LETTERS:
	case OPTION_KIND_LIST:
	case OPTION_KIND_LG_ALIAS:
	case OPTION_KIND_RATIO_ALIAS: return;
	default: printf("%jd", o->initial); return;
	}
}

/* What a type can hold is no limit of the option. */
static void
print_limits(const struct option *o)
{
	const bool is_signed = o->kind == OPTION_KIND_SSIZE || o->kind == OPTION_KIND_I64;
	const uintmax_t no_max = is_signed    ? INT64_MAX
	    : o->kind == OPTION_KIND_UNSIGNED ? UINT_MAX
					      : UINT64_MAX;

	if (o->kind == OPTION_KIND_LIST
	    || (o->kind >= OPTION_KIND_SSIZE && o->kind <= OPTION_KIND_I64)) {
		printf("%jd\t", o->min);
		if (o->max < no_max)
			printf("%ju", o->max);
	} else {
		printf("\t");
	}
}

static void
print_values(const struct option *o)
{
	const char *word;

	if (o->kind == OPTION_KIND_BOOL)
		printf("true false");
	for (unsigned i = 0;
	     o->kind == OPTION_KIND_ENUM && (word = option_word(o, i)) != NULL; i++)
		printf("%s%s", i == 0 ? "" : " ", word);
}

static void
print_options(void)
{
	static const char *const policies[] = { "reject", "clip", "reduce" };
	static const char *const standings[] = { "live", "switch", "parameter", "shape" };

	for (unsigned i = 0; i < OPTIONS; i++) {
		const struct option *o = &option_table[i];
		printf("option\t%s\t%s\t", o->field.name, type_of(o));
		print_initial(o);
		printf("\t");
		print_limits(o);
		printf("\t%s\t", policies[o->policy]);
		print_values(o);
		printf("\t%s\t%s\n", o->field.doc,
		    o->kind >= OPTION_KIND_LG_ALIAS ? "alias" : standings[o->standing]);
	}
	for (unsigned i = 0; i < option_obsolete_count; i++)
		printf("obsolete\t%s\n", option_obsolete[i]);
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
	    (row != NULL && (row->access & CTL_MISSING) != 0)
		    || (group->is_missing != NULL && group->is_missing(field))
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
