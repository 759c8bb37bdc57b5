/* SPDX-License-Identifier: MIT */
#include "harness/whole.h"

#include <pthread.h>
#include <stdatomic.h>

#include "api/names.h"
#include "cache/kept.h"
#include "os/os.h"

#define OBJECTS 20000
#define SIZE 100
#define SECOND ((uint64_t)1000 * 1000 * 1000)

static void *object[OBJECTS];

static void
churn(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		REQUIRE((object[i] = API(malloc)(SIZE)) != NULL);
	for (unsigned i = 0; i < n; i++)
		API(free)(object[i]);
}

/* Keep something, and do not trim meanwhile. */
static size_t
keep(struct tcache *tc)
{
	tc->trimmed_ns = UINT64_MAX - TCACHE_TRIM_NS - 1;
	churn(OBJECTS);
	return load_relaxed(&tc->empty_bytes);
}

TEST(what_a_thread_keeps_and_does_not_touch_is_taken_at_the_second_look)
{
	struct tcache *tc = own_tcache();
	const uint64_t now = os_clock_coarse_ns() + 10 * SECOND;

	if (CONFIG_HOSTILE)
		SKIP("trims at each slow path");
	const size_t kept = keep(tc), owned = tc->owned_bytes;
	REQUIRE(kept != 0 && load_relaxed(&tc->arena->has_kept));
	CHECK_EQ(tcache_kept_ns_until(tc->arena, now), 0);
	tcache_kept_reclaim(tc->arena, KEPT_IDLE, now);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), kept);
	/* Too soon. */
	CHECK(tcache_kept_ns_until(tc->arena, now + 1) != 0);
	tcache_kept_reclaim(tc->arena, KEPT_IDLE, now + 1);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), kept);
	tcache_kept_reclaim(tc->arena, KEPT_IDLE, now + SECOND);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), 0);
	CHECK_EQ(tc->owned_bytes, owned);
	CHECK_EQ(tcache_kept_ns_until(tc->arena, now + 2 * SECOND), UINT64_MAX);
	tcache_check(tc);
	/* And it goes on as before. */
	CHECK(keep(tc) != 0 && load_relaxed(&tc->arena->has_kept));
	tcache_check(tc);
	whole_check_empty();
}

TEST(what_is_used_between_two_looks_stays)
{
	struct tcache *tc = own_tcache();
	uint64_t now = os_clock_coarse_ns() + 20 * SECOND;

	if (CONFIG_HOSTILE)
		SKIP("trims at each slow path");
	for (unsigned i = 0; i < 4; i++, now += SECOND) {
		CHECK(keep(tc) != 0);
		tcache_kept_reclaim(tc->arena, KEPT_IDLE, now);
		CHECK(load_relaxed(&tc->empty_bytes) != 0);
	}
	tcache_kept_reclaim(tc->arena, KEPT_ALL, now);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), 0);
	CHECK(!load_relaxed(&tc->arena->has_kept));
	whole_check_empty();
}

TEST(nothing_is_taken_where_pages_do_not_decay)
{
	struct tcache *tc = own_tcache();
	const ssize_t before = pac_decay_ms(&tc->arena->pac, DECAY_DIRTY);
	const uint64_t now = os_clock_coarse_ns() + 40 * SECOND;

	if (CONFIG_HOSTILE)
		SKIP("trims at each slow path");
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, -1));
	const size_t kept = keep(tc);
	CHECK_EQ(tcache_kept_ns_until(tc->arena, now), UINT64_MAX);
	for (unsigned i = 0; i < 3; i++)
		tcache_kept_reclaim(tc->arena, KEPT_IDLE, now + i * SECOND);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), kept);
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, before));
	whole_check_empty();
}

TEST(what_was_kept_while_pages_did_not_decay_is_taken_when_they_do)
{
	struct tcache *tc = own_tcache();
	const ssize_t before = pac_decay_ms(&tc->arena->pac, DECAY_DIRTY);
	const uint64_t now = os_clock_coarse_ns() + 60 * SECOND;

	if (CONFIG_HOSTILE)
		SKIP("trims at each slow path");
	tcache_flush(tc);
	tcache_kept_reclaim(tc->arena, KEPT_ALL, os_clock_coarse_ns());
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, -1));
	CHECK(keep(tc) != 0);
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, before));
	tcache_kept_reclaim(tc->arena, KEPT_IDLE, now);
	tcache_kept_reclaim(tc->arena, KEPT_IDLE, now + 10 * SECOND);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), 0);
	whole_check_empty();
}

