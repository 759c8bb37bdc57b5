/* SPDX-License-Identifier: MIT */
#include "page/hpdata.h"

static_assert(HPDATA_PAGES_MAX <= UINT16_MAX, "counts and ranges of pages are uint16_t");

/* Where the free run that begins at `page' ends. */
static unsigned
run_end(const struct hpdata *ps, unsigned page)
{
	return (unsigned)bitmap_first_set_from(ps->active, hpdata_pages(), page);
}

/* Where the first free run at or after `page' begins; hpdata_pages() when there is none. */
static unsigned
run_from(const struct hpdata *ps, unsigned page)
{
	return (unsigned)bitmap_first_zero_from(ps->active, hpdata_pages(), page);
}

static unsigned
longest_run(const struct hpdata *ps, unsigned from)
{
	const unsigned n_pages = hpdata_pages();
	unsigned longest = 0;

	for (unsigned page = run_from(ps, from); page < n_pages;) {
		const unsigned end = run_end(ps, page);
		longest = end - page > longest ? end - page : longest;
		page = run_from(ps, end);
	}
	return longest;
}

void
hpdata_init(struct hpdata *ps, uintptr_t addr, uint64_t age)
{
	assert(is_aligned(addr, OS_HUGEPAGE));
	assert(hpdata_pages() <= HPDATA_PAGES_MAX);
	memset(ps, 0, sizeof(*ps));
	ps->addr = addr;
	ps->age = age;
	ps->longest_free = (uint16_t)hpdata_pages();
	list_init(&ps->empty_link);
	list_init(&ps->purge_link);
	list_init(&ps->hugify_link);
	list_init(&ps->all_link);
}

unsigned
hpdata_reserve(struct hpdata *ps, unsigned n, unsigned *n_fresh)
{
	unsigned longest_before = 0, page = run_from(ps, 0), end = run_end(ps, page);

	assert(n != 0 && n <= ps->longest_free);
	assert(!ps->is_purging);
	for (; end - page < n; page = run_from(ps, end), end = run_end(ps, page))
		longest_before =
		    end - page > longest_before ? end - page : longest_before;
	*n_fresh = n - (unsigned)bitmap_count_range(ps->touched, page, page + n);
	bitmap_set_range(ps->active, page, page + n);
	bitmap_set_range(ps->touched, page, page + n);
	ps->n_active += (uint16_t)n;
	ps->n_touched += (uint16_t)*n_fresh;
	/* No other run has become shorter. */
	if (end - page == ps->longest_free) {
		const unsigned longest = longest_run(ps, page + n);
		ps->longest_free =
		    (uint16_t)(longest > longest_before ? longest : longest_before);
	}
	return page;
}

unsigned
hpdata_touch_all(struct hpdata *ps)
{
	const unsigned n_fresh = hpdata_pages() - ps->n_touched;

	bitmap_set_all(ps->touched, hpdata_pages());
	ps->n_touched += (uint16_t)n_fresh;
	return n_fresh;
}

void
hpdata_release(struct hpdata *ps, unsigned page, unsigned n)
{
	assert(n != 0 && page + n <= hpdata_pages());
	assert(bitmap_count_range(ps->active, page, page + n) == n);
	bitmap_clear_range(ps->active, page, page + n);
	ps->n_active -= (uint16_t)n;
	const unsigned run =
	    run_end(ps, page) - (unsigned)bitmap_end_of_set_below(ps->active, page);
	if (run > ps->longest_free)
		ps->longest_free = (uint16_t)run;
}

unsigned
hpdata_purge_ranges(const struct hpdata *ps, unsigned *next, struct hpdata_range *ranges,
    unsigned n_ranges, unsigned *n_dirty)
{
	const unsigned n_pages = hpdata_pages();
	unsigned n = 0, page = run_from(ps, *next);

	while (page < n_pages && n < n_ranges) {
		const unsigned end = run_end(ps, page);
		/* None is active, so all that are touched are dirty. */
		const unsigned dirty =
		    (unsigned)bitmap_count_range(ps->touched, page, end);
		if (dirty != 0 || ps->is_huge)
			ranges[n++] = (struct hpdata_range){ (uint16_t)page,
				(uint16_t)(end - page) };
		*n_dirty += dirty;
		page = run_from(ps, end);
	}
	*next = page;
	return n;
}

void
hpdata_purged(struct hpdata *ps, struct hpdata_range range)
{
	const size_t end = (size_t)range.page + range.n;

	assert(end <= hpdata_pages());
	assert(bitmap_count_range(ps->active, range.page, end) == 0);
	ps->n_touched -= (uint16_t)bitmap_count_range(ps->touched, range.page, end);
	bitmap_clear_range(ps->touched, range.page, end);
}

void
hpdata_check(const struct hpdata *ps)
{
	const unsigned n_pages = hpdata_pages();

	assert(ps->addr != 0 && is_aligned(ps->addr, OS_HUGEPAGE));
	assert(bitmap_count(ps->active, HPDATA_PAGES_MAX) == ps->n_active);
	assert(bitmap_count(ps->touched, HPDATA_PAGES_MAX) == ps->n_touched);
	for (unsigned i = 0; i < BITMAP_WORDS(n_pages); i++) {
		assert((ps->active[i] & ~ps->touched[i]) == 0);
		assert((ps->touched[i] & ~bitmap_word_mask(n_pages, i)) == 0);
	}
	assert(ps->n_active <= ps->n_touched && ps->n_touched <= n_pages);
	assert(longest_run(ps, 0) == ps->longest_free);
	assert(!ps->is_purging || !ps->is_hugifying);
}
