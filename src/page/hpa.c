/* SPDX-License-Identifier: MIT */
#include "page/hpa.h"

#include <string.h>

#include "config/options.h"
#include "extent/emap.h"
#include "os/os.h"
#include "page/limit.h"
#include "sync/fork.h"

/* A destroyed arena's records are recycled through its base. */
static_assert(sizeof(struct hpdata) <= BASE_RECYCLE_MAX, "base_free takes one");

static inline struct hpa *
hpa_of(struct pai *pai)
{
	return CONTAINER_OF(pai, struct hpa, pai);
}

static uint64_t
now_ns(const struct hpa *hpa)
{
	return hpa->central->system->now_ns();
}

/* ---- options -------------------------------------------------------------------------------- */

static uint64_t
ns_of_ms(uint64_t ms)
{
	return ms > UINT64_MAX / 1000000 ? UINT64_MAX : ms * 1000000;
}

/* ORDER CHOICES: the words of hpa_hugify_style. */
enum { STYLE_AUTO, STYLE_NONE, STYLE_EAGER };

static int
style_of_process(void)
{
	switch (opt.hpa_hugify_style) {
	case STYLE_AUTO:
		return os_thp() == OS_THP_MADVISE ? HPA_STYLE_LAZY : HPA_STYLE_NONE;
	case STYLE_NONE: return HPA_STYLE_NONE;
	case STYLE_EAGER: return HPA_STYLE_EAGER;
	default: return HPA_STYLE_LAZY;
	}
}

void
hpa_options_of_process(struct hpa_options *options)
{
	*options = (struct hpa_options){
		.slab_max_alloc = opt.hpa_slab_max_alloc,
		.hugification_threshold = opt.hpa_hugification_threshold,
		.purge_threshold = opt.hpa_purge_threshold,
		.hugify_delay_ns = ns_of_ms(opt.hpa_hugify_delay_ms),
		.min_purge_interval_ns = ns_of_ms(opt.hpa_min_purge_interval_ms),
		.min_purge_delay_ns = ns_of_ms(opt.hpa_min_purge_delay_ms),
		.dirty_mult =
		    opt.hpa_dirty_mult == RATIO_NEVER ? -1 : (int64_t)opt.hpa_dirty_mult,
		.max_purge_pageslabs = opt.experimental_hpa_max_purge_nhp,
		.style = style_of_process(),
		.grows_huge = opt.hpa_start_huge_from != 0,
		.hugify_sync = opt.hpa_hugify_sync,
		.start_huge = os_thp() == OS_THP_ALWAYS
		    && opt.experimental_hpa_start_huge_if_thp_always,
		.enforce_hugify = opt.experimental_hpa_enforce_hugify,
	};
}

enum hpa_advice
hpa_advice(const struct hpa_options *options)
{
	if (options->style == HPA_STYLE_EAGER)
		return HPA_HUGE;
	if (options->style == HPA_STYLE_LAZY && os_thp() == OS_THP_ALWAYS
	    && !options->start_huge)
		return HPA_SMALL;
	return HPA_PLAIN;
}

bool
hpa_serves(const struct hpa *hpa, const struct page_request *request)
{
	if (request->guarded || request->alignment > os_page_size)
		return false;
	return request->size <= hpa->options.slab_max_alloc
	    || (use_has_regions(request->use) && request->size <= OS_HUGEPAGE);
}

/* ---- from pageslabs to extents -------------------------------------------------------------- */

/* What becomes of one request. */
struct taking {
	size_t size;
	unsigned n;           /* how many extents are wanted */
	unsigned got;         /* how many there are, */
	unsigned n_pageslabs; /* from so many pageslabs, */
	size_t n_fresh;       /* with so many pages that were never touched */
	struct list records;  /* unused ones */
	struct list *extents;
};

