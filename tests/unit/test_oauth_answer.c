#include "base/mem.h"
#include "base/buf.h"
#include "egress/oauth_answer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char text[OAUTH_ANSWER_MAX + 100];

static int parse(const char *answer, struct oauth_answer *ret, struct err *err)
{
	snprintf(text, sizeof text, "%s", answer);
	return oauth_answer_parse(text, strlen(text), ret, err);
}

static void is(struct str got, const char *wanted)
{
	if (!str_eq(got, str_from(wanted)))
		fail_msg("'%.*s' instead of '%s'", STR_FMT(got), wanted);
}

static void members_are_read(void **state)
{
	(void)state;
	struct oauth_answer a;
	assert_int_equal(
		parse(" {\"access_token\" : \"x\\/y\\u002bz\",\r\n\t\"refresh_token\":\"r\",\"expires_in\":3600,"
		      "\"scope\":\"a \\u00e4\\ud83d\\ude00\",\"token_type\":\"Bearer\",\"x\":{\"a\":[1,{\"b\":[]}],"
		      "\"c\":-1.5e+3,\"access_token\":\"inner\"}} ",
		      &a, NULL),
		0);
	is(a.access_token, "x/y+z");
	is(a.refresh_token, "r");
	is(a.scope, "a \xc3\xa4\xf0\x9f\x98\x80");
	is(a.token_type, "Bearer");
	assert_true(a.expires_in == 3600 && a.has_scope && !a.has_error);

	assert_int_equal(parse("{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_url\":\"v\","
			       "\"verification_uri_complete\":\"c\",\"interval\":\"7\",\"expires_in\":1.9}",
			       &a, NULL),
			 0);
	is(a.device_code, "d");
	is(a.user_code, "U");
	is(a.verification_uri, "v");
	is(a.verification_uri_complete, "c");
	assert_true(a.interval == 7 && a.expires_in == 1 && !a.has_scope);

	assert_int_equal(parse("{\"error\":\"invalid_grant\",\"scope\":null,\"expires_in\":-3}", &a, NULL), 0);
	is(a.error, "invalid_grant");
	assert_true(a.has_error && a.expires_in == 0 && !a.has_scope);
	assert_int_equal(parse("{\"error\":\"a b\"}", &a, NULL), 0);
	assert_true(a.has_error && a.error.n == 0);
	assert_int_equal(
		parse("{\"error\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", &a,
		      NULL),
		0);
	assert_true(a.has_error && a.error.n == 0);
	assert_int_equal(parse("{}", &a, NULL), 0);
	assert_int_equal(a.access_token.n, 0);
}

static void what_is_not_json_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		" ",
		"null",
		"[]",
		"\"x\"",
		"{",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{,}",
		"{\"a\":1 \"b\":2}",
		"{\"a\":1}x",
		"{\"a\":1}{}",
		"{a:1}",
		"{'a':1}",
		"{\"a\":[1,]}",
		"{\"a\":[1 2]}",
		"{\"a\":[}",
		"{\"a\":{]}",
		"{\"a\":{\"b\"}}",
		"{\"a\":01}",
		"{\"a\":1.}",
		"{\"a\":.5}",
		"{\"a\":1e}",
		"{\"a\":-}",
		"{\"a\":+1}",
		"{\"a\":nul}",
		"{\"a\":True}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\ud800\\u0041\"}",
		"{\"a\":\"\\udc00\"}",
		"{\"a\":\"\n\"}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\xc0\x80\"}",
		"{\"a\":\"x}",
		"\xef\xbb\xbf{}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct oauth_answer a = {.interval = 77};
		struct err err = {0};
		if (parse(bad[i], &a, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.class, ERR_PARSE_ERROR);
		assert_int_equal(a.interval, 77);
	}
}

static void what_cannot_be_is_refused_without_a_quote(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *says;
	} rows[] = {
		{"{\"access_token\":\"sec ret\"}", "'access_token'"},
		{"{\"access_token\":\"sec\\nret\"}", "'access_token'"},
		{"{\"refresh_token\":\"s\xc3\xa4\"}", "'refresh_token'"},
		{"{\"access_token\":1}", "'access_token' in the answer of the token endpoint is not a text"},
		{"{\"scope\":[\"a\"]}", "'scope'"},
		{"{\"access_token\":\"a\",\"access_token\":\"b\"}", "is given twice"},
		{"{\"expires_in\":1,\"expires_in\":2}", "is given twice"},
		{"{\"verification_uri\":\"a\",\"verification_url\":\"b\"}", "is given twice"},
		{"{\"expires_in\":\"soon\"}", "no number of seconds"},
		{"{\"expires_in\":1e3}", "no number of seconds"},
		{"{\"expires_in\":99999999999}", "no number of seconds"},
		{"{\"user_code\":\"a\\u0007\"}", "'user_code'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct oauth_answer a;
		struct err err = {0};
		assert_int_equal(parse(rows[i].answer, &a, &err), -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		if (strstr(err.message, rows[i].says) == NULL || strstr(err.message, "sec") == err.message ||
		    strstr(err.message, "ret\"") != NULL)
			fail_msg("'%s': %s", rows[i].answer, err.message);
	}
}

static void depth_and_size_are_bounded(void **state)
{
	(void)state;
	struct oauth_answer a;
	for (size_t depth = OAUTH_ANSWER_DEPTH - 1; depth <= OAUTH_ANSWER_DEPTH + 1; depth++) {
		AUTO_BUF answer = BUF_INIT(1000);
		buf_add_z(&answer, "{\"x\":");
		for (size_t i = 0; i < depth; i++)
			buf_add_char(&answer, '[');
		for (size_t i = 0; i < depth; i++)
			buf_add_char(&answer, ']');
		buf_add_char(&answer, '}');
		assert_int_equal(parse(answer.p, &a, NULL), depth <= OAUTH_ANSWER_DEPTH ? 0 : -1);
	}
	memset(text, ' ', sizeof text);
	text[0] = '{';
	text[OAUTH_ANSWER_MAX - 1] = '}';
	assert_int_equal(oauth_answer_parse(text, OAUTH_ANSWER_MAX, &a, NULL), 0);
	assert_int_equal(oauth_answer_parse(text, OAUTH_ANSWER_MAX + 1, &a, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_read),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(what_cannot_be_is_refused_without_a_quote),
		cmocka_unit_test(depth_and_size_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
