/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "os/pages.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "harness/test.h"
#include "os/inject.h"
#include "os/os.h"

#define UNTOUCHED_ERRNO 4711

static void *
map(void *at, size_t size, size_t alignment)
{
	enum os_commit commit = OS_COMMITTED;
	void *addr = os_pages_map(at, size, alignment, &commit);
	CHECK(addr == NULL || commit == OS_COMMITTED);
	return addr;
}

static void
boot(void)
{
	os_pages_boot();
	errno = UNTOUCHED_ERRNO;
}

static sigjmp_buf fault_return;

static void
on_fault(int signal_number)
{
	(void)signal_number;
	siglongjmp(fault_return, 1);
}

/* Does reading this byte fault?  Keeps errno: TSan sets it for a handler that never returns. */
static bool
faults(const volatile char *p)
{
	const int saved_errno = errno;
	struct sigaction action = { .sa_handler = on_fault }, old_segv, old_bus;
	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	volatile bool has_faulted = true;
	if (sigsetjmp(fault_return, 1) == 0) {
		(void)*p;
		has_faulted = false;
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	errno = saved_errno;
	return has_faulted;
}

static bool
is_filled(const char *p, size_t size, char value)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != value)
			return false;
	return true;
}

TEST(boot_reads_the_kernels_page_size)
{
	boot();
	CHECK_EQ(os_kernel_page_size, (size_t)sysconf(_SC_PAGESIZE));
	CHECK(os_page_size >= os_kernel_page_size
	    && os_page_size >= (size_t)1 << CONFIG_LG_PAGE);
	CHECK(os_page_size == os_kernel_page_size
	    || os_page_size == (size_t)1 << CONFIG_LG_PAGE);
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

TEST(boot_reads_modes)
{
	char text[64];
	boot();
	if (os_read_file("/proc/sys/vm/overcommit_memory", text, sizeof(text)) != 0)
		CHECK_EQ(os_overcommits, text[0] != '2');
	bool has_thp = access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
	CHECK_EQ(has_thp, os_thp() != OS_THP_UNSUPPORTED);
}

TEST(a_process_that_was_told_to_do_without_huge_pages_has_none)
{
	boot();
	const enum os_thp mode = os_thp();

	if (mode == OS_THP_UNSUPPORTED || prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		SKIP("no huge pages here");
	os_thp_mode = OS_THP_UNKNOWN;
	CHECK_EQ(os_thp(), OS_THP_NEVER);
	REQUIRE(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
	os_thp_mode = OS_THP_UNKNOWN;
	CHECK_EQ(os_thp(), mode);
}

TEST(memory_is_zero_writable_and_aligned)
{
	boot();
	for (size_t alignment = os_page_size; alignment <= 16 * OS_HUGEPAGE;
	     alignment *= 2) {
		for (int i = 0; i < 4; i++) {
			size_t size = os_page_size * (size_t)(3 * i + 1);
			char *p = map(NULL, size, alignment);
			REQUIRE(p != NULL);
			CHECK(is_aligned((uintptr_t)p, alignment));
			CHECK(is_filled(p, size, 0));
			memset(p, 1, size);
			CHECK(os_pages_unmap(p, size));
			CHECK(faults(p));
		}
	}
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

TEST(aligned_maps_leave_nothing_behind)
{
	boot();
	static char before[1 << 20], after[1 << 20];
	char *kept[16];
	/* Kept mappings would hide nothing: only unaligned leftovers can differ. */
	os_read_file("/proc/self/maps", before, sizeof(before));
	for (unsigned i = 0; i < COUNT_OF(kept); i++)
		kept[i] = map(NULL, os_page_size, OS_HUGEPAGE);
	for (unsigned i = 0; i < COUNT_OF(kept); i++)
		CHECK(os_pages_unmap(kept[i], os_page_size));
	os_read_file("/proc/self/maps", after, sizeof(after));
	CHECK_STR(after, before);
}

TEST(map_at_an_address_never_replaces)
{
	boot();
	size_t size = 4 * os_page_size;
	char *p = map(NULL, size, os_page_size);
	REQUIRE(p != NULL);
	memset(p, 7, size);
	CHECK(map(p, size, os_page_size) == NULL);
	CHECK(map(p + os_page_size, os_page_size, os_page_size) == NULL);
	CHECK(is_filled(p, size, 7));
	CHECK(os_pages_unmap(p + os_page_size, os_page_size));
	CHECK(map(p + os_page_size, os_page_size, os_page_size) == p + os_page_size);
	CHECK(is_filled(p + os_page_size, os_page_size, 0));
	CHECK(os_pages_unmap(p, size));
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

TEST(what_the_kernel_cannot_give_is_null)
{
	boot();
	CHECK(map(NULL, (size_t)1 << 60, os_page_size) == NULL);
	CHECK(map(NULL, align_down(SIZE_MAX, OS_HUGEPAGE), OS_HUGEPAGE) == NULL);
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

TEST(forced_purge_zeroes_and_lazy_purge_keeps_or_zeroes)
{
	boot();
	size_t size = 8 * os_page_size;
	char *p = map(NULL, size, os_page_size);
	REQUIRE(p != NULL);
	memset(p, 5, size);
	CHECK_EQ(os_pages_purge_lazy(p, size), os_has_lazy_free);
	for (size_t i = 0; i < size; i += os_page_size)
		CHECK(p[i] == 5 || p[i] == 0);
	memset(p, 6, size);
	CHECK(os_pages_purge_forced(p + os_page_size, size - os_page_size));
	CHECK(is_filled(p, os_page_size, 6));
	CHECK(is_filled(p + os_page_size, size - os_page_size, 0));
	CHECK(os_pages_unmap(p, size));
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

TEST(protected_pages_fault_until_unprotected)
{
	boot();
	char *p = map(NULL, 2 * os_page_size, os_page_size);
	REQUIRE(p != NULL);
	memset(p, 9, 2 * os_page_size);
	CHECK(os_pages_protect(p, os_page_size));
	CHECK(faults(p));
	CHECK(!faults(p + os_page_size));
	CHECK(os_pages_unprotect(p, os_page_size));
	CHECK(is_filled(p, 2 * os_page_size, 9));
	CHECK(os_pages_unmap(p, 2 * os_page_size));
}

TEST(where_the_kernel_overcommits_all_is_committed)
{
	boot();
	os_overcommits = true;
	enum os_commit commit = OS_RESERVED;
	char *p = os_pages_map(NULL, os_page_size, os_page_size, &commit);
	REQUIRE(p != NULL);
	CHECK_EQ(commit, OS_COMMITTED);
	CHECK(!os_pages_commit(p, os_page_size));
	CHECK(!os_pages_decommit(p, os_page_size));
	p[0] = 1;
	CHECK(os_pages_unmap(p, os_page_size));
}

TEST(where_it_does_not_reserved_pages_fault_until_committed)
{
	boot();
	os_overcommits = false;
	enum os_commit commit = OS_RESERVED;
	char *p = os_pages_map(NULL, 4 * os_page_size, OS_HUGEPAGE, &commit);
	REQUIRE(p != NULL);
	CHECK_EQ(commit, OS_RESERVED);
	CHECK(faults(p));
	CHECK(os_pages_commit(p, 2 * os_page_size));
	CHECK(!faults(p) && faults(p + 2 * os_page_size));
	memset(p, 3, 2 * os_page_size);
	CHECK(os_pages_decommit(p, os_page_size));
	CHECK(faults(p) && !faults(p + os_page_size));
	CHECK(os_pages_commit(p, os_page_size));
	CHECK(is_filled(p, os_page_size, 0));
	CHECK(is_filled(p + os_page_size, os_page_size, 3));
	CHECK(os_pages_unmap(p, 4 * os_page_size));
	boot();
}

/* Pages of p that differ in protection for a moment may stay two mappings for the kernel. */
static void
split_mapping(char *p, size_t size)
{
	CHECK(os_pages_protect(p, size / 2));
	memset(p + size / 2, 1, size / 2);
	CHECK(os_pages_unprotect(p, size / 2));
}

TEST(moved_contents_arrive_and_the_source_reads_zero)
{
	boot();
	size_t size = 16 * os_page_size;
	for (int is_split = 0; is_split < 2; is_split++) {
		char *from = map(NULL, size, os_page_size);
		char *to = map(NULL, size, os_page_size);
		REQUIRE(from != NULL && to != NULL);
		if (is_split)
			split_mapping(from, size);
		memset(from, 4, size);
		memset(to, 8, size);
		if (os_pages_move(to, from, size)) {
			CHECK(is_filled(to, size, 4));
			CHECK(is_filled(from, size, 0));
		} else {
			CHECK(is_filled(to, size, 8));
			CHECK(is_filled(from, size, 4));
		}
		memset(from, 2, size);
		CHECK(is_filled(to, size, 4) || is_filled(to, size, 8));
		CHECK(os_pages_unmap(from, size) && os_pages_unmap(to, size));
	}
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

/* Fail the failing_call-th call counted by n_calls. */
static unsigned n_calls, failing_call;

static int
fail_one(const char *what)
{
	CHECK(what[0] != '\0');
	return ++n_calls == failing_call ? ENOMEM : 0;
}

TEST(every_single_failure_is_reported_and_changes_nothing)
{
	boot();
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	size_t size = 4 * os_page_size;
	char *p = map(NULL, size, os_page_size);
	REQUIRE(p != NULL);
	memset(p, 1, size);
	os_inject = fail_one;
	failing_call = 1;
	n_calls = 0;
	CHECK(map(NULL, size, os_page_size) == NULL);
	CHECK((n_calls = 0, !os_pages_unmap(p, size)));
	CHECK((n_calls = 0, !os_pages_protect(p, size)));
	CHECK((n_calls = 0, !os_pages_unprotect(p, size)));
	CHECK((n_calls = 0, !os_pages_purge_forced(p, size)));
	CHECK((n_calls = 0, !os_pages_purge_lazy(p, size)));
	CHECK((n_calls = 0, !os_pages_huge(p, size)));
	CHECK((n_calls = 0, !os_pages_nohuge(p, size)));
	CHECK(is_filled(p, size, 1));
	/* An aligned mapping takes several calls: each failed in turn, it is right or NULL. */
	for (failing_call = 1; failing_call < 8; failing_call++) {
		n_calls = 0;
		char *q = map(NULL, size, 16 * OS_HUGEPAGE);
		unsigned used = n_calls;
		CHECK(q == NULL || is_aligned((uintptr_t)q, 16 * OS_HUGEPAGE));
		CHECK(q != NULL || used >= failing_call);
		os_inject = NULL;
		if (q != NULL)
			CHECK(os_pages_unmap(q, size));
		os_inject = fail_one;
	}
	os_inject = NULL;
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
	CHECK(os_pages_unmap(p, size));
}

static bool
fails_unmap(const char *what)
{
	return strcmp(what, "unmap") == 0;
}

static int
fail_unmaps(const char *what)
{
	return fails_unmap(what) ? ENOMEM : 0;
}

TEST(many_ranges_are_purged_by_one_call_where_the_kernel_can)
{
	enum { RANGES = OS_PURGE_MANY };
	struct iovec ranges[RANGES];

	boot();
	if (!os_pages_can_purge_many())
		SKIP("no process_madvise for one's own memory");
	char *p = map(NULL, 2 * RANGES * os_page_size, os_page_size);
	REQUIRE(p != NULL);
	memset(p, 1, 2 * RANGES * os_page_size);
	for (size_t i = 0; i < RANGES; i++)
		ranges[i] = (struct iovec){ p + 2 * i * os_page_size, os_page_size };
	CHECK_EQ(os_pages_purge_many(ranges, RANGES), RANGES);
	for (size_t i = 0; i < 2 * RANGES; i++)
		CHECK(is_filled(p + i * os_page_size, os_page_size, i % 2));
	/* One that is not mapped ends it; those before it count. */
	memset(p, 1, 2 * RANGES * os_page_size);
	CHECK(os_pages_unmap(ranges[5].iov_base, os_page_size));
	const unsigned n = os_pages_purge_many(ranges, RANGES);
	CHECK(n <= 5);
	for (size_t i = 0; i < n; i++)
		CHECK(is_filled(ranges[i].iov_base, os_page_size, 0));
	CHECK_EQ(errno, UNTOUCHED_ERRNO);
}

TEST(what_could_not_be_unmapped_is_unmapped_later)
{
	static char before[1 << 20], after[1 << 20];

	boot();
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	size_t size = 4 * os_page_size;
	os_read_file("/proc/self/maps", before, sizeof(before));
	os_inject = fail_unmaps;
	/* More than there are slots: then it refuses rather than lose something. */
	char *kept[100] = { NULL };
	for (unsigned i = 0; i < COUNT_OF(kept); i++)
		kept[i] = map(NULL, size, 512 * OS_HUGEPAGE);
	os_inject = NULL;
	/* One more mapping, and all that waited is gone. */
	char *p = map(NULL, size, os_page_size);
	REQUIRE(p != NULL);
	CHECK(os_pages_unmap(p, size));
	for (unsigned i = 0; i < COUNT_OF(kept); i++)
		if (kept[i] != NULL)
			CHECK(os_pages_unmap(kept[i], size));
	os_read_file("/proc/self/maps", after, sizeof(after));
	CHECK_STR(after, before);
}

TEST(a_move_that_stops_half_way_is_finished_by_copying)
{
	boot();
	if (!CONFIG_DEBUG)
		SKIP("failures are injected in debug builds");
	size_t size = 4 * os_page_size;
	char *from = map(NULL, size, os_page_size);
	char *to = map(NULL, size, os_page_size);
	REQUIRE(from != NULL && to != NULL);
	memset(from, 4, size);
	os_inject = fail_one;
	for (failing_call = 1; failing_call <= 2; failing_call++) {
		n_calls = 0;
		CHECK(!os_pages_move(to, from, size));
		CHECK(is_filled(from, size, 4) && is_filled(to, size, 0));
	}
	n_calls = 0;
	bool has_moved = os_pages_move(to, from, size);
	os_inject = NULL;
	if (has_moved)
		CHECK(is_filled(to, size, 4) && is_filled(from, size, 0));
	CHECK(os_pages_unmap(from, size) && os_pages_unmap(to, size));
}

TEST(locked_memory_stays_where_it_is)
{
	boot();
	const size_t size = 4 * os_page_size;
	char *from = map(NULL, size, os_page_size);
	char *to = map(NULL, size, os_page_size);
	REQUIRE(from != NULL && to != NULL);
	/* Sanitizers ignore mlock itself. */
	if (syscall(SYS_mlock, from, size) != 0)
		SKIP("memory cannot be locked here");
	memset(from, 4, size);
	CHECK(!os_pages_move(to, from, size));
	CHECK(is_filled(from, size, 4) && is_filled(to, size, 0));
	CHECK(os_pages_unmap(from, size) && os_pages_unmap(to, size));
}
