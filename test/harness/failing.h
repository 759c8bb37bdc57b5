/* SPDX-License-Identifier: MIT */
/*
 * failing -- every call fails once: what is under test runs over and over, each time in a child of
 * its own, with the k-th call failed, for k = 1, 2, ... until it ends before the k-th.  Then again
 * with all calls failed from the k-th on.
 *
 *	for (fail_how = FAIL_ONCE; fail_how <= FAIL_FROM_THEN_ON; fail_how++)
 *		for (fail_at = 1; run_child("name", child, argument); fail_at++)
 *			;
 */
#ifndef TEST_HARNESS_FAILING_H
#define TEST_HARNESS_FAILING_H

#include "harness/test.h"

/* How a child ends. */
enum { CHILD_DONE = 0, CHILD_FAILED = 1, CHILD_NOT_REACHED = 3 };
enum extent_of_failure { FAIL_ONCE, FAIL_FROM_THEN_ON };

static unsigned fail_at;
static enum extent_of_failure fail_how;

static TEST_UNUSED bool
must_fail(unsigned nth)
{
	return fail_how == FAIL_ONCE ? nth == fail_at : nth >= fail_at;
}

static TEST_UNUSED const char *
how_it_fails(void)
{
	return fail_how == FAIL_ONCE ? "once" : "from then on";
}

/* Of a process in which so many calls have failed. */
static TEST_UNUSED int
child_verdict(unsigned n_failed)
{
	fflush(stdout);
	return atomic_load(&test_failures) != 0 ? CHILD_FAILED
	    : n_failed == 0                     ? CHILD_NOT_REACHED
						: CHILD_DONE;
}

/* `child' exits with a verdict.  True: go on with the next k. */
static TEST_UNUSED bool
run_child(const char *name, void (*child)(const void *), const void *of_child)
{
	int status;

	fflush(NULL);
	const pid_t pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(60);
		atomic_store(&test_failures, 0);
		child(of_child);
		_exit(CHILD_FAILED);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NOT_REACHED)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_DONE) {
		test_fail(__FILE__, __LINE__, "the child failed");
		printf("#   %s, k = %u, %s: status 0x%x\n", name, fail_at, how_it_fails(),
		    (unsigned)status);
	}
	return atomic_load(&test_failures) < TEST_MESSAGES;
}

#endif
