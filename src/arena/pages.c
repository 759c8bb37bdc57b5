/* SPDX-License-Identifier: MIT */
/*
 * pages -- where an arena's extents come from.
 *
 * Everything above asks here, and does not know which of them serves: the huge page allocator,
 * behind its cache, where the arena has one, is not small (hpa_start_huge_from), and it serves such
 * a request; else PAC.  An extent goes back, grows and shrinks where it came from, which its record
 * says, so an arena may become small and large again as it likes: nothing is moved.  One that has
 * got hooks of the user takes nothing more from the huge page allocator, and gives back what it has
 * of it.
 */
#include "arena/arena.h"

#include "config/options.h"
#include "os/pages.h"

/* ---- two page allocators --------------------------------------------------------------------- */

/* Set once at boot: may there be huge page allocators, where the kernel has such pages? */
static bool is_wanted;
static size_t huge_from_pages; /* of an arena that is not small */

void
arena_pages_boot(void)
{
	is_wanted = opt.hpa;
	huge_from_pages = opt.hpa_start_huge_from / os_page_size;
}

static bool
may_have_huge(struct arena *arena)
{
	return is_wanted && ehooks_are_default(&arena->ehooks)
	    && (arena->is_manual || arena->index < arenas_automatic());
}

/* NULL: no memory. */
static struct arena_huge *
new_huge(struct arena *arena)
{
	const ssize_t ms = pac_decay_ms(&arena->pac, DECAY_DIRTY);
	struct arena_huge *huge = base_alloc(arena->base, sizeof *huge, CACHE_LINE);
	struct hpa_options hpa_options;
	struct sec_options sec_options;

	if (huge == NULL)
		return NULL;
	hpa_options_of_process(&hpa_options);
	sec_options_of_process(&sec_options);
	/* Relaxed: the same each time, and before the first pageslab. */
	store_relaxed(&hpa_central.advice, hpa_advice(&hpa_options));
	hpa_init(&huge->hpa, arena->index, arena->base, &arena->edata_pool, &hpa_central,
	    &hpa_options, ms);
	sec_init(&huge->sec, arena->base, &huge->hpa.pai, &sec_options, ms);
	return huge;
}

/*
 * The first time that the arena is not small: most processes never write to so much.  One thread
 * makes it, with no lock held; the others do without meanwhile.  So does the arena for want of
 * memory, until the next time.
 */
static struct arena_huge *
begin_huge(struct arena *arena)
{
	/* Acquire: pairs with the end of this function. */
	if (!options_hpa() || exchange_acquire(&arena->begins_huge, true))
		return arena_huge(arena);
	struct arena_huge *huge = arena_huge(arena);
	if (huge == NULL && (huge = new_huge(arena)) != NULL) {
		/* No fork goes by meanwhile, which would not have its locks. */
		mutex_lock(&arena->pac.grow_lock);
		store_release(&arena->huge, huge);
		mutex_unlock(&arena->pac.grow_lock);
	}
	/* Pairs with the exchange: who comes next sees it. */
	store_release(&arena->begins_huge, false);
	/* Who has set it meanwhile may not have seen the new one; and who sets it now does. */
	for (ssize_t ms; huge != NULL
	     && (ms = pac_decay_ms(&arena->pac, DECAY_DIRTY))
		 != load_relaxed(&huge->hpa.decay_ms);) {
		sec_set_decay_ms(&huge->sec, ms);
		hpa_set_decay_ms(&huge->hpa, ms);
	}
	return huge;
}

bool
arena_pages_init(struct arena *arena)
{
	if (!pac_init(&arena->pac, &arena->backlogs, arena->index, &arena->ehooks,
		&arena->edata_pool))
		return false;
	arena->may_have_huge = may_have_huge(arena);
	arena_defer_init(arena);
	return true;
}

void
arena_pages_destroy(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);
	bool deferred = false;

	if (huge != NULL) {
		sec_flush(&huge->sec, &deferred);
		hpa_destroy(&huge->hpa);
	}
	pac_destroy(&arena->pac, &arena_get(0)->pac);
}

/* The page allocator that an extent came from. */
static struct pai *
pai_of(struct arena *arena, const struct edata *e)
{
	return e->hpa ? &arena_huge(arena)->sec.pai : &arena->pac.pai;
}

/* What has been found to do later is noted. */
static void
note(struct arena *arena, bool deferred)
{
	if (deferred)
		arena_defer(arena);
}

/* Where there is one page allocator alone, it counts. */
static void
count_active(struct arena *arena, size_t bytes)
{
	if (arena->may_have_huge)
		fetch_add_relaxed(&arena->active_pages, bytes / os_page_size);
}

static void
count_inactive(struct arena *arena, size_t bytes)
{
	if (arena->may_have_huge)
		fetch_sub_relaxed(&arena->active_pages, bytes / os_page_size);
}

/* A pageslab that is half empty costs a small heap more than its huge page is worth.  Relaxed: a
 * hint. */
