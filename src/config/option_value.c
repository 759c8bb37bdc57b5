/* SPDX-License-Identifier: MIT */
#include "config/option_value.h"

#include "base/bits.h"
#include "config/size_class.h"
#include "tract_config.h"

/* ---- Numbers. ---- */

struct number {
	uintmax_t magnitude;
	bool is_huge; /* does not fit */
	bool negative;
};

static void
multiply(struct number *n, uintmax_t by)
{
	n->is_huge |= __builtin_mul_overflow(n->magnitude, by, &n->magnitude);
}

static void
add(struct number *n, uintmax_t what)
{
	n->is_huge |= __builtin_add_overflow(n->magnitude, what, &n->magnitude);
}

static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Digits alone; false where there is anything else. */
static bool
read_in_base(struct text text, unsigned base, struct number *n)
{
	*n = (struct number){ .magnitude = 0 };
	if (text.length == 0)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		const int digit = digit_of(text.start[i]);
		if (digit < 0 || (unsigned)digit >= base)
			return false;
		multiply(n, base);
		add(n, (uintmax_t)digit);
	}
	return true;
}

/* Digits in the base that their beginning says. */
static bool
read_digits(struct text text, struct number *n)
{
	unsigned base = 10;

	if (text.length > 2 && (text_begins(text, "0x") || text_begins(text, "0X"))) {
		base = 16;
		text.start += 2;
		text.length -= 2;
	} else if (text.length > 1 && text.start[0] == '0') {
		base = 8;
	}
	return read_in_base(text, base, n);
}

/* Take the unit off the end of *text. How many the unit stands for. */
static uintmax_t
drop_unit(enum option_unit unit, struct text *text)
{
	if (unit == OPTION_MS) {
		if (text_drop_suffix(text, "ms"))
			return 1;
		return text_drop_suffix(text, "s") ? 1000 : 1;
	}
	if (unit != OPTION_BYTES)
		return 1;
	if (text_drop_suffix(text, "k") || text_drop_suffix(text, "K"))
		return (uintmax_t)1 << 10;
	if (text_drop_suffix(text, "m") || text_drop_suffix(text, "M"))
		return (uintmax_t)1 << 20;
	if (text_drop_suffix(text, "g") || text_drop_suffix(text, "G"))
		return (uintmax_t)1 << 30;
	return 1;
}

static bool
read_units(struct text text, enum option_unit unit, struct number *n)
{
	const uintmax_t factor = drop_unit(unit, &text);

	if (!read_digits(text, n))
		return false;
	multiply(n, factor);
	return true;
}

/* In range, or brought there. */
static enum reading
fit(const struct option *option, struct number n, uintmax_t *value)
{
	uintmax_t lowest = (uintmax_t)option->min;
	if (option->min < 0)
		lowest = -lowest;
	bool below, above;
	if (n.negative) {
		below = n.is_huge || n.magnitude > lowest;
		above = false;
	} else {
		above = n.is_huge || n.magnitude > option->max;
		below = !above && option->min > 0 && n.magnitude < lowest;
	}

	*value = n.negative ? -n.magnitude : n.magnitude;
	if (!below && !above)
		return READ_OK;
	if (option->policy == OPTION_REJECT || (below && option->policy == OPTION_REDUCE))
		return READ_OUT_OF_RANGE;
	*value = below ? (uintmax_t)option->min : option->max;
	return option->policy == OPTION_REDUCE ? READ_REDUCED : READ_OK;
}

static enum reading
read_number(const struct option *option, struct text text, uintmax_t *value)
{
	const bool negative = option->min < 0 && text_begins(text, "-");
	struct number n;

	if (negative) {
		text.start++;
		text.length--;
	}
	if (!read_units(text, (enum option_unit)option->unit, &n))
		return READ_INVALID;
	n.negative = negative;
	return fit(option, n, value);
}

/* The text is the base-2 logarithm of what `option' takes. */
static enum reading
read_lg(const struct option *option, struct text text, uintmax_t *value)
{
	struct number n;

	if (!read_digits(text, &n))
		return READ_INVALID;
	n.is_huge |= n.magnitude >= 64;
	n.magnitude = n.is_huge ? 0 : (uintmax_t)1 << n.magnitude;
	return fit(option, n, value);
}

