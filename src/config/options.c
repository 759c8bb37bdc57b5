/* SPDX-License-Identifier: MIT */
#include "config/options.h"

#include <string.h>

#include "base/attr.h"
#include "base/bits.h"
#include "base/fmt.h"
#include "os/os.h"
#include "tract_config.h"

/* ---- Pieces of text: they point into a source, and are not terminated. ---- */

struct text {
	const char *start;
	size_t length;
};

static struct text
text_of(const char *string)
{
	return (struct text){ string, strlen(string) };
}

static bool
text_is(struct text text, const char *word)
{
	size_t length = strlen(word);
	return text.length == length && memcmp(text.start, word, length) == 0;
}

static bool
text_begins(struct text text, const char *word)
{
	size_t length = strlen(word);
	return text.length >= length && memcmp(text.start, word, length) == 0;
}

/* Take `suffix' off the end of *text, unless nothing else is there. */
static bool
text_drop_suffix(struct text *text, const char *suffix)
{
	size_t length = strlen(suffix);
	if (text->length <= length)
		return false;
	if (memcmp(text->start + text->length - length, suffix, length) != 0)
		return false;
	text->length -= length;
	return true;
}

/* ---- Messages. ---- */

/* One line of a message; what does not fit is cut, and the cut is shown. */
struct line {
	struct fmt f;
	char text[1024];
};

#define LINE_CUT "...\n"
#define LINE_ROOM (sizeof(((struct line *)0)->text) - sizeof(LINE_CUT))

static void
line_begin(struct line *line)
{
	fmt_init(&line->f, line->text, LINE_ROOM);
	fmt_text(&line->f, "<tract>: ");
}

static void
line_add(struct line *line, struct text text)
{
	fmt_bytes(&line->f, text.start, text.length);
}

static const char *
line_end(struct line *line)
{
	bool is_cut = line->f.length == LINE_ROOM - 1;
	strcpy(line->text + line->f.length, is_cut ? LINE_CUT : "\n");
	return line->text;
}

/* ---- Which names there are. ---- */

static const struct option *
find_option(struct text key)
{
	for (unsigned i = 0; i < option_count; i++)
		if (text_is(key, option_table[i].field.name))
			return &option_table[i];
	return NULL;
}

static const struct option_name *
find_name(struct text key)
{
	for (unsigned i = 0; i < option_name_count; i++)
		if (text_is(key, option_names[i].name))
			return &option_names[i];
	return NULL;
}

#define GUESS_MAX ((size_t)63) /* longest key for which a nearest name is sought */

/* Letters to insert, delete or replace to turn the key into the name. */
static unsigned
edit_distance(struct text key, struct text name)
{
	/* row[i]: from the key's first i letters to the name's first j. */
	unsigned char row[GUESS_MAX + 1];

	for (size_t i = 0; i <= key.length; i++)
		row[i] = (unsigned char)i;
	for (size_t j = 0; j < name.length; j++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned char)(j + 1);
		for (size_t i = 0; i < key.length; i++) {
			size_t replaced = diagonal + (key.start[i] != name.start[j]);
			diagonal = row[i + 1];
			size_t shifted = min_size(row[i], row[i + 1]) + 1;
			row[i + 1] = (unsigned char)min_size(replaced, shifted);
		}
	}
	return row[key.length];
}

/* The known name nearest to an unknown key, or NULL where none looks like it. */
static const char *
nearest_name(struct text key)
{
	if (key.length == 0 || key.length > GUESS_MAX)
		return NULL;

	const char *best = NULL;
	unsigned best_distance = (unsigned)key.length / 3 + 1;
	for (unsigned i = 0; i < option_count + option_name_count; i++) {
		const char *name = i < option_count ? option_table[i].field.name
						    : option_names[i - option_count].name;
		unsigned distance = edit_distance(key, text_of(name));
		if (distance < best_distance) {
			best = name;
			best_distance = distance;
		}
	}
	return best;
}

/* ---- Values. ---- */

