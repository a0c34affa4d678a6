/*
 * fake_peer: a runner or egress that follows a script
 *
 * The test program starts itself in the place of aileron-runner or aileron-egress, and gets its script by the descriptor
 * that would carry compiled code or certificates. A line of the script is one step:
 *
 *     hello                     a proof of confinement that is in order      hello-open   one that owns up to an open file
 *     hello-without NAME        one that lacks a boundary
 *     start                     waits for START
 *     only-winch, only-cranelift, always   what follows is for that compiler alone, or for both again
 *     ready NAME,NAME           READY with these imports                     failed CLASS REASON
 *     call                      waits for CALL; later steps speak of the last one
 *     log N                     N log lines         trace N        N lines of trace (1)       trace-long
 *     http TEXT / http-missing / http-long
 *     audit TEXT                a line for the audit          audits N      N lines, each after the last one's answer
 *     spawn                     answer              waits for the answer to http or spawn, and puts it into `done`
 *     done TEXT                 exit 0 with that output ('%' = the answer, '^' = the input)
 *     exit N / trap / limit NAME / cancelled / big-done
 *     cancel                    waits for CANCEL
 *     emit TEXT                 into the file of compiled code, '|' as line end        compiled
 *     raw TYPE ID N             a frame of N zero bytes
 *     half TYPE                 the first half of a frame, and death
 *     grant, request, result RC STATUS BODY, egress-cancel, end     egress
 *     say TEXT                  on standard error
 *     die N                     kills itself with signal N; quit N exits
 *     hang                      until it is killed
 */
#pragma once
#include "base/limits.h"
#include "base/mem.h"
#include "confine/confine.h"
#include "connector/runner_protocol.h"
#include "egress/egress_protocol.h"
#include "rpc/rpc.h"
#include "text/wire.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake {
	struct rpc_channel *channel;
	uint32_t id;
	bool winch; /* what START asked for */
	bool skip;
	char answer[256];
	char input[1024];
};

static inline void fake_fail(const char *what)
{
	fprintf(stderr, "the fake cannot %s\n", what);
	_exit(99);
}

static inline void fake_send(struct fake *fake, uint16_t type, uint32_t id, const struct buf *head, struct str tail)
{
	struct err err = {0};
	const struct str parts[] = {buf_str(head), tail};
	if (rpc_send(fake->channel, type, id, parts, 2, &err) != 0)
		fake_fail(err.message);
}

static inline struct rpc_frame fake_expect(struct fake *fake, uint16_t type)
{
	struct err err = {0};
	struct rpc_frame frame;
	int got = rpc_recv(fake->channel, &frame, &err);
	if (got == 0)
		_exit(0);
	if (got < 0 || frame.type != type)
		fake_fail(got < 0 ? err.message : "find the message that it expects");
	return frame;
}

static inline void fake_hello(struct fake *fake, bool open, struct str missing)
{
	struct confine_report report = {.no_new_privs = true, .seccomp = true, .landlock_abi = 1, .empty_root = true};
	snprintf(report.missing, sizeof report.missing, "%.*s", STR_FMT(missing));
	for (int act = 0; act < CONFINE_ACT__MAX; act++)
		report.before_seccomp[act] = report.after[act] =
			(struct confine_attempt){.tried = true, .error = EPERM};
	if (open)
		report.after[CONFINE_OPEN_FILE].error = 0;
	AUTO_BUF body = BUF_INIT(16 * KIB);
	confine_report_put(&body, &report);
	_Static_assert((int)RUNNER_HELLO == (int)EGRESS_HELLO, "one fake serves for both");
	fake_send(fake, RUNNER_HELLO, 0, &body, STR_EMPTY);
}

/* Egress is told something else by the same message, which is shorter. */
static inline void fake_start(struct fake *fake)
{
	struct rpc_frame frame = fake_expect(fake, RUNNER_START);
	struct runner_start start;
	fake->winch = runner_start_get(frame.body, &start, NULL) == 0 && start.strategy == RUNNER_WINCH;
}