/* ---- Ratios. ---- */

/* 0.DIGITS in 16.16, rounded down. Nine digits are more than it can tell apart. */
static bool
read_fraction(struct text digits, uintmax_t *fraction)
{
	uintmax_t numerator = 0, denominator = 1;

	for (size_t i = 0; i < digits.length; i++) {
		const char c = digits.start[i];
		if (c < '0' || c > '9')
			return false;
		if (i < 9) {
			numerator = numerator * 10 + (uintmax_t)(c - '0');
			denominator *= 10;
		}
	}
	*fraction = numerator * RATIO_ONE / denominator;
	return true;
}

/* A decimal number with or without a point, in 16.16. */
static bool
read_fixed_point(struct text text, struct number *n)
{
	struct text whole;
	uintmax_t fraction = 0;
	const bool has_point = text_cut(&text, '.', &whole);

	*n = (struct number){ .magnitude = 0 };
	if (whole.length + text.length == 0)
		return false;
	if (whole.length != 0 && !read_in_base(whole, 10, n))
		return false;
	if (has_point && !read_fraction(text, &fraction))
		return false;
	multiply(n, RATIO_ONE);
	add(n, fraction);
	return true;
}

static enum reading
read_ratio(const struct option *option, struct text text, uintmax_t *value)
{
	struct number n;

	if (option->min < 0 && text_is(text, "-1")) {
		*value = RATIO_NEVER;
		return READ_OK;
	}
	if (!read_fixed_point(text, &n))
		return READ_INVALID;
	return fit(option, n, value);
}

/* The text is the part of a huge page that `option' takes in bytes. */
static enum reading
read_part(const struct option *option, struct text text, uintmax_t *value)
{
	struct number n;

	if (!read_fixed_point(text, &n))
		return READ_INVALID;
	if (n.is_huge || n.magnitude > RATIO_ONE)
		return READ_OUT_OF_RANGE;
	n.magnitude = (n.magnitude << CONFIG_LG_HUGEPAGE) / RATIO_ONE;
	return fit(option, n, value);
}

/* ---- Words and lists. ---- */

static enum reading
read_bool(struct text text, uintmax_t *value)
{
	*value = text_is(text, "true");
	return *value != 0 || text_is(text, "false") ? READ_OK : READ_INVALID;
}

static enum reading
read_choice(const struct option *option, struct text text, uintmax_t *value)
{
	const char *word;

	for (int i = 0; (word = option_word(option, i)) != NULL; i++) {
		if (text_is(text, word)) {
			*value = (uintmax_t)i;
			return READ_OK;
		}
	}
	return READ_INVALID;
}

/* One `lo-hi:n': n for each class from that of lo to that of hi. */
static bool
read_range(const struct option *option, struct text range, uint16_t *list)
{
	struct text sizes, lo;
	struct number first, last, n;

	if (!text_cut(&range, ':', &sizes) || !text_cut(&sizes, '-', &lo))
		return false;
	if (!read_units(lo, OPTION_BYTES, &first)
	    || !read_units(sizes, OPTION_BYTES, &last) || !read_digits(range, &n))
		return false;
	if (n.is_huge || n.magnitude < (uintmax_t)option->min
	    || n.magnitude > option->max)
		return false;

	const unsigned n_classes = option->room_size / sizeof *list;
	const size_t largest = size_class_size(n_classes - 1);
	if (last.is_huge)
		last.magnitude = UINTMAX_MAX;
	if (first.is_huge || first.magnitude > largest
	    || first.magnitude > last.magnitude)
		return false;
	const unsigned end = size_class_of(min_size(last.magnitude, largest)) + 1;
	for (unsigned i = size_class_of(first.magnitude); i < end; i++)
		list[i] = (uint16_t)n.magnitude;
	return true;
}

bool
option_parse_list(const struct option *option, const char *text, size_t length,
    uint16_t *list)
{
	struct text rest = { text, length }, range;
	bool has_more;

	for (unsigned i = 0; i < OPTION_LIST_MAX; i++)
		list[i] = OPTION_LIST_UNSET;
	do {
		has_more = text_cut(&rest, '|', &range);
		if (!read_range(option, range, list))
			return false;
	} while (has_more);
	return true;
}

/* ---- By kind. ---- */

