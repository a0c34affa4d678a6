#include "base/utf8.h"

/* Of a first byte: how long the sequence is, and the range of its second byte (table 3-7). 0 = starts nothing. */
struct lead {
	unsigned n;
	unsigned char low, high;
};

static struct lead lead_of(unsigned char byte)
{
	if (byte < 0x80)
		return (struct lead){1, 0, 0};
	if (byte >= 0xc2 && byte <= 0xdf)
		return (struct lead){2, 0x80, 0xbf};
	if (byte >= 0xe0 && byte <= 0xef)
		return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
	if (byte >= 0xf0 && byte <= 0xf4)
		return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0, 0, 0};
}

struct utf8_char utf8_next(struct str text)
{
	if (text.n == 0)
		return (struct utf8_char){UTF8_INVALID, 0};
	const unsigned char *p = (const unsigned char *)text.p;
	struct lead lead = lead_of(p[0]);
	if (lead.n == 1)
		return (struct utf8_char){p[0], 1};
	if (lead.n == 0)
		return (struct utf8_char){UTF8_INVALID, 1};

	uint32_t code = p[0] & (0x7fu >> lead.n);
	for (unsigned i = 1; i < lead.n; i++) {
		unsigned char low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xbf;
		if (i >= text.n || p[i] < low || p[i] > high)
			return (struct utf8_char){UTF8_INVALID, i};
		code = code << 6 | (p[i] & 0x3fu);
	}
	return (struct utf8_char){code, lead.n};
}

unsigned utf8_encode(uint32_t code, char ret[4])
{
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		code = UTF8_REPLACEMENT;
	if (code < 0x80) {
		ret[0] = (char)code;
		return 1;
	}
	unsigned n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (unsigned i = n - 1; i > 0; i--, code >>= 6)
		ret[i] = (char)(unsigned char)(0x80 | (code & 0x3f));
	ret[0] = (char)(unsigned char)((0xf00u >> n & 0xf0u) | code);
	return n;
}

struct str utf8_cut(struct str text, size_t max)
{
	if (text.n <= max)
		return text;
	/* A sequence that starts within the last three bytes may reach over the edge. */
	for (size_t back = 1; back <= 3 && back <= max; back++) {
		unsigned char byte = (unsigned char)text.p[max - back];
		if ((byte & 0xc0) == 0x80)
			continue;
		if (lead_of(byte).n > back)
			return str_slice(text, 0, max - back);
		break;
	}
	return str_slice(text, 0, max);
}
