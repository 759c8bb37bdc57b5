/* SPDX-License-Identifier: MIT */
#include "ctl/gather.h"

#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "cache/tcache.h"
#include "config/options.h"
#include "ctl/gather_hpa.h"
#include "extent/dss.h"
#include "os/os.h"
#include "os/pages.h"

/* ---- Locks. ---- */

void
gather_mutex(const struct mutex *m, struct mutex_figures *f)
{
	/* Relaxed: counters of the lock's holders. */
	f->num_ops = load_relaxed(&m->stats.n_ops);
	f->num_wait = load_relaxed(&m->stats.n_wait);
	f->num_spin_acq = load_relaxed(&m->stats.n_spin_acquired);
	f->num_owner_switch = load_relaxed(&m->stats.n_owner_switch);
	f->total_wait_time = load_relaxed(&m->stats.total_wait_ns);
	f->max_wait_time = load_relaxed(&m->stats.max_wait_ns);
	f->max_num_thds = load_relaxed(&m->stats.max_waiting);
}

void
gather_reset_mutex_locked(struct mutex *m)
{
	store_relaxed(&m->stats.n_ops, 0);
	store_relaxed(&m->stats.n_wait, 0);
	store_relaxed(&m->stats.n_spin_acquired, 0);
	store_relaxed(&m->stats.n_owner_switch, 0);
	store_relaxed(&m->stats.total_wait_ns, 0);
	store_relaxed(&m->stats.max_wait_ns, 0);
	store_relaxed(&m->stats.max_waiting, 0);
}

/* ORDER ARENA-MUTEX: the list in stats.def. NULL: there is no such lock, or (hpa_sec) several. */
static struct mutex *
arena_mutex(struct arena *arena, enum arena_mutex which)
{
	switch (which) {
	case ARENA_MUTEX_large: return &arena->large_lock;
	case ARENA_MUTEX_extent_avail: return &arena->edata_pool.lock;
	case ARENA_MUTEX_extents_dirty: return &arena->pac.dirty.lock;
	case ARENA_MUTEX_extents_muzzy: return &arena->pac.muzzy.lock;
	case ARENA_MUTEX_extents_retained: return &arena->pac.retained.lock;
	case ARENA_MUTEX_decay_dirty: return &arena->pac.decay[DECAY_DIRTY].lock;
	case ARENA_MUTEX_decay_muzzy: return &arena->pac.decay[DECAY_MUZZY].lock;
	case ARENA_MUTEX_base: return &arena->base->lock;
	case ARENA_MUTEX_tcache_list: return &arena->tcache_lock;
	case ARENA_MUTEX_extents_pinned: return &arena->pac.pinned.lock;
	case ARENA_MUTEX_hpa_shard:
		return arena_huge(arena) == NULL ? NULL : &arena_huge(arena)->hpa.lock;
	case ARENA_MUTEX_hpa_shard_grow:
		return arena_huge(arena) == NULL ? NULL
						 : &arena_huge(arena)->hpa.grow_lock;
	case ARENA_MUTEX_hpa_sec: return NULL;
	case ARENA_MUTEXES: break;
	}
	unreachable_state();
}

static void
reset_mutex(struct mutex *m)
{
	if (m == NULL)
		return;
	mutex_lock(m);
	gather_reset_mutex_locked(m);
	mutex_unlock(m);
}

void
gather_reset_mutexes(struct arena *arena)
{
	for (unsigned i = 0; i < ARENA_MUTEXES; i++)
		reset_mutex(arena_mutex(arena, (enum arena_mutex)i));
	for (unsigned i = 0; i < SC_NOWNED; i++)
		reset_mutex(&arena->bins[i].lock);
	struct arena_huge *huge = arena_huge(arena);
	if (huge != NULL)
		gather_reset_sec_mutex(&huge->sec);
}

/* ---- Slabs. ---- */

/*
 * An owned slab is its owner's alone: these reads race with it on purpose.  Record and
 * slab stay, since the caller holds the lock of the bin that lists them; a torn pair of
 * values gives a figure between none and all.
 */
