/* SPDX-License-Identifier: MIT */
#include "config/options.h"

#include <string.h>

#include "base/attr.h"
#include "base/bits.h"
#include "base/fmt.h"
#include "config/option_value.h"
#include "os/os.h"
#include "os/pages.h"
#include "tract_config.h"

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
	for (unsigned i = 0; i < OPTIONS; i++)
		if (text_is(key, option_table[i].field.name))
			return &option_table[i];
	return NULL;
}

static bool
is_obsolete(struct text key)
{
	for (unsigned i = 0; i < option_obsolete_count; i++)
		if (text_is(key, option_obsolete[i]))
			return true;
	return false;
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
	for (unsigned i = 0; i < OPTIONS + option_obsolete_count; i++) {
		const char *name = i < OPTIONS ? option_table[i].field.name
					       : option_obsolete[i - OPTIONS];
		unsigned distance = edit_distance(key, text_of(name));
		if (distance < best_distance) {
			best = name;
			best_distance = distance;
		}
	}
	return best;
}

/* ---- Which options have been set. ---- */

static uint32_t was_set[(OPTIONS + 31) / 32] EARLY; /* a bit a row */

static void
note_set(const struct option *option, bool is_set)
{
	const uint32_t bit = (uint32_t)1 << option->of % 32;

	if (is_set)
		was_set[option->of / 32] |= bit;
	else
		was_set[option->of / 32] &= ~bit;
}

bool
option_was_set(enum option_index index)
{
	return (was_set[index / 32] >> index % 32 & 1) != 0;
}

/* ---- Sources. ---- */

static const char *source_texts[CONF_SOURCES] EARLY;

static const char *const source_titles[CONF_SOURCES] = {
	[CONF_BUILT_IN] = "string specified via --with-malloc-conf",
	[CONF_GLOBAL] = "string pointed to by the global variable malloc_conf",
	[CONF_SYMLINK] = ("target of the symbolic link " CONFIG_CONF_LINK),
	[CONF_ENVIRONMENT] = "value of the environment variable ", /* and its name */
	[CONF_HARDER] =
	    "string pointed to by the global variable malloc_conf_2_conf_harder",
};

/* A compiler can put the prefix before the name (in the amalgamation it does), not into
 * capitals. */
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
	unsigned n_warnings;             /* those that count for abort */
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
static COLD bool
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
say_reading(struct parser *parser, const struct option *option, enum reading reading)
{
	const char *name = option->field.name;
	char what[FIELD_NAME_SIZE + 64];
	struct fmt f;

	fmt_init(&f, what, sizeof what);
	if (reading == READ_REDUCED)
		fmt_print(&f, "Reducing %s to limit (%llu)", name,
		    (unsigned long long)option->max);
	else if (option->kind == OPTION_KIND_LIST)
		fmt_print(&f, "Invalid settings for %s", name);
	else if (reading == READ_INVALID)
		fmt_text(&f, "Invalid conf value");
	else
		fmt_text(&f, "Out-of-range conf value");
	say(parser, what, pair_of(parser));
}

static void
apply_to(struct parser *parser, const struct option *option)
{
	struct option_value value;
	const enum reading reading = option_read(option, parser->value, &value);

	if (reading != READ_OK)
		say_reading(parser, option, reading);
	if (reading == READ_INVALID || reading == READ_OUT_OF_RANGE) {
		parser->n_errors++;
		return;
	}
	parser->n_warnings += reading == READ_REDUCED;
	if (option->standing == OPTION_SWITCH
	    && !option_value_is_initial(option, &value)) {
		say(parser, "Not supported in this version", pair_of(parser));
		return;
	}
	option_store(option, &value);
	note_set(option, !value.is_default);
	if (opt.confirm_conf)
		say(parser, "Set conf value", pair_of(parser));
}

static void
apply(struct parser *parser)
{
	const struct option *option = find_option(parser->key);

	if (option != NULL)
		apply_to(parser, option);
	else if (is_obsolete(parser->key))
		say(parser, "Obsolete, ignored", pair_of(parser));
	else
		say_unknown(parser);
}

