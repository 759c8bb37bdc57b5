/* SPDX-License-Identifier: MIT */
#include "page/limit.h"

#include <pthread.h>

#include "base/bits.h"
#include "harness/region.h"

#define MIB ((size_t)1 << 20)
#define ARENA 3

static unsigned n_soft;
static size_t soft_bytes;
static bool soft_answer;
static void (*in_soft)(void);

static bool
on_soft(size_t bytes)
{
	n_soft++;
	soft_bytes = bytes;
	CHECK(mutex_none_held());
	if (in_soft != NULL)
		in_soft();
	return soft_answer;
}

static void
begin(size_t soft, size_t hard)
{
	limit_fork_child(0);
	limit_set(LIMIT_SOFT, 0);
	limit_set(LIMIT_HARD, 0);
	n_soft = 0;
	soft_answer = true;
	in_soft = NULL;
	store_release(&limit_on_soft, on_soft);
	limit_set(LIMIT_SOFT, soft);
	limit_set(LIMIT_HARD, hard);
	CHECK_EQ(limit_get(LIMIT_SOFT), soft);
	CHECK_EQ(limit_get(LIMIT_HARD), hard);
}

static void
end(void)
{
	limit_set(LIMIT_SOFT, 0);
	limit_set(LIMIT_HARD, 0);
	CHECK_EQ(limit_used(), 0);
	store_release(&limit_on_soft, NULL);
}

TEST(what_is_charged_is_used_and_what_is_discharged_is_not)
{
	begin(0, 0);
	size_t sum = 0;
	for (size_t bytes = 4096; bytes <= 64 * MIB; bytes *= 2) {
		CHECK(limit_charge((unsigned)bytes / 4096, bytes));
		CHECK_EQ(limit_used(), sum += bytes);
	}
	for (size_t bytes = 4096; bytes <= 64 * MIB; bytes *= 2) {
		limit_discharge(ARENA, bytes);
		CHECK_EQ(limit_used(), sum -= bytes);
	}
	end();
}

TEST(the_hard_limit_can_be_used_up_to_the_last_byte_and_not_further)
{
	begin(0, 8 * MIB);
	const uint64_t refused = limit_refusals();
	/* Through many shares, each of which keeps some while there is room. */
	size_t sum = 0;
	for (unsigned i = 0; sum < 8 * MIB; i++, sum += 4096)
		REQUIRE(limit_charge(i * 7, 4096));
	CHECK_EQ(limit_used(), 8 * MIB);
	CHECK_EQ(limit_refusals(), refused);
	CHECK(!limit_charge(ARENA, 4096));
	CHECK(!limit_charge_quietly(ARENA + 1, 1));
	CHECK(!limit_charge(ARENA, SIZE_MAX));
	CHECK_EQ(limit_refusals(), refused + 3);
	CHECK_EQ(limit_used(), 8 * MIB);
	limit_discharge(ARENA, 4096);
	CHECK(limit_charge(ARENA + 5, 4096));
	CHECK(!limit_charge(ARENA + 5, 4096));
	limit_discharge(ARENA, 8 * MIB);
	end();
}

TEST(a_limit_below_what_is_used_refuses_until_use_has_fallen)
{
	begin(0, 0);
	CHECK(limit_charge(ARENA, 16 * MIB));
	limit_set(LIMIT_HARD, 8 * MIB);
	CHECK(limit_exceeds(LIMIT_HARD, 0));
	CHECK(!limit_charge(ARENA, 4096));
	limit_discharge(ARENA, 8 * MIB);
	CHECK(!limit_exceeds(LIMIT_HARD, 0));
	CHECK(limit_exceeds(LIMIT_HARD, 1));
	CHECK(!limit_charge(ARENA, 4096));
	limit_discharge(ARENA, 4096);
	CHECK(limit_charge(ARENA, 4096));
	limit_set(LIMIT_HARD, 0);
	CHECK(limit_charge(ARENA, 4096));
	limit_discharge(ARENA, 8 * MIB + 4096);
	end();
}

TEST(who_exceeds_the_soft_limit_is_told_once_until_use_is_far_below)
{
	begin(8 * MIB, 0);
	CHECK(limit_charge(ARENA, 8 * MIB));
	CHECK_EQ(n_soft, 0);
	CHECK(!limit_is_pressed());
	CHECK(limit_charge(ARENA, 4096));
	CHECK_EQ(n_soft, 1);
	CHECK_EQ(soft_bytes, 4096);
	CHECK(limit_is_pressed());
	CHECK(limit_charge(ARENA, MIB));
	CHECK_EQ(n_soft, 1);
	limit_discharge(ARENA, MIB + 8192);
	CHECK(limit_charge(ARENA, 8192));
	CHECK_EQ(n_soft, 1);
	/* Half a MiB is a sixteenth. */
	limit_discharge(ARENA, MIB / 2 + 4096);
	CHECK(!limit_is_pressed());
	CHECK(limit_charge(ARENA, MIB));
	CHECK_EQ(n_soft, 2);
	limit_discharge(ARENA, 8 * MIB + MIB / 2);
	end();
}

TEST(who_cannot_act_beyond_the_soft_limit_leaves_it_to_the_next)
{
	begin(MIB, 0);
	soft_answer = false;
	CHECK(limit_charge(ARENA, 2 * MIB));
	CHECK_EQ(n_soft, 1);
	CHECK(!limit_is_pressed());
	CHECK(limit_charge_quietly(ARENA, 4096));
	CHECK_EQ(n_soft, 1);
	soft_answer = true;
	CHECK(limit_charge(ARENA, 4096));
	CHECK_EQ(n_soft, 2);
	CHECK(limit_is_pressed());
	limit_discharge(ARENA, 2 * MIB + 8192);
	end();
}

