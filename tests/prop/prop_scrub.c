/*
 * The scrubber spells the secret in every way and looks for it; the model here does the opposite: it decodes the text in
 * every way and looks for the secret. After scrubbing, the model must find nothing; where it finds nothing before, the
 * text must stay as it is; and what stood around an inserted secret must still be there.
 */
#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "egress/scrub.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { TEXT_MAX = 1 << 20 };

/* --- the model: decoders as their definitions read --- */

static void decode_url(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
			buf_add_char(out, (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2])));
			i += 2;
		} else {
			buf_add_char(out, s.p[i]);
		}
	}
}

static long json_unit(struct str s, size_t i)
{
	if (i + 5 >= s.n || s.p[i] != '\\' || s.p[i + 1] != 'u')
		return -1;
	long unit = 0;
	for (size_t j = i + 2; j < i + 6; j++) {
		if (hex_digit(s.p[j]) < 0)
			return -1;
		unit = unit * 16 + hex_digit(s.p[j]);
	}
	return unit;
}

static void add_utf8(struct buf *out, long c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | c >> 6));
		buf_add_char(out, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xe0 | c >> 12));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 63)));
		buf_add_char(out, (char)(0x80 | (c & 63)));
	} else {
		buf_add_char(out, (char)(0xf0 | c >> 18));
		buf_add_char(out, (char)(0x80 | (c >> 12 & 63)));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 63)));
		buf_add_char(out, (char)(0x80 | (c & 63)));
	}
}

static void decode_json(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		static const char *const shorts[] = {"\"\"", "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"};
		bool done = false;
		if (s.p[i] == '\\' && i + 1 < s.n) {
			for (size_t j = 0; j < ARRAY_LEN(shorts) && !done; j++) {
				if (shorts[j][0] == s.p[i + 1]) {
					buf_add_char(out, shorts[j][1]);
					i++;
					done = true;
				}
			}
			long unit = done ? -1 : json_unit(s, i), low = unit < 0 ? -1 : json_unit(s, i + 6);
			if (unit >= 0xd800 && unit < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
				add_utf8(out, 0x10000 + (unit - 0xd800) * 0x400 + (low - 0xdc00));
				i += 11;
				done = true;
			} else if (unit >= 0) {
				add_utf8(out, unit);
				i += 5;
				done = true;
			}
		}
		if (!done)
			buf_add_char(out, s.p[i]);
	}
}

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	c = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
	const char *at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

/* Decodes every run of base64 characters from each of its first four, and looks for the secret in what comes. */
static bool in_base64(struct str s, struct str secret)
{
	for (size_t i = 0; i < s.n;) {
		size_t end = i;
		while (end < s.n && base64_digit(s.p[end]) >= 0)
			end++;
		for (size_t start = i; start < end && start < i + 4; start++) {
			AUTO_BUF bytes = BUF_INIT(TEXT_MAX);
			unsigned value = 0, bits = 0;
			for (size_t j = start; j < end; j++) {
				value = value << 6 | (unsigned)base64_digit(s.p[j]);
				bits += 6;
				if (bits >= 8) {
					bits -= 8;
					buf_add_char(&bytes, (char)(value >> bits & 0xff));
				}
			}
			if (str_find(buf_str(&bytes), secret) != STR_NPOS)
				return true;
		}
		i = end == i ? i + 1 : end;
	}
	return false;
}

static bool in_hex(struct str s, struct str secret)
{
	for (size_t i = 0; i + 2 * secret.n <= s.n; i++) {
		size_t j = 0;
		while (j < secret.n && hex_digit(s.p[i + 2 * j]) >= 0 && hex_digit(s.p[i + 2 * j + 1]) >= 0 &&
		       (unsigned char)secret.p[j] == hex_digit(s.p[i + 2 * j]) * 16 + hex_digit(s.p[i + 2 * j + 1]))
			j++;
		if (j == secret.n)
			return true;
	}
	return false;
}

