/* SPDX-License-Identifier: MIT */
/*
 * emit -- names and values as indented text, or as JSON, in pieces through a writer.
 *
 * The same calls make both: objects and arrays nest; in JSON every value has a key but in
 * arrays, in text every object has a title line and values stand below it.  Tables of
 * text have columns.
 *
 * Pieces are collected in a buffer on the caller's stack and handed to the writer whole.
 * Nothing is allocated and no lock is taken or expected, so the writer may do what it
 * likes.
 */
#ifndef TRACT_CTL_EMIT_H
#define TRACT_CTL_EMIT_H

#include <stdbool.h>

#include "base/field.h"
#include "base/fmt.h"

typedef void emit_write(void *opaque, const char *text);

enum emit_form { EMIT_TEXT, EMIT_JSON };

#define EMIT_DEPTH 8
#define EMIT_BUFFER 4096

struct emitter {
	enum emit_form form;
	emit_write *write;
	void *opaque;
	unsigned depth;
	bool has_member[EMIT_DEPTH]; /* of the object or array at that depth */
	struct fmt fmt;
	char buffer[EMIT_BUFFER];
};

void emit_init(struct emitter *e, enum emit_form form, emit_write *write, void *opaque);
/* Everything that was opened is closed. */
void emit_flush(struct emitter *e);

/* key NULL: in an array. title NULL: the text has no line for it and is not indented
 * more. */
void emit_object(struct emitter *e, const char *key, const char *title);
void emit_object_end(struct emitter *e, const char *title);
/* JSON alone. */
void emit_array(struct emitter *e, const char *key);
void emit_array_end(struct emitter *e);

/* A value in an object; `value' points to bytes of that type. An ENUM is not handled
 * here. */
void emit_value(struct emitter *e, const char *key, enum field_type type,
    const void *value);

/* A table of rows that begin with a field, `stride' bytes each, and the struct they
 * describe. */
struct emit_rows {
	const void *rows;
	unsigned n_rows;
	size_t stride;
};

/* Text alone: the names as headings, the values below them, in equal columns. */
void emit_headings(struct emitter *e, const struct emit_rows *rows);
void emit_columns(struct emitter *e, const struct emit_rows *rows, const void *object);

/* Text alone: the beginning of a line at the present depth. */
void emit_indent(struct emitter *e);
/* Text alone: up to 200 characters. */
void emit_text(struct emitter *e, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