static void
describe(struct edata *e, struct hpdata *ps, unsigned page, size_t size)
{
	e->addr = ps->addr + page * os_page_size;
	e->size = size;
	e->pageslab = ps;
	e->hpa = true;
	e->committed = true;
	/* No merge crosses into it, nor out of it. */
	e->is_head = e->is_tail = true;
	e->state = EXTENT_ACTIVE;
}

/* As many as it has room for, and are wanted. */
static void
take_from_locked(struct hpa *hpa, struct hpdata *ps, struct taking *t, uint64_t now)
{
	const unsigned n_pages = (unsigned)(t->size / os_page_size);
	const size_t fresh_before = t->n_fresh;
	unsigned k = 0, n_fresh;

	psset_update_begin(&hpa->set, ps);
	/* What is dirty in it may be wanted again. */
	ps->decay_since_ns = now;
	for (; t->got < t->n && ps->longest_free >= n_pages; t->got++, k++) {
		const unsigned page = hpdata_reserve(ps, n_pages, &n_fresh);
		struct edata *e =
		    LIST_ENTRY(list_pop_front(&t->records), struct edata, link);
		describe(e, ps, page, t->size);
		e->zeroed = n_fresh == n_pages;
		t->n_fresh += n_fresh;
		list_push_back(t->extents, &e->link);
	}
	hpa_judge_locked(hpa, ps, now);
	psset_update_end(&hpa->set, ps);
	hpa_note_fresh_locked(hpa, t->n_fresh - fresh_before, now);
	t->n_pageslabs++;
	hpa->stats.alloc[k].pages_per_ps += k * n_pages;
	hpa->stats.alloc[k].extents_per_ps++;
	hpa->stats.alloc[k].total_elapsed_ns_per_ps += now_ns(hpa) - now;
}

static void
take_locked(struct hpa *hpa, struct taking *t)
{
	const unsigned n_pages = (unsigned)(t->size / os_page_size);
	struct hpdata *ps;

	assert(mutex_is_held(&hpa->lock));
	while (t->got < t->n && (ps = psset_pick_alloc(&hpa->set, n_pages)) != NULL)
		take_from_locked(hpa, ps, t, now_ns(hpa));
}

static void
count_request_locked(struct hpa *hpa, const struct taking *t)
{
	/* One at least is always asked for. */
	hpa->stats.alloc[1].min_extents++;
	hpa->stats.alloc[t->n].max_extents++;
	hpa->stats.alloc[t->got].extents++;
	hpa->stats.alloc[t->n_pageslabs].ps++;
}

static void
take(struct hpa *hpa, struct taking *t)
{
	mutex_lock(&hpa->lock);
	take_locked(hpa, t);
	hpa_publish_locked(hpa, now_ns(hpa));
	if (t->got != 0)
		count_request_locked(hpa, t);
	mutex_unlock(&hpa->lock);
}

static bool
starts_huge(const struct hpa *hpa)
{
	return hpa->options.style == HPA_STYLE_EAGER || hpa->options.start_huge;
}

/* A heap as large as this is used for long enough to wait for its huge pages. */
#define PATIENT_FROM ((size_t)512 << 20)

static bool
begins_small(struct hpa *hpa)
{
	/* Relaxed: a hint. */
	return load_relaxed(&hpa->n_pageslabs) < PATIENT_FROM / OS_HUGEPAGE
	    && hpa_central_begins_small(hpa->central);
}

/* Is a fresh pageslab asked to be huge?  Near a limit what is not used yet is not little. */
static bool
grows_huge(struct hpa *hpa)
{
	return hpa->options.grows_huge && hpa->options.style == HPA_STYLE_LAZY
	    && !starts_huge(hpa) && !limit_is_pressed()
	    && !limit_exceeds(LIMIT_SOFT, OS_HUGEPAGE)
	    && !limit_exceeds(LIMIT_HARD, OS_HUGEPAGE) && !begins_small(hpa);
}

/* A pageslab in the making. */
struct fresh {
	struct hpdata *ps; /* NULL once it is in use */
	bool is_huge;      /* then it is charged for */
	bool is_asked;     /* by advice of its own */
};

