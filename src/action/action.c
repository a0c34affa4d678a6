#include "action/action.h"
#include "action/action_text.h"
#include "action/envelope.h"
#include "base/utf8.h"
#include "crypto/digest.h"

#define TITLE_MAX 200
/* A template's JSON is at most six bytes a byte of the file, for `\u00XX`, and a comma and brackets. */
#define TEMPLATES_MAX (8 * ACTION_MAX)

const char *action_type_name(enum action_type type)
{
	static const char *const names[ACTION_TYPE__MAX] = {
		[ACTION_STRING] = "string",   [ACTION_INTEGER] = "integer", [ACTION_NUMBER] = "number",
		[ACTION_BOOLEAN] = "boolean", [ACTION_ARRAY] = "array",     [ACTION_OBJECT] = "object",
	};
	return names[type];
}

const char *action_effect_name(enum action_effect effect)
{
	static const char *const names[] = {
		[ACTION_READ] = "read",
		[ACTION_WRITE] = "write",
		[ACTION_DESTRUCTIVE] = "destructive",
		[ACTION_EFFECT_UNKNOWN] = "unknown",
	};
	return names[effect];
}

/* ---- the body ---- */

/* Lines that end in "\n" alone, without the last one's end. */
static struct str normal_body(struct arena *arena, struct str body)
{
	AUTO_BUF lines = BUF_INIT(ACTION_MAX);
	bool first = true;
	while (body.n > 0) {
		struct str line;
		body = str_cut(body, '\n', &line);
		if (str_ends(line, S("\r")))
			line.n--;
		if (!first)
			buf_add_char(&lines, '\n');
		first = false;
		buf_add_str(&lines, line);
	}
	return arena_str(arena, buf_str(&lines));
}

/* An ATX heading of CommonMark: one to six '#', then white space or nothing; its text without closing '#'. */
static bool is_heading(struct str line, struct str *ret_text)
{
	size_t n = 0;
	while (n < line.n && line.p[n] == '#')
		n++;
	if (n == 0 || n > 6 || (n < line.n && line.p[n] != ' ' && line.p[n] != '\t'))
		return false;
	struct str text = str_trim(str_slice(line, n, line.n)), open = text;
	while (open.n > 0 && open.p[open.n - 1] == '#')
		open.n--;
	if (open.n == 0 || open.p[open.n - 1] == ' ' || open.p[open.n - 1] == '\t')
		text = str_trim(open);
	*ret_text = text;
	return text.n > 0;
}

/* The first heading that stands in no code; the body around it becomes the description. */
static void split_heading(struct action *action)
{
	struct str rest = action->body, text;
	bool code = false;
	while (rest.n > 0) {
		struct str line, all = rest;
		rest = str_cut(rest, '\n', &line);
		if (str_starts(str_trim(line), S("```")) || str_starts(str_trim(line), S("~~~")))
			code = !code;
		if (code || !is_heading(line, &text))
			continue;
		struct str before = str_slice(action->body, 0, action->body.n - all.n);
		action->title = utf8_cut(text, TITLE_MAX);
		if (str_blank(before))
			action->description = str_trim(rest);
		else
			action->description = arena_printf(action->arena, "%.*s%.*s", STR_FMT(before), STR_FMT(rest));
		return;
	}
	action->description = action->body;
}

static void describe(struct action *action)
{
	split_heading(action);
	action->description = str_trim(action->description);
	if (action->title.n == 0)
		action->title = utf8_cut(str_trim(action->intent), TITLE_MAX);
	if (action->description.n == 0)
		action->description = str_trim(action->intent);
}

struct str action_title(const struct action *action)
{
	return action->title;
}

struct str action_description(const struct action *action)
{
	return action->description;
}

/* ---- from the text ---- */

