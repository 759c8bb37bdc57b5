/* SPDX-License-Identifier: MIT */
#include "cache/tcache.h"

#include <string.h>

#include "base/bits.h"
#include "cache/kept.h"

struct tcache tcache_none BULKY_BESIDE;

void
tcache_init(struct tcache *tc, struct arena *arena)
{
	tc->arena = arena;
	tc->shape = tcache_shape_default;
	tc->comb_at = TCACHE_COMB_MIN;
	memcpy(tc->lookup, size_class_lookup, sizeof tc->lookup);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		list_init(&tc->classes[i].partial);
		list_init(&tc->classes[i].full);
	}
	/* NULL already; but a page that is written before it is read faults once, not twice. */
	store_relaxed(&tc->inbox, NULL);
}

/* Link some untouched regions of the current slab to the class's list; the first of them. */
static void *
carve(struct tcache *tc, unsigned szind, struct edata *e)
{
	if (UNLIKELY(e->owned_purged != 0))
		return tcache_carve_purged(tc, szind, e);
	const size_t size = slab_geometry[szind].reg_size;
	unsigned n = (unsigned)(TCACHE_CARVE_BYTES / size);

	if (n > TCACHE_CARVE_COUNT)
		n = TCACHE_CARVE_COUNT;
	if (n == 0)
		n = 1;
	if (n > (unsigned)(e->nregs - e->carved))
		n = e->nregs - e->carved;
	char *first = slab_region(e, e->carved);
	char *last = first + (n - 1) * size;
	for (char *p = first; p != last; p += size)
		*(void **)p = p + size;
	*(void **)last = NULL;
	e->carved = (uint16_t)(e->carved + n);
	e->need += n;
	tcache_count_taken(&tc->classes[szind], n);
	tc->list[szind] = *(void **)first;
	return first;
}

NOINLINE void *
tcache_lengthen(struct tcache *tc, size_t szind, struct edata *e, void *p)
{
	struct tcache_class *k = &tc->classes[szind];

	/* Once it has been: the counter is another arena's when the tcache moves. */
	if (!k->lengthens && load_relaxed(&k->n_fills) < TCACHE_LENGTHEN)
		return p;
	k->lengthens = true;
	if (e->owned_purged == 0)
		tc->list[szind] = carve(tc, (unsigned)szind, e);
	return p;
}

/* A region of the current slab, which has one. */
static ALWAYS_INLINE void *
use_current(struct tcache *tc, unsigned szind, struct edata *e)
{
	return LIKELY(e->free != NULL) ? tcache_take_free(tc, szind, e)
				       : carve(tc, szind, e);
}

/* The current slab has no free region left: out of service until `wake' of them come back. */
static void
retire_current(struct tcache *tc, unsigned szind, struct edata *e)
{
	assert(e->free == NULL && e->carved == e->nregs && e->need == e->nregs);
	e->slab_state = SLAB_FULL;
	e->need = slab_wake(e->nregs);
	list_push_back(&tc->classes[szind].full, &e->link);
	tc->current[szind] = NULL;
}

static void
set_current(struct tcache *tc, unsigned szind, struct edata *e)
{
	e->slab_state = SLAB_CURRENT;
	tc->current[szind] = e;
}

/* One region of a shared slab, while the class is cold in this thread. */
static void *
take_shared(struct tcache *tc, unsigned szind)
{
	void *p = NULL;

	if (mixed_holds(szind))
		return mixed_alloc(tc->arena, szind);
	return bin_fill(tc->arena, szind, 1, &p) == 1 ? p : NULL;
}

size_t
tcache_empty_share(const struct tcache *tc)
{
	/* Relaxed: a hint. */
	const unsigned sharers = load_relaxed(&tc->arena->n_threads);
	const size_t most = sharers > 1 ? TCACHE_EMPTY_MAX / sharers : TCACHE_EMPTY_MAX;

	const size_t owned = tc->owned_bytes + load_relaxed(&tc->empty_bytes);

	return max_size(min_size(owned, most), TCACHE_EMPTY_MIN);
}

/*
 * What a new slab of a class shall be worth: a share of what the thread owns of it.  Where many are
 * used, fewer and larger ones cost less; where few are, they cost no memory.
 */