NO_TSAN unsigned
gather_live(const struct edata *e)
{
	const volatile struct edata *racy = e;
	const unsigned need = racy->need, nregs = racy->nregs, state = racy->slab_state;
	unsigned live = need + slab_target(state, nregs);

	if (state == SLAB_FULL) {
		const unsigned wake = slab_wake(nregs);
		live = need > wake ? nregs : nregs - (wake - need);
	}
	/* After `need', into which the owner takes them. */
	const unsigned posted = tcache_posted(e);
	live = live < nregs ? live : nregs;
	return live > posted ? live - posted : 0;
}

NO_TSAN static bool
is_partial(const struct edata *e)
{
	return slab_state_is_partial(((const volatile struct edata *)e)->slab_state);
}

/* A slab is sparse with at most 1 / 2^n of its regions live. */
#define LG_SPARSE 3

/* One class of an arena: its bin, and the slabs of it that threads own. */
struct class_figures {
	struct bin_figures
	    bin;           /* but nmalloc, which lacks the threads' part, and ndalloc */
	size_t owned_free; /* free regions of owned slabs */
	size_t sparse;     /* bytes of owned slabs with few live ones */
};

static void
gather_class_locked(const struct bin *bin, struct class_figures *f)
{
	const struct bin_stats *s = &bin->stats;
	const struct slab_geometry *geometry = &slab_geometry[bin->szind];
	size_t n_full = 0, n_owned = 0, n_owned_partial = 0, owned_live = 0, n_sparse = 0;

	if (bin->current != NULL)
		n_full += slab_worth(bin->current);
	LIST_FOR_EACH (l, &bin->full)
		n_full += slab_worth(LIST_ENTRY(l, struct edata, link));
	LIST_FOR_EACH (l, &bin->owned) {
		const struct edata *e = LIST_ENTRY(l, struct edata, bin_link);
		const unsigned worth = slab_worth(e);
		n_owned += worth;
		n_owned_partial += is_partial(e) ? worth : 0;
		const size_t live = gather_live(e);
		owned_live += live;
		n_sparse += live <= (size_t)e->nregs >> LG_SPARSE ? worth : 0;
	}
	f->owned_free = n_owned * geometry->nregs - owned_live;
	f->sparse = n_sparse * geometry->slab_size;
	f->bin = (struct bin_figures){
		.nmalloc = s->n_malloc,
		.nfills = s->n_fills,
		.nflushes = s->n_flushes,
		.nslabs = s->n_slabs,
		.nreslabs = s->n_reslabs,
		.curslabs = s->cur_slabs,
		.curregs = s->cur_regs + owned_live,
	};
	/* Shared ones that are neither current nor full, and partly used owned ones. */
	if (s->cur_slabs > n_full + n_owned)
		f->bin.nonfull_slabs = s->cur_slabs - n_full - n_owned;
	f->bin.nonfull_slabs += n_owned_partial;
	gather_mutex(&bin->lock, &f->bin.mutex);
}

static void
gather_class(struct bin *bin, struct class_figures *f)
{
	mutex_lock(&bin->lock);
	gather_class_locked(bin, f);
	mutex_unlock(&bin->lock);
}

struct gathered_bin
gather_bin(struct arena *arena, unsigned szind)
{
	struct bin *bin = &arena->bins[szind];
	struct class_figures f;

	mutex_lock(&bin->lock);
	gather_class_locked(bin, &f);
	void *current = bin->current == NULL ? NULL : edata_base(bin->current);
	mutex_unlock(&bin->lock);
	return (struct gathered_bin){ f.bin.curslabs, f.bin.curregs, current };
}

/* ---- Threads. ---- */

struct threads_figures {
	struct {
		uint64_t n_taken; /* regions that went to threads' lists */
		uint64_t n_fills, n_flushes;
	} classes[SC_NOWNED];
	size_t large_bytes; /* of large objects that threads keep */
	bool has_moved;     /* some of them take from slabs of other arenas, too */
};

