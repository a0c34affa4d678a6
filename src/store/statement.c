#include "store/connection.h"
#include <stdlib.h>

int store_fail(sqlite3 *handle, int code, struct err *err)
{
	const char *said = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
	int reason = handle != NULL ? sqlite3_system_errno(handle) : 0;
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return fail(err, ERR_DATABASE_CORRUPT, "the database is damaged (%s); run 'aileron doctor'", said);
	case SQLITE_FULL:
		return fail(err, ERR_STORE_ERROR, "no space is left for the database; free some and try again");
	case SQLITE_BUSY:
		return fail(err, ERR_STORE_ERROR, "another program keeps the database locked; end it and try again");
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		fail(err, ERR_STORE_ERROR, "the database cannot be read or written: %s%s%s", said,
		     reason != 0 ? ": " : "", reason != 0 ? strerror(reason) : "");
		if (err != NULL)
			err->os_errno = reason;
		return -1;
	default:
		return fail(err, ERR_STORE_ERROR, "the database failed: %s", said);
	}
}

static void prepare(struct db_stmt *stmt, const char *sql)
{
	unsigned flags = stmt->passing ? 0 : SQLITE_PREPARE_PERSISTENT;
	stmt->sql = sql;
	stmt->failed = sqlite3_prepare_v3(stmt->tx->handle, sql, -1, flags, &stmt->handle, NULL);
}

static void forget(struct db_stmt *stmt)
{
	sqlite3_finalize(stmt->handle);
	*stmt = (struct db_stmt){.tx = stmt->tx};
}

/* The place for a statement: the one that holds it, else a free one, else the first idle one near its own. */
static struct db_stmt *place_of(struct db_tx *tx, const char *sql)
{
	enum { NEAR = 8 };
	struct db_stmt *idle = NULL;
	size_t home = ((uintptr_t)sql >> 3) % STORE_STATEMENTS;
	for (size_t i = 0; i < NEAR; i++) {
		struct db_stmt *stmt = &tx->statements[(home + i) % STORE_STATEMENTS];
		if (stmt->busy)
			continue;
		if (stmt->sql == sql)
			return stmt;
		if (idle == NULL || (idle->sql != NULL && stmt->sql == NULL))
			idle = stmt;
	}
	return idle;
}

struct db_stmt *db_stmt(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = place_of(tx, sql);
	if (stmt == NULL) {
		stmt = NEW(struct db_stmt);
		stmt->passing = true;
	} else if (stmt->sql != sql || stmt->failed != SQLITE_OK) {
		stmt->tx = tx;
		forget(stmt);
	}
	stmt->tx = tx;
	if (stmt->handle == NULL)
		prepare(stmt, sql);
	stmt->busy = true;
	tx->unfinished++;
	return stmt;
}

void db_finish(struct db_stmt *stmt)
{
	if (stmt == NULL)
		return;
	stmt->tx->unfinished--;
	if (stmt->passing) {
		sqlite3_finalize(stmt->handle);
		free(stmt);
		return;
	}
	if (stmt->handle != NULL) {
		sqlite3_reset(stmt->handle);
		sqlite3_clear_bindings(stmt->handle);
	}
	stmt->busy = false;
	stmt->ended = false;
	stmt->bound = 0;
}

/* The next parameter, or 0 when nothing can be bound any more. */
static int next_parameter(struct db_stmt *stmt)
{
	return stmt->failed == SQLITE_OK ? ++stmt->bound : 0;
}

static void note(struct db_stmt *stmt, int code)
{
	if (stmt->failed == SQLITE_OK)
		stmt->failed = code;
}

/* A NULL pointer would bind NULL. */
static const char *bytes_of(struct str value)
{
	return value.n > 0 ? value.p : "";
}

