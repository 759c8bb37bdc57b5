/* SPDX-License-Identifier: MIT */
#include "cache/kept.h"

#include <limits.h>

#include "base/bits.h"
#include "os/os.h"
#include "sync/fork.h"

/* Looks in a decay time: what idles is taken between one and two looks later, and then has the rest
 * of a decay time as dirty pages. */
#define LOOKS 4
/* A thread that gives back so many times what it may keep, and needs no slab
 * meanwhile, shrinks. */
#define SHRINK_RATE 8

static bool
hold(struct tcache *tc, enum kept_holder holder)
{
	uint8_t expected = KEPT_FREE;

	/* Acquire: pairs with let_go. */
	return cas_strong_acquire(&tc->kept_holder, &expected, (uint8_t)holder);
}

static void
let_go(struct tcache *tc)
{
	store_release(&tc->kept_holder, (uint8_t)KEPT_FREE);
}

static struct edata *
next_of(const struct edata *e)
{
	return e->link.next == NULL ? NULL : LIST_ENTRY(e->link.next, struct edata, link);
}

static void
chain_push(struct edata **chain, struct edata *e)
{
	e->link.next = *chain == NULL ? NULL : &(*chain)->link;
	*chain = e;
}

/* Where the empty slabs of all classes with slabs of that size are counted. */
static struct tcache_class *
count_of(struct tcache *tc, unsigned szind)
{
	return &tc->classes[first_set(slab_alike[szind])];
}

/* ---- held ---- */

static void
push_held(struct tcache *tc, struct edata *e)
{
	e->slab_state = SLAB_EMPTY;
	chain_push(&tc->classes[e->szind].empty, e);
	/* Relaxed, here and below: others read them as hints. */
	store_relaxed(&tc->with_empty,
	    load_relaxed(&tc->with_empty) | (uint64_t)1 << e->szind);
	owner_add(&tc->empty_bytes, e->size);
	count_of(tc, e->szind)->n_empty++;
	tc->n_kept_changes++;
}

/* The one of a class that was kept last; there is one. */
static struct edata *
pop_held(struct tcache *tc, unsigned szind)
{
	struct tcache_class *k = &tc->classes[szind], *count = count_of(tc, szind);
	struct edata *e = k->empty;

	k->empty = next_of(e);
	if (k->empty == NULL)
		store_relaxed(&tc->with_empty,
		    load_relaxed(&tc->with_empty) & ~((uint64_t)1 << szind));
	e->link.next = NULL;
	if (--count->n_empty < count->n_empty_low)
		count->n_empty_low = count->n_empty;
	owner_sub(&tc->empty_bytes, e->size);
	tc->n_kept_changes++;
	return e;
}

/* Up to n of a class go to the chain; how many. */
static unsigned
pop_some_held(struct tcache *tc, unsigned szind, unsigned n, struct edata **chain)
{
	unsigned gone = 0;

	for (; gone < n && tc->classes[szind].empty != NULL; gone++)
		chain_push(chain, pop_held(tc, szind));
	return gone;
}

static void
pop_all_held(struct tcache *tc, struct edata **chain)
{
	for (uint64_t left = load_relaxed(&tc->with_empty); left != 0; left &= left - 1)
		(void)pop_some_held(tc, first_set(left), UINT_MAX, chain);
}

/* Are there slots for the regions of one more empty slab? */
static bool
has_slots_held(const struct tcache *tc, const struct edata *e)
{
	size_t n = e->nregs;

	if (LIKELY(tc->shape == NULL))
		return true;
	for (const struct edata *kept = tc->classes[e->szind].empty; kept != NULL;
	     kept = next_of(kept))
		n += kept->nregs;
	return n <= tcache_shape_slots(tc->shape, e->szind);
}

/* ---- by the owner ---- */

static void
delete_chain(struct edata *chain)
{
	while (chain != NULL) {
		struct edata *next = next_of(chain);
		chain->link.next = NULL;
		arena_slab_delete(arena_of(chain), chain);
		chain = next;
	}
}