static inline void fake_ready(struct fake *fake, struct str names)
{
	struct runner_ready ready = {.load_nanoseconds = 5};
	while (names.n > 0)
		names = str_cut(names, ',', &ready.imports[ready.n_imports++]);
	AUTO_BUF body = BUF_INIT(16 * KIB);
	runner_ready_put(&body, &ready);
	rpc_set_state(fake->channel, RUNNER_STATE_SERVING);
	fake_send(fake, RUNNER_READY, 0, &body, STR_EMPTY);
}

static inline void fake_failed(struct fake *fake, struct str args)
{
	struct str class, reason = str_cut(args, ' ', &class);
	struct err told = {0};
	fail(&told, err_class_named(class), "it does not load");
	err_detail(&told, "reason", reason);
	AUTO_BUF body = BUF_INIT(64 * KIB);
	wire_put_err(&body, &told);
	fake_send(fake, RUNNER_FAILED, 0, &body, STR_EMPTY);
}

static inline void fake_call(struct fake *fake)
{
	struct rpc_frame frame = fake_expect(fake, RUNNER_CALL);
	struct runner_call call;
	if (runner_call_get(frame.body, &call, NULL) != 0)
		fake_fail("read the call");
	fake->id = frame.id;
	snprintf(fake->input, sizeof fake->input, "%.*s", STR_FMT(call.input));
}

static inline void fake_text(struct fake *fake, uint16_t type, struct str a, struct str b)
{
	AUTO_BUF body = BUF_INIT(1 * MIB);
	wire_put_str(&body, a);
	wire_put_str(&body, b);
	fake_send(fake, type, fake->id, &body, STR_EMPTY);
}

static inline void fake_trace(struct fake *fake, struct str text)
{
	AUTO_BUF body = BUF_INIT(8 * KIB);
	wire_put_str(&body, text);
	wire_put_u64(&body, 9);
	fake_send(fake, RUNNER_TRACE, fake->id, &body, STR_EMPTY);
}

static inline void fake_http(struct fake *fake, enum runner_envelope kind, struct str text)
{
	AUTO_BUF body = BUF_INIT(1 * MIB);
	wire_put_u8(&body, (uint8_t)kind);
	wire_put_str(&body, text);
	fake_send(fake, RUNNER_HTTP, fake->id, &body, STR_EMPTY);
}

static inline void fake_audit(struct fake *fake, struct str text)
{
	AUTO_BUF body = BUF_INIT(1 * MIB);
	wire_put_str(&body, text);
	fake_send(fake, RUNNER_AUDIT, fake->id, &body, STR_EMPTY);
}

static inline void fake_answer(struct fake *fake)
{
	struct rpc_frame frame;
	if (rpc_recv(fake->channel, &frame, NULL) != 1)
		fake_fail("receive the answer");
	struct wire_reader r = wire_reader(frame.body);
	int32_t rc = wire_i32(&r);
	if (frame.type == RUNNER_HTTP_RESULT) {
		int32_t status = wire_i32(&r);
		struct str body = wire_str(&r);
		snprintf(fake->answer, sizeof fake->answer, "%d/%d/%.*s", rc, status, STR_FMT(body));
	} else {
		snprintf(fake->answer, sizeof fake->answer, "%d", rc);
	}
	if (wire_done(&r, "answer", NULL) != 0)
		fake_fail("read the answer");
}

static inline void fake_done(struct fake *fake, struct runner_done done)
{
	AUTO_BUF head = BUF_INIT(1 * MIB);
	runner_done_put_head(&head, &done);
	fake_send(fake, RUNNER_DONE, fake->id, &head, done.output);
}

static inline void fake_output(struct fake *fake, struct str text)
{
	AUTO_BUF output = BUF_INIT(1 * MIB);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%')
			buf_add_z(&output, fake->answer);
		else if (text.p[i] == '^')
			buf_add_z(&output, fake->input);
		else
			buf_add_char(&output, text.p[i]);
	}
	fake_done(fake, (struct runner_done){.output = buf_str(&output), .instantiate_ns = 1, .run_ns = 2});
}

static inline uint64_t fake_number(struct str text)
{
	uint64_t n = 0;
	if (!str_to_u64(text, UINT64_MAX, &n))
		fake_fail("read a number");
	return n;
}

