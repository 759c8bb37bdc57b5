/* SPDX-License-Identifier: MIT */
/*
 * options -- every option of tract, declared once in options.def, and their parser.
 *
 * `opt' is plain memory: written by options_boot before the first thread can read it,
 * constant afterwards.  Parsing uses no malloc, no stdio, no locale and no lock.
 *
 * A source is `key:value,key:value'.  A key is matched whole; a value reaches to the next
 * comma.  Booleans are true or false.  Numbers may be hexadecimal (0x) or octal (0),
 * sizes may end in k, m or g (binary), times (names in _ms) in ms or s; `default' stands
 * for a number's initial value.
 *
 * Every message is one line, `<tract>: TEXT: key:value'.  These count for abort_conf:
 *	Invalid conf pair         no such key (experimental_ ones do not count)
 *	Invalid conf value        not a value of that option
 *	Out-of-range conf value   the option keeps its former value
 *	Malformed conf string     no key has that character; the rest is dropped
 *	Conf string ends with key, Conf string ends with comma
 * and these do not: Not supported in this version; Obsolete, ignored.
 */
#ifndef TRACT_CONFIG_OPTIONS_H
#define TRACT_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/field.h"

struct options {
#define OPTION_BOOL(name, initial, doc) bool name;
#define OPTION_ENUM(name, initial, names, doc) int name;
#define OPTION_SSIZE(name, initial, min, max, policy, doc) ssize_t name;
#define OPTION_SIZE(name, initial, min, max, policy, doc) size_t name;
#define OPTION_UNSIGNED(name, initial, min, max, policy, doc) unsigned name;
#define OPTION_U64(name, initial, min, max, policy, doc) uint64_t name;
#define OPTION_I64(name, initial, min, max, policy, doc) int64_t name;
#include "config/options.def"
};

extern struct options opt;

/*
 * Values of the ENUM rows.  ORDER JUNK, ORDER ZERO-REALLOC: the words in option_table.c.
 */
enum junk { JUNK_FALSE, JUNK_TRUE, JUNK_ALLOC, JUNK_FREE };
enum zero_realloc { ZERO_REALLOC_FREE, ZERO_REALLOC_ALLOC, ZERO_REALLOC_ABORT };

enum option_policy { OPTION_REJECT, OPTION_CLIP };
enum option_kind {
	OPTION_KIND_BOOL,
	OPTION_KIND_ENUM,
	OPTION_KIND_SSIZE,
	OPTION_KIND_SIZE,
	OPTION_KIND_UNSIGNED,
	OPTION_KIND_U64,
	OPTION_KIND_I64
};

#define OPTION_WORDS_SIZE 40

struct option {
	struct field field; /* name, type, offset in `opt', doc */
	enum option_kind kind;
	intmax_t initial;
	intmax_t min;
	uintmax_t max;
	enum option_policy policy;
	/* Choices of an ENUM, by value, each ended by a NUL, the last by two. */
	char words[OPTION_WORDS_SIZE];
};

/* The word of an ENUM's value; NULL: it has no such value. */
const char *option_word(const struct option *option, int value);

extern const struct option option_table[];
extern const unsigned option_count;

/* Names that stand in no row of option_table. */
enum option_other { OPTION_IS_LG_ALIAS, OPTION_IS_LATER, OPTION_IS_OBSOLETE };

#define OPTION_NAME_SIZE 48

struct option_name {
	/* Text, not pointers: nothing to relocate, so no page of it is touched at start. */
	char name[OPTION_NAME_SIZE];
	uint8_t what;              /* enum option_other */
	char of[OPTION_NAME_SIZE]; /* the row that an alias sets, else "" */
};

extern const struct option_name option_names[];
extern const unsigned option_name_count;

/* The five sources, weakest first. */
enum conf_source {
	CONF_BUILT_IN,    /* given to configure */
	CONF_GLOBAL,      /* the variable malloc_conf */
	CONF_SYMLINK,     /* target of CONFIG_CONF_LINK */
	CONF_ENVIRONMENT, /* the variable conf_env_name */
	CONF_HARDER,      /* the variable malloc_conf_2_conf_harder */
	CONF_SOURCES
};

struct conf_sources {
	const char *text[CONF_SOURCES]; /* NULL where absent */
};

/* The environment variable with options: the public prefix in capitals, then MALLOC_CONF.  Writes
 * the same bytes each time; one thread at a time. */
const char *conf_env_name(void);

/*
 * Read all sources in their order (twice: first for confirm_conf alone), set `opt', print
 * messages through `print' (whole lines), and abort at the end of a source if abort_conf
 * is true by then and an error was found.  The texts must stay.
 */
void options_boot(const struct conf_sources *sources, void (*print)(const char *line));

/* Has a source given this member of `opt' a value? */
bool option_was_set(const void *value);

/* Text of a source as last read, NULL when absent (opt.malloc_conf.*). */
const char *options_source(enum conf_source source);

#endif
