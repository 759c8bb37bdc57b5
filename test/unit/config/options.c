/* SPDX-License-Identifier: MIT */
#include "config/options.h"

#include "base/bits.h"
#include "base/field.h"
#include "harness/test.h"
#include "os/pages.h"
#include "os/os.h"
#include "tract_config.h"

/* ---- Reading options and catching what they print. ---- */

static char printed[16384];

static void
catch_line(const char *line)
{
	CHECK(strlen(printed) + strlen(line) < sizeof(printed));
	CHECK(strncmp(line, "<tract>: ", 9) == 0);
	CHECK(strchr(line, '\n') == line + strlen(line) - 1);
	strcat(printed, line);
}

static struct options initial_values; /* `opt' before anything is read */

static void
set_defaults(void)
{
	opt = initial_values;
	opt.abort = opt.abort_conf = false; /* true in debug builds */
}

static void
read_sources(const struct conf_sources *sources)
{
	printed[0] = '\0';
	set_defaults();
	options_boot(sources, catch_line);
}

static void
read_conf(const char *text)
{
	struct conf_sources sources = { .text = { [CONF_ENVIRONMENT] = text } };
	read_sources(&sources);
}

/*
 * Signed values as they are; unsigned ones may exceed INTMAX_MAX, and are then compared
 * as such.
 */
static uintmax_t
value_of(const struct option *row)
{
	const void *at = (const char *)&opt + row->field.offset;
	switch ((enum option_kind)row->kind) {
	case OPTION_KIND_BOOL: return *(const bool *)at;
	case OPTION_KIND_ENUM: return (uintmax_t) * (const int *)at;
	case OPTION_KIND_SSIZE: return (uintmax_t) * (const ssize_t *)at;
	case OPTION_KIND_SIZE: return *(const size_t *)at;
	case OPTION_KIND_UNSIGNED: return *(const unsigned *)at;
	case OPTION_KIND_U64: return *(const uint64_t *)at;
	case OPTION_KIND_I64: return (uintmax_t) * (const int64_t *)at;
	case OPTION_KIND_RATIO: return *(const uint32_t *)at;
	default: return 0;
	}
}

/* ---- The table itself. ---- */

TEST(initial_values_are_those_of_the_rows)
{
	/* Nothing has been read yet: this test is the first of the program. */
	initial_values = opt;
	/* But that the library has come up and said how many there are. */
	CHECK(opt.narenas != 0);
	initial_values.narenas = opt.narenas = 0;
	for (unsigned i = 0; i < OPTIONS; i++) {
		const struct option *row = &option_table[i];
		if (row->kind <= OPTION_KIND_RATIO)
			CHECK_EQ(value_of(row), (uintmax_t)row->initial);
	}
}

TEST(every_row_is_named_once_and_described)
{
	for (unsigned i = 0; i < OPTIONS; i++) {
		const struct option *row = &option_table[i];
		const char *doc = row->field.doc;
		CHECK(strlen(doc) > 10 && doc[strlen(doc) - 1] == '.');
		CHECK((row->node == OPTION_BARE) == (i >= option_node_count));
		for (unsigned j = 0; j < i; j++)
			CHECK(strcmp(row->field.name, option_table[j].field.name) != 0);
		for (unsigned j = 0; j < option_obsolete_count; j++)
			CHECK(strcmp(row->field.name, option_obsolete[j]) != 0);
	}
}

/* ---- Numbers. ---- */

static void
check_size(const char *value, size_t expected)
{
	char text[128];
	snprintf(text, sizeof(text), "oversize_threshold:%s", value);
	read_conf(text);
	CHECK_STR(printed, "");
	CHECK_EQ(opt.oversize_threshold, expected);
}

TEST(sizes_take_bases_and_binary_suffixes)
{
	check_size("0", 0);
	check_size("4097", 4097);
	check_size("0x1000", 4096);
	check_size("0Xff", 255);
	check_size("010", 8);
	check_size("3k", 3 << 10);
	check_size("3K", 3 << 10);
	check_size("8m", 8 << 20);
	check_size("2M", 2 << 20);
	check_size("5g", (size_t)5 << 30);
	check_size("1G", (size_t)1 << 30);
	check_size("0x10k", 16 << 10);
}

