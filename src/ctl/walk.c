/* SPDX-License-Identifier: MIT */
#include "ctl/walk.h"

#include <string.h>

#include "base/bits.h"
#include "config/options.h"
#include "ctl/ctl.h"
#include "ctl/stats.h"

#define NAME_SIZE 96
#define LABEL_WIDTH 18

/* ---- The table of groups. ---- */

static const struct ctl_path *
path_of(unsigned g)
{
	return &ctl_tree()->paths[g];
}

static const struct ctl_group *
group_at(unsigned g)
{
	return &ctl_tree()->groups[g];
}

/* Does group g's path begin with the first `depth' components of group top's? */
static bool
is_at_or_below(unsigned g, unsigned top, unsigned depth)
{
	return path_of(g)->depth >= depth
	    && (depth == 0
		|| path_of(g)->number[depth - 1] == path_of(top)->number[depth - 1]);
}

/* Is group g the first of those that continue the first `depth' components of top's? */
static bool
is_child(unsigned g, unsigned top, unsigned depth)
{
	return path_of(g)->depth > depth && is_at_or_below(g, top, depth)
	    && path_of(g)->number[depth] == g;
}

static bool
is_index(unsigned g, unsigned depth)
{
	return path_of(g)->depth > depth && path_of(g)->kind[depth] != 0;
}

/* Component `depth' of a group's path, cut to size. */
static void
copy_word(unsigned g, unsigned depth, char *to, size_t size)
{
	const char *from = group_at(g)->path;

	for (; depth > 0; depth--)
		from = strchr(from, '.') + 1;
	const size_t length = min_size(strcspn(from, "."), size - 1);
	memcpy(to, from, length);
	to[length] = '\0';
}

bool
walk_skips(const struct walk *w, const char *word)
{
	for (unsigned i = 0; w->skipped[i] != NULL; i++) {
		const size_t length = strcspn(w->skipped[i], "*");
		const bool is_whole = w->skipped[i][length] == '\0';
		if (strncmp(w->skipped[i], word, length + is_whole) == 0)
			return true;
	}
	return false;
}

bool
walk_skips_path(const struct walk *w, const struct ctl_group *group)
{
	const unsigned g = (unsigned)(group - ctl_tree()->groups);
	char word[NAME_SIZE];

	for (unsigned d = 0; d < path_of(g)->depth; d++) {
		copy_word(g, d, word, sizeof word);
		if (walk_skips(w, word))
			return true;
	}
	return false;
}

/* A value to print.  JSON has its objects and arrays even where all of them are absent,
 * text no title with nothing below. */
static bool
has_value(const struct walk *w, const struct ctl_group *group, unsigned row)
{
	union ctl_value value;
	enum field_type type;

	return ctl_row_is_value(group, row)
	    && (w->e->form == EMIT_JSON || !group->acts
		|| ctl_row_read(group, row, w->index, &value, &type) == 0);
}

/* Is there any row to print at or below the first `depth' components of group top? */
static bool
has_values(const struct walk *w, unsigned top, unsigned depth)
{
	for (unsigned g = 0; g < ctl_tree()->n_groups; g++) {
		if (!is_at_or_below(g, top, depth))
			continue;
		for (unsigned i = 0; i < tree_row_count(group_at(g)); i++)
			if (has_value(w, group_at(g), i))
				return true;
	}
	return false;
}

/* The next child of top's first `depth' components from group g on that is printed; its
 * word. False: none. */
static bool
next_child(const struct walk *w, unsigned top, unsigned depth, unsigned *g,
    char word[NAME_SIZE])
{
	for (; *g < ctl_tree()->n_groups; ++*g) {
		if (!is_child(*g, top, depth))
			continue;
		copy_word(*g, depth, word, NAME_SIZE);
		if (!walk_skips(w, word) && has_values(w, *g, depth + 1))
			return true;
	}
	return false;
}

/* ---- Rows. ---- */

