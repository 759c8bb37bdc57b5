/* SPDX-License-Identifier: MIT */
/*
 * tree -- the name space of control nodes, as a table, and paths of numbers through it.
 *
 * A group is a path, a table of rows, and the place where the rows' bytes are.  A
 * component of a path is a word, or an index whose kind stands in angle brackets:
 * "stats.arenas.<seen>.bins.<bin>".
 *
 * There is no tree of pointers.  The number of a word in a path of numbers (a MIB) is the
 * index of the first group whose path begins so; that of an index is the index; that of a
 * leaf is the count of groups plus the row.  So finding a node by numbers only indexes
 * arrays, `mib[2] = i' works as users expect, and an inner node is never mistaken for a
 * leaf.
 *
 * That needs, and tree_is_sound says, of every table:
 *	a group stands before the groups below it;
 *	a group with rows has no index directly below it, and no row named like a word
 *	below it;
 *	groups that begin alike agree whether the next component is an index, and of
 *	which kind.
 *
 * A tree is constant but for `paths', which tree_boot computes once.
 */
#ifndef TRACT_CTL_TREE_H
#define TRACT_CTL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/field.h"

#define CTL_DEPTH 8   /* components of the longest path of a group */
#define CTL_INDICES 2 /* indices in a path */
#define CTL_GROUPS_MAX 255

struct ctl_call;
struct ctl_group;

enum ctl_access {
	CTL_READ = 1,
	CTL_WRITE = 2,        /* what is written replaces what is read */
	CTL_ARGUMENT = 4,     /* what is written is an argument of the reading */
	CTL_NEEDS_NEW = 8,    /* something must be written */
	CTL_MUST_READ = 16,   /* has an effect: must be read, with the exact length */
	CTL_OWN_LENGTHS = 32, /* the handler checks lengths and copies */
	CTL_MISSING =
	    64, /* its feature is not in this build: ENOENT, whatever is asked */
};

/* A row of a group that acts. Rows of other groups are any struct that begins with a
 * field.  No pointers: see base/field.h. */
struct ctl_row {
	struct field field; /* offset: as its function uses it */
	unsigned access;    /* of enum ctl_access; 0: a command */
	unsigned new_size;  /* bytes of what is written; 0: as what is read */
};

/* What a row does. 0 or an error, see ctl.h. */
typedef int ctl_act(struct ctl_call *call);

enum ctl_guard {
	CTL_UNGUARDED, /* `locate' finds constants */
	CTL_SNAPSHOT,  /* `locate' and the copy are under ctl_lock, in a snapshot */
};

struct ctl_group {
	const char *path; /* "" for the root */
	const void *rows; /* NULL: none */
	const unsigned *n_rows;
	size_t stride; /* bytes of a row */
	/* A row's function, for each; rows are struct ctl_row then.  NULL: all are values,
	 * found through `locate', and read only. */
	ctl_act *const *acts;
	enum ctl_guard guard;
	/* The object that the rows' fields describe lies `offset' bytes from here.
	 * NULL: no such. */
	const void *(*locate)(const unsigned index[CTL_INDICES]);
	size_t offset;
	/* Text of a FIELD_ENUM. */
	const char *(*name_of)(const struct field *field, int value);
	/* Is a value's feature not in this build? NULL: all are there. */
	bool (*is_missing)(const struct field *field);
};

struct ctl_index_kind {
	const char *name; /* as in paths, with the brackets */
	bool (*is_valid)(size_t index);
};

/* What tree_boot knows of a group's path. */
struct ctl_path {
	uint8_t depth;
	uint8_t number[CTL_DEPTH]; /* of a word */
	uint8_t kind[CTL_DEPTH];   /* of an index: 1 + kind; 0: a word */
};

struct ctl_tree {
	const struct ctl_group *groups;
	unsigned n_groups;
	const struct ctl_index_kind *kinds;
	unsigned n_kinds;
	struct ctl_path *paths; /* n_groups of them */
};

struct ctl_node {
	const struct ctl_group *group;
	const void *row; /* begins with a struct field */
	ctl_act *act;    /* NULL: a value */
	unsigned index[CTL_INDICES];
};

void tree_boot(struct ctl_tree *tree);

/*
 * The path of numbers of a name, of an inner node or a leaf.  *length: room on entry, its
 * length on return.  0; ENOENT: no such name; EINVAL: too little room.
 */
int tree_find(const struct ctl_tree *tree, const char *name, size_t *mib, size_t *length);

/* The leaf at a path of numbers. 0 or ENOENT. */
int tree_resolve(const struct ctl_tree *tree, const size_t *mib, size_t length,
    struct ctl_node *node);

/* Do the rules above hold? For tests: `why' gets the path of a group that breaks one. */
bool tree_is_sound(const struct ctl_tree *tree, const char **why);

static inline const void *
tree_row(const struct ctl_group *group, unsigned i)
{
	return (const char *)group->rows + i * group->stride;
}

static inline const struct field *
tree_row_field(const struct ctl_group *group, unsigned i)
{
	return tree_row(group, i);
}

/* The row of that name; NULL: none. */
const struct field *tree_row_named(const struct ctl_group *group, const char *name);

static inline ctl_act *
tree_row_act(const struct ctl_group *group, unsigned i)
{
	return group->acts == NULL ? NULL : group->acts[i];
}

static inline unsigned
tree_row_count(const struct ctl_group *group)
{
	return group->rows == NULL ? 0 : *group->n_rows;
}

#endif
