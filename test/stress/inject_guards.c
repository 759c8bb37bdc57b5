/* SPDX-License-Identifier: MIT */
/*
 * Every system call fails once in a program whose slabs and large objects have guards, that makes a
 * background worker, forks and comes near a limit: it runs over and over, each time in a child of
 * its own, with the k-th call failed, then with all from the k-th on.
 *
 * No object lies beside a guard that is not up, no contents are lost, and what limits see is what
 * is in use.
 */
#include <sys/mman.h>

#include "api/names.h"
#include "config/options.h"
#include "ctl/background.h"
#include "extent/guard.h"
#include "harness/failing.h"
#include "harness/guards.h"
#include "harness/hooked.h"
#include "harness/whole.h"
#include "os/os.h"

#define MIB ((size_t)1 << 20)

enum call { CALL_MAP, CALL_ADVISE, CALL_PROTECT, CALL_GUARD, CALL_THREAD, CALL_KINDS };
static const char *const call_names[] = { "map", "advise", "protect", "guard", "thread" };

static _Atomic(unsigned) n_calls, n_failed; /* A worker calls, too. */
static struct shared {
	_Atomic(unsigned) failed[CALL_KINDS]; /* in all children */
	_Atomic(unsigned) n_null, n_guarded, n_bare;
} * shared;

static int
fail_kth(const char *what)
{
	if (!must_fail(++n_calls))
		return 0;
	for (unsigned i = 0; i < CALL_KINDS; i++)
		shared->failed[i] += strcmp(what, call_names[i]) == 0;
	n_failed++;
	return ENOMEM;
}

/* ---- the program ---- */

#define N 120

static struct {
	unsigned char *p;
	size_t size;
} held[N];

static void
take(unsigned i, int flags)
{
	static const size_t sizes[] = { 24, 700, 5000, 14000, 20000, 40000, 300000 };
	const size_t size = sizes[i % 7] + i;

	errno = 0;
	unsigned char *p = API(mallocx)(size, flags);
	if (p == NULL) {
		CHECK(n_failed != 0);
		shared->n_null++;
		return;
	}
	p[0] = p[size - 1] = (unsigned char)i;
	const struct edata *e = emap_lookup(p);
	CHECK(!e->is_half_guarded);
	if (e->guarded) {
		shared->n_guarded++;
		CHECK(guards_stop((char *)e->addr - 1)
		    && guards_stop((char *)edata_end(e)));
	} else {
		shared->n_bare++;
	}
	held[i].p = p;
	held[i].size = size;
}

static void
drop(unsigned i)
{
	unsigned char *p = held[i].p;

	if (p == NULL)
		return;
	CHECK(p[0] == (unsigned char)i && p[held[i].size - 1] == (unsigned char)i);
	held[i].p = NULL;
	API(dallocx)(p, MALLOCX_TCACHE_NONE);
}

static void
resize(unsigned i)
{
	unsigned char *p = held[i].p;
	const size_t size = held[i].size * 2;

	if (p == NULL || (p = API(rallocx)(p, size, 0)) == NULL)
		return;
	CHECK_EQ(p[0], (unsigned char)i);
	p[size - 1] = (unsigned char)i;
	held[i].p = p;
	held[i].size = size;
}

static void
work_in(int flags)
{
	for (unsigned i = 0; i < N; i++)
		take(i, flags);
	for (unsigned i = 0; i < N; i += 3)
		drop(i);
	for (unsigned i = 1; i < N; i += 9)
		resize(i);
	(void)API(mallctl)("arena.4096.purge", NULL, NULL, NULL, 0);
	/* Slabs that kept their guards, and those that have them by half. */
	for (unsigned i = 0; i < N; i += 3)
		take(i, flags);
	for (unsigned i = 0; i < N; i++)
		drop(i);
	(void)API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0);
}

/* Its memory is shown to hooks of a user at the end. */
static void
use_arena(void)
{
	static extent_hooks_t own;
	extent_hooks_t *hooks = &own;
	unsigned index;

	own = ehooks_default;
	if (!create(NULL, METADATA_ELSEWHERE, &index)) {
		CHECK(n_failed != 0);
		return;
	}
	work_in((int)FLAGS(index));
	CHECK_EQ(WRITE(node(index, "extent_hooks"), hooks), 0);
	work_in((int)FLAGS(index));
	CHECK_EQ(run(index, "destroy"), 0);
}

static void
fork_once(void)
{
	int status = -1;

	fflush(stdout);
	const pid_t pid = fork();
	if (pid == 0) {
		work_in(0);
		_exit(atomic_load(&test_failures) != 0);
	}
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

static void
use_worker(void)
{
	if (!background_set(BACKGROUND_ON))
		CHECK(n_failed != 0);
	work_in(0);
	if (!BUILT_FOR_TSAN)
		fork_once();
	CHECK(background_set(BACKGROUND_OFF));
}

static void
run_program(void)
{
	size_t limit = limit_used() + 3 * MIB, none = 0;

	work_in(0);
	CHECK_EQ(WRITE("limit.hard", limit), 0);
	n_failed += 1; /* Fails without being told to. */
	work_in(0);
	n_failed -= 1;
	CHECK_EQ(WRITE("limit.hard", none), 0);
	use_arena();
	use_worker();
}

/* ---- one child after the other ---- */

static _Noreturn void
child(const void *way)
{
	opt.san_guard_large = opt.san_guard_small = 1;
	opt.max_background_threads = 1;
	opt.dss = DSS_DISABLED;
	store_relaxed(&os_guards, *(const enum os_guards *)way);
	/* libc's own memory for a thread. */
	os_inject = fail_kth;
	run_program();
	os_inject = NULL;
	work_in(0);
	CHECK_EQ(API(mallctl)("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	whole_check();
	_exit(child_verdict(n_failed));
}

#if defined __SANITIZE_ADDRESS__ || BUILT_FOR_TSAN
#define EACH 301
#else
#define EACH 41
#endif

static void
run_all(enum os_guards way)
{
	for (fail_how = FAIL_ONCE; fail_how <= FAIL_FROM_THEN_ON; fail_how++) {
		/* In so many runs of the test each call comes, with luck. */
		fail_at = 1 + (unsigned)(test_seed() % EACH);
		while (run_child("guards", child, &way))
			fail_at += EACH;
		printf("# %s: %u calls\n", how_it_fails(), fail_at - 1);
		CHECK(fail_at > 100);
	}
	CHECK(shared->n_guarded != 0 && shared->n_bare != 0);
}

static void
begin(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
}

static void
end(void)
{
	CHECK(shared->failed[CALL_MAP] != 0 && shared->failed[CALL_ADVISE] != 0);
	CHECK(shared->n_null != 0);
	munmap(shared, sizeof *shared);
}

TEST(any_failed_call_is_survived_with_guards_by_protection)
{
	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject failures");
	begin();
	run_all(OS_GUARDS_PROTECTION);
	CHECK(shared->failed[CALL_PROTECT] != 0 && shared->failed[CALL_GUARD] == 0);
	end();
}

TEST(any_failed_call_is_survived_with_guards_by_markers)
{
	char *p = mmap(NULL, os_page_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject failures");
	if (!guards_have_markers(p, os_page_size))
		SKIP("the kernel has no markers");
	munmap(p, os_page_size);
	begin();
	run_all(OS_GUARDS_UNKNOWN);
	CHECK(shared->failed[CALL_GUARD] != 0);
	end();
}
