/* SPDX-License-Identifier: MIT */
/*
 * fork -- children that must work, whatever the parent's threads were doing.
 *
 *	fork threads N   N forks from one thread among some that allocate and use stdio
 *	fork handlers N  the same, with other fork handlers that allocate, before and after malloc's
 *	fork signals N   N forks from a signal handler, most of which interrupt malloc or free
 *	fork many N      forks from several threads at once
 *
 * Each child allocates every way, frees what the parent's threads allocated, starts a thread, and
 * forks again; it is killed by its alarm when it hangs.  Exits with the number of bad children.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_THREADS 3
#define N_SHARED 1024
#define CHILD_SECONDS 20

/* ThreadSanitizer knows no threads of a child.  AddressSanitizer frees memory for a new thread, and
 * a thread that the child lacks may hold its allocator's lock. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define CAN_START_THREADS 0
#else
#define CAN_START_THREADS 1
#endif

static _Atomic(void *)
    shared[N_SHARED]; /* handed from thread to thread, and to children */
static atomic_int stop;
static atomic_int n_bad;
static volatile sig_atomic_t
    is_child; /* set by a handler that forked: the child goes on */

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t
random_size(uint64_t *state)
{
	const uint64_t r = next_random(state);

	return (size_t)(r >> 8) % ((size_t)16 << (r % 14));
}

static void
churn(uint64_t *state)
{
	const size_t size = random_size(state);
	char *p = malloc(size + 1);

	if (p == NULL)
		_exit(3);
	p[0] = p[size] = 1;
	p = realloc(p, random_size(state) + 1);
	p[0] = 2;
	free(atomic_exchange(&shared[next_random(state) % N_SHARED], p));
}

static void *
churn_and_print(void *arg)
{
	uint64_t state = (uintptr_t)arg * 2654435761u + 1;

	while (!atomic_load(&stop)) {
		for (int i = 0; i < 50; i++)
			churn(&state);
		FILE *file = fopen("/dev/null", "w");
		if (file != NULL) {
			fprintf(file, "%d %f\n", 1, 2.5);
			fflush(NULL);
			fclose(file);
		}
	}
	return NULL;
}

static void *
churn_some(void *arg)
{
	uint64_t state = (uintptr_t)arg + 77;

	for (int i = 0; i < 300; i++)
		churn(&state);
	return NULL;
}

/* How a child ended: 0 well. */
static int
wait_for(pid_t child)
{
	int status = 0;

	if (child < 0)
		return 1;
	while (waitpid(child, &status, 0) < 0)
		;
	if (status != 0)
		fprintf(stderr, "child: wait status 0x%x\n", status);
	return status != 0;
}

static void
use_heap(int generation)
{
	pthread_t thread;
	uint64_t state = (uint64_t)getpid() * 2654435761u + 1;

	for (int i = 0; i < 300; i++)
		churn(&state);
	for (int i = 0; i < N_SHARED; i++)
		free(atomic_exchange(&shared[i], NULL));
	if (CAN_START_THREADS
	    && pthread_create(&thread, NULL, churn_some, (void *)1) != 0)
		_exit(4);
	churn_some((void *)2);
	if (CAN_START_THREADS)
		pthread_join(thread, NULL);
	if (generation < 2) {
		pid_t child = fork();
		if (child == 0) {
			alarm(CHILD_SECONDS);
			use_heap(generation + 1);
			_exit(0);
		}
		if (wait_for(child) != 0)
			_exit(5);
	}
}

static void
fork_once(void)
{
	pid_t child = fork();

	if (child == 0) {
		alarm(CHILD_SECONDS);
		use_heap(1);
		_exit(0);
	}
	atomic_fetch_add(&n_bad, wait_for(child));
}

static void *
fork_often(void *arg)
{
	for (int i = 0; i < (int)(intptr_t)arg; i++)
		fork_once();
	return NULL;
}

static void
allocate_in_handler(void)
{
	static uint64_t state = 99;

	for (int i = 0; i < 20; i++)
		churn(&state);
}

static void
with_threads(int n, void *(*main_part)(void *))
{
	pthread_t threads[N_THREADS];

	for (intptr_t i = 0; i < N_THREADS; i++)
		pthread_create(&threads[i], NULL, churn_and_print, (void *)i);
	if (main_part == NULL) {
		for (int i = 0; i < n; i++)
			fork_once();
	} else {
		pthread_t forkers[N_THREADS];
		for (int i = 0; i < N_THREADS; i++)
			pthread_create(&forkers[i], NULL, main_part,
			    (void *)(intptr_t)(n / N_THREADS));
		for (int i = 0; i < N_THREADS; i++)
			pthread_join(forkers[i], NULL);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
}

static volatile sig_atomic_t n_forked, n_reaped;

/* Every second child goes on with what was interrupted, and then proves that the heap works. */
static void
on_signal(int number)
{
	(void)number;
	if (is_child)
		return;
	pid_t child = fork();
	if (child == 0) {
		alarm(CHILD_SECONDS);
		if (n_forked % 2 == 0)
			_exit(0);
		is_child = 1;
		return;
	}
	if (child > 0)
		n_forked++;
}

static void
reap(int options)
{
	int status;

	while (waitpid(-1, &status, options) > 0) {
		n_reaped++;
		if (status != 0) {
			fprintf(stderr, "child: wait status 0x%x\n", status);
			atomic_fetch_add(&n_bad, 1);
		}
	}
}

static void
from_signals(int n)
{
	const struct itimerval interval = { { 0, 700 }, { 0, 700 } };
	const struct itimerval none = { { 0, 0 }, { 0, 0 } };
	uint64_t state = 5;

	signal(SIGALRM, on_signal);
	signal(SIGPROF, on_signal);
	setitimer(ITIMER_PROF, &interval, NULL);
	while (n_forked < n && !is_child) {
		for (int i = 0; i < 200 && !is_child; i++)
			churn(&state);
		if (!is_child)
			reap(WNOHANG);
	}
	signal(SIGALRM, SIG_DFL);
	if (is_child) {
		use_heap(2);
		_exit(0);
	}
	setitimer(ITIMER_PROF, &none, NULL);
	reap(0);
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "threads";
	const int n = argc > 2 ? atoi(argv[2]) : 100;

	if (strcmp(mode, "handlers") == 0)
		pthread_atfork(allocate_in_handler, allocate_in_handler,
		    allocate_in_handler);
	if (strcmp(mode, "signals") == 0)
		from_signals(n);
	else
		with_threads(n, strcmp(mode, "many") == 0 ? fork_often : NULL);
	printf("%s: %d forks, %d bad\n", mode, n, atomic_load(&n_bad));
	return atomic_load(&n_bad) != 0;
}
