/* SPDX-License-Identifier: MIT */
#include "harness/whole.h"

#include <pthread.h>

#include "api/boot.h"

#define CLASS 12

static struct tcache *owner, *sender;
static void *regions[1000];

static void
open_two(void)
{
	REQUIRE(boot());
	owner = tcache_pool_get(arena_get(0));
	sender = tcache_pool_get(arena_get(0));
	REQUIRE(owner != NULL && sender != NULL && owner != sender);
}

static void
end_two(void)
{
	tcache_check(owner);
	tcache_check(sender);
	tcache_share_slabs(owner);
	tcache_share_slabs(sender);
	tcache_pool_put(owner);
	tcache_pool_put(sender);
	whole_check_empty();
}

/* n regions of a class, of slabs that `owner' has. */
static void
take_own_of(unsigned szind, unsigned n)
{
	for (unsigned i = 0; i < n;) {
		void *p = owner->list[szind];
		if (p != NULL)
			owner->list[szind] = *(void **)p;
		else
			p = tcache_refill(owner, szind);
		REQUIRE(p != NULL);
		struct edata *e = emap_lookup(p);
		if (load_relaxed(&e->owner) == owner)
			regions[i++] = p;
		else if (e->use == USE_MIXED)
			(void)mixed_free(arena_of(e), e, p);
		else
			(void)bin_free(arena_of(e), e, p);
	}
}

static void
take_own(unsigned n)
{
	take_own_of(CLASS, n);
}

TEST(what_another_thread_frees_comes_home_with_a_drain)
{
	open_two();
	take_own(1);
	struct edata *e = emap_lookup(regions[0]);
	const unsigned need = e->need;

	CHECK(!tcache_has_mail(owner) && !tcache_drain(owner));
	tcache_free_remote(NULL, e, regions[0]);
	CHECK(tcache_has_mail(owner));
	CHECK_EQ(e->need, need);
	tcache_check(owner);
	CHECK(tcache_drain(owner));
	CHECK_EQ(e->need, need - 1);
	CHECK(e->free == regions[0]);
	CHECK(!tcache_has_mail(owner) && load_relaxed(&e->remote) == 0);
	end_two();
}

TEST(messages_are_posted_when_they_are_full_or_all_are_asked_for)
{
	open_two();
	take_own(TCACHE_MESSAGE_COUNT + 1);
	struct edata *e = emap_lookup(regions[0]);
	unsigned n = 0;

	/* Those of one slab. */
	for (unsigned i = 0; i <= TCACHE_MESSAGE_COUNT && emap_lookup(regions[i]) == e;
	     i++)
		n++;
	tcache_free_remote(sender, e, regions[0]);
	CHECK(!tcache_has_mail(owner));
	for (unsigned i = 1; i < n; i++)
		tcache_free_remote(sender, e, regions[i]);
	CHECK_EQ(tcache_has_mail(owner), n >= TCACHE_MESSAGE_COUNT);
	tcache_post_all(sender);
	CHECK(tcache_has_mail(owner));
	for (unsigned i = 0; i < TCACHE_MESSAGES; i++)
		CHECK(sender->messages[i].slab == NULL);
	CHECK(tcache_drain(owner));
	for (unsigned i = n; i <= TCACHE_MESSAGE_COUNT; i++)
		tcache_free_own(owner, emap_lookup(regions[i]), regions[i]);
	end_two();
}

/* The words behind the link that a small region has none of say where a message ends. */
TEST(messages_join_what_is_free_already)
{
	const unsigned classes[] = { 0, 1, CLASS };

	open_two();
	for (unsigned c = 0; c < COUNT_OF(classes); c++) {
		const unsigned szind = classes[c];
		unsigned n = 0;

		take_own_of(szind, 12);
		struct edata *e = emap_lookup(regions[0]);
		while (n < 12 && emap_lookup(regions[n]) == e)
			n++;
		const unsigned need = e->need;
		for (unsigned i = 0; i < n; i++) {
			if (i % 4 == 0)
				tcache_free_own(owner, e, regions[i]);
			else
				tcache_free_remote(i % 5 == 0 ? NULL : sender, e,
				    regions[i]);
			if (i % 4 == 3)
				tcache_post_all(sender);
		}
		tcache_post_all(sender);
		CHECK_EQ(tcache_posted(e), n - (n + 3) / 4);
		CHECK(tcache_drain(owner) || n == 1);
		CHECK_EQ(e->need, need - n);
		tcache_check(owner);
		for (unsigned i = 0; i < n; i++) {
			void *p = e->free;
			while (p != NULL && p != regions[i])
				p = *(void **)p;
			CHECK(p == regions[i]);
		}
		for (unsigned i = n; i < 12; i++)
			tcache_free_own(owner, emap_lookup(regions[i]), regions[i]);
	}
	end_two();
}

TEST(a_drain_wakes_full_slabs_and_finds_empty_ones)
{
	open_two();
	const unsigned nregs = slab_geometry[CLASS].nregs;
	const unsigned n = 3 * nregs < 1000 ? 3 * nregs : 1000;

	take_own(n);
	for (unsigned i = 0; i < n; i++)
		tcache_free_remote(sender, emap_lookup(regions[i]), regions[i]);
	tcache_post_all(sender);
	tcache_check(owner);
	CHECK(tcache_drain(owner));
	tcache_check(owner);
	CHECK(list_is_empty(&owner->classes[CLASS].full));
	CHECK(list_is_empty(&owner->classes[CLASS].partial));
	end_two();
}

TEST(messages_to_a_slab_that_changed_hands_go_to_its_bin)
{
	open_two();
	take_own(20);
	for (unsigned i = 0; i < 10; i++)
		tcache_free_remote(sender, emap_lookup(regions[i]), regions[i]);
	tcache_share_slabs(owner);
	CHECK_EQ(owner->owned_bytes, 0);
	tcache_post_all(sender);
	(void)tcache_drain(owner);
	for (unsigned i = 10; i < 20; i++) {
		struct edata *e = emap_lookup(regions[i]);
		CHECK(load_relaxed(&e->owner) == NULL);
		CHECK_EQ(bin_free(arena_of(e), e, regions[i]), BIN_FREED);
	}
	CHECK_EQ(arena_get(0)->bins[CLASS].stats.cur_regs, 0);
	end_two();
}

static void *
send_all(void *arg)
{
	const uintptr_t first = (uintptr_t)arg;

	for (uintptr_t i = first; i < 1000; i += 4)
		tcache_free_remote(NULL, emap_lookup(regions[i]), regions[i]);
	return NULL;
}

TEST(many_senders_lose_nothing)
{
	pthread_t threads[4];

	open_two();
	for (unsigned round = 0; round < 50; round++) {
		take_own(1000);
		for (uintptr_t i = 0; i < 4; i++)
			REQUIRE(pthread_create(&threads[i], NULL, send_all, (void *)i)
			    == 0);
		for (unsigned i = 0; i < 100; i++)
			(void)tcache_drain(owner);
		for (unsigned i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		(void)tcache_drain(owner);
		tcache_check(owner);
		CHECK(list_is_empty(&owner->classes[CLASS].full));
		CHECK(list_is_empty(&owner->classes[CLASS].partial));
	}
	end_two();
}
