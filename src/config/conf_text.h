/* SPDX-License-Identifier: MIT */
/*
 * conf_text -- pieces of an option source: they point into it, and are not terminated.
 */
#ifndef TRACT_CONFIG_CONF_TEXT_H
#define TRACT_CONFIG_CONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
	const char *start;
	size_t length;
};

static inline struct text
text_of(const char *string)
{
	return (struct text){ string, strlen(string) };
}

static inline bool
text_is(struct text text, const char *word)
{
	const size_t length = strlen(word);
	return text.length == length && memcmp(text.start, word, length) == 0;
}

static inline bool
text_begins(struct text text, const char *word)
{
	const size_t length = strlen(word);
	return text.length >= length && memcmp(text.start, word, length) == 0;
}

/* Take `suffix' off the end of *text, unless nothing else is there. */
static inline bool
text_drop_suffix(struct text *text, const char *suffix)
{
	const size_t length = strlen(suffix);
	if (text->length <= length)
		return false;
	if (memcmp(text->start + text->length - length, suffix, length) != 0)
		return false;
	text->length -= length;
	return true;
}

/* What stands before the first `c'; *rest is what stands behind it. False: there is none,
 * and the piece is all of *rest. */
static inline bool
text_cut(struct text *rest, char c, struct text *piece)
{
	*piece = *rest;
	for (size_t i = 0; i < rest->length; i++) {
		if (rest->start[i] == c) {
			piece->length = i;
			rest->start += i + 1;
			rest->length -= i + 1;
			return true;
		}
	}
	*rest = (struct text){ rest->start + rest->length, 0 };
	return false;
}

#endif
