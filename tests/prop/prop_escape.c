#include "base/escape.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Text of bytes, whole characters and troublesome ones mixed. */
static struct str generate_mixed(struct generator *g, char *room, size_t n)
{
	static const uint32_t troublesome[] = {0,   '\n', '\r',   0x1b,   0x7f,    0x85,  0x9b,
					       '"', '\\', 0x2028, 0x202e, 0xe0041, 0xfeff};
	size_t at = 0;
	size_t end = generate_below(g, n - 4);
	while (at < end) {
		size_t kind = generate_below(g, 4);
		if (kind == 0)
			room[at++] = (char)(unsigned char)generate(g);
		else if (kind == 1)
			at += utf8_encode(troublesome[generate_below(g, ARRAY_LEN(troublesome))], room + at);
		else if (kind == 2)
			at += utf8_encode((uint32_t)generate_below(g, 0x110000), room + at);
		else
			room[at++] = (char)(' ' + generate_below(g, 95));
	}
	return (struct str){room, at};
}

/* The four digits behind \u, or more in braces; moves *at past them. */
static uint32_t read_digits(struct str text, size_t *at, size_t count)
{
	bool braces = text.p[*at] == '{';
	*at += braces;
	uint32_t code = 0;
	for (size_t i = 0; braces ? text.p[*at] != '}' : i < count; i++, (*at)++) {
		assert_true(*at < text.n && hex_digit(text.p[*at]) >= 0);
		code = code << 4 | (uint32_t)hex_digit(text.p[*at]);
	}
	*at += braces;
	return code;
}

/* Undoes JSON escapes and those of a quoted value; written from the formats, not from the code. */
static void unescape(struct buf *out, struct str text)
{
	for (size_t at = 0; at < text.n;) {
		if (text.p[at] != '\\') {
			buf_add_char(out, text.p[at++]);
			continue;
		}
		char kind = text.p[at + 1], bytes[4];
		at += 2;
		if (kind == 'x') {
			buf_add_char(out, (char)(unsigned char)read_digits(text, &at, 2));
		} else if (kind == 'u') {
			uint32_t code = read_digits(text, &at, 4);
			if (code >= 0xd800 && code <= 0xdbff) {
				assert_memory_equal(text.p + at, "\\u", 2);
				at += 2;
				code = 0x10000 + ((code - 0xd800) << 10) + read_digits(text, &at, 4) - 0xdc00;
			}
			buf_add(out, bytes, utf8_encode(code, bytes));
		} else {
			buf_add_char(out, (char)(kind == 'n' ? '\n' : kind == 'r' ? '\r' : kind == 't' ? '\t' : kind));
		}
	}
}

/* The text with U+FFFD for each ill-formed subpart: what JSON can carry of it. */
static void repair(struct buf *out, struct str text)
{
	while (text.n > 0) {
		struct utf8_char c = utf8_next(text);
		char bytes[4];
		buf_add(out, bytes, utf8_encode(c.code, bytes));
		text = str_slice(text, c.n, text.n);
	}
}

static void assert_shows_nothing_hidden(struct str text)
{
	assert_true(str_is_utf8(text));
	while (text.n > 0) {
		struct utf8_char c = utf8_next(text);
		assert_false(escape_hides(c.code));
		text = str_slice(text, c.n, text.n);
	}
}

static void no_form_lets_a_hidden_character_through_and_two_can_be_undone(void **state)
{
	(void)state;
	struct generator g = {6};
	for (int round = 0; round < 20000; round++) {
		char room[60];
		struct str text = generate_mixed(&g, room, sizeof room);
		AUTO_BUF escaped = BUF_INIT(1000);
		AUTO_BUF back = BUF_INIT(1000);
		AUTO_BUF repaired = BUF_INIT(1000);
		escape_json(&escaped, text);
		assert_shows_nothing_hidden(buf_str(&escaped));
		assert_true(escaped.n <= 6 * text.n);
		unescape(&back, buf_str(&escaped));
		repair(&repaired, text);
		assert_true(str_eq(buf_str(&back), buf_str(&repaired)));

		buf_clear(&escaped);
		buf_clear(&back);
		escape_quoted(&escaped, text);
		assert_shows_nothing_hidden(buf_str(&escaped));
		unescape(&back, buf_str(&escaped));
		assert_true(str_eq(buf_str(&back), text));

		buf_clear(&escaped);
		escape_visible(&escaped, text);
		assert_shows_nothing_hidden(buf_str(&escaped));
		assert_true(escaped.n <= 4 * text.n);
	}
}

/* Making it visible twice is the same as once, so text may pass through several hands. */
static void visible_text_stays_as_it_is(void **state)
{
	(void)state;
	struct generator g = {7};
	for (int round = 0; round < 5000; round++) {
		char room[60];
		AUTO_BUF once = BUF_INIT(1000);
		AUTO_BUF twice = BUF_INIT(1000);
		escape_visible(&once, generate_mixed(&g, room, sizeof room));
		escape_visible(&twice, buf_str(&once));
		assert_true(str_eq(buf_str(&once), buf_str(&twice)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_form_lets_a_hidden_character_through_and_two_can_be_undone),
		cmocka_unit_test(visible_text_stays_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
