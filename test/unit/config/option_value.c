/* SPDX-License-Identifier: MIT */
/*
 * Every row of the table of options, by its kind: what it is when nothing is said, every
 * bound, what lies past them, good and bad values, the message of each, and whether it
 * counts for abort_conf.  What is expected comes from the row's limits, not from the
 * parser.
 */
#include "config/option_value.h"

#include <stdarg.h>

#include "base/bits.h"
#include "config/size_class.h"
#include "harness/test.h"
#include "os/os.h"
#include "os/pages.h"

static char printed[4096];
static struct options initial_values;
static unsigned n_values;

static void
catch_line(const char *line)
{
	strncat(printed, line, sizeof(printed) - strlen(printed) - 1);
}

static void
write_line(const char *line)
{
	os_write_stderr(line, strlen(line));
}

static void
read_conf(const char *text, void (*print)(const char *line))
{
	const struct conf_sources sources = { .text = { [CONF_ENVIRONMENT] = text } };

	printed[0] = '\0';
	opt = initial_values;
	opt.abort = opt.abort_conf = opt.confirm_conf = false;
	options_boot(&sources, print);
}

/* ---- What an option holds, as text. ---- */

static void
show_list(const struct option *row, const uint16_t *list, char *to)
{
	if (list == NULL) {
		strcpy(to, "initial");
		return;
	}
	*to = '\0';
	for (unsigned i = 0; i < row->room_size / sizeof *list; i++)
		if (list[i] != OPTION_LIST_UNSET)
			to += sprintf(to, "%u=%u ", i, list[i]);
}

static const char *
held(const struct option *row)
{
	static char text[8192];
	const struct option *target = &option_table[row->of];
	const void *at = field_at_const(&target->field, &opt);

	switch ((enum option_kind)target->kind) {
	case OPTION_KIND_BOOL: return *(const bool *)at ? "true" : "false";
	case OPTION_KIND_ENUM: return option_word(row, *(const int *)at);
	case OPTION_KIND_SSIZE: sprintf(text, "%zd", *(const ssize_t *)at); break;
	case OPTION_KIND_SIZE: sprintf(text, "%zu", *(const size_t *)at); break;
	case OPTION_KIND_UNSIGNED: sprintf(text, "%u", *(const unsigned *)at); break;
	case OPTION_KIND_U64: sprintf(text, "%" PRIu64, *(const uint64_t *)at); break;
	case OPTION_KIND_I64: sprintf(text, "%" PRId64, *(const int64_t *)at); break;
	case OPTION_KIND_RATIO: sprintf(text, "%" PRIu32, *(const uint32_t *)at); break;
	case OPTION_KIND_TEXT:
	case OPTION_KIND_LETTERS: return *(const char *const *)at;
	case OPTION_KIND_LIST: show_list(row, *(const uint16_t *const *)at, text); break;
	case OPTION_KIND_LG_ALIAS:
	case OPTION_KIND_RATIO_ALIAS: return "";
	}
	return text;
}

/* What it holds when nothing is said. */
static char initial[256];

/* ---- One value. ---- */

static const struct option *row; /* that is being tested */
static char conf[8192];          /* a pair of it */

static bool
is_told_what_it_is(void)
{
	/* Its own line stands before the value. */
	return row == &option_table[OPTION_confirm_conf];
}

static void
give(const char *value)
{
	snprintf(conf, sizeof(conf), "%s:%s", row->field.name, value);
	read_conf(conf, catch_line);
	n_values++;
}

static void
expect_line(const char *format, ...)
{
	char what[256], expected[8500] = "";
	va_list arguments;

	if (format != NULL) {
		va_start(arguments, format);
		vsnprintf(what, sizeof(what), format, arguments);
		va_end(arguments);
		snprintf(expected, sizeof(expected), "<tract>: %s: %.1000s\n", what,
		    conf);
		if (strlen(conf) > 900)
			expected[100] = printed[100] = '\0';
	}
	if (format == NULL && row == &option_table[OPTION_prof_leak_error])
		return; /* has a test of its own */
	CHECK_STR(printed, expected);
}

