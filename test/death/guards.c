/* SPDX-License-Identifier: MIT */
/*
 * With san_guard_large and san_guard_small, running off an object's pages ends the program there:
 * at the first byte behind them, and at the last before, whichever way the guards are made.
 */
#include <tract/tract.h>

#include "api/names.h"
#include "arena/arena.h"
#include "config/options.h"
#include "extent/emap.h"
#include "harness/guards.h"
#include "os/pages.h"

const char *API(malloc_conf) = "san_guard_large:1,san_guard_small:1";

#ifdef GUARDS_BY_PROTECTION
/* Before the first guard, which would find out. */
__attribute__((constructor)) static void
set_way(void)
{
	store_relaxed(&os_guards, OS_GUARDS_PROTECTION);
}
#endif

/* Bytes that can be written from p on in steps of +1 or -1, until one faults. */
static size_t
run_off(char *p, int step)
{
	size_t n = 0;

	while (!guards_stop(p + step * (ptrdiff_t)n))
		n++;
	return n;
}

/* Of an object of `size' bytes that is a large extent. */
static void
check_large(char *p, size_t size)
{
	const size_t usable = API(malloc_usable_size)(p);

	REQUIRE(p != NULL && usable >= size);
	CHECK_EQ((uintptr_t)p % os_page_size, 0);
	CHECK_EQ(usable % os_page_size, 0);
	CHECK(!guards_stop(p + usable - 1) && !guards_stop(p));
	CHECK(guards_stop(p + usable) && guards_stop(p - 1));
	CHECK_EQ(run_off(p + usable - 100, 1), 100);
	CHECK_EQ(run_off(p + 99, -1), 100);
}

TEST(a_byte_beyond_either_end_of_a_large_object_faults)
{
	static const size_t sizes[] = { 16384, 20000, 32768, 32769, 65536, 100000,
		1 << 20, 5 << 20 };

	for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
		const size_t size = align_up(sizes[i], os_page_size);
		char *p = API(malloc)(size);
		check_large(p, size);
		API(free)(p);
		p = API(calloc)(1, size);
		for (size_t k = 0; k < size; k++)
			REQUIRE(p[k] == 0);
		check_large(p, size);
		API(free)(p);
		p = API(aligned_alloc)(os_page_size, size);
		check_large(p, size);
		API(free)(p);
		p = API(mallocx)(size, MALLOCX_TCACHE_NONE | MALLOCX_ZERO);
		check_large(p, size);
		p = API(realloc)(p, size + os_page_size);
		check_large(p, size + os_page_size);
		p = API(realloc)(p, size / 2 + os_page_size);
		if (API(malloc_usable_size)(p) >= SC_LARGE_MIN)
			check_large(p, size / 2 + os_page_size);
		API(sdallocx)(p, size / 2 + os_page_size, MALLOCX_TCACHE_NONE);
	}
}

TEST(running_off_a_slab_faults_at_its_ends)
{
	static const size_t sizes[] = { 8, 16, 64, 80, 640, 2048, 4096, 7168, 14336 };

	for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
		/* So many that they lie in slabs of every kind. */
		for (unsigned k = 0; k < 40; k++) {
			char *p = API(malloc)(sizes[i]);
			const struct edata *e = emap_lookup(p);
			REQUIRE(e != NULL && use_has_regions((enum extent_use)e->use));
			CHECK(e->guarded);
			char *end = (char *)edata_end(e), *first = edata_base(e);
			CHECK(guards_stop(end) && guards_stop(first - 1));
			CHECK(guards_stop(end + os_page_size - 1));
			CHECK(guards_stop(first - os_page_size));
			CHECK(p >= first && p + sizes[i] <= end);
		}
	}
}

TEST(a_pointer_into_a_guard_is_foreign)
{
	char *p = API(malloc)(100000);
	const size_t usable = API(malloc_usable_size)(p);

	CHECK(emap_lookup_any(p - 1) == NULL);
	CHECK(emap_lookup_any(p + usable) == NULL);
	API(free)(p);
}

static char *victim;

static void
overflow(void)
{
	signal(SIGSEGV, SIG_DFL);
	for (size_t i = 0;; i++)
		guards_write(victim + i);
}

static void
underflow(void)
{
	signal(SIGSEGV, SIG_DFL);
	for (size_t i = 0;; i++)
		guards_write(victim - i);
}

static int
status_of(void (*misuse)(void))
{
	const struct rlimit no_core = { 0, 0 };
	int status = 0;

	fflush(NULL);
	const pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		misuse();
		_exit(0);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(a_program_that_runs_off_an_object_dies)
{
	static const size_t sizes[] = { 100, 50000, 3 << 20 };

	for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
		victim = API(malloc)(sizes[i]);
		CHECK_EQ(status_of(overflow), SIGSEGV);
		CHECK_EQ(status_of(underflow), SIGSEGV);
		API(free)(victim);
	}
}
