/* SPDX-License-Identifier: MIT */
#include "cache/shape.h"

#include <tract/tract.h>

#include "cache/tcache.h"
#include "extent/emap.h"
#include "harness/test.h"
#include "thread/thread.h"

#define N 2000

static void *objects[N];

/* How many of N objects of a size come from slabs that some thread owns. */
static unsigned
n_owned(size_t size)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++) {
		objects[i] = t_malloc(size);
		const struct edata *e = emap_lookup(objects[i]);
		n += e->use == USE_SLAB && load_relaxed(&e->owner) != NULL;
	}
	for (unsigned i = 0; i < N; i++)
		t_free(objects[i]);
	return n;
}

static int
set_max(size_t max)
{
	return t_mallctl("thread.tcache.max", NULL, NULL, &max, sizeof max);
}

static size_t
get_max(void)
{
	size_t max = 77, length = sizeof max;

	CHECK_EQ(t_mallctl("thread.tcache.max", &max, &length, NULL, 0), 0);
	return max;
}

static int
set_slots(const char *text)
{
	return t_mallctl("thread.tcache.ncached_max.write", NULL, NULL, &text,
	    sizeof text);
}

static size_t
get_slots(size_t size)
{
	size_t slots = 77, length = sizeof slots;
	const int rc = t_mallctl("thread.tcache.ncached_max.read_sizeclass", &slots,
	    &length, &size, sizeof size);

	if (rc != 0)
		CHECK_EQ(rc, EINVAL);
	return rc == 0 ? slots : SIZE_MAX;
}

TEST(no_object_above_the_largest_comes_from_own_slabs)
{
	CHECK_EQ(get_max(), 32768);
	CHECK(n_owned(1000) > N / 2);
	CHECK(n_owned(2000) > N / 2);
	CHECK_EQ(set_max(1000), 0);
	CHECK_EQ(get_max(), 1024);
	CHECK(n_owned(1000) > N / 2);
	CHECK_EQ(n_owned(2000), 0);
	CHECK_EQ(n_owned(20000), 0);
	CHECK_EQ(get_slots(2000), SIZE_MAX);
	CHECK_EQ(set_max(0), 0);
	CHECK_EQ(get_max(), 0);
	CHECK_EQ(n_owned(8), 0);
	CHECK_EQ(set_max(SIZE_MAX), 0);
	CHECK_EQ(get_max(), 32768);
	CHECK(n_owned(2000) > N / 2);
}

static size_t
empty_bytes(unsigned szind)
{
	const struct tcache *tc = thread_self->tcache;
	size_t bytes = 0;

	for (const struct edata *e = tc->classes[szind].empty; e != NULL;) {
		bytes += e->size;
		e = e->link.next == NULL ? NULL
					 : LIST_ENTRY(e->link.next, struct edata, link);
	}
	return bytes;
}

TEST(empty_slabs_are_kept_within_their_slots)
{
	const unsigned szind = size_class_of(512);
	const struct slab_geometry *g = &slab_geometry[szind];
	char text[64];

	CHECK_EQ(get_slots(512), TCACHE_EMPTY_MAX / g->slab_size * g->nregs);
	CHECK_EQ(t_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
	(void)n_owned(512);
	CHECK(empty_bytes(szind) > g->slab_size || CONFIG_HOSTILE);
	snprintf(text, sizeof text, "512-512:%u|1024-2048:0", g->nregs);
	CHECK_EQ(set_slots(text), 0);
	CHECK_EQ(get_slots(500), g->nregs);
	CHECK_EQ(get_slots(2048), 0);
	CHECK_EQ(empty_bytes(szind), 0);
	CHECK(n_owned(512) > N / 2);
	CHECK(empty_bytes(szind) <= g->slab_size);
	CHECK(empty_bytes(szind) != 0 || CONFIG_HOSTILE);
	CHECK_EQ(n_owned(2048), 0);
	CHECK(n_owned(3000) > N / 2);
	/* What was not named stays as it was. */
	CHECK_EQ(set_slots("8-64:100"), 0);
	CHECK_EQ(get_slots(512), g->nregs);
	CHECK_EQ(get_slots(40), 100);
	tcache_check(thread_self->tcache);
}

TEST(bad_texts_are_refused)
{
	static const char *const bad[] = { "8", "8-64", "8-64:", "64-8:3", "8-64:1|",
		"a-b:c", "8-64:1,8-64:1", NULL };
	char large[1100];

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_EQ(set_slots(bad[i]), EINVAL);
	memset(large, '1', sizeof large);
	large[sizeof large - 1] = '\0';
	CHECK_EQ(set_slots(large), EINVAL);
	bool off = false, on = true;
	CHECK_EQ(t_mallctl("thread.tcache.enabled", NULL, NULL, &off, sizeof off), 0);
	CHECK_EQ(set_slots("8-64:100"), ENOENT);
	CHECK_EQ(t_mallctl("thread.tcache.enabled", NULL, NULL, &on, sizeof on), 0);
}

TEST(a_shape_goes_with_its_thread_to_other_arenas)
{
	unsigned mine = 0, other = 0;
	size_t length = sizeof mine;

	CHECK_EQ(set_max(64), 0);
	CHECK_EQ(t_mallctl("thread.arena", &mine, &length, NULL, 0), 0);
	CHECK_EQ(t_mallctl("arenas.create", &other, &length, NULL, 0), 0);
	CHECK_EQ(t_mallctl("thread.arena", NULL, NULL, &other, sizeof other), 0);
	CHECK_EQ(get_max(), 64);
	CHECK_EQ(t_mallctl("thread.arena", NULL, NULL, &mine, sizeof mine), 0);
	CHECK_EQ(get_max(), 64);
	CHECK_EQ(n_owned(100), 0);
	CHECK(n_owned(64) > N / 2);
}

TEST(options_shape_every_tcache)
{
	static const uint16_t *const none = NULL;
	static uint16_t list[OPTION_LIST_MAX];

	for (unsigned i = 0; i < OPTION_LIST_MAX; i++)
		list[i] = OPTION_LIST_UNSET;
	list[3] = 7;
	tcache_shape_boot();
	CHECK(tcache_shape_default == NULL);
	opt.tcache_max = 4096;
	opt.tcache_ncached_max = list;
	tcache_shape_boot();
	const struct tcache_shape *shape = tcache_shape_default;
	REQUIRE(shape != NULL);
	CHECK_EQ(tcache_shape_max(shape), 4096);
	CHECK_EQ(tcache_shape_slots(shape, 3), 7);
	CHECK(tcache_shape_serves(shape, size_class_of(4096)));
	CHECK(!tcache_shape_serves(shape, size_class_of(4097)));
	opt.tcache_ncached_max = none;
	opt.tcache_max = 32768;
}
