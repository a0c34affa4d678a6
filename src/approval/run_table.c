#include "approval/run_table.h"
#include "approval/digest.h"
#include "approval/grant.h"
#include "approval/record.h"
#include "base/time.h"
#include "base/vec.h"

#define ROWS_MAX 10000

/* ------------------------------------------------------------------------------------------------------------- reading */

#define COLUMNS_BUT_RESULT                                                                                             \
	"SELECT id, caller, caller_name, session, working_dir, call_id, action, action_version, action_hash, args, "   \
	"bound, state, approval_id, grant_id, edited, requested_ns, expires_ns, decided_ns, claimed_ns, ended_ns, "    \
	"decided_by, reason, preview, error, audit_id"
#define COLUMNS COLUMNS_BUT_RESULT ", result FROM runs "

static struct str text_of(struct arena *arena, const struct db_stmt *q, int column)
{
	return db_is_null(q, column) ? STR_EMPTY : arena_str(arena, db_str(q, column));
}

/* False: of a state that this version does not know. */
static bool read_row(struct arena *arena, const struct db_stmt *q, bool result, struct run *ret)
{
	struct run run = {
		.id = text_of(arena, q, 0),
		.caller = {text_of(arena, q, 1), text_of(arena, q, 2), text_of(arena, q, 3), text_of(arena, q, 4)},
		.call_id = text_of(arena, q, 5),
		.action = text_of(arena, q, 6),
		.action_version = text_of(arena, q, 7),
		.action_hash = text_of(arena, q, 8),
		.args = text_of(arena, q, 9),
		.bound = text_of(arena, q, 10),
		.approval_id = text_of(arena, q, 12),
		.grant_id = text_of(arena, q, 13),
		.edited = db_int(q, 14) != 0,
		.requested_ns = db_time(q, 15),
		.expires_ns = db_time(q, 16),
		.decided_ns = db_time(q, 17),
		.claimed_ns = db_time(q, 18),
		.ended_ns = db_time(q, 19),
		.decided_by = text_of(arena, q, 20),
		.reason = text_of(arena, q, 21),
		.preview = text_of(arena, q, 22),
		.error = text_of(arena, q, 23),
		.audit_id = text_of(arena, q, 24),
	};
	if (!run_state_named(db_str(q, 11), &run.state))
		return false;
	if (result)
		run.result = text_of(arena, q, 25);
	*ret = run;
	return true;
}

static int read_one(struct db_stmt *q, struct arena *arena, struct run *ret, struct err *err)
{
	int got = db_step(q, err);
	if (got == 1 && !read_row(arena, q, true, ret))
		got = fail(err, ERR_STORE_ERROR, "the database has a run in a state that is none");
	db_finish(q);
	return got;
}

int run_find(struct db_tx *tx, struct arena *arena, struct str id, struct run *ret, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, COLUMNS "WHERE id = ?1 OR approval_id = ?1");
	db_bind_str(q, id);
	return read_one(q, arena, ret, err);
}

int run_find_call(struct db_tx *tx, struct arena *arena, struct str caller, struct str call_id, struct run *ret,
		  struct err *err)
{
	struct db_stmt *q = db_stmt(tx, COLUMNS "WHERE id = (SELECT id FROM runs WHERE caller = ?1 AND call_id = ?2"
						" UNION ALL SELECT run FROM joined_calls"
						" WHERE caller = ?1 AND call_id = ?2)");
	db_bind_str(q, caller);
	db_bind_str(q, call_id);
	return read_one(q, arena, ret, err);
}

int run_find_pending(struct db_tx *tx, struct arena *arena, struct str request_key, struct run *ret, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, COLUMNS "WHERE request_key = ? AND state = 'pending_approval'");
	db_bind_blob(q, request_key);
	return read_one(q, arena, ret, err);
}

