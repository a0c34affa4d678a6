/*
 * What aileron-guest does between a client and a daemon that comes and goes: nothing of it needs a socket or a clock.
 */
#include "base/line_cut.h"
#include "guest/address.h"
#include "guest/mediator.h"
#include "guest/scan.h"
#include "text/json.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

/* -------------------------------------------------------------------------------------------------------------- scan */

static void members_are_found(void **state)
{
	(void)state;
	struct scan_member members[] = {{.name = "id"}, {.name = "method"}, {.name = "params"}};
	struct str text =
		S(" {\"params\" : {\"id\":[1,{\"a\":\"}\\\"\"}]},\"id\":\t-1.5e3 , \"method\":\"a\\\\\",\"id\":7}\r\n");
	assert_true(scan_object(text, members, ARRAY_LEN(members)));
	assert_true(str_eq(members[0].value, S("7")));
	assert_true(str_eq(members[1].value, S("\"a\\\\\"")));
	assert_true(str_eq(members[2].value, S("{\"id\":[1,{\"a\":\"}\\\"\"}]}")));
	assert_true(scan_object(S("{}"), members, ARRAY_LEN(members)));
	assert_int_equal(scan_member(S("{\"a\":1}"), "b").n, 0);
	assert_true(scan_is_string(S("\"x\""), S("x")));
	assert_false(scan_is_string(S("x"), S("x")));
	assert_false(scan_is_string(STR_EMPTY, STR_EMPTY));
}

static void short_texts_are_unescaped(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *text;
	} cases[] = {
		{"\"a/b\"", "a/b"},
		{"\"a\\/b\"", "a/b"},
		{"\"\\u0061\\u002Fb\\\\\\\"\"", "a/b\\\""},
		{"\"\"", ""},
		{"7", ""},
		{"\"\\u00e4\"", "\\u00e4"},
		{"\"\\u0000\"", "\\u0000"},
		{"\"\\x\"", "\\x"},
		{"\"\\u12\"", "\\u12"},
	};
	char text[SCAN_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(str_eq(scan_text(str_from(cases[i].raw), text), str_from(cases[i].text)));
	char longest[SCAN_TEXT_MAX + 3] = {'"'};
	memset(longest + 1, 'x', SCAN_TEXT_MAX);
	longest[SCAN_TEXT_MAX + 1] = '"';
	assert_int_equal(scan_text(str_from(longest), text).n, SCAN_TEXT_MAX);
	assert_ptr_equal(scan_text(str_from(longest), text).p, text);
	char longer[SCAN_TEXT_MAX + 4] = {'"'};
	memset(longer + 1, 'x', SCAN_TEXT_MAX + 1);
	longer[SCAN_TEXT_MAX + 2] = '"';
	assert_ptr_equal(scan_text(str_from(longer), text).p, longer + 1);
}

static void what_is_no_object_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"",           " ",           "[]",        "{",          "{\"a\"",
					    "{\"a\":",    "{\"a\":1",    "{\"a\":1,", "{\"a\":1,}", "{\"a\":1}}",
					    "{\"a\":[}",  "{\"a\":[1}}", "{a:1}",     "{\"a\":\"}", "{\"a\" 1}",
					    "{\"a\":{]}", "{\"a\":\"\\", "null"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct scan_member member = {.name = "a", .value = S("untouched")};
		if (scan_object(str_from(texts[i]), &member, 1))
			fail_msg("'%s' is no object", texts[i]);
		assert_true(str_eq(member.value, S("untouched")));
	}
	AUTO_BUF deep = BUF_INIT(8192);
	buf_add_z(&deep, "{\"a\":");
	for (size_t i = 0; i < SCAN_DEPTH_MAX + 1; i++)
		buf_add_char(&deep, '[');
	for (size_t i = 0; i < SCAN_DEPTH_MAX + 1; i++)
		buf_add_char(&deep, ']');
	buf_add_char(&deep, '}');
	assert_false(scan_object(buf_str(&deep), NULL, 0));
}

/* ------------------------------------------------------------------------------------------------------------- lines */

struct cuts {
	struct buf all;
	size_t too_long;
};

