/* SPDX-License-Identifier: MIT */
/*
 * comb -- purging whole free pages of slabs that a thread owns and uses in part.
 *
 * A page of a slab with few live regions is likely to have none.  So partly used slabs
 * are watched: `need' of a watched one counts down to a number of live regions, nregs
 * halved again and again, and only when so few are left has the slab become sparse.  That
 * costs frees nothing but a rare event. A thread that owns little watches nothing by
 * itself; trimming begins to watch what lies idle.
 *
 * Sparse slabs wait in a list of their own, from which the class is served when it has no
 * denser ones.  Combed, that is: their free list walked, the regions on wholly free pages
 * made untouched, those pages purged, they go to the front of the list of full ones,
 * where they are looked for when nothing else is there: purged memory is used last.  The
 * oldest are combed first, for the newest may be about to become emptier,
 *
 *	by time		when the first of them has waited for the decay time, some at each trimming;
 *	for growth	when the thread is about to get a slab more from its arena: four times its
 *			size, so that the peak need not grow;
 *	by amount	when a free makes them more than 1/64 of the machine's memory.  Then all of
 *			them, and those that follow, until a decay time passes without.  Below that
 *			it is not worth while: a process that frees at random does so most often
 *			because it frees all, and a page purged a moment before its slab is free
 *			costs more than the free of all its objects.
 *
 * The latter two must be earned like the bound on dirty pages (page/pac_purge.c): if a
 * good part of what was purged is used again soon, the thread becomes wary and combs by
 * time alone, until a decay time passes without that.  An explicit decay time leaves time
 * alone, too.
 *
 * A thread that makes no further call combs nothing: links in its free regions are its
 * alone.  What it leaves is counted (stats.arenas.<i>.slab_sparse).
 */
#include "arena/slab_purge.h"
#include "base/bitmap.h"
#include "base/bits.h"
#include "cache/tcache.h"
#include "os/os.h"

/* Lists walked at once, each waiting for its own load. */
#define WALK 8
/* Less is not combed for growth. */
#define GROWTH_MIN (CONFIG_HOSTILE ? 1 : (size_t)4 << 20)
/* And of less than this pages are not looked for at all. */
#define LOOK_MIN (CONFIG_HOSTILE ? 1 : (size_t)256 << 10)
/* Slabs of an idle class looked at in each decay time. */
#define IDLE_LOOKS 256
/* Combed at a time by amount, and by time at least; of all sparse ones, by time, 1 / 2^n. */
#define COMB_STEP ((size_t)1 << 20)
#define LG_TRIM_SHARE 4
/* Slabs combed for one more, in its size. */
#define GROWTH_RATE 4
/* Slabs looked at in vain, because of the huge pages that they lie in. */
#define VAIN_LOOKS 16
/* Many are 1 / 2^n of the machine's memory, and not more than so much. */
#define LG_MANY_SHARE 6
#define MANY_MAX ((size_t)512 << 20)
/* Combing was wrong if so much of what it purged is used again at once: 1 / 2^n. */
#define LG_WRONG_SHARE 2

/* So often must live regions be halved until about a third of the pages have none, if chance
 * decides which are live. */
static unsigned
first_halvings(unsigned szind)
{
	const size_t on_a_page = os_page_size / slab_geometry[szind].reg_size + 1;

	return on_a_page < 4 ? 1 : lg_floor(on_a_page);
}

/* The state in which a slab with so many live regions is watched: for the next halving that
 * leaves a page free with some likelihood. */
static unsigned
watch_for(const struct edata *e, unsigned live)
{
	unsigned halvings = first_halvings(e->szind);

	while ((unsigned)e->nregs >> halvings >= live)
		halvings++;
	return SLAB_WATCHED + halvings;
}

/* Its `need' counts to another number; live is what it stands for. */
static void
rewatch(struct edata *e, unsigned live)
{
	e->slab_state = (uint8_t)watch_for(e, live);
	e->need = live - slab_target(e->slab_state, e->nregs);
	assert(e->need != 0);
}

void
tcache_watch(struct edata *e)
{
	assert(slab_state_is_partial(e->slab_state));
	rewatch(e, slab_live(e));
}

/* Like a tcache, the record is there for good. */
static bool
begin(struct tcache *tc)
{
	tc->comb = base_alloc(&base_zero, sizeof *tc->comb, CACHE_LINE);
	if (tc->comb == NULL)
		return false;
	for (unsigned i = 0; i < SC_NOWNED; i++)
		list_init(&tc->comb->sparse[i]);
	return true;
}

