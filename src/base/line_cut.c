#include "base/line_cut.h"

void line_cut_init(struct line_cut *cut, size_t max)
{
	*cut = (struct line_cut){.part = BUF_INIT(max)};
}

void line_cut_release(struct line_cut *cut)
{
	buf_release(&cut->part);
}

/* A piece that has no line end. */
static void take_part(struct line_cut *cut, struct str bytes, void (*too_long)(void *user), void *user)
{
	if (cut->skipping)
		return;
	buf_add_str(&cut->part, bytes);
	if (buf_ok(&cut->part))
		return;
	buf_release(&cut->part);
	cut->skipping = true;
	too_long(user);
}

void line_cut_feed(struct line_cut *cut, struct str bytes, void (*line)(void *user, struct str line),
		   void (*too_long)(void *user), void *user)
{
	for (;;) {
		size_t end = str_find_char(bytes, '\n');
		if (end == STR_NPOS) {
			take_part(cut, bytes, too_long, user);
			return;
		}
		struct str piece = str_slice(bytes, 0, end);
		bytes = str_slice(bytes, end + 1, bytes.n);
		if (!cut->skipping && cut->part.n == 0 && piece.n <= cut->part.cap) {
			line(user, piece);
			continue;
		}
		take_part(cut, piece, too_long, user);
		if (!cut->skipping)
			line(user, buf_str(&cut->part));
		cut->skipping = false;
		if (cut->part.room > (size_t)64 << 10)
			buf_release(&cut->part);
		else
			buf_clear(&cut->part);
	}
}
