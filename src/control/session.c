#include "control/session.h"
#include "text/json_members.h"

static struct session read_row(const struct db_stmt *q)
{
	return (struct session){
		.id = db_str(q, 0),
		.agent = db_str(q, 1),
		.working_dir = db_str(q, 2),
		.started_ns = db_time(q, 3),
		.ended_ns = db_time(q, 4),
		.exit_code = db_is_null(q, 5) ? -1 : (int)db_int(q, 5),
	};
}

/* Ids sort by time. */
#define COLUMNS "SELECT id, agent, working_dir, started_ns, ended_ns, exit_code FROM sessions "
#define LIST_SQL                                                                                                       \
	COLUMNS "WHERE (?1 = '' OR agent = ?1) AND started_ns >= ?2 AND (?3 = 0 OR ended_ns IS NULL)"                  \
		" ORDER BY id DESC LIMIT ?4"

static struct db_stmt *select_sessions(struct db_tx *tx, const struct session_query *query)
{
	if (query->id.n > 0) {
		struct db_stmt *q = db_stmt(tx, COLUMNS "WHERE id = ?");
		db_bind_str(q, query->id);
		return q;
	}
	struct db_stmt *q = db_stmt(tx, LIST_SQL);
	db_bind_str(q, query->agent);
	db_bind_int(q, (int64_t)query->since_ns);
	db_bind_int(q, query->active_only);
	db_bind_int(q, query->limit);
	return q;
}

int session_list(struct db_tx *tx, const struct session_query *query, session_row *row, void *user, struct err *err)
{
	struct db_stmt *q = select_sessions(tx, query);
	int got;
	while ((got = db_step(q, err)) == 1) {
		const struct session session = read_row(q);
		if (row(user, &session) != 0)
			break;
	}
	db_finish(q);
	return got < 0 ? -1 : 0;
}

static bool is_there(struct db *db, struct str id, bool ended)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *q = db_stmt(tx, "SELECT 1 FROM sessions WHERE id = ? AND (ended_ns IS NOT NULL) = ?");
	db_bind_str(q, id);
	db_bind_int(q, ended ? 1 : 0);
	bool there = db_step(q, NULL) == 1;
	db_finish(q);
	db_done(tx);
	return there;
}

bool session_is_open(struct db *db, struct str id)
{
	return is_there(db, id, false);
}

bool session_is_over(struct db *db, struct str id)
{
	return is_there(db, id, true);
}

int session_insert(struct db_tx *tx, const struct session *session, struct err *err)
{
	struct db_stmt *insert =
		db_stmt(tx, "INSERT INTO sessions (id, agent, working_dir, started_ns, caller) VALUES (?, ?, ?, ?, ?)");
	db_bind_str(insert, session->id);
	db_bind_str(insert, session->agent);
	db_bind_str(insert, session->working_dir);
	db_bind_int(insert, (int64_t)session->started_ns);
	db_bind_str_given(insert, session->caller);
	return db_run(insert, err) < 0 ? -1 : 0;
}

static int note_found(void *user, const struct session *session)
{
	(void)session;
	*(bool *)user = true;
	return 1;
}

int session_end(struct db_tx *tx, struct str id, uint64_t ended_ns, int exit_code, struct err *err)
{
	struct db_stmt *update =
		db_stmt(tx, "UPDATE sessions SET ended_ns = ?, exit_code = ? WHERE id = ? AND ended_ns IS NULL");
	db_bind_int(update, (int64_t)ended_ns);
	if (exit_code < 0)
		db_bind_null(update);
	else
		db_bind_int(update, exit_code);
	db_bind_str(update, id);
	int64_t changed = db_run(update, err);
	if (changed != 0)
		return changed < 0 ? -1 : 0;
	bool known = false;
	const struct session_query query = {.id = id, .limit = 1};
	if (session_list(tx, &query, note_found, &known, err) < 0)
		return -1;
	return known ? fail(err, ERR_CONFLICT, "the session '%.*s' has ended already", STR_FMT(id))
		     : fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'", STR_FMT(id));
}

int64_t session_reap(struct db_tx *tx, uint64_t daemon_started_ns, uint64_t now_ns, struct err *err)
{
	struct db_stmt *update =
		db_stmt(tx, "UPDATE sessions SET ended_ns = ? WHERE ended_ns IS NULL AND started_ns < ?");
	db_bind_int(update, (int64_t)now_ns);
	db_bind_int(update, (int64_t)daemon_started_ns);
	return db_run(update, err);
}

static const char *status_of(const struct session *session)
{
	if (session->ended_ns == 0)
		return "running";
	return session->exit_code < 0 ? "orphaned" : "ended";
}

void session_put_members(struct json_writer *w, const struct session *session)
{
	member_str(w, "id", session->id);
	member_time(w, "started_at", session->started_ns);
	if (session->ended_ns == 0) {
		jsonw_key(w, S("ended_at"));
		jsonw_null(w);
	} else {
		member_time(w, "ended_at", session->ended_ns);
	}
	member_str(w, "agent", session->agent);
	member_str(w, "working_dir", session->working_dir);
	jsonw_key(w, S("exit_code"));
	if (session->exit_code < 0)
		jsonw_null(w);
	else
		jsonw_int(w, session->exit_code);
	member_str(w, "status", str_from(status_of(session)));
}
