/* SPDX-License-Identifier: MIT */
#include "harness/whole.h"

#include "api/boot.h"
#include "page/limit.h"

#define CLASS 12

static struct tcache *
new_tcache(void)
{
	REQUIRE(boot());
	struct tcache *tc = tcache_pool_get(arena_get(0));
	REQUIRE(tc != NULL);
	return tc;
}

static void
end_tcache(struct tcache *tc)
{
	tcache_check(tc);
	tcache_share_slabs(tc);
	CHECK_EQ(tc->owned_bytes, 0);
	tcache_pool_put(tc);
}

/* As malloc and free do. */
static void *
take(struct tcache *tc, unsigned szind)
{
	void *p = tc->list[szind];

	if (p == NULL)
		return tcache_refill(tc, szind);
	tc->list[szind] = *(void **)p;
	return p;
}

static void
give(struct tcache *tc, void *p)
{
	struct edata *e = emap_lookup(p);

	if (load_relaxed(&e->owner) == tc)
		tcache_free_own(tc, e, p);
	else if (e->use == USE_MIXED)
		CHECK_EQ(mixed_free(arena_of(e), e, p), MIXED_FREED);
	else
		CHECK_EQ(bin_free(arena_of(e), e, p), BIN_FREED);
}

static void
warm_up(struct tcache *tc, unsigned szind)
{
	void *cold[4 * TCACHE_COLD + 32];
	unsigned n = 0;

	do
		cold[n++] = take(tc, szind);
	while (tc->current[szind] == NULL && n < 4 * TCACHE_COLD + 31);
	REQUIRE(tc->current[szind] != NULL);
	while (n != 0)
		give(tc, cold[--n]);
}

TEST(the_first_objects_of_a_class_come_from_shared_slabs)
{
	struct tcache *tc = new_tcache();
	void *first = take(tc, CLASS);

	REQUIRE(first != NULL);
	CHECK(load_relaxed(&emap_lookup(first)->owner) == NULL);
	CHECK_EQ(tc->owned_bytes, 0);
	give(tc, first);
	warm_up(tc, CLASS);
	CHECK_EQ(tc->owned_bytes, slab_geometry[CLASS].slab_size);
	/* Nor does the class have a shared one any more. */
	warm_up(tc, SC_NBINS - 1);
	CHECK_EQ(tc->arena->bins[SC_NBINS - 1].stats.cur_slabs, 1);
	end_tcache(tc);
	whole_check_empty();
}

TEST(regions_are_distinct_in_every_class)
{
	static void *all[2000];
	struct tcache *tc = new_tcache();

	for (unsigned szind = 0; szind < SC_NOWNED; szind++) {
		const unsigned n = szind < 20 ? 2000 : 100;
		for (unsigned i = 0; i < n; i++) {
			all[i] = take(tc, szind);
			REQUIRE(all[i] != NULL);
			memset(all[i], 0, size_class_size(szind));
			*(uint32_t *)all[i] = i;
		}
		tcache_check(tc);
		for (unsigned i = 0; i < n; i++) {
			CHECK_EQ(*(uint32_t *)all[i], i);
			give(tc, all[i]);
		}
		tcache_check(tc);
	}
	end_tcache(tc);
	whole_check_empty();
}

TEST(no_page_of_a_slab_is_touched_before_it_is_needed)
{
	struct tcache *tc = new_tcache();

	warm_up(tc, CLASS);
	const struct edata *e = tc->current[CLASS];
	CHECK(e->carved * slab_region_size(e) <= 2 * TCACHE_CARVE_BYTES);
	end_tcache(tc);
}

