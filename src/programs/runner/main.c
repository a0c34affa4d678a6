/*
 * aileron-runner: the only program that links the engine
 *
 * aileron-runner compile|serve PARENT-PID NAMESPACES, started by connector/runner.c with the descriptors that
 * connector/runner_protocol.h names. It confines itself before it looks at anything, proves it in HELLO, and does
 * nothing until the parent has judged that and said START.
 */
#include "base/limits.h"
#include "confine/policies.h"
#include "connector/abi/compile.h"
#include "connector/abi/serve.h"
#include "connector/runner_protocol.h"
#include "text/wire.h"
#include <signal.h>
#include <sys/mman.h>

/* How a life is wired: what it may do, and what it does once it is told to start. */
struct life {
	const char *name;
	const struct confine_policy *policy;
	int keep_fds;
	/* 0 at an orderly end, 1 at a bad one of which the parent knows already, -1 with an error to tell it. */
	int (*live)(struct rpc_channel *channel, const struct runner_start *start, struct err *err);
};

static int send_body(struct rpc_channel *channel, uint16_t type, const struct buf *body, struct err *err)
{
	struct str part = buf_str(body);
	return rpc_send(channel, type, 0, &part, 1, err);
}

/*
 * The compiler is written in Rust, where a failed allocation ends in abort(). That is told from a defect by what is left
 * of the limit: an allocation fails when the limit is near. Runs in a signal handler; the process is lost either way.
 */
static void at_abort(int sig)
{
	(void)sig;
	void *p = mmap(NULL, LIMIT_COMPILE_MEMORY / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_exit(p == MAP_FAILED ? CONFINE_EXIT_NO_MEMORY : 128 + SIGABRT);
}

static int live_compile(struct rpc_channel *channel, const struct runner_start *start, struct err *err)
{
	struct sigaction action = {.sa_handler = at_abort};
	if (sigaction(SIGABRT, &action, NULL) != 0)
		return fail_errno(err, "cannot watch for SIGABRT");
	struct runner_compiled compiled;
	if (compile_module(start, RUNNER_FD_INPUT, RUNNER_FD_OUTPUT, &compiled, err) != 0)
		return -1;
	AUTO_BUF body = BUF_INIT(1 * KIB);
	runner_compiled_put(&body, &compiled);
	return send_body(channel, RUNNER_COMPILED, &body, err);
}

/* Once the code is mapped nothing may become executable any more. */
static int live_serve(struct rpc_channel *channel, const struct runner_start *start, struct err *err)
{
	AUTO(server) *server = server_new(channel, start, RUNNER_FD_INPUT, err);
	if (server == NULL)
		return -1;
	close(RUNNER_FD_INPUT);
	if (confine_tighten(&confine_runner_serving, err) != 0)
		return -1;
	return server_run(server, err) == 0 ? 0 : 1; /* it is not listening any more, or broke the protocol itself */
}

#if AILERON_WASMTIME_EXTRAS
#define COMPILE_POLICY confine_runner_compile
#else
#define COMPILE_POLICY confine_runner_compile_mapped
#endif

static const struct life lives[] = {
	{"compile", &COMPILE_POLICY, RUNNER_FD_OUTPUT + 1, live_compile},
	{"serve", &confine_runner_serve, RUNNER_FD_INPUT + 1, live_serve},
};

static const struct life *find_life(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		if (strcmp(lives[i].name, name) == 0)
			return &lives[i];
	}
	return NULL;
}

static int send_hello(struct rpc_channel *channel, const struct confine_report *report, struct err *err)
{
	AUTO_BUF body = BUF_INIT(16 * KIB);
	confine_report_put(&body, report);
	return send_body(channel, RUNNER_HELLO, &body, err);
}

/* 1 with the order to start, 0 when the parent ended this runner instead. */
static int wait_for_start(struct rpc_channel *channel, struct runner_start *ret, struct err *err)
{
	struct rpc_frame frame;
	int got = rpc_recv(channel, &frame, err);
	if (got == 1 && runner_start_get(frame.body, ret, err) != 0)
		return -1;
	return got;
}

static int live(const struct life *life, const struct confine_options *options, struct rpc_channel *channel,
		struct err *err)
{
	static struct confine_report report;
	if (confine_apply(life->policy, options, &report, err) != 0)
		return wrap(err, "confining the runner");
	if (send_hello(channel, &report, err) != 0)
		return -1;
	struct runner_start start;
	int got = wait_for_start(channel, &start, err);
	return got == 1 ? life->live(channel, &start, err) : got;
}

int main(int argc, char **argv)
{
	const struct life *life = argc > 1 ? find_life(argv[1]) : NULL;
	struct confine_options options;
	/* The life stands before what all programs are told; without one there is nothing to read. */
	if (confine_begin("aileron-runner", life != NULL ? argc - 1 : 0, argv + 1, &options) != 0 || life == NULL)
		return 2;
	options.keep_fds = life->keep_fds;
	AUTO(rpc_channel) *channel = rpc_channel_new(RUNNER_FD_SOCKET, runner_child_rules);

	static struct err err;
	int result = live(life, &options, channel, &err);
	if (result >= 0)
		return result;
	AUTO_BUF body = BUF_INIT(64 * KIB);
	wire_put_err(&body, &err);
	(void)!send_body(channel, RUNNER_FAILED, &body, NULL);
	return 1;
}