static void
discharge(struct hpa *hpa, size_t bytes)
{
	if (bytes != 0)
		limit_discharge(hpa->arena_index, bytes);
}

static bool
fresh_begin(struct hpa *hpa, struct fresh *fresh)
{
	fresh->is_asked = grows_huge(hpa);
	fresh->is_huge = starts_huge(hpa) || fresh->is_asked;
	/* A small one serves as well, so nobody is told that a limit is in the way. */
	if (fresh->is_asked && !limit_charge_quietly(hpa->arena_index, OS_HUGEPAGE))
		fresh->is_huge = fresh->is_asked = false;
	else if (fresh->is_huge && !fresh->is_asked
	    && !limit_charge(hpa->arena_index, OS_HUGEPAGE))
		return false;
	fresh->ps = base_alloc(hpa->base, sizeof *fresh->ps, CACHE_LINE);
	if (fresh->ps != NULL)
		return true;
	discharge(hpa, fresh->is_huge ? OS_HUGEPAGE : 0);
	return false;
}

static void
fresh_end(struct hpa *hpa, struct fresh *fresh)
{
	if (fresh->ps == NULL)
		return;
	discharge(hpa, fresh->is_huge ? OS_HUGEPAGE : 0);
	base_free(hpa->base, fresh->ps, sizeof *fresh->ps);
}

void
hpa_splits_mapping(struct hpa *hpa, struct hpdata *ps, bool splits)
{
	/* Relaxed: a counter. */
	if (splits && !ps->splits_mapping)
		fetch_add_relaxed(&hpa->central->n_small, 1);
	if (!splits && ps->splits_mapping)
		fetch_sub_relaxed(&hpa->central->n_small, 1);
	ps->splits_mapping = splits;
}

static void
fresh_add_locked(struct hpa *hpa, struct fresh *fresh, uintptr_t addr)
{
	struct hpdata *ps = fresh->ps;

	fresh->ps = NULL;
	hpdata_init(ps, addr, hpa->next_age++);
	ps->epoch = hpa->epoch;
	ps->is_huge = fresh->is_huge;
	if (ps->is_huge)
		(void)hpdata_touch_all(ps);
	else if (hpa->options.grows_huge)
		hpa_splits_mapping(hpa, ps, true);
	hpa->stats.n_hugifies += fresh->is_asked && ps->is_huge;
	hpa->stats.n_hugify_failures += fresh->is_asked && !ps->is_huge;
	psset_insert(&hpa->set, ps);
	list_push_back(&hpa->all, &ps->all_link);
}

/* With no lock held. */
static void
fresh_advise(struct hpa *hpa, struct fresh *fresh, uintptr_t addr)
{
	const struct hpa_system *system = hpa->central->system;

	fresh->is_huge = system->hugify((void *)addr, OS_HUGEPAGE);
	if (fresh->is_huge)
		hpa_central_backed(hpa->central, system->back((void *)addr));
	else
		discharge(hpa, OS_HUGEPAGE);
}

/* One more pageslab, if nobody else has made room meanwhile. */
static void
take_from_fresh(struct hpa *hpa, struct taking *t, struct fresh *fresh)
{
	mutex_lock(&hpa->grow_lock);
	take(hpa, t);
	const uintptr_t addr = t->got == 0 ? hpa_central_take(hpa->central) : 0;
	if (addr != 0 && fresh->is_asked) {
		mutex_unlock(&hpa->grow_lock);
		fresh_advise(hpa, fresh, addr);
		mutex_lock(&hpa->grow_lock);
	}
	if (addr != 0) {
		mutex_lock(&hpa->lock);
		fresh_add_locked(hpa, fresh, addr);
		hpa_publish_locked(hpa, now_ns(hpa));
		mutex_unlock(&hpa->lock);
		take(hpa, t);
	}
	mutex_unlock(&hpa->grow_lock);
}

