/* SPDX-License-Identifier: MIT */
/*
 * The summary for people: its lines add up, resident memory is found where it is, and
 * hints follow from figures.
 */
#define _GNU_SOURCE
#include "ctl/human.h"

#include <sys/mman.h>
#include <tract/tract.h>

#include "api/boot.h"
#include "base/bits.h"
#include "ctl/report.h"
#include "ctl/snapshot.h"
#include "harness/test.h"
#include "os/pages.h"
#include "os/resident.h"

#define MIB ((size_t)1 << 20)

static char output[1 << 16];
static size_t output_length;

static void
collect(void *opaque, const char *text)
{
	const size_t length = strlen(text);

	(void)opaque;
	REQUIRE(output_length + length < sizeof output);
	memcpy(output + output_length, text, length + 1);
	output_length += length;
}

static struct emitter *
begin(void)
{
	static struct emitter e;

	output_length = 0;
	output[0] = '\0';
	emit_init(&e, EMIT_TEXT, collect, NULL);
	return &e;
}

/* ---- Where pages are. ---- */

TEST(the_kernel_tells_which_pages_are_there)
{
	static struct os_resident window;
	const size_t page = os_kernel_page_size;
	char *p = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	p[2 * page] = p[5 * page] = p[7 * page] = 1;
	CHECK_EQ(munmap(p + 7 * page, page), 0);
	CHECK_EQ(munmap(p + 3 * page, page), 0);
	const uintptr_t at = (uintptr_t)p;
	CHECK_EQ(os_resident_bytes(&window, at, 2 * page), 0);
	CHECK_EQ(os_resident_bytes(&window, at, 3 * page), page);
	CHECK_EQ(os_resident_bytes(&window, at, 8 * page), 2 * page);
	CHECK_EQ(os_resident_bytes(&window, at + 5 * page, page), page);
	munmap(p, 8 * page);
}

TEST(the_process_grows_by_what_it_touches)
{
	const size_t before = os_process_resident(), size = 32 * MIB;
	char *p =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED && before > 0);
	memset(p, 1, size);
	const size_t after = os_process_resident();
	CHECK(after >= before + size - MIB);
	/* The sanitizer's shadow grows, too. */
	CHECK(BUILT_FOR_TSAN || after <= before + size + 4 * MIB);
	munmap(p, size);
}

