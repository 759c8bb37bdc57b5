/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "page/pac_move.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "harness/region.h"
#include "os/inject.h"
#include "os/resident.h"

/* No piece is too small for it. */
#define PIECE_PAGES (((size_t)2 << 20) / os_page_size)

static struct pac_fixture fixture;
static struct os_resident window;

static size_t
resident_pages(const struct edata *e)
{
	window.end = 0;
	return os_resident_bytes(&window, e->addr, e->size) / os_page_size;
}

static bool
holds(const struct edata *e, size_t from, size_t to, unsigned char byte)
{
	const unsigned char *p = edata_base(e);

	for (size_t i = from; i < to; i++)
		if (p[i] != byte)
			return false;
	return true;
}

/* So many dirty pieces, filled, with extents in use between them. */
#define PIECES_MAX 8
static struct edata *walls[PIECES_MAX];

static struct pac *
open_with_pieces(size_t n)
{
	struct pac *pac = fixture_open(&fixture, &ehooks_default);
	struct edata *pieces[PIECES_MAX];

	for (size_t i = 0; i < n; i++) {
		pieces[i] = fixture_alloc(pac, PIECE_PAGES, os_page_size, false);
		walls[i] = fixture_alloc(pac, 1, os_page_size, false);
		REQUIRE(pieces[i] != NULL && walls[i] != NULL);
		memset(edata_base(pieces[i]), 0xee, pieces[i]->size);
		memset(edata_base(walls[i]), 0x77, walls[i]->size);
	}
	for (size_t i = 0; i < n; i++)
		fixture_dalloc(pac, pieces[i]);
	CHECK_EQ(pac_dirty_pages(pac), n * PIECE_PAGES);
	return pac;
}

static void
close_with_pieces(struct pac *pac, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		CHECK(holds(walls[i], 0, walls[i]->size, 0x77));
		fixture_dalloc(pac, walls[i]);
	}
	fixture_close(&fixture);
}

/* Not on every kernel, nor in every sandbox. */
static bool
pages_move(void)
{
	enum os_commit commit = OS_COMMITTED;
	char *p = os_pages_map(NULL, 2 * os_page_size, os_page_size, &commit);

	REQUIRE(p != NULL);
	p[0] = 1;
	const bool can = os_pages_move(p + os_page_size, p, os_page_size);
	CHECK(os_pages_unmap(p, 2 * os_page_size));
	return can && os_overcommits;
}

TEST(dirty_pieces_back_a_request_that_none_of_them_holds)
{
	if (!pages_move())
		SKIP("pages cannot be moved here");
	struct pac *pac = open_with_pieces(3);
	const size_t pages = 4 * PIECE_PAGES;
	struct edata *e = fixture_alloc(pac, pages, os_page_size, false);

	REQUIRE(e != NULL);
	CHECK_EQ(resident_pages(e), 3 * PIECE_PAGES);
	CHECK_EQ(pac_dirty_pages(pac), 0);
	CHECK(holds(e, 0, 3 * PIECE_PAGES * os_page_size, 0xee));
	CHECK(holds(e, 3 * PIECE_PAGES * os_page_size, e->size, 0));
	pac_check(pac);
	/* What is left behind reads as zero. */
	struct edata *behind = fixture_alloc(pac, PIECE_PAGES, os_page_size, false);
	REQUIRE(behind != NULL);
	CHECK(behind->is_fresh && holds(behind, 0, behind->size, 0));
	fixture_dalloc(pac, behind);
	fixture_dalloc(pac, e);
	close_with_pieces(pac, 3);
}

TEST(what_pieces_back_for_a_small_part_is_fresh_all_the_same)
{
	if (!pages_move())
		SKIP("pages cannot be moved here");
	for (size_t n = 1; n <= 3; n += 2) {
		struct pac *pac = open_with_pieces(n);
		struct edata *e =
		    fixture_alloc(pac, 4 * PIECE_PAGES, os_page_size, false);
		REQUIRE(e != NULL);
		CHECK_EQ(resident_pages(e), n * PIECE_PAGES);
		CHECK_EQ(e->is_fresh, n == 1);
		fixture_dalloc(pac, e);
		close_with_pieces(pac, n);
	}
}

TEST(what_pieces_back_is_zeroed_where_zeroes_are_asked_for)
{
	struct pac *pac = open_with_pieces(3);
	struct edata *e = fixture_alloc(pac, 4 * PIECE_PAGES, os_page_size, true);

	REQUIRE(e != NULL);
	CHECK(holds(e, 0, e->size, 0));
	fixture_dalloc(pac, e);
	close_with_pieces(pac, 3);
}

