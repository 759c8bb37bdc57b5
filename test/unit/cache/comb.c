/* SPDX-License-Identifier: MIT */
#include "harness/whole.h"

#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "base/bits.h"
#include "os/inject.h"

/* Slabs in huge pages that are huge at once: comb_huge. */
const char *API(malloc_conf) = "hpa:false";

#define OBJECTS 8000

static struct {
	unsigned char *p;
	size_t size;
} object[OBJECTS];

static size_t
unbacked(void)
{
	return load_relaxed(&thread_self->arena->slab_pages.unbacked);
}

/* A size whose slabs have several pages. */
static size_t
spread_size(void)
{
	return os_page_size <= 4096 ? 512 : 3072;
}

static unsigned char
mark_of(unsigned i)
{
	return (unsigned char)(i * 7 + 1);
}

static void
take(unsigned i, size_t size)
{
	object[i].p = API(malloc)(size);
	object[i].size = size;
	REQUIRE(object[i].p != NULL);
	memset(object[i].p, mark_of(i), size);
}

static bool
is_intact(unsigned i)
{
	for (size_t k = 0; k < object[i].size; k++)
		if (object[i].p[k] != mark_of(i))
			return false;
	return true;
}

static void
drop(unsigned i)
{
	if (object[i].p == NULL)
		return;
	REQUIRE(is_intact(i));
	API(free)(object[i].p);
	object[i].p = NULL;
}

static void
take_all(size_t size)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		take(i, size);
}

/* All but one in so many. */
static void
drop_most(unsigned one_in)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		if (i % one_in != 0)
			drop(i);
}

static void
drop_all(void)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		drop(i);
	tcache_check(thread_self->tcache);
	whole_check_empty();
}

static size_t
page_of(const void *p)
{
	return (uintptr_t)p / os_page_size;
}

/* Is one of every so many in a slab of more than one page, out of service? */
static bool
has_pages_beside(unsigned one_in)
{
	for (unsigned i = 0; i < OBJECTS; i += one_in) {
		const struct edata *e = emap_lookup(object[i].p);
		if (e->use == USE_SLAB && e->size > os_page_size
		    && e->slab_state != SLAB_CURRENT)
			return true;
	}
	return false;
}

TEST(whole_free_pages_of_slabs_in_use_are_purged_and_come_back)
{
	static const size_t sizes[] = { 8, 16, 48, 320, 512, 1280, 3072, 5120, 20480 };
	struct tcache *tc = own_tcache();

	for (unsigned s = 0; s < COUNT_OF(sizes); s++) {
		take_all(sizes[s]);
		drop_most(4000);
		tcache_comb_everything(tc);
		tcache_check(tc);
		arena_check_shared(tc->arena);
		CHECK_EQ(unbacked() != 0, has_pages_beside(4000));
		for (unsigned i = 0; i < OBJECTS; i += 4000)
			CHECK(is_intact(i));
		/* More than there was room for: every purged page is used. */
		for (unsigned i = 0; i < OBJECTS; i++)
			if (object[i].p == NULL)
				take(i, sizes[s]);
		tcache_check(tc);
		for (unsigned i = 0; i < OBJECTS; i++)
			CHECK(is_intact(i));
		drop_all();
	}
}

TEST(backed_regions_are_used_before_purged_ones)
{
	struct tcache *tc = own_tcache();
	const size_t size = 512, a_page = os_page_size / size;
	unsigned n = 0;

	if (CONFIG_HOSTILE)
		SKIP("few regions are carved at a time");
	if (size != spread_size())
		SKIP("slabs of the size have one page");
	take_all(size);
	/* One page in eight keeps one object. */
	for (unsigned i = 0; i < OBJECTS; i++)
		if (page_of(object[i].p) % 8 != 0
		    || (uintptr_t)object[i].p % os_page_size != 0)
			drop(i);
	tcache_comb_everything(tc);
	const size_t before = unbacked();
	CHECK(before != 0);
	/* So many free regions lie beside live ones, but for the first few objects'
	 * shared slabs. */
	for (unsigned i = 0; i < OBJECTS; i++)
		n += object[i].p != NULL;
	for (unsigned i = 0, left = n / 2 * ((unsigned)a_page - 1); left != 0; i++)
		if (object[i].p == NULL) {
			take(i, size);
			left--;
		}
	CHECK(unbacked() + 4 * SLAB_MAXPAGES >= before);
	drop_all();
}

TEST(slabs_with_purged_pages_may_be_shared)
{
	struct tcache *tc = own_tcache();

	take_all(spread_size());
	drop_most(100);
	tcache_comb_everything(tc);
	const size_t before = unbacked();
	CHECK(before != 0);
	tcache_share_slabs(tc);
	arena_check_shared(tc->arena);
	CHECK_EQ(unbacked(), before);
	/* From the shared slabs. */
	thread_tcache = &tcache_none;
	void *chain = NULL, *next;
	const unsigned n = bin_fill(tc->arena,
	    object[0].p == NULL ? 0 : size_class_of(spread_size()), 200, &chain);
	CHECK(n != 0);
	arena_check_shared(tc->arena);
	for (; chain != NULL; chain = next) {
		struct edata *e = emap_lookup(chain);
		next = *(void **)chain;
		REQUIRE(e != NULL && load_relaxed(&e->owner) == NULL);
		CHECK((slab_pages_of(e, slab_index(e, chain)) & e->shared_purged) == 0);
		CHECK_EQ(bin_free(tc->arena, e, chain), BIN_FREED);
	}
	thread_tcache = tc;
	drop_all();
}

