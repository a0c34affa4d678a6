#include "approval/transition.h"
#include "approval/record.h"
#include "approval/digest.h"
#include "approval/run_table.h"
#include "crypto/digest.h"

/* What of the record each event is; AUDIT_TYPE__MAX = nothing, as nobody decided and nothing ran. */
static const enum audit_type types[RUN_EVENT__MAX] = {
	[RUN_EVENT_APPROVE] = AUDIT_APPROVAL_APPROVED, [RUN_EVENT_DENY] = AUDIT_APPROVAL_DENIED,
	[RUN_EVENT_EXPIRE] = AUDIT_APPROVAL_EXPIRED,   [RUN_EVENT_CANCEL] = AUDIT_RUN_CANCELLED,
	[RUN_EVENT_REFUSE] = AUDIT_APPROVAL_REFUSED,   [RUN_EVENT_AWAIT] = AUDIT_TYPE__MAX,
	[RUN_EVENT_RESUME] = AUDIT_TYPE__MAX,          [RUN_EVENT_CLAIM] = AUDIT_RUN_STARTED,
	[RUN_EVENT_COMPLETE] = AUDIT_RUN_COMPLETED,    [RUN_EVENT_FAIL] = AUDIT_RUN_FAILED,
	[RUN_EVENT_STOP] = AUDIT_RUN_CANCELLED,        [RUN_EVENT_LOSE] = AUDIT_RUN_OUTCOME_UNKNOWN,
};

static bool is_decision(enum run_event event)
{
	return event == RUN_EVENT_APPROVE || event == RUN_EVENT_DENY;
}

/* ------------------------------------------------------------------------------------------------------------- refused */

int run_tell_stale(struct str approval_id, struct str part, struct err *err)
{
	fail(err, ERR_APPROVAL_STALE, "'%.*s' is refused: %.*s is not what was asked for any more; it did not run",
	     STR_FMT(approval_id), STR_FMT(part));
	err_detail(err, "part", part);
	return -1;
}

static int refuse(const struct run *run, const struct run_change *change, struct err *err)
{
	const char *state = run_state_name(run->state);
	if (!is_decision(change->event))
		return fail(err, ERR_CONFLICT, "the run '%.*s' is %s", STR_FMT(run->id), state);
	struct str id = run->approval_id;
	if (run->state == RUN_REFUSED && run->decided_by.n == 0 && change->event == RUN_EVENT_APPROVE)
		return run_tell_stale(id, run->reason, err);
	if (run->state == RUN_DENIED || (run->decided_by.n > 0 && run->state != RUN_CANCELLED))
		fail(err, ERR_ALREADY_DECIDED, "'%.*s' was %s by '%.*s' already; it is %s", STR_FMT(id),
		     run->state == RUN_DENIED ? "denied" : "approved", STR_FMT(run->decided_by), state);
	else
		fail(err, ERR_ALREADY_DECIDED, "'%.*s' waits for nobody any more: it is %s%s%.*s", STR_FMT(id), state,
		     run->reason.n > 0 ? ": " : "", STR_FMT(run->reason));
	err_detail(err, "decided_by", run->decided_by);
	err_detail(err, "state", str_from(state));
	return -1;
}

/* -------------------------------------------------------------------------------------------------------------- record */

static void put_decision(struct json_writer *w, const struct run *run, const struct run_change *change)
{
	uint64_t waited = change->now_ns > run->requested_ns ? change->now_ns - run->requested_ns : 0;
	member_z(w, "aileron.approval.decision", change->event == RUN_EVENT_APPROVE ? "approved" : "denied");
	member_bool(w, "aileron.approval.edited", change->edit != NULL);
	member_u64(w, "aileron.approval.wait_ms", waited / TIME_MILLISECOND);
}

static void put_change(struct json_writer *w, const struct run *run, const struct run_change *change)
{
	if (is_decision(change->event))
		put_decision(w, run, change);
	struct str bound = change->edit != NULL ? change->edit->bound : run->bound;
	if (change->event == RUN_EVENT_APPROVE && bound.n > 0) {
		char digest[APPROVAL_DIGEST_TEXT];
		member_z(w, "aileron.approval.digest", approval_digest_text(bound, digest));
	}
	if (run->preview.n > 0 && change->event != RUN_EVENT_CLAIM) {
		char digits[SHA256_HEX_TEXT_SIZE];
		member_z(w, "aileron.approval.preview_sha256", sha256_hex(run->preview, digits));
	}
	member_str_given(w, "aileron.approval.reason", change->reason);
	if (change->error != NULL)
		record_put_failure(w, change->error);
}

/* What a person changed is on record before what they said to it. */
static int record_edit(struct db_tx *tx, const struct run *run, const struct run_change *change, struct err *err)
{
	AUTO_RECORD record;
	record_begin(&record, AUDIT_APPROVAL_MODIFIED, &change->who, run);
	char digits[SHA256_HEX_TEXT_SIZE];
	member_z(&record.json, "aileron.approval.arguments_before_sha256", sha256_hex(run->args, digits));
	member_z(&record.json, "aileron.approval.arguments_sha256", sha256_hex(change->edit->args, digits));
	return record_append(tx, &record, NULL, err);
}

