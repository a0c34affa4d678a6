#include "guest/lines.h"

void lines_init(struct lines *lines, size_t max)
{
	*lines = (struct lines){.part = BUF_INIT(max)};
}

void lines_release(struct lines *lines)
{
	buf_release(&lines->part);
}

/* A piece that has no line end. */
static void take_part(struct lines *lines, struct str bytes, void (*too_long)(void *user), void *user)
{
	if (lines->skipping)
		return;
	buf_add_str(&lines->part, bytes);
	if (buf_ok(&lines->part))
		return;
	buf_release(&lines->part);
	lines->skipping = true;
	too_long(user);
}

void lines_feed(struct lines *lines, struct str bytes, void (*line)(void *user, struct str line),
		void (*too_long)(void *user), void *user)
{
	for (;;) {
		size_t end = str_find_char(bytes, '\n');
		if (end == STR_NPOS) {
			take_part(lines, bytes, too_long, user);
			return;
		}
		struct str piece = str_slice(bytes, 0, end);
		bytes = str_slice(bytes, end + 1, bytes.n);
		if (!lines->skipping && lines->part.n == 0 && piece.n <= lines->part.cap) {
			line(user, piece);
			continue;
		}
		take_part(lines, piece, too_long, user);
		if (!lines->skipping)
			line(user, buf_str(&lines->part));
		lines->skipping = false;
		if (lines->part.room > (size_t)64 << 10)
			buf_release(&lines->part);
		else
			buf_clear(&lines->part);
	}
}
