#include "api/openapi.h"
#include "api/operation.h"
#include "api/schemas.h"
#include "base/version.h"
#include "text/json_writer.h"

static void put_z(struct json_writer *w, const char *key, const char *value)
{
	jsonw_key(w, str_from(key));
	jsonw_str(w, str_from(value));
}

static void begin(struct json_writer *w, const char *key)
{
	jsonw_key(w, str_from(key));
	jsonw_begin_object(w);
}

static void put_description(struct json_writer *w, const char *about)
{
	if (about != NULL && about[0] != '\0')
		put_z(w, "description", about);
}

/* ------------------------------------------------------------------------------------------------------------- schemas */

static const struct api_field anything[] = {FIELD_END}; /* as the items of an array: any objects */

static void put_object_schema(struct json_writer *w, const struct api_field *fields);

static void put_reference(struct json_writer *w, const char *kind, const char *name)
{
	AUTO_BUF text = BUF_INIT(128);
	buf_addf(&text, "#/components/%s/%s", kind, name);
	jsonw_key(w, S("$ref"));
	jsonw_str(w, buf_str(&text));
}

/* The members of a schema for these fields: a reference where they are a component, else all of it in place. */
static void put_fields(struct json_writer *w, const struct api_field *fields)
{
	for (const struct api_component *one = api_components; one->name != NULL; one++) {
		if (one->fields == fields) {
			put_reference(w, "schemas", one->name);
			return;
		}
	}
	put_object_schema(w, fields);
}

static void put_type(struct json_writer *w, const struct api_field *field)
{
	const char *name = api_type_name(field->type);
	if ((field->flags & API_NULLABLE) == 0) {
		put_z(w, "type", name);
		return;
	}
	jsonw_key(w, S("type"));
	jsonw_begin_array(w);
	jsonw_str(w, str_from(name));
	jsonw_str(w, S("null"));
	jsonw_end_array(w);
}

static void put_bound(struct json_writer *w, const char *key, const struct api_field *field)
{
	if (field->max == 0)
		return;
	jsonw_key(w, str_from(key));
	jsonw_int(w, (int64_t)field->max);
}

static void put_values(struct json_writer *w, const char *const *values)
{
	if (values == NULL)
		return;
	jsonw_key(w, S("enum"));
	jsonw_begin_array(w);
	for (; *values != NULL; values++)
		jsonw_str(w, str_from(*values));
	jsonw_end_array(w);
}

static void put_string_items(struct json_writer *w, const char *key, uint64_t max)
{
	begin(w, key);
	put_z(w, "type", "string");
	if (max > 0) {
		jsonw_key(w, S("maxLength"));
		jsonw_int(w, (int64_t)max);
	}
	jsonw_end_object(w);
}

static void put_array_members(struct json_writer *w, const struct api_field *field)
{
	put_bound(w, "maxItems", field);
	if (field->of == NULL) {
		put_string_items(w, "items", 0);
		return;
	}
	begin(w, "items");
	if (field->of == anything)
		put_z(w, "type", "object");
	else
		put_fields(w, field->of);
	jsonw_end_object(w);
}

static void put_field_members(struct json_writer *w, const struct api_field *field)
{
	if (field->type == API_OBJECT) {
		put_fields(w, field->of);
		put_description(w, field->about);
		return;
	}
	put_type(w, field);
	put_description(w, field->about);
	switch (field->type) {
	case API_STRING:
		put_bound(w, "maxLength", field);
		put_values(w, field->values);
		break;
	case API_INTEGER:
		jsonw_key(w, S("minimum"));
		jsonw_int(w, (field->flags & API_POSITIVE) != 0);
		put_bound(w, "maximum", field);
		break;
	case API_ARRAY:
		put_array_members(w, field);
		break;
	case API_STRING_MAP:
		put_bound(w, "maxProperties", field);
		put_string_items(w, "additionalProperties", API_MAP_VALUE_MAX);
		break;
	case API_BOOLEAN:
	case API_OBJECT:
	case API_ANY_OBJECT:
		break;
	}
}

static bool any_is_required(const struct api_field *fields)
{
	for (const struct api_field *field = fields; field->name != NULL; field++) {
		if ((field->flags & API_REQUIRED) != 0)
			return true;
	}
	return false;
}

static void put_required(struct json_writer *w, const struct api_field *fields)
{
	if (!any_is_required(fields))
		return;
	jsonw_key(w, S("required"));
	jsonw_begin_array(w);
	for (const struct api_field *field = fields; field->name != NULL; field++) {
		if ((field->flags & API_REQUIRED) != 0)
			jsonw_str(w, str_from(field->name));
	}
	jsonw_end_array(w);
}

