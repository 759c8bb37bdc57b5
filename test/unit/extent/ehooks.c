/* SPDX-License-Identifier: MIT */
#include "extent/ehooks.h"

#include "base/bits.h"
#include "config/options.h"
#include "harness/test.h"
#include "os/inject.h"
#include "os/pages.h"

#define SIZE (16 * os_page_size)

static struct ehooks eh;

static void *
map_default(size_t size, size_t alignment)
{
	bool zeroed = true, committed = true;

	ehooks_init(&eh, &ehooks_default, 3);
	void *p = ehooks_alloc(&eh, NULL, size, alignment, &zeroed, &committed);
	REQUIRE(p != NULL && zeroed && committed && is_aligned((uintptr_t)p, alignment));
	return p;
}

/* ---- a kernel that ignores MADV_DONTNEED ---- */

static char notices[512];
static unsigned n_lines;

static void
note(const char *line)
{
	n_lines++;
	strcat(notices, line);
}

static int
ignore_advice(const char *what)
{
	return strcmp(what, "advise") == 0 ? INJECT_IGNORED : 0;
}

TEST(a_purge_that_does_not_zero_is_refused_and_told_once)
{
	int status;

	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject");
	fflush(NULL);
	/* In a process that has not found out yet. */
	const pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		char *p = map_default(SIZE, os_page_size);
		os_inject = ignore_advice;
		ehooks_notice = note;
		opt.abort = false; /* true in debug builds: the notice would be fatal */
		/* Trusted: not tried. */
		opt.trust_madvise = true;
		CHECK(ehooks_purge_forced(&eh, p, SIZE, 0, SIZE));
		CHECK_EQ(n_lines, 0);
		opt.trust_madvise = false;
		CHECK(!ehooks_purge_forced(&eh, p, SIZE, 0, SIZE));
		CHECK(!ehooks_purge_forced(&eh, p, SIZE, 0, SIZE));
		CHECK_EQ(n_lines, 2);
		CHECK(strstr(notices, "<tract>: MADV_DONTNEED does not zero") == notices);
		fflush(NULL);
		_exit(test_failures != 0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(the_default_hooks_map_and_unmap)
{
	char *p = map_default(SIZE, 64 * os_page_size);
	const bool retain = opt.retain;

	CHECK(ehooks_are_default(&eh));
	memset(p, 1, SIZE);
	CHECK(ehooks_split(&eh, p, SIZE, SIZE / 4, true));
	CHECK(ehooks_merge(&eh, p, SIZE / 4, p + SIZE / 4, SIZE - SIZE / 4, true));
	CHECK(ehooks_purge_forced(&eh, p, SIZE, os_page_size, os_page_size));
	CHECK(p[os_page_size - 1] == 1 && p[os_page_size] == 0
	    && p[2 * os_page_size] == 1);
	CHECK(ehooks_purge_zeroes(&eh));
	opt.retain = true;
	CHECK(!ehooks_dalloc(&eh, p, SIZE, true));
	p[0] = 2;
	opt.retain = false;
	CHECK(ehooks_dalloc(&eh, p, SIZE, true));
	opt.retain = retain;
	p = map_default(SIZE, os_page_size);
	ehooks_destroy(&eh, p, SIZE, true);
}

TEST(the_default_table_works_when_called_directly)
{
	bool zero = false, commit = true;
	char *p = ehooks_default.alloc(&ehooks_default, NULL, SIZE, os_page_size, &zero,
	    &commit, 0);

	REQUIRE(p != NULL && zero && commit);
	p[0] = 1;
	/* True is failure there: memory is committed already where the kernel overcommits. */
	CHECK_EQ(ehooks_default.commit(&ehooks_default, p, SIZE, 0, SIZE, 0),
	    os_overcommits);
	CHECK(!ehooks_default.purge_forced(&ehooks_default, p, SIZE, 0, SIZE, 0));
	CHECK_EQ(p[0], 0);
	ehooks_default.destroy(&ehooks_default, p, SIZE, true, 0);
}

/* A table whose alloc answers badly. */
static void *answer;
static unsigned n_given_back, n_entered, n_left;

static void *
alloc_badly(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks, (void)new_addr, (void)size, (void)alignment, (void)zero,
	    (void)commit;
	CHECK_EQ(arena, 9);
	CHECK_EQ(n_entered, n_left + 1);
	return answer;
}

static bool
take_back(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)size, (void)committed, (void)arena;
	n_given_back++;
	return addr != answer;
}

static void
enter(void)
{
	n_entered++;
}

static void
leave(void)
{
	n_left++;
}

static void
ignore(void)
{
}

TEST(what_is_not_as_asked_for_is_refused_and_given_back)
{
	extent_hooks_t hooks = { .alloc = alloc_badly, .dalloc = take_back };
	bool zeroed = false, committed = true;
	void (*const old_enter)(void) = ehooks_enter,
		     (*const old_leave)(void) = ehooks_leave;

	ehooks_enter = enter;
	ehooks_leave = leave;
	ehooks_init(&eh, &hooks, 9);
	CHECK(!ehooks_are_default(&eh) && ehooks_get(&eh) == &hooks);
	CHECK(!ehooks_purge_zeroes(&eh));
	answer = (void *)(((uintptr_t)1 << 32) + os_page_size);
	CHECK(ehooks_alloc(&eh, NULL, SIZE, 2 * os_page_size, &zeroed, &committed)
	    == NULL);
	CHECK_EQ(n_given_back, 1);
	CHECK(ehooks_alloc(&eh, (char *)answer + os_page_size, SIZE, os_page_size,
		  &zeroed, &committed)
	    == NULL);
	CHECK_EQ(n_given_back, 2);
	CHECK(ehooks_alloc(&eh, answer, SIZE, os_page_size, &zeroed, &committed)
	    == answer);
	answer = NULL;
	CHECK(ehooks_alloc(&eh, NULL, SIZE, os_page_size, &zeroed, &committed) == NULL);
	CHECK_EQ(n_given_back, 2);
	CHECK_EQ(n_entered, 4);
	CHECK_EQ(n_left, 4);
	ehooks_enter = old_enter;
	ehooks_leave = old_leave;
}

static unsigned n_destroyed;

static void
end_of(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)size, (void)committed, (void)arena;
	CHECK(addr == answer);
	n_destroyed++;
}

