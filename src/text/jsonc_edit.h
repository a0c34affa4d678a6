/*
 * jsonc_edit: changing one place of a JSON text that a person keeps, and nothing else of it
 *
 * The text may be JSON with comments and with commas behind the last member (JSONC, as Visual Studio Code and others write
 * it), and with a byte order mark in front; comments, order and spelling of everything else stay as they are, byte for byte.
 * What is changed is named by the keys that lead to it. The result is read again and held against the text before it is given.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define JSONC_EDIT_PATH_MAX 8

struct jsonc_edit {
	const struct str *path; /* of keys, 1 to JSONC_EDIT_PATH_MAX */
	size_t n_path;
	struct str value; /* JSON; NULL p removes the key, with a parent that would be left empty */
};
/*
 * Appends the changed text; an empty one counts as {}. Missing parents are made. VALIDATION_ERROR where a parent is no
 * object, PARSE_ERROR with the line when the text is no JSON. *ret_changed (may be NULL): false when a key to remove is not
 * there.
 */
int jsonc_edit(struct str text, const char *file, const struct jsonc_edit *edit, struct buf *out, bool *ret_changed,
	       struct err *err) __attribute__((warn_unused_result));
/* The text with comments, such commas and a byte order mark as blanks: JSON in which everything stands where it stood. */
int jsonc_strip(struct str text, const char *file, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
