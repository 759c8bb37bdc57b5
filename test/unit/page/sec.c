/* SPDX-License-Identifier: MIT */
#include "page/sec.h"

#include <sys/syscall.h>

#include "base/bits.h"
#include "config/options.h"
#include "harness/fake_pai.h"
#include "os/os.h"
#include "sync/fork.h"

#define SHARDS 3
#define CLASSES 8u
#define PAGES_IN_BIN 32 /* max_bytes, in pages */

static struct fake_pai fake;
static struct sec sec;
static bool deferred;

/* Nothing decays but where a test says so. */
static void
open_sec(size_t n_shards, size_t max_bytes)
{
	const struct sec_options options = { .n_shards = n_shards,
		.max_alloc = CLASSES * os_page_size,
		.max_bytes = max_bytes };
	struct pai *behind = fake_open(&fake);

	memset(&sec, 0, sizeof sec);
	sec_init(&sec, fake.base, behind, &options, -1);
	deferred = false;
}

static void
open_usual(void)
{
	open_sec(SHARDS, PAGES_IN_BIN * os_page_size);
}

static struct page_request
request_of(size_t pages, enum extent_use use)
{
	return (struct page_request){ .size = pages * os_page_size,
		.alignment = os_page_size,
		.use = use,
		.szind = 5 };
}

static struct edata *
take(size_t pages, enum extent_use use)
{
	const struct page_request request = request_of(pages, use);
	struct edata *e = sec.pai.alloc(&sec.pai, &request, &deferred);

	sec_check(&sec);
	if (e == NULL)
		return NULL;
	CHECK_EQ(e->size, request.size);
	CHECK(e->state == EXTENT_ACTIVE && e->use == use && e->szind == 5);
	CHECK(load_relaxed(&e->owner) == NULL && !e->cached && !e->is_fresh);
	for (uintptr_t a = e->addr; a < edata_end(e); a += GRANULE) {
		const bool is_edge = a == e->addr || a + GRANULE == edata_end(e);
		CHECK(emap_lookup((void *)a)
		    == (is_edge || use_has_regions(use) ? e : NULL));
	}
	return e;
}

static void
give(struct edata *e)
{
	sec.pai.dalloc(&sec.pai, e, &deferred);
	sec_check(&sec);
}

static struct sec_stats
figures(void)
{
	struct sec_stats stats = { 0 };

	sec_gather(&sec, &stats);
	return stats;
}

static void
close_sec(void)
{
	sec_flush(&sec, &deferred);
	sec_check(&sec);
	CHECK_EQ(figures().bytes, 0);
	CHECK_EQ(fake.n_out, 0);
	CHECK_EQ(fake.pool.n_free, load_relaxed(&fake.pool.n_all));
}

TEST(what_was_freed_last_is_used_first)
{
	struct edata *e[4];

	open_usual();
	fake.grant = 1;
	for (unsigned i = 0; i < 4; i++)
		e[i] = take(2, USE_SLAB);
	for (unsigned i = 0; i < 4; i++)
		give(e[i]);
	CHECK_EQ(figures().bytes, 8 * os_page_size);
	for (unsigned i = 4; i-- > 0;)
		CHECK(take(2, USE_LARGE) == e[i]);
	CHECK_EQ(fake.n_deallocs + fake.n_dealloc_batches, 0);
	const struct sec_stats stats = figures();
	CHECK_EQ(stats.n_hits, 4);
	CHECK_EQ(stats.n_misses, 4);
	CHECK_EQ(stats.n_dalloc_noflush, 4);
	CHECK_EQ(stats.n_dalloc_flush, 0);
	CHECK(!deferred);
	for (unsigned i = 0; i < 4; i++)
		give(e[i]);
	close_sec();
	CHECK(deferred);
}

TEST(a_cached_extent_is_nobodys)
{
	open_usual();
	struct edata *e = take(6, USE_SLAB);
	char *p = edata_base(e);

	give(e);
	for (size_t offset = 0; offset < 6 * os_page_size; offset += GRANULE)
		CHECK(emap_lookup(p + offset) == NULL);
	/* Whoever frees it again learns that it was freed. */
	CHECK(emap_lookup_any(p) == e && e->state == EXTENT_MERGING);
	CHECK(emap_lookup_any(p + 6 * os_page_size - 1) == e);
	close_sec();
}

