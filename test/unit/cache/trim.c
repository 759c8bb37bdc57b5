/* SPDX-License-Identifier: MIT */
#include "config/options.h"
#include "harness/whole.h"

#include <string.h>

#include "api/names.h"
#include "base/bits.h"
#include "os/os.h"

static void
churn(size_t size, unsigned n)
{
	static void *all[10000];

	for (unsigned i = 0; i < n; i++)
		REQUIRE((all[i] = API(malloc)(size)) != NULL);
	for (unsigned i = 0; i < n; i++)
		API(free)(all[i]);
}

/* As if so much time had passed that trimming is due. */
static void
trim(struct tcache *tc)
{
	tc->trimmed_ns = 0;
	tcache_tick_now(tc);
	tcache_check(tc);
}

TEST(a_flush_gives_back_all_that_is_free)
{
	struct tcache *tc = own_tcache();

	churn(100, 10000);
	churn(3000, 1000);
	churn(100000, 8);
	CHECK(tc->owned_bytes != 0 || CONFIG_HOSTILE);
	tcache_flush(tc);
	tcache_check(tc);
	CHECK_EQ(tc->owned_bytes, 0);
	CHECK_EQ(tc->n_large, 0);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		CHECK(tc->list[i] == NULL);
	whole_check_empty();
}

TEST(an_idle_class_is_given_back_at_the_second_look)
{
	struct tcache *tc = own_tcache();

	churn(100, 10000);
	trim(tc);
	trim(tc);
	CHECK_EQ(tc->owned_bytes, 0);
	CHECK_EQ(tc->classes[size_class_of(100)].n_cold, 0);
	whole_check_empty();
}

TEST(a_class_in_use_keeps_its_slabs)
{
	struct tcache *tc = own_tcache();
	const unsigned szind = size_class_of(100);

	if (CONFIG_HOSTILE)
		SKIP("trims all the time");
	void *p = API(malloc)(100);
	churn(100, 3000);
	trim(tc);
	churn(100, 100);
	const size_t owned = tc->owned_bytes;
	CHECK(owned != 0 && tc->current[szind] != NULL);
	trim(tc);
	CHECK(tc->current[szind] != NULL);
	API(free)(p);
}

static size_t
slabs_of(size_t size)
{
	return arena_get(0)->bins[size_class_of(size)].stats.cur_slabs;
}

TEST(an_empty_slab_serves_another_class_with_slabs_of_its_size)
{
	struct tcache *tc = own_tcache();
	_Atomic(size_t) *n_active = arena_pages_active(arena_get(0));
	static const size_t sizes[] = { 8, 16, 100, 200, 8, 1000, 16 };
	static void *all[16384];

	if (CONFIG_HOSTILE)
		SKIP("keeps no empty slabs");
	/* No trimming meanwhile, and no class is cold. */
	tc->trimmed_ns = os_clock_coarse_ns() + 100000 * TCACHE_TRIM_NS;
	for (unsigned i = 0; i < COUNT_OF(sizes); i++)
		churn(sizes[i], 100);
	churn(100, 1200);
	const size_t active = load_relaxed(n_active);
	for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
		const unsigned n = (unsigned)(65536 / sizes[i]);
		for (unsigned k = 0; k < n; k++) {
			REQUIRE((all[k] = API(malloc)(sizes[i])) != NULL);
			memset(all[k], 0xa5, sizes[i]);
		}
		CHECK(slabs_of(sizes[i]) >= n * sizes[i] / slab_geometry[0].slab_size);
		tcache_check(tc);
		arena_check_shared(arena_get(0));
		for (unsigned k = 0; k < n; k++)
			API(free)(all[k]);
	}
	CHECK_EQ(load_relaxed(n_active), active);
	tc->trimmed_ns = 0;
	tcache_flush(tc);
	whole_check_empty();
}

TEST(of_the_empty_slabs_those_go_that_no_class_has_needed_meanwhile)
{
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("keeps no empty slabs");
	const struct tcache_class *k =
	    &tc->classes[first_set(slab_alike[size_class_of(100)])];
	tcache_flush(tc);
	tc->trimmed_ns = os_clock_coarse_ns() + 100000 * TCACHE_TRIM_NS;
	churn(100, 3000);
	CHECK(k->n_empty > 8);
	/* What was kept since the last look was not there then. */
	CHECK_EQ(k->n_empty_low, 0);
	trim(tc);
	const unsigned n_empty = k->n_empty;
	CHECK_EQ(k->n_empty_low, n_empty);
	tc->trimmed_ns = os_clock_coarse_ns() + 100000 * TCACHE_TRIM_NS;
	churn(100, 1000);
	const unsigned n_low = k->n_empty_low;
	CHECK(n_low != 0 && n_low < n_empty);
	trim(tc);
	CHECK_EQ(k->n_empty, n_empty - n_low);
	trim(tc);
	CHECK_EQ(k->n_empty, 0);
	tcache_flush(tc);
}

