#include "text/toml_parser.h"
#include "base/hex.h"
#include "base/utf8.h"

static int fail_character(struct toml_parser *parser)
{
	int c = toml_peek(parser);
	if (c == TOML_END)
		return toml_fail(parser, "the string is not closed before the end of the text");
	if (toml_newline(parser) > 0)
		return toml_fail(parser, "the string is not closed before the end of the line");
	return toml_fail(parser, "control character U+%04X in a string, write it as an escape", (unsigned)c);
}

/* Behind "\u" or "\U": so many hexadecimal digits, naming a Unicode scalar value. */
static int read_code(struct toml_parser *parser, unsigned digits)
{
	struct toml_position start = parser->position;
	uint32_t code = 0;
	for (unsigned i = 0; i < digits; i++) {
		int c = toml_peek(parser);
		int digit = c == TOML_END ? -1 : hex_digit((char)c);
		if (digit < 0)
			return toml_fail(parser, "the escape needs %u hexadecimal digits", digits);
		code = code << 4 | (uint32_t)digit;
		toml_advance(parser, 1);
	}
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return toml_fail_at(parser, start, "U+%04X is not a character", code);
	char bytes[4];
	buf_add(&parser->scratch, bytes, utf8_encode(code, bytes));
	return 0;
}

/* At a backslash that does not end a line. */
static int read_escape(struct toml_parser *parser)
{
	static const char plain[][2] = {{'b', '\b'}, {'t', '\t'}, {'n', '\n'}, {'f', '\f'},
					{'r', '\r'}, {'"', '"'},  {'\\', '\\'}};
	int c = toml_peek_at(parser, 1);
	if (c == 'u' || c == 'U') {
		toml_advance(parser, 2);
		return read_code(parser, c == 'u' ? 4 : 8);
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (c == plain[i][0]) {
			buf_add_char(&parser->scratch, plain[i][1]);
			toml_advance(parser, 2);
			return 0;
		}
	}
	return toml_fail(parser,
			 "a backslash here must start one of \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX");
}

static int read_single_line(struct toml_parser *parser, int quote)
{
	toml_advance(parser, 1);
	for (;;) {
		int c = toml_peek(parser);
		if (c == quote) {
			toml_advance(parser, 1);
			return 0;
		}
		if (c == TOML_END || toml_is_control(c))
			return fail_character(parser);
		if (c == '\\' && quote == '"') {
			if (read_escape(parser) < 0)
				return -1;
			continue;
		}
		buf_add_char(&parser->scratch, (char)c);
		toml_advance(parser, 1);
	}
}

/* A backslash as the last of its line swallows every blank and line end up to the next character. */
static bool skip_escaped_line_end(struct toml_parser *parser)
{
	size_t ahead = 1;
	while (toml_peek_at(parser, ahead) == ' ' || toml_peek_at(parser, ahead) == '\t')
		ahead++;
	if (toml_newline_at(parser, ahead) == 0)
		return false;
	toml_advance(parser, ahead);
	while (toml_newline(parser) > 0) {
		toml_advance(parser, toml_newline(parser));
		toml_skip_blanks(parser);
	}
	return true;
}

/* At a run of quotes: up to two are text, three close, so five are two of text and the end. */
static int read_quotes(struct toml_parser *parser, int quote, bool *ret_closed)
{
	size_t run = 0;
	while (run < 6 && toml_peek_at(parser, run) == quote)
		run++;
	if (run == 6)
		return toml_fail(parser, "at most two quotes may stand before the three that close a string");
	bool closed = run >= 3;
	for (size_t i = 0; i < (closed ? run - 3 : run); i++)
		buf_add_char(&parser->scratch, (char)quote);
	toml_advance(parser, run);
	*ret_closed = closed;
	return 0;
}

static int read_multi_line(struct toml_parser *parser, int quote)
{
	toml_advance(parser, 3);
	toml_advance(parser, toml_newline(parser)); /* the first line end does not count */
	bool closed = false;
	while (!closed) {
		int c = toml_peek(parser);
		if (c == quote) {
			if (read_quotes(parser, quote, &closed) < 0)
				return -1;
		} else if (toml_newline(parser) > 0) {
			buf_add_char(&parser->scratch, '\n');
			toml_advance(parser, toml_newline(parser));
		} else if (c == TOML_END || toml_is_control(c)) {
			return fail_character(parser);
		} else if (c == '\\' && quote == '"') {
			if (!skip_escaped_line_end(parser) && read_escape(parser) < 0)
				return -1;
		} else {
			buf_add_char(&parser->scratch, (char)c);
			toml_advance(parser, 1);
		}
	}
	return 0;
}

int toml_read_string(struct toml_parser *parser, struct str *ret_text)
{
	int quote = toml_peek(parser);
	bool multi_line = toml_peek_at(parser, 1) == quote && toml_peek_at(parser, 2) == quote;
	buf_clear(&parser->scratch);
	if ((multi_line ? read_multi_line(parser, quote) : read_single_line(parser, quote)) < 0)
		return -1;
	*ret_text = arena_str(parser->arena, buf_str(&parser->scratch));
	return 0;
}

int toml_read_key(struct toml_parser *parser, struct str *ret_key)
{
	int c = toml_peek(parser);
	if (c == '"' || c == '\'') {
		if (toml_peek_at(parser, 1) == c && toml_peek_at(parser, 2) == c)
			return toml_fail(parser, "a key cannot be a multi-line string");
		return toml_read_string(parser, ret_key);
	}
	size_t n = 0;
	while (toml_is_bare(toml_peek_at(parser, n)))
		n++;
	if (n == 0)
		return toml_fail_expected(parser, "a key");
	*ret_key = arena_str(parser->arena, str_slice(parser->text, parser->at, parser->at + n));
	toml_advance(parser, n);
	return 0;
}