TEST(times_take_milliseconds_and_seconds)
{
	read_conf("dirty_decay_ms:250ms,muzzy_decay_ms:7s");
	CHECK_EQ(opt.dirty_decay_ms, 250);
	CHECK_EQ(opt.muzzy_decay_ms, 7000);
	read_conf("dirty_decay_ms:-1,muzzy_decay_ms:9000000000");
	CHECK_EQ(opt.dirty_decay_ms, (uintmax_t)-1);
	CHECK_EQ(opt.muzzy_decay_ms, 9000000000);
	CHECK_STR(printed, "");
}

TEST(what_is_not_a_number_is_refused)
{
	static const char *const wrong[] = { "", " 1", "1 ", "1x", "0x", "0xg", "08", "k",
		"1kk", "1kb", "+1", "-1", "--1", "1.5", "1s", "1t", "defaul", "m" };
	for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
		char text[64], expected[128];
		snprintf(text, sizeof(text), "oversize_threshold:%s", wrong[i]);
		snprintf(expected, sizeof(expected), "<tract>: Invalid conf value: %s\n",
		    text);
		read_conf(text);
		CHECK_STR(printed, expected);
		CHECK_EQ(opt.oversize_threshold, 0);
	}
	read_conf("dirty_decay_ms:1k");
	CHECK_STR(printed, "<tract>: Invalid conf value: dirty_decay_ms:1k\n");
	read_conf("dirty_decay_ms:-");
	CHECK_STR(printed, "<tract>: Invalid conf value: dirty_decay_ms:-\n");
	read_conf("narenas:2k");
	CHECK_STR(printed, "<tract>: Invalid conf value: narenas:2k\n");
}

TEST(a_number_beyond_64_bits_is_out_of_range_not_wrapped)
{
	read_conf(
	    "oversize_threshold:18446744073709551617,narenas:99999999999999999999999");
	CHECK_STR(printed,
	    "<tract>: Out-of-range conf value: "
	    "oversize_threshold:18446744073709551617\n"
	    "<tract>: Reducing narenas to limit (4094): "
	    "narenas:99999999999999999999999\n");
	CHECK_EQ(opt.narenas, 4094);
	read_conf("oversize_threshold:17179869184g");
	CHECK_STR(printed,
	    "<tract>: Out-of-range conf value: oversize_threshold:17179869184g\n");
	read_conf("dirty_decay_ms:18446744073709551615s");
	CHECK_STR(printed,
	    "<tract>: Out-of-range conf value: dirty_decay_ms:18446744073709551615s\n");
	read_conf("dirty_decay_ms:-18446744073709551615");
	CHECK_STR(printed,
	    "<tract>: Out-of-range conf value: dirty_decay_ms:-18446744073709551615\n");
	CHECK_EQ(opt.dirty_decay_ms, 1000);
}

TEST(lg_tcache_max_sets_a_power_of_two)
{
	read_conf("lg_tcache_max:12");
	CHECK_EQ(opt.tcache_max, 4096);
	read_conf("lg_tcache_max:40");
	CHECK_EQ(opt.tcache_max, 32768);
	read_conf("lg_tcache_max:64");
	CHECK_EQ(opt.tcache_max, 32768);
	CHECK_STR(printed, "");
	read_conf("lg_tcache_max:x");
	CHECK_STR(printed, "<tract>: Invalid conf value: lg_tcache_max:x\n");
}

/* ---- Messages. ---- */

TEST(an_unknown_key_is_named_with_the_nearest_known_one)
{
	read_conf("nareans:4");
	CHECK_STR(printed,
	    "<tract>: Invalid conf pair: nareans:4 (did you mean `narenas'?)\n");
	read_conf("dirty_decay:4");
	CHECK_STR(printed,
	    "<tract>: Invalid conf pair: dirty_decay:4 (did you mean "
	    "`dirty_decay_ms'?)\n");
	read_conf("xyzzy_frobnicate:1");
	CHECK_STR(printed, "<tract>: Invalid conf pair: xyzzy_frobnicate:1\n");
	read_conf(":1");
	CHECK_STR(printed, "<tract>: Invalid conf pair: :1\n");
	read_conf("n:1");
	CHECK_STR(printed, "<tract>: Invalid conf pair: n:1\n");
}

