#include "base/base64.h"
#include "base/ascii.h"

static const char alphabets[2][65] = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

static bool is_url(enum base64_form form)
{
	return form == BASE64_URL || form == BASE64_URL_NOPAD;
}

static bool is_padded(enum base64_form form)
{
	return form == BASE64_STANDARD || form == BASE64_URL;
}

size_t base64_size(size_t n, enum base64_form form)
{
	size_t rest = n % 3;
	size_t tail = rest == 0 ? 0 : is_padded(form) ? 4 : rest + 1;
	return n / 3 * 4 + tail;
}

/* Three bytes to four characters; of a shorter group only the first n + 1 mean anything. */
static void encode_group(const unsigned char *p, size_t n, const char *alphabet, char *to)
{
	uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)(n > 1 ? p[1] : 0) << 8 | (uint32_t)(n > 2 ? p[2] : 0);
	char group[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], alphabet[bits >> 6 & 63],
			 alphabet[bits & 63]};
	for (size_t i = 0; i < n + 1; i++)
		to[i] = group[i];
}

void base64_encode(struct buf *buf, struct str bytes, enum base64_form form)
{
	if (bytes.n > SIZE_MAX / 2) {
		buf->failed = true;
		return;
	}
	size_t size = base64_size(bytes.n, form);
	char *to = buf_reserve(buf, size);
	if (to == NULL)
		return;
	const unsigned char *from = (const unsigned char *)bytes.p;
	const char *alphabet = alphabets[is_url(form)];
	size_t written = 0;
	for (size_t i = 0; i < bytes.n; i += 3, written += 4)
		encode_group(from + i, bytes.n - i < 3 ? bytes.n - i : 3, alphabet, to + written);
	for (size_t rest = bytes.n % 3; is_padded(form) && rest > 0 && rest < 3; rest++)
		to[size - (3 - rest)] = '=';
	buf_commit(buf, size);
}

/* 0 to 63, or -1. */
static int value_of(char c, bool url)
{
	if (ascii_is_upper(c))
		return c - 'A';
	if (ascii_is_lower(c))
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	return c == (url ? '_' : '/') ? 63 : -1;
}

/* Takes the padding off the text; refuses padding that the form does not have or that is not all of it. */
static int strip_padding(struct str *text, enum base64_form form, struct err *err)
{
	if (!is_padded(form))
		return 0;
	if (text->n % 4 != 0)
		return fail(err, ERR_PARSE_ERROR, "base64 of %zu characters, not a multiple of four", text->n);
	for (int i = 0; i < 2 && text->n > 0 && text->p[text->n - 1] == '='; i++)
		text->n--;
	return 0;
}

int base64_decode(struct buf *buf, struct str text, enum base64_form form, struct err *err)
{
	bool url = is_url(form);
	if (strip_padding(&text, form, err) < 0)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		if (value_of(text.p[i], url) < 0)
			return fail(err, ERR_PARSE_ERROR, "not a base64 character at offset %zu", i);
	}
	size_t rest = text.n % 4;
	/* The last character of a short group carries four or two bits that no byte takes. */
	int unused = rest == 2 ? 15 : rest == 3 ? 3 : 0;
	if (rest == 1)
		return fail(err, ERR_PARSE_ERROR, "base64 ends in the middle of a byte");
	if (unused != 0 && (value_of(text.p[text.n - 1], url) & unused) != 0)
		return fail(err, ERR_PARSE_ERROR, "base64 with bits set behind its last byte");

	size_t size = text.n / 4 * 3 + (rest > 0 ? rest - 1 : 0);
	char *to = buf_reserve(buf, size);
	if (to == NULL)
		return buf_check(buf, "base64 text", err);
	uint32_t bits = 0;
	size_t have = 0, written = 0;
	for (size_t i = 0; i < text.n; i++) {
		bits = bits << 6 | (uint32_t)value_of(text.p[i], url);
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[written++] = (char)(unsigned char)(bits >> have);
		}
	}
	buf_commit(buf, size);
	return 0;
}