static bool in_text(struct str s, struct str secret)
{
	return str_find(s, secret) != STR_NPOS || in_hex(s, secret) || in_base64(s, secret);
}

static bool found_at_depth(struct str s, struct str secret, int depth)
{
	if (in_text(s, secret))
		return true;
	AUTO_BUF unwrapped = BUF_INIT(TEXT_MAX);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_add_char(&unwrapped, s.p[i]);
	}
	if (in_base64(buf_str(&unwrapped), secret))
		return true;
	if (depth == 0)
		return false;
	AUTO_BUF url = BUF_INIT(TEXT_MAX);
	AUTO_BUF json = BUF_INIT(TEXT_MAX);
	decode_url(&url, s);
	decode_json(&json, s);
	return found_at_depth(buf_str(&url), secret, depth - 1) || found_at_depth(buf_str(&json), secret, depth - 1);
}

/* --- spellings --- */

static bool coin(struct generator *g)
{
	return generate_below(g, 2) == 0;
}

static void add_hex_byte(struct generator *g, struct buf *out, unsigned char c)
{
	const char *digits = coin(g) ? "0123456789abcdef" : "0123456789ABCDEF";
	buf_add_char(out, digits[c >> 4]);
	digits = coin(g) ? "0123456789abcdef" : "0123456789ABCDEF";
	buf_add_char(out, digits[c & 15]);
}

static void spell_raw(struct generator *g, struct buf *out, struct str s)
{
	(void)g;
	buf_add_str(out, s);
}

static void spell_hex(struct generator *g, struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		add_hex_byte(g, out, (unsigned char)s.p[i]);
}

static void spell_url(struct generator *g, struct buf *out, struct str s)
{
	bool all = coin(g);
	for (size_t i = 0; i < s.n; i++) {
		/* A percent sign must be escaped, or what follows might make an escape of it. */
		if (all || s.p[i] == '%' || coin(g)) {
			buf_add_char(out, '%');
			add_hex_byte(g, out, (unsigned char)s.p[i]);
		} else {
			buf_add_char(out, s.p[i]);
		}
	}
}

static void add_json_unit(struct generator *g, struct buf *out, unsigned unit)
{
	buf_add_z(out, "\\u");
	add_hex_byte(g, out, (unsigned char)(unit >> 8));
	add_hex_byte(g, out, (unsigned char)unit);
}

