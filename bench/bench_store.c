/*
 * The record against bare inserts, and groups against single commits, on the disk that is there:
 *
 *   - 64 events a transaction through audit_append(), over inserting rows of the same columns, sizes, indices and pragmas
 *     with SQLite alone; both in turns in one run
 *   - rows a second of eight threads that each wait until theirs is durable, over those of one such thread: of the small
 *     row that each use of a binding writes, which tells what a commit costs, and of events, which also tells how many
 *     pages of indices a row touches
 *
 * Disks change their pace from one second to the next: whatever is compared takes turns, and the median turn counts.
 *
 * bench_store [FOLDER]      a folder on the disk to measure; /var/tmp
 */
#include "audit/audit.h"
#include "base/time.h"
#include "measure.h"
#include "store/db.h"
#include "store/schema.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS         64
#define TRANSACTIONS 20 /* of one turn */
#define TURNS        25
#define WAITS        40 /* rows of one writer in one turn */
#define WRITERS      8

#define NAME      "aileron.db"
#define NAME_BARE "bare.db"

#define PAYLOAD                                                                                                        \
	"{\"aileron.binding.name\":\"api_key/stripe/"                                                                  \
	"work\",\"aileron.call.memory_peak\":2097152,\"aileron.call.requests\":2,"                                     \
	"\"aileron.call.total_us\":48211,\"aileron.connector.fqn\":\"github.com/acme/stripe-connector\","              \
	"\"aileron.connector.hash\":\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","      \
	"\"aileron.connector.linked\":true,\"aileron.connector.operation\":\"charge\","                                \
	"\"aileron.execution.id\":\"exec-6c3c5d1e9b0e4c538a410f6c1a6a2d11\"}"

/* ------------------------------------------------------------------------------------------------------ the bare way */

struct bare {
	sqlite3 *handle;
	sqlite3_stmt *begin, *insert, *commit;
	int64_t seq;
	struct buf text; /* of an event, as the record has it */
};

static void must(sqlite3 *handle, int code)
{
	if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
		return;
	fprintf(stderr, "bench: %s\n", sqlite3_errmsg(handle));
	exit(1);
}

static sqlite3_stmt *prepare(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	must(handle, sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL));
	return stmt;
}

static void open_bare(struct bare *bare)
{
	static const char pragmas[] =
		"PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON; "
		"PRAGMA cache_size = -1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
		"PRAGMA secure_delete = ON;";
	must(NULL, sqlite3_open(NAME_BARE, &bare->handle));
	must(bare->handle, sqlite3_exec(bare->handle, pragmas, NULL, NULL, NULL));
	for (const struct schema_step *step = schema_steps; step->sql != NULL; step++)
		must(bare->handle, sqlite3_exec(bare->handle, step->sql, NULL, NULL, NULL));
	bare->begin = prepare(bare->handle, "BEGIN IMMEDIATE");
	bare->commit = prepare(bare->handle, "COMMIT");
	bare->insert = prepare(bare->handle, "INSERT INTO audit (seq, audit_id, ts_ns, type, connector, action, class, "
					     "binding, hash, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
}

static void close_bare(struct bare *bare)
{
	sqlite3_finalize(bare->begin);
	sqlite3_finalize(bare->insert);
	sqlite3_finalize(bare->commit);
	sqlite3_close(bare->handle);
	buf_release(&bare->text);
}

static void run(struct bare *bare, sqlite3_stmt *stmt)
{
	must(bare->handle, sqlite3_step(stmt));
	sqlite3_reset(stmt);
}

/* Ids are as random as the record's, so that their index is as far apart; made by arithmetic, which costs nothing. */
static void insert_bare(struct bare *bare)
{
	char id[AUDIT_ID_SIZE];
	uint64_t mixed = (uint64_t)++bare->seq * UINT64_C(0x9e3779b97f4a7c15);
	snprintf(id, sizeof id, "audit-%08x-%04x-4000-8000-%012x", (unsigned)(mixed >> 32),
		 (unsigned)(mixed >> 16) & 0xffffu, (unsigned)mixed);
	static const char fqn[] = "github.com/acme/stripe-connector", binding[] = "api_key/stripe/work";
	sqlite3_stmt *stmt = bare->insert;
	static const unsigned char hash[32] = {1};
	sqlite3_bind_int64(stmt, 1, bare->seq);
	sqlite3_bind_text(stmt, 2, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, (int64_t)clock_wall_ns(NULL));
	sqlite3_bind_text(stmt, 4, "execution.succeeded", -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 5, fqn, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 8, binding, -1, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 9, hash, sizeof hash, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 10, bare->text.p, (int)bare->text.n, SQLITE_STATIC);
	run(bare, stmt);
}

static double time_bare(struct bare *bare)
{
	double start = now_us();
	for (int i = 0; i < TRANSACTIONS; i++) {
		run(bare, bare->begin);
		for (int row = 0; row < ROWS; row++)
			insert_bare(bare);
		run(bare, bare->commit);
	}
	return now_us() - start;
}

/* -------------------------------------------------------------------------------------------------------- the record */

static const struct audit_event event = {
	.type = AUDIT_EXECUTION_SUCCEEDED,
	.actor = AUDIT_ACTOR_AGENT,
	.actor_id = {"01JZ0000000000000000000000", 26},
	.credential_binding = {"api_key/stripe/work", 19},
	.trace_id = {"4bf92f3577b34da6a3ce929d0e0e4736", 32},
	.payload_text = {PAYLOAD, sizeof PAYLOAD - 1},
};

static int append_rows(struct db_tx *tx, void *user, struct err *err)
{
	const int *rows = user;
	for (int row = 0; row < *rows; row++) {
		if (audit_append(tx, &event, NULL, NULL, err) != 0)
			return -1;
	}
	return 0;
}

static void append(struct db *db, int rows)
{
	struct err err;
	err_clear(&err);
	if (db_write(db, append_rows, &rows, &err) != 0)
		give_up(&err);
}

static double time_record(struct db *db)
{
	double start = now_us();
	for (int i = 0; i < TRANSACTIONS; i++)
		append(db, ROWS);
	return now_us() - start;
}

static int take_text(void *user, uint64_t seq, struct str text)
{
	(void)seq;
	buf_add_str(user, text);
	return 1;
}

static void compare_with_bare(struct db *db)
{
	struct bare bare = {.text = BUF_INIT(AUDIT_TEXT_MAX)};
	append(db, 1);
	struct db_tx *tx = db_read(db);
	if (audit_list(tx, &(struct audit_query){.limit = 1}, take_text, &bare.text, NULL) != 0)
		exit(1);
	db_done(tx);
	open_bare(&bare);
	struct samples record_us = {0}, bare_us = {0}, ratios = {0};
	for (int turn = 0; turn < TURNS; turn++) {
		double floor_us = time_bare(&bare), took_us = time_record(db);
		samples_add(&bare_us, floor_us);
		samples_add(&record_us, took_us);
		samples_add(&ratios, floor_us / took_us);
	}
	close_bare(&bare);
	double rows = (double)TRANSACTIONS * ROWS * 1e6;
	report("store", "floor: bare inserts, 64 rows a transaction", rows / samples_at(&bare_us, 0.5), "rows/s", 0);
	report("store", "audit append, 64 rows a transaction", rows / samples_at(&record_us, 0.5), "rows/s", 0);
	report_at_least("store", "audit append over bare inserts", samples_at(&ratios, 0.5), "x", 0.8);
	samples_release(&bare_us);
	samples_release(&record_us);
	samples_release(&ratios);
}

/* ------------------------------------------------------------------------------------------------------------ groups */

static int use_binding(struct db_tx *tx, void *user, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "INSERT INTO binding_use (path, last_used_ns) VALUES (?, ?) "
					   "ON CONFLICT (path) DO UPDATE SET last_used_ns = excluded.last_used_ns");
	db_bind_str(stmt, S("api_key/stripe/work"));
	db_bind_int(stmt, *(int64_t *)user);
	return db_run(stmt, err) < 0 ? -1 : 0;
}

