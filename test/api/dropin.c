/* SPDX-License-Identifier: MIT */
/*
 * What programs written for jemalloc rely on and is easy to miss, a test a clause; the clauses that
 * need a program of their own are in dropin.sh.  More on the same, elsewhere:
 *
 *	1  thread.allocatedp      here; mallctl.c, every_allocation_is_counted_once_asked
 *	2  partial names          here; mallctl.c, parts_of_names_..., indices_in_paths_...
 *	3  arena.<narenas>        here; mallctl.c, all_arenas_have_two_names
 *	4  lengths and errors     here; mallctl.c, errors_follow_the_rules; conformance.c
 *	5  epoch                  here; mallctl.c, a_write_of_epoch_refreshes_and_counts
 *	6  types                  here; mallctl.c, nodes_have_the_types_...; conformance.c
 *	7  size classes           here; unit/config/size_class.c
 *	8  sources of options     dropin.sh; every_option.sh; unit/config/options.c
 *	9  malloc_stats_print     here; stats_print.c
 *	10 NULL, 0, sizes, errno  here; contract.c, extended.c, options.sh
 *	11 the last destructor    dropin.sh; threads.sh, exit.sh
 *	12 TLS, dlopen            dropin.sh; dlopen.sh
 *	13 RTLD_DEEPBIND          dropin.sh; dlopen.sh
 *	14 fork                   dropin.sh; fork.sh; stress/fork.c
 *	15 malloc_conf            dropin.sh
 *	16 version                here; compat.sh
 *	17 operators of C++       dropin.sh; cxx.sh; unit/api/cxx.c
 *	18 valgrind               dropin.sh
 *	19 several copies         embed.sh; amalgamation.sh
 *	20 glibc's list           dropin.sh
 */
#include <pthread.h>
#include <stdatomic.h>
#include <tract/tract.h>

#include "harness/test.h"
#include "tract_config.h"

static int
ctl(const char *name, void *old, size_t length)
{
	return t_mallctl(name, old, &length, NULL, 0);
}

/* ---------------------------------------------------------------- 1 */

static uint64_t *
allocated_pointer(void)
{
	uint64_t *p = NULL;

	CHECK_EQ(ctl("thread.allocatedp", &p, sizeof p), 0);
	REQUIRE(p != NULL);
	return p;
}

TEST(clause_1_allocatedp_moves_at_once_with_every_allocation)
{
	volatile uint64_t *allocated = allocated_pointer();
	void *p = NULL;

	for (unsigned i = 0; i < 3000; i++) {
		uint64_t before = *allocated;
		void *objects[6];
		objects[0] = t_malloc(1);
		CHECK_EQ(*allocated, before + 8);
		before = *allocated;
		objects[1] = t_calloc(3, i);
		CHECK(*allocated > before);
		before = *allocated;
		objects[2] = t_mallocx(i + 1, 0);
		CHECK_EQ(*allocated, before + t_sallocx(objects[2], 0));
		before = *allocated;
		objects[3] = t_aligned_alloc(64, i);
		CHECK(*allocated > before);
		before = *allocated;
		CHECK_EQ(t_posix_memalign(&p, 64, i), 0);
		objects[4] = p;
		CHECK(*allocated > before);
		before = *allocated;
		objects[5] = t_realloc(t_malloc(1), 100000 + i);
		CHECK(*allocated >= before + 100008);
		for (unsigned k = 0; k < 6; k++)
			t_free(objects[k]);
	}
}

static _Atomic(uint64_t *) of_thread;
static atomic_bool may_end;

static void *
allocate_and_stay(void *unused)
{
	(void)unused;
	atomic_store(&of_thread, allocated_pointer());
	while (!atomic_load(&may_end))
		t_free(t_malloc(100));
	return NULL;
}

