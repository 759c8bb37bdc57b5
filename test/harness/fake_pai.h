/* SPDX-License-Identifier: MIT */
/*
 * fake_pai -- a page allocator to put behind a cache: address space without memory, first fit, and
 * a look at everything that is given and taken.
 *
 * Every page says whose it is, so what is handed out twice, or taken back twice, ends the test.
 */
#ifndef TEST_HARNESS_FAKE_PAI_H
#define TEST_HARNESS_FAKE_PAI_H

#include <pthread.h>
#include <sys/mman.h>

#include "extent/edata_pool.h"
#include "extent/emap.h"
#include "harness/test.h"
#include "os/pages.h"
#include "page/pai.h"

#define FAKE_PAGES 4096
#define FAKE_TIME_NS UINT64_C(3600000000000) /* an hour until there is work */
#define FAKE_ARENA 4001                      /* no arena has this index */

struct fake_pai {
	struct pai pai; /* first */
	pthread_mutex_t lock;
	struct base *base;
	struct edata_pool pool;
	uintptr_t first;
	bool is_out[FAKE_PAGES];
	unsigned n_out; /* pages */
	/* What it was asked for. */
	unsigned n_allocs, n_batches, n_deallocs, n_dealloc_batches, n_works, n_resizes;
	unsigned last_asked; /* extents, in the last batch */
	unsigned last_taken; /* ... given back in the last batch */
	uintptr_t last_taken_addr[64];
	enum purge_extent last_work;
	/* What it is to do. */
	unsigned grant;        /* extents of a batch at most */
	unsigned fail_percent; /* of the calls find no memory */
	uint64_t seed;
	void (*inside)(void); /* called in each alloc_batch, with no lock held */
};

static struct fake_pai *
fake_of(struct pai *pai)
{
	return CONTAINER_OF(pai, struct fake_pai, pai);
}

