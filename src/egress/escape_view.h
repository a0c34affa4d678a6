/*
 * escape_view: a text with one kind of escape undone, and the way back
 *
 * For finding in a text what may be spelled in many ways (egress/scrub): undo the escapes, search, mark what was found,
 * and carry the marks back to the text. Marks are one bit a byte. Undoing never makes a text longer. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct marks {
	unsigned char *bits;
	bool any;
};

/* Room for n bytes, none marked. False when memory cannot be had. */
bool marks_init(struct marks *marks, size_t n);
void marks_release(struct marks *marks);
void marks_set(struct marks *marks, size_t from, size_t to);
static inline bool marks_at(const struct marks *marks, size_t at)
{
	return (marks->bits[at / 8] >> (at % 8) & 1) != 0;
}

enum escape {
	ESCAPE_JSON,     /* \uXXXX, pairs of surrogates as one character, and the short ones */
	ESCAPE_URL,      /* %XX */
	ESCAPE_LATIN1,   /* UTF-8 of U+0080 to U+00FF: what a service writes that took a header's bytes for Latin-1 */
	ESCAPE_LINE_END, /* CR and LF left out */
	ESCAPE__MAX
};

/* Start with zeros; may be made again and again over other texts; release. */
struct escape_view {
	unsigned char *bytes;
	size_t n;
	struct marks marks;
	size_t room;
};

enum escape_result { ESCAPE_NONE_FOUND, ESCAPE_UNDONE, ESCAPE_NO_MEMORY };

/* With ESCAPE_UNDONE the view holds the text without its escapes, nothing marked; otherwise it holds nothing. */
enum escape_result escape_view_make(struct escape_view *view, enum escape escape, const unsigned char *text, size_t n);
/* Wipes what the view held. */
void escape_view_release(struct escape_view *view);

/* Marks in ret_marks, from bit `base` on, the bytes of the text that the view's marked bytes were made of. */
void escape_view_carry(const struct escape_view *view, enum escape escape, const unsigned char *text, size_t n,
		       struct marks *ret_marks, size_t base);
