/* SPDX-License-Identifier: MIT */
#include "thread/thread.h"

#include <limits.h>
#include <pthread.h>

#include "arena/place.h"
#include "cache/pool.h"
#include "extent/ehooks.h"
#include "sync/fork.h"

_Thread_local struct tcache *thread_tcache TLS_MODEL = &tcache_none;
_Thread_local struct thread *thread_self TLS_MODEL;
_Thread_local unsigned thread_n_bare_frees TLS_MODEL;
_Thread_local unsigned thread_n_hooks TLS_MODEL;
struct thread thread_ended = { .modes = MODE_ENDED };

_Atomic(thread_end_fn *) thread_at_end;

static pthread_key_t key;
static _Atomic(bool) has_key;            /* Set once, release; read acquire. */
static _Atomic(unsigned) modes_at_start; /* Relaxed. Bits are set, never cleared. */
static struct mutex ended_lock = MUTEX_INITIALIZER(LEAF);
static struct list ended = { &ended, &ended }; /* Guarded by ended_lock. */

static void
aim(struct thread *thread)
{
	thread_tcache = thread->modes == 0 ? thread->tcache : &tcache_none;
}

void
thread_set_mode(struct thread *thread, enum thread_mode mode)
{
	thread->modes |= mode;
	aim(thread);
}

void
thread_clear_mode(struct thread *thread, enum thread_mode mode)
{
	thread->modes &= ~(unsigned)mode;
	aim(thread);
}

static void
grow_up(struct thread *thread)
{
	struct tcache *tc = tcache_pool_get(thread->arena);

	if (tc == NULL) {
		thread->n_young = 1; /* the next call tries again */
		return;
	}
	/* What it inherits would have an owner that never looks. */
	if ((thread->modes & MODE_NO_TCACHE) != 0 || thread->shape != NULL)
		tcache_share_slabs(tc);
	if (thread->shape != NULL)
		tc->shape = thread->shape;
	thread->tcache = tc;
	thread->modes &= ~(unsigned)MODE_YOUNG;
}

void
thread_grow_up(struct thread *thread)
{
	if ((thread->modes & MODE_YOUNG) == 0)
		return;
	grow_up(thread);
	aim(thread);
}

static struct thread *
new_record(void)
{
	mutex_lock(&ended_lock);
	struct list *l = list_pop_front(&ended);
	mutex_unlock(&ended_lock);
	if (l == NULL)
		return base_alloc(&base_zero, sizeof(struct thread), CACHE_LINE);
	struct thread *thread = LIST_ENTRY(l, struct thread, link);
	*thread = (struct thread){ 0 };
	return thread;
}

static void
recycle_record(struct thread *thread)
{
	if (thread->shape != NULL)
		base_free(&base_zero, thread->shape, sizeof *thread->shape);
	mutex_lock(&ended_lock);
	list_push_front(&ended, &thread->link);
	mutex_unlock(&ended_lock);
}

/* From now on the caller is `after': nobody yet (NULL), or ended. */
static void
let_go(struct thread *thread, struct thread *after)
{
	struct tcache *tc = thread->tcache;

	thread_tcache = &tcache_none;
	thread_self = after;
	arena_thread_out(thread->arena);
	if (tc != NULL)
		tcache_pool_put(tc);
	recycle_record(thread);
}

/*
 * Other keys' destructors run in the same rounds and may allocate: come back in the next
 * round.  Not in all that libc makes: a thread that begins to allocate in a destructor
 * has seen some of them pass, and who is not called in his last round keeps the tcache
 * for ever.
 */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS / 2)

static void
on_thread_exit(void *arg)
{
	struct thread *thread = arg;

	if (++thread->end_rounds < ROUNDS && pthread_setspecific(key, thread) == 0)
		return;
	/* Acquire: pairs with who sets it. */
	thread_end_fn *tell = load_acquire(&thread_at_end);
	if (tell != NULL)
		tell();
	let_go(thread, &thread_ended);
}

static bool
has_record(const struct thread *thread)
{
	return thread != NULL && thread != &thread_ended;
}

static void
enter_hook(void)
{
	if (thread_n_hooks++ == 0 && has_record(thread_self))
		thread_set_mode(thread_self, MODE_REENTRANT);
}

/* The record may have been made inside the hook. */
static void
leave_hook(void)
{
	assert(thread_n_hooks != 0);
	if (--thread_n_hooks == 0 && has_record(thread_self))
		thread_clear_mode(thread_self, MODE_REENTRANT);
}

struct tcache *
thread_own_tcache(void)
{
	return thread_n_hooks == 0 && has_record(thread_self) ? thread_self->tcache
							      : NULL;
}

