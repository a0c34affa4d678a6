#include "api/openapi.h"
#include "base/version.h"
#include "control/actions.h"
#include "control/audit_service.h"
#include "control/bindings.h"
#include "control/calls.h"
#include "control/control.h"
#include "control/keeper_client.h"
#include "control/processes.h"
#include "control/vault_status.h"
#include "text/json_members.h"

static uint64_t count(struct db_tx *tx, const char *sql)
{
	struct db_stmt *q = db_stmt(tx, sql);
	uint64_t n = db_step(q, NULL) == 1 ? (uint64_t)db_int(q, 0) : 0;
	db_finish(q);
	return n;
}

/* ----------------------------------------------------------------------------------------------------------- health */

/* Degraded while a process that ought to run does not, or hangs. */
static bool all_run(struct request *request)
{
	struct supervise_child children[SUPERVISE_ROLE__MAX];
	size_t n = processes_list(request->control->processes, request->arena, children);
	for (size_t i = 0; i < n; i++) {
		bool works = children[i].running && !children[i].silent;
		if (!works && children[i].role != SUPERVISE_RUNNER)
			return false;
	}
	return true;
}

int handle_health(struct request *request, struct err *err)
{
	(void)err;
	const struct supervise_start *start = request->control->start;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_z(w, "status", all_run(request) ? "ok" : "degraded");
	member_z(w, "service", "aileron");
	member_z(w, "version", AILERON_VERSION);
	member_u64(w, "api_revision", API_REVISION);
	member_str(w, "instance_id", supervise_setting(start, "instance_id"));
	member_time(w, "timestamp", clock_wall_ns(NULL));
	jsonw_end_object(w);
	return 0;
}

int handle_openapi(struct request *request, struct err *err)
{
	(void)err;
	openapi_put(&request->answer);
	return 0;
}

/* ----------------------------------------------------------------------------------------------------------- status */

/* A keeper that is not there is shown as what it amounts to: nothing can be used. False then. */
static bool ask_vault(struct request *request, struct keeper_state *ret)
{
	struct err err;
	err_clear(&err);
	if (keeper_ask_state(request->control->keeper, request->arena, ret, &err) == 0)
		return true;
	*ret = (struct keeper_state){.state = KEEPER_LOCKED, .trouble = str_from(err_row(err.class)->name)};
	return false;
}

static void put_audit_counts(struct json_writer *w, struct db_tx *tx)
{
	struct audit_head head = {0};
	(void)!audit_head(tx, &head, NULL);
	member_begin_object(w, "audit");
	member_u64(w, "events", head.seq == 0 ? 0 : head.seq - head.first + 1);
	member_u64(w, "last_seq", head.seq);
	jsonw_end_object(w);
}

/* A keeper that did not answer just now is not waited for once more. */
static void put_counts(struct request *request, bool keeper_answers)
{
	struct json_writer *w = &request->json;
	size_t bindings = keeper_answers ? bindings_count(request->control, request->arena) : 0;
	const struct action_set *set = actions_hold(request->control->actions);
	size_t actions = set->n;
	actions_release(set);
	struct db_tx *tx = db_read(request->control->db);
	member_u64(w, "action_count", actions);
	member_u64(w, "approval_count",
		   count(tx, "SELECT count(*) FROM runs WHERE ended_ns IS NULL"
			     " AND state = 'pending_approval'"));
	member_u64(w, "connector_count", count(tx, "SELECT count(*) FROM connectors"));
	member_u64(w, "binding_count", bindings);
	member_u64(w, "session_count", count(tx, "SELECT count(*) FROM sessions WHERE ended_ns IS NULL"));
	member_u64(w, "awaiting_vault_count",
		   count(tx, "SELECT count(*) FROM runs WHERE ended_ns IS NULL AND state = 'awaiting_vault'"));
	put_audit_counts(w, tx);
	db_done(tx);
}

static void put_processes(struct request *request)
{
	struct json_writer *w = &request->json;
	struct supervise_child children[SUPERVISE_ROLE__MAX];
	size_t n = processes_list(request->control->processes, request->arena, children);
	member_begin_array(w, "processes");
	for (size_t i = 0; i < n; i++)
		process_put_json(w, &children[i]);
	jsonw_end_array(w);
}

