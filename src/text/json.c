#include "text/json.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "base/escape.h"
#include "base/rand.h"
#include "base/utf8.h"
#include <jansson.h>
#include <pthread.h>

/*
 * What jansson would let through, or cannot read, is settled by one walk over the text before it sees it: NUL bytes,
 * the depth (its own limit is four times ours), the memory that the tree will take, and integers that do not fit in
 * int64 or are -0, which are given a fraction so that it reads them as doubles.
 */
struct scan {
	struct str text;
	size_t i;
	unsigned depth;
	size_t memory;
	const char *complaint; /* about the byte before i */
};

/* Bytes that jansson 2.14 takes for what begins here, with malloc's own, rounded up; a string's text comes on top. */
enum { COST_OBJECT = 240, COST_ARRAY = 144, COST_STRING = 104, COST_NUMBER = 40, COST_COMMA = 16 };

#define FRACTION ".0"

/* Steps over the string that begins at i. One without end is left to jansson to refuse. */
static void skip_string(struct scan *s)
{
	size_t start = s->i;
	for (s->i++; s->i < s->text.n; s->i++) {
		char c = s->text.p[s->i];
		if (c == '\\')
			s->i++;
		else if (c == '"')
			break;
	}
	s->i = MIN(s->i + 1, s->text.n);
	s->memory += COST_STRING + (s->i - start);
}

static bool skip_punctuation(struct scan *s)
{
	char c = s->text.p[s->i++];
	if (c == '[' || c == '{') {
		s->memory += c == '[' ? COST_ARRAY : COST_OBJECT;
		if (++s->depth > JSON_DEPTH_MAX)
			s->complaint = "it is nested too deeply";
	} else if ((c == ']' || c == '}') && s->depth > 0) {
		s->depth--;
	} else if (c == ',') {
		s->memory += COST_COMMA;
	} else if (c == '\0') {
		s->complaint = "a NUL byte";
	}
	if (s->memory > JSON_MEMORY_MAX)
		s->complaint = "it would take more than 512 MiB of memory";
	return s->complaint == NULL;
}

/* Steps over the digits of the number that begins at i, and says whether it is an integer that int64 cannot hold. */
static bool skip_digits(struct scan *s)
{
	size_t start = s->i;
	bool negative = s->text.p[start] == '-';
	if (negative)
		start++;
	for (s->i = start; s->i < s->text.n && ascii_is_digit(s->text.p[s->i]);)
		s->i++;
	struct str digits = str_slice(s->text, start, s->i);
	char next = '\0';
	if (s->i < s->text.n)
		next = s->text.p[s->i];
	if (digits.n == 0 || next == '.' || next == 'e' || next == 'E')
		return false;
	if (digits.p[0] == '0')
		return negative && digits.n == 1;
	struct str largest = negative ? S("9223372036854775808") : S("9223372036854775807");
	return digits.n > largest.n || (digits.n == largest.n && str_cmp(digits, largest) > 0);
}

/* Goes on behind the next wide integer. False at the end of the text, or with a complaint. */
static bool next_wide_integer(struct scan *s)
{
	while (s->i < s->text.n) {
		char c = s->text.p[s->i];
		if (c == '"') {
			skip_string(s);
		} else if (c == '-' || ascii_is_digit(c)) {
			s->memory += COST_NUMBER;
			if (skip_digits(s))
				return true;
			/* The digits of a fraction or an exponent are no number of their own. */
			while (s->i < s->text.n &&
			       (ascii_is_digit(s->text.p[s->i]) || memchr(".eE+-", s->text.p[s->i], 5)))
				s->i++;
		} else if (!skip_punctuation(s)) {
			return false;
		}
	}
	return false;
}

static void widen_integers(struct str text, struct buf *out)
{
	struct scan s = {.text = text};
	size_t copied = 0;
	while (next_wide_integer(&s)) {
		buf_add_str(out, str_slice(text, copied, s.i));
		buf_add_z(out, FRACTION);
		copied = s.i;
	}
	buf_add_str(out, str_slice(text, copied, text.n));
}

/* Where byte `offset` of the widened text stands in the text as it came. */
static size_t offset_before_widening(struct str text, size_t offset)
{
	struct scan s = {.text = text};
	size_t added = 0;
	while (next_wide_integer(&s) && s.i + added < offset)
		added += MIN(offset - s.i - added, sizeof FRACTION - 1);
	return MIN(offset - added, text.n);
}

/* Fails about the byte before `end`. */
static int refuse(struct str text, size_t end, unsigned flags, const char *why, struct err *err)
{
	struct str before = str_slice(text, 0, end);
	uint32_t line = 1;
	for (size_t at; (at = str_find_char(before, '\n')) != STR_NPOS; line++)
		before = str_slice(before, at + 1, before.n);
	size_t column = 0;
	for (size_t i = 0; i < before.n; i++)
		column += !utf8_is_tail(before.p[i]);

	AUTO_BUF near = BUF_INIT(256);
	if ((flags & JSON_READ_SENSITIVE) == 0 && before.n > 0) {
		enum { NEAR = 24 };
		size_t from = before.n > NEAR ? before.n - NEAR : 0;
		while (from < before.n && utf8_is_tail(before.p[from]))
			from++;
		buf_add_z(&near, " near '");
		escape_visible(&near, str_slice(before, from, before.n));
		buf_add_char(&near, '\'');
	}
	fail(err, ERR_PARSE_ERROR, "JSON at line %u, column %zu: %s%s", line, MAX(column, 1), why, near.p);
	return err_at(err, NULL, line);
}

