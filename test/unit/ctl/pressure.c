/* SPDX-License-Identifier: MIT */
#include "ctl/pressure.h"

#include <fcntl.h>
#include <pthread.h>

#include "api/names.h"
#include "arena/arena.h"
#include "ctl/background.h"
#include "ctl/stats.h"
#include "harness/files.h"
#include "page/limit.h"

#define MIB ((size_t)1 << 20)

/* Pages that workers would leave alone for hours. */
const char *API(malloc_conf) = "narenas:1,dirty_decay_ms:5000000,background_thread:false";

static void
group(const char *current)
{
	files_put("sys/fs/cgroup/memory.current", current);
}

static size_t
dirty(void)
{
	return pac_dirty_pages(&arena_get(0)->pac) * os_page_size;
}

static void
free_some(size_t bytes)
{
	void *p = API(malloc)(bytes);

	REQUIRE(p != NULL);
	memset(p, 1, bytes);
	API(free)(p);
}

static bool
is_purged(void)
{
	for (unsigned i = 0; i < 2000 && dirty() > MIB; i++)
		usleep(10 * 1000);
	return dirty() <= MIB;
}

static bool
is_let_off(void)
{
	for (unsigned i = 0; i < 2000 && limit_is_pressed(); i++)
		usleep(10 * 1000);
	return !limit_is_pressed();
}

static uint64_t
n_runs(void)
{
	struct background_figures f;
	struct mutex_figures control, worst;

	background_gather(&f, &control, &worst);
	return f.num_runs;
}

/* For more than a second; what began before is over then, some time. */
static bool
comes_to_rest(void)
{
	uint64_t before = UINT64_MAX;

	for (unsigned i = 0; i < 10 && n_runs() != before; i++) {
		before = n_runs();
		usleep(1300 * 1000);
	}
	return n_runs() == before;
}

static uint64_t
n_high(void)
{
	uint64_t n = 0;
	size_t length = sizeof n;

	CHECK_EQ(API(mallctl)("limit.n_high", &n, &length, NULL, 0), 0);
	return n;
}

static void
begin(void)
{
	files_begin();
	files_put("proc/self/cgroup", "0::/\n");
	pressure_root = files_root;
}

static void
end(void)
{
	CHECK(background_set(BACKGROUND_OFF));
	CHECK(!limit_is_pressed());
	pressure_root = "";
	files_end();
	arena_decay(arena_get(0), PURGE_EVERYTHING);
}

TEST(a_worker_gives_everything_back_near_memory_high)
{
	begin();
	files_put("sys/fs/cgroup/memory.high", "1600000\n");
	group("1000000\n");
	const uint64_t before = n_high();
	REQUIRE(background_set(BACKGROUND_ON));
	free_some(16 * MIB);
	usleep(220 * 1000);
	CHECK(dirty() >= 16 * MIB);
	CHECK_EQ(n_high(), before);
	/* Nothing else happens in the process. */
	group("1600000\n");
	CHECK(is_purged());
	CHECK_EQ(n_high(), before + 1);
	CHECK(limit_is_pressed());
	free_some(16 * MIB);
	CHECK(is_purged());
	CHECK_EQ(n_high(), before + 1);
	/* Over: what is freed stays a while. */
	group("1000000\n");
	free_some(16 * MIB);
	CHECK(is_let_off());
	free_some(16 * MIB);
	usleep(220 * 1000);
	CHECK(dirty() >= 16 * MIB);
	end();
}

TEST(a_worker_without_work_sleeps_on_whatever_the_group_does)
{
	begin();
	files_put("sys/fs/cgroup/memory.high", "1600000\n");
	group("1600000\n");
	REQUIRE(background_set(BACKGROUND_ON));
	free_some(16 * MIB);
	CHECK(is_purged());
	CHECK(comes_to_rest());
	end();
}

TEST(without_a_memory_high_nobody_wakes_to_look)
{
	begin();
	group("1600000\n");
	REQUIRE(background_set(BACKGROUND_ON));
	free_some(16 * MIB);
	CHECK(comes_to_rest());
	CHECK_EQ(pressure_sleep(UINT64_MAX, 1), UINT64_MAX);
	CHECK_EQ(pressure_sleep(100 * PRESSURE_LOOK_NS, 1), 100 * PRESSURE_LOOK_NS);
	end();
}

TEST(what_a_worker_knew_ends_with_it)
{
	begin();
	files_put("sys/fs/cgroup/memory.high", "1600000\n");
	group("1600000\n");
	REQUIRE(background_set(BACKGROUND_ON));
	free_some(16 * MIB);
	CHECK(is_purged());
	CHECK(limit_is_pressed());
	end();
	free_some(16 * MIB);
	arena_decay(arena_get(0), PURGE_BY_CURVE);
	CHECK(dirty() >= 16 * MIB);
	arena_decay(arena_get(0), PURGE_EVERYTHING);
}

static void *
stop_workers(void *unused)
{
	CHECK(background_set(BACKGROUND_OFF));
	return unused;
}

/* The file it reads first is a pipe: it is in the middle of a look for as long as we like. */
TEST(a_worker_that_is_stopped_while_it_looks_leaves_no_pressure)
{
	char path[128];
	pthread_t stopper;

	files_begin();
	files_put("sys/fs/cgroup/memory.high", "1600000\n");
	group("1600000\n");
	files_put("proc/self/cgroup", "");
	snprintf(path, sizeof path, "%s/proc/self/cgroup", files_root);
	unlink(path);
	REQUIRE(mkfifo(path, 0600) == 0);
	pressure_root = files_root;
	REQUIRE(background_set(BACKGROUND_ON));
	/* Until it reads. */
	const int fd = open(path, O_WRONLY);
	REQUIRE(fd >= 0);
	REQUIRE(pthread_create(&stopper, NULL, stop_workers, NULL) == 0);
	while (background_is_on())
		usleep(1000);
	CHECK_EQ(write(fd, "0::/\n", 5), 5);
	close(fd);
	pthread_join(stopper, NULL);
	CHECK(!limit_is_pressed());
	end();
}

TEST(what_would_never_decay_goes_near_memory_high_too)
{
	begin();
	files_put("sys/fs/cgroup/memory.high", "1600000\n");
	group("1000000\n");
	REQUIRE(arena_set_decay_ms(arena_get(0), DECAY_DIRTY, -1));
	REQUIRE(background_set(BACKGROUND_ON));
	free_some(16 * MIB);
	usleep(220 * 1000);
	CHECK(dirty() >= 16 * MIB);
	group("1600000\n");
	CHECK(is_purged());
	end();
	REQUIRE(arena_set_decay_ms(arena_get(0), DECAY_DIRTY, 5000 * 1000));
}
