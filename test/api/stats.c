/* SPDX-License-Identifier: MIT */
/*
 * Statistics: on a quiet process parts add up to wholes exactly, and figures are those of
 * what the program did.
 */
#include <pthread.h>

#include "api/nodes.h"
#include "base/attr.h"
#include "harness/node.h"
#include "tract_config.h"

#if defined __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED BUILT_FOR_TSAN
#endif

static unsigned
narenas(void)
{
	return (unsigned)node("arenas.narenas");
}

static bool
is_there(unsigned index)
{
	char name[64];
	bool is = false;
	size_t length = sizeof is;

	snprintf(name, sizeof name, "arena.%u.initialized", index);
	CHECK_EQ(t_mallctl(name, &is, &length, NULL, 0), 0);
	return is;
}

static const char *const slab_columns[] = { "npageslabs_nonhuge", "npageslabs_huge",
	"nactive_nonhuge", "nactive_huge", "ndirty_nonhuge", "ndirty_huge" };
#define SHARD "stats.arenas.%u.hpa_shard."

/* Page slabs are full, empty, or of a class; all of them are what the shard says. */
static void
check_page_slabs(unsigned index)
{
	static const char *const whole[] = { "npageslabs", "nactive", "ndirty" };
	uint64_t all[6];

	for (unsigned k = 0; k < 6; k++) {
		uint64_t sum = node(SHARD "full_slabs.%s", index, slab_columns[k])
		    + node(SHARD "empty_slabs.%s", index, slab_columns[k]);
		for (unsigned j = 0; j < 64; j++)
			sum +=
			    node(SHARD "nonfull_slabs.%u.%s", index, j, slab_columns[k]);
		all[k] = node(SHARD "slabs.%s", index, slab_columns[k]);
		CHECK_EQ(sum, all[k]);
	}
	for (unsigned k = 0; k < 3; k++)
		CHECK_EQ(node(SHARD "%s", index, whole[k]), all[2 * k] + all[2 * k + 1]);
	CHECK_EQ(node(SHARD "empty_slabs.nactive_nonhuge", index)
		+ node(SHARD "empty_slabs.nactive_huge", index),
	    0);
}

/* Pages that are no extents: free ones in page slabs, and what is cached before them. */
static void
check_pages(unsigned index, uint64_t dirty, uint64_t muzzy, uint64_t retained)
{
	const uint64_t page = node("arenas.page"), hugepage = node("arenas.hugepage");
	const uint64_t ndirty = node(SHARD "ndirty", index),
		       touched = ndirty + node(SHARD "nactive", index);
	const uint64_t all = node("stats.arenas.%u.retained", index);

	check_page_slabs(index);
	dirty += ndirty * page + node("stats.arenas.%u.hpa_sec_bytes", index);
	retained += node(SHARD "npageslabs", index) * hugepage - touched * page;
	CHECK_EQ(dirty, node("stats.arenas.%u.pdirty", index) * page);
	CHECK_EQ(muzzy, node("stats.arenas.%u.pmuzzy", index) * page);
	/* Address space for page slabs to come is counted in arena 0. */
	CHECK(all == retained || (index == 0 && all > retained));
	CHECK_EQ((all - retained) % hugepage, 0);
	CHECK_EQ(node("stats.arenas.%u.mapped", index),
	    node("stats.arenas.%u.pactive", index) * page + dirty + muzzy);
}

