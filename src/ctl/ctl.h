/* SPDX-License-Identifier: MIT */
/*
 * ctl -- reading, writing and running control nodes: the rules of mallctl, checked in one
 * place.
 *
 *	EPERM   writing what cannot be written, reading what cannot be read
 *	EINVAL  a wrong length, or a value that the node does not take.  A read of the
 *	        wrong length copies the bytes that fit, stores their number, writes nothing
 *	ENOENT  no such node: a wrong name, an inner node, an index without meaning, a
 *	        missing feature
 *	EAGAIN  memory or another resource is missing
 *	EFAULT  the node refuses
 *
 * A node's handler runs after permissions and lengths are known to be right, with no lock
 * held; it sets `value' to what is read (the old value, where something is written).
 *
 * The allocator must be up (api/boot.h); any thread, but not inside an allocation.
 */
#ifndef TRACT_CTL_CTL_H
#define TRACT_CTL_CTL_H

#include <stddef.h>

#include "base/atomic.h"
#include "ctl/tree.h"

union ctl_value {
	bool flag;
	unsigned u;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	size_t size;
	ssize_t ssize;
	int number;
	const char *string;
	const void *pointer;
};

struct ctl_call {
	const void *row; /* the node's row, which begins with a struct field */
	unsigned index[CTL_INDICES];
	const void *new;       /* what is written; NULL: nothing */
	size_t new_length;     /* checked, but for CTL_OWN_LENGTHS */
	union ctl_value value; /* what is read */
	/* The caller's own, for CTL_OWN_LENGTHS. */
	void *old;
	size_t *old_length;
};

/* What mallctl is given. */
struct ctl_exchange {
	void *old;
	size_t *old_length;
	const void *new;
	size_t new_length;
};

/* All return 0 or one of the errors above. */
int ctl_by_name(const char *name, const struct ctl_exchange *x);
int ctl_by_mib(const size_t *mib, size_t length, const struct ctl_exchange *x);
int ctl_name_to_mib(const char *name, size_t *mib, size_t *length);

/* The table itself. */
const struct ctl_tree *ctl_tree(void);
/* The group with this path, for loops over its rows; it exists. */
const struct ctl_group *ctl_group(const char *path);
/* Is the row a plain value, which can be read without effect? */
bool ctl_row_is_value(const struct ctl_group *group, unsigned row);
/* Read such a row. 0 or an error; *type: how value is to be read. */
int ctl_row_read(const struct ctl_group *group, unsigned row,
    const unsigned index[CTL_INDICES], union ctl_value *value, enum field_type *type);

/*
 * The object that the rows of a group of plain values describe, whole: the constant
 * itself, or a copy from the snapshot.  NULL: there is none now.
 */
struct ctl_copy {
	uint64_t words[128];
};
const void *ctl_group_object(const struct ctl_group *group,
    const unsigned index[CTL_INDICES], struct ctl_copy *copy);

/* In its place of the order of lock_ranks.def. */
void ctl_fork_prepare(void);
void ctl_fork_parent(void);
void ctl_fork_child(void);

/* mallocx, for experimental.batch_alloc; set by the API before it calls. */
extern void *(*_Atomic ctl_allocx)(size_t size, int flags);

/* Calls of realloc(p, 0), p not NULL; counted by the API. */
extern _Atomic(size_t) ctl_zero_reallocs;

#endif
