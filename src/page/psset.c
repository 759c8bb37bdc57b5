/* SPDX-License-Identifier: MIT */
#include "page/psset.h"

/* Lists of what is empty, above those of all numbers of dirty pages. */
#define PURGE_EMPTY (PSSET_PURGE_LISTS - 2)
#define PURGE_EMPTY_HUGE (PSSET_PURGE_LISTS - 1)

/* Runs shorter than this have classes of their own. */
#define LG_LINEAR 5

static_assert(HPDATA_PAGES_MAX <= 1 << 12,
    "the classes suffice: (1 << 5) - 1 + 4 * 7 < 64");
static_assert(PSSET_CLASSES <= 64, "bits of heaps_used");
static_assert(PSSET_PURGE_LISTS < PSSET_NOWHERE, "a uint8_t says which");

static bool
is_older(const struct heap_node *a, const struct heap_node *b)
{
	const struct hpdata *x = CONTAINER_OF(a, struct hpdata, node);
	const struct hpdata *y = CONTAINER_OF(b, struct hpdata, node);

	return x->age < y->age;
}

void
psset_init(struct psset *set)
{
	memset(set, 0, sizeof(*set));
	list_init(&set->empty);
	list_init(&set->hugify);
	for (unsigned i = 0; i < PSSET_PURGE_LISTS; i++)
		list_init(&set->purge[i]);
}

unsigned
psset_class(unsigned n_pages)
{
	assert(n_pages != 0);
	if (n_pages < 1 << LG_LINEAR)
		return n_pages - 1;
	const unsigned lg = lg_floor(n_pages);
	return (1 << LG_LINEAR) - 1 + (lg - LG_LINEAR) * 4 + (n_pages >> (lg - 2) & 3);
}

/* The first class whose runs all have n_pages. */
static unsigned
class_of_request(unsigned n_pages)
{
	return n_pages == 1 ? 0 : psset_class(n_pages - 1) + 1;
}

/* Where a pageslab belongs, by its counts and flags. */

static unsigned
heap_of(const struct hpdata *ps)
{
	if (ps->is_purging || hpdata_is_empty(ps) || hpdata_is_full(ps))
		return PSSET_NOWHERE;
	return psset_class(ps->longest_free);
}

static bool
belongs_to_empty(const struct hpdata *ps)
{
	return !ps->is_purging && hpdata_is_empty(ps);
}

static unsigned
purge_list_of(const struct hpdata *ps)
{
	if (!ps->may_purge || ps->is_purging || ps->is_hugifying)
		return PSSET_NOWHERE;
	if (hpdata_is_empty(ps))
		return ps->is_huge ? PURGE_EMPTY_HUGE : PURGE_EMPTY;
	return psset_class(hpdata_dirty(ps)) * 2 + !ps->is_huge;
}

static bool
belongs_to_hugify(const struct hpdata *ps)
{
	return ps->may_hugify && !ps->is_purging && !ps->is_hugifying;
}

/* Sums. */

static struct psset_sums *
sums_of(struct psset *set, const struct hpdata *ps)
{
	if (hpdata_is_empty(ps))
		return &set->none[ps->is_huge];
	if (hpdata_is_full(ps))
		return &set->full[ps->is_huge];
	return &set->partly[psset_class(ps->longest_free)][ps->is_huge];
}

static void
sums_add(struct psset_sums *sums, const struct hpdata *ps)
{
	sums->n_pageslabs++;
	sums->n_active += ps->n_active;
	sums->n_dirty += hpdata_dirty(ps);
}

static void
sums_subtract(struct psset_sums *sums, const struct hpdata *ps)
{
	assert(sums->n_pageslabs != 0);
	assert(sums->n_active >= ps->n_active && sums->n_dirty >= hpdata_dirty(ps));
	sums->n_pageslabs--;
	sums->n_active -= ps->n_active;
	sums->n_dirty -= hpdata_dirty(ps);
}

/* Filing.  What is where it belongs stays there, so that queues keep their order. */

