#include "base/escape.h"
#include "base/mem.h"
#include "base/utf8.h"

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

/* Length of the run from the start that is printable ASCII and neither quote nor backslash: safe in every form. */
static size_t plain_run(struct str text)
{
	size_t n = 0;
	while (n < text.n) {
		unsigned char byte = (unsigned char)text.p[n];
		if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
			break;
		n++;
	}
	return n;
}

/* The letter that follows the backslash, of those that both JSON and people know; 0 = none. */
static char short_escape(uint32_t code)
{
	return code == '\n' ? 'n' : code == '\r' ? 'r' : code == '\t' ? 't' : 0;
}

static void add_json_char(struct buf *buf, struct utf8_char c, struct str bytes)
{
	if (c.code == UTF8_INVALID)
		buf_add_z(buf, "\xef\xbf\xbd");
	else if (c.code == '"' || c.code == '\\')
		buf_addf(buf, "\\%c", (char)c.code);
	else if (short_escape(c.code) != 0)
		buf_addf(buf, "\\%c", short_escape(c.code));
	else if (!escape_hides(c.code))
		buf_add_str(buf, bytes);
	else if (c.code < 0x10000)
		buf_addf(buf, "\\u%04x", c.code);
	else /* a pair of surrogates */
		buf_addf(buf, "\\u%04x\\u%04x", 0xd7c0 + (c.code >> 10), 0xdc00 + (c.code & 0x3ff));
}

static void add_visible_char(struct buf *buf, struct utf8_char c, struct str bytes)
{
	if (c.code == UTF8_INVALID) {
		for (size_t i = 0; i < bytes.n; i++)
			buf_addf(buf, "\\x%02x", (unsigned)(unsigned char)bytes.p[i]);
	} else if (short_escape(c.code) != 0) {
		buf_addf(buf, "\\%c", short_escape(c.code));
	} else if (!escape_hides(c.code)) {
		buf_add_str(buf, bytes);
	} else if (c.code < 0x80) {
		buf_addf(buf, "\\x%02x", c.code);
	} else if (c.code < 0x10000) {
		buf_addf(buf, "\\u%04x", c.code);
	} else {
		buf_addf(buf, "\\u{%x}", c.code);
	}
}

static void add_quoted_char(struct buf *buf, struct utf8_char c, struct str bytes)
{
	if (c.code == '"' || c.code == '\\')
		buf_addf(buf, "\\%c", (char)c.code);
	else
		add_visible_char(buf, c, bytes);
}

static void escape(struct buf *buf, struct str text,
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
	escape(buf, text, add_json_char);
}

void escape_visible(struct buf *buf, struct str text)
{
	escape(buf, text, add_visible_char);
}

void escape_quoted(struct buf *buf, struct str text)
{
	escape(buf, text, add_quoted_char);
}
