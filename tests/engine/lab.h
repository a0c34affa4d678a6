/*
 * lab: a server in this process, and the parent's end of its socket
 *
 * lab_start() compiles a module, seals the code and runs a server over a socket pair on a thread; lab_call() sends one
 * call and plays the parent until it is done. Everything that the guest said is kept in the result.
 */
#pragma once
#include "base/limits.h"
#include "base/time.h"
#include "connector/abi/host.h"
#include "connector/abi/memory.h"
#include "connector/abi/serve.h"
#include "connector/code_file.h"
#include "connector/engine/engine.h"
#include "connector/prescan.h"
#include "connector/runner_protocol.h"
#include "os/child.h"
#include "text/wire.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/* The engine's Rust code is not instrumented, so its own locks are not seen. Ours are. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:*::*\nsignal:*::*\n";
}
#endif
#endif

/*
 * The engine sets its signal handlers once a process; cmocka puts its own in their place around every test. So they are
 * taken down before main() and put up again wherever a guest is to run.
 */
static const int lab_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static struct sigaction lab_handlers[4];

__attribute__((constructor)) static void lab_keep_handlers(void)
{
	engine_free(engine_new(&(struct engine_options){.strategy = RUNNER_CRANELIFT}));
	for (size_t i = 0; i < ARRAY_LEN(lab_signals); i++)
		sigaction(lab_signals[i], NULL, &lab_handlers[i]);
}

static void lab_restore_handlers(void)
{
	for (size_t i = 0; i < ARRAY_LEN(lab_signals); i++)
		sigaction(lab_signals[i], &lab_handlers[i], NULL);
}

static const uint8_t lab_hash[CODE_FILE_HASH] = "the content hash of test modules";

struct lab_options {
	enum runner_strategy strategy;
	bool pooling;
	uint32_t threads;
};

struct lab {
	struct rpc_channel *parent, *child;
	struct server *server;
	pthread_t thread;
	int result;
	struct err err;
};

/* What became of a call. Texts are copies. */
struct lab_done {
	struct runner_done done;
	struct buf keep, logs, traces, envelopes;
	unsigned n_logs, n_traces, audits;
};

/* How the parent answers http_request: rc, status, body; or not at all. */
struct lab_http {
	bool silent;
	bool cancel; /* sends CANCEL instead */
	int32_t rc, status;
	struct str body;
};

static void *lab_thread(void *context)
{
	struct lab *lab = context;
	lab->result = server_run(lab->server, &lab->err);
	return NULL;
}

/* A memfd with the sealed code of a module, or -1. */
__attribute__((unused)) static int lab_compile(struct str wasm, enum runner_strategy strategy, struct err *err)
{
	if (prescan_module(wasm, err) != 0)
		return -1;
	AUTO_FD fd = memfd_create("code", MFD_CLOEXEC);
	struct engine_options options = {.strategy = strategy};
	AUTO(engine) *engine = engine_new(&options);
	uint64_t n;
	uint8_t fingerprint[CODE_FILE_HASH];
	connector_code_fingerprint(strategy, fingerprint);
	if (engine_compile(engine, wasm, fd, &n, err) != 0 || code_file_seal(fd, lab_hash, fingerprint, err) != 0)
		return -1;
	return TAKE_FD(fd);
}

/* Fails when the code cannot be loaded. */
static int lab_try(struct lab *lab, struct str wasm, const struct lab_options *options, struct err *err)
{
	*lab = (struct lab){0};
	lab_restore_handlers();
	AUTO_FD code = lab_compile(wasm, options->strategy, err);
	if (code < 0)
		return -1;
	int pair[2];
	assert_int_equal(child_socketpair(pair, err), 0);
	struct runner_start start = {.strategy = options->strategy,
				     .pooling = options->pooling,
				     .threads = options->threads,
				     .memory_max = LIMIT_MEMORY_CEILING};
	memcpy(start.content_hash, lab_hash, sizeof start.content_hash);
	lab->parent = rpc_channel_new(pair[0], runner_parent_rules);
	lab->child = rpc_channel_new(pair[1], runner_child_rules);
	rpc_set_state(lab->parent, RUNNER_STATE_LOADING);
	lab->server = server_new(lab->child, &start, code, err);
	if (lab->server == NULL) {
		rpc_channel_free(lab->parent);
		rpc_channel_free(lab->child);
		return -1;
	}
	assert_int_equal(pthread_create(&lab->thread, NULL, lab_thread, lab), 0);
	struct rpc_frame frame;
	assert_int_equal(rpc_recv(lab->parent, &frame, err), 1);
	assert_int_equal(frame.type, RUNNER_READY);
	rpc_set_state(lab->parent, RUNNER_STATE_SERVING);
	return 0;
}