/* Any mix of plain bytes, short escapes and \uXXXX; bytes that are no UTF-8 stay plain. */
static void spell_json(struct generator *g, struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = 1;
		while (n < 4 && i + n < s.n && !str_is_utf8(str_slice(s, i, i + n)))
			n++;
		unsigned char c = (unsigned char)s.p[i];
		const char *letter = c == 0 ? NULL : strchr("\"\"\\\\//\bb\ff\nn\rr\tt", c);
		if (!str_is_utf8(str_slice(s, i, i + n))) {
			buf_add_char(out, s.p[i]);
			i++;
			continue;
		}
		unsigned long code = n == 1   ? c
				     : n == 2 ? (c & 31UL) << 6 | ((unsigned char)s.p[i + 1] & 63UL)
				     : n == 3 ? (c & 15UL) << 12 | ((unsigned char)s.p[i + 1] & 63UL) << 6 |
							((unsigned char)s.p[i + 2] & 63UL)
					      : (c & 7UL) << 18 | ((unsigned char)s.p[i + 1] & 63UL) << 12 |
							((unsigned char)s.p[i + 2] & 63UL) << 6 |
							((unsigned char)s.p[i + 3] & 63UL);
		if (n == 1 && letter != NULL && strchr("\"\\/\b\f\n\r\t", c) != NULL && coin(g)) {
			static const char from[] = "\"\\/\b\f\n\r\t", to[] = "\"\\/bfnrt";
			buf_add_char(out, '\\');
			buf_add_char(out, to[strchr(from, c) - from]);
		} else if (c == '\\' || c == '"' || c < 0x20 || coin(g)) {
			if (code >= 0x10000) {
				add_json_unit(g, out, (unsigned)(0xd800 + ((code - 0x10000) >> 10)));
				add_json_unit(g, out, (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
			} else {
				add_json_unit(g, out, (unsigned)code);
			}
		} else {
			buf_add(out, s.p + i, n);
		}
		i += n;
	}
}

/* The secret somewhere in a longer text, in either alphabet, padded or not, wrapped or not. */
static void spell_base64(struct generator *g, struct buf *out, struct str s)
{
	char around[8];
	AUTO_BUF whole = BUF_INIT(TEXT_MAX);
	buf_add_str(&whole, generate_bytes(g, around, sizeof around));
	buf_add_str(&whole, s);
	buf_add_str(&whole, generate_bytes(g, around, sizeof around));
	const char *digits = coin(g) ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
				     : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t column = generate_below(g, 4) == 0 ? 4 + generate_below(g, 76) : 0;
	size_t written = 0;
	for (size_t bit = 0; bit < whole.n * 8; bit += 6) {
		unsigned value = 0;
		for (size_t i = bit; i < bit + 6; i++)
			value = value * 2 +
				(i < whole.n * 8 && (unsigned char)whole.p[i / 8] >> (7 - i % 8) & 1 ? 1 : 0);
		if (column > 0 && written > 0 && written % column == 0)
			buf_add_z(out, coin(g) ? "\n" : "\r\n");
		buf_add_char(out, digits[value]);
		written++;
	}
	while (coin(g) && written++ % 4 != 0)
		buf_add_char(out, '=');
}

typedef void spelling(struct generator *g, struct buf *out, struct str s);
static spelling *const plain[] = {spell_raw, spell_hex, spell_base64};
static spelling *const escaped[] = {spell_raw, spell_url, spell_json};

/* Every form, escaped up to twice. */
static void spell(struct generator *g, struct buf *out, struct str secret)
{
	AUTO_BUF first = BUF_INIT(TEXT_MAX);
	AUTO_BUF second = BUF_INIT(TEXT_MAX);
	plain[generate_below(g, ARRAY_LEN(plain))](g, &first, secret);
	escaped[generate_below(g, ARRAY_LEN(escaped))](g, &second, buf_str(&first));
	escaped[generate_below(g, ARRAY_LEN(escaped))](g, out, buf_str(&second));
}

/* --- secrets and bodies --- */

static void make_secret(struct generator *g, struct buf *out)
{
	static const char *const characters[] = {
		"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "%", "\\", "\"", "/", "+", " ", "u", "0", "-", "_"};
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=";
	size_t n = generate_below(g, 8) == 0 ? 100 + generate_below(g, 200) : 8 + generate_below(g, 50);
	size_t kind = generate_below(g, 4);
	while (out->n < n) {
		if (kind == 0 || (kind == 1 && !coin(g)))
			buf_add_char(out, token[generate_below(g, sizeof token - 1)]);
		else if (kind == 1)
			buf_add_z(out, characters[generate_below(g, ARRAY_LEN(characters))]);
		else if (kind == 2)
			buf_add_char(out, (char)(' ' + generate_below(g, 95)));
		else
			buf_add_char(out, (char)generate_below(g, 256));
	}
}

static void make_body(struct generator *g, struct buf *out)
{
	static const char *const words[] = {"{\"key\":\"value\"},\n",
					    "https://h/a%20b?c=%2F",
					    "\\u0041\\n\\\"",
					    "plain words ",
					    "QmFzZTY0IHRleHQ=",
					    "6865782074657874",
					    "%",
					    "\\",
					    "\xc3\xa9\xc2\xa0",
					    "\r\n",
					    "%4",
					    "\\u00"};
	size_t pieces = generate_below(g, 12);
	for (size_t i = 0; i < pieces; i++) {
		char bytes[20];
		if (generate_below(g, 4) == 0)
			buf_add_str(out, generate_bytes(g, bytes, sizeof bytes));
		else
			buf_add_z(out, words[generate_below(g, ARRAY_LEN(words))]);
	}
}

static struct str scrubbed(const struct scrubber *scrubber, struct buf *text, size_t *ret_found)
{
	size_t n = 0;
	assert_int_equal(scrub_text(scrubber, text->p, text->n, &n, ret_found, NULL), 0);
	assert_true(n <= text->n);
	buf_truncate(text, n);
	return buf_str(text);
}

static void no_spelling_survives(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4000; seed++) {
		struct generator g = {seed};
		AUTO_BUF word = BUF_INIT(TEXT_MAX);
		make_secret(&g, &word);
		AUTO(secret) *secret = secret_from(buf_str(&word), NULL);
		AUTO(scrubber) *scrubber = scrubber_new(NULL);
		assert_int_equal(scrub_add(scrubber, secret, NULL), 0);

		AUTO_BUF before = BUF_INIT(TEXT_MAX);
		AUTO_BUF after = BUF_INIT(TEXT_MAX);
		AUTO_BUF text = BUF_INIT(TEXT_MAX);
		make_body(&g, &before);
		make_body(&g, &after);
		buf_add_str(&text, buf_str(&before));
		/* A space between, so that no escape begins in the secret and ends outside, or the other way round. */
		buf_add_z(&text, "=x;");
		spell(&g, &text, buf_str(&word));
		buf_add_z(&text, ";x=");
		buf_add_str(&text, buf_str(&after));
		size_t found;
		struct str out = scrubbed(scrubber, &text, &found);
		if (found == 0 || found_at_depth(out, buf_str(&word), 2))
			fail_msg("seed %llu: the secret '%s' is still in '%s'", (unsigned long long)seed, word.p,
				 text.p);
		if (!str_starts(out, buf_str(&before)) || !str_ends(out, buf_str(&after)))
			fail_msg("seed %llu: more than the secret went from '%s'", (unsigned long long)seed, text.p);
	}
}