static int record_one(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return audit_append(tx, &event, NULL, NULL, err);
}

struct group {
	struct db *db;
	db_job *job;
};

static void *write_and_wait(void *context)
{
	const struct group *group = context;
	struct err err;
	err_clear(&err);
	for (int64_t i = 0; i < WAITS; i++) {
		if (db_write(group->db, group->job, &i, &err) != 0)
			give_up(&err);
	}
	return NULL;
}

static double rows_per_second(struct group *group, int writers)
{
	pthread_t threads[WRITERS];
	double start = now_us();
	for (int i = 0; i < writers; i++) {
		if (pthread_create(&threads[i], NULL, write_and_wait, group) != 0)
			exit(1);
	}
	for (int i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	return (double)writers * WAITS / (now_us() - start) * 1e6;
}

static void compare_groups(struct db *db, db_job *job, const char *what, double budget)
{
	struct group group = {db, job};
	struct samples ones = {0}, many = {0}, ratios = {0};
	for (int turn = 0; turn < TURNS; turn++) {
		double one = rows_per_second(&group, 1), eight = rows_per_second(&group, WRITERS);
		samples_add(&ones, one);
		samples_add(&many, eight);
		samples_add(&ratios, eight / one);
	}
	char subject[80];
	snprintf(subject, sizeof subject, "floor: one waiting writer of %s", what);
	report("store", subject, samples_at(&ones, 0.5), "rows/s", 0);
	snprintf(subject, sizeof subject, "eight waiting writers of %s", what);
	report("store", subject, samples_at(&many, 0.5), "rows/s", 0);
	snprintf(subject, sizeof subject, "eight waiting writers of %s over one", what);
	report_at_least("store", subject, samples_at(&ratios, 0.5), "x", budget);
	samples_release(&ones);
	samples_release(&many);
	samples_release(&ratios);
}

int main(int argc, char **argv)
{
	AUTO_FREE char *folder = xasprintf("%s/aileron-bench-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
	struct err err = {0};
	if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
		fprintf(stderr, "bench: no folder below '%s'\n", argc > 1 ? argv[1] : "/var/tmp");
		return 1;
	}
	struct db *db = db_open(&(struct db_options){.name = NAME}, &err);
	if (db == NULL)
		give_up(&err);
	compare_with_bare(db);
	compare_groups(db, use_binding, "small rows", 4);
	compare_groups(db, record_one, "events", 0);
	db_close(db);
	unlink(NAME);
	unlink(NAME_BARE);
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : 1;
}
