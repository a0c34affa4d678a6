/*
 * yaml: reading YAML, the plain part of it
 *
 * One place decides how YAML from outside is read (YAML 1.1 as libyaml reads it, with the core schema of 1.2 for scalars):
 * one document of mappings, sequences and scalars. Refused are aliases, anchors, tags, keys that are no scalars, keys that
 * are defined twice and a second document: nothing of ours needs them, and each has been somebody's surprise. Plain scalars
 * are null (null ~ and nothing), booleans (true, false and nothing else: no yes, no on), decimal integers within int64, or text; what is
 * quoted or a block is text. An empty document is null.
 *
 * The tree is copied into the caller's arena, does not refer to the text and never changes; read it from any thread. The
 * caller caps the text. Lines and columns count from 1; offsets are bytes of the text, for who edits it (yaml_edit.h).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define YAML_DEPTH_MAX  64    /* mappings and sequences around a value */
#define YAML_VALUES_MAX 10000 /* of one document */

struct yaml_value;
enum yaml_kind { YAML_NULL, YAML_BOOL, YAML_INT, YAML_STR, YAML_LIST, YAML_MAP };

/* PARSE_ERROR with the line. `file` is for errors only and may be NULL. */
int yaml_parse(struct arena *arena, struct str text, const char *file, const struct yaml_value **ret_root,
	       struct err *err) __attribute__((warn_unused_result));

enum yaml_kind yaml_kind(const struct yaml_value *value); /* NULL, which stands for "absent", is YAML_NULL */
const char *yaml_kind_name(enum yaml_kind kind);          /* with its article: "a list" */
uint32_t yaml_line(const struct yaml_value *value);

/* Each answers false when the value is of another kind (NULL included) and leaves *ret alone. */
bool yaml_get_bool(const struct yaml_value *value, bool *ret);
bool yaml_get_int(const struct yaml_value *value, int64_t *ret);
bool yaml_get_str(const struct yaml_value *value, struct str *ret);
/* Of any scalar, as it stands in the text (quotes undone). */
bool yaml_get_text(const struct yaml_value *value, struct str *ret);

size_t yaml_length(const struct yaml_value *value);
const struct yaml_value *yaml_member(const struct yaml_value *map, struct str name); /* NULL when absent or no map */

/* Members or elements in order: for (yaml_iter_init(&it, v); yaml_iter_next(&it);) … it.name ("" in lists), it.value */
struct yaml_iter {
	struct str name;
	const struct yaml_value *value;
	const struct yaml_value *next;
};
void yaml_iter_init(struct yaml_iter *it, const struct yaml_value *value);
bool yaml_iter_next(struct yaml_iter *it);

/* Where a value stands in the text: from its first byte to behind its last; a member's begins with its key. */
struct yaml_span {
	size_t key, begin, end; /* key == begin but for a member of a map */
	bool flow;              /* a list or map in brackets */
};
struct yaml_span yaml_span(const struct yaml_value *value);
