/* SPDX-License-Identifier: MIT */
/*
 * fake_kernel -- a kernel and a clock for huge page allocators, which knows of every page whether
 * it is in use and whether it is backed, and sees to it that what is asked of it may be asked.
 *
 * What is not backed reads as zero, at the words of a page that kernel_word names; others are not
 * looked at, so that nothing needs the real kernel.  A pageslab is advised huge, small or nothing;
 * one that is huge is backed as a whole when its first page is, or by and by (kernel_by_and_by), as
 * are all that are not small when kernel.thp_always.
 *
 * Calls fail at random, by kernel.percent; where that is less than 100 a purge may fail in part.
 * In each call kernel.during is called back, before anything has happened and again afterwards:
 * there a test is "another thread".  It is told, too, when a call is about to fail.
 */
#ifndef TEST_HARNESS_FAKE_KERNEL_H
#define TEST_HARNESS_FAKE_KERNEL_H

#include <sys/mman.h>

#include "harness/test.h"
#include "page/hpa_central.h"
#include "page/hpdata.h"

#define KERNEL_SLABS 48
#define KERNEL_NO_SLAB KERNEL_SLABS

enum kernel_call {
	CALL_MAP,
	CALL_UNMAP,
	CALL_PURGE,
	CALL_HUGIFY,
	CALL_COLLAPSE,
	CALL_DEHUGIFY,
	CALL_COUNT
};

enum kernel_moment { BEFORE, REFUSED, PARTLY_REFUSED, AFTER };

struct kernel_slab {
	bool is_mapped;
	enum hpa_advice advice;
	bool was_huge; /* once: what is backed is not known to the allocator any more */
	bool was_kept_small;      /* by dehugify, since it was last made huge */
	bool was_purged_huge;     /* and the kernel may have backed it again, unasked */
	bool is_dehugify_refused; /* so it may be purged huge */
	bool is_purge_failed;     /* the latest */
	uint64_t active[BITMAP_WORDS(HPDATA_PAGES_MAX)]; /* what the test has got */
	uint64_t backed[BITMAP_WORDS(HPDATA_PAGES_MAX)];
};

static struct {
	char *first; /* KERNEL_SLABS huge pages */
	struct kernel_slab slabs[KERNEL_SLABS];
	uint64_t now_ns;
	uint64_t seed;
	unsigned percent[CALL_COUNT]; /* how often each call fails */
	size_t largest_map;           /* bytes; 0: any */
	bool thp_always;
	bool takes_unbacked; /* what is purged need not be backed */
	bool begins_huge;    /* pageslabs count as huge from the start */
	bool wants_dehugify; /* before what is huge and not empty is purged */
	uint64_t n_calls[CALL_COUNT], n_failed[CALL_COUNT];
	/* Calls that are being made now, one within the other. */
	unsigned n_inside[CALL_COUNT];
	uint64_t n_ranges, n_pages_purged;
	/* slab: the first that it is about, or KERNEL_NO_SLAB. */
	void (*during)(enum kernel_call call, unsigned slab, enum kernel_moment moment);
} kernel;

static uint64_t
kernel_below(uint64_t n)
{
	return test_random_below(&kernel.seed, n);
}

static unsigned
kernel_slab_of(uintptr_t addr)
{
	REQUIRE(addr >= (uintptr_t)kernel.first);
	const size_t slab = (addr - (uintptr_t)kernel.first) / OS_HUGEPAGE;
	REQUIRE(slab < KERNEL_SLABS);
	return (unsigned)slab;
}

static unsigned
kernel_page_of(uintptr_t addr)
{
	REQUIRE(addr % os_page_size == 0);
	return (unsigned)(addr % OS_HUGEPAGE / os_page_size);
}

static uintptr_t
kernel_addr(unsigned slab, unsigned page)
{
	return (uintptr_t)kernel.first + slab * OS_HUGEPAGE + page * os_page_size;
}

#define KERNEL_WORDS 3

/* The i-th of the words of a page that are looked at: the first, the last, one between. */
static uint64_t *
kernel_word(uintptr_t page, unsigned i)
{
	const size_t n = os_page_size / sizeof(uint64_t);
	const size_t at[KERNEL_WORDS] = { 0, n - 1,
		page / os_page_size * 2654435761u % (n - 2) + 1 };

	return (uint64_t *)page + at[i];
}

static void
kernel_clear(unsigned slab, unsigned page)
{
	bitmap_clear(kernel.slabs[slab].backed, page);
	for (unsigned i = 0; i < KERNEL_WORDS; i++)
		*kernel_word(kernel_addr(slab, page), i) = 0;
}

static void
kernel_tell(enum kernel_call call, unsigned slab, enum kernel_moment moment)
{
	if (kernel.during != NULL)
		kernel.during(call, slab, moment);
}