static void other_texts_stay_as_they_are(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct generator g = {seed << 32};
		AUTO_BUF word = BUF_INIT(TEXT_MAX);
		AUTO_BUF other = BUF_INIT(TEXT_MAX);
		AUTO_BUF text = BUF_INIT(TEXT_MAX);
		make_secret(&g, &word);
		/*
		 * All but one byte of the secret is the hardest body that is none. Not one of its first five: those an
		 * escape in front may have swallowed, so a text without them is taken for the secret on purpose.
		 */
		buf_add_str(&other, buf_str(&word));
		size_t at = other.n > 5 ? 5 + generate_below(&g, other.n - 5) : other.n - 1;
		other.p[at] = (char)(other.p[at] == 'a' ? 'b' : 'a');
		AUTO(secret) *secret = secret_from(buf_str(&word), NULL);
		AUTO(scrubber) *scrubber = scrubber_new(NULL);
		assert_int_equal(scrub_add(scrubber, secret, NULL), 0);
		make_body(&g, &text);
		/* The end of a long secret is taken for it, as the header says. */
		if (other.n <= SCRUB_KEY / 2)
			spell(&g, &text, buf_str(&other));
		make_body(&g, &text);
		AUTO_BUF copy = BUF_INIT(TEXT_MAX);
		buf_add_str(&copy, buf_str(&text));
		if (found_at_depth(buf_str(&text), buf_str(&word), 2))
			continue;
		size_t found;
		struct str out = scrubbed(scrubber, &text, &found);
		if (found != 0 || !str_eq(out, buf_str(&copy)))
			fail_msg("seed %llu: '%s' became '%s'", (unsigned long long)seed, copy.p, text.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_spelling_survives),
		cmocka_unit_test(other_texts_stay_as_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