/* So that the echo begins with the first source, wherever confirm_conf stands. */
static void
look_for_confirm(const char *text)
{
	struct parser parser = { .rest = text };
	while (next_pair(&parser)) {
		const struct option *option = &option_table[OPTION_confirm_conf];
		struct option_value value;
		if (text_is(parser.key, option->field.name)
		    && option_read(option, parser.value, &value) == READ_OK)
			option_store(option, &value);
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
abort_on_conf(void (*print)(const char *line))
{
	print("<tract>: Abort (abort_conf:true) on invalid conf value\n");
	os_abort();
}

/* How many warnings there were. */
static COLD unsigned
read_source(const char *text, void (*print)(const char *line))
{
	struct parser parser = { .rest = text, .print = print };
	while (next_pair(&parser))
		apply(&parser);
	if (parser.n_errors != 0 && opt.abort_conf)
		abort_on_conf(print);
	return parser.n_warnings;
}

/* ---- When all has been read. ---- */

/* The options of this standing that have been set, in one line. */
static void
name_all_set(enum option_standing standing, const char *what,
    void (*print)(const char *line))
{
	struct line line;
	unsigned n = 0;

	line_begin(&line);
	for (unsigned i = 0; i < OPTIONS; i++) {
		if (option_table[i].standing != standing
		    || !option_was_set((enum option_index)i))
			continue;
		fmt_print(&line.f, "%s%s", n == 0 ? what : ",",
		    option_table[i].field.name);
		n++;
	}
	if (n != 0)
		print(line_end(&line));
}

/* A choice that this system cannot follow. */
static void
withdraw(enum option_index index, int *choice, int instead, const char *why,
    void (*print)(const char *line))
{
	const struct option *option = &option_table[index];
	struct line line;

	if (*choice == instead || !option_was_set(index))
		return;
	line_begin(&line);
	fmt_print(&line.f, "%s: %s:%s", why, option->field.name,
	    option_word(option, (unsigned)*choice));
	print(line_end(&line));
	*choice = instead;
	if (opt.abort_conf)
		abort_on_conf(print);
}

/* A switch for which this system, or another option, is not right. */
static void
switch_off(enum option_index index, bool *value, const char *why,
    void (*print)(const char *line))
{
	struct line line;

	*value = false;
	if (!option_was_set(index))
		return;
	line_begin(&line);
	fmt_print(&line.f, "%s: %s:true", why, option_table[index].field.name);
	print(line_end(&line));
	if (opt.abort_conf)
		abort_on_conf(print);
}

/* Larger huge pages, as kernels with pages of 64 KiB have, would mostly lie idle. */
#define HPA_HUGEPAGE_MAX ((size_t)16 << 20)

/* Set once: opt.hpa, as far as it can be told without a file. */
static bool hpa_is_wanted;

/* Why there can be no huge page allocator; NULL: there can. */
static const char *
hpa_obstacle(void)
{
	if (OS_HUGEPAGE > HPA_HUGEPAGE_MAX)
		return "Huge pages are too large";
	if (option_was_set(OPTION_hpa) && os_thp() == OS_THP_UNSUPPORTED)
		return "No THP support";
	if (!os_overcommits)
		return "The kernel does not overcommit";
	return opt.retain ? NULL : "Needs retain:true";
}

static void
check_hpa(void (*print)(const char *line))
{
	const char *obstacle = opt.hpa ? hpa_obstacle() : NULL;

	if (obstacle != NULL)
		switch_off(OPTION_hpa, &opt.hpa, obstacle, print);
	hpa_is_wanted = opt.hpa;
	if (opt.hpa_hugify_sync && !os_pages_can_collapse())
		switch_off(OPTION_hpa_hugify_sync, &opt.hpa_hugify_sync,
		    "No MADV_COLLAPSE", print);
}

bool
options_hpa(void)
{
	const bool is_default = !option_was_set(OPTION_hpa);

	return hpa_is_wanted
	    && (!is_default || os_thp() == OS_THP_MADVISE || os_thp() == OS_THP_ALWAYS);
}

void
options_settle(void)
{
	opt.hpa = options_hpa();
}

/* What only shows when options are seen together, and with the system. */
static void
check_together(void (*print)(const char *line))
{
	if (opt.thp != THP_DEFAULT && os_thp() == OS_THP_UNSUPPORTED)
		withdraw(OPTION_thp, &opt.thp, THP_DEFAULT, "No THP support", print);
	check_hpa(print);
	if (!CONFIG_DSS || !os_has_sbrk)
		withdraw(OPTION_dss, &opt.dss, DSS_DISABLED, "Error setting dss", print);
	if (opt.process_madvise_max_batch != 0 && !os_pages_can_purge_many())
		opt.process_madvise_max_batch = 0;
	if (opt.prof_leak_error && !opt.prof_final) {
		print("<tract>: Without prof_final nothing is an error: "
		      "prof_leak_error:true\n");
		if (opt.abort_conf)
			abort_on_conf(print);
	}
}

COLD void
options_boot(const struct conf_sources *sources, void (*print)(const char *line))
{
	unsigned n_warnings = 0;

	memset(was_set, 0, sizeof was_set);
	for (unsigned i = 0; i < CONF_SOURCES; i++) {
		source_texts[i] = sources->text[i];
		if (source_texts[i] != NULL)
			look_for_confirm(source_texts[i]);
	}
	for (unsigned i = 0; i < CONF_SOURCES; i++) {
		if (opt.confirm_conf)
			announce((enum conf_source)i, print);
		if (source_texts[i] != NULL)
			n_warnings += read_source(source_texts[i], print);
	}
	if (n_warnings != 0 && opt.abort) {
		print("<tract>: Abort (abort:true) on a warning\n");
		os_abort();
	}
	check_together(print);
	if (opt.confirm_conf) {
		name_all_set(OPTION_PARAMETER,
		    "Read back, but of features not in this version: ", print);
		name_all_set(OPTION_SHAPE,
		    "Read back, but without a counterpart in tract: ", print);
	}
}
