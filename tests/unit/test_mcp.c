/* The core behind the door of lines: what a client says and is answered, in five revisions. */
#include "mcp/mcp.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "unit/mcp_lab.h"

#define REQUEST(id, method, params)                                                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define RESULT(id, members) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{" members "}}"
#define FAILED(id, code, message)                                                                                      \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" message "\"}}"
#define MODERN(id, method, members)          REQUEST(id, method, "{" members "\"_meta\":{" LAB_META "{}}}")
#define MODERN_CAN(id, method, members, can) REQUEST(id, method, "{" members "\"_meta\":{" LAB_META "{" can "}}}")
#define COMPLETE(id, members)                RESULT(id, "\"resultType\":\"complete\"" members ",\"_meta\":{" LAB_SERVER_INFO "}")
#define CAN_TASKS                            "\"extensions\":{\"" LAB_P "tasks\":{}}"
#define NEEDS_TASKS(id)                                                                                                \
	"{\"jsonrpc\":\"2.0\",\"id\":" id                                                                              \
	",\"error\":{\"code\":-32021,\"message\":\"the request did not declare the tasks "                             \
	"extension\",\"data\":{\"requiredCapabilities\":{\"extensions\":{\"" LAB_P "tasks\":{}}}}}}"
#define TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"

/* ---- Rows: one line and what comes of it ---- */

struct row {
	const char *name, *line, *said;
};

static void run_rows(struct mcp_lab *lab, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *said = lab_feed(lab, rows[i].line);
		if (strcmp(said, rows[i].said) != 0)
			print_error("row '%s'\n", rows[i].name);
		assert_string_equal(said, rows[i].said);
	}
}

static void messages_are_told_apart(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"nothing", "", ""},
		{"blanks", " \t\r", ""},
		{"ping before the handshake", REQUEST("0", "ping", "{}"), RESULT("0", "")},
		{"line end of Windows", REQUEST("0", "ping", "{}") "\r\n", RESULT("0", "")},
		{"id that is a string", REQUEST("\"server-discover-probe-1\"", "ping", "{}"),
		 RESULT("\"server-discover-probe-1\"", "")},
		{"id of 13 digits", REQUEST("1763731733000", "ping", "{}"), RESULT("1763731733000", "")},
		{"id beyond 64 bits", REQUEST("123456789012345678901234567890", "ping", "{}"),
		 RESULT("123456789012345678901234567890", "")},
		{"negative id", REQUEST("-7", "ping", "{}"), RESULT("-7", "")},
		{"id with escapes, as it was", REQUEST("\"\\u0061\\n\"", "ping", "{}"), RESULT("\"\\u0061\\n\"", "")},
		{"id written last",
		 "{\"method\":\"ping\",\"params\":{\"id\":1,\"a\":[{\"id\":2}]},\"jsonrpc\":\"2.0\", \"id\" : 3 }",
		 RESULT("3", "")},
		{"no params", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", RESULT("1", "")},
		{"unknown members", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":[1]}", RESULT("1", "")},
		{"fraction as id", REQUEST("1.5", "ping", "{}"), ""},
		{"exponent as id", REQUEST("1e3", "ping", "{}"), ""},
		{"null as id", REQUEST("null", "ping", "{}"), ""},
		{"another version of JSON-RPC", "{\"jsonrpc\":\"1.0\",\"id\":4,\"method\":\"ping\"}",
		 FAILED("4", "-32600", "'jsonrpc' is not \\\"2.0\\\"")},
		{"method that is no string", "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":5}",
		 FAILED("4", "-32600", "'method' is not a string")},
		{"neither request nor response", "{\"jsonrpc\":\"2.0\",\"id\":4}",
		 FAILED("4", "-32600", "there is neither 'method' nor 'result' nor 'error'")},
		{"a number", "5", ""},
		{"notification that is not known", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/what\"}", ""},
		{"request's method as notification", "{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}", ""},
		{"cancelling nothing",
		 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":9}}", ""},
		{"cancelling without an id", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}", ""},
		{"response to nothing", "{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"result\":{}}", ""},
		{"error to nothing", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"?\"}}",
		 ""},
		{"before the handshake", REQUEST("1", "tools/list", "{}"),
		 FAILED("1", "-32600", "'initialize' comes before any other request")},
		{"initialize without a version", REQUEST("1", "initialize", "{}"),
		 FAILED("1", "-32602", "'protocolVersion' is missing or not a string")},
		{"positional params", REQUEST("1", "initialize", "[1]"),
		 FAILED("1", "-32602", "'params' is not an object")},
	};
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	run_rows(lab, rows, ARRAY_LEN(rows));
}

#define UNREADABLE                                                                                                     \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"the message is not JSON as RFC 8259 has it, "   \
	"or repeats a key\"}}"
static void what_cannot_be_read_is_told_once(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	assert_string_equal(lab_feed(lab, "{"), UNREADABLE);
	assert_string_equal(lab_feed(lab, UNREADABLE), ""); /* an error is never answered, so two of us do not storm */
	assert_string_equal(lab_feed(lab, "{\"a\":1,\"a\":2}"), "");
	assert_string_equal(lab_feed(lab, "[]"), "");
	mcp_peer_too_long(lab->peer);
	assert_string_equal(lab_said(lab), "");
	assert_string_equal(lab_feed(lab, REQUEST("1", "ping", "{}")), RESULT("1", ""));
	assert_string_equal(lab_feed(lab, "\xff"), UNREADABLE);

	AUTO_BUF line = BUF_INIT(MCP_MESSAGE_MAX + 64);
	buf_add_str(&line, S("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"));
	while (line.n <= MCP_MESSAGE_MAX)
		buf_add_char(&line, line.n == MCP_MESSAGE_MAX ? '}' : ' ');
	(void)lab_feed(lab, REQUEST("1", "ping", "{}"));
	assert_string_equal(
		lab_feed(lab, line.p),
		"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"a message has at most 4 MiB\"}}");
}

/* ---- Handshakes ---- */

#define LEGACY_CAPABILITIES(completions)                                                                               \
	"{\"tools\":{\"listChanged\":true},\"resources\":{\"subscribe\":true,\"listChanged\":true},\"prompts\":{"      \
	"\"listChanged\":true}," completions "\"logging\":{}}"
#define GREETED(version, completions)                                                                                  \
	RESULT("1", "\"protocolVersion\":\"" version "\",\"capabilities\":" LEGACY_CAPABILITIES(                       \
			    completions) ",\"serverInfo\":{\"name\":\"lab\",\"version\":\"1\"},\"instructions\":\"Be " \
					 "brief.\"")
