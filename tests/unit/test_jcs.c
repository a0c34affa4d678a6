/* RFC 8785: its own examples, and what it leaves to the reader of JSON. */
#include "text/jcs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct err err; /* large; cleared before each use */

static void check(const char *text, const char *expected)
{
	err_clear(&err);
	AUTO(json) *json = json_parse(str_from(text), JSON_READ_STRICT, &err);
	AUTO_BUF out = BUF_INIT(1 << 16);
	if (json == NULL || jcs_write(&out, json, JCS_STRICT, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	if (strcmp(out.p, expected) != 0)
		fail_msg("%s: %s, expected %s", text, out.p, expected);
}

/* Sections 3.2.2 and 3.2.3. */
static void the_documents_of_the_standard(void **state)
{
	(void)state;
	check("{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n"
	      "\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n"
	      "\"literals\": [null, true, false]}",
	      "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
	      "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
	check("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\","
	      "\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
	      "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
	      "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
	      "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
	      "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

/* Appendix B, by the bits of the double. */
static void the_numbers_of_the_standard(void **state)
{
	(void)state;
	static const struct {
		uint64_t bits;
		const char *text;
	} rows[] = {
		{0x0000000000000000, "0"},
		{0x8000000000000000, "0"},
		{0x0000000000000001, "5e-324"},
		{0x8000000000000001, "-5e-324"},
		{0x7fefffffffffffff, "1.7976931348623157e+308"},
		{0xffefffffffffffff, "-1.7976931348623157e+308"},
		{0x4340000000000000, "9007199254740992"},
		{0xc340000000000000, "-9007199254740992"},
		{0x4430000000000000, "295147905179352830000"},
		{0x44b52d02c7e14af5, "9.999999999999997e+22"},
		{0x44b52d02c7e14af6, "1e+23"},
		{0x44b52d02c7e14af7, "1.0000000000000001e+23"},
		{0x444b1ae4d6e2ef4e, "999999999999999700000"},
		{0x444b1ae4d6e2ef4f, "999999999999999900000"},
		{0x444b1ae4d6e2ef50, "1e+21"},
		{0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
		{0x3eb0c6f7a0b5ed8d, "0.000001"},
		{0x41b3de4355555553, "333333333.3333332"},
		{0x41b3de4355555554, "333333333.33333325"},
		{0x41b3de4355555555, "333333333.3333333"},
		{0x41b3de4355555556, "333333333.3333334"},
		{0x41b3de4355555557, "333333333.33333343"},
		{0xbecbf647612f3696, "-0.0000033333333333333333"},
		{0x43143ff3c1cb0959, "1424953923781206.2"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double real;
		char text[64];
		memcpy(&real, &rows[i].bits, sizeof real);
		snprintf(text, sizeof text, "%.17e", real);
		check(text, rows[i].text);
	}
}

static void other_values(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"null", "null"},
		{"\"\"", "\"\""},
		{" [ ] ", "[]"},
		{"{}", "{}"},
		{"9007199254740991", "9007199254740991"},
		{"-9007199254740991", "-9007199254740991"},
		{"1.0", "1"},
		{"-0", "0"},
		{"[1e2,1.50]", "[100,1.5]"},
		{"\"\\u007f\\u0008\\u000c\\t\\u001f<>&\\u2028\"", "\"\x7f\\b\\f\\t\\u001f<>&\xe2\x80\xa8\""},
		{"{\"b\":{\"d\":1,\"c\":2},\"a\":[{\"z\":1,\"y\":2}]}",
		 "{\"a\":[{\"y\":2,\"z\":1}],\"b\":{\"c\":2,\"d\":1}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(rows[i][0], rows[i][1]);
}

static void names_are_sorted_by_utf16(void **state)
{
	(void)state;
	/* In order; U+1F600 and U+10FFFF are pairs of surrogates and come before U+E000 and U+FFFD. */
	static const char *const names[] = {
		"",
		"a",
		"aa",
		"a\xf0\x9f\x98\x80",
		"a\xee\x80\x80",
		"\xc3\xa9",
		"\xed\x9f\xbf",
		"\xf0\x90\x80\x80",
		"\xf0\x9f\x98\x80",
		"\xf4\x8f\xbf\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbd",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		for (size_t j = 0; j < ARRAY_LEN(names); j++) {
			int order = jcs_compare(str_from(names[i]), str_from(names[j]));
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void integers_that_no_double_holds_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {"9007199254740992", "[-9007199254740993]",
					   "{\"a\":{\"b\":9223372036854775807}}"};
	static const char *const kept[] = {"9007199254740992", "[-9007199254740993]",
					   "{\"a\":{\"b\":9223372036854775807}}"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json) *json = json_parse(str_from(rows[i]), JSON_READ_STRICT, &err);
		AUTO_BUF out = BUF_INIT(1 << 10);
		buf_add_char(&out, '!');
		err_clear(&err);
		assert_int_equal(jcs_write(&out, json, JCS_STRICT, &err), -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		assert_string_equal(out.p, "!");
		buf_clear(&out);
		assert_int_equal(jcs_write(&out, json, JCS_KEEP_INTEGERS, &err), 0);
		assert_string_equal(out.p, kept[i]);
	}
	assert_non_null(strstr(err.message, "'a': 'b': an integer"));
}

static void a_full_buffer_is_a_limit(void **state)
{
	(void)state;
	AUTO(json) *json = json_parse(S("[\"0123456789\"]"), JSON_READ_STRICT, &err);
	AUTO_BUF out = BUF_INIT(8);
	assert_int_equal(jcs_write(&out, json, JCS_STRICT, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(out.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documents_of_the_standard),
		cmocka_unit_test(the_numbers_of_the_standard),
		cmocka_unit_test(other_values),
		cmocka_unit_test(names_are_sorted_by_utf16),
		cmocka_unit_test(integers_that_no_double_holds_are_refused),
		cmocka_unit_test(a_full_buffer_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
