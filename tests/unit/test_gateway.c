#include "base/arena.h"
#include "control/gateway_capabilities.h"
#include "control/gateway_model.h"
#include "egress/stream_protocol.h"
#include "text/wire.h"
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* ---- the model ---- */

/* In pieces of every length: where the cuts are makes no difference. */
static void expect_model(const char *body, const char *model)
{
	size_t n = strlen(body);
	for (size_t step = 1; step <= n + 1; step++) {
		struct gateway_model scan = {0};
		for (size_t at = 0; at < n; at += step)
			gateway_model_feed(&scan, str_slice(str_from(body), at, MIN(at + step, n)));
		struct str found = gateway_model_found(&scan);
		assert_int_equal(found.n, strlen(model));
		assert_memory_equal(found.p, model, found.n);
	}
}

static void test_model(void **state)
{
	(void)state;
	expect_model("{\"model\":\"m-1\",\"x\":1}", "m-1");
	expect_model(" \r\n{ \"max_tokens\" : 5 , \"messages\":[{\"model\":\"inner\",\"content\":\"a}]\\\"{\"}], "
		     "\"model\" : \"m/2:x\" } ",
		     "m/2:x");
	expect_model("{\"model\":\"first\",\"model\":\"last\"}", "last");
	expect_model("{\"a\":\"model\",\"b\":\"no\"}", "");
	expect_model("{\"a\":{\"model\":\"no\"}}", "");
	expect_model("{\"model\":{\"x\":\"no\"},\"y\":\"no\"}", "");
	expect_model("{\"model\":[\"no\"],\"y\":\"no\"}", "");
	expect_model("{\"model\":7,\"y\":\"no\"}", "");
	expect_model("{\"model\":\"with \\\" escape\"}", "");
	expect_model("{\"model\":\"caf\xc3\xa9\"}", "");
	expect_model("{\"mod\\u0065l\":\"no\"}", "");
	expect_model("{\"x\":1}{\"model\":\"behind\"}", "");
	expect_model("[{\"model\":\"no\"}]", "");
	expect_model("model=no&x={\"model\":\"no\"}", "");
	expect_model("", "");
	expect_model("}}}}]]]\"", "");
	expect_model("{]]]]\"model\":\"no\"", "");
}

static void test_model_length(void **state)
{
	(void)state;
	for (size_t n = GATEWAY_MODEL_MAX - 1; n <= GATEWAY_MODEL_MAX + 1; n++) {
		AUTO_BUF body = BUF_INIT(1024);
		buf_add_z(&body, "{\"model\":\"");
		for (size_t i = 0; i < n; i++)
			buf_add_char(&body, 'm');
		buf_add_z(&body, "\"}");
		struct gateway_model scan = {0};
		gateway_model_feed(&scan, buf_str(&body));
		assert_int_equal(gateway_model_found(&scan).n, n <= GATEWAY_MODEL_MAX ? n : 0);
	}
}

/* ---- capabilities ---- */

static void test_capabilities(void **state)
{
	(void)state;
	AUTO(gateway_capabilities) *capabilities = gateway_capabilities_new();
	char a[GATEWAY_CAPABILITY_TEXT + 1], b[GATEWAY_CAPABILITY_TEXT + 1], session[GATEWAY_SESSION_SIZE] = "";
	assert_int_equal(gateway_capabilities_mint(capabilities, S("one"), a, NULL), 0);
	assert_int_equal(gateway_capabilities_mint(capabilities, S("two"), b, NULL), 0);
	assert_int_equal(strlen(a), GATEWAY_CAPABILITY_TEXT);
	assert_string_not_equal(a, b);
	assert_true(gateway_capabilities_find(capabilities, str_from(b), session));
	assert_string_equal(session, "two");
	assert_true(gateway_capabilities_find(capabilities, str_from(a), session));
	assert_string_equal(session, "one");
	for (size_t i = 0; i < GATEWAY_CAPABILITY_TEXT; i++) {
		char wrong[GATEWAY_CAPABILITY_TEXT + 1];
		memcpy(wrong, a, sizeof wrong);
		wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
		assert_false(gateway_capabilities_find(capabilities, str_from(wrong), session));
	}
	assert_false(gateway_capabilities_find(capabilities, STR_EMPTY, session));
	assert_false(gateway_capabilities_find(capabilities, str_of(a, GATEWAY_CAPABILITY_TEXT - 1), session));
	assert_true(gateway_capabilities_end(capabilities, S("one")));
	assert_false(gateway_capabilities_end(capabilities, S("one")));
	assert_false(gateway_capabilities_find(capabilities, str_from(a), session));
	assert_true(gateway_capabilities_find(capabilities, str_from(b), session));
}