__attribute__((unused)) static void lab_start(struct lab *lab, struct str wasm, const struct lab_options *options)
{
	static struct err err;
	err_clear(&err);
	if (lab_try(lab, wasm, options, &err) != 0)
		fail_msg("%s", err.message);
}

/* Closes the parent's end; the server must then end by itself. */
__attribute__((unused)) static void lab_stop(struct lab *lab)
{
	if (lab->parent != NULL)
		rpc_channel_free(lab->parent);
	pthread_join(lab->thread, NULL);
	server_free(lab->server);
	rpc_channel_free(lab->child);
}

__attribute__((unused)) static struct runner_call lab_ask(struct str input)
{
	return (struct runner_call){.wall_time_ns = 30 * TIME_SECOND,
				    .memory_bytes = LIMIT_MEMORY_DEFAULT,
				    .stdout_max = LIMIT_STDOUT,
				    .stderr_tail_max = LIMIT_STDERR_TAIL,
				    .log_lines_max = LIMIT_LOG_LINES,
				    .log_line_max = LIMIT_LOG_LINE,
				    .envelope_max = LIMIT_ENVELOPE,
				    .input = input};
}

__attribute__((unused)) static void lab_send_call(struct lab *lab, uint32_t id, const struct runner_call *ask)
{
	AUTO_BUF head = BUF_INIT(1 * KIB);
	runner_call_put_head(&head, ask);
	struct str parts[] = {buf_str(&head), ask->input};
	assert_int_equal(rpc_send(lab->parent, RUNNER_CALL, id, parts, 2, NULL), 0);
}

__attribute__((unused)) static void lab_send_empty(struct lab *lab, uint16_t type, uint32_t id)
{
	assert_int_equal(rpc_send(lab->parent, type, id, NULL, 0, NULL), 0);
}

__attribute__((unused)) static void lab_answer_http(struct lab *lab, uint32_t id, int32_t rc, int32_t status,
						    struct str body)
{
	AUTO_BUF out = BUF_INIT(1 * KIB);
	wire_put_i32(&out, rc);
	wire_put_i32(&out, status);
	wire_put_u32(&out, (uint32_t)body.n);
	struct str parts[] = {buf_str(&out), body};
	assert_int_equal(rpc_send(lab->parent, RUNNER_HTTP_RESULT, id, parts, 2, NULL), 0);
}

static void lab_done_init(struct lab_done *done)
{
	*done = (struct lab_done){0};
	buf_init(&done->keep, 16 * MIB);
	buf_init(&done->logs, 16 * MIB);
	buf_init(&done->traces, 16 * MIB);
	buf_init(&done->envelopes, 64 * MIB);
}

__attribute__((unused)) static void lab_done_release(struct lab_done *done)
{
	buf_release(&done->keep);
	buf_release(&done->logs);
	buf_release(&done->traces);
	buf_release(&done->envelopes);
}
#define AUTO_DONE __attribute__((cleanup(lab_done_release))) struct lab_done

static void lab_play_http(struct lab *lab, const struct rpc_frame *frame, const struct lab_http *http,
			  struct lab_done *done)
{
	struct wire_reader r = wire_reader(frame->body);
	uint8_t kind = wire_u8(&r);
	struct str envelope = wire_str(&r);
	assert_int_equal(wire_done(&r, "http", NULL), 0);
	buf_addf(&done->envelopes, "%u:", kind);
	buf_add_str(&done->envelopes, envelope);
	buf_add_char(&done->envelopes, '\n');
	if (http == NULL)
		fail_msg("an http_request was not expected");
	else if (http->cancel)
		lab_send_empty(lab, RUNNER_CANCEL, frame->id);
	else if (!http->silent)
		lab_answer_http(lab, frame->id, http->rc, http->status, http->body);
}

