/* What backends say an answer is. */
#include "mcp/core.h"
#include "text/json_members.h"

void answer_init(struct mcp_answer *answer)
{
	*answer = (struct mcp_answer){
		.content = BUF_INIT(MCP_ANSWER_MAX),
		.structured = BUF_INIT(MCP_ANSWER_MAX),
		.meta = BUF_INIT(MCP_ANSWER_MAX),
		.body = BUF_INIT(MCP_ANSWER_MAX),
		.state = BUF_INIT(SEAL_PAYLOAD_MAX),
		.data = BUF_INIT(MCP_ANSWER_MAX),
	};
}

void answer_release(struct mcp_answer *answer)
{
	buf_release(&answer->content);
	buf_release(&answer->structured);
	buf_release(&answer->meta);
	buf_release(&answer->body);
	buf_release(&answer->state);
	buf_release(&answer->data);
}

/* The next of several elements or members. */
static struct json_writer next_of(struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	w.need_comma = out->n > 0;
	return w;
}

void mcp_answer_text(struct mcp_answer *answer, struct str text)
{
	struct json_writer w = next_of(&answer->content);
	jsonw_begin_object(&w);
	member_z(&w, "type", "text");
	member_str(&w, "text", text);
	jsonw_end_object(&w);
}

void mcp_answer_tool_error(struct mcp_answer *answer, struct str text)
{
	answer->is_error = true;
	mcp_answer_text(answer, text);
}

void mcp_answer_error(struct mcp_answer *answer, int code, struct str message, struct str data)
{
	answer->kind = MCP_ANSWER_ERROR;
	answer->code = code;
	buf_clear(&answer->body);
	buf_clear(&answer->data);
	buf_add_str(&answer->body, message);
	buf_add_str(&answer->data, data);
}

void mcp_answer_needs(struct mcp_answer *answer, struct str capabilities)
{
	AUTO_BUF data = BUF_INIT(MCP_ANSWER_MAX);
	buf_add_str(&data, S("{\"requiredCapabilities\":{"));
	buf_add_str(&data, capabilities);
	buf_add_str(&data, S("}}"));
	mcp_answer_error(answer, MCP_MISSING_CAPABILITY,
			 S("the request needs a capability that the client did not declare"), buf_str(&data));
}

static const char *const statuses[] = {
	[MCP_TASK_WORKING] = "working",     [MCP_TASK_INPUT_REQUIRED] = "input_required",
	[MCP_TASK_COMPLETED] = "completed", [MCP_TASK_FAILED] = "failed",
	[MCP_TASK_CANCELLED] = "cancelled",
};

static void put_task_members(struct buf *out, const struct mcp_task *task)
{
	struct json_writer w = next_of(out);
	member_str(&w, "taskId", task->id);
	member_z(&w, "status", statuses[task->status]);
	member_str_given(&w, "statusMessage", task->message);
	member_time(&w, "createdAt", task->created_ns);
	member_time(&w, "lastUpdatedAt", task->updated_ns);
	if (task->ttl_ms > 0)
		member_u64(&w, "ttlMs", task->ttl_ms);
	else
		member_raw(&w, "ttlMs", S("null"));
	member_u64_given(&w, "pollIntervalMs", task->poll_ms);
}

static void put_task_result(struct json_writer *w, const struct mcp_task *task)
{
	member_begin_object(w, "result");
	member_z(w, "resultType", "complete");
	member_begin_array(w, "content");
	jsonw_raw_members(w, task->content);
	jsonw_end_array(w);
	if (task->structured.n > 0)
		member_raw(w, "structuredContent", task->structured);
	if (task->is_error)
		member_bool(w, "isError", true);
	if (task->result_meta.n > 0) {
		member_begin_object(w, "_meta");
		jsonw_raw_members(w, task->result_meta);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

/* What depends on how it stands. */
static void put_task_outcome(struct buf *out, const struct mcp_task *task)
{
	struct json_writer w = next_of(out);
	if (task->status == MCP_TASK_INPUT_REQUIRED) {
		member_raw(&w, "inputRequests", task->inputs.n > 0 ? task->inputs : S("{}"));
	} else if (task->status == MCP_TASK_COMPLETED) {
		put_task_result(&w, task);
	} else if (task->status == MCP_TASK_FAILED) {
		member_begin_object(&w, "error");
		jsonw_key(&w, S("code"));
		jsonw_int(&w, task->code != 0 ? task->code : MCP_INTERNAL_ERROR);
		member_str(&w, "message", task->message);
		jsonw_end_object(&w);
	}
}

void mcp_answer_task(struct mcp_answer *answer, const struct mcp_task *task)
{
	answer->kind = MCP_ANSWER_TASK;
	buf_clear(&answer->body);
	buf_clear(&answer->content);
	buf_clear(&answer->meta);
	put_task_members(&answer->body, task);
	put_task_outcome(&answer->content, task);
	buf_add_str(&answer->meta, task->meta);
}

unsigned ask_takes(struct str method, struct str params)
{
	if (str_eq(method, S("sampling/createMessage")))
		return 1U << MCP_CAN_SAMPLING;
	if (str_eq(method, S("roots/list")))
		return 1U << MCP_CAN_ROOTS;
	if (!str_eq(method, S("elicitation/create")))
		return 1U << MCP_CAN__MAX; /* nobody can */
	AUTO(json) *document = json_parse(params, JSON_READ_SENSITIVE, NULL);
	struct str mode = STR_EMPTY;
	(void)json_get_str(json_member(document, S("mode")), &mode);
	return 1U << (str_eq(mode, S("url")) ? MCP_CAN_ELICITATION_URL : MCP_CAN_ELICITATION);
}

void mcp_answer_ask(struct mcp_answer *answer, struct str key, struct str method, struct str params)
{
	answer->kind = MCP_ANSWER_INPUT;
	answer->asked |= ask_takes(method, params);
	struct json_writer w = next_of(&answer->body);
	jsonw_key(&w, key);
	jsonw_begin_object(&w);
	member_str(&w, "method", method);
	member_raw(&w, "params", params);
	jsonw_end_object(&w);
}
