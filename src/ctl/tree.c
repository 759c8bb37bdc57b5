/* SPDX-License-Identifier: MIT */
#include "ctl/tree.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"

/* ---- Components: pieces of a name, not terminated. ---- */

struct component {
	const char *text;
	size_t length;
};

/* The next component of *rest, which moves past it; false at the end. */
static bool
next_component(const char **rest, struct component *c)
{
	if (*rest == NULL)
		return false;
	const char *dot = strchr(*rest, '.');
	c->text = *rest;
	c->length = dot != NULL ? (size_t)(dot - *rest) : strlen(*rest);
	*rest = dot != NULL ? dot + 1 : NULL;
	return true;
}

/* Component `at' of a group's path. */
static struct component
path_component(const struct ctl_group *group, unsigned at)
{
	const char *rest = group->path;
	struct component c = { "", 0 };

	for (unsigned i = 0; i <= at; i++)
		(void)next_component(&rest, &c);
	return c;
}

static bool
component_is(struct component c, const char *word)
{
	return strlen(word) == c.length && memcmp(word, c.text, c.length) == 0;
}

static bool
component_equals(struct component a, struct component b)
{
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

/* Digits alone; false for anything else, and for what does not fit. */
static bool
component_index(struct component c, size_t *index)
{
	*index = 0;
	if (c.length == 0)
		return false;
	for (size_t i = 0; i < c.length; i++) {
		if (c.text[i] < '0' || c.text[i] > '9'
		    || __builtin_mul_overflow(*index, 10, index)
		    || __builtin_add_overflow(*index, (size_t)(c.text[i] - '0'), index))
			return false;
	}
	return true;
}

/* ---- Numbers of paths. ---- */

static unsigned
depth_of(const char *path)
{
	unsigned depth = path[0] != '\0';

	for (; *path != '\0'; path++)
		depth += *path == '.';
	return depth;
}

static uint8_t
kind_of(const struct ctl_tree *tree, struct component c)
{
	for (unsigned k = 0; k < tree->n_kinds; k++)
		if (component_is(c, tree->kinds[k].name))
			return (uint8_t)(k + 1);
	return 0;
}

/* Do two paths agree in their first `n' components? */
static bool
begin_alike(const struct ctl_group *a, const struct ctl_group *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!component_equals(path_component(a, i), path_component(b, i)))
			return false;
	return true;
}

/* The first group whose path begins with the first `n' components of group g's. */
static unsigned
first_alike(const struct ctl_tree *tree, unsigned g, unsigned n)
{
	unsigned i = 0;

	while (depth_of(tree->groups[i].path) < n
	    || !begin_alike(&tree->groups[i], &tree->groups[g], n))
		i++;
	return i;
}

void
tree_boot(struct ctl_tree *tree)
{
	assert(tree->n_groups <= CTL_GROUPS_MAX);
	for (unsigned g = 0; g < tree->n_groups; g++) {
		const struct ctl_group *group = &tree->groups[g];
		struct ctl_path *path = &tree->paths[g];
		path->depth = (uint8_t)depth_of(group->path);
		assert(path->depth <= CTL_DEPTH);
		for (unsigned d = 0; d < path->depth; d++) {
			path->number[d] = (uint8_t)first_alike(tree, g, d + 1);
			path->kind[d] = kind_of(tree, path_component(group, d));
		}
	}
}

/* ---- Names to numbers. ---- */

/* Where a walk along a path stands. */
struct place {
	unsigned depth; /* components behind us */
	unsigned group; /* the first whose path begins with them */
};

/* Is the component after this place an index? Then its kind. */
static const struct ctl_index_kind *
index_after(const struct ctl_tree *tree, struct place place)
{
	const struct ctl_path *path = &tree->paths[place.group];

	if (place.depth == 0 || path->depth <= place.depth
	    || path->kind[place.depth] == 0)
		return NULL;
	return &tree->kinds[path->kind[place.depth] - 1];
}

/* Does group g's path begin like the place, with more after it? */
static bool
is_below(const struct ctl_tree *tree, struct place place, unsigned g)
{
	if (tree->paths[g].depth <= place.depth)
		return false;
	return place.depth == 0
	    || tree->paths[g].number[place.depth - 1]
	    == tree->paths[place.group].number[place.depth - 1];
}

/* Is there a group with exactly the path of the place? The root group has the empty
 * one. */
static bool
is_group(const struct ctl_tree *tree, struct place place)
{
	return tree->paths[place.group].depth == place.depth;
}

static bool
step_to_word(const struct ctl_tree *tree, struct place *place, struct component c)
{
	for (unsigned g = place->group; g < tree->n_groups; g++) {
		if (is_below(tree, *place, g)
		    && component_equals(path_component(&tree->groups[g], place->depth),
			c)) {
			*place = (struct place){ place->depth + 1, g };
			return true;
		}
	}
	return false;
}

