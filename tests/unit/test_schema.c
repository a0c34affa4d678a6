/*
 * Every older version of the database, with data in every table of it, is brought to the newest with that data intact; a
 * step that fails leaves the version before; a step that was released is the one that it was.
 */
#include "crypto/digest.h"
#include "store/connection.h"
#include "store/db.h"
#include "store/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define NAME "aileron.db"

static char folder[] = "/tmp/aileron-schema-XXXXXX";

static void remove_files(void)
{
	static const char *const names[] = {NAME, NAME "-wal", NAME "-shm"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlink(names[i]);
}

static int enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
	(void)state;
	remove_files();
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

/* What a database of each version holds, and what is asked of the newest one made of it. */
static const struct {
	int version;
	const char *fill;
	const char *ask, *answer;
} versions[] = {
	{0, "", "SELECT count(*) FROM audit", "0"},
	{1,
	 "INSERT INTO audit VALUES"
	 "	(1, 'a', 100, 't', 'c', NULL, NULL, 'b', zeroblob(32), '{}'), (2, 'b', 300, 't', NULL, NULL, NULL, "
	 "NULL, "
	 "	zeroblob(32), '{}'), (3, 'c', 200, 't', NULL, NULL, NULL, NULL, zeroblob(32), '{}'),"
	 "	(4, 'd', 400, 't', NULL, NULL, NULL, NULL, zeroblob(32), '{}');"
	 "INSERT INTO checkpoints VALUES (3, zeroblob(32), x'01', zeroblob(32), 350),"
	 "	(4, zeroblob(32), x'01', zeroblob(32), 450), (9, zeroblob(32), x'01', zeroblob(32), 999);"
	 "INSERT INTO executions VALUES ('e', 1, 'c', 'op', 100, NULL);"
	 "INSERT INTO connectors VALUES ('f', '/p', 'n', 'sha256:0', '1.0.0', 'linked', 5, 'm');"
	 "INSERT INTO binding_use VALUES ('p', 1);"
	 "INSERT INTO vault_seen VALUES ('v', 7);"
	 "INSERT INTO sessions VALUES ('s', 'agent', '/w', 1, NULL, NULL);"
	 "INSERT INTO person_tokens VALUES (8, zeroblob(32), 1, 2, NULL);",
	 "SELECT (SELECT group_concat(seq || ' ' || first_seq || ' ' || newest_ns || ' ' || (dropped_ns IS NULL), ', ')"
	 "	FROM (SELECT * FROM checkpoints ORDER BY seq))"
	 "	|| '; ' || (SELECT count(*) FROM audit) || (SELECT id FROM calls_open) || (SELECT name FROM "
	 "connectors)"
	 "	|| (SELECT path FROM binding_use) || (SELECT generation FROM vault_seen)"
	 "	|| (SELECT started_ns FROM sessions) || (SELECT id FROM person_tokens)",
	 "3 1 300 1, 4 4 400 1, 9 5 999 1; 4enp718"},
	{2, "INSERT INTO executions VALUES ('e', 1, 'c', 'op', 100, NULL), ('f', 2, 'c', 'op', 300, 400);",
	 "SELECT (SELECT last_used_ns FROM connector_use) || group_concat(id || connector || op || started_ns) FROM "
	 "calls_open",
	 "300ecop100"},
	{3, "", "SELECT count(*) FROM calls_open", "0"},
	{4, "INSERT INTO executions VALUES ('e', 1, 'c', 'op', 100, 200), ('f', 2, 'd', 'op', 300, NULL);",
	 "SELECT group_concat(connector || last_used_ns) || (SELECT group_concat(id) FROM calls_open) FROM "
	 "connector_use",
	 "c100,d300f"},
	{5,
	 "INSERT INTO sessions (id, agent, working_dir, started_ns, ended_ns)"
	 "	VALUES ('s', 'a', '/w', 1, 2), ('t', 'a', '/w', 1, NULL);",
	 "SELECT group_concat(id || final) FROM sessions", "s1,t0"},
	{6, "INSERT INTO person_tokens VALUES (8, zeroblob(32), 1, 2, NULL);",
	 "SELECT id || instance || '.' FROM person_tokens", "8."},
	{7,
	 "INSERT INTO audit (seq, audit_id, ts_ns, type, hash, text)"
	 "	VALUES (1, 'a', 1, 'run.started', zeroblob(32), '{}'), (2, 'b', 2, 'run.failed', zeroblob(32), '{}');",
	 "SELECT group_concat(seq) || (SELECT seq FROM audit INDEXED BY audit_by_type WHERE type = 'run.failed' "
	 "AND " SCHEMA_NOT_OF_A_CALL ") FROM audit",
	 "1,22"},
	{8,
	 "INSERT INTO runs (id, caller, caller_name, call_id, action, action_version, action_hash, args, state, "
	 "requested_ns)"
	 "	VALUES ('r', 'c', 'C', 'i', 'a', '1', 'h', '{}', 'running', 1);",
	 "SELECT group_concat(id || call_id) || (SELECT count(*) FROM joined_calls) FROM runs", "ri0"},
};

/* A database as the program of that version left it. */
static void make_version(int version, const char *fill)
{
	remove_files();
	sqlite3 *handle = NULL;
	assert_int_equal(sqlite3_open(NAME, &handle), SQLITE_OK);
	for (const struct schema_step *step = schema_steps; step->version <= version && step->sql != NULL; step++)
		assert_int_equal(sqlite3_exec(handle, step->sql, NULL, NULL, NULL), SQLITE_OK);
	if (version > 0) {
		AUTO_FREE char *numbers = xasprintf("PRAGMA application_id = %d; PRAGMA user_version = %d",
						    STORE_APPLICATION_ID, version);
		assert_int_equal(sqlite3_exec(handle, numbers, NULL, NULL, NULL), SQLITE_OK);
	}
	assert_int_equal(sqlite3_exec(handle, fill, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* Every table and index as SQL, so that two ways to the newest version can be compared. */
static void describe(struct db *db, char *ret, size_t room)
{
	struct db_tx *tx = db_read(db);
	struct db_stmt *stmt = db_stmt(tx, "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name");
	size_t n = 0;
	while (db_step(stmt, NULL) == 1)
		n += (size_t)snprintf(ret + n, room - n, "%.*s\n", STR_FMT(db_str(stmt, 0)));
	assert_true(n < room);
	db_finish(stmt);
	db_done(tx);
}

static void each_older_version_comes_up_with_its_data(void **state)
{
	(void)state;
	static char first[16384], other[16384];
	assert_int_equal(versions[ARRAY_LEN(versions) - 1].version, schema_newest() - 1);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		static struct err err;
		make_version(versions[i].version, versions[i].fill);
		AUTO(db) *db = db_open(&(struct db_options){.name = NAME}, &err);
		if (db == NULL)
			fail_msg("version %d: %s", versions[i].version, err.message);
		assert_int_equal(db_schema_version(db), schema_newest());
		assert_int_equal(db_check(db, &err), 0);
		struct db_tx *tx = db_read(db);
		struct db_stmt *stmt = db_stmt(tx, versions[i].ask);
		assert_int_equal(db_step(stmt, &err), 1);
		AUTO_FREE char *answer = str_dup(db_str(stmt, 0));
		assert_string_equal(answer, versions[i].answer);
		db_finish(stmt);
		db_done(tx);
		describe(db, i == 0 ? first : other, sizeof first);
		if (i > 0)
			assert_string_equal(first, other);
	}
}

static void a_step_that_fails_leaves_the_version_before(void **state)
{
	(void)state;
	/* A column that the second step adds is there already. */
	make_version(1,
		     "ALTER TABLE checkpoints ADD COLUMN newest_ns INTEGER; INSERT INTO vault_seen VALUES ('v', 7);");
	for (int again = 0; again < 2; again++) {
		struct err err = {0};
		assert_null(db_open(&(struct db_options){.name = NAME}, &err));
		assert_int_equal(err.class, ERR_STORE_ERROR);
		assert_non_null(strstr(err.message, "from schema 1 to 2"));
	}
	sqlite3 *handle = NULL;
	assert_int_equal(sqlite3_open(NAME, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, "ALTER TABLE checkpoints DROP COLUMN newest_ns", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
	AUTO(db) *db = db_open(&(struct db_options){.name = NAME}, NULL);
	assert_non_null(db);
}

/* SHA-256 of each step's SQL without white space: databases with it are out there. */
static const char *const released[] = {
	"8b2fbbb8d18644bda345a7133dc86fde61146792d31272a94ae5b14d8b3986db",
	"b1cd46ce4c16253218d5bbe1500de31ee9a30842971592d147199772277b1bfb",
	"3e8af651f905b9904e4711ad93ed623c4f96e4bc418719d6930576b69d0b3f96",
};

static void a_released_step_is_never_edited(void **state)
{
	(void)state;
	for (const struct schema_step *step = schema_steps; step->sql != NULL; step++) {
		assert_int_equal(step->version, step - schema_steps + 1);
		AUTO_FREE char *bare = xstrdup(step->sql);
		size_t n = 0;
		for (const char *p = step->sql; *p != '\0'; p++) {
			if (*p != ' ' && *p != '\t')
				bare[n++] = *p;
		}
		char hash[SHA256_HEX_TEXT_SIZE];
		if (step->version <= (int)ARRAY_LEN(released))
			assert_string_equal(sha256_hex(str_of(bare, n), hash), released[step->version - 1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_older_version_comes_up_with_its_data),
		cmocka_unit_test(a_step_that_fails_leaves_the_version_before),
		cmocka_unit_test(a_released_step_is_never_edited),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
