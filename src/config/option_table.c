/* SPDX-License-Identifier: MIT */
/*
 * option_table -- what options.def says, as data: storage, rows and names.
 */
#include "config/options.h"

#include <limits.h>
#include <string.h>

#include "base/bits.h"
#include "config/size_class.h"
#include "tract_config.h"

/* ORDER JUNK, ORDER ZERO-REALLOC: the enumerations in options.h. */
#define JUNK_WORDS "false\0true\0alloc\0free\0"
#define ZERO_REALLOC_WORDS "free\0alloc\0abort\0"

struct options opt = {
#define OPTION_BOOL(name, initial, doc) .name = initial,
#define OPTION_ENUM(name, initial, words, doc) .name = initial,
#define OPTION_SSIZE(name, initial, min, max, policy, doc) .name = initial,
#define OPTION_SIZE(name, initial, min, max, policy, doc) .name = initial,
#define OPTION_UNSIGNED(name, initial, min, max, policy, doc) .name = initial,
#define OPTION_U64(name, initial, min, max, policy, doc) .name = initial,
#define OPTION_I64(name, initial, min, max, policy, doc) .name = initial,
#include "config/options.def"
};

#define ROW(kind, name, initial, min, max, policy, words, doc) \
	{ { #name, FIELD_##kind, offsetof(struct options, name), doc }, \
		OPTION_KIND_##kind, initial, min, max, policy, words },

const struct option option_table[] = {
#define OPTION_BOOL(name, initial, doc) \
	ROW(BOOL, name, initial, 0, 1, OPTION_REJECT, "", doc)
#define OPTION_ENUM(name, initial, words, doc) \
	ROW(ENUM, name, initial, 0, 0, OPTION_REJECT, words, doc)
#define OPTION_SSIZE(name, initial, min, max, policy, doc) \
	ROW(SSIZE, name, initial, min, max, policy, "", doc)
#define OPTION_SIZE(name, initial, min, max, policy, doc) \
	ROW(SIZE, name, initial, min, max, policy, "", doc)
#define OPTION_UNSIGNED(name, initial, min, max, policy, doc) \
	ROW(UNSIGNED, name, initial, min, max, policy, "", doc)
#define OPTION_U64(name, initial, min, max, policy, doc) \
	ROW(U64, name, initial, min, max, policy, "", doc)
#define OPTION_I64(name, initial, min, max, policy, doc) \
	ROW(I64, name, initial, min, max, policy, "", doc)
#include "config/options.def"
};

const unsigned option_count = COUNT_OF(option_table);

const struct option_name option_names[] = {
#define OPTION_LG_ALIAS(name, of) { #name, OPTION_IS_LG_ALIAS, #of },
#define OPTION_LATER(name) { #name, OPTION_IS_LATER, "" },
#define OPTION_OBSOLETE(name) { #name, OPTION_IS_OBSOLETE, "" },
#include "config/options.def"
};

const unsigned option_name_count = COUNT_OF(option_names);

const char *
option_word(const struct option *option, int value)
{
	const char *word = option->words;

	for (; value > 0 && *word != '\0'; value--)
		word += strlen(word) + 1;
	return value != 0 || *word == '\0' ? NULL : word;
}
