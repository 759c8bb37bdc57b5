/* SPDX-License-Identifier: MIT */
/*
 * mallctl: names, types, permissions, lengths and errors of control nodes, and what they
 * do.
 */
#include <tract/tract.h>

#include "harness/test.h"
#include "tract_config.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Read a value of the type of `variable'. */
#define READ(name, variable) \
	do { \
		size_t length_ = sizeof(variable); \
		CHECK_EQ(t_mallctl(name, &(variable), &length_, NULL, 0), 0); \
		CHECK_EQ(length_, sizeof(variable)); \
	} while (0)
#define WRITE(name, variable) t_mallctl(name, NULL, NULL, &(variable), sizeof(variable))
#define RUN(name) t_mallctl(name, NULL, NULL, NULL, 0)

static size_t
size_node(const char *name)
{
	size_t value = 0;
	READ(name, value);
	return value;
}

static void
refresh(void)
{
	uint64_t any = 1;
	CHECK_EQ(WRITE("epoch", any), 0);
}

/* ---- The rules of every node. ---- */

TEST(errors_follow_the_rules)
{
	unsigned u = 0;
	uint64_t u64 = 1;
	size_t size = sizeof u, value = 0;
	bool flag = false;

	/* Unknown, inner, and beyond any index. */
	CHECK_EQ(RUN("no.such.node"), ENOENT);
	CHECK_EQ(RUN(""), ENOENT);
	CHECK_EQ(RUN("arena"), ENOENT);
	CHECK_EQ(RUN("arena.0"), ENOENT);
	CHECK_EQ(RUN("arena.9999.purge"), ENOENT);
	CHECK_EQ(t_mallctl("stats.arenas.4000.pactive", &value, &size, NULL, 0), ENOENT);
	/* Writing what is read only, by value or by length alone. */
	CHECK_EQ(WRITE("arenas.narenas", u), EPERM);
	CHECK_EQ(t_mallctl("version", NULL, NULL, NULL, 8), EPERM);
	CHECK_EQ(WRITE("stats.allocated", value), EPERM);
	CHECK_EQ(WRITE("opt.narenas", u), EPERM);
	/* Reading what is write only, or a command. */
	CHECK_EQ(t_mallctl("tcache.flush", &u, &size, NULL, 0), EPERM);
	CHECK_EQ(t_mallctl("arena.0.purge", &u, &size, NULL, 0), EPERM);
	CHECK_EQ(t_mallctl("arena.0.purge", NULL, &size, NULL, 0), EPERM);
	CHECK_EQ(WRITE("arena.0.purge", u), EPERM);
	/* Writing with a wrong length, or nothing where something must be. */
	CHECK_EQ(WRITE("epoch", u), EINVAL);
	CHECK_EQ(WRITE("thread.tcache.enabled", u), EINVAL);
	CHECK_EQ(RUN("tcache.flush"), EINVAL);
	/* Commands and plain reads without any buffer. */
	CHECK_EQ(RUN("arena.0.purge"), 0);
	CHECK_EQ(RUN("arena.0.decay"), 0);
	CHECK_EQ(RUN("version"), 0);
	CHECK_EQ(RUN("epoch"), 0);
	(void)u64;
	(void)flag;
}

TEST(a_wrong_length_copies_what_fits)
{
	unsigned wide[2] = { 77, 77 }, narenas;
	unsigned char narrow[2] = { 77, 77 };
	size_t length = sizeof wide;

	READ("arenas.narenas", narenas);
	CHECK_EQ(t_mallctl("arenas.narenas", wide, &length, NULL, 0), EINVAL);
	CHECK_EQ(length, sizeof(unsigned));
	CHECK_EQ(wide[0], narenas);
	CHECK_EQ(wide[1], 77);
	length = 1;
	CHECK_EQ(t_mallctl("arenas.narenas", narrow, &length, NULL, 0), EINVAL);
	CHECK_EQ(length, 1);
	CHECK_EQ(narrow[0], narenas & 0xff);
	CHECK_EQ(narrow[1], 77);
}

TEST(a_wrong_read_length_writes_nothing)
{
	bool off = false, on = false, wide[2];
	size_t length = sizeof wide;

	CHECK_EQ(t_mallctl("thread.tcache.enabled", wide, &length, &off, sizeof off),
	    EINVAL);
	READ("thread.tcache.enabled", on);
	CHECK(on);
}

