/* SPDX-License-Identifier: MIT */
#include "os/guard.h"

#include <sys/mman.h>

#include "harness/guards.h"
#include "os/os.h"
#include "os/pages.h"

static char *
map(size_t pages)
{
	enum os_commit commit = OS_COMMITTED;

	os_pages_boot();
	char *p = os_pages_map(NULL, pages * os_page_size, os_page_size, &commit);
	REQUIRE(p != NULL);
	memset(p, 1, pages * os_page_size);
	return p;
}

static void
unmap(char *p, size_t pages)
{
	CHECK(os_pages_unmap(p, pages * os_page_size));
	store_relaxed(&os_guards, OS_GUARDS_UNKNOWN);
}

/* A page of p as the first guard, in both ways that the kernel offers. */
static bool
begin(enum os_guards way, char *p)
{
	if (way == OS_GUARDS_MARKERS && !guards_have_markers(p, os_page_size))
		return false;
	store_relaxed(&os_guards, way);
	memset(p, 1, os_page_size);
	return true;
}

#define FOR_EACH_WAY(way) \
	for (enum os_guards way = OS_GUARDS_MARKERS; way <= OS_GUARDS_PROTECTION; way++)

static unsigned
count_mappings(void)
{
	char line[512];
	unsigned n = 0;
	FILE *file = fopen("/proc/self/maps", "r");

	REQUIRE(file != NULL);
	while (fgets(line, sizeof line, file) != NULL)
		n++;
	fclose(file);
	return n;
}

TEST(a_guard_faults_at_each_end_and_its_neighbours_are_whole)
{
	FOR_EACH_WAY(way)
	{
		char *p = map(5), *guard = p + 2 * os_page_size;
		if (begin(way, p)) {
			errno = 4711;
			CHECK(os_guard(guard, os_page_size));
			CHECK(guards_stop(guard)
			    && guards_stop(guard + os_page_size - 1));
			CHECK(!guards_stop(guard - 1));
			CHECK(!guards_stop(guard + os_page_size));
			CHECK(p[0] == 1 && p[4 * os_page_size] == 1);
			CHECK(os_guard(guard, os_page_size));
			CHECK(guards_stop(guard));
			CHECK_EQ(errno, 4711);
		}
		unmap(p, 5);
	}
}

TEST(what_is_no_guard_any_more_can_be_used_and_shows_nothing_of_before)
{
	FOR_EACH_WAY(way)
	{
		char *p = map(3), *guard = p + os_page_size;
		if (begin(way, p)) {
			CHECK(os_guard(guard, os_page_size));
			CHECK(os_unguard(guard, os_page_size));
			for (size_t i = 0; i < os_page_size; i++)
				CHECK(guard[i] == 0);
			memset(guard, 2, os_page_size);
			CHECK(os_unguard(guard, os_page_size));
			CHECK(guard[0] == 2);
			CHECK(!guards_stop(guard));
		}
		unmap(p, 3);
	}
}

TEST(purging_leaves_guards)
{
	FOR_EACH_WAY(way)
	{
		char *p = map(3), *guard = p + os_page_size;
		const struct iovec around[2] = { { p, os_page_size },
			{ p + 2 * os_page_size, os_page_size } };
		if (begin(way, p)) {
			CHECK(os_guard(guard, os_page_size));
			CHECK(os_pages_purge_forced(p, os_page_size));
			(void)os_pages_purge_lazy(p + 2 * os_page_size, os_page_size);
			(void)os_pages_purge_many(around, 2);
			CHECK(guards_stop(guard));
			/* Over it, too. */
			(void)os_pages_purge_forced(p, 3 * os_page_size);
			CHECK(guards_stop(guard));
		}
		unmap(p, 3);
	}
}

TEST(a_forked_child_has_the_guards)
{
	FOR_EACH_WAY(way)
	{
		char *p = map(3), *guard = p + os_page_size;
		int status;
		if (begin(way, p)) {
			CHECK(os_guard(guard, os_page_size));
			const pid_t child = fork();
			REQUIRE(child >= 0);
			if (child == 0)
				_exit(guards_stop(guard) && p[0] == 1 ? 0 : 1);
			REQUIRE(waitpid(child, &status, 0) == child);
			CHECK_EQ(status, 0);
			CHECK(guards_stop(guard));
		}
		unmap(p, 3);
	}
}

TEST(markers_need_no_further_mapping)
{
	char *p = map(64);

	if (!begin(OS_GUARDS_MARKERS, p)) {
		unmap(p, 64);
		SKIP("the kernel has no markers");
	}
	const unsigned before = count_mappings();
	for (unsigned i = 1; i < 64; i += 2)
		CHECK(os_guard(p + i * os_page_size, os_page_size));
	CHECK(count_mappings() <= before + 1);
	unmap(p, 64);
}

static int first_errno;

static int
fail_the_first(const char *what)
{
	const int rc = strcmp(what, "guard") == 0 ? first_errno : 0;

	return rc;
}

static enum os_guards
found_with(int error, bool *done)
{
	char *p = map(2);

	store_relaxed(&os_guards, OS_GUARDS_UNKNOWN);
	first_errno = error;
	os_inject = fail_the_first;
	*done = os_guard(p, os_page_size);
	os_inject = NULL;
	const enum os_guards way = load_relaxed(&os_guards);
	CHECK_EQ(guards_stop(p), *done);
	CHECK(!guards_stop(p + os_page_size));
	unmap(p, 2);
	return way;
}

TEST(the_first_guard_finds_out_which_way_works)
{
	bool done;

	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	/* An old kernel; one that is emulated; one that lacks memory. */
	CHECK(found_with(EINVAL, &done) == OS_GUARDS_PROTECTION && done);
	CHECK(found_with(INJECT_IGNORED, &done) == OS_GUARDS_PROTECTION && done);
	CHECK(found_with(ENOMEM, &done) == OS_GUARDS_UNKNOWN && !done);
}

TEST(of_mappings_guards_have_at_most_half)
{
	char text[24];

	store_relaxed(&os_guards, OS_GUARDS_MARKERS);
	CHECK_EQ(os_guards_max(), SIZE_MAX);
	store_relaxed(&os_guards, OS_GUARDS_PROTECTION);
	if (os_read_file("/proc/sys/vm/max_map_count", text, sizeof text) != 0)
		CHECK_EQ(os_guards_max(), strtoul(text, NULL, 10) / 4);
	store_relaxed(&os_guards, OS_GUARDS_UNKNOWN);
}

TEST(failures_are_reported)
{
	char *p = map(2);

	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	FOR_EACH_WAY(way)
	{
		store_relaxed(&os_guards, way);
		guards_fail(1, 0);
		CHECK(!os_guard(p, os_page_size));
		guards_fail(1, 0);
		CHECK(!os_unguard(p, os_page_size));
		CHECK_EQ(guards_end_count(), 1);
		CHECK(!guards_stop(p));
	}
	unmap(p, 2);
}