TEST(a_full_slab_serves_again_only_after_a_batch_of_frees)
{
	struct tcache *tc = new_tcache();
	struct tcache_class *k = &tc->classes[CLASS];
	const unsigned nregs = slab_geometry[CLASS].nregs, wake = slab_wake(nregs);
	void *regions[SLAB_MAXREGS];
	unsigned n = 0;

	warm_up(tc, CLASS);
	/* All of one slab, and one of the next. */
	struct edata *e = tc->current[CLASS];
	void *p = take(tc, CLASS);
	for (; emap_lookup(p) == e; p = take(tc, CLASS))
		regions[n++] = p;
	CHECK_EQ(n, nregs);
	CHECK_EQ(e->slab_state, SLAB_FULL);
	give(tc, p);
	for (unsigned i = 0; i < wake; i++) {
		CHECK_EQ(e->slab_state, SLAB_FULL);
		CHECK(list_is_empty(&k->partial));
		give(tc, regions[--n]);
		tcache_check(tc);
	}
	if (wake < nregs) {
		CHECK(slab_state_is_partial(e->slab_state));
		CHECK_EQ(slab_live(e), nregs - wake);
	}
	while (n != 0)
		give(tc, regions[--n]);
	tcache_check(tc);
	tcache_flush(tc);
	tcache_check(tc);
	end_tcache(tc);
}

/* Slabs of the class that the thread's are worth. */
static unsigned
worth_owned(const struct tcache *tc)
{
	return tc->classes[CLASS].owned_kib / (slab_geometry[CLASS].slab_size >> 10);
}

/* Take regions of the class until a slab is worth as much as one can be; how many. */
static unsigned
take_until_grown(struct tcache *tc, void **all, unsigned most)
{
	const struct edata *last = NULL;
	unsigned n = 0, owned = 0, worth = 1;

	while (worth < slab_geometry[CLASS].grown && n < most) {
		REQUIRE((all[n++] = take(tc, CLASS)) != NULL);
		const struct edata *e = tc->current[CLASS];
		if (e == last || e == NULL)
			continue;
		/* A new one is no more than the share of what there was, rounded up. */
		worth = slab_worth(e);
		CHECK(worth == 1 || worth / 2 < owned / TCACHE_GROWTH);
		CHECK_EQ(e->size, worth * slab_geometry[CLASS].slab_size);
		CHECK_EQ(worth_owned(tc), owned + worth);
		owned += worth;
		last = e;
	}
	return n;
}

static void *many[16384];

TEST(slabs_grow_with_what_the_thread_has_of_the_class)
{
	struct tcache *tc = new_tcache();
	const struct tcache_class *k = &tc->classes[CLASS];

	if (slab_geometry[CLASS].grown == 1)
		SKIP("slabs of pages of this size are large as they are");
	CHECK_EQ(k->owned_kib, 0);
	const unsigned n = take_until_grown(tc, many, COUNT_OF(many));
	CHECK_EQ(slab_worth(tc->current[CLASS]), slab_geometry[CLASS].grown);
	/* They are counted as the slabs that they are worth. */
	CHECK_EQ(arena_get(0)->bins[CLASS].stats.cur_slabs,
	    worth_owned(tc) + (arena_get(0)->bins[CLASS].current != NULL));
	tcache_check(tc);
	arena_check_shared(arena_get(0));
	for (unsigned i = 0; i < n; i++)
		memset(many[i], (int)i, size_class_size(CLASS));
	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(*(unsigned char *)many[i], i & 255);
		give(tc, many[i]);
	}
	tcache_check(tc);
	tcache_flush(tc);
	CHECK_EQ(k->owned_kib, 0);
	end_tcache(tc);
	whole_check_empty();
}

/* A thread that ends leaves them to all, and their bitmaps have room. */
TEST(grown_slabs_can_be_shared)
{
	struct tcache *tc = new_tcache();

	if (slab_geometry[CLASS].grown == 1)
		SKIP("slabs of pages of this size are large as they are");
	const unsigned n = take_until_grown(tc, many, COUNT_OF(many));
	end_tcache(tc);
	whole_check();
	for (unsigned i = 0; i < n; i += 2)
		give(tc, many[i]);
	whole_check();
	for (unsigned i = 1; i < n; i += 2)
		give(tc, many[i]);
	whole_check_empty();
}

TEST(slabs_do_not_grow_where_slots_are_counted)
{
	struct tcache *tc = new_tcache();
	struct tcache_shape shape;
	unsigned n = 0;

	tcache_shape_copy(&shape, NULL);
	tc->shape = &shape;
	while (worth_owned(tc) < 4 * TCACHE_GROWTH && n < COUNT_OF(many)) {
		REQUIRE((many[n++] = take(tc, CLASS)) != NULL);
		const struct edata *e = tc->current[CLASS];
		CHECK(e == NULL || slab_worth(e) == 1);
	}
	while (n != 0)
		give(tc, many[--n]);
	tcache_flush(tc);
	end_tcache(tc);
	whole_check_empty();
}