int run_count_pending(struct db_tx *tx, struct str caller, uint64_t *ret, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT count(*) FROM runs WHERE ended_ns IS NULL AND"
					" state = 'pending_approval' AND caller = ?");
	db_bind_str(q, caller);
	int got = db_step(q, err);
	if (got == 1)
		*ret = (uint64_t)db_int(q, 0);
	db_finish(q);
	return got == 1 ? 0 : -1;
}

static int read_list(struct db_stmt *q, struct arena *arena, struct run_list *ret, struct err *err)
{
	AUTO_VEC(struct run) rows = VEC_INIT(ROWS_MAX);
	struct run run;
	int got;
	while ((got = db_step(q, err)) == 1) {
		if (read_row(arena, q, false, &run) && !vec_push(&rows, run))
			break;
	}
	db_finish(q);
	if (got < 0)
		return -1;
	ret->items = arena_array(arena, rows.n + 1, sizeof *ret->items);
	ret->n = rows.n;
	if (rows.n > 0)
		memcpy(ret->items, rows.items, rows.n * sizeof *rows.items);
	return 0;
}

int run_list(struct db_tx *tx, struct arena *arena, const struct run_filter *filter, struct run_list *ret,
	     struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, COLUMNS_BUT_RESULT " FROM runs WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR action = ?2)"
					       " AND (?3 = '' OR caller = ?3) AND (?4 = '' OR session = ?4)"
					       " AND (?5 = '' OR id < ?5) AND (?6 = 0 OR ended_ns IS NULL)"
					       " AND (?7 = 0 OR approval_id IS NOT NULL) AND requested_ns >= ?8"
					       " ORDER BY id DESC LIMIT ?9");
	db_bind_str(q, filter->state);
	db_bind_str(q, filter->action);
	db_bind_str(q, filter->caller);
	db_bind_str(q, filter->session);
	db_bind_str(q, filter->before);
	db_bind_int(q, filter->open);
	db_bind_int(q, filter->approval);
	db_bind_int(q, (int64_t)filter->since_ns);
	db_bind_int(q, filter->limit > 0 ? filter->limit : ROWS_MAX);
	return read_list(q, arena, ret, err);
}

int run_next_due(struct db_tx *tx, uint64_t *ret_ns, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT min(CASE state WHEN 'pending_approval' THEN expires_ns"
					" WHEN 'awaiting_vault' THEN awaits_until_ns END) FROM runs"
					" WHERE ended_ns IS NULL");
	int got = db_step(q, err);
	if (got == 1)
		*ret_ns = db_time(q, 0);
	db_finish(q);
	return got < 0 ? -1 : 0;
}

int run_list_due(struct db_tx *tx, struct arena *arena, uint64_t now_ns, struct run_list *ret, struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, COLUMNS_BUT_RESULT " FROM runs WHERE ended_ns IS NULL AND"
					       " ((state = 'pending_approval' AND expires_ns <= ?1) OR"
					       " (state = 'awaiting_vault' AND awaits_until_ns <= ?1)) ORDER BY id");
	db_bind_int(q, (int64_t)now_ns);
	return read_list(q, arena, ret, err);
}

/* ----------------------------------------------------------------------------------------------------------- inserting */

static int refuse_double(const struct run *there, struct err *err)
{
	fail(err, ERR_CONFLICT, "the same was asked for already: run '%.*s'", STR_FMT(there->id));
	err_detail(err, "run_id", there->id);
	return -1;
}

static int find_call_of(struct db_tx *tx, struct arena *arena, const struct run *run, struct run *ret, struct err *err)
{
	return run->call_id.n > 0 ? run_find_call(tx, arena, run->caller.id, run->call_id, ret, err) : 0;
}

/* Its end is a job as well: what begins after it does not begin under it. */
static int check_grant(struct db_tx *tx, const struct run *run, struct err *err)
{
	int holds = run->grant_id.n > 0 ? grant_holds(tx, run->grant_id, clock_wall_ns(NULL), err) : 1;
	if (holds == 0)
		return fail(err, ERR_CONFLICT, "the grant '%.*s' has ended", STR_FMT(run->grant_id));
	return holds < 0 ? -1 : 0;
}

