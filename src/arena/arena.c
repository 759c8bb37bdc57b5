/* SPDX-License-Identifier: MIT */
#include "arena/arena.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "config/options.h"
#include "extent/dss.h"
#include "os/os.h"
#include "os/pages.h"

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

COLD struct arena *
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
	if (!arena_pages_init(arena))
		goto undo;
	mutex_init(&arena->large_lock, RANK_LARGE);
	mutex_init(&arena->tcache_lock, RANK_TCACHE_LIST);
	list_init(&arena->large);
	list_init(&arena->tcaches);
	list_init(&arena->pooled);
	list_init(&arena->bare);
	mixed_init(&arena->mixed);
	for (unsigned i = 0; i < SC_NOWNED; i++)
		bin_init(&arena->bins[i], i);
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
arena_destroy(struct arena *arena)
{
	struct base *base = arena->base;

	arena_reset(arena);
	arena_pages_destroy(arena);
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
	arena_pages_check_shared(arena);
}

void
arena_check(struct arena *arena)
{
	arena_check_shared(arena);
	arena_pages_check(arena);
}
