#include "audit/line.h"
#include "audit/seal.h"

#define AT_ONCE ((size_t)64 << 10) /* bytes that are handed on together */

struct exporting {
	struct buf lines;
	audit_write *write;
	void *user;
};

static int flush(struct exporting *exporting, struct err *err)
{
	if (buf_check(&exporting->lines, "a line of the record", err) != 0)
		return -1;
	if (exporting->lines.n > 0 && exporting->write(exporting->user, buf_str(&exporting->lines), err) != 0)
		return -1;
	buf_clear(&exporting->lines);
	return 0;
}

static int end_line(struct exporting *exporting, struct err *err)
{
	buf_add_char(&exporting->lines, '\n');
	return exporting->lines.n >= AT_ONCE || !buf_ok(&exporting->lines) ? flush(exporting, err) : 0;
}

static int put_checkpoints(struct db_tx *tx, struct exporting *exporting, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "SELECT seq, hash, public_key, signature FROM checkpoints ORDER BY seq");
	int got;
	while ((got = db_step(stmt, err)) == 1) {
		struct audit_seal seal;
		if (!audit_seal_of_row(stmt, &seal)) {
			got = fail(err, ERR_AUDIT_BROKEN,
				   "the checkpoint of event %llu is damaged; run 'aileron audit verify'",
				   (unsigned long long)seal.seq);
			break;
		}
		audit_seal_put(&exporting->lines, &seal);
		if (end_line(exporting, err) != 0) {
			got = -1;
			break;
		}
	}
	db_finish(stmt);
	return got;
}

static int put_events(struct db_tx *tx, struct exporting *exporting, uint64_t *ret_count, struct err *err)
{
	uint64_t count = 0;
	struct db_stmt *stmt = db_stmt(tx, "SELECT text FROM audit ORDER BY seq");
	int got;
	while ((got = db_step(stmt, err)) == 1) {
		buf_add_str(&exporting->lines, db_str(stmt, 0));
		count++;
		if (end_line(exporting, err) != 0) {
			got = -1;
			break;
		}
	}
	db_finish(stmt);
	if (got == 0)
		*ret_count = count;
	return got;
}

int audit_export(struct db_tx *tx, audit_write *write, void *user, struct audit_head *ret_head, uint64_t *ret_count,
		 struct err *err)
{
	struct exporting exporting = {.lines = BUF_INIT(4 * AT_ONCE), .write = write, .user = user};
	struct audit_head head;
	uint64_t count = 0;
	int made = -1;
	if (audit_head(tx, &head, err) == 0 && put_checkpoints(tx, &exporting, err) == 0 &&
	    put_events(tx, &exporting, &count, err) == 0)
		made = flush(&exporting, err);
	buf_release(&exporting.lines);
	if (made != 0)
		return -1;
	*ret_head = head;
	*ret_count = count;
	return 0;
}

void audit_head_line(struct buf *out, const struct audit_head *head, uint64_t count, struct str signature,
		     struct str public_key)
{
	struct audit_seal seal = {.is_head = true, .seq = head->seq, .count = count};
	if (signature.n != sizeof seal.signature || public_key.n != sizeof seal.public_key)
		BUG("a head is signed by 64 bytes under a key of 32, not %zu under %zu", signature.n, public_key.n);
	memcpy(seal.hash, head->hash, sizeof seal.hash);
	memcpy(seal.signature, signature.p, sizeof seal.signature);
	memcpy(seal.public_key, public_key.p, sizeof seal.public_key);
	audit_seal_put(out, &seal);
	buf_add_char(out, '\n');
}