static unsigned
worth_of_new(const struct tcache *tc, unsigned szind)
{
	const unsigned most = slab_geometry[szind].grown,
		       kib = tc->classes[szind].owned_kib / TCACHE_GROWTH,
		       share = kib / (slab_geometry[szind].slab_size >> 10);
	unsigned worth = 1;

	/* Slots are of slabs as they are told. */
	if (tc->shape != NULL)
		return 1;
	while (worth < most && worth < share)
		worth *= 2;
	return worth;
}

static struct edata *
new_slab(struct tcache *tc, unsigned szind)
{
	const unsigned worth = worth_of_new(tc, szind);
	struct edata *e = arena_slab_new(tc->arena, szind, worth, tc);

	return e == NULL && worth != 1 ? arena_slab_new(tc->arena, szind, 1, tc) : e;
}

static void *
refill_from_arena(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind];
	const bool is_served = tcache_shape_serves(tc->shape, szind);

	if (k->n_cold < TCACHE_COLD || !is_served) {
		k->n_cold += is_served;
		void *p = take_shared(tc, szind);
		/* Records of a mixed slab may lack where those of an own one do not. */
		if (p != NULL)
			return p;
	}
	if (UNLIKELY(tc->sparse_bytes != 0))
		tcache_comb_for_growth(tc, slab_geometry[szind].slab_size);
	/* The class is warm now.  The shared slab's pages may be those of the first own one. */
	if (k->n_cold == TCACHE_COLD && is_served) {
		k->n_cold++;
		if (!mixed_holds(szind))
			bin_leave(tc->arena, szind);
	}
	struct edata *e = is_served ? new_slab(tc, szind) : NULL;
	if (e == NULL) {
		tcache_flush(tc);
		return take_shared(tc, szind);
	}
	tcache_gains(tc, e);
	tc->shrunk_bytes = 0;
	tc->empty_limit = max_size(tc->empty_limit, tcache_empty_share(tc));
	set_current(tc, szind, e);
	return carve(tc, szind, e);
}

/* A slab with free regions that waits to be combed. */
static struct edata *
take_sparse(struct tcache *tc, unsigned szind)
{
	const struct list *sparse = tcache_sparse(tc, szind);
	struct list *l = sparse == NULL ? NULL : list_last(sparse);

	if (l == NULL)
		return NULL;
	struct edata *e = LIST_ENTRY(l, struct edata, link);
	list_detach(l);
	tcache_leaves_partial(tc, e);
	return e;
}

/* A combed slab: touched memory goes first. */
static struct edata *
take_combed(struct tcache *tc, struct tcache_class *k)
{
	struct list *l = list_first(&k->full);
	struct edata *e;

	if (l == NULL || (e = LIST_ENTRY(l, struct edata, link))->slab_state == SLAB_FULL)
		return NULL;
	list_remove(l);
	tcache_leaves_partial(tc, e);
	return e;
}

/* No partly used slab is left but combed and sparse ones. */
static NOINLINE void *
refill_otherwise(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind];
	struct edata *e = take_sparse(tc, szind);

	if (e == NULL && k->n_cold >= TCACHE_COLD)
		e = tcache_kept_take(tc, szind);
	if (e == NULL)
		e = take_combed(tc, k);
	if (e == NULL)
		return refill_from_arena(tc, szind);
	set_current(tc, szind, e);
	return use_current(tc, szind, e);
}

NOINLINE void *
tcache_refill(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind];
	struct edata *e;

	assert(tc->list[szind] == NULL);
	tcache_tick(tc);
	if (tcache_has_mail(tc))
		(void)tcache_drain(tc);
	if (LIKELY((e = tc->current[szind]) != NULL)) {
		if (e->free != NULL || e->carved != e->nregs)
			return use_current(tc, szind, e);
		retire_current(tc, szind, e);
	}
	if (list_is_empty(&k->partial))
		return refill_otherwise(tc, szind);
	e = LIST_ENTRY(list_first(&k->partial), struct edata, link);
	list_detach(&e->link);
	tcache_leaves_partial(tc, e);
	set_current(tc, szind, e);
	return use_current(tc, szind, e);
}

/* A slab without live regions, in no list: keep it for a while, or give it back. */
static void
keep_or_delete(struct tcache *tc, struct edata *e)
{
	if (tcache_kept_put(tc, e))
		return;
	tcache_loses(tc, e);
	arena_slab_delete(arena_of(e), e);
}

