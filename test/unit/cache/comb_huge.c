/* SPDX-License-Identifier: MIT */
/*
 * Purging inside slabs that lie in huge pages: a huge page is made small for it once half of it has
 * few live regions, and not before.
 */
#include "harness/whole.h"

#include <string.h>

#include "api/names.h"

/* Slabs of one size. */
const char *API(malloc_conf) =
    "abort_conf:false,hpa:true,hpa_start_huge_from:1,hpa_hugify_style:lazy,"
    "hpa_dirty_mult:-1,slab_sizes:320-320:4";

#define SIZE 320
#define OBJECTS 40000                                /* of six huge pages */
#define EACH (2 * (unsigned)os_page_size / SIZE - 1) /* of so many, one stays */

static unsigned char *objects[OBJECTS];

static uint64_t
at_hand(void *addr)
{
	(void)addr;
	return 0;
}

static void
fill(void)
{
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (objects[i] != NULL)
			continue;
		REQUIRE((objects[i] = API(malloc)(SIZE)) != NULL);
		memset(objects[i], (int)(i % 251), SIZE);
	}
}

/* Whatever the machine has, every pageslab begins huge.  NULL: no huge page allocator here. */
static struct arena_huge *
fill_huge_pages(void)
{
	static struct hpa_system system;

	system = hpa_system_real;
	system.back = at_hand;
	hpa_central.system = &system;
	store_relaxed(&hpa_central.n_begin_small, 0);
	fill();
	return arena_huge(thread_self->arena);
}

static void
drop(unsigned i)
{
	for (unsigned k = 0; k < SIZE; k++)
		REQUIRE(objects[i][k] == i % 251);
	API(free)(objects[i]);
	objects[i] = NULL;
}

static size_t
unbacked(void)
{
	return load_relaxed(&thread_self->arena->slab_pages.unbacked);
}

/* Pages of slabs that wait, in all pageslabs. */
static unsigned
waiting(const struct hpa *hpa)
{
	unsigned n = 0;

	LIST_FOR_EACH (l, &hpa->all)
		n += load_relaxed(&LIST_ENTRY(l, struct hpdata, all_link)->n_sparse);
	return n;
}

/* Pages purged inside slabs, of all pageslabs. */
static unsigned
purged(const struct hpa *hpa)
{
	unsigned n = 0;

	LIST_FOR_EACH (l, &hpa->all)
		n += load_relaxed(&LIST_ENTRY(l, struct hpdata, all_link)->n_unbacked);
	return n;
}

/* One slab of ten has few live regions then, and waits. */
static void
drop_some(struct tcache *tc)
{
	const unsigned run = 3u * emap_lookup(objects[OBJECTS - 1])->nregs;

	for (unsigned i = 0; i < OBJECTS; i++)
		if (i / run % 20 == 0 && i % EACH != 0)
			drop(i);
	tcache_comb_everything(tc);
	CHECK(tc->sparse_bytes != 0);
}

/* From one on. */
static void
drop_most(unsigned first)
{
	for (unsigned i = first; i < OBJECTS; i++)
		if (i % EACH != 0 && objects[i] != NULL)
			drop(i);
}

TEST(slabs_that_wait_are_forgotten_when_they_are_shared)
{
	struct tcache *tc = own_tcache();
	struct arena_huge *huge = fill_huge_pages();

	if (huge == NULL)
		SKIP("no huge page allocator here");
	drop_some(tc);
	CHECK(waiting(&huge->hpa) != 0);
	tcache_share_slabs(tc);
	CHECK_EQ(waiting(&huge->hpa), 0);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (objects[i] != NULL)
			drop(i);
	whole_check();
}

TEST(a_few_sparse_slabs_leave_a_huge_page_whole_and_many_do_not)
{
	struct tcache *tc = own_tcache();
	struct arena_huge *huge = fill_huge_pages();

	if (huge == NULL)
		SKIP("no huge page allocator here");
	if (emap_lookup(objects[OBJECTS - 1])->size < 4 * os_page_size)
		SKIP("a slab has few pages");
	const uint64_t n_small = huge->hpa.stats.n_dehugifies;
	const size_t n_unbacked = unbacked();
	drop_some(tc);
	CHECK_EQ(waiting(&huge->hpa) * os_page_size, tc->sparse_bytes);
	CHECK_EQ(huge->hpa.stats.n_dehugifies, n_small);
	CHECK_EQ(unbacked(), n_unbacked);
	/* The oldest that wait are not worth it still; younger ones are. */
	drop_most(OBJECTS / 2);
	tcache_comb_everything(tc);
	CHECK(huge->hpa.stats.n_dehugifies > n_small + 1);
	CHECK(waiting(&huge->hpa) != 0);
	drop_most(0);
	tcache_comb_everything(tc);
	CHECK(huge->hpa.stats.n_dehugifies > n_small + 2);
	CHECK(unbacked() * os_page_size > (size_t)OBJECTS * SIZE / 4);
	CHECK_EQ(purged(&huge->hpa), unbacked());
	whole_check();
	/* It is all there again. */
	fill();
	CHECK_EQ(purged(&huge->hpa), unbacked());
	whole_check();
	for (unsigned i = 0; i < OBJECTS; i++)
		drop(i);
	tcache_comb_everything(tc);
	CHECK_EQ(tc->sparse_bytes, 0);
	CHECK_EQ(waiting(&huge->hpa), 0);
	CHECK_EQ(unbacked(), n_unbacked);
	whole_check();
}
