/*
 * yaml_edit: changing one place of a YAML text, and nothing else of it
 *
 * For files that a person keeps: comments, order and spelling of everything else stay as they are, byte for byte. What is
 * changed is named by the keys that lead to it. The text must be YAML that yaml_parse() takes, and so is the result: it is read
 * again before it is given.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define YAML_EDIT_PATH_MAX 8

struct yaml_edit {
	const struct str *path; /* of keys, 1 to YAML_EDIT_PATH_MAX */
	size_t n_path;
	/*
	 * The value as block YAML that begins in the first column ("true", or "type: stdio\nenabled: true\n"): a scalar or a
	 * flow value is put behind the key, anything of several lines under it. NULL p removes the key; a parent that would be
	 * left without members goes with it.
	 */
	struct str value;
};
/*
 * Appends the changed text. Missing parents are made. VALIDATION_ERROR where a parent is no mapping, or is written in braces:
 * then a person has to do it; PARSE_ERROR when the text is no YAML. *ret_changed (may be NULL): false when a key to remove is
 * not there.
 */
int yaml_edit(struct str text, const char *file, const struct yaml_edit *edit, struct buf *out, bool *ret_changed,
	      struct err *err) __attribute__((warn_unused_result));
/* A text as a scalar that reads as that text again: plain where that is safe, else in double quotes. */
void yaml_put_text(struct buf *out, struct str text);
