/* SPDX-License-Identifier: MIT */
#include "page/pac_guard.h"

#include "config/options.h"
#include "extent/guard.h"
#include "page/limit.h"

/* Two at an extent: for statistics. */
static void
count_calls(struct pac *pac)
{
	fetch_add_relaxed(&pac->stats.n_guard_calls, 2);
}

static void
count_guards(struct pac *pac)
{
	fetch_add_relaxed(&pac->stats.guards, guard_bytes());
}

static void
uncount_guards(struct pac *pac)
{
	fetch_sub_relaxed(&pac->stats.guards, guard_bytes());
}

bool
pac_guards(struct pac *pac, const struct page_request *request)
{
	return request->guarded && request->alignment <= os_page_size && opt.retain
	    && ehooks_gave_plain_memory(pac->ehooks);
}

static struct edata *
take_retained(struct pac *pac, size_t size)
{
	/* Relaxed: a hint. */
	if (load_relaxed(&pac->retained.n_guarded) == 0
	    || !limit_charge(pac->arena_index, size))
		return NULL;
	struct edata *e = ecache_take_guarded(&pac->retained, size);
	if (e == NULL) {
		limit_discharge(pac->arena_index, size);
		return NULL;
	}
	fetch_sub_relaxed(&pac->stats.retained, size);
	fetch_add_relaxed(&pac->stats.mapped, size);
	return e;
}

/* Unused: to retained if nothing is behind it, else to dirty. */
static void
file(struct pac *pac, struct edata *e)
{
	if (!e->zeroed && e->committed) {
		ecache_put(&pac->dirty, e);
		return;
	}
	fetch_sub_relaxed(&pac->stats.mapped, e->size);
	limit_discharge(pac->arena_index, e->size);
	fetch_add_relaxed(&pac->stats.retained, e->size);
	ecache_put(&pac->retained, e);
}

struct edata *
pac_guard_reuse(struct pac *pac, size_t size)
{
	struct edata *e = ecache_take_guarded(&pac->dirty, size);

	if (e == NULL)
		e = ecache_take_guarded(&pac->muzzy, size);
	if (e == NULL)
		e = take_retained(pac, size);
	if (e == NULL || LIKELY(!e->is_half_guarded))
		return e;
	count_calls(pac);
	if (guard_complete(e))
		return e;
	file(pac, e);
	return NULL;
}

struct edata *
pac_guard_enclose(struct pac *pac, struct edata *e)
{
	count_calls(pac);
	const bool done = guard_enclose(e);
	if (e->guarded) {
		fetch_sub_relaxed(&pac->stats.mapped, guard_bytes());
		limit_discharge(pac->arena_index, guard_bytes());
		count_guards(pac);
	}
	if (done)
		return e;
	file(pac, e);
	return NULL;
}

bool
pac_guard_open(struct pac *pac, struct edata *e)
{
	if (!limit_charge_quietly(pac->arena_index, guard_bytes()))
		return false;
	count_calls(pac);
	if (!guard_open(e)) {
		limit_discharge(pac->arena_index, guard_bytes());
		return false;
	}
	uncount_guards(pac);
	fetch_add_relaxed(&pac->stats.mapped, guard_bytes());
	return true;
}

bool
pac_guard_open_retained(struct pac *pac)
{
	bool has_opened = false;
	struct edata *e;

	while ((e = ecache_take_oldest_guarded(&pac->retained)) != NULL) {
		count_calls(pac);
		const bool done = guard_open(e);
		if (done) {
			uncount_guards(pac);
			fetch_add_relaxed(&pac->stats.retained, guard_bytes());
		}
		ecache_put(&pac->retained, e);
		if (!done)
			break;
		has_opened = true;
	}
	return has_opened;
}
