/*
 * Calls without network through a confined runner: latency against a bare ping-pong over a socket pair, throughput with
 * many in flight, instantiation alone, and loading.
 *
 * bench_call BIN, where BIN holds the programs and ../examples the connectors.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "connector/runner.h"
#include "measure.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CALL_BYTES = 100, ANSWER_BYTES = 150 };

#define INPUT    "{\"args\":{\"name\":\"Ada\"},\"op\":\"greet\"}"
#define EXPECTED "{\"output\":{\"greeting\":\"hello, Ada\"}}\n"

static void exactly(int fd, char *bytes, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t more = read(fd, bytes + got, n - got);
		if (more <= 0)
			_exit(0);
		got += (size_t)more;
	}
}

/* The floor: the same sizes back and forth between two processes that do nothing. */
static double ping_pong(int rounds)
{
	int pair[2];
	char bytes[ANSWER_BYTES] = {0};
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit(1);
	pid_t child = fork();
	if (child == 0) {
		close(pair[0]);
		for (;;) {
			exactly(pair[1], bytes, CALL_BYTES);
			if (write(pair[1], bytes, ANSWER_BYTES) < 0)
				_exit(1);
		}
	}
	close(pair[1]);
	struct samples samples = {0};
	for (int i = 0; i < rounds; i++) {
		double start = now_us();
		if (write(pair[0], bytes, CALL_BYTES) < 0)
			exit(1);
		exactly(pair[0], bytes, ANSWER_BYTES);
		samples_add(&samples, now_us() - start);
	}
	close(pair[0]);
	waitpid(child, NULL, 0);
	double p50 = samples_at(&samples, 0.5);
	samples_release(&samples);
	return p50;
}

struct caller {
	size_t done;
	double instantiate_us;
};

static void on_done(void *owner, const struct runner_done *done)
{
	struct caller *caller = owner;
	if (done->end != RUNNER_END_EXIT || !str_eq(done->output, S(EXPECTED))) {
		fprintf(stderr, "bench: the connector answered '%.*s'\n", STR_FMT(done->output));
		exit(1);
	}
	caller->done++;
	caller->instantiate_us = (double)(done->instantiate_ns + done->run_ns) / 1e3;
}

static void on_lost(void *owner, const struct err *err)
{
	(void)owner;
	give_up(err);
}

static void on_log(void *owner, struct str level, struct str message)
{
	(void)owner, (void)level, (void)message;
}

static const struct runner_sink sink = {.log = on_log, .done = on_done, .lost = on_lost};

static struct runner *serve(const char *bin, int code_fd, enum runner_strategy strategy)
{
	struct err err = {0};
	AUTO_FREE char *program = xasprintf("%s/aileron-runner", bin);
	struct runner_spec spec = {
		.program = program,
		.code_fd = code_fd,
		.start = {.strategy = strategy, .pooling = true, .threads = 2, .memory_max = 64 * MIB},
	};
	struct runner *runner = runner_start(&spec, &err);
	if (runner == NULL)
		give_up(&err);
	return runner;
}

static void call_once(struct runner *runner, struct caller *caller)
{
	static struct err err; /* ten kilobytes that need not be cleared each time */
	struct runner_call call = {
		.wall_time_ns = 30000 * MS,
		.memory_bytes = 64 * MIB,
		.stdout_max = LIMIT_STDOUT,
		.stderr_tail_max = LIMIT_STDERR_TAIL,
		.log_lines_max = LIMIT_LOG_LINES,
		.log_line_max = LIMIT_LOG_LINE,
		.envelope_max = LIMIT_ENVELOPE,
		.input = S(INPUT),
	};
	if (runner_call(runner, &call, &sink, caller, &err) == 0)
		give_up(&err);
}

static void until(struct runner *runner, struct caller *caller, size_t done)
{
	struct err err = {0};
	while (caller->done < done) {
		if (runner_wait(runner, -1, &err) < 0)
			give_up(&err);
	}
}

struct latency {
	double p50, p99, inside_p50;
};

