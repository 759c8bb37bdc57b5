/* SPDX-License-Identifier: MIT */
/*
 * Where active pages go that are no objects.
 */
#include "ctl/gather.h"

#include <tract/tract.h>

#include "api/boot.h"
#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/snapshot.h"
#include "harness/test.h"

/* Bytes at the ends of all slabs of one class each; mixed slabs have no ends. */
static size_t
ends_of_slabs(struct arena *arena)
{
	size_t sum = 0;

	for (unsigned i = 0; i < SC_NOWNED; i++) {
		const struct slab_geometry *g = &slab_geometry[i];
		sum += arena->bins[i].stats.cur_slabs
		    * (g->slab_size - (size_t)g->nregs * g->reg_size);
	}
	return sum;
}

TEST(what_is_neither_live_nor_free_is_at_the_ends_of_slabs)
{
	static void *kept[3000];
	unsigned random = (unsigned)test_seed();

	REQUIRE(boot());
	for (unsigned i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		void **slot = &kept[(random >> 16) % COUNT_OF(kept)];
		t_free(*slot);
		*slot = t_malloc((random >> 8) % (i % 4 == 0 ? 40000 : 600));
	}
	struct arena *arena = arena_get(0);
	REQUIRE(snapshot_refresh() == 0 && snapshot_enter() == 0);
	const struct arena_figures a = snapshot_arena(0)->arena;
	snapshot_leave();
	const size_t ends = ends_of_slabs(arena);
	CHECK(ends > 0 && a.shared_free > 0 && a.owned_free > 0);
	CHECK_EQ(a.slab_rounding, ends);
	for (unsigned i = 0; i < COUNT_OF(kept); i++)
		t_free(kept[i]);
}
