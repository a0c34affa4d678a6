/*
 * db: the one database, SQLite in WAL mode, written by one at a time and read by many
 *
 * Everything that changes the database is a job: a function that is called within a transaction, one job at a time, on the
 * thread of whoever waits for one or on the writer's own; static data of jobs is theirs in turn. Jobs that wait while a
 * commit runs share the next one (group commit); one that fails is undone alone. db_write() returns when the job's
 * transaction is committed and on disk (synchronous = FULL): what it answered is not lost by a kill nor by a power loss.
 * Readers have connections of their own, see the last commit, and never wait for the writer. db_write_relaxed() promises
 * less.
 *
 * Schema: numbered steps (schema.h), applied at opening, each in a transaction of its own. A file that is newer is
 * DATABASE_NEWER; one that is no database or fails its check is DATABASE_CORRUPT, and nothing is changed; both say what to do.
 *
 * File names are relative to the working directory and may not contain '/': the process may be in an empty root. Secure
 * against power loss as SQLite is; tests open it over a file system of their own (vfs) that forgets what was not synced.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>

#define DB_READERS_MAX 64

struct db;
struct db_options {
	const char *name; /* "aileron.db" */
	const char *vfs;  /* NULL = ours over the system's */
	size_t readers;   /* connections for readers; 0 = 8 */
	bool read_only;   /* for `doctor`: no writer, no schema step */
};

struct db *db_open(const struct db_options *options, struct err *err) __attribute__((warn_unused_result));
/* Finishes what waits; every other call has returned. NULL is fine. */
void db_close(struct db *db);
static inline void db_free(struct db *db)
{
	db_close(db);
}
DEFINE_AUTO(db, db_free)
int db_schema_version(const struct db *db);
/* SQLite's integrity and foreign key checks: 0, or DATABASE_CORRUPT with the first findings. Any thread; takes a while. */
int db_check(struct db *db, struct err *err) __attribute__((warn_unused_result));

/* A connection within a transaction: of the writer in a job, or of a reader between db_read() and db_done(). */
struct db_tx;
typedef int db_job(struct db_tx *tx, void *user, struct err *err);
/*
 * Of a job's transaction, for whoever remembers what is in the database: as long as this number is the same, the same
 * transaction goes on and nothing that was written in it has been undone. Never 0, and no other transaction of the process
 * has it.
 */
uint64_t db_tx_version(const struct db_tx *tx);

/*
 * Any thread, but not in a job. -1: the job's own error, and nothing of it was written; or STORE_ERROR, when the
 * transaction failed as a whole: nothing of it can be read, though after a crash that follows at once it may be there.
 */
int db_write(struct db *db, db_job *job, void *user, struct err *err) __attribute__((warn_unused_result));
/* The same in two parts, for who has something to do meanwhile; `user` and `err` are the writer's until db_write_end(). */
struct db_pending;
struct db_pending *db_write_begin(struct db *db, db_job *job, void *user, struct err *err)
	__attribute__((warn_unused_result));
/*
 * One that may be lost with the power, though not with a kill: it is in the file when db_write_relaxed() says 0, and synced with
 * the next commit of a job that is not relaxed and writes, which never comes without it. A commit of relaxed jobs alone costs no sync.
 */
int db_write_relaxed(struct db *db, db_job *job, void *user, struct err *err) __attribute__((warn_unused_result));
/*
 * The same in two parts, for a job that another one follows soon: it is run and committed with that one, or after 5 ms, or when
 * it is waited for.
 */
struct db_pending *db_write_begin_relaxed(struct db *db, db_job *job, void *user, struct err *err)
	__attribute__((warn_unused_result));
int db_write_end(struct db_pending *pending) __attribute__((warn_unused_result));
/* Takes back a job that was not begun: true, and `pending` is gone; false: it goes on as before. */
bool db_write_withdraw(struct db_pending *pending) __attribute__((warn_unused_result));
/*
 * For whoever may not wait (an event loop): `done` is called on the thread that wrote after the commit, with err NULL, or
 * after the failure. `user` lives until then; `done` may be NULL. Jobs are run in the order in which they came, however
 * they came; one that nobody waits for is run with the next that somebody does wait for, or after 5 ms; a relaxed one at once,
 * when nobody writes.
 */
void db_write_later(struct db *db, db_job *job, void *user, void (*done)(void *user, const struct err *err));
void db_write_later_relaxed(struct db *db, db_job *job, void *user, void (*done)(void *user, const struct err *err));
/*
 * `committed` is called on the thread that wrote after each commit in which a job took part, before those who wait for it are
 * answered: for whoever follows what is written. It must not wait. NULL = nobody; when set later, the call that is under
 * way may still be of the one before.
 */
void db_on_commit(struct db *db, void (*committed)(void *user), void *user);
/*
 * A snapshot for reading; waits when all readers are taken. It is kept for the next reader until something is written: another
 * program that wants to take the log into the file may have to wait for that. Never NULL. Any thread; ends with db_done() on
 * the same one.
 */
struct db_tx *db_read(struct db *db);
void db_done(struct db_tx *tx); /* NULL is fine */

/*
 * Statements. `sql` is a literal (its address is the key of the cache of prepared ones). Bind in order, step, read columns
 * from 0, finish. A failure in a bind is told by the next step. Text and blobs are copied when bound, borrowed when read,
 * until the next step.
 *
 *     struct db_stmt *q = db_stmt(tx, "SELECT a, b FROM t WHERE c = ?");
 *     db_bind_str(q, name);
 *     while ((got = db_step(q, err)) == 1)
 *             use(db_str(q, 0), db_int(q, 1));
 *     db_finish(q);
 */
struct db_stmt;
struct db_stmt *db_stmt(struct db_tx *tx, const char *sql) __attribute__((returns_nonnull, warn_unused_result));
void db_bind_str(struct db_stmt *stmt, struct str value); /* text */
void db_bind_blob(struct db_stmt *stmt, struct str value);
void db_bind_int(struct db_stmt *stmt, int64_t value);
void db_bind_null(struct db_stmt *stmt);
/* What is not given is NULL: an empty string, a time that is 0. */
void db_bind_str_given(struct db_stmt *stmt, struct str value);
void db_bind_blob_given(struct db_stmt *stmt, struct str value);
void db_bind_time_given(struct db_stmt *stmt, uint64_t ns);
int db_step(struct db_stmt *stmt, struct err *err) __attribute__((warn_unused_result)); /* 1 a row, 0 no more, -1 */
void db_finish(struct db_stmt *stmt);                                                   /* NULL is fine */
bool db_is_null(const struct db_stmt *stmt, int column);
struct str db_str(const struct db_stmt *stmt, int column);
struct str db_blob(const struct db_stmt *stmt, int column);
int64_t db_int(const struct db_stmt *stmt, int column);
uint64_t db_time(const struct db_stmt *stmt, int column); /* NULL = 0 */
/* A statement without rows; the number of rows that it changed, or -1. */
int64_t db_run(struct db_stmt *stmt, struct err *err) __attribute__((warn_unused_result)); /* finishes it */
