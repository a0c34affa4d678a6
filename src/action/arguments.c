/* What a caller gave, against the inputs. */
#include "action/action.h"
#include "base/escape.h"
#include "text/jcs.h"
#include "text/json_writer.h"
#include <math.h>
#include <stdlib.h>

/* Where a value stands, for messages: "recipients[1]", "options.tags[0]". */
struct place {
	const struct place *above;
	struct str name; /* p NULL: an index */
	size_t index;
	unsigned depth;
};

static void put_place(struct buf *out, const struct place *place)
{
	if (place->above != NULL)
		put_place(out, place->above);
	if (place->name.p == NULL) {
		buf_addf(out, "[%zu]", place->index);
		return;
	}
	if (place->above != NULL)
		buf_add_char(out, '.');
	buf_add_str(out, place->name);
}

static int refuse(const struct place *place, struct err *err, const char *why)
{
	enum { PATH_MAX_BYTES = 1024 };
	char shown[ESCAPE_SHOWN_SIZE];
	AUTO_BUF path = BUF_INIT(PATH_MAX_BYTES);
	put_place(&path, place);
	fail(err, ERR_INVALID_REQUEST, "argument '%s' %s", escape_shown(buf_str(&path), shown), why);
	err_detail(err, "field", buf_str(&path));
	return err_set_boundary(err, BOUNDARY_ACTION);
}

static int refuse_type(const struct place *place, enum action_type type, const struct json *value, struct err *err)
{
	static const char *const kinds[] = {
		[JSON_KIND_NULL] = "null",        [JSON_KIND_BOOL] = "a boolean", [JSON_KIND_INT] = "an integer",
		[JSON_KIND_REAL] = "a number",    [JSON_KIND_STR] = "a string",   [JSON_KIND_ARRAY] = "an array",
		[JSON_KIND_OBJECT] = "an object",
	};
	static const char *const types[ACTION_TYPE__MAX] = {
		[ACTION_STRING] = "a string",   [ACTION_INTEGER] = "an integer", [ACTION_NUMBER] = "a number",
		[ACTION_BOOLEAN] = "a boolean", [ACTION_ARRAY] = "an array",     [ACTION_OBJECT] = "an object",
	};
	char why[96];
	snprintf(why, sizeof why, "must be %s, not %s", types[type], kinds[json_kind(value)]);
	return refuse(place, err, why);
}

/* ---- what holds of every value, however deep ---- */

static int check_number(const struct json *value, const struct place *place, struct err *err)
{
	int64_t integer;
	double real = 0;
	json_get_real(value, &real);
	bool exact = json_get_int(value, &integer) ? integer >= -JCS_INTEGER_MAX && integer <= JCS_INTEGER_MAX
						   : fabs(real) <= (double)JCS_INTEGER_MAX;
	return exact ? 0 : refuse(place, err, "is beyond 2^53 - 1, where numbers are not exact; give it as a string");
}

