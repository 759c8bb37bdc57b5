/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate, resize and free extents of one PAC and hand them to each other, while it
 * decays; then all structures are walked.
 */
#include "page/pac.h"

#include <pthread.h>

#include "config/options.h"
#include "harness/region.h"

#define THREADS 4
#define SLOTS 64
#define ROUNDS 4000

static struct pac_fixture fixture;
/* An extent that whoever takes it out owns. */
static _Atomic(struct edata *) slots[SLOTS];
static _Atomic(unsigned) n_refused;

static void
fill(struct edata *e)
{
	for (uintptr_t p = e->addr; p < edata_end(e); p += os_page_size)
		*(uintptr_t *)p = p ^ (uintptr_t)e;
}

static void
check_filled(const struct edata *e)
{
	for (uintptr_t p = e->addr; p < edata_end(e); p += os_page_size)
		REQUIRE(*(uintptr_t *)p == (p ^ (uintptr_t)e));
}

static struct edata *
make(struct pac *pac, uint64_t *seed)
{
	bool deferred = false;
	const struct page_request request = {
		.size = (1 + test_random_below(seed, 40)) * os_page_size,
		.alignment = os_page_size << (test_random_below(seed, 8) == 0 ? 4 : 0),
		.use = test_random_below(seed, 4) == 0 ? USE_SLAB : USE_LARGE,
		.zero = test_random_below(seed, 2) == 0,
	};
	struct edata *e = pac->pai.alloc(&pac->pai, &request, &deferred);

	if (e == NULL) {
		atomic_fetch_add(&n_refused, 1);
		return NULL;
	}
	for (uintptr_t p = e->addr; request.zero && p < edata_end(e); p += os_page_size)
		REQUIRE(*(uintptr_t *)p == 0
		    && ((uintptr_t *)(p + os_page_size))[-1] == 0);
	fill(e);
	return e;
}

static void
resize(struct pac *pac, struct edata *e, uint64_t *seed)
{
	bool deferred = false;

	if (e->use == USE_SLAB)
		return;
	if (test_random_below(seed, 2) == 0 && e->size > os_page_size)
		(void)pac->pai.shrink(&pac->pai, e, e->size - os_page_size, &deferred);
	else
		(void)pac->pai.expand(&pac->pai, e, e->size + 2 * os_page_size, true,
		    &deferred);
	fill(e);
}

static void *
work(void *number)
{
	struct pac *pac = &fixture.pac;
	uint64_t seed = test_seed() + (uintptr_t)number;

	for (unsigned i = 0; i < ROUNDS; i++) {
		_Atomic(struct edata *) *slot = &slots[test_random_below(&seed, SLOTS)];
		struct edata *e = atomic_exchange(slot, NULL);
		if (e != NULL)
			check_filled(e);
		if (e == NULL)
			e = make(pac, &seed);
		else if (test_random_below(&seed, 3) == 0)
			resize(pac, e, &seed);
		else {
			fixture_dalloc(pac, e);
			e = NULL;
		}
		if (e != NULL) {
			struct edata *other = atomic_exchange(slot, e);
			if (other != NULL) {
				check_filled(other);
				fixture_dalloc(pac, other);
			}
		}
		if (i % 64 == 0)
			pac_decay(pac, i % 1024 == 0 ? PURGE_EVERYTHING : PURGE_BY_CURVE);
	}
	return NULL;
}

static void
run(extent_hooks_t *hooks)
{
	pthread_t threads[THREADS];
	struct pac *pac = fixture_open(&fixture, hooks);

	atomic_store(&n_refused, 0);
	REQUIRE(pac_set_decay_ms(pac, DECAY_DIRTY, 5, true));
	REQUIRE(pac_set_decay_ms(pac, DECAY_MUZZY, 5, true));
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pac_check(pac);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct edata *e = atomic_exchange(&slots[i], NULL);
		if (e == NULL)
			continue;
		check_filled(e);
		fixture_dalloc(pac, e);
	}
	fixture_close(&fixture);
}

TEST(default_hooks)
{
	(void)test_seed();
	run(&ehooks_default);
	CHECK_EQ(atomic_load(&n_refused), 0);
	opt.retain = false;
	run(&ehooks_default);
	CHECK_EQ(atomic_load(&n_refused), 0);
	opt.retain = true;
}

TEST(custom_hooks)
{
	region_reset(test_seed());
	run(&region.hooks);
	CHECK_EQ(atomic_load(&n_refused), 0);
	CHECK_EQ(region_pages_out(), 0);
}

TEST(custom_hooks_that_fail_at_random)
{
	region_reset(test_seed());
	for (unsigned hook = 0; hook < HOOK_COUNT; hook++)
		region.percent[hook] = hook == HOOK_ALLOC ? 2 : 15;
	region.may_reserve = true;
	run(&region.hooks);
	CHECK_EQ(region_pages_out(), 0);
}
