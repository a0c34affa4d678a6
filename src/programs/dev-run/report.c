#include "programs/dev-run/report.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/utf8.h"
#include "text/json_writer.h"
#include <errno.h>
#include <poll.h>

#define LINE_MAX_BYTES (6 * (6 * LIMIT_STDOUT) + 64 * MIB)
#define NOTE_MAX       ((size_t)32 << 10)

/* ----------------------------------------------------------------------------------------------------- standard error */

/* One write, so that lines of several processes do not mix; nobody can be told when it fails. */
static void put_error_line(struct buf *line)
{
	buf_add_char(line, '\n');
	(void)!report_write(STDERR_FILENO, buf_str(line), NULL);
}

void report_note(const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT(NOTE_MAX);
	AUTO_BUF line = BUF_INIT(5 * NOTE_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	buf_add_z(&line, REPORT_PROGRAM ": ");
	escape_visible(&line, buf_str(&text));
	put_error_line(&line);
}

void report_failure(const struct err *err)
{
	char text[ERR_MESSAGE_MAX + ERR_FILE_MAX + 128];
	report_note("%s", err_text_at(err, text, sizeof text));
}

static void collect_log(struct run_report *report, struct str level, struct str message)
{
	struct json_writer w;
	jsonw_init(&w, &report->logs, JSON_WRITER_PLAIN);
	if (report->log_lines > 0)
		buf_add_char(&report->logs, ',');
	jsonw_begin_object(&w);
	jsonw_key(&w, S("level"));
	jsonw_str(&w, level);
	jsonw_key(&w, S("message"));
	jsonw_str(&w, message);
	jsonw_end_object(&w);
}

void report_log(struct run_report *report, struct str level, struct str message)
{
	AUTO_BUF line = BUF_INIT(6 * (level.n + message.n) + 64);
	buf_add_z(&line, "[connector ");
	escape_visible(&line, level);
	buf_add_z(&line, "] ");
	escape_visible(&line, message);
	put_error_line(&line);
	if (report->json)
		collect_log(report, level, message);
	report->log_lines++;
}

void report_audit(struct str object)
{
	AUTO_BUF line = BUF_INIT(6 * object.n + 16);
	buf_add_z(&line, "[audit] ");
	escape_visible(&line, object);
	put_error_line(&line);
}

void report_trace(struct str text, uint64_t nanoseconds)
{
	char took[DURATION_TEXT_SIZE];
	AUTO_BUF line = BUF_INIT(6 * text.n + 128);
	buf_add_z(&line, "[trace] ");
	escape_visible(&line, text);
	buf_addf(&line, " (%s)", duration_format(nanoseconds, took));
	put_error_line(&line);
}

static void put_backtrace(const struct err *failure)
{
	AUTO_BUF text = BUF_INIT(ERR_DETAILS_MAX + 16);
	buf_addf(&text, "{%s}", failure->details);
	AUTO(json) *details = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
	struct str rest;
	if (details == NULL || !json_get_str(json_member(details, S("backtrace")), &rest))
		return;
	while (rest.n > 0) {
		struct str line;
		rest = str_cut(rest, '\n', &line);
		AUTO_BUF shown = BUF_INIT(6 * line.n + 64);
		buf_add_z(&shown, "[trap] ");
		escape_visible(&shown, line);
		put_error_line(&shown);
	}
}

static void note_dropped(const char *what, uint64_t dropped, uint64_t shown)
{
	if (dropped > 0)
		report_note("%llu %s were dropped after the first %llu", (unsigned long long)dropped, what,
			    (unsigned long long)shown);
}

void report_rest(const struct run_report *report)
{
	if (report->err != NULL)
		put_backtrace(report->err);
	if (report->call == NULL)
		return;
	note_dropped("traced host calls", report->call->traces_dropped, report->call->traces);
	note_dropped("log lines", report->call->logs_dropped, report->log_lines);
}

/* ---------------------------------------------------------------------------------------------------- standard output */

/*
 * JSON text without the characters that would drive a terminal: outside of strings JSON has none of them, inside they
 * become \u escapes, which mean the same.
 */
static void add_printable(struct buf *out, struct str json)
{
	size_t plain = 0; /* bytes at the front of `json` that need nothing */
	while (plain < json.n) {
		struct utf8_char c = {.code = (unsigned char)json.p[plain], .n = 1};
		if (c.code < 0x20 || c.code > 0x7e)
			c = utf8_next(str_slice(json, plain, json.n));
		if (c.code == UTF8_INVALID || escape_hides(c.code)) {
			buf_add(out, json.p, plain);
			escape_json(out, str_slice(json, plain, plain + c.n));
			json = str_slice(json, plain + c.n, json.n);
			plain = 0;
		} else {
			plain += c.n;
		}
	}
	buf_add_str(out, json);
}

static void put_error_object(struct json_writer *w, const struct err *failure)
{
	jsonw_begin_object(w);
	jsonw_key(w, S("class"));
	jsonw_str(w, str_from(err_row(failure->class)->name));
	jsonw_key(w, S("message"));
	jsonw_str(w, str_from(failure->message));
	jsonw_key(w, S("retriable"));
	jsonw_bool(w, failure->retriable);
	jsonw_key(w, S("boundary"));
	jsonw_str(w, str_from(err_boundary_name(failure->boundary)));
	if (failure->details[0] != '\0') {
		jsonw_key(w, S("details"));
		jsonw_begin_object(w);
		jsonw_raw_members(w, str_from(failure->details));
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

static void put_error(struct json_writer *w, const struct run_report *report)
{
	jsonw_key(w, S("error"));
	if (report->json) {
		put_error_object(w, report->err);
		return;
	}
	char text[ERR_MESSAGE_MAX + 128];
	jsonw_str(w, str_from(err_text(report->err, text, sizeof text)));
}

static void put_ms(struct json_writer *w, const char *name, uint64_t nanoseconds)
{
	jsonw_key(w, str_from(name));
	uint64_t microseconds = nanoseconds / 1000; /* finer is noise */
	jsonw_real(w, (double)microseconds / 1000.0);
}

static void put_timings(struct json_writer *w, const struct run_report *report)
{
	jsonw_key(w, S("timings"));
	jsonw_begin_object(w);
	put_ms(w, "total", report->total_ns);
	put_ms(w, "hash", report->load->hash_ns);
	put_ms(w, "compile", report->load->compile_ns);
	put_ms(w, "runner", report->load->start_ns);
	put_ms(w, "load", report->load->load_ns);
	if (report->call != NULL) {
		put_ms(w, "call", report->call->total_ns);
		put_ms(w, "instantiate", report->call->instantiate_ns);
		put_ms(w, "run", report->call->run_ns);
		put_ms(w, "requests", report->call->request_ns);
	}
	jsonw_end_object(w);
}

static void put_logs(struct json_writer *w, const struct run_report *report)
{
	AUTO_BUF array = BUF_INIT(report->logs.n + 2);
	buf_addf(&array, "[");
	buf_add_str(&array, buf_str(&report->logs));
	buf_add_char(&array, ']');
	jsonw_key(w, S("logs"));
	jsonw_raw(w, buf_str(&array));
	jsonw_key(w, S("logs_dropped"));
	jsonw_int(w, report->call != NULL ? (int64_t)report->call->logs_dropped : 0);
}

int report_line(struct buf *out, const struct run_report *report, struct err *err)
{
	AUTO_BUF line = BUF_INIT(LINE_MAX_BYTES);
	struct json_writer w;
	jsonw_init(&w, &line, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	if (report->err != NULL) {
		put_error(&w, report);
	} else {
		jsonw_key(&w, S("output"));
		jsonw_raw(&w, report->output);
	}
	if (report->json) {
		put_timings(&w, report);
		put_logs(&w, report);
	}
	jsonw_end_object(&w);
	if (buf_check(&line, "the outcome", err) < 0)
		return -1;
	add_printable(out, buf_str(&line));
	buf_add_char(out, '\n');
	return buf_check(out, "the outcome", err);
}

int report_write(int fd, struct str bytes, struct err *err)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n >= 0) {
			bytes = str_slice(bytes, (size_t)n, bytes.n);
			continue;
		}
		if (errno == EINTR)
			continue;
		struct pollfd room = {.fd = fd, .events = POLLOUT};
		if (errno != EAGAIN || (poll(&room, 1, -1) < 0 && errno != EINTR))
			return fail_errno(err, "cannot write the outcome");
	}
	return 0;
}
