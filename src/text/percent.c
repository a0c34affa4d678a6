#include "text/percent.h"
#include "base/ascii.h"
#include "base/hex.h"

bool percent_is_plain(enum percent_set set, char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == (set == PERCENT_FORM ? '*' : '~');
}

char *percent_write(char *to, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char byte = (unsigned char)c;
	to[0] = '%';
	to[1] = digits[byte >> 4];
	to[2] = digits[byte & 15];
	return to + 3;
}

void percent_put(struct buf *out, enum percent_set set, char c)
{
	char escape[3];
	if (percent_is_plain(set, c)) {
		buf_add_char(out, c);
		return;
	}
	percent_write(escape, c);
	buf_add_str(out, str_of(escape, sizeof escape));
}

void percent_escape(struct buf *out, enum percent_set set, struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		percent_put(out, set, text.p[i]);
}

int percent_at(struct str text, size_t at)
{
	if (at >= text.n || text.n - at < 3 || text.p[at] != '%')
		return -1;
	int high = hex_digit(text.p[at + 1]), low = hex_digit(text.p[at + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}
