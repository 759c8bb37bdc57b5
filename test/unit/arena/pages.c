/* SPDX-License-Identifier: MIT */
/*
 * An arena with huge pages while system calls fail: all that it does runs over and over, each time
 * in a child of its own, with the k-th call failed, for k = 1, 2, ... until it ends before that;
 * then again with all calls failed from the k-th on.
 *
 * What fails must say NULL, or leave to be done what could not be done: contents are kept, zeroes
 * are zeroes, and at the end nothing is charged and every byte of address space is accounted for.
 */
#include <sys/mman.h>
#include <tract/tract.h>

#include "api/names.h"
#include "arena/arena.h"
#include "config/options.h"
#include "harness/failing.h"
#include "meta/rtree.h"
#include "os/inject.h"
#include "os/os.h"
#include "page/limit.h"

/* Whatever the kernel says, where it can be. */
const char *API(malloc_conf) = "abort_conf:false,hpa:true";

#define OBJECTS 128 /* of three pageslabs */
#define BYTES ((size_t)48 << 10)
#define STRIDE ((size_t)16 << 10)

enum call { CALL_MAP, CALL_UNMAP, CALL_ADVISE, CALL_OTHER, CALL_KINDS };
static const char *const call_names[CALL_KINDS] = { "map", "unmap", "advise", "" };

static unsigned n_calls, n_failed, n_failed_unmaps;
static struct shared {
	_Atomic(unsigned) failed[CALL_KINDS]; /* in all children */
	_Atomic(unsigned) n_null;
	_Atomic(uint64_t) n_hugifies, n_dehugifies, n_failures;
} * shared;

static enum call
call_of(const char *what)
{
	unsigned kind = 0;

	while (kind < CALL_OTHER && strcmp(what, call_names[kind]) != 0)
		kind++;
	return kind;
}

static int
fail_kth(const char *what)
{
	static bool maps; /* or cuts what was just mapped, or advises on it */
	const enum call kind = call_of(what);

	maps = kind == CALL_MAP || ((kind == CALL_UNMAP || kind == CALL_ADVISE) && maps);
	if (!must_fail(++n_calls))
		return 0;
	/* For maps, records of arenas that are being made are guarded. */
	CHECK(maps || mutex_none_held());
	n_failed++;
	n_failed_unmaps += kind == CALL_UNMAP;
	shared->failed[kind]++;
	return ENOMEM;
}

/* ---- what an arena does ---------------------------------------------------------------------- */

static unsigned char *objects[OBJECTS];

static unsigned char
mark(unsigned i)
{
	return (unsigned char)(i % 251 + 1);
}

static void
allocate(unsigned index, unsigned i)
{
	const int zero = i % 3 == 0 ? MALLOCX_ZERO : 0;
	unsigned char *p =
	    t_mallocx(BYTES, MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE | zero);

	objects[i] = p;
	if (p == NULL) {
		CHECK(n_failed != 0);
		shared->n_null++;
		return;
	}
	for (size_t at = 0; at < BYTES; at += STRIDE) {
		if (zero != 0)
			CHECK_EQ(p[at], 0);
		p[at] = mark(i);
	}
}

static void
give_back(unsigned i)
{
	unsigned char *p = objects[i];

	objects[i] = NULL;
	if (p == NULL)
		return;
	for (size_t at = 0; at < BYTES; at += STRIDE)
		CHECK_EQ(p[at], mark(i));
	t_dallocx(p, MALLOCX_TCACHE_NONE);
}

static bool
arena_node(unsigned index, const char *what)
{
	char name[64];

	snprintf(name, sizeof name, "arena.%u.%s", index, what);
	const int rc = t_mallctl(name, NULL, NULL, NULL, 0);
	CHECK(rc == 0 || n_failed != 0);
	return rc == 0;
}

static void
note_events(unsigned index)
{
	const struct arena *arena = arena_get(index);
	const struct arena_huge *huge = arena == NULL ? NULL : arena_huge(arena);

	if (huge == NULL)
		return;
	const struct hpa_stats *stats = &huge->hpa.stats;

	shared->n_hugifies += stats->n_hugifies;
	shared->n_dehugifies += stats->n_dehugifies;
	shared->n_failures += stats->n_hugify_failures;
}

static void
use_arena(unsigned index)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		allocate(index, i);
	(void)arena_node(index, "decay"); /* makes huge what is filled */
	arena_check(arena_get(index));
	for (unsigned i = 0; i < OBJECTS; i += 3)
		give_back(i);
	(void)arena_node(index, "decay");
	(void)arena_node(index, "purge");
	for (unsigned i = 0; i < OBJECTS; i += 3)
		allocate(index, i);
	(void)arena_node(index, "decay");
	for (unsigned i = 0; i < OBJECTS; i++)
		if (i % 16 != 0)
			give_back(i);
	(void)arena_node(index, "purge");
	arena_check(arena_get(index));
	for (unsigned i = 0; i < OBJECTS; i++)
		if (i % 16 != 0)
			allocate(index, i);
	note_events(index);
	(void)arena_node(index, "reset");
	arena_check(arena_get(index));
	allocate(index, 0);
}

