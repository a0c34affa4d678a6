#include "base/utf8.h"

/* Of a first byte: how long the sequence is, and the range of its second byte (table 3-7). 0 = starts nothing. */
static const struct lead {
	unsigned char n, low, high;
} leads[256] = {
	[0x00 ... 0x7f] = {1, 0x00, 0x00}, [0xc2 ... 0xdf] = {2, 0x80, 0xbf}, [0xe0] = {3, 0xa0, 0xbf},
	[0xe1 ... 0xec] = {3, 0x80, 0xbf}, [0xed] = {3, 0x80, 0x9f},          [0xee ... 0xef] = {3, 0x80, 0xbf},
	[0xf0] = {4, 0x90, 0xbf},          [0xf1 ... 0xf3] = {4, 0x80, 0xbf}, [0xf4] = {4, 0x80, 0x8f},
};

/* Length of the well-formed sequence at p, or 0. */
static size_t well_formed(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80) /* most text is ASCII; told without the table, it takes a quarter of the time */
		return 1;
	const struct lead *lead = &leads[p[0]];
	if (lead->n == 0 || lead->n > left || p[1] < lead->low || p[1] > lead->high)
		return 0;
	for (size_t i = 2; i < lead->n; i++) {
		if (!utf8_is_tail((char)p[i]))
			return 0;
	}
	return lead->n;
}

/* Of base/str.h; here for the table. Decoding what is only looked at would take three times as long. */
bool str_is_utf8(struct str s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		n = well_formed((const unsigned char *)s.p + i, s.n - i);
		if (n == 0)
			return false;
	}
	return true;
}

struct utf8_char utf8_next(struct str text)
{
	if (text.n == 0)
		return (struct utf8_char){UTF8_INVALID, 0};
	const unsigned char *p = (const unsigned char *)text.p;
	const struct lead *lead = &leads[p[0]];
	if (lead->n == 1)
		return (struct utf8_char){p[0], 1};
	if (lead->n == 0)
		return (struct utf8_char){UTF8_INVALID, 1};

	uint32_t code = p[0] & (0x7fu >> lead->n);
	for (unsigned i = 1; i < lead->n; i++) {
		unsigned char low = i == 1 ? lead->low : 0x80, high = i == 1 ? lead->high : 0xbf;
		if (i >= text.n || p[i] < low || p[i] > high)
			return (struct utf8_char){UTF8_INVALID, i};
		code = code << 6 | (p[i] & 0x3fu);
	}
	return (struct utf8_char){code, lead->n};
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
		char byte = text.p[max - back];
		if (utf8_is_tail(byte))
			continue;
		if (leads[(unsigned char)byte].n > back)
			return str_slice(text, 0, max - back);
		break;
	}
	return str_slice(text, 0, max);
}