static void note_line(void *user, struct str line)
{
	struct cuts *cuts = user;
	buf_add_str(&cuts->all, line);
	buf_add_char(&cuts->all, '|');
}

static void note_too_long(void *user)
{
	((struct cuts *)user)->too_long++;
}

/* However the bytes are cut into pieces. */
static void lines_are_whole(void **state)
{
	(void)state;
	struct str text = S("one\n\ntwelve chars\nthirteen char\nmuch more than that\nlast\nrest");
	for (size_t step = 1; step <= text.n; step++) {
		struct cuts cuts = {.all = BUF_INIT(256)};
		struct line_cut cut;
		line_cut_init(&cut, 12);
		for (size_t at = 0; at < text.n; at += step)
			line_cut_feed(&cut, str_slice(text, at, at + step), note_line, note_too_long, &cuts);
		assert_string_equal(cuts.all.p, "one||twelve chars|last|");
		assert_int_equal(cuts.too_long, 2);
		line_cut_release(&cut);
		buf_release(&cuts.all);
	}
}

/* ---------------------------------------------------------------------------------------------------------- addresses */

static void only_numbers_are_addresses(void **state)
{
	(void)state;
	struct sockaddr_storage address;
	char host[ADDRESS_HOST_MAX];
	assert_true(address_parse_url(S("http://127.0.0.1:53817"), &address, host));
	assert_string_equal(host, "127.0.0.1:53817");
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address;
	assert_int_equal(ntohs(v4->sin_port), 53817);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_true(address_parse_url(S("http://[::1]:80/"), &address, host));
	assert_int_equal(address.ss_family, AF_INET6);
	assert_true(address_parse_url(S("http://localhost:1"), &address, host));
	static const char *const none[] = {"https://127.0.0.1:1",
					   "http://127.0.0.1",
					   "http://127.0.0.1:0",
					   "http://127.0.0.1:65536",
					   "http://example.com:80",
					   "http://127.0.0.1:80/mcp",
					   "http://::1:80",
					   "127.0.0.1:80",
					   "http://user@127.0.0.1:80",
					   ""};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (address_parse_url(str_from(none[i]), &address, host))
			fail_msg("'%s' was taken", none[i]);
	}
}

/* ------------------------------------------------------------------------------------------------------- the mediator */

struct stage {
	struct mediator *mediator;
	struct buf client, daemon; /* lines that were sent there */
};

static void to_client(void *user, struct str line)
{
	struct stage *stage = user;
	AUTO(json) *json = json_parse(line, JSON_READ_STRICT, NULL);
	assert_non_null(json);
	buf_add_str(&stage->client, line);
	buf_add_char(&stage->client, '\n');
}

static void to_daemon(void *user, struct str line)
{
	struct stage *stage = user;
	buf_add_str(&stage->daemon, line);
	buf_add_char(&stage->daemon, '\n');
}

static int set_up(void **state)
{
	static struct stage stage;
	stage = (struct stage){.client = BUF_INIT(64 << 20), .daemon = BUF_INIT(64 << 20)};
	const struct mediator_options options = {to_client, to_daemon, &stage, S("1.2.3")};
	stage.mediator = mediator_new(&options, 0);
	*state = &stage;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *stage = *state;
	mediator_free(stage->mediator);
	buf_release(&stage->client);
	buf_release(&stage->daemon);
	return 0;
}

static void say(struct stage *stage, const char *line, uint64_t now)
{
	mediator_from_client(stage->mediator, str_from(line), now);
}

static void answer(struct stage *stage, const char *line)
{
	mediator_from_daemon(stage->mediator, str_from(line));
}

/* What was sent since the last look holds this, or nothing when NULL. */
static void assert_sent(struct buf *to, const char *part)
{
	if (part == NULL)
		assert_string_equal(to->p, "");
	else if (strstr(to->p, part) == NULL)
		fail_msg("'%s' is not in '%s'", part, to->p);
	buf_clear(to);
}

/* The value of a member of the line that was sent last, as text. */
static void copy_after(const struct buf *sent, const char *what, char *ret, size_t n)
{
	const char *at = strstr(sent->p, what);
	assert_non_null(at);
	at += strlen(what);
	size_t i = 0;
	for (; i < n - 1 && at[i] != '"' && at[i] != '\0'; i++)
		ret[i] = at[i];
	ret[i] = '\0';
}