static struct latency latency_of(struct runner *runner, int calls)
{
	struct samples whole = {0}, inside = {0};
	struct caller caller = {0};
	for (int i = 0; i < calls + calls / 10; i++) {
		double start = now_us();
		call_once(runner, &caller);
		until(runner, &caller, (size_t)i + 1);
		if (i < calls / 10) /* warm up */
			continue;
		samples_add(&whole, now_us() - start);
		samples_add(&inside, caller.instantiate_us);
	}
	struct latency got = {samples_at(&whole, 0.5), samples_at(&whole, 0.99), samples_at(&inside, 0.5)};
	samples_release(&whole);
	samples_release(&inside);
	return got;
}

static double throughput_of(struct runner *runner, size_t calls)
{
	enum { CALLERS = 2, IN_FLIGHT = 8 };
	struct caller callers[CALLERS] = {0};
	size_t sent[CALLERS] = {0};
	struct err err = {0};
	double start = now_us();
	for (;;) {
		bool busy = false;
		for (int c = 0; c < CALLERS; c++) {
			for (; sent[c] < calls / CALLERS && sent[c] - callers[c].done < IN_FLIGHT; sent[c]++)
				call_once(runner, &callers[c]);
			busy |= callers[c].done < sent[c];
		}
		if (!busy)
			break;
		if (runner_wait(runner, -1, &err) < 0)
			give_up(&err);
	}
	return (double)calls / ((now_us() - start) / 1e6);
}

/* From the start of the process to the first answer. */
static void loading(const char *bin, int code_fd, const char *what)
{
	struct samples first = {0}, ready = {0};
	struct err err = {0};
	for (int i = 0; i < 20; i++) {
		double start = now_us();
		AUTO(runner)
		*runner = serve(bin, code_fd, RUNNER_CRANELIFT);
		if (runner_wait_ready(runner, &err) < 0)
			give_up(&err);
		samples_add(&ready, now_us() - start - (double)runner_load_ns(runner) / 1e3);
		struct caller caller = {0};
		call_once(runner, &caller);
		until(runner, &caller, 1);
		samples_add(&first, now_us() - start);
	}
	char subject[64];
	snprintf(subject, sizeof subject, "%s: start and proof, p50", what);
	report("load", subject, samples_at(&ready, 0.5) / 1e3, "ms", 8);
	snprintf(subject, sizeof subject, "%s: spawn to first answer, p50", what);
	report("load", subject, samples_at(&first, 0.5) / 1e3, "ms", 20);
	samples_release(&ready);
	samples_release(&first);
}

static void calls(const char *bin, int code_fd, const char *what, int n, double budget_over_floor)
{
	struct err err = {0};
	double floor = ping_pong(20000);
	AUTO(runner)
	*runner = serve(bin, code_fd, RUNNER_CRANELIFT);
	if (runner_wait_ready(runner, &err) < 0)
		give_up(&err);
	struct latency got = latency_of(runner, n);
	char subject[64];
	report("call", "floor: socket ping-pong, p50", floor, "us", 0);
	snprintf(subject, sizeof subject, "%s: one at a time, p50", what);
	report("call", subject, got.p50, "us", budget_over_floor > 0 ? floor + budget_over_floor : 0);
	snprintf(subject, sizeof subject, "%s: instantiate and run, p50", what);
	report("call", subject, got.inside_p50, "us", budget_over_floor > 0 ? 5 : 0);
	if (budget_over_floor > 0) {
		report("call", "c: one at a time, p99", got.p99, "us", 3 * got.p50);
		report_at_least("call", "c: 2 callers, 8 in flight each", throughput_of(runner, 200000), "calls/s",
				60000);
	}
}

int main(int argc, char **argv)
{
	const char *bin = argc == 2 ? argv[1] : "build/release/bin";
	AUTO_FREE char *c = xasprintf("%s/../examples/notes-c/connector.wasm", bin);
	AUTO_FREE char *go = xasprintf("%s/../examples/notes-go/connector.wasm", bin);
	AUTO_FD c_code = compile_module(c, RUNNER_CRANELIFT);
	AUTO_FD go_code = compile_module(go, RUNNER_CRANELIFT);
	calls(bin, c_code, "c", 20000, 10);
	/* The guest's own work dominates: its floor is Wasmtime alone (bench_engine), which tools/bench-verdict compares. */
	calls(bin, go_code, "go", 300, 0);
	loading(bin, c_code, "c");
	loading(bin, go_code, "go");
	return 0;
}
