/*
 * hex: bytes as pairs of hexadecimal digits
 *
 * Written in lower case; read in either, without blanks or prefix. Errors give an offset and never quote the text,
 * which may be a secret. Not in constant time. Any thread.
 */
#pragma once
#include "base/buf.h"

void hex_encode(struct buf *buf, struct str bytes);
/* The same into an array of 2 * bytes.n + 1, with a NUL. Returns ret. */
const char *hex_format(struct str bytes, char *ret);

/* Appends the bytes. PARSE_ERROR when the text is anything but pairs of digits, LIMIT when they do not fit. */
int hex_decode(struct buf *buf, struct str text, struct err *err) __attribute__((warn_unused_result));

int hex_digit(char c); /* 0 to 15, or -1 */
