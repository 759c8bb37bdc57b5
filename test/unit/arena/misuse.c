/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "api/names.h"
#include "arena/arena.h"
#include "arena/misuse.h"

static char line[600];
static unsigned n_lines;

static void
keep_line(const char *text)
{
	snprintf(line, sizeof line, "%s", text);
	n_lines++;
}

TEST(the_line_says_what_which_pointer_class_and_arena)
{
	char expected[200];
	char *p = API(malloc)(200000);

	REQUIRE(p != NULL);
	misuse_abort = keep_line;
	misuse_report("some mistake", p, emap_lookup(p));
	CHECK_EQ(n_lines, 1);
	snprintf(expected, sizeof expected, "<tract>: some mistake: %p [extent %p of ",
	    (void *)p, (void *)p);
	CHECK(strstr(line, expected) == line);
	CHECK(strstr(line, "arena 0]\n") != NULL);
	misuse_report("unknown", (void *)0x1230, NULL);
	CHECK_STR(line, "<tract>: unknown: 0x1230\n");
	misuse_abort = NULL;
	API(free)(p);
}

TEST(a_region_is_told_by_class_and_index)
{
	struct arena *arena = arena_create_manual(NULL);
	char expected[200];
	void *p = NULL;

	REQUIRE(arena != NULL);
	/* The second region of 320 bytes. */
	REQUIRE(bin_fill(arena, size_class_of(320), 2, &p) == 2);
	const struct edata *e = emap_lookup(p);
	misuse_abort = keep_line;
	misuse_report("mistake", p, e);
	snprintf(expected, sizeof expected,
	    "<tract>: mistake: %p [class 320, region 1 of slab %p, arena %u]\n", p,
	    edata_base(e), arena->index);
	CHECK_STR(line, expected);
	misuse_report("mistake", (char *)p + 8, e);
	snprintf(expected, sizeof expected, "object starts at %p", p);
	CHECK(strstr(line, expected) != NULL);
	misuse_report_size(p, e, 7, 320);
	CHECK(strstr(line, "freed as 7 bytes, allocated with 320") != NULL);
	misuse_abort = NULL;
	arena_destroy(arena);
}

static void
report(void)
{
	misuse_report("the end", (void *)0x10, NULL);
}

TEST(without_another_end_the_process_aborts)
{
	test_dies(report, "<tract>: the end: 0x10");
}