#define GREET(version)                                                                                                 \
	REQUEST("1", "initialize", "{\"protocolVersion\":\"" version "\",\"capabilities\":{},\"clientInfo\":{}}")

static void versions_are_negotiated(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"first", GREET("2024-11-05"), GREETED("2024-11-05", "")},
		{"second", GREET("2025-03-26"), GREETED("2025-03-26", "\"completions\":{},")},
		{"third", GREET("2025-06-18"), GREETED("2025-06-18", "\"completions\":{},")},
		{"fourth", GREET("2025-11-25"), GREETED("2025-11-25", "\"completions\":{},")},
		{"one that has no handshake", GREET("2026-07-28"), GREETED("2025-11-25", "\"completions\":{},")},
		{"one that nobody knows", GREET("3000-01-01"), GREETED("2025-11-25", "\"completions\":{},")},
		{"none", GREET(""), GREETED("2025-11-25", "\"completions\":{},")},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(mcp_lab) *lab = mcp_lab_new(0);
		lab_connect(lab, "a");
		run_rows(lab, &rows[i], 1);
	}
}

static void both_eras_share_a_pipe(void **state)
{
	(void)state;
	/* A client was seen to discover, and then to begin a handshake on the same process. */
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	static const char discovered[] =
		COMPLETE("\"server-discover-probe-1\"",
			 ",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{\"listChanged\":true},"
			 "\"resources\":{\"subscribe\":true,"
			 "\"listChanged\":true},\"prompts\":{\"listChanged\":true},\"completions\":{},\"logging\":{},"
			 "\"extensions\":{\"" LAB_P
			 "tasks\":{}}},\"instructions\":\"Be brief.\",\"ttlMs\":5000,\"cacheScope\":\"private\"");
	static const char discover[] = MODERN_CAN("\"server-discover-probe-1\"", "server/discover", "",
						  "\"elicitation\":{},\"roots\":{\"listChanged\":true},\"what\":7");
	assert_string_equal(lab_feed(lab, discover), discovered);
	assert_string_equal(lab_feed(lab, GREET("2025-06-18")), GREETED("2025-06-18", "\"completions\":{},"));
	assert_string_equal(lab_feed(lab, discover), discovered);
	assert_string_equal(lab_feed(lab, REQUEST("2", "ping", "{}")), RESULT("2", ""));
	assert_string_equal(lab_feed(lab, MODERN("2", "ping", "")),
			    FAILED("2", "-32601", "this server has no such method"));
	assert_string_equal(lab_feed(lab, REQUEST("2", "server/discover", "{}")),
			    FAILED("2", "-32601", "this server has no such method"));
}

/* ---- Legacy requests ---- */

#define CALL(id, arguments) REQUEST(id, "tools/call", "{\"name\":\"act\",\"arguments\":" arguments "}")
static void legacy_requests_are_answered(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"call without arguments", REQUEST("1", "tools/call", "{\"name\":\"echo\"}"),
		 RESULT("1", "\"content\":[" TEXT("{}") "],\"structuredContent\":{}")},
		{"arguments that are null", REQUEST("1", "tools/call", "{\"name\":\"echo\",\"arguments\":null}"),
		 RESULT("1", "\"content\":[" TEXT("{}") "],\"structuredContent\":{}")},
		{"arguments as they were sent",
		 REQUEST("1", "tools/call",
			 "{\"name\":\"echo\",\"arguments\":{\"n\":1.0, \"m\":12345678901234567890}}"),
		 RESULT("1",
			"\"content\":[" TEXT(
				"{\\\"n\\\":1.0, \\\"m\\\":12345678901234567890}") "],\"structuredContent\":{\"n\":1.0,"
										   " \"m\":12345678901234567890}")},
		{"arguments that are no object", REQUEST("1", "tools/call", "{\"name\":\"echo\",\"arguments\":[]}"),
		 FAILED("1", "-32602", "'arguments' is not an object")},
		{"no name", REQUEST("1", "tools/call", "{}"),
		 FAILED("1", "-32602", "'name' is missing or not a string")},
		{"no such tool", REQUEST("1", "tools/call", "{\"name\":\"Echo\"}"),
		 FAILED("1", "-32602", "there is no tool 'Echo'")},
		{"error of the tool", CALL("1", "{\"do\":\"error\"}"),
		 RESULT("1", "\"content\":[" TEXT("no\\nluck") "],\"isError\":true")},
		{"error of the protocol", CALL("1", "{\"do\":\"internal\"}"), FAILED("1", "-32603", "broke")},
		{"answer that is too large", CALL("1", "{\"do\":\"huge\"}"),
		 FAILED("1", "-32603", "the answer is larger than this server sends")},
		{"a task is nothing for a session", CALL("1", "{\"do\":\"task\"}"),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32021,\"message\":\"the request needs a "
		 "capability that the client did not "
		 "declare\",\"data\":{\"requiredCapabilities\":{\"extensions\":{\"" LAB_P "tasks\":{}}}}}}"},
		{"task member is ignored", REQUEST("1", "tools/call", "{\"name\":\"act\",\"task\":{\"ttl\":1}}"),
		 RESULT("1", "\"content\":[]")},
		{"who", CALL("1", "{\"do\":\"who\"}"), RESULT("1", "\"content\":[" TEXT("c 2") "," TEXT("a") "]")},
		{"prompts", REQUEST("1", "prompts/list", "{}"), RESULT("1", "\"prompts\":[{\"name\":\"p\"}]")},
		{"templates", REQUEST("1", "resources/templates/list", "{}"), RESULT("1", "\"resourceTemplates\":[]")},
		{"prompt", REQUEST("1", "prompts/get", "{\"name\":\"p\"}"), RESULT("1", "\"messages\":[]")},
		{"resource", REQUEST("1", "resources/read", "{\"uri\":\"x:y\"}"),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32002,\"message\":\"none\",\"data\":{\"uri\":\"x:"
		 "y\"}}}"},
		{"completion",
		 REQUEST("1", "completion/complete",
			 "{\"ref\":{\"type\":\"ref/"
			 "prompt\",\"name\":\"p\"},\"argument\":{\"name\":\"a\",\"value\":\"\"}}"),
		 RESULT("1", "\"completion\":{\"values\":[]}")},
		{"completion of nothing", REQUEST("1", "completion/complete", "{}"),
		 FAILED("1", "-32602", "'ref' and 'argument' are needed, with 'type', 'name' and 'value'")},
		{"level", REQUEST("1", "logging/setLevel", "{\"level\":\"error\"}"), RESULT("1", "")},
		{"no level", REQUEST("1", "logging/setLevel", "{\"level\":\"loud\"}"),
		 FAILED("1", "-32602",
			"'level' is no level; there are debug, info, notice, warning, error, critical, alert and "
			"emergency")},
		{"discovery is of the other era", REQUEST("1", "server/discover", "{}"),
		 FAILED("1", "-32601", "this server has no such method")},
		{"tasks of 2025-11-25 are not offered", REQUEST("1", "tasks/list", "{}"),
		 FAILED("1", "-32601", "this server has no such method")},
	};
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	run_rows(lab, rows, ARRAY_LEN(rows));
}