static unsigned
fake_find_locked(const struct fake_pai *fake, unsigned n)
{
	unsigned run = 0;

	for (unsigned i = 0; i < FAKE_PAGES; i++) {
		run = fake->is_out[i] ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return FAKE_PAGES;
}

static struct edata *
fake_make_locked(struct fake_pai *fake, const struct page_request *request)
{
	const unsigned n = (unsigned)(request->size / os_page_size);
	const unsigned page = fake_find_locked(fake, n);

	if (page == FAKE_PAGES
	    || test_random_below(&fake->seed, 100) < fake->fail_percent)
		return NULL;
	struct edata *e = edata_pool_get(&fake->pool, FAKE_ARENA);
	REQUIRE(e != NULL);
	e->addr = fake->first + page * os_page_size;
	e->size = request->size;
	e->state = EXTENT_ACTIVE;
	e->committed = true;
	e->hpa = true;
	e->use = (uint8_t)request->use;
	e->szind = request->szind;
	REQUIRE(emap_is_free(e) && emap_register(e));
	if (use_has_regions(request->use)) {
		REQUIRE(rtree_cover(e->addr, edata_end(e)));
		emap_register_interior(e);
	}
	memset(&fake->is_out[page], 1, n);
	fake->n_out += n;
	return e;
}

static void
fake_take_locked(struct fake_pai *fake, struct edata *e)
{
	const unsigned n = (unsigned)(e->size / os_page_size);
	const unsigned page = (unsigned)((e->addr - fake->first) / os_page_size);

	REQUIRE(e->addr >= fake->first && page + n <= FAKE_PAGES && n != 0);
	for (unsigned i = page; i < page + n; i++) {
		REQUIRE(fake->is_out[i]);
		fake->is_out[i] = false;
	}
	fake->n_out -= n;
	/* As pai.h has it. */
	CHECK(load_relaxed(&e->owner) == NULL);
	CHECK(e->state == EXTENT_ACTIVE
	    || (e->state == EXTENT_MERGING && e->use == USE_NONE));
	if (use_has_regions((enum extent_use)e->use))
		emap_deregister_interior(e);
	emap_deregister(e);
	for (uintptr_t a = e->addr; a < edata_end(e); a += GRANULE)
		CHECK(emap_lookup_any((void *)a) == NULL);
	edata_pool_put(&fake->pool, e);
}

static struct edata *
fake_alloc(struct pai *self, const struct page_request *request, bool *deferred)
{
	struct fake_pai *fake = fake_of(self);

	(void)deferred;
	CHECK(mutex_none_held());
	pthread_mutex_lock(&fake->lock);
	fake->n_allocs++;
	struct edata *e = fake_make_locked(fake, request);
	pthread_mutex_unlock(&fake->lock);
	return e;
}

static unsigned
fake_alloc_batch(struct pai *self, const struct page_request *request, unsigned n,
    struct list *extents, bool *deferred)
{
	struct fake_pai *fake = fake_of(self);
	unsigned got = 0;

	(void)deferred;
	CHECK(mutex_none_held());
	if (fake->inside != NULL)
		fake->inside();
	pthread_mutex_lock(&fake->lock);
	fake->n_batches++;
	fake->last_asked = n;
	for (; got < n && got < fake->grant; got++) {
		struct edata *e = fake_make_locked(fake, request);
		if (e == NULL)
			break;
		list_push_back(extents, &e->link);
	}
	pthread_mutex_unlock(&fake->lock);
	return got;
}

static bool
fake_resize(struct pai *self, struct edata *e, size_t new_size, bool zero, bool *deferred)
{
	(void)e, (void)new_size, (void)zero, (void)deferred;
	fake_of(self)->n_resizes++;
	return false;
}

static bool
fake_shrink(struct pai *self, struct edata *e, size_t new_size, bool *deferred)
{
	return fake_resize(self, e, new_size, false, deferred);
}

static void
fake_dalloc(struct pai *self, struct edata *e, bool *deferred)
{
	struct fake_pai *fake = fake_of(self);

	*deferred = true;
	CHECK(mutex_none_held());
	pthread_mutex_lock(&fake->lock);
	fake->n_deallocs++;
	fake_take_locked(fake, e);
	pthread_mutex_unlock(&fake->lock);
}

static void
fake_dalloc_batch(struct pai *self, struct list *extents, bool *deferred)
{
	struct fake_pai *fake = fake_of(self);
	struct list *l;

	*deferred = true;
	CHECK(mutex_none_held());
	pthread_mutex_lock(&fake->lock);
	fake->n_dealloc_batches++;
	fake->last_taken = 0;
	while ((l = list_pop_front(extents)) != NULL) {
		struct edata *e = LIST_ENTRY(l, struct edata, link);
		if (fake->last_taken < 64)
			fake->last_taken_addr[fake->last_taken] = e->addr;
		fake->last_taken++;
		fake_take_locked(fake, e);
	}
	pthread_mutex_unlock(&fake->lock);
}

static uint64_t
fake_time(struct pai *self)
{
	(void)self;
	return FAKE_TIME_NS;
}

static void
fake_work(struct pai *self, enum purge_extent how)
{
	struct fake_pai *fake = fake_of(self);

	pthread_mutex_lock(&fake->lock);
	fake->n_works++;
	fake->last_work = how;
	pthread_mutex_unlock(&fake->lock);
}

/* Nothing is out; each call begins anew. */
static TEST_UNUSED struct pai *
fake_open(struct fake_pai *fake)
{
	static uintptr_t place;

	if (place == 0) {
		void *p = mmap(NULL, (FAKE_PAGES + 1) * os_page_size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		REQUIRE(p != MAP_FAILED);
		place = align_up((uintptr_t)p, os_page_size);
	}
	memset(fake, 0, sizeof *fake);
	fake->pai = (struct pai){ .alloc = fake_alloc,
		.alloc_batch = fake_alloc_batch,
		.expand = fake_resize,
		.shrink = fake_shrink,
		.dalloc = fake_dalloc,
		.dalloc_batch = fake_dalloc_batch,
		.time_until_deferred_work = fake_time,
		.work = fake_work };
	pthread_mutex_init(&fake->lock, NULL);
	fake->base = base_new(base_map_system, base_unmap_system, NULL);
	REQUIRE(fake->base != NULL);
	edata_pool_init(&fake->pool, fake->base);
	fake->first = place;
	fake->grant = UINT32_MAX;
	return &fake->pai;
}

#endif
