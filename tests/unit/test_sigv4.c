/*
 * Expected signatures are AWS's own where it publishes them: the "aws-sig-v4-test-suite" (AKIDEXAMPLE, which signs
 * without x-amz-content-sha256, so through sigv4_canonicalise()) and the examples of "Authenticating Requests: Using
 * the Authorization Header" in the S3 API reference. The others were made with a second implementation:
 *
 *     import hashlib, hmac
 *     H = lambda k, m: hmac.new(k, m.encode(), hashlib.sha256).digest()
 *     key = H(H(H(H(("AWS4" + secret).encode(), day), region), service), "aws4_request")
 *     text = "\n".join(["AWS4-HMAC-SHA256", date, f"{day}/{region}/{service}/aws4_request", sha256(canonical)])
 *     print(hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
 */
#include "base/hex.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "egress/sigv4.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DOCS_SECRET  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY_HASH   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define NO_HEADERS                                                                                                     \
	{                                                                                                              \
		{                                                                                                      \
			STR_EMPTY, STR_EMPTY                                                                           \
		}                                                                                                      \
	}

static struct err err;

static struct url url_of(struct arena *arena, const char *text)
{
	struct url url;
	if (url_parse(arena, str_from(text), &url, &err) < 0)
		fail_msg("%s", err.message);
	return url;
}

static struct message_header header(const char *name, const char *value)
{
	return (struct message_header){str_from(name), str_from(value)};
}

/* One case of the suite: up to three headers beside x-amz-date, ended by one without a name. */
struct suite_case {
	const char *name, *method, *url;
	struct message_header headers[4];
	const char *body, *signature;
};

#define SUITE "https://example.amazonaws.com"

