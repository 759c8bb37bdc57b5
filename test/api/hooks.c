/* SPDX-License-Identifier: MIT */
/*
 * Extent hooks through the public surface: what they get to see, what they may do, whose memory
 * holds the records, and how programs replace them.
 *
 * The hooks of harness/region.h check every range that they are called on, and that no merge joins
 * what came from two calls of alloc.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "harness/hooked.h"
#include "thread/thread.h"

static extent_hooks_t *
read_hooks(unsigned index)
{
	extent_hooks_t *hooks = NULL;
	size_t length = sizeof hooks;

	REQUIRE(API(mallctl)(node(index, "extent_hooks"), &hooks, &length, NULL, 0) == 0);
	return hooks;
}

/* In a process of its own, for what cannot be undone; the checks are counted here. */
static void
in_child(void (*work)(void))
{
	int status = 0;

	fflush(NULL);
	const pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		alarm(60);
		work();
		fflush(NULL);
		_exit(atomic_load(&test_failures) != 0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	CHECK_EQ(status, 0);
}

/* ---- Hooks that allocate. -------------------------------------------------------------------- */

static _Atomic(unsigned) n_inside;

/* As much as a hook might do: it logs, counts, asks for statistics. */
static void
allocate_inside(void)
{
	static _Thread_local unsigned depth;
	static _Thread_local char *kept[4];
	static _Thread_local unsigned n;
	const size_t sizes[] = { 16, 700, 30000, 200000 };

	/* Each call once: nobody should ever come here from within. */
	CHECK(depth == 0);
	if (depth != 0)
		return;
	depth++;
	n_inside++;
	char **slot = &kept[n++ % 4];
	API(free)(*slot);
	*slot = API(malloc)(sizes[n % 4]);
	REQUIRE(*slot != NULL);
	memset(*slot, 1, sizes[n % 4]);
	*slot = API(realloc)(*slot, sizes[(n + 1) % 4]);
	REQUIRE(*slot != NULL);
	char *zeroed = API(calloc)(1, sizes[n % 4]);
	REQUIRE(zeroed != NULL && zeroed[0] == 0 && zeroed[sizes[n % 4] - 1] == 0);
	API(free)(zeroed);
	depth--;
}

/* What goes into an arena without a flag that names it. */
static void
allocate_by_malloc(unsigned rounds)
{
	enum { N = 64 };
	char *p[N];

	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < N; i++) {
			p[i] = API(malloc)(i % 8 == 0 ? 3 << 20 : 8 + i * 100);
			REQUIRE(p[i] != NULL);
			p[i][0] = (char)i;
		}
		for (unsigned i = 0; i < N; i++) {
			CHECK_EQ(p[i][0], (char)i);
			API(free)(p[i]);
		}
		CHECK_EQ(run(0, "purge"), 0);
	}
}

/* The default alloc hook, called by ours. */
static extent_hooks_t *default_hooks;
static _Atomic(unsigned) n_allocs;

static void *
alloc_that_allocates(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks;
	n_allocs++;
	allocate_inside();
	void *p = default_hooks->alloc(default_hooks, new_addr, size, alignment, zero,
	    commit, arena);
	allocate_inside();
	return p;
}

static extent_hooks_t wrapped;

/* Every arena there is gets alloc_that_allocates, by reading and writing back. */
static void
wrap_all_arenas(void)
{
	extent_hooks_t *hooks = &wrapped;
	unsigned n = 0;
	size_t length = sizeof n;

	REQUIRE(API(mallctl)("arenas.narenas", &n, &length, NULL, 0) == 0);
	if (default_hooks == NULL)
		default_hooks = read_hooks(0);
	wrapped = *default_hooks;
	wrapped.alloc = alloc_that_allocates;
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(WRITE(node(i, "extent_hooks"), hooks),
		    i < arenas_automatic() || arena_get(i) != NULL ? 0 : EFAULT);
	CHECK(read_hooks(0) == &wrapped);
}

static void *
allocate_in_thread(void *arg)
{
	allocate_by_malloc(3);
	return arg;
}

static void
arena_0_allocates_inside(void)
{
	pthread_t threads[4];

	wrap_all_arenas();
	allocate_by_malloc(4);
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, allocate_in_thread, NULL) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* Those of the arena that serves the hooks, too: then another one serves. */
	wrap_all_arenas();
	allocate_by_malloc(4);
	CHECK(n_allocs != 0 && n_inside >= 2 * n_allocs);
}

