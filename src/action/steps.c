/* A step's arguments: templates with everything in its place, and what the call gives beyond them. */
#include "action/action.h"
#include "action/template.h"
#include "base/escape.h"
#include "text/jcs.h"
#include "text/json_writer.h"
#include <math.h>

struct filling {
	const struct action *action;
	const struct json *args;
	const struct action_outputs *outputs; /* NULL: for people, before anything ran */
	struct buf *out;
	size_t start; /* of what is ours in `out` */
	struct json_writer json;
	struct err *err;
};

static int put_value(struct filling *f, struct str key, const struct json *value);

/* ---- references ---- */

static size_t step_named(const struct action *action, struct str id)
{
	size_t i = 0;
	while (i < action->n_steps && !str_eq(action->steps[i].id, id))
		i++;
	return i;
}

static int fail_missing(const struct filling *f, const struct reference *reference)
{
	char shown[ESCAPE_SHOWN_SIZE], path[ESCAPE_SHOWN_SIZE];
	fail(f->err, ERR_CONNECTOR_RUNTIME_ERROR, "'%s' is not there: step '%.*s' answered without '%s'",
	     escape_shown(reference->text, shown), STR_FMT(reference->head), escape_shown(reference->path, path));
	err_detail(f->err, "step", reference->head);
	err_detail(f->err, "field", reference->path);
	return err_set_boundary(f->err, BOUNDARY_RUNTIME);
}

/*
 * A connector is given every number as a double, and a literal beyond 64 bits was rounded when the answer was read: an id
 * that changes on its way would name another thing. As a text, integers of 64 bits stay what they are.
 */
static bool is_exact(const struct json *value, bool as_text)
{
	int64_t integer;
	double real;
	if (json_get_int(value, &integer))
		return as_text || (integer >= -JCS_INTEGER_MAX && integer <= JCS_INTEGER_MAX);
	if (json_get_real(value, &real))
		return fabs(real) <= (double)JCS_INTEGER_MAX;
	for (size_t i = 0; json_kind(value) == JSON_KIND_ARRAY && i < json_length(value); i++) {
		if (!is_exact(json_at(value, i), as_text))
			return false;
	}
	struct json_iter it;
	for (json_iter_init(&it, value); json_iter_next(&it);) {
		if (!is_exact(it.value, as_text))
			return false;
	}
	return true;
}

static int fail_inexact(const struct filling *f, const struct reference *reference)
{
	char shown[ESCAPE_SHOWN_SIZE];
	fail(f->err, ERR_CONNECTOR_RUNTIME_ERROR,
	     "'%s' has a number beyond 2^53 - 1, which would not arrive as it is; step '%.*s' has to answer it as a "
	     "string",
	     escape_shown(reference->text, shown), STR_FMT(reference->head));
	err_detail(f->err, "step", reference->head);
	err_detail(f->err, "field", reference->path);
	return err_set_boundary(f->err, BOUNDARY_RUNTIME);
}

/* What it stands for; NULL for an argument that was not given, and in `shown` for a step's answer. */
static int resolve(const struct filling *f, const struct reference *reference, bool as_text, const struct json **ret)
{
	if (reference->kind == REFERENCE_ARGUMENT) {
		*ret = json_member(f->args, reference->path);
		return 0;
	}
	size_t step = step_named(f->action, reference->head);
	const struct json *output = step < f->outputs->n ? f->outputs->items[step] : NULL;
	const struct json *found = path_walk(output, reference->path);
	if (found == NULL)
		return fail_missing(f, reference);
	if (!is_exact(found, as_text))
		return fail_inexact(f, reference);
	*ret = found;
	return 0;
}

static bool is_yet_to_come(const struct filling *f, const struct reference *reference)
{
	return reference->kind == REFERENCE_STEP && f->outputs == NULL;
}

/* A value as a text: strings as they are, numbers in decimal, nothing for null, objects and arrays as canonical JSON. */
static int put_text(struct buf *text, const struct json *value, struct err *err)
{
	struct str string;
	if (json_get_str(value, &string)) {
		buf_add_str(text, string);
		return buf_check(text, "a text of the step", err);
	}
	return json_kind(value) == JSON_KIND_NULL ? 0 : jcs_write(text, value, JCS_KEEP_INTEGERS, err);
}

static int put_reference(const struct filling *f, struct buf *text, const struct reference *reference)
{
	const struct json *value = NULL;
	if (is_yet_to_come(f, reference)) {
		buf_addf(text, "(from step %.*s)", STR_FMT(reference->head));
		return buf_check(text, "a text of the step", f->err);
	}
	if (reference->kind == REFERENCE_NONE) {
		buf_add_str(text, reference->text);
		return buf_check(text, "a text of the step", f->err);
	}
	if (resolve(f, reference, true, &value) < 0)
		return -1;
	return put_text(text, value, f->err);
}

/* ---- strings ---- */

/* A reference alone keeps the value's type: a step's always, an argument's under the argument's own name. */
static bool keeps_type(const struct filling *f, struct str key, const struct reference *reference)
{
	return !is_yet_to_come(f, reference) && (reference->kind == REFERENCE_STEP || str_eq(reference->path, key));
}