/* How soon the next look is due after one; UINT64_MAX: never. */
static uint64_t
look_ns(struct arena *arena)
{
	const ssize_t ms = pac_decay_ms(&arena->pac, DECAY_DIRTY);
	const uint64_t ns = ms < 0 ? UINT64_MAX : (uint64_t)ms * 1000000 / LOOKS;

	return max_size(ns, TCACHE_TRIM_NS);
}

void
tcache_kept_announce(struct arena *arena)
{
	const uint64_t ns = look_ns(arena);

	/* Release: pairs with the exchange in tcache_kept_reclaim.  Where nothing decays, too: that
	 * may change. */
	if (!exchange_acq_rel(&arena->has_kept, true) && ns != UINT64_MAX)
		arena_expect(arena, ns);
}

struct edata *
tcache_kept_take(struct tcache *tc, unsigned szind)
{
	/* Relaxed: a hint. */
	if ((load_relaxed(&tc->with_empty) & slab_alike[szind]) == 0
	    || !hold(tc, KEPT_BY_OWNER))
		return NULL;
	const uint64_t alike = load_relaxed(&tc->with_empty) & slab_alike[szind];
	struct edata *e = NULL;
	if (alike != 0)
		e = pop_held(tc, (alike >> szind & 1) != 0 ? szind : first_set(alike));
	let_go(tc);
	if (e == NULL)
		return NULL;
	tc->shrunk_bytes = 0;
	/* The arena would take ten times as long to find a new one. */
	if (e->szind == szind || arena_slab_recast(arena_of(e), e, szind)) {
		tcache_gains(tc, e);
		return e;
	}
	arena_slab_delete(arena_of(e), e);
	return NULL;
}

/* Of the slabs like those of class `least', the first of all like it, those go to the chain that no
 * class has needed since the last time: first those of idle classes. */
static void
trim_held(struct tcache *tc, unsigned least, struct edata **chain)
{
	struct tcache_class *count = &tc->classes[least];
	unsigned n = count->n_empty_low;

	if (tcache_is_worth_trimming(n * (size_t)slab_geometry[least].slab_size)) {
		for (uint64_t left = slab_alike[least]; left != 0; left &= left - 1)
			if (tcache_class_is_idle(&tc->classes[first_set(left)]))
				n -= pop_some_held(tc, first_set(left), n, chain);
		for (uint64_t left = slab_alike[least]; left != 0; left &= left - 1)
			n -= pop_some_held(tc, first_set(left), n, chain);
	}
	count->n_empty_low = count->n_empty;
}

void
tcache_kept_trim(struct tcache *tc)
{
	struct edata *chain = NULL;

	if (load_relaxed(&tc->with_empty) == 0 || !hold(tc, KEPT_BY_OWNER))
		return;
	for (unsigned i = 0; i < SC_NOWNED; i++)
		if (first_set(slab_alike[i]) == i)
			trim_held(tc, i, &chain);
	let_go(tc);
	delete_chain(chain);
}

void
tcache_kept_flush(struct tcache *tc)
{
	struct edata *chain = NULL;

	if (load_relaxed(&tc->with_empty) == 0 || !hold(tc, KEPT_BY_OWNER))
		return;
	pop_all_held(tc, &chain);
	let_go(tc);
	delete_chain(chain);
}

/* No room for one more.  A thread that only frees does not trim either. */
static void
note_shrinking(struct tcache *tc, size_t bytes)
{
	tc->shrunk_bytes += bytes;
	if (tc->shrunk_bytes / SHRINK_RATE <= tc->empty_limit)
		return;
	tc->shrunk_bytes = 0;
	tc->empty_limit = TCACHE_EMPTY_MIN;
	tcache_kept_flush(tc);
}

