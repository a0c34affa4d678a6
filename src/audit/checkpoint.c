#include "audit/line.h"
#include "base/time.h"
#include "crypto/sign.h"

#define HEAD_TAG "aileron-audit-head-1" /* signed with its NUL */

static void put_u64(unsigned char *at, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

void audit_head_message(const struct audit_head *head, uint64_t count, unsigned char ret[AUDIT_HEAD_MESSAGE])
{
	size_t n = sizeof HEAD_TAG;
	memcpy(ret, HEAD_TAG, n);
	memcpy(ret + n, head->hash, SHA256_SIZE);
	put_u64(ret + n + SHA256_SIZE, head->seq);
	put_u64(ret + n + SHA256_SIZE + 8, count);
}

bool audit_checkpoint_due(struct db_tx *tx, uint64_t now_ns, struct audit_head *ret)
{
	struct audit_head head;
	if (audit_head(tx, &head, NULL) != 0 || head.seq == 0)
		return false;
	/* The last checkpoint; without one, the time of the first event. */
	int64_t seq = 0, signed_ns = 0;
	struct db_stmt *stmt = db_stmt(tx, "SELECT seq, signed_ns FROM checkpoints UNION ALL "
					   "SELECT 0, ts_ns FROM (SELECT ts_ns FROM audit ORDER BY seq LIMIT 1) "
					   "ORDER BY seq DESC LIMIT 1");
	int got = db_step(stmt, NULL);
	if (got == 1) {
		seq = db_int(stmt, 0);
		signed_ns = db_int(stmt, 1);
	}
	db_finish(stmt);
	uint64_t since = head.seq - (uint64_t)seq;
	bool late = now_ns >= (uint64_t)signed_ns && now_ns - (uint64_t)signed_ns >= AUDIT_CHECKPOINT_S * TIME_SECOND;
	if (got != 1 || since == 0 || (since < AUDIT_CHECKPOINT_N && !late))
		return false;
	*ret = head;
	return true;
}

int audit_checkpoint_store(struct db_tx *tx, const struct audit_head *head, struct str signature, struct str public_key,
			   struct err *err)
{
	unsigned char message[AUDIT_HEAD_MESSAGE];
	audit_head_message(head, head->seq, message);
	if (!sign_verify(public_key, str_of(message, sizeof message), signature))
		return fail(err, ERR_VALIDATION_ERROR, "the signature of a checkpoint does not verify");
	struct db_stmt *stmt = db_stmt(
		tx, "INSERT INTO checkpoints (seq, hash, signature, public_key, signed_ns, first_seq, newest_ns) "
		    "SELECT ?1, hash, ?2, ?3, ?4, first.seq, "
		    "(SELECT max(ts_ns) FROM audit WHERE seq BETWEEN first.seq AND ?1) "
		    "FROM audit, (SELECT coalesce(max(seq), 0) + 1 AS seq FROM checkpoints WHERE seq < ?1) AS first "
		    "WHERE audit.seq = ?1 AND audit.hash = ?5");
	db_bind_int(stmt, (int64_t)head->seq);
	db_bind_blob(stmt, signature);
	db_bind_blob(stmt, public_key);
	db_bind_int(stmt, (int64_t)clock_wall_ns(NULL));
	db_bind_blob(stmt, str_of(head->hash, SHA256_SIZE));
	int64_t stored = db_run(stmt, err);
	if (stored == 0)
		return fail(err, ERR_VALIDATION_ERROR, "a checkpoint is of no event that is stored");
	return stored < 0 ? -1 : 0;
}

/* The oldest checkpoint whose events are still here, when all of them are older. 1, 0 or -1. */
static int find_old(struct db_tx *tx, uint64_t older_than_ns, int64_t *ret_seq, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "SELECT seq, newest_ns FROM checkpoints WHERE dropped_ns IS NULL "
					   "ORDER BY seq LIMIT 1");
	int got = db_step(stmt, err);
	if (got == 1) {
		*ret_seq = db_int(stmt, 0);
		got = (uint64_t)db_int(stmt, 1) < older_than_ns;
	}
	db_finish(stmt);
	return got;
}

static int64_t drop(struct db_tx *tx, int64_t seq, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "UPDATE checkpoints SET dropped_ns = ? WHERE seq = ?");
	db_bind_int(stmt, (int64_t)clock_wall_ns(NULL));
	db_bind_int(stmt, seq);
	if (db_run(stmt, err) < 0)
		return -1;
	stmt = db_stmt(tx, "DELETE FROM audit WHERE seq <= ?");
	db_bind_int(stmt, seq);
	return db_run(stmt, err);
}

int64_t audit_retain(struct db_tx *tx, uint64_t older_than_ns, struct err *err)
{
	int64_t went = 0;
	for (int i = 0; i < AUDIT_RETAIN_CHECKPOINTS; i++) {
		int64_t seq = 0;
		int found = find_old(tx, older_than_ns, &seq, err);
		if (found == 0)
			break;
		int64_t events = found < 0 ? -1 : drop(tx, seq, err);
		if (events < 0)
			return -1;
		went += events;
	}
	return went;
}
