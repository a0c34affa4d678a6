#include "text/canonical.h"
#include "base/escape.h"
#include "text/json_writer.h"
#include <stdlib.h>

#define INTEGER_MAX (INT64_C(1) << 53)

/* Where in the document a value stands, from it up to the root: only an error asks. */
struct place {
	const struct place *above;
	struct str member;
	size_t index;
};

static void put_place(struct buf *out, const struct place *place)
{
	if (place->above == NULL)
		return;
	put_place(out, place->above);
	if (place->member.p == NULL) {
		buf_addf(out, "[%zu]", place->index);
		return;
	}
	buf_add_char(out, '/');
	escape_visible(out, place->member);
}

static int refuse(const struct place *place, const char *why, struct err *err)
{
	AUTO_BUF path = BUF_INIT(64 << 10);
	put_place(&path, place);
	char shown[ESCAPE_SHOWN_SIZE];
	return fail(err, ERR_VALIDATION_ERROR, "'%s' %s; write it as a string",
		    path.n > 0 ? escape_shown(buf_str(&path), shown) : "the value", why);
}

struct writing {
	struct json_writer json;
	bool quoting;
};

static int put_value(struct writing *w, const struct json *value, const struct place *place, struct err *err);

static int by_name(const void *a, const void *b)
{
	const struct json_iter *one = a, *other = b;
	return str_cmp(one->name, other->name);
}

static int put_object(struct writing *w, const struct json *object, const struct place *place, struct err *err)
{
	size_t n = json_length(object);
	AUTO_FREE struct json_iter *members = xcalloc(MAX(n, 1), sizeof *members);
	struct json_iter it;
	json_iter_init(&it, object);
	for (size_t i = 0; json_iter_next(&it); i++)
		members[i] = it;
	qsort(members, n, sizeof *members, by_name);

	jsonw_begin_object(&w->json);
	for (size_t i = 0; i < n; i++) {
		jsonw_key(&w->json, members[i].name);
		struct place below = {.above = place, .member = members[i].name};
		if (put_value(w, members[i].value, &below, err) != 0)
			return -1;
	}
	jsonw_end_object(&w->json);
	return 0;
}

static int put_array(struct writing *w, const struct json *array, const struct place *place, struct err *err)
{
	jsonw_begin_array(&w->json);
	for (size_t i = 0; i < json_length(array); i++) {
		struct place below = {.above = place, .index = i};
		if (put_value(w, json_at(array, i), &below, err) != 0)
			return -1;
	}
	jsonw_end_array(&w->json);
	return 0;
}

/* A number that only a string can say exactly enough. */
static int put_quoted(struct writing *w, const struct json *number, const struct place *place, const char *why,
		      struct err *err)
{
	if (!w->quoting)
		return refuse(place, why, err);
	AUTO_BUF text = BUF_INIT(64);
	struct json_writer digits;
	jsonw_init(&digits, &text, JSON_WRITER_PLAIN);
	jsonw_value(&digits, number);
	jsonw_str(&w->json, buf_str(&text));
	return 0;
}

static int put_value(struct writing *w, const struct json *value, const struct place *place, struct err *err)
{
	int64_t integer;
	switch (json_kind(value)) {
	case JSON_KIND_OBJECT:
		return put_object(w, value, place, err);
	case JSON_KIND_ARRAY:
		return put_array(w, value, place, err);
	case JSON_KIND_REAL:
		return put_quoted(w, value, place,
				  "is a number with a fraction, an exponent or a sign before zero, or is very large",
				  err);
	case JSON_KIND_INT:
		if (!json_get_int(value, &integer) || integer < -INTEGER_MAX || integer > INTEGER_MAX)
			return put_quoted(w, value, place, "is an integer beyond 2^53", err);
		jsonw_int(&w->json, integer);
		return 0;
	case JSON_KIND_NULL:
	case JSON_KIND_BOOL:
	case JSON_KIND_STR:
		jsonw_value(&w->json, value);
		return 0;
	}
	BUG("a JSON value of no kind");
}

static int put_root(struct buf *out, const struct json *value, bool quoting, struct err *err)
{
	size_t before = out->n;
	struct writing w = {.quoting = quoting};
	jsonw_init(&w.json, out, JSON_WRITER_PLAIN);
	int made = put_value(&w, value, &(struct place){0}, err);
	if (made == 0)
		made = buf_check(out, "the canonical form", err);
	if (made != 0)
		buf_truncate(out, before);
	return made;
}

int json_canonical(struct buf *out, const struct json *value, struct err *err)
{
	return put_root(out, value, false, err);
}

int json_canonical_quoting(struct buf *out, const struct json *value, struct err *err)
{
	return put_root(out, value, true, err);
}

bool json_is_canonical(struct str text)
{
	if (json_canonical_at_sight(text, JSON_DEPTH_MAX, NULL, NULL))
		return true;
	AUTO(json) *json = json_parse(text, JSON_READ_ALLOW_NUL | JSON_READ_SENSITIVE, NULL);
	AUTO_BUF out = BUF_INIT(text.n);
	return json != NULL && json_canonical(&out, json, NULL) == 0 && str_eq(buf_str(&out), text);
}
