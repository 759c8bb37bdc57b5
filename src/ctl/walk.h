/* SPDX-License-Identifier: MIT */
/*
 * walk -- the values of all control nodes below a path, printed as the table of nodes has
 * them: a new row or group is printed without a line here.
 *
 * As JSON a group is an object, a word in a path the key of an object, an index an array.
 * As text a row is a line `name: value'; groups beside each other with the same rows are
 * one table with a line each, and so are those of an index, less the lines where all is
 * zero.
 *
 * Left out: rows that act, and values that are absent (ENOENT).  The figures of one group
 * are of one epoch.
 */
#ifndef TRACT_CTL_WALK_H
#define TRACT_CTL_WALK_H

#include "ctl/emit.h"
#include "ctl/tree.h"

#define WALK_SKIPPED 8

struct walk {
	struct emitter *e;
	/* Words of paths and names of rows that are left out, up to NULL; one that ends
	 * in * stands for all that begin so. */
	const char *skipped[WALK_SKIPPED];
	/* Text: rows have their whole path, nothing is indented, and no index is
	 * followed. */
	bool has_full_names;
	/* Those before the place where the walk is. */
	unsigned index[CTL_INDICES];
	unsigned n_indices;
};

/* Is there anything to print at or below the path? */
bool walk_has(const struct walk *w, const char *path);
/* Members of the object at `path', which is that of a group; "" for the rows of the root,
 * without what is below it. w->index has the path's indices. */
void walk_below(struct walk *w, const char *path);

/* Is a word of a path, or a row of this name, left out?  Is any word of a group's path? */
bool walk_skips(const struct walk *w, const char *word);
bool walk_skips_path(const struct walk *w, const struct ctl_group *group);

/* Is every row's value in the object of a group zero? */
bool walk_is_zero(const struct ctl_group *group, const void *object);
/* The size that an index stands for; 0: none. */
size_t walk_index_size(const struct ctl_index_kind *kind, unsigned index);

#endif