static void put_runners(struct request *request)
{
	struct json_writer *w = &request->json;
	struct calls_runner *runners = NULL;
	size_t n = calls_list_runners(request->control->calls, request->arena, &runners);
	member_begin_array(w, "runners");
	for (size_t i = 0; i < n; i++) {
		jsonw_begin_object(w);
		member_u64(w, "pid", (uint64_t)runners[i].pid);
		member_str(w, "connector", runners[i].connector);
		member_str(w, "content_hash", runners[i].content_hash);
		member_u64(w, "calls", runners[i].calls);
		if (runners[i].proof != NULL)
			process_put_confinement(w, runners[i].proof);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

int handle_status(struct request *request, struct err *err)
{
	(void)err;
	const struct control *control = request->control;
	struct keeper_state state = {0};
	bool keeper_answers = ask_vault(request, &state);
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_z(w, "version", AILERON_VERSION);
	member_u64(w, "api_revision", API_REVISION);
	member_str(w, "instance_id", supervise_setting(control->start, "instance_id"));
	member_time(w, "started_at", control->started_ns);
	member_str(w, "listen_addr", supervise_setting(control->start, "listen"));
	member_str(w, "state_dir", supervise_setting(control->start, "state_dir"));
	put_counts(request, keeper_answers);
	member_z(w, "vault_state", vault_state_name(state.state));
	member_begin_object(w, "vault");
	vault_status_put_members(w, &state);
	jsonw_end_object(w);
	put_processes(request);
	put_runners(request);
	processes_put_crashes(control->processes, w);
	jsonw_end_object(w);
	return 0;
}

/* ----------------------------------------------------------------------------------------------------------- doctor */

/* One finding; `advice` "" when there is nothing to mend. */
struct finding {
	struct str name, summary, advice;
};

static bool put_finding(struct json_writer *w, const struct finding *finding)
{
	bool ok = finding->advice.n == 0;
	jsonw_begin_object(w);
	member_str(w, "name", finding->name);
	member_bool(w, "ok", ok);
	member_str(w, "summary", finding->summary);
	member_str_given(w, "advice", finding->advice);
	jsonw_end_object(w);
	return ok;
}

/* Where the user keeps it, for advice. */
static struct str state_dir(const struct request *request)
{
	return supervise_setting(request->control->start, "state_dir");
}

static bool check_database(struct request *request, struct err *err)
{
	struct finding finding = {.name = S("database"), .summary = S("intact")};
	err_clear(err);
	if (db_check(request->control->db, err) < 0) {
		finding.summary = str_from(err->message);
		finding.advice = arena_printf(
			request->arena, "stop the daemon, keep a copy of '%.*s/control', and restore it from a backup",
			STR_FMT(state_dir(request)));
	}
	return put_finding(&request->json, &finding);
}

/* The key that the keeper signs with now; "" when it cannot be asked. */
static struct str device_key(struct request *request, const struct audit_head *head)
{
	struct audit_signature signature;
	if (audit_sign_head(request->control, head, head->seq, &signature, NULL) < 0)
		return STR_EMPTY;
	return arena_str(request->arena, str_of(signature.public_key, sizeof signature.public_key));
}

static int verify_chain(struct request *request, struct audit_verdict *ret, struct err *err)
{
	struct audit_head head = {0};
	struct db_tx *tx = db_read(request->control->db);
	int rc = audit_head(tx, &head, err);
	db_done(tx);
	if (rc < 0)
		return -1;
	struct str key = device_key(request, &head);
	tx = db_read(request->control->db);
	rc = audit_verify_db(tx, key, ret, err);
	db_done(tx);
	return rc;
}

static bool check_chain(struct request *request, struct err *err)
{
	struct audit_verdict verdict = {0};
	struct finding finding = {.name = S("audit")};
	err_clear(err);
	if (verify_chain(request, &verdict, err) < 0) {
		finding.summary = str_from(err->message);
		finding.advice = arena_printf(request->arena, "look into the daemon's log, '%.*s/daemon.log'",
					      STR_FMT(state_dir(request)));
		return put_finding(&request->json, &finding);
	}
	finding.summary =
		arena_printf(request->arena, "%llu events, %llu checkpoints; %s", (unsigned long long)verdict.events,
			     (unsigned long long)verdict.checkpoints, verdict.intact ? verdict.note : verdict.why);
	if (!verdict.intact)
		finding.advice = S("the record was changed from outside: export it, keep it, and find out by whom");
	return put_finding(&request->json, &finding);
}

static bool check_vault(struct request *request)
{
	struct keeper_state state = {0};
	(void)ask_vault(request, &state);
	struct finding finding = {.name = S("vault"), .summary = str_from(vault_state_name(state.state))};
	if (state.trouble.n > 0) {
		finding.summary = arena_printf(request->arena, "%.*s", STR_FMT(state.trouble));
		finding.advice = arena_printf(
			request->arena, "put the newest backup in '%.*s/vault' in its place, or restart the daemon",
			STR_FMT(state_dir(request)));
	}
	return put_finding(&request->json, &finding);
}

/* Nothing to mend, and to be known all the same. */
static void tell_who_decides(struct request *request)
{
	bool confirms = str_eq(supervise_setting(request->control->start, SETTING_APPROVAL_CONFIRM), S("passphrase"));
	struct finding finding = {
		.name = S("deciding"),
		.summary =
			confirms ? S("an approval takes the passphrase: programs of this user cannot decide without it")
				 : S("any program that runs as this user, an agent too, can decide in your name; the "
				     "setting approvals.confirm: passphrase keeps it from approving"),
	};
	(void)put_finding(&request->json, &finding);
}

static bool check_process(struct request *request, const struct supervise_child *child)
{
	const char *role = supervise_role_name(child->role);
	struct finding finding = {.name = arena_printf(request->arena, "process %s", role)};
	struct confine_report report;
	if (!child->running) {
		finding.summary = arena_printf(request->arena, "not running; %.*s", STR_FMT(child->last_end));
		finding.advice = S("it is started again by itself; if not, run `aileron daemon restart`");
	} else if (child->silent) {
		finding.summary = arena_printf(request->arena, "process %u gives no sign of life", child->pid);
		finding.advice = S(
			"when it goes on like that it is ended and started again, within 20 s, the keeper within 90 s");
	} else if (child->confinement.n == 0 || confine_report_get(child->confinement, &report, NULL) < 0) {
		finding.summary = S("running, without a proof of its confinement");
		finding.advice = S("run `aileron daemon restart`");
	} else if (report.missing[0] != '\0') {
		finding.summary = arena_printf(request->arena, "running without these boundaries: %s", report.missing);
		finding.advice = S("use a kernel that has them, with unprivileged user namespaces allowed");
	} else {
		finding.summary = arena_printf(request->arena, "running and confined; %u restarts", child->restarts);
	}
	return put_finding(&request->json, &finding);
}

int handle_doctor(struct request *request, struct err *err)
{
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "checks");
	bool ok = check_database(request, err);
	ok = check_chain(request, err) && ok;
	ok = check_vault(request) && ok;
	tell_who_decides(request);
	struct supervise_child children[SUPERVISE_ROLE__MAX];
	size_t n = processes_list(request->control->processes, request->arena, children);
	for (size_t i = 0; i < n; i++)
		ok = check_process(request, &children[i]) && ok;
	jsonw_end_array(w);
	member_bool(w, "ok", ok);
	jsonw_end_object(w);
	return 0;
}

/* ----------------------------------------------------------------------------------------------------- audit verify */

int handle_audit_verify(struct request *request, struct err *err)
{
	struct audit_verdict verdict = {0};
	if (verify_chain(request, &verdict, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_bool(w, "intact", verdict.intact);
	member_bool(w, "origin_proven", verdict.origin_proven);
	member_u64(w, "events", verdict.events);
	member_u64(w, "checkpoints", verdict.checkpoints);
	member_u64(w, "first_seq", verdict.first_seq);
	member_u64(w, "last_seq", verdict.last_seq);
	member_u64_given(w, "broken_seq", verdict.broken_seq);
	member_str_given(w, "why", str_from(verdict.why));
	member_str_given(w, "note", str_from(verdict.note));
	jsonw_end_object(w);
	return 0;
}
