/*
 * envelope: an action file's two parts (docs/formats/action.md); nobody outside this folder includes it
 *
 * A line that is `+++` but for white space opens the front matter, the next such line closes it, wherever it stands; all after
 * it is the body. Before the opening line there may be blank lines and one byte order mark. Both are views into the text.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct envelope {
	struct str front;
	struct str body;
	uint32_t line; /* of the opening `+++` */
};

/* PARSE_ERROR with file and line. */
int envelope_split(struct str text, const char *file, struct envelope *ret, struct err *err)
	__attribute__((warn_unused_result));
