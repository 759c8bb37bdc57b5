/* SPDX-License-Identifier: MIT */
/*
 * node_tcache -- thread.tcache.*, what the calling thread has of its own, and tcache.*,
 * explicit caches.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "cache/explicit.h"
#include "cache/pool.h"
#include "config/options.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "thread/thread.h"

/* ---- thread.tcache ---- */

/* Off gives the slabs away: frees would find an owner that never looks. */
static int
tcache_enabled(struct ctl_call *call)
{
	struct thread *thread = thread_start();
	bool enable;

	if (thread == NULL)
		return EAGAIN;
	call->value.flag = (thread->modes & MODE_NO_TCACHE) == 0;
	if (call->new == NULL)
		return 0;
	/* The tcache may be at work already. */
	if (thread_n_hooks != 0)
		return EAGAIN;
	memcpy(&enable, call->new, sizeof enable);
	if (enable) {
		thread_clear_mode(thread, MODE_NO_TCACHE);
	} else if (call->value.flag) {
		thread_set_mode(thread, MODE_NO_TCACHE);
		if (thread->tcache != NULL)
			tcache_share_slabs(thread->tcache);
	}
	return 0;
}

/* May the caller's own slabs be worked on? Inside a hook they may be at work already. */
static int
begin_reshape(struct thread **thread)
{
	*thread = thread_start();
	if (*thread == NULL || thread_n_hooks != 0)
		return EAGAIN;
	thread_grow_up(*thread);
	return 0;
}

static int
tcache_max(struct ctl_call *call)
{
	struct tcache_shape shape;
	struct thread *thread;
	size_t max;
	const int rc = begin_reshape(&thread);

	if (rc != 0)
		return rc;
	tcache_shape_copy(&shape, thread->shape);
	call->value.size = tcache_shape_max(&shape);
	if (call->new == NULL)
		return 0;
	memcpy(&max, call->new, sizeof max);
	tcache_shape_limit(&shape, max);
	return thread_set_shape(thread, &shape) ? 0 : EAGAIN;
}

static int
tcache_flush_own(struct ctl_call *call)
{
	struct thread *thread = thread_start();

	(void)call;
	if (thread == NULL || (thread->modes & (MODE_NO_TCACHE | MODE_REENTRANT)) != 0)
		return EFAULT;
	if (thread->tcache != NULL)
		tcache_flush(thread->tcache);
	return 0;
}

#define THREAD_TCACHE_ROWS(ROW) \
	ROW(enabled, BOOL, CTL_READ | CTL_WRITE, 0, tcache_enabled, 0, \
	    "Does the thread have slabs of its own?") \
	ROW(max, SIZE, CTL_READ | CTL_WRITE, 0, tcache_max, 0, \
	    "Largest object that comes from the thread's own slabs, in bytes: a size " \
	    "class, " \
	    "at most 32 KiB.  When it is written the slabs are given away first.") \
	ROW(flush, BOOL, 0, 0, tcache_flush_own, 0, \
	    "Give back all that is free in the thread's own slabs.")

CTL_ROWS(thread_tcache, THREAD_TCACHE_ROWS);

/* ---- thread.tcache.ncached_max ---- */

#define SLOTS_TEXT_MAX 1000

static int
read_slots(struct ctl_call *call)
{
	struct tcache_shape shape;
	struct thread *thread;
	size_t bytes;
	const int rc = begin_reshape(&thread);

	if (rc != 0)
		return rc;
	memcpy(&bytes, call->new, sizeof bytes);
	tcache_shape_copy(&shape, thread->shape);
	if (bytes > tcache_shape_max(&shape))
		return EINVAL;
	call->value.size = tcache_shape_slots(&shape, size_class_of(bytes));
	return 0;
}

static int
write_slots(struct ctl_call *call)
{
	uint16_t list[OPTION_LIST_MAX];
	struct tcache_shape shape;
	struct thread *thread;
	const char *text;
	const int rc = begin_reshape(&thread);

	if (rc != 0)
		return rc;
	if ((thread->modes & MODE_NO_TCACHE) != 0 || thread->tcache == NULL)
		return ENOENT;
	memcpy(&text, call->new, sizeof text);
	if (text == NULL)
		return EINVAL;
	const size_t length = strnlen(text, SLOTS_TEXT_MAX);
	if (length == SLOTS_TEXT_MAX
	    || !option_parse_list(&option_table[OPTION_tcache_ncached_max], text, length,
		list))
		return EINVAL;
	tcache_shape_copy(&shape, thread->shape);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		if (list[i] != OPTION_LIST_UNSET)
			shape.slots[i] = list[i];
	return thread_set_shape(thread, &shape) ? 0 : EAGAIN;
}

#define NCACHED_MAX_ROWS(ROW) \
	ROW(read_sizeclass, SIZE, CTL_READ | CTL_NEEDS_NEW, 0, read_slots, 0, \
	    "Takes a size: the most free objects of its class that the thread keeps in " \
	    "empty slabs of its own; 0: none of the class come from such slabs.") \
	ROW(write, STRING, CTL_NEEDS_NEW, 0, write_slots, 0, \
	    "Sets these numbers, by a text like that of the option tcache_ncached_max. " \
	    " Only " \
	    "whole slabs are kept.  The thread's slabs are given away first.")

CTL_ROWS(ncached_max, NCACHED_MAX_ROWS);

/* ---- tcache ---- */

static int
tcache_create(struct ctl_call *call)
{
	return explicit_tcache_create(&call->value.u) ? 0 : EFAULT;
}

static int
tcache_flush_id(struct ctl_call *call)
{
	unsigned id;

	memcpy(&id, call->new, sizeof id);
	return explicit_tcache_flush(id) ? 0 : EFAULT;
}

static int
tcache_destroy(struct ctl_call *call)
{
	unsigned id;

	memcpy(&id, call->new, sizeof id);
	return explicit_tcache_destroy(id) ? 0 : EFAULT;
}

#define TCACHE_ROWS(ROW) \
	ROW(create, UNSIGNED, CTL_READ | CTL_MUST_READ, 0, tcache_create, 0, \
	    "Makes a cache for MALLOCX_TCACHE, and tells its number.") \
	ROW(flush, UNSIGNED, CTL_NEEDS_NEW, 0, tcache_flush_id, 0, \
	    "Empties the cache of that number.") \
	ROW(destroy, UNSIGNED, CTL_NEEDS_NEW, 0, tcache_destroy, 0, \
	    "Empties the cache of that number, and frees the number.")

CTL_ROWS(tcache, TCACHE_ROWS);