static bool
is_small(struct arena *arena)
{
	return load_relaxed(&arena->active_pages) < huge_from_pages;
}

static struct edata *
alloc_from_huge(struct arena *arena, const struct page_request *request, bool *deferred)
{
	struct arena_huge *huge;

	if (!arena->may_have_huge || is_small(arena)
	    || ((huge = arena_huge(arena)) == NULL && (huge = begin_huge(arena)) == NULL)
	    || !hpa_serves(&huge->hpa, request) || !ehooks_are_default(&arena->ehooks))
		return NULL;
	return huge->sec.pai.alloc(&huge->sec.pai, request, deferred);
}

struct edata *
arena_pages_alloc(struct arena *arena, const struct page_request *request)
{
	struct pac *pac = &arena->pac;
	bool deferred = false;

	struct edata *e = alloc_from_huge(arena, request, &deferred);
	if (e == NULL)
		e = pac->pai.alloc(&pac->pai, request, &deferred);
	if (e != NULL)
		count_active(arena, e->size);
	note(arena, deferred);
	return e;
}

void
arena_pages_dalloc(struct arena *arena, struct edata *e)
{
	struct pai *pai = pai_of(arena, e);
	bool deferred = false;

	count_inactive(arena, e->size);
	pai->dalloc(pai, e, &deferred);
	note(arena, deferred);
}

bool
arena_pages_resize(struct arena *arena, struct edata *e, size_t new_size, bool zero)
{
	struct pai *pai = pai_of(arena, e);
	const size_t old_size = e->size;
	bool deferred = false;

	const bool done = new_size < old_size
	    ? pai->shrink(pai, e, new_size, &deferred)
	    : pai->expand(pai, e, new_size, zero, &deferred);
	if (done && new_size < old_size)
		count_inactive(arena, old_size - new_size);
	else if (done)
		count_active(arena, new_size - old_size);
	note(arena, deferred);
	return done;
}

/* ---- figures --------------------------------------------------------------------------------- */

size_t
arena_pages_dirty(struct arena *arena)
{
	const size_t dirty = pac_dirty_pages(&arena->pac);
	struct arena_huge *huge = arena_huge(arena);

	return huge == NULL ? dirty : dirty + hpa_dirty_pages(&huge->hpa);
}

size_t
arena_pages_charged(struct arena *arena)
{
	struct pac_stats *s = &arena->pac.stats;
	/* Relaxed: counters. */
	const size_t bytes = load_relaxed(&s->mapped) - load_relaxed(&s->pinned_mapped);
	struct arena_huge *huge = arena_huge(arena);

	return huge == NULL ? bytes
			    : bytes + hpa_touched_pages(&huge->hpa) * os_page_size;
}

uint64_t
arena_pages_purged(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);
	uint64_t n = 0;

	/* Relaxed: counters. */
	for (unsigned k = 0; k < DECAY_KINDS; k++)
		n += load_relaxed(&arena->pac.stats.purged[k].n_pages);
	return huge == NULL ? n : n + load_relaxed(&huge->hpa.n_purged_pages);
}

/* ---- checks and forks ------------------------------------------------------------------------ */

void
arena_pages_check_shared(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);

	pac_check_caches(&arena->pac);
	if (huge == NULL)
		return;
	sec_check(&huge->sec);
	hpa_check(&huge->hpa);
}

void
arena_pages_check(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);
	struct sec_stats cached = { 0 };

	pac_check(&arena->pac);
	/* What a fork froze is counted by nobody any more. */
	if (huge == NULL || huge->hpa.epoch != 0)
		return;
	sec_gather(&huge->sec, &cached);
	/* What the cache holds is in use for the one behind it, and for nobody else. */
	assert(load_relaxed(&arena->active_pages)
	    == load_relaxed(&arena->pac.stats.active_pages)
		+ load_relaxed(&huge->hpa.active_pages) - cached.bytes / os_page_size);
}

void
arena_pages_fork_prepare(struct arena *arena, enum lock_rank rank)
{
	struct arena_huge *huge = arena_huge(arena);

	if (rank == RANK_DECAY || rank == RANK_GROW || rank == RANK_ECACHE)
		pac_fork_prepare(&arena->pac, rank);
	else if (huge != NULL && rank == RANK_HPA_SEC)
		sec_fork_prepare(&huge->sec);
	else if (huge != NULL)
		hpa_fork_prepare(&huge->hpa, rank);
}

void
arena_pages_fork_parent(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);

	pac_fork_parent(&arena->pac);
	if (huge == NULL)
		return;
	hpa_fork_parent(&huge->hpa);
	sec_fork_parent(&huge->sec);
}

void
arena_pages_fork_child(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);

	pac_fork_child(&arena->pac);
	/* Relaxed: one thread.  What another one had begun is lost. */
	store_relaxed(&arena->begins_huge, false);
	if (huge == NULL)
		return;
	hpa_fork_child(&huge->hpa);
	sec_fork_child(&huge->sec);
}
