/* SPDX-License-Identifier: MIT */
#include "api/fork.h"

#include <pthread.h>
#include <unistd.h>

#include "api/boot.h"
#include "api/foreign.h"
#include "api/interval.h"
#include "arena/arena.h"
#include "cache/explicit.h"
#include "cache/pool.h"
#include "ctl/background.h"
#include "ctl/ctl.h"
#include "sync/fork.h"
#include "sync/mutex.h"
#include "thread/thread.h"

/* Written by the forking thread only. */
static unsigned depth;   /* Forks under way in it: a handler may fork, too. */
static bool has_let_go;  /* The locks were released early: the child finds none held. */
static pid_t parent_pid; /* Of the process that is forking. */
static pid_t reset_pid;  /* Of the child that has done its reset, 0: none yet. */

/* ORDER LOCK-RANKS */
static void
take_all(void)
{
	boot_fork_prepare();
	background_fork_prepare();
	ctl_fork_prepare();
	explicit_tcaches_fork_prepare();
	arenas_fork_prepare();
	threads_fork_prepare();
}

static void
release_all(void)
{
	threads_fork_parent();
	arenas_fork_parent();
	explicit_tcaches_fork_parent();
	ctl_fork_parent();
	background_fork_parent();
	boot_fork_parent();
}

/* Every lock free, and what was guarded by those that were not got frozen. */
static void
reset_structures(void)
{
	arenas_fork_child();
	tcache_pools_fork_child();
	explicit_tcaches_fork_child();
	threads_fork_child();
	ctl_fork_child();
	background_fork_child();
	boot_fork_child();
}

/* The whole child, with its one thread. */
static void
reset_all(void)
{
	const struct thread *self = thread_self;
	const bool is_known = self != NULL && self != &thread_ended;

	reset_pid = getpid();
	sync_reset_in_child();
	reset_structures();
	arenas_fork_alone(is_known ? self->arena : NULL);
	tcaches_fork_alone(is_known ? self->tcache : NULL);
	foreign_fork_child();
	interval_fork_child();
	if (fork_is_mine() && depth > 1) {
		/* A signal handler forked in the middle of an outer fork, which goes on in here. */
		depth--;
		has_let_go = false;
		parent_pid = reset_pid;
		return;
	}
	depth = 0;
	fork_end_in_child();
}

/*
 * Handlers of others run before and after ours, and may allocate.  Such a one is going to
 * wait for a lock that we did not get: in the child that lock's holder does not exist, in
 * the parent it may wait for one that we hold.  Or the handler of a signal that
 * interrupted malloc has forked, and allocates in the child.
 */
static void
rescue(const struct mutex *m)
{
	if (load_relaxed(&m->fork_state) == FORK_INTERRUPTED) {
		if (!mutex_was_taken_by_caller(m))
			return;
		fork_begin_interrupted();
		reset_structures();
		fork_end_interrupted();
	} else if (getpid() != parent_pid) {
		reset_all();
	} else if (!has_let_go) {
		has_let_go = true;
		release_all();
	}
}

static void
before_fork(void)
{
	/* Who asks how many threads it had before forking hears of none of ours. */
	background_step_aside();
	if (fork_begin()) {
		has_let_go = false;
		parent_pid = getpid();
		reset_pid = 0;
		depth = 1;
		take_all();
	} else if (fork_is_mine()) {
		depth++;
	}
}

static void
after_fork_in_parent(void)
{
	if (!fork_is_mine() || --depth != 0)
		return;
	if (!has_let_go)
		release_all();
	fork_end();
}

static void
after_fork_in_child(void)
{
	/* The reset was made already when an earlier handler had to wait. */
	if (reset_pid != getpid())
		reset_all();
	/* Not in the handler of a signal that interrupted malloc: libc may be anywhere. */
	if (depth == 0)
		background_fork_restart();
}

void
fork_boot(void)
{
	fork_rescue = rescue;
	/* Out of memory: children of this process may find locks held. */
	(void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
