/*
 * print: what a verb tells, on standard output and standard error
 *
 * Text of ours is written as it is; everything that came from a service, a connector, a file or the daemon goes through
 * print_from(), which makes hidden characters visible (base/escape.h), so that nothing from outside drives the terminal.
 * Output is gathered and written at the end of the verb, or by print_flush() where lines appear as they happen. Colours are for
 * terminals alone, and not when NO_COLOR is set (no-color.org) or TERM is "dumb".
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "text/json.h"

#define PRINT_MAX ((size_t)256 << 20) /* bytes between two flushes */

enum print_style { PRINT_PLAIN, PRINT_BOLD, PRINT_GOOD, PRINT_WARN, PRINT_BAD, PRINT_FAINT };

struct printer {
	struct buf out;
	int fd;
	bool terminal; /* a person reads it */
	bool colours;
	unsigned width; /* columns of the terminal; 0 = no bound */
};
void printer_init(struct printer *printer, int fd); /* looks at the terminal and the environment */
void printer_release(struct printer *printer);
/* 0; -1 with SYSTEM, but for a reader that has gone (EPIPE), which is nobody's failure. */
int print_flush(struct printer *printer, struct err *err) __attribute__((warn_unused_result));

void print_text(struct printer *printer, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void print_styled(struct printer *printer, enum print_style style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void print_from(struct printer *printer, struct str text);
/* "Label     value" with the values of a page in one column; a text from outside, or one of ours with a style. */
void print_pair(struct printer *printer, const char *label, struct str value);
void print_pair_styled(struct printer *printer, const char *label, enum print_style style, const char *value);
/* The value as one line of JSON, without hidden characters. */
void print_json(struct printer *printer, const struct json *value);
/* The same for people: a member or an item a line, by two blanks a level. A text alone is a line of JSON, too. */
void print_json_page(struct printer *printer, const struct json *value);
/* The items of a list, one a line; "[]" when there are none. */
void print_json_list(struct printer *printer, const struct json *array);

/* "aileron: …" on standard error, visible, one write. */
void print_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* With the class where programs may act on it, and then with file and line where they are known. */
void print_failure(const struct err *err);

/* Columns that a text takes on a terminal: marks none, wide characters of East Asia and emoji two. */
unsigned print_width(struct str text);
/* As much of a visible text as fits, with "…" when that is not all. */
struct str print_cut(struct arena *arena, struct str text, unsigned width);