#if __has_include(<linux/filter.h>) && __has_include(<linux/seccomp.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* In a child: mincore fails as a sandbox makes it. */
static bool
forbid_mincore(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mincore, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { COUNT_OF(filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
	    && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
static bool
forbid_mincore(void)
{
	return false;
}
#endif

TEST(where_the_kernel_does_not_tell_every_page_is_taken_for_resident)
{
	enum { WRONG = 1, UNSUPPORTED = 2 };
	static struct os_resident window;
	int status;
	char *p = mmap(NULL, 8 * os_page_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	const pid_t pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		if (!forbid_mincore())
			_exit(UNSUPPORTED);
		const size_t size = 8 * os_page_size;
		_exit(os_resident_bytes(&window, (uintptr_t)p, size) == size ? 0 : WRONG);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	munmap(p, 8 * os_page_size);
	if (WEXITSTATUS(status) == UNSUPPORTED)
		SKIP("no seccomp here");
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static struct resident
find(void)
{
	struct resident r;

	resident_find(&r);
	CHECK(r.total > 0);
	int64_t sum = r.other;
	for (unsigned i = 0; i < RESIDENT_PARTS; i++)
		sum += (int64_t)r.part[i];
	CHECK_EQ(sum, r.total);
	/* The test's own code and libc. */
	CHECK(r.other > 0);
	return r;
}

/* By how much a part has grown, within what a test itself moves. */
static bool
has_grown(const struct resident *from, const struct resident *to, enum resident_part part,
    size_t by)
{
	const int64_t grown =
	    (int64_t)to->part[part] - (int64_t)from->part[part] - (int64_t)by;
	const bool has = grown >= -(int64_t)(MIB / 4) && grown <= (int64_t)(MIB / 4);

	if (!has)
		printf("# part %u: from %zu to %zu\n", part, from->part[part],
		    to->part[part]);
	return has;
}

static void
set(const char *name, ssize_t ms)
{
	CHECK_EQ(t_mallctl(name, NULL, NULL, &ms, sizeof ms), 0);
}

static void
command(const char *name)
{
	CHECK_EQ(t_mallctl(name, NULL, NULL, NULL, 0), 0);
}

TEST(a_large_object_is_live_where_it_was_touched_then_dirty_then_gone)
{
	REQUIRE(boot());
	t_free(t_malloc(1));
	set("arena.0.dirty_decay_ms", -1);
	command("arena.0.purge");
	const struct resident before = find();
	char *p = t_malloc(24 * MIB);
	REQUIRE(p != NULL);
	const struct resident untouched = find();
	CHECK(has_grown(&before, &untouched, RESIDENT_LIVE, 0));
	memset(p, 1, 16 * MIB);
	const struct resident live = find();
	CHECK(has_grown(&before, &live, RESIDENT_LIVE, 16 * MIB));
	CHECK(has_grown(&before, &live, RESIDENT_DIRTY, 0));
	t_free(p);
	const struct resident dirty = find();
	CHECK(has_grown(&before, &dirty, RESIDENT_LIVE, 0));
	CHECK(has_grown(&before, &dirty, RESIDENT_DIRTY, 16 * MIB));
	command("arena.0.purge");
	const struct resident gone = find();
	CHECK(has_grown(&before, &gone, RESIDENT_DIRTY, 0));
	CHECK(has_grown(&before, &gone, RESIDENT_RETAINED, 0));
	CHECK(gone.total < live.total - 12 * MIB);
}

TEST(of_a_slab_the_live_regions_and_the_free_ones_are_told_apart)
{
	enum { N = 4096 };
	static void *kept[N];

	const struct resident before = find();
	for (unsigned i = 0; i < N; i++) {
		kept[i] = t_malloc(1024);
		REQUIRE(kept[i] != NULL);
		memset(kept[i], 1, 1024);
	}
	const struct resident full = find();
	CHECK(has_grown(&before, &full, RESIDENT_LIVE, N * 1024));
	for (unsigned i = 0; i < N; i++)
		if (i % 4 != 0)
			t_free(kept[i]);
	command("thread.tcache.flush");
	const struct resident quarter = find();
	CHECK(has_grown(&before, &quarter, RESIDENT_LIVE, N / 4 * 1024));
	CHECK(quarter.part[RESIDENT_OWNED_FREE] + quarter.part[RESIDENT_SHARED_FREE]
	    > before.part[RESIDENT_OWNED_FREE] + before.part[RESIDENT_SHARED_FREE]
		+ (size_t)N / 2 * 1024);
	for (unsigned i = 0; i < N; i += 4)
		t_free(kept[i]);
}

/* ---- The lines. ---- */

/* The number at the end of the line that contains `label'. */
static long long
line_bytes(const char *label)
{
	const char *line = strstr(output, label);

	REQUIRE(line != NULL);
	const char *end = strchr(line, '\n');
	REQUIRE(end != NULL);
	while (end[-1] != ' ')
		end--;
	return atoll(end);
}

TEST(the_lines_of_the_waterfall_add_up)
{
	static const char *const labels[] = { "live objects", "rounding", "threads own",
		"shared slabs", "threads keep", "dirty:", "muzzy:", "retained,",
		"metadata", "other:" };

	REQUIRE(boot());
	report_print(collect, (begin(), NULL), "H");
	long long sum = 0;
	for (unsigned i = 0; i < COUNT_OF(labels); i++)
		sum += line_bytes(labels[i]);
	CHECK_EQ(sum, line_bytes("= resident"));
	unsigned n_lines = 0;
	for (const char *p = output; (p = strchr(p, '\n')) != NULL; p++)
		n_lines++;
	CHECK(n_lines >= 17 && n_lines <= 30);
	CHECK(strncmp(output, "___ Begin tract summary ___\n", 28) == 0);
	CHECK(strstr(output, "\n--- End tract summary ---\n") != NULL);
}

TEST(a_remainder_below_zero_is_shown_as_such)
{
	struct resident r = { .total = 3 * MIB, .other = -(int64_t)MIB };

	r.part[RESIDENT_LIVE] = 4 * MIB;
	struct emitter *e = begin();
	human_print_waterfall(e, &r);
	emit_flush(e);
	CHECK_EQ(line_bytes("live objects"), 4 * MIB);
	CHECK(line_bytes("other:") == -(long long)MIB);
	CHECK_EQ(line_bytes("= resident"), 3 * MIB);
	CHECK(strstr(output, "-1.00 MiB") != NULL);
	CHECK(strstr(output, "133.3 %") != NULL);
}

/* What is said of these parts of 100 MiB. */
static const char *
hints(size_t live, size_t owned, size_t dirty, ssize_t dirty_decay_ms)
{
	struct human_facts f = { .n_arenas = 1 };

	f.resident.total = 100 * MIB;
	f.resident.part[RESIDENT_LIVE] = live * MIB;
	f.resident.part[RESIDENT_OWNED_FREE] = owned * MIB;
	f.resident.part[RESIDENT_DIRTY] = dirty * MIB;
	f.resident.other = (int64_t)((100 - live - owned - dirty) * MIB);
	f.all.dirty_decay_ms = dirty_decay_ms;
	struct emitter *e = begin();
	human_print_hints(e, &f);
	emit_flush(e);
	return output;
}

TEST(hints_name_what_weighs_most_first)
{
	CHECK_STR(hints(90, 2, 2, 1000), "Nothing stands out.\n");
	CHECK(strncmp(hints(5, 2, 2, 1000), "Most is not the allocator's", 27) == 0);
	CHECK(strncmp(hints(50, 2, 40, 1000), "Try a lower dirty_decay_ms", 26) == 0);
	CHECK(strncmp(hints(50, 2, 40, -1), "Try dirty_decay_ms:1000", 23) == 0);
	const char *both = hints(50, 15, 25, 1000);
	const char *dirty = strstr(both, "dirty_decay_ms"),
		   *idle = strstr(both, "thread.idle");
	CHECK(dirty != NULL && idle != NULL && dirty < idle);
	both = hints(50, 25, 15, 1000);
	dirty = strstr(both, "dirty_decay_ms"), idle = strstr(both, "thread.idle");
	CHECK(dirty != NULL && idle != NULL && idle < dirty);
}
