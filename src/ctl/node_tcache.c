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

static int
tcache_max(struct ctl_call *call)
{
	call->value.size = opt.tcache_max;
	return 0;
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
	ROW(max, SIZE, CTL_READ, 0, tcache_max, 0, \
	    "Largest object in the thread's own slabs, in bytes.") \
	ROW(flush, BOOL, 0, 0, tcache_flush_own, 0, \
	    "Give back all that is free in the thread's own slabs.")

CTL_ROWS(thread_tcache, THREAD_TCACHE_ROWS);

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
	ROW(flush, UNSIGNED, CTL_NEEDS_NEW, 0, tcache_flush_id, 0, "Empties one.") \
	ROW(destroy, UNSIGNED, CTL_NEEDS_NEW, 0, tcache_destroy, 0, \
	    "Empties one and frees its number.")

CTL_ROWS(tcache, TCACHE_ROWS);
