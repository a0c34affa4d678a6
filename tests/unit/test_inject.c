#include "base/base64.h"
#include "base/mem.h"
#include "base/time.h"
#include "crypto/hmac.h"
#include "egress/inject.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define CONNECTOR "github://acme/demo"
#define JULY_2026 (UINT64_C(1782864000) * TIME_SECOND)

static struct err err;

static void assert_detail(const char *member)
{
	if (strstr(err.details, member) == NULL)
		fail_msg("details %s lack %s", err.details, member);
}

static void assert_error(enum err_class class, const char *part)
{
	if (err.class != class || err.boundary != BOUNDARY_SANDBOX || err.retriable ||
	    strstr(err.message, part) == NULL)
		fail_msg("%s, boundary %s: %s", err_row(err.class)->name, err_boundary_name(err.boundary), err.message);
	assert_detail("\"connector\":\"" CONNECTOR "\"");
}

static struct egress_grant grant_of(enum credential_kind kind, const struct secret *secret)
{
	return (struct egress_grant){
		.connector = S(CONNECTOR), .declared = kind, .binding = BINDING_FOUND, .bound = kind, .secret = secret};
}

static int check(const struct egress_grant *grant, const char *asked)
{
	err_clear(&err);
	return inject_check(grant, str_from(asked), &err);
}

static void step_1_nothing_is_declared(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_NONE, NULL);
	assert_int_equal(check(&grant, "oauth2"), -1);
	assert_error(ERR_CAPABILITY_DENIED, "http_request: ");
	assert_detail("\"requested\":\"credential:oauth2\"");
	assert_detail("\"boundary_detail\":\"connector_manifest\"");
}

static void step_2_another_kind_is_declared(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_API_KEY, NULL);
	static const char *const asked[] = {"oauth2", "API_KEY", "bearer", "api_key "};
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		assert_int_equal(check(&grant, asked[i]), -1);
		assert_error(ERR_CAPABILITY_DENIED, "http_request: ");
		AUTO_FREE char *requested = xasprintf("\"requested\":\"credential:%s\"", asked[i]);
		assert_detail(requested);
		assert_detail("\"declared\":\"credential:api_key\"");
		assert_detail("\"boundary_detail\":\"connector_manifest\"");
	}
}

static void step_3_nobody_can_be_asked(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_OAUTH2, NULL);
	grant.binding = BINDING_NO_RESOLVER;
	assert_int_equal(check(&grant, "oauth2"), -1);
	assert_error(ERR_BINDING_REQUIRED, CONNECTOR);
	assert_non_null(strstr(err.message, "oauth2"));
	assert_non_null(strstr(err.message, "aileron binding setup"));
	assert_null(strstr(err.message, "[[bindings]]"));
	assert_detail("\"capability_kind\":\"oauth2\"");
	assert_detail("\"boundary_detail\":\"action\"");
}

static void step_4_nothing_is_bound(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_OAUTH2, NULL);
	grant.binding = BINDING_MISSING;
	assert_int_equal(check(&grant, "oauth2"), -1);
	char text[256];
	assert_string_equal(err_text(&err, text, sizeof text),
			    "binding_required: credential: no binding for this capability (boundary=sandbox)");
	assert_error(ERR_BINDING_REQUIRED, "credential: no binding");
	assert_detail("\"capability_kind\":\"oauth2\"");
	assert_detail("\"boundary_detail\":\"action\"");
	grant.binding_error = S("http_request: nothing at oauth2/acme/me");
	assert_int_equal(check(&grant, "oauth2"), -1);
	assert_string_equal(err.message, "http_request: nothing at oauth2/acme/me");
}

static void step_5_another_kind_is_bound(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_OAUTH2, NULL);
	grant.bound = CREDENTIAL_API_KEY;
	assert_int_equal(check(&grant, "oauth2"), -1);
	assert_error(ERR_CAPABILITY_DENIED, "http_request: ");
	assert_detail("\"capability_kind\":\"oauth2\"");
	assert_detail("\"boundary_detail\":\"vault\"");
}