/* What has an effect is not done when its result would be lost. */
TEST(making_needs_a_place_for_the_result)
{
	unsigned before, after;
	size_t length = 1;
	char small;

	READ("arenas.narenas", before);
	CHECK_EQ(RUN("arenas.create"), EINVAL);
	CHECK_EQ(t_mallctl("arenas.create", &small, &length, NULL, 0), EINVAL);
	CHECK_EQ(length, 0);
	CHECK_EQ(RUN("tcache.create"), EINVAL);
	READ("arenas.narenas", after);
	CHECK_EQ(before, after);
}

/* ---- Paths of numbers. ---- */

TEST(parts_of_names_become_paths_that_can_be_completed)
{
	size_t mib[8] = { 0 }, leaf[8], length = 8, leaf_length = 8;

	CHECK_EQ(t_mallctlnametomib("arena.0", mib, &length), 0);
	CHECK_EQ(length, 2);
	CHECK_EQ(t_mallctlnametomib("arena.0.purge", leaf, &leaf_length), 0);
	CHECK_EQ(leaf_length, 3);
	CHECK_EQ(mib[0], leaf[0]);
	CHECK_EQ(mib[1], leaf[1]);
	mib[1] = MALLCTL_ARENAS_ALL;
	mib[2] = leaf[2];
	CHECK_EQ(t_mallctlbymib(mib, 3, NULL, NULL, NULL, 0), 0);
	mib[1] = 4095;
	CHECK_EQ(t_mallctlbymib(mib, 3, NULL, NULL, NULL, 0), ENOENT);
	CHECK_EQ(t_mallctlbymib(mib, 2, NULL, NULL, NULL, 0), ENOENT);
	CHECK_EQ(t_mallctlbymib(mib, 0, NULL, NULL, NULL, 0), ENOENT);
	length = 2;
	CHECK_EQ(t_mallctlnametomib("arena.0.purge", mib, &length), EINVAL);
	length = 8;
	CHECK_EQ(t_mallctlnametomib("arena.0.purges", mib, &length), ENOENT);
}

TEST(indices_in_paths_can_be_replaced)
{
	size_t mib[8], length = 8, size, named;
	unsigned nbins = 0;
	char name[64];

	READ("arenas.nbins", nbins);
	REQUIRE(t_mallctlnametomib("arenas.bin.0.size", mib, &length) == 0);
	CHECK_EQ(length, 4);
	for (unsigned i = 0; i < nbins; i++) {
		size_t bytes = sizeof size;
		mib[2] = i;
		CHECK_EQ(t_mallctlbymib(mib, length, &size, &bytes, NULL, 0), 0);
		snprintf(name, sizeof name, "arenas.bin.%u.size", i);
		READ(name, named);
		CHECK_EQ(size, named);
		CHECK_EQ(size, t_nallocx(size, 0));
	}
	mib[2] = nbins;
	CHECK_EQ(t_mallctlbymib(mib, length, NULL, NULL, NULL, 0), ENOENT);
}

/* ---- Types. ---- */

