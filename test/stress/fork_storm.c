/* SPDX-License-Identifier: MIT */
/*
 * A fork storm while background workers run: threads that allocate fork, and each child allocates,
 * purges and forks again.  Nobody may hang: an alarm says who did, and fails.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/names.h"
#include "config/options.h"
#include "ctl/background.h"
#include "harness/test.h"

#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

enum { THREADS = 4, OBJECTS = 200 };
#define FORKS(n) (IS_SANITIZED ? (n) / 10 : (n))
/* Of the whole storm, and of one child, which is over in milliseconds. */
enum { STORM_S = 200, CHILD_S = 60 };

static const char *who = "the parent";

static void
hang(int signal)
{
	static const char text[] = " hangs\n";

	(void)signal;
	if (write(STDERR_FILENO, who, strlen(who)) < 0
	    || write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(4);
	_exit(3);
}

static void
be(const char *name, unsigned seconds)
{
	who = name;
	signal(SIGALRM, hang);
	alarm(seconds);
}

/* Small and large, each written to and looked at again; true: all were as they had been left. */
static bool
work(uint64_t *seed)
{
	unsigned char *objects[OBJECTS];
	size_t sizes[OBJECTS];
	bool good = true;

	for (unsigned i = 0; i < OBJECTS; i++) {
		const unsigned lg = 3 + (unsigned)test_random_below(seed, 15);
		sizes[i] = 1 + test_random_below(seed, (uint64_t)1 << lg);
		objects[i] = API(malloc)(sizes[i]);
		if (objects[i] == NULL)
			return false;
		memset(objects[i], (int)i, sizes[i]);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		good &= objects[i][0] == (unsigned char)i
		    && objects[i][sizes[i] - 1] == (unsigned char)i;
		API(free)(objects[i]);
	}
	return good;
}

static bool
purge(void)
{
	return API(mallctl)("arena.4096.purge", NULL, NULL, NULL, 0) == 0;
}

static int
status_of(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static bool
grandchild_works(uint64_t *seed)
{
	const pid_t child = fork();

	if (child == 0) {
		be("a grandchild", CHILD_S);
		_exit(!(work(seed) && purge()));
	}
	return child > 0 && status_of(child) == 0;
}

static _Atomic(unsigned) n_forks;
static unsigned n_wanted;
static bool want_workers;

static void *
fork_again_and_again(void *number)
{
	uint64_t seed = test_seed() + (uintptr_t)number;

	while (atomic_fetch_add(&n_forks, 1) < n_wanted) {
		CHECK(work(&seed));
		const pid_t child = fork();
		if (child == 0) {
			be("a child", CHILD_S);
			_exit(!(work(&seed) && purge()
			    && background_is_on() == want_workers
			    && grandchild_works(&seed) && work(&seed)));
		}
		CHECK(child > 0);
		CHECK_EQ(status_of(child), 0);
	}
	return NULL;
}

static void
storm(unsigned n)
{
	pthread_t threads[THREADS];

	(void)test_seed();
	be("the parent", STORM_S);
	atomic_store(&n_forks, 0);
	n_wanted = n;
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, fork_again_and_again, (void *)i)
		    == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	alarm(0);
}

/* As the interposed pthread_create starts it: children have none before they make a thread. */
TEST(a_storm_with_a_worker_that_threads_brought)
{
	opt.background_thread_auto = true;
	CHECK(background_thread_coming());
	CHECK(background_is_on());
	want_workers = false;
	storm(FORKS(300));
	CHECK(background_is_on());
}

TEST(a_storm_with_workers_that_were_asked_for)
{
	if (BUILT_FOR_TSAN)
		SKIP("ThreadSanitizer allows no thread in a child");
	bool on = true;
	REQUIRE(API(mallctl)("background_thread", NULL, NULL, &on, sizeof on) == 0);
	want_workers = true;
	storm(FORKS(1000));
	REQUIRE(background_set(BACKGROUND_OFF));
}