#define INITIALIZE                                                                                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\"}}"
#define INITIALIZED "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"
#define CALL                                                                                                           \
	"{\"jsonrpc\":\"2.0\",\"id\":\"c\",\"method\":\"tools/"                                                        \
	"call\",\"params\":{\"name\":\"x\",\"arguments\":{\"a\":1}}}"
#define PING "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}"

static void begin(struct stage *stage)
{
	mediator_connected(stage->mediator);
	say(stage, INITIALIZE, 0);
	assert_sent(&stage->daemon, INITIALIZE "\n");
	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}");
	assert_sent(&stage->client, "\"id\":0");
	say(stage, INITIALIZED, 0);
	assert_sent(&stage->daemon, INITIALIZED "\n");
	assert_int_equal(mediator_open(stage->mediator), 0);
}

static void what_passes_is_untouched(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	say(stage, " {\"jsonrpc\": \"2.0\", \"id\":1763731733000,\"method\":\"tools/list\" }\r", 0);
	assert_sent(&stage->daemon, "{\"jsonrpc\": \"2.0\", \"id\":1763731733000,\"method\":\"tools/list\" }\n");
	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":1763731733000,\"result\":{\"x\": 1}}");
	assert_sent(&stage->client, "{\"jsonrpc\":\"2.0\",\"id\":1763731733000,\"result\":{\"x\": 1}}\n");
	say(stage, "", 0);
	say(stage, "  ", 0);
	assert_sent(&stage->daemon, NULL);
	say(stage, "{\"id\":", 0); /* nonsense is told there */
	assert_sent(&stage->daemon, "{\"id\":\n");
	answer(stage, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}");
	assert_sent(&stage->client, "notifications/message");
	assert_int_equal(mediator_open(stage->mediator), 0);
}

static void a_call_gets_an_id(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	static const struct {
		const char *params, *before, *behind;
	} cases[] = {
		{"{\"name\":\"x\"}", "\"params\":{\"_meta\":{\"aileron/call-id\":\"", "\"},\"name\":\"x\"}"},
		{"{ }", "\"params\":{\"_meta\":{\"aileron/call-id\":\"", "\"} }"},
		{"{\"_meta\":{},\"name\":\"x\"}", "\"_meta\":{\"aileron/call-id\":\"", "\"},\"name\":\"x\"}"},
		{"{\"_meta\":{\"progressToken\":0}}", "\"_meta\":{\"aileron/call-id\":\"", "\",\"progressToken\":0}}"},
		{"{\"_meta\": null,\"name\":\"x\"}", "\"_meta\": {\"aileron/call-id\":\"", "\"},\"name\":\"x\"}"},
	};
	char ids[ARRAY_LEN(cases)][64];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *line =
			xasprintf("{\"id\":%zu,\"method\":\"tools/call\",\"params\":%s}", i, cases[i].params);
		say(stage, line, 0);
		copy_after(&stage->daemon, "\"aileron/call-id\":\"", ids[i], sizeof ids[i]);
		assert_int_equal(strlen(ids[i]), MEDIATOR_CALL_ID);
		assert_true(i == 0 || strcmp(ids[i], ids[i - 1]) != 0);
		AUTO_FREE char *whole = xasprintf("%s%s%s", cases[i].before, ids[i], cases[i].behind);
		assert_sent(&stage->daemon, whole);
	}
	/* No object to put it into: passed on, to be refused there. */
	say(stage, "{\"id\":9,\"method\":\"tools/call\",\"params\":[1]}", 0);
	assert_sent(&stage->daemon, "\"params\":[1]}");
}