static void
take_growing(struct hpa *hpa, struct taking *t)
{
	struct fresh fresh;

	if (!fresh_begin(hpa, &fresh))
		return;
	do
		take_from_fresh(hpa, t, &fresh);
	while (t->got == 0 && fresh.ps != NULL && hpa_central_refill(hpa->central));
	fresh_end(hpa, &fresh);
	if (t->got != 0)
		return;
	mutex_lock(&hpa->lock);
	count_request_locked(hpa, t);
	mutex_unlock(&hpa->lock);
}

/* Up to n records; how many. */
static unsigned
get_records(struct hpa *hpa, unsigned n, struct list *records)
{
	unsigned got = 0;

	for (struct edata *e; got < n; got++) {
		if ((e = edata_pool_get(hpa->edata_pool, hpa->arena_index)) == NULL)
			break;
		list_push_back(records, &e->link);
	}
	return got;
}

static void
put_records(struct hpa *hpa, struct list *records)
{
	struct list *l;

	while ((l = list_pop_front(records)) != NULL)
		edata_pool_put(hpa->edata_pool, LIST_ENTRY(l, struct edata, link));
}

/* ---- limits: all pages that are touched are charged ------------------------------------------ */

/* For up to n of them, at least one; for how many. Those that are touched already are discharged
 * when they are known. */
static unsigned
charge(struct hpa *hpa, unsigned n, size_t size)
{
	if (limit_charge(hpa->arena_index, n * size))
		return n;
	return n > 1 && limit_charge(hpa->arena_index, size) ? 1 : 0;
}

/* ---- the interface -------------------------------------------------------------------------- */

/* The caller's from now on, as the request has it. */
static void
hand_out(struct edata *e, const struct page_request *request)
{
	if (request->zero && !e->zeroed)
		memset(edata_base(e), 0, e->size);
	e->zeroed = false;
	e->use = (uint8_t)request->use;
	e->szind = request->szind;
	/* The words exist: hpa_central has seen to it. */
	emap_set_state(e, EXTENT_ACTIVE);
	if (use_has_regions(request->use))
		emap_register_interior(e);
}

static bool
has_work(struct hpa *hpa)
{
	/* Relaxed: a hint. */
	return load_relaxed(&hpa->due_ns) != DEFERRED_NEVER;
}

static unsigned
hpa_alloc_batch(struct pai *self, const struct page_request *request, unsigned n,
    struct list *extents, bool *deferred)
{
	struct hpa *hpa = hpa_of(self);
	struct list taken;
	struct taking t = { .size = request->size, .extents = &taken };

	assert(hpa_serves(hpa, request));
	list_init(&taken);
	list_init(&t.records);
	n = n < HPA_BATCH_MAX ? n : HPA_BATCH_MAX;
	const unsigned charged = charge(hpa, n, request->size);
	t.n = get_records(hpa, charged, &t.records);
	if (t.n != 0)
		take(hpa, &t);
	if (t.n != 0 && t.got == 0)
		take_growing(hpa, &t);
	discharge(hpa, charged * request->size - t.n_fresh * os_page_size);
	put_records(hpa, &t.records);
	LIST_FOR_EACH (l, &taken)
		hand_out(LIST_ENTRY(l, struct edata, link), request);
	list_splice_back(extents, &taken);
	if (has_work(hpa))
		*deferred = true;
	return t.got;
}

static struct edata *
hpa_alloc(struct pai *self, const struct page_request *request, bool *deferred)
{
	struct list extents;

	list_init(&extents);
	if (hpa_alloc_batch(self, request, 1, &extents, deferred) == 0)
		return NULL;
	return LIST_ENTRY(list_pop_front(&extents), struct edata, link);
}

