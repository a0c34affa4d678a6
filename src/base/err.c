#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct err_row rows[ERR_CLASS__MAX] = {
	[ERR_NONE] = {"none", BOUNDARY_NONE, false, 200, 0, "no error"},
#define ERROR_CLASS(symbol, name_, boundary_, retriable_, http_, exit_, title_)                                        \
	[ERR_##symbol] = {name_, BOUNDARY_##boundary_, retriable_, http_, exit_, title_},
#include "base/errors.def"
#undef ERROR_CLASS
};

static const char *const boundaries[BOUNDARY__MAX] = {
	[BOUNDARY_NONE] = "",
	[BOUNDARY_SANDBOX] = "sandbox",
	[BOUNDARY_CONNECTOR_MANIFEST] = "connector_manifest",
	[BOUNDARY_ACTION] = "action",
	[BOUNDARY_RUNTIME] = "runtime",
	[BOUNDARY_EXTERNAL] = "external",
};

const struct err_row *err_row(enum err_class class)
{
	if ((unsigned)class >= ERR_CLASS__MAX)
		BUG("error class %d does not exist", (int)class);
	return &rows[class];
}

bool err_class_is_closed(enum err_class class)
{
	return class > ERR_NONE && class <= ERR_OUTCOME_UNKNOWN; /* the group's last row */
}

const char *err_boundary_name(enum err_boundary boundary)
{
	return (unsigned)boundary < BOUNDARY__MAX ? boundaries[boundary] : "";
}

enum err_class err_class_named(struct str name)
{
	for (int i = ERR_NONE + 1; i < ERR_CLASS__MAX; i++) {
		if (str_eq(name, str_from(rows[i].name)))
			return (enum err_class)i;
	}
	return ERR_NONE;
}

void err_clear(struct err *err)
{
	if (err == NULL)
		return;
	err->class = ERR_NONE;
	err->boundary = BOUNDARY_NONE;
	err->retriable = false;
	err->os_errno = 0;
	err->line = 0;
	err->details_n = 0;
	err->file[0] = '\0';
	err->message[0] = '\0';
	err->details[0] = '\0';
}

/* Ends a text that was cut with "...", not inside a UTF-8 sequence. */
static void mark_cut(char *text, size_t room)
{
	size_t end = room - 1 - 3;
	while (end > 0 && utf8_is_tail(text[end]))
		end--;
	memcpy(text + end, "...", 4);
}

int failv(struct err *err, enum err_class class, const char *fmt, va_list ap)
{
	if (err == NULL)
		return -1;
	const struct err_row *row = err_row(class);
	/* The message is made first, aside: it may quote the error that it replaces. */
	char message[ERR_MESSAGE_MAX];
	int n = vsnprintf(message, sizeof message, fmt, ap);
	if (n >= (int)sizeof message)
		mark_cut(message, sizeof message);
	err_clear(err);
	err->class = class;
	err->boundary = row->boundary;
	err->retriable = row->retriable;
	memcpy(err->message, message, strlen(message) + 1);
	return -1;
}

int fail(struct err *err, enum err_class class, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	failv(err, class, fmt, ap);
	va_end(ap);
	return -1;
}

static void append_message(struct err *err, const char *separator, const char *text)
{
	size_t n = strlen(err->message);
	int added = snprintf(err->message + n, sizeof err->message - n, "%s%s", separator, text);
	if (added >= (int)(sizeof err->message - n))
		mark_cut(err->message, sizeof err->message);
}

int fail_errno(struct err *err, const char *fmt, ...)
{
	int code = errno;
	va_list ap;
	va_start(ap, fmt);
	failv(err, ERR_SYSTEM, fmt, ap);
	va_end(ap);
	if (err != NULL) {
		char text[128];
		err->os_errno = code;
		append_message(err, ": ", strerror_r(code, text, sizeof text));
	}
	errno = code;
	return -1;
}

int wrap(struct err *err, const char *fmt, ...)
{
	if (err == NULL)
		return -1;
	char inner[ERR_MESSAGE_MAX];
	memcpy(inner, err->message, sizeof inner);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof err->message)
		mark_cut(err->message, sizeof err->message);
	append_message(err, ": ", inner);
	return -1;
}

int err_at(struct err *err, const char *file, uint32_t line)
{
	if (err != NULL) {
		if (snprintf(err->file, sizeof err->file, "%s", file == NULL ? "" : file) >= (int)sizeof err->file)
			mark_cut(err->file, sizeof err->file);
		err->line = line;
	}
	return -1;
}

int err_set_boundary(struct err *err, enum err_boundary boundary)
{
	if (err != NULL)
		err->boundary = boundary;
	return -1;
}

/*
 * Details are written in place behind what is there. Room for the note that something was left out is always kept, so
 * that the text stays a list of whole JSON members.
 */
#define TRUNCATED_NOTE "\"details_truncated\":true"
enum { DETAILS_ROOM = ERR_DETAILS_MAX - (int)sizeof TRUNCATED_NOTE - 1 };

