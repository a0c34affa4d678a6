#include "base/limits.h"
#include "base/time.h"
#include "base/ulid.h"
#include "control/keeper_client.h"
#include "control/runs_private.h"
#include "control/session.h"
#include "crypto/digest.h"
#include "text/jcs.h"
#include "text/json_members.h"

/* One decision, from what was asked of the person to the row. */
struct deciding {
	struct runs *runs;
	struct arena *arena;
	const struct run_decision *decision;
	struct run run;  /* as it was read */
	struct run then; /* the same with what the person changed */
	struct run_plan plan;
	struct run_edit edit;
	struct grant grant;
	struct run_change change;
	uint64_t locks; /* of the vault, before it was found open */
};

/* What ends the grants that there are, the session's end and a lock of the vault, does it in a job: none comes after it. */
static int issue_grant(struct db_tx *tx, const struct deciding *d, struct err *err)
{
	if (runs_locks(d->runs) != d->locks)
		return fail(err, ERR_CONFLICT,
			    "the vault was locked meanwhile, which ends grants; unlock it and decide once more");
	int over = session_is_over_in(tx, d->grant.session, err);
	if (over > 0)
		fail(err, ERR_CONFLICT,
		     "the session that asked has ended, and a grant with it; approve this one request");
	return over != 0 ? -1 : grant_issue(tx, &d->grant, &d->decision->by, err);
}

static int do_decide(struct db_tx *tx, void *user, struct err *err)
{
	struct deciding *d = user;
	if (run_change(tx, &d->change, NULL, NULL, err) < 0)
		return -1;
	if (d->change.event != RUN_EVENT_APPROVE || d->grant.id.n == 0)
		return 0;
	return issue_grant(tx, d, err);
}

