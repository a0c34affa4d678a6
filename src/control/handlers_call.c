/* The call of a connector over HTTP: what was asked, and the answer. */
#include "base/time.h"
#include "control/control.h"
#include "control/invoke.h"
#include "text/json_members.h"
#include <stdlib.h>

static bool is_gone(void *user)
{
	const struct request *r = user;
	return http_is_gone(r->exchange);
}

static void put_report(struct json_writer *w, struct invoke *invoke)
{
	const struct call_report *report = &invoke->result.report;
	jsonw_begin_object(w);
	member_u64(w, "total_us", report->total_ns / TIME_MICROSECOND);
	member_u64(w, "instantiate_us", report->instantiate_ns / TIME_MICROSECOND);
	member_u64(w, "run_us", report->run_ns / TIME_MICROSECOND);
	member_u64(w, "requests", report->requests);
	member_u64(w, "request_us", report->request_ns / TIME_MICROSECOND);
	member_u64(w, "memory_peak", report->memory_peak);
	member_bool(w, "warm", invoke->result.warm);
	member_str(w, "content_hash", invoke->content_hash);
	member_bool(w, "linked", true);
	member_bool(w, "changed", invoke->previous_hash.n > 0);
	if (invoke->previous_hash.n > 0)
		member_str(w, "previous_hash", invoke->previous_hash);
	member_u64(w, "logs_dropped", report->logs_dropped + invoke->logs.dropped);
	member_raw(w, "logs", lines_end(&invoke->logs));
	if (invoke->trace) {
		member_u64(w, "traces_dropped", report->traces_dropped + invoke->trace_lines.dropped);
		member_raw(w, "trace", lines_end(&invoke->trace_lines));
	}
	jsonw_end_object(w);
}

static void put_answer(struct json_writer *w, struct invoke *invoke)
{
	jsonw_begin_object(w);
	member_raw(w, "output", buf_str(&invoke->result.output));
	member_z(w, "audit_id", invoke->audit_id);
	jsonw_key(w, S("report"));
	put_report(w, invoke);
	jsonw_end_object(w);
}

static int call(struct request *r, struct invoke *invoke, struct err *err)
{
	int64_t timeout_ms;
	*invoke = (struct invoke){
		.control = r->control,
		.arena = r->arena,
		.by = request_event(r, AUDIT_EXECUTION_STARTED),
		.connector = r->parameters[0],
		.op = request_str(r, "op"),
		.args = request_member(r, "args"),
		.trace = request_bool(r, "trace", false),
		.gone = is_gone,
		.user = r,
	};
	(void)request_trace(r, &invoke->parent_span);
	if (json_get_int(request_member(r, "timeout_ms"), &timeout_ms) && timeout_ms > 0)
		invoke->timeout_ms = (uint64_t)timeout_ms;
	int rc = invoke_connector(invoke, err);
	memcpy(r->audit_id, invoke->audit_id, sizeof r->audit_id);
	if (rc == 0)
		put_answer(&r->json, invoke);
	else if (!invoke->sent)
		err_detail(err, "ran", S("no")); /* it may be asked for once more */
	return rc;
}

static void release(void *user)
{
	struct invoke *invoke = user;
	invoke_release(invoke);
	free(invoke);
}

int handle_connector_call(struct request *r, struct err *err)
{
	struct invoke *invoke = NEW(struct invoke); /* holds an error: too large for a worker's stack */
	r->release = release;
	r->release_user = invoke;
	return call(r, invoke, err);
}
