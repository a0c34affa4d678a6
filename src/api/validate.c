#include "api/operation.h"
#include "base/buf.h"
#include "base/escape.h"
#include "base/mem.h"

#define PLACE_MAX 256

/* Where in the document the walk is: "bindings[0].source"; cut when it is longer than anybody reads. */
struct place {
	char text[PLACE_MAX];
	size_t n;
};

static const char *const type_names[] = {
	[API_STRING] = "string", [API_INTEGER] = "integer",   [API_BOOLEAN] = "boolean",   [API_OBJECT] = "object",
	[API_ARRAY] = "array",   [API_STRING_MAP] = "object", [API_ANY_OBJECT] = "object",
};

/* Members that a client might send in the place of a sealed message; said early, so that it stops doing so. */
static const char *const plain_secrets[] = {"passphrase", "new_passphrase", "value", "secret", "password", "key_file"};

const char *api_type_name(enum api_type type)
{
	return type_names[type];
}

static void place_add(struct place *place, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void place_add(struct place *place, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(place->text + place->n, sizeof place->text - place->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		place->n = MIN(place->n + (size_t)n, sizeof place->text - 1);
}

static void place_back(struct place *place, size_t n)
{
	place->n = n;
	place->text[n] = '\0';
}

static size_t place_member(struct place *place, struct str name)
{
	size_t before = place->n;
	char shown[ESCAPE_SHOWN_SIZE];
	place_add(place, "%s%s", place->n > 0 ? "." : "", escape_shown(name, shown));
	return before;
}

static int refuse(const struct place *place, struct err *err, const char *what, const char *more)
{
	fail(err, ERR_INVALID_REQUEST, "'%s' %s%s", place->text, what, more);
	err_detail(err, "member", str_from(place->text));
	return -1;
}

static int refuse_number(const struct place *place, struct err *err, const char *what, uint64_t number)
{
	char text[32];
	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	return refuse(place, err, what, text);
}

/* --------------------------------------------------------------------------------------------------------------- values */

static int check_object(struct place *place, const struct api_field *fields, const struct json *object,
			struct err *err);

static bool has_type(enum api_type type, enum json_kind kind)
{
	static const enum json_kind kinds[] = {
		[API_STRING] = JSON_KIND_STR,        [API_INTEGER] = JSON_KIND_INT, [API_BOOLEAN] = JSON_KIND_BOOL,
		[API_OBJECT] = JSON_KIND_OBJECT,     [API_ARRAY] = JSON_KIND_ARRAY, [API_STRING_MAP] = JSON_KIND_OBJECT,
		[API_ANY_OBJECT] = JSON_KIND_OBJECT,
	};
	return kinds[type] == kind;
}

static int check_string(const struct place *place, const struct api_field *field, const struct json *value,
			struct err *err)
{
	struct str text = STR_EMPTY;
	if (!json_get_str(value, &text))
		return refuse(place, err, "must be a string", "");
	if (field->max > 0 && text.n > field->max)
		return refuse_number(place, err, "has more bytes than ", field->max);
	if (field->values == NULL)
		return 0;
	AUTO_BUF list = BUF_INIT(1024);
	for (const char *const *one = field->values; *one != NULL; one++) {
		if (str_eq(text, str_from(*one)))
			return 0;
		buf_addf(&list, "%s%s", list.n > 0 ? ", " : "", *one);
	}
	return refuse(place, err, "must be one of ", list.p);
}

static int check_integer(const struct place *place, const struct api_field *field, const struct json *value,
			 struct err *err)
{
	int64_t number = 0;
	if (!json_get_int(value, &number) || number < 0)
		return refuse(place, err, "must be a whole number, not negative", "");
	if (field->max > 0 && (uint64_t)number > field->max)
		return refuse_number(place, err, "is more than ", field->max);
	return 0;
}

static int check_array(struct place *place, const struct api_field *field, const struct json *value, struct err *err)
{
	if (field->max > 0 && json_length(value) > field->max)
		return refuse_number(place, err, "has more items than ", field->max);
	for (size_t i = 0; i < json_length(value); i++) {
		const struct json *item = json_at(value, i);
		size_t before = place->n;
		place_add(place, "[%zu]", i);
		if (field->of == NULL && json_kind(item) != JSON_KIND_STR)
			return refuse(place, err, "must be a string", "");
		if (field->of != NULL && json_kind(item) != JSON_KIND_OBJECT)
			return refuse(place, err, "must be an object", "");
		if (field->of != NULL && check_object(place, field->of, item, err) < 0)
			return -1;
		place_back(place, before);
	}
	return 0;
}

static int check_map(struct place *place, const struct api_field *field, const struct json *value, struct err *err)
{
	if (field->max > 0 && json_length(value) > field->max)
		return refuse_number(place, err, "has more members than ", field->max);
	struct json_iter it;
	for (json_iter_init(&it, value); json_iter_next(&it);) {
		size_t before = place_member(place, it.name);
		struct str text;
		if (!json_get_str(it.value, &text))
			return refuse(place, err, "must be a string", "");
		if (text.n > API_MAP_VALUE_MAX)
			return refuse_number(place, err, "has more bytes than ", API_MAP_VALUE_MAX);
		place_back(place, before);
	}
	return 0;
}

static int check_value(struct place *place, const struct api_field *field, const struct json *value, struct err *err)
{
	if (json_kind(value) == JSON_KIND_NULL && (field->flags & API_NULLABLE) != 0)
		return 0;
	if (!has_type(field->type, json_kind(value)) && field->type != API_INTEGER)
		return refuse(place, err, "must be of type ", type_names[field->type]);
	switch (field->type) {
	case API_STRING:
		return check_string(place, field, value, err);
	case API_INTEGER:
		return check_integer(place, field, value, err);
	case API_OBJECT:
		return check_object(place, field->of, value, err);
	case API_ARRAY:
		return check_array(place, field, value, err);
	case API_STRING_MAP:
		return check_map(place, field, value, err);
	case API_BOOLEAN:
	case API_ANY_OBJECT:
		break;
	}
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- objects */

static const struct api_field *field_named(const struct api_field *fields, struct str name)
{
	for (const struct api_field *field = fields; field != NULL && field->name != NULL; field++) {
		if (str_eq(name, str_from(field->name)))
			return field;
	}
	return NULL;
}

static bool wants_sealed(const struct api_field *fields)
{
	for (const struct api_field *field = fields; field != NULL && field->name != NULL; field++) {
		if ((field->flags & API_SEALED) != 0)
			return true;
	}
	return false;
}

static bool is_plain_secret(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_secrets); i++) {
		if (str_eq(name, str_from(plain_secrets[i])))
			return true;
	}
	return false;
}

static int refuse_plain(struct place *place, struct str name, struct err *err)
{
	(void)place_member(place, name);
	fail(err, ERR_SEALED_REQUIRED, "'%s' is not taken: secrets are sent sealed to the keeper, as 'sealed'",
	     place->text);
	err_detail(err, "member", str_from(place->text));
	return -1;
}

static int check_members(struct place *place, const struct api_field *fields, const struct json *object,
			 struct err *err)
{
	struct json_iter it;
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		const struct api_field *field = field_named(fields, it.name);
		if (field == NULL && wants_sealed(fields) && is_plain_secret(it.name))
			return refuse_plain(place, it.name, err);
		size_t before = place_member(place, it.name);
		if (field == NULL)
			return refuse(place, err, "is not known here", "");
		if (check_value(place, field, it.value, err) < 0)
			return -1;
		place_back(place, before);
	}
	return 0;
}

static int check_object(struct place *place, const struct api_field *fields, const struct json *object, struct err *err)
{
	if (check_members(place, fields, object, err) < 0)
		return -1;
	for (const struct api_field *field = fields; field != NULL && field->name != NULL; field++) {
		if ((field->flags & API_REQUIRED) == 0 || json_member(object, str_from(field->name)) != NULL)
			continue;
		(void)place_member(place, str_from(field->name));
		refuse(place, err, "is missing", "");
		if ((field->flags & API_SEALED) == 0)
			return -1;
		fail(err, ERR_SEALED_REQUIRED, "'%s' is missing: secrets are sent sealed to the keeper", place->text);
		err_detail(err, "member", str_from(place->text));
		return -1;
	}
	return 0;
}

int api_validate(const struct api_field *fields, const struct json *object, struct err *err)
{
	struct place place = {.n = 0};
	if (json_kind(object) != JSON_KIND_OBJECT)
		return fail(err, ERR_INVALID_REQUEST, "the body is %s, not an object",
			    json_kind_name(json_kind(object)));
	return check_object(&place, fields, object, err);
}
