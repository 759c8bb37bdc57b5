/* SPDX-License-Identifier: MIT */
/*
 * bench -- what every workload uses: random numbers, blocks that are touched, threads,
 * and the table entry that describes a workload.
 *
 * A workload allocates only through malloc, calloc, realloc and free, so that the library
 * under test is whichever one is preloaded.  The harness itself allocates nothing: its
 * tables come from mmap, its output goes through write(2).  All randomness comes from the
 * seed; sizes and counts depend on the seed and never on the clock or on the library.
 */
#ifndef TEST_BENCH_BENCH_H
#define TEST_BENCH_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
/* The step in which large blocks are touched; the smallest page there is. */
#define TOUCH_STEP 4096

enum workload_flags {
	/* Obeys --threads. */
	THREADED = 1,
	/* Ends a peak of memory: what the process holds after --idle is of interest. */
	PEAK = 2,
	/* Its time says nothing. */
	MEMORY_ONLY = 4,
};

struct run;

struct workload {
	const char *name;
	void (*fn)(const struct run *run);
	/* Parameters of fn; their meaning is fn's own. */
	size_t a, b;
	unsigned flags;
	const char *what;
};

/* One run of one workload.  Set before the workload starts, constant afterwards. */
struct run {
	const struct workload *work;
	uint64_t seed;
	double scale;
	uint32_t nthreads;
};

/* The workloads of each file; the last entry has no name. */
extern const struct workload small_workloads[];
extern const struct workload mixed_workloads[];
extern const struct workload handover_workloads[];
extern const struct workload threads_workloads[];
extern const struct workload large_workloads[];
extern const struct workload peak_workloads[];

/*
 * Ends the timed part.  Called by a workload that has more to do, once, from the main
 * thread; for all others the return of fn is the end.
 */
void bench_mark(void);

/* Reports a failure of the library under test (or of the bench) and exits with status 1.
 */
_Noreturn void bench_die(const char *why);

/* Runs a command so many times, on the library of BENCH_PRELOAD, and prints what that cost. */
void spawn_run(size_t times, char **command);

/* n scaled by --scale, at least 1. */
size_t run_count(const struct run *run, size_t n);

/* A zeroed table of n pointers outside of the library under test; it is never given back.
 */
void **table_new(size_t n);

/* ---- random numbers: xorshift64*, one generator per thread ---- */

struct rng {
	uint64_t state;
};

/* Different streams of one seed are unrelated, and so are equal streams of adjacent
 * seeds. */
static inline struct rng
rng_of(const struct run *run, uint64_t stream)
{
	uint64_t z = (run->seed + 1) * 0x9e3779b97f4a7c15u + stream * 0xd1342543de82ef95u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (struct rng){ (z ^ (z >> 31)) | 1 };
}

static inline uint32_t
rng_next(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return (uint32_t)((rng->state * 0x2545f4914f6cdd1du) >> 32);
}

/* Uniform in [0, n), n < 2^32. */
static inline size_t
rng_below(struct rng *rng, size_t n)
{
	return (size_t)(((uint64_t)rng_next(rng) * n) >> 32);
}

/* Uniform in [first, last]. */
static inline size_t
rng_between(struct rng *rng, size_t first, size_t last)
{
	return first + rng_below(rng, last - first + 1);
}

/* In [first, last], the density falling linearly to 0 at `last'. */
static inline size_t
rng_falling(struct rng *rng, size_t first, size_t last)
{
	const size_t x = rng_between(rng, first, last);
	const size_t y = rng_between(rng, first, last);

	return x < y ? x : y;
}

/* A size near n (within n/8 below it), so that no run of a seed meets exactly one size
 * class. */
static inline size_t
rng_near(struct rng *rng, size_t n)
{
	return n - rng_below(rng, n / 8 + 1);
}

/* ---- blocks ---- */

static inline unsigned char
block_tag(const volatile void *block)
{
	return (unsigned char)((uintptr_t)block >> 4) | 1;
}

/*
 * Writes the first and the last byte and one in every page between, as the least that a
 * program does with memory it asked for.  The first byte is a tag that drop() checks.
 */
static inline void
touch(volatile unsigned char *block, size_t size)
{
	for (size_t at = TOUCH_STEP; at < size; at += TOUCH_STEP)
		block[at] = 1;
	block[size - 1] = 1;
	block[0] = block_tag(block);
}

/* A touched block of size > 0 bytes. */
static inline void *
take(size_t size)
{
	void *const block = malloc(size);

	if (block == NULL)
		bench_die("malloc returned NULL");
	touch(block, size);
	return block;
}

/*
 * Frees a block that take() made, in whatever thread; NULL is nothing.  The tag is wiped,
 * so that of a block that was handed out twice the second drop finds none.
 */
static inline void
drop(void *block)
{
	volatile unsigned char *const bytes = block;

	if (block == NULL)
		return;
	if (bytes[0] != block_tag(block))
		bench_die("a live block was overwritten, or handed out twice");
	bytes[0] = 0;
	free(block);
}

static inline void
drop_all(void **blocks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		drop(blocks[i]);
		blocks[i] = NULL;
	}
}

/* ---- threads ---- */

struct team {
	const struct run *run;
	/* Body of each member, ids from 0 to n - 1. */
	void (*fn)(struct team *team, uint32_t id);
	/* What the members share; fn's own. */
	void *shared;
	uint32_t n;
	/* For fn; all n members take part. */
	pthread_barrier_t barrier;
};

/* Runs n threads and returns when all have exited. */
void team_run(const struct run *run, uint32_t n, void (*fn)(struct team *, uint32_t),
    void *shared);

/* As pthread_create and pthread_join; failure ends the bench. */
pthread_t thread_start(void *(*fn)(void *), void *arg);
void thread_join(pthread_t thread);

/* The part of `total' that each of n threads does, at least 1. */
static inline size_t
share_of(size_t total, uint32_t n)
{
	return total / n > 0 ? total / n : 1;
}

/* ---- batches of blocks on their way from one thread to another ---- */

struct batch {
	struct batch *next;
	size_t n;
	void *blocks[];
};

/* Any number of pushing and popping threads.  All fields are guarded by lock. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *head, **tail;
	size_t count, limit;
	uint32_t producers;
};

/* Holds at most `limit' batches; `producers' threads will call queue_close. */
void queue_init(struct queue *queue, size_t limit, uint32_t producers);

/* Waits while the queue is full. */
void queue_push(struct queue *queue, struct batch *batch);

/* Waits while the queue is empty; NULL once it is empty and all producers have closed it.
 */
struct batch *queue_pop(struct queue *queue);

/* NULL if the queue is empty now. */
struct batch *queue_try_pop(struct queue *queue);
void queue_close(struct queue *queue);

/* The batch itself is memory of the library under test, as in a real program. */
struct batch *batch_new(size_t capacity);

/* Drops all blocks and the batch. */
void batch_drop(struct batch *batch);

#endif