static void take_lists(struct action *action, const struct action_text *text)
{
	struct action_connector *connectors =
		arena_array(action->arena, MAX(text->n_connectors, 1), sizeof *connectors);
	for (size_t i = 0; i < text->n_connectors; i++)
		connectors[i] = text->connectors[i].row;
	struct action_input *inputs = arena_array(action->arena, MAX(text->n_inputs, 1), sizeof *inputs);
	for (size_t i = 0; i < text->n_inputs; i++)
		inputs[i] = text->inputs[i].row;
	struct action_step *steps = arena_array(action->arena, MAX(text->n_steps, 1), sizeof *steps);
	for (size_t i = 0; i < text->n_steps; i++) {
		const struct json *template = json_at(action->templates, i + 1);
		steps[i] = text->steps[i].row;
		steps[i].inputs = json_kind(template) == JSON_KIND_OBJECT ? template : NULL;
	}
	action->connectors = connectors;
	action->n_connectors = text->n_connectors;
	action->inputs = inputs;
	action->n_inputs = text->n_inputs;
	action->steps = steps;
	action->n_steps = text->n_steps;
}

static void take_preview(struct action *action, const struct preview_text *text)
{
	if (!text->present)
		return;
	const struct json *template = json_at(action->templates, 0);
	size_t n = toml_length(text->render);
	struct action_render *render = arena_array(action->arena, MAX(n, 1), sizeof *render), *row = render;
	struct toml_iter it;
	for (toml_iter_init(&it, text->render); toml_iter_next(&it); row++) {
		row->label = it.name;
		row->multiline = str_list_has(text->multiline, it.name);
		toml_get_str(it.value, &row->path);
	}
	action->preview = (struct action_preview){
		.present = true,
		.op = text->op,
		.args = json_kind(template) == JSON_KIND_OBJECT ? template : NULL,
		.render = render,
		.n_render = n,
		.line = toml_line(text->at),
	};
}

static void take(struct action *action, const struct action_text *text)
{
	action->name = text->name;
	action->version = text->version;
	action->source = text->source;
	action->intent = text->intent;
	action->approval_required = text->approval_required;
	action->approval_editable = text->approval_editable;
	action->approval_grants = text->approval_grants;
	take_lists(action, text);
	take_preview(action, &text->preview);
}

static int read_front(struct action *action, const struct envelope *envelope, const char *file, struct err *err)
{
	AUTO_BUF templates = BUF_INIT(TEMPLATES_MAX);
	struct action_text text = {.file = file, .line = envelope->line};
	if (action_text_read(action->arena, envelope->front, &text, err) < 0 ||
	    action_text_check(&text, &templates, err) < 0)
		return -1;
	action->templates = json_parse(buf_str(&templates), JSON_READ_STRICT, err);
	if (action->templates == NULL)
		return wrap(err, "what the steps are given");
	take(action, &text);
	return 0;
}

static void take_hash(struct action *action, struct str text)
{
	char hex[SHA256_HEX_TEXT_SIZE];
	sha256(text, action->sha256);
	action->hash = arena_printf(action->arena, "sha256:%s", sha256_hex(text, hex));
}

struct action *action_parse(struct str text, const char *file, struct err *err)
{
	struct envelope envelope;
	if (text.n > ACTION_MAX) {
		fail(err, ERR_LIMIT, "the action is larger than %zu bytes", ACTION_MAX);
		err_at(err, file, 0);
		return NULL;
	}
	if (envelope_split(text, file, &envelope, err) < 0)
		return NULL;
	AUTO(action) *action = NEW(struct action);
	action->arena = arena_new();
	action->file = arena_str(action->arena, str_from(file));
	if (read_front(action, &envelope, file, err) < 0)
		return NULL;
	action->body = normal_body(action->arena, envelope.body);
	take_hash(action, text);
	describe(action);
	return TAKE(action);
}

void action_free(struct action *action)
{
	if (action == NULL)
		return;
	json_free(action->templates);
	arena_free(action->arena);
	free(action);
}
