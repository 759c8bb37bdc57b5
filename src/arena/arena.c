/* SPDX-License-Identifier: MIT */
#include "arena/arena.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "config/options.h"
#include "extent/dss.h"
#include "os/os.h"
#include "os/pages.h"

/* So many pages more change when there will be work. */
#define PLAN_PAGES 1024

/* Metadata of an arena whose hooks serve it too; the base clears what it hands out. */
static void *
map_through_hooks(void *context, size_t size, size_t alignment)
{
	bool zeroed = false, committed = true;
	char *addr = ehooks_alloc(context, NULL, size, alignment, &zeroed, &committed);

	/* Pinned or not: nothing of it is ever purged. */
	addr -= (uintptr_t)addr & EXTENT_ALLOC_FLAG_PINNED;
	if (addr == NULL)
		return NULL;
	if (!committed && !ehooks_commit(context, addr, size, 0, size)) {
		(void)ehooks_discard(context, addr, size, false);
		return NULL;
	}
	return addr;
}

static void
unmap_through_hooks(void *context, void *addr, size_t size)
{
	(void)ehooks_destroy(context, addr, size, true);
}

/* The base keeps a pointer to the hooks, which must outlive it. */
static struct base *
new_base(unsigned index, struct ehooks *hooks)
{
	if (index == 0)
		return &base_zero;
	if (ehooks_are_default(hooks))
		return base_new(base_map_system, base_unmap_system, NULL);
	struct base *base = base_new(map_through_hooks, unmap_through_hooks, hooks);
	if (base != NULL)
		base->clears = true;
	return base;
}

/* The hooks lie in memory of the base itself: they must not go with the first block. */
static void
delete_base(struct base *base, struct ehooks hooks)
{
	if (base->context != NULL)
		base->context = &hooks;
	base_delete(base);
}

static void
name_arena(struct arena *arena)
{
	struct fmt f;

	fmt_init(&f, arena->name, sizeof arena->name);
	if (arena->index == arenas_automatic() && opt.oversize_threshold != 0)
		fmt_print(&f, "auto_oversize");
	else
		fmt_print(&f, "%s_%u", arena->is_manual ? "manual" : "auto",
		    arena->index);
}

struct arena *
arena_new(unsigned index, const arena_config_t *config, bool is_manual)
{
	extent_hooks_t *hooks = config != NULL && config->extent_hooks != NULL
	    ? config->extent_hooks
	    : &ehooks_default;
	extent_hooks_t *meta_hooks =
	    config != NULL && config->metadata_use_hooks ? hooks : &ehooks_default;

	struct ehooks first_hooks;

	ehooks_init(&first_hooks, meta_hooks, index);
	struct base *base = new_base(index, &first_hooks);
	if (base == NULL)
		return NULL;
	struct arena *arena = base_alloc(base, sizeof *arena, CACHE_LINE);
	if (arena == NULL)
		goto undo;
	arena->index = index;
	arena->is_manual = is_manual;
	arena->base = base;
	ehooks_init(&arena->ehooks, hooks, index);
	ehooks_init(&arena->meta_ehooks, meta_hooks, index);
	if (base != &base_zero && meta_hooks != &ehooks_default)
		base->context = &arena->meta_ehooks;
	/* Records outlive a destroyed arena, so those of manual ones lie in the process's base. */
	if (is_manual)
		edata_pool_init_manual(&arena->edata_pool);
	else
		edata_pool_init(&arena->edata_pool, base);
	if (!pac_init(&arena->pac, &arena->backlogs, index, &arena->ehooks,
		&arena->edata_pool))
		goto undo;
	arena->pai = &arena->pac.pai;
	mutex_init(&arena->large_lock, RANK_LARGE);
	mutex_init(&arena->tcache_lock, RANK_TCACHE_LIST);
	list_init(&arena->large);
	list_init(&arena->tcaches);
	list_init(&arena->pooled);
	list_init(&arena->bare);
	mixed_init(&arena->mixed);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		bin_init(&arena->bins[i], i);
	store_relaxed(&arena->foreseen_pages, PLAN_PAGES);
	store_relaxed(&arena->created_ns, os_clock_ns());
	name_arena(arena);
	dss_arena_begins(index);
	return arena;
undo:
	if (base != &base_zero)
		delete_base(base, first_hooks);
	return NULL;
}

