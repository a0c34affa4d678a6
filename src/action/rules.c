/* The rules of docs/formats/action.md, in its order. */
#include "action/action_text.h"
#include "base/ascii.h"
#include "base/escape.h"
#include "text/content_hash.h"
#include "text/fqn.h"
#include <stdarg.h>

/* ---- errors with a place ---- */

static int broken_at(const struct action_text *text, const struct toml_value *where, struct err *err)
{
	uint32_t line = where == NULL || where == text->root ? text->line : toml_line(where);
	return err_at(err, text->file, line);
}

static const struct toml_value *place(const struct toml_value *table, const char *key)
{
	const struct toml_value *member = toml_member(table, str_from(key));
	return member != NULL ? member : table;
}

int text_broken(const struct action_text *text, const struct toml_value *table, const char *key, struct err *err,
		const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	failv(err, ERR_VALIDATION_ERROR, fmt, ap);
	va_end(ap);
	return broken_at(text, place(table, key), err);
}

int text_broken_by(const struct action_text *text, const struct toml_value *table, const char *key, struct err *err)
{
	wrap(err, "'%s'", key);
	return broken_at(text, place(table, key), err);
}

int text_broken_at(const struct action_text *text, const struct toml_value *where, struct err *err, const char *fmt,
		   ...)
{
	va_list ap;
	va_start(ap, fmt);
	failv(err, ERR_VALIDATION_ERROR, fmt, ap);
	va_end(ap);
	return broken_at(text, where, err);
}

/* ---- words ---- */

/* ^[first][rest]*$, where `first` is lower-case letters, digits too or not, and `rest` these and `more`. */
static bool is_word(struct str word, bool digit_first, const char *more)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];
		bool plain = ascii_is_lower(c) || (ascii_is_digit(c) && (i > 0 || digit_first));
		if (!plain && (i == 0 || str_find_char(str_from(more), c) == STR_NPOS))
			return false;
	}
	return word.n > 0;
}

/* A text that must be there, not blank and not too long. */
static int need_word(const struct action_text *text, const struct toml_value *table, const char *key, struct str word,
		     struct err *err)
{
	if (str_blank(word))
		return text_broken(text, table, key, err, "'%s' is required", key);
	if (word.n > ACTION_WORD_MAX)
		return text_broken(text, table, key, err, "'%s' is longer than %zu bytes", key, ACTION_WORD_MAX);
	return 0;
}

static int need_version(const struct action_text *text, const struct toml_value *table, struct str version,
			struct err *err)
{
	struct semver semver;
	if (version.n == 0)
		return text_broken(text, table, "version", err,
				   "'version' is required: a semantic version, as in 1.4.0");
	if (semver_parse(version, &semver, err) < 0)
		return text_broken_by(text, table, "version", err);
	return 0;
}

/* ---- name, version, source ---- */

static int check_identity(struct action_text *text, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	struct fqn_ref source;
	if (need_word(text, text->root, "name", text->name, err) < 0)
		return -1;
	if (!is_word(text->name, true, "._-"))
		return text_broken(text, text->root, "name", err,
				   "'name' is '%s': it begins with a lower-case letter or a digit and has only these "
				   "and '.', '_', '-'",
				   escape_shown(text->name, shown));
	if (need_version(text, text->root, text->version, err) < 0)
		return -1;
	if (text->source.n == 0)
		return text_broken(text, text->root, "source", err,
				   "'source' is required: where the file comes from, as in "
				   "github://owner/repository@1.4.0");
	if (fqn_ref_parse(text->source, &source, err) == 0)
		return 0;
	wrap(err, "invalid source");
	return text_broken_by(text, text->root, "source", err);
}

/* ---- [[requires.connectors]] ---- */

