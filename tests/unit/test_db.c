/*
 * The database: jobs that wait share a commit, one that fails undoes itself alone, what db_write() answered is there for
 * every reader and after reopening, and files that are not ours, newer or damaged are refused unchanged.
 */
#include "store/connection.h"
#include "store/db.h"
#include "store/schema.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include "skips.h"

#define NAME "aileron.db"

static char folder[] = "/tmp/aileron-db-XXXXXX";

static void remove_files(void)
{
	static const char *const names[] = {NAME,      NAME "-wal",   NAME "-shm", NAME "-journal",
					    "copy.db", "copy.db-wal", "other"};
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

static int start_anew(void **state)
{
	(void)state;
	remove_files();
	return 0;
}

static struct db *must_open(const char *vfs)
{
	static struct err err;
	err_clear(&err);
	struct db *db = db_open(&(struct db_options){.name = NAME, .vfs = vfs}, &err);
	if (db == NULL)
		fail_msg("%s", err.message);
	return db;
}

/* The use of a binding is the simplest table there is: a name and a number. */
struct put {
	const char *path;
	int64_t value;
	int result; /* what the job says after it has written */
};

static int put_job(struct db_tx *tx, void *user, struct err *err)
{
	const struct put *put = user;
	struct db_stmt *stmt = db_stmt(tx, "INSERT INTO binding_use (path, last_used_ns) VALUES (?, ?)");
	db_bind_str(stmt, str_from(put->path));
	db_bind_int(stmt, put->value);
	if (db_run(stmt, err) < 0)
		return -1;
	return put->result == 0 ? 0 : (fail)(err, ERR_CONFLICT, "'%s' is not wanted", put->path);
}

static int put(struct db *db, const char *path, int64_t value, int result, struct err *err)
{
	struct put put = {path, value, result};
	return db_write(db, put_job, &put, err);
}

static int64_t ask(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = db_stmt(tx, sql);
	assert_int_equal(db_step(stmt, NULL), 1);
	int64_t value = db_int(stmt, 0);
	db_finish(stmt);
	return value;
}

static int64_t ask_db(struct db *db, const char *sql)
{
	struct db_tx *tx = db_read(db);
	int64_t value = ask(tx, sql);
	db_done(tx);
	return value;
}

#define ROWS "SELECT count(*) FROM binding_use"

/* -------------------------------------------------------------------------------------------------- files and schema */

static void a_new_database_is_private_and_of_the_newest_schema(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	assert_int_equal(db_schema_version(db), schema_newest());
	assert_int_equal(ask_db(db, "PRAGMA application_id"), STORE_APPLICATION_ID);
	assert_int_equal(ask_db(db, "PRAGMA user_version"), schema_newest());
	assert_int_equal(put(db, "a", 1, 0, NULL), 0);
	static const char *const names[] = {NAME, NAME "-wal", NAME "-shm"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct stat status;
		assert_int_equal(stat(names[i], &status), 0);
		assert_int_equal(status.st_mode & 0777, 0600);
	}
	assert_int_equal(db_check(db, NULL), 0);
}

static int see_pragmas(struct db_tx *tx, void *user, struct err *err)
{
	(void)user, (void)err;
	assert_int_equal(ask(tx, "PRAGMA synchronous"), 2);
	assert_int_equal(ask(tx, "PRAGMA foreign_keys"), 1);
	assert_int_equal(ask(tx, "PRAGMA secure_delete"), 1);
	assert_int_equal(ask(tx, "PRAGMA temp_store"), 2);
	struct db_stmt *stmt = db_stmt(tx, "PRAGMA journal_mode");
	assert_int_equal(db_step(stmt, NULL), 1);
	assert_true(str_eq(db_str(stmt, 0), S("wal")));
	db_finish(stmt);
	return 0;
}

static void the_writer_is_as_durable_as_it_says(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	assert_int_equal(db_write(db, see_pragmas, NULL, NULL), 0);
}

static void what_was_written_is_there_after_reopening(void **state)
{
	(void)state;
	struct db *db = must_open(NULL);
	assert_int_equal(put(db, "a", 17, 0, NULL), 0);
	db_close(db);
	assert_int_equal(access(NAME "-wal", F_OK), -1);
	db = must_open(NULL);
	assert_int_equal(ask_db(db, "SELECT last_used_ns FROM binding_use WHERE path = 'a'"), 17);
	db_close(db);
}

static void names_are_of_the_working_directory(void **state)
{
	(void)state;
	static const char *const names[] = {"", "/tmp/x.db", "a/b", "../x"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err err = {0};
		assert_null(db_open(&(struct db_options){.name = names[i]}, &err));
		assert_int_equal(err.class, ERR_STORE_ERROR);
	}
	assert_int_equal(symlink("other", NAME), 0);
	struct err err = {0};
	assert_null(db_open(&(struct db_options){.name = NAME}, &err));
	assert_int_equal(err.class, ERR_STORE_ERROR);
	assert_int_equal(access("other", F_OK), -1);
}

/* As in an empty root: no name of the working directory, nothing outside it. */
static void neither_the_folders_name_nor_another_is_needed(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
		if (filter == NULL || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(getcwd), 0) != 0 ||
		    seccomp_load(filter) != 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || chroot(".") != 0)
			_exit(77);
		struct db *db = db_open(&(struct db_options){.name = NAME}, NULL);
		bool good =
			db != NULL && access("/dev/urandom", F_OK) != 0 && put(db, "a", 1, 0, NULL) == 0 &&
			ask_db(db, "SELECT count(*) FROM (SELECT path, random() AS r FROM binding_use ORDER BY r)") ==
				1;
		db_close(db);
		_exit(good ? 0 : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_because("no user namespaces here");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_reader_opens_beside_the_writer_and_not_an_older_file(void **state)
{
	(void)state;
	struct db_options reading = {.name = NAME, .read_only = true};
	struct err err = {0};
	assert_null(db_open(&reading, &err));
	assert_int_equal(err.class, ERR_STORE_ERROR);
	assert_int_equal(access(NAME, F_OK), -1);

	struct db *db = must_open(NULL);
	assert_int_equal(put(db, "a", 1, 0, NULL), 0);
	struct db *other = db_open(&reading, &err);
	assert_non_null(other);
	assert_int_equal(ask_db(other, ROWS), 1);
	assert_int_equal(db_check(other, &err), 0);
	db_close(other);
	assert_int_equal(put(db, "b", 1, 0, NULL), 0);
	db_close(db);

	other = db_open(&reading, &err);
	assert_non_null(other);
	assert_int_equal(ask_db(other, ROWS), 2);
	db_close(other);
}

/* ----------------------------------------------------------------------------------------------------------- writing */

static void a_job_that_fails_undoes_itself_alone(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct err err = {0};
	assert_int_equal(put(db, "a", 1, 0, &err), 0);
	assert_int_equal(put(db, "b", 2, -1, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_string_equal(err.message, "'b' is not wanted");
	/* Its own error is told when a statement fails, and the connection is as good as before. */
	err_clear(&err);
	assert_int_equal(put(db, "a", 3, 0, &err), -1);
	assert_int_equal(err.class, ERR_STORE_ERROR);
	assert_non_null(strstr(err.message, "UNIQUE"));
	assert_int_equal(put(db, "c", 4, 0, &err), 0);
	assert_int_equal(ask_db(db, ROWS), 2);
}

/* Jobs of one group: the writer is held in a first job until all others wait. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool entered, open;
	unsigned told_well, told_badly;
	bool fails; /* after it has written */
};

static int gate_job(struct db_tx *tx, void *user, struct err *err)
{
	struct gate *gate = user;
	pthread_mutex_lock(&gate->lock);
	gate->entered = true;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
	struct put put = {"gate", 0, -1};
	return gate->fails ? put_job(tx, &put, err) : 0;
}

static void wait_until_entered(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->entered)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

static struct gate *told_gate;

static void count_told(void *user, const struct err *err)
{
	const struct put *put = user;
	pthread_mutex_lock(&told_gate->lock);
	if (err == NULL) {
		assert_int_equal(put->result, 0);
		told_gate->told_well++;
	} else {
		assert_int_equal(err->class, put->result == 0 ? ERR_STORE_ERROR : ERR_CONFLICT);
		told_gate->told_badly++;
	}
	pthread_cond_broadcast(&told_gate->changed);
	pthread_mutex_unlock(&told_gate->lock);
}

static void count_nothing(void *user, const struct err *err)
{
	(void)user;
	assert_null(err);
}

static atomic_int log_syncs;
static int (*true_sync)(sqlite3_file *file, int flags);
static sqlite3_vfs *true_vfs;

static int count_sync(sqlite3_file *file, int flags)
{
	atomic_fetch_add(&log_syncs, 1);
	return true_sync(file, flags);
}

static atomic_int locks;
static int (*true_lock)(sqlite3_file *file, int at, int n, int flags);

static int count_lock(sqlite3_file *file, int at, int n, int flags)
{
	atomic_fetch_add(&locks, 1);
	return true_lock(file, at, n, flags);
}

/* Every file of the log gets a sync that counts, and the database's own locks of the log's index that do. */
static int open_counting(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	int code = true_vfs->xOpen(true_vfs, name, file, flags, ret_flags);
	if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
		static sqlite3_io_methods counting;
		true_sync = file->pMethods->xSync;
		counting = *file->pMethods;
		counting.xSync = count_sync;
		file->pMethods = &counting;
	}
	if (code == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0) {
		static sqlite3_io_methods counting;
		true_lock = file->pMethods->xShmLock;
		counting = *file->pMethods;
		counting.xShmLock = count_lock;
		file->pMethods = &counting;
	}
	return code;
}

static const char *counting_vfs(void)
{
	static sqlite3_vfs vfs;
	if (vfs.zName == NULL) {
		true_vfs = sqlite3_vfs_find(store_vfs());
		vfs = *true_vfs;
		vfs.zName = "counting";
		vfs.pNext = NULL;
		vfs.xOpen = open_counting;
		sqlite3_vfs_register(&vfs, 0);
	}
	return vfs.zName;
}

static int note_thread(struct db_tx *tx, void *user, struct err *err)
{
	(void)tx, (void)err;
	*(pthread_t *)user = pthread_self();
	return 0;
}

static void who_waits_alone_writes_himself(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	pthread_t wrote;
	struct err err = {0};
	assert_int_equal(db_write(db, note_thread, &wrote, &err), 0);
	assert_true(pthread_equal(wrote, pthread_self()));
	assert_int_equal(db_write_relaxed(db, note_thread, &wrote, &err), 0);
	assert_true(pthread_equal(wrote, pthread_self()));
	/* What nobody waits for yet is the thread's, unless it is waited for first. */
	struct db_pending *pending = db_write_begin_relaxed(db, note_thread, &wrote, &err);
	assert_int_equal(db_write_end(pending), 0);
}

static void a_write_in_two_parts_leaves_its_caller_time(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	struct put good = {"good", 1, 0}, bad = {"bad", 2, -1};
	static struct err errs[3];
	struct db_pending *first = db_write_begin(db, gate_job, &gate, &errs[0]);
	struct db_pending *second = db_write_begin(db, put_job, &good, &errs[1]);
	struct db_pending *third = db_write_begin(db, put_job, &bad, &errs[2]);
	assert_int_equal(ask_db(db, "SELECT count(*) FROM binding_use"), 0);
	open_gate(&gate);
	assert_int_equal(db_write_end(third), -1);
	assert_int_equal(errs[2].class, ERR_CONFLICT);
	assert_int_equal(db_write_end(second), 0);
	assert_int_equal(ask_db(db, "SELECT last_used_ns FROM binding_use WHERE path = 'good'"), 1);
	assert_int_equal(db_write_end(first), 0);
	assert_int_equal(ask_db(db, "SELECT count(*) FROM binding_use"), 1);
}

static void jobs_that_wait_share_a_commit(void **state)
{
	(void)state;
	enum { JOBS = 200 };
	AUTO(db) *db = must_open(counting_vfs());
	assert_int_equal(put(db, "first", 0, 0, NULL), 0);
	struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	told_gate = &gate;
	db_write_later(db, gate_job, &gate, count_nothing);
	wait_until_entered(&gate);

	static char names[JOBS][16];
	static struct put puts[JOBS];
	for (size_t i = 0; i < JOBS; i++) {
		snprintf(names[i], sizeof names[i], "%zu", i);
		puts[i] = (struct put){names[i], (int64_t)i, i % 3 == 1 ? -1 : 0};
		db_write_later(db, put_job, &puts[i], count_told);
	}
	int before = atomic_load(&log_syncs);
	pthread_mutex_lock(&gate.lock);
	gate.open = true;
	pthread_cond_broadcast(&gate.changed);
	while (gate.told_well + gate.told_badly < JOBS)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	assert_int_equal(gate.told_well, 133);
	assert_int_equal(gate.told_badly, 67);
	assert_int_equal(atomic_load(&log_syncs) - before, 1);
	assert_int_equal(ask_db(db, ROWS), 134);
	assert_int_equal(ask_db(db, "SELECT count(*) FROM binding_use WHERE last_used_ns % 3 = 1"), 0);
}

static int put_relaxed(struct db *db, const char *path)
{
	struct put put = {path, 1, 0};
	return db_write_relaxed(db, put_job, &put, NULL);
}

/* The one that has no savepoint of its own. */
static void the_first_job_of_a_commit_is_undone_alone_too(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .fails = true};
	struct err errs[4] = {0};
	struct db_pending *first = db_write_begin(db, gate_job, &gate, &errs[0]);
	wait_until_entered(&gate);
	struct put puts[] = {{"second", 1, -1}, {"third", 2, 0}, {"fourth", 3, -1}};
	struct db_pending *others[3];
	for (size_t i = 0; i < 3; i++)
		others[i] = db_write_begin(db, put_job, &puts[i], &errs[i + 1]);
	open_gate(&gate);
	assert_int_equal(db_write_end(first), -1);
	assert_int_equal(errs[0].class, ERR_CONFLICT);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(db_write_end(others[i]), puts[i].result);
	assert_int_equal(ask_db(db, ROWS), 1);
	assert_int_equal(ask_db(db, "SELECT last_used_ns FROM binding_use WHERE path = 'third'"), 2);
	assert_int_equal(put(db, "fifth", 4, 0, NULL), 0);
}

/* Read by everybody at once, and synced by whoever needs it next. */
static void a_relaxed_write_costs_no_sync(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(counting_vfs());
	assert_int_equal(put(db, "first", 0, 0, NULL), 0);
	int before = atomic_load(&log_syncs);
	assert_int_equal(put_relaxed(db, "a"), 0);
	assert_int_equal(put_relaxed(db, "b"), 0);
	assert_int_equal(atomic_load(&log_syncs), before);
	assert_int_equal(ask_db(db, ROWS), 3);
	assert_int_equal(put(db, "c", 1, 0, NULL), 0);
	assert_int_equal(atomic_load(&log_syncs) - before, 1);
	assert_int_equal(put_relaxed(db, "d"), 0);
	assert_int_equal(atomic_load(&log_syncs) - before, 1);
	assert_int_equal(put(db, "e", 1, 0, NULL), 0);
	assert_int_equal(atomic_load(&log_syncs) - before, 2);
	assert_int_equal(ask_db(db, ROWS), 6);
}

static void post_told(void *user, const struct err *err)
{
	assert_null(err);
	atomic_fetch_add((atomic_int *)user, 1);
}

static int put_any(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return db_run(db_stmt(tx, "INSERT INTO binding_use SELECT 'later-' || count(*), 1 FROM binding_use"), err) < 0
		       ? -1
		       : 0;
}

static void a_relaxed_write_that_nobody_waits_for_costs_no_sync_either(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(counting_vfs());
	assert_int_equal(put(db, "first", 0, 0, NULL), 0);
	int before = atomic_load(&log_syncs);
	static atomic_int told;
	atomic_store(&told, 0);
	for (int i = 1; i <= 5; i++) {
		db_write_later_relaxed(db, put_any, &told, post_told);
		while (i % 2 == 0 && atomic_load(&told) < i)
			sched_yield();
		AUTO_FREE char *path = xasprintf("%d", i);
		assert_int_equal(put_relaxed(db, path), 0);
	}
	while (atomic_load(&told) < 5)
		sched_yield();
	assert_int_equal(atomic_load(&log_syncs), before);
	assert_int_equal(ask_db(db, ROWS), 11);
}

/* Nobody reads, and the last who did saw an older state: the log can be taken into the file, and begun anew. */
static void who_has_read_holds_up_no_log(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	assert_int_equal(put(db, "a", 1, 0, NULL), 0);
	struct db_tx *tx = db_read(db);
	assert_int_equal(ask(tx, ROWS), 1);
	assert_int_equal(put(db, "b", 1, 0, NULL), 0);
	db_done(tx);
	sqlite3 *other = NULL;
	int frames = -1, taken = -1;
	assert_int_equal(sqlite3_open(NAME, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, ROWS, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_wal_checkpoint_v2(other, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &taken),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

static void count_commit(void *user)
{
	atomic_fetch_add((atomic_int *)user, 1);
}

/* More than the cache holds, so that pages go to the log before the commit; and some of those once more. */
static int outgrow_job(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	struct db_stmt *fill =
		db_stmt(tx, "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)"
			    " INSERT INTO binding_use SELECT printf('%0900d', i), 1 FROM n");
	if (db_run(fill, err) < 0)
		return -1;
	struct db_stmt *change =
		db_stmt(tx, "UPDATE binding_use SET last_used_ns = 2 WHERE path < printf('%0900d', 9)");
	return db_run(change, err) < 0 ? -1 : 0;
}

static void a_relaxed_write_that_outgrows_the_cache_outlives_a_kill(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err = {0};
		struct db *db = db_open(&(struct db_options){.name = NAME}, &err);
		_exit(db != NULL && db_write_relaxed(db, outgrow_job, NULL, &err) == 0 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	AUTO(db) *db = must_open(NULL);
	assert_int_equal(ask_db(db, "SELECT count(*) FROM binding_use"), 3000);
	assert_int_equal(ask_db(db, "SELECT count(*) FROM binding_use WHERE last_used_ns = 2"), 9);
}

/* Committed with the one that follows; and whoever waits for it alone has it too, a little later. */
static void a_relaxed_write_shares_the_next_commit(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(counting_vfs());
	atomic_int commits = 0;
	struct put a = {"a", 1, 0}, b = {"b", 1, 0}, c = {"c", 1, 0}, d = {"d", 1, 0};
	db_on_commit(db, count_commit, &commits);
	struct db_pending *first = db_write_begin_relaxed(db, put_job, &a, NULL);
	assert_int_equal(db_write_relaxed(db, put_job, &b, NULL), 0);
	assert_int_equal(db_write_end(first), 0);
	assert_int_equal(ask_db(db, ROWS), 2);
	assert_in_range(atomic_load(&commits), 1, 2); /* two when this thread was away for longer than it lingers */
	assert_int_equal(db_write_end(db_write_begin_relaxed(db, put_job, &c, NULL)), 0);
	assert_int_equal(ask_db(db, ROWS), 3);
	/* One that must be on disk takes what lingers before it along. */
	int before = atomic_load(&log_syncs);
	first = db_write_begin_relaxed(db, put_job, &d, NULL);
	assert_int_equal(put(db, "e", 1, 0, NULL), 0);
	assert_int_equal(atomic_load(&log_syncs) - before, 1);
	assert_int_equal(db_write_end(first), 0);
	assert_int_equal(ask_db(db, ROWS), 5);
}

static void who_follows_is_told_of_commits(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	atomic_int commits = 0;
	db_on_commit(db, count_commit, &commits);
	assert_int_equal(put(db, "a", 1, 0, NULL), 0);
	assert_int_equal(atomic_load(&commits), 1);
	assert_int_equal(put(db, "b", 1, -1, NULL), -1);
	assert_int_equal(put(db, "c", 1, 0, NULL), 0);
	assert_int_equal(atomic_load(&commits), 2);
	db_on_commit(db, NULL, NULL);
	assert_int_equal(put(db, "d", 1, 0, NULL), 0);
	assert_int_equal(atomic_load(&commits), 2);
}

static void what_waits_is_done_before_closing(void **state)
{
	(void)state;
	static struct put puts[50];
	static char names[50][16];
	struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	told_gate = &gate;
	struct db *db = must_open(NULL);
	for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
		snprintf(names[i], sizeof names[i], "%zu", i);
		puts[i] = (struct put){names[i], 1, 0};
		db_write_later(db, put_job, &puts[i], i % 2 == 0 ? count_told : NULL);
	}
	db_close(db);
	assert_int_equal(gate.told_well, 25);
	db = must_open(NULL);
	assert_int_equal(ask_db(db, ROWS), 50);
	db_close(db);
}

/* Eight write, each row seen by its writer as soon as it is answered, while others read counts that never shrink. */
enum { WRITERS = 8, ROWS_EACH = 50, READERS = 4 };

struct crowd {
	struct db *db;
	int number;
	atomic_int *writing;
};

static void *write_rows(void *context)
{
	struct crowd *self = context;
	for (int i = 0; i < ROWS_EACH; i++) {
		AUTO_FREE char *path = xasprintf("%d-%d", self->number, i);
		if (put(self->db, path, i, i % 10 == 9 ? -1 : 0, NULL) != (i % 10 == 9 ? -1 : 0))
			BUG("row '%s' was answered wrongly", path);
		struct db_tx *tx = db_read(self->db);
		struct db_stmt *stmt = db_stmt(tx, "SELECT last_used_ns FROM binding_use WHERE path = ?");
		db_bind_str(stmt, str_from(path));
		if (db_step(stmt, NULL) != (i % 10 == 9 ? 0 : 1))
			BUG("row '%s' is not as it was answered", path);
		db_finish(stmt);
		db_done(tx);
	}
	atomic_fetch_sub(self->writing, 1);
	return NULL;
}

static void *read_rows(void *context)
{
	struct crowd *self = context;
	int64_t last = 0;
	while (atomic_load(self->writing) > 0) {
		struct db_tx *tx = db_read(self->db);
		int64_t first = ask(tx, ROWS), second = ask(tx, ROWS);
		if (first != second || first < last)
			BUG("a snapshot changed, or went back");
		last = first;
		db_done(tx);
	}
	return NULL;
}

static void many_write_and_read_at_once(void **state)
{
	(void)state;
	struct db_options few = {.name = NAME, .readers = 3};
	AUTO(db) *db = db_open(&few, NULL);
	assert_non_null(db);
	atomic_int writing = WRITERS;
	struct crowd crowd[WRITERS + READERS];
	pthread_t threads[WRITERS + READERS];
	for (int i = 0; i < WRITERS + READERS; i++) {
		crowd[i] = (struct crowd){db, i, &writing};
		assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_rows : read_rows, &crowd[i]), 0);
	}
	for (int i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ask_db(db, ROWS), WRITERS * ROWS_EACH * 9 / 10);
	assert_int_equal(db_check(db, NULL), 0);
}

/* ------------------------------------------------------------------------------------------------------------ snapshots */

static void a_reader_keeps_its_snapshot_until_a_commit(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(counting_vfs());
	assert_int_equal(put(db, "a", 1, 0, NULL), 0);
	assert_int_equal(ask_db(db, ROWS), 1);
	int before = atomic_load(&locks);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask_db(db, ROWS), 1);
	assert_int_equal(atomic_load(&locks), before);
	/* Of two readers, each sees what was answered, whichever is asked first. */
	struct db_tx *one = db_read(db), *other = db_read(db);
	assert_int_equal(ask(other, ROWS), 1);
	db_done(one);
	assert_int_equal(put(db, "b", 1, 0, NULL), 0);
	assert_int_equal(ask(other, ROWS), 1);
	assert_int_equal(ask_db(db, ROWS), 2);
	db_done(other);
	assert_int_equal(ask_db(db, ROWS), 2);
	/* A job that is undone commits nothing; a relaxed one does. */
	assert_int_equal(put(db, "c", 1, -1, NULL), -1);
	assert_int_equal(ask_db(db, ROWS), 2);
	assert_int_equal(put_relaxed(db, "d"), 0);
	assert_int_equal(ask_db(db, ROWS), 3);
}

static void a_statement_that_fails_leaves_a_reader_whole(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	assert_int_equal(put(db, "a", 1, 0, NULL), 0);
	for (int i = 0; i < 3; i++) {
		struct db_tx *tx = db_read(db);
		struct db_stmt *wrong = db_stmt(tx, "SELECT nothing FROM nowhere");
		assert_int_equal(db_step(wrong, NULL), -1);
		db_finish(wrong);
		db_done(tx);
		assert_int_equal(ask_db(db, ROWS), 1 + i);
		AUTO_FREE char *path = xasprintf("row %d", i);
		assert_int_equal(put(db, path, 1, 0, NULL), 0);
	}
}

static int grow_job(struct db_tx *tx, void *user, struct err *err)
{
	if (db_run(db_stmt(tx, "DELETE FROM binding_use"), err) < 0)
		return -1;
	return outgrow_job(tx, user, err);
}

/* The log begins anew, although there are readers who have read something each time. */
static void snapshots_that_are_kept_do_not_hold_the_log(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct stat log;
	off_t most = 0;
	for (int i = 0; i < 30; i++) { /* about 1,400 pages each */
		struct db_tx *one = db_read(db), *other = db_read(db);
		(void)ask(one, ROWS);
		(void)ask(other, ROWS);
		db_done(one);
		db_done(other);
		assert_int_equal(db_write(db, grow_job, NULL, NULL), 0);
		assert_int_equal(stat(NAME "-wal", &log), 0);
		most = MAX(most, log.st_size);
	}
	assert_in_range(most, 4 << 20, 40 << 20);
	assert_int_equal(ask_db(db, ROWS), 3000);
}

/* ---------------------------------------------------------------------------------------------------------------- ahead */

struct ahead {
	struct put put;
	pthread_t wrote;
	atomic_bool told;
	int result;
};

static int ahead_job(struct db_tx *tx, void *user, struct err *err)
{
	struct ahead *ahead = user;
	ahead->wrote = pthread_self();
	return put_job(tx, &ahead->put, err);
}

static void note_end(void *user, const struct err *err)
{
	struct ahead *ahead = user;
	ahead->result = err == NULL ? 0 : -1;
	atomic_store(&ahead->told, true);
}

static void await(atomic_bool *what)
{
	while (!atomic_load(what))
		sched_yield();
}

/* By the thread and at once, when it need not be synced: whoever waits for something comes behind it. */
static void what_nobody_waits_for_is_done_ahead(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(counting_vfs());
	assert_int_equal(put(db, "first", 0, 0, NULL), 0);
	for (int i = 0; i < 20; i++) {
		AUTO_FREE char *path = xasprintf("ahead %d", i), *next = xasprintf("next %d", i);
		struct ahead ahead = {.put = {path, 1, 0}};
		int before = atomic_load(&log_syncs);
		db_write_later_relaxed(db, ahead_job, &ahead, note_end);
		await(&ahead.told);
		assert_int_equal(ahead.result, 0);
		assert_false(pthread_equal(ahead.wrote, pthread_self()));
		assert_int_equal(atomic_load(&log_syncs), before);
		assert_int_equal(put(db, next, 1, 0, NULL), 0);
		assert_int_equal(atomic_load(&log_syncs) - before, 1);
	}
	assert_int_equal(ask_db(db, ROWS), 41);
}

/* After a while, when nothing else comes and it is to be synced. */
static void what_nobody_waits_for_is_committed_by_itself(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct ahead ahead = {.put = {"a", 1, 0}}, bad = {.put = {"b", 1, -1}}, good = {.put = {"c", 1, 0}};
	db_write_later(db, ahead_job, &ahead, note_end);
	await(&ahead.told);
	assert_int_equal(ask_db(db, ROWS), 1);
	/* One that fails undoes itself alone, first or not. */
	db_write_later(db, ahead_job, &bad, note_end);
	await(&bad.told);
	assert_int_equal(bad.result, -1);
	bad.told = false;
	db_write_later(db, ahead_job, &good, note_end);
	db_write_later(db, ahead_job, &bad, note_end);
	await(&good.told);
	await(&bad.told);
	assert_int_equal(bad.result, -1);
	assert_int_equal(good.result, 0);
	assert_int_equal(ask_db(db, ROWS), 2);
}

/* A start that may be withdrawn is left for its end, though another job came behind it that nobody waits for. */
static void what_may_be_withdrawn_is_not_done_ahead(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	bool withdrawn = false;
	for (int i = 0; i < 1000 && !withdrawn; i++) {
		AUTO_FREE char *path = xasprintf("start %d", i), *later = xasprintf("later %d", i);
		struct put start = {path, 1, 0};
		struct ahead ahead = {.put = {later, 1, 0}};
		struct db_pending *pending = db_write_begin_relaxed(db, put_job, &start, NULL);
		db_write_later_relaxed(db, ahead_job, &ahead, note_end);
		withdrawn = db_write_withdraw(pending);
		if (!withdrawn)
			assert_int_equal(db_write_end(pending), 0);
		await(&ahead.told);
	}
	assert_true(withdrawn);
}

/* -------------------------------------------------------------------------------------------------------- statements */

#define BYTES                                                                                                          \
	S("0123456789abcdef\0\xff"                                                                                     \
	  "23456789abcdef")

static int keep_values(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	struct db_stmt *stmt = db_stmt(tx, "INSERT INTO person_tokens (hash, issued_ns, expires_ns) VALUES (?, ?, ?)");
	db_bind_blob(stmt, BYTES);
	db_bind_int(stmt, INT64_MAX);
	db_bind_int(stmt, INT64_MIN);
	if (db_run(stmt, err) != 1)
		return -1;
	stmt = db_stmt(tx,
		       "INSERT INTO sessions (id, agent, working_dir, started_ns, ended_ns) VALUES (?, ?, ?, ?, ?)");
	db_bind_str(stmt, STR_EMPTY);
	db_bind_str(stmt, S("\xc3\xa9"));
	db_bind_str(stmt, S("two\nlines"));
	db_bind_int(stmt, 0);
	db_bind_null(stmt);
	return db_run(stmt, err) == 1 ? 0 : -1;
}

static void values_come_back_as_they_were_bound(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct err err = {0};
	assert_int_equal(db_write(db, keep_values, NULL, &err), 0);
	struct db_tx *tx = db_read(db);
	struct db_stmt *stmt =
		db_stmt(tx, "SELECT hash, issued_ns, expires_ns, revoked_ns, zeroblob(0) FROM person_tokens");
	assert_int_equal(db_step(stmt, &err), 1);
	assert_true(str_eq(db_blob(stmt, 0), BYTES));
	assert_int_equal(db_int(stmt, 1), INT64_MAX);
	assert_int_equal(db_int(stmt, 2), INT64_MIN);
	assert_true(db_is_null(stmt, 3));
	assert_false(db_is_null(stmt, 4));
	assert_int_equal(db_blob(stmt, 4).n, 0);
	assert_int_equal(db_step(stmt, &err), 0);
	assert_int_equal(db_step(stmt, &err), 0);
	db_finish(stmt);
	stmt = db_stmt(tx, "SELECT id, agent, working_dir, ended_ns FROM sessions");
	assert_int_equal(db_step(stmt, &err), 1);
	assert_false(db_is_null(stmt, 0));
	assert_int_equal(db_str(stmt, 0).n, 0);
	assert_true(str_eq(db_str(stmt, 1), S("\xc3\xa9")));
	assert_true(str_eq(db_str(stmt, 2), S("two\nlines")));
	assert_true(db_is_null(stmt, 3));
	db_finish(stmt);
	db_done(tx);
}

static void what_is_not_given_is_null(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct err err = {0};
	struct db_tx *tx = db_read(db);
	struct db_stmt *stmt = db_stmt(tx, "SELECT ?, ?, ?, ?, ?, ?");
	db_bind_str_given(stmt, STR_EMPTY);
	db_bind_blob_given(stmt, STR_EMPTY);
	db_bind_time_given(stmt, 0);
	db_bind_str_given(stmt, S("text"));
	db_bind_blob_given(stmt, BYTES);
	db_bind_time_given(stmt, 1);
	assert_int_equal(db_step(stmt, &err), 1);
	for (int column = 0; column < 6; column++)
		assert_int_equal(db_is_null(stmt, column), column < 3);
	assert_int_equal(db_time(stmt, 2), 0);
	assert_true(str_eq(db_str(stmt, 3), S("text")));
	assert_true(str_eq(db_blob(stmt, 4), BYTES));
	assert_int_equal(db_time(stmt, 5), 1);
	db_finish(stmt);
	db_done(tx);
}

static void a_wrong_statement_is_told_at_its_step(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct err err = {0};
	struct db_tx *tx = db_read(db);
	for (int again = 0; again < 2; again++) {
		struct db_stmt *stmt = db_stmt(tx, "SELECT nothing FROM nowhere WHERE a = ?");
		db_bind_int(stmt, 1);
		err_clear(&err);
		assert_int_equal(db_step(stmt, &err), -1);
		assert_int_equal(err.class, ERR_STORE_ERROR);
		db_finish(stmt);
		/* One parameter too many. */
		stmt = db_stmt(tx, "SELECT ?");
		db_bind_int(stmt, 1);
		db_bind_int(stmt, 2);
		assert_int_equal(db_step(stmt, &err), -1);
		db_finish(stmt);
		stmt = db_stmt(tx, "DELETE FROM audit");
		assert_int_equal(db_run(stmt, &err), -1);
	}
	assert_int_equal(ask(tx, ROWS), 0);
	db_done(tx);
}

/* One statement may be under way several times, and more than the cache holds may be. */
static void statements_may_be_nested(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct db_tx *tx = db_read(db);
	static struct db_stmt *open[3 * STORE_STATEMENTS];
	static const char sql[] = "SELECT ? + 1";
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_LEN(open); i++) {
			open[i] = db_stmt(tx, sql);
			db_bind_int(open[i], (int64_t)i);
		}
		for (size_t i = 0; i < ARRAY_LEN(open); i++) {
			assert_int_equal(db_step(open[i], NULL), 1);
			assert_int_equal(db_int(open[i], 0), i + 1);
		}
		for (size_t i = 0; i < ARRAY_LEN(open); i++)
			db_finish(open[(i * 7 + 3) % ARRAY_LEN(open)]);
	}
	db_done(tx);
}

