/* SPDX-License-Identifier: MIT */
#include "ctl/emit.h"

#include "base/bits.h"
#include "harness/test.h"

static char output[1 << 17];
static size_t output_length, longest_piece;

static void
collect(void *opaque, const char *text)
{
	const size_t length = strlen(text);

	REQUIRE(opaque == output);
	REQUIRE(output_length + length < sizeof output);
	memcpy(output + output_length, text, length + 1);
	output_length += length;
	if (length > longest_piece)
		longest_piece = length;
}

static void
begin(struct emitter *e, enum emit_form form)
{
	output_length = longest_piece = 0;
	output[0] = '\0';
	emit_init(e, form, collect, output);
}

static const struct field rows[] = {
	{ "n", FIELD_SIZE, 0, "" },
	{ "m", FIELD_SSIZE, 8, "" },
};
static const struct emit_rows table = { rows, COUNT_OF(rows), sizeof rows[0] };
struct pair {
	size_t n;
	ssize_t m;
};

TEST(json_nests_and_separates)
{
	struct emitter e;
	const struct pair pair = { 1, -2 };

	begin(&e, EMIT_JSON);
	emit_object(&e, NULL, NULL);
	emit_value(&e, "n", FIELD_SIZE, &pair.n);
	emit_value(&e, "m", FIELD_SSIZE, &pair.m);
	emit_array(&e, "list");
	emit_object(&e, NULL, "title");
	emit_object_end(&e, "title");
	emit_object(&e, NULL, NULL);
	emit_value(&e, "t", FIELD_BOOL, &(bool){ true });
	emit_object_end(&e, NULL);
	emit_array_end(&e);
	emit_text(&e, "not in JSON");
	emit_object_end(&e, NULL);
	emit_flush(&e);
	CHECK_STR(output,
	    "{\n  \"n\": 1,\n  \"m\": -2,\n  \"list\": [\n    {},\n    {\n"
	    "      \"t\": true\n    }\n  ]\n}\n");
}

TEST(json_strings_are_escaped)
{
	struct emitter e;
	const char *text = "a\"b\\c\n\x01\xff";

	begin(&e, EMIT_JSON);
	emit_object(&e, NULL, NULL);
	emit_value(&e, "k", FIELD_STRING, &text);
	emit_object_end(&e, NULL);
	emit_flush(&e);
	CHECK_STR(output, "{\n  \"k\": \"a\\\"b\\\\c\\u000a\\u0001\\u00ff\"\n}\n");
}

TEST(text_indents_and_aligns)
{
	struct emitter e;
	const struct pair pair = { 1234, -5 };

	begin(&e, EMIT_TEXT);
	emit_object(&e, NULL, NULL);
	emit_object(&e, "json", "title:");
	emit_value(&e, "n", FIELD_SIZE, &pair.n);
	emit_value(&e, "m", FIELD_SSIZE, &pair.m);
	emit_object_end(&e, "title:");
	emit_array(&e, "json");
	emit_array_end(&e);
	emit_headings(&e, &table);
	emit_text(&e, "\n");
	emit_columns(&e, &table, &pair);
	emit_object_end(&e, NULL);
	emit_flush(&e);
	CHECK_STR(output,
	    "title:\n  n: 1234\n  m: -5\n             n             m\n"
	    "          1234            -5");
}

/* Longer than the buffer, in one string and in many small pieces. */
TEST(nothing_is_lost_at_the_buffers_end)
{
	struct emitter e;
	static char text[20000];
	const char *string = text;
	const struct pair pair = { 7, 7 };

	memset(text, 'x', sizeof text - 1);
	begin(&e, EMIT_TEXT);
	emit_value(&e, "k", FIELD_STRING, &string);
	for (unsigned i = 0; i < 1000; i++)
		emit_columns(&e, &table, &pair);
	emit_flush(&e);
	CHECK_EQ(output_length, 3 + sizeof text - 1 + 1 + 1000 * 28);
	CHECK(longest_piece < EMIT_BUFFER);
}
