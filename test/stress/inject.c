/* SPDX-License-Identifier: MIT */
/*
 * Every system call fails once: a program that allocates in every way runs over and over, each time
 * in a child of its own, with the k-th call failed, for k = 1, 2, ... until it ends before the
 * k-th.  Then again with all calls failed from the k-th on.
 *
 * What fails must say NULL and ENOMEM, keep the contents of what lives, and lose nothing: at the
 * end all is whole, every byte of address space accounted for, and memory to be had again.
 */
#define TEST_OWN_MAIN
#include "harness/failing.h"

#include <pthread.h>
#include <sys/mman.h>

#include "api/names.h"
#include "arena/arena.h"
#include "cache/pool.h"
#include "config/options.h"
#include "meta/rtree.h"
#include "os/inject.h"
#include "os/os.h"
#include "os/pages.h"
#include "page/limit.h"
#include "thread/thread.h"
#include "tract/extent_hooks.h"

extern int API(malloc_trim)(size_t pad);

/* A sanitizer maps memory when it likes. */
#if defined __SANITIZE_ADDRESS__ || BUILT_FOR_TSAN
#define OWNS_ADDRESS_SPACE 0
#else
#define OWNS_ADDRESS_SPACE 1
#endif

enum call { CALL_MAP, CALL_UNMAP, CALL_PROTECT, CALL_ADVISE, CALL_MOVE, CALL_KINDS };
static const char *const call_names[] = { "map", "unmap", "protect", "advise", "move" };

#define NEEDS_INJECTION \
	if (!CONFIG_DEBUG || BUILT_FOR_TSAN) \
	SKIP("only debug builds inject; and its threads run one at a time: no races")

/* ---- which call fails ------------------------------------------------------------------------ */

static unsigned n_calls, n_failed, n_failed_unmaps; /* in this process */
static struct shared {
	_Atomic(unsigned) failed[CALL_KINDS]; /* in all children */
	_Atomic(unsigned) n_null;             /* allocations refused */
} * shared;

static int
fail_kth(const char *what)
{
	unsigned kind = 0;

	if (!must_fail(++n_calls))
		return 0;
	while (kind < CALL_KINDS - 1 && strcmp(what, call_names[kind]) != 0)
		kind++;
	n_failed++;
	n_failed_unmaps += kind == CALL_UNMAP;
	if (shared != NULL)
		shared->failed[kind]++;
	return ENOMEM;
}

/* ---- a program that allocates in every way --------------------------------------------------- */

#define OBJECTS 4096
#define MEGABYTES(n) ((size_t)(n) << 20)
#define NO_TCACHE (1 << 8)
#define TCACHE(id) ((int)((id) + 2) << 8)
#define ARENA(index) ((int)((index) + 1) << 20)

static struct object {
	unsigned char *p;
	size_t size;
} objects[OBJECTS];
static unsigned n_objects;

/* Bytes looked at: one in each page or so, fewer of large objects. */
static size_t
stride(size_t size)
{
	return size <= 64 ? 1 : size <= 100000 ? 4000 : 50000;
}

static void
fill(const struct object *o)
{
	for (size_t i = 0; i < o->size; i += stride(o->size))
		o->p[i] = (unsigned char)(o->size + i);
}

static void
check_filled(const struct object *o, size_t size, size_t kept)
{
	for (size_t i = 0; i < kept; i += stride(size))
		if (o->p[i] != (unsigned char)(size + i)) {
			CHECK(!"contents are kept");
			return;
		}
}

static bool is_metadata_short;

/* The next record needs a new block. */
static void
use_up_metadata(void)
{
	while (base_zero.end - base_zero.next >= 2 * EDATA_ALIGNMENT)
		REQUIRE(base_alloc(&base_zero, EDATA_ALIGNMENT, EDATA_ALIGNMENT) != NULL);
}

/* Take note of a new object; NULL is fine when a call failed. */
static bool
got(void *p, size_t size)
{
	if (p == NULL) {
		CHECK_EQ(errno, ENOMEM);
		CHECK(n_failed != 0);
		shared->n_null++;
		return false;
	}
	REQUIRE(n_objects < OBJECTS);
	if (is_metadata_short)
		use_up_metadata();
	objects[n_objects] = (struct object){ p, size };
	fill(&objects[n_objects++]);
	errno = 0;
	return true;
}