TEST(a_piece_of_several_mappings_is_moved_in_parts)
{
	if (!pages_move())
		SKIP("pages cannot be moved here");
	struct pac *pac = open_with_pieces(4);
	/* The same pages move on from what they were assembled in. */
	for (size_t n = 5; n <= 12; n += 7) {
		struct edata *e =
		    fixture_alloc(pac, n * PIECE_PAGES, os_page_size, false);
		REQUIRE(e != NULL);
		/* A part across a border may stay behind, and be less than a piece. */
		CHECK(resident_pages(e) >= PIECE_PAGES);
		CHECK(holds(e, 0, resident_pages(e) * os_page_size, 0xee));
		pac_check(pac);
		fixture_dalloc(pac, e);
		pac_check(pac);
	}
	close_with_pieces(pac, 4);
}

TEST(growth_in_place_is_backed_by_pieces)
{
	if (!pages_move())
		SKIP("pages cannot be moved here");
	struct pac *pac = open_with_pieces(2);
	bool deferred = false;
	struct edata *last = walls[1];

	REQUIRE(pac->pai.expand(&pac->pai, last, (1 + PIECE_PAGES) * os_page_size, false,
	    &deferred));
	CHECK_EQ(resident_pages(last), 1 + PIECE_PAGES);
	CHECK_EQ(pac_dirty_pages(pac), PIECE_PAGES);
	pac_check(pac);
	REQUIRE(pac->pai.shrink(&pac->pai, last, os_page_size, &deferred));
	close_with_pieces(pac, 2);
}

TEST(locked_pieces_stay_locked)
{
	if (!pages_move())
		SKIP("pages cannot be moved here");
	struct pac *pac = open_with_pieces(1);
	void *piece = (void *)(walls[0]->addr - PIECE_PAGES * os_page_size);
	/* Sanitizers ignore mlock itself. */
	if (syscall(SYS_mlock, piece, PIECE_PAGES * os_page_size) != 0) {
		close_with_pieces(pac, 1);
		SKIP("memory cannot be locked here");
	}
	struct edata *e = fixture_alloc(pac, 4 * PIECE_PAGES, os_page_size, false);
	REQUIRE(e != NULL);
	CHECK_EQ(pac_dirty_pages(pac), PIECE_PAGES);
	pac_check(pac);
	fixture_dalloc(pac, e);
	CHECK_EQ(syscall(SYS_munlock, piece, PIECE_PAGES * os_page_size), 0);
	close_with_pieces(pac, 1);
}

static unsigned n_moves, failing_move;

static int
fail_moves(const char *what)
{
	return strcmp(what, "move") == 0 && ++n_moves >= failing_move ? ENOMEM : 0;
}

TEST(where_pages_stop_moving_the_request_is_served_and_nothing_is_lost)
{
	if (!CONFIG_DEBUG)
		SKIP("release builds do not inject failures");
	for (failing_move = 1; failing_move <= 6; failing_move++) {
		struct pac *pac = open_with_pieces(3);
		n_moves = 0;
		os_inject = fail_moves;
		struct edata *e = fixture_alloc(pac, 4 * PIECE_PAGES, os_page_size, true);
		os_inject = NULL;
		REQUIRE(e != NULL);
		CHECK(holds(e, 0, e->size, 0));
		pac_check(pac);
		fixture_dalloc(pac, e);
		close_with_pieces(pac, 3);
	}
}

TEST(memory_of_a_users_hooks_is_not_moved)
{
	extent_hooks_t hooks = ehooks_default;
	struct pac *pac = fixture_open(&fixture, &hooks);
	struct edata *a = fixture_alloc(pac, PIECE_PAGES, os_page_size, false);
	struct edata *wall = fixture_alloc(pac, 1, os_page_size, false);

	REQUIRE(a != NULL && wall != NULL);
	memset(edata_base(a), 1, a->size);
	fixture_dalloc(pac, a);
	struct edata *e = fixture_alloc(pac, 4 * PIECE_PAGES, os_page_size, false);
	REQUIRE(e != NULL);
	CHECK_EQ(resident_pages(e), 0);
	CHECK_EQ(pac_dirty_pages(pac), PIECE_PAGES);
	fixture_dalloc(pac, wall);
	fixture_dalloc(pac, e);
	fixture_close(&fixture);
}