static int check_new(struct db_tx *tx, struct arena *arena, const struct run_new *new, struct err *err)
{
	const struct run *run = new->run;
	struct run there;
	int found = find_call_of(tx, arena, run, &there, err);
	if (found == 0 && new->request_key.n > 0)
		found = run_find_pending(tx, arena, new->request_key, &there, err);
	if (found != 0)
		return found < 0 ? -1 : refuse_double(&there, err);
	if (run->state != RUN_PENDING_APPROVAL)
		return check_grant(tx, run, err);
	uint64_t pending = 0;
	if (run_count_pending(tx, run->caller.id, &pending, err) < 0)
		return -1;
	if (pending >= RUN_PENDING_MAX)
		return fail(err, ERR_THROTTLED,
			    "%d requests of '%.*s' wait for a person already; wait until some of them are decided, or "
			    "cancel one",
			    RUN_PENDING_MAX, STR_FMT(run->caller.name));
	return 0;
}

static int write_row(struct db_tx *tx, const struct run *run, struct str request_key, struct err *err)
{
	unsigned char digest[APPROVAL_DIGEST];
	approval_digest(run->bound, digest);
	struct db_stmt *q = db_stmt(
		tx, "INSERT INTO runs (id, caller, caller_name, session, working_dir, call_id, action, action_version,"
		    " action_hash, args, bound, digest, request_key, state, approval_id, grant_id, requested_ns,"
		    " expires_ns, claimed_ns, preview, ended_ns, reason, result, error, audit_id)"
		    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	db_bind_str(q, run->id);
	db_bind_str(q, run->caller.id);
	db_bind_str(q, run->caller.name);
	db_bind_str_given(q, run->caller.session);
	db_bind_str_given(q, run->caller.working_dir);
	db_bind_str_given(q, run->call_id);
	db_bind_str(q, run->action);
	db_bind_str(q, run->action_version);
	db_bind_str(q, run->action_hash);
	db_bind_str(q, run->args);
	db_bind_str_given(q, run->bound);
	db_bind_blob_given(q, run->bound.n > 0 ? str_of(digest, sizeof digest) : STR_EMPTY);
	db_bind_blob_given(q, request_key);
	db_bind_str(q, str_from(run_state_name(run->state)));
	db_bind_str_given(q, run->approval_id);
	db_bind_str_given(q, run->grant_id);
	db_bind_int(q, (int64_t)run->requested_ns);
	db_bind_time_given(q, run->expires_ns);
	db_bind_time_given(q, run->claimed_ns);
	db_bind_str_given(q, run->preview);
	db_bind_time_given(q, run->ended_ns);
	db_bind_str_given(q, run->reason);
	db_bind_str_given(q, run->result);
	db_bind_str_given(q, run->error);
	db_bind_str_given(q, run->audit_id);
	return db_run(q, err) < 0 ? -1 : 0;
}

static int record_new(struct db_tx *tx, const struct run_new *new, struct err *err)
{
	const struct run *run = new->run;
	bool gated = run->state == RUN_PENDING_APPROVAL;
	AUTO_RECORD record;
	record_begin(&record, gated ? AUDIT_APPROVAL_REQUESTED : AUDIT_RUN_STARTED, &new->who, run);
	if (gated) {
		char digest[APPROVAL_DIGEST_TEXT];
		member_z(&record.json, "aileron.approval.digest", approval_digest_text(run->bound, digest));
		member_time(&record.json, "aileron.approval.expires_at", run->expires_ns);
	}
	return record_append(tx, &record, NULL, err);
}

int run_tell_new(struct db_tx *tx, const struct run_new *new, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	return check_new(tx, arena, new, err) < 0 ? -1 : record_new(tx, new, err);
}

int run_insert(struct db_tx *tx, const struct run_new *new, struct err *err)
{
	return run_tell_new(tx, new, err) < 0 ? -1 : write_row(tx, new->run, new->request_key, err);
}

int run_insert_over(struct db_tx *tx, const struct run_new *new, const struct run_change *change,
		    enum run_state *ret_state, char *ret_audit_id, struct err *err)
{
	struct run run = *new->run;
	if (run_tell_change(tx, &run, change, ret_audit_id, err) < 0)
		return -1;
	run.ended_ns = change->now_ns;
	run.reason = change->reason;
	run.result = change->result;
	run.error = change->text;
	run.audit_id = str_from(ret_audit_id);
	*ret_state = run.state;
	return write_row(tx, &run, new->request_key, err);
}

/* One too many joins as well; when that run has ended, its id is nobody's. */
static int write_joined(struct db_tx *tx, const struct run *run, struct str there, struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, "INSERT INTO joined_calls (caller, call_id, run) SELECT ?1, ?2, ?3"
			    " WHERE (SELECT count(*) FROM joined_calls WHERE run = ?3) < " STR_DIGITS(RUN_JOINED_MAX));
	db_bind_str(q, run->caller.id);
	db_bind_str(q, run->call_id);
	db_bind_str(q, there);
	return db_run(q, err) < 0 ? -1 : 0;
}

