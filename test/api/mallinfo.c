/* SPDX-License-Identifier: MIT */
/*
 * What glibc's <malloc.h> has: true figures, and return values as the manual says.
 */
#include <tract/tract.h>

#include "harness/test.h"
#include "tract_config.h"

TEST(mallopt_knows_its_parameters)
{
	/* M_MXFAST; M_TRIM_THRESHOLD .. M_ARENA_MAX */
	CHECK_EQ(t_mallopt(1, 64), 1);
	CHECK_EQ(t_mallopt(1, 100000), 0);
	for (int param = -8; param < 0; param++)
		CHECK_EQ(t_mallopt(param, 1), 1);
	CHECK_EQ(t_mallopt(0, 1), 0);
	CHECK_EQ(t_mallopt(-9, 1), 0);
	CHECK_EQ(t_mallopt(12345, 1), 0);
}

TEST(trim_gives_back_what_is_free_once)
{
	enum { N = 64 };
	void *p[N];

	(void)t_malloc_trim(0);
	for (unsigned i = 0; i < N; i++) {
		p[i] = t_malloc(200000);
		memset(p[i], 1, 200000);
	}
	for (unsigned i = 0; i < N; i++)
		t_free(p[i]);
	CHECK_EQ(t_malloc_trim(0), 1);
	CHECK_EQ(t_malloc_trim(0), 0);
}

#if defined(__GLIBC__)

TEST(mallinfo_tells_what_is_in_use)
{
	enum { N = 10, BIG = 1 << 20 };
	void *p[N];

	(void)t_malloc_trim(0);
	const struct mallinfo2 before = t_mallinfo2();
	for (unsigned i = 0; i < N; i++)
		p[i] = t_malloc(BIG);
	const struct mallinfo2 during = t_mallinfo2();
	const struct mallinfo during_int = t_mallinfo();
	CHECK_EQ(during.uordblks - before.uordblks, N * BIG);
	CHECK_EQ(during.hblks - before.hblks, N);
	CHECK_EQ(during.hblkhd - before.hblkhd, N * BIG);
	CHECK(during.arena >= during.uordblks);
	CHECK_EQ(during.arena, during.uordblks + during.fordblks);
	CHECK_EQ(during_int.uordblks, during.uordblks);
	CHECK_EQ(during_int.hblks, during.hblks);
	for (unsigned i = 0; i < N; i++)
		t_free(p[i]);
	const struct mallinfo2 after = t_mallinfo2();
	CHECK_EQ(after.hblks, before.hblks);
	/* Some may have gone by time, down to 4 MiB, and all of it in a hostile build. */
	CHECK(CONFIG_HOSTILE || after.keepcost >= N * BIG / 4);
	(void)t_malloc_trim(0);
	CHECK(t_mallinfo2().keepcost < BIG);
}

#endif

#if defined(__GLIBC__)

TEST(trim_takes_what_the_thread_keeps)
{
	(void)t_malloc_trim(0);
	const size_t in_use = t_mallinfo2().uordblks;
	/* Large enough to be an extent, small enough to be kept by its thread. */
	t_free(t_malloc(100000));
	CHECK(t_mallinfo2().uordblks >= in_use + 100000);
	CHECK_EQ(t_malloc_trim(0), 1);
	CHECK_EQ(t_mallinfo2().uordblks, in_use);
}

#endif

TEST(malloc_info_writes_balanced_xml)
{
	char text[1 << 16], *p = text;
	int depth = 0;

	FILE *stream = tmpfile();
	REQUIRE(stream != NULL);
	CHECK_EQ(t_malloc_info(0, stream), 0);
	rewind(stream);
	const size_t length = fread(text, 1, sizeof text - 1, stream);
	text[length] = '\0';
	fclose(stream);
	CHECK(strncmp(text, "<malloc version=\"1\">\n", 21) == 0);
	CHECK(strstr(text, "<heap nr=\"0\">") != NULL);
	CHECK(strstr(text, "<system type=\"current\" size=\"") != NULL);
	while ((p = strchr(p, '<')) != NULL) {
		char *end = strchr(p, '>');
		REQUIRE(end != NULL);
		if (p[1] == '/')
			depth--;
		else if (end[-1] != '/')
			depth++;
		CHECK(depth >= 0);
		p = end;
	}
	CHECK_EQ(depth, 0);
	errno = 0;
	CHECK_EQ(t_malloc_info(1, stdout), -1);
	CHECK_EQ(errno, EINVAL);
}

static char output[1 << 16];

static void
collect(void *opaque, const char *text)
{
	(void)opaque;
	strncat(output, text, sizeof output - strlen(output) - 1);
}

TEST(malloc_stats_speaks_through_malloc_message)
{
	t_malloc_message = collect;
	t_malloc_stats();
	t_malloc_message = NULL;
	CHECK(strncmp(output, "Arena 0:\nsystem bytes     = ", 28) == 0);
	CHECK(strstr(output, "\nTotal (incl. mmap):\nsystem bytes     = ") != NULL);
	CHECK(strstr(output, "in use bytes     = ") != NULL);
}
