#include "control/invoke.h"
#include "base/limits.h"
#include "base/time.h"
#include "control/event.h"
#include "control/spans.h"
#include <stdlib.h>

#define GRACE_NS  (5 * TIME_SECOND) /* of a permit, past the call's wall time */
#define LINES_MAX (6 * MIB)         /* of logs, and of trace; with the longest output they fit into an answer */

/* What it takes beside what was asked and what comes of it. */
struct under_way {
	struct invoke *invoke;
	struct connector_opened own; /* of a call by itself */
	const struct connector_opened *opened;
	struct credential_owner owner;
	struct call_limits limits;
	struct egress_grant grant;
	struct execution execution;
	struct execution_starting *starting; /* NULL = awaited */
};

/* ------------------------------------------------------------------------------------------------------- while it runs */

static void on_log(void *user, struct str level, struct str message)
{
	struct under_way *u = user;
	lines_add_log(&u->invoke->logs, level, message);
}

static void on_trace(void *user, struct str text, uint64_t nanoseconds)
{
	struct under_way *u = user;
	lines_add_trace(&u->invoke->trace_lines, text, nanoseconds);
}

/*
 * One line of the connector's own. Jobs of the writer are done in order, so that it is on disk before the end of its call
 * is, which is before the caller is answered.
 */
static int32_t on_audit(void *user, struct str object)
{
	struct under_way *u = user;
	AUTO_EVENT event;
	event_begin(&event, (struct audit_event){.type = AUDIT_CONNECTOR_EVENT,
						 .actor = AUDIT_ACTOR_CONNECTOR_RUNTIME,
						 .actor_id = u->owner.fqn});
	member_raw(&event.json, "aileron.connector.event", object);
	member_str(&event.json, "aileron.connector.fqn", u->owner.fqn);
	member_bool(&event.json, "aileron.connector.linked", true);
	member_z(&event.json, "aileron.execution.id", u->execution.id);
	event_later(u->invoke->control->db, &event);
	return 0;
}

static bool is_gone(void *user)
{
	const struct invoke *invoke = ((const struct under_way *)user)->invoke;
	return invoke->control->over || (invoke->gone != NULL && invoke->gone(invoke->user));
}

/* ------------------------------------------------------------------------------------------------------------- the call */

static int prepare(struct under_way *u, struct err *err)
{
	struct invoke *invoke = u->invoke;
	u->opened = invoke->step != NULL ? invoke->step->opened : &u->own;
	if (invoke->step == NULL && connector_open(invoke->control, invoke->arena, invoke->connector, &u->own, err) < 0)
		return -1;
	invoke->content_hash = u->opened->content_hash;
	if (u->opened->changed)
		invoke->previous_hash = u->opened->row.content_hash;
	u->owner = (struct credential_owner){u->opened->row.fqn, u->opened->manifest};
	const struct call_limits limits = {.wall_time = invoke->timeout_ms * MS};
	u->limits = call_limits_resolve(&limits, &u->opened->manifest->limits);
	if (invoke->step != NULL)
		invoke->use = *invoke->step->use;
	else if (credential_choose(invoke->control, invoke->arena, &u->owner, &invoke->use, err) < 0)
		return -1;
	u->execution.connector = u->opened->row.fqn;
	u->execution.content_hash = u->opened->content_hash;
	u->execution.op = invoke->op;
	u->execution.binding = u->invoke->use.names;
	u->execution.of = invoke->step != NULL ? &invoke->step->of : NULL;
	u->starting = execution_start_begin(invoke->control->executions, &invoke->by, &u->execution);
	invoke->use.call = (struct credential_call){str_from(u->execution.id), invoke->op};
	return 0;
}

/* Compiling is not on the call's time, nor on that of its permits. */
static int get_ready(struct under_way *u, const struct calls_spec *spec, struct err *err)
{
	struct invoke *invoke = u->invoke;
	if (calls_prepare(invoke->control->calls, spec, err) < 0)
		return -1;
	uint64_t until = clock_monotonic_ns(NULL) + u->limits.wall_time + GRACE_NS;
	return credential_permit(invoke->control, invoke->arena, &u->owner, &invoke->use, until, err);
}