static void test_none_of_a_session_that_runs_makes_room(void **state)
{
	(void)state;
	AUTO(gateway_capabilities) *capabilities = gateway_capabilities_new();
	char first[GATEWAY_CAPABILITY_TEXT + 1], last[GATEWAY_CAPABILITY_TEXT + 1] = "untouched";
	char session[GATEWAY_SESSION_SIZE];
	struct err err = {0};
	assert_int_equal(gateway_capabilities_mint(capabilities, S("first"), first, &err), 0);
	for (int i = 1; i < GATEWAY_CAPABILITIES_MAX; i++)
		assert_int_equal(gateway_capabilities_mint(capabilities, S("further"), (char[64]){0}, &err), 0);
	assert_int_equal(gateway_capabilities_mint(capabilities, S("last"), last, &err), -1);
	assert_int_equal(err.class, ERR_UNAVAILABLE);
	assert_string_equal(last, "untouched");
	assert_true(gateway_capabilities_find(capabilities, str_from(first), session));
	assert_true(gateway_capabilities_end(capabilities, S("first")));
	assert_int_equal(gateway_capabilities_mint(capabilities, S("last"), last, &err), 0);
	assert_true(gateway_capabilities_find(capabilities, str_from(last), session));
}

/* ---- targets and fields ---- */

