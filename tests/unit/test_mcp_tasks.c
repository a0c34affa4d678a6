/*
 * Tasks: one whose time is over is forgotten, and nothing else.
 */
#include "control/mcp_tasks.h"
#include "base/time.h"
#include "scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct row {
	const char *id;
	uint64_t created_ns, ttl_ms;
};

static int insert(struct db_tx *tx, void *user, struct err *err)
{
	const struct row *row = user;
	struct db_stmt *q =
		db_stmt(tx, "INSERT INTO tasks (id, caller, run, created_ns, ttl_ms) VALUES (?, 'a', ?, ?, ?)");
	db_bind_str(q, str_from(row->id));
	db_bind_str(q, str_from(row->id));
	db_bind_int(q, (int64_t)row->created_ns);
	db_bind_int(q, (int64_t)row->ttl_ms);
	return db_run(q, err) < 0 ? -1 : 0;
}

static bool is_there(struct db *db, const char *id)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *q = db_stmt(tx, "SELECT 1 FROM tasks WHERE id = ?");
	db_bind_str(q, str_from(id));
	bool there = db_step(q, NULL) == 1;
	db_finish(q);
	db_done(tx);
	return there;
}

static void what_is_over_is_forgotten(void **state)
{
	(void)state;
	AUTO(db) *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(db);
	uint64_t now = clock_wall_ns(NULL);
	struct row rows[] = {
		{"long-ago", 1, 1},
		{"over", now - 60 * TIME_SECOND, 59000},
		{"not-yet", now - 60 * TIME_SECOND, 3600000},
		{"new", now, MCP_TASKS_KEPT_MS},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(db_write(db, insert, &rows[i], NULL), 0);
	assert_int_equal(db_write(db, mcp_tasks_sweep, NULL, NULL), 0);
	assert_false(is_there(db, "long-ago"));
	assert_false(is_there(db, "over"));
	assert_true(is_there(db, "not-yet"));
	assert_true(is_there(db, "new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_over_is_forgotten),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
