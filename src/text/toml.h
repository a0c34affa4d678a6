/*
 * toml: reading TOML 1.0, strictly
 *
 * One place decides how TOML from outside is read (https://toml.io/en/v1.0.0): well-formed UTF-8, no control characters,
 * a carriage return only before a line feed, no key defined twice, inline tables closed, dates that exist, integers
 * within 64 bits. A byte order mark at the very start is skipped. Line ends within multi-line strings read as "\n"
 * whatever the file uses. Of numbers too large for a double the reader says so instead of giving infinity.
 *
 * The tree is copied into the caller's arena, does not refer to the text and never changes; read it from any thread.
 * Tables and arrays keep the order of the text: a table that the text opens twice stands where it was named first.
 *
 * The caller caps the text. Within it, TOML_DEPTH_MAX bounds how deep a value lies and TOML_VALUES_MAX how many there
 * are, so that neither a reader's recursion nor the search for repeated keys grows out of hand.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define TOML_DEPTH_MAX  128   /* tables and arrays around a value */
#define TOML_VALUES_MAX 10000 /* tables, arrays, elements and members of one document */

struct toml_value;

enum toml_type {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_OFFSET_DATETIME, /* the four kinds of date and time are checked and kept as written */
	TOML_LOCAL_DATETIME,
	TOML_LOCAL_DATE,
	TOML_LOCAL_TIME,
	TOML_ARRAY,
	TOML_TABLE,
};

/*
 * Reads one document; *ret_root is its table. PARSE_ERROR with the line, and the column (in characters, from 1) in the
 * message. `file` is for errors only and may be NULL.
 */
int toml_parse(struct arena *arena, struct str text, const char *file, const struct toml_value **ret_root,
	       struct err *err) __attribute__((warn_unused_result));

enum toml_type toml_type(const struct toml_value *value);
/* With its article, for messages: "a string", "an integer", … */
const char *toml_type_name(enum toml_type type);
/* Where the value (of a table: its first name) stands, from 1. */
uint32_t toml_line(const struct toml_value *value);
uint32_t toml_column(const struct toml_value *value);

/* Each answers false when the value is of another type (NULL included) and leaves *ret alone. */
bool toml_get_str(const struct toml_value *value, struct str *ret);
bool toml_get_int(const struct toml_value *value, int64_t *ret);
bool toml_get_float(const struct toml_value *value, double *ret); /* of a float alone */
bool toml_get_bool(const struct toml_value *value, bool *ret);
bool toml_get_datetime(const struct toml_value *value, struct str *ret); /* of all four kinds, as written */

size_t toml_length(const struct toml_value *value); /* elements or members; 0 for anything else */
const struct toml_value *toml_member(const struct toml_value *table,
				     struct str name); /* NULL when absent or no table */

/* Members or elements in order: for (toml_iter_init(&it, v); toml_iter_next(&it);) … it.name ("" in arrays), it.value */
struct toml_iter {
	struct str name;
	const struct toml_value *value;
	const struct toml_value *next;
};
void toml_iter_init(struct toml_iter *it, const struct toml_value *value); /* neither table nor array: no rounds */
bool toml_iter_next(struct toml_iter *it);

/*
 * A key as a message names it: as it would be written, in double quotes when it is not bare, with hidden characters as
 * escape_quoted() writes them and cut with "..." after 200 bytes.
 */
struct str toml_key_text(struct arena *arena, struct str key);
