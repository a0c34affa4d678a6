#include "text/json_writer.h"
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void commas_and_nesting_are_its_business(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1000);
	struct json_writer w;
	jsonw_init(&w, &out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	jsonw_key(&w, S("a"));
	jsonw_begin_array(&w);
	jsonw_int(&w, 1);
	jsonw_begin_array(&w);
	jsonw_end_array(&w);
	jsonw_begin_object(&w);
	jsonw_end_object(&w);
	jsonw_null(&w);
	jsonw_bool(&w, true);
	jsonw_bool(&w, false);
	jsonw_real(&w, 0.5);
	jsonw_raw(&w, S("[2]"));
	jsonw_str(&w, S("s"));
	jsonw_end_array(&w);
	jsonw_key(&w, S("b"));
	jsonw_int(&w, INT64_MIN);
	jsonw_raw_members(&w, S(""));
	jsonw_raw_members(&w, S("\"c\":1,\"d\":2"));
	jsonw_key(&w, S("e"));
	jsonw_str(&w, STR_EMPTY);
	jsonw_end_object(&w);
	assert_string_equal(out.p, "{\"a\":[1,[],{},null,true,false,0.5,[2],\"s\"],\"b\":-9223372036854775808,\"c\":1,"
				   "\"d\":2,\"e\":\"\"}");
	assert_int_equal(w.depth, 0);
}

static void a_full_buffer_is_remembered(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(5);
	struct json_writer w;
	jsonw_init(&w, &out, JSON_WRITER_PLAIN);
	jsonw_begin_array(&w);
	for (int i = 0; i < 100; i++)
		jsonw_str(&w, S("0123456789"));
	jsonw_end_array(&w);
	assert_false(buf_ok(&out));
	assert_true(out.n <= 5);
}