static void
file_for_alloc(struct psset *set, struct hpdata *ps, unsigned heap, bool empty)
{
	if (ps->heap_filed != heap) {
		if (ps->heap_filed != PSSET_NOWHERE) {
			struct heap *h = &set->heaps[ps->heap_filed];
			heap_remove(h, &ps->node, is_older);
			if (heap_is_empty(h))
				set->heaps_used &= ~(UINT64_C(1) << ps->heap_filed);
		}
		if (heap != PSSET_NOWHERE) {
			heap_insert(&set->heaps[heap], &ps->node, is_older);
			set->heaps_used |= UINT64_C(1) << heap;
		}
		ps->heap_filed = (uint8_t)heap;
	}
	if (ps->is_empty_filed != empty) {
		if (empty)
			list_push_front(&set->empty, &ps->empty_link);
		else
			list_remove(&ps->empty_link);
		ps->is_empty_filed = empty;
	}
}

static void
file_for_purge(struct psset *set, struct hpdata *ps, unsigned list)
{
	if (ps->purge_filed == list)
		return;
	if (ps->purge_filed != PSSET_NOWHERE) {
		list_remove(&ps->purge_link);
		if (list_is_empty(&set->purge[ps->purge_filed]))
			bitmap_clear(set->purge_used, ps->purge_filed);
	}
	if (list != PSSET_NOWHERE) {
		list_push_back(&set->purge[list], &ps->purge_link);
		bitmap_set(set->purge_used, list);
	}
	ps->purge_filed = (uint8_t)list;
}

static uint64_t
hugify_since(const struct list *link)
{
	return LIST_ENTRY(link, struct hpdata, hugify_link)->hugify_since_ns;
}

static bool
is_in_order(const struct psset *set, const struct hpdata *ps)
{
	const struct list *link = &ps->hugify_link;

	return (link->prev == &set->hugify
		   || hugify_since(link->prev) <= ps->hugify_since_ns)
	    && (link->next == &set->hugify
		|| ps->hugify_since_ns <= hugify_since(link->next));
}

static void
file_for_hugify(struct psset *set, struct hpdata *ps, bool candidate)
{
	struct list *link = &ps->hugify_link;

	if (link->next != link) {
		if (candidate && is_in_order(set, ps))
			return;
		list_remove(link);
	}
	if (!candidate)
		return;
	struct list *before = set->hugify.prev;
	/* A new one is the latest; one that could not be, for a while, goes back to its place. */
	while (before != &set->hugify && hugify_since(before) > ps->hugify_since_ns)
		before = before->prev;
	list_insert_between(before, link, before->next);
}

void
psset_update_begin(struct psset *set, struct hpdata *ps)
{
	assert(ps->in_psset);
	sums_subtract(&set->all[ps->is_huge], ps);
	sums_subtract(sums_of(set, ps), ps);
	ps->in_psset = false;
}

void
psset_update_end(struct psset *set, struct hpdata *ps)
{
	assert(!ps->in_psset);
	sums_add(&set->all[ps->is_huge], ps);
	sums_add(sums_of(set, ps), ps);
	file_for_alloc(set, ps, heap_of(ps), belongs_to_empty(ps));
	file_for_purge(set, ps, purge_list_of(ps));
	file_for_hugify(set, ps, belongs_to_hugify(ps));
	ps->in_psset = true;
}

void
psset_insert(struct psset *set, struct hpdata *ps)
{
	ps->heap_filed = ps->purge_filed = PSSET_NOWHERE;
	ps->is_empty_filed = false;
	psset_update_end(set, ps);
}

void
psset_remove(struct psset *set, struct hpdata *ps)
{
	psset_update_begin(set, ps);
	file_for_alloc(set, ps, PSSET_NOWHERE, false);
	file_for_purge(set, ps, PSSET_NOWHERE);
	file_for_hugify(set, ps, false);
}

struct hpdata *
psset_pick_alloc(struct psset *set, unsigned n_pages)
{
	const unsigned class = class_of_request(n_pages);

	assert(n_pages <= hpdata_pages());
	const uint64_t suffice =
	    class < 64 ? set->heaps_used & (~UINT64_C(0) << class) : 0;
	if (suffice != 0)
		return CONTAINER_OF(heap_min(&set->heaps[first_set(suffice)]),
		    struct hpdata, node);
	struct list *empty = list_first(&set->empty);
	return empty == NULL ? NULL : LIST_ENTRY(empty, struct hpdata, empty_link);
}

/* The highest set bit below `before', or PSSET_NOWHERE. */
static unsigned
purge_list_below(const struct psset *set, unsigned before)
{
	const size_t end = bitmap_end_of_set_below(set->purge_used, before);
	return end == 0 ? PSSET_NOWHERE : (unsigned)end - 1;
}