static void step_6_resolving_failed(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_AWS_SIGV4, NULL);
	grant.binding = BINDING_FAILED;
	grant.binding_error = S("vault is locked");
	assert_int_equal(check(&grant, "aws_sigv4"), -1);
	assert_error(ERR_CONNECTOR_RUNTIME_ERROR, "http_request: resolve credential: vault is locked");
}

static void earlier_steps_decide_first(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_OAUTH2, NULL);
	grant.binding = BINDING_NO_RESOLVER;
	grant.bound = CREDENTIAL_API_KEY;
	assert_int_equal(check(&grant, "api_key"), -1);
	assert_error(ERR_CAPABILITY_DENIED, "http_request: ");
	grant.declared = CREDENTIAL_NONE;
	assert_int_equal(check(&grant, "api_key"), -1);
	assert_null(strstr(err.details, "declared"));
	static const enum credential_kind kinds[] = {CREDENTIAL_API_KEY, CREDENTIAL_OAUTH2, CREDENTIAL_AWS_SIGV4,
						     CREDENTIAL_BASIC, CREDENTIAL_SIGNING_KEY};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		grant = grant_of(kinds[i], NULL);
		assert_int_equal(check(&grant, credential_kind_name(kinds[i])), 0);
	}
}

/* Injects over a fixed POST and gives the headers as "Name: value" lines. */
struct outcome {
	int result;
	char text[4096];
	struct injection injection;
};

static void apply(const struct egress_grant *grant, const char *url_text, struct outcome *ret)
{
	AUTO(arena) *arena = arena_new();
	struct url url;
	assert_int_equal(url_parse(arena, str_from(url_text), &url, &err), 0);
	struct message_header headers[] = {{S("Content-Type"), S("application/json")}};
	struct message message = {S("POST"), &url, headers, 1, S("{\"hello\": \"world\"}")};
	struct inject_options options = {.now = JULY_2026};
	err_clear(&err);
	*ret = (struct outcome){.result = -1};
	struct injection injection;
	ret->result = inject_apply(arena, grant, &message, &options, &injection, &err);
	if (ret->result < 0)
		return;
	for (size_t i = 0; i < injection.n; i++) {
		const struct injected_header *header = &injection.headers[i];
		struct str value = header->secret != NULL ? secret_borrow(header->secret) : header->plain;
		size_t n = strlen(ret->text);
		snprintf(ret->text + n, sizeof ret->text - n, "%.*s%s %.*s\n", STR_FMT(header->name),
			 header->secret != NULL ? " (secret):" : ":", STR_FMT(value));
	}
	injection_release(&injection);
	assert_int_equal(injection.n, 0);
}

static void assert_injects(const struct egress_grant *grant, const char *expected)
{
	struct outcome outcome;
	apply(grant, "https://api.example.com/", &outcome);
	if (outcome.result < 0)
		fail_msg("%s", err.message);
	assert_string_equal(outcome.text, expected);
}

static void oauth2_ignores_header_and_format(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("tok{key}en"), &err);
	struct egress_grant grant = grant_of(CREDENTIAL_OAUTH2, secret);
	grant.header = S("X-Key");
	grant.format = S("{key}");
	assert_injects(&grant, "Authorization (secret): Bearer tok{key}en\n");
}

static void api_key_follows_header_and_format(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("k"), &err);
	static const struct {
		struct str header, format;
		const char *expected;
	} rows[] = {
		{STR_EMPTY, STR_EMPTY, "Authorization (secret): Bearer k\n"},
		{STR_EMPTY, S("{key}"), "Authorization (secret): k\n"},
		{STR_EMPTY, S("token {key}"), "Authorization (secret): token k\n"},
		{S("X-API-Key"), S("{key}"), "X-API-Key (secret): k\n"},
		{S("X-API-Key"), STR_EMPTY, "X-API-Key (secret): Bearer k\n"},
		{STR_EMPTY, S("{key}{key} a={key};{ke}{KEY}{{key}}"), "Authorization (secret): kk a=k;{ke}{KEY}{k}\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct egress_grant grant = grant_of(CREDENTIAL_API_KEY, secret);
		grant.header = rows[i].header;
		grant.format = rows[i].format;
		assert_injects(&grant, rows[i].expected);
	}
}