static void what_is_not_offered_does_not_exist(void **state)
{
	(void)state;
	static const char *const methods[] = {"tools/list",          "tools/call",          "prompts/list",
					      "prompts/get",         "resources/list",      "resources/templates/list",
					      "resources/read",      "resources/subscribe", "resources/unsubscribe",
					      "completion/complete", "logging/setLevel",    "subscriptions/listen",
					      "tasks/get",           "tasks/update",        "tasks/cancel"};
	struct mcp_lab *lab = NEW(struct mcp_lab);
	lab->out = BUF_INIT(1 << 20);
	lab_start(lab, &(struct mcp_backend){.name = S("bare"), .version = S("1")}, 0);
	lab_connect(lab, "a");
	assert_string_equal(lab_feed(lab, GREET("2025-06-18")),
			    RESULT("1", "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},\"serverInfo\":{"
					"\"name\":\"bare\",\"version\":"
					"\"1\"}"));
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		static const char *const shapes[] = {
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{}}",
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"_meta\":{" LAB_META "{}}}}"};
		for (size_t k = 0; k < ARRAY_LEN(shapes); k++) {
			AUTO_BUF line = BUF_INIT(1 << 16);
			struct str before, after;
			after = str_cut(str_from(shapes[k]), '%', &before);
			buf_add_str(&line, before);
			buf_add_z(&line, methods[i]);
			buf_add_str(&line, str_slice(after, 1, after.n));
			assert_string_equal(lab_feed(lab, line.p),
					    FAILED("1", "-32601", "this server has no such method"));
		}
	}
	mcp_lab_free(lab);
}

/* ---- Lists ---- */

#define ECHO_BEGIN "{\"name\":\"echo\","
#define ECHO_MID                                                                                                       \
	"\"description\":\"Says it again\",\"inputSchema\":{\"type\":\"object\",  "                                    \
	"\"properties\":{\"t\":{\"type\":\"string\"}}}"
#define ACT_PLAIN                                                                                                      \
	"{\"name\":\"act\",\"description\":\"Does "                                                                    \
	"it\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"do\":{\"type\":\"string\","                       \
	"\"x-mcp-header\":\"Do\"},\"n\":{\"type\":\"integer\",\"x-mcp-header\":\"N\"}}}"
static void a_revision_is_told_what_it_knows(void **state)
{
	(void)state;
	static const struct {
		const char *version, *tools;
	} rows[] = {
		{"2024-11-05", ECHO_BEGIN ECHO_MID "}," ACT_PLAIN "}"},
		{"2025-03-26", ECHO_BEGIN ECHO_MID ",\"annotations\":{\"readOnlyHint\":true}}," ACT_PLAIN "}"},
		{"2025-06-18", ECHO_BEGIN "\"title\":\"Echo\"," ECHO_MID
					  ",\"outputSchema\":{\"type\":\"object\"},\"annotations\":{\"readOnlyHint\":"
					  "true},\"_meta\":{\"a.b/c\":1}}," ACT_PLAIN "}"},
		{"2025-11-25", ECHO_BEGIN "\"title\":\"Echo\"," ECHO_MID
					  ",\"outputSchema\":{\"type\":\"object\"},\"annotations\":{\"readOnlyHint\":"
					  "true},\"_meta\":{\"a.b/c\":1}}," ACT_PLAIN "}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(mcp_lab) *lab = mcp_lab_new(0);
		lab_connect(lab, "a");
		lab_greet(lab, rows[i].version, "{}");
		AUTO_FREE char *expected =
			xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[%s]}}", rows[i].tools);
		assert_string_equal(lab_feed(lab, REQUEST("1", "tools/list", "{}")), expected);
		assert_string_equal(lab_feed(lab, REQUEST("1", "tools/list", "{}")), expected); /* as it was kept */
	}
	/* Before 2025-06-18 nothing is structured; an array may be since 2026-07-28. */
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-03-26", "{}");
	assert_string_equal(lab_feed(lab, REQUEST("1", "tools/call", "{\"name\":\"echo\"}")),
			    RESULT("1", "\"content\":[" TEXT("{}") "]"));
	assert_non_null(strstr(lab_feed(lab, MODERN("1", "tools/list", "")), "\"outputSchema\":{\"type\":\"array\"}"));
}

static void a_changed_list_is_told_anew(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	assert_null(strstr(lab_feed(lab, REQUEST("1", "tools/list", "{}")), "tool_2"));
	lab_add_tools(lab, 3);
	assert_non_null(strstr(lab_feed(lab, REQUEST("1", "tools/list", "{}")), "tool_2"));
}

/* The cursor of the page that was said last, into `ret`; false at the end. */
static bool cursor_of(const char *said, char ret[256])
{
	AUTO(json) *page = json_parse(str_from(said), JSON_READ_STRICT, NULL);
	struct str cursor;
	if (!json_get_str(json_member(json_member(page, S("result")), S("nextCursor")), &cursor))
		return false;
	snprintf(ret, 256, "%.*s", STR_FMT(cursor));
	return true;
}

static const char *feed_cursor(struct mcp_lab *lab, const char *method, const char *cursor)
{
	AUTO_FREE char *line = xasprintf(
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"cursor\":\"%s\"}}", method, cursor);
	return lab_feed(lab, line);
}

static void pages_follow_one_another(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(7);
	lab_add_tools(lab, 50);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	char cursor[256];
	const char *said = lab_feed(lab, REQUEST("1", "tools/list", "{}"));
	size_t n = 0;
	for (size_t pages = 1;; pages++) {
		for (const char *at = said; (at = strstr(at, "{\"name\":\"")) != NULL; at++) {
			if (n >= 2)
				assert_int_equal(strncmp(at + 9, lab->names[n], strlen(lab->names[n])), 0);
			n++;
		}
		if (!cursor_of(said, cursor)) {
			assert_int_equal(pages, 8);
			break;
		}
		said = feed_cursor(lab, "tools/list", cursor);
	}
	assert_int_equal(n, 50);
}