TEST(a_key_is_matched_whole)
{
	read_conf("tcach:false");
	CHECK(opt.tcache);
	CHECK(strstr(printed, "Invalid conf pair: tcach:false") != NULL);
	read_conf("tcaches:false");
	CHECK(opt.tcache);
	CHECK(strstr(printed, "Invalid conf pair: tcaches:false") != NULL);
	read_conf("TCACHE:false");
	CHECK(opt.tcache);
	CHECK(strstr(printed, "Invalid conf pair: TCACHE:false") != NULL);
}

TEST(after_an_error_the_next_pair_is_read)
{
	read_conf("narenas:x,retain:perhaps,tcache:false");
	CHECK_STR(printed,
	    "<tract>: Invalid conf value: narenas:x\n"
	    "<tract>: Invalid conf value: retain:perhaps\n");
	CHECK(!opt.tcache);
	CHECK(opt.retain);
	CHECK_EQ(opt.narenas, 0);
}

static void
write_line(const char *line)
{
	(void)!write(STDERR_FILENO, line, strlen(line));
}

static void
take_too_many_arenas(void)
{
	const struct conf_sources sources = { .text = { [CONF_GLOBAL] = "narenas:5000",
						  [CONF_ENVIRONMENT] = "abort:true" } };

	options_boot(&sources, write_line);
}

TEST(abort_ends_the_program_on_a_warning)
{
	opt.abort = false;
	test_dies(take_too_many_arenas, "Reducing narenas to limit");
}

TEST(malformed_text_ends_its_source_and_keeps_what_came_before)
{
	read_conf("narenas:3, tcache:false");
	CHECK_STR(printed, "<tract>: Malformed conf string:  tcache:false\n");
	CHECK_EQ(opt.narenas, 3);
	CHECK(opt.tcache);
	read_conf("narenas:3,tcache=false");
	CHECK_STR(printed, "<tract>: Malformed conf string: tcache=false\n");
	read_conf("narenas:3,,tcache:false");
	CHECK_STR(printed, "<tract>: Malformed conf string: ,tcache:false\n");
	CHECK_EQ(opt.narenas, 3);
	read_conf("narenas:3,tcache");
	CHECK_STR(printed, "<tract>: Conf string ends with key: tcache\n");
	CHECK_EQ(opt.narenas, 3);
	read_conf("tcache:false,narenas:3,");
	CHECK_STR(printed, "<tract>: Conf string ends with comma: narenas:3,\n");
	CHECK_EQ(opt.narenas, 3);
	CHECK(!opt.tcache);
	read_conf("");
	CHECK_STR(printed, "");
}

TEST(names_of_other_versions_are_reported_and_harmless)
{
	for (unsigned i = 0; i < option_obsolete_count; i++) {
		char text[128], expected[192];
		snprintf(text, sizeof(text), "abort_conf:true,%s:whatever",
		    option_obsolete[i]);
		snprintf(expected, sizeof(expected),
		    "<tract>: Obsolete, ignored: %s:whatever\n", option_obsolete[i]);
		read_conf(text); /* would abort if it counted */
		CHECK_STR(printed, expected);
	}
	read_conf("abort_conf:true,experimental_unheard_of:1");
	CHECK_STR(printed, "<tract>: Invalid conf pair: experimental_unheard_of:1\n");
}

TEST(a_very_long_value_is_cut_in_its_message)
{
	char text[5000] = "narenas:";
	memset(text + 8, '7', sizeof(text) - 9);
	text[sizeof(text) - 2] = 'x';
	text[sizeof(text) - 1] = '\0';
	read_conf(text);
	CHECK(strncmp(printed, "<tract>: Invalid conf value: narenas:777", 40) == 0);
	CHECK(strlen(printed) < 1024);
	CHECK_STR(printed + strlen(printed) - 4, "...\n");
}

/* ---- Sources. ---- */

