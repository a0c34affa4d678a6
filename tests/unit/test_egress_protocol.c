#include "base/arena.h"
#include "base/limits.h"
#include "egress/egress_protocol.h"
#include "text/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct str hosts[] = {{"api.test:443", 12}, {"b.test:80", 9}};
static const struct str subset[] = {{"api.test:443", 12}};
static const struct str components[] = {{"@method", 7}, {"@target-uri", 11}};
static const struct egress_opening openings[] = {
	{.host = {"api.test", 8}, .port = 443, .address = {"127.0.0.1", 9}, .address_port = 8443},
	{.host = {"localhost", 9}, .port = 80},
};

static struct egress_grant sample(void)
{
	return (struct egress_grant){
		.connector = S("github.com/a/b"),
		.version = S("1.2.3"),
		.permissive = true,
		.hosts = hosts,
		.n_hosts = ARRAY_LEN(hosts),
		.subset = subset,
		.n_subset = ARRAY_LEN(subset),
		.openings = openings,
		.n_openings = ARRAY_LEN(openings),
		.request_max = 1000,
		.response_max = 2000,
		.declared = CREDENTIAL_SIGNING_KEY,
		.header = S("X-Key"),
		.format = S("{key}"),
		.service = S("athena"),
		.region = S("us-east-1"),
		.access_key_id = S("AKIA"),
		.algorithm = S("ed25519"),
		.key_id = S("k"),
		.label = S("sig1"),
		.components = components,
		.n_components = ARRAY_LEN(components),
		.binding = BINDING_FOUND,
		.bound = CREDENTIAL_SIGNING_KEY,
		.binding_error = S(""),
		.username = S("user"),
		.bound_region = S("eu-west-1"),
		.bound_access_key_id = S("AKIB"),
		.pool = S("pool 1"),
		.relay = 4,
		.relay_call = 77,
	};
}

/* The whole body, as a parent sends it; for free(). */
static char *body_of(const struct egress_grant *grant, struct str secret, size_t *ret_n)
{
	struct buf body = BUF_INIT(1 << 20);
	egress_grant_put_head(&body, grant);
	wire_put_str(&body, secret);
	assert_true(buf_ok(&body));
	return buf_steal(&body, ret_n);
}

static int decode(struct arena *arena, const struct egress_grant *grant, struct str secret, struct egress_grant *ret,
		  struct secret **ret_secret, struct err *err)
{
	size_t n;
	char *body = body_of(grant, secret, &n);
	int rc = egress_grant_get(arena, body, n, ret, ret_secret, err);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(body[i], 0); /* wiped, whatever became of it */
	free(body);
	return rc;
}

static void assert_list(const struct str *a, size_t n, const struct str *b, size_t n_b)
{
	assert_int_equal(n, n_b);
	for (size_t i = 0; i < n; i++)
		assert_true(str_eq(a[i], b[i]));
}