/* The thread may run elsewhere now: the slabs it has stay its own, new ones come from there. */
static void
follow(struct thread *thread)
{
	if (thread->is_bound || thread->arena->is_manual || thread_n_hooks != 0)
		return;
	struct arena *arena = place_again(thread->arena);
	if (LIKELY(arena == thread->arena))
		return;
	if (thread->tcache != NULL)
		tcache_move(thread->tcache, arena);
	arena_thread_out(thread->arena);
	arena_thread_in(arena);
	thread->arena = arena;
}

static void
follow_tcache(struct tcache *tc)
{
	if (has_record(thread_self) && thread_self->tcache == tc)
		follow(thread_self);
}

void
thread_visits_arena(struct thread *thread)
{
	if (place_rule() != PLACE_ANYWHERE && ++thread->n_visits % THREAD_VISITS == 0)
		follow(thread);
}

void
threads_boot(unsigned initial_modes)
{
	if (place_rule() != PLACE_ANYWHERE)
		store_release(&tcache_on_tick, follow_tcache);
	store_relaxed(&modes_at_start, initial_modes);
	thread_ended.modes |= initial_modes & MODE_FILLING;
	ehooks_enter = enter_hook;
	ehooks_leave = leave_hook;
	if (pthread_key_create(&key, on_thread_exit) == 0)
		store_release(&has_key, true); /* pairs with thread_start */
}

void
threads_start_counting(void)
{
	(void)fetch_or_acq_rel(&modes_at_start, MODE_COUNTING);
}

/* The process has had a thread. */
static _Atomic(bool) has_first;

/* In the arena it chooses; NULL: no memory. */
static struct thread *
new_thread(void)
{
	struct thread *thread = new_record();

	if (thread == NULL)
		return NULL;
	thread->arena = arena_choose();
	thread->modes = load_relaxed(&modes_at_start) | MODE_YOUNG;
	thread->n_young = THREAD_YOUNG_CALLS;
	/* Relaxed: two first ones do no harm. */
	if (!load_relaxed(&has_first)) {
		store_relaxed(&has_first, true);
		grow_up(thread);
	}
	if (thread_n_hooks != 0)
		thread->modes |= MODE_REENTRANT;
	return thread;
}

COLD struct thread *
thread_start(void)
{
	struct thread *thread = thread_self;

	if (LIKELY(thread != NULL))
		return thread == &thread_ended ? NULL : thread;
	/* Who could not be told of its end would keep its tcache for ever. */
	if (!load_acquire(&has_key) || (thread = new_thread()) == NULL)
		return NULL;
	thread_self = thread;
	aim(thread);
	/* May allocate: the thread is in working order by now. */
	if (pthread_setspecific(key, thread) != 0) {
		let_go(thread, NULL);
		return NULL;
	}
	return thread;
}

void
thread_go_without(void)
{
	/* Who stands in front of pthread_create may have allocated here already. */
	if (thread_self == NULL)
		thread_self = &thread_ended;
}

bool
thread_set_shape(struct thread *thread, const struct tcache_shape *shape)
{
	if (thread->shape == NULL)
		thread->shape = base_alloc(&base_zero, sizeof *shape, CACHE_LINE);
	if (thread->shape == NULL)
		return false;
	if (thread->tcache != NULL) {
		tcache_share_slabs(thread->tcache);
		thread->tcache->shape = thread->shape;
	}
	*thread->shape = *shape;
	return true;
}

bool
thread_migrate(struct thread *thread, struct arena *arena)
{
	if (thread_n_hooks != 0)
		return false;
	struct tcache *new = arena->is_manual ? NULL : tcache_pool_get(arena);
	struct tcache *old = thread->tcache;

	if (new == NULL && !arena->is_manual)
		return false;
	thread->is_bound = true;
	thread_tcache = &tcache_none;
	/* What it inherits would have an owner that never looks. */
	if (new != NULL
	    && ((thread->modes & MODE_NO_TCACHE) != 0 || thread->shape != NULL))
		tcache_share_slabs(new);
	if (new != NULL && thread->shape != NULL)
		new->shape = thread->shape;
	if (old != NULL) {
		tcache_share_slabs(old);
		tcache_pool_put(old);
	}
	arena_thread_out(thread->arena);
	arena_thread_in(arena);
	thread->arena = arena;
	thread->tcache = new;
	thread->modes &= ~(unsigned)MODE_YOUNG;
	if (arena->is_manual)
		thread_set_mode(thread, MODE_MANUAL);
	else
		thread_clear_mode(thread, MODE_MANUAL);
	return true;
}

void
threads_fork_prepare(void)
{
	(void)mutex_fork_prepare(&ended_lock);
}

void
threads_fork_parent(void)
{
	mutex_fork_parent(&ended_lock);
}

void
threads_fork_child(void)
{
	if (!mutex_fork_child(&ended_lock))
		list_init(&ended);
}