TEST(nodes_have_the_types_that_programs_expect)
{
	static const struct {
		const char *name;
		size_t size;
	} nodes[] = {
		{ "version", sizeof(char *) },
		{ "epoch", 8 },
		{ "thread.arena", 4 },
		{ "thread.allocated", 8 },
		{ "thread.allocatedp", sizeof(void *) },
		{ "thread.tcache.enabled", 1 },
		{ "thread.tcache.max", 8 },
		{ "config.debug", 1 },
		{ "config.stats", 1 },
		{ "config.malloc_conf", 8 },
		{ "opt.abort", 1 },
		{ "opt.narenas", 4 },
		{ "opt.dirty_decay_ms", 8 },
		{ "opt.junk", sizeof(char *) },
		{ "opt.zero_realloc", sizeof(char *) },
		{ "opt.tcache_max", 8 },
		{ "opt.mutex_max_spin", 8 },
		{ "arena.0.initialized", 1 },
		{ "arena.0.dirty_decay_ms", 8 },
		{ "arena.0.muzzy_decay_ms", 8 },
		{ "arena.0.extent_hooks", 8 },
		{ "arena.0.retain_grow_limit", 8 },
		{ "arenas.narenas", 4 },
		{ "arenas.dirty_decay_ms", 8 },
		{ "arenas.quantum", 8 },
		{ "arenas.page", 8 },
		{ "arenas.hugepage", 8 },
		{ "arenas.nbins", 4 },
		{ "arenas.nhbins", 4 },
		{ "arenas.nlextents", 4 },
		{ "arenas.bin.0.nregs", 4 },
		{ "arenas.bin.0.slab_size", 8 },
		{ "arenas.bin.0.nshards", 4 },
		{ "arenas.lextent.0.size", 8 },
		{ "stats.allocated", 8 },
		{ "stats.resident", 8 },
		{ "stats.zero_reallocs", 8 },
		{ "stats.mutexes.ctl.num_ops", 8 },
		{ "stats.mutexes.ctl.max_num_thds", 4 },
		{ "stats.arenas.0.nthreads", 4 },
		{ "stats.arenas.0.uptime", 8 },
		{ "stats.arenas.0.pactive", 8 },
		{ "stats.arenas.0.small.nmalloc", 8 },
		{ "stats.arenas.0.bins.0.curregs", 8 },
		{ "stats.arenas.0.bins.0.mutex.num_wait", 8 },
		{ "stats.arenas.0.lextents.0.curlextents", 8 },
		{ "stats.arenas.0.extents.0.ndirty", 8 },
		{ "stats.arenas.0.mutexes.base.num_ops", 8 },
		{ "approximate_stats.active", 8 },
		{ "experimental.arenas.0.pactivep", 8 },
	};
	unsigned char bytes[16];

	for (unsigned i = 0; i < COUNT(nodes); i++) {
		size_t length = sizeof bytes;
		/* Longer than any value: the true length comes back. */
		const int rc = t_mallctl(nodes[i].name, bytes, &length, NULL, 0);
		if (rc != EINVAL || length != nodes[i].size)
			printf("# %s: %d, %zu bytes\n", nodes[i].name, rc, length);
		CHECK_EQ(rc, EINVAL);
		CHECK_EQ(length, nodes[i].size);
	}
}

TEST(constants_are_what_they_describe)
{
	const char *version = NULL, *junk = NULL;
	unsigned nbins = 0, nlextents = 0;
	unsigned major, minor, bugfix;

	READ("version", version);
	CHECK_EQ(sscanf(version, "%u.%u.%u-0-g", &major, &minor, &bugfix), 3);
	CHECK(strstr(version, " tract-" TRACT_VERSION) != NULL);
	unsigned narenas = 0, total = 0;
	READ("opt.narenas", narenas);
	READ("arenas.narenas", total);
	CHECK(narenas != 0 && narenas <= total);
	READ("opt.junk", junk);
	CHECK_STR(junk, "false");
	READ("arenas.nbins", nbins);
	READ("arenas.nlextents", nlextents);
	CHECK(nbins == 36 || nbins == 39);
	CHECK_EQ(nlextents, 196);
	CHECK_EQ(size_node("arenas.lextent.0.size"), 16384);
	/* The larger of the kernel's and that of the address map. */
	CHECK_EQ(size_node("arenas.page") % (size_t)sysconf(_SC_PAGESIZE), 0);
	CHECK_EQ(RUN("opt.malloc_conf.symlink"), ENOENT);
	CHECK_EQ(RUN("opt.no_such_option"), ENOENT);
}

/* ---- epoch ---- */

TEST(a_write_of_epoch_refreshes_and_counts)
{
	uint64_t before = 0, after = 0, any = 12345;
	size_t length = sizeof after, allocated;

	READ("epoch", before);
	allocated = size_node("stats.allocated");
	void *p = t_malloc(10 << 20);
	CHECK_EQ(size_node("stats.allocated"), allocated);
	CHECK_EQ(t_mallctl("epoch", &after, &length, &any, sizeof any), 0);
	CHECK_EQ(after, before + 1);
	CHECK(size_node("stats.allocated") >= allocated + (10 << 20));
	t_free(p);
	refresh();
	CHECK(size_node("stats.allocated") < allocated + (10 << 20));
}

