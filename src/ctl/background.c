/* SPDX-License-Identifier: MIT */
#include "ctl/background.h"

#include "arena/arena.h"
#include "base/bits.h"
#include "cache/kept.h"
#include "cache/pool.h"
#include "config/options.h"
#include "ctl/gather.h"
#include "ctl/pin.h"
#include "ctl/pressure.h"
#include "ctl/stats.h"
#include "os/os.h"
#include "os/thread.h"
#include "sync/event.h"
#include "sync/fork.h"
#include "thread/thread.h"

/* Values of wakes_ns that are no times. */
#define AT_WORK 0
#define SLEEPS_FOR_EVER UINT64_MAX
/* Between two passes, whatever comes: who frees without end would have us purge without end what he
 * needs again. */
#define PAUSE_NS ((uint64_t)50 * 1000 * 1000)
/* Work that is due now may wait so long for a worker that is about to wake. */
#define DUE_SLACK_NS ((uint64_t)10 * 1000 * 1000)
/* The first pass comes so late: processes of less than a second are spared it, and by then
 * everybody knows how many workers there are, and tells them what is deferred. */
#define FIRST_NS ((uint64_t)1000 * 1000 * 1000)
/* background_thread_auto: so many workers are made at once where each has to step aside, then one
 * in START_PAUSE_NS. */
#define STARTS_FREE 16
#define START_PAUSE_NS ((uint64_t)1000 * 1000 * 1000)
/* Who needs to be the only thread waits so long for the worker to end; once for each worker. */
#define LEAVE_NS ((uint64_t)100 * 1000 * 1000)

struct worker {
	struct event wake;
	_Atomic(uint64_t) wakes_ns;  /* Written by the worker; relaxed readers. */
	_Atomic(uint32_t) must_end;  /* a futex; 0 or 1 */
	_Atomic(uint64_t) n_runs;    /* Written by the worker. */
	_Atomic(uint64_t) slept_ns;  /* Written by the worker. */
	_Atomic(uint32_t) has_ended; /* a futex; 0 or 1; the worker's last word */
	unsigned index;
	bool is_to_join; /* Guarded by control: `thread' is one that nobody has joined. */
	pthread_t thread; /* Guarded by control. */
	struct mutex run_lock;
};

static struct mutex control = MUTEX_INITIALIZER(BACKGROUND);
/* Written under control; a slot once set stays. */
static _Atomic(struct worker *) workers[NARENAS_MAX] BULKY;
static _Atomic(unsigned) n_workers; /* That run. Release, after their slots. */
static _Atomic(size_t) max_workers; /* 0: as opt says. Relaxed. */
static bool was_asked_for; /* Guarded by control: not by background_thread_auto alone. */
static _Atomic(bool)
    is_chosen; /* The program has said what it wants: nothing is automatic. */
/* The worker is background_thread_auto's. Written under control; relaxed readers. */
static _Atomic(bool) is_auto;
static _Atomic(bool) is_watched; /* The first thread's end will be noticed. Relaxed. */
static _Atomic(bool) is_orphan;  /* The first thread has ended. Written under control. */
/* Of background_thread_auto's: how many, and when the last.  Written under control; relaxed
 * readers. */
static _Atomic(unsigned) n_starts;
static _Atomic(uint64_t) started_ns;

/* All that ever were, until NULL.  Acquire: pairs with worker_locked. */
static struct worker *
worker_at(unsigned i)
{
	return i < NARENAS_MAX ? load_acquire(&workers[i]) : NULL;
}

/* ---- its end -------------------------------------------------------------------------------- */

/* The first n end when they come to it; nobody waits.  They are joined some time. */
static void
dismiss_locked(unsigned n)
{
	assert(mutex_is_held(&control));
	arena_set_delegate(NULL);
	pressure_forget();
	store_relaxed(&is_auto, false);
	store_release(&n_workers, 0);
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = worker_at(i);
		store_release(&w->must_end, (uint32_t)1); /* pairs with work */
		os_futex_wake(&w->must_end, 1);
		event_signal(&w->wake);
	}
}

/* Has it ended, or does it within that time?  It may be in a user's hook for ever. */
static bool
ends_within(struct worker *w, uint64_t ns)
{
	const uint64_t begin = os_clock_ns();

	/* Acquire: pairs with work. */
	while (!load_acquire(&w->has_ended)) {
		const uint64_t waited = os_clock_ns() - begin;
		if (waited >= ns)
			return false;
		(void)os_futex_wait(&w->has_ended, 0, ns - waited);
	}
	return true;
}