static void a_grant_comes_back_whole(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	AUTO(secret) *secret = NULL;
	struct egress_grant sent = sample(), got;
	assert_int_equal(decode(arena, &sent, S("top secret"), &got, &secret, NULL), 0);

	const struct str *a = &sent.connector, *b = &got.connector;
	assert_true(str_eq(*a, *b) && str_eq(sent.version, got.version));
	assert_true(got.permissive);
	assert_list(got.hosts, got.n_hosts, sent.hosts, sent.n_hosts);
	assert_list(got.subset, got.n_subset, sent.subset, sent.n_subset);
	assert_list(got.components, got.n_components, sent.components, sent.n_components);
	assert_int_equal(got.n_openings, 2);
	assert_true(str_eq(got.openings[0].host, S("api.test")) && str_eq(got.openings[0].address, S("127.0.0.1")));
	assert_int_equal(got.openings[0].port, 443);
	assert_int_equal(got.openings[0].address_port, 8443);
	assert_true(str_eq(got.openings[1].host, S("localhost")) && got.openings[1].address.n == 0);
	assert_int_equal(got.request_max, 1000);
	assert_int_equal(got.response_max, 2000);
	assert_int_equal(got.declared, CREDENTIAL_SIGNING_KEY);
	assert_int_equal(got.bound, CREDENTIAL_SIGNING_KEY);
	assert_int_equal(got.binding, BINDING_FOUND);
	assert_true(str_eq(got.header, S("X-Key")) && str_eq(got.format, S("{key}")));
	assert_true(str_eq(got.service, S("athena")) && str_eq(got.region, S("us-east-1")));
	assert_true(str_eq(got.access_key_id, S("AKIA")) && str_eq(got.algorithm, S("ed25519")));
	assert_true(str_eq(got.key_id, S("k")) && str_eq(got.label, S("sig1")));
	assert_true(str_eq(got.username, S("user")) && str_eq(got.bound_region, S("eu-west-1")));
	assert_true(str_eq(got.bound_access_key_id, S("AKIB")) && str_eq(got.pool, S("pool 1")));
	assert_true(secret_eq(secret, S("top secret")));
	assert_ptr_equal(got.secret, secret);
	assert_true(got.n_permits == 0 && got.relay == 4 && got.relay_call == 77);
}

static const struct egress_permit permits[] = {
	{.use = 1, .binding = {"aws_sigv4/a/eu", 14}, .region = {"eu-west-1", 9}, .access_key_id = {"AK", 2}},
	{.use = UINT64_MAX, .binding = {"aws_sigv4/a/any", 15}},
};

static void permits_stand_for_a_secret(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	AUTO(secret) *secret = NULL;
	struct egress_grant sent = sample(), got;
	sent.binding = BINDING_PERMIT;
	sent.bound = sent.declared = CREDENTIAL_AWS_SIGV4;
	sent.permits = permits;
	sent.n_permits = ARRAY_LEN(permits);
	assert_int_equal(decode(arena, &sent, STR_EMPTY, &got, &secret, NULL), 0);
	assert_null(secret);
	assert_int_equal(got.n_permits, 2);
	assert_true(got.permits[0].use == 1 && got.permits[1].use == UINT64_MAX);
	assert_true(str_eq(got.permits[0].binding, S("aws_sigv4/a/eu")) &&
		    str_eq(got.permits[0].region, S("eu-west-1")));
	assert_true(str_eq(got.permits[0].access_key_id, S("AK")) && got.permits[1].region.n == 0);

	struct err err = {0};
	assert_int_equal(decode(arena, &sent, S("and a secret"), &got, &secret, &err), -1);
	sent.n_permits = 0;
	assert_int_equal(decode(arena, &sent, STR_EMPTY, &got, &secret, &err), -1);
	sent.n_permits = 2;
	sent.bound = sent.declared = CREDENTIAL_OAUTH2; /* one alone */
	assert_int_equal(decode(arena, &sent, STR_EMPTY, &got, &secret, &err), -1);
	sent.n_permits = 1;
	assert_int_equal(decode(arena, &sent, STR_EMPTY, &got, &secret, NULL), 0);
	sent.binding = BINDING_MISSING;
	assert_int_equal(decode(arena, &sent, STR_EMPTY, &got, &secret, &err), -1);
	assert_int_equal(err.class, ERR_PROTOCOL);
}

static int oauth_back(const struct egress_oauth *m, struct egress_oauth *ret)
{
	static struct buf body = BUF_INIT(10000);
	buf_clear(&body);
	egress_oauth_put(&body, m);
	int rc = egress_oauth_get(buf_str(&body), ret, NULL);
	for (size_t n = 0; n < body.n; n++) {
		struct egress_oauth cut;
		assert_int_equal(egress_oauth_get(str_slice(buf_str(&body), 0, n), &cut, NULL), -1);
	}
	return rc;
}

