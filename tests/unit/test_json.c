#include "text/json.h"
#include "base/buf.h"
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct json *read_json(const char *text)
{
	struct err err = {0};
	struct json *json = json_parse(str_from(text), JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("'%s' was refused: %s", text, err.message);
	return json;
}

static void reads_every_kind_of_root(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum json_kind kind;
		const char *name;
	} rows[] = {
		{"null", JSON_KIND_NULL, "null"},   {" true ", JSON_KIND_BOOL, "boolean"},
		{"-12", JSON_KIND_INT, "integer"},  {"1.5", JSON_KIND_REAL, "number"},
		{"\"a\"", JSON_KIND_STR, "string"}, {"[1]\n", JSON_KIND_ARRAY, "array"},
		{"{}", JSON_KIND_OBJECT, "object"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json) *json = read_json(rows[i].text);
		assert_int_equal(json_kind(json), rows[i].kind);
		assert_string_equal(json_kind_name(json_kind(json)), rows[i].name);
	}
}

static void an_integer_that_fits_is_an_integer_and_all_else_a_double(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool integer;
		int64_t i;
		double real;
	} rows[] = {
		{"0", true, 0, 0},
		{"9223372036854775807", true, INT64_MAX, 0x1p63},
		{"-9223372036854775808", true, INT64_MIN, -0x1p63},
		{"9223372036854775808", false, 0, 0x1p63},
		{"-9223372036854775809", false, 0, -0x1p63},
		{"18446744073709551616", false, 0, 0x1p64},
		{"-99999999999999999999", false, 0, -1e20},
		{"1.0", false, 0, 1},
		{"1e0", false, 0, 1},
		{"1E+2", false, 0, 100},
		{"12.25e-1", false, 0, 1.225},
		{"1e-400", false, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json) *json = read_json(rows[i].text);
		int64_t integer = 0;
		double real = -1;
		assert_int_equal(json_get_int(json, &integer), rows[i].integer);
		assert_int_equal(integer, rows[i].i);
		assert_true(json_get_real(json, &real));
		assert_true(real == rows[i].real);
	}
	AUTO(json) *zero = read_json("[-0]");
	double real = 1;
	assert_true(json_get_real(json_at(zero, 0), &real));
	assert_true(real == 0 && signbit(real));
	assert_int_equal(json_kind(json_at(zero, 0)), JSON_KIND_REAL);
}

static void digits_inside_other_things_are_left_alone(void **state)
{
	(void)state;
	AUTO(json) *json =
		read_json("{\"99999999999999999999\":\"-0 \\\" 99999999999999999999\",\"x\":99999999999999999999,"
			  "\"y\":1.99999999999999999999,\"z\":1e0000000000000000000001}");
	struct str text;
	assert_true(json_get_str(json_member(json, S("99999999999999999999")), &text));
	assert_true(str_eq(text, S("-0 \" 99999999999999999999")));
	double real;
	assert_true(json_get_real(json_member(json, S("x")), &real) && real == 1e20);
	assert_true(json_get_real(json_member(json, S("y")), &real) && real == 2);
	assert_true(json_get_real(json_member(json, S("z")), &real) && real == 10);
}

#define MANY_DIGITS "99999999999999999999"

static void refuses(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		const char *why;
	} rows[] = {
		{{"", 0}, "line 1, column 1: the text ends too early"},
		{{"  ", 2}, "the text ends too early"},
		{{"[1,", 3}, "line 1, column 3: the text ends too early near '[1,'"},
		{{"{\"a\":1}x", 8}, "line 1, column 8: something follows the end of the value near '{\"a\":1}x'"},
		{{"1 2", 3}, "something follows"},
		{{"{\"a\":1,\"a\":2}", 13}, "a key that its object has already near '{\"a\":1,\"a\"'"},
		{{"\"\\u0000\"", 8}, "\\u0000 is not accepted"},
		{{"{\"\\u0000\":1}", 12}, "\\u0000 is not accepted"},
		{{"{\"a\\u0000\":1}", 13}, "\\u0000 is not accepted"},
		{{"1\0", 2}, "line 1, column 2: a NUL byte"},
		{{"\0", 1}, "a NUL byte"},
		{{"{}\n\0", 4}, "line 2, column 1: a NUL byte"},
		{{"[\0]", 3}, "a NUL byte"},
		{{"\"a\0b\"", 5}, "unexpected text"},
		{{"\"\n\"", 3}, "unexpected text"},
		{{"\"\xff\"", 3}, "bytes that are not UTF-8"},
		{{"\"\xed\xa0\x80\"", 5}, "bytes that are not UTF-8"},
		{{"\"\xc0\x80\"", 4}, "bytes that are not UTF-8"},
		{{"\"\\ud800\"", 8}, "unexpected text"},
		{{"\"\\ud800\\u0041\"", 14}, "unexpected text"},
		{{"\"\\udc00\"", 8}, "unexpected text"},
		{{"\xef\xbb\xbf{}", 5}, "unexpected text"},
		{{"1e400", 5}, "a number that is too large"},
		{{"-1e400", 6}, "a number that is too large"},
		{{"01", 2}, "unexpected text"},
		{{"-01", 3}, "unexpected text"},
		{{"-", 1}, "unexpected text"},
		{{"+1", 2}, "unexpected text"},
		{{".5", 2}, "unexpected text"},
		{{"1.", 2}, "unexpected text"},
		{{"NaN", 3}, "unexpected text"},
		{{"Infinity", 8}, "unexpected text"},
		{{"[1,]", 4}, "line 1, column 4: unexpected text near '[1,]'"},
		{{"{\"a\":1,}", 8}, "unexpected text"},
		{{"{'a':1}", 7}, "unexpected text"},
		{{"/**/1", 5}, "unexpected text"},
		{{"[\n1,\n\"\xc3\xa9\" x]", 11}, "line 3, column 5: unexpected text near '\"\xc3\xa9\" x'"},
		/* Positions are those of the text as it came, though wide integers are rewritten on the way. */
		{{"[" MANY_DIGITS "," MANY_DIGITS ",x]", 45}, "line 1, column 44: unexpected text"},
		{{"[" MANY_DIGITS "x]", 23}, "line 1, column 22: unexpected text"},
		{{"[\"\xe2\x80\xae\" x]", 9}, "unexpected text near '[\"\\u202e\" x'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		struct json *json = json_parse(rows[i].text, JSON_READ_STRICT, &err);
		if (json != NULL || err.class != ERR_PARSE_ERROR || strstr(err.message, rows[i].why) == NULL)
			fail_msg("'%s': expected \"%s\", got \"%s\"", rows[i].text.p, rows[i].why, err.message);
		assert_null(json_parse(rows[i].text, JSON_READ_STRICT, NULL));
	}
}

