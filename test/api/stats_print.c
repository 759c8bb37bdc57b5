/* SPDX-License-Identifier: MIT */
/*
 * malloc_stats_print: lines that tools look for, options, and JSON that a strict parser
 * accepts.
 */
#include <ctype.h>
#include <tract/tract.h>

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

/* ---- A parser of JSON, by the letter of RFC 8259; collects members' paths. ---- */

static const char *at;
static char path[512];
static char paths[1 << 20];
static size_t paths_length;

static void
skip_space(void)
{
	while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
		at++;
}

static bool parse_value(void);

static bool
parse_string(char *to, size_t size)
{
	size_t n = 0;

	if (*at++ != '"')
		return false;
	for (; *at != '"'; at++) {
		if ((unsigned char)*at < 0x20)
			return false;
		if (*at == '\\') {
			at++;
			if (*at == '\0' || strchr("\"\\/bfnrtu", *at) == NULL)
				return false;
			for (int i = 0; *at == 'u' && i < 4; i++)
				if (!isxdigit((unsigned char)at[i + 1]))
					return false;
			if (*at == 'u')
				at += 4;
		}
		if (n + 1 < size)
			to[n++] = *at;
	}
	at++;
	to[n] = '\0';
	return true;
}

static bool
parse_number(void)
{
	if (*at == '-')
		at++;
	if (!isdigit((unsigned char)*at) || (*at == '0' && isdigit((unsigned char)at[1])))
		return false;
	while (isdigit((unsigned char)*at))
		at++;
	return true;
}

static bool
parse_members(char close, bool has_keys)
{
	const size_t length = strlen(path);
	char key[128];

	at++;
	skip_space();
	if (*at == close)
		return at++, true;
	for (unsigned i = 0;; i++) {
		skip_space();
		if (has_keys) {
			if (!parse_string(key, sizeof key))
				return false;
			skip_space();
			if (*at++ != ':')
				return false;
		} else {
			snprintf(key, sizeof key, "%u", i);
		}
		snprintf(path + length, sizeof path - length, "/%s", key);
		paths_length += (size_t)snprintf(paths + paths_length,
		    sizeof paths - paths_length, "%s\n", path);
		if (!parse_value())
			return false;
		path[length] = '\0';
		skip_space();
		if (*at == close)
			return at++, true;
		if (*at++ != ',')
			return false;
	}
}

static bool
parse_value(void)
{
	char ignored[2];

	skip_space();
	if (*at == '{')
		return parse_members('}', true);
	if (*at == '[')
		return parse_members(']', false);
	if (*at == '"')
		return parse_string(ignored, sizeof ignored);
	if (strncmp(at, "true", 4) == 0)
		return at += 4, true;
	if (strncmp(at, "false", 5) == 0)
		return at += 5, true;
	return parse_number();
}

static bool
is_json(const char *text)
{
	at = text;
	path[0] = paths[0] = '\0';
	paths_length = 0;
	if (!parse_value())
		return false;
	skip_space();
	return *at == '\0';
}

static bool
has_path(const char *wanted)
{
	char line[600];

	snprintf(line, sizeof line, "%s\n", wanted);
	for (const char *p = paths; (p = strstr(p, line)) != NULL; p++)
		if (p == paths || p[-1] == '\n')
			return true;
	return false;
}

TEST(the_parser_refuses_what_is_no_json)
{
	static const char *const bad[] = { "", "{", "{}x", "{\"a\":}", "{\"a\":1,}",
		"[1,]", "01", "{a:1}", "\"\n\"", "\"\\x\"", "{\"a\" 1}" };

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK(!is_json(bad[i]));
	CHECK(is_json("{\"a\": [1, {\"b\": \"\\u0041\"}, true]}"));
	CHECK(has_path("/a/1/b"));
}

/* ---- The report. ---- */

TEST(text_has_the_lines_that_tools_look_for)
{
	unsigned long v[6];

	const char *text = print(NULL);
	CHECK(strncmp(text, "___ Begin tract statistics ___\n", 31) == 0);
	CHECK_STR(text + strlen(text) - 30, "\n--- End tract statistics ---\n");
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
	CHECK(strstr(text, "\nbins:") != NULL);
	CHECK(strstr(text, "\nlarge: ") != NULL);
	CHECK(strstr(text, "\nextents:") != NULL);
	CHECK(strstr(text, "\nmutexes:") != NULL);
	CHECK(strstr(text, "\n  dirty_decay_ms: ") != NULL);
}

TEST(letters_leave_parts_out)
{
	CHECK(strstr(print("g"), "Run-time options") == NULL);
	CHECK(strstr(print("m"), "Merged arenas") == NULL);
	CHECK(strstr(print("a"), "arenas[0]:") == NULL);
	CHECK(strstr(print("b"), "\nbins:") == NULL);
	CHECK(strstr(print("l"), "curlextents") == NULL);
	CHECK(strstr(print("x"), "num_wait") == NULL);
	CHECK(strstr(print("e"), "\nextents:") == NULL);
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
		CHECK(is_json(print(options)));
		CHECK(has_path("/jemalloc/stats/allocated"));
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

	REQUIRE(is_json(print("J")));
	for (unsigned i = 0; i < sizeof members / sizeof members[0]; i++) {
		snprintf(full, sizeof full, "/jemalloc/%s", members[i]);
		if (!has_path(full))
			printf("# %s\n", full);
		CHECK(has_path(full));
	}
	CHECK(!has_path("/jemalloc/stats.arenas/destroyed"));
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
	REQUIRE(is_json(print("J")));
	CHECK(has_path("/jemalloc/stats.arenas/destroyed/small/nmalloc"));
	CHECK(strstr(print(""), "\nDestroyed arenas stats:\n") != NULL);
	CHECK(strstr(print("d"), "\nDestroyed arenas stats:\n") == NULL);
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
