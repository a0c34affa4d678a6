/*
 * Any bytes as an action file, and what follows a NUL as a call's arguments and as what every step answers: nothing crashes, an
 * error has its class and what is written is JSON.
 */
#include "action/action.h"
#include "action/set.h"
#include "text/json_writer.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define OUT_MAX ((size_t)4 << 20)

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_json(const struct buf *text)
{
	if (!buf_ok(text))
		return;
	AUTO(json) *json = json_parse(buf_str(text), JSON_READ_STRICT, NULL);
	require(json != NULL);
}

/* What the rest of the program relies on. */
static void check_file(const struct action *action)
{
	char name[ACTION_TOOL_NAME_MAX];
	AUTO_BUF schema = BUF_INIT(OUT_MAX);
	require(action->name.n > 0 && action->name.n <= ACTION_WORD_MAX);
	require(action->n_steps > 0 && action->n_steps <= ACTION_STEPS_MAX && action->n_inputs <= ACTION_INPUTS_MAX);
	require(action->n_connectors > 0 && action->n_connectors <= ACTION_REQUIRES_MAX);
	for (size_t i = 0; i < action->n_steps; i++)
		require(action->steps[i].connector < action->n_connectors && action->steps[i].line > 0);
	require(action_title(action).n > 0 && action_description(action).n > 0);
	action_tool_name(action->name, name);
	require(name[0] != '\0');
	action_input_schema(action, &schema);
	require_json(&schema);
	struct action_hints hints = action_hints(action);
	require(!hints.read_only || !hints.destructive);
	if (action_check_in_set(action, &action, 1, NULL) == 0)
		require(!action->preview.present || action->n_steps > 0);
}

static void check_steps(const struct action *action, const struct json *args, const struct json *answer)
{
	static struct err err;
	const struct json *answers[ACTION_STEPS_MAX];
	for (size_t i = 0; i < ACTION_STEPS_MAX; i++)
		answers[i] = answer;
	for (size_t i = 0; i < action->n_steps; i++) {
		const struct action_outputs outputs = {answers, i};
		AUTO_BUF given = BUF_INIT(OUT_MAX), shown = BUF_INIT(OUT_MAX);
		err_clear(&err);
		if (action_step_arguments(action, i, args, &outputs, &given, &err) == 0)
			require_json(&given);
		else
			require(given.n == 0 && (err.class == ERR_CONNECTOR_RUNTIME_ERROR || err.class == ERR_LIMIT));
		if (action_step_shown(action, i, args, &shown, NULL) == 0)
			require_json(&shown);
		require(action_check_step(action, i, NULL) <= 0);
	}
	AUTO_BUF rows = BUF_INIT(OUT_MAX), fields = BUF_INIT(OUT_MAX), preview = BUF_INIT(OUT_MAX);
	if (action_preview_render(action, answer, &rows, NULL) == 0)
		require_json(&rows);
	if (action_input_fields(action, args, &fields, NULL) == 0)
		require_json(&fields);
	if (action_preview_arguments(action, args, &preview, NULL) == 0)
		require_json(&preview);
}

static void check_call(const struct action *action, struct str text)
{
	static struct err err;
	AUTO(json) *given = json_parse(text, JSON_READ_STRICT, NULL);
	AUTO_BUF args = BUF_INIT(OUT_MAX), again = BUF_INIT(OUT_MAX);
	err_clear(&err);
	if (action_arguments(action, given, &args, &err) < 0) {
		require(err.class == ERR_INVALID_REQUEST || err.class == ERR_LIMIT);
		buf_clear(&args);
		buf_add_str(&args, S("{}"));
	}
	AUTO(json) *made = json_parse(buf_str(&args), JSON_READ_STRICT, NULL);
	require(made != NULL);
	if (err.class == ERR_NONE) {
		require(action_arguments(action, made, &again, NULL) == 0);
		require(str_eq(buf_str(&args), buf_str(&again)));
	}
	check_steps(action, made, given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	struct str file;
	struct str call = str_cut(str_of(data, n), '\0', &file);
	err_clear(&err);
	AUTO(action) *action = action_parse(file, "fuzz.md", &err);
	if (action == NULL) {
		require(err.class == ERR_PARSE_ERROR || err.class == ERR_VALIDATION_ERROR || err.class == ERR_LIMIT);
		require(err.class != ERR_VALIDATION_ERROR || err.line > 0);
		return 0;
	}
	check_file(action);
	check_call(action, call);
	return 0;
}