static void the_line_is_in_the_error(void **state)
{
	(void)state;
	struct err err = {0};
	assert_null(json_parse(S("{\n\n\"a\": tru}"), JSON_READ_STRICT, &err));
	assert_int_equal(err.line, 3);
}

static void a_sensitive_text_is_never_quoted(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"hunter2\":1,\"hunter2\":2}",
		"hunter2",
		"\"hunter2",
		"[\"hunter2\" \"hunter2\"]",
		"{\"hunter2\"}",
		"\"hunter2\\u0000\"",
		"\"hunter2\xff\"",
		"1 hunter2",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err err = {0};
		assert_null(json_parse(str_from(texts[i]), JSON_READ_SENSITIVE | JSON_READ_STRICT, &err));
		assert_non_null(strstr(err.message, "line 1, column "));
		assert_null(strstr(err.message, "hunter"));
		assert_null(strstr(err.message, "near"));
	}
}

static void the_last_duplicate_wins_when_asked(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO(json) *json = json_parse(S("{\"a\":1,\"b\":2,\"a\":3}"), JSON_READ_LAST_DUPLICATE, &err);
	assert_non_null(json);
	assert_int_equal(json_length(json), 2);
	int64_t a;
	assert_true(json_get_int(json_member(json, S("a")), &a));
	assert_int_equal(a, 3);
	assert_null(json_parse(S("{\"a\":1,\"a\":1}x"), JSON_READ_LAST_DUPLICATE, &err));
}

static void an_escaped_nul_is_read_when_asked(void **state)
{
	(void)state;
	AUTO(json) *json = json_parse(S("\"a\\u0000b\""), JSON_READ_ALLOW_NUL, NULL);
	struct str text = STR_EMPTY;
	assert_true(json_get_str(json, &text));
	assert_true(str_eq(text, S("a\0b")));
	assert_null(json_parse(S("{\"a\\u0000b\":1}"), JSON_READ_ALLOW_NUL, NULL));
	assert_null(json_parse(S("\"a\0b\""), JSON_READ_ALLOW_NUL, NULL));
	assert_null(json_parse(S("{}\0"), JSON_READ_ALLOW_NUL, NULL));
}

static void nest(struct buf *buf, const char *open, const char *core, const char *close, size_t depth)
{
	buf_clear(buf);
	for (size_t i = 0; i < depth; i++)
		buf_add_z(buf, open);
	buf_add_z(buf, core);
	for (size_t i = 0; i < depth; i++)
		buf_add_z(buf, close);
}

static void depth_is_limited(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20);
	static const char *const kinds[][2] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"a\":", "}]"}};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t each = strchr(kinds[i][0], '{') != NULL && kinds[i][0][0] == '[' ? 2 : 1;
		nest(&text, kinds[i][0], "\"[[[[{{{{\\\"[[[[\"", kinds[i][1], JSON_DEPTH_MAX / each);
		AUTO(json) *json = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
		assert_non_null(json);
		nest(&text, kinds[i][0], "1", kinds[i][1], JSON_DEPTH_MAX / each + 1);
		struct err err = {0};
		assert_null(json_parse(buf_str(&text), JSON_READ_STRICT, &err));
		assert_non_null(strstr(err.message, "nested too deeply"));
	}
	/* Siblings do not add up, and closing more than was opened gains nothing. */
	buf_clear(&text);
	buf_add_char(&text, '[');
	for (size_t i = 0; i < 1000; i++)
		buf_add_z(&text, "[{}],");
	buf_add_z(&text, "0]");
	AUTO(json) *wide = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
	assert_int_equal(json_length(wide), 1001);
	nest(&text, "]]]]", "1", "", 1000);
	assert_null(json_parse(buf_str(&text), JSON_READ_STRICT, NULL));
}