/* With memory for a slab, but not for a larger one. */
TEST(where_no_large_slab_is_to_be_had_a_usual_one_serves)
{
	struct tcache *tc = new_tcache();
	const size_t slab_size = slab_geometry[CLASS].slab_size;

	if (slab_geometry[CLASS].grown == 1)
		SKIP("slabs of pages of this size are large as they are");
	unsigned n = take_until_grown(tc, many, COUNT_OF(many) / 2);
	const struct edata *last = tc->current[CLASS];
	while (last->carved != last->nregs || tc->list[CLASS] != NULL)
		many[n++] = take(tc, CLASS);
	arena_decay(arena_get(0), PURGE_EVERYTHING);
	limit_set(LIMIT_HARD, limit_used() + slab_size);
	REQUIRE((many[n++] = take(tc, CLASS)) != NULL);
	limit_set(LIMIT_HARD, 0);
	REQUIRE(tc->current[CLASS] != NULL);
	CHECK(tc->current[CLASS] != last && slab_worth(tc->current[CLASS]) == 1);
	while (n != 0)
		give(tc, many[--n]);
	tcache_flush(tc);
	end_tcache(tc);
	whole_check_empty();
}

TEST(the_list_is_given_back_whole)
{
	struct tcache *tc = new_tcache();

	warm_up(tc, CLASS);
	void *p = take(tc, CLASS);
	tcache_unlist(tc, CLASS);
	CHECK(tc->list[CLASS] == NULL);
	tcache_check(tc);
	CHECK_EQ(tc->current[CLASS]->need, 1);
	give(tc, p);
	CHECK_EQ(tc->current[CLASS]->need, 0);
	end_tcache(tc);
	whole_check_empty();
}

static struct tcache *broken;

static void
check_broken(void)
{
	broken->owned_bytes += os_page_size;
	tcache_check(broken);
}

static void
check_lost_region(void)
{
	broken->current[CLASS]->need++;
	tcache_check(broken);
}

TEST(the_check_finds_what_is_lost)
{
	if (!CONFIG_DEBUG)
		SKIP("only debug builds check");
	broken = new_tcache();
	warm_up(broken, CLASS);
	tcache_check(broken);
	test_dies(check_broken, "failed assertion");
	test_dies(check_lost_region, "failed assertion");
	end_tcache(broken);
}

TEST(nothing_is_had_without_a_tcache)
{
	for (unsigned i = 0; i < SC_NOWNED; i++)
		CHECK(tcache_none.list[i] == NULL && tcache_none.current[i] == NULL);
	for (unsigned i = 0; i < SC_LOOKUP_COUNT; i++)
		CHECK_EQ(tcache_none.lookup[i], 0);
}

/* Regions touched of a slab whose class has one object at a time, so many times. */
static unsigned
carved_by_pairs(size_t size, unsigned n)
{
	struct tcache *tc = new_tcache();
	const unsigned szind = size_class_of(size);

	while (tc->current[szind] == NULL)
		(void)take(tc, szind);
	give(tc, take(tc, szind));
	const unsigned before = tc->current[szind]->carved;
	for (unsigned i = 0; i < n; i++)
		give(tc, take(tc, szind));
	const unsigned carved = tc->current[szind]->carved - before;
	end_tcache(tc);
	return carved;
}

/* Or each malloc of such a pair would find an empty list; where there are few, that costs less than
 * memory. */
TEST(one_object_at_a_time_comes_to_have_several_regions)
{
	const size_t max = size_class_size(TCACHE_LONE_CLASSES - 1);

	CHECK_EQ(max, 20 << 10);
	if (!CONFIG_HOSTILE)
		CHECK_EQ(carved_by_pairs(max, TCACHE_LENGTHEN / 4), 0);
	CHECK(carved_by_pairs(max, TCACHE_LENGTHEN + 8) >= 1);
	CHECK_EQ(carved_by_pairs(max + 1, TCACHE_LENGTHEN + 8), 0);
}
