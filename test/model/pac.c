/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a PAC beside a plain model of it: a table of what is out.  After every one
 * all structures are walked, no two extents overlap, contents are where they were left, and memory
 * asked for as zero is zero.
 */
#include "page/pac.h"

#include "base/bits.h"
#include "config/options.h"
#include "harness/guards.h"
#include "harness/region.h"

#define LIVE_MAX 160

struct live {
	struct edata *e;
	uintptr_t addr;
	size_t size;
	uint64_t stamp; /* in the first and last word of every page */
};

static struct {
	struct pac *pac;
	uint64_t seed;
	struct live live[LIVE_MAX];
	unsigned n_live;
	uint64_t next_stamp;
	unsigned n_refused;
	unsigned percent_guarded; /* of requests */
	unsigned n_guarded;       /* how often one was */
} model;

static struct pac_fixture fixture;

static uint64_t
below(uint64_t n)
{
	return test_random_below(&model.seed, n);
}

static uint64_t *
last_word(uintptr_t page)
{
	return (uint64_t *)(page + os_page_size) - 1;
}

static void
stamp(const struct live *l, size_t from)
{
	for (uintptr_t p = l->addr + from; p < l->addr + l->size; p += os_page_size)
		*(uint64_t *)p = *last_word(p) = l->stamp + (p - l->addr) / os_page_size;
}

static void
check_stamps(const struct live *l)
{
	for (uintptr_t p = l->addr; p < l->addr + l->size; p += os_page_size) {
		const uint64_t want = l->stamp + (p - l->addr) / os_page_size;
		REQUIRE(*(uint64_t *)p == want && *last_word(p) == want);
	}
}

static void
check_zero(const struct live *l, size_t from)
{
	const uint64_t *end = (const uint64_t *)(l->addr + l->size);

	for (const uint64_t *p = (const uint64_t *)(l->addr + from); p < end; p++)
		REQUIRE(*p == 0);
}

/* Guarded extents in an ecache. */
static size_t
count_guarded(struct ecache *ec)
{
	size_t n = 0;

	ECACHE_FOR_EACH_SET(set, ec)
	{
		LIST_FOR_EACH (l, &set->lru)
			n += LIST_ENTRY(l, struct edata, link)->guarded;
	}
	return n;
}

static void
check_all(void)
{
	size_t bytes = 0, n_guarded = 0;

	pac_check(model.pac);
	for (unsigned i = 0; i < model.n_live; i++) {
		const struct live *l = &model.live[i];
		REQUIRE(l->e->addr == l->addr && l->e->size == l->size);
		REQUIRE(emap_lookup((void *)l->addr) == l->e);
		REQUIRE(emap_lookup((void *)(l->addr + l->size - 1)) == l->e);
		bytes += l->size;
		if (l->e->guarded) {
			n_guarded++;
			REQUIRE(!l->e->is_half_guarded);
			REQUIRE(emap_lookup_any((void *)(l->addr - 1)) == NULL);
			REQUIRE(emap_lookup_any((void *)(l->addr + l->size)) == NULL);
		}
		for (unsigned j = 0; j < i; j++)
			REQUIRE(l->addr + l->size <= model.live[j].addr
			    || model.live[j].addr + model.live[j].size <= l->addr);
	}
	REQUIRE(load_relaxed(&model.pac->stats.active_pages) * os_page_size == bytes);
	n_guarded += count_guarded(&model.pac->dirty) + count_guarded(&model.pac->muzzy)
	    + count_guarded(&model.pac->retained);
	REQUIRE(load_relaxed(&model.pac->stats.guards) == 2 * os_page_size * n_guarded);
}

