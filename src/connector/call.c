#include "connector/call.h"
#include "base/limits.h"
#include "base/time.h"
#include "connector/outcome.h"
#include "text/json_writer.h"
#include <poll.h>
#include <stdlib.h>

#define OUTPUT_MAX (6 * LIMIT_STDOUT + KIB) /* what is written again may need escapes that it came without */

enum call_state { CALL_RUNS, CALL_SUCCEEDED, CALL_FAILED };

struct call {
	struct runner *runner;
	struct egress_link *link;
	struct link_call *link_call; /* NULL until the grant is sent, or the first request */
	struct egress_grant grant;   /* with this call's place behind the relay, if there is one */
	const struct call_events *events;
	void *owner;
	uint32_t id;
	enum call_state state;
	bool trace, cancelled, told_granted;
	uint64_t started, first_word;
	struct buf input, output;
	struct call_report report;
	struct host_record record;
	struct err error;
};

/* ------------------------------------------------------------------------------------------------------------- the end */

static void end(struct call *call, enum call_state state)
{
	call->state = state;
	call->report.total_ns = clock_monotonic_ns(NULL) - call->started;
	call->id = 0;
	link_call_free(TAKE(call->link_call));
	if (call->events->ended != NULL)
		call->events->ended(call->owner);
}

static void on_done(void *owner, const struct runner_done *done)
{
	struct call *call = owner;
	call->report.instantiate_ns = done->instantiate_ns;
	call->report.run_ns = done->run_ns;
	call->report.memory_peak = done->memory_peak;
	call->report.logs_dropped = done->logs_dropped;
	int rc = outcome_decide(done, &call->record, &call->output, &call->error);
	end(call, rc == 0 ? CALL_SUCCEEDED : CALL_FAILED);
}

static void on_lost(void *owner, const struct err *err)
{
	struct call *call = owner;
	if (call->cancelled)
		fail(&call->error, ERR_CANCELLED, "the call was cancelled");
	else
		call->error = *err;
	end(call, CALL_FAILED);
}

/* ------------------------------------------------------------------------------------------- what the guest asks for */

static void on_log(void *owner, struct str level, struct str message)
{
	struct call *call = owner;
	if (call->events->log != NULL)
		call->events->log(call->owner, level, message);
}

/* A guest makes as many host calls as it likes, and its runner could invent more. */
static void on_trace(void *owner, struct str text, uint64_t nanoseconds)
{
	struct call *call = owner;
	if (call->report.traces >= LIMIT_TRACE_LINES) {
		call->report.traces_dropped++;
		return;
	}
	call->report.traces++;
	if (call->events->trace != NULL)
		call->events->trace(call->owner, str_slice(text, 0, LIMIT_TRACE_LINE), nanoseconds);
}

static void tell_granted(struct call *call)
{
	if (call->told_granted || call->link_call == NULL || !link_call_has_granted(call->link_call))
		return;
	call->told_granted = true;
	call->grant.secret = NULL; /* whoever is told may let go of it */
	if (call->events->granted != NULL)
		call->events->granted(call->owner);
}

static void on_result(void *owner, const struct egress_result *result)
{
	struct call *call = owner;
	tell_granted(call);
	call->report.request_ns += result->nanoseconds;
	if (call->trace && result->note.n > 0)
		on_trace(call, result->note, result->nanoseconds);
	if (result->rc == 0)
		host_record_answer(&call->record, result->status);
	else
		host_record_fail(&call->record, &result->err);
	runner_answer_http(call->runner, call->id, result->rc, result->status,
			   result->rc == 0 ? result->body : STR_EMPTY);
}

/* What is left of the wall time, as seen from here; the runner's own clock decides. */
static uint64_t time_left(struct call *call)
{
	uint64_t now = clock_monotonic_ns(NULL), wall = call->record.limits.wall_time;
	if (call->first_word == 0)
		call->first_word = now;
	uint64_t used = now - call->first_word;
	return used < wall ? wall - used : 0;
}

static void refuse_http(struct call *call, int32_t rc)
{
	call->record.failed = true;
	runner_answer_http(call->runner, call->id, rc, 0, STR_EMPTY);
}

static void on_http(void *owner, enum runner_envelope kind, struct str envelope)
{
	struct call *call = owner;
	switch (kind) {
	case RUNNER_ENVELOPE_MISSING:
		fail(&call->record.error, ERR_CONNECTOR_RUNTIME_ERROR, "http_request: invalid memory range");
		refuse_http(call, -2);
		return;
	case RUNNER_ENVELOPE_TOO_LONG:
		call_limits_exceeded(&call->record.limits, S("request_body"), &call->record.error);
		refuse_http(call, -1);
		return;
	case RUNNER_ENVELOPE_PRESENT:
		break;
	}
	if (call->link_call == NULL)
		call->link_call = link_call_new(call->link, &call->grant);
	call->report.requests++;
	link_call_request(call->link_call, envelope, time_left(call), call->trace, on_result, call);
	tell_granted(call);
}

static void on_spawn(void *owner, unsigned which)
{
	struct call *call = owner;
	fail(&call->record.error, ERR_SPAWN_SANDBOX_UNAVAILABLE,
	     "%s: programs cannot be started by connectors yet, since nothing confines them",
	     which == 0 ? "spawn" : "spawn_op");
	call->record.failed = true;
	runner_answer_spawn(call->runner, call->id, -3);
}