static int put_string(struct filling *f, struct str key, struct str string)
{
	struct reference reference;
	if (template_is_exact(string, &reference) && keeps_type(f, key, &reference)) {
		const struct json *value = NULL;
		if (resolve(f, &reference, false, &value) < 0)
			return -1;
		jsonw_value(&f->json, value);
		return 0;
	}
	AUTO_BUF text = BUF_INIT(ACTION_ARGUMENTS_MAX);
	struct str before;
	while (template_next(&string, &before, &reference)) {
		buf_add_str(&text, before);
		if (put_reference(f, &text, &reference) < 0)
			return -1;
	}
	buf_add_str(&text, before);
	if (buf_check(&text, "a text of the step", f->err) < 0)
		return -1;
	jsonw_str(&f->json, buf_str(&text));
	return 0;
}

/* A value that is nothing but an argument which was not given is left out, with its key. */
static bool is_left_out(const struct filling *f, const struct json *value)
{
	struct str string;
	struct reference reference;
	return json_get_str(value, &string) && template_is_exact(string, &reference) &&
	       reference.kind == REFERENCE_ARGUMENT && json_member(f->args, reference.path) == NULL;
}

/* ---- values ---- */

static int put_member(struct filling *f, struct str name, const struct json *value)
{
	if (is_left_out(f, value))
		return 0;
	jsonw_key(&f->json, name);
	return put_value(f, name, value);
}

static int put_object(struct filling *f, const struct json *object)
{
	struct json_iter it;
	jsonw_begin_object(&f->json);
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		if (put_member(f, it.name, it.value) < 0)
			return -1;
	}
	jsonw_end_object(&f->json);
	return 0;
}

static int put_array(struct filling *f, const struct json *array)
{
	jsonw_begin_array(&f->json);
	for (size_t i = 0; i < json_length(array); i++) {
		const struct json *element = json_at(array, i);
		if (!is_left_out(f, element) && put_value(f, STR_EMPTY, element) < 0)
			return -1;
	}
	jsonw_end_array(&f->json);
	return 0;
}

static int check_size(const struct filling *f)
{
	if (buf_check(f->out, "what the step is given", f->err) < 0)
		return -1;
	if (f->out->n - f->start > ACTION_ARGUMENTS_MAX)
		return fail(f->err, ERR_LIMIT, "what the step is given is larger than %zu bytes", ACTION_ARGUMENTS_MAX);
	return 0;
}

static int put_value(struct filling *f, struct str key, const struct json *value)
{
	struct str string;
	int put = 0;
	if (json_get_str(value, &string))
		put = put_string(f, key, string);
	else if (json_kind(value) == JSON_KIND_OBJECT)
		put = put_object(f, value);
	else if (json_kind(value) == JSON_KIND_ARRAY)
		put = put_array(f, value);
	else
		jsonw_value(&f->json, value);
	return put < 0 ? -1 : check_size(f);
}

/* The call's arguments under the names that the step does not use. */
static int put_rest(struct filling *f, const struct json *inputs)
{
	struct json_iter it;
	for (json_iter_init(&it, f->args); json_iter_next(&it);) {
		if (json_member(inputs, it.name) != NULL)
			continue;
		jsonw_key(&f->json, it.name);
		jsonw_value(&f->json, it.value);
		if (check_size(f) < 0)
			return -1;
	}
	return 0;
}

static int fill(struct filling *f, const struct json *inputs, bool with_rest)
{
	struct json_iter it;
	f->start = f->out->n;
	jsonw_init(&f->json, f->out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&f->json);
	for (json_iter_init(&it, inputs); json_iter_next(&it);) {
		if (put_member(f, it.name, it.value) < 0) {
			buf_truncate(f->out, f->start);
			return -1;
		}
	}
	if (with_rest && put_rest(f, inputs) < 0) {
		buf_truncate(f->out, f->start);
		return -1;
	}
	jsonw_end_object(&f->json);
	int fits = check_size(f);
	if (fits < 0)
		buf_truncate(f->out, f->start);
	return fits;
}

int action_step_arguments(const struct action *action, size_t step, const struct json *args,
			  const struct action_outputs *outputs, struct buf *out, struct err *err)
{
	const struct action_outputs none = {NULL, 0};
	struct filling f = {
		.action = action,
		.args = args,
		.outputs = outputs != NULL ? outputs : &none,
		.out = out,
		.err = err,
	};
	return fill(&f, action->steps[step].inputs, true);
}

int action_step_shown(const struct action *action, size_t step, const struct json *args, struct buf *out,
		      struct err *err)
{
	struct filling f = {.action = action, .args = args, .out = out, .err = err};
	return fill(&f, action->steps[step].inputs, true);
}

int action_preview_arguments(const struct action *action, const struct json *args, struct buf *out, struct err *err)
{
	struct filling f = {.action = action, .args = args, .out = out, .err = err};
	return fill(&f, action->preview.args, false);
}
