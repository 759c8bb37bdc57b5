/* SPDX-License-Identifier: MIT */
#include "ctl/relief.h"

#include <errno.h>

#include "arena/arena.h"
#include "cache/pool.h"
#include "config/options.h"
#include "ctl/pin.h"
#include "ctl/snapshot.h"
#include "ctl/trim.h"
#include "page/limit.h"
#include "thread/thread.h"

static struct limit_callback_s callback; /* Guarded by ctl_lock. */
/* Relaxed counters. */
static _Atomic(uint64_t) n_soft;
static _Atomic(uint64_t) n_hard;

struct limit_callback_s
relief_callback(void)
{
	mutex_lock(&ctl_lock);
	const struct limit_callback_s now = callback;
	mutex_unlock(&ctl_lock);
	return now;
}

void
relief_set_callback(const struct limit_callback_s *new)
{
	mutex_lock(&ctl_lock);
	callback = *new;
	mutex_unlock(&ctl_lock);
}

/* False: there is nobody to be called. */
static bool
call_program(enum limit_kind kind, size_t bytes)
{
	const struct limit_callback_s now = relief_callback();
	const struct limit_event_s event = {
		.limit = kind == LIMIT_SOFT ? TRACT_LIMIT_SOFT : TRACT_LIMIT_HARD,
		.used = limit_used(),
		.most = limit_get(kind),
		.wanted = bytes,
	};
	const int saved_errno = errno;

	if (now.call == NULL)
		return false;
	ehooks_enter();
	now.call(now.data, &event);
	ehooks_leave();
	errno = saved_errno;
	return true;
}

static void
purge_plain(struct arena *arena)
{
	if (ehooks_are_default(&arena->ehooks)
	    || (thread_self != NULL && thread_self->arena == arena))
		trim_arena(arena);
}

bool
relief_purge(void)
{
	struct tcache *tc = thread_own_tcache();

	if (thread_n_hooks != 0)
		return false;
	if (tc != NULL)
		tcache_flush(tc);
	arenas_for_each(purge_plain);
	return true;
}

bool
relief_ask(size_t bytes)
{
	if (thread_n_hooks != 0 || !call_program(LIMIT_HARD, bytes))
		return false;
	return relief_purge();
}

void
relief_failed(void)
{
	fetch_add_relaxed(&n_hard, 1);
}

/* Within a page allocator: the thread's own tcache may be in the middle of something. */
static bool
exceed_soft(size_t bytes)
{
	assert(mutex_none_held());
	if (thread_n_hooks != 0)
		return false;
	arenas_for_each(purge_plain);
	if (!limit_exceeds(LIMIT_SOFT, bytes))
		return true;
	fetch_add_relaxed(&n_soft, 1);
	(void)call_program(LIMIT_SOFT, bytes);
	return true;
}

struct relief_counts
relief_counts(void)
{
	return (struct relief_counts){ load_relaxed(&n_soft), load_relaxed(&n_hard) };
}

void
relief_boot(void)
{
	store_release(&limit_on_soft, exceed_soft); /* pairs with limit.c */
	limit_set(LIMIT_HARD, opt.limit_hard);
	limit_set(LIMIT_SOFT, opt.limit_soft);
}