/* ---- thread ---- */

TEST(every_allocation_is_counted_once_asked)
{
	uint64_t *allocatedp = NULL, *deallocatedp = NULL, allocated = 0;

	READ("thread.allocatedp", allocatedp);
	READ("thread.deallocatedp", deallocatedp);
	const uint64_t allocated_before = *allocatedp, deallocated_before = *deallocatedp;
	for (unsigned i = 0; i < 100; i++) {
		const uint64_t before = *allocatedp;
		void *p = t_malloc(100);
		CHECK_EQ(*allocatedp, before + 112);
		t_free(p);
	}
	const size_t large = t_nallocx(100000, 0);
	t_free(t_malloc(100000));
	CHECK_EQ(*allocatedp - allocated_before, 100 * 112 + large);
	CHECK_EQ(*deallocatedp - deallocated_before, 100 * 112 + large);
	READ("thread.allocated", allocated);
	CHECK_EQ(allocated, *allocatedp);
}

TEST(the_cache_can_be_switched_off_and_on)
{
	bool off = false, on = true, old = false;
	size_t length = sizeof old;
	void *p[200];

	CHECK_EQ(RUN("thread.tcache.flush"), 0);
	refresh();
	const size_t allocated = size_node("stats.allocated");
	for (unsigned i = 0; i < COUNT(p); i++)
		p[i] = t_malloc(200);
	CHECK_EQ(t_mallctl("thread.tcache.enabled", &old, &length, &off, sizeof off), 0);
	CHECK(old);
	CHECK_EQ(RUN("thread.tcache.flush"), EFAULT);
	/* What was its own comes home though it has no cache any more. */
	for (unsigned i = 0; i < COUNT(p); i++)
		t_free(p[i]);
	refresh();
	CHECK_EQ(size_node("stats.allocated"), allocated);
	for (unsigned i = 0; i < COUNT(p); i++)
		p[i] = t_malloc(200);
	CHECK_EQ(t_mallctl("thread.tcache.enabled", &old, &length, &on, sizeof on), 0);
	CHECK(!old);
	for (unsigned i = 0; i < COUNT(p); i++)
		t_free(p[i]);
	CHECK_EQ(RUN("thread.tcache.flush"), 0);
	CHECK_EQ(RUN("thread.idle"), 0);
}

TEST(a_thread_can_be_bound_to_any_arena)
{
	unsigned old = 99, mine = 0, new = 0, far = 4000;
	size_t length = sizeof old;

	READ("thread.arena", mine);
	READ("arenas.create", new);
	CHECK_EQ(t_mallctl("thread.arena", &old, &length, &new, sizeof new), 0);
	CHECK_EQ(old, mine);
	void *p = t_malloc(100), *q = t_malloc(1 << 20);
	unsigned of_p = 0, of_q = 0;
	length = sizeof of_p;
	CHECK_EQ(t_mallctl("arenas.lookup", &of_p, &length, &p, sizeof p), 0);
	CHECK_EQ(t_mallctl("arenas.lookup", &of_q, &length, &q, sizeof q), 0);
	CHECK_EQ(of_p, new);
	CHECK_EQ(of_q, new);
	t_free(p);
	t_free(q);
	CHECK_EQ(WRITE("thread.arena", far), EFAULT);
	CHECK_EQ(WRITE("thread.arena", mine), 0);
	READ("thread.arena", old);
	CHECK_EQ(old, mine);
}

/* ---- tcache ---- */

TEST(explicit_caches_come_and_go)
{
	unsigned id = 0, again = 0, none = 4000;

	READ("tcache.create", id);
	void *p = t_mallocx(64, MALLOCX_TCACHE(id));
	REQUIRE(p != NULL);
	t_dallocx(p, MALLOCX_TCACHE(id));
	CHECK(t_mallocx(64, MALLOCX_TCACHE(id)) == p);
	t_dallocx(p, MALLOCX_TCACHE(id));
	CHECK_EQ(WRITE("tcache.flush", id), 0);
	CHECK_EQ(WRITE("tcache.destroy", id), 0);
	CHECK_EQ(WRITE("tcache.flush", id), EFAULT);
	CHECK_EQ(WRITE("tcache.destroy", none), EFAULT);
	READ("tcache.create", again);
	CHECK_EQ(again, id);
	CHECK_EQ(WRITE("tcache.destroy", again), 0);
}