static void
check_arena(unsigned index)
{
	static const char *const counts[] = { "nmalloc", "ndalloc", "nrequests", "nfills",
		"nflushes" };
	uint64_t allocated = 0, sums[5] = { 0 }, large[3] = { 0 }, live = 0;
	uint64_t dirty = 0, muzzy = 0, retained = 0;
	/* Regions beyond the slabs of their class lie in slabs of mixed classes. */
	uint64_t mixed = 0, slab_bytes = 0, ends = 0;

	for (unsigned i = 0; i < node("arenas.nbins"); i++) {
		const uint64_t regs = node("stats.arenas.%u.bins.%u.curregs", index, i);
		allocated += regs * node("arenas.bin.%u.size", i);
		for (unsigned k = 0; k < 5; k++)
			sums[k] +=
			    node("stats.arenas.%u.bins.%u.%s", index, i, counts[k]);
		const uint64_t slabs = node("stats.arenas.%u.bins.%u.curslabs", index, i);
		const uint64_t room = slabs * node("arenas.bin.%u.nregs", i);
		if (regs > room)
			mixed += (regs - room) * node("arenas.bin.%u.size", i);
		slab_bytes += slabs * node("arenas.bin.%u.slab_size", i);
		ends += slabs * node("arenas.bin.%u.slab_size", i)
		    - room * node("arenas.bin.%u.size", i);
		CHECK_EQ(regs,
		    node("stats.arenas.%u.bins.%u.nmalloc", index, i)
			- node("stats.arenas.%u.bins.%u.ndalloc", index, i));
	}
	CHECK_EQ(node("stats.arenas.%u.tcache_bytes", index),
	    node("stats.arenas.%u.owned_free", index)
		+ node("stats.arenas.%u.large_kept", index));
	CHECK_EQ(node("stats.arenas.%u.pactive", index) * node("arenas.page"),
	    node("stats.arenas.%u.small.allocated", index)
		+ node("stats.arenas.%u.large.allocated", index)
		+ node("stats.arenas.%u.owned_free", index)
		+ node("stats.arenas.%u.shared_free", index)
		+ node("stats.arenas.%u.slab_rounding", index));
	CHECK(node("stats.arenas.%u.slab_rounding", index) >= ends);
	CHECK(node("stats.arenas.%u.slab_rounding", index) <= slab_bytes / 8);
	CHECK(mixed + slab_bytes
	    <= node("stats.arenas.%u.pactive", index) * node("arenas.page"));
	CHECK_EQ(allocated, node("stats.arenas.%u.small.allocated", index));
	for (unsigned k = 0; k < 5; k++)
		CHECK_EQ(sums[k], node("stats.arenas.%u.small.%s", index, counts[k]));
	for (unsigned i = 0; i < node("arenas.nlextents"); i++) {
		for (unsigned k = 0; k < 3; k++)
			large[k] +=
			    node("stats.arenas.%u.lextents.%u.%s", index, i, counts[k]);
		live += node("stats.arenas.%u.lextents.%u.curlextents", index, i);
	}
	for (unsigned k = 0; k < 3; k++)
		CHECK_EQ(large[k], node("stats.arenas.%u.large.%s", index, counts[k]));
	CHECK_EQ(live, large[0] - large[1]);
	for (unsigned i = 0; i < 140; i++) {
		dirty += node("stats.arenas.%u.extents.%u.dirty_bytes", index, i);
		muzzy += node("stats.arenas.%u.extents.%u.muzzy_bytes", index, i);
		retained += node("stats.arenas.%u.extents.%u.retained_bytes", index, i);
	}
	check_pages(index, dirty, muzzy, retained);
}

/* ---- Every figure of all arenas is the sum of theirs. ---- */

static const struct {
	const char *path;
	enum node_type type;
} nodes[] = {
#define NODE(path, type, access, presence) { path, type },
#define MUTEX(path) \
	NODE(path ".num_ops", U64, R, ALWAYS) \
	NODE(path ".num_wait", U64, R, ALWAYS) \
	NODE(path ".num_spin_acq", U64, R, ALWAYS) \
	NODE(path ".num_owner_switch", U64, R, ALWAYS) \
	NODE(path ".total_wait_time", U64, R, ALWAYS)
#include "api/nodes.def"
};

/* How many places the second index of a path has. */
static unsigned
places_of(const char *path)
{
	if (strstr(path, ".<j>") == NULL)
		return 1;
	if (strstr(path, ".bins.") != NULL)
		return (unsigned)node("arenas.nbins");
	if (strstr(path, ".lextents.") != NULL)
		return (unsigned)node("arenas.nlextents");
	if (strstr(path, ".nonfull_slabs.") != NULL)
		return 64;
	return strstr(path, ".extents.") != NULL ? 190 : 9;
}

static uint64_t
figure(const char *path, unsigned i, unsigned j)
{
	char name[128];
	size_t n = 0;

	for (const char *p = path; *p != '\0'; p++) {
		if (*p != '<') {
			name[n++] = *p;
			continue;
		}
		n += (size_t)snprintf(name + n, sizeof name - n, "%u",
		    p[1] == 'i' ? i : j);
		p = strchr(p, '>');
	}
	name[n] = '\0';
	return node("%s", name);
}