#define BAD_CURSOR                                                                                                     \
	FAILED("1", "-32602", "'cursor' is not one that this server gave for this list as it is now; begin without one")
static void a_cursor_is_ours_or_none(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(1);
	lab_add_tools(lab, 4);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	char cursor[256], other[256];
	assert_true(cursor_of(lab_feed(lab, REQUEST("1", "tools/list", "{}")), cursor));
	assert_string_equal(feed_cursor(lab, "prompts/list", cursor), BAD_CURSOR);
	assert_string_equal(feed_cursor(lab, "tools/list", ""), BAD_CURSOR);
	assert_string_equal(feed_cursor(lab, "tools/list", "bm8"), BAD_CURSOR);
	assert_string_equal(lab_feed(lab, REQUEST("1", "tools/list", "{\"cursor\":1}")), BAD_CURSOR);
	for (size_t i = 0; i < strlen(cursor); i++) {
		memcpy(other, cursor, sizeof other);
		other[i] = other[i] == 'A' ? 'B' : 'A';
		assert_string_equal(feed_cursor(lab, "tools/list", other), BAD_CURSOR);
	}
	assert_true(cursor_of(feed_cursor(lab, "tools/list", cursor), other)); /* behind "echo" */
	lab->items[1].name = S("renamed");
	lab->tools.generation++;
	assert_string_equal(feed_cursor(lab, "tools/list", other), BAD_CURSOR); /* behind "act", which is gone */
}

/* ---- Batches ---- */

static void batches_are_of_one_revision(void **state)
{
	(void)state;
	static const char batch[] =
		"[" REQUEST("1", "ping", "{}") ",{\"jsonrpc\":\"2.0\",\"method\":\"notifications/what\"}, "
					       "5," REQUEST("\"b\"", "tools/call",
							    "{\"name\":\"echo\"}") ",[]," GREET("2025-06-18") "]";
	static const char refused[] =
		"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"a batch is not accepted here\"}}";
	static const char *const versions[] = {"2024-11-05", "2025-06-18", "2025-11-25"};
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		AUTO(mcp_lab) *lab = mcp_lab_new(0);
		lab_connect(lab, "a");
		lab_greet(lab, versions[i], "{}");
		assert_string_equal(lab_feed(lab, batch), refused);
	}
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	assert_string_equal(lab_feed(lab, batch), refused);
	lab_greet(lab, "2025-03-26", "{}");
	assert_string_equal(
		lab_feed(lab, batch),
		"[" RESULT("1", "") ",{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"a message is a "
				    "JSON object\"}}," RESULT(
					    "\"b\"",
					    "\"content\":[" TEXT("{}") "]") ",{\"jsonrpc\":\"2.0\",\"error\":{\"code\":"
									    "-32600,\"message\":\"a batch "
									    "within a batch\"}}," FAILED(
										    "1", "-32600",
										    "'initialize' stands alone") "]");
	assert_string_equal(lab_feed(lab, "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/what\"}]"), "");
	assert_string_equal(lab_feed(lab, "[]"), refused);
	(void)lab_feed(lab, REQUEST("1", "ping", "{}"));
	assert_string_equal(lab_feed(lab, "[" REQUEST("1", "ping", "{}") "," MODERN("2", "tools/list", "") "]"),
			    refused);
}

static void a_batch_waits_for_its_last_answer(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab->jobs_max = 4;
	lab_connect(lab, "a");
	lab_greet(lab, "2025-03-26", "{}");
	assert_string_equal(lab_feed(lab, "[" CALL("1", "{}") "," REQUEST("2", "ping", "{}") "]"), "");
	lab_work(lab);
	assert_string_equal(lab_said(lab), "[" RESULT("2", "") "," RESULT("1", "\"content\":[]") "]");
}

/* ---- While a request is served ---- */

#define CANCEL(id) "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":" id "}}"
static void what_is_cancelled_is_not_answered(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab->jobs_max = 8;
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	(void)lab_feed(lab, CALL("0", "{\"do\":\"cancelled\"}"));
	(void)lab_feed(lab, MODERN("\"0\"", "tools/call", "\"name\":\"act\","));
	(void)lab_feed(lab, CALL("1", "{}"));
	assert_int_equal(mcp_peer_open(lab->peer), 3);
	assert_string_equal(lab_feed(lab, CANCEL("0")), "");
	assert_string_equal(lab_feed(lab, CANCEL("\"0\"")), "");
	assert_string_equal(lab_feed(lab, REQUEST("5", "ping", "{}")), RESULT("5", "")); /* meanwhile */
	lab_work(lab);
	assert_string_equal(lab_said(lab), RESULT("1", "\"content\":[]"));
	assert_true(lab->was_cancelled);
	assert_int_equal(mcp_peer_open(lab->peer), 0);

	/* All are given up at the server's end, and those are answered. */
	lab->was_cancelled = false;
	(void)lab_feed(lab, CALL("3", "{\"do\":\"cancelled\"}"));
	mcp_cancel_all(lab->mcp);
	lab_work(lab);
	assert_true(lab->was_cancelled);
	assert_string_equal(lab_said(lab), RESULT("3", "\"content\":[]"));
}

static void a_peer_that_is_gone_has_cancelled(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab->jobs_max = 8;
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	(void)lab_feed(lab, CALL("0", "{\"do\":\"cancelled\"}"));
	mcp_peer_free(TAKE(lab->peer));
	lab_work(lab);
	assert_true(lab->was_cancelled);
	assert_string_equal(lab_said(lab), "");
}

static void too_many_at_once_are_refused(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab->jobs_max = LAB_JOBS;
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	for (size_t i = 0; i < MCP_OPEN_MAX; i++)
		assert_string_equal(lab_feed(lab, CALL("1", "{}")), "");
	assert_string_equal(lab_feed(lab, CALL("2", "{}")),
			    FAILED("2", "-32603", "too many requests are under way; wait for one to end"));
	lab_work(lab);
	(void)lab_said(lab);
	lab->jobs_max = 1;
	(void)lab_feed(lab, CALL("1", "{}"));
	assert_string_equal(lab_feed(lab, CALL("2", "{}")), FAILED("2", "-32603", "the server is busy; try again"));
}

#define WITH_TOKEN(id, token, what)                                                                                    \
	REQUEST(id, "tools/call",                                                                                      \
		"{\"name\":\"act\",\"arguments\":{\"do\":\"" what "\"},\"_meta\":{\"progressToken\":" token "}}")
#define PROGRESS(token, members)                                                                                       \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":" token "," members  \
	"}}"
