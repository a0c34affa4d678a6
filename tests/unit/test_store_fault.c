/*
 * The Nth read, write, sync, truncation, opening, deletion or mapping of the database's files fails, once or from then on,
 * for every N that a run has: the error is told and says what happened, the process lives, and after reopening everything
 * that was acknowledged is there, in a whole chain.
 */
#include "unit/audit_fixture.h"
#include "unit/shim_vfs.h"

enum { EVENTS = 12 };

struct plan {
	struct shim shim; /* first, so that the shim is the plan */
	enum shim_op op;
	int countdown; /* to the call that fails; 0 = it has been */
	bool for_ever;
	bool half; /* a write is half done before it fails */
	bool hit;
};

static const struct {
	const char *name;
	int code;
} ops[SHIM_OPS] = {
	[SHIM_OPEN] = {"open", SQLITE_CANTOPEN},    [SHIM_READ] = {"read", SQLITE_IOERR_READ},
	[SHIM_WRITE] = {"write", SQLITE_FULL},      [SHIM_TRUNCATE] = {"truncate", SQLITE_IOERR_TRUNCATE},
	[SHIM_SYNC] = {"sync", SQLITE_IOERR_FSYNC}, [SHIM_DELETE] = {"delete", SQLITE_IOERR_DELETE},
	[SHIM_MAP] = {"map", SQLITE_IOERR_SHMMAP},
};

static int fail_nth(struct shim *shim, const struct shim_call *call, size_t *part)
{
	struct plan *plan = (struct plan *)(void *)shim;
	if (call->op != plan->op || (plan->countdown == 0 && !(plan->for_ever && plan->hit)))
		return SQLITE_OK;
	if (plan->countdown > 0 && --plan->countdown > 0)
		return SQLITE_OK;
	plan->hit = true;
	if (part != NULL && plan->half)
		*part = call->n / 2;
	return ops[call->op].code;
}

static struct plan plan = {.shim = {.before = fail_nth}};

static const char *vfs; /* ours over the plan's */
static char acknowledged[EVENTS][AUDIT_ID_SIZE];
static int count;

static void check_told(const struct err *err)
{
	bool known = err->class == ERR_STORE_ERROR || err->class == ERR_DATABASE_CORRUPT;
	if (!known || err->message[0] == '\0')
		fail_msg("'%s' of class %d", err->message, err->class);
}

static int fail_after_writing(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	struct audit_event event = {.type = AUDIT_VAULT_LOCKED};
	if (audit_append(tx, &event, NULL, NULL, err) != 0)
		return -1;
	return (fail)(err, ERR_CONFLICT, "not wanted");
}

/* More than the cache holds: pages go to the log before the commit, and are read from there again. */
static int write_much(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	AUTO_BUF payload = BUF_INIT(AUDIT_TEXT_MAX);
	buf_add_z(&payload, "{\"a\":\"");
	for (int i = 0; i < 50000; i++)
		buf_add_char(&payload, 'x');
	buf_add_z(&payload, "\"}");
	struct audit_event event = {.type = AUDIT_VAULT_LOCKED, .payload_text = buf_str(&payload)};
	int good = 0;
	/* Whoever writes on after a failure must not harm the rest either. */
	for (int i = 0; i < 40; i++)
		good += audit_append(tx, &event, NULL, NULL, err) == 0;
	return good > 0 ? 0 : -1;
}

static int take_log_into_file(struct db_tx *tx, void *user, struct err *err)
{
	(void)user, (void)err;
	/* Not within a transaction: the next commit does it. */
	sqlite3_wal_autocheckpoint(tx->handle, 1);
	return 0;
}

