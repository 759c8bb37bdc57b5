/* SPDX-License-Identifier: MIT */
/*
 * Fork storms: test/api/programs/fork.c with the library under its test names, so that the debug,
 * hostile and sanitized builds see it, too; and other libraries' fork handlers around ours.
 */
#include "tract_config.h"

#define malloc API(malloc)
#define realloc API(realloc)
#define free API(free)
#define main fork_main
#include <stddef.h>
void *malloc(size_t size);
void *realloc(void *p, size_t size);
void free(void *p);
#include "test/api/programs/fork.c"
#undef malloc
#undef realloc
#undef free
#undef main

#include "harness/test.h"

/* A sanitizer's runtime has locks of its own, and threads that a fork child lacks. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif
#define FORKS(n, n_sanitized) (IS_SANITIZED ? n_sanitized : n)

static atomic_bool are_early_handlers_on;

static void
allocate_early(void)
{
	if (atomic_load(&are_early_handlers_on))
		allocate_in_handler();
}

/* Registered before the library's: run after it before a fork, and before it in the child. */
__attribute__((constructor(101))) static void
register_early(void)
{
	pthread_atfork(allocate_early, allocate_early, allocate_early);
}

static int
run(const char *mode, const char *n)
{
	char *arguments[] = { "fork", (char *)mode, (char *)n, NULL };

	atomic_store(&stop, 0);
	atomic_store(&n_bad, 0);
	n_forked = n_reaped = 0;
	return fork_main(3, arguments);
}

TEST(children_work_among_threads)
{
	CHECK_EQ(run("threads", FORKS("150", "60")), 0);
}

TEST(children_work_when_several_threads_fork)
{
	CHECK_EQ(run("many", FORKS("150", "60")), 0);
}

TEST(children_work_when_a_signal_interrupts_malloc)
{
	if (IS_SANITIZED)
		SKIP("a signal may interrupt the sanitizer");
	CHECK_EQ(run("signals", FORKS("600", "200")), 0);
}

TEST(children_work_with_handlers_registered_before_ours)
{
	atomic_store(&are_early_handlers_on, true);
	CHECK_EQ(run("threads", FORKS("200", "40")), 0);
	atomic_store(&are_early_handlers_on, false);
}

/* Last: these handlers stay. */
TEST(children_work_with_handlers_registered_after_ours)
{
	CHECK_EQ(run("handlers", FORKS("200", "40")), 0);
}
