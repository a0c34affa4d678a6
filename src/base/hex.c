#include "base/hex.h"
#include "base/ascii.h"

static const char digits[] = "0123456789abcdef";

static void write_pairs(struct str bytes, char *to)
{
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char byte = (unsigned char)bytes.p[i];
		to[2 * i] = digits[byte >> 4];
		to[2 * i + 1] = digits[byte & 15];
	}
}

void hex_encode(struct buf *buf, struct str bytes)
{
	if (bytes.n > SIZE_MAX / 2) {
		buf->failed = true;
		return;
	}
	char *to = buf_reserve(buf, 2 * bytes.n);
	if (to == NULL)
		return;
	write_pairs(bytes, to);
	buf_commit(buf, 2 * bytes.n);
}

const char *hex_format(struct str bytes, char *ret)
{
	write_pairs(bytes, ret);
	ret[2 * bytes.n] = '\0';
	return ret;
}

int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(struct buf *buf, struct str text, struct err *err)
{
	for (size_t i = 0; i < text.n; i++) {
		if (hex_digit(text.p[i]) < 0)
			return fail(err, ERR_PARSE_ERROR, "not a hexadecimal digit at offset %zu", i);
	}
	if (text.n % 2 != 0)
		return fail(err, ERR_PARSE_ERROR, "an odd number of hexadecimal digits: %zu", text.n);
	char *to = buf_reserve(buf, text.n / 2);
	if (to == NULL)
		return buf_check(buf, "hexadecimal text", err);
	for (size_t i = 0; i < text.n / 2; i++)
		to[i] = (char)(hex_digit(text.p[2 * i]) << 4 | hex_digit(text.p[2 * i + 1]));
	buf_commit(buf, text.n / 2);
	return 0;
}
