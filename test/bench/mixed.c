/* SPDX-License-Identifier: MIT */
/*
 * mixed -- many sizes and lifetimes at once; each thread frees what it allocated.
 */
#include "bench.h"

#include <string.h>

/* ---- lifetimes: most blocks die young, some later, few never ---- */

enum { YOUNG = 16, OLDER = 4096 };

/* Small sizes dominate, as the symbols and nodes of a compiler do; 1 of 64 is up to 4
 * KiB. */
static size_t
node_size(struct rng *rng)
{
	const size_t kind = rng_below(rng, 64);

	if (kind == 0)
		return rng_between(rng, 256, 4096);
	return kind < 48 ? rng_between(rng, 8, 64) : rng_between(rng, 64, 256);
}

/* b: allocations. */
static void
lifetimes(const struct run *run)
{
	const size_t n = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	void **const young = table_new(YOUNG);
	void **const older = table_new(OLDER);
	void **const immortal = table_new(n / 64 + 1);
	size_t nimmortal = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t size = node_size(&rng);
		const uint32_t fate = rng_next(&rng);

		if (fate % 256 == 0 && nimmortal < n / 64 + 1) {
			immortal[nimmortal++] = take(size);
			continue;
		}
		void **const slot = fate % 8 == 1 ? &older[(fate >> 8) % OLDER]
						  : &young[(fate >> 8) % YOUNG];
		if (fate % 32 == 2 && *slot != NULL) {
			void *const moved = realloc(*slot, size);

			if (moved == NULL)
				bench_die("realloc returned NULL");
			touch(moved, size);
			*slot = moved;
			continue;
		}
		drop(*slot);
		*slot = take(size);
	}
	drop_all(young, YOUNG);
	drop_all(older, OLDER);
	drop_all(immortal, nimmortal);
}

/* ---- inverse square: 1024 slots a thread, sizes of 4 bytes to 32 KiB, p(n) ~ 1/n^2 ----
 */

enum { INVERSE_SLOTS = 1024 };

static void
inverse_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	struct rng rng = rng_of(team->run, id);
	void **const slots = table_new(INVERSE_SLOTS);

	for (size_t i = 0; i < n; i++) {
		void **const slot = &slots[rng_below(&rng, INVERSE_SLOTS)];
		/* u in (0, 1] as 2^20 steps: 4/u is distributed as 1/n^2; cut at 32 KiB.
		 */
		const size_t size = ((size_t)4 << 20) / (rng_below(&rng, 1 << 20) + 1);

		drop(*slot);
		*slot = take(size < 32 * KIB ? size : 32 * KIB);
	}
	drop_all(slots, INVERSE_SLOTS);
}

static void
inverse_square(const struct run *run)
{
	team_run(run, run->nthreads, inverse_member, NULL);
}

/* ---- pareto: few slots are hot; sizes are powers of two; every byte is written and read
 * ---- */

enum { PARETO_SLOTS = 4096 };

/* Four fifths of the picks fall on a fifth of the slots. */
static size_t
pareto_slot(struct rng *rng)
{
	const size_t hot = PARETO_SLOTS / 5;

	return rng_below(rng, 5) != 0 ? rng_below(rng, hot)
				      : hot + rng_below(rng, PARETO_SLOTS - hot);
}

struct filled {
	size_t size;
	unsigned char bytes[];
};

static struct filled *
filled_new(struct rng *rng)
{
	const size_t size = rng_near(rng, (size_t)8 << rng_below(rng, 8));
	struct filled *const f = malloc(sizeof(*f) + size);

	if (f == NULL)
		bench_die("malloc returned NULL");
	f->size = size;
	memset(f->bytes, block_tag(f), size);
	return f;
}

static void
filled_drop(struct filled *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->size; i++) {
		if (f->bytes[i] != block_tag(f))
			bench_die("a live block was overwritten");
	}
	f->bytes[0] = 0;
	free(f);
}

static void
pareto_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	struct rng rng = rng_of(team->run, id);
	void **const slots = table_new(PARETO_SLOTS);

	for (size_t i = 0; i < n; i++) {
		void **const slot = &slots[pareto_slot(&rng)];

		filled_drop(*slot);
		*slot = filled_new(&rng);
	}
	for (size_t i = 0; i < PARETO_SLOTS; i++)
		filled_drop(slots[i]);
}

static void
pareto(const struct run *run)
{
	team_run(run, run->nthreads, pareto_member, NULL);
}

/* ---- bursts: 25, 100, 400 and 1600 blocks in turn, half of them freed from either end
 * ---- */

static void
bursts_member(struct team *team, uint32_t id)
{
	enum { MOST = 1600 };
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	struct rng rng = rng_of(team->run, id);
	void *blocks[MOST];

	for (size_t done = 0, length = 25; done < n; done += length) {
		const size_t size = rng_between(&rng, 8, 32);

		for (size_t i = 0; i < length; i++)
			blocks[i] = take(size);
		for (size_t i = 0; i < length / 2; i++)
			drop(blocks[i]);
		for (size_t i = length; i-- > length / 2;)
			drop(blocks[i]);
		length = length < MOST ? 4 * length : 25;
	}
}