static bool
refuse(extent_hooks_t *hooks, void *addr, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)addr, (void)size, (void)committed, (void)arena;
	return true;
}

TEST(memory_goes_to_destroy_where_dalloc_fails_and_the_other_way_round)
{
	extent_hooks_t hooks = {
		.alloc = alloc_badly, .dalloc = take_back, .destroy = end_of
	};
	bool zeroed = false, committed = true;

	answer = (void *)((uintptr_t)1 << 32);
	n_given_back = n_destroyed = 0;
	ehooks_init(&eh, &hooks, 9);
	/* A dalloc that takes it, one that refuses, none. */
	CHECK(ehooks_discard(&eh, answer, SIZE, true));
	CHECK_EQ(n_given_back, 1);
	CHECK_EQ(n_destroyed, 0);
	hooks.dalloc = refuse;
	CHECK(ehooks_discard(&eh, answer, SIZE, true));
	hooks.dalloc = NULL;
	CHECK(ehooks_discard(&eh, answer, SIZE, true));
	CHECK(ehooks_destroy(&eh, answer, SIZE, true));
	CHECK_EQ(n_destroyed, 3);
	/* A result that is refused goes the same way. */
	answer = (char *)answer + 64;
	n_entered = n_left;
	ehooks_enter = enter;
	ehooks_leave = leave;
	CHECK(ehooks_alloc(&eh, NULL, SIZE, os_page_size, &zeroed, &committed) == NULL);
	ehooks_enter = ehooks_leave = ignore;
	CHECK_EQ(n_destroyed, 4);
	/* No destroy. */
	hooks = (extent_hooks_t){ .alloc = alloc_badly, .dalloc = take_back };
	CHECK(ehooks_destroy(&eh, answer, SIZE, true));
	CHECK_EQ(n_given_back, 2);
	hooks.dalloc = refuse;
	CHECK(!ehooks_destroy(&eh, answer, SIZE, true));
	CHECK(!ehooks_discard(&eh, answer, SIZE, true));
}

TEST(pinned_memory_is_told_apart_and_must_be_committed)
{
	extent_hooks_t hooks = { .alloc = alloc_badly, .dalloc = take_back };
	char *const addr = (char *)((uintptr_t)1 << 32);
	bool zeroed = false, committed = true;

	ehooks_enter = enter;
	ehooks_leave = leave;
	n_entered = n_left;
	n_given_back = 0;
	answer = addr + EXTENT_ALLOC_FLAG_PINNED;
	ehooks_init(&eh, &hooks, 9);
	CHECK(ehooks_alloc(&eh, NULL, SIZE, os_page_size, &zeroed, &committed) == answer);
	CHECK(ehooks_alloc(&eh, addr, SIZE, os_page_size, &zeroed, &committed) == answer);
	committed = false;
	CHECK(ehooks_alloc(&eh, NULL, SIZE, os_page_size, &zeroed, &committed) == NULL);
	CHECK_EQ(n_given_back, 1);
	/* Flags that nobody knows. */
	committed = true;
	answer = addr + 2;
	CHECK(ehooks_alloc(&eh, NULL, SIZE, os_page_size, &zeroed, &committed) == NULL);
	CHECK_EQ(n_given_back, 2);
	ehooks_enter = ehooks_leave = ignore;
}

TEST(memory_is_plain_until_other_hooks_were_there)
{
	extent_hooks_t hooks = { .alloc = alloc_badly };

	ehooks_init(&eh, &ehooks_default, 9);
	CHECK(ehooks_gave_plain_memory(&eh) && ehooks_purge_zeroes(&eh));
	ehooks_set(&eh, &hooks);
	CHECK(!ehooks_gave_plain_memory(&eh) && !ehooks_purge_zeroes(&eh));
	ehooks_set(&eh, &ehooks_default);
	CHECK(ehooks_are_default(&eh));
	CHECK(!ehooks_gave_plain_memory(&eh) && !ehooks_purge_zeroes(&eh));
}

TEST(a_missing_hook_answers_no)
{
	extent_hooks_t hooks = { .alloc = alloc_badly };
	char *p = (char *)((uintptr_t)1 << 32);

	ehooks_init(&eh, &hooks, 9);
	CHECK(!ehooks_dalloc(&eh, p, SIZE, true));
	CHECK(!ehooks_destroy(&eh, p, SIZE, true));
	CHECK(!ehooks_discard(&eh, p, SIZE, true));
	CHECK(!ehooks_commit(&eh, p, SIZE, 0, SIZE));
	CHECK(!ehooks_decommit(&eh, p, SIZE, 0, SIZE));
	CHECK(!ehooks_purge_lazy(&eh, p, SIZE, 0, SIZE));
	CHECK(!ehooks_purge_forced(&eh, p, SIZE, 0, SIZE));
	CHECK(!ehooks_split(&eh, p, SIZE, os_page_size, true));
	CHECK(!ehooks_merge(&eh, p, os_page_size, p + os_page_size, os_page_size, true));
}