/* A watched slab in its list: it waits for its turn. */
static void
await_comb(struct tcache *tc, struct edata *e)
{
	if (UNLIKELY(tc->comb == NULL) && !begin(tc))
		return;
	list_remove(&e->link);
	list_push_back(&tc->comb->sparse[e->szind], &e->link);
	e->slab_state |= SLAB_UNCOMBED;
	tc->sparse_bytes += e->size;
	slab_count_sparse(e);
}

void
tcache_becomes_sparse(struct tcache *tc, struct edata *e)
{
	const bool waits = e->slab_state >= SLAB_UNCOMBED;

	assert(e->need == 0);
	rewatch(e, slab_live(e));
	if (waits)
		e->slab_state |= SLAB_UNCOMBED;
	else if (slab_may_be_purged(e))
		await_comb(tc, e);
}

static void
comb_some(struct slab_purge *purge, struct edata **slabs, unsigned n)
{
	uint64_t bits[WALK][SLAB_BITMAP_WORDS];

	for (unsigned i = 0; i < n; i++)
		bitmap_clear_all(bits[i], slabs[i]->nregs);
	slab_map_free(slabs, n, bits);
	/* The arena may have got hooks, or another decay time, since they became sparse. */
	for (unsigned i = 0; i < n; i++)
		if (slab_may_be_purged(slabs[i]))
			slab_purge_add(purge, slabs[i],
			    slab_forget_pages(slabs[i], bits[i]));
}

/* What is to be combed, and how many may be found not to be worth it. */
struct combing {
	struct slab_purge purge;
	size_t bytes, looks;
	struct list *passed; /* of this class, the first that was not; NULL: none yet */
};

/* The slab of a class that has waited longest, and is worth it, out of its list; NULL: none.  Those
 * that are not go on waiting, at the end. */
static struct edata *
oldest_sparse(struct tcache *tc, unsigned szind, struct combing *c)
{
	struct list *waiting = tcache_sparse(tc, szind), *l;

	while (waiting != NULL && (l = list_first(waiting)) != NULL && l != c->passed
	    && c->looks != 0) {
		struct edata *e = LIST_ENTRY(l, struct edata, link);
		list_remove(l);
		if (slab_purge_is_worth_it(e))
			return e;
		list_push_back(waiting, l);
		c->looks--;
		if (c->passed == NULL)
			c->passed = l;
	}
	return NULL;
}

static struct edata *
take_sparse(struct tcache *tc, unsigned szind, struct combing *c)
{
	struct edata *e = oldest_sparse(tc, szind, c);

	if (e == NULL)
		return NULL;
	list_push_front(&tc->classes[szind].full, &e->link);
	e->slab_state &= (uint8_t)~SLAB_UNCOMBED;
	tc->sparse_bytes -= e->size;
	slab_count_not_sparse(e);
	return e;
}

/* Those of one class. */
static void
comb_class(struct tcache *tc, unsigned szind, struct combing *c)
{
	struct edata *slabs[WALK], *e = NULL;

	c->passed = NULL;
	do {
		unsigned n = 0;
		while (n < WALK && c->bytes != 0
		    && (e = take_sparse(tc, szind, c)) != NULL) {
			slabs[n++] = e;
			c->bytes -= min_size(c->bytes, e->size);
		}
		comb_some(&c->purge, slabs, n);
	} while (e != NULL && c->bytes != 0);
}

void
tcache_comb(struct tcache *tc, size_t bytes)
{
	struct combing c = { .bytes = bytes,
		.looks = bytes == SIZE_MAX ? SIZE_MAX : VAIN_LOOKS };

	if (tc->sparse_bytes == 0)
		return;
	slab_purge_begin(&c.purge);
	for (unsigned i = 0; i < SC_NOWNED && c.bytes != 0; i++) {
		const unsigned szind = (tc->comb->first + i) % SC_NOWNED;
		comb_class(tc, szind, &c);
		/* The next time others have their looks. */
		if (c.looks == 0) {
			tc->comb->first = (szind + 1) % SC_NOWNED;
			break;
		}
	}
	tc->comb->combed_pages += slab_purge_end(&c.purge);
}

/* ---- when ---- */

/* Was what has been purged since the last question used again at once? */
static bool
is_wrong(struct tcache *tc)
{
	const bool wrong =
	    tc->comb->recalled_pages > tc->comb->combed_pages >> LG_WRONG_SHARE;

	tc->comb->recalled_pages = tc->comb->combed_pages = 0;
	return wrong;
}