static bool
takes_default(const struct option *option)
{
	switch ((enum option_kind)option->kind) {
	case OPTION_KIND_BOOL:
	case OPTION_KIND_ENUM:
	case OPTION_KIND_TEXT:
	case OPTION_KIND_LETTERS: return false;
	default: return true;
	}
}

enum reading
option_read(const struct option *option, struct text text, struct option_value *value)
{
	const struct option *target = &option_table[option->of];

	value->is_default = takes_default(option) && text_is(text, "default");
	value->number = (uintmax_t)target->initial;
	value->text = text;
	if (value->is_default)
		return READ_OK;
	switch ((enum option_kind)option->kind) {
	case OPTION_KIND_BOOL: return read_bool(text, &value->number);
	case OPTION_KIND_ENUM: return read_choice(option, text, &value->number);
	case OPTION_KIND_SSIZE:
	case OPTION_KIND_SIZE:
	case OPTION_KIND_UNSIGNED:
	case OPTION_KIND_U64:
	case OPTION_KIND_I64: return read_number(option, text, &value->number);
	case OPTION_KIND_RATIO: return read_ratio(option, text, &value->number);
	case OPTION_KIND_LG_ALIAS: return read_lg(target, text, &value->number);
	case OPTION_KIND_RATIO_ALIAS: return read_part(target, text, &value->number);
	case OPTION_KIND_TEXT:
	case OPTION_KIND_LETTERS: return READ_OK;
	case OPTION_KIND_LIST:
		return option_parse_list(option, text.start, text.length, value->list)
		    ? READ_OK
		    : READ_INVALID;
	}
	unreachable_state();
}

bool
option_value_is_initial(const struct option *option, const struct option_value *value)
{
	if (value->is_default)
		return true;
	switch ((enum option_kind)option->kind) {
	case OPTION_KIND_TEXT: return text_is(value->text, option->words);
	case OPTION_KIND_LETTERS: return value->text.length == 0;
	case OPTION_KIND_LIST: return false;
	default: return value->number == (uintmax_t)option_table[option->of].initial;
	}
}

/* ---- Into `opt'. ---- */

static const char *
keep_text(const struct option *option, struct text text)
{
	char *room = option_room(option);
	const size_t length = min_size(text.length, (size_t)option->room_size - 1);

	memcpy(room, text.start, length);
	room[length] = '\0';
	return room;
}

static const char *
keep_letters(const struct option *option, struct text text)
{
	char *room = option_room(option);
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++) {
		const char c = text.start[i];
		if (strchr(option->words, c) != NULL && memchr(room, c, length) == NULL)
			room[length++] = c;
	}
	room[length] = '\0';
	return room;
}

static const uint16_t *
keep_list(const struct option *option, const struct option_value *value)
{
	if (value->is_default)
		return NULL;
	return memcpy(option_room(option), value->list, option->room_size);
}

void
option_store(const struct option *option, const struct option_value *value)
{
	const struct option *target = &option_table[option->of];
	const uintmax_t number = value->number;
	void *at = (char *)&opt + target->field.offset;

	switch ((enum option_kind)target->kind) {
	case OPTION_KIND_BOOL: *(bool *)at = number != 0; return;
	case OPTION_KIND_ENUM: *(int *)at = (int)number; return;
	case OPTION_KIND_SSIZE: *(ssize_t *)at = (ssize_t)number; return;
	case OPTION_KIND_SIZE: *(size_t *)at = (size_t)number; return;
	case OPTION_KIND_UNSIGNED: *(unsigned *)at = (unsigned)number; return;
	case OPTION_KIND_U64: *(uint64_t *)at = number; return;
	case OPTION_KIND_I64: *(int64_t *)at = (int64_t)number; return;
	case OPTION_KIND_RATIO: *(uint32_t *)at = (uint32_t)number; return;
	case OPTION_KIND_TEXT:
		*(const char **)at = keep_text(target, value->text);
		return;
	case OPTION_KIND_LETTERS:
		*(const char **)at = keep_letters(target, value->text);
		return;
	case OPTION_KIND_LIST: *(const uint16_t **)at = keep_list(target, value); return;
	case OPTION_KIND_LG_ALIAS:
	case OPTION_KIND_RATIO_ALIAS: break;
	}
	unreachable_state();
}