/* Take one shared slab out of a bin; NULL when there is none left. */
static struct edata *
pop_slab_locked(struct bin *bin)
{
	struct edata *e = bin->current;
	struct heap_node *node;
	struct list *l;

	if (e != NULL) {
		bin->current = NULL;
		return e;
	}
	if ((l = list_pop_front(&bin->full)) != NULL)
		return LIST_ENTRY(l, struct edata, link);
	if ((node = heap_pop(&bin->partial, slab_order)) != NULL)
		return CONTAINER_OF(node, struct edata, node);
	return NULL;
}

void
arena_reset(struct arena *arena)
{
	struct list *l;
	struct edata *e;

	assert(arena->is_manual);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		struct bin *bin = &arena->bins[i];
		for (;;) {
			mutex_lock(&bin->lock);
			e = pop_slab_locked(bin);
			if (e != NULL) {
				bin->stats.n_dalloc += e->need;
				bin->stats.cur_regs -= e->need;
			}
			mutex_unlock(&bin->lock);
			if (e == NULL)
				break;
			arena_slab_delete(arena, e);
		}
	}
	for (;;) {
		mutex_lock(&arena->large_lock);
		l = list_first(&arena->large);
		mutex_unlock(&arena->large_lock);
		if (l == NULL)
			break;
		large_free(LIST_ENTRY(l, struct edata, link));
	}
}

void
arena_decay(struct arena *arena, enum purge_extent how)
{
	pac_decay(&arena->pac, how);
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

static bool
has_pages(struct arena *arena)
{
	return pac_dirty_pages(&arena->pac) != 0 || pac_muzzy_pages(&arena->pac) != 0;
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

static void
decay_by_curve(struct arena *arena)
{
	pac_decay(&arena->pac, PURGE_BY_CURVE);
	foresee(arena, pac_dirty_pages(&arena->pac));
}

static void
expect_pages(struct arena *arena)
{
	arena_expect(arena, arena->pai->time_until_deferred_work(arena->pai));
}

void
arena_defer(struct arena *arena)
{
	/* Relaxed: hints. */
	const bool has_delegate = load_relaxed(&arena_delegate) != NULL;
	const size_t pages = pac_dirty_pages(&arena->pac);

	/* Release, twice: who clears it afterwards sees the pages. */
	if (!has_delegate)
		store_release(&arena->has_deferred, true);
	else if (!exchange_acq_rel(&arena->has_deferred, true)) {
		arena_expect(arena, BEGIN_NS);
		return;
	}
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
	/* What is there, and what comes, is due at another time now. */
	store_relaxed(&arena->foreseen_pages, 0);
	expect_pages(arena);
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
	pac_decay(&arena->pac, PURGE_BY_CURVE);
	store_relaxed(&arena->foreseen_pages, pac_dirty_pages(&arena->pac) + PLAN_PAGES);
	const uint64_t ns = arena->pai->time_until_deferred_work(arena->pai);
	/* Pages that never decay, too: more of them is no news. */
	if (ns != UINT64_MAX || has_pages(arena))
		return ns;
	/* Pairs with arena_defer. */
	(void)exchange_acq_rel(&arena->has_deferred, false);
	return arena->pai->time_until_deferred_work(arena->pai);
}

void
arena_destroy(struct arena *arena)
{
	struct base *base = arena->base;

	arena_reset(arena);
	pac_destroy(&arena->pac, &arena_get(0)->pac);
	edata_pool_abandon(&arena->edata_pool);
	arenas_forget(arena);
	delete_base(base, arena->meta_ehooks);
}

void
arena_check_shared(struct arena *arena)
{
	for (unsigned i = 0; i < SC_NOWNED; i++)
		bin_check(arena, &arena->bins[i]);
	mixed_check(&arena->mixed);
	pac_check_caches(&arena->pac);
}

void
arena_check(struct arena *arena)
{
	arena_check_shared(arena);
	pac_check(&arena->pac);
}
