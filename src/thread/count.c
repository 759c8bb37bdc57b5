/* SPDX-License-Identifier: MIT */
#include "thread/count.h"

#include <errno.h>

/* A slot is taken by counting it, and used once its interval is there (release). */
static struct {
	count_hook_fn *call;
	_Atomic(uint64_t) interval;
	bool is_alloc_only;
} hooks[COUNT_HOOKS] BULKY;
_Atomic(unsigned) count_n_hooks;

void
count_start(struct thread *thread)
{
	if (!is_counting(thread))
		thread_set_mode(thread, MODE_COUNTING);
}

/* Called on slow paths of every thread once there are hooks. */
static void
notice(void)
{
	struct thread *thread = thread_self;

	if (thread != NULL && thread != &thread_ended)
		count_start(thread);
}

bool
count_hook_add(const struct count_hook *hook)
{
	unsigned n = load_relaxed(&count_n_hooks);

	if (hook->call == NULL || hook->interval == 0)
		return false;
	do {
		if (n == COUNT_HOOKS)
			return false;
	} while (!cas_strong_relaxed(&count_n_hooks, &n, n + 1));
	hooks[n].call = hook->call;
	hooks[n].is_alloc_only = hook->is_alloc_only;
	store_release(&hooks[n].interval, hook->interval); /* pairs with call_if_due */
	threads_start_counting();
	/* Relaxed: who reads it late notices late. */
	store_relaxed(&tcache_on_slow, notice);
	struct thread *thread = thread_start();
	if (thread != NULL)
		count_start(thread);
	return true;
}

/* Has the counter passed the thread's next mark of the hook?  The first mark is set when the
 * thread first meets the hook. */
static bool
is_due(uint64_t *next, uint64_t now, uint64_t interval)
{
	if (*next == 0) {
		*next = now + interval;
		return false;
	}
	if (now < *next)
		return false;
	/* Far jumps, by one big object, call once. */
	*next += (now - *next) / interval * interval + interval;
	return true;
}

static void
call_if_due(struct thread *thread, enum count_direction direction, unsigned i)
{
	const bool is_alloc = direction == COUNT_ALLOCATED;
	const uint64_t interval = load_acquire(&hooks[i].interval);
	const uint64_t allocated = load_relaxed(&thread->allocated),
		       freed = load_relaxed(&thread->deallocated);

	if (interval != 0 && (is_alloc || !hooks[i].is_alloc_only)
	    && is_due(&thread->next_call[direction][i], is_alloc ? allocated : freed,
		interval))
		hooks[i].call(is_alloc, allocated, freed);
}

void
count_call_hooks(struct thread *thread, enum count_direction direction)
{
	const unsigned n = load_relaxed(&count_n_hooks);
	const int saved = errno;

	/* Not inside itself, nor inside an extent hook. */
	if (thread->is_calling || thread_n_hooks != 0)
		return;
	thread->is_calling = true;
	for (unsigned i = 0; i < n; i++)
		call_if_due(thread, direction, i);
	thread->is_calling = false;
	errno = saved;
}

void
count_peak_reset(struct thread *thread)
{
	thread->peak_zero =
	    load_relaxed(&thread->allocated) - load_relaxed(&thread->deallocated);
	thread->peak = 0;
}