static void
gather_threads(struct arena *arena, struct threads_figures *f)
{
	memset(f, 0, sizeof *f);
	mutex_lock(&arena->tcache_lock);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		f->classes[i].n_taken = arena->moved[i].n_taken;
		f->classes[i].n_fills = arena->moved[i].n_fills;
		f->classes[i].n_flushes = arena->moved[i].n_flushes;
		f->has_moved |= arena->moved[i].n_fills != 0;
	}
	LIST_FOR_EACH (l, &arena->tcaches) {
		struct tcache *tc = LIST_ENTRY(l, struct tcache, arena_link);
		/* Relaxed: counters of the owner. */
		for (unsigned i = 0; i < SC_NOWNED; i++) {
			f->classes[i].n_taken += load_relaxed(&tc->classes[i].n_taken);
			f->classes[i].n_fills += load_relaxed(&tc->classes[i].n_fills);
			f->classes[i].n_flushes +=
			    load_relaxed(&tc->classes[i].n_flushes);
		}
		f->large_bytes += load_relaxed(&tc->large_bytes);
	}
	mutex_unlock(&arena->tcache_lock);
}

/* ---- Classes. ---- */

static void
add_lextent(struct lextent_figures *l, uint64_t nmalloc, uint64_t nrequests,
    uint64_t live)
{
	l->nmalloc += nmalloc;
	l->nrequests += nrequests;
	l->ndalloc += nmalloc - live;
	l->curlextents += live;
}

/* Regions of the class that lie in mixed slabs. */
static void
add_mixed(struct bin_figures *bin, const struct mixed_stats *mixed, unsigned szind)
{
	bin->nmalloc += mixed->n_malloc[szind];
	bin->nfills += mixed->n_malloc[szind];
	bin->curregs += mixed->n_malloc[szind] - mixed->n_dalloc[szind];
}

/* Free regions of the class's own slabs. */
static void
add_free(struct arena_record *r, const struct class_figures *f, unsigned szind)
{
	const size_t all = f->bin.curslabs * slab_geometry[szind].nregs,
		     taken = f->bin.curregs + f->owned_free;

	r->arena.owned_free += f->owned_free * size_class_size(szind);
	r->arena.slab_sparse += f->sparse;
	if (all > taken)
		r->arena.shared_free += (all - taken) * size_class_size(szind);
}

static size_t
live_in_mixed(const struct mixed_stats *mixed)
{
	size_t live = 0;

	for (unsigned i = 0; i < SC_NBINS; i++)
		live += (mixed->n_malloc[i] - mixed->n_dalloc[i]) * size_class_size(i);
	return live;
}

static size_t
free_in_mixed(const struct mixed_stats *mixed)
{
	const size_t all = mixed->n_slabs * max_size(MIXED_SLAB_SIZE, os_page_size),
		     live = live_in_mixed(mixed);

	return all > live ? all - live : 0;
}

size_t
gather_mixed_live(struct arena *arena)
{
	mutex_lock(&arena->mixed.lock);
	const size_t live = live_in_mixed(&arena->mixed.stats);
	mutex_unlock(&arena->mixed.lock);
	return live;
}

/* Slabs of all classes; returns their bytes. */
static size_t
gather_slabs(struct arena *arena, struct arena_record *r)
{
	struct class_figures f[SC_NOWNED];
	struct threads_figures threads;
	size_t slab_bytes = 0;

	mutex_lock(&arena->mixed.lock);
	const struct mixed_stats mixed = arena->mixed.stats;
	mutex_unlock(&arena->mixed.lock);
	slab_bytes += mixed.n_slabs * max_size(MIXED_SLAB_SIZE, os_page_size);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		gather_class(&arena->bins[i], &f[i]);
	/* After the bins: what was counted as live there has been counted as taken
	 * here. */
	gather_threads(arena, &threads);
	r->arena.large_kept = threads.large_bytes;
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct bin_figures *bin = &f[i].bin;
		add_free(r, &f[i], i);
		if (i < SC_NBINS)
			add_mixed(bin, &mixed, i);
		bin->nmalloc += threads.classes[i].n_taken;
		bin->nfills += threads.classes[i].n_fills;
		bin->nflushes += threads.classes[i].n_flushes;
		if (bin->curregs > bin->nmalloc && threads.has_moved)
			bin->nmalloc = bin->curregs;
		if (bin->curregs > bin->nmalloc)
			bin->curregs = bin->nmalloc;
		bin->ndalloc = bin->nmalloc - bin->curregs;
		/* Relaxed: a counter; what it counts has been counted as taken. */
		const uint64_t unused = load_relaxed(&arena->bins[i].n_unused);
		const int64_t requests = (int64_t)(bin->nmalloc - unused);
		bin->nrequests = requests > 0 ? (uint64_t)requests : 0;
		slab_bytes += bin->curslabs * slab_geometry[i].slab_size;
		if (i < SC_NBINS) {
			r->bins[i] = *bin;
			continue;
		}
		add_lextent(&r->lextents[i - SC_NBINS], bin->nmalloc, bin->nrequests,
		    bin->curregs);
		r->large.allocated += bin->curregs * size_class_size(i);
		r->large.nflushes += bin->nflushes;
	}
	r->arena.tcache_bytes = r->arena.owned_free + r->arena.large_kept;
	r->arena.shared_free += free_in_mixed(&mixed);
	return slab_bytes;
}

