/* SPDX-License-Identifier: MIT */
/*
 * What is compared is the slab's number of live regions with the average over all slabs
 * of its class and arena that have room and are nobody's current one.  Objects of slabs
 * at or below the average move, into current ones; those above stay.  So the class's
 * objects gather in fewer and fewer slabs; it ends when those with room are as few as
 * their objects need.
 *
 * Sums are counted anew after as many questions as there are slabs to count, so that a
 * question costs the same however many slabs there are; between, they are a little old.
 */
#include "ctl/defrag.h"

#include "arena/arena.h"
#include "base/atomic.h"
#include "ctl/gather.h"

/* Slabs with more than all but this share of their regions live are full enough. */
#define LG_ROOM 3 /* 1/8 */

#define QUESTIONS_MIN 64

/* Arenas with the same place take turns: while one's sums are young, the other's objects stay. */
#define PLACES 16

/* The sums of one class in an arena.  Relaxed: each is a hint, and a mixture of two countings one
 * more. */
struct sums {
	_Atomic(struct arena *) arena;
	_Atomic(size_t) n_slabs;   /* with room */
	_Atomic(size_t) n_live;    /* regions in them */
	_Atomic(size_t) questions; /* until they are counted again */
};

static struct sums sums[SC_NOWNED][PLACES] BULKY;

/* Room beside what is live: a slab kept empty is neither to be emptied nor filled. */
static bool
has_room(size_t live, size_t nregs)
{
	return live != 0 && live <= nregs - (nregs >> LG_ROOM) && live < nregs;
}

/* New objects of the class come from here: by this thread or another, from a list or not. */
NO_TSAN static bool
is_current(const struct edata *e)
{
	const volatile struct edata *racy = e;
	const unsigned state = racy->slab_state;

	return state == SLAB_CURRENT || state == SLAB_SHARED_CURRENT;
}

static void
count(struct sums *s, struct arena *arena, struct bin *bin)
{
	const size_t nregs = slab_geometry[bin->szind].nregs;
	size_t n_slabs = 0, n_live = 0, n_others = 0, n_full = 0;

	mutex_lock(&bin->lock);
	LIST_FOR_EACH (l, &bin->owned) {
		const struct edata *e = LIST_ENTRY(l, struct edata, bin_link);
		const size_t live = gather_live(e), worth = slab_worth(e);
		n_others += worth;
		if (!is_current(e) && has_room(live, e->nregs)) {
			n_slabs += worth;
			n_live += live;
		}
	}
	LIST_FOR_EACH (l, &bin->full)
		n_full += slab_worth(LIST_ENTRY(l, struct edata, link));
	/* The partly used shared ones, together. */
	size_t shared_live = bin->stats.cur_regs - n_full * nregs;
	n_others += n_full;
	if (bin->current != NULL) {
		n_others += slab_worth(bin->current);
		shared_live -= bin->current->need;
	}
	if (bin->stats.cur_slabs > n_others) {
		n_slabs += bin->stats.cur_slabs - n_others;
		n_live += shared_live;
	}
	const size_t n_all = bin->stats.cur_slabs;
	mutex_unlock(&bin->lock);
	store_relaxed(&s->arena, arena);
	store_relaxed(&s->n_slabs, n_slabs);
	store_relaxed(&s->n_live, n_live);
	store_relaxed(&s->questions, n_all > QUESTIONS_MIN ? n_all : QUESTIONS_MIN);
}

/* False: they are of another arena, and it is not yet time for a change. */
static bool
refresh(struct sums *s, struct arena *arena, struct bin *bin)
{
	const size_t questions = load_relaxed(&s->questions);

	if (questions == 0)
		count(s, arena, bin);
	else
		store_relaxed(&s->questions, questions - 1);
	return load_relaxed(&s->arena) == arena;
}

bool
defrag_would_help(const void *p)
{
	const struct edata *e = emap_lookup(p);

	if (e == NULL || e->use != USE_SLAB || is_current(e))
		return false;
	struct arena *arena = arena_of(e);
	struct sums *s = &sums[e->szind][arena->index % PLACES];
	const size_t nregs = slab_geometry[e->szind].nregs, live = gather_live(e);
	if (!has_room(live, e->nregs))
		return false;
	if (!refresh(s, arena, &arena->bins[e->szind]))
		return false;
	const size_t n_slabs = load_relaxed(&s->n_slabs),
		     n_live = load_relaxed(&s->n_live);
	const size_t n_needed = (n_live + nregs - 1) / nregs;
	return n_needed < n_slabs && live * n_slabs <= n_live * slab_worth(e);
}
