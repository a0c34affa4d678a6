/* What is answered at once, and what requests for the backend must look like. */
#include "base/escape.h"
#include "mcp/core.h"
#include "mcp/names.h"
#include "text/json_members.h"

void serve_initialize(struct mcp_call *call)
{
	const struct mcp_backend *backend = &call->mcp->backend;
	struct mcp_session *session = call->session;
	const char *wrong = session_greet(session, call->message->params);
	if (wrong != NULL) {
		call_bad_params(call, wrong);
		return;
	}
	call->version = session->version;
	if (call->sink->ops->greeted != NULL)
		call->sink->ops->greeted(call->sink, session);
	AUTO_BUF members = BUF_INIT(MCP_ANSWER_MAX);
	struct json_writer w;
	jsonw_init(&w, &members, JSON_WRITER_PLAIN);
	member_str(&w, "protocolVersion", mcp_version_name(session->version));
	jsonw_key(&w, S("capabilities"));
	render_capabilities(backend, session->version, &members);
	w.need_comma = true;
	jsonw_key(&w, S("serverInfo"));
	render_server_info(backend, session->version, &members);
	w.need_comma = true;
	member_str_given(&w, "instructions", backend->instructions);
	call_result(call, buf_str(&members));
}

void serve_ping(struct mcp_call *call)
{
	call_result(call, STR_EMPTY);
}

void serve_set_level(struct mcp_call *call)
{
	struct str name;
	enum mcp_level level;
	if (!json_get_str(json_member(call->message->params, S("level")), &name) || !level_named(name, &level)) {
		call_bad_params(call,
				"'level' is no level; there are debug, info, notice, warning, error, critical, alert "
				"and emergency");
		return;
	}
	call->session->level = (int)level;
	call_result(call, STR_EMPTY);
}

static bool take_uri(struct mcp_call *call, struct str *ret)
{
	if (json_get_str(json_member(call->message->params, S("uri")), ret))
		return true;
	call_bad_params(call, "'uri' is missing or not a string");
	return false;
}

void serve_subscribe(struct mcp_call *call)
{
	struct str uri;
	if (!take_uri(call, &uri))
		return;
	struct map *uris = call->session->uris;
	if (!map_has(uris, uri) && !map_add(uris, uri, NULL))
		call_refuse(call, 200, MCP_INTERNAL_ERROR, S("too many subscriptions"), STR_EMPTY);
	else
		call_result(call, STR_EMPTY);
}

void serve_unsubscribe(struct mcp_call *call)
{
	struct str uri;
	if (!take_uri(call, &uri))
		return;
	map_remove(call->session->uris, uri);
	call_result(call, STR_EMPTY);
}

void serve_discover(struct mcp_call *call)
{
	const struct mcp_backend *backend = &call->mcp->backend;
	AUTO_BUF members = BUF_INIT(MCP_ANSWER_MAX);
	struct json_writer w;
	jsonw_init(&w, &members, JSON_WRITER_PLAIN);
	member_list(&w, "supportedVersions", (const struct str[]){mcp_version_name(MCP_2026_07_28)}, 1);
	jsonw_key(&w, S("capabilities"));
	render_capabilities(backend, MCP_2026_07_28, &members);
	w.need_comma = true;
	member_str_given(&w, "instructions", backend->instructions);
	call_result(call, buf_str(&members));
}

/* A member of an object that is an object, or absent; null is absent, as some clients have it. */
static bool take_object(const struct json *of, struct str name, const struct json **ret)
{
	const struct json *value = json_member(of, name);
	if (value == NULL || json_kind(value) == JSON_KIND_NULL)
		return true;
	*ret = value;
	return json_kind(value) == JSON_KIND_OBJECT;
}

void serve_complete(struct mcp_call *call)
{
	const struct json *params = call->message->params, *ref = json_member(params, S("ref"));
	const struct json *argument = json_member(params, S("argument")), *context = NULL;
	struct str text;
	bool right = json_get_str(json_member(ref, S("type")), &text) &&
		     json_get_str(json_member(argument, S("name")), &text) &&
		     json_get_str(json_member(argument, S("value")), &text) &&
		     take_object(params, S("context"), &context);
	if (right)
		call_hand_on(call);
	else
		call_bad_params(call, "'ref' and 'argument' are needed, with 'type', 'name' and 'value'");
}