static int check_hosts(const struct action_text *text, const struct connector_text *connector, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	for (size_t i = 0; i < connector->row.hosts.n; i++) {
		struct str host = connector->row.hosts.items[i];
		size_t colon = str_find_last_char(host, ':');
		uint64_t port;
		if (colon != STR_NPOS && colon > 0 && str_to_u64(str_slice(host, colon + 1, host.n), 65535, &port) &&
		    port > 0)
			continue;
		return text_broken(text, connector->at, "hosts", err,
				   "'hosts' entry %zu is '%s': a host and its port are meant, as in "
				   "api.example.com:443",
				   i + 1, escape_shown(host, shown));
	}
	return 0;
}

static int check_capabilities(const struct action_text *text, const struct connector_text *connector, struct err *err)
{
	const struct str_list *capabilities = &connector->row.capabilities;
	if (capabilities->n == 0)
		return text_broken(text, connector->at, "capabilities", err,
				   "'capabilities' is required: the operations that this action may call, at least "
				   "one");
	for (size_t i = 0; i < capabilities->n; i++) {
		if (str_blank(capabilities->items[i]))
			return text_broken(text, connector->at, "capabilities", err,
					   "'capabilities' entry %zu is blank", i + 1);
	}
	return 0;
}

static int check_connector(const struct action_text *text, struct connector_text *connector, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	struct action_connector *row = &connector->row;
	struct fqn fqn;
	row->line = toml_line(connector->at);
	if (row->name.n == 0)
		return text_broken(text, connector->at, "name", err,
				   "'name' is required: the connector's full name, as in github://owner/repository");
	if (fqn_parse(row->name, &fqn, err) < 0)
		return text_broken_by(text, connector->at, "name", err);
	if (need_version(text, connector->at, row->version, err) < 0)
		return -1;
	if (row->hash.n == 0)
		return text_broken(text, connector->at, "hash", err,
				   "'hash' is required: the connector's hash, or '" ACTION_UNPINNED "'");
	row->unpinned = str_eq(row->hash, S(ACTION_UNPINNED));
	if (!row->unpinned && !content_hash_is_valid(row->hash))
		return text_broken(text, connector->at, "hash", err,
				   "'hash' is '%s': a hash is 'sha256:' and 64 lower-case hexadecimal digits, or "
				   "'" ACTION_UNPINNED "'",
				   escape_shown(row->hash, shown));
	if (check_capabilities(text, connector, err) < 0)
		return -1;
	return check_hosts(text, connector, err);
}

static int check_connectors(struct action_text *text, struct err *err)
{
	const struct toml_value *requires = toml_member(text->root, S("requires"));
	const struct toml_value *where = requires != NULL ? requires : text->root;
	if (text->n_connectors == 0)
		return text_broken(text, where, "connectors", err,
				   "'requires.connectors' is required: at least one connector");
	if (text->n_connectors > ACTION_REQUIRES_MAX)
		return text_broken(text, where, "connectors", err, "there are more than %d connectors",
				   ACTION_REQUIRES_MAX);
	for (size_t i = 0; i < text->n_connectors; i++) {
		if (check_connector(text, &text->connectors[i], err) < 0)
			return -1;
	}
	return 0;
}

static int check_intent(struct action_text *text, struct err *err)
{
	if (!str_blank(text->intent))
		return 0;
	const struct toml_value *match = toml_member(text->root, S("match"));
	return text_broken(text, match != NULL ? match : text->root, "intent", err,
			   "'match.intent' is required: what the action is for, in a few words");
}

/* ---- [[inputs]] ---- */

static enum action_type type_named(struct str name)
{
	for (int type = 0; type < ACTION_TYPE__MAX; type++) {
		if (str_eq(name, str_from(action_type_name((enum action_type)type))))
			return (enum action_type)type;
	}
	return ACTION_TYPE__MAX;
}

static int check_input_name(const struct action_text *text, size_t i, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	const struct input_text *input = &text->inputs[i];
	if (need_word(text, input->at, "name", input->row.name, err) < 0)
		return -1;
	if (!is_word(input->row.name, false, "_"))
		return text_broken(text, input->at, "name", err,
				   "input '%s': a name begins with a lower-case letter and has only these, digits "
				   "and '_'",
				   escape_shown(input->row.name, shown));
	for (size_t before = 0; before < i; before++) {
		if (str_eq(text->inputs[before].row.name, input->row.name))
			return text_broken(text, input->at, "name", err, "input '%.*s' is there already",
					   STR_FMT(input->row.name));
	}
	return 0;
}