TEST(extents_that_came_with_another_are_nobodys_too)
{
	open_usual();
	struct edata *e = take(3, USE_SLAB);

	CHECK_EQ(fake.n_out, 6);
	for (uintptr_t a = edata_end(e); a < edata_end(e) + 3 * os_page_size;
	     a += GRANULE)
		CHECK(emap_lookup((void *)a) == NULL);
	give(e);
	close_sec();
}

TEST(a_miss_asks_for_several_and_keeps_the_others)
{
	static const struct {
		unsigned pages, asked;
	} cases[] = { { 1, 8 }, { 2, 4 }, { 3, 2 }, { 8, 2 } };

	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		open_usual();
		struct edata *e[8] = { take(cases[i].pages, USE_LARGE) };
		CHECK_EQ(fake.n_batches, 1);
		CHECK_EQ(fake.last_asked, cases[i].asked);
		CHECK_EQ(figures().bytes,
		    (cases[i].asked - 1) * cases[i].pages * os_page_size);
		for (unsigned k = 1; k < cases[i].asked; k++)
			e[k] = take(cases[i].pages, USE_SLAB);
		CHECK_EQ(fake.n_batches, 1);
		CHECK_EQ(figures().n_hits, cases[i].asked - 1);
		CHECK_EQ(figures().n_misses, 1);
		CHECK_EQ(figures().bytes, 0);
		for (unsigned k = 0; k < cases[i].asked; k++)
			give(e[k]);
		close_sec();
	}
}

TEST(a_bin_that_is_too_full_gives_its_cold_end_back_in_one_batch)
{
	struct edata *e[PAGES_IN_BIN / 2 + 1];

	open_usual();
	fake.grant = 1;
	for (unsigned i = 0; i < COUNT_OF(e); i++)
		e[i] = take(2, USE_SLAB);
	for (unsigned i = 0; i + 1 < COUNT_OF(e); i++)
		give(e[i]);
	CHECK_EQ(figures().bytes, PAGES_IN_BIN * os_page_size);
	CHECK_EQ(fake.n_dealloc_batches, 0);
	uintptr_t coldest[5];
	for (unsigned i = 0; i < 5; i++)
		coldest[i] = e[i]->addr;
	give(e[COUNT_OF(e) - 1]);
	/* 34 pages, down to 24. */
	CHECK_EQ(fake.n_dealloc_batches, 1);
	CHECK_EQ(fake.last_taken, 5);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(fake.last_taken_addr[i], coldest[i]);
	const struct sec_stats stats = figures();
	CHECK_EQ(stats.bytes, PAGES_IN_BIN * 3 / 4 * os_page_size);
	CHECK_EQ(stats.n_dalloc_noflush, COUNT_OF(e) - 1);
	CHECK_EQ(stats.n_dalloc_flush, 1);
	CHECK_EQ(stats.n_overfills, 0);
	CHECK_EQ(fake.n_deallocs, 0);
	CHECK(deferred);
	close_sec();
}

static struct edata *meanwhile[PAGES_IN_BIN / 4];

/* While a thread gets extents for a bin, others fill it. */
static void
fill_meanwhile(void)
{
	fake.inside = NULL;
	for (unsigned i = 0; i < COUNT_OF(meanwhile); i++)
		give(meanwhile[i]);
}

TEST(a_refill_that_makes_a_bin_too_full_is_relieved_at_once)
{
	open_usual();
	fake.grant = 1;
	for (unsigned i = 0; i < COUNT_OF(meanwhile); i++)
		meanwhile[i] = take(4, USE_LARGE);
	CHECK_EQ(figures().bytes, 0);
	fake.grant = 2;
	fake.inside = fill_meanwhile;
	struct edata *e = take(4, USE_LARGE);
	CHECK(e != NULL);
	const struct sec_stats stats = figures();
	CHECK_EQ(stats.n_overfills, 1);
	CHECK_EQ(stats.n_dalloc_flush, 0);
	/* 36 pages, down to 24. */
	CHECK_EQ(fake.last_taken, 3);
	CHECK_EQ(stats.bytes, PAGES_IN_BIN * 3 / 4 * os_page_size);
	give(e);
	close_sec();
}

TEST(an_extent_larger_than_a_bin_does_not_stay)
{
	open_sec(1, 2 * os_page_size);
	struct edata *e = take(5, USE_SLAB);
	CHECK_EQ(figures().n_overfills, 1);
	CHECK_EQ(figures().bytes, 0);
	give(e);
	CHECK_EQ(figures().n_dalloc_flush, 1);
	CHECK_EQ(figures().bytes, 0);
	close_sec();
}

