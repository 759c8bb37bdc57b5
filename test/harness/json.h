/* SPDX-License-Identifier: MIT */
/*
 * json -- a parser of JSON by the letter of RFC 8259, without fractions, that keeps every value
 * with its path: "/a/b/0" is the first element of the array b in the object a.
 *
 *	REQUIRE(json_parse(text));
 *	CHECK_STR(json_value("/a/n"), "17");
 *
 * Numbers and words are kept as they stand, strings without their quotes (escapes stay), objects
 * and arrays as "{" and "[".  One text at a time.
 */
#ifndef TEST_HARNESS_JSON_H
#define TEST_HARNESS_JSON_H

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_ENTRIES (1u << 18)
#define JSON_TEXT (24u << 20)

struct json_entry {
	const char *path, *value;
};

static struct json_entry json_entries[JSON_ENTRIES];
static unsigned json_count;
static char json_text[JSON_TEXT];
static size_t json_used;
static const char *json_at;
static char json_path[512];

static bool json_parse_value(void);

/* A copy, kept until the next text. */
static inline const char *
json_keep(const char *text, size_t length)
{
	char *copy = json_text + json_used;

	if (length + 1 > JSON_TEXT - json_used)
		abort();
	memcpy(copy, text, length);
	copy[length] = '\0';
	json_used += length + 1;
	return copy;
}

static inline void
json_add(const char *value, size_t length)
{
	if (json_count == JSON_ENTRIES)
		abort();
	json_entries[json_count].path = json_keep(json_path, strlen(json_path));
	json_entries[json_count++].value = json_keep(value, length);
}

static inline void
json_skip_space(void)
{
	while (*json_at != '\0' && strchr(" \n\t\r", *json_at) != NULL)
		json_at++;
}

/* A string; json_at is behind it. *length: without the quotes. */
static inline bool
json_parse_string(const char **start, size_t *length)
{
	if (*json_at++ != '"')
		return false;
	*start = json_at;
	for (; *json_at != '"'; json_at++) {
		if ((unsigned char)*json_at < 0x20)
			return false;
		if (*json_at != '\\')
			continue;
		json_at++;
		if (*json_at == '\0' || strchr("\"\\/bfnrtu", *json_at) == NULL)
			return false;
		for (int i = 0; *json_at == 'u' && i < 4; i++)
			if (!isxdigit((unsigned char)json_at[i + 1]))
				return false;
		if (*json_at == 'u')
			json_at += 4;
	}
	*length = (size_t)(json_at - *start);
	json_at++;
	return true;
}

static inline bool
json_parse_number(void)
{
	if (*json_at == '-')
		json_at++;
	if (!isdigit((unsigned char)*json_at)
	    || (*json_at == '0' && isdigit((unsigned char)json_at[1])))
		return false;
	while (isdigit((unsigned char)*json_at))
		json_at++;
	return true;
}

static inline bool
json_parse_members(char close, bool has_keys)
{
	const size_t before = strlen(json_path);
	const char *key;
	size_t length;

	json_at++;
	json_skip_space();
	if (*json_at == close)
		return json_at++, true;
	for (unsigned i = 0;; i++) {
		json_skip_space();
		if (has_keys) {
			if (!json_parse_string(&key, &length))
				return false;
			snprintf(json_path + before, sizeof json_path - before, "/%.*s",
			    (int)length, key);
			json_skip_space();
			if (*json_at++ != ':')
				return false;
		} else {
			snprintf(json_path + before, sizeof json_path - before, "/%u", i);
		}
		if (!json_parse_value())
			return false;
		json_path[before] = '\0';
		json_skip_space();
		if (*json_at == close)
			return json_at++, true;
		if (*json_at++ != ',')
			return false;
	}
}

static bool
json_parse_value(void)
{
	const char *start;
	size_t length;

	json_skip_space();
	start = json_at;
	if (*json_at == '{' || *json_at == '[') {
		json_add(json_at, 1);
		return json_parse_members(*json_at == '{' ? '}' : ']', *json_at == '{');
	}
	if (*json_at == '"') {
		if (!json_parse_string(&start, &length))
			return false;
		json_add(start, length);
		return true;
	}
	if (strncmp(json_at, "true", 4) == 0)
		json_at += 4;
	else if (strncmp(json_at, "false", 5) == 0)
		json_at += 5;
	else if (!json_parse_number())
		return false;
	json_add(start, (size_t)(json_at - start));
	return true;
}

static inline int
json_compare(const void *a, const void *b)
{
	return strcmp(((const struct json_entry *)a)->path,
	    ((const struct json_entry *)b)->path);
}

/* Is the text JSON, with no key twice in an object? */
static inline bool
json_parse(const char *text)
{
	json_at = text;
	json_path[0] = '\0';
	json_count = 0;
	json_used = 0;
	if (!json_parse_value())
		return false;
	json_skip_space();
	if (*json_at != '\0')
		return false;
	qsort(json_entries, json_count, sizeof json_entries[0], json_compare);
	for (unsigned i = 1; i < json_count; i++)
		if (json_compare(&json_entries[i - 1], &json_entries[i]) == 0)
			return false;
	return true;
}

/* NULL: the last text has no such path. */
static inline const char *
json_value(const char *path)
{
	const struct json_entry key = { path, NULL };
	const struct json_entry *found =
	    bsearch(&key, json_entries, json_count, sizeof json_entries[0], json_compare);

	return found == NULL ? NULL : found->value;
}

#endif
