/* SPDX-License-Identifier: MIT */
/*
 * node_limit -- limit.*: how much memory the process may use, see page/limit.h and ctl/relief.h.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "ctl/pressure.h"
#include "ctl/relief.h"
#include "page/limit.h"

/* A row's offset is its kind. */
static int
limit(struct ctl_call *call)
{
	const enum limit_kind kind = (enum limit_kind)ctl_call_offset(call);
	size_t bytes;

	call->value.size = limit_get(kind);
	if (call->new == NULL)
		return 0;
	memcpy(&bytes, call->new, sizeof bytes);
	limit_set(kind, bytes);
	/* What is kept beyond it goes at once. */
	if (kind == LIMIT_HARD && limit_exceeds(LIMIT_HARD, 0))
		(void)relief_purge();
	return 0;
}

static int
used(struct ctl_call *call)
{
	call->value.size = limit_used();
	return 0;
}

static int
n_soft(struct ctl_call *call)
{
	call->value.u64 = relief_counts().n_soft;
	return 0;
}

static int
n_hard(struct ctl_call *call)
{
	call->value.u64 = relief_counts().n_hard;
	return 0;
}

static int
n_high(struct ctl_call *call)
{
	call->value.u64 = pressure_count();
	return 0;
}

static int
callback(struct ctl_call *call)
{
	limit_callback_t new;
	const limit_callback_t old = relief_callback();

	if ((call->old != NULL && call->old_length == NULL)
	    || (call->old != NULL && *call->old_length != sizeof old)
	    || (call->new != NULL && call->new_length != sizeof new))
		return EINVAL;
	if (call->new != NULL) {
		memcpy(&new, call->new, sizeof new);
		relief_set_callback(&new);
	}
	if (call->old != NULL)
		memcpy(call->old, &old, sizeof old);
	return 0;
}

#define LIMIT_ROWS(ROW) \
	ROW(soft, SIZE, CTL_READ | CTL_WRITE, 0, limit, LIMIT_SOFT, \
	    "Bytes beyond which free pages are purged at once, and limit.callback is " \
	    "called; 0: no limit.") \
	ROW(hard, SIZE, CTL_READ | CTL_WRITE, 0, limit, LIMIT_HARD, \
	    "Bytes beyond which there is no memory: what needs more fails with ENOMEM; " \
	    "0: no limit.") \
	ROW(used, SIZE, CTL_READ, 0, used, 0, \
	    "Bytes that the limits compare: active, dirty and muzzy pages of all " \
	    "arenas.") \
	ROW(n_soft, U64, CTL_READ, 0, n_soft, 0, \
	    "Times that the soft limit was exceeded, and purging did not help.") \
	ROW(n_hard, U64, CTL_READ, 0, n_hard, 0, \
	    "Allocations that failed at the hard limit.") \
	ROW(n_high, U64, CTL_READ, 0, n_high, 0, \
	    "Times that a background thread found the control group near its " \
	    "memory.high.") \
	ROW(callback, POINTER, CTL_READ | CTL_WRITE | CTL_OWN_LENGTHS, 0, callback, 0, \
	    "Takes and gives a limit_callback_t: what is called at a limit, and with " \
	    "what.")

CTL_ROWS(limit, LIMIT_ROWS);