static void
passes_on(const struct page_request *request)
{
	const unsigned before = fake.n_allocs;
	struct edata *e = sec.pai.alloc(&sec.pai, request, &deferred);

	REQUIRE(e != NULL);
	CHECK_EQ(fake.n_allocs, before + 1);
	CHECK_EQ(fake.n_batches, 0);
	sec.pai.dalloc(&sec.pai, e, &deferred);
}

TEST(what_is_not_cached_is_passed_on)
{
	struct page_request request = request_of(CLASSES + 1, USE_LARGE);
	struct list extents;

	open_usual();
	passes_on(&request);
	CHECK_EQ(fake.n_deallocs, 1);
	request = request_of(1, USE_LARGE);
	request.zero = true;
	passes_on(&request);
	request = request_of(2, USE_LARGE);
	request.alignment = 2 * os_page_size;
	passes_on(&request);
	request = request_of(2, USE_LARGE);
	request.guarded = true;
	passes_on(&request);
	CHECK_EQ(fake.n_deallocs, 1);
	CHECK_EQ(figures().n_hits + figures().n_misses, 0);
	CHECK_EQ(figures().n_dalloc_noflush, 3);
	list_init(&extents);
	request = request_of(1, USE_LARGE);
	CHECK_EQ(sec.pai.alloc_batch(&sec.pai, &request, 3, &extents, &deferred), 3);
	CHECK_EQ(fake.n_batches, 1);
	sec.pai.dalloc_batch(&sec.pai, &extents, &deferred);
	CHECK_EQ(fake.last_taken, 3);
	CHECK(list_is_empty(&extents));
	CHECK_EQ(sec.pai.time_until_deferred_work(&sec.pai), FAKE_TIME_NS);
	struct edata *e = take(1, USE_LARGE);
	CHECK(!sec.pai.expand(&sec.pai, e, 2 * os_page_size, false, &deferred));
	CHECK(!sec.pai.shrink(&sec.pai, e, os_page_size, &deferred));
	CHECK_EQ(fake.n_resizes, 2);
	give(e);
	close_sec();
}

TEST(without_shards_or_for_larger_pages_all_is_passed_on)
{
	const struct page_request request = request_of(1, USE_SLAB);

	open_sec(0, PAGES_IN_BIN * os_page_size);
	passes_on(&request);
	CHECK_EQ(fake.n_deallocs, 1);
	sec_check(&sec);
	close_sec();
	struct pai *behind = fake_open(&fake);
	const struct sec_options options = { 2, os_page_size / 2, os_page_size };
	sec_init(&sec, fake.base, behind, &options, -1);
	passes_on(&request);
	CHECK_EQ(fake.n_deallocs, 1);
	close_sec();
}

TEST(purging_by_the_curve_leaves_it_and_purging_everything_empties_it)
{
	open_usual();
	give(take(1, USE_SLAB));
	give(take(8, USE_SLAB));
	const size_t bytes = figures().bytes;
	CHECK_EQ(bytes, 24 * os_page_size);
	sec.pai.work(&sec.pai, PURGE_BY_CURVE);
	CHECK(fake.n_works == 1 && fake.last_work == PURGE_BY_CURVE);
	CHECK_EQ(figures().bytes, bytes);
	sec.pai.work(&sec.pai, PURGE_EVERYTHING);
	CHECK(fake.n_works == 2 && fake.last_work == PURGE_EVERYTHING);
	CHECK_EQ(figures().bytes, 0);
	CHECK_EQ(fake.n_out, 0);
	sec_check(&sec);
}

/* The time has come. */
static void
make_due(void)
{
	CHECK(load_relaxed(&sec.trim_ns) != DEFERRED_NEVER);
	CHECK(sec.pai.time_until_deferred_work(&sec.pai) != 0);
	store_relaxed(&sec.trim_ns, 1);
	CHECK_EQ(sec.pai.time_until_deferred_work(&sec.pai), 0);
	sec.pai.work(&sec.pai, PURGE_BY_CURVE);
	sec_check(&sec);
}

