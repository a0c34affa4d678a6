/*
 * scan: members of a JSON object, found without reading the rest
 *
 * A line of somebody's is passed on as it is; all that is wanted of it are a few members, as raw text. What is found here is
 * read again, strictly, by whom it is meant for: this looks at the structure alone (strings, nesting), and does not judge.
 * Names are compared as spelled. Pure; any thread.
 */
#pragma once
#include "base/str.h"

#define SCAN_DEPTH_MAX 512

struct scan_member {
	const char *name;
	struct str value; /* raw text; "" = absent. Of several, the last */
};
/* False when the text is not one object whose nesting is right, with blanks around at most; the values are untouched then. */
bool scan_object(struct str text, struct scan_member *members, size_t n) __attribute__((warn_unused_result));
/* One member; "" when it is absent, or the text is no object. */
struct str scan_member(struct str text, const char *name);
/* Whether raw text is this string; one without escapes. */
bool scan_is_string(struct str raw, struct str text);
/*
 * What raw text says when it is a short string of ASCII, its escapes undone ("tools\/call"), in `ret`; other strings as they are
 * spelled, without their quotes; "" of what is no string.
 */
#define SCAN_TEXT_MAX 64
struct str scan_text(struct str raw, char ret[SCAN_TEXT_MAX]);