/* Nobody finds it any more, before its pages can be somebody else's. */
static void
forget_words(struct edata *e)
{
	assert(e->hpa && load_relaxed(&e->owner) == NULL
	    && load_relaxed(&e->remote) == 0);
	if (use_has_regions((enum extent_use)e->use))
		emap_deregister_interior(e);
	emap_deregister(e);
	e->use = USE_NONE;
	e->state = EXTENT_MERGING;
}

static void
release_locked(struct hpa *hpa, const struct edata *e, struct hpa_purge *purge,
    uint64_t now)
{
	struct hpdata *ps = e->pageslab;

	if (UNLIKELY(ps->epoch != hpa->epoch))
		return;
	psset_update_begin(&hpa->set, ps);
	hpdata_release(ps, (unsigned)((e->addr - ps->addr) / os_page_size),
	    (unsigned)(e->size / os_page_size));
	hpa_judge_locked(hpa, ps, now);
	psset_update_end(&hpa->set, ps);
	/* Relaxed: written under the lock. */
	if (UNLIKELY(load_relaxed(&hpa->decay_ms) == 0) && ps->may_decay)
		(void)hpa_purge_add_locked(hpa, purge, ps);
}

static void
hpa_dalloc_batch(struct pai *self, struct list *extents, bool *deferred)
{
	struct hpa *hpa = hpa_of(self);
	struct hpa_purge purge;

	purge.n = 0;
	LIST_FOR_EACH (l, extents)
		forget_words(LIST_ENTRY(l, struct edata, link));
	const uint64_t now = now_ns(hpa);
	mutex_lock(&hpa->lock);
	LIST_FOR_EACH (l, extents)
		release_locked(hpa, LIST_ENTRY(l, struct edata, link), &purge, now);
	if (UNLIKELY(purge.n != 0))
		(void)hpa_purge_locked(hpa, &purge);
	hpa_publish_locked(hpa, now);
	mutex_unlock(&hpa->lock);
	put_records(hpa, extents);
	if (has_work(hpa))
		*deferred = true;
}

static void
hpa_dalloc(struct pai *self, struct edata *e, bool *deferred)
{
	struct list extents;

	list_init(&extents);
	list_push_back(&extents, &e->link);
	hpa_dalloc_batch(self, &extents, deferred);
}

/* Neighbours are other people's, mostly; realloc moves what is so small. */
static bool
hpa_expand(struct pai *self, struct edata *e, size_t new_size, bool zero, bool *deferred)
{
	(void)self, (void)e, (void)new_size, (void)zero, (void)deferred;
	return false;
}

static bool
hpa_shrink(struct pai *self, struct edata *e, size_t new_size, bool *deferred)
{
	(void)self, (void)e, (void)new_size, (void)deferred;
	return false;
}

void
hpa_init(struct hpa *hpa, unsigned arena_index, struct base *base,
    struct edata_pool *edata_pool, struct hpa_central *central,
    const struct hpa_options *options, ssize_t decay_ms)
{
	hpa->pai = (struct pai){
		.alloc = hpa_alloc,
		.alloc_batch = hpa_alloc_batch,
		.expand = hpa_expand,
		.shrink = hpa_shrink,
		.dalloc = hpa_dalloc,
		.dalloc_batch = hpa_dalloc_batch,
		.time_until_deferred_work = hpa_time_until_deferred_work,
		.work = hpa_work,
	};
	hpa->arena_index = arena_index;
	hpa->options = *options;
	hpa->central = central;
	hpa->edata_pool = edata_pool;
	hpa->base = base;
	mutex_init(&hpa->grow_lock, RANK_HPA_GROW);
	mutex_init(&hpa->lock, RANK_HPA);
	psset_init(&hpa->set);
	list_init(&hpa->all);
	hpa->decay_due_ns = DEFERRED_NEVER;
	store_relaxed(&hpa->decay_ms, decay_ms);
	store_relaxed(&hpa->due_ns, DEFERRED_NEVER);
}

