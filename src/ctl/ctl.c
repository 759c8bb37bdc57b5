/* SPDX-License-Identifier: MIT */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "ctl/nodes.h"
#include "ctl/pin.h"
#include "ctl/snapshot.h"
#include "sync/fork.h"
#include "sync/once.h"

_Atomic(size_t) ctl_zero_reallocs;
void *(*_Atomic ctl_allocx)(size_t size, int flags);

static struct ctl_path paths[CTL_GROUPS_MAX] BULKY;
static struct ctl_tree tree BULKY;
static struct once tree_once = ONCE_INITIALIZER;

static void
boot_tree(void)
{
	tree = (struct ctl_tree){
		.groups = ctl_groups,
		.n_groups = ctl_n_groups,
		.kinds = ctl_index_kinds,
		.n_kinds = ctl_n_index_kinds,
		.paths = paths,
	};
	nodes_boot();
	tree_boot(&tree);
}

const struct ctl_tree *
ctl_tree(void)
{
	(void)once_run(&tree_once, boot_tree);
	return &tree;
}

const struct ctl_group *
ctl_group(const char *path)
{
	const struct ctl_tree *t = ctl_tree();
	unsigned g = 0;

	while (strcmp(t->groups[g].path, path) != 0) {
		g++;
		assert(g < t->n_groups);
	}
	return &t->groups[g];
}

/* ---- One row. ---- */

static unsigned
access_of(const struct ctl_group *group, const struct ctl_row *row)
{
	if (group->acts != NULL)
		return row->access;
	const bool is_missing =
	    group->is_missing != NULL && group->is_missing(&row->field);
	return CTL_READ | (is_missing ? CTL_MISSING : 0);
}

/* Bytes of the value as it is handed out: an ENUM as its text. */
static size_t
value_size(enum field_type type)
{
	return type == FIELD_ENUM ? sizeof(const char *) : field_size(type);
}

/* Without statistics, what is counted all the same is for those who ask without names:
 * mallinfo. */
static bool
is_missing(const struct ctl_group *group, unsigned access)
{
	return (access & CTL_MISSING) != 0
	    || (group->guard == CTL_SNAPSHOT && !CONFIG_STATS);
}

/* Copy the row's bytes from where the group has them. */
static int
fetch(const struct ctl_group *group, const struct field *field,
    const unsigned index[CTL_INDICES], union ctl_value *value)
{
	const bool is_guarded = group->guard == CTL_SNAPSHOT;
	int rc = 0;

	if (is_guarded && (rc = snapshot_enter()) != 0)
		return rc;
	const void *object = group->locate(index);
	if (object == NULL)
		rc = ENOENT;
	else
		memcpy(value, field_at_const(field, (const char *)object + group->offset),
		    field_size(field->type));
	if (is_guarded)
		snapshot_leave();
	if (rc == 0 && field->type == FIELD_ENUM)
		value->string = group->name_of(field, value->number);
	return rc;
}

static int
perform(const struct ctl_node *node, struct ctl_call *call)
{
	if (node->act != NULL)
		return node->act(call);
	return fetch(node->group, node->row, node->index, &call->value);
}

/* ---- The rules. ---- */

/* Hand out the value: 0, or EINVAL where the length was not its own. */
static int
copy_out(const union ctl_value *value, size_t size, const struct ctl_exchange *x)
{
	if (x->old == NULL || x->old_length == NULL)
		return 0;
	const size_t length = min_size(*x->old_length, size);
	memcpy(x->old, value, length);
	if (*x->old_length == size)
		return 0;
	*x->old_length = length;
	return EINVAL;
}

static int
check_permission(unsigned access, const struct ctl_exchange *x)
{
	if ((x->old != NULL || x->old_length != NULL) && (access & CTL_READ) == 0)
		return EPERM;
	if ((x->new != NULL || x->new_length != 0)
	    && (access & (CTL_WRITE | CTL_ARGUMENT | CTL_NEEDS_NEW)) == 0)
		return EPERM;
	return 0;
}

static int
check_new_length(unsigned access, size_t size, const struct ctl_exchange *x)
{
	if (x->new == NULL)
		return (access & CTL_NEEDS_NEW) != 0 ? EINVAL : 0;
	return x->new_length == size ? 0 : EINVAL;
}

static bool
reads_exactly(size_t size, const struct ctl_exchange *x)
{
	return x->old != NULL && x->old_length != NULL && *x->old_length == size;
}

static int
check_must_read(size_t size, const struct ctl_exchange *x)
{
	if (reads_exactly(size, x))
		return 0;
	if (x->old_length != NULL)
		*x->old_length = 0;
	return EINVAL;
}