TEST(clause_1_allocatedp_is_readable_by_other_threads)
{
	pthread_t thread;
	_Atomic(uint64_t) *other;

	REQUIRE(pthread_create(&thread, NULL, allocate_and_stay, NULL) == 0);
	while (atomic_load(&of_thread) == NULL)
		;
	other = (_Atomic(uint64_t) *)atomic_load(&of_thread);
	const uint64_t first = atomic_load(other);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t before = atomic_load(other);
		/* It ends, or the test takes too long. */
		while (atomic_load(other) == before)
			;
	}
	CHECK(atomic_load(other) > first);
	CHECK((uint64_t *)other != allocated_pointer());
	atomic_store(&may_end, true);
	pthread_join(thread, NULL);
}

/* ---------------------------------------------------------------- 2, 3 */

TEST(clause_2_names_may_be_partial_and_indices_replaced)
{
	size_t mib[8], length = 8;

	CHECK_EQ(t_mallctlnametomib("arena.0", mib, &length), 0);
	CHECK_EQ(length, 2);
	length = 8;
	CHECK_EQ(t_mallctlnametomib("arena.0.purge", mib, &length), 0);
	CHECK_EQ(length, 3);
	mib[1] = MALLCTL_ARENAS_ALL;
	CHECK_EQ(t_mallctlbymib(mib, length, NULL, NULL, NULL, 0), 0);
	length = 8;
	CHECK_EQ(t_mallctlnametomib("stats.arenas.0.pactive", mib, &length), 0);
	size_t value, value_length = sizeof value;
	mib[2] = MALLCTL_ARENAS_ALL;
	CHECK_EQ(t_mallctlbymib(mib, length, &value, &value_length, NULL, 0), 0);
	bool is_there;
	size_t is_there_length = sizeof is_there;
	length = 8;
	CHECK_EQ(t_mallctlnametomib("arena.0.initialized", mib, &length), 0);
	mib[1] = MALLCTL_ARENAS_DESTROYED;
	CHECK_EQ(t_mallctlbymib(mib, length, &is_there, &is_there_length, NULL, 0), 0);
	length = 8;
	CHECK_EQ(t_mallctlnametomib("arenas.bin.0.size", mib, &length), 0);
	mib[2] = 3;
	CHECK_EQ(t_mallctlbymib(mib, length, &value, &value_length, NULL, 0), 0);
	CHECK_EQ(value, CONFIG_LG_QUANTUM == 4 ? 48 : 32);
}

TEST(clause_3_the_number_of_arenas_means_all)
{
	unsigned n = 0;
	char name[40];

	CHECK_EQ(ctl("arenas.narenas", &n, sizeof n), 0);
	snprintf(name, sizeof name, "arena.%u.purge", n);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
	snprintf(name, sizeof name, "arena.%u.decay", n);
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
	CHECK_EQ(t_mallctl("arena.9999.purge", NULL, NULL, NULL, 0), ENOENT);
}

/* ---------------------------------------------------------------- 4, 5, 6 */

TEST(clause_4_a_wrong_length_copies_what_fits_and_says_so)
{
	uint64_t buffer = UINT64_MAX;
	unsigned n = 0;
	size_t length = sizeof buffer;

	CHECK_EQ(ctl("arenas.narenas", &n, sizeof n), 0);
	CHECK_EQ(t_mallctl("arenas.narenas", &buffer, &length, NULL, 0), EINVAL);
	CHECK_EQ(length, sizeof n);
	CHECK(memcmp(&buffer, &n, sizeof n) == 0);
	length = 2;
	uint32_t half = 0;
	CHECK_EQ(t_mallctl("arenas.page", &half, &length, NULL, 0), EINVAL);
	CHECK_EQ(length, 2);
}

