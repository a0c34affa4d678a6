/*
 * escape: text from outside, made safe for where it goes
 *
 * Guests, services and files say what they like; what they say must not drive a terminal, start a line of its own or
 * change the order in which a line reads. "Hidden" characters below are: C0 and C1 controls, DEL, U+2028, U+2029, the
 * marks and overrides of bidirectional text (U+061C, U+200E, U+200F, U+202A…E, U+2066…9), and such as take no room
 * (U+00AD, U+200B, U+2060…F, U+FEFF, U+FFF9…B, U+E0000…E0FFF). Joiners that scripts need (U+200C, U+200D) stay.
 */
#pragma once
#include "base/buf.h"

/*
 * The inside of a JSON string, without its quotes. Ill-formed UTF-8 becomes U+FFFD, one a maximal subpart. Hidden
 * characters are written as \u escapes: a reader gets them back, a terminal never sees them. At most six bytes a byte.
 */
void escape_json(struct buf *buf, struct str text);

/*
 * For one line on a terminal: hidden characters become \n, \r, \t, \x1b, \u202e or \u{e0041}, bytes that are not UTF-8
 * \xff. Backslashes stay as they are, so this is for reading and cannot be undone. At most four bytes a byte.
 */
void escape_visible(struct buf *buf, struct str text);

/* The same with \" and \\ for quotes and backslashes: the inside of a quoted value, which can be undone. */
void escape_quoted(struct buf *buf, struct str text);

/*
 * As much of the text, by one of the functions above, as fits in `most` bytes (3 at least); ends in "..." when that is
 * not all, and never inside an escape. The buffer must have room for `most` and one character, ESCAPE_CHAR_MAX, more.
 */
#define ESCAPE_CHAR_MAX 12
void escape_cut(struct buf *buf, struct str text, size_t most, void (*escape)(struct buf *buf, struct str text));

/* Text to be quoted in a message: made visible, cut to fit and then ending in "...". Returns ret. */
#define ESCAPE_SHOWN_SIZE 256
const char *escape_shown(struct str text, char ret[ESCAPE_SHOWN_SIZE]);

bool escape_hides(uint32_t code); /* whether a character is hidden as above */
