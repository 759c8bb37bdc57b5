/* SPDX-License-Identifier: MIT */
#include "page/pac_move.h"

#include "base/bits.h"
#include "extent/dss.h"
#include "os/os.h"
#include "os/pages.h"
#include "page/limit.h"

/* A piece is at least so large, and at least such a part of the address space. */
#define PIECE_MIN (CONFIG_HOSTILE ? (size_t)16 << 10 : (size_t)1 << 20)
#define LG_PIECES_MAX (CONFIG_HOSTILE ? 6 : 10)
/* For one request so many pieces may turn out to be several mappings, or not to be movable. */
#define FAILURES_MAX 16

struct move {
	struct pac *pac;
	char *to;    /* where the next piece goes */
	size_t left; /* bytes from there to the end */
	size_t least;
	struct list stay; /* what could not be moved, by link */
	unsigned n_failed;
};

static size_t
least_piece(struct pac *pac)
{
	const size_t space =
	    load_relaxed(&pac->stats.mapped) + load_relaxed(&pac->stats.retained);

	return align_up(max_size(PIECE_MIN, space >> LG_PIECES_MAX), os_page_size);
}

/* What e was is elsewhere. */
static void
retire(struct pac *pac, struct edata *e)
{
	e->zeroed = true;
	fetch_sub_relaxed(&pac->stats.mapped, e->size);
	limit_discharge(pac->arena_index, e->size);
	fetch_add_relaxed(&pac->stats.retained, e->size);
	ecache_put(&pac->retained, e);
}

/* e, in state MERGING and not larger than what is left, or as much of it as can be moved. */
static void
move_piece(struct move *m, struct edata *e)
{
	struct pac *pac = m->pac;
	struct edata *rest = NULL;

	if (m->n_failed < FAILURES_MAX && e->size >= m->least) {
		if (os_pages_move(m->to, edata_base(e), e->size)) {
			m->to += e->size;
			m->left -= e->size;
			retire(pac, e);
			return;
		}
		/* Some border of the kernel's mappings lies inside. */
		m->n_failed++;
		if (e->size >= 2 * m->least)
			rest = extent_split(pac->ehooks, pac->edata_pool, e,
			    align_up(e->size / 2, os_page_size));
	}
	if (rest == NULL) {
		list_push_back(&m->stay, &e->link);
		return;
	}
	move_piece(m, e);
	move_piece(m, rest);
}

/* The largest that there is, cut to what is left; NULL: none is worth it. */
static struct edata *
take_piece(struct move *m)
{
	struct pac *pac = m->pac;

	if (m->left < m->least || m->n_failed >= FAILURES_MAX)
		return NULL;
	struct edata *e = ecache_take_largest(&pac->dirty, m->least);
	if (e == NULL)
		return NULL;
	if (e->size > m->left) {
		struct edata *rest =
		    extent_split(pac->ehooks, pac->edata_pool, e, m->left);
		if (rest == NULL) {
			ecache_put(&pac->dirty, e);
			return NULL;
		}
		ecache_put(&pac->dirty, rest);
	}
	if (!dss_contains(edata_base(e)))
		return e;
	ecache_put(&pac->dirty, e);
	return NULL;
}

size_t
pac_move_dirty_to(struct pac *pac, struct edata *e, size_t from)
{
	struct move m = {
		.pac = pac,
		.to = (char *)edata_base(e) + from,
		.left = e->size - from,
		.least = least_piece(pac),
	};
	struct edata *piece;
	struct list *l;

	if (m.left < m.least || !os_overcommits || e->is_pinned || !e->committed
	    || dss_contains(edata_base(e)) || !ehooks_gave_plain_memory(pac->ehooks))
		return 0;
	list_init(&m.stay);
	const size_t before = m.left;
	while ((piece = take_piece(&m)) != NULL)
		move_piece(&m, piece);
	while ((l = list_pop_front(&m.stay)) != NULL)
		ecache_put(&pac->dirty, LIST_ENTRY(l, struct edata, link));
	const size_t moved = before - m.left;
	if (moved == 0)
		return 0;
	e->zeroed = false;
	pac_not_needed(pac, moved);
	return moved;
}