TEST(what_lies_idle_goes_back_after_half_of_the_decay_time)
{
	struct edata *e[4];

	open_usual();
	fake.grant = 1;
	sec_set_decay_ms(&sec, 40000);
	for (unsigned i = 0; i < 4; i++)
		e[i] = take(1, USE_SLAB);
	sec.pai.work(&sec.pai, PURGE_BY_CURVE);
	CHECK_EQ(sec.pai.time_until_deferred_work(&sec.pai), FAKE_TIME_NS);
	for (unsigned i = 0; i < 4; i++)
		give(e[i]);
	CHECK(deferred);
	/* Due after 10 seconds; who has nothing else to do may come five later. */
	const uint64_t due = load_relaxed(&sec.trim_ns),
		       ns = sec.pai.time_until_deferred_work(&sec.pai);
	CHECK(ns <= 15000 * UINT64_C(1000000) && ns > 13000 * UINT64_C(1000000));
	CHECK(due + 5000 * UINT64_C(1000000) <= os_clock_ns() + ns);
	/* Too early: nothing happens. */
	sec.pai.work(&sec.pai, PURGE_BY_CURVE);
	CHECK_EQ(figures().bytes, 4 * os_page_size);
	/* First it is seen how much there is. */
	make_due();
	CHECK_EQ(figures().bytes, 4 * os_page_size);
	/* One of them is used meanwhile: three were idle all the time, the coldest. */
	e[3] = take(1, USE_SLAB);
	give(e[3]);
	make_due();
	CHECK_EQ(figures().bytes, os_page_size);
	CHECK(take(1, USE_SLAB) == e[3]);
	give(e[3]);
	make_due();
	make_due();
	CHECK_EQ(figures().bytes, 0);
	CHECK_EQ(fake.n_out, 0);
	/* And there is nothing to wake up for. */
	CHECK_EQ(sec.pai.time_until_deferred_work(&sec.pai), FAKE_TIME_NS);
	close_sec();
}

TEST(without_decay_nothing_goes_and_with_a_time_of_0_nothing_stays)
{
	open_usual();
	struct edata *e = take(1, USE_SLAB);
	give(e);
	sec.pai.work(&sec.pai, PURGE_BY_CURVE);
	CHECK_EQ(figures().bytes, 8 * os_page_size);
	CHECK_EQ(sec.pai.time_until_deferred_work(&sec.pai), FAKE_TIME_NS);
	sec_set_decay_ms(&sec, 0);
	CHECK_EQ(sec.pai.time_until_deferred_work(&sec.pai), 0);
	sec.pai.work(&sec.pai, PURGE_BY_CURVE);
	CHECK_EQ(figures().bytes, 0);
	fake.grant = 1;
	give(take(1, USE_SLAB));
	CHECK_EQ(fake.n_deallocs, 1);
	CHECK_EQ(figures().bytes, 0);
	close_sec();
}

TEST(without_memory_there_is_none_and_it_counts_as_a_miss)
{
	open_usual();
	fake.grant = 0;
	CHECK(take(1, USE_SLAB) == NULL);
	CHECK_EQ(figures().n_misses, 1);
	fake.grant = 1;
	struct edata *e = take(1, USE_SLAB);
	CHECK(e != NULL);
	CHECK_EQ(figures().bytes, 0);
	give(e);
	close_sec();
}

/* ---- shards --------------------------------------------------------------------------------- */

struct holder {
	pthread_t thread;
	struct mutex *lock;
	atomic_int is_held, is_done;
};

static void *
hold(void *arg)
{
	struct holder *holder = arg;

	mutex_lock(holder->lock);
	atomic_store(&holder->is_held, 1);
	while (!atomic_load(&holder->is_done))
		usleep(100);
	mutex_unlock(holder->lock);
	return NULL;
}

static struct holder holders[SHARDS];

static struct mutex *
lock_of(unsigned shard, size_t pages)
{
	return &sec.bins[shard * CLASSES + pages - 1].lock;
}

/* Another thread works on a shard. */
static void
occupy(unsigned shard, size_t pages)
{
	struct holder *holder = &holders[shard];

	memset(holder, 0, sizeof *holder);
	holder->lock = lock_of(shard, pages);
	REQUIRE(pthread_create(&holder->thread, NULL, hold, holder) == 0);
	while (!atomic_load(&holder->is_held))
		usleep(100);
}

static void
leave(unsigned shard)
{
	atomic_store(&holders[shard].is_done, 1);
	pthread_join(holders[shard].thread, NULL);
}

static size_t
bytes_in(unsigned shard, size_t pages)
{
	return sec.bins[shard * CLASSES + pages - 1].stats.bytes;
}

static unsigned
after(unsigned shard)
{
	return (shard + 1) % SHARDS;
}

