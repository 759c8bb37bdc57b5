/* SPDX-License-Identifier: MIT */
/*
 * The set of pageslabs beside an array of them that is searched from end to end, for pages of 4, 16
 * and 64 KiB.
 */
#include "page/psset.h"

#define TEST_OWN_MAIN
#include "harness/test.h"

#define SLABS 24

static struct psset set;
static struct hpdata slabs[SLABS];
static unsigned n_slabs;

/* The model: since when is each in the list of empty ones, and in its purge list? */
static struct {
	bool empty;
	unsigned purge;
	uint64_t empty_since, purge_since;
} model[SLABS];
static uint64_t next_stamp;
static uint64_t seed;

static void
reset(void)
{
	psset_init(&set);
	psset_check(&set);
	n_slabs = 0;
}

static unsigned
below(unsigned n)
{
	return (unsigned)test_random_below(&seed, n);
}

/* One more pageslab, younger than all, with n_active pages active. */
static struct hpdata *
add(unsigned n_active)
{
	struct hpdata *ps = &slabs[n_slabs++];
	unsigned n_fresh;

	hpdata_init(ps, (uintptr_t)n_slabs << CONFIG_LG_HUGEPAGE, n_slabs);
	if (n_active != 0)
		CHECK_EQ(hpdata_reserve(ps, n_active, &n_fresh), 0);
	psset_insert(&set, ps);
	psset_check(&set);
	return ps;
}

TEST(classes_ascend_and_have_lower_bounds)
{
	CHECK_EQ(psset_class(1), 0);
	CHECK(psset_class(HPDATA_PAGES_MAX) < PSSET_CLASSES);
	for (unsigned n = 2; n <= HPDATA_PAGES_MAX; n++) {
		const unsigned step = psset_class(n) - psset_class(n - 1);
		CHECK(step <= 1);
		CHECK(step == 1 || n > 32);
	}
}

TEST(an_empty_set_gives_nothing)
{
	reset();
	CHECK(psset_pick_alloc(&set, 1) == NULL);
	CHECK(psset_pick_purge(&set, UINT64_MAX) == NULL);
	CHECK(psset_pick_hugify(&set) == NULL);
	CHECK_EQ(psset_purge_since(&set), UINT64_MAX);
}

TEST(the_fullest_that_suffices_is_taken_then_the_oldest_then_an_empty_one)
{
	const unsigned all = hpdata_pages();

	reset();
	struct hpdata *empty = add(0), *full = add(all), *half = add(all / 2);
	struct hpdata *old = add(all - 3), *young = add(all - 3), *last = add(0);
	CHECK(psset_pick_alloc(&set, 1) == old);
	CHECK(psset_pick_alloc(&set, 3) == old);
	CHECK(psset_pick_alloc(&set, 4) == half);
	CHECK(psset_pick_alloc(&set, all / 2) == half);
	CHECK(psset_pick_alloc(&set, all / 2 + 1) == last);
	psset_remove(&set, old);
	CHECK(psset_pick_alloc(&set, 2) == young);
	psset_remove(&set, last);
	CHECK(psset_pick_alloc(&set, all) == empty);
	psset_update_begin(&set, full);
	hpdata_release(full, 5, 1);
	psset_update_end(&set, full);
	psset_check(&set);
	CHECK(psset_pick_alloc(&set, 1) == full);
}

static void
update(struct hpdata *ps, void (*change)(struct hpdata *ps))
{
	psset_update_begin(&set, ps);
	change(ps);
	psset_update_end(&set, ps);
	psset_check(&set);
}

static void
release_two(struct hpdata *ps)
{
	hpdata_release(ps, (unsigned)bitmap_find_set(ps->active, hpdata_pages()), 2);
}

static void
toggle_purging(struct hpdata *ps)
{
	ps->is_purging = !ps->is_purging;
}

static void
toggle_hugifying(struct hpdata *ps)
{
	ps->is_hugifying = !ps->is_hugifying;
}

static void
may_purge(struct hpdata *ps)
{
	ps->may_purge = true;
}

static void
may_hugify(struct hpdata *ps)
{
	ps->may_hugify = true;
}

static void
make_huge(struct hpdata *ps)
{
	ps->is_huge = true;
}

