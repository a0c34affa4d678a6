/*
 * percent: percent-escapes (RFC 3986, 2.1)
 *
 * A byte as '%' and two hexadecimal digits; upper-case ones are written, both are read. Pure; any thread.
 */
#pragma once
#include "base/buf.h"
#include "base/str.h"

/* The bytes that stay as they are: letters and digits, and */
enum percent_set {
	PERCENT_UNRESERVED, /* "-._~" (RFC 3986, 2.3) */
	PERCENT_FORM,       /* "*-._" (WHATWG URL, 1.3); a form's space is its caller's business */
};
bool percent_is_plain(enum percent_set set, char c);

void percent_put(struct buf *out, enum percent_set set, char c);
void percent_escape(struct buf *out, enum percent_set set, struct str text);
/* Writes the three characters of an escape and returns what follows. */
char *percent_write(char *to, char c);

/* The byte of the escape that begins at text.p[at], or -1 when none does. */
int percent_at(struct str text, size_t at);
