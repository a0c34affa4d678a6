#include "base/escape.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

/* Inclusive ranges of hidden characters above ASCII, ascending. */
static const struct {
	uint32_t from, to;
} hidden[] = {
	{0x80, 0x9f},       /* C1 controls; some terminals obey U+009B as ESC [ */
	{0xad, 0xad},       /* soft hyphen */
	{0x61c, 0x61c},     /* Arabic letter mark */
	{0x200b, 0x200b},   /* zero width space */
	{0x200e, 0x200f},   /* left-to-right, right-to-left mark */
	{0x2028, 0x202e},   /* line and paragraph separator; embeddings and overrides */
	{0x2060, 0x206f},   /* word joiner, invisible operators, isolates, deprecated formats */
	{0xfeff, 0xfeff},   /* byte order mark */
	{0xfff9, 0xfffb},   /* interlinear annotations */
	{0xe0000, 0xe0fff}, /* tags and further selectors: text that nobody sees */
};

bool escape_hides(uint32_t code)
{
	if (code < 0x80)
		return code < 0x20 || code == 0x7f;
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (code <= hidden[i].to)
			return code >= hidden[i].from;
	}
	return false;
}

/* Whether the character stands for itself in every form. */
static bool is_plain(struct utf8_char c)
{
	return c.code != UTF8_INVALID && c.code != '"' && c.code != '\\' && !escape_hides(c.code);
}

/* Length of the run from the start that can be taken over as it is. */
static size_t plain_run(struct str text)
{
	size_t n = 0;
	while (n < text.n) {
		/* Most text is ASCII; that much is told without decoding. */
		unsigned char byte = (unsigned char)text.p[n];
		struct utf8_char c = byte < 0x80 ? (struct utf8_char){byte, 1} : utf8_next(str_slice(text, n, text.n));
		if (!is_plain(c))
			break;
		n += c.n;
	}
	return n;
}

/* A backslash, the letter, and at least `width` hexadecimal digits. */
static void add_digits(struct buf *buf, char letter, uint32_t code, unsigned width)
{
	char text[10] = {'\\', letter};
	while (width < 8 && code >> 4 * width != 0)
		width++;
	for (unsigned i = 0; i < width; i++)
		text[2 + i] = "0123456789abcdef"[code >> 4 * (width - 1 - i) & 15];
	buf_add(buf, text, 2 + width);
}

static void add_letter(struct buf *buf, char letter)
{
	char text[2] = {'\\', letter};
	buf_add(buf, text, sizeof text);
}

/* The letter that follows the backslash, of those that both JSON and people know; 0 = none. */
static char short_escape(uint32_t code)
{
	return code == '\n' ? 'n' : code == '\r' ? 'r' : code == '\t' ? 't' : 0;
}

static void add_json_char(struct buf *buf, struct utf8_char c, struct str bytes)
{
	if (c.code == UTF8_INVALID) {
		buf_add_z(buf, "\xef\xbf\xbd");
	} else if (c.code == '"' || c.code == '\\') {
		add_letter(buf, (char)c.code);
	} else if (short_escape(c.code) != 0) {
		add_letter(buf, short_escape(c.code));
	} else if (!escape_hides(c.code)) {
		buf_add_str(buf, bytes);
	} else if (c.code < 0x10000) {
		add_digits(buf, 'u', c.code, 4);
	} else { /* a pair of surrogates */
		add_digits(buf, 'u', 0xd7c0 + (c.code >> 10), 4);
		add_digits(buf, 'u', 0xdc00 + (c.code & 0x3ff), 4);
	}
}

static void add_visible_char(struct buf *buf, struct utf8_char c, struct str bytes)
{
	if (c.code == UTF8_INVALID) {
		for (size_t i = 0; i < bytes.n; i++)
			add_digits(buf, 'x', (unsigned char)bytes.p[i], 2);
	} else if (short_escape(c.code) != 0) {
		add_letter(buf, short_escape(c.code));
	} else if (!escape_hides(c.code)) {
		buf_add_str(buf, bytes);
	} else if (c.code < 0x80) {
		add_digits(buf, 'x', c.code, 2);
	} else if (c.code < 0x10000) {
		add_digits(buf, 'u', c.code, 4);
	} else {
		buf_addf(buf, "\\u{%x}", c.code);
	}
}

static void add_quoted_char(struct buf *buf, struct utf8_char c, struct str bytes)
{
	if (c.code == '"' || c.code == '\\')
		add_letter(buf, (char)c.code);
	else
		add_visible_char(buf, c, bytes);
}

static void escape_with(struct buf *buf, struct str text,
			void (*add_char)(struct buf *buf, struct utf8_char c, struct str bytes))
{
	while (text.n > 0 && buf_ok(buf)) {
		size_t run = plain_run(text);
		buf_add(buf, text.p, run);
		text = str_slice(text, run, text.n);
		if (text.n == 0)
			return;
		struct utf8_char c = utf8_next(text);
		add_char(buf, c, str_slice(text, 0, c.n));
		text = str_slice(text, c.n, text.n);
	}
}

void escape_json(struct buf *buf, struct str text)
{
	escape_with(buf, text, add_json_char);
}

void escape_visible(struct buf *buf, struct str text)
{
	escape_with(buf, text, add_visible_char);
}

void escape_quoted(struct buf *buf, struct str text)
{
	escape_with(buf, text, add_quoted_char);
}

void escape_cut(struct buf *buf, struct str text, size_t most, void (*escape)(struct buf *buf, struct str text))
{
	size_t end = buf->n + most, fits_with_dots = buf->n;
	while (text.n > 0 && buf_ok(buf)) {
		unsigned n = utf8_next(text).n;
		escape(buf, str_slice(text, 0, n));
		text = str_slice(text, n, text.n);
		if (buf->n > end) {
			buf_truncate(buf, fits_with_dots);
			buf_add_z(buf, "...");
			return;
		}
		if (buf->n + 3 <= end)
			fits_with_dots = buf->n;
	}
}

const char *escape_shown(struct str text, char ret[ESCAPE_SHOWN_SIZE])
{
	AUTO_BUF shown = BUF_INIT(ESCAPE_SHOWN_SIZE + ESCAPE_CHAR_MAX);
	escape_cut(&shown, text, ESCAPE_SHOWN_SIZE - 1, escape_visible);
	memcpy(ret, shown.p, shown.n + 1);
	return ret;
}
