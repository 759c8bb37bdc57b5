/* SPDX-License-Identifier: MIT */
#include "cache/explicit.h"

#include <string.h>

#include "arena/arena.h"
#include "arena/misuse.h"
#include "base/bits.h"
#include "cache/tcache.h"
#include "config/options.h"
#include "sync/fork.h"

/* Most regions that go to a class, and from it, at a time. */
#define CACHE_FILL (CONFIG_HOSTILE ? 2 : 8)
#define CACHE_FLUSH 64

struct explicit_class {
	unsigned n;
	unsigned slots; /* of `regions', 0 as long as it is NULL */
	void **regions; /* oldest first; made when the class is first used */
};

struct explicit_tcache {
	struct mutex lock;
	struct list link; /* in `spare', while nobody has it */
	/* Guarded by lock. */
	struct explicit_class classes[SC_NOWNED];
};

/* Guarded by table_lock; readers of a slot acquire. */
static struct mutex table_lock = MUTEX_INITIALIZER(TCACHES);
static _Atomic(struct explicit_tcache *) table[EXPLICIT_TCACHES_MAX] BULKY;
static struct list spare = { &spare, &spare };
static unsigned n_used; /* One past the highest slot ever used. */

struct explicit_tcache *
explicit_tcache_get(unsigned id)
{
	return id >= EXPLICIT_TCACHES_MAX ? NULL : load_acquire(&table[id]);
}

static struct explicit_tcache *
new_cache_locked(void)
{
	struct list *l = list_pop_front(&spare);

	if (l != NULL)
		return LIST_ENTRY(l, struct explicit_tcache, link);
	struct explicit_tcache *cache = base_alloc(&base_zero, sizeof *cache, CACHE_LINE);
	if (cache != NULL)
		mutex_init(&cache->lock, RANK_TCACHES_ONE);
	return cache;
}

/* How many regions of a class a cache keeps, by the options. */
static unsigned
slots_for(unsigned szind)
{
	const ssize_t lg = opt.lg_tcache_nslots_mul;
	const size_t nregs = slab_geometry[szind].nregs;

	if (CONFIG_HOSTILE)
		return 2;
	if (szind >= SC_NBINS)
		return opt.tcache_nslots_large;
	const size_t wanted = lg < 0 ? nregs >> -lg : nregs << lg;
	return (unsigned)max_size(min_size(wanted, opt.tcache_nslots_small_max),
	    opt.tcache_nslots_small_min);
}

/* Room for the regions of a class; without memory for it the class keeps none. */
static void
make_room(struct explicit_tcache *cache, unsigned szind)
{
	struct explicit_class *k = &cache->classes[szind];
	const unsigned slots = slots_for(szind);
	void **regions = base_alloc(&base_zero, slots * sizeof(void *), CACHE_LINE);

	if (regions == NULL)
		return;
	mutex_lock(&cache->lock);
	const bool is_first = k->regions == NULL;
	if (is_first) {
		k->regions = regions;
		k->slots = slots;
	}
	mutex_unlock(&cache->lock);
	/* Another thread was faster; what is too large to be recycled is lost, once. */
	if (!is_first && slots * sizeof(void *) <= BASE_RECYCLE_MAX)
		base_free(&base_zero, regions, slots * sizeof(void *));
}

bool
explicit_tcache_create(unsigned *id)
{
	struct explicit_tcache *cache = NULL;
	unsigned i = 0;

	mutex_lock(&table_lock);
	while (i < EXPLICIT_TCACHES_MAX && load_relaxed(&table[i]) != NULL)
		i++;
	if (i < EXPLICIT_TCACHES_MAX && (cache = new_cache_locked()) != NULL) {
		store_release(&table[i], cache);
		n_used = i < n_used ? n_used : i + 1;
	}
	mutex_unlock(&table_lock);
	*id = i;
	return cache != NULL;
}

static void
free_region(void *p)
{
	struct edata *e = emap_lookup(p);

	if (bin_free(arena_of(e), e, p) == BIN_DOUBLE_FREE)
		misuse_report("double free", p, e);
}

/* Regions that have left a cache, with its lock free: giving them back may lead to a hook. */
static void
free_regions(void *const *regions, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free_region(regions[i]);
}

static void
flush(struct explicit_tcache *cache)
{
	void *taken[CACHE_FLUSH];

	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct explicit_class *k = &cache->classes[i];
		unsigned n = 0;
		do {
			mutex_lock(&cache->lock);
			for (n = 0; n < CACHE_FLUSH && k->n != 0; n++)
				taken[n] = k->regions[--k->n];
			mutex_unlock(&cache->lock);
			free_regions(taken, n);
		} while (n == CACHE_FLUSH);
	}
}

bool
explicit_tcache_flush(unsigned id)
{
	struct explicit_tcache *cache = explicit_tcache_get(id);

	if (cache == NULL)
		return false;
	flush(cache);
	return true;
}

