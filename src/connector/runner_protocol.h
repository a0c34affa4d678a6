/*
 * runner_protocol: the messages between a runner and its parent
 *
 * One socket pair a runner, descriptor RUNNER_FD_SOCKET in the child. The runner confines itself, then sends HELLO with
 * its proof; the parent judges it and answers START or ends it. `compile` then sends COMPILED or FAILED and exits.
 * `serve` sends READY or FAILED and answers calls, several at once, until the socket closes. A call's id is its frames'
 * id, chosen by the parent, not 0. Everything that a runner says is a foreign program's word: the parent keeps its own
 * record of requests, status and errors. docs/formats/runner.md is the format; text/wire.h the encoding.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "rpc/rpc.h"

#define RUNNER_FD_SOCKET 3
#define RUNNER_FD_INPUT  4 /* compile: the module; serve: the compiled code */
#define RUNNER_FD_OUTPUT 5 /* compile: an empty file that gets the compiled code */

/* argv: "aileron-runner" ("compile" | "serve") PARENT-PID NAMESPACES; both numbers in decimal. */

enum runner_message {
	/* runner to parent */
	RUNNER_HELLO = 1,    /* confine report */
	RUNNER_COMPILED = 2, /* runner_compiled */
	RUNNER_FAILED = 3,   /* err; details.reason says how (docs/formats/runner.md); in the states NEW and LOADING */
	RUNNER_READY = 4,    /* runner_ready */
	RUNNER_LOG = 5,      /* id; str level, str message: raw guest bytes, each capped */
	RUNNER_HTTP = 6,     /* id; u8 runner_envelope, str envelope (empty unless present) */
	RUNNER_SPAWN = 7,    /* id; u8 0 = spawn, 1 = spawn_op */
	RUNNER_TRACE = 8,    /* id; str text (one host call, no guest bytes in it), u64 duration in ns */
	RUNNER_DONE = 9,     /* id; runner_done */
	RUNNER_AUDIT = 10,   /* id; str text: raw guest bytes, at most LIMIT_AUDIT_LINE, LIMIT_AUDIT_LINES a call */
	/* parent to runner */
	RUNNER_START = 32,        /* runner_start */
	RUNNER_CALL = 33,         /* id; runner_call */
	RUNNER_HTTP_RESULT = 34,  /* id; i32 rc, i32 status, str body */
	RUNNER_SPAWN_RESULT = 35, /* id; i32 rc */
	RUNNER_CANCEL = 36,       /* id; empty. A call that is not known (any more) is no error */
	RUNNER_AUDIT_RESULT = 37, /* id; i32 rc */
};

/* States of both permit tables. */
enum runner_state {
	RUNNER_STATE_NEW = 1,     /* before HELLO / START */
	RUNNER_STATE_LOADING = 2, /* until READY, COMPILED or FAILED */
	RUNNER_STATE_SERVING = 4,
};
extern const struct rpc_rule runner_parent_rules[]; /* what a parent accepts */
extern const struct rpc_rule runner_child_rules[];  /* what a runner accepts */

enum runner_strategy { RUNNER_CRANELIFT, RUNNER_WINCH };

/* What came of the span that the guest gave to http_request. */
enum runner_envelope {
	RUNNER_ENVELOPE_MISSING, /* bad or empty: the parent records the error and answers -2 */
	RUNNER_ENVELOPE_PRESENT,
	RUNNER_ENVELOPE_TOO_LONG, /* over runner_call.envelope_max: the parent records the limit and answers -1 */
};

/* Most calls that may wait in a runner while all its threads are busy; the parent keeps to it. */
#define RUNNER_WAITING_MAX 1024

struct runner_start {
	enum runner_strategy strategy;
	bool pooling;             /* serve: pooling allocator instead of on-demand instances */
	uint32_t threads;         /* serve: calls at once, up to 64; 0 counts as 1 */
	uint64_t memory_max;      /* serve: most that any call may ask for, bytes */
	uint8_t content_hash[32]; /* serve: of the module that the code was made from; code_file.h checks it */
};

struct runner_compiled {
	uint64_t code_bytes;
	uint64_t nanoseconds;
};

/* What the module asks of aileron_host, for the parent to hold against the manifest before the first call. */
struct runner_ready {
	uint64_t load_nanoseconds;
	struct str imports[16];
	uint32_t n_imports;
};

struct runner_call {
	uint64_t wall_time_ns; /* from instantiation */
	uint64_t memory_bytes;
	uint32_t stdout_max, stderr_tail_max;
	uint32_t log_lines_max, log_line_max;
	uint32_t envelope_max; /* longest http_request envelope that is passed on */
	bool trace;
	struct str input; /* standard input */
};

enum runner_end {
	RUNNER_END_EXIT,        /* returned (0) or proc_exit: exit_code */
	RUNNER_END_TRAP,        /* trap, message = text with a symbolised backtrace */
	RUNNER_END_LIMIT,       /* limit: "wall_time", "stdout", "memory" (at instantiation) */
	RUNNER_END_CANCELLED,   /* the parent asked */
	RUNNER_END_NOT_STARTED, /* instantiation failed: message */
	RUNNER_END__MAX
};

struct runner_done {
	enum runner_end end;
	uint32_t exit_code;
	struct str trap;     /* "unreachable", "memory_out_of_bounds", … "" otherwise */
	struct str limit;    /* set whenever a limit decided or was passed: stdout full even when the guest went on */
	bool memory_refused; /* a memory.grow was refused at some time */
	struct str message;
	struct str output; /* standard output */
	struct str stderr_tail;
	bool stderr_cut; /* there was more in front of the tail */
	uint64_t logs_dropped;
	uint64_t instantiate_ns, run_ns;
	uint64_t memory_peak; /* bytes of linear memory at the end */
};

void runner_start_put(struct buf *out, const struct runner_start *m);
int runner_start_get(struct str body, struct runner_start *ret, struct err *err) __attribute__((warn_unused_result));
void runner_compiled_put(struct buf *out, const struct runner_compiled *m);
int runner_compiled_get(struct str body, struct runner_compiled *ret, struct err *err)
	__attribute__((warn_unused_result));
void runner_ready_put(struct buf *out, const struct runner_ready *m);
int runner_ready_get(struct str body, struct runner_ready *ret, struct err *err) __attribute__((warn_unused_result));
/* Everything but the input / the output, which are sent as the last part without a copy: u32 length, bytes. */
void runner_call_put_head(struct buf *out, const struct runner_call *m);
int runner_call_get(struct str body, struct runner_call *ret, struct err *err) __attribute__((warn_unused_result));
void runner_done_put_head(struct buf *out, const struct runner_done *m);
int runner_done_get(struct str body, struct runner_done *ret, struct err *err) __attribute__((warn_unused_result));