static int write_down(struct deciding *d, enum run_event event, struct str reason, struct err *err)
{
	/* That it is too late, or not what it was, is nobody's decision. */
	bool decides = event == RUN_EVENT_APPROVE || event == RUN_EVENT_DENY;
	d->change = (struct run_change){
		.id = d->run.id,
		.event = event,
		.now_ns = clock_wall_ns(NULL),
		.who = decides ? d->decision->by : audit_of_service(AUDIT_APPROVAL_REFUSED, "control"),
		.by = S("user"),
		.reason = reason,
		.edit = event == RUN_EVENT_APPROVE && d->edit.args.n > 0 ? &d->edit : NULL,
		.grant_id = event == RUN_EVENT_APPROVE ? d->grant.id : STR_EMPTY,
	};
	if (db_write(d->runs->control->db, do_decide, d, err) < 0)
		return -1;
	enum run_state state = RUN_QUEUED;
	(void)run_next(d->run.state, event, &state);
	runs_announce(d->runs, d->run.id, state);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ approving */

static int refuse_stale(struct deciding *d, struct str part, struct err *err)
{
	/* Somebody was quicker: the job of a decision tells who, and what became of it. */
	if (write_down(d, RUN_EVENT_REFUSE, part, err) < 0)
		return err->class == ERR_CONFLICT ? write_down(d, RUN_EVENT_APPROVE, STR_EMPTY, err) : -1;
	return run_tell_stale(d->run.approval_id, part, err);
}

static int check_parts(struct deciding *d, struct err *err)
{
	struct str now;
	if (run_plan_make(d->runs, d->arena, d->run.action, &d->plan, err) < 0) {
		if (err->class == ERR_ACTION_DISABLED || runs_is_away(err))
			return -1;
		return refuse_stale(d, arena_str(d->arena, str_from(err->message)), err);
	}
	if (run_plan_bound(&d->plan, d->arena, &d->run, APPROVAL_TEXT_DIGEST, &now, err) < 0)
		return -1;
	struct str part = approval_difference(d->arena, d->run.bound, now);
	return part.n > 0 ? refuse_stale(d, part, err) : 0;
}

static int check_vault(struct deciding *d, struct err *err)
{
	struct keeper_state state = {.state = KEEPER_UNLOCKED};
	bool needed = d->plan.needs_vault || d->runs->confirms;
	d->locks = runs_locks(d->runs);
	if (needed && keeper_ask_state(d->runs->control->keeper, d->arena, &state, err) < 0)
		return -1;
	if (state.state == KEEPER_UNLOCKED)
		return 0;
	return fail(err, ERR_VAULT_LOCKED,
		    "the vault is locked, so that '%.*s' could not run; it still waits: run `aileron vault unlock`, "
		    "then approve it",
		    STR_FMT(d->run.approval_id));
}

static int take_edit(struct deciding *d, struct err *err)
{
	AUTO_BUF args = BUF_INIT(LIMIT_INPUT);
	unsigned char key[APPROVAL_DIGEST];
	struct str text;
	if (d->decision->edited == NULL)
		return 0;
	if (!d->plan.action->approval_editable)
		return fail(err, ERR_INVALID_REQUEST,
			    "the arguments of '%.*s' cannot be edited: its action file does not say approval.editable",
			    STR_FMT(d->run.action));
	if (action_arguments(d->plan.action, d->decision->edited, &args, err) < 0)
		return wrap(err, "the edited arguments");
	if (args.n > RUN_ASKED_ARGS_MAX)
		return fail(err, ERR_INVALID_REQUEST, "the edited arguments are longer than %zu KiB",
			    RUN_ASKED_ARGS_MAX / KIB);
	d->then.args = arena_str(d->arena, buf_str(&args));
	if (str_eq(d->then.args, d->run.args))
		return 0;
	d->edit.args = d->then.args;
	if (run_plan_bound(&d->plan, d->arena, &d->then, APPROVAL_TEXT_DIGEST, &d->edit.bound, err) < 0 ||
	    run_plan_bound(&d->plan, d->arena, &d->then, APPROVAL_TEXT_REQUEST, &text, err) < 0)
		return -1;
	approval_digest(text, key);
	d->edit.request_key = arena_str(d->arena, str_of(key, sizeof key));
	return 0;
}

static int make_grant(struct deciding *d, struct err *err)
{
	struct grant *grant = &d->grant;
	if (!d->decision->grant)
		return 0;
	if (!d->runs->may_grant)
		return fail(err, ERR_INVALID_REQUEST,
			    "grants are off; set approvals.grants to true in config.yaml and start the daemon anew");
	if (!d->plan.action->approval_grants)
		return fail(err, ERR_INVALID_REQUEST,
			    "'%.*s' is never granted for a while: its action file does not say approval.grants",
			    STR_FMT(d->run.action));
	char id[ULID_SIZE];
	uint64_t now = clock_wall_ns(NULL);
	ulid_make(now, id);
	*grant = (struct grant){
		.id = arena_str(d->arena, str_from(id)),
		.caller = d->run.caller.id,
		.session = d->run.caller.session,
		.action = d->run.action,
		.issued_ns = now,
		.expires_ns = now + GRANT_S * TIME_SECOND,
	};
	return run_plan_bound(&d->plan, d->arena, &d->run, APPROVAL_TEXT_GRANT, &grant->bound, err);
}

/* --------------------------------------------------------------------------------------------------------- a passphrase */

/* What the person's program sealed beside the passphrase: nobody on the way can make another decision of it. */
static int put_terms(const struct deciding *d, struct buf *out, struct err *err)
{
	char digest[APPROVAL_DIGEST_TEXT], edited[SHA256_HEX_TEXT_SIZE];
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_bool(&w, "approved", d->decision->approved);
	member_z(&w, "digest", approval_digest_text(d->run.bound, digest));
	if (d->decision->edited != NULL) {
		AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
		if (jcs_write(&text, d->decision->edited, JCS_STRICT, err) < 0)
			return -1;
		member_z(&w, "edited", sha256_hex(buf_str(&text), edited));
	}
	member_bool(&w, "grant", d->decision->grant);
	jsonw_end_object(&w);
	return buf_check(out, "the terms of the decision", err);
}

static int confirm(struct deciding *d, struct err *err)
{
	if (!d->runs->confirms)
		return 0;
	if (d->decision->sealed.n == 0)
		return fail(err, ERR_SEALED_REQUIRED,
			    "approving wants the passphrase (approvals.confirm): it is sent sealed to the keeper");
	AUTO_BUF terms = BUF_INIT(4 * KIB);
	if (put_terms(d, &terms, err) < 0)
		return -1;
	const struct keeper_sealed sealed = {
		.operation = KEEPER_OP_DECIDE,
		.path = d->run.approval_id,
		.metadata = buf_str(&terms),
		.sealed = d->decision->sealed,
	};
	return keeper_ask_sealed(d->runs->control->keeper, &sealed, d->arena, NULL, err);
}

/* ------------------------------------------------------------------------------------------------------------- decided */

static int approve(struct deciding *d, struct err *err)
{
	/* Too late is told by the job, which knows by whom. */
	if (d->run.state != RUN_PENDING_APPROVAL)
		return write_down(d, RUN_EVENT_APPROVE, STR_EMPTY, err);
	if (clock_wall_ns(NULL) >= d->run.expires_ns) {
		(void)write_down(d, RUN_EVENT_EXPIRE, STR_EMPTY, err);
		d->run.state = RUN_EXPIRED;
		return write_down(d, RUN_EVENT_APPROVE, STR_EMPTY, err);
	}
	if (check_parts(d, err) < 0 || check_vault(d, err) < 0 || take_edit(d, err) < 0 || make_grant(d, err) < 0 ||
	    confirm(d, err) < 0 || write_down(d, RUN_EVENT_APPROVE, STR_EMPTY, err) < 0)
		return -1;
	runs_execute_later(d->runs, d->run.id);
	return 0;
}

static int decide(struct deciding *d, struct err *err)
{
	if (runs_get(d->runs, d->arena, STR_EMPTY, d->decision->id, &d->run, err) < 0)
		return -1;
	if (d->run.approval_id.n == 0)
		return fail(err, ERR_NOT_FOUND, "the run '%.*s' asked nobody", STR_FMT(d->run.id));
	d->then = d->run;
	if (d->decision->approved)
		return approve(d, err);
	return write_down(d, RUN_EVENT_DENY, d->decision->reason, err);
}

int runs_decide(struct runs *runs, const struct run_decision *decision, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct deciding d = {.runs = runs, .arena = arena, .decision = decision};
	int rc = decide(&d, err);
	run_plan_release(&d.plan);
	return rc;
}
