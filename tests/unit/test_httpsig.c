#include "base/base64.h"
#include "base/mem.h"
#include "crypto/sign.h"
#include "egress/httpsig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct err err;

/* RFC 9421 appendix B.1.5 and B.1.4 */
#define SHARED_SECRET "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
#define ED25519_PRIVATE                                                                                                \
	"-----BEGIN PRIVATE KEY-----\n"                                                                                \
	"MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n"                                           \
	"-----END PRIVATE KEY-----\n"

/* The request of appendix B.2. Host and Content-Length come from the URL and the body. */
static const struct message_header headers[] = {
	{S("Date"), S("Tue, 20 Apr 2021 02:07:55 GMT")},
	{S("Content-Type"), S("application/json")},
	{S("Content-Digest"),
	 S("sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHW"
	   "XvJwew==:")},
};

struct request {
	struct arena *arena;
	struct url url;
	struct message message;
};

static struct request request_of(struct arena *arena, const char *url)
{
	struct request request = {.arena = arena};
	if (url_parse(request.arena, str_from(url), &request.url, &err) < 0)
		fail_msg("%s", err.message);
	request.message = (struct message){S("POST"), NULL, headers, ARRAY_LEN(headers), S("{\"hello\": \"world\"}")};
	return request;
}

#define WITH_REQUEST(request, url_text)                                                                                \
	AUTO(arena) *request##_arena = arena_new();                                                                    \
	struct request request = request_of(request##_arena, url_text);                                                \
	request.message.url = &request.url

static void assert_str(struct str got, const char *expected)
{
	if (!str_eq(got, str_from(expected)))
		fail_msg("'%.*s' is not '%s'", STR_FMT(got), expected);
}

static void reproduces_b_2_5(void **state)
{
	(void)state;
	WITH_REQUEST(request, "https://example.com/foo?param=Value&Pet=dog");
	AUTO_BUF bytes = BUF_INIT(100);
	assert_int_equal(base64_decode(&bytes, S(SHARED_SECRET), BASE64_STANDARD, &err), 0);
	AUTO(secret) *secret = secret_from(buf_str(&bytes), &err);
	AUTO(held_key) *key = held_key_new(secret);
	struct signer signer = held_key_signer(key);
	const struct str components[] = {S("date"), S("@authority"), S("content-type")};
	struct httpsig_options options = {.label = S("sig-b25"),
					  .components = components,
					  .n_components = ARRAY_LEN(components),
					  .algorithm = SIGNING_HMAC_SHA256,
					  .key_id = S("test-shared-secret"),
					  .created = 1618884473,
					  .order = "ck"};
	struct httpsig_base base;
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), 0);
	assert_str(base.base, "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
			      "\"@authority\": example.com\n"
			      "\"content-type\": application/json\n"
			      "\"@signature-params\": (\"date\" \"@authority\" \"content-type\")"
			      ";created=1618884473;keyid=\"test-shared-secret\"");
	struct httpsig_signature signature;
	assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err), 0);
	assert_str(signature.signature_input, "sig-b25=(\"date\" \"@authority\" \"content-type\")"
					      ";created=1618884473;keyid=\"test-shared-secret\"");
	assert_str(signature.signature, "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
	assert_int_equal(signature.content_digest.n, 0);
}

static void reproduces_b_2_6(void **state)
{
	(void)state;
	WITH_REQUEST(request, "https://example.com/foo?param=Value&Pet=dog");
	AUTO(secret) *secret = secret_from(S(ED25519_PRIVATE), &err);
	AUTO(held_key) *key = held_key_new(secret);
	struct signer signer = held_key_signer(key);
	/* In any spelling that Signature-Input may have. */
	const struct str components[] = {S("\"date\""),   S("@method"),      S(" \"@path\" "),
					 S("@authority"), S("Content-Type"), S("content-length")};
	struct httpsig_options options = {.label = S("sig-b26"),
					  .components = components,
					  .n_components = ARRAY_LEN(components),
					  .algorithm = SIGNING_ED25519,
					  .key_id = S("test-key-ed25519"),
					  .created = 1618884473,
					  .order = "ck"};
	struct httpsig_base base;
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), 0);
	assert_str(base.base, "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
			      "\"@method\": POST\n"
			      "\"@path\": /foo\n"
			      "\"@authority\": example.com\n"
			      "\"content-type\": application/json\n"
			      "\"content-length\": 18\n"
			      "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" "
			      "\"content-length\");created=1618884473;keyid=\"test-key-ed25519\"");
	for (int again = 0; again < 2; again++) {
		struct httpsig_signature signature;
		assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err), 0);
		assert_str(signature.signature_input,
			   "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")"
			   ";created=1618884473;keyid=\"test-key-ed25519\"");
		assert_str(signature.signature,
			   "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A"
			   "0w6vuQv5lIp5WPpBKRCw==:");
	}
}