struct details_writer {
	struct err *err;
	size_t n;
	bool full;
};

static void put(struct details_writer *w, const char *bytes, size_t n)
{
	if (w->full || n > (size_t)DETAILS_ROOM - w->n) {
		w->full = true;
		return;
	}
	memcpy(w->err->details + w->n, bytes, n);
	w->n += n;
}

/* escape_json() would need memory, which may have run out; hidden characters stay for whoever shows the details. */
static void put_string(struct details_writer *w, struct str s)
{
	put(w, "\"", 1);
	for (size_t i = 0; i < s.n && !w->full;) {
		struct utf8_char c = utf8_next(str_slice(s, i, s.n));
		char escape[8];
		if (c.code == UTF8_INVALID || c.code == 0) { /* our own strict reader takes no U+0000 either */
			put(w, "\xef\xbf\xbd", 3);
		} else if (c.code < 0x20 || c.code == 0x7f) {
			put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c.code));
		} else {
			if (c.code == '"' || c.code == '\\')
				put(w, "\\", 1);
			put(w, s.p + i, c.n);
		}
		i += c.n;
	}
	put(w, "\"", 1);
}

static struct details_writer begin_member(struct err *err, const char *key)
{
	struct details_writer w = {.err = err, .n = err->details_n};
	if (w.n >= (size_t)DETAILS_ROOM)
		w.full = true;
	if (w.n > 0)
		put(&w, ",", 1);
	put_string(&w, str_from(key));
	put(&w, ":", 1);
	return w;
}

static void end_member(struct details_writer *w)
{
	struct err *err = w->err;
	if (!w->full) {
		err->details_n = (uint32_t)w->n;
	} else if (str_find(str_of(err->details, err->details_n), S(TRUNCATED_NOTE)) == STR_NPOS) {
		err->details_n +=
			(uint32_t)snprintf(err->details + err->details_n, sizeof err->details - err->details_n,
					   "%s" TRUNCATED_NOTE, err->details_n > 0 ? "," : "");
	}
	err->details[err->details_n] = '\0';
}

void err_detail(struct err *err, const char *key, struct str value)
{
	if (err == NULL)
		return;
	struct details_writer w = begin_member(err, key);
	put_string(&w, value);
	end_member(&w);
}

void err_detail_int(struct err *err, const char *key, int64_t value)
{
	if (err == NULL)
		return;
	struct details_writer w = begin_member(err, key);
	char text[24];
	put(&w, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
	end_member(&w);
}

void err_detail_list(struct err *err, const char *key, const struct str *values, size_t n)
{
	if (err == NULL)
		return;
	struct details_writer w = begin_member(err, key);
	put(&w, "[", 1);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			put(&w, ",", 1);
		put_string(&w, values[i]);
	}
	put(&w, "]", 1);
	end_member(&w);
}

/* Behind the string that begins at `i`. */
static size_t skip_string(struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		i += s.p[i] == '\\';
	return MIN(i + 1, s.n);
}

/* The comma behind the value that begins at `i`, or the end. */
static size_t skip_value(struct str s, size_t i)
{
	for (size_t depth = 0; i < s.n && (depth > 0 || s.p[i] != ',');) {
		if (s.p[i] == '[' || s.p[i] == '{')
			depth++;
		else if (depth > 0 && (s.p[i] == ']' || s.p[i] == '}'))
			depth--;
		i = s.p[i] == '"' ? skip_string(s, i) : i + 1;
	}
	return i;
}

static struct str without_quotes(struct str s)
{
	return s.n >= 2 && s.p[0] == '"' ? str_slice(s, 1, s.n - 1) : s;
}

bool err_detail_get(const struct err *err, const char *key, struct str *ret)
{
	struct str details = err != NULL ? str_of(err->details, err->details_n) : STR_EMPTY;
	bool found = false;
	for (size_t i = 0; i < details.n && details.p[i] == '"';) {
		size_t colon = skip_string(details, i), end = skip_value(details, colon + 1);
		if (str_eq(without_quotes(str_slice(details, i, colon)), str_from(key))) {
			*ret = without_quotes(str_slice(details, colon + 1, end));
			found = true;
		}
		i = end + 1;
	}
	return found;
}

const char *err_text(const struct err *err, char *buf, size_t n)
{
	snprintf(buf, n, "%s: %s (boundary=%s)", err_row(err->class)->name, err->message,
		 err_boundary_name(err->boundary));
	return buf;
}

const char *err_text_at(const struct err *err, char *buf, size_t n)
{
	const char *name = err_row(err->class)->name;
	if (err->file[0] == '\0')
		snprintf(buf, n, "%s: %s", name, err->message);
	else if (err->line == 0)
		snprintf(buf, n, "%s: %s (%s)", name, err->message, err->file);
	else
		snprintf(buf, n, "%s: %s (%s:%u)", name, err->message, err->file, err->line);
	return buf;
}

_Noreturn void err_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "aileron: internal error at %s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}
