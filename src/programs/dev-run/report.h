/*
 * report: what the harness prints
 *
 * On standard output one JSON line a call; on standard error the connector's log lines, "[connector <level>] <message>",
 * host calls when they are traced, and notes of the harness. Guest text never makes a line of its own and never drives a
 * terminal: on standard error hidden characters are made visible, in JSON they are \u escapes (base/escape.h).
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "connector/call.h"
#include "connector/load.h"

#define REPORT_PROGRAM "aileron-connector-dev-run"

/* What one run came to. */
struct run_report {
	bool json;             /* the whole outcome: --json */
	const struct err *err; /* NULL = success */
	struct str output;     /* an object, one line */
	struct buf logs;       /* members of the array `logs` of --json */
	uint64_t log_lines;
	const struct load_report *load;
	const struct call_report *call; /* NULL: it did not come to the call */
	uint64_t total_ns;
};

/* "aileron-connector-dev-run: <text>" on standard error, as one visible line. */
void report_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The text form of an error, with its file and line. */
void report_failure(const struct err *err);
void report_log(struct run_report *report, struct str level, struct str message);
/* What the connector would have in the audit, as "[audit] {…}": the harness keeps none. */
void report_audit(struct str object);
void report_trace(struct str text, uint64_t nanoseconds);
/* A trap's backtrace, which has lines, and how many lines of trace and log were dropped. */
void report_rest(const struct run_report *report);

/* The line of standard output, without writing it. LIMIT when it cannot be built. */
int report_line(struct buf *out, const struct run_report *report, struct err *err) __attribute__((warn_unused_result));
/* Writes all of it, waiting where the descriptor cannot take it. */
int report_write(int fd, struct str bytes, struct err *err) __attribute__((warn_unused_result));
