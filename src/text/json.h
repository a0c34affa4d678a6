/*
 * json: reading JSON, strictly
 *
 * One place decides how JSON from outside is read (RFC 8259): valid UTF-8 without a byte order mark, no U+0000 in
 * strings or keys, no duplicate keys, no trailing bytes, nesting at most JSON_DEPTH_MAX, any kind of value as the root.
 * A number without fraction and exponent that fits in int64 is an integer; every other one, -0 too, is a double, and
 * one that is too large for a double is refused. docs/formats/json.md lists the choices that the standard leaves open.
 *
 * The tree is jansson's behind our names; values are borrowed from their document and live until json_free(). Any
 * thread may parse; a document is used by one thread at a time, or by many that only read. Memory is a small multiple
 * of the text (at most 60 bytes a byte of text, for `[0,0,…`), is the ordinary heap, and is not wiped. The first call
 * asks the kernel for the key of the hash tables (getrandom); no call opens a file.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define JSON_DEPTH_MAX  512
#define JSON_MEMORY_MAX ((size_t)512 << 20)

struct json; /* any value; json_parse() returns the root, which owns the rest */

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

/* The differences that formats pin; everything else is refused as above. */
enum json_read_flag {
	JSON_READ_STRICT = 0,
	JSON_READ_LAST_DUPLICATE = 1, /* a repeated key takes its last value, in the place of the first */
	JSON_READ_SENSITIVE = 2,      /* errors name the position and never quote the text */
	JSON_READ_ALLOW_NUL = 4,      /* \u0000 in strings, though not in keys: what our own writers made */
};

/*
 * The document, or NULL with PARSE_ERROR: what is wrong, with line and column (in characters, of the last one that was
 * read) in the message and the line in err->line. text.n is capped by the caller.
 */
struct json *json_parse(struct str text, unsigned flags, struct err *err) __attribute__((warn_unused_result));
void json_free(struct json *json); /* the root; NULL is fine */
DEFINE_AUTO(json, json_free)

enum json_kind json_kind(const struct json *json); /* of a value; NULL, which stands for "absent", is JSON_KIND_NULL */
const char *json_kind_name(enum json_kind kind);   /* null, boolean, integer, number, string, array, object */

/* Each answers false when the value is of another kind (NULL included) and leaves *ret alone. */
bool json_get_bool(const struct json *json, bool *ret);
bool json_get_int(const struct json *json, int64_t *ret);
bool json_get_real(const struct json *json, double *ret);    /* of an integer too; beyond 2^53 the nearest double */
bool json_get_str(const struct json *json, struct str *ret); /* NUL-terminated, as a convenience */

size_t json_length(const struct json *json);                        /* elements or members; 0 for anything else */
const struct json *json_at(const struct json *array, size_t index); /* NULL when out of range or no array */
const struct json *json_member(const struct json *object, struct str name); /* NULL when absent or no object */

/* Members in the order of the text: for (json_iter_init(&it, obj); json_iter_next(&it); ) … it.name, it.value */
struct json_iter {
	struct str name;
	const struct json *value;
	const struct json *object;
	void *position;
	bool started;
};
void json_iter_init(struct json_iter *it, const struct json *object); /* anything but an object has no members */
bool json_iter_next(struct json_iter *it);
