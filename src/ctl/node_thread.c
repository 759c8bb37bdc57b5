/* SPDX-License-Identifier: MIT */
/*
 * node_thread -- thread.*, thread.tcache.*, and explicit caches, tcache.*.
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
#include "thread/thread.h"

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
	struct arena *arena =
	    index < arenas_automatic() ? arena_automatic(index) : arena_get(index);
	return arena != NULL && thread_migrate(thread, arena) ? 0 : EAGAIN;
}

/* The thread, which counts from now on. */
static struct thread *
counting_thread(void)
{
	struct thread *thread = thread_start();

	if (thread != NULL && (thread->modes & MODE_COUNTING) == 0)
		thread_set_mode(thread, MODE_COUNTING);
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
		tcache_flush(thread->tcache);
	/* Relaxed: a hint. */
	if (arenas_automatic() > ARENAS_PER_CPU_MANY * os_cpu_count()
	    || load_relaxed(&thread->arena->n_threads) <= 1)
		arena_decay(thread->arena, PURGE_EVERYTHING);
	return 0;
}

#define COMMAND(name, act, doc) \
	{ \
		{ name, FIELD_BOOL, 0, doc }, 0, 0, act \
	}

const struct ctl_row thread_rows[] = {
	{ { "arena", FIELD_UNSIGNED, 0, "Arena of the calling thread." },
	    CTL_READ | CTL_WRITE, 0, thread_arena },
	{ { "allocated", FIELD_U64, 0, "Bytes it allocated since it first asked." },
	    CTL_READ, 0, thread_allocated },
	{ { "allocatedp", FIELD_POINTER, 0, "Where that counter is." }, CTL_READ, 0,
	    thread_allocatedp },
	{ { "deallocated", FIELD_U64, 0, "Bytes it freed since it first asked." },
	    CTL_READ, 0, thread_deallocated },
	{ { "deallocatedp", FIELD_POINTER, 0, "Where that counter is." }, CTL_READ, 0,
	    thread_deallocatedp },
	COMMAND("idle", thread_idle, "The thread will not allocate for a while."),
};
const unsigned n_thread_rows = COUNT_OF(thread_rows);

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

const struct ctl_row thread_tcache_rows[] = {
	{ { "enabled", FIELD_BOOL, 0, "Does the thread have slabs of its own?" },
	    CTL_READ | CTL_WRITE, 0, tcache_enabled },
	{ { "max", FIELD_SIZE, 0, "Largest object in them, in bytes." }, CTL_READ, 0,
	    tcache_max },
	COMMAND("flush", tcache_flush_own, "Give back all that is free in them."),
};
const unsigned n_thread_tcache_rows = COUNT_OF(thread_tcache_rows);

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

const struct ctl_row tcache_rows[] = {
	{ { "create", FIELD_UNSIGNED, 0, "Makes a cache for MALLOCX_TCACHE." },
	    CTL_READ | CTL_MUST_READ, 0, tcache_create },
	{ { "flush", FIELD_UNSIGNED, 0, "Empties one." }, CTL_NEEDS_NEW, 0,
	    tcache_flush_id },
	{ { "destroy", FIELD_UNSIGNED, 0, "Empties one and frees its number." },
	    CTL_NEEDS_NEW, 0, tcache_destroy },
};
const unsigned n_tcache_rows = COUNT_OF(tcache_rows);