/* Name and arguments, and the round before: NULL, or what is wrong. */
static const char *take_request(struct mcp_call *call)
{
	const struct message *message = call->message;
	struct str member = call->method->routed_by;
	if (!json_get_str(json_member(message->params, member), &call->name))
		return str_eq(member, S("uri")) ? "'uri' is missing or not a string"
						: "'name' is missing or not a string";
	if (!take_object(message->params, S("arguments"), &call->arguments))
		return "'arguments' is not an object";
	if (call->arguments != NULL)
		call->arguments_text = message_raw_param(message, S("arguments"));
	return call_is_modern(call) ? call_take_round(call) : NULL;
}

void serve_named(struct mcp_call *call)
{
	const char *wrong = take_request(call);
	if (wrong != NULL)
		call_bad_params(call, wrong);
	else
		call_hand_on(call);
}

static const struct mcp_tool *tool_named(const struct mcp_tools *tools, struct str name)
{
	for (size_t i = 0; i < tools->n; i++) {
		if (str_eq(tools->items[i].name, name))
			return &tools->items[i];
	}
	return NULL;
}

void serve_tools_call(struct mcp_call *call)
{
	const struct mcp_backend *backend = &call->mcp->backend;
	const char *wrong = take_request(call);
	if (wrong != NULL) {
		call_bad_params(call, wrong);
		return;
	}
	const struct mcp_tools *tools = backend->tools_hold(backend->user);
	const struct mcp_tool *tool = tool_named(tools, call->name);
	if (tool != NULL && call_is_modern(call))
		wrong = header_check_arguments(call->arrival, call, tool->input_schema);
	backend->tools_release(backend->user, tools);
	if (tool == NULL) {
		char shown[ESCAPE_SHOWN_SIZE];
		AUTO_FREE char *text = xasprintf("there is no tool '%s'", escape_shown(call->name, shown));
		call_bad_params(call, text);
	} else if (wrong != NULL) {
		call_refuse(call, 400, MCP_HEADER_MISMATCH, str_from(wrong), STR_EMPTY);
	} else {
		call_hand_on(call);
	}
}

/* ---- Tasks ---- */

static void no_task(struct mcp_answer *answer)
{
	mcp_answer_error(answer, MCP_INVALID_PARAMS, S("there is no such task"), STR_EMPTY);
}

static void get_task(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	if (!call->mcp->backend.task_get(user, &call->caller.is, call->name, answer))
		no_task(answer);
}

static void update_task(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	const struct json *inputs = json_member(call->message->params, S("inputResponses"));
	if (!call->mcp->backend.task_update(user, &call->caller.is, call->name, inputs))
		no_task(answer);
}

static void cancel_task(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	if (!call->mcp->backend.task_cancel(user, &call->caller.is, call->name))
		no_task(answer);
}

mcp_serve *task_get_of(const struct mcp_backend *backend)
{
	return backend->task_get != NULL ? get_task : NULL;
}
mcp_serve *task_update_of(const struct mcp_backend *backend)
{
	return backend->task_update != NULL ? update_task : NULL;
}
mcp_serve *task_cancel_of(const struct mcp_backend *backend)
{
	return backend->task_cancel != NULL ? cancel_task : NULL;
}

void call_needs_tasks(struct mcp_call *call)
{
	call_refuse(call, 400, MCP_MISSING_CAPABILITY, S("the request did not declare the tasks extension"),
		    S("{\"requiredCapabilities\":{\"extensions\":{\"" NAME_PREFIX "tasks\":{}}}}"));
}

void serve_task(struct mcp_call *call)
{
	const struct json *params = call->message->params, *inputs = json_member(params, S("inputResponses"));
	bool updates = call->method->server == task_update_of;
	if (!json_get_str(json_member(params, S("taskId")), &call->name))
		call_bad_params(call, "'taskId' is missing or not a string");
	else if (!mcp_call_can(call, MCP_CAN_TASKS))
		call_needs_tasks(call);
	else if (updates && (inputs == NULL || json_kind(inputs) != JSON_KIND_OBJECT))
		call_bad_params(call, "'inputResponses' is missing or not an object");
	else
		call_hand_on(call);
}