/* All that were dismissed and end within that time each; false: one does not. */
static bool
join_locked(uint64_t ns)
{
	struct worker *w;

	assert(mutex_is_held(&control) && load_relaxed(&n_workers) == 0);
	for (unsigned i = 0; (w = worker_at(i)) != NULL; i++) {
		if (!w->is_to_join)
			continue;
		if (ns != UINT64_MAX && !ends_within(w, ns))
			return false;
		os_thread_join(w->thread);
		w->is_to_join = false;
	}
	return true;
}

/* It is background_thread_auto's, and there is one thread of the program's. */
static bool
serves_one_thread(void)
{
	return load_relaxed(&is_auto) && os_thread_count() == 2;
}

/* background_thread_auto's is told to end, if it is that one.  Leaves control free; until the
 * kernel counts n threads, or for milliseconds. */
static void
dismiss_auto_and_unlock(unsigned n)
{
	const bool leaves = load_relaxed(&is_auto);

	if (leaves)
		dismiss_locked(load_relaxed(&n_workers));
	mutex_unlock(&control);
	/* No join: a handler of signals may be here, in the middle of libc. */
	if (!leaves || !ends_within(worker_at(0), LEAVE_NS))
		return;
	/* The kernel counts it a little longer. */
	const uint64_t end = os_clock_ns() + LEAVE_NS;
	while (os_thread_count() > n && os_clock_ns() < end)
		os_yield();
}

void
background_step_aside(void)
{
	if (serves_one_thread() && thread_n_hooks == 0 && mutex_trylock(&control))
		dismiss_auto_and_unlock(1);
}

/* ---- a worker ------------------------------------------------------------------------------- */

static uint64_t
work_on(struct arena *arena)
{
	const uint64_t now = os_clock_coarse_ns();

	while (tcache_pool_age(arena, now))
		continue;
	tcache_kept_reclaim(arena, KEPT_IDLE, now);
	const uint64_t pages = arena_work(arena), pool = tcache_pool_ns_until(arena, now),
		       kept = tcache_kept_ns_until(arena, now),
		       caches = pool < kept ? pool : kept;
	return pages < caches ? pages : caches;
}

/* One pass over the worker's arenas; nanoseconds until the next. */
static uint64_t
run(struct worker *w)
{
	/* Acquire: pairs with start_locked.  0: it is being stopped, or not all are up yet. */
	const unsigned running = load_acquire(&n_workers), n = running != 0 ? running : 1;
	uint64_t least = UINT64_MAX;
	size_t n_pages = 0;

	pressure_look();
	for (unsigned i = w->index; i < arenas_total(); i += n) {
		struct arena *arena = arena_pin(i);
		if (arena == NULL)
			continue;
		const uint64_t ns = work_on(arena);
		least = ns < least ? ns : least;
		n_pages += arena_pages_dirty(arena) + pac_muzzy_pages(&arena->pac);
		arena_unpin(arena);
	}
	owner_add(&w->n_runs, (uint64_t)1);
	return pressure_sleep(least, n_pages);
}

static COLD void
rest(struct worker *w, uint64_t ns)
{
	const uint64_t now = os_clock_ns();

	if (ns < BACKGROUND_LEAST_NS)
		ns = BACKGROUND_LEAST_NS;
	store_relaxed(&w->wakes_ns,
	    ns < SLEEPS_FOR_EVER - now ? now + ns : SLEEPS_FOR_EVER);
	(void)event_wait(&w->wake, ns);
	/* Woken at once: the pause, and who signals in it need not do it again. */
	const uint64_t rested = os_clock_ns() - now;
	if (rested < PAUSE_NS)
		(void)os_futex_wait(&w->must_end, 0, PAUSE_NS - rested);
	(void)event_wait(&w->wake, 0);
	store_relaxed(&w->wakes_ns, AT_WORK);
	owner_add(&w->slept_ns, os_clock_ns() - now);
}

static COLD void *
work(void *arg)
{
	struct worker *w = arg;

	thread_go_without();
	os_thread_set_name("tract_bg");
	rest(w, FIRST_NS);
	/* Acquire: pairs with dismiss_locked. */
	while (!load_acquire(&w->must_end)) {
		mutex_lock(&w->run_lock);
		const uint64_t ns = run(w);
		mutex_unlock(&w->run_lock);
		rest(w, ns);
	}
	/* Acquire: pairs with dismiss_locked.  There are none again before this one has ended. */
	if (load_acquire(&n_workers) == 0)
		pressure_forget();
	store_release(&w->has_ended, (uint32_t)1); /* pairs with ends_within */
	os_futex_wake(&w->has_ended, 1);
	return NULL;
}

/* ---- those who wake it ---------------------------------------------------------------------- */

