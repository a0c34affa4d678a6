/*
 * toml_parser: what the files of the TOML reader share; nobody else includes it
 *
 *   toml_scan      characters, positions, blanks and comments, errors
 *   toml_string    the four kinds of strings, and keys
 *   toml_scalar    numbers, booleans, dates and times
 *   toml_document  tables, arrays and the rules of what may be defined again
 *   toml           the finished tree
 */
#pragma once
#include "base/ascii.h"
#include "base/buf.h"
#include "text/toml.h"

/* How a table or array came to be, which decides what may still be added to it. */
enum toml_origin {
	TOML_FROM_VALUE,      /* written as a value, closed: inline tables and plain arrays */
	TOML_FROM_DEEPER,     /* a table that a header below it implied: [a] from [a.b] */
	TOML_FROM_HEADER,     /* [a] */
	TOML_FROM_DOTTED_KEY, /* a table from a.b = 1 */
	TOML_FROM_HEADERS,    /* an array from [[a]] */
};

struct toml_children {
	struct toml_value *first;
	struct toml_value *last;
	size_t n;
};

struct toml_value {
	enum toml_type type;
	enum toml_origin origin; /* of tables and arrays */
	uint32_t line;
	uint32_t column;
	uint32_t depth;          /* tables and arrays around it */
	struct str name;         /* of a member */
	struct toml_value *next; /* the sibling behind it */
	union {
		struct str text; /* strings, dates and times */
		int64_t integer;
		double real;
		bool boolean;
		struct toml_children children; /* tables and arrays */
	} as;
};

struct toml_position {
	uint32_t line;
	uint32_t column;
};

struct toml_parser {
	struct arena *arena;
	const char *file;
	struct err *err;
	struct str text;
	size_t at;
	struct toml_position position;
	size_t values;
	struct buf scratch; /* the string that is being read */
};

#define TOML_END (-1)

/* toml_scan: the byte at `ahead` from here, TOML_END behind the last. */
static inline int toml_peek_at(const struct toml_parser *parser, size_t ahead)
{
	return ahead < parser->text.n - parser->at ? (unsigned char)parser->text.p[parser->at + ahead] : TOML_END;
}
static inline int toml_peek(const struct toml_parser *parser)
{
	return toml_peek_at(parser, 0);
}
/* 2 at "\r\n", 1 at "\n", 0 elsewhere. */
size_t toml_newline_at(const struct toml_parser *parser, size_t ahead);
static inline size_t toml_newline(const struct toml_parser *parser)
{
	return toml_newline_at(parser, 0);
}
void toml_advance(struct toml_parser *parser, size_t n); /* n bytes, which must be there */
bool toml_accept(struct toml_parser *parser, struct str text);
void toml_skip_blanks(struct toml_parser *parser);
int toml_skip_lines(struct toml_parser *parser); /* blanks, comments and line ends */
int toml_end_line(struct toml_parser *parser);   /* blanks, a comment, then a line end or the end */
int toml_check_utf8(struct toml_parser *parser);
static inline bool toml_is_control(int c)
{
	return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f;
}

static inline bool toml_is_bare(int c) /* stands in a key without quotes */
{
	return c >= 0 && (ascii_is_letter((char)c) || ascii_is_digit((char)c) || c == '-' || c == '_');
}

/* PARSE_ERROR at the given or the present position; both return -1. */
int toml_fail_at(struct toml_parser *parser, struct toml_position position, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int toml_fail(struct toml_parser *parser, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "expected <what>, not <what is here>". */
int toml_fail_expected(struct toml_parser *parser, const char *what);

/* toml_string: at a quote; *ret_text is in the arena. */
int toml_read_string(struct toml_parser *parser, struct str *ret_text);
/* One part of a key, bare or quoted. */
int toml_read_key(struct toml_parser *parser, struct str *ret_key);

/* toml_scalar: anything that is no string, array or table. Fills type and content. */
int toml_read_scalar(struct toml_parser *parser, struct toml_value *value);
