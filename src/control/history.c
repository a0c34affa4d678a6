#include "control/history.h"
#include "base/time.h"
#include "base/ulid.h"
#include <stdio.h>
#include <string.h>

/*
 * Ids begin with the time that they were made at, so that what is old lies at the beginning of the index by id: ?1 is the
 * id before which to look, ?2 the time by which it had ended, ?3 how many.
 */
#define OLD(table, ended) "(SELECT id FROM " table " WHERE id < ?1 AND " ended " < ?2 ORDER BY id LIMIT ?3)"

/* A session, which an agent over HTTP is itself, stays while somebody may still decide what it asked for. */
#define OLD_SESSIONS(table, ended)                                                                                     \
	"(SELECT id FROM " table " WHERE id < ?1 AND " ended " < ?2 AND id NOT IN"                                     \
	" (SELECT session FROM runs WHERE ended_ns IS NULL AND session IS NOT NULL) ORDER BY id LIMIT ?3)"

/* What belongs to runs goes before them. */
static const struct {
	const char *sql;
	bool of_runs;
} deletes[] = {
	{"DELETE FROM run_steps WHERE run IN " OLD("runs", "ended_ns"), true},
	{"DELETE FROM tasks WHERE run IN " OLD("runs", "ended_ns"), true},
	{"DELETE FROM runs WHERE id IN " OLD("runs", "ended_ns"), true},
	{"DELETE FROM grants WHERE id IN " OLD("grants", "ended_ns"), false},
	{"DELETE FROM sessions WHERE id IN " OLD_SESSIONS("sessions", "ended_ns"), false},
	{"DELETE FROM agents WHERE id IN " OLD_SESSIONS("agents", "revoked_ns"), false},
};

static void bind(struct db_stmt *stmt, const char *first_kept, uint64_t older_than_ns)
{
	db_bind_str(stmt, str_from(first_kept));
	db_bind_int(stmt, (int64_t)older_than_ns);
	db_bind_int(stmt, HISTORY_AT_ONCE);
}

#define BYTES(column) "coalesce(length(CAST(" column " AS BLOB)), 0)"
#define RUNS_SQL                                                                                                       \
	"SELECT id, " BYTES("args") " + " BYTES("bound") " + " BYTES("result") " + " BYTES("error") " + " BYTES(       \
		"preview") " FROM runs WHERE id IN " OLD("runs", "ended_ns") " ORDER BY id"

/* Deleted pages are overwritten, so that bytes are what a job takes time and log for: the first run that is too much stays. */
static int keep_within_bytes(struct db_tx *tx, uint64_t older_than_ns, char first_kept[ULID_SIZE], struct err *err)
{
	struct db_stmt *q = db_stmt(tx, RUNS_SQL);
	bind(q, first_kept, older_than_ns);
	int64_t bytes = 0;
	int got;
	for (bool first = true; (got = db_step(q, err)) == 1; first = false) {
		bytes += db_int(q, 1);
		if (first || bytes <= HISTORY_BYTES_AT_ONCE)
			continue;
		snprintf(first_kept, ULID_SIZE, "%.*s", STR_FMT(db_str(q, 0)));
		break;
	}
	db_finish(q);
	return got < 0 ? -1 : 0;
}

int64_t history_forget(struct db_tx *tx, uint64_t older_than_ns, struct err *err)
{
	static const unsigned char lowest[10];
	char first_kept[ULID_SIZE], first_run_kept[ULID_SIZE];
	ulid_format(older_than_ns / TIME_MILLISECOND, lowest, first_kept);
	memcpy(first_run_kept, first_kept, sizeof first_kept);
	if (keep_within_bytes(tx, older_than_ns, first_run_kept, err) < 0)
		return -1;
	int64_t all = 0;
	for (size_t i = 0; i < ARRAY_LEN(deletes); i++) {
		struct db_stmt *stmt = db_stmt(tx, deletes[i].sql);
		bind(stmt, deletes[i].of_runs ? first_run_kept : first_kept, older_than_ns);
		int64_t went = db_run(stmt, err);
		if (went < 0)
			return -1;
		all += went;
	}
	return all;
}