static int
refuse_advice(const char *what)
{
	return strcmp(what, "advise") == 0 ? EINVAL : 0;
}

TEST(pages_that_the_system_will_not_purge_are_pages_like_others)
{
	struct tcache *tc = own_tcache();

	if (!CONFIG_DEBUG)
		SKIP("only debug builds can let calls fail");
	take_all(512);
	drop_most(100);
	const size_t before = unbacked();
	os_inject = refuse_advice;
	tcache_comb_everything(tc);
	os_inject = NULL;
	CHECK_EQ(unbacked(), before);
	tcache_check(tc);
	const size_t owned = tc->owned_bytes;
	for (unsigned i = 0; i < OBJECTS; i++)
		if (object[i].p == NULL)
			take(i, 512);
	for (unsigned i = 0; i < OBJECTS; i++)
		CHECK(is_intact(i));
	CHECK(tc->owned_bytes >= owned);
	drop_all();
}

static void
trim(struct tcache *tc)
{
	tc->trimmed_ns = 0;
	if (tc->comb != NULL) {
		tc->comb->looked_ns = 0;
		if (tc->comb->sparse_ns != 0)
			tc->comb->sparse_ns = 1;
	}
	tcache_tick_now(tc);
	tcache_check(tc);
}

TEST(what_lies_idle_for_the_decay_time_is_purged_by_its_owner)
{
	struct tcache *tc = own_tcache();

	take_all(spread_size());
	drop_most(100);
	for (unsigned i = 0; i < 4 && unbacked() == 0; i++)
		trim(tc);
	CHECK(unbacked() != 0);
	drop_all();
}

TEST(nothing_is_purged_where_pages_do_not_decay)
{
	struct tcache *tc = own_tcache();
	const ssize_t before = pac_decay_ms(&tc->arena->pac, DECAY_DIRTY);

	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, -1));
	take_all(512);
	drop_most(100);
	const size_t npages = unbacked();
	trim(tc);
	trim(tc);
	tcache_comb_everything(tc);
	CHECK_EQ(unbacked(), npages);
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, before));
	drop_all();
}

static unsigned n_parts; /* of slabs in use that a hook was asked to purge */

static bool
purge_whole_extents(extent_hooks_t *hooks, void *addr, size_t size, size_t offset,
    size_t length, unsigned arena_index)
{
	n_parts += emap_lookup(addr) != NULL;
	return ehooks_default.purge_forced(hooks, addr, size, offset, length,
	    arena_index);
}

/* Slabs that lie idle wait to be combed. */
static void
make_sparse(struct tcache *tc)
{
	take_all(spread_size());
	drop_most(100);
	for (unsigned i = 0; i < 4 && tc->sparse_bytes == 0; i++)
		trim(tc);
	REQUIRE(tc->sparse_bytes != 0 || CONFIG_HOSTILE);
}

TEST(hooks_that_come_later_are_not_asked_to_purge_parts_of_slabs)
{
	struct tcache *tc = own_tcache();
	struct ehooks *eh = &tc->arena->ehooks;
	extent_hooks_t hooks = ehooks_default;

	hooks.purge_forced = purge_whole_extents;
	make_sparse(tc);
	const size_t before = unbacked();
	ehooks_set(eh, &hooks);
	tcache_comb_everything(tc);
	CHECK_EQ(n_parts, 0);
	CHECK_EQ(unbacked(), before);
	tcache_check(tc);
	/* Nor where they come while it is done. */
	CHECK(!ehooks_purge_part(eh, object[0].p, os_page_size));
	CHECK_EQ(n_parts, 0);
	CHECK(is_intact(0));
	drop_all();
	ehooks_init(eh, &ehooks_default, tc->arena->index);
}

TEST(what_waits_is_not_purged_where_pages_do_not_decay_any_more)
{
	struct tcache *tc = own_tcache();
	const ssize_t before = pac_decay_ms(&tc->arena->pac, DECAY_DIRTY);

	make_sparse(tc);
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, -1));
	const size_t npages = unbacked();
	tcache_comb_everything(tc);
	CHECK_EQ(unbacked(), npages);
	CHECK_EQ(tc->sparse_bytes, 0);
	REQUIRE(arena_set_decay_ms(tc->arena, DECAY_DIRTY, before));
	drop_all();
}

TEST(a_thread_whose_purged_pages_are_used_again_combs_by_time_alone)
{
	struct tcache *tc = own_tcache();

	if (CONFIG_HOSTILE)
		SKIP("all is combed at once");
	store_relaxed(&tc->arena->pac.bounded, true);
	take_all(5120);
	drop_most(12);
	tcache_comb_everything(tc);
	CHECK(!tc->comb->is_wary && tc->comb->combed_pages != 0);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (object[i].p == NULL)
			take(i, 5120);
	drop_most(12);
	tcache_comb_for_growth(tc, 1 << 20);
	CHECK(tc->comb->is_wary);
	/* Until a decay time passes in which none is. */
	trim(tc);
	trim(tc);
	trim(tc);
	trim(tc);
	CHECK(!tc->comb->is_wary);
	drop_all();
}