/* ---- arena.<i>, arenas ---- */

static unsigned
new_arena(void)
{
	unsigned index = 0;
	READ("arenas.create", index);
	return index;
}

static const char *
arena_node(unsigned index, const char *leaf)
{
	static char name[64];
	snprintf(name, sizeof name, "arena.%u.%s", index, leaf);
	return name;
}

TEST(all_arenas_have_two_names)
{
	unsigned narenas = 0;
	bool is = false;

	READ("arenas.narenas", narenas);
	CHECK_EQ(RUN(arena_node(narenas, "purge")), 0);
	CHECK_EQ(RUN(arena_node(narenas, "decay")), 0);
	CHECK_EQ(RUN(arena_node(MALLCTL_ARENAS_ALL, "purge")), 0);
	CHECK_EQ(RUN(arena_node(narenas + 1, "purge")), ENOENT);
	READ(arena_node(MALLCTL_ARENAS_ALL, "initialized"), is);
	CHECK(is);
	refresh();
	char name[64];
	snprintf(name, sizeof name, "stats.arenas.%u.pactive", narenas);
	CHECK_EQ(size_node(name), size_node("stats.arenas.4096.pactive"));
}

TEST(decay_times_are_set_for_one_and_for_later_ones)
{
	ssize_t old = 0, new = 250, bad = -2, now = 0, later_old = 0, later = 777;
	size_t length = sizeof old;
	const unsigned index = new_arena();

	CHECK_EQ(t_mallctl(arena_node(index, "dirty_decay_ms"), &old, &length, &new,
		     sizeof new),
	    0);
	READ(arena_node(index, "dirty_decay_ms"), now);
	CHECK_EQ(now, 250);
	CHECK_EQ(WRITE(arena_node(index, "dirty_decay_ms"), bad), EFAULT);
	CHECK_EQ(WRITE("arenas.muzzy_decay_ms", bad), EFAULT);
	CHECK_EQ(WRITE(arena_node(MALLCTL_ARENAS_ALL, "dirty_decay_ms"), new), EFAULT);
	CHECK_EQ(t_mallctl("arenas.dirty_decay_ms", &later_old, &length, &later,
		     sizeof later),
	    0);
	READ(arena_node(new_arena(), "dirty_decay_ms"), now);
	CHECK_EQ(now, 777);
	READ(arena_node(index, "dirty_decay_ms"), now);
	CHECK_EQ(now, 250);
	CHECK_EQ(WRITE("arenas.dirty_decay_ms", later_old), 0);
}

static const char *
string_node(const char *name)
{
	const char *value = "";
	READ(name, value);
	return value;
}

TEST(sbrk_can_be_preferred_by_one_arena_and_by_later_ones)
{
	const unsigned index = new_arena();
	const char *primary = "primary", *disabled = "disabled", *bad = "first",
		   *null = NULL;
	const char *before = string_node("arena.4096.dss"), *old = NULL;
	char stats[64];
	size_t length = sizeof old;

	CHECK_STR(string_node(arena_node(index, "dss")), before);
	CHECK_EQ(WRITE(arena_node(index, "dss"), bad), EINVAL);
	CHECK_EQ(WRITE(arena_node(index, "dss"), null), EINVAL);
	CHECK_EQ(WRITE(arena_node(4000, "dss"), primary), ENOENT);
	if (WRITE(arena_node(index, "dss"), primary) == EFAULT)
		SKIP("no sbrk here");
	CHECK_EQ(WRITE(arena_node(index, "dss"), before), 0);
	CHECK_EQ(t_mallctl(arena_node(index, "dss"), &old, &length, &primary,
		     sizeof primary),
	    0);
	CHECK_STR(old, before);
	CHECK_STR(string_node(arena_node(index, "dss")), "primary");
	refresh();
	snprintf(stats, sizeof stats, "stats.arenas.%u.dss", index);
	CHECK_STR(string_node(stats), "primary");
	/* Memory lies below the break then, if nobody else's does. */
	void *p = t_mallocx(1 << 20, MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE);
	CHECK((uintptr_t)p < (uintptr_t)sbrk(0));
	t_dallocx(p, MALLOCX_TCACHE_NONE);
	CHECK_EQ(WRITE(arena_node(MALLCTL_ARENAS_ALL, "dss"), disabled), 0);
	CHECK_STR(string_node(arena_node(new_arena(), "dss")), "disabled");
	CHECK_STR(string_node(arena_node(index, "dss")), "primary");
	CHECK_EQ(WRITE(arena_node(MALLCTL_ARENAS_ALL, "dss"), before), 0);
}

