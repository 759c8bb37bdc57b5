/* SPDX-License-Identifier: MIT */
#include "ctl/resident.h"

#include <string.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "ctl/gather.h"
#include "ctl/pin.h"
#include "ctl/snapshot.h"
#include "os/pages.h"
#include "os/resident.h"

struct finder {
	struct resident *r;
	struct os_resident map;  /* what is known of the address map's own pages */
	struct os_resident data; /* and of what it leads to */
	size_t mixed;            /* resident bytes of mixed slabs */
	size_t mixed_live;       /* bytes of live regions in them */
};

/* Give as much of *rest to a part as it can have. */
static void
take(struct resident *r, enum resident_part part, size_t at_most, size_t *rest)
{
	const size_t taken = min_size(at_most, *rest);

	r->part[part] += taken;
	*rest -= taken;
}

/* A record that others may write meanwhile: each field is read once. */
struct extent {
	struct edata *e;
	uintptr_t addr;
	size_t size;
	unsigned szind, nregs;
	enum extent_use use;
	bool is_owned, is_kept;
};

NO_TSAN static struct extent
read_extent(struct edata *e)
{
	const volatile struct edata *racy = e;

	return (struct extent){
		.e = e,
		.addr = racy->addr,
		.size = racy->size,
		.szind = racy->szind,
		.nregs = racy->nregs,
		.use = (enum extent_use)racy->use,
		/* Relaxed: only whether there is one. */
		.is_owned = load_relaxed(&e->owner) != NULL,
		.is_kept = racy->cached,
	};
}

static void
count_slab(struct resident *r, const struct extent *x, size_t resident)
{
	if (x->szind >= SC_NOWNED)
		return; /* it is something else by now */
	const struct slab_geometry *g = &slab_geometry[x->szind];
	size_t n_live = gather_live(x->e);

	n_live = n_live < x->nregs ? n_live : x->nregs;

	take(r, RESIDENT_LIVE, n_live * g->reg_size, &resident);
	take(r, x->is_owned ? RESIDENT_OWNED_FREE : RESIDENT_SHARED_FREE,
	    (x->nregs - n_live) * g->reg_size, &resident);
	take(r, RESIDENT_ROUNDING, resident, &resident);
}

static void
count_active(struct finder *f, const struct extent *x, size_t resident)
{
	switch (x->use) {
	case USE_SLAB: count_slab(f->r, x, resident); return;
	case USE_MIXED: f->mixed += resident; return;
	case USE_LARGE:
		take(f->r, x->is_kept ? RESIDENT_LARGE_KEPT : RESIDENT_LIVE, resident,
		    &resident);
		return;
	case USE_NONE: return;
	}
}

/* `word' stands at `addr': where an extent begins with it, its pages are counted. */
static void
count_word(struct finder *f, uintptr_t word, uintptr_t addr)
{
	const struct extent x = read_extent(emap_record(word));

	/* Words of the inside and the end of extents; a size that cannot be. */
	if (x.addr != addr || x.size > (uintptr_t)1 << RTREE_VADDR_BITS)
		return;
	size_t resident = os_resident_bytes(&f->data, addr, x.size);
	switch ((word & EMAP_TAG_MASK) >> EXTENT_STATE_SHIFT & 7) {
	case EXTENT_ACTIVE: count_active(f, &x, resident); return;
	case EXTENT_MUZZY: take(f->r, RESIDENT_MUZZY, resident, &resident); return;
	case EXTENT_RETAINED: take(f->r, RESIDENT_RETAINED, resident, &resident); return;
	default: take(f->r, RESIDENT_DIRTY, resident, &resident); return;
	}
}

/* Words of a resident page of a leaf; `granule': number of the first. */
static void
count_words(struct finder *f, rtree_word *words, uintptr_t granule)
{
	for (size_t i = 0; i < os_page_size / sizeof *words; i++) {
		const uintptr_t word = load_acquire(&words[i]);
		if (word != 0)
			count_word(f, word, (granule + i) << LG_GRANULE);
	}
}

/* A leaf's pages that nobody ever wrote are passed over without touching them. */
static void
count_leaf(struct finder *f, size_t slot, uintptr_t leaf)
{
	const uintptr_t granule = (uintptr_t)slot << RTREE_LEAF_BITS,
			end = leaf + (sizeof(uintptr_t) << RTREE_LEAF_BITS);

	for (uintptr_t page = leaf; page < end; page += os_page_size) {
		size_t resident = os_resident_bytes(&f->map, page, os_page_size);
		if (resident == 0)
			continue;
		take(f->r, RESIDENT_METADATA, resident, &resident);
		count_words(f, (rtree_word *)page,
		    granule + (page - leaf) / sizeof(uintptr_t));
	}
}

static void
count_extents(struct finder *f)
{
	const size_t per_page = os_page_size / sizeof rtree.root[0];

	for (size_t first = 0; first < RTREE_ROOT_COUNT; first += per_page) {
		const uintptr_t page =
		    align_down((uintptr_t)&rtree.root[first], os_page_size);
		if (os_resident_bytes(&f->map, page, os_page_size) == 0
		    && os_resident_bytes(&f->map, page + os_page_size, os_page_size) == 0)
			continue;
		for (size_t i = first; i < first + per_page && i < RTREE_ROOT_COUNT;
		     i++) {
			const uintptr_t leaf = load_acquire(&rtree.root[i]);
			if (leaf != 0)
				count_leaf(f, i, RTREE_ORIGIN + leaf);
		}
	}
}

/* The lock only keeps arenas from going. */
static void
count_arenas(struct finder *f)
{
	mutex_lock(&ctl_lock);
	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_is_doomed(i) ? NULL : arena_get(i);
		if (arena == NULL)
			continue;
		f->r->part[RESIDENT_METADATA] += base_stats(arena->base).resident;
		f->mixed_live += gather_mixed_live(arena);
	}
	mutex_unlock(&ctl_lock);
}

void
resident_find(struct resident *r)
{
	struct finder f;

	memset(r, 0, sizeof *r);
	f.r = r;
	f.map.first = f.map.end = f.data.first = f.data.end = 0;
	f.mixed = f.mixed_live = 0;
	r->total = os_process_resident();
	count_extents(&f);
	count_arenas(&f);
	take(r, RESIDENT_LIVE, f.mixed_live, &f.mixed);
	take(r, RESIDENT_SHARED_FREE, f.mixed, &f.mixed);
	r->other = (int64_t)r->total;
	for (unsigned i = 0; i < RESIDENT_PARTS; i++)
		r->other -= (int64_t)r->part[i];
}
