#include "text/jcs.h"
#include "base/escape.h"
#include "text/json_writer.h"
#include <math.h>
#include <stdlib.h>

/*
 * The order of UTF-16 is that of UTF-8 but for one thing: characters above U+FFFF, which begin with a surrogate (D800 to
 * DFFF), come before U+E000 to U+FFFF. In UTF-8 those begin with F0 to F4, these with EE or EF.
 */
int jcs_compare(struct str a, struct str b)
{
	size_t n = MIN(a.n, b.n), i = 0;
	while (i < n && a.p[i] == b.p[i])
		i++;
	if (i == n)
		return a.n < b.n ? -1 : a.n > b.n;
	unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
	if (x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0))
		return x >= 0xf0 ? -1 : 1;
	return x < y ? -1 : 1;
}

static int by_name(const void *a, const void *b)
{
	const struct json_iter *one = a, *other = b;
	return jcs_compare(one->name, other->name);
}

struct writing {
	struct json_writer json;
	unsigned flags;
};

static int put_value(struct writing *w, const struct json *value, struct err *err);

static int inside(struct str name, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	return wrap(err, "'%s'", escape_shown(name, shown));
}

static int put_object(struct writing *w, const struct json *object, struct err *err)
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
		if (put_value(w, members[i].value, err) < 0)
			return inside(members[i].name, err);
	}
	jsonw_end_object(&w->json);
	return 0;
}

static int put_array(struct writing *w, const struct json *array, struct err *err)
{
	jsonw_begin_array(&w->json);
	for (size_t i = 0; i < json_length(array); i++) {
		if (put_value(w, json_at(array, i), err) < 0)
			return wrap(err, "[%zu]", i);
	}
	jsonw_end_array(&w->json);
	return 0;
}

static int put_number(struct writing *w, const struct json *value, struct err *err)
{
	int64_t integer;
	double real = 0;
	if (json_get_int(value, &integer)) {
		bool exact = integer >= -JCS_INTEGER_MAX && integer <= JCS_INTEGER_MAX;
		if (!exact && (w->flags & JCS_KEEP_INTEGERS) == 0)
			return fail(err, ERR_VALIDATION_ERROR,
				    "an integer beyond 2^53 - 1 has no canonical form; write it as a string");
		jsonw_int(&w->json, integer);
		return 0;
	}
	json_get_real(value, &real);
	jsonw_real(&w->json, real == 0 ? 0.0 : real); /* ECMAScript writes -0 as 0 */
	return 0;
}

static int put_value(struct writing *w, const struct json *value, struct err *err)
{
	if (!buf_ok(w->json.out))
		return buf_check(w->json.out, "the canonical form", err);
	switch (json_kind(value)) {
	case JSON_KIND_OBJECT:
		return put_object(w, value, err);
	case JSON_KIND_ARRAY:
		return put_array(w, value, err);
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
		return put_number(w, value, err);
	case JSON_KIND_NULL:
	case JSON_KIND_BOOL:
	case JSON_KIND_STR:
		jsonw_value(&w->json, value);
		return 0;
	}
	BUG("a JSON value of no kind");
}

int jcs_write(struct buf *out, const struct json *value, unsigned flags, struct err *err)
{
	size_t before = out->n;
	struct writing w = {.flags = flags};
	jsonw_init(&w.json, out, JSON_WRITER_PLAIN);
	if (put_value(&w, value, err) == 0 && buf_check(out, "the canonical form", err) == 0)
		return 0;
	buf_truncate(out, before);
	return -1;
}