TEST(what_is_being_purged_is_left_alone_what_is_made_huge_serves_on)
{
	reset();
	struct hpdata *ps = add(hpdata_pages() - 2);
	update(ps, may_hugify);
	CHECK(psset_pick_hugify(&set) == ps);
	update(ps, release_two);
	update(ps, may_purge);
	CHECK(psset_pick_purge(&set, 0) == ps);
	update(ps, toggle_purging);
	CHECK(psset_pick_alloc(&set, 1) == NULL);
	CHECK(psset_pick_purge(&set, 0) == NULL);
	CHECK(psset_pick_hugify(&set) == NULL);
	CHECK_EQ(psset_dirty(&set), 2);
	update(ps, toggle_purging);
	update(ps, toggle_hugifying);
	CHECK(psset_pick_alloc(&set, 1) == ps);
	CHECK(psset_pick_purge(&set, 0) == NULL);
	CHECK(psset_pick_hugify(&set) == NULL);
	update(ps, toggle_hugifying);
	CHECK(psset_pick_purge(&set, 0) == ps);
	CHECK(psset_pick_hugify(&set) == ps);
}

TEST(an_empty_pageslab_that_is_purged_is_not_allocated_from)
{
	reset();
	struct hpdata *ps = add(0);
	CHECK(psset_pick_alloc(&set, hpdata_pages()) == ps);
	update(ps, toggle_purging);
	CHECK(psset_pick_alloc(&set, 1) == NULL);
	update(ps, toggle_purging);
	CHECK(psset_pick_alloc(&set, 1) == ps);
}

TEST(empty_huge_ones_are_purged_first_then_empty_ones_then_the_dirtiest)
{
	struct hpdata *want[5];

	reset();
	want[4] = add(6); /* 2 dirty, huge */
	update(want[4], make_huge);
	want[3] = add(6); /* 2 dirty */
	want[2] = add(6); /* 4 dirty */
	want[1] = add(2); /* empty */
	want[0] = add(2); /* empty, huge */
	update(want[0], make_huge);
	for (unsigned i = 0; i < 5; i++) {
		update(want[i], release_two);
		update(want[i], may_purge);
	}
	update(want[2], release_two);
	for (unsigned i = 0; i < 5; i++) {
		CHECK(psset_pick_purge(&set, 0) == want[i]);
		update(want[i], toggle_purging);
	}
	CHECK(psset_pick_purge(&set, 0) == NULL);
}

TEST(what_is_not_yet_worth_a_purge_is_passed_over)
{
	reset();
	struct hpdata *late = add(2), *soon = add(6), *last = add(6);
	late->purge_since_ns = 30;
	soon->purge_since_ns = 10;
	last->purge_since_ns = 20;
	update(late, release_two); /* empty: would be the first */
	update(soon, release_two);
	update(last, release_two);
	CHECK_EQ(psset_purge_since(&set), UINT64_MAX);
	update(late, may_purge);
	update(last, may_purge);
	update(soon, may_purge);
	CHECK_EQ(psset_purge_since(&set), 10);
	CHECK(psset_pick_purge(&set, 9) == NULL);
	CHECK(psset_pick_purge(&set, 19) == soon);
	CHECK(psset_pick_purge(&set, 29) == last);
	CHECK(psset_pick_purge(&set, 30) == late);
}

TEST(who_is_a_candidate_for_longest_is_made_huge_first_whatever_happens_to_it)
{
	struct hpdata *ps[4];

	reset();
	for (unsigned i = 0; i < 4; i++) {
		ps[i] = add(6);
		ps[i]->hugify_since_ns = i + 1;
		update(ps[i], may_hugify);
	}
	update(ps[0], release_two); /* stays where it is */
	CHECK(psset_pick_hugify(&set) == ps[0]);
	update(ps[0], toggle_hugifying);
	CHECK(psset_pick_hugify(&set) == ps[1]);
	update(ps[0], toggle_hugifying); /* goes back to its place */
	CHECK(psset_pick_hugify(&set) == ps[0]);
	psset_remove(&set, ps[0]);
	CHECK(psset_pick_hugify(&set) == ps[1]);
}

/* The shortest run of the class of n. */
static unsigned
least_of_class(unsigned n)
{
	while (n > 1 && psset_class(n - 1) == psset_class(n))
		n--;
	return n;
}