static void
gather_large(struct arena *arena, struct arena_record *r)
{
	for (unsigned i = 0; i < SC_NLARGE; i++) {
		struct large_stats *s = &arena->large_stats[i];
		/* Relaxed: counters. Frees first, so that they are not more. */
		const uint64_t freed = load_relaxed(&s->n_dalloc),
			       made = load_relaxed(&s->n_malloc);
		add_lextent(&r->lextents[i], made, made + load_relaxed(&s->n_reused),
		    made > freed ? made - freed : 0);
	}
}

static void
gather_extent(struct extent_figures *x, enum extent_state state, size_t size)
{
	switch (state) {
	case EXTENT_DIRTY:
		x->ndirty++;
		x->dirty_bytes += size;
		break;
	case EXTENT_MUZZY:
		x->nmuzzy++;
		x->muzzy_bytes += size;
		break;
	case EXTENT_PINNED:
		x->npinned++;
		x->pinned_bytes += size;
		break;
	default:
		x->nretained++;
		x->retained_bytes += size;
		break;
	}
}

static void
gather_ecache(struct ecache *ec, struct arena_record *r)
{
	mutex_lock(&ec->lock);
	ECACHE_FOR_EACH_SET(set, ec)
	{
		LIST_FOR_EACH (l, &set->lru) {
			const size_t size = LIST_ENTRY(l, struct edata, link)->size;
			gather_extent(&r->extents[page_class_floor(size)], ec->state,
			    size);
		}
	}
	mutex_unlock(&ec->lock);
}

static void
sum_classes(struct arena_record *r)
{
	for (unsigned i = 0; i < SC_NBINS; i++) {
		const struct bin_figures *bin = &r->bins[i];
		r->small.allocated += bin->curregs * size_class_size(i);
		r->small.nmalloc += bin->nmalloc;
		r->small.ndalloc += bin->ndalloc;
		r->small.nrequests += bin->nrequests;
		r->small.nfills += bin->nfills;
		r->small.nflushes += bin->nflushes;
	}
	for (unsigned i = 0; i < SC_NLARGE; i++) {
		const struct lextent_figures *l = &r->lextents[i];
		r->large.nmalloc += l->nmalloc;
		r->large.ndalloc += l->ndalloc;
		r->large.nrequests += l->nrequests;
		r->large.nfills += l->nmalloc;
	}
}

/* ---- Pages and records. ---- */

static void
gather_pages(struct arena *arena, struct arena_figures *a)
{
	struct pac *pac = &arena->pac;
	struct pac_stats *s = &pac->stats;

	a->dss =
	    option_word(&option_table[OPTION_dss], (int)dss_preference(pac->arena_index));
	a->dirty_decay_ms = pac_decay_ms(pac, DECAY_DIRTY);
	a->muzzy_decay_ms = pac_decay_ms(pac, DECAY_MUZZY);
	a->pdirty = pac_dirty_pages(pac);
	a->pmuzzy = pac_muzzy_pages(pac);
	/* Relaxed: counters. */
	a->pactive = load_relaxed(&s->active_pages);
	a->mapped = load_relaxed(&s->mapped);
	a->retained = load_relaxed(&s->retained);
	a->pinned = load_relaxed(&s->pinned);
	a->abandoned_vm = load_relaxed(&s->abandoned_vm);
	a->guards = load_relaxed(&s->guards);
	a->guard_calls = load_relaxed(&s->n_guard_calls);
	a->dirty_npurge = load_relaxed(&s->purged[DECAY_DIRTY].n_purge);
	a->dirty_nmadvise = load_relaxed(&s->purged[DECAY_DIRTY].n_advise);
	a->dirty_purged = load_relaxed(&s->purged[DECAY_DIRTY].n_pages);
	a->muzzy_npurge = load_relaxed(&s->purged[DECAY_MUZZY].n_purge);
	a->muzzy_nmadvise = load_relaxed(&s->purged[DECAY_MUZZY].n_advise);
	a->muzzy_purged = load_relaxed(&s->purged[DECAY_MUZZY].n_pages);
}