int run_join(struct db_tx *tx, struct arena *arena, const struct run_new *new, struct run *ret, struct err *err)
{
	struct run there;
	int found = find_call_of(tx, arena, new->run, &there, err);
	if (found == 0) {
		found = run_find_pending(tx, arena, new->request_key, &there, err);
		if (found == 1 && new->run->call_id.n > 0 && write_joined(tx, new->run, there.id, err) < 0)
			return -1;
	}
	if (found == 1)
		*ret = there;
	return found;
}

int run_store_preview(struct db_tx *tx, struct str id, struct str preview, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "UPDATE runs SET preview = ? WHERE id = ? AND state = 'pending_approval'");
	db_bind_str(q, preview);
	db_bind_str(q, id);
	return db_run(q, err) < 0 ? -1 : 0;
}

/* --------------------------------------------------------------------------------------------------------------- steps */

int run_step_begin(struct db_tx *tx, const struct run_step *step, bool over, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "INSERT INTO run_steps (run, step, attempt, name, connector, content_hash, op,"
					" effect, binding, started_ns, ended_ns, class)"
					" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	db_bind_str(q, step->run);
	db_bind_int(q, step->step);
	db_bind_int(q, step->attempt);
	db_bind_str(q, step->name);
	db_bind_str(q, step->connector);
	db_bind_str(q, step->content_hash);
	db_bind_str(q, step->op);
	db_bind_str(q, step->effect);
	db_bind_str_given(q, step->binding);
	db_bind_int(q, (int64_t)step->started_ns);
	db_bind_time_given(q, over ? step->ended_ns : 0);
	db_bind_str_given(q, over ? step->class : STR_EMPTY);
	return db_run(q, err) < 0 ? -1 : 0;
}

int run_step_end(struct db_tx *tx, const struct run_step *step, struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, "UPDATE run_steps SET ended_ns = ?, class = ? WHERE run = ? AND step = ? AND attempt = ?");
	db_bind_int(q, (int64_t)step->ended_ns);
	db_bind_str_given(q, step->class);
	db_bind_str(q, step->run);
	db_bind_int(q, step->step);
	db_bind_int(q, step->attempt);
	return db_run(q, err) < 0 ? -1 : 0;
}