static void a_secret_with_the_place_in_it_is_not_filled_again(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("{key}"), &err);
	struct egress_grant grant = grant_of(CREDENTIAL_API_KEY, secret);
	grant.format = S("a{key}b{key}");
	assert_injects(&grant, "Authorization (secret): a{key}b{key}\n");
}

static void basic_is_rfc_7617(void **state)
{
	(void)state;
	/* The example of RFC 7617 2. */
	AUTO(secret) *secret = secret_from(S("open sesame"), &err);
	struct egress_grant grant = grant_of(CREDENTIAL_BASIC, secret);
	grant.username = S("Aladdin");
	assert_injects(&grant, "Authorization (secret): Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\n");
	/* That of 2.1: UTF-8. */
	AUTO(secret) *pound = secret_from(S("123\u00a3"), &err);
	grant.secret = pound;
	grant.username = S("test");
	assert_injects(&grant, "Authorization (secret): Basic dGVzdDoxMjPCow==\n");

	/* Names and passwords of every length modulo three. */
	static const char *const words[] = {"p", "pa", "pas", "pass", "passw"}, *const names[] = {"u", "us", "use",
												  "user"};
	for (size_t i = 0; i < ARRAY_LEN(words) * ARRAY_LEN(names); i++) {
		const char *name = names[i % ARRAY_LEN(names)], *word = words[i / ARRAY_LEN(names)];
		AUTO(secret) *password = secret_from(str_from(word), &err);
		grant.secret = password;
		grant.username = str_from(name);
		AUTO_FREE char *pair = xasprintf("%s:%s", name, word);
		AUTO_BUF text = BUF_INIT(100);
		base64_encode(&text, str_from(pair), BASE64_STANDARD);
		AUTO_FREE char *expected = xasprintf("Authorization (secret): Basic %s\n", text.p);
		assert_injects(&grant, expected);
	}
	grant.secret = secret;

	struct outcome outcome;
	grant.username = STR_EMPTY;
	apply(&grant, "https://h/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_error(ERR_BINDING_REQUIRED, "username");
	assert_detail("\"field\":\"username\"");
	grant.username = S("a:b");
	apply(&grant, "https://h/", &outcome);
	assert_error(ERR_BINDING_FAILED, "user name");
}

static void a_secret_that_no_header_can_carry_is_refused(void **state)
{
	(void)state;
	static const struct str rows[] = {S("line\r\nX-Evil: 1"), S("trailing\n"), S("nul\0in it"), S("del\x7f"),
					  S("esc\x1b[")};
	static const enum credential_kind kinds[] = {CREDENTIAL_API_KEY, CREDENTIAL_OAUTH2, CREDENTIAL_BASIC};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(secret) *secret = secret_from(rows[i], &err);
		for (size_t j = 0; j < ARRAY_LEN(kinds); j++) {
			struct egress_grant grant = grant_of(kinds[j], secret);
			grant.username = S("u");
			struct outcome outcome;
			apply(&grant, "https://h/", &outcome);
			assert_int_equal(outcome.result, -1);
			assert_error(ERR_BINDING_FAILED, "control character");
			assert_null(strstr(err.message, "line\r"));
			assert_null(strstr(err.message, "trailing"));
		}
	}
	struct egress_grant grant = grant_of(CREDENTIAL_OAUTH2, NULL);
	struct outcome outcome;
	apply(&grant, "https://h/", &outcome);
	assert_error(ERR_BINDING_FAILED, "is empty");
}

