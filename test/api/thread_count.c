/* SPDX-License-Identifier: MIT */
/*
 * What is told of the bytes that threads allocate: peaks, and calls every so many bytes.
 */
#include <pthread.h>
#include <tract/tract.h>

#include "harness/test.h"

static uint64_t
u64_node(const char *name)
{
	uint64_t value = 0;
	size_t length = sizeof value;

	CHECK_EQ(t_mallctl(name, &value, &length, NULL, 0), 0);
	return value;
}

static void
run(const char *name)
{
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
}

TEST(the_peak_is_the_most_that_was_held_at_once)
{
	run("thread.peak.reset");
	CHECK_EQ(u64_node("thread.peak.read"), 0);
	void *p = t_malloc(1000), *q = t_malloc(2 << 20);
	t_free(p);
	p = t_malloc(1000);
	CHECK_EQ(u64_node("thread.peak.read"), 1024 + (2 << 20));
	t_free(q);
	CHECK_EQ(u64_node("thread.peak.read"), 1024 + (2 << 20));
	/* Less than at the start is no peak. */
	run("thread.peak.reset");
	t_free(p);
	CHECK_EQ(u64_node("thread.peak.read"), 0);
	p = t_malloc(500);
	CHECK_EQ(u64_node("thread.peak.read"), 0);
	p = t_realloc(p, 3000);
	CHECK_EQ(u64_node("thread.peak.read"), 512 + 3072 - 1024);
	t_free(p);
}

/* ---- Hooks. ---- */

struct hook {
	void (*call)(bool is_alloc, uint64_t allocated, uint64_t deallocated);
	uint64_t interval;
	bool is_alloc_only;
};

static _Thread_local unsigned n_allocs, n_frees, n_only, n_nested;
static _Thread_local uint64_t last_allocated;

static void
on_bytes(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
	(void)deallocated;
	if (is_alloc) {
		n_allocs++;
		CHECK(allocated - last_allocated >= 10000 - 5120);
		last_allocated = allocated;
	} else {
		n_frees++;
	}
}

static void
on_allocated(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
	(void)allocated, (void)deallocated;
	CHECK(is_alloc);
	n_only++;
}

/* Allocates itself: that calls nobody. */
static void
on_nested(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
	static _Thread_local bool is_inside;

	(void)is_alloc, (void)allocated, (void)deallocated;
	CHECK(!is_inside);
	is_inside = true;
	n_nested++;
	errno = 77;
	t_free(t_malloc(5000));
	is_inside = false;
}

static int
add(void (*call)(bool, uint64_t, uint64_t), uint64_t interval, bool is_alloc_only)
{
	const struct hook hook = { call, interval, is_alloc_only };

	return t_mallctl("experimental.hooks.thread_event", NULL, NULL, (void *)&hook,
	    sizeof hook);
}

static void *
allocate(void *arg)
{
	(void)arg;
	n_allocs = n_frees = n_only = n_nested = 0;
	errno = 1;
	for (unsigned i = 0; i < 10000; i++)
		t_free(t_malloc(100)); /* 112 bytes */
	CHECK_EQ(errno, 1);
	/* 1,120,000 bytes, and what a hook allocates. */
	const unsigned nested = n_nested;
	CHECK(nested > 100);
	CHECK(n_allocs >= 110 && n_allocs <= 114 + nested * 52 / 100);
	CHECK(n_frees >= 110 && n_frees <= 114 + nested * 52 / 100);
	CHECK(n_only >= 1110 && n_only <= 1120 + nested * 6);
	return NULL;
}

static _Atomic(int) stage;

/* Already at work when the first hook comes: it is noticed in time. */
static void *
late(void *arg)
{
	(void)arg;
	t_free(t_malloc(100));
	stage = 1;
	while (stage != 2)
		;
	void *p[64] = { NULL };
	unsigned i = 0;
	for (; i < 1000000 && n_allocs == 0; i++) {
		t_free(p[i % 64]);
		p[i % 64] = t_malloc(100);
	}
	printf("# noticed after %u calls\n", i);
	CHECK(n_allocs != 0);
	for (i = 0; i < 64; i++)
		t_free(p[i]);
	return NULL;
}

TEST(hooks_are_called_every_so_many_bytes_by_every_thread)
{
	pthread_t old, young;

	REQUIRE(pthread_create(&old, NULL, late, NULL) == 0);
	while (stage != 1)
		;
	CHECK_EQ(add(NULL, 100, false), EINVAL);
	CHECK_EQ(add(on_bytes, 0, false), EINVAL);
	CHECK_EQ(add(on_bytes, 10000, false), 0);
	CHECK_EQ(add(on_allocated, 1000, true), 0);
	CHECK_EQ(add(on_nested, 10000, true), 0);
	stage = 2;
	REQUIRE(pthread_create(&young, NULL, allocate, NULL) == 0);
	pthread_join(young, NULL);
	pthread_join(old, NULL);
	allocate(NULL);
	/* Four slots. */
	CHECK_EQ(add(on_allocated, 1 << 30, true), 0);
	CHECK_EQ(add(on_allocated, 1 << 30, true), EINVAL);
}

TEST(one_big_object_calls_once)
{
	n_only = 0;
	t_free(t_malloc(10 << 20));
	CHECK(n_only >= 1 && n_only <= 2);
}
