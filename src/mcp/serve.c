/* Requests judged and sent to what serves them, in the order that docs/formats/mcp.md gives. */
#include "mcp/core.h"
#include "mcp/names.h"
#include "text/json_members.h"

static mcp_serve *tools_call_of(const struct mcp_backend *backend)
{
	return backend->tools_call;
}
static mcp_serve *prompts_get_of(const struct mcp_backend *backend)
{
	return backend->prompts_get;
}
static mcp_serve *resources_read_of(const struct mcp_backend *backend)
{
	return backend->resources_read;
}
static mcp_serve *complete_of(const struct mcp_backend *backend)
{
	return backend->complete;
}

#define N(literal)                                                                                                     \
	{                                                                                                              \
		literal, sizeof(literal) - 1                                                                           \
	}
#define BOTH (ERA_LEGACY | ERA_MODERN)
const struct method methods[] = {
	{.name = N("initialize"), .eras = ERA_LEGACY, .serve = serve_initialize},
	{.name = N("ping"), .eras = ERA_LEGACY, .serve = serve_ping},
	{.name = N("logging/setLevel"), .eras = ERA_LEGACY, .offer = OFFER_LOGGING, .serve = serve_set_level},
	{.name = N("tools/list"), .eras = BOTH, .offer = OFFER_TOOLS, .serve = serve_list, .is_cacheable = true},
	{.name = N("tools/call"),
	 .eras = BOTH,
	 .offer = OFFER_TOOLS,
	 .routed_by = N("name"),
	 .serve = serve_tools_call,
	 .server = tools_call_of},
	{.name = N("prompts/list"), .eras = BOTH, .offer = OFFER_PROMPTS, .serve = serve_list, .is_cacheable = true},
	{.name = N("prompts/get"),
	 .eras = BOTH,
	 .offer = OFFER_PROMPTS,
	 .routed_by = N("name"),
	 .serve = serve_named,
	 .server = prompts_get_of},
	{.name = N("resources/list"),
	 .eras = BOTH,
	 .offer = OFFER_RESOURCES,
	 .serve = serve_list,
	 .is_cacheable = true},
	{.name = N("resources/templates/list"),
	 .eras = BOTH,
	 .offer = OFFER_RESOURCES,
	 .serve = serve_list,
	 .is_cacheable = true},
	{.name = N("resources/read"),
	 .eras = BOTH,
	 .offer = OFFER_RESOURCES,
	 .routed_by = N("uri"),
	 .serve = serve_named,
	 .server = resources_read_of,
	 .is_cacheable = true},
	{.name = N("resources/subscribe"), .eras = ERA_LEGACY, .offer = OFFER_SUBSCRIBE, .serve = serve_subscribe},
	{.name = N("resources/unsubscribe"), .eras = ERA_LEGACY, .offer = OFFER_SUBSCRIBE, .serve = serve_unsubscribe},
	{.name = N("completion/complete"),
	 .eras = BOTH,
	 .offer = OFFER_COMPLETIONS,
	 .serve = serve_complete,
	 .server = complete_of},
	{.name = N("server/discover"), .eras = ERA_MODERN, .serve = serve_discover, .is_cacheable = true},
	{.name = N("subscriptions/listen"), .eras = ERA_MODERN, .offer = OFFER_LISTEN, .serve = serve_listen},
	{.name = N("tasks/get"),
	 .eras = ERA_MODERN,
	 .offer = OFFER_TASKS,
	 .routed_by = N("taskId"),
	 .serve = serve_task,
	 .server = task_get_of},
	{.name = N("tasks/update"),
	 .eras = ERA_MODERN,
	 .offer = OFFER_TASKS,
	 .routed_by = N("taskId"),
	 .serve = serve_task,
	 .server = task_update_of},
	{.name = N("tasks/cancel"),
	 .eras = ERA_MODERN,
	 .offer = OFFER_TASKS,
	 .routed_by = N("taskId"),
	 .serve = serve_task,
	 .server = task_cancel_of},
};
const size_t n_methods = ARRAY_LEN(methods);

bool serve_offers(const struct mcp_backend *backend, enum offer offer)
{
	switch (offer) {
	case OFFER_ALWAYS:
		return true;
	case OFFER_TOOLS:
		return backend->tools_hold != NULL;
	case OFFER_PROMPTS:
		return backend->prompts_get != NULL;
	case OFFER_RESOURCES:
		return backend->resources_read != NULL;
	case OFFER_SUBSCRIBE:
		return backend->resources_read != NULL && backend->subscribe;
	case OFFER_COMPLETIONS:
		return backend->complete != NULL;
	case OFFER_LOGGING:
		return backend->logging;
	case OFFER_LISTEN:
		return backend->lists_change || backend->subscribe || backend->task_get != NULL;
	case OFFER_TASKS:
		return backend->task_get != NULL;
	}
	return false;
}

