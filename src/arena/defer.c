/* SPDX-License-Identifier: MIT */
/*
 * defer -- what the page allocators of an arena do later: who does it, and when.
 *
 * Whoever allocates or frees notes that there is work (arena_defer); ticks do it, a little at a
 * time, or somebody else (the delegate: background workers), who is told when it will be due.
 */
#include "arena/arena.h"
#include "os/os.h"

/* So many pages more change when there will be work. */
#define PLAN_PAGES 1024

void
arena_defer_init(struct arena *arena)
{
	store_relaxed(&arena->foreseen_pages, PLAN_PAGES);
}

void
arena_decay(struct arena *arena, enum purge_extent how)
{
	pac_decay(&arena->pac, how == PURGE_EVERYTHING ? how : PURGE_BY_CURVE);
	struct arena_huge *huge = arena_huge(arena);
	if (huge != NULL)
		huge->sec.pai.work(&huge->sec.pai, how);
}

/* When the huge page allocator has work, on its clock; a hint. */
static uint64_t
huge_due_ns(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);

	if (huge == NULL)
		return DEFERRED_NEVER;
	const uint64_t hpa = load_relaxed(&huge->hpa.due_ns),
		       sec = sec_wake_ns(&huge->sec);
	return hpa < sec ? hpa : sec;
}

static uint64_t
ns_until_work(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);
	struct pai *classic = &arena->pac.pai;
	const uint64_t pac = classic->time_until_deferred_work(classic);
	if (huge == NULL)
		return pac;
	struct pai *front = &huge->sec.pai;
	const uint64_t other = front->time_until_deferred_work(front);
	return other < pac ? other : pac;
}

_Atomic(arena_delegate_fn *) arena_delegate;

void
arena_set_delegate(arena_delegate_fn *delegate)
{
	store_release(&arena_delegate, delegate);
	store_relaxed(&pac_is_served, delegate != NULL);
}

/* When work begins, somebody looks at it so soon. */
#define BEGIN_NS ((uint64_t)1000 * 1000 * 1000)

/* Is there anything that may be work once? */
static bool
has_pages(struct arena *arena)
{
	return arena_pages_dirty(arena) != 0 || pac_muzzy_pages(&arena->pac) != 0
	    || huge_due_ns(arena) != DEFERRED_NEVER;
}

void
arena_expect(struct arena *arena, uint64_t due_ns)
{
	/* Acquire: pairs with who sets it. */
	arena_delegate_fn *delegate = load_acquire(&arena_delegate);

	if (delegate != NULL)
		delegate(arena, due_ns);
}

/* So many dirty pages are known to whoever does the work. */
static void
foresee(struct arena *arena, size_t pages)
{
	/* Relaxed: a hint.  By a quarter more each time: few calls however much is freed. */
	store_relaxed(&arena->foreseen_pages, pages + pages / 4 + PLAN_PAGES);
}

/* By a thread that has other things to do. */
static void
decay_by_curve(struct arena *arena)
{
	arena_decay(arena, PURGE_BRIEFLY);
	foresee(arena, arena_pages_dirty(arena));
}

static void
expect_pages(struct arena *arena)
{
	arena_expect(arena, ns_until_work(arena));
}

/* Does the huge page allocator want somebody sooner than was said?  Relaxed: a hint. */
static bool
is_sooner(struct arena *arena)
{
	const uint64_t due = huge_due_ns(arena);

	if (due >= load_relaxed(&arena->foreseen_ns))
		return false;
	store_relaxed(&arena->foreseen_ns, due);
	return true;
}

void
arena_defer(struct arena *arena)
{
	/* Relaxed: hints. */
	const bool has_delegate = load_relaxed(&arena_delegate) != NULL;
	const size_t pages = arena_pages_dirty(arena);

	/* Release, twice: who clears it afterwards sees the pages. */
	if (!has_delegate)
		store_release(&arena->has_deferred, true);
	else if (!exchange_acq_rel(&arena->has_deferred, true)) {
		store_relaxed(&arena->foreseen_ns, DEFERRED_NEVER);
		arena_expect(arena, BEGIN_NS);
		return;
	}
	if (has_delegate && UNLIKELY(is_sooner(arena)))
		expect_pages(arena);
	if (pages <= load_relaxed(&arena->foreseen_pages))
		return;
	if (has_delegate) {
		foresee(arena, pages);
		expect_pages(arena);
	} else if (!pac_trusts_demand(&arena->pac)) {
		/* Who only frees, and then sleeps, comes by here alone. */
		decay_by_curve(arena);
	}
}

bool
arena_set_decay_ms(struct arena *arena, enum decay_kind kind, ssize_t ms)
{
	if (!pac_set_decay_ms(&arena->pac, kind, ms, true))
		return false;
	struct arena_huge *huge = arena_huge(arena);
	if (huge != NULL && kind == DECAY_DIRTY) {
		sec_set_decay_ms(&huge->sec, ms);
		hpa_set_decay_ms(&huge->hpa, ms);
		huge->sec.pai.work(&huge->sec.pai, PURGE_BY_CURVE);
	}
	/* What is there, and what comes, is due at another time now. */
	store_relaxed(&arena->foreseen_pages, 0);
	expect_pages(arena);
	/* What threads keep, too.  Relaxed: a hint. */
	if (kind == DECAY_DIRTY && ms >= 0 && load_relaxed(&arena->has_kept))
		arena_expect(arena, BEGIN_NS);
	return true;
}

void
arena_tick(struct arena *arena, uint64_t now_ns)
{
	/* Relaxed: hints; what is missed is seen at the next tick. */
	store_relaxed(&arena->ticked_ns, now_ns);
	if (!load_relaxed(&arena->has_deferred))
		return;
	if (load_relaxed(&arena_delegate) != NULL) {
		expect_pages(arena);
		return;
	}
	decay_by_curve(arena);
	if (has_pages(arena))
		return;
	/* Pairs with arena_defer. */
	(void)exchange_acq_rel(&arena->has_deferred, false);
	if (has_pages(arena))
		store_relaxed(&arena->has_deferred, true);
}

/* As often as a tcache is trimmed. */
#define TICK_NS ((uint64_t)10 * 1000 * 1000)

NOINLINE void
arena_tick_if_due(struct arena *arena)
{
	const uint64_t now = os_clock_coarse_ns();

	/* Relaxed: where two threads tick at once, decay lets one of them work. */
	if (now - load_relaxed(&arena->ticked_ns) >= TICK_NS)
		arena_tick(arena, now);
}

uint64_t
arena_work(struct arena *arena)
{
	arena_decay(arena, PURGE_BY_CURVE);
	store_relaxed(&arena->foreseen_pages, arena_pages_dirty(arena) + PLAN_PAGES);
	/* Before it is asked for: what comes to be due sooner after that is told. */
	store_relaxed(&arena->foreseen_ns, huge_due_ns(arena));
	const uint64_t ns = ns_until_work(arena);
	/* Pages that never decay, too: more of them is no news. */
	if (ns != UINT64_MAX || has_pages(arena))
		return ns;
	/* Pairs with arena_defer. */
	(void)exchange_acq_rel(&arena->has_deferred, false);
	return ns_until_work(arena);
}
