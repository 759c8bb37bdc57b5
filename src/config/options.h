/* SPDX-License-Identifier: MIT */
/*
 * options -- every option of tract, declared once in options.def, and their parser.
 *
 * `opt' is plain memory: written by options_boot before the first thread can read it,
 * constant afterwards.  Parsing uses no malloc, no stdio, no locale and no lock.
 *
 * A source is `key:value,key:value'.  A key is matched whole; a value reaches to the next
 * comma.  Booleans are true or false, choices one of their words.  Numbers may be
 * hexadecimal (0x) or octal (0), sizes may end in k, m or g (binary), times in ms or s;
 * ratios are decimal.  `default' stands for the initial value of a number or a list.
 *
 * Every message is one line, `<tract>: TEXT: key:value'.  These count for abort_conf:
 *	Invalid conf pair         no such key (experimental_ ones do not count)
 *	Invalid conf value        not a value of that option
 *	Out-of-range conf value   the option keeps its former value
 *	Invalid settings for KEY  the same of a list
 *	No THP support, No MADV_COLLAPSE, The kernel does not overcommit, Huge pages are too large,
 *	Error setting dss         this kernel, or this libc, has not what the choice needs
 *	Needs retain:true         another option is in its way
 *	Malformed conf string     no key has that character; the rest is dropped
 *	Conf string ends with key, Conf string ends with comma
 * and these do not:
 *	Reducing KEY to limit (N) a value above the most there may be; counts for abort
 *	Not supported in this version
 *	Obsolete, ignored
 *
 * What this version does with an option is its standing.  A LIVE one acts.  A SWITCH turns
 * on a feature that this version (or this build) has not: any valid value but the initial
 * one is told in a line, `Not supported in this version', and is not taken, so that
 * opt.<key> says how the process runs.  A PARAMETER belongs to such a feature: it is taken
 * and read back, and as long as the feature is off there is nothing for it to act on.  A
 * SHAPE describes a data structure that tract has not; it is taken and read back, and its
 * doc says what tract does instead.  With confirm_conf, one line at the end names the
 * PARAMETERs, and one the SHAPEs, that have been set.
 *
 * The tables hold no pointers: there is nothing to relocate, and a process that sets no
 * option touches no page of them.  A generator of documentation includes options.def with
 * macros of its own.
 */
#ifndef TRACT_CONFIG_OPTIONS_H
#define TRACT_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/field.h"

/*
 * Texts are the initial one or a copy of what was set.  Of a list, NULL is the initial
 * value; element i is for size class i, OPTION_LIST_UNSET where nothing was said.
 */
struct options {
#define OPTION(kind, type, name, ...) type name;
#define OPTION_ALIAS(...)
#define OPTION_OBSOLETE(...)
#include "config/options.def"
};

extern struct options opt;

/* OPTION_<name> is the row in option_table. */
enum option_index {
#define OPTION(kind, type, name, ...) OPTION_##name,
#define OPTION_ALIAS(kind, name, ...) OPTION_##name,
#define OPTION_OBSOLETE(...)
#include "config/options.def"
	OPTIONS
};

/* Values of choices.  ORDER CHOICES: the words in options.def. */
enum junk { JUNK_FALSE, JUNK_TRUE, JUNK_ALLOC, JUNK_FREE };
enum percpu { PERCPU_PERCPU, PERCPU_PHYCPU, PERCPU_DISABLED };
enum dss { DSS_DISABLED, DSS_PRIMARY, DSS_SECONDARY };
enum thp { THP_DEFAULT, THP_ALWAYS, THP_NEVER };
enum metadata_thp { METADATA_THP_DISABLED, METADATA_THP_AUTO, METADATA_THP_ALWAYS };
enum zero_realloc { ZERO_REALLOC_FREE, ZERO_REALLOC_ALLOC, ZERO_REALLOC_ABORT };

#define NARENAS_MAX 4094 /* index 4095 is the last, for oversize_threshold's arena */
#define RATIO_ONE (1 << 16)
#define RATIO_NEVER UINT32_MAX /* -1 */
#define OPTION_LIST_UNSET UINT16_MAX
#define OPTION_LIST_MAX 64 /* size classes in a list */

enum option_kind {
	OPTION_KIND_BOOL,
	OPTION_KIND_ENUM,
	OPTION_KIND_SSIZE,
	OPTION_KIND_SIZE,
	OPTION_KIND_UNSIGNED,
	OPTION_KIND_U64,
	OPTION_KIND_I64,
	OPTION_KIND_RATIO,
	OPTION_KIND_TEXT,
	OPTION_KIND_LETTERS,
	OPTION_KIND_LIST,
	OPTION_KIND_LG_ALIAS, /* the field is that of a SIZE, as of the next */
	OPTION_KIND_RATIO_ALIAS
};

enum option_standing { OPTION_LIVE, OPTION_SWITCH, OPTION_PARAMETER, OPTION_SHAPE };

enum option_policy {
	OPTION_REJECT, /* the option keeps its value, and a line says so */
	OPTION_CLIP,   /* the nearest bound is taken */
	OPTION_REDUCE  /* the upper bound is taken, and a line says so; else as REJECT */
};

enum option_unit { OPTION_COUNT, OPTION_BYTES, OPTION_MS };
enum option_node { OPTION_NODE, OPTION_MISSING, OPTION_BARE };

#define OPTION_WORDS_SIZE 32

struct option {
	/* Name, type, offset in `opt' (of an alias: of what it sets), doc. */
	struct field field;
	/* Of a choice, its words, each ended by a NUL, the last by two; the letters of
	 * LETTERS; the initial value of a TEXT. */
	char words[OPTION_WORDS_SIZE];
	intmax_t initial; /* of numbers, choices (the word's number) and booleans */
	intmax_t min;
	uintmax_t max;
	uint16_t room, room_size; /* where a text or a list is kept, bytes */
	uint8_t of;               /* the row itself; of an alias, that of what it sets */
	uint8_t kind;             /* enum option_kind; the next four likewise */
	uint8_t standing;
	uint8_t policy;
	uint8_t unit;
	uint8_t node;
};

extern const struct option option_table[OPTIONS];
/* The first so many have a node. */
extern const unsigned option_node_count;

/* Word `value' of a choice. NULL: it has no such value. */
const char *option_word(const struct option *option, int value);
/* room_size bytes. */
void *option_room(const struct option *option);

extern const char option_obsolete[][FIELD_NAME_SIZE];
extern const unsigned option_obsolete_count;

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

/* Has a source given this option a value? Of an alias: it asks for what that sets. */
bool option_was_set(enum option_index index);

/*
 * A list as of the option: `length' bytes at `text' into list[0 .. OPTION_LIST_MAX).
 * False, and the list undefined, where the text is none.
 */
bool option_parse_list(const struct option *option, const char *text, size_t length,
    uint16_t *list);

/* opt.hpa; where nobody set it, a file is read, once, which a small process does without. */
bool options_hpa(void);
/* Before options are shown: what is found out late is found out. */
void options_settle(void);

/* Text of a source as last read, NULL when absent (opt.malloc_conf.*). */
const char *options_source(enum conf_source source);

#endif
