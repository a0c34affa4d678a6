#include "api/query.h"
#include "api/timestamp.h"
#include "base/mem.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct err err;

static struct json *query(enum api_operation_id id, const char *text)
{
	err_clear(&err);
	return api_query(operation_at(id), str_from(text), &err);
}

static struct str member(const struct json *object, const char *name)
{
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(object, str_from(name)), &text);
	return text;
}

static void parameters_become_members(void **state)
{
	(void)state;
	AUTO(json) *json = query(OP_AUDIT_LIST, "connector_fqn=github%3a%2F%2Facme%2fx&limit=1000&&type=a+b&class=");
	assert_non_null(json);
	assert_int_equal(json_length(json), 4);
	assert_true(str_eq(member(json, "connector_fqn"), S("github://acme/x")));
	assert_true(str_eq(member(json, "limit"), S("1000")));
	assert_true(str_eq(member(json, "type"), S("a b")));
	AUTO(json) *none = query(OP_HEALTH, "");
	assert_int_equal(json_length(none), 0);
	AUTO(json) *quoted = query(OP_AUDIT_LIST, "type=%22%5C%C3%A4");
	assert_true(str_eq(member(quoted, "type"), S("\"\\\xc3\xa4")));
}

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	static const struct {
		enum api_operation_id id;
		const char *text;
	} cases[] = {
		{OP_HEALTH, "a=1"},
		{OP_AUDIT_LIST, "limit=1001"},
		{OP_AUDIT_LIST, "limit=0"},
		{OP_RUN_LIST, "limit=0"},
		{OP_SESSION_LIST, "limit=0"},
		{OP_AUDIT_LIST, "limit=-1"},
		{OP_AUDIT_LIST, "limit=01"},
		{OP_AUDIT_LIST, "limit="},
		{OP_AUDIT_LIST, "limit=1&limit=2"},
		{OP_AUDIT_LIST, "limit=1&l%69mit=1"},
		{OP_AUDIT_LIST, "type=%"},
		{OP_AUDIT_LIST, "type=%4"},
		{OP_AUDIT_LIST, "type=%4g"},
		{OP_AUDIT_LIST, "type=%00"},
		{OP_AUDIT_LIST, "type=%0a"},
		{OP_AUDIT_LIST, "type=%ff"},
		{OP_AUDIT_LIST, "type=\x80"},
		{OP_SESSION_LIST, "active_only=yes"},
		{OP_BINDING_LIST, "kind=password"},
		{OP_VAULT_LIST, "scope=Agent"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(json) *json = query(cases[i].id, cases[i].text);
		assert_null(json);
		assert_int_equal(err.class, ERR_INVALID_REQUEST);
	}
	assert_null(query(OP_AUDIT_LIST, "limit=0"));
	assert_string_equal(err.message, "the parameter 'limit' must be a whole number, 1 to 1000");
	AUTO(json) *first = query(OP_AUDIT_LIST, "after_seq=0");
	assert_non_null(first);
	AUTO_BUF many = BUF_INIT(2 * API_QUERY_MAX);
	while (many.n <= API_QUERY_MAX)
		buf_add_z(&many, "a");
	assert_null(query(OP_AUDIT_LIST, many.p));
}

static void others_may_write_more_where_it_is_theirs(void **state)
{
	(void)state;
	AUTO(json) *json = query(OP_OAUTH_CALLBACK, "code=c&state=s&iss=https%3A%2F%2Fx&scope=a+b&session_state=1");
	assert_non_null(json);
	assert_int_equal(json_length(json), 2);
	assert_null(query(OP_OAUTH_CALLBACK, "code=c&code=d"));
}

static void one_parameter_is_looked_up(void **state)
{
	(void)state;
	AUTO_BUF value = BUF_INIT(64);
	struct str text = S("a=1&b%20c=%C3%A4+x&a=2&d");
	assert_int_equal(api_query_get(text, S("b c"), &value, &err), 1);
	assert_string_equal(value.p, "\xc3\xa4 x");
	assert_int_equal(api_query_get(text, S("nothing"), &value, &err), 0);
	assert_int_equal(api_query_get(text, S("d"), &value, &err), 1);
	assert_int_equal(api_query_get(text, S("a"), &value, &err), -1);
	assert_string_equal(value.p, "\xc3\xa4 x");
	assert_int_equal(api_query_get(S("a=%zz"), S("a"), &value, &err), -1);
}

static void segments_keep_their_plus(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(64);
	assert_int_equal(api_unescape(&out, S("api_key%2Fa+b%2fwork"), &err), 0);
	assert_string_equal(out.p, "api_key/a+b/work");
	buf_clear(&out);
	api_escape(&out, S("api_key/a b/\xc3\xa4~"));
	assert_string_equal(out.p, "api_key%2Fa%20b%2F%C3%A4~");
	buf_clear(&out);
	assert_int_equal(api_unescape(&out, S("a%2"), &err), -1);
}

static void times_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-01-02T03:04:05Z", UINT64_C(1767323045) * TIME_SECOND},
		{"2026-01-02t03:04:05z", UINT64_C(1767323045) * TIME_SECOND},
		{"2026-01-02T03:04:05.678901234Z", UINT64_C(1767323045) * TIME_SECOND + 678901234},
		{"2026-01-02T05:04:05+02:00", UINT64_C(1767323045) * TIME_SECOND},
		{"2026-01-01T22:34:05-04:30", UINT64_C(1767323045) * TIME_SECOND},
		{"2024-02-29T00:00:00Z", UINT64_C(1709164800) * TIME_SECOND},
		{"2016-12-31T23:59:60Z", UINT64_C(1483228800) * TIME_SECOND},
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		uint64_t ns = 1;
		assert_int_equal(timestamp_parse(str_from(good[i].text), &ns, &err), 0);
		assert_true(ns == good[i].ns);
	}
	static const char *const bad[] = {
		"",
		"2026-01-02",
		"2026-01-02 03:04:05Z",
		"2026-01-02T03:04:05",
		"2026-13-02T03:04:05Z",
		"2026-02-29T03:04:05Z",
		"2026-01-32T03:04:05Z",
		"2026-01-02T24:04:05Z",
		"2026-01-02T03:60:05Z",
		"2026-01-02T03:04:61Z",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05.1234567890Z",
		"1969-12-31T23:59:59Z",
		"2026-01-02T03:04:05+2:00",
		"2026-01-02T03:04:05Z ",
		"1970-01-01T00:00:00+01:00",
		"2026-1-02T03:04:05Z",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t ns = 7;
		assert_int_equal(timestamp_parse(str_from(bad[i]), &ns, &err), -1);
		assert_true(ns == 7);
	}
}

/* What time_format_rfc3339() writes is read back, over the whole range. */
static void times_come_back(void **state)
{
	(void)state;
	uint64_t step = UINT64_C(86400) * TIME_SECOND * 13 + 7654321987;
	for (uint64_t ns = 0; ns < UINT64_C(18429000000) * TIME_SECOND; ns += step) {
		char text[TIME_RFC3339_SIZE];
		uint64_t back = 0;
		time_format_rfc3339(ns, 9, text);
		assert_int_equal(timestamp_parse(str_from(text), &back, &err), 0);
		assert_true(back == ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_become_members),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(others_may_write_more_where_it_is_theirs),
		cmocka_unit_test(one_parameter_is_looked_up),
		cmocka_unit_test(segments_keep_their_plus),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(times_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