static void
gather_records(struct arena *arena, struct arena_figures *a)
{
	const struct base_stats base = base_stats(arena->base);

	a->base = base.allocated;
	a->metadata_thp = base.n_huge;
	/* Relaxed: counters. */
	const struct slab_page_stats *pages = &arena->slab_pages;
	a->slab_npurge = load_relaxed(&pages->n_purge);
	a->slab_nmadvise = load_relaxed(&pages->n_advise);
	a->slab_purged = load_relaxed(&pages->n_purged);
	a->slab_unbacked = load_relaxed(&pages->unbacked) * os_page_size;
	/* Of the address map, the words of what is mapped. */
	const size_t words = (a->mapped + a->retained) / GRANULE * sizeof(uintptr_t);
	a->resident = base.resident + align_up(words, os_page_size)
	    + (a->pactive + a->pdirty + a->pmuzzy) * os_page_size + a->pinned
	    - a->slab_unbacked;
	a->metadata_edata = load_relaxed(&arena->edata_pool.n_all) * sizeof(struct edata);
	if (arena->index == 0) {
		a->metadata_edata +=
		    load_relaxed(&edata_orphans.n_all) * sizeof(struct edata);
		a->metadata_rtree = rtree_mapped_bytes();
		a->base += a->metadata_rtree;
	}
	mutex_lock(&arena->edata_pool.lock);
	a->extent_avail = arena->edata_pool.n_free;
	mutex_unlock(&arena->edata_pool.lock);
}

void
gather_arena(struct arena *arena, struct arena_record *r)
{
	memset(r, 0, sizeof *r);
	const size_t slab_bytes = gather_slabs(arena, r);
	gather_large(arena, r);
	sum_classes(r);
	gather_pages(arena, &r->arena);
	struct arena_huge *huge = arena_huge(arena);
	const size_t untouched = huge == NULL ? 0 : gather_hpa(&huge->hpa, &huge->sec, r);
	if (arena->index == 0)
		r->arena.retained += gather_hpa_unused(&hpa_central);
	gather_ecache(&arena->pac.dirty, r);
	gather_ecache(&arena->pac.muzzy, r);
	gather_ecache(&arena->pac.retained, r);
	gather_ecache(&arena->pac.pinned, r);
	gather_records(arena, &r->arena);
	r->arena.resident += untouched;
	/* What is active and no slab is a large object: its pages are its size. */
	const size_t active = r->arena.pactive * os_page_size;
	if (active > slab_bytes)
		r->large.allocated += active - slab_bytes;
	/* And what lies in slabs, neither live nor free, fits no region. */
	const size_t known = r->small.allocated + r->large.allocated + r->arena.owned_free
	    + r->arena.shared_free;
	if (active > known)
		r->arena.slab_rounding = active - known;
	/* Relaxed: set once, and a count. */
	r->arena.uptime = os_clock_ns() - load_relaxed(&arena->created_ns);
	r->arena.nthreads = load_relaxed(&arena->n_threads);
	for (unsigned i = 0; i < ARENA_MUTEXES; i++) {
		const struct mutex *m = arena_mutex(arena, (enum arena_mutex)i);
		if (m != NULL)
			gather_mutex(m, &r->mutexes[i]);
	}
	if (huge != NULL)
		gather_sec_mutex(&huge->sec, &r->mutexes[ARENA_MUTEX_hpa_sec]);
}
