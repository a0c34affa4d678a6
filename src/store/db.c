#include "store/db.h"
#include "base/buf.h"
#include "store/connection.h"
#include "store/schema.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define READERS_DEFAULT 8
#define BUSY_MS         5000 /* only another program can hold a lock that we wait for */
#define PAGE_SIZE       4096
#define VALUE_MAX       (64 << 20) /* bytes of a text or blob */

struct db {
	char *name;
	const char *vfs;
	bool read_only;
	int version;
	struct db_tx *write_tx; /* NULL when read_only */
	struct writer *writer;
	_Atomic uint64_t writes; /* twice the writer's transactions; odd while one is open */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t returned;
	struct db_tx *free;
	struct db_tx *readers[DB_READERS_MAX];
	size_t opened, opening, most;
};

/* ------------------------------------------------------------------------------------------------------ connections */

static int set_up_connection(struct db_tx *tx)
{
	static const char *const pragmas[] = {
		"PRAGMA temp_store = MEMORY", /* our VFS makes no other files */
		"PRAGMA foreign_keys = ON",   "PRAGMA cell_size_check = ON",
		"PRAGMA cache_size = -1024",  "PRAGMA page_size = 4096", /* of a new file */
	};
	sqlite3_busy_timeout(tx->handle, BUSY_MS);
	sqlite3_limit(tx->handle, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_db_config(tx->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(tx->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	int code = SQLITE_OK;
	for (size_t i = 0; i < ARRAY_LEN(pragmas) && code == SQLITE_OK; i++)
		code = store_exec(tx, pragmas[i]);
	return code;
}

static void connection_free(struct db_tx *tx)
{
	if (tx == NULL)
		return;
	store_connection_release(tx);
	free(tx);
}

/*
 * Header fields that every file of ours has alike (SQLite file format, 1.3), big-endian. SQLite itself takes another value
 * for another way to read the pages, or opens for reading alone.
 */
static const struct header_field {
	unsigned at, n;
	uint32_t least, most;
} header_fields[] = {
	{16, 2, PAGE_SIZE, PAGE_SIZE},
	{18, 1, 1, 2}, /* write and read version: 1 until the log is chosen, then 2 */
	{19, 1, 1, 2},
	{20, 1, 0, 0}, /* bytes reserved in each page */
	{44, 4, 0, 4}, /* schema format, 0 until there is a table */
	{56, 4, 0, 1}, /* UTF-8, 0 until there is a table */
};

static bool header_is_ours(const unsigned char *header)
{
	for (size_t i = 0; i < ARRAY_LEN(header_fields); i++) {
		const struct header_field *field = &header_fields[i];
		uint32_t value = 0;
		for (unsigned k = 0; k < field->n; k++)
			value = value << 8 | header[field->at + k];
		if (value < field->least || value > field->most)
			return false;
	}
	return true;
}

static sqlite3_file *file_of(struct db_tx *tx, int which)
{
	sqlite3_file *file = NULL;
	if (sqlite3_file_control(tx->handle, "main", which, &file) != SQLITE_OK || file == NULL)
		return NULL;
	return file->pMethods != NULL ? file : NULL;
}

static int look_at_header(struct db_tx *tx, struct err *err)
{
	unsigned char header[100];
	sqlite3_int64 size = 0;
	sqlite3_file *file = file_of(tx, SQLITE_FCNTL_FILE_POINTER);
	int code = file != NULL ? file->pMethods->xFileSize(file, &size) : SQLITE_CANTOPEN;
	if (code == SQLITE_OK && size >= (sqlite3_int64)sizeof header)
		code = file->pMethods->xRead(file, header, sizeof header, 0);
	if (code != SQLITE_OK)
		return store_fail(NULL, code, err);
	if (size > 0 && (size < (sqlite3_int64)sizeof header || !header_is_ours(header)))
		return fail(err, ERR_DATABASE_CORRUPT, "the database is damaged (its header)");
	return 0;
}

static struct db_tx *connection_new(struct db *db, int mode, struct err *err)
{
	struct db_tx *tx = NEW(struct db_tx);
	tx->db = db;
	int flags = mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
	int code = sqlite3_open_v2(db->name, &tx->handle, flags, db->vfs);
	int made = code == SQLITE_OK ? look_at_header(tx, err) : store_fail(tx->handle, code, err);
	if (made == 0 && (code = set_up_connection(tx)) != SQLITE_OK)
		made = store_fail(tx->handle, code, err);
	if (made == 0)
		return tx;
	connection_free(tx);
	return NULL;
}

/* The one integer that a statement gives. */
static int read_int(struct db_tx *tx, const char *sql, int64_t *ret, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, sql);
	int got = db_step(stmt, err);
	if (got == 1)
		*ret = db_int(stmt, 0);
	db_finish(stmt);
	return got == 1 ? 0 : -1;
}

/* ---------------------------------------------------------------------------------------------------------- schema */

/*
 * SQLite fills a last page that is cut up with zeros, and takes pages behind those that the header counts for free room.
 * It may be that a power loss came while the log was being taken into the file; then the log still has them.
 */
static int look_at_end(struct db_tx *tx, struct err *err)
{
	int64_t pages = 0;
	sqlite3_int64 size = 0, log_size = 0;
	if (read_int(tx, "PRAGMA page_count", &pages, err) != 0)
		return -1;
	sqlite3_file *file = file_of(tx, SQLITE_FCNTL_FILE_POINTER), *log = file_of(tx, SQLITE_FCNTL_JOURNAL_POINTER);
	int code = file != NULL ? file->pMethods->xFileSize(file, &size) : SQLITE_CANTOPEN;
	if (code == SQLITE_OK && log != NULL)
		code = log->pMethods->xFileSize(log, &log_size);
	if (code != SQLITE_OK)
		return store_fail(NULL, code, err);
	if (size % PAGE_SIZE != 0 && log_size == 0)
		return fail(err, ERR_DATABASE_CORRUPT, "the database is damaged (its last page is cut)");
	if (pages * PAGE_SIZE != size && log_size == 0)
		return fail(err, ERR_DATABASE_CORRUPT, "the database is damaged (its header counts %lld pages of %lld)",
			    (long long)pages, (long long)(size / PAGE_SIZE));
	return 0;
}

/* Whose file it is and of which version, before anything is changed. Version 0 is an empty file. */
static int identify(struct db *db, struct db_tx *tx, struct err *err)
{
	int64_t application = 0, version = 0, objects = 0;
	if (read_int(tx, "PRAGMA application_id", &application, err) != 0 ||
	    read_int(tx, "PRAGMA user_version", &version, err) != 0 ||
	    read_int(tx, "SELECT count(*) FROM sqlite_schema", &objects, err) != 0 || look_at_end(tx, err) != 0)
		return -1;
	bool empty = application == 0 && version == 0 && objects == 0;
	if (!empty && (application != STORE_APPLICATION_ID || version < 1))
		return fail(err, ERR_DATABASE_CORRUPT, "the database is damaged (it is not one of aileron's)");
	if (version > schema_newest())
		return fail(
			err, ERR_DATABASE_NEWER,
			"the database is of schema %lld and this program knows %d: install the version that wrote it, "
			"or move the file away to start with an empty one; nothing was changed",
			(long long)version, schema_newest());
	db->version = (int)version;
	return 0;
}

/* The log, and how durable a commit is. */
static int choose_journal(struct db_tx *tx, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "PRAGMA journal_mode = WAL");
	int got = db_step(stmt, err);
	bool wal = got == 1 && str_eq(db_str(stmt, 0), S("wal"));
	db_finish(stmt);
	if (got == 1 && !wal)
		return fail(err, ERR_STORE_ERROR, "the database cannot keep a write-ahead log here");
	static const char *const pragmas[] = {
		"PRAGMA synchronous = FULL",
		"PRAGMA secure_delete = ON",            /* what retention drops is gone from the file too */
		"PRAGMA journal_size_limit = 16777216", /* of four thousand pages, after which they are taken over */
		"PRAGMA wal_autocheckpoint = 4000",
	};
	for (size_t i = 0; i < ARRAY_LEN(pragmas) && got == 1; i++) {
		int code = store_exec(tx, pragmas[i]);
		if (code != SQLITE_OK)
			return store_fail(tx->handle, code, err);
	}
	return got == 1 ? 0 : -1;
}

static int take_step(struct db_tx *tx, const struct schema_step *step, struct err *err)
{
	AUTO_FREE char *sql =
		xasprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
			  step->sql, STORE_APPLICATION_ID, step->version);
	int code = sqlite3_exec(tx->handle, sql, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		return 0;
	store_fail(tx->handle, code, err);
	sqlite3_exec(tx->handle, "ROLLBACK", NULL, NULL, NULL);
	return wrap(err, "taking the database from schema %d to %d (%s)", step->version - 1, step->version,
		    step->about);
}

static int bring_up_to_date(struct db *db, struct db_tx *tx, struct err *err)
{
	for (const struct schema_step *step = schema_steps; step->sql != NULL; step++) {
		if (step->version <= db->version)
			continue;
		if (take_step(tx, step, err) != 0)
			return -1;
		db->version = step->version;
	}
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------- opening */

static int open_writer(struct db *db, struct err *err)
{
	struct db_tx *tx = db->write_tx = connection_new(db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
	if (tx == NULL)
		return -1;
	/* Until it is known to be ours, closing must not write into it either. */
	sqlite3_db_config(tx->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (identify(db, tx, err) != 0)
		return -1;
	sqlite3_db_config(tx->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (choose_journal(tx, err) != 0 || bring_up_to_date(db, tx, err) != 0)
		return -1;
	db->writer = writer_start(tx, err);
	return db->writer != NULL ? 0 : -1;
}

static struct db_tx *open_reader(struct db *db, struct err *err)
{
	struct db_tx *tx = connection_new(db, SQLITE_OPEN_READONLY, err);
	if (tx != NULL)
		sqlite3_db_config(tx->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, db->read_only, NULL);
	return tx;
}

static int open_first_reader(struct db *db, struct err *err)
{
	struct db_tx *tx = open_reader(db, err);
	if (tx == NULL)
		return -1;
	db->free = db->readers[db->opened++] = tx;
	if (!db->read_only)
		return 0;
	if (identify(db, tx, err) != 0)
		return -1;
	if (db->version != schema_newest())
		return fail(err, ERR_STORE_ERROR,
			    "the database is of schema %d; start the daemon once to bring it to %d", db->version,
			    schema_newest());
	return 0;
}

/* What the user can do with a file that is refused. */
static int explain(const char *name, struct err *err)
{
	if (err != NULL && err->class == ERR_DATABASE_CORRUPT) {
		static const char advice[] =
			"; put a copy in its place, or move it and its '-wal' away to start with an "
			"empty one; nothing was changed";
		size_t n = strcspn(err->message, ";");
		snprintf(err->message + n, sizeof err->message - n, "%s", advice);
	}
	return wrap(err, "opening '%s'", name);
}

struct db *db_open(const struct db_options *options, struct err *err)
{
	struct db *db = NEW(struct db);
	db->name = xstrdup(options->name);
	db->vfs = options->vfs != NULL ? options->vfs : store_vfs();
	db->read_only = options->read_only;
	db->most = options->readers == 0 ? READERS_DEFAULT : MIN(options->readers, DB_READERS_MAX);
	pthread_mutex_init(&db->lock, NULL);
	pthread_cond_init(&db->returned, NULL);
	int opened = -1;
	if (db->name[0] == '\0' || strchr(db->name, '/') != NULL)
		fail(err, ERR_STORE_ERROR, "the name of a database is that of a file in the working directory");
	else if (db->read_only || open_writer(db, err) == 0)
		opened = open_first_reader(db, err);
	if (opened == 0)
		return db;
	explain(db->name, err);
	db_close(db);
	return NULL;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	writer_stop(db->writer);
	for (size_t i = 0; i < db->opened; i++)
		connection_free(db->readers[i]);
	/* The last: it takes the log into the file. */
	connection_free(db->write_tx);
	pthread_cond_destroy(&db->returned);
	pthread_mutex_destroy(&db->lock);
	free(db->name);
	free(db);
}

int db_schema_version(const struct db *db)
{
	return db->version;
}

/* ---------------------------------------------------------------------------------------------------------- writing */

int db_write(struct db *db, db_job *job, void *user, struct err *err)
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	return writer_run(db->writer, job, user, false, err);
}

struct db_pending *db_write_begin(struct db *db, db_job *job, void *user, struct err *err)
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	return writer_begin(db->writer, job, user, false, err);
}

int db_write_relaxed(struct db *db, db_job *job, void *user, struct err *err)
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	return writer_run(db->writer, job, user, true, err);
}

struct db_pending *db_write_begin_relaxed(struct db *db, db_job *job, void *user, struct err *err)
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	return writer_begin(db->writer, job, user, true, err);
}

void db_write_later(struct db *db, db_job *job, void *user, void (*done)(void *user, const struct err *err))
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	writer_run_later(db->writer, job, user, done, false);
}