TEST(oversize_extents_of_an_arena_are_purged_as_they_are_freed)
{
	const unsigned index = new_arena();
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
	size_t threshold = 1 << 20;
	char stats[64];

	CHECK_EQ(size_node(arena_node(index, "oversize_threshold")),
	    size_node("opt.oversize_threshold"));
	snprintf(stats, sizeof stats, "stats.arenas.%u.pdirty", index);
	t_dallocx(t_mallocx(2 << 20, flags), flags);
	refresh();
	CHECK(size_node(stats) != 0 || CONFIG_HOSTILE);
	CHECK_EQ(RUN(arena_node(index, "purge")), 0);
	CHECK_EQ(WRITE(arena_node(index, "oversize_threshold"), threshold), 0);
	CHECK_EQ(size_node(arena_node(index, "oversize_threshold")), threshold);
	t_dallocx(t_mallocx(2 << 20, flags), flags);
	refresh();
	CHECK_EQ(size_node(stats), 0);
	t_dallocx(t_mallocx(512 << 10, flags), flags);
	refresh();
	CHECK(size_node(stats) != 0 || CONFIG_HOSTILE);
}

TEST(reset_frees_everything_in_a_manual_arena)
{
	const unsigned index = new_arena();
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
	char name[64];

	for (unsigned i = 0; i < 500; i++) {
		REQUIRE(t_mallocx(i + 1, flags) != NULL);
		REQUIRE(t_mallocx(i * 4096 + 1, flags) != NULL);
	}
	refresh();
	snprintf(name, sizeof name, "stats.arenas.%u.small.allocated", index);
	CHECK(size_node(name) > 100000);
	CHECK_EQ(RUN(arena_node(index, "reset")), 0);
	refresh();
	CHECK_EQ(size_node(name), 0);
	snprintf(name, sizeof name, "stats.arenas.%u.large.allocated", index);
	CHECK_EQ(size_node(name), 0);
	CHECK_EQ(RUN(arena_node(0, "reset")), EFAULT);
	CHECK_EQ(RUN(arena_node(MALLCTL_ARENAS_ALL, "reset")), EFAULT);
}

TEST(a_destroyed_arena_is_gone_but_counted)
{
	const unsigned index = new_arena();
	const int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
	uint64_t before = 0, after = 0;
	bool is = true;
	char name[64];

	refresh();
	(void)t_mallctl("stats.arenas.4097.small.nmalloc", &before, &(size_t){ 8 }, NULL,
	    0);
	for (unsigned i = 0; i < 123; i++)
		REQUIRE(t_mallocx(100, flags) != NULL);
	CHECK_EQ(RUN(arena_node(0, "destroy")), EFAULT);
	CHECK_EQ(RUN(arena_node(index, "destroy")), 0);
	CHECK_EQ(RUN(arena_node(index, "destroy")), EFAULT);
	READ(arena_node(index, "initialized"), is);
	CHECK(!is);
	snprintf(name, sizeof name, "stats.arenas.%u.pactive", index);
	CHECK_EQ(RUN(name), ENOENT);
	READ(arena_node(MALLCTL_ARENAS_DESTROYED, "initialized"), is);
	CHECK(is);
	READ("stats.arenas.4097.small.nmalloc", after);
	CHECK_EQ(after, before + 123);
	READ("stats.arenas.4097.small.ndalloc", after);
	CHECK_EQ(after, before + 123);
	CHECK_EQ(size_node("stats.arenas.4097.small.allocated"), 0);
	CHECK_EQ(size_node("stats.arenas.4097.retained"), 0);
	CHECK_EQ(size_node("stats.arenas.4097.base"), 0);
	/* Its index comes back. */
	CHECK_EQ(new_arena(), index);
}

