/*
 * canonical: one text for one JSON value
 *
 * Sorted keys (by bytes of UTF-8), no blanks, escapes only where JSON demands them (\" \\ and \u00XX, with \b \f \n \r \t
 * for those), integers as digits within ±2^53. A number with a fraction or an exponent, or beyond, is refused: whoever
 * needs one writes it as a string. What is hashed, signed or bound as associated data is in this form (docs/formats/json.md).
 * The arguments of actions are not: they have the form of RFC 8785 (text/jcs.h), which sorts otherwise and has fractions.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "text/json.h"

/* Appends; VALIDATION_ERROR names the member that has no canonical form; LIMIT when `out` is full. */
int json_canonical(struct buf *out, const struct json *value, struct err *err) __attribute__((warn_unused_result));
/* The same, where a number that has no canonical form is not refused but written as the string of its shortest digits. */
int json_canonical_quoting(struct buf *out, const struct json *value, struct err *err)
	__attribute__((warn_unused_result));
/*
 * A look that builds nothing, for texts that our own writers made in this form. True: the text is canonical, with at most
 * `depth` arrays and objects in one another, and each member of the root was told, name and value as they stand in the
 * text (the name without quotes; neither has an escape in it that `member` must undo but inside a value). False says only
 * that it was not seen so: the text may be canonical with an escape in a name, and members may have been told.
 */
typedef void json_canonical_member(void *user, struct str name, struct str value);
bool json_canonical_at_sight(struct str text, unsigned depth, json_canonical_member *member, void *user);
/* Whether a text is its own canonical form. */
bool json_is_canonical(struct str text);