bool
explicit_tcache_destroy(unsigned id)
{
	if (id >= EXPLICIT_TCACHES_MAX)
		return false;
	mutex_lock(&table_lock);
	struct explicit_tcache *cache = load_relaxed(&table[id]);
	store_release(&table[id], NULL);
	mutex_unlock(&table_lock);
	if (cache == NULL)
		return false;
	flush(cache);
	mutex_lock(&table_lock);
	list_push_front(&spare, &cache->link);
	mutex_unlock(&table_lock);
	return true;
}

/* Keep the regions of a chain, as many as there is room for; the rest of it. */
static void *
keep_chain(struct explicit_tcache *cache, struct explicit_class *k, void *chain)
{
	mutex_lock(&cache->lock);
	for (; chain != NULL && k->n < k->slots; chain = *(void **)chain)
		k->regions[k->n++] = chain;
	mutex_unlock(&cache->lock);
	return chain;
}

void *
explicit_tcache_alloc(struct explicit_tcache *cache, struct arena *arena, unsigned szind)
{
	struct explicit_class *k = &cache->classes[szind];
	void *chain = NULL, *p = NULL, *next;

	mutex_lock(&cache->lock);
	if (k->n != 0)
		p = k->regions[--k->n];
	const bool has_room = k->regions != NULL;
	mutex_unlock(&cache->lock);
	if (UNLIKELY(!has_room))
		make_room(cache, szind);
	/* Relaxed: a counter. What is taken here was counted as unused when it came. */
	if (p != NULL) {
		fetch_sub_relaxed(&arena->bins[szind].n_unused, 1);
		return p;
	}
	const unsigned n = bin_fill(arena, szind, CACHE_FILL, &chain);
	if (n == 0)
		return NULL;
	fetch_add_relaxed(&arena->bins[szind].n_unused, n - 1);
	for (void *rest = keep_chain(cache, k, *(void **)chain); rest != NULL;
	     rest = next) {
		next = *(void **)rest;
		free_region(rest);
	}
	return chain;
}

/* The oldest regions of a full class, at most CACHE_FLUSH; how many. */
static unsigned
take_oldest_locked(struct explicit_tcache *cache, struct explicit_class *k,
    unsigned szind, void **oldest)
{
	const unsigned lg_div = szind < SC_NBINS ? opt.lg_tcache_flush_small_div
						 : opt.lg_tcache_flush_large_div;
	const unsigned n =
	    (unsigned)min_size(max_size(k->slots >> lg_div, 1), CACHE_FLUSH);

	assert(mutex_is_held(&cache->lock));
	(void)cache;
	memcpy(oldest, k->regions, n * sizeof(void *));
	memmove(k->regions, k->regions + n, (k->n - n) * sizeof(void *));
	k->n -= n;
	return n;
}

void
explicit_tcache_free(struct explicit_tcache *cache, struct edata *e, void *p)
{
	struct explicit_class *k = &cache->classes[e->szind];
	void *oldest[CACHE_FLUSH];
	unsigned n = 0;

	if (load_acquire(&e->owner) != NULL) {
		tcache_free_remote(NULL, e, p);
		return;
	}
	mutex_lock(&cache->lock);
	if (UNLIKELY(k->regions == NULL)) {
		mutex_unlock(&cache->lock);
		make_room(cache, e->szind);
		mutex_lock(&cache->lock);
	}
	if (k->slots == 0) {
		mutex_unlock(&cache->lock);
		free_region(p);
		return;
	}
	if (k->n == k->slots)
		n = take_oldest_locked(cache, k, e->szind, oldest);
	k->regions[k->n++] = p;
	mutex_unlock(&cache->lock);
	free_regions(oldest, n);
}

void
explicit_tcaches_fork_prepare(void)
{
	/* Without the table's lock another thread may take a cache out of it. */
	if (!mutex_fork_prepare(&table_lock))
		return;
	for (unsigned i = 0; i < n_used; i++)
		if (explicit_tcache_get(i) != NULL)
			(void)mutex_fork_prepare(&explicit_tcache_get(i)->lock);
}

void
explicit_tcaches_fork_parent(void)
{
	if (load_relaxed(&table_lock.fork_state) == FORK_NONE)
		return;
	for (unsigned i = 0; i < n_used; i++)
		if (explicit_tcache_get(i) != NULL)
			mutex_fork_parent(&explicit_tcache_get(i)->lock);
	mutex_fork_parent(&table_lock);
}

static void
reset_in_child(struct explicit_tcache *cache)
{
	if (mutex_fork_child(&cache->lock))
		return;
	for (unsigned i = 0; i < SC_NOWNED; i++)
		cache->classes[i].n = 0;
}

void
explicit_tcaches_fork_child(void)
{
	for (unsigned i = 0; i < n_used; i++)
		if (explicit_tcache_get(i) != NULL)
			reset_in_child(explicit_tcache_get(i));
	if (!mutex_fork_child(&table_lock))
		list_init(&spare);
}
