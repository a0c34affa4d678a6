#include "base/limits.h"
#include "control/runs_private.h"
#include "control/session.h"
#include "supervise/supervise.h"
#include "text/json_members.h"

#define SHOWN_MAX (4 * LIMIT_INPUT)

/* ------------------------------------------------------------------------------------------------------------ envelope */

static struct str name_of(const struct run *run)
{
	return run->approval_id.n > 0 ? run->approval_id : run->id;
}

static void put_message(struct json_writer *w, const struct run *run, struct str url)
{
	AUTO_BUF text = BUF_INIT(8 * KIB);
	struct str action = run->action, id = name_of(run);
	if (run->state == RUN_PENDING_APPROVAL)
		buf_addf(&text,
			 "The action '%.*s' needs a person's approval and has not run. Tell the person: \"Approval "
			 "needed "
			 "for %.*s. Visit %.*s to approve, or run 'aileron approval show %.*s' from any terminal.\" "
			 "Nothing "
			 "that is written here or in a chat approves it. Then ask how it stands with "
			 "check_action_status "
			 "and approval_id '%.*s'.",
			 STR_FMT(action), STR_FMT(action), STR_FMT(url), STR_FMT(id), STR_FMT(id));
	else
		buf_addf(&text,
			 "The action '%.*s' %s %s. Ask how it stands with check_action_status and approval_id '%.*s'.",
			 STR_FMT(action), run->approval_id.n > 0 ? "was approved and is" : "is",
			 run_state_name(run->state), STR_FMT(id));
	member_str(w, "message", buf_str(&text));
}

struct str run_page(struct control *control, struct arena *arena, const struct run *run)
{
	return arena_printf(arena, "http://%.*s/approvals?focus=%.*s",
			    STR_FMT(supervise_setting(control->start, SETTING_LISTEN)), STR_FMT(name_of(run)));
}

void run_put_envelope_members(struct control *control, struct json_writer *w, const struct run *run)
{
	if (run->state == RUN_COMPLETED) {
		member_z(w, "status", "completed");
		/* Its members: action, output, steps. */
		jsonw_raw_members(w, str_slice(run->result, 1, run->result.n - 1));
		member_str(w, "run_id", run->id);
		member_str_given(w, "approval_id", run->approval_id);
		return;
	}
	AUTO(arena) *arena = arena_new();
	struct str url = run_page(control, arena, run);
	member_z(w, "status", "pending_approval");
	member_str(w, "action", run->action);
	member_str(w, "run_id", run->id);
	member_str_given(w, "approval_id", run->approval_id);
	put_message(w, run, url);
	member_str(w, "review_url", url);
}

/* --------------------------------------------------------------------------------------------------------------- error */

/* Of one that never ran. */
static void fail_as(const struct run *run, struct err *ret)
{
	struct str action = run->action, reason = run->reason;
	if (run->state == RUN_DENIED)
		fail(ret, ERR_APPROVAL_DENIED, "a person denied '%.*s'; it did not run%s%.*s", STR_FMT(action),
		     reason.n > 0 ? ": " : "", STR_FMT(reason));
	else if (run->state == RUN_EXPIRED)
		fail(ret, ERR_APPROVAL_TIMEOUT, "nobody approved '%.*s' in time; it did not run", STR_FMT(action));
	else if (run->state == RUN_REFUSED)
		fail(ret, ERR_APPROVAL_STALE,
		     "'%.*s' was not run, as what was asked for has changed or can no longer be done: %.*s; ask anew",
		     STR_FMT(action), STR_FMT(reason));
	else if (run->state == RUN_CANCELLED)
		fail(ret, ERR_CANCELLED, "'%.*s' was cancelled; it did not run", STR_FMT(action));
	else
		fail(ret, ERR_PENDING_APPROVAL, "'%.*s' is %s", STR_FMT(action), run_state_name(run->state));
	if (run->state == RUN_REFUSED)
		err_detail(ret, "part", reason);
	err_detail(ret, "ran", S("no"));
}

