/* SPDX-License-Identifier: MIT */
/*
 * What <malloc.h> of the C library offers, asked by a program that knows nothing of its
 * allocator: each figure must be that of what the program did.
 *
 *	mallinfo info|xml|stats|trim
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL 1000
#define LARGE 20
#define LARGE_BYTES ((size_t)1 << 20)

static void *small[SMALL], *large[LARGE];

static int failures;

#define CHECK(e) \
	((e) ? (void)0 \
	     : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #e)))

/* Returns the usable bytes. */
static size_t
allocate(void)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < SMALL; i++)
		bytes += malloc_usable_size(small[i] = malloc(i + 1));
	for (unsigned i = 0; i < LARGE; i++) {
		large[i] = malloc(LARGE_BYTES);
		memset(large[i], 1, LARGE_BYTES);
		bytes += malloc_usable_size(large[i]);
	}
	return bytes;
}

static void
release(void)
{
	for (unsigned i = 0; i < SMALL; i++)
		free(small[i]);
	for (unsigned i = 0; i < LARGE; i++)
		free(large[i]);
}

/* In use, after the thread has put back what it keeps. */
static size_t
in_use(void)
{
	malloc_trim(0);
	return mallinfo2().uordblks;
}

static void
check_info(void)
{
	const size_t before = in_use(), n = mallinfo2().hblks;
	const size_t bytes = allocate();
	CHECK(in_use() == before + bytes);
	const struct mallinfo2 m = mallinfo2();
	CHECK(m.hblks == n + LARGE);
	CHECK(m.hblkhd >= LARGE * LARGE_BYTES && m.hblkhd <= m.uordblks);
	CHECK(m.arena == m.uordblks + m.fordblks);
	CHECK(m.keepcost <= m.fordblks);
	CHECK((size_t)mallinfo().uordblks == m.uordblks);
	release();
	CHECK(mallinfo2().fordblks >= LARGE * LARGE_BYTES);
	CHECK(in_use() == before);
}

/* The last number that follows `key' in text. */
static size_t
last_number(const char *text, const char *key)
{
	size_t value = 0;

	while ((text = strstr(text, key)) != NULL) {
		text += strlen(key);
		value = strtoull(text, NULL, 10);
	}
	return value;
}

static char text[1 << 16];

static void
check_xml(void)
{
	static FILE *stream;

	stream = tmpfile();
	if (stream == NULL)
		exit(2);
	setvbuf(stream, NULL, _IONBF, 0);
	(void)allocate();
	(void)in_use();
	CHECK(malloc_info(0, stream) == 0);
	const struct mallinfo2 m = mallinfo2();
	rewind(stream);
	CHECK(fread(text, 1, sizeof text - 1, stream) > 100);
	CHECK(strncmp(text, "<malloc version=\"1\">", 20) == 0);
	CHECK(strstr(text, "</malloc>\n") != NULL);
	CHECK(last_number(text, "<system type=\"current\" size=\"") == m.arena);
	CHECK(last_number(text, "<total type=\"rest\" count=\"0\" size=\"")
	    == m.fordblks);
}

static void
check_stats(void)
{
	const int log = fileno(tmpfile()), saved = dup(2);

	(void)allocate();
	(void)in_use();
	dup2(log, 2);
	malloc_stats();
	dup2(saved, 2);
	const struct mallinfo2 m = mallinfo2();
	CHECK(pread(log, text, sizeof text - 1, 0) > 100);
	CHECK(strstr(text, "Total (incl. mmap):") != NULL);
	CHECK(last_number(text, "in use bytes     =") == m.uordblks);
	CHECK(last_number(text, "system bytes     =") == m.arena);
}

static size_t
resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*s %lu", &pages) != 1)
		exit(2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void
check_trim(void)
{
	const size_t before = resident();

	(void)allocate();
	CHECK(resident() >= before + LARGE * LARGE_BYTES);
	release();
	CHECK(malloc_trim(0) == 1);
	CHECK(malloc_trim(0) == 0);
	CHECK(resident() <= before + LARGE_BYTES);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*check)(void);
	} checks[] = { { "info", check_info }, { "xml", check_xml },
		{ "stats", check_stats }, { "trim", check_trim } };

	for (unsigned i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		if (argc == 2 && strcmp(argv[1], checks[i].name) == 0) {
			checks[i].check();
			return failures != 0;
		}
	}
	return 2;
}
