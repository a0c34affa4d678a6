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
	"SELECT count(*) FROM runs WHERE ?1 IN ('', id)",     "SELECT count(*) FROM run_steps WHERE ?1 IN ('', run)",
	"SELECT count(*) FROM tasks WHERE ?1 IN ('', id)",    "SELECT count(*) FROM grants WHERE ?1 IN ('', id)",
	"SELECT count(*) FROM sessions WHERE ?1 IN ('', id)", "SELECT count(*) FROM agents WHERE ?1 IN ('', id)",
};
#define TABLES ARRAY_LEN(counts)

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
	assert_int_equal(forget_some(db), TABLES);
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
	assert_int_equal(forget_some(db), HISTORY_AT_ONCE * (int)TABLES);
	assert_int_equal(forget_some(db), TABLES);
	assert_int_equal(forget_some(db), 0);
	for (size_t i = 0; i < TABLES; i++)
		assert_int_equal(count(db, i, ""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_over_and_old_goes, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(many_go_in_several_jobs, fixture_start, fixture_stop),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
