#include "control/history.h"
#include "base/time.h"
#include "base/ulid.h"

/*
 * Ids begin with the time that they were made at, so that what is old lies at the beginning of the index by id: ?1 is the
 * id before which to look, ?2 the time by which it had ended, ?3 how many.
 */
#define OLD(table, ended) "(SELECT id FROM " table " WHERE id < ?1 AND " ended " < ?2 ORDER BY id LIMIT ?3)"

/* What belongs to runs goes before them. */
static const char *const deletes[] = {
	"DELETE FROM run_steps WHERE run IN " OLD("runs", "ended_ns"),
	"DELETE FROM tasks WHERE run IN " OLD("runs", "ended_ns"),
	"DELETE FROM runs WHERE id IN " OLD("runs", "ended_ns"),
	"DELETE FROM grants WHERE id IN " OLD("grants", "ended_ns"),
	"DELETE FROM sessions WHERE id IN " OLD("sessions", "ended_ns"),
	"DELETE FROM agents WHERE id IN " OLD("agents", "revoked_ns"),
};

int64_t history_forget(struct db_tx *tx, uint64_t older_than_ns, struct err *err)
{
	static const unsigned char lowest[10];
	char first_kept[ULID_SIZE];
	ulid_format(older_than_ns / TIME_MILLISECOND, lowest, first_kept);
	int64_t all = 0;
	for (size_t i = 0; i < ARRAY_LEN(deletes); i++) {
		struct db_stmt *stmt = db_stmt(tx, deletes[i]);
		db_bind_str(stmt, str_from(first_kept));
		db_bind_int(stmt, (int64_t)older_than_ns);
		db_bind_int(stmt, HISTORY_AT_ONCE);
		int64_t went = db_run(stmt, err);
		if (went < 0)
			return -1;
		all += went;
	}
	return all;
}
