/* SPDX-License-Identifier: MIT */
#include "ctl/emit.h"

#include <string.h>

#include "base/bits.h"

/* No number, and no piece that is put at once, is longer. */
#define PIECE_MAX 256
#define COLUMN_GAP 2
#define COLUMN_MIN 12

void
emit_init(struct emitter *e, enum emit_form form, emit_write *write, void *opaque)
{
	e->form = form;
	e->write = write;
	e->opaque = opaque;
	e->depth = 0;
	memset(e->has_member, 0, sizeof e->has_member);
	fmt_init(&e->fmt, e->buffer, sizeof e->buffer);
}

static void
write_out(struct emitter *e)
{
	if (e->fmt.length != 0)
		e->write(e->opaque, e->buffer);
	fmt_init(&e->fmt, e->buffer, sizeof e->buffer);
}

void
emit_flush(struct emitter *e)
{
	assert(e->depth == 0);
	write_out(e);
}

/* The buffer, with room for a piece. */
static struct fmt *
room(struct emitter *e)
{
	if (e->fmt.size - e->fmt.length <= PIECE_MAX)
		write_out(e);
	return &e->fmt;
}

void
emit_text(struct emitter *e, const char *format, ...)
{
	va_list arguments;

	if (e->form != EMIT_TEXT)
		return;
	va_start(arguments, format);
	fmt_vprint(room(e), format, arguments);
	va_end(arguments);
}

static void
put_indent(struct emitter *e)
{
	fmt_pad(room(e), ' ', 2 * (size_t)e->depth);
}

void
emit_indent(struct emitter *e)
{
	if (e->form == EMIT_TEXT)
		put_indent(e);
}

/* A string of any length, quoted and escaped in JSON. */
static void
put_string(struct emitter *e, const char *text)
{
	if (e->form == EMIT_TEXT) {
		for (; *text != '\0'; text++)
			fmt_char(room(e), *text);
		return;
	}
	fmt_char(room(e), '"');
	for (; *text != '\0'; text++) {
		const unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fmt_char(room(e), '\\');
		/* Other bytes than ASCII would have to be UTF-8, which nobody
		 * promises. */
		if (c < 0x20 || c >= 0x7f)
			fmt_print(room(e), "\\u%04x", c);
		else
			fmt_char(room(e), (char)c);
	}
	fmt_char(room(e), '"');
}

/* In JSON: the comma after the former member, a new line, the key. */
static void
begin_member(struct emitter *e, const char *key)
{
	if (e->has_member[e->depth])
		fmt_char(room(e), ',');
	e->has_member[e->depth] = true;
	fmt_char(room(e), '\n');
	put_indent(e);
	if (key != NULL) {
		put_string(e, key);
		fmt_text(room(e), ": ");
	}
}

static void
json_open(struct emitter *e, const char *key, char bracket)
{
	if (e->depth != 0)
		begin_member(e, key);
	fmt_char(room(e), bracket);
	e->depth++;
	assert(e->depth < EMIT_DEPTH);
	e->has_member[e->depth] = false;
}

static void
json_close(struct emitter *e, char bracket)
{
	const bool had_member = e->has_member[e->depth];

	e->depth--;
	if (had_member) {
		fmt_char(room(e), '\n');
		put_indent(e);
	}
	fmt_char(room(e), bracket);
	if (e->depth == 0)
		fmt_char(room(e), '\n');
}

void
emit_object(struct emitter *e, const char *key, const char *title)
{
	if (e->form == EMIT_JSON) {
		json_open(e, key, '{');
	} else if (title != NULL) {
		put_indent(e);
		emit_text(e, "%s\n", title);
		e->depth++;
	}
}

void
emit_object_end(struct emitter *e, const char *title)
{
	if (e->form == EMIT_JSON)
		json_close(e, '}');
	else if (title != NULL)
		e->depth--;
}

void
emit_array(struct emitter *e, const char *key)
{
	if (e->form == EMIT_JSON)
		json_open(e, key, '[');
}

void
emit_array_end(struct emitter *e)
{
	if (e->form == EMIT_JSON)
		json_close(e, ']');
}

/* ---- Values. ---- */

static void
put_value(struct emitter *e, enum field_type type, const void *at)
{
	struct fmt *f = room(e);

	switch (type) {
	case FIELD_BOOL: fmt_text(f, *(const bool *)at ? "true" : "false"); return;
	case FIELD_UNSIGNED: fmt_u64(f, *(const unsigned *)at); return;
	case FIELD_U32: fmt_u64(f, *(const uint32_t *)at); return;
	case FIELD_U64: fmt_u64(f, *(const uint64_t *)at); return;
	case FIELD_I64: fmt_i64(f, *(const int64_t *)at); return;
	case FIELD_SIZE: fmt_u64(f, *(const size_t *)at); return;
	case FIELD_SSIZE: fmt_i64(f, *(const ssize_t *)at); return;
	case FIELD_STRING: put_string(e, *(const char *const *)at); return;
	case FIELD_POINTER: fmt_u64(f, (uintptr_t) * (const void *const *)at); return;
	case FIELD_ENUM:
	case FIELD_TYPES: break;
	}
	unreachable_state();
}

void
emit_value(struct emitter *e, const char *key, enum field_type type, const void *value)
{
	if (e->form == EMIT_JSON) {
		begin_member(e, key);
		put_value(e, type, value);
		return;
	}
	put_indent(e);
	emit_text(e, "%s: ", key);
	put_value(e, type, value);
	emit_text(e, "\n");
}

static const struct field *
row_at(const struct emit_rows *rows, unsigned i)
{
	return (const struct field *)((const char *)rows->rows + i * rows->stride);
}

static size_t
column_width(const struct field *field)
{
	return max_size(strlen(field->name), COLUMN_MIN) + COLUMN_GAP;
}

void
emit_headings(struct emitter *e, const struct emit_rows *rows)
{
	for (unsigned i = 0; i < rows->n_rows; i++) {
		const struct field *field = row_at(rows, i);
		emit_text(e, "%*s", (int)column_width(field), field->name);
	}
}

/* The value's text, right-aligned: put, measured, and moved. */
static void
put_column(struct emitter *e, const struct field *field, const void *object)
{
	struct fmt *f = room(e);
	const size_t before = f->length, width = column_width(field);

	put_value(e, field->type, field_at_const(field, object));
	const size_t length = f->length - before;
	if (length >= width)
		return;
	char *start = f->buffer + before;
	memmove(start + width - length, start, length);
	memset(start, ' ', width - length);
	f->length += width - length;
	f->buffer[f->length] = '\0';
}

void
emit_columns(struct emitter *e, const struct emit_rows *rows, const void *object)
{
	if (e->form != EMIT_TEXT)
		return;
	for (unsigned i = 0; i < rows->n_rows; i++)
		put_column(e, row_at(rows, i), object);
}
