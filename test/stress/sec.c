/* SPDX-License-Identifier: MIT */
/*
 * Threads that take and give extents through one small extent cache and hand them to each other,
 * while it is flushed, trimmed and counted; every page has one owner at a time.
 */
#include "page/sec.h"

#include "base/bits.h"
#include "harness/fake_pai.h"

#define THREADS 4
#define SLOTS 64
#define ROUNDS (CONFIG_HOSTILE ? 5000 : 20000)
#define CLASSES 8

static struct fake_pai fake;
static struct sec sec;
/* An extent that whoever takes it out owns. */
static _Atomic(struct edata *) slots[SLOTS];
static atomic_int owned[FAKE_PAGES];
static _Atomic(uint64_t) n_taken, n_given;

static void
own(const struct edata *e, int by)
{
	const size_t page = (e->addr - fake.first) / os_page_size;

	for (size_t i = page; i < page + e->size / os_page_size; i++)
		REQUIRE(atomic_fetch_add(&owned[i], by) == (by > 0 ? 0 : 1));
}

static void
give(struct edata *e)
{
	bool deferred = false;

	own(e, -1);
	atomic_fetch_add(&n_given, 1);
	sec.pai.dalloc(&sec.pai, e, &deferred);
}

static struct edata *
take(uint64_t *seed)
{
	bool deferred = false;
	const struct page_request request = {
		.size = (1 + test_random_below(seed, CLASSES)) * os_page_size,
		.alignment = os_page_size,
		.use = test_random_below(seed, 2) == 0 ? USE_SLAB : USE_LARGE,
	};
	struct edata *e = sec.pai.alloc(&sec.pai, &request, &deferred);

	atomic_fetch_add(&n_taken, 1);
	if (e == NULL)
		return NULL;
	own(e, 1);
	REQUIRE(e->size == request.size && e->use == request.use);
	REQUIRE(emap_lookup(edata_base(e)) == e);
	return e;
}

static void *
work(void *number)
{
	uint64_t seed = test_seed() + (uintptr_t)number;
	struct sec_stats stats = { 0 };
	bool deferred = false;

	for (unsigned i = 0; i < ROUNDS; i++) {
		_Atomic(struct edata *) *slot = &slots[test_random_below(&seed, SLOTS)];
		struct edata *e = atomic_exchange(slot, NULL);
		if (e != NULL) {
			give(e);
			continue;
		}
		if ((e = take(&seed)) != NULL)
			e = atomic_exchange(slot, e);
		if (e != NULL)
			give(e);
		if (i % 512 == 0)
			sec_flush(&sec, &deferred);
		if (i % 512 == 256)
			sec.pai.work(&sec.pai, PURGE_BY_CURVE);
		if (i % 512 == 1)
			sec_gather(&sec, &stats);
		if (i % 512 == 2)
			sec_check(&sec);
	}
	return NULL;
}

static void
run(size_t n_shards)
{
	const struct sec_options options = { n_shards, CLASSES * os_page_size,
		16 * os_page_size };
	struct pai *behind = fake_open(&fake);
	struct sec_stats stats = { 0 };
	pthread_t threads[THREADS];
	bool deferred = false;

	fake.seed = test_seed();
	fake.fail_percent = 1;
	memset(&sec, 0, sizeof sec);
	sec_init(&sec, fake.base, behind, &options, 4);
	atomic_store(&n_taken, 0);
	atomic_store(&n_given, 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct edata *e = atomic_exchange(&slots[i], NULL);
		if (e != NULL)
			give(e);
	}
	sec_check(&sec);
	/* Every call was counted, once. */
	sec_gather(&sec, &stats);
	CHECK_EQ(stats.n_hits + stats.n_misses, atomic_load(&n_taken));
	CHECK_EQ(stats.n_dalloc_noflush + stats.n_dalloc_flush, atomic_load(&n_given));
	CHECK_EQ(stats.bytes, fake.n_out * os_page_size);
	sec_flush(&sec, &deferred);
	CHECK_EQ(fake.n_out, 0);
	CHECK_EQ(fake.pool.n_free, load_relaxed(&fake.pool.n_all));
}

TEST(one_shard)
{
	run(1);
}

TEST(more_shards_than_threads)
{
	run(7);
}
