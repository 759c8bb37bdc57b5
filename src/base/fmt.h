/* SPDX-License-Identifier: MIT */
/*
 * fmt -- text into a fixed buffer, without stdio and without allocating.
 *
 * Always true: length < size and buffer[length] == '\0'.  What does not fit is cut silently, so a
 * message is never lost for being long.
 */
#ifndef TRACT_BASE_FMT_H
#define TRACT_BASE_FMT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct fmt {
	char *buffer;
	size_t size;   /* of buffer, > 0 */
	size_t length; /* of the text in it, without the NUL */
};

/* Start empty in buffer; size > 0. */
void fmt_init(struct fmt *f, char *buffer, size_t size);
void fmt_char(struct fmt *f, char c);
void fmt_text(struct fmt *f, const char *text);
void fmt_bytes(struct fmt *f, const char *text, size_t length);
void fmt_u64(struct fmt *f, uint64_t value);
void fmt_i64(struct fmt *f, int64_t value);
/* With 0x in front. */
void fmt_hex(struct fmt *f, uint64_t value);
/* `count' times c. */
void fmt_pad(struct fmt *f, char c, size_t count);

/*
 * The part of printf that tract needs: %% %c %s %p, %d %i %u %x with l, ll, z and without; flags
 * `-' and `0', a width (a number or *), a precision for %s (a number or *).
 */
void fmt_print(struct fmt *f, const char *format, ...) PRINTF_LIKE(2, 3);
void fmt_vprint(struct fmt *f, const char *format, va_list arguments) PRINTF_LIKE(2, 0);

#endif