/* A daemon's life: opens, records, is refused something, reads, takes the log into the file, closes. */
static void live(void)
{
	static struct err err;
	err_clear(&err);
	count = 0;
	struct db *db = db_open(&(struct db_options){.name = FIXTURE_NAME, .vfs = vfs, .readers = 2}, &err);
	if (db == NULL) {
		check_told(&err);
		return;
	}
	for (int i = 0; i < EVENTS; i++) {
		err_clear(&err);
		if (i == 4 && db_write(db, fail_after_writing, NULL, &err) == 0)
			fail_msg("a failed job was acknowledged");
		if (i == 6 && plan.op == SHIM_WRITE && db_write(db, write_much, NULL, &err) != 0)
			check_told(&err);
		if (i == 8 && db_write(db, take_log_into_file, NULL, &err) != 0)
			check_told(&err);
		err_clear(&err);
		if (fixture_record(db, AUDIT_VAULT_UNLOCKED, "{\"a\":1}", acknowledged[count], &err) == 0)
			count++;
		else
			check_told(&err);
		struct audit_head head;
		struct db_tx *tx = db_read(db);
		err_clear(&err);
		if (audit_head(tx, &head, &err) != 0)
			check_told(&err);
		db_done(tx);
	}
	db_close(db);
}

static void check_afterwards(enum shim_op op, int n)
{
	static struct err err;
	err_clear(&err);
	AUTO(db) *db = db_open(&(struct db_options){.name = FIXTURE_NAME}, &err);
	if (db == NULL)
		fail_msg("after %s %d: %s", ops[op].name, n, err.message);
	assert_int_equal(db_check(db, &err), 0);
	struct audit_verdict verdict = fixture_verify_db(db, STR_EMPTY);
	if (!verdict.intact)
		fail_msg("after %s %d: %s", ops[op].name, n, verdict.why);
	struct db_tx *tx = db_read(db);
	for (int i = 0; i < count; i++) {
		AUTO_BUF text = BUF_INIT(AUDIT_TEXT_MAX);
		if (audit_get(tx, str_from(acknowledged[i]), &text, &err) != 1)
			fail_msg("after %s %d: acknowledged event %d is lost", ops[op].name, n, i);
	}
	db_done(tx);
}

static void run_all(enum shim_op op, bool for_ever, bool half)
{
	int n = 0;
	do {
		fixture_clean();
		unlink(FIXTURE_NAME "-journal");
		/* The pages that a large transaction leaves to be taken into the file are many and alike. */
		n += n < 80 ? 1 : n / 8;
		plan.op = op;
		plan.countdown = n;
		plan.for_ever = for_ever;
		plan.half = half;
		plan.hit = false;
		live();
		check_afterwards(op, n);
	} while (plan.hit);
	/* The last run met no failure: everything was acknowledged, and there were calls to fail. */
	assert_int_equal(count, EVENTS);
	assert_in_range(n, op == SHIM_TRUNCATE || op == SHIM_DELETE ? 1 : 2, 10000);
}

static void every_call_may_fail_once(void **state)
{
	(void)state;
	for (enum shim_op op = 0; op < SHIM_OPS; op++)
		run_all(op, false, false);
}

static void every_write_may_be_half_done(void **state)
{
	(void)state;
	run_all(SHIM_WRITE, false, true);
}

static void calls_may_fail_from_then_on(void **state)
{
	(void)state;
	for (enum shim_op op = 0; op < SHIM_OPS; op++)
		run_all(op, true, true);
}

static int refuse_zeros(struct shim *shim, const struct shim_call *call, size_t *part)
{
	(void)shim;
	static const char zeros[64 << 10];
	bool ahead = call->op == SHIM_WRITE && call->n == sizeof zeros && memcmp(call->bytes, zeros, sizeof zeros) == 0;
	if (!ahead)
		return SQLITE_OK;
	plan.hit = true;
	*part = call->n / 2;
	return SQLITE_FULL;
}

/* The log that cannot grow ahead of what is written grows with it. */
static void a_log_without_room_ahead_is_no_failure(void **state)
{
	(void)state;
	fixture_clean();
	plan.hit = false;
	plan.shim.before = refuse_zeros;
	live();
	plan.shim.before = fail_nth;
	assert_true(plan.hit);
	assert_int_equal(count, EVENTS);
	check_afterwards(SHIM_WRITE, 0);
}

int main(void)
{
	vfs = shim_register(&plan.shim);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_may_fail_once),
		cmocka_unit_test(every_write_may_be_half_done),
		cmocka_unit_test(calls_may_fail_from_then_on),
		cmocka_unit_test(a_log_without_room_ahead_is_no_failure),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