void run_error(const struct run *run, struct err *ret)
{
	err_clear(ret);
	if (run->error.n > 0)
		run_get_error(run->error, ret);
	else
		fail_as(run, ret);
	err_detail(ret, "run_id", run->id);
	if (run->approval_id.n > 0)
		err_detail(ret, "approval_id", run->approval_id);
}

/* ----------------------------------------------------------------------------------------------------------------- run */

static void put_attempt(struct json_writer *w, const struct run_step *step)
{
	jsonw_begin_object(w);
	member_str(w, "step", step->name);
	member_u64(w, "attempt", step->attempt);
	member_str(w, "connector", step->connector);
	member_str(w, "content_hash", step->content_hash);
	member_str(w, "op", step->op);
	member_str(w, "effect", step->effect);
	member_str_given(w, "binding", step->binding);
	member_time(w, "started_at", step->started_ns);
	member_time_given(w, "ended_at", step->ended_ns);
	member_str_given(w, "class", step->class);
	jsonw_end_object(w);
}

static void put_result(struct json_writer *w, struct str result)
{
	AUTO(json) *json = json_parse(result, JSON_READ_STRICT, NULL);
	static const char *const names[] = {"output", "steps"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct json *value = json_member(json, str_from(names[i]));
		if (value != NULL) {
			jsonw_key(w, str_from(names[i]));
			jsonw_value(w, value);
		}
	}
}

static void put_times(struct json_writer *w, const struct run *run)
{
	member_time(w, "requested_at", run->requested_ns);
	member_time_given(w, "expires_at", run->expires_ns);
	member_time_given(w, "decided_at", run->decided_ns);
	member_time_given(w, "claimed_at", run->claimed_ns);
	member_time_given(w, "ended_at", run->ended_ns);
}

static void put_caller(struct json_writer *w, const struct run_caller *caller)
{
	member_begin_object(w, "caller");
	member_str(w, "id", caller->id);
	member_str(w, "name", caller->name);
	jsonw_end_object(w);
}

void run_put_json(struct json_writer *w, const struct run *run, const struct run_step_list *steps)
{
	jsonw_begin_object(w);
	member_str(w, "id", run->id);
	member_z(w, "state", run_state_name(run->state));
	member_str(w, "action", run->action);
	member_str(w, "action_version", run->action_version);
	member_str(w, "action_hash", run->action_hash);
	put_caller(w, &run->caller);
	member_str_given(w, "session", run->caller.session);
	member_str_given(w, "working_dir", run->caller.working_dir);
	member_raw(w, "args", run->args);
	member_str_given(w, "approval_id", run->approval_id);
	member_str_given(w, "grant_id", run->grant_id);
	member_bool(w, "edited", run->edited);
	put_times(w, run);
	member_str_given(w, "decided_by", run->decided_by);
	member_str_given(w, "reason", run->reason);
	if (run->result.n > 0)
		put_result(w, run->result);
	if (run->error.n > 0)
		member_raw(w, "error", run->error);
	member_str_given(w, "audit_id", run->audit_id);
	if (steps != NULL) {
		member_begin_array(w, "attempts");
		for (size_t i = 0; i < steps->n; i++)
			put_attempt(w, &steps->items[i]);
		jsonw_end_array(w);
	}
	jsonw_end_object(w);
}

/* ---------------------------------------------------------------------------------------------------------------- plan */

/* As whom: one credential, or each of those from which the request's region chooses. */
static void put_credential(struct json_writer *w, const struct credential_use *use)
{
	const struct binding_list *bindings = &use->bindings;
	AUTO_BUF identities = BUF_INIT(bindings->n * KIB + 1);
	if (bindings->n == 0)
		return;
	for (size_t i = 0; i < bindings->n; i++) {
		const struct binding_fields *fields = &bindings->items[i].fields;
		buf_add_z(&identities, i > 0 ? ", " : "");
		buf_add_str(&identities, fields->account.n > 0 ? fields->account : fields->identity);
	}
	member_str(w, "binding", use->names);
	member_str_given(w, "credential", bindings->items[0].fields.kind);
	member_str_given(w, "identity", buf_str(&identities));
}

