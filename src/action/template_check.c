#include "action/action_text.h"
#include "action/template.h"
#include "base/escape.h"
#include "text/jcs.h"
#include "text/json_writer.h"
#include <math.h>

struct checking {
	const struct action_text *text;
	size_t step; /* references may name those before it; SIZE_MAX: any */
	struct json_writer json;
	struct err *err;
};

static int put_value(struct checking *c, const struct toml_value *value);

/* ---- references ---- */

static size_t step_named(const struct action_text *text, struct str id)
{
	for (size_t i = 0; i < text->n_steps; i++) {
		if (str_eq(text->steps[i].row.id, id))
			return i;
	}
	return SIZE_MAX;
}

static bool is_input(const struct action_text *text, struct str name)
{
	for (size_t i = 0; i < text->n_inputs; i++) {
		if (str_eq(text->inputs[i].row.name, name))
			return true;
	}
	return false;
}

static int check_step_reference(const struct checking *c, const struct toml_value *where, struct str head,
				const char *shown)
{
	size_t step = step_named(c->text, head);
	if (step == SIZE_MAX)
		return text_broken_at(c->text, where, c->err, "'%s' names no step; those of 'execute' have an 'id'",
				      shown);
	if (c->step == SIZE_MAX || step < c->step)
		return 0;
	if (step == c->step)
		return text_broken_at(c->text, where, c->err, "'%s' is what the step itself will answer", shown);
	return text_broken_at(c->text, where, c->err, "'%s' is of a step that comes later", shown);
}

static int check_reference(const struct checking *c, const struct toml_value *where, const struct reference *reference)
{
	char shown[ESCAPE_SHOWN_SIZE];
	escape_shown(reference->text, shown);
	switch (reference->kind) {
	case REFERENCE_ARGUMENT:
		if (is_input(c->text, reference->path))
			return 0;
		return text_broken_at(c->text, where, c->err, "'%s' names no input; declare it in [[inputs]]", shown);
	case REFERENCE_STEP:
		return check_step_reference(c, where, reference->head, shown);
	case REFERENCE_NONE:
		/* What names nothing of ours is text: another language has such words too. */
		if (!str_eq(reference->head, S("args")) && step_named(c->text, reference->head) == SIZE_MAX)
			return 0;
		return text_broken_at(c->text, where, c->err,
				      "'%s' is no reference: it goes on with '.', a name and '}'", shown);
	}
	return 0;
}

static int put_string(struct checking *c, const struct toml_value *where, struct str string)
{
	struct str rest = string, before;
	struct reference reference;
	if (str_find_char(string, '\0') != STR_NPOS)
		return text_broken_at(c->text, where, c->err, "a text must not contain U+0000");
	while (template_next(&rest, &before, &reference)) {
		if (check_reference(c, where, &reference) < 0)
			return -1;
	}
	jsonw_str(&c->json, string);
	return 0;
}

/* ---- values ---- */

static int put_number(struct checking *c, const struct toml_value *value)
{
	int64_t integer;
	double real = 0;
	if (toml_get_int(value, &integer)) {
		if (integer < -JCS_INTEGER_MAX || integer > JCS_INTEGER_MAX)
			return text_broken_at(c->text, value, c->err,
					      "an integer beyond 2^53 - 1 is not exact everywhere; write it as a "
					      "string");
		jsonw_int(&c->json, integer);
		return 0;
	}
	toml_get_float(value, &real);
	if (!isfinite(real))
		return text_broken_at(c->text, value, c->err, "a number must be finite");
	jsonw_real(&c->json, real == 0 ? 0.0 : real);
	return 0;
}

static int put_members(struct checking *c, const struct toml_value *table)
{
	struct toml_iter it;
	jsonw_begin_object(&c->json);
	for (toml_iter_init(&it, table); toml_iter_next(&it);) {
		if (str_find_char(it.name, '\0') != STR_NPOS)
			return text_broken_at(c->text, it.value, c->err, "a key must not contain U+0000");
		jsonw_key(&c->json, it.name);
		if (put_value(c, it.value) < 0)
			return -1;
	}
	jsonw_end_object(&c->json);
	return 0;
}

static int put_elements(struct checking *c, const struct toml_value *array)
{
	struct toml_iter it;
	jsonw_begin_array(&c->json);
	for (toml_iter_init(&it, array); toml_iter_next(&it);) {
		if (put_value(c, it.value) < 0)
			return -1;
	}
	jsonw_end_array(&c->json);
	return 0;
}

static int put_value(struct checking *c, const struct toml_value *value)
{
	struct str string = STR_EMPTY;
	bool truth = false;
	switch (toml_type(value)) {
	case TOML_STRING:
		toml_get_str(value, &string);
		return put_string(c, value, string);
	case TOML_INTEGER:
	case TOML_FLOAT:
		return put_number(c, value);
	case TOML_BOOLEAN:
		toml_get_bool(value, &truth);
		jsonw_bool(&c->json, truth);
		return 0;
	case TOML_OFFSET_DATETIME:
	case TOML_LOCAL_DATETIME:
	case TOML_LOCAL_DATE:
	case TOML_LOCAL_TIME:
		toml_get_datetime(value, &string);
		jsonw_str(&c->json, string);
		return 0;
	case TOML_ARRAY:
		return put_elements(c, value);
	case TOML_TABLE:
		return put_members(c, value);
	}
	return 0;
}

int template_check(const struct action_text *text, const struct toml_value *table, size_t step, struct buf *out,
		   struct err *err)
{
	struct checking c = {.text = text, .step = step, .err = err};
	jsonw_init(&c.json, out, JSON_WRITER_PLAIN);
	if (table == NULL) {
		jsonw_null(&c.json);
		return 0;
	}
	return put_value(&c, table);
}