static void progress_only_grows(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	assert_string_equal(lab_feed(lab, WITH_TOKEN("0", "0", "progress")),
			    PROGRESS("0", "\"progress\":1,\"message\":\"one\"") "\n" PROGRESS(
				    "0", "\"progress\":3,\"total\":4") "\n" RESULT("0", "\"content\":[]"));
	assert_string_equal(lab_feed(lab, WITH_TOKEN("1", "\"t\"", "progress")),
			    PROGRESS("\"t\"", "\"progress\":1,\"message\":\"one\"") "\n" PROGRESS(
				    "\"t\"", "\"progress\":3,\"total\":4") "\n" RESULT("1", "\"content\":[]"));
	assert_string_equal(lab_feed(lab, CALL("1", "{\"do\":\"progress\"}")), RESULT("1", "\"content\":[]"));
	assert_string_equal(lab_feed(lab, WITH_TOKEN("1", "1.5", "progress")), RESULT("1", "\"content\":[]"));
	lab_greet(lab, "2024-11-05", "{}"); /* which has no messages there */
	assert_string_equal(lab_feed(lab, WITH_TOKEN("1", "2", "progress")),
			    PROGRESS("2", "\"progress\":1") "\n" PROGRESS(
				    "2", "\"progress\":3,\"total\":4") "\n" RESULT("1", "\"content\":[]"));
}

static void a_silent_request_is_said_to_go_on(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab->jobs_max = 4;
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	(void)lab_feed(lab, WITH_TOKEN("0", "0", "progress"));
	(void)lab_feed(lab, CALL("1", "{}")); /* without a token nothing is said of it */
	lab->now_ns += (MCP_PROGRESS_MS - 1) * TIME_MILLISECOND;
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), "");
	lab->now_ns += TIME_MILLISECOND;
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), PROGRESS("0", "\"progress\":15"));
	lab->now_ns += MCP_PROGRESS_MS * TIME_MILLISECOND;
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), PROGRESS("0", "\"progress\":15.000016"));
	_Static_assert(MCP_PROGRESS_MS <= 20000 - 1000, "with a tick each second it is said within 20 s");
	lab_work(lab);
	assert_string_equal(lab_said(lab),
			    RESULT("0", "\"content\":[]") "\n" RESULT("1", "\"content\":[]")); /* 1 and 3 are less */
}

#define LOGGED(level, rest)                                                                                            \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"" level "\"," rest "}}"
#define MODERN_LOG(level)                                                                                              \
	REQUEST("1", "tools/call",                                                                                     \
		"{\"name\":\"act\",\"arguments\":{\"do\":\"log\"},\"_meta\":{" LAB_META "{}" level "}}")
static void logs_are_told_from_the_level_on(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{}");
	static const char call[] = CALL("1", "{\"do\":\"log\"}"), done[] = RESULT("1", "\"content\":[]");
	static const char debug[] = LOGGED("debug", "\"logger\":\"l\",\"data\":1"),
			  info[] = LOGGED("info", "\"logger\":\"l\",\"data\":2");
	static const char error[] = LOGGED("error", "\"data\":3");
	AUTO_FREE char *from_info = xasprintf("%s\n%s\n%s", info, error, done);
	AUTO_FREE char *from_debug = xasprintf("%s\n%s", debug, from_info);
	assert_string_equal(lab_feed(lab, call), from_info);
	(void)lab_feed(lab, REQUEST("2", "logging/setLevel", "{\"level\":\"debug\"}"));
	assert_string_equal(lab_feed(lab, call), from_debug);
	(void)lab_feed(lab, REQUEST("2", "logging/setLevel", "{\"level\":\"critical\"}"));
	assert_string_equal(lab_feed(lab, call), done);
	/* The other era: nothing unless the request says so, whatever the session said. */
	static const char modern[] = COMPLETE("1", ",\"content\":[]");
	AUTO_FREE char *modern_error = xasprintf("%s\n%s", error, modern);
	assert_string_equal(lab_feed(lab, MODERN_LOG("")), modern);
	assert_string_equal(lab_feed(lab, MODERN_LOG(",\"" LAB_P "logLevel\":\"warning\"")), modern_error);
	assert_string_equal(lab_feed(lab, MODERN_LOG(",\"" LAB_P "logLevel\":\"loud\"")),
			    FAILED("1", "-32602", "'" LAB_P "logLevel' is no level"));
}

/* ---- Questions to the client ---- */

static void *work_elsewhere(void *user)
{
	lab_work(user);
	return NULL;
}

/* Has the one job done elsewhere, and waits until the next message is out. */
static const char *await_message(struct mcp_lab *lab, pthread_t *ret)
{
	while (sem_trywait(&lab->said) == 0)
		;
	assert_int_equal(pthread_create(ret, NULL, work_elsewhere, lab), 0);
	sem_wait(&lab->said);
	return lab_said(lab);
}

#define QUESTION(id) REQUEST("\"ask-" id "\"", "roots/list", "{}")
static void a_client_is_asked_and_answers(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	pthread_t thread;
	lab->jobs_max = 4;
	lab_connect(lab, "a");
	lab_greet(lab, "2025-11-25", "{\"roots\":{}}");
	(void)lab_feed(lab, CALL("1", "{\"do\":\"ask\"}"));
	assert_string_equal(await_message(lab, &thread), QUESTION("1"));
	mcp_peer_feed(lab->peer, S("{\"jsonrpc\":\"2.0\",\"id\":\"ask-2\",\"result\":{\"text\":\"wrong\"}}"));
	mcp_peer_feed(lab->peer, S("{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"result\":{\"text\":\"here\"}}"));
	mcp_peer_feed(lab->peer, S("{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"result\":{\"text\":\"twice\"}}"));
	pthread_join(thread, NULL);
	assert_string_equal(lab_said(lab), RESULT("1", "\"content\":[" TEXT("here") "]"));

	(void)lab_feed(lab, CALL("1", "{\"do\":\"ask\"}"));
	assert_string_equal(await_message(lab, &thread), QUESTION("2"));
	mcp_peer_feed(lab->peer,
		      S("{\"jsonrpc\":\"2.0\",\"id\":\"ask-2\",\"error\":{\"code\":-1,\"message\":\"never\"}}"));
	pthread_join(thread, NULL);
	assert_string_equal(lab_said(lab), RESULT("1", "\"content\":[" TEXT("the client refused: never") "]"));

	/* The request is cancelled while the client is asked: the question is taken back, nothing is answered. */
	(void)lab_feed(lab, CALL("1", "{\"do\":\"ask\"}"));
	assert_string_equal(await_message(lab, &thread), QUESTION("3"));
	mcp_peer_feed(lab->peer, S(CANCEL("1")));
	pthread_join(thread, NULL);
	assert_string_equal(lab_said(lab), CANCEL("\"ask-3\""));
}