TEST(a_bound_arena_is_not_destroyed)
{
	unsigned mine = 0, index = new_arena();

	READ("thread.arena", mine);
	CHECK_EQ(WRITE("thread.arena", index), 0);
	CHECK_EQ(RUN(arena_node(index, "destroy")), EFAULT);
	CHECK_EQ(WRITE("thread.arena", mine), 0);
	CHECK_EQ(RUN(arena_node(index, "destroy")), 0);
}

TEST(names_are_read_into_the_callers_buffer)
{
	const unsigned index = new_arena();
	char buffer[32], *p = buffer, expected[32];
	const char *new = "a name that is longer than thirty-one characters",
		   *null = NULL;
	size_t length = sizeof p;

	CHECK_EQ(t_mallctl(arena_node(index, "name"), &p, &length, NULL, 0), 0);
	snprintf(expected, sizeof expected, "manual_%u", index);
	CHECK_STR(buffer, expected);
	CHECK_EQ(WRITE(arena_node(index, "name"), new), 0);
	CHECK_EQ(t_mallctl(arena_node(index, "name"), &p, &length, NULL, 0), 0);
	CHECK_STR(buffer, "a name that is longer than thir");
	CHECK_EQ(WRITE(arena_node(index, "name"), null), EINVAL);
	CHECK_EQ(t_mallctl("arena.0.name", &p, &length, NULL, 0), 0);
	CHECK_STR(buffer, "auto_0");
}

TEST(growth_limits_are_page_classes)
{
	size_t limit = 0, new = 3 << 20, small = 1;

	CHECK_EQ(WRITE("arena.0.retain_grow_limit", small), EFAULT);
	limit = size_node("arena.0.retain_grow_limit");
	CHECK_EQ(WRITE("arena.0.retain_grow_limit", new), 0);
	CHECK_EQ(size_node("arena.0.retain_grow_limit"), 3 << 20);
	new += 1;
	CHECK_EQ(WRITE("arena.0.retain_grow_limit", new), 0);
	CHECK_EQ(size_node("arena.0.retain_grow_limit"), 3 << 20);
	CHECK_EQ(WRITE("arena.0.retain_grow_limit", limit), 0);
}

/* ---- Hooks that count. ---- */

static unsigned n_hook_allocs;
static extent_hooks_t counting_hooks;
static extent_hooks_t *default_hooks;

static void *
counting_alloc(extent_hooks_t *hooks, void *new_addr, size_t size, size_t alignment,
    bool *zero, bool *commit, unsigned arena)
{
	(void)hooks;
	n_hook_allocs++;
	return default_hooks->alloc(default_hooks, new_addr, size, alignment, zero,
	    commit, arena);
}

TEST(hooks_can_be_read_given_and_replaced)
{
	extent_hooks_t *hooks = &counting_hooks, *old = NULL;
	unsigned index = 0;
	size_t length = sizeof index;

	READ("arena.0.extent_hooks", default_hooks);
	REQUIRE(default_hooks != NULL);
	counting_hooks = *default_hooks;
	counting_hooks.alloc = counting_alloc;
	CHECK_EQ(t_mallctl("arenas.create", &index, &length, &hooks, sizeof hooks), 0);
	const unsigned before = n_hook_allocs;
	void *p = t_mallocx(8 << 20, MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE);
	REQUIRE(p != NULL);
	CHECK(n_hook_allocs > before);
	t_dallocx(p, MALLOCX_TCACHE_NONE);
	length = sizeof old;
	CHECK_EQ(t_mallctl(arena_node(index, "extent_hooks"), &old, &length,
		     &default_hooks, sizeof default_hooks),
	    0);
	CHECK(old == &counting_hooks);
	CHECK_EQ(RUN(arena_node(index, "destroy")), 0);
}

TEST(extended_creation_keeps_records_off_the_hooks)
{
	arena_config_t config = { &counting_hooks, false };
	unsigned index = 0;
	size_t length = sizeof index;

	n_hook_allocs = 0;
	CHECK_EQ(t_mallctl("experimental.arenas_create_ext", &index, &length, &config,
		     sizeof config),
	    0);
	CHECK_EQ(n_hook_allocs, 0);
	void *p = t_mallocx(100, MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE);
	CHECK(p != NULL);
	CHECK(n_hook_allocs != 0);
	CHECK_EQ(RUN(arena_node(index, "destroy")), 0);
}

