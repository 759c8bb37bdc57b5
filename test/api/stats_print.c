/* SPDX-License-Identifier: MIT */
/*
 * malloc_stats_print: lines that tools look for, options, and JSON that a strict parser
 * accepts; all forms while threads work.
 */
#include <pthread.h>
#include <tract/tract.h>

#include "harness/json.h"
#include "harness/test.h"

static char output[4 << 20];
static size_t output_length;
static int opaque_mark;

static void
collect(void *opaque, const char *text)
{
	const size_t length = strlen(text);

	CHECK(opaque == &opaque_mark);
	REQUIRE(output_length + length < sizeof output);
	memcpy(output + output_length, text, length + 1);
	output_length += length;
	/* A writer may allocate, and ask. */
	t_free(t_malloc(length));
	unsigned n;
	CHECK_EQ(t_mallctl("arenas.narenas", &n, &(size_t){ sizeof n }, NULL, 0), 0);
}

static const char *
print(const char *options)
{
	output_length = 0;
	output[0] = '\0';
	t_malloc_stats_print(collect, &opaque_mark, options);
	return output;
}

TEST(the_parser_refuses_what_is_no_json)
{
	static const char *const bad[] = { "", "{", "{}x", "{\"a\":}", "{\"a\":1,}",
		"[1,]", "01", "{a:1}", "\"\n\"", "\"\\x\"", "{\"a\" 1}",
		"{\"a\": 1, \"a\": 2}" };

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK(!json_parse(bad[i]));
	CHECK(json_parse("{\"a\": [1, {\"b\": \"\\u0041\"}, true]}"));
	CHECK_STR(json_value("/a/1/b"), "\\u0041");
}

/* ---- The report. ---- */

TEST(text_has_the_lines_that_tools_look_for)
{
	unsigned long v[6];

	const char *text = print(NULL);
	CHECK(strncmp(text, "___ Begin tract statistics ___\n", 31) == 0);
	CHECK_STR(text + strlen(text) - 30, "\n--- End tract statistics ---\n");
	CHECK(strstr(text, "\nVersion: \"") != NULL);
	const char *line = strstr(text, "\nAllocated: ");
	REQUIRE(line != NULL);
	CHECK_EQ(sscanf(line,
		     "\nAllocated: %lu, active: %lu, metadata: %lu, resident: %lu, "
		     "mapped: %lu, retained: %lu\n",
		     &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]),
	    6);
	CHECK(v[0] <= v[1] && v[1] <= v[4]);
	CHECK(strstr(text, "\narenas[0]:\n") != NULL);
	CHECK(strstr(text, "\nMerged arenas stats:\n") != NULL);
	CHECK(strstr(text, "\n  bins:") != NULL);
	CHECK(strstr(text, "\n  lextents:") != NULL);
	CHECK(strstr(text, "\n  extents:") != NULL);
	CHECK(strstr(text, "\n  mutexes:") != NULL);
	CHECK(strstr(text, "\n  dirty_decay_ms: ") != NULL);
}

TEST(letters_leave_parts_out)
{
	CHECK(strstr(print("g"), "Run-time options") == NULL);
	CHECK(strstr(print("m"), "Merged arenas") == NULL);
	CHECK(strstr(print("a"), "arenas[0]:") == NULL);
	CHECK(strstr(print("b"), "\n  bins:") == NULL);
	CHECK(strstr(print("l"), "curlextents") == NULL);
	CHECK(strstr(print("x"), "num_wait") == NULL);
	CHECK(strstr(print("e"), "\n  extents:") == NULL);
	CHECK(strstr(print("h?Z"), "arenas[0]:") != NULL);
	const char *least = print("gmdablxeh");
	CHECK(strlen(least) < 1000);
	CHECK(strstr(least, "\nAllocated: ") != NULL);
}