static void test_targets(void **state)
{
	(void)state;
	static const char *const good[] = {
		"/",        "/v1/messages", "/v1/a?b=/../c", "//x/y",  "/...", "/a..b/.c/d.", "/%41/%2Fa",
		"/v1/x%2e", "/a?",          "/@host/",       "/a:80/", "/%2",  "/%"};
	static const char *const bad[] = {"",        "v1",       "/..",       "/.",     "/a/../b",
					  "/a/./b",  "/%2e%2e/", "/%2E./x",   "/.%2e",  "/a%2f..%2fb",
					  "/a%5c..", "/..%5C",   "/a b",      "/a#b",   "/a\\b",
					  "/a\r\n",  "/\x7f",    "/\xc3\xa9", "/a/..?x"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (!stream_target_is_good(str_from(good[i])))
			fail_msg("'%s' was refused", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (stream_target_is_good(str_from(bad[i])))
			fail_msg("'%s' was taken", bad[i]);
	}
	AUTO_BUF longest = BUF_INIT(2 * STREAM_TARGET_MAX);
	for (size_t i = 0; i < STREAM_TARGET_MAX; i++)
		buf_add_char(&longest, '/');
	assert_true(stream_target_is_good(buf_str(&longest)));
	buf_add_char(&longest, '/');
	assert_false(stream_target_is_good(buf_str(&longest)));
}

static void test_fields_of_a_connection(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const struct stream_header items[] = {
		{S("connection"), S("close, X-One")}, {S("X-Two"), S("")}, {S("Connection"), S(" x-three ")}};
	const struct stream_headers headers = {items, ARRAY_LEN(items)};
	struct str connection = stream_connection_of(arena, &headers);
	static const char *const of_hop[] = {
		"X-One",  "x-Three", "Host",       "content-length",      "Transfer-Encoding",
		"TE",     "upgrade", "Keep-Alive", "Proxy-Authorization", "proxy-x",
		"Expect", "trailer", "CONNECTION"};
	static const char *const others[] = {"X-Two",           "Authorization", "x-api-key", "Content-Type",
					     "Accept-Encoding", "Hosts",         "Prox"};
	for (size_t i = 0; i < ARRAY_LEN(of_hop); i++)
		assert_true(stream_header_is_of_hop(str_from(of_hop[i]), connection));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(stream_header_is_of_hop(str_from(others[i]), connection));
}

/* ---- messages ---- */

static struct stream_open an_open(const struct stream_header *items, size_t n)
{
	return (struct stream_open){.provider = STREAM_OPENAI,
				    .method = S("POST"),
				    .target = S("/v1/responses?x"),
				    .headers = {items, n},
				    .length = 12,
				    .use = 7};
}

static int read_open(const struct stream_open *open, struct stream_open *ret, struct arena *arena)
{
	AUTO_BUF body = BUF_INIT(STREAM_HEAD_MAX);
	stream_open_put(&body, open);
	return stream_open_get(arena, arena_str(arena, buf_str(&body)), ret, NULL);
}

static void test_open(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const struct stream_header items[] = {{S("X-A"), S("b\tc")}, {S("X-Empty"), S("")}};
	struct stream_open open = an_open(items, 2), got;
	assert_int_equal(read_open(&open, &got, arena), 0);
	assert_int_equal(got.provider, STREAM_OPENAI);
	assert_true(str_eq(got.target, open.target) && str_eq(got.method, open.method));
	assert_int_equal(got.length, 12);
	assert_int_equal(got.use, 7);
	assert_int_equal(got.headers.n, 2);
	assert_true(str_eq(got.headers.items[0].value, S("b\tc")));

	static const struct stream_header bad[] = {
		{S("X A"), S("")}, {S(""), S("x")}, {S("X"), S("a\r\nB: c")}, {S("X"), S("a\nb")}, {S("X:"), S("")}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		open = an_open(&bad[i], 1);
		assert_int_equal(read_open(&open, &got, arena), -1);
	}
	static const char *const methods[] = {"",      "post",  "CONNECT", "GET ", "G\r\n",
					      "TRACE", "TRACK", "BREW",    "GE",   "GET, HEAD"};
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		open = an_open(items, 2);
		open.method = str_from(methods[i]);
		assert_int_equal(read_open(&open, &got, arena), -1);
	}
	open = an_open(items, 2);
	open.target = S("/../x");
	assert_int_equal(read_open(&open, &got, arena), -1);
	open = an_open(items, 2);
	open.provider = STREAM_PROVIDER__MAX;
	assert_int_equal(read_open(&open, &got, arena), -1);
	open = an_open(items, 2);
	open.length = UINT64_MAX;
	assert_int_equal(read_open(&open, &got, arena), -1);
}

/* Whatever is cut off at whatever place. */
static void test_cut_messages(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const struct stream_header items[] = {{S("X-A"), S("b")}};
	const struct stream_open open = an_open(items, 1);
	const struct stream_head head = {.status = 200, .headers = {items, 1}};
	AUTO_BUF bytes = BUF_INIT(STREAM_HEAD_MAX);
	struct stream_open got;
	struct stream_head got_head;
	stream_open_put(&bytes, &open);
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(stream_open_get(arena, str_of(bytes.p, n), &got, NULL), -1);
	buf_add_char(&bytes, 'x');
	assert_int_equal(stream_open_get(arena, buf_str(&bytes), &got, NULL), -1);
	buf_clear(&bytes);
	stream_head_put(&bytes, &head);
	assert_int_equal(stream_head_get(arena, buf_str(&bytes), &got_head, NULL), 0);
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(stream_head_get(arena, str_of(bytes.p, n), &got_head, NULL), -1);
	for (unsigned status = 0; status < 1000; status += 100) {
		const struct stream_head odd = {.status = status};
		buf_clear(&bytes);
		stream_head_put(&bytes, &odd);
		assert_int_equal(stream_head_get(arena, buf_str(&bytes), &got_head, NULL),
				 status >= 200 && status < 600 ? 0 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),        cmocka_unit_test(test_model_length),
		cmocka_unit_test(test_capabilities), cmocka_unit_test(test_none_of_a_session_that_runs_makes_room),
		cmocka_unit_test(test_targets),      cmocka_unit_test(test_fields_of_a_connection),
		cmocka_unit_test(test_open),         cmocka_unit_test(test_cut_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
