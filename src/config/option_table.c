/* SPDX-License-Identifier: MIT */
/*
 * option_table -- what options.def says, as data: storage and rows.
 */
#include "config/options.h"

#include <limits.h>
#include <string.h>

#include "base/attr.h"
#include "base/bits.h"
#include "config/size_class.h"
#include "tract_config.h"

#define LEAST_PAGE ((size_t)1 << CONFIG_LG_PAGE)
#define HUGEPAGE ((size_t)1 << CONFIG_LG_HUGEPAGE)

struct options opt = {
#define OPTION(kind, type, name, standing, node, value, ...) .name = value,
#define OPTION_ALIAS(...)
#define OPTION_OBSOLETE(...)
#include "config/options.def"
};

/* Where what pointers in `opt' point to is copied. */
static struct rooms {
#define OPTION(kind, type, name, standing, node, value, number, min, max, policy, unit, \
    words, room_type, room_size, doc) \
	room_type name[room_size];
#define OPTION_ALIAS(...)
#define OPTION_OBSOLETE(...)
#include "config/options.def"
} rooms BULKY;

static_assert(sizeof(struct rooms) <= UINT16_MAX, "places of rooms fit");
static_assert(OPTIONS <= UINT8_MAX, "numbers of rows fit");
static_assert(SC_NOWNED <= OPTION_LIST_MAX, "size classes fit in a list");

/* What a node hands out. */
#define FIELD_OF_BOOL FIELD_BOOL
#define FIELD_OF_ENUM FIELD_ENUM
#define FIELD_OF_SSIZE FIELD_SSIZE
#define FIELD_OF_SIZE FIELD_SIZE
#define FIELD_OF_UNSIGNED FIELD_UNSIGNED
#define FIELD_OF_U64 FIELD_U64
#define FIELD_OF_I64 FIELD_I64
#define FIELD_OF_RATIO FIELD_U32
#define FIELD_OF_TEXT FIELD_STRING
#define FIELD_OF_LETTERS FIELD_STRING
#define FIELD_OF_LIST FIELD_POINTER

const struct option option_table[OPTIONS] LATE_TABLE = {
#define OPTION(kind_, type_, name_, standing_, node_, value_, number_, min_, max_, \
    policy_, unit_, words_, room_type_, room_size_, doc_) \
	{ \
		.field = { #name_, FIELD_OF_##kind_, offsetof(struct options, name_), \
		    doc_ }, \
		.words = words_, \
		.initial = number_, \
		.min = min_, \
		.max = max_, \
		.room = offsetof(struct rooms, name_), \
		.room_size = sizeof(rooms.name_), \
		.of = OPTION_##name_, \
		.kind = OPTION_KIND_##kind_, \
		.standing = standing_, \
		.policy = OPTION_##policy_, \
		.unit = OPTION_##unit_, \
		.node = node_, \
	},
#define OPTION_ALIAS(kind_, name_, of_, doc_) \
	{ \
		.field = { #name_, FIELD_SIZE, offsetof(struct options, of_), doc_ }, \
		.of = OPTION_##of_, \
		.kind = OPTION_KIND_##kind_, \
		.node = OPTION_BARE, \
	},
#define OPTION_OBSOLETE(...)
#include "config/options.def"
};

/* Those without come last: a unit test sees to it. */
const unsigned option_node_count = 0
#define OPTION(kind, type, name, standing, node, ...) +((node) != OPTION_BARE)
#define OPTION_ALIAS(...)
#define OPTION_OBSOLETE(...)
#include "config/options.def"
    ;

const char option_obsolete[][FIELD_NAME_SIZE] LATE_TABLE = {
#define OPTION(...)
#define OPTION_ALIAS(...)
#define OPTION_OBSOLETE(name) #name,
#include "config/options.def"
};

const unsigned option_obsolete_count = COUNT_OF(option_obsolete);

const char *
option_word(const struct option *option, int value)
{
	const char *word = option->words;

	for (; value > 0 && *word != '\0'; value--)
		word += strlen(word) + 1;
	return value != 0 || *word == '\0' ? NULL : word;
}

void *
option_room(const struct option *option)
{
	return (char *)&rooms + option->room;
}
