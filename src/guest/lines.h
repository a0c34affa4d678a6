/*
 * lines: bytes of a stream, cut into lines
 *
 * A line that is longer than the cap is thrown away to its end and told once. Not thread-safe.
 */
#pragma once
#include "base/buf.h"

struct lines {
	struct buf part; /* of a line whose end is not here */
	bool skipping;   /* to the end of one that is too long */
};
void lines_init(struct lines *lines, size_t max);
void lines_release(struct lines *lines);
/* Calls `line` for each whole one, without its end; `too_long` for each that is not kept. */
void lines_feed(struct lines *lines, struct str bytes, void (*line)(void *user, struct str line),
		void (*too_long)(void *user), void *user);