TEST(lookup_refuses_what_is_not_ours)
{
	unsigned index = 99;
	size_t length = sizeof index;
	int local;
	void *ours = t_malloc(10), *foreign = &local;

	CHECK_EQ(t_mallctl("arenas.lookup", &index, &length, &ours, sizeof ours), 0);
	CHECK(index != 99);
	CHECK_EQ(t_mallctl("arenas.lookup", &index, &length, &foreign, sizeof foreign),
	    EINVAL);
	foreign = NULL;
	CHECK_EQ(t_mallctl("arenas.lookup", &index, &length, &foreign, sizeof foreign),
	    EINVAL);
	t_free(ours);
}

/* ---- experimental ---- */

TEST(utilization_tells_an_objects_slab)
{
	struct {
		void *current;
		size_t n_free, n_regs, size, bin_n_free, bin_n_regs;
	} use;
	size_t length = sizeof use, uses[2][3], uses_length = sizeof uses;
	void *objects[2] = { t_malloc(64), t_malloc(1 << 20) };

	CHECK_EQ(t_mallctl("experimental.utilization.query", &use, &length, &objects[0],
		     sizeof(void *)),
	    0);
	CHECK(use.n_regs > use.n_free);
	CHECK(use.size >= use.n_regs * 64);
	CHECK(use.bin_n_regs >= use.n_regs);
	CHECK(use.bin_n_free < use.bin_n_regs);
	CHECK_EQ(t_mallctl("experimental.utilization.batch_query", uses, &uses_length,
		     objects, sizeof objects),
	    0);
	CHECK_EQ(uses[0][1], use.n_regs);
	CHECK_EQ(uses[1][0], 0);
	CHECK_EQ(uses[1][1], 1);
	CHECK_EQ(uses[1][2], 1 << 20);
	uses_length--;
	CHECK_EQ(t_mallctl("experimental.utilization.batch_query", uses, &uses_length,
		     objects, sizeof objects),
	    EINVAL);
	length--;
	CHECK_EQ(t_mallctl("experimental.utilization.query", &use, &length, &objects[0],
		     sizeof(void *)),
	    EINVAL);
	t_free(objects[0]);
	t_free(objects[1]);
}

TEST(batches_are_made_whole)
{
	void *objects[100];
	struct {
		void **objects;
		size_t count, size;
		int flags;
	} batch = { objects, COUNT(objects), 48, MALLOCX_ZERO };
	size_t n = 0, length = sizeof n;

	CHECK_EQ(t_mallctl("experimental.batch_alloc", &n, &length, &batch, sizeof batch),
	    0);
	CHECK_EQ(n, COUNT(objects));
	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(((char *)objects[i])[47], 0);
		t_free(objects[i]);
	}
}

static unsigned n_aborts;

static void
count_abort(const char *line)
{
	n_aborts += strstr(line, "double free") != NULL;
}

TEST(misuse_can_be_told_to_a_hook)
{
	void (*hook)(const char *) = count_abort, (*none)(const char *) = NULL;

	void *p = t_mallocx(100, MALLOCX_TCACHE_NONE);
	t_dallocx(p, MALLOCX_TCACHE_NONE);
	CHECK_EQ(WRITE("experimental.hooks.safety_check_abort", hook), 0);
	t_dallocx(p, MALLOCX_TCACHE_NONE);
	CHECK_EQ(WRITE("experimental.hooks.safety_check_abort", none), 0);
	CHECK_EQ(n_aborts, 1);
}

TEST(active_pages_can_be_watched)
{
	size_t *active = NULL;
	unsigned index = new_arena();
	char name[64];

	snprintf(name, sizeof name, "experimental.arenas.%u.pactivep", index);
	READ(name, active);
	const size_t before = *active;
	void *p = t_mallocx(1 << 20, MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE);
	CHECK_EQ(*active - before, (1 << 20) / size_node("arenas.page"));
	t_dallocx(p, MALLOCX_TCACHE_NONE);
	CHECK_EQ(*active, before);
	CHECK_EQ(RUN("experimental.arenas.4096.pactivep"), EFAULT);
}