/* Enough of a full slab is free again. */
static void
wake(struct tcache *tc, struct edata *e)
{
	struct tcache_class *k = &tc->classes[e->szind];

	e->need = e->nregs - slab_wake(e->nregs);
	if (e->need == 0) {
		keep_or_delete(tc, e);
		return;
	}
	e->slab_state = SLAB_PARTIAL;
	/* The one that waited longest has most to give: taking the newest first costs a third more
	 * time on random replacement. */
	list_push_back(&k->partial, &e->link);
	if (UNLIKELY(tcache_watches(tc)))
		tcache_watch(e);
}

void
tcache_slab_settle(struct tcache *tc, struct edata *e)
{
	assert(e->need == 0);
	if (e->slab_state == SLAB_CURRENT)
		return;
	if (LIKELY(e->slab_state == SLAB_FULL)) {
		list_detach(&e->link);
		wake(tc, e);
		return;
	}
	if (slab_target(e->slab_state, e->nregs) != 0) {
		tcache_becomes_sparse(tc, e);
		return;
	}
	list_detach(&e->link);
	tcache_leaves_partial(tc, e);
	keep_or_delete(tc, e);
}

NOINLINE void
tcache_slab_event(struct tcache *tc, struct edata *e)
{
	tcache_slab_settle(tc, e);
	if (UNLIKELY(tc->sparse_bytes > tc->comb_at))
		tcache_comb_by_amount(tc);
}

void
tcache_unlist(struct tcache *tc, unsigned szind)
{
	void *p = tc->list[szind];
	struct arena *arena = NULL;
	uint64_t n = 0;

	tc->list[szind] = NULL;
	for (; p != NULL; n++) {
		void *next = *(void **)p;
		struct edata *e = emap_lookup(p);
		arena = arena_of(e);
		if (load_relaxed(&e->owner) == tc)
			tcache_free_own(tc, e, p);
		else
			(void)bin_free(arena, e, p);
		p = next;
	}
	/* Relaxed: a counter.  They are of one slab. */
	if (n != 0)
		fetch_add_relaxed(&arena->bins[szind].n_unused, n);
}

void
tcache_check(struct tcache *tc)
{
	size_t owned = 0, sparse = 0;

	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct tcache_class *k = &tc->classes[i];
		unsigned listed = 0;
		const size_t before = owned + sparse;
		for (void *p = tc->list[i]; p != NULL; p = *(void **)p) {
			const struct edata *e = emap_lookup(p);
			assert(e != NULL && e->szind == i && slab_is_region(e, p));
			listed++;
			assert(listed <= SLAB_MAXREGS);
		}
		const struct edata *current = tc->current[i];
		if (current != NULL) {
			assert(current->slab_state == SLAB_CURRENT);
			slab_check(current);
			owned += current->size;
		}
		LIST_FOR_EACH (l, &k->partial) {
			const struct edata *e = LIST_ENTRY(l, struct edata, link);
			assert(slab_state_is_partial(e->slab_state) && e->need != 0);
			slab_check(e);
			assert(e->slab_state < SLAB_UNCOMBED);
			owned += e->size;
		}
		const struct list *waiting = tcache_sparse(tc, i);
		for (const struct list *l = waiting;
		     l != NULL && (l = l->next) != waiting;) {
			const struct edata *e = LIST_ENTRY(l, const struct edata, link);
			assert(e->slab_state >= SLAB_UNCOMBED && e->need != 0);
			slab_check(e);
			sparse += e->size;
		}
		bool is_full = false;
		LIST_FOR_EACH (l, &k->full) {
			const struct edata *e = LIST_ENTRY(l, struct edata, link);
			assert(e->slab_state == SLAB_FULL
			    || (!is_full && slab_state_is_partial(e->slab_state)
				&& e->slab_state < SLAB_UNCOMBED));
			assert(e->need != 0);
			is_full = e->slab_state == SLAB_FULL;
			slab_check(e);
			owned += e->size;
		}
		assert(owned + sparse - before == (size_t)k->owned_kib << 10);
		(void)before;
	}
	tcache_kept_check(tc);
	assert(sparse == tc->sparse_bytes);
	assert(owned + sparse == tc->owned_bytes);
}