static void
run_program(void)
{
	/* Twice: what one leaves behind is the next one's. */
	for (unsigned i = 0; i < 2; i++) {
		unsigned index = 0;
		size_t length = sizeof index;
		if (t_mallctl("arenas.create", &index, &length, NULL, 0) != 0) {
			CHECK(n_failed != 0);
			continue;
		}
		use_arena(index);
		CHECK(arena_node(index, "destroy"));
	}
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static size_t
address_space(void)
{
	char text[64];

	os_read_file("/proc/self/statm", text, sizeof text);
	return strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t
accounted(void)
{
	struct hpa_central *central = &hpa_central;
	size_t bytes = base_stats(&base_zero).mapped + rtree_mapped_bytes() + central->end
	    - central->next + central->n_kept * OS_HUGEPAGE;

	for (unsigned i = 0; i < arenas_total(); i++) {
		struct arena *arena = arena_get(i);
		if (arena == NULL)
			continue;
		const struct pac_stats *stats = &arena->pac.stats;
		bytes += load_relaxed(&stats->mapped) + load_relaxed(&stats->retained);
		if (arena->base != &base_zero)
			bytes += base_stats(arena->base).mapped;
	}
	return bytes;
}

static size_t
pac_mapped(void)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < arenas_total(); i++)
		if (arena_get(i) != NULL)
			bytes += load_relaxed(&arena_get(i)->pac.stats.mapped);
	return bytes;
}

/* A sanitizer maps memory when it likes. */
#if defined __SANITIZE_ADDRESS__ || BUILT_FOR_TSAN
#define OWNS_ADDRESS_SPACE 0
#else
#define OWNS_ADDRESS_SPACE 1
#endif

struct variant {
	const char *name;
	unsigned each; /* of so many calls, one fails */
	void (*set)(void);
};

static _Noreturn void
child(const void *of_child)
{
	const struct variant *variant = of_child;

	opt.hpa_hugify_delay_ms = 0;
	opt.dss = DSS_DISABLED;
	variant->set();
	arena_pages_boot();
	fflush(stdout);
	const size_t elsewhere = address_space() - accounted();
	os_inject = fail_kth;
	run_program();
	os_inject = NULL;
	CHECK_EQ(limit_used(), pac_mapped());
	if (OWNS_ADDRESS_SPACE && n_failed_unmaps == 0)
		CHECK_EQ(address_space() - elsewhere, accounted());
	_exit(child_verdict(n_failed));
}

/* Processes are slow to begin with a sanitizer. */
#define LESS_OFTEN (OWNS_ADDRESS_SPACE ? 1 : 7)

static unsigned
step(const struct variant *variant)
{
	/* Of those that fail from then on the first matter most. */
	return fail_at < 10
	    ? 1
	    : variant->each * LESS_OFTEN * (fail_how == FAIL_ONCE ? 1 : 5);
}

static void
run_all(const struct variant *variant)
{
	if (!CONFIG_DEBUG)
		SKIP("only debug builds can inject failures");
	if (!options_hpa())
		SKIP("no huge page allocator here");
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
	for (fail_how = FAIL_ONCE; fail_how <= FAIL_FROM_THEN_ON; fail_how++) {
		fail_at = 1;
		while (run_child(variant->name, child, variant))
			fail_at += step(variant);
		printf("# %s, %s: %u calls\n", variant->name, how_it_fails(),
		    fail_at - 1);
		CHECK(fail_at > 10);
	}
	CHECK(shared->failed[CALL_MAP] != 0 && shared->failed[CALL_ADVISE] != 0);
	CHECK(shared->n_null != 0);
	CHECK(shared->n_hugifies != 0 && shared->n_dehugifies != 0);
	CHECK(shared->n_failures != 0);
	munmap(shared, sizeof *shared);
}

static void
ask_later(void)
{
	opt.hpa_start_huge_from = 0;
	opt.hpa_hugify_sync = false;
	opt.process_madvise_max_batch = 0;
}

TEST(any_failed_call_is_survived_where_pageslabs_become_huge)
{
	run_all(&(struct variant){ "hugify later", 1, ask_later });
}

static void
collapse_later(void)
{
	opt.hpa_start_huge_from = 0;
	opt.hpa_hugify_sync = true;
	opt.process_madvise_max_batch = 8;
}

TEST(any_failed_call_is_survived_where_pageslabs_are_collapsed)
{
	run_all(&(struct variant){ "collapse, many ranges at once", 1, collapse_later });
}

static void
ask_at_once(void)
{
	opt.hpa_start_huge_from = 1; /* all of it */
	store_relaxed(&pac_default_ms[DECAY_DIRTY], 0);
}

TEST(any_failed_call_is_survived_where_pageslabs_begin_huge)
{
	run_all(&(struct variant){ "huge at once, dirty_decay_ms:0", 13, ask_at_once });
}
