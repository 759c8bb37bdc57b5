/* SPDX-License-Identifier: MIT */
/*
 * threads -- threads that come and go, and what they leave behind for others.
 */
#include "bench.h"

/* ---- server: requests replace random blocks; every round a new thread inherits them
 * ---- */

enum { SERVER_SLOTS = 8000, SERVER_ROUNDS = 40 };

struct lane {
	const struct run *run;
	void **slots;
	size_t nslots, nops;
	uint64_t stream;
};

static void *
server_round(void *arg)
{
	const struct lane *const lane = arg;
	struct rng rng = rng_of(lane->run, lane->stream);

	for (size_t i = 0; i < lane->nops; i++) {
		void **const slot = &lane->slots[rng_below(&rng, lane->nslots)];

		drop(*slot);
		*slot = take(rng_between(&rng, 8, 1000));
	}
	return NULL;
}

static void
server_member(struct team *team, uint32_t id)
{
	const size_t total = run_count(team->run, team->run->work->b);
	struct lane *const lane = &((struct lane *)team->shared)[id];

	lane->nops = share_of(total, team->n * SERVER_ROUNDS);
	for (size_t round = 0; round < SERVER_ROUNDS; round++) {
		lane->stream = 1000 * (round + 1) + id;
		thread_join(thread_start(server_round, lane));
	}
}

/* b: requests. */
static void
server(const struct run *run)
{
	struct lane lanes[run->nthreads];
	struct rng rng = rng_of(run, 0);

	for (uint32_t i = 0; i < run->nthreads; i++) {
		const size_t nslots = share_of(SERVER_SLOTS, run->nthreads);

		lanes[i] = (struct lane){ .run = run, .nslots = nslots };
		lanes[i].slots = table_new(nslots);
		for (size_t k = 0; k < nslots; k++)
			lanes[i].slots[k] = take(rng_between(&rng, 8, 1000));
	}
	team_run(run, run->nthreads, server_member, lanes);
	for (uint32_t i = 0; i < run->nthreads; i++)
		drop_all(lanes[i].slots, lanes[i].nslots);
}

/* ---- generations: threads leave blocks in slots where the next ones find them ---- */

enum { GENERATIONS = 25, EXCHANGE_SLOTS = 1000 };

struct generation {
	/* Exchanged with acquire and release by the members: a block's contents go with
	 * it. */
	_Atomic(void *) *slots;
	size_t number;
};

/* 8..512 bytes; 1 % 100 times that, 0.1 % 1000 times, 0.01 % 10000 times (5 MB at most).
 */
static size_t
generation_size(struct rng *rng)
{
	const size_t size = (size_t)8 << rng_below(rng, 7);
	const size_t rare = rng_below(rng, 10000);

	if (rare == 0)
		return size * 10000;
	if (rare < 10)
		return size * 1000;
	return rare < 100 ? size * 100 : rng_near(rng, size);
}

static void
generation_member(struct team *team, uint32_t id)
{
	const struct generation *const gen = team->shared;
	const size_t total = run_count(team->run, team->run->work->b);
	const size_t n = share_of(total, team->n * GENERATIONS);
	struct rng rng = rng_of(team->run, 1000 * gen->number + id + 1);
	void **kept = NULL;
	size_t nkept = 0, capacity = 0;

	for (size_t i = 0; i < n; i++) {
		if (nkept == capacity) {
			capacity += capacity / 2 + 256;
			kept = realloc(kept, capacity * sizeof(*kept));
			if (kept == NULL)
				bench_die("realloc returned NULL");
		}
		kept[nkept++] = take(generation_size(&rng));
		const size_t dice = rng_below(&rng, 8);
		void **const victim = &kept[rng_below(&rng, nkept)];
		if (dice < 3) {
			drop(*victim);
			*victim = kept[--nkept];
		} else if (dice < 5) {
			*victim = atomic_exchange_explicit(
			    &gen->slots[rng_below(&rng, EXCHANGE_SLOTS)], *victim,
			    memory_order_acq_rel);
		}
	}
	drop_all(kept, nkept);
	free(kept);
}