static void token_requests_come_back_whole(void **state)
{
	(void)state;
	struct egress_oauth got,
		sent = {.step = OAUTH_CODE, .ticket = 9, .left_ns = 8, .code = S("c"), .redirect_uri = S("r")};
	assert_int_equal(oauth_back(&sent, &got), 0);
	assert_true(got.step == OAUTH_CODE && got.ticket == 9 && got.left_ns == 8);
	assert_true(str_eq(got.code, S("c")) && str_eq(got.redirect_uri, S("r")));
	sent.ticket = 0;
	assert_int_equal(oauth_back(&sent, &got), -1);
	sent.ticket = 1;
	sent.code = STR_EMPTY;
	assert_int_equal(oauth_back(&sent, &got), -1);
	sent.step = OAUTH_DEVICE_POLL;
	assert_int_equal(oauth_back(&sent, &got), 0);
	sent.step = OAUTH_STEP__MAX;
	assert_int_equal(oauth_back(&sent, &got), -1);

	static struct egress_oauth_result told, heard;
	told = (struct egress_oauth_result){.pending = true,
					    .scope = S("a b"),
					    .expires_in = 5,
					    .has_refresh_token = true,
					    .user_code = S("U"),
					    .verification_uri = S("v"),
					    .verification_uri_complete = S("w"),
					    .interval = 6};
	AUTO_BUF body = BUF_INIT(10000);
	egress_oauth_result_put(&body, &told);
	assert_int_equal(egress_oauth_result_get(buf_str(&body), &heard, NULL), 0);
	assert_true(heard.pending && heard.has_refresh_token && heard.expires_in == 5 && heard.interval == 6);
	assert_true(str_eq(heard.scope, S("a b")) && str_eq(heard.user_code, S("U")));
	assert_true(str_eq(heard.verification_uri, S("v")) && str_eq(heard.verification_uri_complete, S("w")));
	buf_clear(&body);
	(fail)(&told.err, ERR_TOKEN_EXCHANGE_FAILED, "no");
	egress_oauth_result_put(&body, &told);
	assert_int_equal(egress_oauth_result_get(buf_str(&body), &heard, NULL), 0);
	assert_int_equal(heard.err.class, ERR_TOKEN_EXCHANGE_FAILED);

	const struct egress_post post = {.url = S("u"), .content_type = S("t"), .body = S("b"), .left_ns = 7};
	struct egress_post posted;
	buf_clear(&body);
	egress_post_put(&body, &post);
	assert_int_equal(egress_post_get(buf_str(&body), &posted, NULL), 0);
	assert_true(str_eq(posted.url, S("u")) && str_eq(posted.content_type, S("t")) && posted.left_ns == 7);
	assert_true(str_eq(posted.body, S("b")));
	assert_int_equal(egress_post_get(str_slice(buf_str(&body), 0, body.n - 1), &posted, NULL), -1);
}

