/* SPDX-License-Identifier: MIT */
/*
 * node_hooks -- experimental.hooks.*: functions of the program that are called on events.
 * Profiling is not in this version, so its hooks are not there.
 */
#include <errno.h>
#include <string.h>

#include "arena/misuse.h"
#include "base/bits.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "thread/count.h"

/* NULL: abort as usual. */
static int
safety_check_abort(struct ctl_call *call)
{
	void (*instead)(const char *line);

	if (call->new == NULL)
		return 0;
	memcpy(&instead, call->new, sizeof instead);
	store_relaxed(&misuse_abort, instead);
	return 0;
}

/* What callers hand in: ABI. */
struct thread_event_hook {
	count_hook_fn *call;
	uint64_t interval;
	bool is_alloc_only;
};

static_assert(sizeof(struct thread_event_hook) == 3 * sizeof(uint64_t), "ABI");

static int
thread_event(struct ctl_call *call)
{
	struct thread_event_hook hook;

	memcpy(&hook, call->new, sizeof hook);
	return count_hook_add(&(const struct count_hook){
		   hook.call, hook.interval, hook.is_alloc_only })
	    ? 0
	    : EINVAL;
}

#define HOOKS_ROWS(ROW) \
	ROW(prof_backtrace, POINTER, CTL_READ | CTL_WRITE | CTL_MISSING, 0, NULL, 0, \
	    "What unwinds the stack for profiling.") \
	ROW(prof_dump, POINTER, CTL_READ | CTL_WRITE | CTL_MISSING, 0, NULL, 0, \
	    "Called after a profile has been written.") \
	ROW(prof_sample, POINTER, CTL_READ | CTL_WRITE | CTL_MISSING, 0, NULL, 0, \
	    "Called for each sampled allocation.") \
	ROW(prof_sample_free, POINTER, CTL_READ | CTL_WRITE | CTL_MISSING, 0, NULL, 0, \
	    "Called when a sampled object is freed.") \
	ROW(safety_check_abort, POINTER, CTL_WRITE, 0, safety_check_abort, 0, \
	    "Called instead of abort on misuse, with the line that tells it.") \
	ROW(thread_event, POINTER, CTL_NEEDS_NEW, sizeof(struct thread_event_hook), \
	    thread_event, 0, \
	    "Takes a function, a number of bytes and a bool: calls it whenever a " \
	    "thread " \
	    "has allocated (false: or freed) so many more. Four at most, for good; " \
	    "each " \
	    "slows every thread.")

CTL_ROWS(hooks, HOOKS_ROWS);