static void
on_deferred(struct arena *arena, uint64_t due_ns)
{
	/* Acquire: pairs with start_locked. */
	const unsigned n = load_acquire(&n_workers);

	if (n == 0)
		return;
	struct worker *w = worker_at(arena->index % n);
	const uint64_t wakes_ns = load_relaxed(&w->wakes_ns);
	const uint64_t slack = due_ns == 0 ? DUE_SLACK_NS : BACKGROUND_LEAST_NS;
	if (due_ns == UINT64_MAX)
		return;
	/* It may have looked at this arena already. */
	if (wakes_ns == AT_WORK || wakes_ns > os_clock_coarse_ns() + due_ns + slack)
		event_signal(&w->wake);
}

/* ---- starting and stopping ------------------------------------------------------------------- */

/* libc allocates and frees for threads, and others may stand in front of it: whatever of the
 * program's runs meanwhile is as in a hook, so that it cannot come to wait for us. */
static void
lock_control(void)
{
	mutex_lock(&control);
	ehooks_enter();
}

static void
unlock_control(void)
{
	ehooks_leave();
	mutex_unlock(&control);
}

/*
 * A user's hook calls.  A worker that it runs in cannot wait for its own end, nor for who waits for
 * that; any other thread may be within the making of a worker, for which libc allocates.
 */
static bool
is_inside_hook(void)
{
	return thread_n_hooks != 0;
}

static struct worker *
worker_locked(unsigned i)
{
	struct worker *w = load_relaxed(&workers[i]);

	assert(mutex_is_held(&control));
	if (w != NULL)
		return w;
	w = base_alloc(&base_zero, sizeof *w, CACHE_LINE);
	if (w == NULL)
		return NULL;
	w->index = i;
	mutex_init(&w->run_lock, RANK_BACKGROUND_RUN);
	/* Release: pairs with worker_at, which others call without `control'. */
	store_release(&workers[i], w);
	return w;
}

static bool
create_locked(unsigned i)
{
	struct worker *w = worker_locked(i);

	if (w == NULL)
		return false;
	store_relaxed(&w->must_end, (uint32_t)0);
	store_relaxed(&w->has_ended, (uint32_t)0);
	store_relaxed(&w->wakes_ns, os_clock_ns() + FIRST_NS);
	w->is_to_join = os_thread_create(&w->thread, work, w);
	return w->is_to_join;
}

/*
 * libc ends a process with its last thread, and a worker is one: when the first thread ends, which
 * otherwise ends the process, there are to be none.  Threads that are left do their own work.
 */
static void
on_thread_end(void)
{
	if (!os_thread_is_first() || is_inside_hook())
		return;
	lock_control();
	store_relaxed(&is_orphan, true);
	dismiss_locked(load_relaxed(&n_workers));
	/* Who ends last runs what is to run at exit: rather not a worker. */
	(void)join_locked(LEAVE_NS);
	unlock_control();
}

/* As many as can be had; one serves all arenas, too.  None without the first thread: nobody would
 * end them. */
static COLD bool
start_locked(size_t wanted)
{
	unsigned n = 0;

	assert(load_relaxed(&n_workers) == 0);
	if (load_relaxed(&is_orphan) || os_thread_first_has_ended())
		return false;
	(void)join_locked(UINT64_MAX);
	while (n < wanted && create_locked(n))
		n++;
	if (n == 0)
		return false;
	store_release(&thread_at_end, on_thread_end);
	store_release(&n_workers, n);
	arena_set_delegate(on_deferred);
	return true;
}

static void
stop_locked(void)
{
	dismiss_locked(load_relaxed(&n_workers));
	(void)join_locked(UINT64_MAX);
}

static size_t
wanted_workers(void)
{
	return min_size(background_max(), arenas_automatic());
}

bool
background_set(enum background wanted)
{
	bool done = true;

	if (is_inside_hook())
		return false;
	store_relaxed(&is_chosen, true);
	lock_control();
	const bool is_on = load_relaxed(&n_workers) != 0 && !load_relaxed(&is_auto);
	/* background_thread_auto's is one, and may leave. */
	if (wanted == BACKGROUND_OFF || !is_on)
		stop_locked();
	if (wanted == BACKGROUND_ON && !is_on)
		done = start_locked(wanted_workers());
	was_asked_for = wanted == BACKGROUND_ON && done;
	unlock_control();
	return done;
}

bool
background_is_on(void)
{
	return load_relaxed(&n_workers) != 0;
}

size_t
background_max(void)
{
	const size_t max = load_relaxed(&max_workers);

	return max != 0 ? max : opt.max_background_threads;
}

bool
background_set_max(size_t max)
{
	bool done = true;

	if (is_inside_hook())
		return false;
	lock_control();
	if (max != background_max()) {
		store_relaxed(&max_workers, max);
		if (load_relaxed(&n_workers) != 0 && !load_relaxed(&is_auto)) {
			stop_locked();
			done = start_locked(wanted_workers());
		}
	}
	unlock_control();
	return done;
}

