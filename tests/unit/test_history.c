/*
 * What is forgotten: rows that began and ended before a time, with what belongs to them, and nothing else.
 */
#include "base/time.h"
#include "base/ulid.h"
#include "control/history.h"
#include "audit_fixture.h"

#define DAY  (24 * TIME_HOUR)
#define KEEP (1000 * DAY) /* the time before which all is old */

/* Of one id, or of all; statements are known by where their text lies. */
static const char *const counts[] = {
	"SELECT count(*) FROM runs WHERE ?1 IN ('', id)",
	"SELECT count(*) FROM run_steps WHERE ?1 IN ('', run)",
	"SELECT count(*) FROM tasks WHERE ?1 IN ('', id)",
	"SELECT count(*) FROM grants WHERE ?1 IN ('', id)",
	"SELECT count(*) FROM sessions WHERE ?1 IN ('', id)",
	"SELECT count(*) FROM agents WHERE ?1 IN ('', id)",
	"SELECT count(*) FROM joined_calls WHERE ?1 IN ('', run)",
};
#define TABLES  ARRAY_LEN(counts)
#define COUNTED (TABLES - 1) /* what joined a run goes with it, uncounted */

/* A row of each table, of one id. */
struct age {
	uint64_t began_ns, ended_ns; /* ended: 0 = not yet */
	char id[ULID_SIZE];
};

static const char *const inserts[] = {
	"INSERT INTO runs (id, caller, caller_name, action, action_version, action_hash, args, state, requested_ns, "
	"ended_ns)"
	" VALUES (?1, 'c', 'C', 'a', '1', 'h', '{}', 'completed', ?2, ?3)",
	"INSERT INTO run_steps (run, step, attempt, name, connector, content_hash, op, effect, started_ns, ended_ns)"
	" VALUES (?1, 0, 1, 's', 'k', 'h', 'o', 'read', ?2, ?3)",
	"INSERT INTO tasks (id, caller, run, created_ns, ttl_ms) VALUES (?1, 'c', ?1, ?2, coalesce(?3, 1))",
	"INSERT INTO grants (id, caller, action, bound, issued_ns, expires_ns, ended_ns) VALUES (?1, 'c', 'a', '', ?2, "
	"?2, ?3)",
	"INSERT INTO sessions (id, agent, working_dir, started_ns, ended_ns) VALUES (?1, 'a', '/', ?2, ?3)",
	"INSERT INTO agents (id, name, kind, program, hash, created_ns, revoked_ns)"
	" VALUES (?1, 'n', 'launch', '', randomblob(32), ?2, ?3)",
	"INSERT INTO joined_calls (caller, call_id, run) VALUES ('c', ?1 || ?2 || coalesce(?3, ''), ?1)",
};

static int put(struct db_tx *tx, void *user, struct err *err)
{
	struct age *age = user;
	ulid_make(age->began_ns, age->id);
	for (size_t i = 0; i < ARRAY_LEN(inserts); i++) {
		struct db_stmt *stmt = db_stmt(tx, inserts[i]);
		db_bind_str(stmt, str_from(age->id));
		db_bind_int(stmt, (int64_t)age->began_ns);
		db_bind_time_given(stmt, age->ended_ns);
		if (db_run(stmt, err) < 0)
			return -1;
	}
	return 0;
}

static void add(struct db *db, struct age *age)
{
	assert_int_equal(db_write(db, put, age, NULL), 0);
}

static int forget(struct db_tx *tx, void *user, struct err *err)
{
	int64_t *went = user;
	*went = history_forget(tx, KEEP, err);
	return *went < 0 ? -1 : 0;
}

static int64_t forget_some(struct db *db)
{
	int64_t went = -1;
	assert_int_equal(db_write(db, forget, &went, NULL), 0);
	return went;
}

static int64_t count(struct db *db, size_t table, const char *id)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *stmt = db_stmt(tx, counts[table]);
	db_bind_str(stmt, str_from(id));
	assert_int_equal(db_step(stmt, NULL), 1);
	int64_t n = db_int(stmt, 0);
	db_finish(stmt);
	db_done(tx);
	return n;
}

static void what_is_over_and_old_goes(void **state)
{
	struct db *db = *state;
	struct age old = {.began_ns = KEEP - 2 * DAY, .ended_ns = KEEP - DAY};
	struct age still_open = {.began_ns = KEEP - 900 * DAY};
	struct age ended_since = {.began_ns = KEEP - 2 * DAY, .ended_ns = KEEP + 1};
	struct age recent = {.began_ns = KEEP + DAY, .ended_ns = KEEP + 2 * DAY};
	add(db, &old);
	add(db, &still_open);
	add(db, &ended_since);
	add(db, &recent);
	assert_int_equal(forget_some(db), COUNTED);
	for (size_t i = 0; i < TABLES; i++) {
		assert_int_equal(count(db, i, old.id), 0);
		assert_int_equal(count(db, i, still_open.id), 1);
		assert_int_equal(count(db, i, ended_since.id), 1);
		assert_int_equal(count(db, i, recent.id), 1);
	}
	assert_int_equal(forget_some(db), 0);
}

