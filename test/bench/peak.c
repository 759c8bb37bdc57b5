/* SPDX-License-Identifier: MIT */
/*
 * peak -- a process that has used much memory, has freed most of it, and goes on.
 *
 * The blocks that survive are never freed: they are the program's own after the peak. The
 * timed part ends when the peak has been freed; what the process holds then, and after
 * --idle seconds in which it makes no call, is what these workloads are about.
 */
#include "bench.h"

enum { MEAN_MIXED = (16 + 1000) / 2 };

/* Blocks of 16..1000 bytes of `bytes' in all. */
static size_t
fill_mixed(struct rng *rng, void **blocks, size_t bytes)
{
	const size_t n = bytes / MEAN_MIXED;

	for (size_t i = 0; i < n; i++)
		blocks[i] = take(rng_between(rng, 16, 1000));
	return n;
}

static void
drop_one(void **slot)
{
	drop(*slot);
	*slot = NULL;
}

/* Frees all but the first of every `nth' part: what survives lies together. */
static void
drop_all_but_first(void **blocks, size_t n, size_t nth)
{
	for (size_t i = n / nth; i < n; i++)
		drop_one(&blocks[i]);
}

/* Frees `percent' % of the blocks, chosen at random. */
static void
drop_random(struct rng *rng, void **blocks, size_t n, size_t percent)
{
	for (size_t i = 0; i < n; i++) {
		if (rng_below(rng, 100) < percent)
			drop_one(&blocks[i]);
	}
}

/* One thread, 1/32 survives in one piece; a: bytes of the peak. */
static void
peak_whole(const struct run *run)
{
	const size_t bytes = run_count(run, run->work->a);
	struct rng rng = rng_of(run, 0);
	void **const blocks = table_new(bytes / MEAN_MIXED);

	drop_all_but_first(blocks, fill_mixed(&rng, blocks, bytes), 32);
}

/* One thread, a random tenth survives; a: bytes of the peak. */
static void
peak_scattered(const struct run *run)
{
	const size_t bytes = run_count(run, run->work->a);
	struct rng rng = rng_of(run, 0);
	void **const blocks = table_new(bytes / MEAN_MIXED);
	const size_t n = fill_mixed(&rng, blocks, bytes);

	drop_random(&rng, blocks, n, 90);
}

/*
 * Small, medium and large blocks at once (a third of the bytes each), freed but for every 32nd:
 * a: bytes of the peak.
 */
static void
peak_mixed(const struct run *run)
{
	const size_t bytes = run_count(run, run->work->a);
	const size_t most = bytes / MEAN_MIXED;
	struct rng rng = rng_of(run, 0);
	void **const blocks = table_new(most + 1);
	size_t n = 0;

	for (size_t done[3] = { 0 }; n < most;) {
		const size_t kind = done[0] <= done[1] ? (done[0] <= done[2] ? 0 : 2)
		    : done[1] <= done[2]               ? 1
						       : 2;
		const size_t size = kind == 0 ? rng_between(&rng, 16, 1000)
		    : kind == 1               ? rng_between(&rng, KIB, 32 * KIB)
					      : rng_between(&rng, 32 * KIB, MIB);

		if (done[0] + done[1] + done[2] + size > bytes)
			break;
		done[kind] += size;
		blocks[n++] = take(size);
	}
	drop_all_but_first(blocks, n, 32);
}

/*
 * Class A is filled, a random 90 % of it freed, then class B filled to the same peak:
 * memory that A's survivors pin is lost to B; a third phase follows.  a: bytes of a
 * phase.
 */
static void
phases(const struct run *run)
{
	static const size_t near[] = { 64, 320, 144 };
	const size_t bytes = run_count(run, run->work->a);
	struct rng rng = rng_of(run, 0);

	for (size_t phase = 0; phase < sizeof(near) / sizeof(near[0]); phase++) {
		const size_t size = rng_near(&rng, near[phase]);
		const size_t n = bytes / size + 1;
		void **const blocks = table_new(n);

		for (size_t i = 0; i < n; i++)
			blocks[i] = take(size);
		drop_random(&rng, blocks, n, 90);
	}
}

/* ---- threads that live on after the peak ---- */

struct parked {
	const struct run *run;
	/* All threads and the main thread meet here when the peak is over. */
	pthread_barrier_t done;
	/* Never opened: here the threads wait for the end of the process. */
	pthread_barrier_t forever;
	size_t bytes, nblocks;
	atomic_uint next_id;
};

static void *
peak_thread(void *arg)
{
	struct parked *const parked = arg;
	struct rng rng = rng_of(parked->run, atomic_fetch_add(&parked->next_id, 1));
	void **const blocks = table_new(parked->bytes / MEAN_MIXED + 1);

	drop_all_but_first(blocks, fill_mixed(&rng, blocks, parked->bytes), 32);
	pthread_barrier_wait(&parked->done);
	pthread_barrier_wait(&parked->forever);
	return blocks;
}

static void *
idle_thread(void *arg)
{
	struct parked *const parked = arg;
	struct rng rng = rng_of(parked->run, atomic_fetch_add(&parked->next_id, 1));

	for (size_t i = 0; i < parked->nblocks; i++)
		(void)take(rng_between(&rng, 16, 1000));
	pthread_barrier_wait(&parked->done);
	pthread_barrier_wait(&parked->forever);
	return NULL;
}

/* Starts n threads of fn and returns when all of them are parked. */
static void
park_threads(struct parked *parked, uint32_t n, void *(*fn)(void *))
{
	pthread_barrier_init(&parked->done, NULL, n + 1);
	pthread_barrier_init(&parked->forever, NULL, n + 1);
	for (uint32_t i = 0; i < n; i++)
		thread_start(fn, parked);
	pthread_barrier_wait(&parked->done);
}

/* As peak_whole, by threads that then wait. */
static void
peak_threads(const struct run *run)
{
	static struct parked parked;

	parked.run = run;
	parked.bytes = share_of(run_count(run, run->work->a), run->nthreads);
	park_threads(&parked, run->nthreads, peak_thread);
}

/* a: threads, b: blocks that each holds. */
static void
idle_threads(const struct run *run)
{
	static struct parked parked;

	parked.run = run;
	parked.nblocks = run->work->b;
	park_threads(&parked, (uint32_t)run_count(run, run->work->a), idle_thread);
}

const struct workload peak_workloads[] = {
	{ "peak-whole", peak_whole, 256 * MIB, 0, PEAK, "31/32 of 256 MiB freed" },
	{ "peak-scattered", peak_scattered, 256 * MIB, 0, PEAK,
	    "random 9/10 of 256 MiB freed" },
	{ "peak-mixed", peak_mixed, 256 * MIB, 0, PEAK,
	    "31/32 of 256 MiB of 16 bytes to 1 MiB freed" },
	{ "peak-threads", peak_threads, 256 * MIB, 0, THREADED | PEAK,
	    "31/32 freed, threads stay" },
	{ "phases", phases, 64 * MIB, 0, PEAK,
	    "random 9/10 of class A freed, then class B" },
	{ "idle-threads", idle_threads, 100, 40, PEAK | MEMORY_ONLY,
	    "100 threads that hold 40 blocks and wait" },
	{ 0 },
};