/* b: blocks. */
static void
generations(const struct run *run)
{
	struct generation gen = { (_Atomic(void *) *)table_new(EXCHANGE_SLOTS), 0 };
	struct rng rng = rng_of(run, 0);

	for (gen.number = 1; gen.number <= GENERATIONS; gen.number++) {
		team_run(run, run->nthreads, generation_member, &gen);
		for (size_t i = 0; i < EXCHANGE_SLOTS; i++) {
			if (rng_below(&rng, 2) == 0)
				drop(atomic_exchange(&gen.slots[i], NULL));
		}
	}
	for (size_t i = 0; i < EXCHANGE_SLOTS; i++)
		drop(atomic_exchange(&gen.slots[i], NULL));
}

/* ---- churn: threads that live for a few allocations ---- */

enum { CHURN_MOST = 64 };

static void *
churn_thread(void *arg)
{
	const struct lane *const lane = arg;
	struct rng rng = rng_of(lane->run, lane->stream);
	void *blocks[CHURN_MOST];

	for (size_t i = 0; i < lane->nops; i++)
		blocks[i] = take(rng_between(&rng, 16, 1000));
	drop_all(blocks, lane->nops);
	return NULL;
}

static void
churn_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	struct lane lane = { .run = team->run, .nops = team->run->work->a };

	for (size_t i = 0; i < n; i++) {
		lane.stream = i * team->n + id;
		thread_join(thread_start(churn_thread, &lane));
	}
}

/* a: blocks of each thread, at most CHURN_MOST; b: threads in all. */
static void
churn(const struct run *run)
{
	team_run(run, run->nthreads, churn_member, NULL);
}

/* ---- legacy: each thread leaves a block, and frees the oldest that it inherited ---- */

enum { LEGACY_BLOCKS = 64 };

static void *
legacy_thread(void *arg)
{
	const struct lane *const lane = arg;
	void **const slot = &lane->slots[lane->stream % LEGACY_BLOCKS];

	free(*slot);
	*slot = calloc(1, 128);
	if (*slot == NULL)
		bench_die("calloc returned NULL");
	*(volatile char *)*slot = 1;
	return NULL;
}

static void
legacy_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	struct lane lane = { .run = team->run, .slots = table_new(LEGACY_BLOCKS) };

	(void)id;
	for (lane.stream = 0; lane.stream < n; lane.stream++)
		thread_join(thread_start(legacy_thread, &lane));
	for (size_t i = 0; i < LEGACY_BLOCKS; i++)
		free(lane.slots[i]);
}

/* b: threads in all. */
static void
legacy(const struct run *run)
{
	team_run(run, run->nthreads, legacy_member, NULL);
}

/* ---- false sharing: threads write to small blocks that may share a cache line ---- */

enum { SHARING_WRITES = 200 };

static void
write_often(volatile unsigned char *block)
{
	for (size_t i = 0; i < SHARING_WRITES; i++)
		block[0]++;
	block[0] = block_tag(block);
}

static void
sharing_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	void **const given = team->shared;
	struct rng rng = rng_of(team->run, 0);
	const size_t size = rng_between(&rng, 1, 16);

	if (given != NULL) {
		write_often(given[id]);
		drop(given[id]);
	}
	pthread_barrier_wait(&team->barrier);
	for (size_t i = 0; i < n; i++) {
		void *const block = take(size);

		write_often(block);
		drop(block);
	}
}

/* b: blocks. */
static void
sharing_active(const struct run *run)
{
	team_run(run, run->nthreads, sharing_member, NULL);
}

/* The main thread's blocks lie side by side; each thread gets and frees one of them. */
static void
sharing_passive(const struct run *run)
{
	void *given[run->nthreads];

	for (uint32_t i = 0; i < run->nthreads; i++)
		given[i] = take(8);
	team_run(run, run->nthreads, sharing_member, given);
}

const struct workload threads_workloads[] = {
	{ "server", server, 0, 8000000, THREADED,
	    "random victims, a new thread each round" },
	{ "generations", generations, 0, 1600000, THREADED | PEAK,
	    "exchange, rare huge blocks" },
	{ "churn-0", churn, 0, 8000, THREADED, "threads that allocate nothing" },
	{ "churn-40", churn, 40, 8000, THREADED, "threads with 40 blocks each" },
	{ "legacy", legacy, 0, 8000, THREADED, "each thread leaves a block to the next" },
	{ "sharing-active", sharing_active, 0, 400000, THREADED,
	    "own small blocks, written often" },
	{ "sharing-passive", sharing_passive, 0, 400000, THREADED,
	    "after freeing a neighbour's" },
	{ 0 },
};