static bool
waits_for_time(struct tcache *tc)
{
	if (!tc->comb->is_wary && tc->comb->recalled_pages > COMB_STEP / os_page_size)
		tc->comb->is_wary = is_wrong(tc);
	/* Relaxed: a setting. */
	return tc->comb->is_wary || !load_relaxed(&tc->arena->pac.bounded);
}

static size_t
many_bytes(void)
{
	const size_t share = os_memory_size() >> LG_MANY_SHARE;

	return CONFIG_HOSTILE ? TCACHE_COMB_MIN
			      : max_size(TCACHE_COMB_MIN, min_size(share, MANY_MAX));
}

void
tcache_comb_by_amount(struct tcache *tc)
{
	if (waits_for_time(tc)) {
		tc->comb_at = SIZE_MAX;
		return;
	}
	if (tc->comb_at >= TCACHE_COMB_MIN && tc->sparse_bytes <= many_bytes()) {
		tc->comb_at = many_bytes();
		return;
	}
	/* Until time has passed without: a step at each event, so that the newest
	 * wait. */
	const size_t before = tc->sparse_bytes;
	tc->comb_at = TCACHE_COMB_MIN / 2;
	tcache_comb(tc, COMB_STEP);
	/* Huge pages are in the way: not again for each that becomes sparse. */
	if (tc->sparse_bytes == before)
		tc->comb_at = max_size(TCACHE_COMB_MIN, before + COMB_STEP);
}

void
tcache_comb_for_growth(struct tcache *tc, size_t bytes)
{
	if (tc->sparse_bytes > GROWTH_MIN && !waits_for_time(tc))
		tcache_comb(tc, GROWTH_RATE * bytes);
}

/* Begin to watch what an idle class owns, the first so many slabs. */
static void
watch_idle(struct tcache *tc, struct tcache_class *k, size_t looks)
{
	struct list *l = k->partial.next, *next;

	for (size_t i = 0; i < looks && l != &k->partial; i++, l = next) {
		struct edata *e = LIST_ENTRY(l, struct edata, link);
		next = l->next;
		if (e->slab_state != SLAB_PARTIAL || !slab_may_be_purged(e))
			continue;
		const unsigned live = e->need;
		rewatch(e, live);
		if (live <= (unsigned)e->nregs >> first_halvings(e->szind))
			await_comb(tc, e);
	}
}

static void
look_at_classes(struct tcache *tc)
{
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		const uint32_t taken = (uint32_t)load_relaxed(&tc->classes[i].n_taken);
		if (taken == tc->comb->taken_at_look[i])
			watch_idle(tc, &tc->classes[i], IDLE_LOOKS);
		tc->comb->taken_at_look[i] = taken;
	}
}

void
tcache_comb_by_time(struct tcache *tc, uint64_t now)
{
	const ssize_t ms = pac_decay_ms(&tc->arena->pac, DECAY_DIRTY);

	if (tc->owned_bytes < LOOK_MIN || !slab_purge_is_on(tc->arena))
		return;
	if (tc->comb == NULL && !begin(tc))
		return;
	const uint64_t delay = (uint64_t)ms * 1000000;
	if (now - tc->comb->looked_ns >= delay) {
		tc->comb->looked_ns = now;
		tc->comb->is_wary = tc->comb->is_wary && is_wrong(tc);
		tc->comb_at = TCACHE_COMB_MIN;
		look_at_classes(tc);
	}
	if (tc->sparse_bytes == 0) {
		tc->comb->sparse_ns = 0;
		return;
	}
	if (tc->comb->sparse_ns == 0)
		tc->comb->sparse_ns = now;
	if (now - tc->comb->sparse_ns >= delay)
		tcache_comb(tc, max_size(COMB_STEP, tc->sparse_bytes >> LG_TRIM_SHARE));
}

void
tcache_comb_everything(struct tcache *tc)
{
	tcache_flush(tc);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		watch_idle(tc, &tc->classes[i], SIZE_MAX);
	tcache_comb(tc, SIZE_MAX);
}

void *
tcache_carve_purged(struct tcache *tc, unsigned szind, struct edata *e)
{
	const uint64_t pages = slab_first_purged(e);
	unsigned n;
	void **first = slab_recall_pages(e, pages, &n);

	assert(first != NULL && n != 0);
	slab_count_used_again(e, pages);
	tc->comb->recalled_pages += count_set(pages);
	e->need += n;
	tcache_count_taken(&tc->classes[szind], n);
	tc->list[szind] = *first;
	return first;
}