static void a_header_larger_than_secret_memory_is_refused(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_new(SECRET_MAX, &err);
	memset(secret_borrow_mut(secret), 'a', SECRET_MAX);
	struct egress_grant grant = grant_of(CREDENTIAL_API_KEY, secret);
	struct outcome outcome;
	apply(&grant, "https://h/", &outcome);
	assert_int_equal(outcome.result, -1);
	grant = grant_of(CREDENTIAL_BASIC, secret);
	grant.username = S("u");
	apply(&grant, "https://h/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_int_equal(err.class, ERR_BINDING_FAILED);
}

static struct egress_grant sigv4_grant(const struct secret *secret)
{
	struct egress_grant grant = grant_of(CREDENTIAL_AWS_SIGV4, secret);
	grant.bound_access_key_id = S("AKIDEXAMPLE");
	return grant;
}

static void aws_sigv4_signs(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), &err);
	struct egress_grant grant = sigv4_grant(secret);
	grant.access_key_id = S("OF-THE-MANIFEST");
	struct outcome outcome;
	apply(&grant, "https://athena.eu-west-1.amazonaws.com/", &outcome);
	assert_int_equal(outcome.result, 0);
	assert_true(
		str_starts(str_from(outcome.text),
			   S("X-Amz-Date: 20260701T000000Z\n"
			     "X-Amz-Content-Sha256: 5f8f04f6a3a892aaabbddb6cf273894493773960d4a325b105fee46eef4304f1\n"
			     "Authorization: AWS4-HMAC-SHA256 "
			     "Credential=AKIDEXAMPLE/20260701/eu-west-1/athena/aws4_request, "
			     "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature=")));
	assert_null(strstr(outcome.text, "wJalr"));

	grant.bound_access_key_id = STR_EMPTY;
	apply(&grant, "https://athena.eu-west-1.amazonaws.com/", &outcome);
	assert_non_null(strstr(outcome.text, "Credential=OF-THE-MANIFEST/"));
}