static const char *complaint_of(const json_error_t *error)
{
	switch ((unsigned)json_error_code(error)) {
	case json_error_invalid_utf8:
		return "bytes that are not UTF-8";
	case json_error_premature_end_of_input:
		return "the text ends too early";
	case json_error_end_of_input_expected:
		return "something follows the end of the value";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "\\u0000 is not accepted";
	case json_error_duplicate_key:
		return "a key that its object has already";
	case json_error_numeric_overflow:
		return "a number that is too large";
	case json_error_out_of_memory:
		return "no memory is left";
	default:
		return "unexpected text";
	}
}

/* jansson would read the key of its hash tables from a file, which a confined process cannot open. */
static void seed_hash_tables(void)
{
	json_object_seed(rand_u64() | 1); /* 0 would mean: find one yourself */
}

struct json *json_parse(struct str text, unsigned flags, struct err *err)
{
	static pthread_once_t seeded = PTHREAD_ONCE_INIT;
	pthread_once(&seeded, seed_hash_tables);

	struct scan s = {.text = text};
	size_t wide = 0;
	while (next_wide_integer(&s))
		wide++;
	if (s.complaint != NULL) {
		refuse(text, s.i, flags, s.complaint, err);
		return NULL;
	}
	AUTO_BUF widened = BUF_INIT(text.n + wide * (sizeof FRACTION - 1));
	struct str source = text.n > 0 ? text : S("");
	if (wide > 0) {
		widen_integers(text, &widened);
		source = buf_str(&widened);
	}
	size_t options = JSON_DECODE_ANY;
	if ((flags & JSON_READ_LAST_DUPLICATE) == 0)
		options |= JSON_REJECT_DUPLICATES;
	if ((flags & JSON_READ_ALLOW_NUL) != 0)
		options |= JSON_ALLOW_NUL;
	json_error_t error;
	json_t *root = json_loadb(source.p, source.n, options, &error);
	if (root != NULL)
		return (struct json *)root;
	size_t offset = error.position > 0 ? (size_t)error.position : 0;
	refuse(text, offset_before_widening(text, offset), flags, complaint_of(&error), err);
	return NULL;
}

/* A value of ours is one of jansson's under another name. Its readers are not all const; they change nothing. */
static json_t *theirs(const struct json *json)
{
	return (json_t *)(uintptr_t)json;
}

static const struct json *ours(const json_t *value)
{
	return (const struct json *)value;
}

void json_free(struct json *json)
{
	json_decref(theirs(json));
}

enum json_kind json_kind(const struct json *json)
{
	static const enum json_kind kinds[] = {
		[JSON_OBJECT] = JSON_KIND_OBJECT, [JSON_ARRAY] = JSON_KIND_ARRAY, [JSON_STRING] = JSON_KIND_STR,
		[JSON_INTEGER] = JSON_KIND_INT,   [JSON_REAL] = JSON_KIND_REAL,   [JSON_TRUE] = JSON_KIND_BOOL,
		[JSON_FALSE] = JSON_KIND_BOOL,    [JSON_NULL] = JSON_KIND_NULL,
	};
	return json == NULL ? JSON_KIND_NULL : kinds[json_typeof(theirs(json))];
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_KIND_NULL] = "null",     [JSON_KIND_BOOL] = "boolean", [JSON_KIND_INT] = "integer",
		[JSON_KIND_REAL] = "number",   [JSON_KIND_STR] = "string",   [JSON_KIND_ARRAY] = "array",
		[JSON_KIND_OBJECT] = "object",
	};
	return names[kind];
}

bool json_get_bool(const struct json *json, bool *ret)
{
	if (json_kind(json) != JSON_KIND_BOOL)
		return false;
	*ret = json_is_true(theirs(json));
	return true;
}

bool json_get_int(const struct json *json, int64_t *ret)
{
	if (json_kind(json) != JSON_KIND_INT)
		return false;
	*ret = json_integer_value(theirs(json));
	return true;
}

bool json_get_real(const struct json *json, double *ret)
{
	enum json_kind kind = json_kind(json);
	if (kind != JSON_KIND_INT && kind != JSON_KIND_REAL)
		return false;
	*ret = json_number_value(theirs(json));
	return true;
}

bool json_get_str(const struct json *json, struct str *ret)
{
	if (json_kind(json) != JSON_KIND_STR)
		return false;
	*ret = str_of(json_string_value(theirs(json)), json_string_length(theirs(json)));
	return true;
}

size_t json_length(const struct json *json)
{
	return json_array_size(theirs(json)) + json_object_size(theirs(json));
}

const struct json *json_at(const struct json *array, size_t index)
{
	return ours(json_array_get(theirs(array), index));
}

const struct json *json_member(const struct json *object, struct str name)
{
	return name.n == 0 ? ours(json_object_getn(theirs(object), "", 0))
			   : ours(json_object_getn(theirs(object), name.p, name.n));
}

void json_iter_init(struct json_iter *it, const struct json *object)
{
	*it = (struct json_iter){.object = object};
}

bool json_iter_next(struct json_iter *it)
{
	json_t *object = theirs(it->object);
	if (!it->started)
		it->position = json_object_iter(object);
	else if (it->position != NULL)
		it->position = json_object_iter_next(object, it->position);
	it->started = true;
	if (it->position == NULL)
		return false;
	it->name = str_of(json_object_iter_key(it->position), json_object_iter_key_len(it->position));
	it->value = ours(json_object_iter_value(it->position));
	return true;
}
