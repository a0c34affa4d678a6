/*
 * line_cut: bytes of a stream, cut into lines
 *
 * A line that is longer than the cap is thrown away to its end and told once. Not thread-safe.
 */
#pragma once
#include "base/buf.h"

struct line_cut {
	struct buf part; /* of a line whose end is not here */
	bool skipping;   /* to the end of one that is too long */
};
void line_cut_init(struct line_cut *cut, size_t max);
void line_cut_release(struct line_cut *cut);
/* Calls `line` for each whole one, without its end; `too_long` for each that is not kept. */
void line_cut_feed(struct line_cut *cut, struct str bytes, void (*line)(void *user, struct str line),
		   void (*too_long)(void *user), void *user);