static void aws_sigv4_says_what_is_missing(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), &err);
	struct egress_grant grant = sigv4_grant(secret);
	struct outcome outcome;
	grant.service = S("iam");
	apply(&grant, "https://iam.amazonaws.com/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_error(ERR_CAPABILITY_DENIED, "http_request: ");
	assert_detail("\"boundary_detail\":\"connector_manifest\"");
	assert_null(strstr(err.message, "wJalr"));

	grant.region = S("us-east-1");
	apply(&grant, "https://iam.amazonaws.com/", &outcome);
	assert_non_null(strstr(outcome.text, "/us-east-1/iam/"));
	grant.bound_region = S("us-west-2");
	apply(&grant, "https://iam.amazonaws.com/", &outcome);
	assert_non_null(strstr(outcome.text, "/us-west-2/iam/"));

	grant.bound_access_key_id = STR_EMPTY;
	apply(&grant, "https://iam.amazonaws.com/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_error(ERR_BINDING_REQUIRED, "access key id");
	assert_detail("\"field\":\"access_key_id\"");
	assert_detail("\"capability_kind\":\"aws_sigv4\"");
}

static void two_bindings_sign_differently(void **state)
{
	(void)state;
	AUTO(secret) *east = secret_from(S("secret of the east"), &err);
	AUTO(secret) *west = secret_from(S("secret of the west"), &err);
	struct egress_grant one = sigv4_grant(east), two = sigv4_grant(west);
	two.bound_access_key_id = S("AKIDWEST");
	struct outcome first, second;
	apply(&one, "https://athena.us-east-1.amazonaws.com/", &first);
	apply(&two, "https://athena.us-west-2.amazonaws.com/", &second);
	const char *signature = strstr(first.text, "Signature="), *other = strstr(second.text, "Signature=");
	assert_string_not_equal(signature, other);
	assert_non_null(strstr(first.text, "Credential=AKIDEXAMPLE/20260701/us-east-1/"));
	assert_non_null(strstr(second.text, "Credential=AKIDWEST/20260701/us-west-2/"));
}

static void signing_key_signs(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S("shared"), &err);
	struct egress_grant grant = grant_of(CREDENTIAL_SIGNING_KEY, secret);
	static const struct str components[] = {S("@method"), S("content-digest")};
	grant.components = components;
	grant.n_components = 2;
	grant.algorithm = S("hmac-sha256");
	grant.key_id = S("k1");
	grant.label = S("demo");
	static const char digest[] = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
	static const char params[] =
		"(\"@method\" \"content-digest\");created=1782864000;keyid=\"k1\";alg=\"hmac-sha256\"";
	AUTO_FREE char *base =
		xasprintf("\"@method\": POST\n\"content-digest\": %s\n\"@signature-params\": %s", digest, params);
	unsigned char mac[SHA256_SIZE];
	hmac_sha256(S("shared"), str_from(base), mac);
	AUTO_BUF text = BUF_INIT(100);
	base64_encode(&text, str_of(mac, sizeof mac), BASE64_STANDARD);
	AUTO_FREE char *expected = xasprintf("Content-Digest: %s\nSignature-Input: demo=%s\nSignature: demo=:%s:\n",
					     digest, params, text.p);
	assert_injects(&grant, expected);

	struct outcome outcome;
	static const struct str missing[] = {S("x-missing")};
	grant.components = missing;
	grant.n_components = 1;
	apply(&grant, "https://h/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_error(ERR_CONNECTOR_RUNTIME_ERROR, "http_request: component 'x-missing' is not on the request");
	grant.components = components;
	grant.algorithm = S("ed25519");
	apply(&grant, "https://h/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_error(ERR_BINDING_FAILED, "http_request: ");
	grant.algorithm = S("rsa");
	apply(&grant, "https://h/", &outcome);
	assert_error(ERR_CONNECTOR_RUNTIME_ERROR, "'rsa'");
}

static int refuse_to_sign(void *context, const struct sigv4_scope *scope, struct str to_sign,
			  unsigned char ret_mac[SHA256_SIZE], struct err *ret_err)
{
	(void)scope;
	(void)to_sign;
	(void)ret_mac;
	++*(int *)context;
	return (fail)(ret_err, ERR_BINDING_FAILED, "the keeper is locked");
}

static void another_process_may_sign(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct egress_grant grant = sigv4_grant(NULL);
	struct url url;
	assert_int_equal(url_parse(arena, S("https://athena.us-east-1.amazonaws.com/"), &url, &err), 0);
	struct message message = {.method = S("GET"), .url = &url};
	int asked = 0;
	struct signer signer = {.context = &asked, .aws_sigv4 = refuse_to_sign};
	struct inject_options options = {.signer = &signer, .now = JULY_2026};
	struct injection injection;
	err_clear(&err);
	assert_int_equal(inject_apply(arena, &grant, &message, &options, &injection, &err), -1);
	assert_int_equal(asked, 1);
	assert_error(ERR_BINDING_FAILED, "http_request: the keeper is locked");
}

static void other_kinds_are_refused(void **state)
{
	(void)state;
	struct egress_grant grant = grant_of(CREDENTIAL_NONE, NULL);
	struct outcome outcome;
	apply(&grant, "https://h/", &outcome);
	assert_int_equal(outcome.result, -1);
	assert_error(ERR_CAPABILITY_DENIED, "http_request: ");
	assert_detail("\"boundary_detail\":\"runtime\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(step_1_nothing_is_declared),
		cmocka_unit_test(step_2_another_kind_is_declared),
		cmocka_unit_test(step_3_nobody_can_be_asked),
		cmocka_unit_test(step_4_nothing_is_bound),
		cmocka_unit_test(step_5_another_kind_is_bound),
		cmocka_unit_test(step_6_resolving_failed),
		cmocka_unit_test(earlier_steps_decide_first),
		cmocka_unit_test(oauth2_ignores_header_and_format),
		cmocka_unit_test(api_key_follows_header_and_format),
		cmocka_unit_test(a_secret_with_the_place_in_it_is_not_filled_again),
		cmocka_unit_test(basic_is_rfc_7617),
		cmocka_unit_test(a_secret_that_no_header_can_carry_is_refused),
		cmocka_unit_test(a_header_larger_than_secret_memory_is_refused),
		cmocka_unit_test(aws_sigv4_signs),
		cmocka_unit_test(aws_sigv4_says_what_is_missing),
		cmocka_unit_test(two_bindings_sign_differently),
		cmocka_unit_test(signing_key_signs),
		cmocka_unit_test(another_process_may_sign),
		cmocka_unit_test(other_kinds_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