void db_write_later_relaxed(struct db *db, db_job *job, void *user, void (*done)(void *user, const struct err *err))
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	writer_run_later(db->writer, job, user, done, true);
}

void db_on_commit(struct db *db, void (*committed)(void *user), void *user)
{
	if (db->writer == NULL)
		BUG("the database is open for reading");
	writer_on_commit(db->writer, committed, user);
}

/* ---------------------------------------------------------------------------------------------------------- reading */

/*
 * Opens one more, with the lock held at both ends but not meanwhile. When that fails those that are open must do: there
 * is one at least since db_open().
 */
static struct db_tx *open_another(struct db *db)
{
	db->opening++;
	pthread_mutex_unlock(&db->lock);
	struct db_tx *tx = open_reader(db, NULL);
	pthread_mutex_lock(&db->lock);
	db->opening--;
	if (tx != NULL)
		db->readers[db->opened++] = tx;
	else
		db->most = MAX(db->opened, 1);
	return tx;
}

static struct db_tx *take_reader(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	struct db_tx *tx = NULL;
	while (tx == NULL) {
		if (db->free != NULL) {
			tx = db->free;
			db->free = tx->next;
		} else if (db->opened + db->opening < db->most) {
			tx = open_another(db);
		} else {
			pthread_cond_wait(&db->returned, &db->lock);
		}
	}
	pthread_mutex_unlock(&db->lock);
	return tx;
}