/* To what the action says it reaches. One that is permissive has no list to be a part of: then the action's is the list. */
static void narrow(struct under_way *u)
{
	const struct invoke_step *step = u->invoke->step;
	if (step == NULL || step->hosts.items == NULL)
		return;
	static const struct str none[] = {{"-", 1}}; /* no host is called so: a list without a host is no list of all */
	u->grant.subset = step->hosts.n > 0 ? step->hosts.items : none;
	u->grant.n_subset = MAX(step->hosts.n, 1);
}

/* -1 when the start cannot be recorded; how the call ended otherwise is its result. */
static int run(struct under_way *u, struct err *err)
{
	struct invoke *invoke = u->invoke;
	struct calls_result *result = &invoke->result;
	const struct calls_spec spec = {
		.manifest = u->opened->manifest,
		.manifest_bytes = u->opened->manifest_bytes,
		.module_fd = u->opened->module_fd,
		.content_hash = u->opened->hash,
		.op = invoke->op,
		.args = invoke->args,
		.limits = u->limits,
		.grant = &u->grant,
		.trace = invoke->trace,
		.log = on_log,
		.traced = invoke->trace ? on_trace : NULL,
		.audit = on_audit,
		.gone = is_gone,
		.user = u,
	};
	bool ready = get_ready(u, &spec, &result->error) == 0;
	int started = execution_is_relaxed(&u->execution) ? 0 : execution_start_end(TAKE(u->starting), err);
	if (ready && started == 0) {
		u->grant = credential_grant(invoke->arena, &u->owner, &u->limits, &u->invoke->use);
		narrow(u);
		invoke->sent = true;
		calls_run(invoke->control->calls, &spec, result);
	}
	return started;
}

static void add_span(const struct under_way *u, const struct err *error)
{
	const struct spans_call span = {
		.trace_id = u->invoke->by.trace_id,
		.parent_id = u->invoke->parent_span,
		.connector = u->execution.connector,
		.operation = u->execution.op,
		.binding = u->execution.binding,
		.execution = str_from(u->execution.id),
		.start_ns = u->execution.started_ns,
		.end_ns = clock_wall_ns(NULL),
		.error = error,
	};
	spans_connector_call(u->invoke->control->spans, &span);
}

static int carry_out(struct under_way *u, struct err *err)
{
	struct invoke *invoke = u->invoke;
	if (prepare(u, err) < 0)
		return -1;
	lines_begin(&invoke->logs, LINES_MAX);
	lines_begin(&invoke->trace_lines, LINES_MAX);
	if (run(u, err) < 0)
		return -1;
	const struct calls_result *result = &invoke->result;
	const struct err *error = result->ok ? NULL : &result->error;
	const struct execution_end end = {.error = error, .report = &result->report, .ret_audit_id = invoke->audit_id};
	add_span(u, error);
	if (execution_end(invoke->control->executions, &invoke->by, &u->execution, TAKE(u->starting), &end, err) < 0) {
		invoke->audit_id[0] = '\0'; /* of an event that was undone */
		return -1;
	}
	if (error == NULL)
		return 0;
	*err = *error;
	return -1;
}

int invoke_connector(struct invoke *invoke, struct err *err)
{
	/* An error and more: too large for a worker's stack. */
	struct under_way *u = NEW(struct under_way);
	u->invoke = invoke;
	u->own = CONNECTOR_OPENED_INIT;
	int rc = carry_out(u, err);
	connector_close(&u->own);
	free(u);
	return rc;
}

void invoke_release(struct invoke *invoke)
{
	credential_end(invoke->control, &invoke->use);
	invoke->use.n_permits = 0;
	lines_release(&invoke->logs);
	lines_release(&invoke->trace_lines);
	buf_release(&invoke->result.output);
}