/* ----------------------------------------------------------------------------------------------------------- refusals */

static void copy_file(const char *from, const char *to)
{
	static char bytes[4 << 20];
	AUTO_FD in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_FD out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = read(in, bytes, sizeof bytes);
	assert_true(n >= 0 && n < (ssize_t)sizeof bytes);
	assert_int_equal(write(out, bytes, (size_t)n), n);
}

static bool same_bytes(const char *one, const char *other)
{
	static char a[4 << 20], b[4 << 20];
	AUTO_FD first = open(one, O_RDONLY | O_CLOEXEC);
	AUTO_FD second = open(other, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(first, a, sizeof a);
	return n >= 0 && read(second, b, sizeof b) == n && memcmp(a, b, (size_t)n) == 0;
}

static void fill(int rows)
{
	AUTO(db) *db = must_open(NULL);
	for (int i = 0; i < rows; i++) {
		AUTO_FREE char *path = xasprintf("connector/some-quite-long-name-of-an-entry/%d", i);
		assert_int_equal(put(db, path, i, 0, NULL), 0);
	}
}

/* What lies ahead is zeros, which are no part of any commit: the files as a killed process leaves them have every row. */
static void the_log_grows_ahead_of_what_is_written(void **state)
{
	(void)state;
	AUTO(db) *db = must_open(NULL);
	struct stat log;
	assert_int_equal(stat(NAME "-wal", &log), 0);
	off_t size = log.st_size;
	assert_int_equal(size % (64 << 10), 0);
	int rows = 0;
	for (int growths = 0; growths < 3;) {
		AUTO_FREE char *path = xasprintf("%d", rows++);
		assert_int_equal(put(db, path, 1, 0, NULL), 0);
		assert_int_equal(stat(NAME "-wal", &log), 0);
		if (log.st_size == size)
			continue;
		assert_int_equal(log.st_size, size + MIN(size, 1 << 20));
		size = log.st_size;
		growths++;
	}
	copy_file(NAME, "copy.db");
	copy_file(NAME "-wal", "copy.db-wal");
	AUTO(db) *copy = db_open(&(struct db_options){.name = "copy.db"}, NULL);
	assert_non_null(copy);
	assert_int_equal(ask_db(copy, ROWS), rows);
	assert_int_equal(db_check(copy, NULL), 0);
}

static enum err_class refusal(const char *told)
{
	static struct err err;
	err_clear(&err);
	copy_file(NAME, "copy.db");
	for (int reading = 0; reading < 2; reading++) {
		assert_null(db_open(&(struct db_options){.name = NAME, .read_only = reading == 1}, &err));
		if (strstr(err.message, told) == NULL || strstr(err.message, "nothing was changed") == NULL)
			fail_msg("%s", err.message);
		assert_true(same_bytes(NAME, "copy.db"));
	}
	return err.class;
}

static void change_with_sqlite(const char *sql)
{
	sqlite3 *handle = NULL;
	assert_int_equal(sqlite3_open(NAME, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void a_newer_file_is_refused(void **state)
{
	(void)state;
	fill(1);
	change_with_sqlite("PRAGMA user_version = 1000");
	assert_int_equal(refusal("schema 1000"), ERR_DATABASE_NEWER);
}

static void a_file_of_another_program_is_refused(void **state)
{
	(void)state;
	change_with_sqlite("CREATE TABLE t (a)");
	assert_int_equal(refusal("not one of aileron's"), ERR_DATABASE_CORRUPT);
	change_with_sqlite("PRAGMA application_id = 77; PRAGMA user_version = 1");
	assert_int_equal(refusal("not one of aileron's"), ERR_DATABASE_CORRUPT);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	(void)state;
	FILE *file = fopen(NAME, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is not a database\n", file);
	fclose(file);
	assert_int_equal(refusal("is damaged"), ERR_DATABASE_CORRUPT);
}

static void a_truncated_file_is_refused(void **state)
{
	(void)state;
	fill(200);
	struct stat status;
	assert_int_equal(stat(NAME, &status), 0);
	copy_file(NAME, "other");
	off_t sizes[] = {status.st_size - 1, status.st_size - 4096, status.st_size / 2, 4096, 4095, 1000, 100, 50, 2};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		copy_file("other", NAME);
		assert_int_equal(truncate(NAME, sizes[i]), 0);
		assert_int_equal(refusal("is damaged"), ERR_DATABASE_CORRUPT);
	}
}

/* A changed header is refused unchanged, or it is one that means nothing: all rows are there and the check finds none. */
static void a_flipped_header_is_refused_or_harmless(void **state)
{
	(void)state;
	fill(200);
	copy_file(NAME, "other");
	int refused = 0;
	for (off_t at = 0; at < 100; at++) {
		for (int bit = 0; bit < 8; bit += 7) {
			copy_file("other", NAME);
			unlink(NAME "-wal");
			unlink(NAME "-shm");
			AUTO_FD fd = open(NAME, O_RDWR | O_CLOEXEC);
			char byte;
			assert_int_equal(pread(fd, &byte, 1, at), 1);
			byte = (char)(byte ^ (1 << bit));
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
			struct err err = {0};
			AUTO(db) *db = db_open(&(struct db_options){.name = NAME}, &err);
			if (db != NULL) {
				assert_int_equal(ask_db(db, ROWS), 200);
				continue;
			}
			refused++;
			assert_true(err.class == ERR_DATABASE_CORRUPT || err.class == ERR_DATABASE_NEWER);
		}
	}
	/* The magic, the page size, versions, the schema's format, encoding, our own two numbers. */
	assert_in_range(refused, 60, 200);
}

static void damage_within_is_found_by_the_check(void **state)
{
	(void)state;
	fill(400);
	struct stat status;
	assert_int_equal(stat(NAME, &status), 0);
	copy_file(NAME, "other");
	int found = 0;
	for (off_t page = 1; page < status.st_size / 4096; page++) {
		copy_file("other", NAME);
		AUTO_FD fd = open(NAME, O_RDWR | O_CLOEXEC);
		static const char garbage[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
		assert_int_equal(pwrite(fd, garbage, sizeof garbage, page * 4096), sizeof garbage);
		struct err err = {0};
		AUTO(db) *db = db_open(&(struct db_options){.name = NAME}, &err);
		if (db != NULL && db_check(db, &err) == 0)
			continue;
		assert_int_equal(err.class, ERR_DATABASE_CORRUPT);
		found++;
	}
	assert_int_equal(found, status.st_size / 4096 - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start_anew)
	const struct CMUnitTest tests[] = {
		TEST(a_new_database_is_private_and_of_the_newest_schema),
		TEST(the_writer_is_as_durable_as_it_says),
		TEST(what_was_written_is_there_after_reopening),
		TEST(the_log_grows_ahead_of_what_is_written),
		TEST(names_are_of_the_working_directory),
		TEST(neither_the_folders_name_nor_another_is_needed),
		TEST(a_reader_opens_beside_the_writer_and_not_an_older_file),
		TEST(a_job_that_fails_undoes_itself_alone),
		TEST(who_waits_alone_writes_himself),
		TEST(a_write_in_two_parts_leaves_its_caller_time),
		TEST(jobs_that_wait_share_a_commit),
		TEST(the_first_job_of_a_commit_is_undone_alone_too),
		TEST(a_relaxed_write_costs_no_sync),
		TEST(a_relaxed_write_that_nobody_waits_for_costs_no_sync_either),
		TEST(who_has_read_holds_up_no_log),
		TEST(a_relaxed_write_that_outgrows_the_cache_outlives_a_kill),
		TEST(a_relaxed_write_shares_the_next_commit),
		TEST(who_follows_is_told_of_commits),
		TEST(what_waits_is_done_before_closing),
		TEST(many_write_and_read_at_once),
		TEST(a_reader_keeps_its_snapshot_until_a_commit),
		TEST(a_statement_that_fails_leaves_a_reader_whole),
		TEST(snapshots_that_are_kept_do_not_hold_the_log),
		TEST(what_nobody_waits_for_is_done_ahead),
		TEST(what_nobody_waits_for_is_committed_by_itself),
		TEST(what_may_be_withdrawn_is_not_done_ahead),
		TEST(values_come_back_as_they_were_bound),
		TEST(what_is_not_given_is_null),
		TEST(a_wrong_statement_is_told_at_its_step),
		TEST(statements_may_be_nested),
		TEST(a_newer_file_is_refused),
		TEST(a_file_of_another_program_is_refused),
		TEST(a_file_that_is_no_database_is_refused),
		TEST(a_truncated_file_is_refused),
		TEST(a_flipped_header_is_refused_or_harmless),
		TEST(damage_within_is_found_by_the_check),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