TEST(an_owner_that_meets_another_keeps_nothing_and_finds_nothing)
{
	struct tcache *tc = own_tcache();

	REQUIRE(keep(tc) != 0 || CONFIG_HOSTILE);
	store_relaxed(&tc->kept_holder, (uint8_t)KEPT_BY_OTHER);
	const size_t kept = load_relaxed(&tc->empty_bytes);
	churn(OBJECTS);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), kept);
	tcache_flush(tc);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), kept);
	store_relaxed(&tc->kept_holder, (uint8_t)KEPT_FREE);
	tcache_check(tc);
	whole_check_empty();
}

TEST(what_a_lost_thread_was_taking_is_forgotten)
{
	struct tcache *tc = own_tcache();

	(void)keep(tc);
	tcache_flush(tc);
	store_relaxed(&tc->kept_holder, (uint8_t)KEPT_BY_OTHER);
	tcache_kept_fork_child(tc);
	CHECK_EQ(load_relaxed(&tc->kept_holder), KEPT_FREE);
	CHECK_EQ(load_relaxed(&tc->empty_bytes), 0);
	tcache_check(tc);
	CHECK(keep(tc) != 0 || CONFIG_HOSTILE);
	whole_check_empty();
}

/* The handler of a signal forks while the thread looks at its own tcache: in the child it goes on
 * looking. */
TEST(a_fork_in_the_middle_of_a_look_forgets_nothing)
{
	struct tcache *tc = own_tcache();
	int status = 0;

	const size_t kept = keep(tc);
	mutex_lock(&tc->arena->tcache_lock);
	store_relaxed(&tc->kept_holder, (uint8_t)KEPT_BY_OTHER);
	const pid_t child = fork();
	if (child == 0) {
		const bool goes_on = load_relaxed(&tc->kept_holder) == KEPT_BY_OTHER
		    && load_relaxed(&tc->empty_bytes) == kept;
		store_relaxed(&tc->kept_holder, (uint8_t)KEPT_FREE);
		mutex_unlock(&tc->arena->tcache_lock);
		tcache_check(tc);
		tcache_flush(tc);
		_exit(goes_on && load_relaxed(&tc->empty_bytes) == 0 ? 0 : 1);
	}
	store_relaxed(&tc->kept_holder, (uint8_t)KEPT_FREE);
	mutex_unlock(&tc->arena->tcache_lock);
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	whole_check_empty();
}

static atomic_bool must_end;

static void *
take_all(void *arg)
{
	while (!atomic_load(&must_end))
		tcache_kept_reclaim(arg, KEPT_ALL, os_clock_coarse_ns());
	return NULL;
}

TEST(owners_and_others_at_once_lose_nothing)
{
	struct tcache *tc = own_tcache();
	pthread_t thread;

	atomic_store(&must_end, false);
	REQUIRE(pthread_create(&thread, NULL, take_all, tc->arena) == 0);
	for (unsigned i = 0; i < 20; i++) {
		churn(OBJECTS / 4);
		tcache_check(tc);
	}
	atomic_store(&must_end, true);
	REQUIRE(pthread_join(thread, NULL) == 0);
	tcache_flush(tc);
	tcache_check(tc);
	whole_check_empty();
}

TEST(a_thread_that_frees_a_peak_keeps_little_of_it)
{
	static void *peak[400000];
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("trims at each slow path");
	for (unsigned i = 0; i < COUNT_OF(peak); i++)
		REQUIRE((peak[i] = API(malloc)(SIZE)) != NULL);
	tc->trimmed_ns = UINT64_MAX - TCACHE_TRIM_NS - 1;
	tc->empty_limit = tcache_empty_share(tc);
	CHECK_EQ(tc->empty_limit, TCACHE_EMPTY_MAX);
	for (unsigned i = 0; i < COUNT_OF(peak); i++)
		API(free)(peak[i]);
	CHECK(load_relaxed(&tc->empty_bytes) <= TCACHE_EMPTY_MIN);
	tcache_check(tc);
	/* Until it needs slabs again. */
	CHECK(keep(tc) > TCACHE_EMPTY_MIN);
	whole_check_empty();
}
