/* SPDX-License-Identifier: MIT */
/*
 * large -- blocks of many pages, and blocks that grow.
 */
#include "bench.h"

#include <string.h>

/* ---- large blocks in a few slots, replaced at random ---- */

/* Log-uniform: every doubling is equally likely. */
static size_t
log_between(struct rng *rng, size_t first, size_t last)
{
	size_t doublings = 0;

	while (first << (doublings + 1) <= last)
		doublings++;
	const size_t base = first << rng_below(rng, doublings + 1);
	const size_t most = 2 * base - 1 < last ? 2 * base - 1 : last;
	return rng_between(rng, base, most);
}

/* a: slots, b: bytes in all. */
static void
large_mixed(const struct run *run)
{
	const size_t total = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	void **const slots = table_new(run->work->a);

	for (size_t done = 0; done < total;) {
		void **const slot = &slots[rng_below(&rng, run->work->a)];
		const size_t size = log_between(&rng, 100000, 25 * MIB);

		drop(*slot);
		*slot = take(size);
		done += size;
	}
	drop_all(slots, run->work->a);
}

/* a: slots, b: bytes in all. */
static void
large_buffers(const struct run *run)
{
	const size_t total = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	void **const slots = table_new(run->work->a);

	for (size_t done = 0; done < total;) {
		void **const slot = &slots[rng_below(&rng, run->work->a)];
		const size_t size = rng_between(&rng, 5 * MIB, 25 * MIB);

		drop(*slot);
		*slot = take(size);
		done += size;
	}
	drop_all(slots, run->work->a);
}

static void
buffers_member(struct team *team, uint32_t id)
{
	const size_t n = share_of(run_count(team->run, team->run->work->b), team->n);
	const size_t nslots = share_of(team->run->work->a, team->n);
	struct rng rng = rng_of(team->run, id);
	void **const slots = table_new(nslots);

	for (size_t i = 0; i < n; i++) {
		void **const slot = &slots[rng_below(&rng, nslots)];

		drop(*slot);
		*slot = take(log_between(&rng, 32 * KIB, 512 * KIB));
	}
	drop_all(slots, nslots);
}

/* As large_buffers, zeroed and written throughout.  a: slots, b: bytes in all. */
static void
large_filled(const struct run *run)
{
	const size_t total = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	void **const slots = table_new(run->work->a);

	for (size_t done = 0; done < total;) {
		void **const slot = &slots[rng_below(&rng, run->work->a)];
		const size_t size = rng_between(&rng, 5 * MIB, 25 * MIB);

		drop(*slot);
		*slot = calloc(1, size);
		if (*slot == NULL)
			bench_die("calloc returned NULL");
		if (((unsigned char *)*slot)[size / 2] != 0)
			bench_die("memory from calloc is not zero");
		memset(*slot, 0x55, size);
		touch(*slot, size);
		done += size;
	}
	drop_all(slots, run->work->a);
}

/* a: live blocks, b: blocks of 32..512 KiB in all. */
static void
buffers(const struct run *run)
{
	team_run(run, run->nthreads, buffers_member, NULL);
}

/* ---- growth ---- */

struct grower {
	unsigned char *block;
	size_t size;
};

/* Grows to `size' and writes what is new; what was there must still be there. */
static void
grow(struct grower *g, size_t size)
{
	unsigned char *const block = realloc(g->block, size);

	if (block == NULL)
		bench_die("realloc returned NULL");
	if (g->size > 0 && (block[0] != 0xa5 || block[g->size - 1] != 0xa5))
		bench_die("realloc lost what the block held");
	for (size_t at = g->size; at < size; at += TOUCH_STEP)
		block[at] = 0xa5;
	block[0] = 0xa5;
	block[size - 1] = 0xa5;
	g->block = block;
	g->size = size;
}

static void
grower_end(struct grower *g)
{
	free(g->block);
	*g = (struct grower){ 0 };
}

/* a: the block ends at about this size, b: times. */
static void
realloc_add(const struct run *run)
{
	const size_t n = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	struct grower g = { 0 };

	for (size_t i = 0; i < n; i++) {
		const size_t last = rng_near(&rng, run->work->a);

		for (size_t size = rng_between(&rng, 1, 16); size <= last; size += 16)
			grow(&g, size);
		grower_end(&g);
	}
}

/* Grows by num/2 each time; a, b as above. */
static void
realloc_times(const struct run *run, size_t num)
{
	const size_t n = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	struct grower g = { 0 };

	for (size_t i = 0; i < n; i++) {
		const size_t last = rng_near(&rng, run->work->a);

		for (size_t size = rng_between(&rng, 16, 64); size <= last;
		     size = size * num / 2)
			grow(&g, size);
		grower_end(&g);
	}
}

static void
realloc_half(const struct run *run)
{
	realloc_times(run, 3);
}

static void
realloc_double(const struct run *run)
{
	realloc_times(run, 4);
}

/* Growers take turns, each in its own steps of 1/16 to 1; a: the last size, b: steps. */
static void
realloc_many(const struct run *run)
{
	enum { GROWERS = 16 };
	const size_t n = run_count(run, run->work->b);
	struct rng rng = rng_of(run, 0);
	struct grower growers[GROWERS] = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct grower *const g = &growers[rng_below(&rng, GROWERS)];
		const size_t size =
		    g->size + 64 + rng_between(&rng, g->size / 16, g->size);

		if (size > run->work->a)
			grower_end(g);
		else
			grow(g, size);
	}
	for (size_t i = 0; i < GROWERS; i++)
		grower_end(&growers[i]);
}

const struct workload large_workloads[] = {
	{ "large-mixed", large_mixed, 8, 1200 * MIB, PEAK, "100 KB..25 MiB, 8 live" },
	{ "large-buffers", large_buffers, 12, 2000 * MIB, PEAK, "5..25 MiB, 12 live" },
	{ "large-filled", large_filled, 20, 3000 * MIB, PEAK,
	    "calloc of 5..25 MiB, 20 live, all written" },
	{ "buffers", buffers, 128, 120000, THREADED, "32..512 KiB, 128 live" },
	{ "realloc-add", realloc_add, 64 * KIB, 3000, 0, "grows by 16 bytes to 64 KiB" },
	{ "realloc-half", realloc_half, 16 * MIB, 100, 0, "grows by half to 16 MiB" },
	{ "realloc-double", realloc_double, 32 * MIB, 100, 0, "doubles to 32 MiB" },
	{ "realloc-many", realloc_many, 2 * MIB, 20000, 0,
	    "16 growers take turns, to 2 MiB" },
	{ 0 },
};