static void escapes_strings(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		const char *plain;
		const char *go;
	} rows[] = {
		{{"", 0}, "\"\"", "\"\""},
		{{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\"", "\"a\\\"b\\\\c/\""},
		{{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\"", "\"\\b\\f\\n\\r\\t\""},
		{{"\0\x01\x1f\x7f", 4}, "\"\\u0000\\u0001\\u001f\x7f\"", "\"\\u0000\\u0001\\u001f\x7f\""},
		{{"<a>&'", 5}, "\"<a>&'\"", "\"\\u003ca\\u003e\\u0026'\""},
		{{"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 12},
		 "\"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\"",
		 "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\""},
		{{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\"", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
		{{"\xff", 1}, "\"\xef\xbf\xbd\"", "\"\\ufffd\""},
		{{"\xef\xbf\xbd", 3}, "\"\xef\xbf\xbd\"", "\"\xef\xbf\xbd\""},
		/* Each bad byte by itself: a cut sequence, a surrogate, an overlong form, beyond U+10FFFF. */
		{{"\xe2\x82x", 3}, "\"\xef\xbf\xbd\xef\xbf\xbdx\"", "\"\\ufffd\\ufffdx\""},
		{{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", "\"\\ufffd\\ufffd\\ufffd\""},
		{{"\xc0\x80", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\"\\ufffd\\ufffd\""},
		{{"\xf4\x90\x80\x80", 4},
		 "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
		 "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
		AUTO_BUF out = BUF_INIT(1000);
		struct json_writer w;
		jsonw_init(&w, &out, i % 2 == 0 ? JSON_WRITER_PLAIN : JSON_WRITER_GO);
		jsonw_str(&w, rows[i / 2].text);
		assert_string_equal(out.p, i % 2 == 0 ? rows[i / 2].plain : rows[i / 2].go);
	}
}

/* The right column is what Go 1.26 prints. */
static const struct {
	double value;
	const char *text;
} reals[] = {
	{0, "0"},
	{-0.0, "-0"},
	{1, "1"},
	{-1, "-1"},
	{100, "100"},
	{0.1, "0.1"},
	{-2.5, "-2.5"},
	{4.35, "4.35"},
	{1.0 / 3, "0.3333333333333333"},
	{2.0 / 3, "0.6666666666666666"},
	{1e-6, "0.000001"},
	{1.5e-6, "0.0000015"},
	{9.99e-7, "9.99e-7"},
	{1e-7, "1e-7"},
	{1.25e-10, "1.25e-10"},
	{1e15, "1000000000000000"},
	{9007199254740991, "9007199254740991"},
	{9007199254740992, "9007199254740992"},
	{0x1p63, "9223372036854776000"},
	{123456789012345680000.0, "123456789012345680000"},
	{1e20, "100000000000000000000"},
	{999999999999999900000.0, "999999999999999900000"},
	{1e21, "1e+21"},
	{-1.5e300, "-1.5e+300"},
	{1.7976931348623157e308, "1.7976931348623157e+308"},
	{2.2250738585072014e-308, "2.2250738585072014e-308"},
	{5e-324, "5e-324"},
	{0x1p-44, "5.684341886080802e-14"}, /* the nearest 16 digits, ...801, are another double */
	{0x1p-1074 * 3, "1.5e-323"},
	{HUGE_VAL, "null"},
	{-HUGE_VAL, "null"},
	{(double)NAN, "null"},
};

static void writes_the_fewest_digits_as_go_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
		AUTO_BUF out = BUF_INIT(100);
		struct json_writer w;
		jsonw_init(&w, &out, i % 2 == 0 ? JSON_WRITER_PLAIN : JSON_WRITER_GO);
		jsonw_real(&w, reals[i].value);
		assert_string_equal(out.p, reals[i].text);
	}
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
	if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
		print_message("skipped: the locale de_DE.UTF-8 is not installed\n");
	writes_the_fewest_digits_as_go_does(state);
	setlocale(LC_NUMERIC, "C");
}

static void check_value(const char *text, enum json_writer_mode mode, const char *want)
{
	AUTO(json) *json = json_parse(str_from(text), JSON_READ_STRICT, NULL);
	assert_non_null(json);
	AUTO_BUF out = BUF_INIT(1000);
	struct json_writer w;
	jsonw_init(&w, &out, mode);
	jsonw_value(&w, json);
	assert_string_equal(out.p, want);
}

static void writes_a_tree_as_it_was_or_as_go_would(void **state)
{
	(void)state;
	const char *text =
		"{ \"op\" : \"x\", \"args\" : { \"b\" : [ 1.50, 9007199254740993, -0, 1e2 ], \"a\\u0301\" : null,"
		" \"a\" : true, \"B\" : \"<\" , \"aa\":18446744073709551615} }";
	check_value(
		text, JSON_WRITER_PLAIN,
		"{\"op\":\"x\",\"args\":{\"b\":[1.5,9007199254740993,-0,100],\"a\xcc\x81\":null,\"a\":true,\"B\":\"<\","
		"\"aa\":18446744073709552000}}");
	check_value(text, JSON_WRITER_GO,
		    "{\"args\":{\"B\":\"\\u003c\",\"a\":true,\"aa\":18446744073709552000,\"a\xcc\x81\":null,"
		    "\"b\":[1.5,9007199254740992,-0,100]},\"op\":\"x\"}");
	check_value("[]", JSON_WRITER_GO, "[]");
	check_value("{}", JSON_WRITER_GO, "{}");
}

/* The bytes that a connector finds on its standard input when there are no arguments. */
static void the_call_without_arguments_is_pinned(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1000);
	struct json_writer w;
	jsonw_init(&w, &out, JSON_WRITER_GO);
	jsonw_begin_object(&w);
	jsonw_key(&w, S("args"));
	jsonw_begin_object(&w);
	jsonw_end_object(&w);
	jsonw_key(&w, S("op"));
	jsonw_str(&w, S("x"));
	jsonw_end_object(&w);
	assert_string_equal(out.p, "{\"args\":{},\"op\":\"x\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_nesting_are_its_business),
		cmocka_unit_test(a_full_buffer_is_remembered),
		cmocka_unit_test(escapes_strings),
		cmocka_unit_test(writes_the_fewest_digits_as_go_does),
		cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
		cmocka_unit_test(writes_a_tree_as_it_was_or_as_go_would),
		cmocka_unit_test(the_call_without_arguments_is_pinned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
