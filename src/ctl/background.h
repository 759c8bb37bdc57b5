/* SPDX-License-Identifier: MIT */
/*
 * background -- workers: threads of ours that do what arenas have deferred, and sleep as long as
 * that allows.
 *
 * Worker i of n serves the arenas whose index is i modulo n: it does what is due, asks each for
 * the time until more is, and sleeps for the least of these, at least BACKGROUND_LEAST_NS, or
 * without end.  It knows nothing of decay or pages.  While workers run, they are the arenas'
 * delegate (arena/arena.h): threads purge nothing on their slow paths, but wake the worker when
 * work begins, or comes due before it would wake.
 *
 * opt.background_thread_auto's one worker begins with the first thread that the program makes:
 * later, when there is something to purge, it could not be made, since libc may be calling malloc
 * or free under locks that making a thread needs.  It steps aside where the program is down to one
 * thread and may need to be alone (fork, unshare, setns), and comes back with the next thread made.
 *
 * All workers end with the process's first thread (pthread_exit in main), for libc ends a process
 * with its last thread; those threads that are left purge for themselves.
 *
 * A worker owns no tcache.  Records of workers are made once and never freed, so that who is about
 * to wake one that ends touches no lost memory.
 *
 * Locks: `control' (rank BACKGROUND) is held while workers are started and stopped; each worker
 * holds its `run_lock' (rank BACKGROUND_RUN) while it works, for a fork to wait on: a child made
 * while it is free finds whole what the worker works on.
 */
#ifndef TRACT_CTL_BACKGROUND_H
#define TRACT_CTL_BACKGROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKGROUND_LEAST_NS ((uint64_t)100 * 1000 * 1000)

struct background_figures;
struct mutex_figures;

/* opt.background_thread, when libc is ready for threads: from a constructor, not from malloc. */
void background_boot(void);

/* Start or stop the workers; true when they are as wanted. False: no thread is to be had, the
 * process's first thread has ended, or a user's hook asks. Any thread, but not within an
 * allocation. */
enum background { BACKGROUND_OFF, BACKGROUND_ON };
bool background_set(enum background wanted);
bool background_is_on(void);

/* The most workers that may run. A running set is replaced by one of the new size. */
size_t background_max(void);
bool background_set_max(size_t max);

/* The program is about to make a thread: opt.background_thread_auto.  True: a worker was made, of
 * which nobody else has heard yet.  Any thread, but not within an allocation. */
bool background_thread_coming(void);
/* The thread was not to be had.  The worker that was made for it ends, if it does within
 * milliseconds: where there is room for one, it is the program's. */
void background_thread_refused(void);
/* The caller needs to be the only thread.  Where a worker of background_thread_auto's is the only
 * other one, it ends, if it does within milliseconds. */
void background_step_aside(void);

/* What they did; the lock of starting and stopping, and the worst of the workers' own. */
void background_gather(struct background_figures *figures, struct mutex_figures *control,
    struct mutex_figures *worst);
/* Does nothing inside a user's hook. */
void background_reset_mutexes(void);

void background_fork_prepare(void);
void background_fork_parent(void);
void background_fork_child(void);
/* The last step in a child; starts again what ran in the parent, when that was asked for. */
void background_fork_restart(void);

#endif
