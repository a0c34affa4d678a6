/*
 * toml_edit: changing one table of a TOML text that a person keeps, and nothing else of it
 *
 * The table is one that stands under a header of its own ("[mcp_servers.aileron]"), with those below it
 * ("[mcp_servers.aileron.env]"); it is replaced where it stands, or appended. Comments, order and spelling of everything else
 * stay, byte for byte. The result is read again and held against the text before it is given.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct toml_edit {
	const struct str *path; /* of keys, one at least */
	size_t n_path;
	struct str lines; /* "key = value" lines of the table, and headers of tables below it; NULL p removes it */
};
/*
 * Appends the changed text. VALIDATION_ERROR when the table is written in another way (dotted keys, an inline table) or a
 * parent is no table: then a person has to do it; PARSE_ERROR with the line when the text is no TOML. *ret_changed (may be
 * NULL): false when a table to remove is not there.
 */
int toml_edit(struct str text, const char *file, const struct toml_edit *edit, struct buf *out, bool *ret_changed,
	      struct err *err) __attribute__((warn_unused_result));
/* A text as a basic string, quotes included. */
void toml_put_text(struct buf *out, struct str text);
