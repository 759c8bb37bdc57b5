/* SPDX-License-Identifier: MIT */
/*
 * small -- one thread, few kinds of block at a time: what the shortest paths of a library
 * cost.
 */
#include "bench.h"

/* Runs of equal size before ping-pong draws another one. */
#define PINGPONG_RUN 1000

/* a: size, b: pairs. */
static void
pingpong(const struct run *run)
{
	struct rng rng = rng_of(run, 0);
	const size_t runs = run_count(run, run->work->b) / PINGPONG_RUN + 1;

	for (size_t i = 0; i < runs; i++) {
		const size_t size = rng_near(&rng, run->work->a);

		for (size_t k = 0; k < PINGPONG_RUN; k++)
			drop(take(size));
	}
}

static void
take_burst(struct rng *rng, void **blocks, size_t n)
{
	const size_t size = rng_between(rng, 16, 128);

	for (size_t i = 0; i < n; i++)
		blocks[i] = take(size);
}

/* a: blocks in a burst, b: blocks in all. */
static void
burst_lifo(const struct run *run)
{
	const size_t n = run->work->a;
	const size_t bursts = run_count(run, run->work->b) / n + 1;
	struct rng rng = rng_of(run, 0);
	void **const blocks = table_new(n);

	for (size_t i = 0; i < bursts; i++) {
		take_burst(&rng, blocks, n);
		for (size_t k = n; k-- > 0;)
			drop(blocks[k]);
	}
}

/* As burst_lifo. */
static void
burst_fifo(const struct run *run)
{
	const size_t n = run->work->a;
	const size_t bursts = run_count(run, run->work->b) / n + 1;
	struct rng rng = rng_of(run, 0);
	void **const blocks = table_new(n);

	for (size_t i = 0; i < bursts; i++) {
		take_burst(&rng, blocks, n);
		for (size_t k = 0; k < n; k++)
			drop(blocks[k]);
	}
}

/* a: live blocks, b: replacements. */
static void
replace(const struct run *run)
{
	/* The number of live blocks is the name of the workload; only the work is scaled.
	 */
	const size_t live = run->work->a;
	const size_t n = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	void **const blocks = table_new(live);

	for (size_t i = 0; i < live; i++)
		blocks[i] = take(rng_between(&rng, 16, 512));
	for (size_t i = 0; i < n; i++) {
		void **const victim = &blocks[rng_below(&rng, live)];

		drop(*victim);
		*victim = take(rng_between(&rng, 16, 512));
	}
	drop_all(blocks, live);
}

/*
 * Numbers of a computation with big integers: a stack whose depth walks at random between
 * 0 and 64, results that replace the two operands on top, now and then a block that dies
 * early. b: operations.
 */
static void
tiny_stack(const struct run *run)
{
	enum { DEPTH = 64 };
	const size_t n = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	void *stack[DEPTH];
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		const uint32_t dice = rng_next(&rng);
		const size_t size = 8 + (dice >> 8) % 41;

		if (depth < 2 || (depth < DEPTH && (dice & 3) == 0)) {
			stack[depth++] = take(size);
		} else if ((dice & 3) == 1) {
			void *const result = take(size);

			drop(stack[--depth]);
			drop(stack[depth - 1]);
			stack[depth - 1] = result;
		} else if ((dice & 255) == 2) {
			const size_t victim = rng_below(&rng, depth);

			drop(stack[victim]);
			stack[victim] = stack[--depth];
		} else {
			drop(stack[depth - 1]);
			stack[depth - 1] = take(size);
		}
	}
	drop_all(stack, depth);
}

const struct workload small_workloads[] = {
	{ "pingpong-16", pingpong, 16, 16000000, 0, "malloc and free in turn" },
	{ "pingpong-64", pingpong, 64, 16000000, 0, "malloc and free in turn" },
	{ "pingpong-256", pingpong, 256, 16000000, 0, "malloc and free in turn" },
	{ "pingpong-1k", pingpong, 1000, 16000000, 0, "malloc and free in turn" },
	{ "pingpong-4k", pingpong, 4 * KIB, 12000000, 0, "malloc and free in turn" },
	{ "pingpong-32k", pingpong, 32 * KIB, 4000000, 0, "malloc and free in turn" },
	{ "pingpong-100k", pingpong, 100000, 400000, 0, "malloc and free in turn" },
	{ "pingpong-1m", pingpong, MIB, 20000, 0, "malloc and free in turn" },
	{ "burst-lifo-25", burst_lifo, 25, 10000000, 0,
	    "n blocks, the last is freed first" },
	{ "burst-fifo-25", burst_fifo, 25, 10000000, 0,
	    "n blocks, the first is freed first" },
	{ "burst-lifo-400", burst_lifo, 400, 10000000, 0,
	    "n blocks, the last is freed first" },
	{ "burst-fifo-400", burst_fifo, 400, 10000000, 0,
	    "n blocks, the first is freed first" },
	{ "burst-lifo-1600", burst_lifo, 1600, 10000000, 0,
	    "n blocks, the last is freed first" },
	{ "burst-fifo-1600", burst_fifo, 1600, 10000000, 0,
	    "n blocks, the first is freed first" },
	{ "replace-1k", replace, 1000, 8000000, 0,
	    "random victim, 16..512 bytes, 1 K live" },
	{ "replace-32k", replace, 32000, 4000000, 0,
	    "random victim, 16..512 bytes, 32 K live" },
	{ "replace-1m", replace, 1000000, 500000, PEAK,
	    "random victim, 16..512 bytes, 1 M live" },
	{ "tiny-stack", tiny_stack, 0, 12000000, 0, "many tiny blocks, nearly LIFO" },
	{ 0 },
};
