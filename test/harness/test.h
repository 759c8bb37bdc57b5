/* SPDX-License-Identifier: MIT */
/*
 * test -- the whole test harness: one header, one program a test file.
 *
 *	TEST(smallest_class_holds_one_byte)
 *	{
 *		CHECK(size_to_szind(1) == 0);
 *		CHECK_EQ(szind_to_size(0), 8);
 *	}
 *
 * TEST registers itself; main is here, runs every test in the order of the file, or those whose
 * names contain one of the arguments, and prints TAP.  A failing CHECK is counted and the test goes
 * on; a failing REQUIRE ends the program, for what no later line survives.  Both may be used from
 * any thread.  The harness uses libc's malloc and stdio: in test builds the library's public
 * symbols have the prefix `t_', so libc's stay libc's.
 *
 * A program that wants its own main defines TEST_OWN_MAIN and returns test_run(argc, argv).
 */
#ifndef TEST_HARNESS_TEST_H
#define TEST_HARNESS_TEST_H

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_UNUSED __attribute__((unused))

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

static struct test_case *test_first, **test_last = &test_first;
static _Atomic(unsigned) test_failures; /* failed checks of the running test */
static const char *test_skip_reason;    /* set by SKIP in the running test */
static uint64_t test_seed_value;        /* 0: not drawn yet */

#define TEST(name_) \
	static void test_##name_(void); \
	__attribute__((constructor)) static void test_register_##name_(void) \
	{ \
		static struct test_case self = { #name_, test_##name_, NULL }; \
		*test_last = &self; \
		test_last = &self.next; \
	} \
	static void test_##name_(void)

/* Leaves the running test function, which counts as skipped. */
#define SKIP(reason) \
	do { \
		test_skip_reason = (reason); \
		return; \
	} while (0)

/* More than this many lines a test tell nothing new. */
#define TEST_MESSAGES 10

static TEST_UNUSED void
test_fail(const char *file, int line, const char *what)
{
	unsigned nth = atomic_fetch_add(&test_failures, 1);
	if (nth < TEST_MESSAGES)
		printf("# %s:%d: %s\n", file, line, what);
	else if (nth == TEST_MESSAGES)
		printf("# more failures not shown\n");
	fflush(stdout);
}

static TEST_UNUSED void
test_fail_eq(const char *file, int line, const char *what, uintmax_t a, uintmax_t b)
{
	char text[512];
	snprintf(text, sizeof(text),
	    "%s: %" PRIuMAX " (0x%" PRIxMAX ") and %" PRIuMAX " (0x%" PRIxMAX ")", what,
	    a, a, b, b);
	test_fail(file, line, text);
}

#define CHECK(e) ((e) ? (void)0 : test_fail(__FILE__, __LINE__, "CHECK(" #e ")"))

#define CHECK_EQ(a, b) \
	do { \
		uintmax_t test_a = (uintmax_t)(a), test_b = (uintmax_t)(b); \
		if (test_a != test_b) \
			test_fail_eq(__FILE__, __LINE__, "CHECK_EQ(" #a ", " #b ")", \
			    test_a, test_b); \
	} while (0)

#define CHECK_STR(a, b) \
	do { \
		const char *test_a = (a), *test_b = (b); \
		if (strcmp(test_a, test_b) != 0) { \
			test_fail(__FILE__, __LINE__, "CHECK_STR(" #a ", " #b ")"); \
			printf("#   \"%s\"\n#   \"%s\"\n", test_a, test_b); \
		} \
	} while (0)

#define REQUIRE(e) \
	do { \
		if (!(e)) { \
			test_fail(__FILE__, __LINE__, "REQUIRE(" #e ")"); \
			printf("Bail out!\n"); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

/*
 * The seed of this run: TEST_SEED of the environment, or a fresh one.  Printed when it is drawn, so
 * that it is known even when the program crashes (test/harness/run shows the output of failures).
 */
static TEST_UNUSED uint64_t
test_seed(void)
{
	if (test_seed_value != 0)
		return test_seed_value;
	const char *given = getenv("TEST_SEED");
	if (given != NULL) {
		test_seed_value = strtoull(given, NULL, 0);
	} else {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		test_seed_value = (uint64_t)now.tv_nsec * 2654435761u
		    ^ (uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid();
	}
	if (test_seed_value == 0)
		test_seed_value = 1;
	printf("# TEST_SEED=%" PRIu64 "\n", test_seed_value);
	fflush(stdout);
	return test_seed_value;
}

/* The next number of a sequence that starts with any *state (splitmix64). */
static TEST_UNUSED uint64_t
test_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Uniform enough in [0, limit). */
static TEST_UNUSED uint64_t
test_random_below(uint64_t *state, uint64_t limit)
{
	return test_random(state) % limit;
}

#ifdef TEST_COVERAGE
/* A dying child's counts would be lost: write them before the signal kills. */
extern void __gcov_dump(void);

static void
test_dump_coverage(int signal_number)
{
	__gcov_dump();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}
#endif

/* The child of test_dies: no core file, stderr into the pipe. */
static TEST_UNUSED void
test_dies_child(void (*misuse)(void), int pipe_end)
{
	const struct rlimit no_core = { 0, 0 };
	setrlimit(RLIMIT_CORE, &no_core);
	dup2(pipe_end, STDERR_FILENO);
#ifdef TEST_COVERAGE
	signal(SIGABRT, test_dump_coverage);
#endif
	misuse();
	_exit(0);
}

/* Does `misuse', run in a child, die by SIGABRT with `expected' in the first line of its stderr? */
static TEST_UNUSED void
test_dies_at(const char *file, int line, void (*misuse)(void), const char *expected)
{
	char output[4096];
	size_t length = 0;
	int ends[2], status = 0;
	ssize_t got;

	fflush(NULL);
	REQUIRE(pipe(ends) == 0);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0)
		test_dies_child(misuse, ends[1]);
	close(ends[1]);
	while ((got = read(ends[0], output + length, sizeof(output) - 1 - length)) > 0)
		length += (size_t)got;
	output[length] = '\0';
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
		test_fail(file, line, "did not die by SIGABRT");
		printf("#   wait status 0x%x, stderr: %s\n", (unsigned)status, output);
	}
	char *newline = strchr(output, '\n');
	if (newline != NULL)
		*newline = '\0';
	if (strstr(output, expected) == NULL) {
		test_fail(file, line, "the first line does not say why");
		printf("#   expected: %s\n#   got:      %s\n", expected, output);
	}
}

#define test_dies(misuse, expected) test_dies_at(__FILE__, __LINE__, (misuse), (expected))

static TEST_UNUSED bool
test_is_selected(const struct test_case *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(test->name, argv[i]) != NULL)
			return true;
	return argc < 2;
}

static TEST_UNUSED int
test_run(int argc, char **argv)
{
	unsigned n = 0, n_failed = 0;
	for (struct test_case *test = test_first; test != NULL; test = test->next) {
		if (!test_is_selected(test, argc, argv))
			continue;
		atomic_store(&test_failures, 0);
		test_skip_reason = NULL;
		test->run();
		bool failed = atomic_load(&test_failures) != 0;
		n++;
		n_failed += failed;
		printf("%s %u - %s", failed ? "not ok" : "ok", n, test->name);
		if (test_skip_reason != NULL && !failed)
			printf(" # SKIP %s", test_skip_reason);
		putchar('\n');
		fflush(stdout);
	}
	printf("1..%u\n", n);
	return n == 0 || n_failed != 0;
}

#ifndef TEST_OWN_MAIN
int
main(int argc, char **argv)
{
	return test_run(argc, argv);
}
#endif

#endif