static const struct hpdata *
model_pick_alloc(unsigned n_pages)
{
	const struct hpdata *best = NULL, *empty = NULL;

	for (unsigned i = 0; i < n_slabs; i++) {
		const struct hpdata *ps = &slabs[i];
		if (model[i].empty
		    && (empty == NULL
			|| model[i].empty_since > model[empty - slabs].empty_since))
			empty = ps;
		if (ps->is_purging || ps->n_active == 0 || ps->n_active == hpdata_pages()
		    || least_of_class(ps->longest_free) < n_pages)
			continue;
		const unsigned class = psset_class(ps->longest_free);
		if (best == NULL || class < psset_class(best->longest_free)
		    || (class == psset_class(best->longest_free) && ps->age < best->age))
			best = ps;
	}
	return best != NULL ? best : empty;
}

/* How urgently ps is to be purged; 0: not at all. */
static unsigned
model_purge_rank(const struct hpdata *ps)
{
	if (!ps->may_purge || ps->is_purging || ps->is_hugifying)
		return 0;
	if (ps->n_active == 0)
		return ps->is_huge ? 1001 : 1000;
	return 2 + psset_class(ps->n_touched - ps->n_active) * 2 + (ps->is_huge ? 0 : 1);
}

static const struct hpdata *
model_pick_purge(uint64_t until)
{
	unsigned best = SLABS;

	for (unsigned i = 0; i < n_slabs; i++)
		if (model[i].purge != 0 && slabs[i].purge_since_ns <= until
		    && (best == SLABS || model[i].purge > model[best].purge
			|| (model[i].purge == model[best].purge
			    && model[i].purge_since < model[best].purge_since)))
			best = i;
	return best == SLABS ? NULL : &slabs[best];
}

static void
check_queues(void)
{
	const struct hpdata *first = psset_pick_hugify(&set);
	uint64_t hugify_since = UINT64_MAX, purge_since = UINT64_MAX;

	for (unsigned i = 0; i < n_slabs; i++) {
		const struct hpdata *ps = &slabs[i];
		if (ps->may_hugify && !ps->is_purging && !ps->is_hugifying
		    && ps->hugify_since_ns < hugify_since)
			hugify_since = ps->hugify_since_ns;
		if (model_purge_rank(ps) != 0 && ps->purge_since_ns < purge_since)
			purge_since = ps->purge_since_ns;
	}
	REQUIRE((first == NULL) == (hugify_since == UINT64_MAX));
	REQUIRE(first == NULL || first->hugify_since_ns == hugify_since);
	REQUIRE(psset_purge_since(&set) == purge_since);
	REQUIRE(psset_has_purge(&set) == (model_pick_purge(UINT64_MAX) != NULL));
}

/* What all pageslabs together are, of one kind, by the array. */
static void
check_sums(unsigned kind)
{
	const unsigned all = hpdata_pages();
	struct psset_sums want[PSSET_CLASSES + 3];

	memset(want, 0, sizeof(want));
	for (unsigned i = 0; i < n_slabs; i++) {
		const struct hpdata *ps = &slabs[i];
		if (ps->is_huge != kind)
			continue;
		const unsigned where = ps->n_active == 0 ? PSSET_CLASSES
		    : ps->n_active == all                ? PSSET_CLASSES + 1
							 : psset_class(ps->longest_free);
		for (unsigned j = 0; j < 2; j++) {
			struct psset_sums *w = &want[j ? PSSET_CLASSES + 2 : where];
			w->n_pageslabs++;
			w->n_active += ps->n_active;
			w->n_dirty += ps->n_touched - ps->n_active;
		}
	}
	for (unsigned i = 0; i < PSSET_CLASSES; i++)
		REQUIRE(memcmp(&want[i], &set.partly[i][kind], sizeof(*want)) == 0);
	REQUIRE(memcmp(&want[PSSET_CLASSES], &set.none[kind], sizeof(*want)) == 0);
	REQUIRE(memcmp(&want[PSSET_CLASSES + 1], &set.full[kind], sizeof(*want)) == 0);
	REQUIRE(memcmp(&want[PSSET_CLASSES + 2], &set.all[kind], sizeof(*want)) == 0);
}

static void
check_all(uint64_t now)
{
	psset_check(&set);
	check_sums(PSSET_NOT_HUGE);
	check_sums(PSSET_HUGE);
	check_queues();
	for (unsigned n = 1; n <= hpdata_pages(); n += 1 + n / 16)
		REQUIRE(psset_pick_alloc(&set, n) == model_pick_alloc(n));
	REQUIRE(psset_pick_alloc(&set, hpdata_pages())
	    == model_pick_alloc(hpdata_pages()));
	REQUIRE(psset_pick_purge(&set, now) == model_pick_purge(now));
	REQUIRE(psset_pick_purge(&set, UINT64_MAX) == model_pick_purge(UINT64_MAX));
	for (unsigned i = 0; i < n_slabs; i++) {
		hpdata_check(&slabs[i]);
		psset_check_one(&slabs[i]);
	}
}