enum reading { READ_OK, READ_INVALID, READ_OUT_OF_RANGE };

struct number {
	uintmax_t magnitude; /* UINTMAX_MAX where it does not fit */
	bool negative;
};

static uintmax_t
saturating_mul(uintmax_t a, uintmax_t b)
{
	uintmax_t product;
	return __builtin_mul_overflow(a, b, &product) ? UINTMAX_MAX : product;
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

/*
 * Digits alone, in the base that their beginning says; false where there is anything
 * else.
 */
static bool
read_digits(struct text text, uintmax_t *value)
{
	unsigned base = 10;
	if (text.length > 2 && (text_begins(text, "0x") || text_begins(text, "0X"))) {
		base = 16;
		text.start += 2;
		text.length -= 2;
	} else if (text.length > 1 && text.start[0] == '0') {
		base = 8;
	}
	if (text.length == 0)
		return false;

	*value = 0;
	for (size_t i = 0; i < text.length; i++) {
		int digit = digit_of(text.start[i]);
		if (digit < 0 || (unsigned)digit >= base)
			return false;
		uintmax_t shifted = saturating_mul(*value, base);
		if (__builtin_add_overflow(shifted, (uintmax_t)digit, value))
			*value = UINTMAX_MAX;
	}
	return true;
}

/* How many units the value's suffix stands for; takes the suffix off. */
static uintmax_t
drop_unit(const struct option *option, struct text *value)
{
	struct text name = text_of(option->field.name);
	if (text_drop_suffix(&name, "_ms")) {
		if (text_drop_suffix(value, "ms"))
			return 1;
		return text_drop_suffix(value, "s") ? 1000 : 1;
	}
	if (option->kind != OPTION_KIND_SIZE)
		return 1;
	if (text_drop_suffix(value, "k") || text_drop_suffix(value, "K"))
		return (uintmax_t)1 << 10;
	if (text_drop_suffix(value, "m") || text_drop_suffix(value, "M"))
		return (uintmax_t)1 << 20;
	if (text_drop_suffix(value, "g") || text_drop_suffix(value, "G"))
		return (uintmax_t)1 << 30;
	return 1;
}

static bool
read_number(const struct option *option, struct text value, struct number *number)
{
	number->negative = option->min < 0 && text_begins(value, "-");
	if (number->negative) {
		value.start++;
		value.length--;
	}
	uintmax_t unit = drop_unit(option, &value);
	if (!read_digits(value, &number->magnitude))
		return false;
	number->magnitude = saturating_mul(number->magnitude, unit);
	return true;
}

/* By offset in `opt'. */
static bool was_set[sizeof(struct options)] EARLY;

bool
option_was_set(const void *value)
{
	return was_set[(const char *)value - (const char *)&opt];
}

static void
store(const struct option *option, uintmax_t value)
{
	was_set[option->field.offset] = true;
	void *at = field_at(&option->field, &opt);
	switch (option->kind) {
	case OPTION_KIND_BOOL: *(bool *)at = value != 0; return;
	case OPTION_KIND_ENUM: *(int *)at = (int)value; return;
	case OPTION_KIND_SSIZE: *(ssize_t *)at = (ssize_t)value; return;
	case OPTION_KIND_SIZE: *(size_t *)at = (size_t)value; return;
	case OPTION_KIND_UNSIGNED: *(unsigned *)at = (unsigned)value; return;
	case OPTION_KIND_U64: *(uint64_t *)at = value; return;
	case OPTION_KIND_I64: *(int64_t *)at = (int64_t)value; return;
	}
	unreachable_state();
}

/* In range, or brought there.  Negative values are stored in two's complement. */
static enum reading
set_number(const struct option *option, struct number number)
{
	uintmax_t lowest = (uintmax_t)option->min;
	if (option->min < 0)
		lowest = -lowest;
	bool below, above;
	if (number.negative) {
		below = number.magnitude > lowest;
		above = false;
	} else {
		below = option->min > 0 && number.magnitude < lowest;
		above = number.magnitude > option->max;
	}

	uintmax_t value = number.negative ? -number.magnitude : number.magnitude;
	if (below || above) {
		if (option->policy == OPTION_REJECT)
			return READ_OUT_OF_RANGE;
		value = below ? (uintmax_t)option->min : option->max;
	}
	store(option, value);
	return READ_OK;
}

static enum reading
set_bool(const struct option *option, struct text value)
{
	if (!text_is(value, "true") && !text_is(value, "false"))
		return READ_INVALID;
	store(option, text_is(value, "true"));
	return READ_OK;
}

static enum reading
set_enum(const struct option *option, struct text value)
{
	const char *word;

	for (int i = 0; (word = option_word(option, i)) != NULL; i++) {
		if (text_is(value, word)) {
			store(option, (uint64_t)i);
			return READ_OK;
		}
	}
	return READ_INVALID;
}

static enum reading
set_option(const struct option *option, struct text value)
{
	if (option->kind == OPTION_KIND_BOOL)
		return set_bool(option, value);
	if (option->kind == OPTION_KIND_ENUM)
		return set_enum(option, value);
	if (text_is(value, "default")) {
		store(option, (uintmax_t)option->initial);
		was_set[option->field.offset] = false;
		return READ_OK;
	}
	struct number number;
	if (!read_number(option, value, &number))
		return READ_INVALID;
	return set_number(option, number);
}

/* The value is the base-2 logarithm of what `option' takes. */
static enum reading
set_lg_alias(const struct option *option, struct text value)
{
	uintmax_t lg;
	if (!read_digits(value, &lg))
		return READ_INVALID;
	struct number number = { lg < 64 ? (uintmax_t)1 << lg : UINTMAX_MAX, false };
	return set_number(option, number);
}

/* ---- Sources. ---- */

static const char *source_texts[CONF_SOURCES] EARLY;

static const char *const source_titles[CONF_SOURCES] = {
	[CONF_BUILT_IN] = "string specified via --with-malloc-conf",
	[CONF_GLOBAL] = "string pointed to by the global variable malloc_conf",
	[CONF_SYMLINK] = "target of the symbolic link " CONFIG_CONF_LINK,
	[CONF_ENVIRONMENT] = "value of the environment variable ", /* and its name */
	[CONF_HARDER] =
	    "string pointed to by the global variable malloc_conf_2_conf_harder",
};

/* A compiler can put the prefix before the name, as in the amalgamation, but not into capitals. */
const char *
conf_env_name(void)
{
	static const char given[] = CONFIG_CONF_ENV;
	static char name[sizeof(given)] EARLY;

	for (size_t i = 0; i < sizeof(given) - 1; i++)
		name[i] = (char)(given[i] >= 'a' && given[i] <= 'z' ? given[i] - 'a' + 'A'
								    : given[i]);
	return name;
}

const char *
options_source(enum conf_source source)
{
	return source_texts[source];
}

/* Parser of one source.  Syntax errors are found by next_pair, the others by apply. */
struct parser {
	const char *rest; /* what is not read yet */
	struct text key;
	struct text value;
	unsigned n_errors;               /* those that count for abort_conf */
	void (*print)(const char *line); /* NULL: nothing is to be said */
};

static void
say(const struct parser *parser, const char *what, struct text about)
{
	struct line line;
	if (parser->print == NULL)
		return;
	line_begin(&line);
	fmt_print(&line.f, "%s: ", what);
	line_add(&line, about);
	parser->print(line_end(&line));
}

static struct text
pair_of(const struct parser *parser)
{
	const char *end = parser->value.start + parser->value.length;
	return (struct text){ parser->key.start, (size_t)(end - parser->key.start) };
}

static bool
is_key_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
	    || c == '_';
}