/* Does this system lack what the option is about?  Then what is said, and what it holds instead. */
static const char *
missing_here(const char **instead)
{
	if (row == &option_table[OPTION_thp] && os_thp() == OS_THP_UNSUPPORTED) {
		*instead = "default";
		return "No THP support";
	}
	if (row == &option_table[OPTION_dss] && !(CONFIG_DSS && os_has_sbrk)) {
		*instead = "disabled";
		return "Error setting dss";
	}
	if (row == &option_table[OPTION_hpa]
	    && (os_thp() == OS_THP_UNSUPPORTED || !os_overcommits)) {
		*instead = "false";
		return os_overcommits ? "No THP support"
				      : "The kernel does not overcommit";
	}
	if (row == &option_table[OPTION_hpa_hugify_sync] && !os_pages_can_collapse()) {
		*instead = "false";
		return "No MADV_COLLAPSE";
	}
	return NULL;
}

/* The value is taken, or told as one that asks for what is not there. */
static void
takes(const char *value, const char *expected)
{
	char wanted[8192];

	snprintf(wanted, sizeof(wanted), "%s", expected);
	give(value);
	if (row->standing == OPTION_SWITCH && strcmp(wanted, initial) != 0) {
		expect_line("Not supported in this version");
		CHECK_STR(held(row), initial);
		return;
	}
	const char *instead = wanted, *missing = missing_here(&instead);
	if (missing != NULL && strcmp(wanted, instead) != 0) {
		expect_line("%s", missing);
		CHECK_STR(held(row), instead);
		return;
	}
	if (!is_told_what_it_is())
		expect_line(NULL);
	CHECK_STR(held(row), wanted);
}

static void
read_fatal(void)
{
	char text[8300];

	snprintf(text, sizeof(text), "abort_conf:true,%s", conf);
	read_conf(text, write_line);
}

static void
check_fatal(const char *what)
{
	char expected[8500];

	/* abort_conf:x is an error after abort_conf:true, as any other. */
	snprintf(expected, sizeof(expected), "<tract>: %s: %.200s", what, conf);
	test_dies(read_fatal, expected);
}

/* Refused, told, fatal under abort_conf; the option keeps its value. */
static void
refuses(const char *value, const char *what)
{
	give(value);
	expect_line("%s", what);
	CHECK_STR(held(row), initial);
	check_fatal(what);
}

#define INVALID "Invalid conf value"
#define OUT_OF_RANGE "Out-of-range conf value"

/* ---- By kind. ---- */

static void
try_bool(void)
{
	static const char *const bad[] = { "", "1", "0", "True", "tru", "truee", "false ",
		"yes", "default" };

	takes("true", "true");
	takes("false", "false");
	for (unsigned i = 0; i < COUNT_OF(bad); i++)
		refuses(bad[i], INVALID);
}

static void
try_choice(void)
{
	const char *word;
	char text[64];

	for (int i = 0; (word = option_word(row, i)) != NULL; i++) {
		takes(word, word);
		snprintf(text, sizeof(text), "%s?", word);
		refuses(text, INVALID);
		snprintf(text, sizeof(text), "%.*s", (int)strlen(word) - 1, word);
		refuses(text, INVALID);
	}
	refuses("", INVALID);
	refuses("0", INVALID);
}

/* A bound or what is next to it; past the bounds by the policy. */
static void
try_past(const char *value, const char *bound, bool is_above)
{
	if (row->policy == OPTION_CLIP) {
		takes(value, bound);
	} else if (row->policy == OPTION_REDUCE && is_above) {
		give(value);
		expect_line("Reducing %s to limit (%s)", row->field.name, bound);
		CHECK_STR(held(row), bound);
		snprintf(conf, sizeof(conf), "abort_conf:true,%s:%s", row->field.name,
		    value);
		read_conf(conf, catch_line); /* would abort if it counted */
	} else {
		refuses(value, OUT_OF_RANGE);
	}
}

static void
try_bounds(void)
{
	char text[64], bound[64];

	snprintf(bound, sizeof(bound), "%jd", row->min);
	takes(bound, bound);
	if (row->min != 0) {
		snprintf(text, sizeof(text), "%jd", row->min - 1);
		try_past(text, bound, false);
	}
	snprintf(bound, sizeof(bound), "%ju", row->max);
	takes(bound, bound);
	snprintf(text, sizeof(text), "0x%jx", row->max);
	takes(text, bound);
	snprintf(text, sizeof(text), "0%jo", row->max);
	takes(text, bound);
	if (row->max < UINTMAX_MAX) {
		snprintf(text, sizeof(text), "%ju", row->max + 1);
		try_past(text, bound, true);
	}
	try_past("18446744073709551616", bound, true);
	try_past("99999999999999999999999999", bound, true);
}

