#include "guest/away.h"
#include "base/escape.h"
#include "base/mem.h"
#include "guest/scan.h"

#define MODERN           "2026-07-28"
#define NEWEST_HANDSHAKE "2025-11-25"

/* The one tool that is here without a daemon; the daemon's own has the same name. */
#define DIAGNOSTICS                                                                                                    \
	"{\"name\":\"aileron_diagnostics\",\"title\":\"Aileron diagnostics\",\"description\":"                         \
	"\"Says whether the Aileron daemon can be reached and what to do when it cannot.\","                           \
	"\"inputSchema\":{\"type\":\"object\",\"additionalProperties\":false},"                                        \
	"\"annotations\":{\"readOnlyHint\":true,\"destructiveHint\":false,\"idempotentHint\":true,\"openWorldHint\":"  \
	"false}}"

static void put_string(struct buf *out, struct str text)
{
	buf_add_char(out, '"');
	escape_json(out, text);
	buf_add_char(out, '"');
}

void away_error(struct buf *out, struct str id, int code, const char *message)
{
	buf_add_z(out, "{\"jsonrpc\":\"2.0\",");
	if (id.n > 0) {
		buf_add_z(out, "\"id\":");
		buf_add_str(out, id);
		buf_add_char(out, ',');
	}
	buf_addf(out, "\"error\":{\"code\":%d,\"message\":", code);
	put_string(out, str_from(message));
	buf_add_z(out, "}}");
}

/* Opens the result; its members come next, and end_result(). */
static void begin_result(struct buf *out, const struct away_request *request)
{
	buf_add_z(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_str(out, request->id);
	buf_add_z(out, ",\"result\":{");
	if (!request->is_modern)
		return;
	buf_add_z(out, "\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":"
		       "{\"name\":\"aileron\",\"version\":");
	put_string(out, request->version);
	buf_add_z(out, "}},");
}

static void end_result(struct buf *out)
{
	if (out->n > 0 && out->p[out->n - 1] == ',')
		buf_truncate(out, out->n - 1);
	buf_add_z(out, "}}");
}

static void put_tool_text(struct buf *out, const struct away_request *request, struct str text, bool is_error)
{
	begin_result(out, request);
	buf_add_z(out, "\"content\":[{\"type\":\"text\",\"text\":");
	put_string(out, text);
	buf_addf(out, "}],\"isError\":%s", is_error ? "true" : "false");
	end_result(out);
}

/* The same rule as the daemon's, so that it answers the same when it is asked anew. */
static struct str negotiate(struct str params)
{
	static const char *const known[] = {"2024-11-05", "2025-03-26", "2025-06-18", NEWEST_HANDSHAKE};
	struct str asked = scan_member(params, "protocolVersion");
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (scan_is_string(asked, str_from(known[i])))
			return str_from(known[i]);
	}
	return S(NEWEST_HANDSHAKE);
}

static void answer_initialize(struct buf *out, const struct away_request *request)
{
	begin_result(out, request);
	buf_add_z(out, "\"protocolVersion\":");
	put_string(out, negotiate(request->params));
	buf_add_z(out, ",\"capabilities\":{\"tools\":{\"listChanged\":true},\"logging\":{}},"
		       "\"serverInfo\":{\"name\":\"aileron\",\"title\":\"Aileron\",\"version\":");
	put_string(out, request->version);
	buf_add_z(out, "}");
	end_result(out);
}

static void answer_discover(struct buf *out, const struct away_request *request)
{
	begin_result(out, request);
	buf_add_z(out, "\"supportedVersions\":[\"" MODERN "\"],\"capabilities\":{\"tools\":{\"listChanged\":true},"
		       "\"logging\":{}},\"ttlMs\":0,\"cacheScope\":\"private\"");
	end_result(out);
}

static void answer_list(struct buf *out, const struct away_request *request)
{
	begin_result(out, request);
	buf_add_z(out, "\"tools\":[" DIAGNOSTICS "]");
	if (request->is_modern)
		buf_add_z(out, ",\"ttlMs\":0,\"cacheScope\":\"private\"");
	end_result(out);
}

static void answer_nothing(struct buf *out, const struct away_request *request)
{
	begin_result(out, request);
	end_result(out);
}

static void answer_call(struct buf *out, const struct away_request *request)
{
	bool asks_why = scan_is_string(scan_member(request->params, "name"), S("aileron_diagnostics"));
	AUTO_BUF text = BUF_INIT(4096);
	buf_addf(&text, "%s: %.*s.", asks_why ? "Aileron cannot be used now" : "This did not run",
		 STR_FMT(request->why));
	put_tool_text(out, request, buf_str(&text), !asks_why);
}

void away_lost_call(struct buf *out, const struct away_request *request, struct str call_id)
{
	AUTO_BUF text = BUF_INIT(4096);
	buf_addf(&text,
		 "The connection to the Aileron daemon was lost while this was under way: it may have run. Now: %.*s. ",
		 STR_FMT(request->why));
	if (call_id.n > 0)
		buf_addf(&text,
			 "When that is mended, call check_action_status with {\"call_id\":\"%.*s\"} before you try it "
			 "again.",
			 STR_FMT(call_id));
	else
		buf_add_z(&text, "A person can see with `aileron runs list` whether it did, before you try it again.");
	put_tool_text(out, request, buf_str(&text), true);
}

void away_dropped_call(struct buf *out, const struct away_request *request)
{
	put_tool_text(
		out, request,
		S("This did not run: the Aileron daemon was started anew before it had taken the call. Call again."),
		true);
}

void away_answer(struct buf *out, const struct away_request *request)
{
	static const struct {
		const char *method;
		void (*answer)(struct buf *out, const struct away_request *request);
	} methods[] = {
		{"initialize", answer_initialize}, {"server/discover", answer_discover},
		{"tools/list", answer_list},       {"tools/call", answer_call},
		{"ping", answer_nothing},          {"logging/setLevel", answer_nothing},
	};
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (str_eq(request->method, str_from(methods[i].method))) {
			methods[i].answer(out, request);
			return;
		}
	}
	away_error(out, request->id, -32603, "the aileron daemon is not running; start it with `aileron daemon start`");
}