static void who_cannot_be_asked_is_not(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	static const char refused[] = RESULT("1", "\"content\":[" TEXT("the client cannot be asked 'roots/list'") "]");
	lab_greet(lab, "2025-11-25", "{\"sampling\":{}}");
	assert_string_equal(lab_feed(lab, CALL("1", "{\"do\":\"ask\"}")), refused);
	static const char modern[] =
		REQUEST("1", "tools/call",
			"{\"name\":\"act\",\"arguments\":{\"do\":\"ask\"},\"_meta\":{" LAB_META "{\"roots\":{}}}}");
	assert_string_equal(lab_feed(lab, modern),
			    COMPLETE("1", ",\"content\":[" TEXT("the client cannot be asked 'roots/list'") "]"));
}

/* ---- Revision 2026-07-28 ---- */

#define FORMS "\"elicitation\":{\"form\":{}}"
static void requests_that_stand_alone_are_answered(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"discovery without _meta", REQUEST("1", "server/discover", "{}"),
		 FAILED("1", "-32602", "params._meta has no '" LAB_P "protocolVersion' that is a string")},
		{"no capabilities",
		 REQUEST("1", "tools/list", "{\"_meta\":{\"" LAB_P "protocolVersion\":\"2026-07-28\"}}"),
		 FAILED("1", "-32602", "params._meta has no '" LAB_P "clientCapabilities' that is an object")},
		{"capabilities that are a list",
		 REQUEST("1", "tools/list",
			 "{\"_meta\":{\"" LAB_P "protocolVersion\":\"2026-07-28\",\"" LAB_P
			 "clientCapabilities\":[]}}"),
		 FAILED("1", "-32602", "params._meta has no '" LAB_P "clientCapabilities' that is an object")},
		{"a claim of a revision with a handshake",
		 REQUEST("1", "tools/list",
			 "{\"_meta\":{\"" LAB_P "protocolVersion\":\"2025-11-25\",\"" LAB_P
			 "clientCapabilities\":{}}}"),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32022,\"message\":\"this server does not serve "
		 "single requests of that "
		 "revision\",\"data\":{\"supported\":[\"2026-07-28\"],\"requested\":\"2025-11-25\"}}}"},
		{"initialize", MODERN("1", "initialize", ""), FAILED("1", "-32601", "this server has no such method")},
		{"setLevel", MODERN("1", "logging/setLevel", ""),
		 FAILED("1", "-32601", "this server has no such method")},
		{"list", MODERN("1", "prompts/list", ""),
		 COMPLETE("1", ",\"prompts\":[{\"name\":\"p\"}],\"ttlMs\":5000,\"cacheScope\":\"private\"")},
		{"call", MODERN("1", "tools/call", "\"name\":\"echo\",\"arguments\":{\"t\":\"x\"},"),
		 COMPLETE("1", ",\"content\":[" TEXT("{\\\"t\\\":\\\"x\\\"}") "],\"structuredContent\":{\"t\":\"x\"}")},
		{"resource that is not", MODERN("1", "resources/read", "\"uri\":\"x:y\","),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,\"message\":\"none\",\"data\":{\"uri\":\"x:"
		 "y\"}}}"},
		{"needs", MODERN("1", "tools/call", "\"name\":\"act\",\"arguments\":{\"do\":\"needs\"},"),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32021,\"message\":\"the request needs a "
		 "capability that the client did not "
		 "declare\",\"data\":{\"requiredCapabilities\":{\"sampling\":{}}}}}"},
		{"who",
		 REQUEST("1", "tools/call",
			 "{\"name\":\"act\",\"arguments\":{\"do\":\"who\"},\"_meta\":{" LAB_META "{},\"" LAB_P
			 "clientInfo\":{\"name\":\"m\"}}}"),
		 COMPLETE("1", ",\"content\":[" TEXT("m") "," TEXT("a") "]")},
		{"asks what the client cannot",
		 MODERN("1", "tools/call", "\"name\":\"act\",\"arguments\":{\"do\":\"asks\"},"),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32021,\"message\":\"the request needs a "
		 "capability that the client did not "
		 "declare\",\"data\":{\"requiredCapabilities\":{\"elicitation\":{\"form\":{}}}}}}"},
		{"inputResponses that are null", MODERN("1", "tools/call", "\"name\":\"act\",\"inputResponses\":null,"),
		 FAILED("1", "-32602", "'inputResponses' is not an object")},
		{"an input that is no object",
		 MODERN("1", "tools/call", "\"name\":\"act\",\"inputResponses\":{\"k\":12345},"),
		 FAILED("1", "-32602", "an answer in 'inputResponses' is not an object")},
		{"a state that is none", MODERN("1", "tools/call", "\"name\":\"act\",\"requestState\":\"x\","),
		 FAILED("1", "-32602",
			"'requestState' is not one that this server gave for this request, or is too old")},
	};
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	run_rows(lab, rows, ARRAY_LEN(rows));
}

