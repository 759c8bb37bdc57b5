/* SPDX-License-Identifier: MIT */
/*
 * handover -- blocks that are freed by another thread than the one that allocated them.
 */
#include "bench.h"

/* ---- producers and consumers ---- */

struct market {
	struct queue queue;
	uint32_t producers;
	size_t total, batch_max, size_min, size_max;
};

static void
produce(struct team *team, struct market *market, uint32_t id)
{
	struct rng rng = rng_of(team->run, id);
	size_t left = share_of(market->total, market->producers);

	while (left > 0) {
		const size_t wanted =
		    rng_between(&rng, market->batch_max / 2, market->batch_max);
		struct batch *const batch = batch_new(market->batch_max);

		for (; batch->n < wanted && left > 0; left--) {
			const size_t size =
			    rng_between(&rng, market->size_min, market->size_max);

			batch->blocks[batch->n++] = take(size);
		}
		queue_push(&market->queue, batch);
	}
	queue_close(&market->queue);
}

static void
market_member(struct team *team, uint32_t id)
{
	struct market *const market = team->shared;
	struct batch *batch;

	if (id < market->producers) {
		produce(team, market, id);
		return;
	}
	while ((batch = queue_pop(&market->queue)) != NULL)
		batch_drop(batch);
}

static void
market_run(const struct run *run, struct market *market, uint32_t consumers)
{
	market->total = run_count(run, run->work->b);
	queue_init(&market->queue, 4 * (size_t)(market->producers + consumers),
	    market->producers);
	team_run(run, market->producers + consumers, market_member, market);
}

/* As many consumers as producers, two of them at least; a: batch, b: blocks. */
static void
produce_even(const struct run *run)
{
	const uint32_t half = run->nthreads > 1 ? run->nthreads / 2 : 1;
	struct market market = {
		.producers = half,
		.batch_max = run->work->a,
		.size_min = 49,
		.size_max = 64,
	};

	market_run(run, &market, half);
}

/* All but one thread produce; three at least. */
static void
produce_many(const struct run *run)
{
	struct market market = {
		.producers = run->nthreads > 3 ? run->nthreads - 1 : 2,
		.batch_max = run->work->a,
		.size_min = 16,
		.size_max = 256,
	};

	market_run(run, &market, 1);
}

/* One thread produces for all others; three at least. */
static void
produce_one(const struct run *run)
{
	struct market market = {
		.producers = 1,
		.batch_max = run->work->a,
		.size_min = 16,
		.size_max = 256,
	};

	market_run(run, &market, run->nthreads > 3 ? run->nthreads - 1 : 2);
}

/* ---- neighbours: a ring of threads, each passes blocks to the next ---- */

struct ring {
	struct queue *inboxes;
};

static void
drain(struct queue *inbox)
{
	struct batch *batch;

	while ((batch = queue_try_pop(inbox)) != NULL)
		batch_drop(batch);
}

static void
ring_run(const struct run *run, void (*fn)(struct team *, uint32_t))
{
	struct queue inboxes[run->nthreads];
	struct ring ring = { inboxes };

	/*
	 * No limit: a thread that waited for its neighbour could close a circle.  The
	 * members' own barriers bound what is on its way, and by the same amount in every
	 * run.
	 */
	for (uint32_t i = 0; i < run->nthreads; i++)
		queue_init(&inboxes[i], SIZE_MAX, 1);
	team_run(run, run->nthreads, fn, &ring);
}

enum { MEDIUM_SLOTS = 1000, MEDIUM_STEP = 100, MEDIUM_MEET = 8 };

static void
medium_member(struct team *team, uint32_t id)
{
	const struct ring *const ring = team->shared;
	const size_t loops =
	    share_of(run_count(team->run, team->run->work->b), team->n) / MEDIUM_STEP + 1;
	const size_t nslots = share_of(2 * MEDIUM_SLOTS, team->n);
	struct rng rng = rng_of(team->run, id);
	void **const slots = table_new(nslots);

	for (size_t loop = 0; loop < loops; loop++) {
		struct batch *const batch = loop % 2 ? batch_new(MEDIUM_STEP) : NULL;

		for (size_t i = 0; i < MEDIUM_STEP; i++) {
			void **const slot = &slots[rng_below(&rng, nslots)];

			if (batch != NULL && *slot != NULL)
				batch->blocks[batch->n++] = *slot;
			else
				drop(*slot);
			*slot = take(rng_falling(&rng, KIB, 16 * KIB));
		}
		if (batch != NULL)
			queue_push(&ring->inboxes[(id + 1) % team->n], batch);
		drain(&ring->inboxes[id]);
		if (loop % MEDIUM_MEET == 0)
			pthread_barrier_wait(&team->barrier);
	}
	pthread_barrier_wait(&team->barrier);
	drain(&ring->inboxes[id]);
	drop_all(slots, nslots);
}

/* b: blocks. */
static void
medium(const struct run *run)
{
	ring_run(run, medium_member);
}

enum { FOREIGN_BLOCKS = 2000 };

static void
ramp_foreign_member(struct team *team, uint32_t id)
{
	const struct ring *const ring = team->shared;
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	struct rng rng = rng_of(team->run, id);
	void **const own = table_new(FOREIGN_BLOCKS);

	for (size_t done = 0; done < n; done += 2 * FOREIGN_BLOCKS) {
		struct batch *const batch = batch_new(FOREIGN_BLOCKS);
		const size_t last = rng_between(&rng, 400, 1000);
		const size_t step = rng_between(&rng, 1, 16);
		size_t size = rng_between(&rng, 1, 16);

		for (size_t i = 0; i < FOREIGN_BLOCKS; i++) {
			own[i] = take(size);
			batch->blocks[batch->n++] = take(size);
			size =
			    size + step <= last ? size + step : rng_between(&rng, 1, 16);
		}
		queue_push(&ring->inboxes[(id + 1) % team->n], batch);
		drop_all(own, FOREIGN_BLOCKS);
		pthread_barrier_wait(&team->barrier);
		drain(&ring->inboxes[id]);
	}
}

/* b: blocks. */
static void
ramp_foreign(const struct run *run)
{
	ring_run(run, ramp_foreign_member);
}

const struct workload handover_workloads[] = {
	{ "produce-even", produce_even, 512, 5000000, THREADED,
	    "N producers, N consumers, 64 B" },
	{ "produce-many", produce_many, 4096, 3000000, THREADED,
	    "N-1 producers, batches of 4 K" },
	{ "produce-one", produce_one, 4096, 3000000, THREADED,
	    "N-1 consumers, batches of 4 K" },
	{ "medium", medium, 0, 1400000, THREADED | PEAK,
	    "1..16 KiB, every 2nd round handed over" },
	{ "ramp-foreign", ramp_foreign, 0, 4000000, THREADED | PEAK,
	    "half freed by another thread" },
	{ 0 },
};
