/* An action as a tool of MCP. */
#include "action/action.h"
#include "crypto/digest.h"
#include "text/json_members.h"
#include <stdio.h>

void action_tool_name(struct str action_name, char ret[ACTION_TOOL_NAME_MAX])
{
	enum { MOST = ACTION_TOOL_NAME_MAX - 1, KEPT = 31, DIGITS = 8 };
	char hex[SHA256_HEX_TEXT_SIZE];
	size_t n = action_name.n <= MOST ? action_name.n : KEPT;
	for (size_t i = 0; i < n; i++) {
		char c = action_name.p[i];
		ret[i] = c == '-' || c == '.' ? '_' : c;
	}
	ret[n] = '\0';
	if (action_name.n > MOST)
		snprintf(ret + KEPT, MOST + 1 - KEPT, "_%.*s", DIGITS, sha256_hex(action_name, hex));
}

/* ---- schemas ---- */

static void put_type(struct json_writer *w, const char *type)
{
	member_z(w, "type", type);
}

static void put_input(struct json_writer *w, const struct action_input *input)
{
	jsonw_key(w, input->name);
	jsonw_begin_object(w);
	put_type(w, action_type_name(input->type));
	member_str_given(w, "title", input->label);
	member_str(w, "description", input->description);
	if (input->type == ACTION_ARRAY) {
		member_begin_object(w, "items"); /* empty = anything; some clients refuse an array without it */
		if (input->items != ACTION_TYPE__MAX)
			put_type(w, action_type_name(input->items));
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

static void put_required(struct json_writer *w, const struct action *action)
{
	bool any = false;
	for (size_t i = 0; i < action->n_inputs; i++) {
		if (!action->inputs[i].required)
			continue;
		if (!any)
			member_begin_array(w, "required");
		any = true;
		jsonw_str(w, action->inputs[i].name);
	}
	if (any)
		jsonw_end_array(w);
}

void action_input_schema(const struct action *action, struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_type(&w, "object");
	if (action->n_inputs > 0) {
		member_begin_object(&w, "properties");
		for (size_t i = 0; i < action->n_inputs; i++)
			put_input(&w, &action->inputs[i]);
		jsonw_end_object(&w);
	}
	put_required(&w, action);
	member_bool(&w, "additionalProperties", false);
	jsonw_end_object(&w);
}

void action_output_schema(struct buf *out)
{
	static const struct {
		const char *name, *type, *description;
	} members[] = {
		{"action", "string", "the action's name"},
		{"run_id", "string", "what this run is known by"},
		{"output", NULL, "what the last step answered"},
		{"steps", "object", "what each step answered, by its id"},
		{"approval_id", "string", "of the approval that a person has to give first"},
		{"message", "string", "what to do next, in words"},
		{"review_url", "string", "where a person decides"},
	};
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_type(&w, "object");
	member_begin_object(&w, "properties");
	member_raw(&w, "status", S("{\"type\":\"string\",\"enum\":[\"completed\",\"pending_approval\"]}"));
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		member_begin_object(&w, members[i].name);
		if (members[i].type != NULL)
			put_type(&w, members[i].type);
		member_z(&w, "description", members[i].description);
		jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	member_raw(&w, "required", S("[\"status\",\"action\",\"run_id\"]"));
	jsonw_end_object(&w);
}

/* ---- hints ---- */

static bool is_kept_from_network(const struct action *action)
{
	for (size_t i = 0; i < action->n_connectors; i++) {
		const struct str_list *hosts = &action->connectors[i].hosts;
		if (hosts->items == NULL || hosts->n > 0)
			return false;
	}
	return true;
}

struct action_hints action_hints(const struct action *action)
{
	bool unknown = false, destroys = false, reads = true, repeats = true;
	for (size_t i = 0; i < action->n_steps; i++) {
		const struct action_step *step = &action->steps[i];
		unknown |= step->effect == ACTION_EFFECT_UNKNOWN;
		destroys |= step->effect == ACTION_DESTRUCTIVE;
		reads &= step->effect == ACTION_READ;
		repeats &= step->effect == ACTION_READ || (step->has_idempotent && step->idempotent);
	}
	return (struct action_hints){
		.read_only = reads,
		.destructive = unknown || destroys,
		.idempotent = repeats,
		.open_world = unknown || !is_kept_from_network(action),
	};
}