static void a_daemon_that_comes_back_hears_it_again(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	say(stage, "{\"id\":1,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"debug\"}}", 0);
	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
	say(stage, PING, 0); /* on its way */
	say(stage, CALL, 0);
	char call_id[64];
	copy_after(&stage->daemon, "\"aileron/call-id\":\"", call_id, sizeof call_id);
	buf_clear(&stage->daemon);
	buf_clear(&stage->client);

	mediator_disconnected(stage->mediator, S("lost"), 1000);
	mediator_disconnected(stage->mediator, S("still not there"), 1500);
	assert_sent(&stage->client, NULL);
	mediator_connected(stage->mediator);
	const char *first = strstr(stage->daemon.p, "\"method\":\"initialize\"");
	const char *second = strstr(stage->daemon.p, INITIALIZED);
	const char *third = strstr(stage->daemon.p, "logging/setLevel");
	assert_true(first != NULL && second > first && third > second && strstr(third, PING) != NULL);
	assert_null(strstr(stage->daemon.p, "\"name\":\"x\"")); /* the call is asked for and not sent */
	AUTO_FREE char *ask = xasprintf("\"check_action_status\",\"arguments\":{\"call_id\":\"%s\"}", call_id);
	char own[64];
	copy_after(&stage->daemon, "\"id\":\"aileron-guest-3", own, sizeof own);
	assert_sent(&stage->daemon, ask);
	assert_sent(&stage->client, "notifications/tools/list_changed");

	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":\"aileron-guest-1\",\"result\":{}}"); /* nobody's business */
	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":\"aileron-guest-2\",\"result\":{}}");
	assert_sent(&stage->client, NULL);
	answer(stage, "{\"jsonrpc\":\"2.0\",\"result\":{\"content\":[]},\"id\":\"aileron-guest-3\"}");
	assert_sent(&stage->client, "{\"jsonrpc\":\"2.0\",\"result\":{\"content\":[]},\"id\":\"c\"}\n");
	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}");
	assert_sent(&stage->client, "\"id\":5");
	assert_int_equal(mediator_open(stage->mediator), 0);
}

static void a_call_that_it_never_took_is_sent(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	say(stage, CALL, 0);
	char call_id[64];
	copy_after(&stage->daemon, "\"aileron/call-id\":\"", call_id, sizeof call_id);
	mediator_disconnected(stage->mediator, S("lost"), 0);
	buf_clear(&stage->daemon);
	mediator_connected(stage->mediator);
	char own[64];
	copy_after(&stage->daemon, "\"id\":\"aileron-guest-2", own, sizeof own);
	buf_clear(&stage->daemon);
	answer(stage,
	       "{\"id\":\"aileron-guest-2\",\"result\":{\"isError\":true,\"_meta\":{\"aileron/call\":\"unknown\"}}}");
	AUTO_FREE char *same = xasprintf("{\"aileron/call-id\":\"%s\"},\"name\":\"x\"", call_id);
	assert_sent(&stage->daemon, same);
	answer(stage, "{\"jsonrpc\":\"2.0\",\"id\":\"c\",\"result\":{}}");
	assert_int_equal(mediator_open(stage->mediator), 0);
}

/* However its name is spelled; and one that could be given no id is never sent again. */
static void no_call_is_sent_twice(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	static const char *const spelled[] = {"tools\\/call", "tools\\u002fcall", "\\u0074ools/call"};
	for (size_t i = 0; i < ARRAY_LEN(spelled); i++) {
		AUTO_FREE char *line =
			xasprintf("{\"id\":\"s%zu\",\"method\":\"%s\",\"params\":{\"name\":\"x\"}}", i, spelled[i]);
		say(stage, line, 0);
		assert_sent(&stage->daemon, "\"params\":{\"_meta\":{\"aileron/call-id\":\"");
	}
	say(stage, "{\"id\":\"none\",\"method\":\"tools/call\",\"params\":{\"name\":\"x\",\"_meta\":7}}", 0);
	mediator_disconnected(stage->mediator, S("lost"), 0);
	buf_clear(&stage->daemon);
	buf_clear(&stage->client);
	mediator_connected(stage->mediator);
	assert_int_equal(str_find(buf_str(&stage->daemon), S("\"name\":\"x\"")), STR_NPOS);
	assert_sent(&stage->daemon, "check_action_status");
	assert_int_not_equal(str_find(buf_str(&stage->client), S("it may have run")), STR_NPOS);
	assert_int_not_equal(str_find(buf_str(&stage->client), S("aileron runs list")), STR_NPOS);
	assert_sent(&stage->client, "\"id\":\"none\"");
	assert_int_equal(mediator_open(stage->mediator), ARRAY_LEN(spelled));
}