static bool
find_row(const struct ctl_tree *tree, struct place place, struct component c,
    unsigned *row)
{
	const struct ctl_group *group = &tree->groups[place.group];

	if (!is_group(tree, place))
		return false;
	for (*row = 0; *row < tree_row_count(group); ++*row)
		if (component_is(c, tree_row_field(group, *row)->name))
			return true;
	return false;
}

int
tree_find(const struct ctl_tree *tree, const char *name, size_t *mib, size_t *length)
{
	struct place place = { 0, 0 };
	struct component c;
	size_t used = 0, number;
	unsigned row;

	for (const char *rest = name; next_component(&rest, &c);) {
		const struct ctl_index_kind *kind = index_after(tree, place);
		if (kind != NULL) {
			if (!component_index(c, &number) || !kind->is_valid(number))
				return ENOENT;
			place.depth++;
		} else if (step_to_word(tree, &place, c)) {
			number = place.group;
		} else if (rest == NULL && find_row(tree, place, c, &row)) {
			number = tree->n_groups + row;
		} else {
			return ENOENT;
		}
		if (used == *length)
			return EINVAL;
		mib[used++] = number;
	}
	*length = used;
	return 0;
}

/* ---- Numbers to nodes. ---- */

int
tree_resolve(const struct ctl_tree *tree, const size_t *mib, size_t length,
    struct ctl_node *node)
{
	struct place place = { 0, 0 };
	unsigned n_indices = 0;

	if (length == 0 || length > CTL_DEPTH + 1)
		return ENOENT;
	while (place.depth < length - 1) {
		const size_t number = mib[place.depth];
		const struct ctl_index_kind *kind = index_after(tree, place);
		if (kind != NULL) {
			if (number > UINT32_MAX || !kind->is_valid(number))
				return ENOENT;
			assert(n_indices < CTL_INDICES);
			node->index[n_indices++] = (unsigned)number;
		} else {
			if (number >= tree->n_groups
			    || !is_below(tree, place, (unsigned)number)
			    || tree->paths[number].number[place.depth] != number)
				return ENOENT;
			place.group = (unsigned)number;
		}
		place.depth++;
	}
	const size_t leaf = mib[length - 1];
	if (leaf < tree->n_groups || !is_group(tree, place)
	    || leaf - tree->n_groups >= tree_row_count(&tree->groups[place.group]))
		return ENOENT;
	node->group = &tree->groups[place.group];
	node->row = tree_row(node->group, (unsigned)(leaf - tree->n_groups));
	node->act = tree_row_act(node->group, (unsigned)(leaf - tree->n_groups));
	return 0;
}

/* ---- The rules. ---- */

static bool
has_twin_rows(const struct ctl_group *group)
{
	for (unsigned i = 0; i < tree_row_count(group); i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(tree_row_field(group, i)->name,
				tree_row_field(group, j)->name)
			    == 0)
				return true;
	return false;
}

/* Group g against an earlier one. */
static bool
pair_is_sound(const struct ctl_tree *tree, unsigned earlier, unsigned g)
{
	const struct ctl_group *a = &tree->groups[earlier], *b = &tree->groups[g];
	const unsigned depth_a = tree->paths[earlier].depth,
		       depth_b = tree->paths[g].depth;
	unsigned alike = 0;

	while (alike < depth_a && alike < depth_b
	    && component_equals(path_component(a, alike), path_component(b, alike)))
		alike++;
	/* b lies above a, or is a. */
	if (alike == depth_b)
		return false;
	if (alike == depth_a) {
		if (tree_row_count(a) != 0 && tree->paths[g].kind[alike] != 0)
			return false;
		for (unsigned i = 0; i < tree_row_count(a); i++)
			if (component_is(path_component(b, alike),
				tree_row_field(a, i)->name))
				return false;
		return true;
	}
	return tree->paths[earlier].kind[alike] == 0 && tree->paths[g].kind[alike] == 0;
}

bool
tree_is_sound(const struct ctl_tree *tree, const char **why)
{
	for (unsigned g = 0; g < tree->n_groups; g++) {
		const struct ctl_path *path = &tree->paths[g];
		unsigned n_indices = 0;
		*why = tree->groups[g].path;
		for (unsigned d = 0; d < path->depth; d++) {
			n_indices += path->kind[d] != 0;
			/* What looks like an index is one. */
			if (path->kind[d] == 0
			    && path_component(&tree->groups[g], d).text[0] == '<')
				return false;
		}
		if (n_indices > CTL_INDICES || has_twin_rows(&tree->groups[g]))
			return false;
		for (unsigned earlier = 0; earlier < g; earlier++)
			if (!pair_is_sound(tree, earlier, g))
				return false;
	}
	*why = NULL;
	return true;
}

const struct field *
tree_row_named(const struct ctl_group *group, const char *name)
{
	for (unsigned i = 0; i < tree_row_count(group); i++)
		if (strcmp(tree_row_field(group, i)->name, name) == 0)
			return tree_row_field(group, i);
	return NULL;
}
