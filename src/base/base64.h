/*
 * base64: RFC 4648 sections 4 and 5
 *
 * Decoding is strict: the one alphabet, padding exactly as the form says, no blanks or line ends, unused bits zero, so
 * every byte string has one spelling. Errors give an offset and never quote the text, which may be a secret. Not in
 * constant time. No allocation beyond the buffer's; any thread.
 */
#pragma once
#include "base/buf.h"

enum base64_form {
	BASE64_STANDARD,       /* "+/" and "=" */
	BASE64_STANDARD_NOPAD, /* "+/" */
	BASE64_URL,            /* "-_" and "=" */
	BASE64_URL_NOPAD       /* "-_", as in JOSE and PKCE */
};

/* Characters for n bytes. n is at most SIZE_MAX / 2. */
size_t base64_size(size_t n, enum base64_form form);
void base64_encode(struct buf *buf, struct str bytes, enum base64_form form);

/* Appends the bytes. PARSE_ERROR when the text is not of that form, LIMIT when they do not fit. */
int base64_decode(struct buf *buf, struct str text, enum base64_form form, struct err *err)
	__attribute__((warn_unused_result));
