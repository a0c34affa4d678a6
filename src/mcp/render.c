/* Answers as text. What only revision 2026-07-28 knows is added here, at the end, and nowhere else. */
#include "mcp/core.h"
#include "mcp/names.h"
#include "text/json_members.h"

/* A raw line end stands between JSON's words and never in a string; a message is one line, whatever its door. */
void render_on_one_line(struct buf *out)
{
	for (const char *end = "\n\r"; *end != '\0'; end++) {
		for (char *at = out->p; (at = memchr(at, *end, out->n - (size_t)(at - out->p))) != NULL;)
			*at = ' ';
	}
}

static void begin_message(struct json_writer *w, struct buf *out, struct str id)
{
	jsonw_init(w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(w);
	member_str(w, "jsonrpc", S("2.0"));
	if (id.n > 0)
		member_raw(w, "id", id);
}

static void put_info(struct json_writer *w, const struct mcp_backend *backend, enum mcp_version version)
{
	jsonw_begin_object(w);
	member_str(w, "name", backend->name);
	if (version >= MCP_2025_06_18)
		member_str_given(w, "title", backend->title);
	member_str(w, "version", backend->version);
	jsonw_end_object(w);
}

void render_server_info(const struct mcp_backend *backend, enum mcp_version version, struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	put_info(&w, backend, version);
}

/* A result's end: its _meta, with what we say of ourselves in the stateless revision. */
static void put_meta(struct json_writer *w, const struct mcp_call *call, struct str own)
{
	bool modern = call_is_modern(call);
	if (own.n == 0 && !modern)
		return;
	member_begin_object(w, "_meta");
	jsonw_raw_members(w, own);
	if (modern) {
		jsonw_key(w, NAME_SERVER_INFO);
		put_info(w, &call->mcp->backend, call->version);
	}
	jsonw_end_object(w);
}

static void put_caching(struct json_writer *w, const struct mcp_call *call)
{
	const struct mcp_backend *backend = &call->mcp->backend;
	if (!call_is_modern(call) || !call->method->is_cacheable)
		return;
	member_u64(w, "ttlMs", backend->ttl_ms);
	member_z(w, "cacheScope", backend->lists_are_public ? "public" : "private");
}

static void begin_result(struct json_writer *w, const struct mcp_call *call, const char *type, struct buf *out)
{
	begin_message(w, out, call->message->id);
	member_begin_object(w, "result");
	if (call_is_modern(call))
		member_z(w, "resultType", type);
}

static void end_message(struct json_writer *w)
{
	jsonw_end_object(w);
	jsonw_end_object(w);
	render_on_one_line(w->out);
}

static void put_plain(const struct mcp_call *call, struct str members, struct str meta, struct buf *out)
{
	struct json_writer w;
	begin_result(&w, call, "complete", out);
	jsonw_raw_members(&w, members);
	put_caching(&w, call);
	put_meta(&w, call, meta);
	end_message(&w);
}

void render_result(const struct mcp_call *call, struct str members, struct buf *out)
{
	put_plain(call, members, STR_EMPTY, out);
}

/* Structured content came with 2025-06-18, as an object; any value may stand there since 2026-07-28. */
static bool may_be_structured(enum mcp_version version, struct str structured)
{
	if (structured.n == 0 || version < MCP_2025_06_18)
		return false;
	return version == MCP_2026_07_28 || str_starts(str_trim(structured), S("{"));
}

static void put_tool_result(const struct mcp_call *call, struct mcp_answer *answer, struct buf *out)
{
	struct json_writer w;
	begin_result(&w, call, "complete", out);
	member_begin_array(&w, "content");
	jsonw_raw_members(&w, buf_str(&answer->content));
	jsonw_end_array(&w);
	if (may_be_structured(call->version, buf_str(&answer->structured)))
		member_raw(&w, "structuredContent", buf_str(&answer->structured));
	if (answer->is_error)
		member_bool(&w, "isError", true);
	put_meta(&w, call, buf_str(&answer->meta));
	end_message(&w);
}

/* tools/call becomes a task without its outcome; tasks/get tells all of it. */
static void put_task(const struct mcp_call *call, struct mcp_answer *answer, struct buf *out)
{
	bool begins = call->method->serve == serve_tools_call;
	struct json_writer w;
	begin_result(&w, call, begins ? "task" : "complete", out);
	jsonw_raw_members(&w, buf_str(&answer->body));
	if (!begins)
		jsonw_raw_members(&w, buf_str(&answer->content));
	put_meta(&w, call, buf_str(&answer->meta));
	end_message(&w);
}

static void put_inputs(const struct mcp_call *call, struct mcp_answer *answer, struct buf *out)
{
	struct json_writer w;
	begin_result(&w, call, "input_required", out);
	if (answer->body.n > 0) {
		member_begin_object(&w, "inputRequests");
		jsonw_raw_members(&w, buf_str(&answer->body));
		jsonw_end_object(&w);
	}
	if (answer->state.n > 0)
		member_str(&w, "requestState", buf_str(&answer->state));
	put_meta(&w, call, buf_str(&answer->meta));
	end_message(&w);
}

void render_answer(const struct mcp_call *call, struct mcp_answer *answer, struct buf *out)
{
	switch (answer->kind) {
	case MCP_ANSWER_RESULT:
		if (call->method->serve == serve_tools_call)
			put_tool_result(call, answer, out);
		else
			put_plain(call, buf_str(&answer->content), buf_str(&answer->meta), out);
		break;
	case MCP_ANSWER_TASK:
		put_task(call, answer, out);
		break;
	case MCP_ANSWER_INPUT:
		put_inputs(call, answer, out);
		break;
	case MCP_ANSWER_ERROR:
		render_error(call->message->id, answer->code, buf_str(&answer->body), buf_str(&answer->data), out);
		break;
	}
}

void render_error(struct str id, int code, struct str message, struct str data, struct buf *out)
{
	struct json_writer w;
	begin_message(&w, out, id);
	member_begin_object(&w, "error");
	jsonw_key(&w, S("code"));
	jsonw_int(&w, code);
	member_str(&w, "message", message);
	if (data.n > 0)
		member_raw(&w, "data", data);
	end_message(&w);
}

void render_notification(struct str method, struct str param_members, struct buf *out)
{
	struct json_writer w;
	begin_message(&w, out, STR_EMPTY);
	member_str(&w, "method", method);
	if (param_members.n > 0) {
		member_begin_object(&w, "params");
		jsonw_raw_members(&w, param_members);
		jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	render_on_one_line(out);
}

static void put_changing(struct json_writer *w, const struct mcp_backend *backend)
{
	if (backend->lists_change)
		member_bool(w, "listChanged", true);
}

static void put_extensions(struct json_writer *w, const struct mcp_backend *backend)
{
	if (backend->task_get == NULL && backend->extensions.n == 0)
		return;
	member_begin_object(w, "extensions");
	if (backend->task_get != NULL) {
		jsonw_key(w, NAME_TASKS);
		jsonw_raw(w, S("{}"));
	}
	jsonw_raw_members(w, backend->extensions);
	jsonw_end_object(w);
}

void render_capabilities(const struct mcp_backend *backend, enum mcp_version version, struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	if (serve_offers(backend, OFFER_TOOLS)) {
		member_begin_object(&w, "tools");
		put_changing(&w, backend);
		jsonw_end_object(&w);
	}
	if (serve_offers(backend, OFFER_RESOURCES)) {
		member_begin_object(&w, "resources");
		if (backend->subscribe)
			member_bool(&w, "subscribe", true);
		put_changing(&w, backend);
		jsonw_end_object(&w);
	}
	if (serve_offers(backend, OFFER_PROMPTS)) {
		member_begin_object(&w, "prompts");
		put_changing(&w, backend);
		jsonw_end_object(&w);
	}
	if (serve_offers(backend, OFFER_COMPLETIONS) && version >= MCP_2025_03_26)
		member_raw(&w, "completions", S("{}"));
	if (backend->logging)
		member_raw(&w, "logging", S("{}"));
	if (version == MCP_2026_07_28)
		put_extensions(&w, backend);
	jsonw_end_object(&w);
}