static void
got_zeroed(unsigned char *p, size_t size)
{
	for (size_t i = 0; p != NULL && i < size; i += stride(size))
		CHECK_EQ(p[i], 0);
	(void)got(p, size);
}

static void
drop(unsigned i)
{
	check_filled(&objects[i], objects[i].size, objects[i].size);
	errno = 77;
	API(free)(objects[i].p);
	CHECK_EQ(errno, 77);
	objects[i] = objects[--n_objects];
}

static void
drop_all(void)
{
	while (n_objects != 0)
		drop(n_objects - 1);
}

static void
resize(unsigned i, size_t size)
{
	struct object *o = &objects[i];
	const size_t old = o->size;

	void *p = API(realloc)(o->p, size);
	if (p == NULL) {
		CHECK_EQ(errno, ENOMEM);
		CHECK(n_failed != 0);
		shared->n_null++;
		check_filled(o, old, old);
		return;
	}
	*o = (struct object){ p, size };
	/* The strides must agree to compare. */
	if (stride(old) == stride(size))
		check_filled(o, old, old < size ? old : size);
	fill(o);
}

static const size_t some_sizes[] = { 1, 16, 100, 1000, 3000, 14000, 20000, 32768, 50000,
	200000, 600000, 2 << 20 };
#define SOME_SIZES (sizeof some_sizes / sizeof some_sizes[0])

static void
use_malloc(void)
{
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < SOME_SIZES; i++)
			(void)got(API(malloc)(some_sizes[i]), some_sizes[i]);
	for (unsigned i = 0; i < SOME_SIZES; i++)
		got_zeroed(API(calloc)(1, some_sizes[i]), some_sizes[i]);
	/* A few slabs of one class, and holes in them. */
	for (unsigned i = 0; i < 300; i++)
		(void)got(API(malloc)(320), 320);
	for (unsigned i = 0; i < n_objects; i += 2)
		drop(i);
	for (unsigned i = 0; i < 12; i++)
		(void)got(API(malloc)(7000), 7000);
}

static void
use_alignments(void)
{
	for (size_t alignment = 16; alignment <= (size_t)4 << 20; alignment *= 64)
		for (unsigned i = 0; i < SOME_SIZES; i += 3) {
			const size_t size = some_sizes[i];
			void *p = API(aligned_alloc)(alignment, size);
			CHECK((uintptr_t)p % alignment == 0);
			(void)got(p, size);
			p = NULL;
			const int rc = API(posix_memalign)(&p, alignment, size);
			CHECK(rc == 0 || (rc == ENOMEM && p == NULL));
			errno = rc;
			(void)got(p, size);
		}
	(void)got(API(pvalloc)(10000), 10000);
}

static void
use_realloc(void)
{
	drop_all();
	for (unsigned i = 0; i < SOME_SIZES; i++)
		if (got(API(malloc)(some_sizes[i]), some_sizes[i]))
			resize(n_objects - 1, 2 * some_sizes[i] + 5000);
	/* By page tables: large, to a place never touched. */
	if (got(API(malloc)(MEGABYTES(3)), MEGABYTES(3))
	    && got(API(malloc)(MEGABYTES(1)), MEGABYTES(1))) {
		resize(n_objects - 2, MEGABYTES(7));
		resize(n_objects - 2, MEGABYTES(20));
		resize(n_objects - 2, MEGABYTES(2));
	}
	for (unsigned i = 0; i < n_objects; i++)
		resize(i, objects[i].size / 3 + 1);
}

/* ---- control nodes: true, or a call failed. ---- */

static bool
node(const char *name, void *old, size_t old_size, const void *new, size_t new_size)
{
	size_t length = old_size;
	const int rc = API(mallctl)(name, old, old == NULL ? NULL : &length,
	    (void *)(uintptr_t) new, new_size);

	CHECK(rc == 0
	    || ((rc == EAGAIN || rc == EFAULT || rc == ENOMEM) && n_failed != 0));
	return rc == 0;
}