/* The value of one component over a URL, or NULL. */
static const char *value_of(const struct request *request, const char *component)
{
	const struct str components[] = {str_from(component)};
	struct httpsig_options options = {.components = components, .n_components = 1};
	struct httpsig_base base;
	err_clear(&err);
	if (httpsig_make_base(request->arena, &request->message, &options, &base, &err) < 0)
		return NULL;
	size_t end = str_find(base.base, S("\n\"@signature-params\""));
	struct str line = str_slice(base.base, 0, end);
	size_t start = str_find(line, S(": "));
	return arena_z(request->arena, str_slice(line, start + 2, line.n));
}

static void derives_components(void **state)
{
	(void)state;
	static const struct {
		const char *url, *component, *value; /* NULL: refused */
	} rows[] = {
		{"https://www.example.com/path?param=value", "@method", "POST"},
		{"https://www.example.com/path?param=value#f", "@target-uri",
		 "https://www.example.com/path?param=value"},
		{"https://WWW.Example.com:443/path", "@authority", "www.example.com"},
		{"https://www.example.com:8443/path", "@authority", "www.example.com:8443"},
		{"http://[::1]:8080/", "@authority", "[::1]:8080"},
		{"https://www.example.com:8443/path", "host", "www.example.com:8443"},
		{"http://www.example.com/path", "@scheme", "http"},
		{"https://www.example.com/path?param=value", "@request-target", "/path?param=value"},
		{"https://www.example.com", "@request-target", "/"},
		{"https://www.example.com?", "@request-target", "/?"},
		{"https://www.example.com/path?param=value", "@path", "/path"},
		{"https://www.example.com", "@path", "/"},
		{"https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman", "@query",
		 "?param=value&foo=bar&baz=bat%2Dman"},
		{"https://www.example.com/path", "@query", "?"},
		{"https://www.example.com/path?param=value&foo=bar&baz=batman&qux=", "\"@query-param\";name=\"baz\"",
		 "batman"},
		{"https://www.example.com/path?param=value&foo=bar&baz=batman&qux=", "@query-param;name=\"qux\"", ""},
		{"https://e/?var=this%20is%20a%20big%0Amultiline%20value", "@query-param;name=\"var\"",
		 "this%20is%20a%20big%0Amultiline%20value"},
		{"https://e/?bar=with+plus+whitespace", "@query-param;name=\"bar\"", "with%20plus%20whitespace"},
		{"https://e/?fa%c3%a7ade%22%3a%20=something", "@query-param;name=\"fa%C3%A7ade%22%3A%20\"",
		 "something"},
		{"https://e/?a=1&a=2", "@query-param;name=\"a\"", NULL},
		{"https://e/?a=1", "@query-param;name=\"b\"", NULL},
		{"https://e/?a=1", "@query-param", NULL},
		{"https://e/?a=1", "@query-param;name=a", NULL},
		{"https://e/?a=1", "@query-param;name=\"a\";req", NULL},
		{"https://e/", "@method;name=\"a\"", NULL},
		{"https://e/", "date;name=\"a\"", NULL},
		{"https://e/", "date;sf", NULL},
		{"https://e/", "date;bs", NULL},
		{"https://e/", "\"date\";key=\"x\"", NULL},
		{"https://e/", "@status", NULL},
		{"https://e/", "@signature-params", NULL},
		{"https://e/", "@", NULL},
		{"https://e/", "", NULL},
		{"https://e/", "\"date", NULL},
		{"https://e/", "da te", NULL},
		{"https://e/", "date:", NULL},
		{"https://e/", "\"d\\ate\"", NULL},
		{"https://e/", "x-missing", NULL},
		{"https://e/", "DATE", "Tue, 20 Apr 2021 02:07:55 GMT"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		WITH_REQUEST(request, rows[i].url);
		const char *value = value_of(&request, rows[i].component);
		if (rows[i].value == NULL ? value != NULL : value == NULL || strcmp(value, rows[i].value) != 0)
			fail_msg("%s of %s is '%s' (%s)", rows[i].component, rows[i].url,
				 value == NULL ? "refused" : value, err.message);
		if (value == NULL)
			assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
}

static void joins_and_trims_fields(void **state)
{
	(void)state;
	WITH_REQUEST(request, "https://e/");
	const struct message_header lines[] = {{S("X-A"), S("  one ")},
					       {S("x-b"), S("other")},
					       {S("x-a"), S("two")},
					       {S("X-Empty"), S(" ")},
					       {S("X-Line"), S("a\nb")}};
	request.message.headers = lines;
	request.message.n_headers = ARRAY_LEN(lines);
	assert_string_equal(value_of(&request, "x-a"), "one, two");
	assert_string_equal(value_of(&request, "x-empty"), "");
	assert_null(value_of(&request, "x-line"));
	request.message.body = STR_EMPTY;
	assert_null(value_of(&request, "content-length"));
}

static void adds_a_digest_that_is_covered_and_absent(void **state)
{
	(void)state;
	WITH_REQUEST(request, "https://e/");
	const struct str components[] = {S("content-digest")};
	struct httpsig_options options = {.components = components, .n_components = 1, .created = 5};
	struct httpsig_base base;
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), 0);
	assert_int_equal(base.content_digest.n, 0);
	assert_int_equal(str_find(base.base, S("\"content-digest\": sha-512=")), 0);
	request.message.n_headers = 2;
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), 0);
	/* printf '{"hello": "world"}' | openssl dgst -sha256 -binary | base64 */
	assert_str(base.content_digest, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
	assert_str(base.base, "\"content-digest\": sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:\n"
			      "\"@signature-params\": (\"content-digest\");created=5;alg=\"hmac-sha256\"");
}