/* After a change of pageslab i. */
static void
model_update(unsigned i)
{
	const struct hpdata *ps = &slabs[i];
	const bool empty = ps->n_active == 0 && !ps->is_purging;
	const unsigned purge = model_purge_rank(ps);

	if (empty && !model[i].empty)
		model[i].empty_since = next_stamp++;
	if (purge != model[i].purge)
		model[i].purge_since = next_stamp++;
	model[i].empty = empty;
	model[i].purge = purge;
}

static void
purge_all(struct hpdata *ps)
{
	struct hpdata_range ranges[8];
	unsigned next = 0, n, n_dirty = 0;

	while ((n = hpdata_purge_ranges(ps, &next, ranges, 8, &n_dirty)) != 0)
		for (unsigned i = 0; i < n; i++)
			hpdata_purged(ps, ranges[i]);
}

/* One change that no shard would shrink from. */
static void
change(struct hpdata *ps, uint64_t now)
{
	unsigned n, n_fresh;

	switch (below(12)) {
	case 0:
	case 1:
		n = 1 + below(below(3) == 0 ? hpdata_pages() : 8);
		if (n <= ps->longest_free && !ps->is_purging)
			hpdata_reserve(ps, n, &n_fresh);
		break;
	case 2:
	case 3: { /* any run of active pages, or what of it */
		const unsigned page = (unsigned)bitmap_first_set_from(ps->active,
		    hpdata_pages(), below(hpdata_pages()));
		if (page == hpdata_pages())
			break;
		const unsigned end =
		    (unsigned)bitmap_first_zero_from(ps->active, hpdata_pages(), page);
		hpdata_release(ps, page, 1 + below(end - page));
		break;
	}
	case 4: /* all */
		for (unsigned page = 0; page < hpdata_pages(); page++)
			if (bitmap_get(ps->active, page))
				hpdata_release(ps, page, 1);
		break;
	case 5: ps->is_purging = !ps->is_purging && !ps->is_hugifying; break;
	case 6: ps->is_hugifying = !ps->is_purging && !ps->is_hugifying; break;
	case 7: ps->is_huge = !ps->is_huge; break;
	case 8:
		ps->may_hugify = below(3) != 0;
		ps->hugify_since_ns = now; /* anew, or once more */
		break;
	case 9: purge_all(ps); break;
	default: ps->may_purge = !ps->may_purge; ps->purge_since_ns = now + below(20);
	}
	if (hpdata_dirty(ps) == 0)
		ps->may_purge = false;
}

static void
run_model(void)
{
	uint64_t now = 0;

	reset();
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < 3000; step++, now += below(4)) {
		if (n_slabs < SLABS && below(20) == 0) {
			struct hpdata *ps = add(0);
			model[ps - slabs].empty = false;
			model[ps - slabs].purge = 0;
			model_update((unsigned)(ps - slabs));
		} else if (n_slabs != 0 && below(200) == 0) {
			/* The last; others move not. */
			psset_remove(&set, &slabs[--n_slabs]);
		} else if (n_slabs != 0) {
			const unsigned i = below(n_slabs);
			psset_update_begin(&set, &slabs[i]);
			change(&slabs[i], now);
			psset_update_end(&set, &slabs[i]);
			model_update(i);
		}
		check_all(now);
	}
}

TEST(it_agrees_with_an_array_that_is_searched)
{
	static const size_t page_sizes[] = { 4 << 10, 16 << 10, 64 << 10 };
	const size_t saved = os_page_size;

	seed = test_seed();
	for (unsigned i = 0; i < COUNT_OF(page_sizes); i++) {
		os_page_size = page_sizes[i];
		if (os_page_size >= (size_t)1 << CONFIG_LG_PAGE
		    && hpdata_pages() <= HPDATA_PAGES_MAX && hpdata_pages() >= 16)
			run_model();
	}
	os_page_size = saved;
}

int
main(int argc, char **argv)
{
	/* No use is made of such huge pages. */
	if (hpdata_pages() > HPDATA_PAGES_MAX || hpdata_pages() < 16)
		return 77;
	return test_run(argc, argv);
}