static bool
arena_node(unsigned index, const char *what)
{
	char name[64];

	snprintf(name, sizeof name, "arena.%u.%s", index, what);
	return node(name, NULL, 0, NULL, 0);
}

static void
fill_arena(unsigned index)
{
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < SOME_SIZES; i++)
			(void)got(API(mallocx)(some_sizes[i], ARENA(index) | NO_TCACHE),
			    some_sizes[i]);
}

static void
use_manual_arena(unsigned index)
{
	const unsigned first = n_objects;

	fill_arena(index);
	if (n_objects > first + 3)
		drop(first), drop(first + 1);
	(void)arena_node(index, "purge");
	/* All objects of the arena go with a reset. */
	n_objects = first;
	(void)arena_node(index, "reset");
	fill_arena(index);
	if (n_objects > first + 1)
		(void)API(xallocx)(objects[first].p, 3 * objects[first].size, 0, 0);
	n_objects = first;
	(void)arena_node(index, "destroy");
}

/* Hooks that the system's calls stand behind, too. */
static void *
hook_alloc(extent_hooks_t *hooks, void *at, size_t size, size_t alignment, bool *zero,
    bool *commit, unsigned arena)
{
	enum os_commit got_commit = OS_COMMITTED;

	(void)hooks, (void)arena;
	CHECK(mutex_none_held());
	void *p = os_pages_map(at, size, alignment, &got_commit);
	*zero = *commit = true;
	return p;
}

static bool
hook_dalloc(extent_hooks_t *hooks, void *p, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)committed, (void)arena;
	CHECK(mutex_none_held());
	return !os_pages_unmap(p, size);
}

static void
hook_destroy(extent_hooks_t *hooks, void *p, size_t size, bool committed, unsigned arena)
{
	(void)hook_dalloc(hooks, p, size, committed, arena);
}

static bool
hook_purge(extent_hooks_t *hooks, void *p, size_t size, size_t offset, size_t length,
    unsigned arena)
{
	(void)hooks, (void)size, (void)arena;
	CHECK(mutex_none_held());
	return !os_pages_purge_forced((char *)p + offset, length);
}

static bool
hook_split(extent_hooks_t *hooks, void *p, size_t size, size_t a, size_t b,
    bool committed, unsigned arena)
{
	(void)hooks, (void)p, (void)size, (void)a, (void)b, (void)committed, (void)arena;
	CHECK(mutex_none_held());
	return false;
}

static bool
hook_merge(extent_hooks_t *hooks, void *p, size_t a, void *q, size_t b, bool committed,
    unsigned arena)
{
	(void)hooks, (void)p, (void)a, (void)q, (void)b, (void)committed, (void)arena;
	CHECK(mutex_none_held());
	return false;
}

static extent_hooks_t hooks = { hook_alloc, hook_dalloc, hook_destroy, NULL, NULL, NULL,
	hook_purge, hook_split, hook_merge };

static void
use_arenas(void)
{
	extent_hooks_t *const with_metadata = &hooks;
	const arena_config_t without_metadata = { &hooks, false };
	unsigned index, now = 0, zero = 0;

	if (node("arenas.create", &index, sizeof index, NULL, 0))
		use_manual_arena(index);
	if (node("arenas.create", &index, sizeof index, &with_metadata,
		sizeof with_metadata))
		use_manual_arena(index);
	if (node("experimental.arenas_create_ext", &index, sizeof index,
		&without_metadata, sizeof without_metadata))
		use_manual_arena(index);
	/* A thread in a manual arena, and back. */
	if (!node("arenas.create", &index, sizeof index, NULL, 0))
		return;
	if (node("thread.arena", NULL, 0, &index, sizeof index)) {
		for (unsigned i = 0; i < SOME_SIZES; i++)
			(void)got(API(malloc)(some_sizes[i]), some_sizes[i]);
		(void)node("thread.arena", NULL, 0, &zero, sizeof zero);
	}
	drop_all();
	if (node("thread.arena", &now, sizeof now, NULL, 0) && now == 0)
		(void)arena_node(index, "destroy");
}