/* take and give without the walk, which would wait for all locks. */
static struct edata *
take_plain(size_t pages)
{
	const struct page_request request = request_of(pages, USE_LARGE);

	return sec.pai.alloc(&sec.pai, &request, &deferred);
}

static void
give_plain(struct edata *e)
{
	sec.pai.dalloc(&sec.pai, e, &deferred);
}

TEST(a_thread_uses_its_home_then_the_others_in_turn)
{
	struct edata *e[3];

	open_usual();
	fake.grant = 1;
	const unsigned home = sec_home(&sec);
	CHECK(home < SHARDS && sec_home(&sec) == home);
	for (unsigned i = 0; i < 3; i++)
		e[i] = take(1, USE_LARGE);
	give(e[0]);
	CHECK_EQ(bytes_in(home, 1), os_page_size);
	occupy(home, 1);
	give_plain(e[1]);
	CHECK_EQ(bytes_in(after(home), 1), os_page_size);
	/* What the home has is not waited for. */
	CHECK(take_plain(1) == e[1]);
	give_plain(e[1]);
	occupy(after(home), 1);
	give_plain(e[2]);
	CHECK_EQ(bytes_in(after(after(home)), 1), os_page_size);
	CHECK(take_plain(1) == e[2]);
	give_plain(e[2]);
	leave(after(home));
	leave(home);
	/* An empty home is no miss while another shard has one. */
	CHECK(take(1, USE_LARGE) == e[0]);
	CHECK(take(1, USE_LARGE) == e[1]);
	CHECK(take(1, USE_LARGE) == e[2]);
	CHECK_EQ(figures().n_misses, 3);
	CHECK_EQ(figures().n_hits, 5);
	for (unsigned i = 0; i < 3; i++)
		give(e[i]);
	close_sec();
}

static atomic_int has_waited;

static void *
leave_home_later(void *home)
{
	usleep(20000);
	atomic_store(&has_waited, 1);
	leave(*(unsigned *)home);
	return NULL;
}

TEST(where_all_are_busy_a_thread_waits_for_its_home)
{
	pthread_t thread;

	open_usual();
	fake.grant = 1;
	unsigned home = sec_home(&sec);
	struct edata *e = take(1, USE_LARGE);

	for (unsigned round = 0; round < 2; round++) {
		atomic_store(&has_waited, 0);
		for (unsigned i = 0; i < SHARDS; i++)
			occupy(i, 1);
		REQUIRE(pthread_create(&thread, NULL, leave_home_later, &home) == 0);
		if (round == 0)
			give_plain(e);
		else
			CHECK(take_plain(1) == e);
		CHECK(atomic_load(&has_waited));
		pthread_join(thread, NULL);
		for (unsigned i = 0; i < SHARDS; i++)
			if (i != home)
				leave(i);
		CHECK_EQ(bytes_in(home, 1), round == 0 ? os_page_size : 0);
	}
	CHECK_EQ(figures().n_hits, 1);
	give(e);
	close_sec();
}

static void *
tell_home(void *home)
{
	*(unsigned *)home = sec_home(&sec);
	return NULL;
}

TEST(threads_have_different_homes)
{
	bool seen[SHARDS] = { false };
	pthread_t threads[64];
	unsigned homes[64], n = 0;

	open_usual();
	for (unsigned i = 0; i < 64; i++)
		REQUIRE(pthread_create(&threads[i], NULL, tell_home, &homes[i]) == 0);
	for (unsigned i = 0; i < 64; i++) {
		pthread_join(threads[i], NULL);
		REQUIRE(homes[i] < SHARDS);
		n += !seen[homes[i]];
		seen[homes[i]] = true;
	}
	CHECK(n > 1);
}

/* ---- against a model ------------------------------------------------------------------------ */

/* One thread, so one shard: for each size a stack, the hottest on top. */
static struct {
	struct edata *stack[PAGES_IN_BIN + CLASSES];
	unsigned n;
} model[CLASSES + 1];
static struct sec_stats expected;

static void
model_push(unsigned pages, struct edata *e)
{
	model[pages].stack[model[pages].n++] = e;
	expected.bytes += pages * os_page_size;
}

/* Cut to three quarters; false: there is no need. */
static bool
model_relieve(unsigned pages)
{
	const unsigned cut = model[pages].n - PAGES_IN_BIN * 3 / 4 / pages;

	if (model[pages].n * pages <= PAGES_IN_BIN)
		return false;
	CHECK_EQ(fake.last_taken, cut);
	model[pages].n -= cut;
	expected.bytes -= cut * pages * os_page_size;
	memmove(model[pages].stack, model[pages].stack + cut,
	    model[pages].n * sizeof model[pages].stack[0]);
	return true;
}