static int check_items_type(const struct action_text *text, struct input_text *input, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	input->row.items = ACTION_TYPE__MAX;
	if (input->items_type.n == 0)
		return 0;
	if (input->row.type != ACTION_ARRAY)
		return text_broken(text, input->at, "items_type", err,
				   "input '%.*s' is no array: only an array has 'items_type'",
				   STR_FMT(input->row.name));
	input->row.items = type_named(input->items_type);
	if (input->row.items == ACTION_TYPE__MAX || input->row.items == ACTION_ARRAY)
		return text_broken(text, input->at, "items_type", err,
				   "input '%.*s' has items of type '%s': they are string, integer, number, boolean or "
				   "object",
				   STR_FMT(input->row.name), escape_shown(input->items_type, shown));
	return 0;
}

static int check_input(const struct action_text *text, size_t i, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	struct input_text *input = &text->inputs[i];
	struct str name = input->row.name;
	if (check_input_name(text, i, err) < 0)
		return -1;
	if (input->type.n == 0)
		return text_broken(text, input->at, "type", err, "input '%.*s' needs a 'type'", STR_FMT(name));
	input->row.type = type_named(input->type);
	if (input->row.type == ACTION_TYPE__MAX)
		return text_broken(text, input->at, "type", err,
				   "input '%.*s' has type '%s': types are string, integer, number, boolean, array and "
				   "object",
				   STR_FMT(name), escape_shown(input->type, shown));
	if (str_blank(input->row.description))
		return text_broken(text, input->at, "description", err,
				   "input '%.*s' needs a 'description': it is what the agent reads", STR_FMT(name));
	if (input->row.label.n > 0 && str_blank(input->row.label))
		return text_broken(text, input->at, "label", err, "input '%.*s' has a blank 'label'", STR_FMT(name));
	if (input->row.label.n > ACTION_WORD_MAX)
		return text_broken(text, input->at, "label", err, "input '%.*s' has a 'label' of more than %zu bytes",
				   STR_FMT(name), ACTION_WORD_MAX);
	if (input->row.multiline && input->row.type != ACTION_STRING)
		return text_broken(text, input->at, "multiline", err,
				   "input '%.*s' is no string: only a string is 'multiline'", STR_FMT(name));
	if (!input->has_required)
		input->row.required = true;
	return check_items_type(text, input, err);
}