/* Read the next pair; false at the end, or where nothing after this can be understood. */
static bool
next_pair(struct parser *parser)
{
	const char *p = parser->rest;
	if (*p == '\0')
		return false;

	while (is_key_character(*p))
		p++;
	parser->key = (struct text){ parser->rest, (size_t)(p - parser->rest) };
	if (*p != ':') {
		bool is_end = *p == '\0';
		say(parser,
		    is_end ? "Conf string ends with key" : "Malformed conf string",
		    text_of(parser->rest));
		parser->n_errors++;
		return false;
	}

	const char *value = ++p;
	while (*p != '\0' && *p != ',')
		p++;
	parser->value = (struct text){ value, (size_t)(p - value) };
	if (p[0] == ',' && p[1] == '\0') {
		say(parser, "Conf string ends with comma", text_of(parser->rest));
		parser->n_errors++;
	}
	parser->rest = *p == ',' ? p + 1 : p;
	return true;
}

static void
say_unknown(struct parser *parser)
{
	struct line line;
	const char *nearest = nearest_name(parser->key);

	line_begin(&line);
	fmt_text(&line.f, "Invalid conf pair: ");
	line_add(&line, pair_of(parser));
	if (nearest != NULL)
		fmt_print(&line.f, " (did you mean `%s'?)", nearest);
	parser->print(line_end(&line));
	if (!text_begins(parser->key, "experimental_"))
		parser->n_errors++;
}