/*
 * A reader that is free keeps its snapshot for whoever reads next, until something is written: taking one is more work than
 * most reads. A transaction begins with the end of those that are kept, for it may want to begin the log anew; one that was
 * taken while it was open is not kept, for another reader may have seen more meanwhile.
 */
static void end_snapshot(struct db_tx *tx)
{
	tx->kept = false;
	/* A failed statement may have ended the transaction already. */
	if (sqlite3_get_autocommit(tx->handle) == 0 && store_exec(tx, "ROLLBACK") != SQLITE_OK)
		BUG("a reader of the database cannot end: %s", sqlite3_errmsg(tx->handle));
}

static bool can_keep(const struct db_tx *tx)
{
	int code = sqlite3_errcode(tx->handle);
	return tx->db->writer != NULL && tx->writes % 2 == 0 && sqlite3_get_autocommit(tx->handle) == 0 &&
	       (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE);
}

void store_write_begins(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	atomic_fetch_add(&db->writes, 1);
	for (struct db_tx *tx = db->free; tx != NULL; tx = tx->next) {
		if (tx->kept)
			end_snapshot(tx);
	}
	pthread_mutex_unlock(&db->lock);
}

void store_write_ended(struct db *db)
{
	atomic_fetch_add(&db->writes, 1);
}