/* Whether the value has more levels than `most`, itself the first. */
static bool is_deeper(const struct json *json, unsigned most)
{
	struct json_iter it;
	enum json_kind kind = json_kind(json);
	if (kind != JSON_KIND_OBJECT && kind != JSON_KIND_ARRAY)
		return false;
	bool deeper = most == 0;
	for (json_iter_init(&it, json); !deeper && json_iter_next(&it);)
		deeper = is_deeper(it.value, most - 1);
	for (size_t i = 0; kind == JSON_KIND_ARRAY && !deeper && i < json_length(json); i++)
		deeper = is_deeper(json_at(json, i), most - 1);
	return deeper;
}

/* What is answered "stored" must be what the record can hold. */
static bool can_be_stored(struct str text)
{
	AUTO(json) *json = json_parse(text, JSON_READ_STRICT, NULL);
	return json != NULL && json_kind(json) == JSON_KIND_OBJECT && !is_deeper(json, LIMIT_AUDIT_DEPTH);
}

static void on_audit(void *owner, struct str text)
{
	struct call *call = owner;
	int32_t rc = -1;
	if (can_be_stored(text))
		rc = call->events->audit != NULL ? call->events->audit(call->owner, text) : 0;
	call->report.audits += rc == 0;
	runner_answer_audit(call->runner, call->id, rc);
}

static const struct runner_sink sink = {on_log, on_http, on_spawn, on_trace, on_audit, on_done, on_lost};

/* ------------------------------------------------------------------------------------------------------- the outside */

int call_input(struct buf *out, struct str op, const struct json *args, struct err *err)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_GO);
	jsonw_begin_object(&w);
	jsonw_key(&w, S("args"));
	if (args != NULL)
		jsonw_value(&w, args);
	else
		jsonw_raw(&w, S("{}"));
	jsonw_key(&w, S("op"));
	jsonw_str(&w, op);
	jsonw_end_object(&w);
	return buf_check(out, "the connector's input", err);
}

/* The envelope holds a body of which every byte may be an escape of six, and the rest of the request. */
static uint32_t envelope_max(const struct call_limits *limits)
{
	return (uint32_t)(6 * limits->request_body + MIB);
}

struct call *call_start(const struct call_spec *spec, struct runner *runner, struct egress_link *link, struct err *err)
{
	AUTO(call)
	*call = NEW(struct call);
	call->runner = runner;
	call->link = link;
	call->grant = *spec->grant;
	call->events = spec->events;
	call->owner = spec->owner;
	call->trace = spec->trace;
	call->record.limits = spec->limits;
	call->started = clock_monotonic_ns(NULL);
	buf_init(&call->input, LIMIT_INPUT);
	buf_init(&call->output, OUTPUT_MAX);
	if (call_input(&call->input, spec->op, spec->args, err) < 0)
		return NULL;
	const struct runner_call run = {
		.wall_time_ns = spec->limits.wall_time,
		.memory_bytes = spec->limits.memory,
		.stdout_max = (uint32_t)spec->limits.stdout_bytes,
		.stderr_tail_max = LIMIT_STDERR_TAIL,
		.log_lines_max = (uint32_t)spec->limits.log_lines,
		.log_line_max = LIMIT_LOG_LINE,
		.envelope_max = envelope_max(&spec->limits),
		.trace = spec->trace,
		.input = buf_str(&call->input),
	};
	call->id = runner_call(runner, &run, &sink, call, err);
	call->grant.relay = runner_relay(runner);
	call->grant.relay_call = call->id;
	if (call->id == 0)
		return NULL;
	if (call->grant.n_permits > 0) { /* it will ask for something, and the runner takes a while until then */
		call->link_call = link_call_new(link, &call->grant);
		link_call_grant(call->link_call);
	}
	return TAKE(call);
}

void call_free(struct call *call)
{
	if (call == NULL)
		return;
	if (call->id != 0)
		runner_forget(call->runner, call->id);
	link_call_free(call->link_call);
	buf_release(&call->input);
	buf_release(&call->output);
	free(call);
}

void call_cancel(struct call *call)
{
	if (call->state != CALL_RUNS || call->cancelled)
		return;
	call->cancelled = true;
	runner_cancel(call->runner, call->id);
}

void call_wait(struct call *call, int cancel_fd)
{
	while (call->state == CALL_RUNS) {
		struct pollfd fds[] = {
			{.fd = runner_fd(call->runner), .events = runner_events(call->runner)},
			{.fd = egress_link_fd(call->link), .events = egress_link_events(call->link)},
			{.fd = call->cancelled ? -1 : cancel_fd, .events = POLLIN},
		};
		uint64_t deadline = MIN(runner_deadline(call->runner), egress_link_deadline(call->link));
		(void)poll(fds, ARRAY_LEN(fds), time_ms_until(deadline, clock_monotonic_ns(NULL)));
		if (fds[2].revents != 0)
			call_cancel(call);
		egress_link_process(call->link);
		tell_granted(call); /* the grant may have waited for egress to start */
		(void)runner_process(call->runner, NULL);
	}
}

bool call_has_ended(const struct call *call)
{
	return call->state != CALL_RUNS;
}

const struct err *call_error(const struct call *call)
{
	return call->state == CALL_FAILED ? &call->error : NULL;
}

struct str call_output(const struct call *call)
{
	return buf_str(&call->output);
}

const struct call_report *call_report(const struct call *call)
{
	return &call->report;
}