static const struct suite_case suite[] = {
	{"get-vanilla", "GET", SUITE "/", NO_HEADERS, "",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-vanilla-query-order-key-case", "GET", SUITE "/?Param2=value2&Param1=value1", NO_HEADERS, "",
	 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-query-order-value", "GET", SUITE "/?Param1=value2&Param1=value1", NO_HEADERS, "",
	 "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
	{"post-vanilla", "POST", SUITE, NO_HEADERS, "",
	 "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-x-www-form-urlencoded",
	 "POST",
	 SUITE "/",
	 {{S("Content-Type"), S("application/x-www-form-urlencoded")}},
	 "Param1=value1",
	 "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"post-header-key-sort",
	 "POST",
	 SUITE "/",
	 {{S("My-Header1"), S("value1")}},
	 "",
	 "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{"get-header-value-trim",
	 "GET",
	 SUITE "/",
	 {{S("My-Header1"), S(" value1")}, {S("My-Header2"), S(" \"a   b   c\"")}},
	 "",
	 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"get-utf8", "GET", SUITE "/\u1234", NO_HEADERS, "",
	 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{"get-space", "GET", SUITE "/example%20space/", NO_HEADERS, "",
	 "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
	{"get-slashes", "GET", SUITE "//example//", NO_HEADERS, "",
	 "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
	{"get-slash", "GET", SUITE "//", NO_HEADERS, "",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-slash-dot-slash", "GET", SUITE "/./", NO_HEADERS, "",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-slash-pointless-dot", "GET", SUITE "/./example", NO_HEADERS, "",
	 "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
	{"get-relative", "GET", SUITE "/example/..", NO_HEADERS, "",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-relative-relative", "GET", SUITE "/example1/example2/../..", NO_HEADERS, "",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
};

static void sign_case(struct arena *arena, struct signer signer, const struct suite_case *row, char ret[65])
{
	struct url url = url_of(arena, row->url);
	struct message_header headers[5];
	size_t n = 0;
	while (row->headers[n].name.n > 0) {
		headers[n] = row->headers[n];
		n++;
	}
	headers[n++] = header("X-Amz-Date", "20150830T123600Z");
	struct message message = {str_from(row->method), &url, headers, n, str_from(row->body)};
	char payload[SHA256_HEX_TEXT_SIZE], hash[SHA256_HEX_TEXT_SIZE];
	sha256_hex(message.body, payload);
	struct sigv4_canonical canonical;
	assert_int_equal(
		sigv4_canonicalise(arena, &message, str_from(payload), SIGV4_PATH_NORMALISED, &canonical, &err), 0);
	struct str to_sign =
		arena_printf(arena, "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n%s",
			     sha256_hex(canonical.request, hash));
	struct sigv4_scope scope = {"20150830", S("us-east-1"), S("service")};
	unsigned char mac[SHA256_SIZE];
	assert_int_equal(signer.aws_sigv4(signer.context, &scope, to_sign, mac, &err), 0);
	hex_format(str_of(mac, sizeof mac), ret);
}

static void signs_like_the_published_suite(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S(SUITE_SECRET), &err);
	AUTO(held_key) *key = held_key_new(secret);
	for (size_t i = 0; i < ARRAY_LEN(suite); i++) {
		AUTO(arena) *arena = arena_new();
		char signature[65];
		sign_case(arena, held_key_signer(key), &suite[i], signature);
		if (strcmp(signature, suite[i].signature) != 0)
			fail_msg("%s: %s", suite[i].name, signature);
	}
}

/* 2013-05-24T00:00:00Z, 2015-08-30T12:36:00Z, 2026-07-01T00:00:00Z */
#define MAY_2013  (UINT64_C(1369353600) * 1000000000)
#define JULY_2026 (UINT64_C(1782864000) * 1000000000)

static struct sigv4_signature sign_with(struct arena *arena, const char *secret_text, const struct message *message,
					const struct sigv4_options *options)
{
	AUTO(secret) *secret = secret_from(str_from(secret_text), &err);
	AUTO(held_key) *key = held_key_new(secret);
	struct signer signer = held_key_signer(key);
	struct sigv4_signature signature = {.date = STR_EMPTY};
	if (sigv4_sign(arena, message, options, &signer, &signature, &err) < 0)
		fail_msg("%s", err.message);
	return signature;
}

static void assert_str(struct str got, const char *expected)
{
	if (!str_eq(got, str_from(expected)))
		fail_msg("'%.*s' is not '%s'", STR_FMT(got), expected);
}

static void signs_like_the_s3_reference(void **state)
{
	(void)state;
	static const struct {
		const char *method, *url;
		struct message_header headers[3];
		const char *body, *signed_headers, *signature;
	} rows[] = {
		{"GET",
		 "https://examplebucket.s3.amazonaws.com/test.txt",
		 {{S("Range"), S("bytes=0-9")}},
		 "",
		 "host;range;x-amz-content-sha256;x-amz-date",
		 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"PUT",
		 "https://examplebucket.s3.amazonaws.com/test$file.text",
		 {{S("Date"), S("Fri, 24 May 2013 00:00:00 GMT")}, {S("x-amz-storage-class"), S("REDUCED_REDUNDANCY")}},
		 "Welcome to Amazon S3.",
		 "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", NO_HEADERS, "",
		 "host;x-amz-content-sha256;x-amz-date",
		 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", NO_HEADERS, "",
		 "host;x-amz-content-sha256;x-amz-date",
		 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};
	struct sigv4_options options = {S("AKIAIOSFODNN7EXAMPLE"), S("us-east-1"), S("s3"), MAY_2013};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) *arena = arena_new();
		struct url url = url_of(arena, rows[i].url);
		size_t n = 0;
		while (rows[i].headers[n].name.n > 0)
			n++;
		struct message message = {str_from(rows[i].method), &url, rows[i].headers, n, str_from(rows[i].body)};
		struct sigv4_signature got = sign_with(arena, DOCS_SECRET, &message, &options);
		AUTO_FREE char *expected = xasprintf(
			"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
			"SignedHeaders=%s, Signature=%s",
			rows[i].signed_headers, rows[i].signature);
		assert_str(got.authorization, expected);
	}
}

static const char athena[] = "{\"QueryString\":\"SELECT 1\"}";

static void signs_the_athena_request(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct url url = url_of(arena, "https://athena.us-east-1.amazonaws.com/");
	struct message_header headers[] = {
		header("Content-Type", "application/x-amz-json-1.1"),
		header("X-Amz-Target", "AmazonAthena.StartQueryExecution"),
		/* These are ours to set. */
		header("x-amz-date", "19700101T000000Z"), header("Authorization", "Bearer x"),
		header("X-AMZ-CONTENT-SHA256", "UNSIGNED-PAYLOAD"), header("host", "evil.example")};
	struct message message = {S("POST"), &url, headers, ARRAY_LEN(headers), str_from(athena)};
	/* What the host says wins over what the manifest says. */
	struct sigv4_options options = {S("AKIAIOSFODNN7EXAMPLE"), S("eu-west-9"), S("other"), JULY_2026};
	struct sigv4_signature got = sign_with(arena, DOCS_SECRET, &message, &options);
	assert_str(got.date, "20260701T000000Z");
	assert_str(got.payload_hash, "b5f295e8d49d05b92d2b2fa30792cf6fd6c6c8586a1515fe9648b53748a04ae6");
	assert_str(got.authorization,
		   "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260701/us-east-1/athena/aws4_request, "
		   "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target, "
		   "Signature=145e659c2d91c6442bbc35c67ad9be41f204aa71848e3e7ac674f05f6477481e");
}

static void the_canonical_request_of_athena_has_the_known_hash(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct url url = url_of(arena, "https://athena.us-east-1.amazonaws.com/");
	const char *payload = "b5f295e8d49d05b92d2b2fa30792cf6fd6c6c8586a1515fe9648b53748a04ae6";
	struct message_header headers[] = {header("Content-Type", "application/x-amz-json-1.1"),
					   header("X-Amz-Target", "AmazonAthena.StartQueryExecution"),
					   header("X-Amz-Date", "20260701T000000Z"),
					   header("X-Amz-Content-Sha256", payload)};
	struct message message = {S("POST"), &url, headers, ARRAY_LEN(headers), str_from(athena)};
	struct sigv4_canonical canonical;
	assert_int_equal(sigv4_canonicalise(arena, &message, str_from(payload),
					    SIGV4_PATH_NORMALISED | SIGV4_PATH_TWICE, &canonical, &err),
			 0);
	char hash[SHA256_HEX_TEXT_SIZE];
	assert_string_equal(sha256_hex(canonical.request, hash),
			    "1006f320eb2f6b68eaa4d04cd52a030053e57c0033b67fd1ba5f8b9f809a2c70");
}

static void writes_paths_and_queries_in_one_way(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		unsigned how;
		const char *path, *query;
	} rows[] = {
		{"https://h", SIGV4_PATH_AS_SENT, "/", ""},
		{"https://h/", SIGV4_PATH_NORMALISED | SIGV4_PATH_TWICE, "/", ""},
		{"https://h/a%20b", SIGV4_PATH_TWICE, "/a%2520b", ""},
		{"https://h/a%20b", SIGV4_PATH_AS_SENT, "/a%20b", ""},
		{"https://h/a%2fb", SIGV4_PATH_AS_SENT, "/a%2Fb", ""},
		{"https://h/a%2Fb", SIGV4_PATH_TWICE, "/a%252Fb", ""},
		{"https://h/%41%7e", SIGV4_PATH_AS_SENT, "/A~", ""},
		{"https://h/a+b=c:d@e", SIGV4_PATH_AS_SENT, "/a%2Bb%3Dc%3Ad%40e", ""},
		{"https://h/$", SIGV4_PATH_TWICE, "/%2524", ""},
		{"https://h//a/./../b/", SIGV4_PATH_AS_SENT, "//a/./../b/", ""},
		{"https://h//a/./../b/", SIGV4_PATH_NORMALISED, "/b/", ""},
		{"https://h/a/b/..", SIGV4_PATH_NORMALISED, "/a/", ""},
		{"https://h/a/b/../", SIGV4_PATH_NORMALISED, "/a/", ""},
		{"https://h/../../a", SIGV4_PATH_NORMALISED, "/a", ""},
		{"https://h/..", SIGV4_PATH_NORMALISED, "/", ""},
		{"https://h/a/.", SIGV4_PATH_NORMALISED, "/a/", ""},
		{"https://h/?", SIGV4_PATH_AS_SENT, "/", ""},
		{"https://h/?&&", SIGV4_PATH_AS_SENT, "/", ""},
		{"https://h/?b&a", SIGV4_PATH_AS_SENT, "/", "a=&b="},
		{"https://h/?=x", SIGV4_PATH_AS_SENT, "/", "=x"},
		{"https://h/?a=b=c", SIGV4_PATH_AS_SENT, "/", "a=b%3Dc"},
		{"https://h/?a=x+y&b=x%20y", SIGV4_PATH_AS_SENT, "/", "a=x%2By&b=x%20y"},
		{"https://h/?a=/&A=%2f", SIGV4_PATH_AS_SENT, "/", "A=%2F&a=%2F"},
		{"https://h/?a=2&a=1&a=10", SIGV4_PATH_AS_SENT, "/", "a=1&a=10&a=2"},
		{"https://h/?ab=1&a=2", SIGV4_PATH_AS_SENT, "/", "a=2&ab=1"},
		{"https://h/?a%3d=1", SIGV4_PATH_AS_SENT, "/", "a%3D=1"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) *arena = arena_new();
		struct url url = url_of(arena, rows[i].url);
		struct message message = {S("GET"), &url, NULL, 0, STR_EMPTY};
		struct sigv4_canonical canonical;
		assert_int_equal(sigv4_canonicalise(arena, &message, S(EMPTY_HASH), rows[i].how, &canonical, &err), 0);
		AUTO_FREE char *expected =
			xasprintf("GET\n%s\n%s\nhost:h\n\nhost\n" EMPTY_HASH, rows[i].path, rows[i].query);
		assert_str(canonical.request, expected);
	}
}

static void writes_headers_in_one_way(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct url url = url_of(arena, "https://H.example:8443/");
	struct message_header headers[] = {header("B", "  two   spaces \t"), header("a-b", "x"), header("A", ""),
					   header("b", "second"), header("C", "tab\tkept")};
	struct message message = {S("GET"), &url, headers, ARRAY_LEN(headers), STR_EMPTY};
	struct sigv4_canonical canonical;
	assert_int_equal(sigv4_canonicalise(arena, &message, S("-"), 0, &canonical, &err), 0);
	assert_str(canonical.request, "GET\n/\n\na:\na-b:x\nb:two spaces,second\nc:tab\tkept\nhost:h.example:8443\n\n"
				      "a;a-b;b;c;host\n-");
	assert_str(canonical.signed_headers, "a;a-b;b;c;host");
}

static void reads_region_and_service_from_hosts(void **state)
{
	(void)state;
	static const struct {
		const char *host, *region, *service; /* NULL: cannot be read */
	} rows[] = {
		{"athena.us-east-1.amazonaws.com", "us-east-1", "athena"},
		{"sts.us-gov-west-1.amazonaws.com", "us-gov-west-1", "sts"},
		{"s3.dualstack.eu-central-1.amazonaws.com", "eu-central-1", "s3"},
		{"bucket.s3.dualstack.eu-central-1.amazonaws.com", "eu-central-1", "s3"},
		{"bucket.s3.ap-southeast-2.amazonaws.com", "ap-southeast-2", "s3"},
		{"kms-fips.us-west-2.amazonaws.com", "us-west-2", "kms"},
		{"abc123.execute-api.us-east-1.amazonaws.com", "us-east-1", "execute-api"},
		{"search-x.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "search-x"},
		{"svc.cn-north-1.amazonaws.com.cn", "cn-north-1", "svc"},
		{"svc.us-east-1.example", "us-east-1", "svc"},
		{"svc.us-east-1", "us-east-1", "svc"},
		{"svc.us-east-1.example:8443", "us-east-1", "svc"},
		{"a.us-east-1.b.us-west-2.example", "us-east-1", "a"},
		{"iam.amazonaws.com", NULL, NULL},
		{"us-east-1.amazonaws.com", NULL, NULL},
		{"dualstack.us-east-1.amazonaws.com", NULL, NULL},
		{"", NULL, NULL},
		{"localhost", NULL, NULL},
		{"svc.useast1.example", NULL, NULL},
		{"svc.us-1.example", NULL, NULL},
		{"svc.usa-east-1.example", NULL, NULL},
		{"svc.us-east-.example", NULL, NULL},
		{"svc.us-east-1a.example", NULL, NULL},
		{"svc.us--1.example", NULL, NULL},
		{"svc.us-ea2t-1.example", NULL, NULL},
		{"svc.us-east-1-2.example", NULL, NULL},
		{"svc.u-east-1.example", NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str region = STR_EMPTY, service = STR_EMPTY;
		bool read = sigv4_host_scope(str_from(rows[i].host), &region, &service);
		if (read != (rows[i].region != NULL))
			fail_msg("'%s' is read wrongly", rows[i].host);
		assert_str(region, read ? rows[i].region : "");
		assert_str(service, read ? rows[i].service : "");
	}
}

static void without_a_scope_nothing_is_signed(void **state)
{
	(void)state;
	static const struct sigv4_options rows[] = {
		{.access_key_id = S("AKIDEXAMPLE")},
		{.access_key_id = S("AKIDEXAMPLE"), .fallback_region = S("us-east-1")},
		{.access_key_id = S("AKIDEXAMPLE"), .fallback_service = S("iam")},
	};
	AUTO(arena) *arena = arena_new();
	AUTO(secret) *secret = secret_from(S(SUITE_SECRET), &err);
	AUTO(held_key) *key = held_key_new(secret);
	struct signer signer = held_key_signer(key);
	struct url url = url_of(arena, "https://iam.amazonaws.com/");
	struct message message = {S("GET"), &url, NULL, 0, STR_EMPTY};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sigv4_signature signature = {.date = S("untouched")};
		err_clear(&err);
		assert_int_equal(sigv4_sign(arena, &message, &rows[i], &signer, &signature, &err), -1);
		assert_int_equal(err.class, ERR_CAPABILITY_DENIED);
		assert_non_null(strstr(err.details, "\"boundary_detail\":\"connector_manifest\""));
		assert_null(strstr(err.message, "wJalr"));
		assert_str(signature.date, "untouched");
	}
	struct sigv4_options both = {S("AKIDEXAMPLE"), S("us-east-1"), S("iam"), JULY_2026};
	struct sigv4_signature signature;
	assert_int_equal(sigv4_sign(arena, &message, &both, &signer, &signature, &err), 0);
	assert_non_null(memmem(signature.authorization.p, signature.authorization.n, "/us-east-1/iam/", 15));
}

static void s3_and_others_differ_in_how_a_path_is_signed(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct sigv4_options s3 = {S("AKIDEXAMPLE"), S("us-east-1"), S("s3"), JULY_2026};
	struct sigv4_options other = {S("AKIDEXAMPLE"), S("us-east-1"), S("s4"), JULY_2026};
	struct url dots = url_of(arena, "https://h/a/../b%20c"), plain = url_of(arena, "https://h/b%20c");
	struct message dotted = {S("GET"), &dots, NULL, 0, STR_EMPTY}, clean = {S("GET"), &plain, NULL, 0, STR_EMPTY};
	assert_false(str_eq(sign_with(arena, SUITE_SECRET, &dotted, &s3).authorization,
			    sign_with(arena, SUITE_SECRET, &clean, &s3).authorization));
	assert_true(str_eq(sign_with(arena, SUITE_SECRET, &dotted, &other).authorization,
			   sign_with(arena, SUITE_SECRET, &clean, &other).authorization));
	/* Computed as the comment above says, over "GET\n/b%2520c\n\nhost:h\nx-amz-content-sha256:…\nx-amz-date:…". */
	assert_str(sign_with(arena, SUITE_SECRET, &clean, &other).authorization,
		   "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260701/us-east-1/s4/aws4_request, "
		   "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
		   "Signature=45dbb6e2b8d180f7bb3c0c36111bc9b852bea62747968cc51c9e79ac055cdae4");
	assert_str(sign_with(arena, SUITE_SECRET, &clean, &s3).authorization,
		   "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260701/us-east-1/s3/aws4_request, "
		   "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
		   "Signature=d6d1e091c06273990fdeeca5ca3972e9b28ed8c57d9432d69aa82eebad918d53");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_like_the_published_suite),
		cmocka_unit_test(signs_like_the_s3_reference),
		cmocka_unit_test(signs_the_athena_request),
		cmocka_unit_test(the_canonical_request_of_athena_has_the_known_hash),
		cmocka_unit_test(writes_paths_and_queries_in_one_way),
		cmocka_unit_test(writes_headers_in_one_way),
		cmocka_unit_test(reads_region_and_service_from_hosts),
		cmocka_unit_test(without_a_scope_nothing_is_signed),
		cmocka_unit_test(s3_and_others_differ_in_how_a_path_is_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