TEST(advice_that_the_kernel_does_not_know_is_withdrawn)
{
	const enum os_thp mode = os_thp();

	os_thp_mode = OS_THP_UNSUPPORTED;
	read_conf("thp:always");
	CHECK_STR(printed, "<tract>: No THP support: thp:always\n");
	CHECK_EQ(opt.thp, THP_DEFAULT);
	read_conf("thp:default");
	CHECK_STR(printed, "");
	os_thp_mode = OS_THP_MADVISE;
	read_conf("thp:never");
	CHECK_STR(printed, "");
	CHECK_EQ(opt.thp, THP_NEVER);
	os_thp_mode = mode;
}

TEST(a_later_source_wins_option_by_option)
{
	struct conf_sources sources = { .text = {
					    [CONF_BUILT_IN] =
						"narenas:1,tcache:false,zero:true",
					    [CONF_GLOBAL] = "narenas:2,retain:false",
					    [CONF_ENVIRONMENT] = "narenas:4",
					    [CONF_HARDER] = "narenas:5,zero:false",
					} };
	read_sources(&sources);
	CHECK_STR(printed, "");
	CHECK_EQ(opt.narenas, 5);
	CHECK(!opt.tcache && !opt.retain && !opt.zero);
	CHECK_STR(options_source(CONF_GLOBAL), "narenas:2,retain:false");
	CHECK(options_source(CONF_SYMLINK) == NULL);
}

TEST(confirm_conf_works_wherever_it_stands_and_echoes_all)
{
	struct conf_sources
	    sources = { .text = {
			    [CONF_BUILT_IN] = "narenas:1",
			    [CONF_ENVIRONMENT] =
				"tcache:false,narenas:x,confirm_conf:true",
			} };
	read_sources(&sources);
	CHECK_STR(printed,
	    "<tract>: malloc_conf #1 (string specified via --with-malloc-conf): "
	    "\"narenas:1\"\n"
	    "<tract>: Set conf value: narenas:1\n"
	    "<tract>: malloc_conf #2 (string pointed to by the global variable "
	    "malloc_conf): \"\"\n"
	    "<tract>: malloc_conf #3 (target of the symbolic link " CONFIG_CONF_LINK
	    "): \"\"\n"
	    "<tract>: malloc_conf #4 (value of the environment variable " CONFIG_CONF_ENV
	    "): "
	    "\"tcache:false,narenas:x,confirm_conf:true\"\n"
	    "<tract>: Set conf value: tcache:false\n"
	    "<tract>: Invalid conf value: narenas:x\n"
	    "<tract>: Set conf value: confirm_conf:true\n"
	    "<tract>: malloc_conf #5 (string pointed to by the global variable "
	    "malloc_conf_2_conf_harder): \"\"\n");
}

TEST(a_syntax_error_is_said_once_though_the_text_is_read_twice)
{
	read_conf("tcache");
	CHECK_STR(printed, "<tract>: Conf string ends with key: tcache\n");
}

static const char *fatal_text;

static void
read_fatal(void)
{
	struct conf_sources sources = { .text = { [CONF_GLOBAL] = fatal_text } };
	set_defaults();
	options_boot(&sources, write_line);
}

TEST(abort_conf_makes_every_countable_error_fatal)
{
	static const struct {
		const char *text, *first_line;
	} cases[] = {
		{ "abort_conf:true,nonsense:1",
		    "<tract>: Invalid conf pair: nonsense:1" },
		{ "narenas:x,abort_conf:true", "<tract>: Invalid conf value: narenas:x" },
		{ "abort_conf:true,dirty_decay_ms:-2",
		    "<tract>: Out-of-range conf value: dirty_decay_ms:-2" },
		{ "abort_conf:true,x y", "<tract>: Malformed conf string: x y" },
		{ "abort_conf:true,tcache",
		    "<tract>: Conf string ends with key: tcache" },
		{ "abort_conf:true,",
		    "<tract>: Conf string ends with comma: abort_conf:true," },
	};
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		fatal_text = cases[i].text;
		test_dies(read_fatal, cases[i].first_line);
	}
}