static void tasks_are_for_who_declared_them(void **state)
{
	(void)state;
#define TASK_MEMBERS(status)                                                                                           \
	"\"taskId\":\"tk_1\",\"status\":\"" status                                                                     \
	"\",\"statusMessage\":\"waiting\",\"createdAt\":\"1970-01-01T00:00:01.000Z\",\"lastUpdatedAt\":"               \
	"\"1970-01-01T00:00:02.000Z\",\"ttlMs\":600000,\"pollIntervalMs\":2000"
#define TASK_META "\"_meta\":{\"a.b/c\":1," LAB_SERVER_INFO "}"
	static const struct row rows[] = {
		{"a task, undeclared", MODERN("1", "tools/call", "\"name\":\"act\",\"arguments\":{\"do\":\"task\"},"),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32021,\"message\":\"the request needs a "
		 "capability that the client did not "
		 "declare\",\"data\":{\"requiredCapabilities\":{\"extensions\":{\"" LAB_P "tasks\":{}}}}}}"},
		{"a task",
		 MODERN_CAN("1", "tools/call", "\"name\":\"act\",\"arguments\":{\"do\":\"task\"},", CAN_TASKS),
		 RESULT("1", "\"resultType\":\"task\"," TASK_MEMBERS("working") "," TASK_META)},
		{"get, undeclared, before it is looked for", MODERN("1", "tasks/get", "\"taskId\":\"nope\","),
		 NEEDS_TASKS("1")},
		{"cancel, undeclared", MODERN("1", "tasks/cancel", "\"taskId\":\"tk_1\","), NEEDS_TASKS("1")},
		{"listen, undeclared",
		 MODERN("1", "subscriptions/listen", "\"notifications\":{\"taskIds\":[\"tk_1\"]},"), NEEDS_TASKS("1")},
		{"get without an id", MODERN_CAN("1", "tasks/get", "", CAN_TASKS),
		 FAILED("1", "-32602", "'taskId' is missing or not a string")},
		{"get of none", MODERN_CAN("1", "tasks/get", "\"taskId\":\"nope\",", CAN_TASKS),
		 FAILED("1", "-32602", "there is no such task")},
		{"get", MODERN_CAN("1", "tasks/get", "\"taskId\":\"tk_1\",", CAN_TASKS),
		 RESULT("1", "\"resultType\":\"complete\"," TASK_MEMBERS(
				     "completed") ",\"result\":{\"resultType\":\"complete\",\"content\":"
						  "[" TEXT("done") "],\"structuredContent\":{\"n\":1}}"
								   "," TASK_META)},
		{"update without inputs", MODERN_CAN("1", "tasks/update", "\"taskId\":\"tk_1\",", CAN_TASKS),
		 FAILED("1", "-32602", "'inputResponses' is missing or not an object")},
		{"update", MODERN_CAN("1", "tasks/update", "\"taskId\":\"tk_1\",\"inputResponses\":{},", CAN_TASKS),
		 COMPLETE("1", "")},
		{"cancel", MODERN_CAN("1", "tasks/cancel", "\"taskId\":\"tk_1\",", CAN_TASKS), COMPLETE("1", "")},
		{"of before", MODERN_CAN("1", "tasks/result", "\"taskId\":\"tk_1\",", CAN_TASKS),
		 FAILED("1", "-32601", "this server has no such method")},
	};
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	run_rows(lab, rows, ARRAY_LEN(rows));
	assert_string_equal(lab->updated_task, "tk_1");
	assert_string_equal(lab->cancelled_task, "tk_1");
}

/* The requestState that was said last. */
static void state_of(const char *said, char ret[512])
{
	AUTO(json) *page = json_parse(str_from(said), JSON_READ_STRICT, NULL);
	struct str state;
	assert_true(json_get_str(json_member(json_member(page, S("result")), S("requestState")), &state));
	snprintf(ret, 512, "%.*s", STR_FMT(state));
}

static const char *feed_round(struct mcp_lab *lab, const char *arguments, const char *state)
{
	AUTO_FREE char *line = xasprintf(
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"act\",\"arguments\":%s,"
		"\"inputResponses\":{\"k\":{\"action\":\"accept\"},\"other\":{}},\"requestState\":\"%s\",\"_meta\":"
		"{" LAB_META "{" FORMS "}}}}",
		arguments, state);
	return lab_feed(lab, line);
}

#define STATE_REFUSED                                                                                                  \
	FAILED("2", "-32602", "'requestState' is not one that this server gave for this request, or is too old")
static void a_round_carries_its_state(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	char carried[512], changed[600];
	const char *said = lab_feed(
		lab, MODERN_CAN("1", "tools/call", "\"name\":\"act\",\"arguments\":{\"do\":\"asks\",\"n\":1},", FORMS));
	assert_non_null(strstr(said, "{\"resultType\":\"input_required\",\"inputRequests\":{\"k\":{\"method\":"
				     "\"elicitation/create\",\"params\":{"
				     "\"message\":\"m\"}}},\"requestState\":\""));
	state_of(said, carried);
	static const char accepted[] = COMPLETE("2", ",\"content\":[" TEXT("round 1") "]");
	assert_string_equal(feed_round(lab, "{\"do\":\"asks\",\"n\":1}", carried), accepted);
	assert_string_equal(feed_round(lab, "{\"n\": 1, \"do\":\"asks\"}", carried), accepted); /* the same arguments */
	assert_string_equal(feed_round(lab, "{\"do\":\"asks\",\"n\":2}", carried), STATE_REFUSED);
	snprintf(changed, sizeof changed, "%s-TAMPERED", carried);
	assert_string_equal(feed_round(lab, "{\"do\":\"asks\",\"n\":1}", changed), STATE_REFUSED);
	for (size_t i = 0; i < strlen(carried); i++) {
		memcpy(changed, carried, sizeof carried);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		assert_string_equal(feed_round(lab, "{\"do\":\"asks\",\"n\":1}", changed), STATE_REFUSED);
	}
	/* It survives the process, belongs to its caller, and grows old. */
	struct mcp_lab *other = mcp_lab_new(0);
	lab_connect(other, "a");
	assert_string_equal(feed_round(other, "{\"do\":\"asks\",\"n\":1}", carried), accepted);
	mcp_peer_free(other->peer);
	lab_connect(other, "b");
	assert_string_equal(feed_round(other, "{\"do\":\"asks\",\"n\":1}", carried), STATE_REFUSED);
	mcp_lab_free(other);
	lab->now_ns += 16 * TIME_MINUTE;
	lab_clock.context = lab;
	assert_string_equal(feed_round(lab, "{\"do\":\"asks\",\"n\":1}", carried), STATE_REFUSED);
}

/* ---- Changes ---- */

#define TOOLS_CHANGED "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}"
static void a_session_is_told_of_changes(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	(void)lab_feed(lab, GREET("2025-11-25"));
	mcp_changed(lab->mcp, MCP_TOOLS);
	assert_int_equal(lab->n_wakes, 1);
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), ""); /* it has not said yet that it is ready */
	(void)lab_feed(lab, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
	mcp_changed(lab->mcp, MCP_TOOLS);
	mcp_changed(lab->mcp, MCP_TOOLS);
	assert_string_equal(lab_said(lab), "");
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), TOOLS_CHANGED);
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), "");

	(void)lab_feed(lab, REQUEST("1", "resources/subscribe", "{\"uri\":\"x:y\"}"));
	mcp_resource_updated(lab->mcp, S("x:y"));
	mcp_resource_updated(lab->mcp, S("x:z"));
	mcp_tick(lab->mcp);
	assert_string_equal(
		lab_said(lab),
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"uri\":\"x:y\"}}");
	(void)lab_feed(lab, REQUEST("1", "resources/unsubscribe", "{\"uri\":\"x:y\"}"));
	mcp_resource_updated(lab->mcp, S("x:y"));
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), "");
}

static bool is_the_one(void *user, struct str caller_id)
{
	return str_eq(caller_id, str_from(user));
}

