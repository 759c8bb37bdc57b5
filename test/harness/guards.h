/* SPDX-License-Identifier: MIT */
/*
 * guards -- does touching a byte fault, and how many calls put guards up or take them down?
 */
#ifndef TEST_HARNESS_GUARDS_H
#define TEST_HARNESS_GUARDS_H

#include <setjmp.h>

#include "harness/test.h"
#include "os/guard.h"
#include "os/inject.h"

static sigjmp_buf guards_return;
static volatile uintptr_t guards_fault;

static void
guards_on_fault(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	guards_fault = (uintptr_t)info->si_addr;
	siglongjmp(guards_return, 1);
}

/* Sanitizers look at where a program writes; this is not about them. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static TEST_UNUSED void
guards_write(volatile char *p)
{
	*p = 7;
}

/* Does writing this very byte fault?  Keeps errno: TSan sets it for a handler that never returns.
 */
static TEST_UNUSED bool
guards_stop(void *p)
{
	const int saved_errno = errno;
	struct sigaction action = { .sa_sigaction = guards_on_fault,
		.sa_flags = SA_SIGINFO },
			 old_segv, old_bus;

	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	guards_fault = 0;
	if (sigsetjmp(guards_return, 1) == 0)
		guards_write(p);
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	errno = saved_errno;
	return guards_fault == (uintptr_t)p;
}

/* The bytes next to [addr, addr + size), and those a page away, fault; first and last do not. */
static TEST_UNUSED bool
guards_enclose(void *addr, size_t size, size_t page)
{
	char *first = addr, *end = first + size;

	return guards_stop(first - 1) && guards_stop(first - page) && guards_stop(end)
	    && guards_stop(end + page - 1) && !guards_stop(first)
	    && !guards_stop(end - 1);
}

/* ---- Calls, in debug builds. ---- */

static _Atomic(unsigned) guards_n_calls; /* of both kinds */
static unsigned guards_fail_at;          /* the how manieth fails; 0: none */
static unsigned guards_fail_n;           /* and so many more */
static int guards_fail_with = ENOMEM;

static TEST_UNUSED int
guards_inject(const char *what)
{
	if (strcmp(what, "guard") != 0 && strcmp(what, "protect") != 0)
		return 0;
	const unsigned nth = ++guards_n_calls;
	return guards_fail_at != 0 && nth >= guards_fail_at
		&& nth - guards_fail_at <= guards_fail_n
	    ? guards_fail_with
	    : 0;
}

/* Count from now on; the at-th and n more fail. */
static TEST_UNUSED void
guards_fail(unsigned at, unsigned n)
{
	guards_n_calls = 0;
	guards_fail_at = at;
	guards_fail_n = n;
	os_inject = guards_inject;
}

static TEST_UNUSED unsigned
guards_end_count(void)
{
	os_inject = NULL;
	return guards_n_calls;
}

/* Has the kernel markers?  To be asked while no guard is up. */
static TEST_UNUSED bool
guards_have_markers(void *page, size_t size)
{
	const enum os_guards before = load_relaxed(&os_guards);

	store_relaxed(&os_guards, OS_GUARDS_UNKNOWN);
	REQUIRE(os_guard(page, size) && os_unguard(page, size));
	const bool have = load_relaxed(&os_guards) == OS_GUARDS_MARKERS;
	store_relaxed(&os_guards, before);
	return have;
}

#endif