void
background_boot(void)
{
	if (opt.background_thread)
		(void)background_set(BACKGROUND_ON);
}

/* The end of the process's first thread will be noticed: that is who makes the first of the others,
 * and it has a record, now if not before. */
static bool
watches_first_thread(void)
{
	if (!load_relaxed(&is_watched) && os_thread_is_first()
	    && thread_start() != NULL) {
		store_release(&thread_at_end, on_thread_end);
		store_relaxed(&is_watched, true);
	}
	return load_relaxed(&is_watched);
}

/* A program that makes a thread and forks, again and again. */
static bool
is_too_soon(void)
{
	return load_relaxed(&n_starts) >= STARTS_FREE
	    && os_clock_coarse_ns() - load_relaxed(&started_ns) < START_PAUSE_NS;
}

/* One serves all arenas: who needs more asks for them. */
static bool
start_auto_locked(void)
{
	if (load_relaxed(&n_workers) != 0 || load_relaxed(&is_chosen)
	    || load_relaxed(&is_orphan) || !join_locked(LEAVE_NS))
		return false;
	/* First: it may look before this thread gets further. */
	store_relaxed(&is_auto, true);
	if (!start_locked(1)) {
		store_relaxed(&is_auto, false);
		return false;
	}
	store_relaxed(&n_starts, load_relaxed(&n_starts) + 1);
	store_relaxed(&started_ns, os_clock_coarse_ns());
	return true;
}

COLD bool
background_thread_coming(void)
{
	/* Relaxed: threads are made often, and mostly there is nothing to do. */
	if (!opt.background_thread_auto || load_relaxed(&n_workers) != 0
	    || load_relaxed(&is_chosen) || load_relaxed(&is_orphan) || is_inside_hook())
		return false;
	if (!watches_first_thread() || is_too_soon())
		return false;
	lock_control();
	const bool is_started = start_auto_locked();
	unlock_control();
	return is_started;
}

void
background_thread_refused(void)
{
	const unsigned n = os_thread_count();

	mutex_lock(&control);
	dismiss_auto_and_unlock(n - 1);
}

static void
keep_worst(struct mutex_figures *worst, const struct mutex_figures *one)
{
	if (one->total_wait_time >= worst->total_wait_time)
		*worst = *one;
}

void
background_gather(struct background_figures *figures,
    struct mutex_figures *control_figures, struct mutex_figures *worst)
{
	struct mutex_figures one;
	const struct worker *w;
	uint64_t slept = 0;

	gather_mutex(&control, control_figures);
	*worst = (struct mutex_figures){ 0 };
	*figures = (struct background_figures){ .num_threads = load_acquire(&n_workers) };
	/* Relaxed: counters. */
	for (unsigned i = 0; (w = worker_at(i)) != NULL; i++) {
		figures->num_runs += load_relaxed(&w->n_runs);
		slept += load_relaxed(&w->slept_ns);
		gather_mutex(&w->run_lock, &one);
		keep_worst(worst, &one);
	}
	figures->run_interval = figures->num_runs == 0 ? 0 : slept / figures->num_runs;
}

void
background_reset_mutexes(void)
{
	struct worker *w;

	/* A worker holds its own. */
	if (is_inside_hook())
		return;
	mutex_lock(&control);
	gather_reset_mutex_locked(&control);
	for (unsigned i = 0; (w = worker_at(i)) != NULL; i++) {
		mutex_lock(&w->run_lock);
		gather_reset_mutex_locked(&w->run_lock);
		mutex_unlock(&w->run_lock);
	}
	mutex_unlock(&control);
}

/* ---- fork ------------------------------------------------------------------------------------ */

void
background_fork_prepare(void)
{
	struct worker *w;

	(void)mutex_fork_prepare(&control);
	for (unsigned i = 0; (w = worker_at(i)) != NULL; i++)
		(void)mutex_fork_prepare(&w->run_lock);
}

void
background_fork_parent(void)
{
	struct worker *w;

	for (unsigned i = 0; (w = worker_at(i)) != NULL; i++)
		mutex_fork_parent(&w->run_lock);
	mutex_fork_parent(&control);
}

/* The child has no workers; its first thread is nobody's. */
void
background_fork_child(void)
{
	struct worker *w;

	for (unsigned i = 0; (w = worker_at(i)) != NULL; i++) {
		(void)mutex_fork_child(&w->run_lock);
		w->wake = (struct event){ 0 };
		w->is_to_join = false;
	}
	(void)mutex_fork_child(&control);
	arena_set_delegate(NULL);
	store_relaxed(&n_workers, 0);
	store_relaxed(&is_auto, false);
	store_relaxed(&is_watched, false);
	store_relaxed(&is_orphan, false);
}

void
background_fork_restart(void)
{
	if (was_asked_for)
		(void)background_set(BACKGROUND_ON);
}