static int
execute(const struct ctl_node *node, const struct ctl_exchange *x)
{
	const struct field *field = node->row;
	const struct ctl_row *row = node->row; /* only if the group acts */
	const unsigned access = access_of(node->group, row);
	const size_t size = value_size(field->type);
	const size_t new_size =
	    node->group->acts != NULL && row->new_size != 0 ? row->new_size : size;
	struct ctl_call call = {
		.row = row,
		.new = x->new,
		.new_length = x->new_length,
		.old = x->old,
		.old_length = x->old_length,
	};

	memcpy(call.index, node->index, sizeof call.index);
	if (is_missing(node->group, access))
		return ENOENT;
	int rc = check_permission(access, x);
	if (rc != 0)
		return rc;
	if ((access & CTL_OWN_LENGTHS) != 0)
		return perform(node, &call);
	if ((rc = check_new_length(access, new_size, x)) != 0)
		return rc;
	if ((access & CTL_MUST_READ) != 0 && (rc = check_must_read(size, x)) != 0)
		return rc;
	/* The old value is read in any case, but the write only happens in a correct
	 * call. */
	if ((access & CTL_WRITE) != 0 && x->old != NULL && x->old_length != NULL
	    && !reads_exactly(size, x))
		call.new = NULL;
	if ((rc = perform(node, &call)) != 0)
		return rc;
	return (access & CTL_READ) != 0 ? copy_out(&call.value, size, x) : 0;
}

/* ---- The three ways in. ---- */

int
ctl_by_mib(const size_t *mib, size_t length, const struct ctl_exchange *x)
{
	struct ctl_node node = { .group = NULL };
	const int rc = tree_resolve(ctl_tree(), mib, length, &node);

	return rc != 0 ? rc : execute(&node, x);
}

int
ctl_by_name(const char *name, const struct ctl_exchange *x)
{
	size_t mib[CTL_DEPTH + 1], length = COUNT_OF(mib);
	const int rc = tree_find(ctl_tree(), name, mib, &length);

	/* A name with more components than any node has is no node's. */
	if (rc != 0)
		return ENOENT;
	return ctl_by_mib(mib, length, x);
}

int
ctl_name_to_mib(const char *name, size_t *mib, size_t *length)
{
	return tree_find(ctl_tree(), name, mib, length);
}

/* ---- Fork. ---- */

void
ctl_fork_prepare(void)
{
	(void)mutex_fork_prepare(&ctl_lock);
}

void
ctl_fork_parent(void)
{
	mutex_fork_parent(&ctl_lock);
}

void
ctl_fork_child(void)
{
	once_reset_in_child(&tree_once);
	arena_pins_fork_child();
	if (!mutex_fork_child(&ctl_lock))
		snapshot_forget();
}

/* ---- For reports. ---- */

bool
ctl_row_is_value(const struct ctl_group *group, unsigned i)
{
	const unsigned effects =
	    CTL_ARGUMENT | CTL_NEEDS_NEW | CTL_MUST_READ | CTL_OWN_LENGTHS;
	const unsigned access = access_of(group, tree_row(group, i));

	return !is_missing(group, access) && (access & CTL_READ) != 0
	    && (access & effects) == 0;
}

int
ctl_row_read(const struct ctl_group *group, unsigned i, const unsigned index[CTL_INDICES],
    union ctl_value *value, enum field_type *type)
{
	const struct ctl_node node = {
		.group = group,
		.row = tree_row(group, i),
		.act = tree_row_act(group, i),
		.index = { index[0], index[1] },
	};
	struct ctl_call call = { .row = node.row, .index = { index[0], index[1] } };

	assert(ctl_row_is_value(group, i));
	const int rc = perform(&node, &call);
	*value = call.value;
	*type = tree_row_field(group, i)->type;
	if (*type == FIELD_ENUM)
		*type = FIELD_STRING;
	return rc;
}

/* Bytes from the start of the object to the end of its last field. */
static size_t
object_size(const struct ctl_group *group)
{
	size_t size = 0;

	for (unsigned i = 0; i < tree_row_count(group); i++) {
		const struct field *field = tree_row_field(group, i);
		size = max_size(size, field->offset + field_size(field->type));
	}
	return size;
}

const void *
ctl_group_object(const struct ctl_group *group, const unsigned index[CTL_INDICES],
    struct ctl_copy *copy)
{
	const size_t size = object_size(group);
	const bool is_guarded = group->guard == CTL_SNAPSHOT;

	assert(!group->acts);
	if (is_missing(group, 0))
		return NULL;
	if (is_guarded && snapshot_enter() != 0)
		return NULL;
	const char *object = group->locate(index);
	if (object != NULL)
		object += group->offset;
	if (is_guarded) {
		assert(size <= sizeof *copy);
		if (object != NULL)
			object = memcpy(copy, object, size);
		snapshot_leave();
	}
	return object;
}