TEST(huge_pages_are_switched_off_where_they_cannot_be)
{
	const enum os_thp mode = os_thp();

	os_thp_mode = OS_THP_UNSUPPORTED;
	read_conf("hpa:true");
	CHECK_STR(printed, "<tract>: No THP support: hpa:true\n");
	CHECK(!opt.hpa);
	read_conf("hpa:false");
	CHECK_STR(printed, "");
	os_thp_mode = OS_THP_MADVISE;
	read_conf("hpa:true");
	CHECK_STR(printed, "");
	CHECK(opt.hpa);
	read_conf("hpa:true,retain:false");
	CHECK_STR(printed, "<tract>: Needs retain:true: hpa:true\n");
	CHECK(!opt.hpa && !opt.retain);
	os_overcommits = false;
	read_conf("hpa:true");
	CHECK_STR(printed, "<tract>: The kernel does not overcommit: hpa:true\n");
	CHECK(!opt.hpa);
	os_overcommits = true;
	fatal_text = "retain:false,hpa:true,abort_conf:true";
	test_dies(read_fatal, "<tract>: Needs retain:true: hpa:true");
	os_thp_mode = mode;
}

TEST(huge_pages_are_the_default_where_the_kernel_gives_them)
{
	static const struct {
		enum os_thp mode;
		bool gives;
	} kernels[] = { { OS_THP_UNSUPPORTED, false }, { OS_THP_NEVER, false },
		{ OS_THP_MADVISE, true }, { OS_THP_ALWAYS, true } };
	const enum os_thp mode = os_thp();
	const bool overcommits = os_overcommits;

	os_overcommits = true;
	for (unsigned i = 0; i < COUNT_OF(kernels); i++) {
		os_thp_mode = kernels[i].mode;
		read_conf("");
		CHECK_EQ(options_hpa(), kernels[i].gives);
		options_settle();
		CHECK_EQ(opt.hpa, kernels[i].gives);
		read_conf("hpa:false");
		CHECK(!options_hpa());
		read_conf("retain:false");
		CHECK(!options_hpa());
		CHECK_STR(printed, "");
	}
	os_thp_mode = OS_THP_NEVER;
	read_conf("hpa:true");
	CHECK(options_hpa());
	/* A process that sets nothing reads no file. */
	os_thp_mode = OS_THP_UNKNOWN;
	read_conf("");
	CHECK_EQ(os_thp_mode, OS_THP_UNKNOWN);
	os_overcommits = overcommits;
	os_thp_mode = mode;
}

TEST(prof_leak_error_wants_prof_final)
{
	read_conf("prof_leak_error:true");
	CHECK_STR(printed,
	    "<tract>: Without prof_final nothing is an error: prof_leak_error:true\n");
	read_conf("prof_leak_error:true,prof_final:true");
	CHECK_STR(printed, "");
	fatal_text = "prof_leak_error:true,abort_conf:true";
	test_dies(read_fatal, "<tract>: Without prof_final nothing is an error");
}

TEST(confirm_conf_names_what_is_only_read_back)
{
	static const char parameters[] =
	    "<tract>: Read back, but of features not in this "
	    "version: prof_prefix,lg_prof_sample\n",
			  shapes[] = "<tract>: Read back, but without a counterpart in "
				     "tract: bin_shards\n";

	read_conf("bin_shards:1-160:2,tcache_nslots_large:30,lg_prof_sample:18,"
		  "prof_prefix:x,narenas:1,confirm_conf:true");
	CHECK(strstr(printed, parameters) != NULL);
	CHECK(strstr(printed, shapes) != NULL);
	CHECK(strstr(printed, "Set conf value: bin_shards:1-160:2\n") != NULL);
	read_conf("narenas:1,confirm_conf:true");
	CHECK(strstr(printed, "Read back") == NULL);
}

TEST(abort_conf_of_a_later_source_does_not_reach_back)
{
	struct conf_sources sources = { .text = {
					    [CONF_GLOBAL] = "narenas:x",
					    [CONF_ENVIRONMENT] = "abort_conf:true",
					} };
	read_sources(&sources);
	CHECK(opt.abort_conf);
	CHECK_STR(printed, "<tract>: Invalid conf value: narenas:x\n");
}