static void
check_sums(void)
{
	unsigned n_sums = 0;

	for (unsigned k = 0; k < sizeof nodes / sizeof nodes[0]; k++) {
		const char *path = nodes[k].path;
		const bool is_sum = nodes[k].type == U64 || nodes[k].type == SIZE
		    || nodes[k].type == UNSIGNED;
		if (!is_sum || strncmp(path, "stats.arenas.", 13) != 0
		    || strstr(path, ".uptime") != NULL)
			continue;
		for (unsigned j = 0; j < places_of(path); j++, n_sums++) {
			uint64_t sum = 0;
			for (unsigned i = 0; i < narenas(); i++)
				if (is_there(i))
					sum += figure(path, i, j);
			if (sum != figure(path, 4096, j))
				printf("# %s, %u\n", path, j);
			CHECK_EQ(sum, figure(path, 4096, j));
		}
	}
	CHECK(n_sums > 3000);
}

static void
check_whole(void)
{
	static const char *const same[] = { "mapped", "retained", "resident", "pinned",
		"metadata_edata", "metadata_rtree", "metadata_thp" };

	for (unsigned k = 0; k < sizeof same / sizeof same[0]; k++)
		CHECK_EQ(node("stats.%s", same[k]),
		    node("stats.arenas.4096.%s", same[k]));
	CHECK_EQ(node("stats.allocated"),
	    node("stats.arenas.4096.small.allocated")
		+ node("stats.arenas.4096.large.allocated"));
	CHECK_EQ(node("stats.active"),
	    node("stats.arenas.4096.pactive") * node("arenas.page"));
	CHECK_EQ(node("stats.active"), node("approximate_stats.active"));
	CHECK_EQ(node("stats.metadata"),
	    node("stats.arenas.4096.base") + node("stats.arenas.4096.internal"));
	CHECK(node("stats.allocated") <= node("stats.active"));
	CHECK(node("stats.active") <= node("stats.mapped"));
	/* What is free and backed is resident, and so are records as far as they were used. */
	CHECK(node("stats.resident") + node("stats.arenas.4096.slab_unbacked")
	    >= node("stats.mapped"));
	CHECK(node("stats.metadata_edata") + node("stats.metadata_rtree")
	    <= node("stats.metadata"));
}

static void
check_all(void)
{
	settle();
	for (unsigned i = 0; i < narenas(); i++)
		if (is_there(i))
			check_arena(i);
	check_whole();
}

/* Fewer questions suffice for those. */
TEST(figures_of_arenas_add_up_one_by_one)
{
	unsigned index = 0;
	size_t length = sizeof index;
	void *p[100];

	REQUIRE(t_mallctl("arenas.create", &index, &length, NULL, 0) == 0);
	for (unsigned i = 0; i < 100; i++) {
		const int flags =
		    MALLOCX_ARENA(i % 2 == 0 ? index : 0) | MALLOCX_TCACHE_NONE;
		p[i] = t_mallocx((size_t)1 << i % 20, flags);
	}
	for (unsigned i = 0; i < 50; i++)
		t_dallocx(p[i], MALLOCX_TCACHE_NONE);
	settle();
	check_sums();
	for (unsigned i = 50; i < 100; i++)
		t_dallocx(p[i], MALLOCX_TCACHE_NONE);
	settle();
	check_sums();
}

#define N 3000
static void *objects[N];

static void *
random_work(void *seed)
{
	uint64_t state = *(uint64_t *)seed;

	for (unsigned i = 0; i < 20 * N; i++) {
		const size_t at = test_random_below(&state, N);
		t_free(objects[at]);
		const unsigned lg = (unsigned)test_random_below(&state, 18);
		objects[at] = t_malloc(test_random_below(&state, (size_t)2 << lg));
	}
	return NULL;
}

TEST(parts_add_up_after_random_work)
{
	uint64_t seed = test_seed();

	check_all();
	random_work(&seed);
	check_all();
	/* A second thread frees what the first made; then both are still. */
	pthread_t thread;
	seed++;
	REQUIRE(pthread_create(&thread, NULL, random_work, &seed) == 0);
	pthread_join(thread, NULL);
	check_all();
	for (unsigned i = 0; i < N; i++) {
		t_free(objects[i]);
		objects[i] = NULL;
	}
	check_all();
}

/* ---- The same with the program's own caches and arenas. ---- */

enum { OWN_ARENAS = 3, OWN_CACHES = 2 };
static unsigned own_arenas[OWN_ARENAS], own_caches[OWN_CACHES];

static unsigned
made(const char *name)
{
	unsigned id = 0;
	size_t length = sizeof id;

	CHECK_EQ(t_mallctl(name, &id, &length, NULL, 0), 0);
	return id;
}

