/* SPDX-License-Identifier: MIT */
#include "api/boot.h"
#include "api/names.h"
#include "arena/arena.h"
#include "harness/test.h"
#include "os/os.h"

extern void *API(malloc)(size_t size);
extern void API(free)(void *p);

/* An arena that has asked for huge pages, where the kernel has them. */
const char *API(malloc_conf) = "abort_conf:false,hpa:true,hpa_start_huge_from:1";

#define SECOND ((uint64_t)1000 * 1000 * 1000)

static unsigned n_told;
static uint64_t told_ns;

static void
tell(struct arena *arena, uint64_t due_ns)
{
	CHECK(arena == arena_get(0));
	n_told++;
	told_ns = due_ns;
}

/* What is due while a trim waits for company, and nobody would have woken up for that. */
TEST(work_that_is_due_before_somebody_wakes_up_is_told)
{
	REQUIRE(boot());
	struct arena *arena = arena_get(0);
	API(free)(API(malloc)((size_t)1 << 20));
	struct arena_huge *huge = arena_huge(arena);
	if (huge == NULL)
		SKIP("no huge pages");
	arena_decay(arena, PURGE_EVERYTHING);
	arena_set_delegate(tell);
	arena_defer(arena);
	sec_set_decay_ms(&huge->sec, 10000);
	const uint64_t trim_ns = os_clock_coarse_ns() + 1000 * SECOND;
	store_relaxed(&huge->sec.trim_ns, trim_ns);
	const uint64_t wake_ns = sec_wake_ns(&huge->sec);
	CHECK(wake_ns > trim_ns + SECOND);

	CHECK(arena_work(arena) >= wake_ns - os_clock_ns());
	n_told = 0;
	store_relaxed(&huge->hpa.due_ns, wake_ns + 1);
	arena_defer(arena);
	CHECK_EQ(n_told, 0);
	store_relaxed(&huge->hpa.due_ns, wake_ns - 1);
	const uint64_t before_ns = os_clock_coarse_ns();
	arena_defer(arena);
	CHECK_EQ(n_told, 1);
	CHECK(told_ns <= wake_ns - 1 - before_ns
	    && told_ns >= wake_ns - 1 - os_clock_ns());
	arena_defer(arena);
	CHECK_EQ(n_told, 1);

	store_relaxed(&huge->hpa.due_ns, DEFERRED_NEVER);
	store_relaxed(&huge->sec.trim_ns, DEFERRED_NEVER);
	arena_set_delegate(NULL);
}
