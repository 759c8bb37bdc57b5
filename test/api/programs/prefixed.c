/* SPDX-License-Identifier: MIT */
/*
 * prefixed -- copies of tract with prefixes of their own in one process, beside its malloc.
 *
 * Compiled once with -DFIRST=a_ -DSECOND=b_ and linked with the archives of two builds.  Each copy
 * has its own options, arenas and objects; a pointer of one is nothing to the other.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define A(name) PASTE(FIRST, name)
#define B(name) PASTE(SECOND, name)

#define DECLARE(X) \
	void *X(malloc)(size_t); \
	void *X(mallocx)(size_t, int); \
	void X(free)(void *); \
	size_t X(sallocx)(const void *, int); \
	int X(mallctl)(const char *, void *, size_t *, void *, size_t); \
	extern const char *X(malloc_conf);
DECLARE(A)
DECLARE(B)

const char *A(malloc_conf) = "narenas:1";
const char *B(malloc_conf) = "narenas:2";

static int failures;

static void
check(bool is_good, const char *what)
{
	if (!is_good) {
		puts(what);
		failures++;
	}
}

typedef int control(const char *, void *, size_t *, void *, size_t);

static unsigned
arenas(control *ctl)
{
	unsigned n = 0;
	size_t length = sizeof n;

	check(ctl("opt.narenas", &n, &length, NULL, 0) == 0, "no opt.narenas");
	return n;
}

static uint64_t
allocated(control *ctl)
{
	uint64_t n = 0;
	size_t length = sizeof n;

	check(ctl("thread.allocated", &n, &length, NULL, 0) == 0, "no thread.allocated");
	return n;
}

/* Objects of both, and of the process's malloc, in turn; freed in another order. */
static void *
mix(void *unused)
{
	enum { N = 3000 };
	static __thread char *a[N], *b[N], *c[N];

	(void)unused;
	for (unsigned i = 0; i < N; i++) {
		a[i] = A(malloc)(i % 500 + 1);
		b[i] = B(malloc)(i % 700 + 1);
		c[i] = malloc(i % 300 + 1);
		memset(a[i], 'a', i % 500 + 1);
		memset(b[i], 'b', i % 700 + 1);
		memset(c[i], 'c', i % 300 + 1);
	}
	for (unsigned i = N; i-- != 0;) {
		check(*a[i] == 'a' && *b[i] == 'b' && *c[i] == 'c', "objects overlap");
		B(free)(b[i]);
		free(c[i]);
		A(free)(a[i]);
	}
	return NULL;
}

int
main(void)
{
	pthread_t threads[4];

	check(arenas(A(mallctl)) == 1, "the first has not its own options");
	check(arenas(B(mallctl)) == 2, "the second has not its own options");
	const uint64_t before = allocated(B(mallctl));
	(void)allocated(A(mallctl));
	void *p = A(mallocx)(100, 0);
	check(allocated(B(mallctl)) == before, "the second counts the first's");
	check(allocated(A(mallctl)) >= 100, "the first does not count");
	check(A(sallocx)(p, 0) >= 100, "sallocx");
	A(free)(p);
	for (unsigned i = 0; i < 4; i++)
		check(pthread_create(&threads[i], NULL, mix, NULL) == 0, "no thread");
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	const pid_t child = fork();
	if (child == 0) {
		mix(NULL);
		_exit(failures != 0);
	}
	int status = 1;
	check(child > 0 && waitpid(child, &status, 0) == child && status == 0,
	    "in a child");
	return failures != 0;
}