/* Does a call that takes its time happen now?  *n_inside is the caller's to count down. */
static bool
kernel_enter(enum kernel_call call, unsigned slab)
{
	REQUIRE(mutex_none_held());
	kernel.n_calls[call]++;
	kernel.n_inside[call]++;
	kernel_tell(call, slab, BEFORE);
	const bool fails = kernel_below(100) < kernel.percent[call];
	kernel.n_failed[call] += fails;
	if (fails)
		kernel_tell(call, slab, REFUSED);
	return !fails;
}

static void
kernel_leave(enum kernel_call call, unsigned slab)
{
	kernel_tell(call, slab, AFTER);
	kernel.n_inside[call]--;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static bool
kernel_is_free(unsigned slab, size_t n)
{
	for (size_t i = slab; i < slab + n; i++)
		if (i >= KERNEL_SLABS || kernel.slabs[i].is_mapped)
			return false;
	return true;
}

static void *
kernel_map(size_t size)
{
	const size_t n = size / OS_HUGEPAGE;
	void *addr = NULL;

	REQUIRE(size != 0 && size % OS_HUGEPAGE == 0);
	if (kernel.largest_map != 0 && size > kernel.largest_map)
		return NULL;
	if (kernel_enter(CALL_MAP, KERNEL_NO_SLAB)) {
		for (unsigned slab = 0; slab < KERNEL_SLABS && addr == NULL; slab++) {
			if (!kernel_is_free(slab, n))
				continue;
			for (size_t i = slab; i < slab + n; i++)
				kernel.slabs[i] = (struct kernel_slab){ .is_mapped = true,
					.was_huge = kernel.begins_huge };
			addr = (void *)kernel_addr(slab, 0);
		}
		kernel.n_failed[CALL_MAP] += addr == NULL;
	}
	kernel_leave(CALL_MAP, KERNEL_NO_SLAB);
	return addr;
}

static void
kernel_unmap_slab(unsigned slab)
{
	struct kernel_slab *s = &kernel.slabs[slab];

	REQUIRE(s->is_mapped);
	REQUIRE(bitmap_is_empty(s->active, hpdata_pages()));
	for (unsigned page = 0; page < hpdata_pages(); page++)
		if (bitmap_get(s->backed, page))
			kernel_clear(slab, page);
	s->is_mapped = false;
}

static bool
kernel_unmap(void *addr, size_t size)
{
	const unsigned slab = kernel_slab_of((uintptr_t)addr);
	const bool happens = kernel_enter(CALL_UNMAP, slab);

	REQUIRE((uintptr_t)addr % OS_HUGEPAGE == 0 && size % OS_HUGEPAGE == 0);
	for (size_t i = 0; happens && i < size / OS_HUGEPAGE; i++)
		kernel_unmap_slab(slab + (unsigned)i);
	kernel_leave(CALL_UNMAP, slab);
	return happens;
}

static bool
kernel_makes_huge(unsigned slab)
{
	const enum hpa_advice advice = kernel.slabs[slab].advice;

	return advice == HPA_HUGE || (kernel.thp_always && advice != HPA_SMALL);
}

static void
kernel_purge_range(uintptr_t addr, size_t size)
{
	const unsigned slab = kernel_slab_of(addr), first = kernel_page_of(addr);
	struct kernel_slab *s = &kernel.slabs[slab];
	const unsigned end = first + (unsigned)(size / os_page_size);

	REQUIRE(s->is_mapped && size != 0 && size % os_page_size == 0);
	REQUIRE(end <= hpdata_pages());
	/* Nothing that is in use, and something that is backed. */
	REQUIRE(bitmap_count_range(s->active, first, end) == 0);
	REQUIRE(bitmap_count_range(s->backed, first, end) != 0 || s->was_huge
	    || kernel.takes_unbacked);
	s->was_purged_huge |= kernel_makes_huge(slab);
	if (kernel.wants_dehugify && s->advice == HPA_HUGE
	    && !bitmap_is_empty(s->active, hpdata_pages()))
		REQUIRE(s->is_dehugify_refused);
	for (unsigned page = first; page < end; page++)
		if (bitmap_get(s->backed, page)) {
			kernel_clear(slab, page);
			kernel.n_pages_purged++;
		}
	s->is_purge_failed = false;
	kernel.n_ranges++;
}

static unsigned
kernel_purge(const struct iovec *ranges, unsigned n)
{
	const unsigned slab = kernel_slab_of((uintptr_t)ranges[0].iov_base);
	unsigned n_done = 0;

	REQUIRE(n != 0);
	if (kernel_enter(CALL_PURGE, slab))
		n_done = n;
	else if (kernel.percent[CALL_PURGE] < 100 && kernel_below(2) == 0)
		n_done = (unsigned)kernel_below(n);
	if (n_done != 0 && n_done != n)
		kernel_tell(CALL_PURGE, slab, PARTLY_REFUSED);
	for (unsigned i = 0; i < n_done; i++)
		kernel_purge_range((uintptr_t)ranges[i].iov_base, ranges[i].iov_len);
	if (n_done != n)
		kernel.slabs[kernel_slab_of((uintptr_t)ranges[n_done].iov_base)]
		    .is_purge_failed = true;
	kernel_leave(CALL_PURGE, slab);
	return n_done;
}

static void
kernel_advise(unsigned slab, size_t size, enum hpa_advice advice)
{
	REQUIRE(size != 0 && size % OS_HUGEPAGE == 0);
	for (size_t i = slab; i < slab + size / OS_HUGEPAGE; i++) {
		REQUIRE(i < KERNEL_SLABS && kernel.slabs[i].is_mapped);
		kernel.slabs[i].advice = advice;
		kernel.slabs[i].was_huge |= advice == HPA_HUGE;
		kernel.slabs[i].was_kept_small = advice == HPA_SMALL;
		kernel.slabs[i].is_dehugify_refused = false;
	}
}

static bool
kernel_hugify(void *addr, size_t size)
{
	const unsigned slab = kernel_slab_of((uintptr_t)addr);
	const bool happens = kernel_enter(CALL_HUGIFY, slab);

	if (happens)
		kernel_advise(slab, size, HPA_HUGE);
	kernel_leave(CALL_HUGIFY, slab);
	return happens;
}

/* Becomes one huge page. */
static void
kernel_back_all(unsigned slab)
{
	kernel.slabs[slab].was_huge = true;
	bitmap_set_all(kernel.slabs[slab].backed, hpdata_pages());
}

static bool
kernel_collapse(void *addr, size_t size)
{
	const unsigned slab = kernel_slab_of((uintptr_t)addr);
	const bool happens = kernel_enter(CALL_COLLAPSE, slab);

	REQUIRE(kernel.slabs[slab].is_mapped && size == OS_HUGEPAGE);
	if (happens)
		kernel_back_all(slab);
	kernel_leave(CALL_COLLAPSE, slab);
	return happens;
}

static bool
kernel_dehugify(void *addr, size_t size)
{
	const unsigned slab = kernel_slab_of((uintptr_t)addr);
	const bool happens = kernel_enter(CALL_DEHUGIFY, slab);

	if (happens)
		kernel_advise(slab, size, HPA_SMALL);
	else
		kernel.slabs[slab].is_dehugify_refused = true;
	kernel_leave(CALL_DEHUGIFY, slab);
	return happens;
}

static uint64_t
kernel_now_ns(void)
{
	return kernel.now_ns;
}

/* Huge pages are always at hand. */
static uint64_t
kernel_back(void *addr)
{
	(void)addr;
	return 0;
}

static TEST_UNUSED const struct hpa_system kernel_system = {
	.back = kernel_back,
	.map = kernel_map,
	.unmap = kernel_unmap,
	.purge = kernel_purge,
	.hugify = kernel_hugify,
	.collapse = kernel_collapse,
	.dehugify = kernel_dehugify,
	.now_ns = kernel_now_ns,
};

/* ---- what programs and the kernel do by themselves ------------------------------------------- */

/* The program writes to pages. */
static TEST_UNUSED void
kernel_touch(uintptr_t addr, size_t size)
{
	const unsigned slab = kernel_slab_of(addr), page = kernel_page_of(addr);
	struct kernel_slab *s = &kernel.slabs[slab];

	if (kernel_makes_huge(slab) && bitmap_is_empty(s->backed, hpdata_pages()))
		kernel_back_all(slab);
	bitmap_set_range(s->backed, page, page + size / os_page_size);
}

/* Some pageslab that may be made huge is, whatever it holds. */
static TEST_UNUSED void
kernel_by_and_by(void)
{
	const unsigned slab = (unsigned)kernel_below(KERNEL_SLABS);
	const struct kernel_slab *s = &kernel.slabs[slab];

	if (s->is_mapped && kernel_makes_huge(slab)
	    && !bitmap_is_empty(s->backed, hpdata_pages()))
		kernel_back_all(slab);
}

static TEST_UNUSED void
kernel_fails(unsigned percent)
{
	for (unsigned call = 0; call < CALL_COUNT; call++)
		kernel.percent[call] = percent;
}

/* Nothing may be in use. */
static TEST_UNUSED void
kernel_reset(uint64_t seed)
{
	if (kernel.first == NULL) {
		const size_t size = (KERNEL_SLABS + 1) * OS_HUGEPAGE;
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		REQUIRE(p != MAP_FAILED);
		(void)madvise(p, size, MADV_NOHUGEPAGE);
		kernel.first = (char *)align_up((uintptr_t)p, OS_HUGEPAGE);
	}
	for (unsigned slab = 0; slab < KERNEL_SLABS; slab++)
		if (kernel.slabs[slab].is_mapped)
			kernel_unmap_slab(slab);
	char *first = kernel.first;
	memset(&kernel, 0, sizeof(kernel));
	kernel.first = first;
	kernel.seed = seed;
	kernel.now_ns = 1 + kernel_below(1000000000);
}

#endif