int run_steps(struct db_tx *tx, struct arena *arena, struct str run, struct run_step_list *ret, struct err *err)
{
	AUTO_VEC(struct run_step) rows = VEC_INIT(ROWS_MAX);
	struct db_stmt *q =
		db_stmt(tx, "SELECT run, step, attempt, name, connector, content_hash, op, effect, binding,"
			    " started_ns, ended_ns, class FROM run_steps WHERE run = ? ORDER BY step, attempt");
	db_bind_str(q, run);
	int got;
	while ((got = db_step(q, err)) == 1) {
		const struct run_step step = {
			.run = text_of(arena, q, 0),
			.step = (uint32_t)db_int(q, 1),
			.attempt = (uint32_t)db_int(q, 2),
			.name = text_of(arena, q, 3),
			.connector = text_of(arena, q, 4),
			.content_hash = text_of(arena, q, 5),
			.op = text_of(arena, q, 6),
			.effect = text_of(arena, q, 7),
			.binding = text_of(arena, q, 8),
			.started_ns = db_time(q, 9),
			.ended_ns = db_time(q, 10),
			.class = text_of(arena, q, 11),
		};
		if (!vec_push(&rows, step))
			break;
	}
	db_finish(q);
	if (got < 0)
		return -1;
	ret->items = arena_array(arena, rows.n + 1, sizeof *ret->items);
	ret->n = rows.n;
	if (rows.n > 0)
		memcpy(ret->items, rows.items, rows.n * sizeof *rows.items);
	return 0;
}

/* --------------------------------------------------------------------------------------------------------- interrupted */

static int step_under_way(struct db_tx *tx, struct arena *arena, struct str run, struct str *ret, struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, "SELECT name FROM run_steps WHERE run = ? ORDER BY step DESC, attempt DESC LIMIT 1");
	db_bind_str(q, run);
	int got = db_step(q, err);
	if (got == 1)
		*ret = text_of(arena, q, 0);
	db_finish(q);
	return got < 0 ? -1 : 0;
}

static int lose(struct db_tx *tx, struct arena *arena, const struct run *run, uint64_t now_ns, struct err *err)
{
	static struct err why; /* of one job at a time */
	struct str step = STR_EMPTY;
	if (step_under_way(tx, arena, run->id, &step, err) < 0)
		return -1;
	err_clear(&why);
	fail(&why, ERR_OUTCOME_UNKNOWN,
	     "the daemon ended while this ran; whether %s%.*s%s took effect is not known, and it is not run again",
	     step.n > 0 ? "step '" : "it", STR_FMT(step), step.n > 0 ? "'" : "");
	if (step.n > 0)
		err_detail(&why, "step", step);
	err_detail(&why, "reason", S("interrupted"));
	err_detail(&why, "ran", S("maybe"));
	AUTO_BUF text = BUF_INIT(RUN_ERROR_MAX);
	run_put_error(&text, &why);
	const struct run_change change = {
		.id = run->id,
		.event = RUN_EVENT_LOSE,
		.now_ns = now_ns,
		.who = audit_of_service(AUDIT_RUN_OUTCOME_UNKNOWN, "control"),
		.error = &why,
		.text = buf_str(&text),
	};
	return run_change(tx, &change, NULL, NULL, err);
}

static int close_steps(struct db_tx *tx, uint64_t now_ns, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "UPDATE run_steps SET ended_ns = ?, class = 'outcome_unknown'"
					" WHERE ended_ns IS NULL AND run IN"
					" (SELECT id FROM runs WHERE state = 'running' AND ended_ns IS NULL)");
	db_bind_int(q, (int64_t)now_ns);
	return db_run(q, err) < 0 ? -1 : 0;
}

int run_interrupt_open(struct db_tx *tx, uint64_t now_ns, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct run_list open = {0};
	const struct run_filter filter = {.state = S("running"), .open = true};
	const struct grant_end restart = {
		.why = S("restart"),
		.now_ns = now_ns,
		.who = audit_of_service(AUDIT_GRANT_REVOKED, "control"),
	};
	if (grant_end(tx, &restart, err) < 0 || close_steps(tx, now_ns, err) < 0 ||
	    run_list(tx, arena, &filter, &open, err) < 0)
		return -1;
	for (size_t i = 0; i < open.n; i++) {
		if (lose(tx, arena, &open.items[i], now_ns, err) < 0)
			return -1;
	}
	return 0;
}