static void
op_alloc(void)
{
	bool deferred = false;
	const struct page_request request = {
		.size = (below(20) == 0 ? 1 + below(700) : 1 + below(24)) * os_page_size,
		.alignment = os_page_size << (below(8) == 0 ? below(8) : 0),
		.use = below(3) == 0 ? USE_SLAB : USE_LARGE,
		.szind = (uint8_t)below(30),
		.zero = below(2) != 0,
		.guarded = below(100) < model.percent_guarded,
	};

	if (model.n_live == LIVE_MAX)
		return;
	struct edata *e = model.pac->pai.alloc(&model.pac->pai, &request, &deferred);
	if (e == NULL) {
		model.n_refused++;
		return;
	}
	struct live *l = &model.live[model.n_live++];
	*l = (struct live){ e, e->addr, e->size, model.next_stamp };
	model.next_stamp += 1 << 20;
	REQUIRE(e->size == request.size && is_aligned(e->addr, request.alignment));
	REQUIRE(e->use == request.use && e->szind == request.szind && e->committed);
	if (request.zero)
		check_zero(l, 0);
	stamp(l, 0);
	if (!e->guarded)
		return;
	REQUIRE(request.guarded);
	model.n_guarded++;
	if (below(8) == 0)
		REQUIRE(guards_stop((char *)l->addr - 1)
		    && guards_stop((char *)l->addr + l->size));
}

static void
op_dalloc(struct live *l)
{
	bool deferred = false;

	check_stamps(l);
	model.pac->pai.dalloc(&model.pac->pai, l->e, &deferred);
	*l = model.live[--model.n_live];
}

static void
op_resize(struct live *l)
{
	const size_t pages = l->size / os_page_size;
	const bool grows = below(2) == 0, zero = below(2) == 0;
	bool deferred = false, done;

	if (l->e->use == USE_SLAB || (!grows && pages == 1))
		return;
	const size_t size =
	    (grows ? pages + 1 + below(16) : 1 + below(pages - 1)) * os_page_size;
	const size_t old = l->size;
	if (grows)
		done =
		    model.pac->pai.expand(&model.pac->pai, l->e, size, zero, &deferred);
	else
		done = model.pac->pai.shrink(&model.pac->pai, l->e, size, &deferred);
	REQUIRE(!done || !l->e->guarded);
	if (done)
		l->size = size;
	else
		model.n_refused++;
	REQUIRE(l->e->size == l->size);
	if (done && grows && zero)
		check_zero(l, old);
	if (done && grows)
		stamp(l, old);
	check_stamps(l);
}

static void
op_decay(void)
{
	static const ssize_t times[] = { -1, 0, 1, 10, 1000 };

	switch (below(4)) {
	case 0:
		pac_decay(model.pac, PURGE_EVERYTHING);
		if (pac_dirty_pages(model.pac) + pac_muzzy_pages(model.pac) != 0)
			REQUIRE(!"purged");
		break;
	case 1:
		REQUIRE(pac_set_decay_ms(model.pac,
		    below(2) == 0 ? DECAY_DIRTY : DECAY_MUZZY,
		    times[below(COUNT_OF(times))], below(2) == 0));
		break;
	default: pac_decay(model.pac, PURGE_BY_CURVE);
	}
	(void)model.pac->pai.time_until_deferred_work(&model.pac->pai);
}

static void
run(extent_hooks_t *hooks, unsigned n_operations)
{
	model.pac = fixture_open(&fixture, hooks);
	model.n_live = model.n_refused = model.n_guarded = 0;
	store_relaxed(&model.pac->grow_limit, (size_t)1 << (20 + below(4)));
	store_relaxed(&model.pac->bounded, below(2) == 0);
	for (unsigned i = 0; i < n_operations; i++) {
		const uint64_t what = below(100);
		/* Phases of growing and of shrinking. */
		const uint64_t alloc_share = i / 200 % 2 == 0 ? 50 : 25;
		if (what < alloc_share || model.n_live == 0)
			op_alloc();
		else if (what < 75)
			op_dalloc(&model.live[below(model.n_live)]);
		else if (what < 97)
			op_resize(&model.live[below(model.n_live)]);
		else
			op_decay();
		check_all();
	}
	while (model.n_live != 0)
		op_dalloc(&model.live[model.n_live - 1]);
	fixture_close(&fixture);
}

