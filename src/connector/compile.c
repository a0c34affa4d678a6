#include "connector/compile.h"
#include "base/limits.h"
#include "base/time.h"
#include "confine/policies.h"
#include "text/wire.h"
#include <poll.h>
#include <signal.h>

struct compiler {
	struct peer peer;
	const struct compile_spec *spec;
	uint64_t deadline;
	bool finished;
	struct runner_compiled compiled;
	bool refused;
};

static int fail_limit(struct err *err, const char *what, const char *configured)
{
	fail(err, ERR_RESOURCE_LIMIT_EXCEEDED, "compiling the module %s", what);
	err_detail(err, "limit", S("compile"));
	err_detail(err, "configured", str_from(configured));
	return -1;
}

static int fail_time(struct err *err)
{
	char configured[DURATION_TEXT_SIZE];
	duration_format(LIMIT_COMPILE_MS * MS, configured);
	return fail_limit(err, "took longer than is allowed", configured);
}

/*
 * The compiler tells by its exit status that memory ran out (confine/policies.h); SIGABRT is an allocation that failed
 * elsewhere, SIGKILL the kernel's own way when the machine has no more. Any other death is the module's doing too: nothing
 * else was given to the process.
 */
static int explain_end(const struct child *child, struct err *err)
{
	if (child->exit_status == CONFINE_EXIT_NO_MEMORY || child->term_signal == SIGABRT ||
	    child->term_signal == SIGKILL)
		return fail_limit(err, "took more memory than is allowed", "2GiB");
	AUTO_FREE char *how = xstrdup(err->message);
	fail(err, ERR_CONNECTOR_LOAD_FAILED, "the module cannot be compiled: %s", how);
	err_detail(err, "reason", S("invalid_module"));
	return -1;
}

static int on_hello(struct compiler *compiler, struct str body, struct err *err)
{
	if (peer_judge(&compiler->peer, body, compiler->spec->allowed, NULL, err) < 0)
		return -1;
	AUTO_BUF start = BUF_INIT(256);
	const struct runner_start m = {.strategy = compiler->spec->strategy};
	runner_start_put(&start, &m);
	const struct str part = buf_str(&start);
	rpc_set_state(compiler->peer.channel, RUNNER_STATE_LOADING);
	(void)!peer_send(&compiler->peer, RUNNER_START, 0, &part, 1);
	return 0;
}

static int on_failed(struct compiler *compiler, struct str body, struct err *err)
{
	struct err told;
	err_clear(&told);
	struct wire_reader r = wire_reader(body);
	wire_get_err(&r, &told);
	if (wire_done(&r, "failed", err) < 0)
		return -1;
	compiler->refused = compiler->spec->strategy == RUNNER_WINCH &&
			    str_find(str_from(told.details), S("\"reason\":\"winch_unsupported\"")) != STR_NPOS;
	if (told.class != ERR_CONNECTOR_LOAD_FAILED && told.class != ERR_RESOURCE_LIMIT_EXCEEDED)
		return fail(err, ERR_SYSTEM, "the compiler failed: %s", told.message);
	*err = told;
	return -1;
}

static int on_frame(struct compiler *compiler, const struct rpc_frame *frame, struct err *err)
{
	switch (frame->type) {
	case RUNNER_HELLO:
		return on_hello(compiler, frame->body, err);
	case RUNNER_FAILED:
		return on_failed(compiler, frame->body, err);
	case RUNNER_COMPILED:
		compiler->finished = true;
		return runner_compiled_get(frame->body, &compiler->compiled, err);
	default:
		return peer_break(&compiler->peer, err, "it sent a message that is not a compiler's");
	}
}

/* Waits for the next frame, the deadline or the caller's wish to stop. */
static int wait_turn(const struct compiler *compiler, struct err *err)
{
	uint64_t now = clock_monotonic_ns(NULL);
	if (now >= compiler->deadline)
		return fail_time(err);
	struct pollfd fds[] = {
		{.fd = peer_fd(&compiler->peer), .events = peer_events(&compiler->peer)},
		{.fd = compiler->spec->cancel_fd, .events = POLLIN},
	};
	(void)poll(fds, ARRAY_LEN(fds), time_ms_until(compiler->deadline, now));
	if (fds[1].revents != 0)
		return fail(err, ERR_CANCELLED, "compiling was cancelled");
	return 0;
}

static int talk(struct compiler *compiler, struct err *err)
{
	while (!compiler->finished) {
		struct rpc_frame frame;
		int got = peer_receive(&compiler->peer, &frame, err);
		if (got < 0 && err->class == ERR_SYSTEM)
			return explain_end(&compiler->peer.child, err);
		if (got < 0)
			return -1;
		if (got == 1 ? on_frame(compiler, &frame, err) < 0 : wait_turn(compiler, err) < 0)
			return -1;
	}
	return 0;
}

int compile_confined(const struct compile_spec *spec, struct runner_compiled *ret, bool *ret_refused, struct err *err)
{
	struct err ignored;
	err = err != NULL ? err : &ignored;
	struct compiler compiler = {.peer = PEER_INIT, .spec = spec, .deadline = clock_monotonic_ns(NULL)};
	compiler.deadline += LIMIT_COMPILE_MS * MS;
	struct peer_spec peer = {
		.name = "aileron-runner",
		.title = "the compiler",
		.program = spec->program,
		.life = "compile",
		.launcher = spec->launcher,
		.rules = runner_parent_rules,
		.fds = {{spec->module_fd, RUNNER_FD_INPUT}, {spec->output_fd, RUNNER_FD_OUTPUT}},
		.n_fds = 2,
		.policy = &confine_runner_compile,
	};
	*ret_refused = false;
	if (peer_start(&compiler.peer, &peer, err) < 0)
		return -1;
	int rc = talk(&compiler, err);
	peer_stop(&compiler.peer);
	*ret_refused = rc < 0 && compiler.refused;
	if (rc == 0)
		*ret = compiler.compiled;
	return rc;
}