static void
apply(struct parser *parser)
{
	const struct option *option = find_option(parser->key);
	const struct option_name *name = option == NULL ? find_name(parser->key) : NULL;
	enum reading reading;

	if (option != NULL) {
		reading = set_option(option, parser->value);
	} else if (name == NULL) {
		say_unknown(parser);
		return;
	} else if (name->what == OPTION_IS_LG_ALIAS) {
		reading = set_lg_alias(find_option(text_of(name->of)), parser->value);
	} else {
		bool is_obsolete = name->what == OPTION_IS_OBSOLETE;
		say(parser,
		    is_obsolete ? "Obsolete, ignored" : "Not supported in this version",
		    pair_of(parser));
		return;
	}

	if (reading == READ_OK) {
		if (opt.confirm_conf)
			say(parser, "Set conf value", pair_of(parser));
		return;
	}
	bool is_invalid = reading == READ_INVALID;
	say(parser, is_invalid ? "Invalid conf value" : "Out-of-range conf value",
	    pair_of(parser));
	parser->n_errors++;
}

/* So that the echo begins with the first source, wherever confirm_conf stands. */
static void
look_for_confirm(const char *text)
{
	struct parser parser = { .rest = text };
	while (next_pair(&parser)) {
		const struct option *option = find_option(parser.key);
		if (option != NULL && field_at(&option->field, &opt) == &opt.confirm_conf)
			set_bool(option, parser.value);
	}
}

static void
announce(enum conf_source source, void (*print)(const char *line))
{
	const char *text = source_texts[source] == NULL ? "" : source_texts[source];
	struct line line;

	line_begin(&line);
	fmt_print(&line.f, "malloc_conf #%d (%s%s): \"", (int)source + 1,
	    source_titles[source], source == CONF_ENVIRONMENT ? conf_env_name() : "");
	fmt_text(&line.f, text);
	fmt_text(&line.f, "\"");
	print(line_end(&line));
}

static void
read_source(const char *text, void (*print)(const char *line))
{
	struct parser parser = { .rest = text, .print = print };
	while (next_pair(&parser))
		apply(&parser);
	if (parser.n_errors != 0 && opt.abort_conf) {
		print("<tract>: Abort (abort_conf:true) on invalid conf value\n");
		os_abort();
	}
}

void
options_boot(const struct conf_sources *sources, void (*print)(const char *line))
{
	for (unsigned i = 0; i < CONF_SOURCES; i++) {
		source_texts[i] = sources->text[i];
		if (source_texts[i] != NULL)
			look_for_confirm(source_texts[i]);
	}
	for (unsigned i = 0; i < CONF_SOURCES; i++) {
		if (opt.confirm_conf)
			announce((enum conf_source)i, print);
		if (source_texts[i] != NULL)
			read_source(source_texts[i], print);
	}
}
