#include "api/query.h"
#include "base/ascii.h"
#include "base/escape.h"
#include "base/hex.h"
#include "base/map.h"
#include "text/json_writer.h"

#define PARAMETERS_MAX 64
#define BODY_MAX       (6 * API_QUERY_MAX + 64) /* every byte may become an escape of six */

/* ------------------------------------------------------------------------------------------------------------- escapes */

static int refuse_text(struct err *err, const char *what, struct str text)
{
	char shown[ESCAPE_SHOWN_SIZE];
	return fail(err, ERR_INVALID_REQUEST, "'%s' %s", escape_shown(text, shown), what);
}

static int decode(struct buf *out, struct str text, bool plus_is_blank, struct err *err)
{
	size_t start = out->n;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '%') {
			int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
			int low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return refuse_text(err, "has a '%' that begins no escape", text);
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return refuse_text(err, "holds a control character", text);
		buf_add_char(out, c);
	}
	if (buf_check(out, "the decoded text", err) < 0)
		return -1;
	if (!str_is_utf8(str_slice(buf_str(out), start, out->n)))
		return refuse_text(err, "is not UTF-8", text);
	return 0;
}

int api_unescape(struct buf *out, struct str segment, struct err *err)
{
	return decode(out, segment, false, err);
}

void api_escape(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (ascii_is_letter(c) || ascii_is_digit(c) || strchr("-._~", c) != NULL)
			buf_add_char(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* --------------------------------------------------------------------------------------------------------------- query */

static const struct api_field *field_named(const struct operation *operation, struct str name)
{
	for (const struct api_field *field = operation->query; field != NULL && field->name != NULL; field++) {
		if (str_eq(name, str_from(field->name)))
			return field;
	}
	return NULL;
}

static int check_enumerated(const struct api_field *field, struct str value, struct err *err)
{
	AUTO_BUF list = BUF_INIT(1024);
	for (const char *const *one = field->values; *one != NULL; one++) {
		if (str_eq(value, str_from(*one)))
			return 0;
		buf_addf(&list, "%s%s", list.n > 0 ? ", " : "", *one);
	}
	return fail(err, ERR_INVALID_REQUEST, "the parameter '%s' must be one of %s", field->name, list.p);
}

static int check_value(const struct api_field *field, struct str value, struct err *err)
{
	uint64_t number;
	if (field->type == API_INTEGER) {
		uint64_t least = (field->flags & API_POSITIVE) != 0;
		uint64_t most = field->max > 0 ? field->max : INT64_MAX;
		if (!str_to_u64(value, most, &number) || number < least)
			return fail(err, ERR_INVALID_REQUEST, "the parameter '%s' must be a whole number, %llu to %llu",
				    field->name, (unsigned long long)least, (unsigned long long)most);
		return 0;
	}
	if (field->type == API_BOOLEAN) {
		if (str_eq(value, S("true")) || str_eq(value, S("false")) || str_eq(value, S("1")) ||
		    str_eq(value, S("0")))
			return 0;
		return fail(err, ERR_INVALID_REQUEST, "the parameter '%s' must be true or false", field->name);
	}
	if (field->max > 0 && value.n > field->max)
		return fail(err, ERR_INVALID_REQUEST, "the parameter '%s' has more than %llu bytes", field->name,
			    (unsigned long long)field->max);
	return field->values != NULL ? check_enumerated(field, value, err) : 0;
}

int api_query_check(const struct operation *operation, struct str name, struct str value, struct err *err)
{
	const struct api_field *field = field_named(operation, name);
	if (field == NULL)
		return refuse_text(err, "is no parameter of this operation", name);
	return check_value(field, value, err);
}

struct reading {
	const struct operation *operation;
	struct map *seen;
	struct json_writer *json;
};

static int take_pair(const struct reading *reading, struct str pair, struct err *err)
{
	struct str raw_name;
	struct str raw_value = str_cut(pair, '=', &raw_name);
	AUTO_BUF name = BUF_INIT(API_QUERY_MAX);
	AUTO_BUF value = BUF_INIT(API_QUERY_MAX);
	if (decode(&name, raw_name, true, err) < 0 || decode(&value, raw_value, true, err) < 0)
		return -1;
	const struct api_field *field = field_named(reading->operation, buf_str(&name));
	if (field == NULL && (reading->operation->flags & API_LAX_QUERY) != 0)
		return 0;
	if (field == NULL)
		return refuse_text(err, "is no parameter of this operation", buf_str(&name));
	if (!map_add(reading->seen, buf_str(&name), NULL))
		return refuse_text(err, "is given more than once", buf_str(&name));
	if (check_value(field, buf_str(&value), err) < 0)
		return -1;
	jsonw_key(reading->json, buf_str(&name));
	jsonw_str(reading->json, buf_str(&value));
	return 0;
}

struct json *api_query(const struct operation *operation, struct str query, struct err *err)
{
	if (query.n > API_QUERY_MAX) {
		fail(err, ERR_INVALID_REQUEST, "the query is longer than %zu bytes", API_QUERY_MAX);
		return NULL;
	}
	AUTO_BUF text = BUF_INIT(BODY_MAX);
	AUTO(map) *seen = map_new(PARAMETERS_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	struct reading reading = {.operation = operation, .seen = seen, .json = &w};
	jsonw_begin_object(&w);
	while (query.n > 0) {
		struct str pair;
		query = str_cut(query, '&', &pair);
		if (pair.n > 0 && take_pair(&reading, pair, err) < 0)
			return NULL;
	}
	jsonw_end_object(&w);
	if (buf_check(&text, "the query", err) < 0)
		return NULL;
	return json_parse(buf_str(&text), JSON_READ_STRICT, err);
}

int api_query_get(struct str query, struct str name, struct buf *out, struct err *err)
{
	size_t before = out->n;
	int found = 0;
	while (query.n > 0) {
		struct str pair, raw_name;
		query = str_cut(query, '&', &pair);
		struct str raw_value = str_cut(pair, '=', &raw_name);
		AUTO_BUF decoded = BUF_INIT(API_QUERY_MAX);
		if (decode(&decoded, raw_name, true, err) < 0)
			return -1;
		if (!str_eq(buf_str(&decoded), name))
			continue;
		if (found == 1 || decode(out, raw_value, true, err) < 0) {
			buf_truncate(out, before);
			return found == 1 ? refuse_text(err, "is given more than once", name) : -1;
		}
		found = 1;
	}
	return found;
}