TEST(json_is_json_with_every_option)
{
	static const char letters[] = "gmdablxeh";
	char options[12];

	for (unsigned set = 0; set < 1u << 9; set += set < 16 ? 1 : 37) {
		unsigned n = 0;
		options[n++] = 'J';
		for (unsigned i = 0; i < 9; i++)
			if ((set >> i & 1) != 0)
				options[n++] = letters[i];
		options[n] = '\0';
		CHECK(json_parse(print(options)));
		CHECK(json_value("/jemalloc/stats/allocated") != NULL);
	}
}

TEST(json_has_the_members_that_parsers_read)
{
	static const char *const members[] = { "version", "config/debug", "opt/narenas",
		"opt/malloc_conf", "arenas/narenas", "arenas/bin/0/size",
		"arenas/bin/35/nregs", "arenas/lextent/195/size", "stats/resident",
		"stats/zero_reallocs", "stats/mutexes/ctl/num_ops",
		"stats.arenas/merged/pactive", "stats.arenas/0/small/allocated",
		"stats.arenas/0/large/nmalloc", "stats.arenas/0/bins/0/curregs",
		"stats.arenas/0/bins/35/mutex/max_num_thds",
		"stats.arenas/0/lextents/195/curlextents",
		"stats.arenas/0/extents/0/ndirty",
		"stats.arenas/0/mutexes/extents_dirty/num_ops" };
	char full[128];

	REQUIRE(json_parse(print("J")));
	for (unsigned i = 0; i < sizeof members / sizeof members[0]; i++) {
		snprintf(full, sizeof full, "/jemalloc/%s", members[i]);
		if (json_value(full) == NULL)
			printf("# %s\n", full);
		CHECK(json_value(full) != NULL);
	}
	CHECK(json_value("/jemalloc/stats.arenas/destroyed") == NULL);
}

TEST(destroyed_arenas_are_reported)
{
	unsigned index;
	char name[32];

	REQUIRE(t_mallctl("arenas.create", &index, &(size_t){ sizeof index }, NULL, 0)
	    == 0);
	CHECK(t_mallocx(100, MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE) != NULL);
	snprintf(name, sizeof name, "arena.%u.destroy", index);
	REQUIRE(t_mallctl(name, NULL, NULL, NULL, 0) == 0);
	REQUIRE(json_parse(print("J")));
	CHECK(json_value("/jemalloc/stats.arenas/destroyed/small/nmalloc") != NULL);
	CHECK(strstr(print(""), "\nDestroyed arenas stats:\n") != NULL);
	CHECK(strstr(print("d"), "\nDestroyed arenas stats:\n") == NULL);
}

/* ---- While threads work. ---- */

static _Atomic(bool) is_over;

static void *
work(void *seed)
{
	unsigned random = (unsigned)(uintptr_t)seed;
	void *kept[64] = { NULL };

	while (!is_over) {
		random = random * 1664525 + 1013904223;
		void **slot = &kept[random >> 26];
		t_free(*slot);
		*slot = t_malloc((random >> 8) % 60000);
	}
	for (unsigned i = 0; i < 64; i++)
		t_free(kept[i]);
	return NULL;
}

TEST(every_form_is_printed_while_threads_work)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
	for (unsigned round = 0; round < 10; round++) {
		CHECK(json_parse(print("J")));
		CHECK(strstr(print("P"), "\ntract_bytes{state=\"live\"} ") != NULL);
		CHECK(strstr(print("H"), "\n  = resident ") != NULL);
		const char *text = print("");
		CHECK_STR(text + strlen(text) - 30, "\n--- End tract statistics ---\n");
	}
	is_over = true;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static char *message;

static void
keep_message(void *opaque, const char *text)
{
	(void)opaque;
	if (message == NULL)
		message = strdup(text);
}

TEST(without_a_writer_malloc_message_gets_the_text)
{
	t_malloc_message = keep_message;
	t_malloc_stats_print(NULL, NULL, "gmdablxeh");
	t_malloc_message = NULL;
	REQUIRE(message != NULL);
	CHECK(strncmp(message, "___ Begin tract statistics ___\n", 31) == 0);
	free(message);
}