static void
bursts(const struct run *run)
{
	team_run(run, run->nthreads, bursts_member, NULL);
}

/* ---- memtable: nodes of a sorted table and the blocks that hold its records; a full table
 * goes at once ---- */

enum { MEMTABLE_NODES = 20000, MEMTABLE_NODES_PER_BLOCK = 20 };

static void
memtable_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	const size_t most = share_of(MEMTABLE_NODES, team->n);
	struct rng rng = rng_of(team->run, id);
	void **const nodes = table_new(most);
	void **const blocks = table_new(most / MEMTABLE_NODES_PER_BLOCK + 1);

	for (size_t done = 0; done < n; done += most) {
		size_t nblocks = 0;

		for (size_t i = 0; i < most; i++) {
			nodes[i] = take(rng_between(&rng, 32, 160));
			if (i % MEMTABLE_NODES_PER_BLOCK == 0)
				blocks[nblocks++] =
				    take(rng_falling(&rng, 4 * KIB, 64 * KIB));
		}
		drop_all(blocks, nblocks);
		drop_all(nodes, most);
	}
}

static void
memtable(const struct run *run)
{
	team_run(run, run->nthreads, memtable_member, NULL);
}

/* ---- ramps: sizes that climb, thousands at a time, freed in order or in reverse ---- */

enum { RAMP_BLOCKS = 4000 };

static void
ramp_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	const int is_reverse = team->run->work->a != 0;
	struct rng rng = rng_of(team->run, id);
	void **const blocks = table_new(RAMP_BLOCKS);

	for (size_t done = 0; done < n; done += RAMP_BLOCKS) {
		size_t size = rng_between(&rng, 1, 16);
		const size_t last = rng_between(&rng, 400, 1000);
		const size_t step = rng_between(&rng, 1, 16);

		for (size_t i = 0; i < RAMP_BLOCKS; i++) {
			blocks[i] = take(size);
			size =
			    size + step <= last ? size + step : rng_between(&rng, 1, 16);
		}
		for (size_t i = 0; i < RAMP_BLOCKS; i++)
			drop(blocks[is_reverse ? RAMP_BLOCKS - 1 - i : i]);
	}
}

/* a: 0 to free the first block first, 1 the last; b: blocks. */
static void
ramp(const struct run *run)
{
	team_run(run, run->nthreads, ramp_member, NULL);
}

/* ---- calloc ---- */

/* Memory from calloc is read before it is written: that is why it was asked for. */
static void *
take_zeroed(size_t size)
{
	volatile unsigned char *const block = calloc(1, size);

	if (block == NULL)
		bench_die("calloc returned NULL");
	unsigned char sum = block[size - 1];
	for (size_t at = 0; at < size; at += TOUCH_STEP)
		sum |= block[at];
	if (sum != 0)
		bench_die("memory from calloc is not zero");
	touch(block, size);
	return (void *)block;
}

/* a: size (all sizes up to it if small), b: blocks; 16 live. */
static void
zeroed(const struct run *run)
{
	enum { LIVE = 16 };
	const size_t n = run_count(run, run->work->b), most = run->work->a;
	struct rng rng = rng_of(run, 0);
	void *blocks[LIVE] = { 0 };

	for (size_t i = 0; i < n; i++) {
		void **const slot = &blocks[rng_below(&rng, most < MIB ? LIVE : 2)];
		const size_t size =
		    most <= KIB ? rng_between(&rng, 8, most) : rng_near(&rng, most);

		drop(*slot);
		*slot = take_zeroed(size);
		/* A program uses what it asked for; the block is dirty when it comes
		 * back. */
		memset((char *)*slot + 1, 0x55, size / 2);
	}
	drop_all(blocks, LIVE);
}

const struct workload mixed_workloads[] = {
	{ "lifetimes", lifetimes, 0, 6000000, 0,
	    "most blocks die young, some late, few never" },
	{ "inverse-square", inverse_square, 0, 20000000, THREADED,
	    "4 B..32 KiB, p ~ 1/n^2" },
	{ "ramp-forward", ramp, 0, 12000000, THREADED,
	    "climbing sizes, first freed first" },
	{ "ramp-reverse", ramp, 1, 12000000, THREADED,
	    "climbing sizes, last freed first" },
	{ "pareto", pareto, 0, 1600000, THREADED,
	    "8 B..1 KiB, few slots are hot, all bytes used" },
	{ "bursts", bursts, 0, 24000000, THREADED, "25 to 1600 in turn, from both ends" },
	{ "memtable", memtable, 0, 4000000, THREADED,
	    "nodes and blocks of 4..64 KiB, freed together" },
	{ "calloc-small", zeroed, 512, 4000000, 0, "calloc of 8..512 bytes" },
	{ "calloc-64k", zeroed, 64 * KIB, 40000, 0,
	    "calloc of 64 KiB, half of it written" },
	{ "calloc-4m", zeroed, 4 * MIB, 250, 0, "calloc of 4 MiB, half of it written" },
	{ 0 },
};