/* Names that readers of jemalloc's JSON expect for some arena's rows, beside our own. */
static const char *
other_name(const struct walk *w, const struct ctl_group *group, const char *name)
{
	static const struct {
		char name[16], other[16];
	} others[] = {
		{ "uptime", "uptime_ns" },
		{ "hpa_sec_bytes", "sec_bytes" },
	};

	if (w->e->form != EMIT_JSON || strcmp(group->path, "stats.arenas.<seen>") != 0)
		return NULL;
	for (unsigned i = 0; i < COUNT_OF(others); i++)
		if (strcmp(others[i].name, name) == 0)
			return others[i].other;
	return NULL;
}

static void
print_row(const struct walk *w, const struct ctl_group *group, const char *name,
    enum field_type type, const void *value)
{
	const char *other = other_name(w, group, name);
	char full[NAME_SIZE];
	struct fmt f;

	if (w->has_full_names && w->e->form == EMIT_TEXT && group->path[0] != '\0') {
		fmt_init(&f, full, sizeof full);
		fmt_print(&f, "%s.%s", group->path, name);
		name = full;
	}
	emit_value(w->e, name, type, value);
	if (other != NULL)
		emit_value(w->e, other, type, value);
}

#define RATIO_SIZE 24

/* Decimal, to four places. */
static void
format_ratio(char text[RATIO_SIZE], uint32_t ratio)
{
	const uint64_t rounded = ((uint64_t)ratio * 10000 + RATIO_ONE / 2) / RATIO_ONE;
	struct fmt f;

	fmt_init(&f, text, RATIO_SIZE);
	if (ratio == RATIO_NEVER) {
		fmt_text(&f, "-1");
		return;
	}
	fmt_print(&f, "%llu.%04llu", (unsigned long long)(rounded / 10000),
	    (unsigned long long)(rounded % 10000));
	while (text[f.length - 1] == '0')
		text[--f.length] = '\0';
	if (text[f.length - 1] == '.')
		text[--f.length] = '\0';
}

/* The text of a value whose type is not all there is to it; NULL: it is. */
static const char *
text_of_value(const struct ctl_group *group, const struct field *field, const void *value,
    char buffer[RATIO_SIZE])
{
	if (field->type == FIELD_ENUM)
		return group->name_of(field, *(const int *)value);
	if (group->rows == option_table
	    && CONTAINER_OF(field, const struct option, field)->kind
		== OPTION_KIND_RATIO) {
		format_ratio(buffer, *(const uint32_t *)value);
		return buffer;
	}
	return NULL;
}

/* Rows that are fields of one object: all of them from one copy of it. */
static void
print_object(const struct walk *w, const struct ctl_group *group)
{
	struct ctl_copy copy;
	char buffer[RATIO_SIZE];
	const void *object = ctl_group_object(group, w->index, &copy);

	for (unsigned i = 0; object != NULL && i < tree_row_count(group); i++) {
		const struct field *field = tree_row_field(group, i);
		const void *value = field_at_const(field, object);
		if (walk_skips(w, field->name))
			continue;
		const char *text = text_of_value(group, field, value, buffer);
		if (text != NULL)
			print_row(w, group, field->name, FIELD_STRING, &text);
		else
			print_row(w, group, field->name, field->type, value);
	}
}

static void
print_acting(const struct walk *w, const struct ctl_group *group)
{
	enum field_type type;
	union ctl_value value;

	for (unsigned i = 0; i < tree_row_count(group); i++) {
		if (ctl_row_is_value(group, i)
		    && !walk_skips(w, tree_row_field(group, i)->name)
		    && ctl_row_read(group, i, w->index, &value, &type) == 0)
			print_row(w, group, tree_row_field(group, i)->name, type, &value);
	}
}

static void
print_rows(const struct walk *w, const struct ctl_group *group)
{
	if (group->acts)
		print_acting(w, group);
	else
		print_object(w, group);
}

/* ---- Indices. ---- */