struct hpdata *
psset_pick_purge(struct psset *set, uint64_t until_ns)
{
	for (unsigned i = purge_list_below(set, PSSET_PURGE_LISTS); i != PSSET_NOWHERE;
	     i = purge_list_below(set, i))
		LIST_FOR_EACH (link, &set->purge[i]) {
			struct hpdata *ps = LIST_ENTRY(link, struct hpdata, purge_link);
			if (ps->purge_since_ns <= until_ns)
				return ps;
		}
	return NULL;
}

uint64_t
psset_purge_since(const struct psset *set)
{
	uint64_t since = UINT64_MAX;

	for (unsigned i = purge_list_below(set, PSSET_PURGE_LISTS); i != PSSET_NOWHERE;
	     i = purge_list_below(set, i))
		LIST_FOR_EACH (link, &set->purge[i]) {
			const struct hpdata *ps =
			    LIST_ENTRY(link, struct hpdata, purge_link);
			since = ps->purge_since_ns < since ? ps->purge_since_ns : since;
		}
	return since;
}

struct hpdata *
psset_pick_hugify(struct psset *set)
{
	struct list *link = list_first(&set->hugify);
	return link == NULL ? NULL : LIST_ENTRY(link, struct hpdata, hugify_link);
}

/* Checks. */

void
psset_check_one(const struct hpdata *ps)
{
	assert(ps->in_psset);
	assert(ps->heap_filed == heap_of(ps));
	assert(ps->purge_filed == purge_list_of(ps));
	assert(ps->is_empty_filed == belongs_to_empty(ps));
	assert((ps->hugify_link.next != &ps->hugify_link) == belongs_to_hugify(ps));
}

static void
check_alloc(const struct psset *set)
{
	for (unsigned i = 0; i < PSSET_CLASSES; i++) {
		const struct heap *h = &set->heaps[i];
		assert(heap_check(h, is_older));
		assert(heap_is_empty(h) == ((set->heaps_used >> i & 1) == 0));
		for (const struct heap_node *n = heap_min(h); n != NULL;
		     n = heap_next(n)) {
			psset_check_one(CONTAINER_OF(n, struct hpdata, node));
			assert(CONTAINER_OF(n, struct hpdata, node)->heap_filed == i);
		}
	}
	LIST_FOR_EACH (link, &set->empty) {
		psset_check_one(LIST_ENTRY(link, struct hpdata, empty_link));
		assert(LIST_ENTRY(link, struct hpdata, empty_link)->is_empty_filed);
	}
}

static void
check_queues(const struct psset *set)
{
	uint64_t since = 0;

	for (unsigned i = 0; i < PSSET_PURGE_LISTS; i++) {
		assert(list_is_empty(&set->purge[i]) == !bitmap_get(set->purge_used, i));
		LIST_FOR_EACH (link, &set->purge[i]) {
			psset_check_one(LIST_ENTRY(link, struct hpdata, purge_link));
			assert(LIST_ENTRY(link, struct hpdata, purge_link)->purge_filed
			    == i);
		}
	}
	LIST_FOR_EACH (link, &set->hugify) {
		psset_check_one(LIST_ENTRY(link, struct hpdata, hugify_link));
		assert(hugify_since(link) >= since);
		since = hugify_since(link);
	}
}

static void
check_sums(const struct psset *set, unsigned kind)
{
	struct psset_sums sums = { 0 };

	for (unsigned i = 0; i < PSSET_CLASSES + 2; i++) {
		const struct psset_sums *part = i == PSSET_CLASSES ? &set->full[kind]
		    : i > PSSET_CLASSES                            ? &set->none[kind]
					: &set->partly[i][kind];
		sums.n_pageslabs += part->n_pageslabs;
		sums.n_active += part->n_active;
		sums.n_dirty += part->n_dirty;
	}
	assert(sums.n_pageslabs == set->all[kind].n_pageslabs);
	assert(sums.n_active == set->all[kind].n_active);
	assert(sums.n_dirty == set->all[kind].n_dirty);
	assert(set->none[kind].n_active == 0);
	assert(set->full[kind].n_dirty == 0);
	assert(set->full[kind].n_active == set->full[kind].n_pageslabs * hpdata_pages());
}

void
psset_check(const struct psset *set)
{
	check_alloc(set);
	check_queues(set);
	check_sums(set, PSSET_NOT_HUGE);
	check_sums(set, PSSET_HUGE);
}
