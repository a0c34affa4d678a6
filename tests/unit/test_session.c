#include "control/session.h"
#include "base/time.h"
#include "scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct step {
	const char *id;
	uint64_t at;
	int exit_code;
	int64_t count;
	bool final;
};

struct agent_row {
	const char *id, *name, *kind;
	uint64_t at, revoked;
};

static int insert(struct db_tx *tx, void *user, struct err *err)
{
	const struct step *step = user;
	const struct session session = {.id = str_from(step->id),
					.agent = S("claude"),
					.working_dir = S("/w"),
					.started_ns = step->at,
					.caller = S("01JZ0000000000000000000009"),
					.exit_code = -1};
	return session_insert(tx, &session, err);
}

static int finish(struct db_tx *tx, void *user, struct err *err)
{
	struct step *step = user;
	const struct session ended = {.id = str_from(step->id), .ended_ns = step->at, .exit_code = step->exit_code};
	step->count = session_end(tx, &ended, step->final, err);
	return step->count < 0 ? -1 : 0;
}

static int go_on(struct db_tx *tx, void *user, struct err *err)
{
	struct step *step = user;
	step->count = session_continue(tx, str_from(step->id), err);
	return step->count < 0 ? -1 : 0;
}

static int reap(struct db_tx *tx, void *user, struct err *err)
{
	struct step *step = user;
	step->count = session_reap(tx, step->at, 1000 * TIME_SECOND, err);
	return step->count < 0 ? -1 : 0;
}

static int put(void *user, const struct session *session)
{
	struct json_writer *w = user;
	jsonw_begin_object(w);
	session_put_members(w, session);
	jsonw_end_object(w);
	return 0;
}

static void assert_list(struct db *db, const struct session_query *query, const char *expected)
{
	AUTO_BUF text = BUF_INIT(8192);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_array(&w);
	struct db_tx *tx = db_read(db);
	assert_int_equal(session_list(tx, query, put, &w, NULL), 0);
	db_done(tx);
	jsonw_end_array(&w);
	assert_string_equal(text.p, expected);
}

#define ROW(id, started, ended, exit_code, status)                                                                     \
	"{\"id\":\"" id "\",\"started_at\":" started ",\"ended_at\":" ended                                            \
	",\"agent\":\"claude\",\"working_dir\":\"/w\",\"exit_code\":" exit_code ",\"status\":\"" status "\"}"
#define AT(second) "\"1970-01-01T00:00:" second ".000Z\""

static void a_session_runs_ends_or_is_orphaned(void **state)
{
	(void)state;
	AUTO(db) *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(db);
	struct step a = {"A", 1 * TIME_SECOND, 3, 0, false}, b = {"B", 2 * TIME_SECOND, -1, 0, false},
		    c = {"C", 9 * TIME_SECOND, 0, 0, false};
	assert_int_equal(db_write(db, insert, &a, NULL), 0);
	assert_int_equal(db_write(db, insert, &b, NULL), 0);
	assert_int_equal(db_write(db, insert, &c, NULL), 0);
	assert_true(session_is_open(db, S("A")));
	a.at = 5 * TIME_SECOND;
	assert_int_equal(db_write(db, finish, &a, NULL), 0);
	assert_int_equal(a.count, 1);
	assert_false(session_is_open(db, S("A")));

	struct err err = {0};
	assert_int_equal(db_write(db, finish, &a, &err), 0);
	assert_int_equal(a.count, 0);
	struct step unknown = {"D", 1, 0, 0, false};
	assert_int_equal(db_write(db, finish, &unknown, &err), -1);
	assert_int_equal(err.class, ERR_SESSION_NOT_FOUND);

	/* Those of this daemon live on through a crash of control. */
	struct step daemon = {.at = 9 * TIME_SECOND};
	assert_int_equal(db_write(db, reap, &daemon, NULL), 0);
	assert_int_equal(daemon.count, 1);
	assert_list(db, &(struct session_query){.limit = 9},
		    "[" ROW("C", AT("09"), "null", "null",
			    "running") "," ROW("B", AT("02"), "\"1970-01-01T00:16:40.000Z\"", "null",
					       "orphaned") "," ROW("A", AT("01"), AT("05"), "3", "ended") "]");
	assert_list(db, &(struct session_query){.limit = 9, .active_only = true},
		    "[" ROW("C", AT("09"), "null", "null", "running") "]");
	assert_list(db, &(struct session_query){.limit = 1, .id = S("A")},
		    "[" ROW("A", AT("01"), AT("05"), "3", "ended") "]");
	assert_list(db, &(struct session_query){.limit = 9, .agent = S("other")}, "[]");
	assert_list(db, &(struct session_query){.limit = 9, .since_ns = 9 * TIME_SECOND + 1}, "[]");
}

static int add_agent(struct db_tx *tx, void *user, struct err *err)
{
	const struct agent_row *row = user;
	struct db_stmt *stmt = db_stmt(tx, "INSERT INTO agents (id, name, kind, program, hash, created_ns, revoked_ns)"
					   " VALUES (?, ?, ?, '', randomblob(32), ?, ?)");
	db_bind_str(stmt, str_from(row->id));
	db_bind_str(stmt, str_from(row->name));
	db_bind_str(stmt, str_from(row->kind));
	db_bind_int(stmt, (int64_t)row->at);
	db_bind_time_given(stmt, row->revoked);
	return db_run(stmt, err) < 0 ? -1 : 0;
}