static void put_object_schema(struct json_writer *w, const struct api_field *fields)
{
	put_z(w, "type", "object");
	begin(w, "properties");
	for (const struct api_field *field = fields; field->name != NULL; field++) {
		begin(w, field->name);
		put_field_members(w, field);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
	put_required(w, fields);
	jsonw_key(w, S("additionalProperties"));
	jsonw_bool(w, false);
}

/* ---------------------------------------------------------------------------------------------------------- operations */

static void put_parameter(struct json_writer *w, const char *in, struct str name, const struct api_field *field)
{
	jsonw_begin_object(w);
	jsonw_key(w, S("name"));
	jsonw_str(w, name);
	put_z(w, "in", in);
	jsonw_key(w, S("required"));
	jsonw_bool(w, field == NULL || (field->flags & API_REQUIRED) != 0);
	begin(w, "schema");
	if (field == NULL)
		put_z(w, "type", "string");
	else
		put_field_members(w, field);
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void put_parameters(struct json_writer *w, const struct operation *op)
{
	jsonw_key(w, S("parameters"));
	jsonw_begin_array(w);
	struct str rest = str_from(op->route);
	for (size_t open = str_find_char(rest, '{'); open != STR_NPOS; open = str_find_char(rest, '{')) {
		struct str name;
		rest = str_cut(str_slice(rest, open + 1, rest.n), '}', &name);
		put_parameter(w, "path", name, NULL);
	}
	for (const struct api_field *field = op->query; field != NULL && field->name != NULL; field++)
		put_parameter(w, "query", str_from(field->name), field);
	jsonw_end_array(w);
}

static void put_content(struct json_writer *w, const char *type, const struct api_field *fields)
{
	begin(w, "content");
	begin(w, type);
	begin(w, "schema");
	if (fields != NULL)
		put_fields(w, fields);
	else
		put_z(w, "type", strcmp(type, "application/json") == 0 ? "object" : "string");
	jsonw_end_object(w);
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static const char *type_of_answer(const struct operation *op)
{
	static const struct {
		enum api_operation_id id;
		const char *type;
	} others[] = {
		{OP_AUDIT_TAIL, "text/event-stream"},     {OP_SESSION_HOLD, "text/event-stream"},
		{OP_APPROVAL_WATCH, "text/event-stream"}, {OP_AUDIT_EXPORT, "application/x-ndjson"},
		{OP_OAUTH_CALLBACK, "text/html"},
	};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (others[i].id == op->id)
			return others[i].type;
	}
	return "application/json";
}

static void put_result(struct json_writer *w, const char *status, const struct operation *op)
{
	begin(w, status);
	put_z(w, "description", "done");
	put_content(w, type_of_answer(op), op->result);
	jsonw_end_object(w);
}

static const char *error_of(const struct operation *op)
{
	if (op->envelope == API_FAILURE)
		return "Failure";
	return strcmp(type_of_answer(op), "text/html") == 0 ? "Page" : "Error";
}

static void put_responses(struct json_writer *w, const struct operation *op)
{
	begin(w, "responses");
	if ((op->flags & API_NO_CONTENT) != 0) {
		begin(w, "204");
		put_z(w, "description", "done");
		jsonw_end_object(w);
	} else {
		if ((op->flags & API_CREATED) == 0 || (op->flags & API_RENEWED) != 0)
			put_result(w, "200", op);
		if ((op->flags & API_CREATED) != 0)
			put_result(w, "201", op);
		if ((op->flags & API_ACCEPTED) != 0)
			put_result(w, "202", op);
	}
	if (op->there != NULL) {
		begin(w, "409");
		put_z(w, "description", "it is so already");
		put_content(w, "application/json", op->there);
		jsonw_end_object(w);
	}
	begin(w, "default");
	put_reference(w, "responses", error_of(op));
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void put_security(struct json_writer *w, enum api_permission permission)
{
	static const char *const schemes[] = {"daemonToken", "personToken", "sessionToken"};
	static const size_t counts[] = {
		[API_OPEN] = 0, [API_DAEMON] = 1, [API_PERSON] = 2, [API_CAVEAT_COMMS] = 3, [API_CAVEAT_ACTIONS] = 3,
	};
	jsonw_key(w, S("security"));
	jsonw_begin_array(w);
	for (size_t i = 0; i < counts[permission]; i++) {
		jsonw_begin_object(w);
		jsonw_key(w, str_from(schemes[i]));
		jsonw_begin_array(w);
		jsonw_end_array(w);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void put_extensions(struct json_writer *w, const struct operation *op)
{
	if (op->verb[0] != '\0')
		put_z(w, "x-aileron-verb", op->verb);
	if (op->audited[0] != '\0')
		put_z(w, "x-aileron-audited", op->audited);
	if ((op->flags & API_NEEDS_VAULT) != 0) {
		jsonw_key(w, S("x-aileron-needs-vault"));
		jsonw_bool(w, true);
	}
}

static void put_operation(struct json_writer *w, const struct operation *op)
{
	AUTO_BUF method = BUF_INIT(16);
	for (const char *c = op->method; *c != '\0'; c++)
		buf_add_char(&method, (char)(*c - 'A' + 'a'));
	begin(w, method.p);
	put_z(w, "operationId", op->name);
	put_z(w, "summary", op->summary);
	put_parameters(w, op);
	if (op->request != NULL) {
		begin(w, "requestBody");
		/* No body counts as an object without members. */
		jsonw_key(w, S("required"));
		jsonw_bool(w, any_is_required(op->request));
		put_content(w, "application/json", op->request);
		jsonw_end_object(w);
	}
	put_responses(w, op);
	put_security(w, op->permission);
	put_extensions(w, op);
	jsonw_end_object(w);
}

/* Every route once, where its first row stands, with the methods of all its rows. */
static void put_paths(struct json_writer *w)
{
	begin(w, "paths");
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		const char *route = operation_at(id)->route;
		bool earlier = false;
		for (enum api_operation_id other = 0; other < id; other++)
			earlier = earlier || strcmp(operation_at(other)->route, route) == 0;
		if (earlier)
			continue;
		begin(w, route);
		for (enum api_operation_id other = id; other < OP__MAX; other++) {
			if (strcmp(operation_at(other)->route, route) == 0)
				put_operation(w, operation_at(other));
		}
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

/* ---------------------------------------------------------------------------------------------------------- components */

static const struct api_field error_body[] = {
	FIELD_STR("code", API_REQUIRED, 0, "a failure class"),
	FIELD_STR("message", API_REQUIRED, 0, "for a person"),
	FIELD_OBJECTS("details", 0, 0, "objects that say more", anything),
	FIELD_STR("request_id", API_REQUIRED, 0, "the same as X-Request-Id"),
	FIELD_END,
};

static const struct api_field failure_body[] = {
	FIELD_STR("class", API_REQUIRED, 0, "of the closed set, or of the API's own"),
	FIELD_STR("message", API_REQUIRED, 0, "for a person"),
	FIELD_BOOL("retriable", API_REQUIRED, ""),
	FIELD_STR("boundary", API_REQUIRED, 0, "which wall refused"),
	FIELD_STR("request_id", API_REQUIRED, 0, "the same as X-Request-Id"),
	FIELD_STR("audit_id", 0, 0, "of the event that records it"),
	FIELD_ANY("details", 0, ""),
	FIELD_END,
};

static void put_envelope_schema(struct json_writer *w, const char *name, const struct api_field *body)
{
	const struct api_field envelope[] = {FIELD_OBJECT("error", API_REQUIRED, "", body), FIELD_END};
	begin(w, name);
	put_object_schema(w, envelope);
	jsonw_end_object(w);
}

static void put_schemas(struct json_writer *w)
{
	begin(w, "schemas");
	for (const struct api_component *one = api_components; one->name != NULL; one++) {
		begin(w, one->name);
		put_object_schema(w, one->fields);
		jsonw_end_object(w);
	}
	put_envelope_schema(w, "Error", error_body);
	put_envelope_schema(w, "Failure", failure_body);
	jsonw_end_object(w);
}

/* A call that fails before it is one (the token, the body) has the other envelope. */
static void put_error_schema(struct json_writer *w, const char *name)
{
	static const char *const either[] = {"Failure", "Error"};
	if (strcmp(name, "Failure") != 0) {
		put_reference(w, "schemas", "Error");
		return;
	}
	jsonw_key(w, S("anyOf"));
	jsonw_begin_array(w);
	for (size_t i = 0; i < ARRAY_LEN(either); i++) {
		jsonw_begin_object(w);
		put_reference(w, "schemas", either[i]);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

/* A browser that was sent here reads a page; what is refused before the handler sees it is JSON there too. */
static void put_error_page(struct json_writer *w)
{
	begin(w, "text/html");
	begin(w, "schema");
	put_z(w, "type", "string");
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void put_error_response(struct json_writer *w, const char *name, const char *about)
{
	begin(w, name);
	put_z(w, "description", about);
	begin(w, "content");
	begin(w, "application/json");
	begin(w, "schema");
	put_error_schema(w, name);
	jsonw_end_object(w);
	jsonw_end_object(w);
	if (strcmp(name, "Page") == 0)
		put_error_page(w);
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void put_scheme(struct json_writer *w, const char *name, const char *about)
{
	begin(w, name);
	put_z(w, "type", "http");
	put_z(w, "scheme", "bearer");
	put_z(w, "description", about);
	jsonw_end_object(w);
}

static void put_components(struct json_writer *w)
{
	begin(w, "components");
	put_schemas(w);
	begin(w, "responses");
	put_error_response(w, "Error", "the request failed");
	put_error_response(w, "Failure", "the call failed");
	put_error_response(w, "Page", "the request failed; told as a page");
	jsonw_end_object(w);
	begin(w, "securitySchemes");
	put_scheme(w, "daemonToken", "of daemon.json: new at every start");
	put_scheme(w, "personToken", "of a browser, exchanged for a code of `aileron open`");
	put_scheme(w, "sessionToken", "of one session, with its capabilities alone");
	jsonw_end_object(w);
	jsonw_end_object(w);
}

void openapi_put(struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_z(&w, "openapi", "3.1.0");
	begin(&w, "info");
	put_z(&w, "title", "aileron");
	put_z(&w, "version", AILERON_VERSION);
	put_description(&w,
			"The daemon on this machine. Secrets are sent sealed to its keeper (docs/formats/sealed.md).");
	jsonw_end_object(&w);
	put_paths(&w);
	put_components(&w);
	jsonw_end_object(&w);
}
