/* SPDX-License-Identifier: MIT */
/*
 * field -- a name for some bytes of a known type.
 *
 * An option, a counter and a control node are all that; readers, parsers, printers and
 * mergers are loops over const tables of fields.  A field says where its bytes lie within
 * some struct, never which object: that is the table's owner's to say.
 *
 * Name and doc are text in the row, not pointers: so a table of fields alone has nothing to
 * relocate, and none of its pages is touched before somebody asks.  Rows that need a pointer
 * keep it in a table beside.
 */
#ifndef TRACT_BASE_FIELD_H
#define TRACT_BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/assert.h"

enum field_type {
	FIELD_BOOL,
	FIELD_UNSIGNED,
	FIELD_U32,
	FIELD_U64,
	FIELD_I64,
	FIELD_SIZE,
	FIELD_SSIZE,
	FIELD_STRING,  /* const char * */
	FIELD_ENUM,    /* int, an index into names that the table's owner keeps */
	FIELD_POINTER, /* any object pointer */
	FIELD_TYPES
};

/* Room for both, their ends included; the compiler warns of what does not fit. */
#define FIELD_NAME_SIZE 48
#define FIELD_DOC_SIZE 200

struct field {
	char name[FIELD_NAME_SIZE];
	enum field_type type;
	uint32_t offset; /* bytes from the start of the struct that the table describes */
	char doc[FIELD_DOC_SIZE];
};

/* Bytes of a value of this type as it is stored. */
static inline size_t
field_size(enum field_type type)
{
	switch (type) {
	case FIELD_BOOL: return sizeof(bool);
	case FIELD_UNSIGNED: return sizeof(unsigned);
	case FIELD_U32: return sizeof(uint32_t);
	case FIELD_U64: return sizeof(uint64_t);
	case FIELD_I64: return sizeof(int64_t);
	case FIELD_SIZE: return sizeof(size_t);
	case FIELD_SSIZE: return sizeof(ssize_t);
	case FIELD_STRING: return sizeof(const char *);
	case FIELD_ENUM: return sizeof(int);
	case FIELD_POINTER: return sizeof(void *);
	case FIELD_TYPES: break;
	}
	unreachable_state();
}

/* The field's bytes in `object', which is the struct that the table describes. */
static inline void *
field_at(const struct field *field, void *object)
{
	return (char *)object + field->offset;
}

static inline const void *
field_at_const(const struct field *field, const void *object)
{
	return (const char *)object + field->offset;
}

/* A count or an amount; one below zero, as what must be cast back. */
static inline uint64_t
field_number(const struct field *field, const void *object)
{
	const void *at = field_at_const(field, object);

	switch (field->type) {
	case FIELD_U64: return *(const uint64_t *)at;
	case FIELD_U32: return *(const uint32_t *)at;
	case FIELD_UNSIGNED: return *(const unsigned *)at;
	case FIELD_SIZE: return *(const size_t *)at;
	case FIELD_SSIZE: return (uint64_t) * (const ssize_t *)at;
	default: unreachable_state();
	}
}

#endif
