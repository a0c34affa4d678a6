/*
 * connection: what the files of the store share; nobody else includes it
 *
 * A connection is one SQLite handle with its prepared statements, used by one thread at a time: the writer's for good, a
 * reader's between db_read() and db_done().
 */
#pragma once
#include "store/db.h"
#include <sqlite3.h>

/* "aile": the application id in the header of our files (SQLite file format, 1.3). */
#define STORE_APPLICATION_ID 0x61696c65

/* More statements than a connection keeps are prepared anew at each use; a job of the daemon has far fewer. */
#define STORE_STATEMENTS 256

struct db_stmt {
	struct db_tx *tx;
	sqlite3_stmt *handle;
	const char *sql; /* NULL = a free place of the cache */
	int bound;       /* parameters so far */
	int failed;      /* the first failure of preparing or binding, SQLITE_OK = none; told by the next step */
	bool busy;       /* between db_stmt() and db_finish() */
	bool ended;      /* no further rows */
	bool passing;    /* not of the cache: freed when finished */
};

struct db_tx {
	struct db *db;
	sqlite3 *handle;
	unsigned unfinished; /* statements */
	bool in_job;         /* the writer's, while one runs: it must be within its transaction */
	uint64_t version;    /* db_tx_version() of the writer's */
	struct db_tx *next;  /* of the free readers */
	uint64_t writes;     /* a reader's: as of before its snapshot */
	bool kept;           /* a free reader's: it has its snapshot still; under the database's lock */
	struct db_stmt statements[STORE_STATEMENTS];
};

/* Fills err from a result code and what SQLite says of it. -1. */
int store_fail(sqlite3 *handle, int code, struct err *err);
/* A statement without parameters or rows whose outcome is a result code. */
int store_exec(struct db_tx *tx, const char *sql);
/* Finalizes the cached statements and closes. NULL handles are fine. */
void store_connection_release(struct db_tx *tx);

/* Around each transaction of the writer: no reader keeps what it reads meanwhile, nor takes up what it has read before. */
void store_write_begins(struct db *db);
void store_write_ended(struct db *db);

/* Our VFS over the system's, registered at the first call: vfs.c says what it changes. */
const char *store_vfs(void);
/* The same over another one that is registered, for disks that fail. One a program, after store_vfs(). */
const char *store_vfs_over(const char *below);

/* Who writes (writer.c), and the thread that does when nobody waits. `tx` is its connection, open and ready. */
struct writer;
struct writer *writer_start(struct db_tx *tx, struct err *err) __attribute__((warn_unused_result));
void writer_stop(struct writer *writer); /* does what waits first; NULL is fine */
int writer_run(struct writer *writer, db_job *job, void *user, bool relaxed, struct err *err)
	__attribute__((warn_unused_result));
struct db_pending *writer_begin(struct writer *writer, db_job *job, void *user, bool relaxed, struct err *err);
void writer_run_later(struct writer *writer, db_job *job, void *user, void (*done)(void *user, const struct err *err),
		      bool relaxed);
void writer_on_commit(struct writer *writer, void (*committed)(void *user), void *user);
