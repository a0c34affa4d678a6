/*
 * Whatever bytes a runner sends, its parent ends each call exactly once and does not fall. The first byte says in which
 * phase the bytes arrive and how many calls are open; the rest is what the socket carries.
 */
#include "connector/runner.c"
#include <stdlib.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CALLS 4

struct owner {
	struct runner *runner;
	uint32_t id;
	int ended;
};

static void on_any_log(void *owner, struct str level, struct str message)
{
	(void)owner, (void)level, (void)message;
}
static void on_any_http(void *p, enum runner_envelope kind, struct str envelope)
{
	struct owner *owner = p;
	runner_answer_http(owner->runner, owner->id, kind == RUNNER_ENVELOPE_PRESENT ? 0 : -1, 200, envelope);
}
static void on_any_spawn(void *p, unsigned which)
{
	struct owner *owner = p;
	if (which == 0)
		runner_answer_spawn(owner->runner, owner->id, -3);
	else
		runner_cancel(owner->runner, owner->id);
}
static void on_any_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	(void)owner, (void)text, (void)nanoseconds;
}
static void on_any_audit(void *p, struct str text)
{
	struct owner *owner = p;
	if (text.n > LIMIT_AUDIT_LINE)
		BUG("a line for the audit that is too long");
	runner_answer_audit(owner->runner, owner->id, 0);
}
static void on_any_done(void *p, const struct runner_done *done)
{
	(void)done;
	((struct owner *)p)->ended++;
}
static void on_any_lost(void *p, const struct err *err)
{
	if (err->class == ERR_NONE)
		BUG("lost without a reason");
	((struct owner *)p)->ended++;
}
static const struct runner_sink any_sink = {on_any_log,   on_any_http, on_any_spawn, on_any_trace,
					    on_any_audit, on_any_done, on_any_lost};

static struct runner *runner_over(int fd, enum runner_phase phase)
{
	struct runner *runner = NEW(struct runner);
	runner->peer = PEER_INIT;
	runner->peer.title = "the runner";
	runner->peer.channel = rpc_channel_new(fd, runner_parent_rules);
	runner->slots = xcalloc(RUNNER_CALLS_MAX, sizeof runner->slots[0]);
	runner->first_free = RUNNER_CALLS_MAX;
	runner->allowed = xstrdup("");
	runner->phase = phase;
	runner->deadline = runner->start_deadline = NO_DEADLINE;
	rpc_set_state(runner->peer.channel,
		      phase == RUNNER_PHASE_SERVING ? RUNNER_STATE_SERVING : RUNNER_STATE_LOADING);
	return runner;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int ends[2];
	if (n < 1 || n > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		return 0;
	struct runner *runner = runner_over(ends[0], data[0] % 2 == 0 ? RUNNER_PHASE_SERVING : RUNNER_PHASE_STARTING);
	const struct runner_call call = {.wall_time_ns = UINT64_MAX / 4096,
					 .stdout_max = 4096,
					 .stderr_tail_max = 64,
					 .log_lines_max = 4,
					 .envelope_max = 4096,
					 .trace = (data[0] & 2) != 0};
	struct owner owners[CALLS] = {{0}};
	for (int i = 0; i < CALLS; i++) {
		owners[i].runner = runner;
		owners[i].id = runner_call(runner, &call, &any_sink, &owners[i], NULL);
	}
	(void)!write(ends[1], data + 1, n - 1);
	shutdown(ends[1], SHUT_WR);
	while (runner_process(runner, NULL) == 0)
		continue;
	for (int i = 0; i < CALLS; i++) {
		if (owners[i].ended != 1)
			BUG("call %d ended %d times", i, owners[i].ended);
	}
	if (runner_open_calls(runner) != 0)
		BUG("calls are open after the end");
	runner_free(runner);
	close(ends[1]);
	return 0;
}