TEST(a_hook_of_arena_0_may_allocate)
{
	in_child(arena_0_allocates_inside);
}

/* Runs when tract has said goodbye to the thread. */
static void
allocate_late(void *arg)
{
	static _Thread_local unsigned rounds;

	if (++rounds < 4) {
		pthread_setspecific(*(pthread_key_t *)arg, arg);
		return;
	}
	CHECK(thread_self == &thread_ended);
	for (unsigned i = 0; i < 8; i++) {
		char *p = API(malloc)((size_t)3 << 20);
		REQUIRE(p != NULL);
		p[0] = 1;
		API(free)(p);
	}
}

static void *
end_late(void *arg)
{
	pthread_setspecific(*(pthread_key_t *)arg, arg);
	API(free)(API(malloc)(10));
	return NULL;
}

static void
threads_without_a_record_allocate_inside(void)
{
	pthread_key_t key;
	pthread_t thread;

	wrap_all_arenas();
	REQUIRE(pthread_key_create(&key, allocate_late) == 0);
	for (unsigned i = 0; i < 3; i++) {
		REQUIRE(pthread_create(&thread, NULL, end_late, &key) == 0);
		pthread_join(thread, NULL);
	}
	CHECK(n_allocs != 0);
}

TEST(a_hook_may_allocate_in_a_thread_that_has_ended)
{
	if (BUILT_FOR_TSAN)
		SKIP("the sanitizer's runtime has ended the thread by then");
	in_child(threads_without_a_record_allocate_inside);
}

static void
all_hooks_allocate(void)
{
	region_reset(test_seed());
	const unsigned index = new_arena(&region.hooks, METADATA_TOO);
	region.inside = allocate_inside;
	region.may_reserve = true;
	char *p[40];

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 40; i++) {
			p[i] = API(mallocx)(i % 4 == 0 ? 1 << 20 : 100 + i * 1000,
			    FLAGS(index));
			REQUIRE(p[i] != NULL);
		}
		for (unsigned i = 0; i < 40; i += 4)
			(void)API(xallocx)(p[i], round % 2 ? 2 << 20 : 1 << 19, 0,
			    FLAGS(index));
		for (unsigned i = 0; i < 40; i++)
			API(dallocx)(p[i], FLAGS(index));
		region.percent[HOOK_DALLOC] = round * 30;
		CHECK_EQ(run(index, "decay"), 0);
		CHECK_EQ(run(index, "purge"), 0);
	}
	CHECK_EQ(run(index, "destroy"), 0);
	region.inside = NULL;
	CHECK_EQ(region_pages_out(), 0);
	CHECK(region.n_calls[HOOK_DALLOC] != 0 && region.n_calls[HOOK_SPLIT] != 0
	    && region.n_calls[HOOK_MERGE] != 0 && region.n_calls[HOOK_DESTROY] != 0
	    && region.n_calls[HOOK_COMMIT] != 0);
}

TEST(every_hook_may_allocate)
{
	all_hooks_allocate();
}

/* What works on the thread's tcache must wait: a hook may run in the middle of such work. */
static unsigned n_asked;