/* A cache of the program's, the thread's own, or none. */
static int
any_cache(uint64_t *state)
{
	const size_t which = test_random_below(state, OWN_CACHES + 2);

	if (which < OWN_CACHES)
		return MALLOCX_TCACHE(own_caches[which]);
	return which == OWN_CACHES ? MALLOCX_TCACHE_NONE : 0;
}

static void *
random_work_with_flags(void *seed)
{
	uint64_t state = *(uint64_t *)seed;

	for (unsigned i = 0; i < 5 * N; i++) {
		const size_t at = test_random_below(&state, N);
		if (objects[at] != NULL)
			t_dallocx(objects[at], any_cache(&state));
		const size_t arena = test_random_below(&state, OWN_ARENAS + 1);
		const unsigned lg = (unsigned)test_random_below(&state, 17);
		int flags = any_cache(&state);
		if (arena < OWN_ARENAS)
			flags |= MALLOCX_ARENA(own_arenas[arena]);
		objects[at] =
		    t_mallocx(1 + test_random_below(&state, (size_t)2 << lg), flags);
		REQUIRE(objects[at] != NULL);
	}
	return NULL;
}

static void
on_arena(unsigned index, const char *what)
{
	char name[64];

	snprintf(name, sizeof name, "arena.%u.%s", index, what);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
}

static void
on_caches(const char *name)
{
	for (unsigned i = 0; i < OWN_CACHES; i++)
		CHECK_EQ(t_mallctl(name, NULL, NULL, &own_caches[i], sizeof(unsigned)),
		    0);
}

TEST(parts_add_up_with_caches_and_arenas_of_the_program)
{
	uint64_t seed = test_seed();
	pthread_t thread;

	for (unsigned i = 0; i < OWN_ARENAS; i++)
		own_arenas[i] = made("arenas.create");
	for (unsigned i = 0; i < OWN_CACHES; i++)
		own_caches[i] = made("tcache.create");
	check_all();
	const uint64_t before = node("stats.allocated");
	random_work_with_flags(&seed);
	check_all();
	seed++;
	REQUIRE(pthread_create(&thread, NULL, random_work_with_flags, &seed) == 0);
	pthread_join(thread, NULL);
	check_all();
	on_caches("tcache.flush");
	check_all();
	/* What is live is what the program holds, wherever it came from. */
	uint64_t held = 0;
	for (unsigned i = 0; i < N; i++)
		held += objects[i] != NULL ? t_sallocx(objects[i], 0) : 0;
	CHECK_EQ(node("stats.allocated"), before + held);
	for (unsigned i = 0; i < N; i++)
		if (objects[i] != NULL)
			t_dallocx(objects[i], any_cache(&seed));
	memset(objects, 0, sizeof objects);
	on_caches("tcache.destroy");
	check_all();
	CHECK_EQ(node("stats.allocated"), before);
	on_arena(own_arenas[0], "destroy");
	on_arena(own_arenas[1], "reset");
	check_all();
	CHECK_EQ(node("stats.allocated"), before);
	CHECK_EQ(node("stats.arenas.%u.pactive", own_arenas[1]), 0);
	CHECK_EQ(node("stats.arenas.4097.small.nmalloc"),
	    node("stats.arenas.4097.small.ndalloc"));
}

TEST(live_objects_are_counted_one_by_one)
{
	static const size_t sizes[] = { 8, 64, 1000, 14336, 16384, 32768, 40960,
		1 << 20 };

	for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		settle();
		const uint64_t before = node("stats.allocated");
		const size_t usable = t_nallocx(sizes[s], 0);
		for (unsigned i = 0; i < 100; i++)
			objects[i] = t_malloc(sizes[s]);
		settle();
		CHECK_EQ(node("stats.allocated"), before + 100 * usable);
		for (unsigned i = 0; i < 100; i++)
			t_free(objects[i]);
		settle();
		CHECK_EQ(node("stats.allocated"), before);
	}
}

