/*
 * template: texts with references in them (docs/formats/action.md); nobody outside this folder includes it
 *
 *     "${" HEAD "." PATH "}"     HEAD is "args" or a step's id, PATH an input's name or the way to a field
 *
 * HEAD is letters, digits, '_' and '-'; PATH is segments between '.', without '{', '}', '$' and control characters. Everything
 * else is text, `${` too. Paths mean the same here and in the preview's `render`.
 */
#pragma once
#include "base/str.h"
#include "text/json.h"

enum reference_kind {
	REFERENCE_NONE, /* looks like one, `${HEAD`, and is none: text */
	REFERENCE_ARGUMENT,
	REFERENCE_STEP,
};
struct reference {
	enum reference_kind kind;
	struct str text; /* all of it: "${find.note.id}"; of NONE "${find" */
	struct str head, path;
};

/* Takes text without references, then one reference off `rest`; false at the end, when all that was left is the text. */
bool template_next(struct str *rest, struct str *ret_text, struct reference *ret);
/* Whether the text is one reference and nothing else. */
bool template_is_exact(struct str text, struct reference *ret);

/*
 * Where a path leads from a value, or NULL: by name in objects; in arrays first to the `value` of the first `{name, value}` of
 * that name, as long as all entries before it have that form, then by index from 0.
 */
const struct json *path_walk(const struct json *from, struct str path);