static void
use_explicit_tcache(void)
{
	unsigned id;

	if (!node("tcache.create", &id, sizeof id, NULL, 0))
		return;
	for (unsigned i = 0; i < 30; i++)
		(void)got(API(mallocx)(400 * i + 1, TCACHE(id)), 400 * i + 1);
	for (unsigned i = 0; i < 25 && n_objects != 0; i++) {
		API(dallocx)(objects[n_objects - 1].p, TCACHE(id));
		n_objects--;
	}
	(void)node("tcache.flush", NULL, 0, &id, sizeof id);
	(void)node("tcache.destroy", NULL, 0, &id, sizeof id);
}

/* A thread hands its objects over, frees some of ours, and ends. */
static void *
allocate_and_end(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < n_objects; i += 2)
		drop(i);
	for (unsigned i = 0; i < 40; i++)
		(void)got(API(malloc)(i * 60 + 1), i * 60 + 1);
	(void)got(API(malloc)(300000), 300000);
	return NULL;
}

static void
use_threads(void)
{
	static char stack[256 << 10] __attribute__((aligned(4096)));
	pthread_attr_t attr;
	pthread_t thread;

	REQUIRE(pthread_attr_init(&attr) == 0);
	/* No memory of libc's for it, so that all address space is ours. */
	REQUIRE(pthread_attr_setstack(&attr, stack, sizeof stack) == 0);
	for (unsigned i = 0; i < 2; i++) {
		REQUIRE(pthread_create(&thread, BUILT_FOR_TSAN ? NULL : &attr,
			    allocate_and_end, NULL)
		    == 0);
		pthread_join(thread, NULL);
	}
	pthread_attr_destroy(&attr);
}

static void
discard(void *opaque, const char *text)
{
	(void)opaque, (void)text;
}

static void
use_controls(void)
{
	uint64_t epoch = 1;

	(void)node("epoch", NULL, 0, &epoch, sizeof epoch);
	(void)node("thread.tcache.flush", NULL, 0, NULL, 0);
	(void)node("thread.idle", NULL, 0, NULL, 0);
	API(malloc_stats_print)(discard, NULL, NULL);
	(void)arena_node(0, "decay");
	(void)arena_node(0, "purge");
	(void)API(malloc_trim)(0);
}

static void
run_program(void)
{
	use_malloc();
	use_threads();
	use_alignments();
	use_realloc();
	use_explicit_tcache();
	use_controls();
	use_arenas();
	use_malloc();
	drop_all();
	use_controls();
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static struct accounts {
	size_t bytes;     /* of address space */
	size_t n_records; /* of extents, ever made */
	size_t n_extents; /* that have one */
	size_t n_free;    /* records without extent */
	size_t charged;   /* as limits see it, by the arenas' own counters */
} accounts;

static size_t
extents_in(struct ecache *ec)
{
	size_t n = 0;

	LIST_FOR_EACH (l, &ec->eset.lru)
		n += l != NULL;
	return n;
}

static void
flush_small_extents(struct arena *arena)
{
	struct arena_huge *huge = arena_huge(arena);
	bool deferred = false;

	if (huge != NULL)
		sec_flush(&huge->sec, &deferred);
}

static void
check_arena(struct arena *arena)
{
	size_t current = 0;

	flush_small_extents(arena);
	arena_check(arena);
	accounts.charged += arena_pages_charged(arena);
	for (unsigned i = 0; i < SC_NOWNED; i++) {
		CHECK_EQ(arena->bins[i].stats.cur_regs, 0);
		CHECK(list_is_empty(&arena->bins[i].owned));
		CHECK_EQ(arena->bins[i].stats.cur_slabs, arena->bins[i].current != NULL);
		if (arena->bins[i].current == NULL)
			continue;
		current += arena->bins[i].current->size;
		accounts.n_extents++;
	}
	if (arena->mixed.current != NULL) {
		CHECK_EQ(arena->mixed.current->need, 0);
		current += arena->mixed.current->size;
		accounts.n_extents++;
	}
	const struct pac_stats *stats = &arena->pac.stats;
	const size_t active = load_relaxed(&stats->active_pages) * os_page_size;
	const size_t free_pages =
	    pac_dirty_pages(&arena->pac) + pac_muzzy_pages(&arena->pac);
	CHECK_EQ(load_relaxed(arena_pages_active(arena)) * os_page_size, current);
	CHECK_EQ(load_relaxed(&stats->mapped), active + free_pages * os_page_size);
	CHECK_EQ(load_relaxed(&stats->abandoned_vm), 0);
	accounts.bytes += load_relaxed(&stats->mapped) + load_relaxed(&stats->retained);
	if (arena->base != &base_zero)
		accounts.bytes += base_stats(arena->base).mapped;
	accounts.n_records += load_relaxed(&arena->edata_pool.n_all);
	accounts.n_free += arena->edata_pool.n_free;
	accounts.n_extents += extents_in(&arena->pac.dirty)
	    + extents_in(&arena->pac.muzzy) + extents_in(&arena->pac.retained);
}

/* Pooled tcaches come back to life one by one, and give back all they hold. */
static void
share_pooled(struct arena *arena)
{
	while (!list_is_empty(&arena->pooled)) {
		struct tcache *tc =
		    LIST_ENTRY(list_pop_front(&arena->pooled), struct tcache, pool_link);
		tcache_check(tc);
		tcache_share_slabs(tc);
		list_push_front(&arena->bare, &tc->pool_link);
	}
}

static size_t
address_space(void)
{
	char text[64];

	os_read_file("/proc/self/statm", text, sizeof text);
	/* Without libc's own heap. */
	return strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE)
	    - (uintptr_t)sbrk(0);
}