TEST(large_objects_kept_go_by_halves)
{
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("keeps too few");
	tcache_flush(tc);
	churn(100000, 8);
	CHECK_EQ(tc->n_large, 8);
	trim(tc);
	CHECK_EQ(tc->n_large, 4);
	trim(tc);
	CHECK_EQ(tc->n_large, 2);
	trim(tc);
	CHECK_EQ(tc->n_large, 1);
	trim(tc);
	CHECK_EQ(tc->n_large, 0);
}

TEST(nothing_happens_before_the_time)
{
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("it is always time");
	churn(100, 3000);
	tc->trimmed_ns = os_clock_coarse_ns() + 1000 * TCACHE_TRIM_NS;
	const size_t owned = tc->owned_bytes;
	CHECK(owned != 0);
	/* A clock in the future: as if trimmed just now. */
	tcache_tick_now(tc);
	tcache_tick_now(tc);
	CHECK_EQ(tc->owned_bytes, owned);
	tc->trimmed_ns = 0;
}

TEST(the_options_say_how_much_of_the_large_objects_is_kept_and_goes)
{
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("keeps too few");
	const unsigned slots = opt.tcache_nslots_large;
	tcache_flush(tc);
	/* No trimming meanwhile. */
	tc->trimmed_ns = os_clock_coarse_ns() + 100000 * TCACHE_TRIM_NS;
	opt.tcache_nslots_large = 3;
	churn(40960, 8);
	CHECK_EQ(tc->n_large, 3);
	opt.tcache_nslots_large = 20;
	churn(40960, 24);
	CHECK_EQ(tc->n_large, 20);
	opt.lg_tcache_flush_large_div = 2;
	trim(tc);
	CHECK_EQ(tc->n_large, 15);
	opt.lg_tcache_flush_large_div = 16;
	trim(tc);
	CHECK_EQ(tc->n_large, 14);
	opt.lg_tcache_flush_large_div = 1;
	opt.tcache_nslots_large = slots;
	tcache_flush(tc);
}

TEST(an_idle_class_keeps_what_tcache_gc_delay_bytes_leaves_it)
{
	struct tcache *tc = own_tcache();
	const unsigned szind = size_class_of(100);

	if (CONFIG_HOSTILE)
		SKIP("keeps no empty slabs");
	tcache_flush(tc);
	churn(100, 3000);
	trim(tc);
	opt.tcache_gc_delay_bytes = (size_t)64 << 20;
	const size_t owned = tc->owned_bytes;
	CHECK(owned != 0);
	trim(tc);
	CHECK_EQ(tc->owned_bytes, owned);
	CHECK(tc->current[szind] != NULL);
	opt.tcache_gc_delay_bytes = 1;
	trim(tc);
	CHECK(tc->current[szind] == NULL);
	opt.tcache_gc_delay_bytes = 0;
}

TEST(without_experimental_tcache_gc_every_tick_trims)
{
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("it is always time");
	churn(100, 3000);
	tc->trimmed_ns = os_clock_coarse_ns() + 1000 * TCACHE_TRIM_NS;
	opt.experimental_tcache_gc = false;
	tcache_tick_now(tc);
	tcache_tick_now(tc);
	tcache_tick_now(tc);
	CHECK(tc->current[size_class_of(100)] == NULL);
	opt.experimental_tcache_gc = true;
	tc->trimmed_ns = 0;
}

TEST(slow_paths_are_counted_up_to_the_period)
{
	struct tcache *tc = own_tcache();
	const unsigned period = tcache_period;

	tcache_period = 3;
	tcache_tick_now(tc);
	const unsigned n_ticks = tc->n_ticks;
	for (unsigned i = 0; i < 9; i++)
		tcache_tick(tc);
	CHECK_EQ(tc->n_ticks - n_ticks, 3);
	tcache_period = period;
}