TEST(clause_4_errors_say_what_was_wrong)
{
	size_t value = 0, length = sizeof value;
	bool wrong = false;

	CHECK_EQ(t_mallctl("no.such.node", &value, &length, NULL, 0), ENOENT);
	CHECK_EQ(t_mallctl("arena.0", &value, &length, NULL, 0), ENOENT);
	CHECK_EQ(t_mallctl("arenas.page", NULL, NULL, &value, sizeof value), EPERM);
	length = sizeof value;
	CHECK_EQ(t_mallctl("arena.0.purge", &value, &length, NULL, 0), EPERM);
	CHECK_EQ(t_mallctl("thread.tcache.enabled", NULL, NULL, &value, sizeof value),
	    EINVAL);
	CHECK_EQ(t_mallctl("arena.0.purge", NULL, NULL, NULL, 0), 0);
	CHECK_EQ(t_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
	/* Of Redis; jemalloc has none either. */
	CHECK_EQ(ctl("stats.arenas.0.small.resident", &value, sizeof value), ENOENT);
	CHECK_EQ(ctl("thread.tcache.enabled", &wrong, sizeof wrong), 0);
}

TEST(clause_5_a_write_of_epoch_refreshes_and_adds_one)
{
	uint64_t old = 0, new = 12345;
	size_t length = sizeof old, before = 0, stale = 0, after = 0;

	CHECK_EQ(t_mallctl("epoch", &old, &length, &new, sizeof new), 0);
	uint64_t then = 0;
	new = 1;
	CHECK_EQ(t_mallctl("epoch", &then, &length, &new, sizeof new), 0);
	CHECK_EQ(then, old + 1);
	CHECK_EQ(ctl("stats.allocated", &before, sizeof before), 0);
	void *p = t_malloc(10 << 20);
	CHECK_EQ(ctl("stats.allocated", &stale, sizeof stale), 0);
	CHECK_EQ(stale, before);
	CHECK_EQ(t_mallctl("epoch", NULL, NULL, &new, sizeof new), 0);
	CHECK_EQ(ctl("stats.allocated", &after, sizeof after), 0);
	CHECK(after >= before + (10 << 20));
	t_free(p);
}

TEST(clause_6_types_are_exact)
{
	static const struct {
		const char *name;
		size_t size;
	} nodes[] = {
		{ "arenas.bin.0.nregs", sizeof(uint32_t) },
		{ "arenas.bin.0.size", sizeof(size_t) },
		{ "arenas.bin.0.slab_size", sizeof(size_t) },
		{ "arenas.bin.0.nshards", sizeof(uint32_t) },
		{ "arenas.narenas", sizeof(unsigned) },
		{ "arenas.nbins", sizeof(unsigned) },
		{ "arenas.nlextents", sizeof(unsigned) },
		{ "arenas.page", sizeof(size_t) },
		{ "arenas.dirty_decay_ms", sizeof(ssize_t) },
		{ "arena.0.muzzy_decay_ms", sizeof(ssize_t) },
		{ "background_thread", sizeof(bool) },
		{ "max_background_threads", sizeof(size_t) },
		{ "thread.arena", sizeof(unsigned) },
		{ "thread.allocated", sizeof(uint64_t) },
		{ "thread.tcache.enabled", sizeof(bool) },
		{ "opt.narenas", sizeof(unsigned) },
		{ "opt.dss", sizeof(const char *) },
		{ "stats.arenas.0.nthreads", sizeof(unsigned) },
		{ "stats.arenas.0.bins.0.nmalloc", sizeof(uint64_t) },
		{ "stats.arenas.0.bins.0.curregs", sizeof(size_t) },
		{ "stats.mutexes.ctl.max_num_thds", sizeof(uint32_t) },
	};

	for (unsigned i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
		char value[16];
		/* Too short by one, exact, too long by one. */
		CHECK_EQ(ctl(nodes[i].name, value, nodes[i].size - 1), EINVAL);
		if (ctl(nodes[i].name, value, nodes[i].size) != 0)
			printf("# %s\n", nodes[i].name);
		CHECK_EQ(ctl(nodes[i].name, value, nodes[i].size), 0);
		CHECK_EQ(ctl(nodes[i].name, value, nodes[i].size + 1), EINVAL);
	}
}

/* ---------------------------------------------------------------- 7 */

TEST(clause_7_size_classes_are_those_that_programs_have_written_down)
{
	static const size_t quantum_16[] = { 8, 16, 32, 48, 64, 80, 96, 112, 128, 160,
		192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792,
		2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288,
		14336 };
	static const size_t quantum_8[] = { 8, 16, 24, 32, 40, 48, 56, 64 };
	unsigned nbins = 0;
	char name[40];
	size_t value = 0;

	CHECK_EQ(ctl("arenas.nbins", &nbins, sizeof nbins), 0);
	CHECK_EQ(nbins, CONFIG_LG_QUANTUM == 4 ? 36 : 39);
	for (unsigned i = 0; i < nbins; i++) {
		snprintf(name, sizeof name, "arenas.bin.%u.size", i);
		CHECK_EQ(ctl(name, &value, sizeof value), 0);
		if (CONFIG_LG_QUANTUM == 4)
			CHECK_EQ(value, quantum_16[i]);
		else
			CHECK_EQ(value, i < 8 ? quantum_8[i] : quantum_16[i - 3]);
		CHECK_EQ(t_nallocx(value, 0), value);
		CHECK(t_nallocx(value + 1, 0) > value);
	}
	CHECK_EQ(ctl("arenas.lextent.0.size", &value, sizeof value), 0);
	CHECK_EQ(value, 16384);
	CHECK_EQ(ctl("arenas.lextent.1.size", &value, sizeof value), 0);
	CHECK_EQ(value, 20480);
}

/* ---------------------------------------------------------------- 9 */

static char text[1 << 20];

static void
collect(void *unused, const char *more)
{
	(void)unused;
	const size_t length = strlen(text);
	snprintf(text + length, sizeof text - length, "%s", more);
}

TEST(clause_9_the_report_has_what_programs_look_for)
{
	text[0] = '\0';
	t_malloc_stats_print(collect, NULL, "");
	CHECK(strstr(text, "___ Begin ") != NULL);
	CHECK(strstr(text, "--- End ") != NULL);
	CHECK(strstr(text, "Allocated: ") != NULL);
	CHECK(strstr(text, "arenas[0]:") != NULL);
	text[0] = '\0';
	/* Every letter of jemalloc's. */
	t_malloc_stats_print(collect, NULL, "gmdablxeh");
	CHECK(strstr(text, "arenas[") == NULL);
	text[0] = '\0';
	t_malloc_stats_print(collect, NULL, "J");
	CHECK(text[strspn(text, " \t\n")] == '{');
	CHECK(strstr(text, "\"jemalloc\"") != NULL);
}

/* ---------------------------------------------------------------- 10 */

TEST(clause_10_null_zero_and_errno)
{
	errno = 123;
	t_free(NULL);
	void *p = t_malloc(100);
	t_free(p);
	p = t_malloc(5 << 20);
	t_free(p);
	CHECK_EQ(errno, 123);
	p = t_mallocx(100, 0);
	t_sdallocx(p, 100, 0);
	p = t_mallocx(100, 0);
	t_sdallocx(p, t_sallocx(p, 0), 0);
	p = t_mallocx(100, 0);
	CHECK(t_rallocx(p, (size_t)PTRDIFF_MAX, 0) == NULL);
	CHECK_EQ(errno, ENOMEM);
	CHECK(t_realloc(p, 0) == NULL);
	const char *policy = NULL;
	CHECK_EQ(ctl("opt.zero_realloc", &policy, sizeof policy), 0);
	CHECK_STR(policy, "free");
}

/* ---------------------------------------------------------------- 16 */

TEST(clause_16_the_version_can_be_parsed_and_says_who_we_are)
{
	const char *version = NULL;
	unsigned major = 0, minor = 0, bugfix = 0, nrev = 0;
	char id[64], us[64];

	CHECK_EQ(ctl("version", &version, sizeof version), 0);
	CHECK_EQ(sscanf(version, "%u.%u.%u-%u-g%63[0-9a-f] %63s", &major, &minor, &bugfix,
		     &nrev, id, us),
	    6);
	CHECK(major * 10000 + minor * 100 + bugfix >= 50301);
	CHECK_STR(us, "tract-" TRACT_VERSION);
}