static void
check_whole(void)
{
	if (thread_self != NULL && thread_self->tcache != NULL) {
		tcache_check(thread_self->tcache);
		tcache_share_slabs(thread_self->tcache);
	}
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			share_pooled(arena_get(i));
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			check_arena(arena_get(i));
	CHECK_EQ(limit_used(), accounts.charged);
	accounts.bytes += base_stats(&base_zero).mapped + rtree_mapped_bytes()
	    + load_relaxed(&hpa_central.mapped);
	CHECK_EQ(accounts.n_records + load_relaxed(&edata_orphans.n_all),
	    accounts.n_free + edata_orphans.n_free + accounts.n_extents);
}

static void
check_alive(void)
{
	void *small = API(malloc)(16), *large = API(malloc)(1 << 20);

	REQUIRE(small != NULL && large != NULL);
	memset(small, 1, 16);
	memset(large, 1, 1 << 20);
	API(free)(large);
	API(free)(small);
}

/* ---- one child after the other --------------------------------------------------------------- */

struct variant {
	const char *name;
	void (*set)(void);
};

static _Noreturn void
child(const void *of_child)
{
	const struct variant *variant = of_child;

	opt.dss = DSS_DISABLED; /* The break is libc's heap, too: not to be counted. */
	if (variant->set != NULL)
		variant->set();
	/* Before the first call, and libc's own memory in place. */
	free(malloc(100000));
	fflush(stdout);
	size_t accounted = base_stats(&base_zero).mapped + rtree_mapped_bytes();
	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL && arena_get(i)->base != &base_zero)
			accounted += base_stats(arena_get(i)->base).mapped;
	const size_t elsewhere = address_space() - accounted;
	os_inject = fail_kth;
	run_program();
	os_inject = NULL;
	check_alive();
	check_whole();
	if (OWNS_ADDRESS_SPACE && n_failed_unmaps == 0 && opt.dss == DSS_DISABLED)
		CHECK_EQ(address_space() - elsewhere, accounts.bytes);
	_exit(child_verdict(n_failed));
}

static void
run_all(const struct variant *variant)
{
	for (fail_how = FAIL_ONCE; fail_how <= FAIL_FROM_THEN_ON; fail_how++) {
		fail_at = 1;
		while (run_child(variant->name, child, variant))
			fail_at++;
		printf("# %s, %s: %u calls\n", variant->name, how_it_fails(),
		    fail_at - 1);
		CHECK(fail_at > 10);
	}
}

TEST(any_failed_call_is_survived_as_it_comes)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "as it comes", NULL });
}

static void
unmap_at_once(void)
{
	opt.retain = false;
	store_relaxed(&pac_default_ms[DECAY_DIRTY], 0);
	(void)pac_set_decay_ms(&arena_get(0)->pac, DECAY_DIRTY, 0, true);
}

TEST(any_failed_call_is_survived_without_retain)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "retain:false,dirty_decay_ms:0", unmap_at_once });
}

