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
		.is_agent = db_int(q, 6) != 0,
	};
}

/* Ids sort by time, whichever table they are of. Any agent but a launch's may come over HTTP, where it is its own session. */
#define COLUMNS       "SELECT id, agent, working_dir, started_ns, ended_ns, exit_code, 0 FROM sessions "
#define AGENT_COLUMNS "SELECT id, name, '', created_ns, revoked_ns, NULL, 1 FROM agents "
#define ONE_SQL       COLUMNS "WHERE id = ?1 UNION ALL " AGENT_COLUMNS "WHERE id = ?1 AND kind <> 'launch'"
#define LIST_SQL                                                                                                       \
	COLUMNS "WHERE (?1 = '' OR agent = ?1) AND started_ns >= ?2 AND (?3 = 0 OR ended_ns IS NULL)"                  \
		" UNION ALL " AGENT_COLUMNS "WHERE kind = 'http' AND (?1 = '' OR name = ?1) AND created_ns >= ?2"      \
		" AND (?3 = 0 OR revoked_ns IS NULL) ORDER BY id DESC LIMIT ?4"

static struct db_stmt *select_sessions(struct db_tx *tx, const struct session_query *query)
{
	if (query->id.n > 0) {
		struct db_stmt *q = db_stmt(tx, ONE_SQL);
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

static int is_there(struct db_tx *tx, struct str id, const char *sql, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, sql);
	db_bind_str(q, id);
	int there = db_step(q, err);
	db_finish(q);
	return there;
}

bool session_is_open(struct db *db, struct str id)
{
	struct db_tx *tx = db_read(db);
	bool open = session_is_open_in(tx, id, NULL) == 1;
	db_done(tx);
	return open;
}

int session_is_open_in(struct db_tx *tx, struct str id, struct err *err)
{
	return is_there(tx, id, "SELECT 1 FROM sessions WHERE id = ? AND ended_ns IS NULL", err);
}

int session_is_over_in(struct db_tx *tx, struct str id, struct err *err)
{
	static const char sql[] = "SELECT 1 FROM sessions WHERE id = ?1 AND ended_ns IS NOT NULL UNION ALL "
				  "SELECT 1 FROM agents WHERE id = ?1 AND kind <> 'launch' AND revoked_ns IS NOT NULL";
	return is_there(tx, id, sql, err);
}

bool session_is_over(struct db *db, struct str id)
{
	struct db_tx *tx = db_read(db);
	bool over = session_is_over_in(tx, id, NULL) == 1;
	db_done(tx);
	return over;
}

bool session_is_to_continue(struct db *db, struct str id, struct str caller)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *q = db_stmt(tx, "SELECT 1 FROM sessions WHERE id = ? AND caller = ? AND final = 0");
	db_bind_str(q, id);
	db_bind_str(q, caller);
	bool there = db_step(q, NULL) == 1;
	db_finish(q);
	db_done(tx);
	return there;
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

struct known_end {
	bool is_final, has_code;
};

/* Whether it has ended: 1, 0, or SESSION_NOT_FOUND; and how. */
static int has_ended(struct db_tx *tx, struct str id, struct known_end *ret, struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, "SELECT ended_ns IS NOT NULL, final, exit_code IS NOT NULL FROM sessions WHERE id = ?");
	db_bind_str(q, id);
	int got = db_step(q, err);
	bool ended = got == 1 && db_int(q, 0) != 0;
	*ret = (struct known_end){got == 1 && db_int(q, 1) != 0, got == 1 && db_int(q, 2) != 0};
	db_finish(q);
	if (got < 0)
		return -1;
	return got == 1 ? ended : fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'", STR_FMT(id));
}

int session_end(struct db_tx *tx, const struct session *ended, bool final, struct err *err)
{
	struct known_end known;
	int before = has_ended(tx, ended->id, &known, err);
	if (before < 0)
		return -1;
	/* A launch tells how its agent ended, though a daemon that was started a moment ago took it for gone. */
	bool says_more = final && ended->exit_code >= 0 && !known.is_final && !known.has_code;
	bool ends = before == 0 || says_more;
	struct db_stmt *update =
		ends ? db_stmt(tx, "UPDATE sessions SET final = ?, ended_ns = ?, exit_code = ? WHERE id = ?")
		     : db_stmt(tx, "UPDATE sessions SET final = ? WHERE id = ?");
	db_bind_int(update, final || known.is_final);
	if (ends) {
		db_bind_int(update, (int64_t)ended->ended_ns);
		if (ended->exit_code < 0)
			db_bind_null(update);
		else
			db_bind_int(update, ended->exit_code);
	}
	db_bind_str(update, ended->id);
	return db_run(update, err) < 0 ? -1 : ends;
}

int session_continue(struct db_tx *tx, struct str id, struct err *err)
{
	struct known_end known;
	int ended = has_ended(tx, id, &known, err);
	if (ended <= 0)
		return ended;
	if (known.is_final)
		return fail(err, ERR_CONFLICT, "the session '%.*s' has ended already", STR_FMT(id));
	struct db_stmt *update = db_stmt(tx, "UPDATE sessions SET ended_ns = NULL, exit_code = NULL WHERE id = ?");
	db_bind_str(update, id);
	return db_run(update, err) < 0 ? -1 : 1;
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
	return session->exit_code < 0 && !session->is_agent ? "orphaned" : "ended";
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
	if (session->is_agent)
		member_bool(w, "is_agent", true);
}