/* What is sent is what is looked for: HTTP takes blanks off a value's ends. */
static void blanks_around_a_secret_are_left_out(void **state)
{
	(void)state;
	static const struct {
		enum credential_kind kind;
		const char *given, *held;
	} rows[] = {
		{CREDENTIAL_API_KEY, " \ttok 1\r\n", "tok 1"},
		{CREDENTIAL_OAUTH2, "tok\n", "tok"},
		{CREDENTIAL_BASIC, "pass ", "pass"},
		{CREDENTIAL_AWS_SIGV4, " key", "key"},
		{CREDENTIAL_API_KEY, " \n", ""},
		{CREDENTIAL_SIGNING_KEY, " bytes\n", " bytes\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) *arena = arena_new();
		AUTO(secret) *secret = NULL;
		struct egress_grant sent = sample(), got;
		sent.bound = rows[i].kind;
		assert_int_equal(decode(arena, &sent, str_from(rows[i].given), &got, &secret, NULL), 0);
		assert_true(secret_eq(secret, str_from(rows[i].held)));
	}
}

static void a_grant_that_disagrees_with_itself_is_refused(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct egress_grant got = {.request_max = 7};
	struct secret *secret = NULL;
	struct err err = {0};

	struct egress_grant no_secret = sample();
	assert_int_equal(decode(arena, &no_secret, S(""), &got, &secret, &err), -1);
	assert_int_equal(err.class, ERR_PROTOCOL);
	struct egress_grant no_binding = sample();
	no_binding.binding = BINDING_MISSING;
	assert_int_equal(decode(arena, &no_binding, S("s"), &got, &secret, &err), -1);
	struct egress_grant too_much = sample();
	too_much.response_max = LIMIT_RESPONSE_BODY + 1;
	assert_int_equal(decode(arena, &too_much, S("s"), &got, &secret, &err), -1);
	struct egress_grant kind = sample();
	kind.bound = CREDENTIAL__MAX;
	assert_int_equal(decode(arena, &kind, S("s"), &got, &secret, &err), -1);
	struct egress_grant binding = sample();
	binding.binding = BINDING__MAX;
	assert_int_equal(decode(arena, &binding, S("s"), &got, &secret, &err), -1);
	assert_null(secret);
	assert_int_equal(got.request_max, 7);
}

static void a_cut_grant_is_refused_at_every_length(void **state)
{
	(void)state;
	struct egress_grant sent = sample();
	size_t n;
	char *whole = body_of(&sent, S("s"), &n);
	for (size_t cut = 0; cut < n; cut++) {
		AUTO(arena) *arena = arena_new();
		struct secret *secret = NULL;
		struct egress_grant got;
		struct err err = {0};
		char *part = malloc(cut + 1);
		memcpy(part, whole, cut);
		assert_int_equal(egress_grant_get(arena, part, cut, &got, &secret, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
		free(part);
	}
	free(whole);
}

static void put_result(struct buf *out, const struct egress_result *result)
{
	egress_result_put_head(out, result);
	wire_put_str(out, result->body);
}

static void results_come_back_whole(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1 << 20);
	struct egress_result answer = {.status = 404, .note = S("dialled"), .nanoseconds = 12, .body = S("not there")};
	put_result(&out, &answer);
	struct egress_result got;
	assert_int_equal(egress_result_get(buf_str(&out), &got, NULL), 0);
	assert_int_equal(got.rc, 0);
	assert_int_equal(got.status, 404);
	assert_int_equal(got.nanoseconds, 12);
	assert_true(str_eq(got.note, S("dialled")) && str_eq(got.body, S("not there")));

	struct egress_result failure = {.rc = -2};
	(fail)(&failure.err, ERR_CAPABILITY_DENIED, "no");
	err_detail(&failure.err, "requested", S("x"));
	buf_clear(&out);
	put_result(&out, &failure);
	assert_int_equal(egress_result_get(buf_str(&out), &got, NULL), 0);
	assert_int_equal(got.rc, -2);
	assert_int_equal(got.err.class, ERR_CAPABILITY_DENIED);
	assert_string_equal(got.err.message, "no");
	assert_string_equal(got.err.details, "\"requested\":\"x\"");
}

static void results_that_disagree_are_refused(void **state)
{
	(void)state;
	static const int32_t codes[] = {1, -3};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		AUTO_BUF out = BUF_INIT(1 << 20);
		struct egress_result bad = {.rc = codes[i]};
		(fail)(&bad.err, ERR_NETWORK_ERROR, "no");
		put_result(&out, &bad);
		struct egress_result got;
		struct err err = {0};
		assert_int_equal(egress_result_get(buf_str(&out), &got, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
	}
	struct err err = {0};
	struct egress_result got;
	assert_int_equal(egress_result_get(S("short"), &got, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grant_comes_back_whole),
		cmocka_unit_test(permits_stand_for_a_secret),
		cmocka_unit_test(token_requests_come_back_whole),
		cmocka_unit_test(blanks_around_a_secret_are_left_out),
		cmocka_unit_test(a_grant_that_disagrees_with_itself_is_refused),
		cmocka_unit_test(a_cut_grant_is_refused_at_every_length),
		cmocka_unit_test(results_come_back_whole),
		cmocka_unit_test(results_that_disagree_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