void
hpa_destroy(struct hpa *hpa)
{
	const struct hpa_system *system = hpa->central->system;
	struct list *l;
	size_t touched = 0;

	/* Nobody else is here any more. */
	while ((l = list_pop_front(&hpa->all)) != NULL) {
		struct hpdata *ps = LIST_ENTRY(l, struct hpdata, all_link);
		assert(hpdata_is_empty(ps) && !ps->is_purging && !ps->is_hugifying);
		touched += ps->n_touched;
		psset_remove(&hpa->set, ps);
		hpa_splits_mapping(hpa, ps, false);
		if (!ps->is_huge || hpa->options.style == HPA_STYLE_EAGER
		    || system->dehugify((void *)ps->addr, OS_HUGEPAGE))
			hpa_central_give(hpa->central, ps->addr);
		else
			hpa_central_drop(hpa->central, ps->addr);
	}
	discharge(hpa, touched * os_page_size);
}

struct hpa_pages
hpa_count_pages(struct hpa *hpa)
{
	struct hpa_pages pages;

	mutex_lock(&hpa->lock);
	pages.active = psset_active(&hpa->set);
	pages.dirty = psset_dirty(&hpa->set);
	pages.retained =
	    psset_pageslabs(&hpa->set) * hpdata_pages() - pages.active - pages.dirty;
	mutex_unlock(&hpa->lock);
	return pages;
}

void
hpa_check(struct hpa *hpa)
{
	size_t n = 0, n_purging = 0, n_active = 0, n_dirty = 0;

	mutex_lock(&hpa->lock);
	psset_check(&hpa->set);
	LIST_FOR_EACH (l, &hpa->all) {
		const struct hpdata *ps = LIST_ENTRY(l, struct hpdata, all_link);
		hpdata_check(ps);
		psset_check_one(ps);
		assert(ps->epoch == hpa->epoch);
		/* Nobody has forgotten a slab that is gone. */
		assert(!hpdata_is_empty(ps) || load_relaxed(&ps->n_sparse) == 0);
		assert(!hpdata_is_empty(ps) || load_relaxed(&ps->n_unbacked) == 0);
		n++;
		n_purging += ps->is_purging;
		n_active += ps->n_active;
		n_dirty += hpdata_dirty(ps);
	}
	assert(n == psset_pageslabs(&hpa->set));
	assert(n_active == psset_active(&hpa->set));
	assert(n_dirty == psset_dirty(&hpa->set));
	assert(n_purging != 0 || hpa->n_purging == 0);
	assert(load_relaxed(&hpa->active_pages) == n_active);
	assert(load_relaxed(&hpa->dirty_pages) == n_dirty);
	assert(load_relaxed(&hpa->n_pageslabs) == n);
	mutex_unlock(&hpa->lock);
	(void)n, (void)n_purging, (void)n_active, (void)n_dirty;
}

/* ---- fork ------------------------------------------------------------------------------------ */

void
hpa_fork_prepare(struct hpa *hpa, enum lock_rank rank)
{
	assert(rank == RANK_HPA_GROW || rank == RANK_HPA);
	(void)mutex_fork_prepare(rank == RANK_HPA ? &hpa->lock : &hpa->grow_lock);
}

void
hpa_fork_parent(struct hpa *hpa)
{
	mutex_fork_parent(&hpa->lock);
	mutex_fork_parent(&hpa->grow_lock);
}

void
hpa_fork_child(struct hpa *hpa)
{
	/* Relaxed: one thread in the child. */
	const bool was_held = load_relaxed(&hpa->lock.fork_state) == FORK_HELD;

	(void)mutex_fork_child(&hpa->grow_lock);
	if (mutex_fork_child(&hpa->lock)) {
		/* This thread's own, in the middle of something that it goes on with; or it was
		 * looked at already. */
		if (!was_held)
			return;
	} else {
		hpa->epoch++;
		psset_init(&hpa->set);
		list_init(&hpa->all);
	}
	hpa_fork_work(hpa);
	hpa_publish_locked(hpa, now_ns(hpa));
}
