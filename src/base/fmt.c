/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strchrnul */
#include "base/fmt.h"

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "base/assert.h"
#include "base/bits.h"

/* 2^64 - 1 has 20 digits. */
#define MAX_DIGITS 20

enum length_modifier { LENGTH_INT, LENGTH_LONG, LENGTH_LLONG, LENGTH_SIZE };

/* One conversion of fmt_print, from the character after % to the one before the letter. */
struct directive {
	bool left, zeros;
	size_t width;
	size_t precision; /* SIZE_MAX when none was given */
	enum length_modifier length;
};

void
fmt_init(struct fmt *f, char *buffer, size_t size)
{
	assert(size > 0);
	f->buffer = buffer;
	f->size = size;
	f->length = 0;
	buffer[0] = '\0';
}

void
fmt_bytes(struct fmt *f, const char *text, size_t length)
{
	length = min_size(length, f->size - 1 - f->length);
	memcpy(f->buffer + f->length, text, length);
	f->length += length;
	f->buffer[f->length] = '\0';
}

void
fmt_char(struct fmt *f, char c)
{
	fmt_bytes(f, &c, 1);
}

void
fmt_text(struct fmt *f, const char *text)
{
	fmt_bytes(f, text, strlen(text));
}

void
fmt_pad(struct fmt *f, char c, size_t count)
{
	count = min_size(count, f->size - 1 - f->length);
	memset(f->buffer + f->length, c, count);
	f->length += count;
	f->buffer[f->length] = '\0';
}

/* Write the digits to the end of `digits'; returns where they begin. */
static size_t
to_digits(char digits[MAX_DIGITS], uint64_t value, unsigned radix)
{
	size_t first = MAX_DIGITS;
	do {
		digits[--first] = "0123456789abcdef"[value % radix];
		value /= radix;
	} while (value != 0);
	return first;
}

/* prefix, then the digits; padded to d->width as d says. */
static COLD void
put_number(struct fmt *f, const struct directive *d, const char *prefix, uint64_t value,
    unsigned radix)
{
	char digits[MAX_DIGITS];
	size_t first = to_digits(digits, value, radix);
	size_t used = strlen(prefix) + MAX_DIGITS - first;
	size_t padding = d->width > used ? d->width - used : 0;
	if (!d->left && !d->zeros)
		fmt_pad(f, ' ', padding);
	fmt_text(f, prefix);
	if (!d->left && d->zeros)
		fmt_pad(f, '0', padding);
	fmt_bytes(f, digits + first, MAX_DIGITS - first);
	if (d->left)
		fmt_pad(f, ' ', padding);
}

static void
put_signed(struct fmt *f, const struct directive *d, int64_t value)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	put_number(f, d, value < 0 ? "-" : "", magnitude, 10);
}

static COLD void
put_text(struct fmt *f, const struct directive *d, const char *text, size_t length)
{
	size_t padding = d->width > length ? d->width - length : 0;
	if (!d->left)
		fmt_pad(f, ' ', padding);
	fmt_bytes(f, text, length);
	if (d->left)
		fmt_pad(f, ' ', padding);
}

void
fmt_u64(struct fmt *f, uint64_t value)
{
	put_number(f, &(struct directive){ 0 }, "", value, 10);
}

void
fmt_i64(struct fmt *f, int64_t value)
{
	put_signed(f, &(struct directive){ 0 }, value);
}

void
fmt_hex(struct fmt *f, uint64_t value)
{
	put_number(f, &(struct directive){ 0 }, "0x", value, 16);
}

void
fmt_print(struct fmt *f, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fmt_vprint(f, format, arguments);
	va_end(arguments);
}

/* va_list may be an array type: in a struct it can be handed to functions by address. */
struct arguments {
	va_list list;
};

static uint64_t
take_unsigned(struct arguments *a, enum length_modifier length)
{
	switch (length) {
	case LENGTH_LONG: return va_arg(a->list, unsigned long);
	case LENGTH_LLONG: return va_arg(a->list, unsigned long long);
	case LENGTH_SIZE: return va_arg(a->list, size_t);
	default: return va_arg(a->list, unsigned);
	}
}

static int64_t
take_signed(struct arguments *a, enum length_modifier length)
{
	switch (length) {
	case LENGTH_LONG: return va_arg(a->list, long);
	case LENGTH_LLONG: return va_arg(a->list, long long);
	case LENGTH_SIZE: return va_arg(a->list, ssize_t);
	default: return va_arg(a->list, int);
	}
}

/* A number or *, SIZE_MAX for a negative *. */
static const char *
parse_count(const char *p, struct arguments *a, size_t *count)
{
	if (*p == '*') {
		int n = va_arg(a->list, int);
		*count = n < 0 ? SIZE_MAX : (size_t)n;
		return p + 1;
	}
	for (*count = 0; *p >= '0' && *p <= '9'; p++)
		*count = *count * 10 + (size_t)(*p - '0');
	return p;
}

static const char *
parse_directive(const char *p, struct arguments *a, struct directive *d)
{
	*d = (struct directive){ .precision = SIZE_MAX, .length = LENGTH_INT };
	for (; *p == '-' || *p == '0'; p++) {
		if (*p == '-')
			d->left = true;
		else
			d->zeros = true;
	}
	p = parse_count(p, a, &d->width);
	if (*p == '.')
		p = parse_count(p + 1, a, &d->precision);
	if (*p == 'z') {
		d->length = LENGTH_SIZE;
		return p + 1;
	}
	for (; *p == 'l'; p++)
		d->length = d->length == LENGTH_INT ? LENGTH_LONG : LENGTH_LLONG;
	return p;
}

static void
put_directive(struct fmt *f, const struct directive *d, char letter, struct arguments *a)
{
	switch (letter) {
	case 'd':
	case 'i': put_signed(f, d, take_signed(a, d->length)); return;
	case 'u': put_number(f, d, "", take_unsigned(a, d->length), 10); return;
	case 'x': put_number(f, d, "", take_unsigned(a, d->length), 16); return;
	case 'p': put_number(f, d, "0x", (uintptr_t)va_arg(a->list, void *), 16); return;
	case 'c': {
		char c = (char)va_arg(a->list, int);
		put_text(f, d, &c, 1);
		return;
	}
	case 's': {
		const char *text = va_arg(a->list, const char *);
		if (text == NULL)
			text = "(null)";
		put_text(f, d, text, strnlen(text, d->precision));
		return;
	}
	default: assert(letter == '%'); fmt_char(f, letter);
	}
}

COLD void
fmt_vprint(struct fmt *f, const char *format, va_list list)
{
	struct arguments a;
	va_copy(a.list, list);
	while (*format != '\0') {
		const char *end = strchrnul(format, '%');
		fmt_bytes(f, format, (size_t)(end - format));
		if (*end == '\0')
			break;
		struct directive d;
		format = parse_directive(end + 1, &a, &d);
		if (*format == '\0')
			break;
		put_directive(f, &d, *format++, &a);
	}
	va_end(a.list);
}