static void
ask_inside(void)
{
	unsigned zero = 0, now = 0;
	bool off = false;
	size_t length = sizeof now;

	n_asked++;
	CHECK_EQ(API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0), EFAULT);
	CHECK_EQ(WRITE("thread.tcache.enabled", off), EAGAIN);
	CHECK_EQ(API(mallctl)("thread.idle", NULL, NULL, NULL, 0), 0);
	REQUIRE(API(mallctl)("thread.arena", &now, &length, NULL, 0) == 0);
	if (now != 0)
		CHECK_EQ(WRITE("thread.arena", zero), EAGAIN);
	(void)API(mallctl)("epoch", NULL, NULL, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void *
alloc_that_asks(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks;
	ask_inside();
	return default_hooks->alloc(default_hooks, new_addr, size, alignment, zero,
	    commit, arena);
}

static void
the_threads_tcache_is_left_alone(void)
{
	wrap_all_arenas();
	wrapped.alloc = alloc_that_asks;
	allocate_by_malloc(4);
	CHECK(n_asked != 0);
	CHECK_EQ(API(mallctl)("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
}

TEST(inside_a_hook_the_threads_tcache_is_left_alone)
{
	in_child(the_threads_tcache_is_left_alone);
}

TEST(a_table_without_alloc_is_refused)
{
	extent_hooks_t none = *read_hooks(0), *hooks = &none;
	unsigned index = 0;
	size_t length = sizeof index;

	none.alloc = NULL;
	arena_config_t config = { hooks, true };
	CHECK_EQ(API(mallctl)("arenas.create", &index, &length, &hooks, sizeof hooks),
	    EINVAL);
	CHECK_EQ(API(mallctl)("experimental.arenas_create_ext", &index, &length, &config,
		     sizeof config),
	    EINVAL);
	CHECK_EQ(WRITE("arena.0.extent_hooks", hooks), EINVAL);
	CHECK(read_hooks(0) != hooks);
}

/* ---- Whose memory holds the records. --------------------------------------------------------- */

/* How many blocks of an arena's records lie in the region, and of how many. */
static unsigned
blocks_in_region(const struct base *base, unsigned *n_blocks)
{
	unsigned n = 0;

	*n_blocks = 0;
	/* The first word of a block is the next one's address. */
	for (const void *const *block = (const void *const *)base->blocks; block != NULL;
	     block = (const void *const *)*block) {
		n += region_has(block);
		++*n_blocks;
	}
	return n;
}

/* How many records of the extents and slabs of an arena's objects lie in the region. */
static unsigned
records_in_region(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < OBJECTS; i++) {
		const struct edata *e = emap_lookup(objects[i].p);
		REQUIRE(e != NULL && region_has(objects[i].p));
		n += region_has(e);
		if (e->use == USE_SLAB)
			n += region_has(e->bitmap);
	}
	return n;
}

TEST(records_lie_in_the_hooks_memory_only_when_asked)
{
	for (unsigned i = 0; i < 2; i++) {
		const enum metadata metadata = i ? METADATA_TOO : METADATA_ELSEWHERE;
		unsigned n_blocks;
		set_up(0);
		const unsigned index = new_arena(&region.hooks, metadata);
		CHECK_EQ(region_pages_out() != 0, i);
		struct arena *arena = arena_get(index);
		/* Enough slabs to need several blocks. */
		for (unsigned k = 0; k < 3000; k++)
			REQUIRE(API(mallocx)(14336, FLAGS(index)) != NULL);
		for (unsigned k = 0; k < OBJECTS; k++) {
			make_object(index, k);
			REQUIRE(objects[k].p != NULL);
		}
		const unsigned n_inside = blocks_in_region(arena->base, &n_blocks);
		CHECK_EQ(n_inside, i ? n_blocks : 0);
		CHECK_EQ(records_in_region() != 0, i);
		CHECK_EQ(region_has(arena), i);
		CHECK_EQ(region_has(arena->base), i);
		CHECK_EQ(blocks_in_region(&base_zero, &n_blocks), 0);
		check_arena(index);
		memset(objects, 0, sizeof objects);
		CHECK_EQ(run(index, "destroy"), 0);
		CHECK_EQ(region_pages_out(), 0);
	}
}

/* ---- Heads and tails. ------------------------------------------------------------------------ */

TEST(the_merge_hook_is_not_called_for_what_came_apart)
{
	size_t page = os_page_size;
	char *p[30];

	set_up(0);
	const unsigned index = new_arena(&region.hooks, METADATA_ELSEWHERE);
	set_decay(index, -1, -1);
	/* Each request is a mapping, and touches the one before. */
	CHECK_EQ(WRITE(node(index, "retain_grow_limit"), page), 0);
	for (unsigned i = 0; i < 30; i++)
		REQUIRE((p[i] = API(mallocx)(1 << 20, FLAGS(index))) != NULL);
	CHECK_EQ(region.n_calls[HOOK_ALLOC], 30);
	for (unsigned i = 1; i < 30; i++)
		CHECK(p[i] == p[i - 1] + (1 << 20));
	for (unsigned i = 0; i < 30; i++)
		API(dallocx)(p[i], FLAGS(index));
	CHECK_EQ(region.n_calls[HOOK_MERGE], 0);
	/* Within one, parts come together; and not across. */
	for (unsigned i = 0; i < 120; i++)
		REQUIRE((p[i % 30] = API(mallocx)(1 << 18, FLAGS(index))) != NULL);
	for (unsigned i = 0; i < 30; i++)
		API(dallocx)(p[i], FLAGS(index));
	CHECK(region.n_calls[HOOK_MERGE] != 0);
	CHECK_EQ(run(index, "destroy"), 0);
	CHECK_EQ(region_pages_out(), 0);
}

/* ---- Replacing the hooks of an arena, as programs do. ---------------------------------------- */

static _Atomic(unsigned) n_advised;

/* The original does it, and what it gave is kept out of core files. */
static void *
alloc_and_advise(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	void *p =
	    default_hooks->alloc(hooks, new_addr, size, alignment, zero, commit, arena);

	if (p != NULL && madvise(p, size, MADV_DONTDUMP) == 0)
		n_advised++;
	return p;
}

TEST(hooks_read_copied_and_written_back_serve)
{
	unsigned index = 0, cache = 0;
	size_t length = sizeof index;
	char *p[100];

	REQUIRE(API(mallctl)("arenas.create", &index, &length, NULL, 0) == 0);
	default_hooks = read_hooks(index);
	CHECK(default_hooks == read_hooks(0));
	extent_hooks_t own = *default_hooks, *hooks = &own;
	own.alloc = alloc_and_advise;
	REQUIRE(WRITE(node(index, "extent_hooks"), hooks) == 0);
	CHECK(read_hooks(index) == hooks);
	REQUIRE(API(mallctl)("tcache.create", &cache, &length, NULL, 0) == 0);
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE((int)cache);
	for (unsigned i = 0; i < 100; i++) {
		REQUIRE((p[i] = API(mallocx)(100 + i * 2000, flags)) != NULL);
		memset(p[i], 1, 100 + i * 2000);
	}
	for (unsigned i = 0; i < 100; i++)
		API(dallocx)(p[i], flags);
	CHECK(n_advised != 0);
	REQUIRE(WRITE("tcache.destroy", cache) == 0);
	CHECK_EQ(run(index, "purge"), 0);
	check_arena(index);
	CHECK_EQ(run(index, "destroy"), 0);
	/* NULL brings the default hooks back. */
	REQUIRE(API(mallctl)("arenas.create", &index, &length, &hooks, sizeof hooks)
	    == 0);
	hooks = NULL;
	REQUIRE(WRITE(node(index, "extent_hooks"), hooks) == 0);
	CHECK(read_hooks(index) == default_hooks);
	CHECK_EQ(run(index, "destroy"), 0);
}

/* ---- Replacing them at any time. ------------------------------------------------------------- */

static _Atomic(bool) stop;

static void *
use_arena(void *arg)
{
	const int flags = FLAGS(*(unsigned *)arg);

	for (unsigned round = 0; !stop; round++) {
		char *p[50];
		for (unsigned i = 0; i < 50; i++) {
			const size_t size = i % 10 == 0 ? 1 << 20 : 100 + 300 * i;
			REQUIRE((p[i] = API(mallocx)(size, flags)) != NULL);
			p[i][0] = p[i][size - 1] = (char)i;
		}
		for (unsigned i = 0; i < 50; i++) {
			CHECK_EQ(p[i][0], (char)i);
			API(dallocx)(p[i], flags);
		}
		if (round % 4 == 0)
			CHECK_EQ(run(*(unsigned *)arg, "purge"), 0);
	}
	return NULL;
}

TEST(hooks_can_be_replaced_while_others_use_the_arena)
{
	unsigned index = 0;
	size_t length = sizeof index;
	pthread_t threads[3];

	REQUIRE(API(mallctl)("arenas.create", &index, &length, NULL, 0) == 0);
	default_hooks = read_hooks(index);
	extent_hooks_t a = *default_hooks, b = *default_hooks,
		       *tables[] = { &a, &b, NULL };
	a.alloc = alloc_that_allocates;
	b.alloc = alloc_and_advise;
	b.purge_forced = NULL;
	set_decay(index, 0, 0);
	stop = false;
	for (unsigned i = 0; i < 3; i++)
		REQUIRE(pthread_create(&threads[i], NULL, use_arena, &index) == 0);
	for (unsigned i = 0; i < 600; i++) {
		REQUIRE(WRITE(node(index, "extent_hooks"), tables[i % 3]) == 0);
		usleep(500);
	}
	stop = true;
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	check_arena(index);
	CHECK_EQ(run(index, "destroy"), 0);
}

/* The default table, called as a program calls it: not through an arena. */
TEST(the_default_hooks_can_be_called_directly)
{
	extent_hooks_t *hooks = read_hooks(0);
	const size_t size = (size_t)1 << 20;
	bool zero = false, commit = true;

	char *p = hooks->alloc(hooks, NULL, size, size, &zero, &commit, 0);
	REQUIRE(p != NULL && (uintptr_t)p % size == 0 && commit);
	CHECK(zero && p[0] == 0 && p[size - 1] == 0);
	p[0] = p[size - 1] = 1;
	CHECK(!hooks->split(hooks, p, size, size / 2, size / 2, true, 0));
	CHECK(!hooks->merge(hooks, p, size / 2, p + size / 2, size / 2, true, 0));
	CHECK(!hooks->purge_forced(hooks, p, size, 0, size / 2, 0));
	CHECK(p[0] == 0 && p[size - 1] == 1);
	/* At an address that is taken, nothing. */
	CHECK(hooks->alloc(hooks, p, size, os_page_size, &zero, &commit, 0) == NULL);
	hooks->destroy(hooks, p, size, true, 0);
	zero = false;
	char *again = hooks->alloc(hooks, p, size, os_page_size, &zero, &commit, 0);
	CHECK(again == p && zero);
	hooks->destroy(hooks, p, size, true, 0);
}

/* ---- Pinned memory is counted. --------------------------------------------------------------- */

static size_t
read_size(const char *name)
{
	size_t value = 0, length = sizeof value;

	REQUIRE(API(mallctl)(name, &value, &length, NULL, 0) == 0);
	return value;
}

static size_t
read_stat(unsigned index, const char *name)
{
	char text[80];

	snprintf(text, sizeof text, "stats.arenas.%u.%s", index, name);
	return read_size(text);
}

static void
refresh(void)
{
	uint64_t any = 1;

	REQUIRE(WRITE("epoch", any) == 0);
}

TEST(pinned_memory_shows_in_the_statistics)
{
	set_up(0);
	region.percent_pinned = 100;
	const unsigned index = new_arena(&region.hooks, METADATA_ELSEWHERE);
	void *p = API(mallocx)((size_t)3 << 20, FLAGS(index));
	REQUIRE(p != NULL);
	API(dallocx)(p, FLAGS(index));
	CHECK_EQ(run(index, "purge"), 0);
	refresh();
	const size_t out = region_pages_out() * os_page_size;
	CHECK_EQ(read_stat(index, "pinned"), out);
	CHECK_EQ(read_stat(index, "mapped"), out);
	CHECK_EQ(read_stat(index, "retained"), 0);
	CHECK(read_stat(index, "resident") >= out);
	CHECK_EQ(read_size("stats.pinned"), out);
	size_t n = 0, bytes = 0;
	for (unsigned i = 0; i < 60; i++) {
		char name[40];
		snprintf(name, sizeof name, "extents.%u.npinned", i);
		n += read_stat(index, name);
		snprintf(name, sizeof name, "extents.%u.pinned_bytes", i);
		bytes += read_stat(index, name);
	}
	CHECK(n != 0);
	CHECK_EQ(bytes, out);
	region.takes_pinned = true;
	CHECK_EQ(run(index, "destroy"), 0);
	CHECK_EQ(region_pages_out(), 0);
}

/* ---- Arenas that come and go. ---------------------------------------------------------------- */

/* Bytes of address space that the process has. */
static size_t
mapped_bytes(void)
{
	char line[512];
	size_t sum = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	REQUIRE(maps != NULL);
	while (fgets(line, sizeof line, maps) != NULL) {
		unsigned long first, end;
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			sum += end - first;
	}
	fclose(maps);
	return sum;
}

static void
come_and_go(unsigned n, extent_hooks_t *hooks)
{
	for (unsigned k = 0; k < n; k++) {
		const unsigned index =
		    new_arena(hooks, k % 2 ? METADATA_TOO : METADATA_ELSEWHERE);
		for (unsigned i = 0; i < 50; i++)
			REQUIRE(API(mallocx)(i * 5000 + 1, FLAGS(index)) != NULL);
		CHECK_EQ(run(index, "destroy"), 0);
	}
}

TEST(arenas_that_come_and_go_take_no_more_memory)
{
	extent_hooks_t own = *read_hooks(0);
	struct base_stats first, last;

	for (unsigned i = 0; i < 2; i++) {
		extent_hooks_t *hooks = i ? &own : NULL;
		come_and_go(10, hooks);
		const size_t mapped = mapped_bytes();
		first = base_stats(&base_zero);
		come_and_go(200, hooks);
		last = base_stats(&base_zero);
		CHECK_EQ(last.allocated, first.allocated);
		CHECK_EQ(last.mapped, first.mapped);
		/* Address space for huge pages comes in large pieces, and goes in small. */
		const size_t eden = opt.hpa ? HPA_EDEN_PAGESLABS * OS_HUGEPAGE : 0;
		if (!IS_SLOW)
			CHECK(mapped_bytes() <= mapped + eden
			    && mapped <= mapped_bytes() + eden);
	}
}