static inline void fake_raw(struct fake *fake, struct str args)
{
	struct str type, id;
	args = str_cut(args, ' ', &type);
	args = str_cut(args, ' ', &id);
	uint64_t n = fake_number(args);
	AUTO_FREE char *zeros = xcalloc(n + 1, 1);
	AUTO_BUF none = BUF_INIT(1);
	fake_send(fake, (uint16_t)fake_number(type), id.p[0] == '=' ? fake->id : (uint32_t)fake_number(id), &none,
		  str_of(zeros, n));
}

/* The compiler's output is the script of the server that will be started with it. */
static inline void fake_emit(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (write(RUNNER_FD_OUTPUT, text.p[i] == '|' ? "\n" : text.p + i, 1) != 1)
			fake_fail("write compiled code");
	}
}

static inline void fake_compiled(struct fake *fake)
{
	const struct runner_compiled compiled = {.code_bytes = 10, .nanoseconds = 20};
	AUTO_BUF body = BUF_INIT(64);
	runner_compiled_put(&body, &compiled);
	fake_send(fake, RUNNER_COMPILED, 0, &body, STR_EMPTY);
}

static inline void fake_result(struct fake *fake, struct str args)
{
	struct str rc, status;
	args = str_cut(args, ' ', &rc);
	args = str_cut(args, ' ', &status);
	struct egress_result result = {.status = (int32_t)fake_number(status), .body = args, .nanoseconds = 7};
	if (rc.p[0] == '-') {
		result.rc = -(int32_t)fake_number(str_slice(rc, 1, rc.n));
		fail(&result.err, ERR_NETWORK_ERROR, "http_request: the fake says no");
	}
	result.note = S("a note");
	AUTO_BUF head = BUF_INIT(64 * KIB);
	egress_result_put_head(&head, &result);
	wire_put_u32(&head, (uint32_t)result.body.n);
	fake_send(fake, EGRESS_RESULT, fake->id, &head, result.body);
}

static inline void fake_half(struct fake *fake, char type)
{
	const char half[] = {100, 0, 0, 0, type, 0, 0, 0, 1, 0, 0, 0, 'x'};
	(void)!write(rpc_fd(fake->channel), half, sizeof half);
	kill(getpid(), SIGKILL);
	_exit(0);
}

static inline void fake_die(int sig)
{
	/* The first process of a pid namespace does not die of a signal of its own; the test kills it by its pidfd. */
	signal(sig, SIG_DFL);
	kill(getpid(), sig);
	_exit(128 + sig);
}