static void lab_note(struct rpc_frame *frame, struct lab_done *done)
{
	struct wire_reader r = wire_reader(frame->body);
	if (frame->type == RUNNER_LOG) {
		struct str level = wire_str(&r), message = wire_str(&r);
		assert_int_equal(wire_done(&r, "log", NULL), 0);
		buf_add_str(&done->logs, level);
		buf_add_char(&done->logs, '|');
		buf_add_str(&done->logs, message);
		buf_add_char(&done->logs, '\n');
		done->n_logs++;
	} else {
		struct str text = wire_str(&r);
		(void)wire_u64(&r);
		assert_int_equal(wire_done(&r, "trace", NULL), 0);
		buf_add_str(&done->traces, text);
		buf_add_char(&done->traces, '\n');
		done->n_traces++;
	}
}

static struct str lab_keep(struct lab_done *done, struct str s)
{
	size_t at = done->keep.n;
	buf_add_str(&done->keep, s);
	return str_of(done->keep.p + at, s.n);
}

/* Plays the parent until a call is done; returns its id. `http` may be NULL: then a request is a failure. */
static uint32_t lab_wait(struct lab *lab, const struct lab_http *http, struct lab_done *ret)
{
	lab_done_init(ret);
	for (;;) {
		struct rpc_frame frame;
		static struct err err;
		err_clear(&err);
		if (rpc_recv(lab->parent, &frame, &err) != 1)
			fail_msg("the server ended: %s", err.message);
		if (frame.type == RUNNER_HTTP) {
			lab_play_http(lab, &frame, http, ret);
		} else if (frame.type == RUNNER_SPAWN) {
			struct str rc = S("\xfd\xff\xff\xff");
			assert_int_equal(frame.body.n, 1);
			assert_int_equal(rpc_send(lab->parent, RUNNER_SPAWN_RESULT, frame.id, &rc, 1, NULL), 0);
		} else if (frame.type == RUNNER_AUDIT) {
			struct str rc = S("\xf9\xff\xff\xff");
			ret->audits++;
			assert_int_equal(rpc_send(lab->parent, RUNNER_AUDIT_RESULT, frame.id, &rc, 1, NULL), 0);
		} else if (frame.type != RUNNER_DONE) {
			lab_note(&frame, ret);
		} else {
			assert_int_equal(runner_done_get(frame.body, &ret->done, &err), 0);
			buf_reserve(&ret->keep, frame.body.n + 1); /* so that kept texts do not move */
			ret->done.trap = lab_keep(ret, ret->done.trap);
			ret->done.limit = lab_keep(ret, ret->done.limit);
			ret->done.message = lab_keep(ret, ret->done.message);
			ret->done.output = lab_keep(ret, ret->done.output);
			ret->done.stderr_tail = lab_keep(ret, ret->done.stderr_tail);
			return frame.id;
		}
	}
}

__attribute__((unused)) static void lab_call(struct lab *lab, const struct runner_call *ask,
					     const struct lab_http *http, struct lab_done *ret)
{
	static uint32_t next = 1;
	uint32_t id = next++;
	lab_send_call(lab, id, ask);
	assert_int_equal(lab_wait(lab, http, ret), id);
}

/* One call of one module from start to end. */
__attribute__((unused)) static void lab_once(struct str wasm, const struct runner_call *ask,
					     const struct lab_http *http, struct lab_done *ret)
{
	struct lab lab;
	lab_start(&lab, wasm, &(struct lab_options){.threads = 1});
	lab_call(&lab, ask, http, ret);
	lab_stop(&lab);
}

#define assert_str(got, wanted)                                                                                        \
	do {                                                                                                           \
		struct str got_ = (got), wanted_ = (wanted);                                                           \
		if (!str_eq(got_, wanted_))                                                                            \
			fail_msg("got '%.*s', wanted '%.*s'", STR_FMT(got_), STR_FMT(wanted_));                        \
	} while (0)