/* The next restart finds it asked for: it is asked for again, and never twice at once. */
static void a_second_restart_asks_again(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	say(stage, CALL, 0);
	for (int i = 0; i < 3; i++) {
		mediator_disconnected(stage->mediator, S("lost"), (uint64_t)i);
		buf_clear(&stage->daemon);
		mediator_connected(stage->mediator);
		assert_null(strstr(stage->daemon.p, "\"name\":\"x\""));
		assert_sent(&stage->daemon, "check_action_status");
	}
	assert_int_equal(mediator_open(stage->mediator), 1);
}

static void without_a_daemon_it_answers_itself(void **state)
{
	struct stage *stage = *state;
	say(stage, INITIALIZE, 10);
	assert_sent(&stage->client, NULL); /* it may be here in a moment */
	mediator_disconnected(stage->mediator, S("the daemon is not running"), 20);
	assert_sent(&stage->client, "\"protocolVersion\":\"2025-06-18\"");
	say(stage, INITIALIZED, 30);
	say(stage, "{\"id\":1,\"method\":\"tools/list\"}", 30);
	assert_sent(&stage->client, "aileron_diagnostics");
	say(stage, CALL, 30);
	assert_sent(&stage->client, "This did not run: the daemon is not running.");
	say(stage, "{\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"aileron_diagnostics\"}}", 30);
	assert_sent(&stage->client, "\"isError\":false");
	say(stage, "{\"id\":3,\"method\":\"what/ever\"}", 30);
	assert_sent(&stage->client, "\"code\":-32603");
	say(stage, PING, 30);
	assert_sent(&stage->client, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}\n");
	assert_sent(&stage->daemon, NULL);
	/* The daemon comes: it gets the handshake that the client had with us, and the client hears of new tools. */
	mediator_connected(stage->mediator);
	assert_sent(&stage->daemon, "\"method\":\"initialize\"");
	assert_sent(&stage->client, "list_changed");
}

#define MODERN "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}"

static void the_stateless_revision_is_answered_in_its_way(void **state)
{
	struct stage *stage = *state;
	mediator_disconnected(stage->mediator, S("gone"), 0);
	say(stage, "{\"id\":1,\"method\":\"server/discover\",\"params\":{" MODERN "}}", 1);
	assert_sent(&stage->client, "\"resultType\":\"complete\"");
	say(stage, "{\"id\":2,\"method\":\"tools/list\",\"params\":{" MODERN "}}", 1);
	assert_sent(&stage->client, "\"ttlMs\":0,\"cacheScope\":\"private\"");
	/* Asking for a call is a request of that revision, too. */
	mediator_connected(stage->mediator);
	say(stage, "{\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"x\"," MODERN "}}", 1);
	mediator_disconnected(stage->mediator, S("gone"), 2);
	buf_clear(&stage->daemon);
	mediator_connected(stage->mediator);
	assert_non_null(strstr(stage->daemon.p, "check_action_status"));
	assert_sent(&stage->daemon, "}," MODERN "}}\n");
}

static void patience_ends(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	say(stage, CALL, 0);
	mediator_disconnected(stage->mediator, S("lost"), 1000);
	say(stage, PING, 1500);
	assert_int_equal(mediator_deadline(stage->mediator), 1000 + MEDIATOR_PATIENCE_MS);
	mediator_tick(stage->mediator, 999 + MEDIATOR_PATIENCE_MS);
	assert_sent(&stage->client, NULL);
	mediator_tick(stage->mediator, 1000 + MEDIATOR_PATIENCE_MS);
	assert_sent(&stage->client, "\"id\":5");
	mediator_tick(stage->mediator, 999 + MEDIATOR_LOST_MS);
	assert_sent(&stage->client, NULL);
	mediator_tick(stage->mediator, 1000 + MEDIATOR_LOST_MS);
	assert_sent(&stage->client, "it may have run");
	assert_int_equal(mediator_deadline(stage->mediator), UINT64_MAX);
}