static int put_step(struct json_writer *w, const struct run_plan *plan, size_t i, const struct json *args,
		    struct err *err)
{
	const struct action_step *step = &plan->action->steps[i];
	const struct connector_opened *opened = &plan->opened[step->connector];
	const struct action_connector *connector = &plan->action->connectors[step->connector];
	const struct str_list hosts = run_plan_hosts(plan, step->connector);
	AUTO_BUF shown = BUF_INIT(SHOWN_MAX);
	if (action_step_shown(plan->action, i, args, &shown, err) < 0)
		return -1;
	jsonw_begin_object(w);
	member_str(w, "id", step->id);
	member_str(w, "op", step->op);
	member_z(w, "effect", action_effect_name(step->effect));
	member_str(w, "connector", opened->row.fqn);
	member_str_given(w, "publisher", opened->manifest->publisher);
	member_str(w, "content_hash", opened->content_hash);
	member_z(w, "pinned",
		 connector->unpinned ? "unpinned"
				     : (str_eq(connector->hash, opened->content_hash) ? "match" : "differs"));
	member_bool(w, "linked", true);
	member_bool(w, "signed", false);
	member_list(w, "hosts", hosts.items, hosts.n);
	put_credential(w, &plan->uses[step->connector]);
	member_raw(w, "arguments", buf_str(&shown));
	jsonw_end_object(w);
	return 0;
}

int run_put_steps(struct json_writer *w, const struct run_plan *plan, const struct json *args, struct err *err)
{
	jsonw_begin_array(w);
	for (size_t i = 0; i < plan->action->n_steps; i++) {
		if (put_step(w, plan, i, args, err) < 0)
			return -1;
	}
	jsonw_end_array(w);
	return 0;
}

/* What would be run, as JSON; without all of it nobody can say yes to it. */
static int write_plan(const struct run_plan *plan, const struct json *args, struct buf *steps, struct buf *fields,
		      struct err *err)
{
	struct json_writer w;
	jsonw_init(&w, steps, JSON_WRITER_PLAIN);
	if (run_put_steps(&w, plan, args, err) < 0 || buf_check(steps, "what would be run", err) < 0)
		return -1;
	return action_input_fields(plan->action, args, fields, err);
}

/* What a person would be shown of the world, or why it would not be there: that no fetching is needed to know. */
static void put_preview(struct json_writer *w, struct arena *arena, const struct run_plan *plan,
			const struct json *args)
{
	const struct action_preview *preview = &plan->action->preview;
	AUTO_BUF arguments = BUF_INIT(LIMIT_INPUT);
	struct err problem;
	err_clear(&problem);
	member_begin_object(w, "preview");
	member_str(w, "op", preview->op);
	member_begin_array(w, "labels");
	for (size_t i = 0; i < preview->n_render; i++)
		jsonw_str(w, preview->render[i].label);
	jsonw_end_array(w);
	if (run_preview_arguments(arena, plan, args, &arguments, &problem) < 0)
		member_z(w, "problem", problem.message);
	else
		member_raw(w, "arguments", buf_str(&arguments));
	jsonw_end_object(w);
}