static int check_value(const struct json *value, const struct place *place, struct err *err)
{
	enum json_kind kind = json_kind(value);
	if (kind == JSON_KIND_INT || kind == JSON_KIND_REAL)
		return check_number(value, place, err);
	if ((kind == JSON_KIND_ARRAY || kind == JSON_KIND_OBJECT) && place->depth >= ACTION_DEPTH_MAX)
		return refuse(place, err, "is nested too deeply");
	for (size_t i = 0; kind == JSON_KIND_ARRAY && i < json_length(value); i++) {
		struct place below = {.above = place, .index = i, .depth = place->depth + 1};
		if (check_value(json_at(value, i), &below, err) < 0)
			return -1;
	}
	struct json_iter it;
	for (json_iter_init(&it, value); json_iter_next(&it);) {
		struct place below = {.above = place, .name = it.name, .depth = place->depth + 1};
		if (check_value(it.value, &below, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- types ---- */

static bool is_of(const struct json *value, enum action_type type)
{
	static const enum json_kind kinds[ACTION_TYPE__MAX] = {
		[ACTION_STRING] = JSON_KIND_STR,   [ACTION_INTEGER] = JSON_KIND_INT, [ACTION_NUMBER] = JSON_KIND_REAL,
		[ACTION_BOOLEAN] = JSON_KIND_BOOL, [ACTION_ARRAY] = JSON_KIND_ARRAY, [ACTION_OBJECT] = JSON_KIND_OBJECT,
	};
	double real;
	if (json_kind(value) == kinds[type])
		return true;
	if (type == ACTION_INTEGER && json_get_real(value, &real))
		return real == floor(real);
	return type == ACTION_NUMBER && json_kind(value) == JSON_KIND_INT;
}

static int check_argument(const struct action_input *input, const struct json *value, struct err *err)
{
	struct place place = {.name = input->name};
	if (!is_of(value, input->type))
		return refuse_type(&place, input->type, value, err);
	if (input->type == ACTION_ARRAY && input->items != ACTION_TYPE__MAX) {
		for (size_t i = 0; i < json_length(value); i++) {
			struct place element = {.above = &place, .index = i};
			if (!is_of(json_at(value, i), input->items))
				return refuse_type(&element, input->items, json_at(value, i), err);
		}
	}
	return check_value(value, &place, err);
}

static const struct action_input *input_named(const struct action *action, struct str name)
{
	for (size_t i = 0; i < action->n_inputs; i++) {
		if (str_eq(action->inputs[i].name, name))
			return &action->inputs[i];
	}
	return NULL;
}

static int check_all(const struct action *action, const struct json *given, struct err *err)
{
	if (given != NULL && json_kind(given) != JSON_KIND_OBJECT)
		return fail(err, ERR_INVALID_REQUEST, "the arguments must be an object");
	struct json_iter it;
	for (json_iter_init(&it, given); json_iter_next(&it);) {
		struct place place = {.name = it.name};
		if (input_named(action, it.name) == NULL)
			return refuse(&place, err, "is not one that the action declares");
	}
	for (size_t i = 0; i < action->n_inputs; i++) {
		const struct action_input *input = &action->inputs[i];
		const struct json *value = json_member(given, input->name);
		struct place place = {.name = input->name};
		if (json_kind(value) == JSON_KIND_NULL) {
			if (input->required)
				return refuse(&place, err, "is required");
		} else if (check_argument(input, value, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- the canonical form ---- */

static int by_name(const void *a, const void *b)
{
	const struct str *one = a, *other = b;
	return jcs_compare(*one, *other);
}

static int put_all(const struct action *action, const struct json *given, struct buf *out, struct err *err)
{
	struct str names[ACTION_INPUTS_MAX];
	struct json_writer w;
	for (size_t i = 0; i < action->n_inputs; i++)
		names[i] = action->inputs[i].name;
	qsort(names, action->n_inputs, sizeof *names, by_name);
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	for (size_t i = 0; i < action->n_inputs; i++) {
		const struct json *value = json_member(given, names[i]);
		if (json_kind(value) == JSON_KIND_NULL)
			continue;
		jsonw_key(&w, names[i]);
		if (jcs_write(out, value, JCS_STRICT, err) < 0)
			return -1;
		w.need_comma = true;
	}
	jsonw_end_object(&w);
	return buf_check(out, "the arguments", err);
}

int action_arguments(const struct action *action, const struct json *given, struct buf *out, struct err *err)
{
	size_t before = out->n;
	if (check_all(action, given, err) < 0)
		return -1;
	if (put_all(action, given, out, err) == 0) {
		if (out->n - before <= ACTION_ARGUMENTS_MAX)
			return 0;
		fail(err, ERR_LIMIT, "the arguments are larger than %zu bytes", ACTION_ARGUMENTS_MAX);
	}
	buf_truncate(out, before);
	return -1;
}
