#include "text/toml_parser.h"
#include "base/utf8.h"
#include <stdarg.h>
#include <stdio.h>

size_t toml_newline_at(const struct toml_parser *parser, size_t ahead)
{
	int c = toml_peek_at(parser, ahead);
	if (c == '\n')
		return 1;
	return c == '\r' && toml_peek_at(parser, ahead + 1) == '\n' ? 2 : 0;
}

void toml_advance(struct toml_parser *parser, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = parser->text.p[parser->at++];
		if (c == '\n') {
			parser->position.line++;
			parser->position.column = 1;
		} else if (!utf8_is_tail(c)) { /* the bytes behind the first of a character do not count */
			parser->position.column++;
		}
	}
}

bool toml_accept(struct toml_parser *parser, struct str text)
{
	if (!str_starts(str_slice(parser->text, parser->at, parser->text.n), text))
		return false;
	toml_advance(parser, text.n);
	return true;
}

void toml_skip_blanks(struct toml_parser *parser)
{
	while (toml_peek(parser) == ' ' || toml_peek(parser) == '\t')
		toml_advance(parser, 1);
}

static int skip_comment(struct toml_parser *parser)
{
	if (toml_peek(parser) != '#')
		return 0;
	while (toml_peek(parser) != TOML_END && toml_newline(parser) == 0) {
		if (toml_is_control(toml_peek(parser)))
			return toml_fail(parser, "control character U+%04X in a comment", (unsigned)toml_peek(parser));
		toml_advance(parser, 1);
	}
	return 0;
}

int toml_skip_lines(struct toml_parser *parser)
{
	for (;;) {
		toml_skip_blanks(parser);
		if (skip_comment(parser) < 0)
			return -1;
		size_t newline = toml_newline(parser);
		if (newline == 0)
			return 0;
		toml_advance(parser, newline);
	}
}

int toml_end_line(struct toml_parser *parser)
{
	toml_skip_blanks(parser);
	if (skip_comment(parser) < 0)
		return -1;
	size_t newline = toml_newline(parser);
	if (newline == 0 && toml_peek(parser) != TOML_END)
		return toml_fail_expected(parser, "the end of the line");
	toml_advance(parser, newline);
	return 0;
}

int toml_check_utf8(struct toml_parser *parser)
{
	if (str_is_utf8(parser->text))
		return 0;
	for (;;) {
		struct utf8_char character = utf8_next(str_slice(parser->text, parser->at, parser->text.n));
		if (character.code == UTF8_INVALID)
			return toml_fail(parser, "byte 0x%02x is not UTF-8", (unsigned)toml_peek(parser));
		toml_advance(parser, character.n);
	}
}

static int __attribute__((format(printf, 3, 0)))
fail_with(struct toml_parser *parser, struct toml_position position, const char *fmt, va_list ap)
{
	char what[512];
	if (vsnprintf(what, sizeof what, fmt, ap) < 0)
		what[0] = '\0';
	fail(parser->err, ERR_PARSE_ERROR, "%s (column %u)", what, position.column);
	return err_at(parser->err, parser->file, position.line);
}

int toml_fail_at(struct toml_parser *parser, struct toml_position position, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_with(parser, position, fmt, ap);
	va_end(ap);
	return -1;
}

int toml_fail(struct toml_parser *parser, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_with(parser, parser->position, fmt, ap);
	va_end(ap);
	return -1;
}

int toml_fail_expected(struct toml_parser *parser, const char *what)
{
	int c = toml_peek(parser);
	if (c == TOML_END)
		return toml_fail(parser, "expected %s, not the end of the text", what);
	if (toml_newline(parser) > 0)
		return toml_fail(parser, "expected %s, not the end of the line", what);
	if (c < 0x20 || c >= 0x7f)
		return toml_fail(parser, "expected %s, not byte 0x%02x", what, (unsigned)c);
	return toml_fail(parser, "expected %s, not '%c'", what, c);
}