static const struct method *method_named(const struct mcp_backend *backend, struct str name, enum era era)
{
	for (size_t i = 0; i < n_methods; i++) {
		if ((methods[i].eras & era) != 0 && str_eq(methods[i].name, name))
			return serve_offers(backend, methods[i].offer) ? &methods[i] : NULL;
	}
	return NULL;
}

bool serve_is_modern_method(struct str method)
{
	for (size_t i = 0; i < n_methods; i++) {
		if (methods[i].eras == ERA_MODERN && str_eq(methods[i].name, method))
			return true;
	}
	return false;
}

void serve_legacy(struct mcp *mcp, const struct arrival *arrival)
{
	const struct mcp_session *session = arrival->session;
	struct str name = arrival->message->method;
	struct mcp_call *call = call_new(mcp, arrival, session != NULL ? session->version : MCP_2025_03_26);
	bool early = str_eq(name, S("initialize")) || str_eq(name, S("ping"));
	if (!early && (session == NULL || !session->greeted)) {
		call_refuse(call, 200, MCP_INVALID_REQUEST, S("'initialize' comes before any other request"),
			    STR_EMPTY);
		return;
	}
	call->method = method_named(&mcp->backend, name, ERA_LEGACY);
	if (call->method == NULL)
		call_refuse(call, 200, MCP_METHOD_NOT_FOUND, S("this server has no such method"), STR_EMPTY);
	else if (arrival->message->has_bad_params)
		call_bad_params(call, "'params' is not an object");
	else
		call->method->serve(call);
}

static const char *check_meta(const struct message *message)
{
	struct str text;
	enum mcp_level level;
	if (!json_get_str(json_member(message->meta, NAME_PROTOCOL_VERSION), &text))
		return "params._meta has no '" NAME_PREFIX "protocolVersion' that is a string";
	const struct json *capabilities = json_member(message->meta, NAME_CAPABILITIES);
	if (capabilities == NULL || json_kind(capabilities) != JSON_KIND_OBJECT)
		return "params._meta has no '" NAME_PREFIX "clientCapabilities' that is an object";
	const struct json *least = json_member(message->meta, NAME_LOG_LEVEL);
	if (least != NULL && (!json_get_str(least, &text) || !level_named(text, &level)))
		return "'" NAME_PREFIX "logLevel' is no level";
	return NULL;
}

static void refuse_version(struct mcp_call *call, struct str requested)
{
	AUTO_BUF data = BUF_INIT(MCP_ANSWER_MAX);
	struct json_writer w;
	jsonw_init(&w, &data, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_list(&w, "supported", (const struct str[]){mcp_version_name(MCP_2026_07_28)}, 1);
	member_str(&w, "requested", requested);
	jsonw_end_object(&w);
	call_refuse(call, 400, MCP_UNSUPPORTED_VERSION,
		    S("this server does not serve single requests of that revision"), buf_str(&data));
}

/* Steps 3 to 8 of the order of checks; those of headers pass with lines. */
void serve_modern(struct mcp *mcp, const struct arrival *arrival)
{
	struct mcp_call *call = call_new(mcp, arrival, MCP_2026_07_28);
	const char *wrong = check_meta(arrival->message);
	if (wrong != NULL) {
		call_refuse(call, 400, MCP_INVALID_PARAMS, str_from(wrong), STR_EMPTY);
		return;
	}
	wrong = header_check_version(arrival);
	struct str claimed = STR_EMPTY;
	(void)json_get_str(json_member(arrival->message->meta, NAME_PROTOCOL_VERSION), &claimed);
	if (wrong == NULL && !str_eq(claimed, mcp_version_name(MCP_2026_07_28))) {
		refuse_version(call, claimed);
		return;
	}
	if (wrong == NULL)
		wrong = header_check_method(arrival);
	if (wrong == NULL) {
		call->method = method_named(&mcp->backend, arrival->message->method, ERA_MODERN);
		if (call->method == NULL) {
			call_refuse(call, 404, MCP_METHOD_NOT_FOUND, S("this server has no such method"), STR_EMPTY);
			return;
		}
		wrong = header_check_name(arrival, call->method->routed_by);
	}
	if (wrong != NULL)
		call_refuse(call, 400, MCP_HEADER_MISMATCH, str_from(wrong), STR_EMPTY);
	else
		call->method->serve(call);
}

void serve_notification(struct mcp *mcp, struct scope *scope, struct mcp_session *session,
			const struct message *message)
{
	if (session != NULL && session->greeted && str_eq(message->method, S("notifications/initialized"))) {
		session->is_ready = true;
	} else if (str_eq(message->method, S("notifications/cancelled"))) {
		struct str id = message_raw_param(message, S("requestId"));
		if (!message_is_id(id))
			return;
		calls_cancel(mcp, scope, id);
		listeners_cancel(mcp, scope, id);
	}
}