TEST(default_hooks)
{
	model.seed = test_seed();
	for (unsigned i = 0; i < 4; i++) {
		opt.retain = i % 2 == 0;
		run(&ehooks_default, 2500);
		CHECK_EQ(model.n_refused == 0,
		    0); /* expanding finds no room now and then */
	}
	opt.retain = true;
}

/* Any call for a guard may fail, too. */
static uint64_t injector;

static int
fail_now_and_then(const char *what)
{
	if (strcmp(what, "guard") != 0 && strcmp(what, "protect") != 0)
		return 0;
	return test_random_below(&injector, 10) == 0 ? ENOMEM : 0;
}

static void
run_guarded(enum os_guards way, unsigned percent)
{
	store_relaxed(&os_guards, way);
	model.percent_guarded = percent;
	model.n_guarded = 0;
	run(&ehooks_default, 2500);
	CHECK(model.n_guarded != 0);
	model.percent_guarded = 0;
}

TEST(guarded_extents_among_others)
{
	model.seed = test_seed();
	run_guarded(OS_GUARDS_UNKNOWN, 100);
	run_guarded(OS_GUARDS_UNKNOWN, 40);
	run_guarded(OS_GUARDS_PROTECTION, 40);
}

TEST(guarded_extents_where_guards_fail_at_random)
{
	model.seed = injector = test_seed();
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	for (unsigned i = 0; i < 3; i++) {
		os_inject = fail_now_and_then;
		run_guarded(i == 0 ? OS_GUARDS_PROTECTION : OS_GUARDS_UNKNOWN, 60);
		os_inject = NULL;
	}
}

static void
run_region(const unsigned percent[HOOK_COUNT], bool may_reserve)
{
	region_reset(model.seed);
	memcpy(region.percent, percent, sizeof region.percent);
	region.may_reserve = may_reserve;
	model.percent_guarded = 20;
	run(&region.hooks, 2500);
	model.percent_guarded = 0;
	/* Hooks of a user never meet a guard. */
	CHECK_EQ(model.n_guarded, 0);
	/* Nothing is lost: destroying gave back every page. */
	CHECK_EQ(region_pages_out(), 0);
}

TEST(custom_hooks_that_do_not_fail)
{
	model.seed = test_seed();
	run_region((const unsigned[HOOK_COUNT]){ 0 }, false);
	run_region((const unsigned[HOOK_COUNT]){ 0 }, true);
	run_region((const unsigned[HOOK_COUNT]){ [HOOK_DALLOC] = 100 }, true);
}

TEST(custom_hooks_with_pinned_memory)
{
	model.seed = test_seed();
	for (unsigned i = 0; i < 4; i++) {
		region_reset(model.seed);
		region.percent_pinned = i % 2 ? 100 : 50;
		region.may_reserve = i / 2;
		for (unsigned hook = 0; hook < HOOK_COUNT && i % 2; hook++)
			region.percent[hook] = (unsigned)below(30);
		run(&region.hooks, 1500);
		CHECK_EQ(region_pages_out(), 0);
	}
}

TEST(custom_hooks_that_fail_at_random)
{
	model.seed = test_seed();
	for (unsigned i = 0; i < 6; i++) {
		unsigned percent[HOOK_COUNT];
		for (unsigned hook = 0; hook < HOOK_COUNT; hook++)
			percent[hook] = (unsigned)below(i < 3 ? 20 : 101);
		run_region(percent, i % 2 == 0);
	}
}

TEST(custom_hooks_with_none_but_alloc_and_destroy)
{
	model.seed = test_seed();
	region_reset(model.seed);
	region.hooks =
	    (extent_hooks_t){ .alloc = region_alloc, .destroy = region_destroy };
	run(&region.hooks, 1500);
	CHECK_EQ(region_pages_out(), 0);
}
