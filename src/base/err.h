/*
 * err: one error value, from the deepest call to the user
 *
 * A fallible function takes `struct err *` last, returns 0 or -1 (or a pointer or NULL), fills the error on failure and
 * leaves its outputs untouched. The value is plain memory: it lives on the caller's stack, is zero when there is no
 * error, needs no release and works when memory has run out. Every function here accepts err == NULL and discards.
 *
 *     return fail(err, ERR_LIMIT, "'%s' has more than %zu hosts", name, max);
 *     return fail_errno(err, "cannot open '%s'", path);
 *     return wrap(err, "loading connector '%s'", name);        adds context in front, keeps the class
 *
 * Messages: no capital first letter, no final stop, what failed first, the subject in single quotes, then what to do.
 * A message or detail longer than its field is cut and ends in "...". Not thread-safe per value; values are
 * independent.
 *
 * Where one lives follows from the thread, as it is large (10 KB). What several threads may run has its own on the
 * stack, begun by err_clear(). What one thread alone runs may have a static one: any function of a program that has
 * one thread; otherwise that of the loop or of the writer, whose comment says so. None is of a thread, where it would
 * be kept for every one of them, and none is an element of an array.
 */
#pragma once
#include "base/str.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum err_class {
	ERR_NONE,
#define ERROR_CLASS(symbol, ...) ERR_##symbol,
#include "base/errors.def"
#undef ERROR_CLASS
	ERR_CLASS__MAX
};

/* Which wall refused. The first five appear on the wire; see docs/formats/errors.md. */
enum err_boundary {
	BOUNDARY_NONE,
	BOUNDARY_SANDBOX,
	BOUNDARY_CONNECTOR_MANIFEST,
	BOUNDARY_ACTION,
	BOUNDARY_RUNTIME,
	BOUNDARY_EXTERNAL,
	BOUNDARY__MAX
};

#define ERR_MESSAGE_MAX 2048
#define ERR_FILE_MAX    256
#define ERR_DETAILS_MAX 8192

struct err {
	enum err_class class;
	enum err_boundary boundary;
	bool retriable;
	int os_errno;  /* 0 when the operating system was not asked */
	uint32_t line; /* 1 and up in `file`; 0 = unknown */
	uint32_t details_n;
	char file[ERR_FILE_MAX];       /* "" = not about a file */
	char message[ERR_MESSAGE_MAX]; /* UTF-8, NUL-terminated */
	char details[ERR_DETAILS_MAX]; /* the members of a JSON object without its braces, NUL-terminated; "" = none */
};

/* What errors.def says of a class. `class` must be a valid value. */
struct err_row {
	const char *name;
	enum err_boundary boundary;
	bool retriable;
	int http_status;
	int exit_status;
	const char *title;
};
const struct err_row *err_row(enum err_class class);
/* Whether it is of the closed set that callers of connectors and actions see (the first group of errors.def). */
bool err_class_is_closed(enum err_class class);
const char *err_boundary_name(enum err_boundary boundary);
/* The class with that name, or ERR_NONE. */
enum err_class err_class_named(struct str name);

/* Makes it "no error" without clearing the big fields. Use instead of `= {0}` where errors are made in a loop. */
void err_clear(struct err *err);

/* All return -1. Class-dependent fields start at what errors.def says. */
int fail(struct err *err, enum err_class class, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int failv(struct err *err, enum err_class class, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* ERR_SYSTEM with the current errno, whose text is appended: "cannot open 'x': No such file or directory". */
int fail_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " in front of the message. */
int wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adjust a made error; each returns -1 so that it can end a function. */
int err_at(struct err *err, const char *file, uint32_t line);
int err_set_boundary(struct err *err, enum err_boundary boundary);

/*
 * Adds a member to details. Keys are plain ASCII identifiers. A member that does not fit is left out and
 * "details_truncated":true is added in its place. Strings are JSON-escaped; U+0000 and bytes that are not UTF-8 become U+FFFD.
 */
void err_detail(struct err *err, const char *key, struct str value);
void err_detail_int(struct err *err, const char *key, int64_t value);
void err_detail_list(struct err *err, const char *key, const struct str *values, size_t n);
/*
 * The detail of that name, the last of several, borrowed from `err`: a string's content, anything else as JSON. Escapes of a
 * string are left as they were written; names of ours have none. False when there is none; *ret is untouched.
 */
bool err_detail_get(const struct err *err, const char *key, struct str *ret);

/* "<class>: <message> (boundary=<boundary>)", the text form of the wire. Returns buf; cut when it does not fit. */
const char *err_text(const struct err *err, char *buf, size_t n);
/* "<class>: <message> (<file>:<line>)", the text form of artifacts; the file part only when known. */
const char *err_text_at(const struct err *err, char *buf, size_t n);

/* Ends the program with a message that names the place: for what cannot be. */
#define BUG(...) err_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void err_bug(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
