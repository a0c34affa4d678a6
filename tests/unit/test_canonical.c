/* One text for one value: what is sorted, what is escaped, which numbers are refused and how that is told. */
#include "text/canonical.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
	const char *text, *canonical;
} written[] = {
	{"null", "null"},
	{" [ ] ", "[]"},
	{"{ }", "{}"},
	{"{\"b\":1,\"a\":[true, false , null]}", "{\"a\":[true,false,null],\"b\":1}"},
	/* By bytes: upper case before lower, a prefix first, a character above U+FFFF after one below it. */
	{"{\"a\":1,\"B\":2,\"aa\":3,\"\":4}", "{\"\":4,\"B\":2,\"a\":1,\"aa\":3}"},
	{"{\"\\ud83d\\ude00\":1,\"\\uffee\":2}", "{\"\xef\xbf\xae\":2,\"\xf0\x9f\x98\x80\":1}"},
	{"\"\\u0041\\/\\u00e9\\u2028\\u007f<&>\"", "\"A/\xc3\xa9\xe2\x80\xa8\x7f<&>\""},
	{"\"\\u0008\\u000c\\u000a\\u000d\\u0009\\u0022\\u005c\"", "\"\\b\\f\\n\\r\\t\\\"\\\\\""},
	{"\"\\u001F\\u0001\"", "\"\\u001f\\u0001\""},
	{"9007199254740992", "9007199254740992"},
	{"-9007199254740992", "-9007199254740992"},
	{"0", "0"},
};

static void a_value_has_one_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(written); i++) {
		struct err err = {0};
		AUTO(json) *json = json_parse(str_from(written[i].text), JSON_READ_STRICT, &err);
		assert_non_null(json);
		AUTO_BUF out = BUF_INIT(1000);
		assert_int_equal(json_canonical(&out, json, &err), 0);
		assert_string_equal(out.p, written[i].canonical);
		assert_true(json_is_canonical(buf_str(&out)));
		bool same = str_eq(str_from(written[i].text), str_from(written[i].canonical));
		assert_int_equal(json_is_canonical(str_from(written[i].text)), same);
	}
}

static const struct {
	const char *text, *said;
} refused[] = {
	{"1.0", "'the value' is a number with a fraction"},
	{"-0", "'the value' is a number with"},
	{"{\"a\":{\"b c\":[0,1e2]}}", "'/a/b c[1]' is a number with"},
	{"[9007199254740993]", "'[0]' is an integer beyond 2^53"},
	{"[0,-9007199254740993]", "'[1]' is an integer beyond 2^53"},
	{"99999999999999999999", "'the value' is a number with"},
	{"{\"\\n\":0.5}", "'/\\n' is"},
};

static void what_has_no_such_text_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct err err = {0};
		AUTO(json) *json = json_parse(str_from(refused[i].text), JSON_READ_STRICT, &err);
		assert_non_null(json);
		AUTO_BUF out = BUF_INIT(1000);
		buf_add_z(&out, "before");
		assert_int_equal(json_canonical(&out, json, &err), -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		assert_non_null(strstr(err.message, refused[i].said));
		assert_string_equal(out.p, "before");
		assert_false(json_is_canonical(str_from(refused[i].text)));
	}
}

static void or_is_quoted_when_asked(void **state)
{
	(void)state;
	AUTO(json) *json = json_parse(S("{\"b\":[1.50,-0,1e300,9007199254740993,99999999999999999999],\"a\":0.1}"),
				      JSON_READ_STRICT, NULL);
	AUTO_BUF out = BUF_INIT(1000);
	assert_int_equal(json_canonical_quoting(&out, json, NULL), 0);
	assert_string_equal(out.p, "{\"a\":\"0.1\",\"b\":[\"1.5\",\"-0\",\"1e+300\",\"9007199254740993\","
				   "\"100000000000000000000\"]}");
	assert_true(json_is_canonical(buf_str(&out)));
}

static void a_full_buffer_is_a_limit(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO(json) *json = json_parse(S("[1,2,3,4,5]"), JSON_READ_STRICT, &err);
	for (size_t room = 0; room < 11; room++) {
		AUTO_BUF out = BUF_INIT(room);
		assert_int_equal(json_canonical(&out, json, &err), -1);
		assert_int_equal(err.class, ERR_LIMIT);
		assert_int_equal(out.n, 0);
	}
}

static void what_is_no_json_is_not_canonical(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", " ", "{", "{}x", "{} ", "\n{}", "{\"a\":1,\"a\":1}", "\"\xff\"", "nul", "01", "+1", "\"\\ud800\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_false(json_is_canonical(str_from(texts[i])));
}

static void a_look_has_a_depth(void **state)
{
	(void)state;
	assert_true(json_canonical_at_sight(S("{\"a\":[{}]}"), 3, NULL, NULL));
	assert_false(json_canonical_at_sight(S("{\"a\":[{}]}"), 2, NULL, NULL));
	assert_true(json_canonical_at_sight(S("1"), 0, NULL, NULL));
	assert_false(json_canonical_at_sight(S("{\"\\n\":1}"), 2, NULL, NULL));
	assert_true(json_is_canonical(S("{\"\\n\":1}")));
	assert_false(json_canonical_at_sight(STR_EMPTY, 2, NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_has_one_text),    cmocka_unit_test(what_has_no_such_text_is_refused_by_name),
		cmocka_unit_test(or_is_quoted_when_asked), cmocka_unit_test(a_full_buffer_is_a_limit),
		cmocka_unit_test(a_look_has_a_depth),      cmocka_unit_test(what_is_no_json_is_not_canonical),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