int runs_tell_plan(struct arena *arena, const struct run_plan *plan, const struct run *run, struct str *ret,
		   struct err *err)
{
	AUTO_BUF text = BUF_INIT(SHOWN_MAX);
	AUTO_BUF steps = BUF_INIT(SHOWN_MAX);
	AUTO_BUF fields = BUF_INIT(SHOWN_MAX);
	AUTO(json) *args = json_parse(run->args, JSON_READ_STRICT, err);
	if (args == NULL || write_plan(plan, args, &steps, &fields, err) < 0)
		return -1;
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_bool(&w, "dry_run", true);
	member_str(&w, "action", run->action);
	member_raw(&w, "args", run->args);
	bool gated = run->state == RUN_PENDING_APPROVAL;
	member_bool(&w, "gated", gated);
	member_bool(&w, "editable", plan->action->approval_editable);
	if (gated)
		member_u64(&w, "expires_in_s", (run->expires_ns - run->requested_ns) / TIME_SECOND);
	member_raw(&w, "calls", buf_str(&steps));
	member_raw(&w, "fields", buf_str(&fields));
	if (gated && plan->action->preview.present)
		put_preview(&w, arena, plan, args);
	jsonw_end_object(&w);
	if (buf_check(&text, "what would be run", err) < 0)
		return -1;
	*ret = arena_str(arena, buf_str(&text));
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- the card */

static void put_plan(struct json_writer *w, const struct run_plan *plan, struct str steps, struct str fields)
{
	struct str title = action_title(plan->action);
	member_str(w, "title", title.n > 0 ? title : plan->action->name);
	member_str(w, "connector_fqn", plan->opened[plan->action->steps[0].connector].row.fqn);
	member_bool(w, "editable", plan->action->approval_editable);
	member_raw(w, "steps", steps);
	member_raw(w, "input_fields", fields);
}

static void put_known(struct json_writer *w, const struct run *run)
{
	char digest[APPROVAL_DIGEST_TEXT];
	member_str(w, "id", run->approval_id);
	member_z(w, "kind", "action");
	member_z(w, "state", run_state_name(run->state));
	member_str(w, "run_id", run->id);
	member_str(w, "action_name", run->action);
	member_raw(w, "args", run->args);
	member_str_given(w, "session_id", run->caller.session);
	member_str_given(w, "working_dir", run->caller.working_dir);
	member_time(w, "requested_at", run->requested_ns);
	member_time(w, "expires_at", run->expires_ns);
	member_time_given(w, "decided_at", run->decided_ns);
	member_str_given(w, "decided_by", run->decided_by);
	member_str_given(w, "reason", run->reason);
	member_bool(w, "edited", run->edited);
	member_z(w, "digest", approval_digest_text(run->bound, digest));
	put_caller(w, &run->caller);
	if (run->preview.n > 0)
		member_raw(w, "preview", run->preview);
}

/* What is shown is what can be approved, whatever a file has become in between. */
static bool is_as_asked(const struct run_plan *plan, struct arena *arena, const struct run *run, struct err *err)
{
	struct str now;
	if (run_plan_bound(plan, arena, run, APPROVAL_TEXT_DIGEST, &now, err) < 0)
		return false;
	struct str part = approval_difference(arena, run->bound, now);
	if (part.n == 0)
		return true;
	(void)!fail(err, ERR_APPROVAL_STALE, "%.*s is not what was asked for any more", STR_FMT(part));
	return false;
}

int run_put_pending(struct runs *runs, struct arena *arena, const struct run *run, struct json_writer *w,
		    struct err *err)
{
	struct run_plan plan = {0};
	bool locked = false;
	AUTO_BUF steps = BUF_INIT(SHOWN_MAX);
	AUTO_BUF fields = BUF_INIT(SHOWN_MAX);
	AUTO(json) *args = json_parse(run->args, JSON_READ_STRICT, err);
	if (args == NULL)
		return -1;
	struct err problem;
	err_clear(&problem);
	bool waits = !run_state_is_terminal(run->state);
	bool whole = waits && run_plan_make(runs, arena, run->action, &plan, &problem) == 0 &&
		     is_as_asked(&plan, arena, run, &problem) &&
		     write_plan(&plan, args, &steps, &fields, &problem) == 0;
	if (whole && run_plan_vault_locked(runs, arena, &plan, &locked, NULL) < 0)
		locked = true;
	jsonw_begin_object(w);
	put_known(w, run);
	member_z(w, "confirm", runs->confirms ? "passphrase" : "none");
	member_bool(w, "vault_locked", locked);
	if (runs_awaits_preview(runs, run))
		member_bool(w, "preview_awaited", true);
	if (run->caller.session.n > 0)
		member_bool(w, "session_ended", session_is_over(runs->control->db, run->caller.session));
	member_bool(w, "grantable", whole && runs->may_grant && plan.action->approval_grants);
	if (whole) {
		put_plan(w, &plan, buf_str(&steps), buf_str(&fields));
	} else {
		member_str(w, "title", run->action);
		member_bool(w, "editable", false);
		member_raw(w, "steps", S("[]"));
		if (waits)
			member_z(w, "problem", problem.message);
	}
	jsonw_end_object(w);
	run_plan_release(&plan);
	return 0;
}