static void
model_adopt(unsigned pages)
{
	/* What came with a miss: the first of them is the coldest. */
	const struct sec_bin *bin = &sec.bins[sec_home(&sec) * CLASSES + pages - 1];

	for (const struct list *l = bin->extents.prev; l != &bin->extents; l = l->prev)
		model_push(pages, LIST_ENTRY(l, struct edata, link));
}

TEST(any_order_of_calls_does_what_the_model_does)
{
	enum { SLOTS = 120, STEPS = CONFIG_HOSTILE ? 20000 : 60000 };
	static struct edata *slots[SLOTS];
	uint64_t seed = test_seed();

	open_usual();
	fake.seed = seed;
	fake.fail_percent = 3;
	memset(model, 0, sizeof model);
	memset(slots, 0, sizeof slots);
	memset(&expected, 0, sizeof expected);
	for (unsigned step = 0; step < STEPS; step++) {
		struct edata **slot = &slots[test_random_below(&seed, SLOTS)];
		if (*slot != NULL) {
			const unsigned pages = (unsigned)((*slot)->size / os_page_size);
			give(*slot);
			model_push(pages, *slot);
			if (model_relieve(pages))
				expected.n_dalloc_flush++;
			else
				expected.n_dalloc_noflush++;
			*slot = NULL;
		} else {
			const unsigned pages =
			    1 + (unsigned)test_random_below(&seed, CLASSES);
			*slot = take(pages,
			    test_random_below(&seed, 2) == 0 ? USE_SLAB : USE_LARGE);
			if (model[pages].n != 0) {
				CHECK(*slot == model[pages].stack[--model[pages].n]);
				expected.bytes -= pages * os_page_size;
				expected.n_hits++;
			} else {
				expected.n_misses++;
				model_adopt(pages);
			}
		}
		if (test_random_below(&seed, 500) == 0) {
			sec_flush(&sec, &deferred);
			for (unsigned i = 1; i <= CLASSES; i++)
				model[i].n = 0;
			expected.bytes = 0;
		}
		const struct sec_stats stats = figures();
		REQUIRE(memcmp(&stats, &expected, sizeof stats) == 0);
	}
	CHECK(expected.n_hits != 0 && expected.n_dalloc_flush != 0);
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i] != NULL)
			give(slots[i]);
	close_sec();
}

/* ---- fork ----------------------------------------------------------------------------------- */

TEST(a_bin_in_use_starts_empty_in_a_child_and_the_others_keep_what_they_have)
{
	int status;

	open_usual();
	give(take(1, USE_SLAB));
	give(take(2, USE_SLAB));
	const unsigned home = sec_home(&sec);
	occupy(home, 2);
	REQUIRE(fork_begin());
	sec_fork_prepare(&sec);
	/* Without the handlers of the library, which these calls stand in for. */
	const pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		sec_fork_child(&sec);
		fork_end_in_child();
		sec_check(&sec);
		CHECK_EQ(bytes_in(home, 1), 8 * os_page_size);
		CHECK_EQ(bytes_in(home, 2), 0);
		fake.grant = 1;
		give(take(2, USE_SLAB));
		CHECK_EQ(bytes_in(home, 2), 2 * os_page_size);
		_exit(atomic_load(&test_failures) != 0);
	}
	sec_fork_parent(&sec);
	fork_end();
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	leave(home);
	CHECK_EQ(bytes_in(home, 1), 8 * os_page_size);
	CHECK_EQ(bytes_in(home, 2), 8 * os_page_size);
	sec_check(&sec);
	close_sec();
}

TEST(the_options_of_the_process_are_bounded)
{
	struct sec_options options;
	const size_t n_shards = opt.hpa_sec_nshards;

	opt.hpa_sec_nshards = SIZE_MAX;
	sec_options_of_process(&options);
	CHECK_EQ(options.n_shards, SEC_SHARDS_MAX);
	opt.hpa_sec_nshards = 0;
	sec_options_of_process(&options);
	CHECK_EQ(options.n_shards, 0);
	opt.hpa_sec_nshards = n_shards;
	CHECK_EQ(options.max_alloc, opt.hpa_sec_max_alloc);
	CHECK(options.max_bytes >= options.max_alloc);
}
