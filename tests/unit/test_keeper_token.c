#include "vault/keeper_token.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* The example of the reference, and what each member means. */
static void reads_what_older_versions_wrote(void **state)
{
	(void)state;
	AUTO_TOKEN token = {0};
	struct str json =
		S("{\n  \"access_token\": \"at-3f1c\",\n  \"refresh_token\": \"rt-9b20\",\n"
		  "  \"expires_at\": \"2026-01-01T01:00:00Z\",\n  \"token_type\": \"Bearer\",\n"
		  "  \"client_id\": \"desktop-client-1\",\n  \"token_url\": \"https://oauth2.example.test/token\",\n"
		  "  \"extra\": {\"a\": [1, -2.5e3, null, true, \"x\"]},\n"
		  "  \"scopes\": [\"mail.read\", \"mail.send\"]\n}\n");
	assert_int_equal(keeper_token_read(json, &token, NULL), 0);
	assert_true(str_eq(token.access_token, S("at-3f1c")));
	assert_true(str_eq(token.refresh_token, S("rt-9b20")));
	assert_int_equal(token.expires_at_s, 1767229200);
	assert_true(str_eq(token.token_type, S("Bearer")));
	assert_true(str_eq(token.client_id, S("desktop-client-1")));
	assert_int_equal(token.client_secret.n, 0);
	assert_true(str_eq(token.token_url, S("https://oauth2.example.test/token")));
	assert_true(str_eq(token.scopes, S("mail.read mail.send")));
}

static void writes_the_form_that_is_pinned(void **state)
{
	(void)state;
	struct keeper_token token = {.access_token = S("at-3f1c"),
				     .refresh_token = S("rt-9b20"),
				     .expires_at_s = 1767229200,
				     .token_type = S("Bearer"),
				     .client_id = S("desktop-client-1"),
				     .token_url = S("https://oauth2.example.test/token"),
				     .scopes = S("mail.read mail.send")};
	AUTO(secret) *json = keeper_token_write(&token, NULL);
	assert_non_null(json);
	assert_true(str_eq(secret_borrow(json),
			   S("{\"access_token\":\"at-3f1c\",\"refresh_token\":\"rt-9b20\","
			     "\"expires_at\":\"2026-01-01T01:00:00Z\",\"token_type\":\"Bearer\","
			     "\"client_id\":\"desktop-client-1\",\"token_url\":\"https://oauth2.example.test/token\","
			     "\"scopes\":[\"mail.read\",\"mail.send\"]}")));
	struct keeper_token bare = {.access_token = S("a")};
	AUTO(secret) *short_json = keeper_token_write(&bare, NULL);
	assert_true(str_eq(secret_borrow(short_json),
			   S("{\"access_token\":\"a\",\"expires_at\":\"0001-01-01T00:00:00Z\",\"client_id\":\"\","
			     "\"token_url\":\"\"}")));
}

static void what_is_written_reads_the_same(void **state)
{
	(void)state;
	struct keeper_token token = {.access_token = S("quote\" back\\ slash/ \x01 \xc3\xa9 \xf0\x9f\x98\x80"),
				     .refresh_token = S("<&>"),
				     .expires_at_s = 4102444800,
				     .client_id = S("c"),
				     .client_secret = S("s"),
				     .token_url = S("http://127.0.0.1:1/t"),
				     .scopes = S("a b c")};
	AUTO(secret) *json = keeper_token_write(&token, NULL);
	AUTO_TOKEN again = {0};
	assert_int_equal(keeper_token_read(secret_borrow(json), &again, NULL), 0);
	assert_true(str_eq(again.access_token, token.access_token));
	assert_true(str_eq(again.refresh_token, token.refresh_token));
	assert_int_equal(again.expires_at_s, token.expires_at_s);
	assert_true(str_eq(again.client_secret, token.client_secret));
	assert_true(str_eq(again.scopes, token.scopes));
}

static void escapes_are_decoded(void **state)
{
	(void)state;
	AUTO_TOKEN token = {0};
	assert_int_equal(
		keeper_token_read(S("{\"access_token\":\"\\u0041\\n\\u00e9\\ud83d\\ude00\\u003c\\/\"}"), &token, NULL),
		0);
	assert_true(str_eq(token.access_token, S("A\n\xc3\xa9\xf0\x9f\x98\x80</")));
}

static void times_of_every_spelling(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t seconds;
	} cases[] = {
		{"0001-01-01T00:00:00Z", 0},
		{"1971-01-01T00:00:00Z", 31536000},
		{"2024-02-29T12:34:56.789Z", 1709210096},
		{"2024-03-01T00:00:00+02:00", 1709244000},
		{"2100-03-01T00:00:00-05:30", 4107562200},
		{"2000-12-31T23:59:59Z", 978307199},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *json = xasprintf("{\"access_token\":\"a\",\"expires_at\":\"%s\"}", cases[i].text);
		AUTO_TOKEN token = {0};
		assert_int_equal(keeper_token_read(str_from(json), &token, NULL), 0);
		assert_int_equal(token.expires_at_s, cases[i].seconds);
	}
}

static void refuses_anything_else_and_quotes_nothing(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"access_token\":\"\"}",
		"{\"access_token\":\"s3cret\"",
		"{\"access_token\":\"s3cret\"} x",
		"{\"access_token\":\"s3cret\",}",
		"{\"access_token\":\"s3cret\",\"access_token\":\"b\"}",
		"{\"access_token\":5}",
		"{\"access_token\":\"s3cret\\x\"}",
		"{\"access_token\":\"s3cret\\ud800\"}",
		"{\"access_token\":\"s3cret\\u0000\"}",
		"{\"access_token\":\"s3cret\\u12\"}",
		"{\"access_token\":\"s3cret\n\"}",
		"{\"access_token\":\"s3cret\xff\"}",
		"{\"access_token\":\"s3cret\",\"expires_at\":\"soon\"}",
		"{\"access_token\":\"s3cret\",\"expires_at\":\"2026-13-01T00:00:00Z\"}",
		"{\"access_token\":\"s3cret\",\"scopes\":\"a\"}",
		"{\"access_token\":\"s3cret\",\"scopes\":[1]}",
		"{\"access_token\":\"s3cret\",\"x\":}",
		"{\"access_token\":\"s3cret\",\"x\":[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}",
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct keeper_token token = {0};
		static struct err err;
		err_clear(&err);
		assert_int_equal(keeper_token_read(str_from(cases[i]), &token, &err), -1);
		assert_int_equal(err.class, ERR_PARSE_ERROR);
		assert_int_equal(str_find(str_from(err.message), S("s3cret")), STR_NPOS);
		assert_null(token.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_older_versions_wrote),
		cmocka_unit_test(writes_the_form_that_is_pinned),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(escapes_are_decoded),
		cmocka_unit_test(times_of_every_spelling),
		cmocka_unit_test(refuses_anything_else_and_quotes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
