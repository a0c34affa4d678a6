#include "vault/binding.h"
#include "base/mem.h"
#include "text/canonical.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct binding_fields fields = {
	.kind = {"api_key", 7},
	.connector_fqn = {"local://user/notes", 18},
	.service = {"notes", 5},
	.identity = {"wo\"rk", 5},
	.account = {"a\tb\xc3\xa9", 5},
};

static void test_metadata_is_canonical(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(4096);
	binding_metadata_put(&out, &fields);
	assert_string_equal(
		out.p, "{\"environment\":\"\",\"labels\":{\"account\":\"a\\tb\xc3\xa9\",\"connector_fqn\":"
		       "\"local://user/notes\",\"identity\":\"wo\\\"rk\",\"service\":\"notes\"},\"type\":\"api_key\"}");
	assert_true(json_is_canonical(buf_str(&out)));
}

static void test_names(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_BUF out = BUF_INIT(4096);
	assert_int_equal(binding_name_put(&out, &fields, &err), -1);
	assert_int_equal(err.class, ERR_INVALID_IDENTITY);
	assert_int_equal(out.n, 0);
	struct binding_fields good = fields;
	good.identity = S("work.1");
	assert_int_equal(binding_name_put(&out, &good, NULL), 0);
	assert_string_equal(out.p, "api_key/notes/work.1");
}

static void test_services(void **state)
{
	(void)state;
	assert_true(str_eq(binding_service(S("github://acme/stripe/sub"), STR_EMPTY), S("stripe")));
	assert_true(str_eq(binding_service(S("github://acme/stripe"), S("payments")), S("payments")));
	assert_true(str_eq(binding_service(S("local://user/notes"), STR_EMPTY), S("notes")));
	assert_int_equal(binding_service(S("no name"), STR_EMPTY).n, 0);
}

static void test_consent_round_trip(void **state)
{
	(void)state;
	const struct str hosts[] = {S("b.example:443"), S("A.example:443"), S("b.example:443")};
	const struct str scopes[] = {S("write"), S("read")};
	const struct binding_consent consent = {
		.hosts = hosts,
		.n_hosts = 3,
		.token_url = S("https://t.example/token"),
		.client_id = S("id"),
		.scopes = scopes,
		.n_scopes = 2,
	};
	AUTO_BUF out = BUF_INIT(4096);
	binding_consent_put(&out, &consent);
	assert_string_equal(out.p, "{\"client_id\":\"id\",\"hosts\":[\"A.example:443\",\"b.example:443\"],"
				   "\"scopes\":[\"read\",\"write\"],\"token_url\":\"https://t.example/token\"}");
	AUTO(arena) *arena = arena_new();
	struct binding_consent read;
	assert_int_equal(binding_consent_get(arena, buf_str(&out), &read, NULL), 0);
	assert_int_equal(read.n_hosts, 2);
	assert_int_equal(read.n_allow_private, 0);
	assert_true(str_eq(read.scopes[1], S("write")));
	assert_true(binding_consent_allows(&read, S("a.EXAMPLE:443")));
	assert_false(binding_consent_allows(&read, S("a.example:444")));
}

static void test_wrong_consents_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"hosts\":[1]}",
		"{\"hosts\":[\"\"]}",
		"{\"hosts\":{}}",
		"{ \"hosts\":[]}",
		"{\"hosts\":[],\"other\":\"x\"}",
		"{\"client_id\":\"\",\"hosts\":[]}",
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO(arena) *arena = arena_new();
		struct err err = {0};
		struct binding_consent read = {.n_hosts = 77};
		assert_int_equal(binding_consent_get(arena, str_from(wrong[i]), &read, &err), -1);
		assert_int_equal(read.n_hosts, 77);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
}

static void test_any_host(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct binding_consent read;
	assert_int_equal(binding_consent_get(arena, S("{\"hosts\":[\"*\"]}"), &read, NULL), 0);
	assert_true(binding_consent_allows(&read, S("any.example:8443")));
}

static void test_versions(void **state)
{
	(void)state;
	const struct str hosts[] = {S("a.example:443")}, more[] = {S("a.example:443"), S("b.example:443")};
	const struct binding_consent consent = {.hosts = hosts, .n_hosts = 1}, wider = {.hosts = more, .n_hosts = 2};
	struct binding_version version = {.kind = S("api_key"), .generation = 7, .consent = &consent};
	assert_int_equal(binding_version_number(&version), 7);
	const struct binding_version oauth2 = {.kind = S("oauth2"),
					       .generation = 7,
					       .created_at = 1,
					       .account = S("me"),
					       .granted_scopes = S("read write"),
					       .consent = &consent};
	uint64_t number = binding_version_number(&oauth2);
	assert_true(number > 0 && number < UINT64_C(1) << 53);
	/* A renewed token is no other, nor are the same scopes as another answer says them. */
	version = oauth2;
	version.generation = 8;
	version.granted_scopes = S("write  read write");
	assert_int_equal(binding_version_number(&version), number);
	struct binding_version others[] = {oauth2, oauth2, oauth2, oauth2};
	others[0].created_at = 2;
	others[1].account = S("you");
	others[2].granted_scopes = S("read");
	others[3].consent = &wider;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_not_equal(binding_version_number(&others[i]), number);
}

static void what_stands_beside_the_value_can_be_put_on_a_request(void **state)
{
	(void)state;
	static const struct {
		struct binding_fields fields;
		const char *names; /* NULL = it is good */
	} rows[] = {
		{{.kind = {"basic", 5}}, NULL},
		{{.username = {"ada lovelace", 12}, .region = {"eu-west-1", 9}, .access_key_id = {"AKIDEXAMPLE", 11}},
		 NULL},
		{{.username = {"a:b", 3}}, "user name"},
		{{.username = {"a\nb", 3}}, "user name"},
		{{.username = {"a\x7f", 2}}, "user name"},
		{{.region = {"US East", 7}}, "region"},
		{{.region = {"eu/west", 7}}, "region"},
		{{.access_key_id = {"AKID EXAMPLE", 12}}, "access key id"},
		{{.access_key_id = {"AKID,x", 6}}, "access key id"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		assert_int_equal(binding_fields_check(&rows[i].fields, &err), rows[i].names == NULL ? 0 : -1);
		if (rows[i].names == NULL)
			continue;
		assert_int_equal(err.class, ERR_INVALID_REQUEST);
		assert_non_null(strstr(err.message, rows[i].names));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stands_beside_the_value_can_be_put_on_a_request),
		cmocka_unit_test(test_metadata_is_canonical),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_consent_round_trip),
		cmocka_unit_test(test_wrong_consents_are_refused),
		cmocka_unit_test(test_any_host),
		cmocka_unit_test(test_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