static void writes_parameters_as_structured_fields(void **state)
{
	(void)state;
	WITH_REQUEST(request, "https://e/?a=1");
	struct httpsig_options options = {
		.key_id = S("a \"quoted\" \\ key"), .algorithm = SIGNING_ED25519, .created = 1};
	struct httpsig_base base;
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), 0);
	assert_str(base.params, "();created=1;keyid=\"a \\\"quoted\\\" \\\\ key\";alg=\"ed25519\"");
	options.key_id = S("caf\u00e9");
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), -1);
	options.key_id = S("line\nend");
	assert_int_equal(httpsig_make_base(request.arena, &request.message, &options, &base, &err), -1);
}

static void refuses_what_cannot_be_signed(void **state)
{
	(void)state;
	WITH_REQUEST(request, "https://e/?a=1&b=2");
	AUTO(secret) *secret = secret_from(S("no ed25519 key"), &err);
	AUTO(held_key) *key = held_key_new(secret);
	struct signer signer = held_key_signer(key);
	struct str components[HTTPSIG_COMPONENTS_MAX + 1] = {S("date"), S("@query-param;name=\"a\""),
							     S("@query-param;name=\"b\"")};
	struct httpsig_options options = {.components = components, .n_components = 3};
	struct httpsig_signature signature = {.signature = S("untouched")};
	assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err), 0);
	signature.signature = S("untouched");

	components[2] = S("\"@query-param\";name=\"a\"");
	assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err), -1);
	assert_non_null(strstr(err.message, "is covered twice"));
	options.n_components = HTTPSIG_COMPONENTS_MAX + 1;
	assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err), -1);
	options.n_components = 1;

	static const struct str labels[] = {S("Sig"), S("1sig"), S("a b"), S("a=")};
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		options.label = labels[i];
		assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err),
				 -1);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
	options.label = S("*ok_-.1");
	options.algorithm = SIGNING_ED25519;
	assert_int_equal(httpsig_sign(request.arena, &request.message, &options, &signer, &signature, &err), -1);
	assert_int_equal(err.class, ERR_BINDING_FAILED);
	assert_null(strstr(err.message, "no ed25519 key"));
	assert_str(signature.signature, "untouched");
}

static void names_algorithms(void **state)
{
	(void)state;
	enum signing_algorithm algorithm = SIGNING_HMAC_SHA256;
	assert_true(httpsig_algorithm_named(S("ed25519"), &algorithm));
	assert_int_equal(algorithm, SIGNING_ED25519);
	assert_true(httpsig_algorithm_named(S("hmac-sha256"), &algorithm));
	assert_int_equal(algorithm, SIGNING_HMAC_SHA256);
	assert_false(httpsig_algorithm_named(S("rsa-pss-sha512"), &algorithm));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reproduces_b_2_5),
		cmocka_unit_test(reproduces_b_2_6),
		cmocka_unit_test(derives_components),
		cmocka_unit_test(joins_and_trims_fields),
		cmocka_unit_test(adds_a_digest_that_is_covered_and_absent),
		cmocka_unit_test(writes_parameters_as_structured_fields),
		cmocka_unit_test(refuses_what_cannot_be_signed),
		cmocka_unit_test(names_algorithms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