void db_bind_str(struct db_stmt *stmt, struct str value)
{
	int at = next_parameter(stmt);
	if (at > 0)
		note(stmt,
		     sqlite3_bind_text64(stmt->handle, at, bytes_of(value), value.n, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void db_bind_blob(struct db_stmt *stmt, struct str value)
{
	int at = next_parameter(stmt);
	if (at > 0)
		note(stmt, sqlite3_bind_blob64(stmt->handle, at, bytes_of(value), value.n, SQLITE_TRANSIENT));
}

void db_bind_int(struct db_stmt *stmt, int64_t value)
{
	int at = next_parameter(stmt);
	if (at > 0)
		note(stmt, sqlite3_bind_int64(stmt->handle, at, value));
}

void db_bind_null(struct db_stmt *stmt)
{
	int at = next_parameter(stmt);
	if (at > 0)
		note(stmt, sqlite3_bind_null(stmt->handle, at));
}

void db_bind_str_given(struct db_stmt *stmt, struct str value)
{
	if (value.n > 0)
		db_bind_str(stmt, value);
	else
		db_bind_null(stmt);
}

void db_bind_blob_given(struct db_stmt *stmt, struct str value)
{
	if (value.n > 0)
		db_bind_blob(stmt, value);
	else
		db_bind_null(stmt);
}

void db_bind_time_given(struct db_stmt *stmt, uint64_t ns)
{
	if (ns > 0)
		db_bind_int(stmt, (int64_t)ns);
	else
		db_bind_null(stmt);
}

/* A full disk ends a transaction by itself; a job that writes on would write behind its own back. */
static bool has_lost_its_transaction(const struct db_tx *tx)
{
	return tx->in_job && sqlite3_get_autocommit(tx->handle) != 0;
}

int db_step(struct db_stmt *stmt, struct err *err)
{
	if (stmt->ended)
		return 0;
	if (has_lost_its_transaction(stmt->tx))
		return fail(err, ERR_STORE_ERROR, "a failure of the database before this has undone the transaction");
	if (stmt->failed == SQLITE_OK && stmt->bound != sqlite3_bind_parameter_count(stmt->handle))
		BUG("%d parameters are bound of '%s'", stmt->bound, stmt->sql);
	if (stmt->failed != SQLITE_OK)
		return store_fail(stmt->tx->handle, stmt->failed, err);
	int code = sqlite3_step(stmt->handle);
	if (code == SQLITE_ROW)
		return 1;
	stmt->ended = true;
	return code == SQLITE_DONE ? 0 : store_fail(stmt->tx->handle, code, err);
}

int64_t db_run(struct db_stmt *stmt, struct err *err)
{
	int got;
	while ((got = db_step(stmt, err)) == 1)
		;
	int64_t changed = got == 0 ? sqlite3_changes64(stmt->tx->handle) : -1;
	db_finish(stmt);
	return changed;
}

bool db_is_null(const struct db_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

struct str db_str(const struct db_stmt *stmt, int column)
{
	/* The text first: asking for it may convert the value, which changes how many bytes it has. */
	const unsigned char *text = sqlite3_column_text(stmt->handle, column);
	return str_of(text, (size_t)sqlite3_column_bytes(stmt->handle, column));
}

struct str db_blob(const struct db_stmt *stmt, int column)
{
	const void *bytes = sqlite3_column_blob(stmt->handle, column);
	return str_of(bytes, (size_t)sqlite3_column_bytes(stmt->handle, column));
}

int64_t db_int(const struct db_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->handle, column);
}

uint64_t db_time(const struct db_stmt *stmt, int column)
{
	return (uint64_t)db_int(stmt, column);
}

int store_exec(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = db_stmt(tx, sql);
	int code = stmt->failed;
	while (code == SQLITE_OK || code == SQLITE_ROW)
		code = sqlite3_step(stmt->handle);
	db_finish(stmt);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

void store_connection_release(struct db_tx *tx)
{
	for (size_t i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_finalize(TAKE(tx->statements[i].handle));
	if (sqlite3_close(TAKE(tx->handle)) != SQLITE_OK)
		BUG("a statement of the database was not finished");
}