struct db_tx *db_read(struct db *db)
{
	struct db_tx *tx = take_reader(db);
	uint64_t writes = atomic_load(&db->writes);
	if (tx->kept && tx->writes == writes) {
		tx->kept = false;
		return tx;
	}
	if (tx->kept)
		end_snapshot(tx);
	tx->writes = writes;
	/* Takes no lock yet, and cannot fail but for memory: the snapshot is of the first statement. */
	if (store_exec(tx, "BEGIN") != SQLITE_OK)
		BUG("a reader of the database cannot begin: %s", sqlite3_errmsg(tx->handle));
	return tx;
}

void db_done(struct db_tx *tx)
{
	if (tx == NULL)
		return;
	if (tx->unfinished != 0)
		BUG("a reader of the database left %u statements unfinished", tx->unfinished);
	struct db *db = tx->db;
	pthread_mutex_lock(&db->lock);
	/* A transaction that has begun meanwhile has not found this one. */
	bool keep = tx->writes == atomic_load(&db->writes) && can_keep(tx);
	if (!keep) {
		pthread_mutex_unlock(&db->lock);
		end_snapshot(tx);
		pthread_mutex_lock(&db->lock);
	}
	tx->kept = keep;
	tx->next = db->free;
	db->free = tx;
	pthread_cond_signal(&db->returned);
	pthread_mutex_unlock(&db->lock);
}

/* --------------------------------------------------------------------------------------------------------- checking */

static int collect_findings(struct db_tx *tx, struct buf *findings, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "PRAGMA integrity_check(5)");
	int got;
	while ((got = db_step(stmt, err)) == 1) {
		if (!str_eq(db_str(stmt, 0), S("ok")))
			buf_addf(findings, "%s%.*s", findings->n > 0 ? "; " : "", STR_FMT(db_str(stmt, 0)));
	}
	db_finish(stmt);
	if (got != 0)
		return -1;
	stmt = db_stmt(tx, "PRAGMA foreign_key_check");
	got = db_step(stmt, err);
	if (got == 1)
		buf_addf(findings, "%sa row of '%.*s' names one that is not there", findings->n > 0 ? "; " : "",
			 STR_FMT(db_str(stmt, 0)));
	db_finish(stmt);
	return got < 0 ? -1 : 0;
}

int db_check(struct db *db, struct err *err)
{
	AUTO_BUF findings = BUF_INIT(4096);
	struct db_tx *tx = db_read(db);
	int read = collect_findings(tx, &findings, err);
	db_done(tx);
	if (read != 0 || findings.n == 0)
		return read;
	return fail(err, ERR_DATABASE_CORRUPT,
		    "the database is damaged: %s; stop the daemon and put a copy of '%s' in its place", findings.p,
		    db->name);
}