static void many_go_in_several_jobs(void **state)
{
	struct db *db = *state;
	for (unsigned i = 0; i < HISTORY_AT_ONCE + 1; i++) {
		struct age old = {.began_ns = (1 + i) * TIME_HOUR, .ended_ns = (2 + i) * TIME_HOUR};
		add(db, &old);
	}
	assert_int_equal(forget_some(db), HISTORY_AT_ONCE * (int)COUNTED);
	assert_int_equal(forget_some(db), COUNTED);
	assert_int_equal(forget_some(db), 0);
	for (size_t i = 0; i < TABLES; i++)
		assert_int_equal(count(db, i, ""), 0);
}

/* A run that has ended, whose result has that many bytes. */
struct answered {
	uint64_t began_ns;
	int64_t bytes;
};

static int put_answered(struct db_tx *tx, void *user, struct err *err)
{
	const struct answered *answered = user;
	char id[ULID_SIZE];
	ulid_make(answered->began_ns, id);
	struct db_stmt *stmt = db_stmt(
		tx, "INSERT INTO runs (id, caller, caller_name, action, action_version, action_hash, args, state, "
		    "requested_ns, ended_ns, result) VALUES (?1, 'c', 'C', 'a', '1', 'h', '{}', 'completed', ?2, ?2, "
		    "CAST(zeroblob(?3) AS TEXT))");
	db_bind_str(stmt, str_from(id));
	db_bind_int(stmt, (int64_t)answered->began_ns);
	db_bind_int(stmt, answered->bytes);
	return db_run(stmt, err) < 0 ? -1 : 0;
}

static void long_results_go_a_few_at_a_time(void **state)
{
	struct db *db = *state;
	enum { RUNS = 4 };
	static const int64_t parts[] = {1, 1, 3, 1}; /* halves of what goes at once; less a little, for the arguments */
	for (unsigned i = 0; i < RUNS; i++) {
		struct answered answered = {(1 + i) * TIME_HOUR, parts[i] * HISTORY_BYTES_AT_ONCE / 2 - 16};
		assert_int_equal(db_write(db, put_answered, &answered, NULL), 0);
	}
	assert_int_equal(forget_some(db), 2);
	assert_int_equal(forget_some(db), 1); /* more than goes at once, and goes alone */
	assert_int_equal(forget_some(db), 1);
	assert_int_equal(forget_some(db), 0);
	assert_int_equal(count(db, 0, ""), 0);
}

static int let_wait(struct db_tx *tx, void *user, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "UPDATE runs SET session = ?1, ended_ns = NULL WHERE id = ?1");
	db_bind_str(stmt, str_from(user));
	return db_run(stmt, err) == 1 ? 0 : -1;
}

static int end_run(struct db_tx *tx, void *user, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "UPDATE runs SET ended_ns = 1 WHERE id = ?");
	db_bind_str(stmt, str_from(user));
	return db_run(stmt, err) == 1 ? 0 : -1;
}

static void a_session_stays_while_its_run_waits(void **state)
{
	enum { RUNS_TABLE, SESSIONS_TABLE = 4, AGENTS_TABLE = 5 };
	struct db *db = *state;
	struct age asked = {.began_ns = KEEP - 2 * DAY, .ended_ns = KEEP - DAY}, other = asked;
	add(db, &asked);
	add(db, &other);
	assert_int_equal(db_write(db, let_wait, asked.id, NULL), 0);
	assert_true(forget_some(db) > 0);
	assert_int_equal(count(db, SESSIONS_TABLE, asked.id), 1);
	assert_int_equal(count(db, SESSIONS_TABLE, other.id), 0);
	assert_int_equal(count(db, AGENTS_TABLE, asked.id), 1); /* over HTTP it is its own session */
	assert_int_equal(count(db, AGENTS_TABLE, other.id), 0);
	assert_int_equal(forget_some(db), 0);
	assert_int_equal(db_write(db, end_run, asked.id, NULL), 0);
	assert_true(forget_some(db) > 0);
	assert_int_equal(count(db, RUNS_TABLE, asked.id), 0);
	assert_int_equal(count(db, SESSIONS_TABLE, asked.id), 0);
	assert_int_equal(count(db, AGENTS_TABLE, asked.id), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_over_and_old_goes, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(many_go_in_several_jobs, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(long_results_go_a_few_at_a_time, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(a_session_stays_while_its_run_waits, fixture_start, fixture_stop),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
