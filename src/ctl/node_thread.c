/* SPDX-License-Identifier: MIT */
/*
 * node_thread -- thread.*, thread.peak.*.
 *
 * Byte counters cost every call of a thread, so a thread counts only from its first
 * question on, from zero; then exactly.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "cache/explicit.h"
#include "cache/pool.h"
#include "config/options.h"
#include "ctl/ctl.h"
#include "ctl/nodes.h"
#include "os/os.h"
#include "thread/count.h"

/* ---- thread ---- */

/* An arena's threads use it alone, more or less, when there are so many arenas a
 * processor. */
#define ARENAS_PER_CPU_MANY 2

static int
thread_arena(struct ctl_call *call)
{
	struct thread *thread = thread_start();
	unsigned index;

	if (thread == NULL)
		return EAGAIN;
	call->value.u = thread->arena->index;
	if (call->new == NULL)
		return 0;
	memcpy(&index, call->new, sizeof index);
	if (index == call->value.u)
		return 0;
	if (index >= arenas_total())
		return EFAULT;
	if (index < arenas_automatic() && opt.percpu_arena != PERCPU_DISABLED)
		return EPERM;
	struct arena *arena =
	    index < arenas_automatic() ? arena_automatic(index) : arena_get(index);
	return arena != NULL && thread_migrate(thread, arena) ? 0 : EAGAIN;
}

/* The thread, which counts from now on. */
static struct thread *
counting_thread(void)
{
	struct thread *thread = thread_start();

	if (thread != NULL)
		count_start(thread);
	return thread;
}

static int
thread_allocated(struct ctl_call *call)
{
	struct thread *thread = counting_thread();

	if (thread == NULL)
		return EAGAIN;
	/* Relaxed: our own counter. */
	call->value.u64 = load_relaxed(&thread->allocated);
	return 0;
}

static int
thread_allocatedp(struct ctl_call *call)
{
	struct thread *thread = counting_thread();

	if (thread == NULL)
		return EAGAIN;
	call->value.pointer = &thread->allocated;
	return 0;
}

static int
thread_deallocated(struct ctl_call *call)
{
	struct thread *thread = counting_thread();

	if (thread == NULL)
		return EAGAIN;
	call->value.u64 = load_relaxed(&thread->deallocated);
	return 0;
}

static int
thread_deallocatedp(struct ctl_call *call)
{
	struct thread *thread = counting_thread();

	if (thread == NULL)
		return EAGAIN;
	call->value.pointer = &thread->deallocated;
	return 0;
}

static int
thread_idle(struct ctl_call *call)
{
	struct thread *thread = thread_start();

	(void)call;
	if (thread == NULL || thread_n_hooks != 0)
		return 0;
	if (thread->tcache != NULL)
		tcache_comb_everything(thread->tcache);
	/* Relaxed: a hint. */
	if (arenas_automatic() > ARENAS_PER_CPU_MANY * os_cpu_count()
	    || load_relaxed(&thread->arena->n_threads) <= 1)
		arena_decay(thread->arena, PURGE_EVERYTHING);
	return 0;
}

#define THREAD_ROWS(ROW) \
	ROW(arena, UNSIGNED, CTL_READ | CTL_WRITE, 0, thread_arena, 0, \
	    "Arena of the calling thread.") \
	ROW(allocated, U64, CTL_READ, 0, thread_allocated, 0, \
	    "Bytes the thread allocated since it first asked; every call counts.") \
	ROW(allocatedp, POINTER, CTL_READ, 0, thread_allocatedp, 0, \
	    "Where that counter is.") \
	ROW(deallocated, U64, CTL_READ, 0, thread_deallocated, 0, \
	    "Bytes the thread freed since it first asked; every call counts.") \
	ROW(deallocatedp, POINTER, CTL_READ, 0, thread_deallocatedp, 0, \
	    "Where that counter is.") \
	ROW(idle, BOOL, 0, 0, thread_idle, 0, \
	    "The thread will not allocate for a while: gives back what is free in its " \
	    "slabs, and all free pages of an arena that it uses nearly alone.")

CTL_ROWS(thread, THREAD_ROWS);

/* ---- thread.peak ---- */

static int
peak_read(struct ctl_call *call)
{
	struct thread *thread = counting_thread();

	if (thread == NULL)
		return EAGAIN;
	call->value.u64 = (uint64_t)thread->peak;
	return 0;
}

static int
peak_reset(struct ctl_call *call)
{
	struct thread *thread = counting_thread();

	(void)call;
	if (thread == NULL)
		return EAGAIN;
	count_peak_reset(thread);
	return 0;
}

#define PEAK_ROWS(ROW) \
	ROW(read, U64, CTL_READ, 0, peak_read, 0, \
	    "The most that thread.allocated was ever above thread.deallocated, " \
	    "exactly; " \
	    "above what it was at the last reset.") \
	ROW(reset, BOOL, 0, 0, peak_reset, 0, \
	    "What the thread holds now is its new zero.")

CTL_ROWS(peak, PEAK_ROWS);