static const struct ctl_index_kind *
kind_of_index(unsigned g, unsigned depth)
{
	return &ctl_tree()->kinds[path_of(g)->kind[depth] - 1];
}

size_t
walk_index_size(const struct ctl_index_kind *kind, unsigned index)
{
	if (strcmp(kind->name, "<bin>") == 0)
		return size_class_size(index);
	if (strcmp(kind->name, "<large>") == 0)
		return size_class_size(SC_NBINS + index);
	if (strcmp(kind->name, "<pages>") == 0)
		return page_class_size(index);
	return 0;
}

bool
walk_is_zero(const struct ctl_group *group, const void *object)
{
	for (unsigned i = 0; i < tree_row_count(group); i++) {
		const struct field *field = tree_row_field(group, i);
		const char *bytes = field_at_const(field, object);
		for (size_t k = 0; k < field_size(field->type); k++)
			if (bytes[k] != 0)
				return false;
	}
	return true;
}

/* ---- JSON. ---- */

static void json_members(struct walk *w, unsigned top, unsigned depth);

static void
json_array(struct walk *w, const char *word, unsigned g, unsigned depth)
{
	const struct ctl_index_kind *kind = kind_of_index(g, depth);

	assert(w->n_indices < CTL_INDICES);
	emit_array(w->e, word);
	w->n_indices++;
	for (unsigned i = 0; kind->is_valid(i); i++) {
		w->index[w->n_indices - 1] = i;
		emit_object(w->e, NULL, NULL);
		json_members(w, g, depth + 1);
		emit_object_end(w->e, NULL);
	}
	w->index[--w->n_indices] = 0;
	emit_array_end(w->e);
}

/* What is at and below the first `depth' components of group top. */
static void
json_members(struct walk *w, unsigned top, unsigned depth)
{
	char word[NAME_SIZE];

	if (path_of(top)->depth == depth)
		print_rows(w, group_at(top));
	for (unsigned g = top; next_child(w, top, depth, &g, word); g++) {
		if (is_index(g, depth + 1)) {
			json_array(w, word, g, depth + 1);
			continue;
		}
		emit_object(w->e, word, NULL);
		json_members(w, g, depth + 1);
		emit_object_end(w->e, NULL);
	}
}

/* ---- Text: tables. ---- */

static struct emit_rows
columns_of(const struct ctl_group *group)
{
	return (struct emit_rows){ group->rows, tree_row_count(group), group->stride };
}

/* Groups that can stand in a table: plain figures with nothing below. */
static bool
is_tabular(unsigned g, unsigned depth)
{
	const struct ctl_group *group = group_at(g);

	if (path_of(g)->depth != depth || group->acts)
		return false;
	for (unsigned i = 0; i < ctl_tree()->n_groups; i++)
		if (i != g && is_at_or_below(i, g, depth))
			return false;
	return true;
}

static void
text_label(struct walk *w, const char *label)
{
	emit_indent(w->e);
	emit_text(w->e, "%-*s", LABEL_WIDTH, label);
}

/* One line a group: group g, and those after it at this depth with the same rows.
 * Returns the last of them. */
static unsigned
text_siblings(struct walk *w, unsigned top, unsigned depth, unsigned g)
{
	const struct ctl_group *first = group_at(g);
	const struct emit_rows columns = columns_of(first);
	unsigned last = g;
	char word[NAME_SIZE];
	struct ctl_copy copy;

	text_label(w, "");
	emit_headings(w->e, &columns);
	emit_text(w->e, "\n");
	for (; next_child(w, top, depth, &g, word); g++) {
		if (group_at(g)->rows != first->rows || !is_tabular(g, depth + 1))
			break;
		last = g;
		const void *object = ctl_group_object(group_at(g), w->index, &copy);
		if (object == NULL)
			continue;
		text_label(w, word);
		emit_columns(w->e, &columns, object);
		emit_text(w->e, "\n");
	}
	return last;
}