static int check_inputs(struct action_text *text, struct err *err)
{
	if (text->n_inputs > ACTION_INPUTS_MAX)
		return text_broken(text, text->root, "inputs", err, "there are more than %d inputs", ACTION_INPUTS_MAX);
	for (size_t i = 0; i < text->n_inputs; i++) {
		if (check_input(text, i, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- [approval.preview] ---- */

static int check_render(const struct action_text *text, const struct toml_value *render, struct err *err)
{
	struct toml_iter it;
	for (toml_iter_init(&it, render); toml_iter_next(&it);) {
		struct str path;
		char shown[ESCAPE_SHOWN_SIZE];
		escape_shown(it.name, shown);
		if (!toml_get_str(it.value, &path))
			return text_broken_at(text, it.value, err, "'render' of '%s' must be a string, not %s", shown,
					      toml_type_name(toml_type(it.value)));
		if (str_blank(it.name))
			return text_broken_at(text, it.value, err, "'render' has a blank label");
		if (str_blank(path))
			return text_broken_at(text, it.value, err, "'render' of '%s' has a blank path", shown);
		if (it.name.n > ACTION_WORD_MAX || path.n > ACTION_PATH_MAX)
			return text_broken_at(text, it.value, err, "'render' of '%s' is longer than is accepted",
					      shown);
	}
	return 0;
}

static int check_preview(struct action_text *text, struct buf *templates, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	const struct preview_text *preview = &text->preview;
	if (!preview->present) {
		buf_add_str(templates, S("null"));
		return 0;
	}
	if (need_word(text, preview->at, "op", preview->op, err) < 0)
		return -1;
	if (toml_length(preview->render) == 0)
		return text_broken(text, preview->at, "render", err,
				   "'render' is required: what of the answer is shown, under which label");
	if (toml_length(preview->render) > ACTION_INPUTS_MAX)
		return text_broken(text, preview->at, "render", err, "'render' has more than %d labels",
				   ACTION_INPUTS_MAX);
	if (template_check(text, preview->args, SIZE_MAX, templates, err) < 0 ||
	    check_render(text, preview->render, err) < 0)
		return -1;
	for (size_t i = 0; i < preview->multiline.n; i++) {
		if (toml_member(preview->render, preview->multiline.items[i]) == NULL)
			return text_broken(text, preview->at, "multiline", err,
					   "'multiline' names '%s', which is no label of 'render'",
					   escape_shown(preview->multiline.items[i], shown));
	}
	return 0;
}

/* ---- [[execute]] ---- */

static int check_step_id(const struct action_text *text, size_t i, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	const struct step_text *step = &text->steps[i];
	if (need_word(text, step->at, "id", step->row.id, err) < 0)
		return -1;
	for (size_t before = 0; before < i; before++) {
		if (str_eq(text->steps[before].row.id, step->row.id))
			return text_broken(text, step->at, "id", err, "step '%s' is there already",
					   escape_shown(step->row.id, shown));
	}
	return 0;
}

static int check_step_connector(const struct action_text *text, struct step_text *step, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	if (step->connector.n == 0)
		return text_broken(text, step->at, "connector", err, "'connector' is required");
	for (size_t i = 0; i < text->n_connectors; i++) {
		if (str_eq(text->connectors[i].row.name, step->connector)) {
			step->row.connector = i;
			return 0;
		}
	}
	return text_broken(text, step->at, "connector", err,
			   "connector '%s' is not in 'requires.connectors'; they must be the same to the letter",
			   escape_shown(step->connector, shown));
}

static int check_effect(const struct action_text *text, struct step_text *step, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	step->row.effect = ACTION_EFFECT_UNKNOWN;
	if (step->effect.n == 0)
		return 0;
	for (int effect = 0; effect < ACTION_EFFECT_UNKNOWN; effect++) {
		if (str_eq(step->effect, str_from(action_effect_name((enum action_effect)effect)))) {
			step->row.effect = (enum action_effect)effect;
			return 0;
		}
	}
	return text_broken(text, step->at, "effect", err, "'effect' is '%s': it is read, write or destructive",
			   escape_shown(step->effect, shown));
}

static int check_step(struct action_text *text, size_t i, struct buf *templates, struct err *err)
{
	struct step_text *step = &text->steps[i];
	step->row.line = toml_line(step->at);
	buf_add_char(templates, ',');
	if (check_step_id(text, i, err) < 0 || check_step_connector(text, step, err) < 0 ||
	    need_word(text, step->at, "op", step->row.op, err) < 0 ||
	    template_check(text, step->inputs, i, templates, err) < 0)
		return -1;
	return check_effect(text, step, err);
}

int action_text_check(struct action_text *text, struct buf *templates, struct err *err)
{
	if (check_identity(text, err) < 0 || check_connectors(text, err) < 0 || check_intent(text, err) < 0 ||
	    check_inputs(text, err) < 0)
		return -1;
	if (text->n_steps == 0)
		return text_broken(text, text->root, "execute", err, "'execute' is required: at least one step");
	if (text->n_steps > ACTION_STEPS_MAX)
		return text_broken(text, text->root, "execute", err, "there are more than %d steps", ACTION_STEPS_MAX);
	buf_add_char(templates, '[');
	if (check_preview(text, templates, err) < 0)
		return -1;
	for (size_t i = 0; i < text->n_steps; i++) {
		if (check_step(text, i, templates, err) < 0)
			return -1;
	}
	buf_add_char(templates, ']');
	return buf_check(templates, "what the steps are given", err);
}
