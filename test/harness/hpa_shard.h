/* SPDX-License-Identifier: MIT */
/*
 * hpa_shard -- a huge page allocator of a test's own, with a kernel that counts what it is asked
 * for, and a clock that stands still.
 */
#ifndef TEST_HARNESS_HPA_SHARD_H
#define TEST_HARNESS_HPA_SHARD_H

#include <string.h>

#include "config/options.h"
#include "extent/emap.h"
#include "page/hpa.h"
#include "page/limit.h"
#include "harness/test.h"

/* ---- a kernel that counts, and a clock that stands still ---------------------------------- */

#define MS ((uint64_t)1000 * 1000)
#define SECOND (1000 * MS)

static struct {
	uint64_t now_ns;
	uint64_t back_ns; /* for a huge page */
	unsigned n_maps, n_unmaps, n_purges, n_hugifies, n_collapses, n_dehugifies;
	size_t map_max;     /* more is refused, */
	unsigned n_refused; /* so often */
	bool refuses_purge, refuses_hugify, refuses_collapse, refuses_dehugify;
	void (*in_purge)(void), (*in_dehugify)(void);
} kernel;

static void *
fake_map(size_t size)
{
	if (size > kernel.map_max) {
		kernel.n_refused++;
		return NULL;
	}
	kernel.n_maps++;
	return hpa_system_real.map(size);
}

static bool
fake_unmap(void *addr, size_t size)
{
	kernel.n_unmaps++;
	return hpa_system_real.unmap(addr, size);
}

static unsigned
fake_purge(const struct iovec *ranges, unsigned n)
{
	if (kernel.refuses_purge)
		return 0;
	kernel.n_purges++;
	if (kernel.in_purge != NULL)
		kernel.in_purge();
	return hpa_system_real.purge(ranges, n);
}

static bool
fake_hugify(void *addr, size_t size)
{
	CHECK((uintptr_t)addr % OS_HUGEPAGE == 0 && size % OS_HUGEPAGE == 0);
	kernel.n_hugifies += !kernel.refuses_hugify;
	return !kernel.refuses_hugify;
}

static bool
fake_collapse(void *addr, size_t size)
{
	(void)addr, (void)size;
	kernel.n_collapses++;
	return !kernel.refuses_collapse;
}

static bool
fake_dehugify(void *addr, size_t size)
{
	(void)addr, (void)size;
	kernel.n_dehugifies++;
	if (kernel.in_dehugify != NULL)
		kernel.in_dehugify();
	return !kernel.refuses_dehugify;
}

static uint64_t
fake_now(void)
{
	return kernel.now_ns;
}

static uint64_t
fake_back(void *addr)
{
	(void)addr;
	return kernel.back_ns;
}

static const struct hpa_system system_fake = { fake_map, fake_unmap, fake_purge,
	fake_hugify, fake_collapse, fake_dehugify, fake_back, fake_now };

/* ---- a shard of its own ---------------------------------------------------------------------- */

#define ARENA 4000 /* no arena has this index */
#define EXTENTS 4096

static struct {
	struct base *base;
	struct edata_pool pool;
	struct hpa_central central;
	struct hpa hpa;
	struct edata *extents[EXTENTS];
	unsigned n;
} own;

static const struct hpa_options plain = {
	.slab_max_alloc = 16 << CONFIG_LG_PAGE,
	.hugification_threshold = OS_HUGEPAGE * 95 / 100,
	.purge_threshold = 1,
	.hugify_delay_ns = 10 * SECOND,
	.min_purge_interval_ns = 5 * SECOND,
	.dirty_mult = RATIO_ONE / 4,
	.max_purge_pageslabs = -1,
	.style = HPA_STYLE_LAZY,
};

static TEST_UNUSED struct hpa *
begin(const struct hpa_options *options, ssize_t decay_ms)
{
	memset(&own, 0, sizeof own);
	memset(&kernel, 0, sizeof kernel);
	kernel.now_ns = 1000 * SECOND;
	kernel.map_max = SIZE_MAX;
	own.base = base_new(base_map_system, base_unmap_system, NULL);
	REQUIRE(own.base != NULL);
	edata_pool_init(&own.pool, own.base);
	hpa_central_init(&own.central, &system_fake);
	hpa_init(&own.hpa, ARENA, own.base, &own.pool, &own.central, options, decay_ms);
	return &own.hpa;
}

static TEST_UNUSED struct edata *
alloc(size_t pages, bool zero)
{
	const struct page_request request = { .size = pages * os_page_size,
		.alignment = os_page_size,
		.use = USE_LARGE,
		.zero = zero };
	bool deferred = false;
	struct edata *e = own.hpa.pai.alloc(&own.hpa.pai, &request, &deferred);

	if (e != NULL) {
		REQUIRE(own.n < EXTENTS);
		own.extents[own.n++] = e;
		CHECK(emap_lookup(edata_base(e)) == e);
	}
	CHECK_EQ(deferred,
	    own.hpa.pai.time_until_deferred_work(&own.hpa.pai) != DEFERRED_NEVER);
	return e;
}

static TEST_UNUSED void
dalloc_from(unsigned first)
{
	bool deferred = false;

	while (own.n > first) {
		struct edata *e = own.extents[--own.n];
		void *p = edata_base(e);
		own.hpa.pai.dalloc(&own.hpa.pai, e, &deferred);
		CHECK(emap_lookup_any(p) == NULL);
	}
}

/* n pageslabs without a free page, in extents of eight. */
static TEST_UNUSED unsigned
fill(unsigned n)
{
	const unsigned first = own.n;

	for (unsigned i = 0; i < n * hpdata_pages() / 8; i++)
		REQUIRE(alloc(8, false) != NULL);
	return first;
}

static TEST_UNUSED void
work(void)
{
	own.hpa.pai.work(&own.hpa.pai, PURGE_BY_CURVE);
	hpa_check(&own.hpa);
}

static TEST_UNUSED uint64_t
time_until(void)
{
	return own.hpa.pai.time_until_deferred_work(&own.hpa.pai);
}

static TEST_UNUSED size_t
dirty(void)
{
	return hpa_count_pages(&own.hpa).dirty;
}

static TEST_UNUSED void
end(void)
{
	dalloc_from(0);
	hpa_check(&own.hpa);
	CHECK_EQ(hpa_count_pages(&own.hpa).active, 0);
	const size_t n = psset_pageslabs(&own.hpa.set);
	kernel.n_unmaps = 0;
	hpa_destroy(&own.hpa);
	CHECK_EQ(kernel.n_unmaps + own.central.n_kept, n);
	/* What a fork froze is nobody's. */
	if (own.hpa.epoch == 0)
		CHECK_EQ(load_relaxed(&own.central.mapped),
		    own.central.end - own.central.next
			+ own.central.n_kept * OS_HUGEPAGE);
	CHECK_EQ(limit_used(), 0);
	CHECK_EQ(own.pool.n_free, load_relaxed(&own.pool.n_all));
}

#endif
