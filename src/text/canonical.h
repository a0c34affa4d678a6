/*
 * canonical: one text for one JSON value
 *
 * Sorted keys (by bytes of UTF-8), no blanks, escapes only where JSON demands them (\" \\ and \u00XX, with \b \f \n \r \t
 * for those), integers as digits within ±2^53. A number with a fraction or an exponent, or beyond, is refused: whoever
 * needs one writes it as a string. What is hashed, signed or bound as associated data is in this form (docs/formats/json.md).
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
/* Whether a text is its own canonical form. */
bool json_is_canonical(struct str text);