/* n of a unit that stands for `each'. */
static void
try_unit(const char *suffix, uintmax_t each)
{
	const uintmax_t n = row->min > 0 ? (uintmax_t)row->min / each + 1 : 3;
	char text[64], value[64];

	if (n * each > row->max)
		return;
	snprintf(text, sizeof(text), "%ju%s", n, suffix);
	snprintf(value, sizeof(value), "%ju", n * each);
	takes(text, value);
}

static void
try_units(void)
{
	static const struct {
		const char *suffix;
		uintmax_t each;
	} bytes[] = { { "k", 1 << 10 }, { "K", 1 << 10 }, { "m", 1 << 20 },
		{ "M", 1 << 20 }, { "g", 1 << 30 }, { "G", 1 << 30 } };
	char text[64];

	for (unsigned i = 0; i < COUNT_OF(bytes); i++) {
		if (row->unit == OPTION_BYTES) {
			try_unit(bytes[i].suffix, bytes[i].each);
		} else {
			snprintf(text, sizeof(text), "1%s", bytes[i].suffix);
			refuses(text, INVALID);
		}
	}
	if (row->unit == OPTION_MS) {
		try_unit("ms", 1);
		try_unit("s", 1000);
		takes("5000000s", "5000000000"); /* more than 32 bits */
	} else {
		refuses("1ms", INVALID);
		refuses("1s", INVALID);
	}
}

static void
try_number(void)
{
	static const char *const bad[] = { "", " 1", "1 ", "1x", "x", "0x", "0xg", "08",
		"+1", "--1", "-", "1.5", "1-1", "defaul", "defaults", "1kk", "1t",
		"\"1\"" };

	takes("default", initial);
	try_bounds();
	try_units();
	for (unsigned i = 0; i < COUNT_OF(bad); i++)
		refuses(bad[i], INVALID);
	if (row->min >= 0)
		refuses("-1", INVALID);
	else
		refuses("-18446744073709551615", OUT_OF_RANGE);
}

static void
try_ratio(void)
{
	static const char *const bad[] = { "", ".", "x", "1.x", "x.1", "1.2.3", "-0.5",
		"-2", "1e3", "+1", "0x1", "1 ", "1k", "--1" };
	static const struct {
		const char *text, *value;
	} good[] = { { "1", "65536" }, { "0.5", "32768" }, { ".25", "16384" },
		{ "3.", "196608" }, { "0.95", "62259" }, { "010", "655360" },
		{ "2.0000152587890625", "131072" }, { "0.00002", "1" },
		{ "65535", "4294901760" }, { "65535.5", "4294934528" } };

	takes("default", initial);
	for (unsigned i = 0; i < COUNT_OF(good); i++)
		takes(good[i].text, good[i].value);
	for (unsigned i = 0; i < COUNT_OF(bad); i++)
		refuses(bad[i], INVALID);
	refuses("65536", OUT_OF_RANGE);
	refuses("99999999999999999999999999", OUT_OF_RANGE);
	if (row->min < 0)
		takes("-1", "4294967295");
	else
		refuses("-1", INVALID);
	if (row->min > 0)
		refuses("0", OUT_OF_RANGE);
	else
		takes("0", "0");
}

static void
try_text(void)
{
	char long_text[6000], cut[6000];

	takes("", "");
	takes("a b:c|d", "a b:c|d");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	snprintf(cut, row->room_size, "%s", long_text);
	takes(long_text, cut);
}

static void
try_letters(void)
{
	char doubled[80];

	snprintf(doubled, sizeof(doubled), "%s%s", row->words, row->words);
	takes("", "");
	takes(row->words, row->words);
	takes(doubled, row->words);
	takes("?ba!ab1 :", "ba");
	takes("zzz", "");
}