bool
tcache_kept_put(struct tcache *tc, struct edata *e)
{
	/* Relaxed: others only make it less. */
	if (load_relaxed(&tc->empty_bytes) + e->size > tc->empty_limit) {
		note_shrinking(tc, e->size);
		return false;
	}
	/* Purged pages are for who needs new ones. */
	if (e->owned_purged != 0 || !hold(tc, KEPT_BY_OWNER))
		return false;
	const bool fits = has_slots_held(tc, e);
	if (fits) {
		push_held(tc, e);
		tcache_loses(tc, e);
	}
	/* Relaxed: see the head of kept.h. */
	const bool is_news = !load_relaxed(&tc->arena->has_kept);
	let_go(tc);
	if (UNLIKELY(is_news) && fits)
		tcache_kept_announce(tc->arena);
	return fits;
}

void
tcache_kept_check(struct tcache *tc)
{
	unsigned n_empty[SC_NOWNED] = { 0 };
	size_t empty = 0;

	if (!hold(tc, KEPT_BY_OWNER))
		return;
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		const struct edata *e = tc->classes[i].empty;
		assert((load_relaxed(&tc->with_empty) >> i & 1) == (e != NULL));
		for (; e != NULL; e = next_of(e)) {
			assert(e->slab_state == SLAB_EMPTY && e->need == 0);
			assert(e->szind == i && load_relaxed(&e->owner) == tc);
			empty += e->size;
			n_empty[first_set(slab_alike[i])]++;
		}
	}
	for (unsigned i = 0; i < SC_NOWNED; i++)
		assert(n_empty[i] == tc->classes[i].n_empty
		    && tc->classes[i].n_empty_low <= n_empty[i]);
	assert(empty == load_relaxed(&tc->empty_bytes));
	let_go(tc);
}

/* ---- by any thread ---- */

/* Take all of one tcache if it may be.  False: something is left. */
static bool
take_from(struct tcache *tc, enum kept_which which, struct edata **chain)
{
	if (!hold(tc, KEPT_BY_OTHER))
		return false;
	const bool is_idle = tc->n_kept_changes == tc->kept_changes_seen;
	if (which == KEPT_ALL || is_idle)
		pop_all_held(tc, chain);
	tc->kept_changes_seen = tc->n_kept_changes;
	const bool is_bare = load_relaxed(&tc->empty_bytes) == 0;
	let_go(tc);
	return is_bare;
}

void
tcache_kept_reclaim(struct arena *arena, enum kept_which which, uint64_t now_ns)
{
	struct edata *chain = NULL;
	bool has_left = false;

	if (which == KEPT_IDLE && tcache_kept_ns_until(arena, now_ns) != 0)
		return;
	if (!mutex_trylock(&arena->tcache_lock))
		return;
	store_relaxed(&arena->kept_looked_ns, now_ns);
	/* Before all looks: see the head of kept.h. */
	(void)exchange_acq_rel(&arena->has_kept, false);
	LIST_FOR_EACH (l, &arena->tcaches) {
		struct tcache *tc = LIST_ENTRY(l, struct tcache, arena_link);
		if (!take_from(tc, which, &chain))
			has_left = true;
	}
	if (has_left)
		store_relaxed(&arena->has_kept, true);
	mutex_unlock(&arena->tcache_lock);
	delete_chain(chain);
}

uint64_t
tcache_kept_ns_until(struct arena *arena, uint64_t now_ns)
{
	/* Relaxed: hints. */
	if (!load_relaxed(&arena->has_kept))
		return UINT64_MAX;
	const uint64_t ns = look_ns(arena), looked = load_relaxed(&arena->kept_looked_ns);
	if (ns == UINT64_MAX)
		return UINT64_MAX;
	return now_ns >= looked + ns ? 0 : looked + ns - now_ns;
}

void
tcache_kept_fork_child(struct tcache *tc)
{
	if (load_relaxed(&tc->kept_holder) != KEPT_BY_OTHER)
		return;
	/* This thread is in the middle of it, and goes on: the handler of a signal has forked. */
	if (load_relaxed(&tc->arena->tcache_lock.fork_state) == FORK_INTERRUPTED)
		return;
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		tc->classes[i].empty = NULL;
		tc->classes[i].n_empty = tc->classes[i].n_empty_low = 0;
	}
	store_relaxed(&tc->with_empty, (uint64_t)0);
	store_relaxed(&tc->empty_bytes, (size_t)0);
	let_go(tc);
}