static void
free_some(void)
{
	limit_discharge(ARENA, MIB);
}

TEST(what_is_freed_beyond_the_soft_limit_makes_room_below_the_hard_one)
{
	begin(MIB, 2 * MIB);
	CHECK(limit_charge(ARENA, MIB));
	in_soft = free_some;
	CHECK(limit_charge(ARENA, 2 * MIB));
	CHECK_EQ(n_soft, 1);
	CHECK_EQ(limit_used(), 2 * MIB);
	limit_discharge(ARENA, 2 * MIB);
	end();
}

TEST(a_soft_limit_set_below_what_is_used_is_exceeded_at_once)
{
	begin(0, 0);
	CHECK(limit_charge(ARENA, 4 * MIB));
	limit_set(LIMIT_SOFT, 2 * MIB);
	CHECK_EQ(n_soft, 1);
	CHECK(limit_is_pressed());
	limit_set(LIMIT_SOFT, 5 * MIB);
	CHECK(!limit_is_pressed());
	CHECK_EQ(n_soft, 1);
	limit_discharge(ARENA, 4 * MIB);
	end();
}

#define THREADS 4
#define ROUNDS 20000
#define THREAD_LIMIT (2 * MIB)

static _Atomic(size_t) really_used;

static void *
charge_and_discharge(void *arg)
{
	const unsigned arena = (unsigned)(uintptr_t)arg;
	uint64_t seed = test_seed() + arena;
	size_t mine = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const size_t bytes = 4096 * (1 + test_random_below(&seed, 64));
		if (mine < THREAD_LIMIT && limit_charge(arena, bytes)) {
			mine += bytes;
			CHECK(fetch_add_relaxed(&really_used, bytes) + bytes
			    <= THREAD_LIMIT);
		} else if (mine != 0) {
			fetch_sub_relaxed(&really_used, mine);
			limit_discharge(arena, mine);
			mine = 0;
		}
	}
	fetch_sub_relaxed(&really_used, mine);
	limit_discharge(arena, mine);
	return NULL;
}

TEST(threads_together_never_use_more_than_the_hard_limit)
{
	pthread_t threads[THREADS];

	(void)test_seed();
	begin(0, THREAD_LIMIT);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, charge_and_discharge, (void *)i)
		    == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(limit_used(), 0);
	CHECK(limit_charge(ARENA, THREAD_LIMIT));
	limit_discharge(ARENA, THREAD_LIMIT);
	end();
}

/* ---- what page allocators charge ---- */

static struct pac_fixture fixture;

static void
check_charges(extent_hooks_t *hooks)
{
	region_reset(test_seed());
	struct pac *pac = fixture_open(&fixture, hooks);
	begin(0, 0);
	struct edata *a = fixture_alloc(pac, 10, os_page_size, false);
	struct edata *b = fixture_alloc(pac, 20, os_page_size, false);
	CHECK_EQ(limit_used(), 30 * os_page_size);
	/* A dirty extent is in use still. */
	fixture_dalloc(pac, a);
	CHECK_EQ(limit_used(), 30 * os_page_size);
	/* No room for more than what is there. */
	limit_set(LIMIT_HARD, 31 * os_page_size);
	CHECK(fixture_alloc(pac, 12, os_page_size, false) == NULL);
	a = fixture_alloc(pac, 10, os_page_size, false);
	CHECK(a != NULL);
	fixture_dalloc(pac, a);
	pac_decay(pac, PURGE_EVERYTHING);
	CHECK_EQ(limit_used(), 20 * os_page_size);
	a = fixture_alloc(pac, 11, os_page_size, false);
	REQUIRE(a != NULL);
	CHECK_EQ(limit_used(), 31 * os_page_size);
	/* In place, too. */
	bool deferred = false;
	CHECK(!pac->pai.expand(&pac->pai, b, 21 * os_page_size, false, &deferred));
	limit_set(LIMIT_HARD, 0);
	pac_check(pac);
	fixture_dalloc(pac, a);
	fixture_dalloc(pac, b);
	fixture_close(&fixture);
	end();
}

TEST(what_is_in_use_is_active_and_dirty_extents)
{
	check_charges(&ehooks_default);
}

TEST(memory_of_hooks_counts_as_any)
{
	check_charges(&region.hooks);
}

TEST(pinned_memory_does_not_count)
{
	region_reset(test_seed());
	region.percent_pinned = 100;
	struct pac *pac = fixture_open(&fixture, &region.hooks);
	begin(0, 0);
	struct edata *e = fixture_alloc(pac, 10, os_page_size, false);
	REQUIRE(e != NULL && e->is_pinned);
	CHECK_EQ(limit_used(), 0);
	fixture_dalloc(pac, e);
	fixture_close(&fixture);
	end();
}

TEST(under_pressure_decay_purges_everything)
{
	struct pac *pac = fixture_open(&fixture, &ehooks_default);
	begin(0, 0);
	fixture_dalloc(pac, fixture_alloc(pac, 10, os_page_size, false));
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK_EQ(pac_dirty_pages(pac), 10);
	CHECK_EQ(pac->pai.time_until_deferred_work(&pac->pai), DEFERRED_NEVER);
	limit_pressure_set(LIMIT_GROUP_HIGH);
	CHECK_EQ(pac->pai.time_until_deferred_work(&pac->pai), 0);
	pac_decay(pac, PURGE_BY_CURVE);
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK_EQ(pac->pai.time_until_deferred_work(&pac->pai), DEFERRED_NEVER);
	limit_pressure_clear(LIMIT_GROUP_HIGH);
	fixture_close(&fixture);
	end();
}