static inline void fake_step(struct fake *fake, struct str step)
{
	struct str word, args = str_cut(step, ' ', &word);
	if (str_eq(word, S("hello")))
		fake_hello(fake, false, STR_EMPTY);
	else if (str_eq(word, S("hello-without")))
		fake_hello(fake, false, args);
	else if (str_eq(word, S("hello-open")))
		fake_hello(fake, true, STR_EMPTY);
	else if (str_eq(word, S("start")))
		fake_start(fake);
	else if (str_eq(word, S("ready")))
		fake_ready(fake, args);
	else if (str_eq(word, S("failed")))
		fake_failed(fake, args);
	else if (str_eq(word, S("call")))
		fake_call(fake);
	else if (str_eq(word, S("log")))
		for (uint64_t n = fake_number(args); n > 0; n--)
			fake_text(fake, RUNNER_LOG, S("info"), S("a line"));
	else if (str_eq(word, S("only-winch")) || str_eq(word, S("only-cranelift")))
		fake->skip = str_eq(word, S("only-winch")) != fake->winch;
	else if (str_eq(word, S("always")))
		fake->skip = false;
	else if (str_eq(word, S("trace")))
		for (uint64_t n = args.n > 0 ? fake_number(args) : 1; n > 0; n--)
			fake_trace(fake, S("a host call"));
	else if (str_eq(word, S("trace-long"))) {
		char text[4096];
		memset(text, 'x', sizeof text);
		fake_trace(fake, str_of(text, sizeof text));
	} else if (str_eq(word, S("http")))
		fake_http(fake, RUNNER_ENVELOPE_PRESENT, args);
	else if (str_eq(word, S("http-missing")))
		fake_http(fake, RUNNER_ENVELOPE_MISSING, STR_EMPTY);
	else if (str_eq(word, S("http-long")))
		fake_http(fake, RUNNER_ENVELOPE_TOO_LONG, STR_EMPTY);
	else if (str_eq(word, S("spawn"))) {
		AUTO_BUF body = BUF_INIT(1);
		wire_put_u8(&body, 0);
		fake_send(fake, RUNNER_SPAWN, fake->id, &body, STR_EMPTY);
	} else if (str_eq(word, S("audit")))
		fake_audit(fake, args);
	else if (str_eq(word, S("audits"))) {
		for (uint64_t n = fake_number(args); n > 0; n--) {
			fake_audit(fake, S("{}"));
			fake_answer(fake);
		}
	} else if (str_eq(word, S("answer")))
		fake_answer(fake);
	else if (str_eq(word, S("done")))
		fake_output(fake, args);
	else if (str_eq(word, S("exit")))
		fake_done(fake, (struct runner_done){.exit_code = (uint32_t)fake_number(args)});
	else if (str_eq(word, S("trap")))
		fake_done(fake, (struct runner_done){.end = RUNNER_END_TRAP, .trap = S("unreachable")});
	else if (str_eq(word, S("limit")))
		fake_done(fake, (struct runner_done){.end = RUNNER_END_LIMIT, .limit = args});
	else if (str_eq(word, S("cancelled")))
		fake_done(fake, (struct runner_done){.end = RUNNER_END_CANCELLED});
	else if (str_eq(word, S("cancel")))
		fake_expect(fake, RUNNER_CANCEL);
	else if (str_eq(word, S("emit")))
		fake_emit(args);
	else if (str_eq(word, S("compiled")))
		fake_compiled(fake);
	else if (str_eq(word, S("raw")))
		fake_raw(fake, args);
	else if (str_eq(word, S("half")))
		fake_half(fake, (char)fake_number(args));
	else if (str_eq(word, S("grant")))
		fake->id = fake_expect(fake, EGRESS_GRANT).id;
	else if (str_eq(word, S("request")))
		fake->id = fake_expect(fake, EGRESS_REQUEST).id;
	else if (str_eq(word, S("egress-cancel")))
		fake_expect(fake, EGRESS_CANCEL);
	else if (str_eq(word, S("end")))
		fake_expect(fake, EGRESS_END);
	else if (str_eq(word, S("result")))
		fake_result(fake, args);
	else if (str_eq(word, S("say")))
		fprintf(stderr, "%.*s\n", STR_FMT(args));
	else if (str_eq(word, S("die")))
		fake_die((int)fake_number(args));
	else if (str_eq(word, S("quit")))
		_exit((int)fake_number(args));
	else if (str_eq(word, S("hang")))
		pause();
	else
		fake_fail("understand its script");
}

static inline _Noreturn void fake_run(const struct rpc_rule *rules, uint16_t serving)
{
	char text[4096];
	ssize_t n = pread(RUNNER_FD_INPUT, text, sizeof text, 0);
	struct fake fake = {.channel = rpc_channel_new(RUNNER_FD_SOCKET, rules)};
	struct str rest = str_of(text, n > 0 ? (size_t)n : 0);
	while (rest.n > 0) {
		struct str step;
		rest = str_cut(rest, '\n', &step);
		/* What may arrive after START is what may arrive while it serves. */
		if (step.n > 0 && (!fake.skip || str_starts(step, S("only-")) || str_eq(step, S("always"))))
			fake_step(&fake, step);
		if (str_eq(step, S("start")))
			rpc_set_state(fake.channel, serving);
	}
	_exit(0);
}

/* At the start of main(): does not return when this process is to be the fake. */
static inline void fake_main(int argc, char **argv)
{
	_Static_assert((int)RUNNER_FD_INPUT == (int)EGRESS_FD_CA, "one fake serves for both");
	_Static_assert((int)RUNNER_START == (int)EGRESS_START, "one fake serves for both");
	if (argc == 4 && strcmp(argv[0], "aileron-runner") == 0)
		fake_run(runner_child_rules, RUNNER_STATE_SERVING);
	if (argc == 3 && strcmp(argv[0], "aileron-egress") == 0)
		fake_run(egress_child_rules, EGRESS_STATE_SERVING);
}

/* A file in memory with the script; lines are separated by '\n'. */
static inline int fake_script(const char *text)
{
	int fd = memfd_create("script", MFD_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	return fd;
}