static int record_change(struct db_tx *tx, const struct run *run, const struct run_change *change, char *ret_id,
			 struct err *err)
{
	if (types[change->event] == AUDIT_TYPE__MAX)
		return 0;
	if (change->edit != NULL && record_edit(tx, run, change, err) < 0)
		return -1;
	AUTO_RECORD record;
	struct run shown = *run;
	if (change->grant_id.n > 0)
		shown.grant_id = change->grant_id;
	record_begin(&record, types[change->event], &change->who, &shown);
	put_change(&record.json, run, change);
	return record_append(tx, &record, ret_id, err);
}

/* ----------------------------------------------------------------------------------------------------------------- row */

/* What a change leaves as it is stays: coalesce(). The first wait for the vault says until when. The preview goes with the end. */
#define UPDATE                                                                                                         \
	"UPDATE runs SET state = ?, decided_ns = coalesce(?, decided_ns), decided_by = coalesce(?, decided_by),"       \
	" reason = coalesce(?, reason), awaits_until_ns = coalesce(awaits_until_ns, ?), claimed_ns = coalesce(?, "     \
	"claimed_ns),"                                                                                                 \
	" ended_ns = coalesce(?, ended_ns), result = coalesce(?, result), error = coalesce(?, error),"                 \
	" audit_id = coalesce(?, audit_id), grant_id = coalesce(?, grant_id),"                                         \
	" preview = CASE WHEN ? THEN NULL ELSE preview END WHERE id = ? AND state = ?"

static int write_change(struct db_tx *tx, const struct run *run, const struct run_change *change, enum run_state to,
			struct str audit_id, struct err *err)
{
	bool over = run_state_is_terminal(to);
	struct db_stmt *q = db_stmt(tx, UPDATE);
	db_bind_str(q, str_from(run_state_name(to)));
	db_bind_time_given(q, is_decision(change->event) ? change->now_ns : 0);
	db_bind_str_given(q, is_decision(change->event) ? change->by : STR_EMPTY);
	db_bind_str_given(q, change->reason);
	db_bind_time_given(q, change->event == RUN_EVENT_AWAIT ? change->awaits_until_ns : 0);
	db_bind_time_given(q, change->event == RUN_EVENT_CLAIM ? change->now_ns : 0);
	db_bind_time_given(q, over ? change->now_ns : 0);
	db_bind_str_given(q, change->result);
	db_bind_str_given(q, change->text);
	db_bind_str_given(q, over ? audit_id : STR_EMPTY);
	db_bind_str_given(q, change->grant_id);
	db_bind_int(q, over);
	db_bind_str(q, run->id);
	db_bind_str(q, str_from(run_state_name(run->state)));
	int64_t rows = db_run(q, err);
	if (rows < 0)
		return -1;
	return rows == 1 ? 0 : fail(err, ERR_INTERNAL, "the run '%.*s' changed within a job", STR_FMT(run->id));
}

static int write_edit(struct db_tx *tx, const struct run *run, const struct run_edit *edit, struct err *err)
{
	unsigned char digest[APPROVAL_DIGEST];
	approval_digest(edit->bound, digest);
	struct db_stmt *q = db_stmt(tx, "UPDATE runs SET args = ?, bound = ?, digest = ?, request_key = ?, edited = 1"
					" WHERE id = ?");
	db_bind_str(q, edit->args);
	db_bind_str(q, edit->bound);
	db_bind_blob(q, str_of(digest, sizeof digest));
	db_bind_blob(q, edit->request_key);
	db_bind_str(q, run->id);
	return db_run(q, err) < 0 ? -1 : 0;
}

int run_tell_change(struct db_tx *tx, struct run *run, const struct run_change *change, char *ret_audit_id,
		    struct err *err)
{
	enum run_state to;
	ret_audit_id[0] = '\0';
	if (!run_next(run->state, change->event, &to))
		return refuse(run, change, err);
	if (record_change(tx, run, change, ret_audit_id, err) < 0)
		return -1;
	run->state = to;
	return 0;
}

int run_change(struct db_tx *tx, const struct run_change *change, enum run_state *ret_state, char *ret_audit_id,
	       struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct run run, then;
	char audit_id[AUDIT_ID_SIZE];
	int found = run_find(tx, arena, change->id, &run, err);
	if (found <= 0)
		return found < 0 ? -1
				 : fail(err, ERR_NOT_FOUND, "there is no run '%.*s'",
					STR_FMT(str_slice(change->id, 0, RUN_APPROVAL_ID_SIZE)));
	then = run;
	/* The state first: with the row out of 'pending_approval', another request of the edited key is no duplicate. */
	if (run_tell_change(tx, &run, change, audit_id, err) < 0 ||
	    write_change(tx, &then, change, run.state, str_from(audit_id), err) < 0)
		return -1;
	if (change->edit != NULL && write_edit(tx, &run, change->edit, err) < 0)
		return -1;
	if (ret_state != NULL)
		*ret_state = run.state;
	if (ret_audit_id != NULL)
		memcpy(ret_audit_id, audit_id, sizeof audit_id);
	return 0;
}