static bool is_not_the_one(void *user, struct str caller_id)
{
	return !is_the_one(user, caller_id);
}

static void a_session_hears_until_its_own_caller_is_gone(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	char one[] = "a";
	lab_connect(lab, one);
	lab_greet(lab, "2025-11-25", "{}");
	mcp_end_callers(lab->mcp, is_not_the_one, one);
	mcp_changed(lab->mcp, MCP_TOOLS);
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), TOOLS_CHANGED);
	mcp_end_callers(lab->mcp, is_the_one, one);
	mcp_changed(lab->mcp, MCP_TOOLS);
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), "");
}

#define SUBSCRIBED(id) "\"_meta\":{\"" LAB_P "subscriptionId\":" id "}"
#define ACKNOWLEDGED(id, what)                                                                                         \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{" SUBSCRIBED(        \
		id) ",\"notifications\":{" what "}}}"
#define LISTEN(id, what) MODERN(id, "subscriptions/listen", "\"notifications\":{" what "},")
static void who_listens_is_told_what_it_asked_for(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	assert_string_equal(lab_feed(lab, LISTEN("1763731733000",
						 "\"toolsListChanged\":true,\"promptsListChanged\":false,\"x\":1")),
			    ACKNOWLEDGED("1763731733000", "\"toolsListChanged\":true"));
	assert_string_equal(
		lab_feed(lab, LISTEN("\"p\"", "\"promptsListChanged\":true,\"resourceSubscriptions\":[\"x:y\"]")),
		ACKNOWLEDGED("\"p\"", "\"promptsListChanged\":true,\"resourceSubscriptions\":[\"x:y\"]"));
	mcp_changed(lab->mcp, MCP_TOOLS);
	mcp_resource_updated(lab->mcp, S("x:y"));
	mcp_tick(lab->mcp);
	assert_string_equal(
		lab_said(lab),
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{" SUBSCRIBED(
			"\"p\"") ",\"uri\":\"x:y\"}}\n"
				 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/"
				 "list_changed\",\"params\":{" SUBSCRIBED("1763731733000") "}}");
	assert_string_equal(lab_feed(lab, CANCEL("\"p\"")), "");
	mcp_changed(lab->mcp, MCP_PROMPTS);
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), "");
	mcp_end_streams(lab->mcp);
	assert_string_equal(lab_said(lab),
			    RESULT("1763731733000", "\"resultType\":\"complete\"," SUBSCRIBED("1763731733000")));

	assert_string_equal(lab_feed(lab, LISTEN("1", "")), FAILED("1", "-32603", "the server is stopping"));
	assert_string_equal(lab_feed(lab, MODERN("1", "subscriptions/listen", "")),
			    FAILED("1", "-32602", "'notifications' does not say what to listen to"));
	assert_string_equal(lab_feed(lab, LISTEN("1", "\"toolsListChanged\":1")),
			    FAILED("1", "-32602", "'notifications' does not say what to listen to"));
	assert_string_equal(lab_feed(lab, LISTEN("1", "\"resourceSubscriptions\":[1]")),
			    FAILED("1", "-32602", "'notifications' does not say what to listen to"));
}

static void one_caller_leaves_room_for_who_listens(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	for (int i = 0; i < MCP_LISTENERS_OF_ONE; i++) {
		char line[] = LISTEN("99", "\"toolsListChanged\":true");
		char *id = strstr(line, "99");
		id[0] = (char)('1' + i / 10);
		id[1] = (char)('0' + i % 10);
		assert_non_null(strstr(lab_feed(lab, line), "subscriptions/acknowledged"));
	}
	assert_string_equal(lab_feed(lab, LISTEN("\"m\"", "\"toolsListChanged\":true")),
			    FAILED("\"m\"", "-32603", "too many streams are open"));
	struct mcp_peer *first = lab->peer;
	lab_connect(lab, "b");
	assert_non_null(
		strstr(lab_feed(lab, LISTEN("\"m\"", "\"toolsListChanged\":true")), "subscriptions/acknowledged"));
	mcp_peer_free(first);
}

static void a_task_is_told_to_its_caller(void **state)
{
	(void)state;
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	(void)lab_feed(
		lab, MODERN_CAN("1", "subscriptions/listen", "\"notifications\":{\"taskIds\":[\"tk_1\"]},", CAN_TASKS));
	mcp_task_changed(lab->mcp, S("b"), &lab_task);
	mcp_tick(lab->mcp);
	assert_string_equal(lab_said(lab), "");
	mcp_task_changed(lab->mcp, S("a"), &lab_task);
	mcp_tick(lab->mcp);
	assert_string_equal(
		lab_said(lab),
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{\"_meta\":{\"a.b/c\":1,\"" LAB_P
		"subscriptionId\":1}," TASK_MEMBERS("working") "}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_told_apart),
		cmocka_unit_test(what_cannot_be_read_is_told_once),
		cmocka_unit_test(versions_are_negotiated),
		cmocka_unit_test(both_eras_share_a_pipe),
		cmocka_unit_test(legacy_requests_are_answered),
		cmocka_unit_test(what_is_not_offered_does_not_exist),
		cmocka_unit_test(a_revision_is_told_what_it_knows),
		cmocka_unit_test(a_changed_list_is_told_anew),
		cmocka_unit_test(pages_follow_one_another),
		cmocka_unit_test(a_cursor_is_ours_or_none),
		cmocka_unit_test(batches_are_of_one_revision),
		cmocka_unit_test(a_batch_waits_for_its_last_answer),
		cmocka_unit_test(what_is_cancelled_is_not_answered),
		cmocka_unit_test(a_peer_that_is_gone_has_cancelled),
		cmocka_unit_test(too_many_at_once_are_refused),
		cmocka_unit_test(progress_only_grows),
		cmocka_unit_test(a_silent_request_is_said_to_go_on),
		cmocka_unit_test(logs_are_told_from_the_level_on),
		cmocka_unit_test(a_client_is_asked_and_answers),
		cmocka_unit_test(who_cannot_be_asked_is_not),
		cmocka_unit_test(requests_that_stand_alone_are_answered),
		cmocka_unit_test(tasks_are_for_who_declared_them),
		cmocka_unit_test(a_round_carries_its_state),
		cmocka_unit_test(a_session_is_told_of_changes),
		cmocka_unit_test(a_session_hears_until_its_own_caller_is_gone),
		cmocka_unit_test(who_listens_is_told_what_it_asked_for),
		cmocka_unit_test(one_caller_leaves_room_for_who_listens),
		cmocka_unit_test(a_task_is_told_to_its_caller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