static void
try_list(void)
{
	static const char *const bad[] = { "", "1", "1-2", "1-2:", "-2:3", "1-:3",
		"2-1:3", "1-2:3|", "|1-2:3", "1-2:3||1-2:3", "1-2:x", "x-2:3", "1-y:3",
		"1-2:-1", "1-2:3:4", "1-2-3:4", "1 -2:3", "99999999-99999999:3",
		"1-2:65536", "1-2:18446744073709551617", "default|1-2:3" };
	char what[96], text[128], given[64];

	takes("default", "initial");
	takes("1-8:3", "0=3 ");
	takes("1-40:5|1-8:1",
	    QUANTUM == 16 ? "0=1 1=5 2=5 3=5 " : "0=1 1=5 2=5 3=5 4=5 ");
	takes("112-0x70:7", QUANTUM == 16 ? "7=7 " : "10=7 ");
	const unsigned last = row->room_size / sizeof(uint16_t) - 1;
	snprintf(text, sizeof(text), "%u=2 ", last);
	snprintf(given, sizeof(given), "%zu-64k:2", size_class_size(last));
	takes(given, text);
	snprintf(what, sizeof(what), "Invalid settings for %s", row->field.name);
	for (unsigned i = 0; i < COUNT_OF(bad); i++)
		refuses(bad[i], what);
	snprintf(text, sizeof(text), "1-8:%ju", row->max + 1);
	refuses(text, what);
	snprintf(given, sizeof(given), "1-8:%ju", row->max);
	snprintf(text, sizeof(text), "0=%ju ", row->max);
	takes(given, text);
	if (row->min > 0)
		refuses("1-8:0", what);
	else
		takes("1-8:0", "0=0 ");
}

/* An alias of an option that clips. */
static void
try_lg_alias(void)
{
	takes("3", "8");
	takes("14", "16384");
	takes("15", "32768");
	takes("16", "32768");
	takes("63", "32768");
	takes("64", "32768");
	takes("18446744073709551616", "32768");
	takes("default", initial);
	refuses("x", INVALID);
	refuses("", INVALID);
	refuses("-1", INVALID);
	refuses("4k", INVALID);
}

static void
try_ratio_alias(void)
{
	char page[24];

	snprintf(page, sizeof(page), "%zu", (size_t)1 << CONFIG_LG_PAGE);
	takes("1", "2097152");
	takes("0.5", "1048576");
	takes("0.000001", page); /* at least a page */
	takes("0", page);
	takes("default", initial);
	refuses("1.1", OUT_OF_RANGE);
	refuses("2", OUT_OF_RANGE);
	refuses("-1", INVALID);
	refuses("x", INVALID);
	refuses("", INVALID);
}

static void
try_row(void)
{
	opt = initial_values;
	snprintf(initial, sizeof(initial), "%s", held(row));
	switch ((enum option_kind)row->kind) {
	case OPTION_KIND_BOOL: try_bool(); return;
	case OPTION_KIND_ENUM: try_choice(); return;
	case OPTION_KIND_SSIZE:
	case OPTION_KIND_SIZE:
	case OPTION_KIND_UNSIGNED:
	case OPTION_KIND_U64:
	case OPTION_KIND_I64: try_number(); return;
	case OPTION_KIND_RATIO: try_ratio(); return;
	case OPTION_KIND_TEXT: try_text(); return;
	case OPTION_KIND_LETTERS: try_letters(); return;
	case OPTION_KIND_LIST: try_list(); return;
	case OPTION_KIND_LG_ALIAS: try_lg_alias(); return;
	case OPTION_KIND_RATIO_ALIAS: try_ratio_alias(); return;
	}
}

TEST(every_option_takes_what_it_should_and_nothing_else)
{
	initial_values = opt; /* nothing has been read yet */
	initial_values.abort = initial_values.abort_conf =
	    false;                  /* true in debug builds */
	initial_values.narenas = 0; /* the library has come up and said how many */
	for (unsigned i = 0; i < OPTIONS; i++) {
		row = &option_table[i];
		/* True in a debug build, where the first bad value would end the program. */
		if (CONFIG_DEBUG && strcmp(row->field.name, "abort") == 0)
			continue;
		try_row();
		if (atomic_load(&test_failures) != 0) {
			printf("# in %s\n", row->field.name);
			return;
		}
	}
	printf("# %u options, %u values\n", (unsigned)OPTIONS, n_values);
}

TEST(what_is_not_supported_does_not_count)
{
	for (unsigned i = 0; i < OPTIONS; i++) {
		const struct option *o = &option_table[i];
		char text[80];
		if (o->standing != OPTION_SWITCH || o->kind != OPTION_KIND_BOOL)
			continue;
		snprintf(text, sizeof(text), "abort_conf:true,%.47s:%s", o->field.name,
		    o->initial ? "false" : "true");
		read_conf(text, catch_line); /* would abort if it counted */
		CHECK(strstr(printed, "Not supported in this version: ") != NULL);
	}
}