TEST(bins_count_what_was_taken_and_returned)
{
	const unsigned bin = 9; /* 160 bytes with quantum 16, another class with 8 */
	const size_t size = node("arenas.bin.%u.size", bin);

	settle();
	const uint64_t regs = node("stats.arenas.4096.bins.%u.curregs", bin);
	const uint64_t nmalloc = node("stats.arenas.4096.bins.%u.nmalloc", bin);
	for (unsigned i = 0; i < 1000; i++)
		objects[i] = t_malloc(size);
	settle();
	CHECK_EQ(node("stats.arenas.4096.bins.%u.curregs", bin), regs + 1000);
	CHECK(node("stats.arenas.4096.bins.%u.nmalloc", bin) >= nmalloc + 1000);
	/* A hostile build trims so often that the class stays cold: all in mixed slabs. */
	CHECK(node("stats.arenas.4096.bins.%u.nslabs", bin) != 0 || CONFIG_HOSTILE);
	CHECK(node("stats.arenas.4096.bins.%u.nfills", bin) != 0);
	for (unsigned i = 0; i < 1000; i++)
		t_free(objects[i]);
	settle();
	CHECK_EQ(node("stats.arenas.4096.bins.%u.curregs", bin), regs);
}

/* Whatever goes to a list is asked for, or put back and not counted. */
TEST(requests_are_counted_one_by_one)
{
	static const unsigned bins[] = { 0, 9, 20, 35 };

	for (unsigned b = 0; b < sizeof bins / sizeof bins[0]; b++) {
		const size_t size = node("arenas.bin.%u.size", bins[b]);
		settle();
		const uint64_t before =
		    node("stats.arenas.4096.bins.%u.nrequests", bins[b]);
		const uint64_t taken = node("stats.arenas.4096.bins.%u.nmalloc", bins[b]);
		for (unsigned i = 0; i < 777; i++)
			objects[i % 100] = i < 100
			    ? t_malloc(size)
			    : (t_free(objects[i % 100]), t_malloc(size));
		settle();
		CHECK_EQ(node("stats.arenas.4096.bins.%u.nrequests", bins[b]),
		    before + 777);
		CHECK(node("stats.arenas.4096.bins.%u.nmalloc", bins[b]) >= taken + 777);
		for (unsigned i = 0; i < 100; i++)
			t_free(objects[i]);
	}
	memset(objects, 0, sizeof objects);
}

TEST(requests_of_large_objects_are_counted_one_by_one)
{
	/* Of 48 and 64 KiB: whole pages, also of 16 KiB. */
	static const unsigned classes[] = { 6, 8 };
	uint64_t before[2], made[2];

	settle();
	for (unsigned i = 0; i < 2; i++) {
		before[i] = node("stats.arenas.4096.lextents.%u.nrequests", classes[i]);
		made[i] = node("stats.arenas.4096.lextents.%u.nmalloc", classes[i]);
	}
	for (unsigned i = 0; i < 300; i++)
		t_free(t_malloc(node("arenas.lextent.%u.size", classes[i % 2])));
	settle();
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(node("stats.arenas.4096.lextents.%u.nrequests", classes[i]),
		    before[i] + 150);
		/* Most were used again. */
		CHECK(node("stats.arenas.4096.lextents.%u.nmalloc", classes[i])
		    < made[i] + 100);
	}
	CHECK_EQ(node("stats.arenas.4096.large.nfills"),
	    node("stats.arenas.4096.large.nmalloc"));
}

/* Explicit caches fetch more than they are asked for, and hand out what was freed. */
TEST(requests_of_explicit_caches_are_counted_one_by_one)
{
	const size_t size = node("arenas.bin.%u.size", 9);
	unsigned id = 0;
	size_t length = sizeof id;

	REQUIRE(t_mallctl("tcache.create", &id, &length, NULL, 0) == 0);
	const int flags = MALLOCX_TCACHE(id);
	settle();
	const uint64_t before = node("stats.arenas.4096.bins.9.nrequests");
	for (unsigned i = 0; i < 500; i++) {
		if (i >= 100)
			t_dallocx(objects[i % 100], flags);
		objects[i % 100] = t_mallocx(size, flags);
	}
	settle();
	CHECK_EQ(node("stats.arenas.4096.bins.9.nrequests"), before + 500);
	for (unsigned i = 0; i < 100; i++)
		t_dallocx(objects[i], flags);
	CHECK_EQ(t_mallctl("tcache.destroy", NULL, NULL, &id, sizeof id), 0);
	settle();
	CHECK_EQ(node("stats.arenas.4096.bins.9.nrequests"), before + 500);
	memset(objects, 0, sizeof objects);
}