/* The line of the present index: its group's figures, then those of groups below. */
static void
text_index_line(struct walk *w, unsigned g, unsigned depth, size_t size)
{
	const unsigned index = w->index[w->n_indices - 1];
	char word[NAME_SIZE];
	struct ctl_copy copy;

	const void *object = ctl_group_object(group_at(g), w->index, &copy);
	if (object == NULL || walk_is_zero(group_at(g), object))
		return;
	emit_indent(w->e);
	emit_text(w->e, "%*zu%5u", LABEL_WIDTH, size, index);
	const struct emit_rows columns = columns_of(group_at(g));
	emit_columns(w->e, &columns, object);
	for (unsigned below = g; next_child(w, g, depth, &below, word); below++) {
		const struct emit_rows more = columns_of(group_at(below));
		object = ctl_group_object(group_at(below), w->index, &copy);
		if (object != NULL)
			emit_columns(w->e, &more, object);
	}
	emit_text(w->e, "\n");
}

/* A line an index. Group g has the index as component `depth'. */
static void
text_index(struct walk *w, const char *word, unsigned g, unsigned depth)
{
	const struct ctl_index_kind *kind = kind_of_index(g, depth);
	const struct emit_rows columns = columns_of(group_at(g));
	char title[NAME_SIZE + 1], below_word[NAME_SIZE];
	struct fmt f;

	fmt_init(&f, title, sizeof title);
	fmt_print(&f, "%s:", word);
	emit_indent(w->e);
	emit_text(w->e, "%-*s%4s%5s", LABEL_WIDTH - 4, title, "size", "ind");
	emit_headings(w->e, &columns);
	for (unsigned b = g; next_child(w, g, depth + 1, &b, below_word); b++) {
		const struct emit_rows more = columns_of(group_at(b));
		emit_headings(w->e, &more);
	}
	emit_text(w->e, "\n");
	assert(w->n_indices < CTL_INDICES);
	w->n_indices++;
	for (unsigned i = 0; kind->is_valid(i); i++) {
		w->index[w->n_indices - 1] = i;
		text_index_line(w, g, depth + 1, walk_index_size(kind, i));
	}
	w->index[--w->n_indices] = 0;
}

/* ---- Text. ---- */

static void
text_members(struct walk *w, unsigned top, unsigned depth)
{
	char word[NAME_SIZE], title[NAME_SIZE + 1];
	struct fmt f;

	if (path_of(top)->depth == depth)
		print_rows(w, group_at(top));
	for (unsigned g = top; next_child(w, top, depth, &g, word); g++) {
		if (is_index(g, depth + 1)) {
			if (!w->has_full_names)
				text_index(w, word, g, depth + 1);
		} else if (w->has_full_names) {
			text_members(w, g, depth + 1);
		} else if (is_tabular(g, depth + 1)) {
			g = text_siblings(w, top, depth, g);
		} else {
			fmt_init(&f, title, sizeof title);
			fmt_print(&f, "%s:", word);
			emit_object(w->e, word, title);
			text_members(w, g, depth + 1);
			emit_object_end(w->e, title);
		}
	}
}

/* ---- The ways in. ---- */

/* The number of groups: none. */
static unsigned
find_group(const char *path)
{
	unsigned g = 0;

	while (g < ctl_tree()->n_groups && strcmp(group_at(g)->path, path) != 0)
		g++;
	return g;
}

bool
walk_has(const struct walk *w, const char *path)
{
	const unsigned g = find_group(path);

	return g < ctl_tree()->n_groups && has_values(w, g, path_of(g)->depth);
}

void
walk_below(struct walk *w, const char *path)
{
	const unsigned g = find_group(path);

	assert(g < ctl_tree()->n_groups);
	if (path[0] == '\0')
		print_rows(w, group_at(g));
	else if (w->e->form == EMIT_JSON)
		json_members(w, g, path_of(g)->depth);
	else
		text_members(w, g, path_of(g)->depth);
}