static void
purge_lazily(void)
{
	store_relaxed(&pac_default_ms[DECAY_DIRTY], 0);
	store_relaxed(&pac_default_ms[DECAY_MUZZY], 0);
	(void)pac_set_decay_ms(&arena_get(0)->pac, DECAY_MUZZY, -1, true);
	(void)pac_set_decay_ms(&arena_get(0)->pac, DECAY_DIRTY, 0, true);
}

TEST(any_failed_call_is_survived_with_lazy_purging)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "dirty_decay_ms:0,muzzy_decay_ms:-1", purge_lazily });
}

/* As where the kernel refuses to promise more than it has. */
static void
commit_by_protection(void)
{
	os_overcommits = false;
	store_relaxed(&pac_default_ms[DECAY_DIRTY], 0);
	(void)pac_set_decay_ms(&arena_get(0)->pac, DECAY_DIRTY, 0, true);
}

TEST(any_failed_call_is_survived_without_overcommit)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "no overcommit", commit_by_protection });
}

static void
keep_metadata_short(void)
{
	is_metadata_short = true;
}

TEST(any_failed_call_is_survived_when_metadata_runs_short)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "no metadata left", keep_metadata_short });
}

static void
use_the_break_and_begin_anywhere(void)
{
	opt.dss = DSS_PRIMARY;
	opt.cache_oblivious = true;
	opt.process_madvise_max_batch = 8;
}

TEST(any_failed_call_is_survived_with_memory_of_the_break)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "dss:primary", use_the_break_and_begin_anywhere });
}

/* Whatever the kernel says; purged as soon as there is something. */
static void
begin_with_huge_pages(void)
{
	os_thp_mode = OS_THP_MADVISE;
	opt.hpa_start_huge_from = 1;
	opt.hpa_dirty_mult = 0;
	arena_pages_boot();
}

TEST(any_failed_call_is_survived_in_huge_pages)
{
	NEEDS_INJECTION;
	run_all(&(struct variant){ "hpa_start_huge_from:1", begin_with_huge_pages });
}

TEST(every_kind_of_call_has_failed)
{
	NEEDS_INJECTION;
	for (unsigned i = 0; i < CALL_KINDS; i++)
		if (shared->failed[i] == 0)
			test_fail(__FILE__, __LINE__, call_names[i]);
	CHECK(shared->n_null != 0);
}

/* ---- the first calls of all, before main ----------------------------------------------------- */

#define BOOT_VARIABLE "TEST_INJECT_BOOT"

__attribute__((constructor(101))) static void
fail_from_the_start(void)
{
	const char *k = getenv(BOOT_VARIABLE);

	if (k == NULL)
		return;
	fail_at = (unsigned)atoi(k) / 2;
	fail_how = atoi(k) % 2 == 0 ? FAIL_ONCE : FAIL_FROM_THEN_ON;
	os_inject = fail_kth;
}

/* In a process that began so: true when no call was left to fail. */
static int
boot_child(void)
{
	void *p = API(malloc)(100);

	CHECK(p != NULL || (errno == ENOMEM && n_failed != 0));
	API(free)(p);
	os_inject = NULL;
	check_alive();
	check_whole();
	return child_verdict(n_failed);
}

TEST(a_process_that_begins_with_a_failure_goes_on)
{
	char value[16];
	unsigned reached = 0;

	NEEDS_INJECTION;
	for (unsigned k = 2; reached < 2 && k < 200; k++) {
		int status;
		snprintf(value, sizeof value, "%u", k);
		setenv(BOOT_VARIABLE, value, 1);
		fflush(NULL);
		const pid_t pid = fork();
		if (pid == 0) {
			execl("/proc/self/exe", "inject", (char *)NULL);
			_exit(CHILD_FAILED);
		}
		REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) != CHILD_FAILED);
		reached = WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NOT_REACHED
		    ? reached + 1
		    : 0;
		CHECK(k != 199);
	}
	unsetenv(BOOT_VARIABLE);
}

int
main(int argc, char **argv)
{
	if (getenv(BOOT_VARIABLE) != NULL)
		return boot_child();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
	return test_run(argc, argv);
}