TEST(slabs_are_full_or_not)
{
	const unsigned bin = 20;
	unsigned index = 0;
	size_t length = sizeof index;

	REQUIRE(t_mallctl("arenas.create", &index, &length, NULL, 0) == 0);
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
	const size_t size = node("arenas.bin.%u.size", bin),
		     nregs = node("arenas.bin.%u.nregs", bin);
	REQUIRE(nregs > 1 && 3 * nregs <= N);
	for (unsigned i = 0; i < 3 * nregs; i++)
		objects[i] = t_mallocx(size, flags);
	settle();
	CHECK_EQ(node("stats.arenas.%u.bins.%u.curslabs", index, bin), 3);
	CHECK_EQ(node("stats.arenas.%u.bins.%u.nonfull_slabs", index, bin), 0);
	t_dallocx(objects[0], MALLOCX_TCACHE_NONE);
	settle();
	CHECK_EQ(node("stats.arenas.%u.bins.%u.nonfull_slabs", index, bin), 1);
	CHECK_EQ(node("stats.arenas.%u.bins.%u.curregs", index, bin), 3 * nregs - 1);
	for (unsigned i = 1; i < 3 * nregs; i++)
		t_dallocx(objects[i], MALLOCX_TCACHE_NONE);
	memset(objects, 0, sizeof objects);
}

/* Bytes of the process that the kernel has memory for. */
static uint64_t
resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	REQUIRE(f != NULL && fscanf(f, "%*s %lu", &pages) == 1);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

TEST(resident_rises_and_falls_with_what_the_kernel_backs)
{
	enum { COUNT = 64, BYTES = 1 << 20 };
	const uint64_t total = (uint64_t)COUNT * BYTES;

	CHECK_EQ(t_mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	settle();
	const uint64_t stat = node("stats.resident"), real = resident_bytes();
	for (unsigned i = 0; i < COUNT; i++)
		memset(objects[i] = t_malloc(BYTES), 1, BYTES);
	settle();
	CHECK(node("stats.resident") >= stat + total);
	CHECK(node("stats.resident") < stat + total + total / 50);
	CHECK(resident_bytes() >= real + total - total / 50);
	for (unsigned i = 0; i < COUNT; i++)
		t_free(objects[i]);
	memset(objects, 0, sizeof objects);
	/* Freed is not yet given back, purged is. */
	settle();
	CHECK_EQ(node("stats.mapped") - node("stats.active"),
	    (node("stats.arenas.4096.pdirty") + node("stats.arenas.4096.pmuzzy"))
		* node("arenas.page"));
	CHECK_EQ(t_mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
	settle();
	CHECK(node("stats.resident") < stat + total / 50);
	CHECK_EQ(node("stats.mapped"), node("stats.active"));
	/* Sanitizers keep memory for what was there. */
	if (!SANITIZED)
		CHECK(resident_bytes() < real + total / 20);
}

TEST(zero_reallocs_are_counted)
{
	settle();
	const uint64_t before = node("stats.zero_reallocs");
	(void)!t_realloc(t_malloc(10), 0);
	(void)!t_realloc(NULL, 0);
	settle();
	CHECK_EQ(node("stats.zero_reallocs"), before + 1);
}

TEST(lock_counters_can_be_zeroed)
{
	settle();
	CHECK(node("stats.mutexes.ctl.num_ops") != 0);
	CHECK(node("stats.arenas.0.mutexes.extents_dirty.num_ops") > 10);
	CHECK_EQ(t_mallctl("stats.mutexes.reset", NULL, NULL, NULL, 0), 0);
	settle();
	CHECK(node("stats.arenas.0.mutexes.extents_dirty.num_ops") < 10);
	CHECK_EQ(node("stats.arenas.0.mutexes.large.num_ops"), 0);
}

/* ---- Asking while others work: no crash, no hang, figures within reason. ---- */

static _Atomic(bool) stop;

static void *
busy(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	void *mine[64] = { NULL };

	while (!atomic_load(&stop)) {
		const unsigned at = (unsigned)test_random_below(&state, 64);
		t_free(mine[at]);
		mine[at] = t_malloc(test_random_below(&state, 20000));
	}
	for (unsigned i = 0; i < 64; i++)
		t_free(mine[i]);
	return NULL;
}

TEST(questions_while_threads_work_are_answered)
{
	pthread_t threads[3];

	for (uintptr_t i = 0; i < 3; i++)
		REQUIRE(pthread_create(&threads[i], NULL, busy, (void *)(i + 1)) == 0);
	for (unsigned i = 0; i < 200; i++) {
		settle();
		CHECK(node("stats.allocated") < (size_t)1 << 30);
		CHECK(node("stats.arenas.4096.small.nmalloc")
		    >= node("stats.arenas.4096.small.ndalloc"));
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	check_all();
}