static void the_memory_of_the_tree_is_limited(void **state)
{
	(void)state;
	static const char *const units[] = {"{},", "[],", "\"\",", "0,"};
	static const size_t costs[] = {256, 160, 120, 56};
	AUTO_BUF text = BUF_INIT((size_t)64 << 20);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		buf_clear(&text);
		buf_add_char(&text, '[');
		for (size_t n = 0; n < JSON_MEMORY_MAX / costs[i] + 1; n++)
			buf_add_z(&text, units[i]);
		buf_add_z(&text, "0]");
		struct err err = {0};
		assert_null(json_parse(buf_str(&text), JSON_READ_STRICT, &err));
		assert_non_null(strstr(err.message, "memory"));
	}
}

static void members_come_in_the_order_of_the_text(void **state)
{
	(void)state;
	AUTO(json) *json = read_json("{\"z\":0,\"a\":1,\"\":2,\"m\":{},\"\\u00e9\":[]}");
	static const char *const names[] = {"z", "a", "", "m", "\xc3\xa9"};
	struct json_iter it;
	size_t n = 0;
	for (json_iter_init(&it, json); json_iter_next(&it); n++) {
		assert_true(n < ARRAY_LEN(names));
		assert_true(str_eq(it.name, str_from(names[n])));
		assert_ptr_equal(it.value, json_member(json, it.name));
	}
	assert_int_equal(n, ARRAY_LEN(names));
	assert_false(json_iter_next(&it));
	assert_non_null(json_member(json, STR_EMPTY));
	assert_null(json_member(json, S("A")));
}

static void a_value_of_another_kind_answers_false(void **state)
{
	(void)state;
	AUTO(json) *json = read_json("[null,true,1,1.5,\"s\",[0],{\"a\":0}]");
	for (size_t i = 0; i <= json_length(json); i++) {
		const struct json *value = json_at(json, i); /* NULL at the end */
		enum json_kind kind = json_kind(value);
		bool b = true;
		int64_t n = 77;
		double d = 77;
		struct str s = S("untouched");
		assert_int_equal(json_get_bool(value, &b), kind == JSON_KIND_BOOL);
		assert_int_equal(json_get_int(value, &n), kind == JSON_KIND_INT);
		assert_int_equal(json_get_real(value, &d), kind == JSON_KIND_INT || kind == JSON_KIND_REAL);
		assert_int_equal(json_get_str(value, &s), kind == JSON_KIND_STR);
		assert_true(n == (kind == JSON_KIND_INT ? 1 : 77));
		assert_true(d == (kind == JSON_KIND_INT ? 1 : kind == JSON_KIND_REAL ? 1.5 : 77));
		assert_true(str_eq(s, kind == JSON_KIND_STR ? S("s") : S("untouched")));
		assert_int_equal(json_length(value), kind == JSON_KIND_ARRAY || kind == JSON_KIND_OBJECT);
		assert_int_equal(json_at(value, 0) != NULL, kind == JSON_KIND_ARRAY);
		assert_int_equal(json_member(value, S("a")) != NULL, kind == JSON_KIND_OBJECT);
		struct json_iter it;
		json_iter_init(&it, value);
		assert_int_equal(json_iter_next(&it), kind == JSON_KIND_OBJECT);
	}
	json_free(NULL);
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
	(void)state;
	static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
	bool found = false;
	for (size_t i = 0; i < ARRAY_LEN(locales) && !found; i++)
		found = setlocale(LC_NUMERIC, locales[i]) != NULL;
	if (!found)
		print_message("skipped: no locale with a decimal comma is installed\n");
	AUTO(json) *json = json_parse(S("[1.5]"), JSON_READ_STRICT, NULL);
	double real = 0;
	bool got = json_get_real(json_at(json, 0), &real);
	struct json *comma = json_parse(S("1,5"), JSON_READ_STRICT, NULL);
	setlocale(LC_NUMERIC, "C");
	assert_true(got && real == 1.5);
	assert_null(comma);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_kind_of_root),
		cmocka_unit_test(an_integer_that_fits_is_an_integer_and_all_else_a_double),
		cmocka_unit_test(digits_inside_other_things_are_left_alone),
		cmocka_unit_test(refuses),
		cmocka_unit_test(the_line_is_in_the_error),
		cmocka_unit_test(a_sensitive_text_is_never_quoted),
		cmocka_unit_test(the_last_duplicate_wins_when_asked),
		cmocka_unit_test(an_escaped_nul_is_read_when_asked),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(the_memory_of_the_tree_is_limited),
		cmocka_unit_test(members_come_in_the_order_of_the_text),
		cmocka_unit_test(a_value_of_another_kind_answers_false),
		cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
