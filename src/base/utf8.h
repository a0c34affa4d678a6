/*
 * utf8: one character at a time (Unicode 15, section 3.9, table 3-7)
 */
#pragma once
#include "base/str.h"

#define UTF8_INVALID     UINT32_MAX
#define UTF8_REPLACEMENT UINT32_C(0xfffd)

struct utf8_char {
	uint32_t code; /* or UTF8_INVALID */
	/* bytes taken: of an ill-formed sequence its maximal subpart, at least 1; 0 at the end of the text */
	unsigned n;
};

/* Whether a byte stands behind the first of its sequence. */
static inline bool utf8_is_tail(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The character at the start of the text. */
struct utf8_char utf8_next(struct str text);
/* Writes 1 to 4 bytes and returns how many. A surrogate or anything over U+10FFFF is written as U+FFFD. */
unsigned utf8_encode(uint32_t code, char ret[4]);
/* The longest prefix of at most `max` bytes that does not cut a character apart. */
struct str utf8_cut(struct str text, size_t max);