TEST(a_value_beside_others_ends_at_the_comma)
{
	read_conf("stats_print_opts:Jx,bin_shards:1-8:2|16-32:4,prof_prefix:,log:",
	    catch_line);
	CHECK_STR(printed, "");
	CHECK_STR(opt.stats_print_opts, "Jx");
	CHECK_STR(opt.prof_prefix, "");
	CHECK_EQ(opt.bin_shards[0], 2);
	CHECK_EQ(opt.bin_shards[1], 4);
}

TEST(a_later_value_replaces_a_list_or_text_whole)
{
	read_conf("slab_sizes:1-8:2,slab_sizes:16-16:4,stats_print_opts:Jmda,"
		  "stats_print_opts:b",
	    catch_line);
	CHECK_STR(printed, "");
	CHECK_EQ(opt.slab_sizes[0], OPTION_LIST_UNSET);
	CHECK_EQ(opt.slab_sizes[size_class_of(16)], 4);
	CHECK_STR(opt.stats_print_opts, "b");
	read_conf("slab_sizes:1-8:2,slab_sizes:default", catch_line);
	CHECK(opt.slab_sizes == NULL);
}

TEST(an_option_knows_whether_it_was_set)
{
	read_conf("dirty_decay_ms:5,lg_tcache_max:10,prof:true,stats_print_opts:",
	    catch_line);
	CHECK(option_was_set(OPTION_dirty_decay_ms));
	CHECK(option_was_set(OPTION_tcache_max));
	CHECK(option_was_set(OPTION_stats_print_opts));
	CHECK(!option_was_set(OPTION_prof)); /* not taken */
	read_conf("dirty_decay_ms:default", catch_line);
	CHECK(!option_was_set(OPTION_dirty_decay_ms));
}

/* ---- Anything at all. ---- */

static bool
is_within_limits(const struct option *o)
{
	const void *at = field_at_const(&o->field, &opt);

	switch ((enum option_kind)o->kind) {
	case OPTION_KIND_ENUM: return option_word(o, *(const int *)at) != NULL;
	case OPTION_KIND_SSIZE:
		return *(const ssize_t *)at >= o->min
		    && (*(const ssize_t *)at < 0 || *(const size_t *)at <= o->max);
	case OPTION_KIND_I64: return *(const int64_t *)at >= o->min;
	case OPTION_KIND_SIZE:
		return *(const size_t *)at == (size_t)o->initial
		    || (*(const size_t *)at >= (size_t)o->min
			&& *(const size_t *)at <= o->max);
	case OPTION_KIND_UNSIGNED:
		return *(const unsigned *)at == (unsigned)o->initial
		    || (*(const unsigned *)at >= (unsigned)o->min
			&& *(const unsigned *)at <= o->max);
	case OPTION_KIND_TEXT:
	case OPTION_KIND_LETTERS: return strlen(*(const char *const *)at) < o->room_size;
	default: return true;
	}
}

/* A few pieces of what sources are made of. */
static void
make_text(uint64_t *random, char *text, size_t size)
{
	static const char *const pieces[] = { ":", ",", "-", "|", ".", "0x", "default",
		"true", "false", "1", "99999999999999999999", "k", "ms", "-1", "0.5", " ",
		"1-64:2", "=", "\x01", "\xff", "auto", "alloc" };
	size_t length = 0;

	for (uint64_t n = test_random_below(random, 12); n > 0; n--) {
		const uint64_t i = test_random_below(random, 2 * COUNT_OF(pieces));
		const char *piece = i < COUNT_OF(pieces)
		    ? pieces[i]
		    : option_table[test_random_below(random, OPTIONS)].field.name;
		length += (size_t)snprintf(text + length, size - length, "%s%s", piece,
		    i >= COUNT_OF(pieces) && n % 4 != 0 ? ":" : "");
	}
	text[length] = '\0';
}

TEST(whatever_is_said_every_option_stays_within_its_limits)
{
	uint64_t random = test_seed();
	char text[1024];

	for (unsigned n = 0; n < 20000; n++) {
		make_text(&random, text, sizeof text);
		/* On the heap, so that a sanitizer sees what is read behind the end. */
		char *copy = strdup(text);
		if (strstr(text, "abort_conf") == NULL) {
			read_conf(copy, catch_line);
			for (unsigned i = 0; i < OPTIONS; i++) {
				if (is_within_limits(&option_table[i]))
					continue;
				CHECK(!"within limits");
				printf("# %s after %s\n", option_table[i].field.name,
				    text);
			}
		}
		free(copy);
	}
	opt = initial_values;
}
