/* Runs over HTTP. */
#include "api/timestamp.h"
#include "approval/run_table.h"
#include "base/time.h"
#include "control/control.h"
#include "control/runs.h"
#include "text/json_members.h"
#include <stdatomic.h>

#define LIST_DEFAULT 100

/* ------------------------------------------------------------------------------------------------------------- running */

static int answer_run(struct request *r, const struct run *run, struct err *err)
{
	if (run->state != RUN_COMPLETED && run_state_is_terminal(run->state)) {
		if (run->audit_id.n > 0) /* an end that could not be recorded has none */
			memcpy(r->audit_id, run->audit_id.p, MIN(run->audit_id.n, sizeof r->audit_id - 1));
		run_error(run, err);
		return -1;
	}
	r->status = run->state == RUN_COMPLETED ? 200 : 202;
	jsonw_begin_object(&r->json);
	run_put_envelope_members(r->control, &r->json, run);
	if (run->state != RUN_COMPLETED) /* for people, who are told what it waits for */
		member_z(&r->json, "state", run_state_name(run->state));
	jsonw_end_object(&r->json);
	return 0;
}

static atomic_int waiters;

/* For the end of one that has not ended; with as many others that wait, it is as if the time had passed. */
static int wait_for_end(struct request *r, struct run *run, struct err *err)
{
	int64_t wait_ms = 0;
	int rc = 0;
	(void)json_get_int(request_member(r, "wait_ms"), &wait_ms);
	if (wait_ms == 0 || run_state_is_terminal(run->state))
		return 0;
	uint64_t until = clock_monotonic_ns(NULL) + (uint64_t)wait_ms * TIME_MILLISECOND;
	if (atomic_fetch_add(&waiters, 1) < CONTROL_WAITERS)
		rc = runs_wait(r->control->runs, r->arena, S("user"), run->id, until, request_is_gone, r, run, err);
	atomic_fetch_sub(&waiters, 1);
	return rc;
}

/* One that was told of before: a request that joined another's has no other way to it when that has ended. */
static int find_told(struct request *r, struct str id, struct run *ret, struct err *err)
{
	static const char *const of_another[] = {"args", "call_id", "dry_run"};
	for (size_t i = 0; i < ARRAY_LEN(of_another); i++) {
		if (request_member(r, of_another[i]) != NULL)
			return fail(err, ERR_INVALID_REQUEST, "'%s' and 'run_id' are not given together",
				    of_another[i]);
	}
	if (runs_get(r->control->runs, r->arena, S("user"), id, ret, err) < 0)
		return -1;
	if (str_eq(ret->action, r->parameters[0]))
		return 0;
	return fail(err, ERR_NOT_FOUND, "there is no run '%.*s' of '%.*s'", STR_FMT(id), STR_FMT(r->parameters[0]));
}

int handle_action_run(struct request *r, struct err *err)
{
	struct str told = request_str(r, "run_id");
	const struct run_request request = {
		.caller = {.id = S("user"), .name = S("user")},
		.call_id = request_str(r, "call_id"),
		.action = r->parameters[0],
		.args = request_member(r, "args"),
		.dry_run = request_bool(r, "dry_run", false),
		.by = request_event(r, AUDIT_RUN_STARTED),
		.gone = request_is_gone,
		.user = r,
	};
	struct run run;
	int rc = request_member(r, "run_id") != NULL ? find_told(r, told, &run, err)
						     : runs_request(r->control->runs, r->arena, &request, &run, err);
	if (rc < 0)
		return -1;
	if (request.dry_run) {
		jsonw_raw(&r->json, run.result);
		return 0;
	}
	return wait_for_end(r, &run, err) < 0 ? -1 : answer_run(r, &run, err);
}

/* ------------------------------------------------------------------------------------------------------------- looking */

int handle_run_list(struct request *r, struct err *err)
{
	struct run_filter filter = {
		.state = request_query(r, "state"),
		.action = request_query(r, "action"),
		.caller = request_query(r, "caller"),
		.session = request_query(r, "session"),
		.before = request_query(r, "before"),
		.limit = (uint32_t)request_query_u64(r, "limit", LIST_DEFAULT),
	};
	struct str since = request_query(r, "since");
	if (since.n > 0 && timestamp_parse(since, &filter.since_ns, err) < 0)
		return wrap(err, "'since'");
	struct run_list list = {0};
	struct db_tx *tx = db_read(r->control->db);
	int rc = run_list(tx, r->arena, &filter, &list, err);
	db_done(tx);
	if (rc < 0)
		return -1;
	jsonw_begin_object(&r->json);
	member_begin_array(&r->json, "items");
	for (size_t i = 0; i < list.n; i++)
		run_put_json(&r->json, &list.items[i], NULL);
	jsonw_end_array(&r->json);
	jsonw_end_object(&r->json);
	return 0;
}

static int show(struct request *r, struct err *err)
{
	struct run run;
	struct run_step_list steps = {0};
	if (runs_get(r->control->runs, r->arena, STR_EMPTY, r->parameters[0], &run, err) < 0)
		return -1;
	struct db_tx *tx = db_read(r->control->db);
	int rc = run_steps(tx, r->arena, run.id, &steps, err);
	db_done(tx);
	if (rc == 0)
		run_put_json(&r->json, &run, &steps);
	return rc;
}

int handle_run_show(struct request *r, struct err *err)
{
	return show(r, err);
}

int handle_run_cancel(struct request *r, struct err *err)
{
	const struct audit_event by = request_event(r, AUDIT_RUN_CANCELLED);
	if (runs_cancel(r->control->runs, STR_EMPTY, r->parameters[0], &by, err) < 0)
		return -1;
	return show(r, err);
}