#define AGENT(id, name, started, ended, status)                                                                        \
	"{\"id\":\"" id "\",\"started_at\":" started ",\"ended_at\":" ended ",\"agent\":\"" name                       \
	"\",\"working_dir\":\"\",\"exit_code\":null,\"status\":\"" status "\",\"is_agent\":true}"

static int drop_all(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return db_run(db_stmt(tx, "DELETE FROM sessions"), err) < 0 ? -1 : 0;
}

static void an_agent_over_http_is_its_own_session(void **state)
{
	(void)state;
	AUTO(db) *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(db);
	struct agent_row agents[] = {{"A", "web", "http", 1 * TIME_SECOND, 4 * TIME_SECOND},
				     {"C", "other", "http", 3 * TIME_SECOND, 0},
				     {"D", "stdio", "registered", 4 * TIME_SECOND, 0},
				     {"E", "claude", "launch", 5 * TIME_SECOND, 0}};
	assert_int_equal(db_write(db, drop_all, NULL, NULL), 0); /* of the test before */
	for (size_t i = 0; i < ARRAY_LEN(agents); i++)
		assert_int_equal(db_write(db, add_agent, &agents[i], NULL), 0);
	struct step launched = {"B", 2 * TIME_SECOND, 0, 0, false};
	assert_int_equal(db_write(db, insert, &launched, NULL), 0);
#define A AGENT("A", "web", AT("01"), AT("04"), "ended")
#define B ROW("B", AT("02"), "null", "null", "running")
#define C AGENT("C", "other", AT("03"), "null", "running")
	assert_list(db, &(struct session_query){.limit = 9}, "[" C "," B "," A "]");
	assert_list(db, &(struct session_query){.limit = 2}, "[" C "," B "]");
	assert_list(db, &(struct session_query){.limit = 9, .active_only = true}, "[" C "," B "]");
	assert_list(db, &(struct session_query){.limit = 9, .agent = S("web")}, "[" A "]");
	assert_list(db, &(struct session_query){.limit = 9, .since_ns = 3 * TIME_SECOND}, "[" C "]");
	assert_list(db, &(struct session_query){.limit = 1, .id = S("A")}, "[" A "]");
	assert_list(db, &(struct session_query){.limit = 1, .id = S("D")},
		    "[" AGENT("D", "stdio", AT("04"), "null", "running") "]");
	assert_list(db, &(struct session_query){.limit = 1, .id = S("E")}, "[]"); /* it has the launch's */
#undef A
#undef B
#undef C
}

static void what_was_said_is_final(void **state)
{
	(void)state;
	AUTO(db) *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	struct step step = {"E", 1 * TIME_SECOND, 0, 0, false};
	const struct str id = S("E"), caller = S("01JZ0000000000000000000009");
	assert_int_equal(db_write(db, insert, &step, NULL), 0);
	assert_int_equal(db_write(db, go_on, &step, NULL), 0);
	assert_int_equal(step.count, 0);
	assert_int_equal(db_write(db, finish, &step, NULL), 0);
	assert_true(session_is_to_continue(db, id, caller));
	assert_false(session_is_to_continue(db, id, S("01JZ0000000000000000000008")));
	assert_int_equal(db_write(db, go_on, &step, NULL), 0);
	assert_int_equal(step.count, 1);
	assert_true(session_is_open(db, id));

	/* Also when it had ended before. */
	assert_int_equal(db_write(db, finish, &step, NULL), 0);
	step.final = true;
	assert_int_equal(db_write(db, finish, &step, NULL), 0);
	assert_int_equal(step.count, 0);
	step.final = false;
	assert_int_equal(db_write(db, finish, &step, NULL), 0);
	assert_false(session_is_to_continue(db, id, caller));
	struct err err = {0};
	assert_int_equal(db_write(db, go_on, &step, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	step.id = "F";
	assert_int_equal(db_write(db, go_on, &step, &err), -1);
	assert_int_equal(err.class, ERR_SESSION_NOT_FOUND);
}

/* The daemon was started anew, and the agent ended before its launch had taken the session up again. */
static void how_an_agent_ended_is_told_late(void **state)
{
	(void)state;
	AUTO(db) *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_int_equal(db_write(db, drop_all, NULL, NULL), 0);
	struct step step = {"G", 1 * TIME_SECOND, 0, 0, false};
	assert_int_equal(db_write(db, insert, &step, NULL), 0);
	step.at = 2 * TIME_SECOND;
	assert_int_equal(db_write(db, reap, &step, NULL), 0);
	assert_int_equal(step.count, 1);
	step = (struct step){.id = "G", .at = 3 * TIME_SECOND, .exit_code = 3, .final = true};
	assert_int_equal(db_write(db, finish, &step, NULL), 0);
	assert_int_equal(step.count, 1);
	step.exit_code = 4;
	assert_int_equal(db_write(db, finish, &step, NULL), 0);
	assert_int_equal(step.count, 0);
	assert_list(db, &(struct session_query){.limit = 1, .id = S("G")},
		    "[" ROW("G", AT("01"), AT("03"), "3", "ended") "]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_runs_ends_or_is_orphaned),
		cmocka_unit_test(an_agent_over_http_is_its_own_session),
		cmocka_unit_test(what_was_said_is_final),
		cmocka_unit_test(how_an_agent_ended_is_told_late),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