/* A token that was revoked meanwhile: half a minute of waiting for a call's answer would lead nowhere. */
static void who_is_refused_does_not_wait(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	say(stage, CALL, 0);
	char call_id[64];
	copy_after(&stage->daemon, "\"aileron/call-id\":\"", call_id, sizeof call_id);
	mediator_disconnected(stage->mediator, S("lost"), 1000);
	say(stage, PING, 1001);
	assert_sent(&stage->client, NULL);
	mediator_refused(stage->mediator, S("the token is not known"), 1002);
	assert_int_equal(mediator_open(stage->mediator), 0);
	assert_non_null(strstr(stage->client.p, "it may have run. Now: the token is not known."));
	assert_non_null(strstr(stage->client.p, call_id));
	buf_clear(&stage->client);
	say(stage, CALL, 1003); /* never sent: it did not run */
	assert_int_equal(mediator_open(stage->mediator), 0);
	assert_null(strstr(stage->client.p, "it may have run"));
	assert_int_equal(mediator_deadline(stage->mediator), UINT64_MAX);
}

static void what_is_cancelled_is_not_answered(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	static const char cancel[] = "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"c\"}}";
	say(stage, CALL, 0);
	say(stage, cancel, 0);
	assert_sent(&stage->daemon, cancel);
	assert_int_equal(mediator_open(stage->mediator), 0);
	mediator_disconnected(stage->mediator, S("lost"), 0);
	say(stage, CALL, 1); /* waits */
	say(stage, cancel, 1);
	assert_int_equal(mediator_open(stage->mediator), 0);
	mediator_connected(stage->mediator);
	assert_null(strstr(stage->daemon.p, "tools/call"));
	buf_clear(&stage->client);
}

static void there_are_limits(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	mediator_from_client_too_long(stage->mediator);
	assert_sent(&stage->client, "-32700");
	for (int i = 0; i < MEDIATOR_OPEN_MAX; i++) {
		AUTO_FREE char *line = xasprintf("{\"id\":%d,\"method\":\"ping\"}", i);
		say(stage, line, 0);
	}
	assert_sent(&stage->client, NULL);
	say(stage, "{\"id\":\"more\",\"method\":\"ping\"}", 0);
	assert_sent(&stage->client, "\"id\":\"more\",\"error\"");
	for (int i = 0; i < MEDIATOR_OPEN_MAX; i++) {
		AUTO_FREE char *line = xasprintf("{\"id\":%d,\"result\":{}}", i);
		answer(stage, line);
	}
	assert_int_equal(mediator_open(stage->mediator), 0);
}

/* Too long to be kept: it is asked for, and never sent again. */
static void a_long_call_is_not_kept(void **state)
{
	struct stage *stage = *state;
	begin(stage);
	AUTO_BUF line = BUF_INIT(MEDIATOR_LINE_MAX);
	buf_add_z(&line,
		  "{\"id\":\"long\",\"method\":\"tools/call\",\"params\":{\"name\":\"x\",\"arguments\":{\"a\":\"");
	for (size_t i = 0; i < MEDIATOR_KEPT_MAX; i++)
		buf_add_char(&line, 'a');
	buf_add_z(&line, "\"}}}");
	say(stage, line.p, 0);
	buf_clear(&stage->daemon);
	mediator_disconnected(stage->mediator, S("lost"), 0);
	mediator_connected(stage->mediator);
	assert_sent(&stage->daemon, "check_action_status");
	buf_clear(&stage->client);
	answer(stage, "{\"id\":\"aileron-guest-2\",\"result\":{\"_meta\":{\"aileron/call\":\"unknown\"}}}");
	assert_sent(&stage->client, "This did not run");
	assert_sent(&stage->daemon, NULL);
	assert_int_equal(mediator_open(stage->mediator), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(short_texts_are_unescaped),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(lines_are_whole),
		cmocka_unit_test(only_numbers_are_addresses),
		cmocka_unit_test_setup_teardown(what_passes_is_untouched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_call_gets_an_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_daemon_that_comes_back_hears_it_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_call_that_it_never_took_is_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_call_is_sent_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_restart_asks_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_daemon_it_answers_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_stateless_revision_is_answered_in_its_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(patience_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_refused_does_not_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_cancelled_is_not_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_are_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_long_call_is_not_kept, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
