/* SPDX-License-Identifier: MIT */
/*
 * thread -- what tract keeps for a thread, and how it begins and ends.
 *
 * Two words of thread-local storage.  `thread_tcache' is what the hit paths use: the thread's own
 * tcache, or `tcache_none' whenever a call must take the slow path: before the thread is known,
 * after it has ended, and while any of `modes' is set.  `thread_self' tells the slow path which of
 * these it is.
 *
 * A thread that uses a manual arena has no tcache: its objects come from the arena's shared slabs.
 * Nor has one that is young: all but the first get one when they have called often enough.
 *
 * Where arenas serve processors or nodes (arena/place.h), a thread looks now and then whether it
 * runs elsewhere: at each tick of its tcache, which is every 64 slow paths, or every 64 calls of
 * one that goes without.  Its next slabs and large objects come from the arena that serves it
 * there, while the slabs it owns stay its own: it moves often, and they are what its cache holds.
 * An arena that the program chose by thread.arena is kept.
 *
 * A thread ends with the last round of pthread key destructors; what it allocates or frees after
 * that goes to shared slabs, without a tcache.
 */
#ifndef TRACT_THREAD_THREAD_H
#define TRACT_THREAD_THREAD_H

#include "cache/tcache.h"

enum thread_mode {
	MODE_NO_TCACHE = 1, /* thread.tcache.enabled is false */
	MODE_COUNTING = 2,  /* byte counters are exposed: every call counts */
	MODE_FILLING = 4,   /* opt.junk or opt.zero */
	MODE_REENTRANT = 8, /* inside a user's hook (thread_n_hooks is not 0) */
	MODE_ENDED = 16,    /* after the last destructor */
	MODE_MANUAL =
	    32, /* its arena is a manual one, which has no owned slabs: no tcache */
	MODE_YOUNG = 64, /* it has done so little that it has no tcache yet */
};

/* Functions that may be called every so many bytes; see thread/count.h. */
#define COUNT_HOOKS 4

struct thread {
	/* Owner thread only. */
	struct tcache *tcache; /* NULL in a manual arena, and while it is young */
	struct arena *arena;
	unsigned modes;
	uint8_t end_rounds;
	bool is_bound;    /* the program has chosen its arena */
	uint8_t n_visits; /* of its arena without a tcache, see thread_visits_arena */
	uint8_t n_young;  /* calls until it is not young any more */
	struct tcache_shape *shape; /* its own; NULL: the default */
	/* Owner writes, anybody may read: TiKV and others keep pointers to them. */
	_Atomic(uint64_t) allocated, deallocated;
	/* Owner thread only; see thread/count.h. */
	uint64_t peak_zero; /* allocated less deallocated when the peak was reset */
	int64_t peak;       /* the most they have been above that */
	uint64_t next_call[2][COUNT_HOOKS]; /* by count_direction; 0: not met yet */
	uint64_t
	    told; /* `allocated' when it was last added to the process's, api/interval.c */
	bool is_calling;
	/* Guarded by the list's lock. */
	struct list link; /* of ended ones, for reuse */
};

extern _Thread_local struct tcache *thread_tcache TLS_MODEL;
extern _Thread_local struct thread *thread_self TLS_MODEL;
/* Frees of a thread that has no record yet. */
extern _Thread_local unsigned thread_n_bare_frees TLS_MODEL;
/* User's hooks that the thread is inside of, whether it has a record or not. */
extern _Thread_local unsigned thread_n_hooks TLS_MODEL;

/* Marks a thread that has ended; owns nothing. */
extern struct thread thread_ended;

/* Once, after the first malloc works: makes the key. */
void threads_boot(unsigned initial_modes);
/* Threads that begin from now on count. */
void threads_start_counting(void);

/*
 * The calling thread's record, made now if need be.  NULL: it has none and uses shared
 * slabs, because memory lacks, its end could not be noticed, or it has ended.
 */
struct thread *thread_start(void);
/* The calling thread is one of ours, and is to have no record: it allocates in users' hooks
 * alone. */
void thread_go_without(void);

/*
 * All threads but the first get a tcache when they have made so many calls of malloc or free,
 * or ask for it: one that only ever has some objects needs no more room than these.
 */
#define THREAD_YOUNG_CALLS (CONFIG_HOSTILE ? 2 : 64)
/* It is not young any more, unless memory lacks. */
void thread_grow_up(struct thread *thread);

/* A call that no tcache serves.  thread may be NULL. */
static inline void
thread_ages(struct thread *thread)
{
	if (thread != NULL && (thread->modes & MODE_YOUNG) != 0 && --thread->n_young == 0)
		thread_grow_up(thread);
}

/* It is going to its arena without a tcache. */
#define THREAD_VISITS 64
void thread_visits_arena(struct thread *thread);

void thread_set_mode(struct thread *thread, enum thread_mode mode);
void thread_clear_mode(struct thread *thread, enum thread_mode mode);

/*
 * The calling thread's tcache, if it has one that may be worked on; NULL inside a hook, which may
 * run in the middle of work on it.
 */
struct tcache *thread_own_tcache(void);

/* Let its tcaches have this shape from now on; gives the owned slabs back first.  False: no
 * memory. */
bool thread_set_shape(struct thread *thread, const struct tcache_shape *shape);

/* Use another arena from now on; gives the owned slabs back first.  False: no memory for a
 * tcache, or inside a hook. */
bool thread_migrate(struct thread *thread, struct arena *arena);

/* Called by each thread that had a record, when it ends; set once.  Release; NULL: nobody cares. */
typedef void thread_end_fn(void);
extern _Atomic(thread_end_fn *) thread_at_end;

/* Across a fork. */
void threads_fork_prepare(void);
void threads_fork_parent(void);
void threads_fork_child(void);

#endif
