#include "rows.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/schema.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVENTS = 4, EVENT_TEXT = 820, HASH = 32, HASH_TEXT = 71, RESULT_TEXT = 200 };

enum { BEGIN, LAST, EVENT, STEP, USE, RUN, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[LAST] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
	[EVENT] = "INSERT INTO audit (seq, audit_id, ts_ns, type, connector, action, hash, text)"
		  " VALUES (?1, printf('audit-%032x', ?1), ?1, ?2, ?3, 'look', ?4, ?5)",
	[STEP] = "INSERT INTO run_steps (run, step, attempt, name, connector, content_hash, op, effect, started_ns, "
		 "ended_ns)"
		 " VALUES (printf('%026d', ?1), 0, 1, 'say', ?2, ?3, 'echo', 'read', ?1, ?1)",
	[USE] = "INSERT INTO connector_use VALUES (?1, 1) ON CONFLICT (connector) DO UPDATE SET last_used_ns = 1 WHERE "
		"false",
	[RUN] = "INSERT INTO runs (id, caller, caller_name, session, working_dir, call_id, action, action_version, "
		"action_hash,"
		" args, state, requested_ns, claimed_ns, ended_ns, result, audit_id) VALUES (printf('%026d', ?1), "
		"printf('%026d', 1),"
		" 'bench', printf('%026d', 2), '/tmp', printf('%032d', ?1), 'look', '1.0.0', ?2, '{\"text\":\"hello, "
		"whoever reads"
		" this\"}', 'completed', ?1, ?1, ?1, ?3, printf('audit-%032x', ?1))",
	[COMMIT] = "COMMIT",
};
static const char *const types[EVENTS] = {"run.started", "execution.started", "execution.succeeded", "run.completed"};

struct rows {
	sqlite3 *handle;
	sqlite3_stmt *statements[STATEMENTS];
	sqlite3_int64 seq, runs;
	char event[EVENT_TEXT], hash[HASH], hash_text[HASH_TEXT], result[RESULT_TEXT];
};

static void must(struct rows *rows, bool fine)
{
	if (fine)
		return;
	fprintf(stderr, "bench: %s\n", sqlite3_errmsg(rows->handle));
	exit(1);
}

static void run_sql(struct rows *rows, const char *sql)
{
	must(rows, sqlite3_exec(rows->handle, sql, NULL, NULL, NULL) == SQLITE_OK);
}

struct rows *rows_open(const char *name)
{
	struct rows *rows = NEW(struct rows);
	must(rows, sqlite3_open(name, &rows->handle) == SQLITE_OK);
	run_sql(rows, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;"
		      " PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -1024");
	for (const struct schema_step *step = schema_steps; step->sql != NULL; step++)
		run_sql(rows, step->sql);
	for (size_t i = 0; i < STATEMENTS; i++)
		must(rows, sqlite3_prepare_v3(rows->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
					      &rows->statements[i], NULL) == SQLITE_OK);
	memset(rows->event, 'e', sizeof rows->event);
	memset(rows->hash, 7, sizeof rows->hash);
	memset(rows->hash_text, 'f', sizeof rows->hash_text);
	memset(rows->result, 'r', sizeof rows->result);
	return rows;
}

static sqlite3_stmt *bound(struct rows *rows, int which, sqlite3_int64 number)
{
	sqlite3_stmt *stmt = rows->statements[which];
	sqlite3_bind_int64(stmt, 1, number);
	return stmt;
}

#define BIND(stmt, at, bytes) sqlite3_bind_text(stmt, at, bytes, sizeof(bytes), SQLITE_STATIC)

static void step(struct rows *rows, int which, int code)
{
	must(rows, sqlite3_step(rows->statements[which]) == code);
	sqlite3_reset(rows->statements[which]);
}

static void put_event(struct rows *rows, int i)
{
	static const char connector[] = {"github://acme/fixture"};
	sqlite3_stmt *stmt = bound(rows, EVENT, ++rows->seq);
	sqlite3_bind_text(stmt, 2, types[i], -1, SQLITE_STATIC);
	if (i == 1 || i == 2)
		BIND(stmt, 3, connector);
	else
		sqlite3_bind_null(stmt, 3);
	sqlite3_bind_blob(stmt, 4, rows->hash, sizeof rows->hash, SQLITE_STATIC);
	BIND(stmt, 5, rows->event);
	step(rows, EVENT, SQLITE_DONE);
}

void rows_write(struct rows *rows)
{
	step(rows, BEGIN, SQLITE_DONE);
	step(rows, LAST, rows->seq == 0 ? SQLITE_DONE : SQLITE_ROW);
	for (int i = 0; i < EVENTS; i++)
		put_event(rows, i);
	sqlite3_stmt *stmt = bound(rows, STEP, ++rows->runs);
	BIND(stmt, 2, rows->hash_text);
	BIND(stmt, 3, rows->hash_text);
	step(rows, STEP, SQLITE_DONE);
	BIND(rows->statements[USE], 1, rows->hash_text);
	step(rows, USE, SQLITE_DONE);
	stmt = bound(rows, RUN, rows->runs);
	BIND(stmt, 2, rows->hash_text);
	BIND(stmt, 3, rows->result);
	step(rows, RUN, SQLITE_DONE);
	step(rows, COMMIT, SQLITE_DONE);
}

void rows_close(struct rows *rows)
{
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(rows->statements[i]);
	sqlite3_close(rows->handle);
	free(rows);
}
