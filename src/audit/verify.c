#include "audit/chain.h"
#include "base/time.h"
#include <errno.h>

/* A line that is longer than any we write. */
#define LINE_MAX_BYTES (AUDIT_TEXT_MAX + 4096)

static bool read_line(struct audit_chain *chain, struct str line, bool *ended)
{
	struct audit_seal seal;
	struct audit_link link;
	if (*ended)
		return audit_chain_break(chain, "something follows the head");
	if (str_starts(line, S("{\"event\":")))
		return audit_chain_event(chain, line, &link);
	if (!audit_seal_read(line, &seal))
		return audit_chain_break(
			chain, "the line is neither an event nor a checkpoint nor a head, as they are written");
	*ended = seal.is_head;
	return seal.is_head ? audit_chain_head(chain, &seal) : audit_chain_checkpoint(chain, &seal);
}

/* The lines that are whole; what follows the last newline stays in the buffer. */
static bool read_lines(struct audit_chain *chain, struct buf *bytes, uint64_t *line, bool *ended)
{
	size_t done = 0;
	bool holds = true;
	for (size_t n; holds && (n = str_find_char(str_slice(buf_str(bytes), done, bytes->n), '\n')) != STR_NPOS;) {
		++*line;
		holds = read_line(chain, str_of(bytes->p + done, n), ended);
		done += n + 1;
	}
	buf_consume(bytes, done);
	return holds;
}

/* -1 when the file cannot be read; otherwise whether the chain holds. */
static int read_file(struct audit_chain *chain, int fd, const char *name, uint64_t *line, struct err *err)
{
	AUTO_BUF bytes = BUF_INIT(2 * LINE_MAX_BYTES);
	bool ended = false;
	for (;;) {
		char *to = buf_reserve(&bytes, LINE_MAX_BYTES);
		ssize_t n = read(fd, to, LINE_MAX_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot read '%s'", name);
		if (n == 0)
			break;
		buf_commit(&bytes, (size_t)n);
		if (!read_lines(chain, &bytes, line, &ended))
			return 0;
		if (bytes.n > LINE_MAX_BYTES) {
			++*line;
			return audit_chain_break(chain, "the line is longer than any of a record");
		}
	}
	if (ended && bytes.n == 0)
		return 1;
	++*line;
	return audit_chain_break(chain, ended ? "something follows the head"
					      : "the end is missing: a whole record ends with a signed head");
}

static int check_key(struct str key, struct err *err)
{
	if (key.n != 0 && key.n != ED25519_PUBLIC_SIZE)
		return fail(err, ERR_VALIDATION_ERROR, "a device key has %d bytes, not %zu", ED25519_PUBLIC_SIZE,
			    key.n);
	return 0;
}

int audit_verify_file(int fd, const char *name, struct str key, struct audit_verdict *ret, struct err *err)
{
	if (check_key(key, err) != 0)
		return -1;
	struct audit_verdict verdict;
	struct audit_chain chain;
	audit_chain_init(&chain, &verdict, key);
	uint64_t line = 0;
	int holds = read_file(&chain, fd, name, &line, err);
	audit_chain_release(&chain);
	if (holds < 0)
		return -1;
	verdict.intact = holds == 1;
	verdict.origin_proven = verdict.origin_proven && verdict.intact;
	if (holds == 0)
		verdict.broken_line = line;
	*ret = verdict;
	return 0;
}

/* ------------------------------------------------------------------------------------------------- of the database */

static bool see_checkpoint(struct audit_chain *chain, struct db_stmt *stmt)
{
	struct audit_seal seal;
	if (!audit_seal_of_row(stmt, &seal))
		return audit_chain_break(chain, "the checkpoint of event %lld is damaged", (long long)db_int(stmt, 0));
	return audit_chain_checkpoint(chain, &seal);
}

static bool same_column(const struct db_stmt *stmt, int column, struct str wanted)
{
	return db_is_null(stmt, column) ? wanted.n == 0 : str_eq(db_str(stmt, column), wanted);
}

/* Columns are how an event is found: one that differs from the text would hide it. */
static bool columns_agree(const struct db_stmt *stmt, struct str text)
{
	AUTO(json) *json = json_parse(text, JSON_READ_ALLOW_NUL, NULL);
	const struct json *event = json_member(json, S("event"));
	struct str id = STR_EMPTY, type = STR_EMPTY, credential = STR_EMPTY;
	json_get_str(json_member(event, S("audit_id")), &id);
	json_get_str(json_member(event, S("event_type")), &type);
	json_get_str(json_member(json_member(event, S("actor")), S("credential_binding")), &credential);
	struct audit_columns columns = audit_columns_of(json_member(event, S("payload")), credential);
	struct str timestamp = STR_EMPTY;
	char time[TIME_RFC3339_SIZE];
	json_get_str(json_member(event, S("timestamp")), &timestamp);
	time_format_rfc3339((uint64_t)db_int(stmt, 9), 9, time);
	return str_eq(timestamp, str_from(time)) && same_column(stmt, 3, id) && same_column(stmt, 4, type) &&
	       same_column(stmt, 5, columns.connector) && same_column(stmt, 6, columns.action) &&
	       same_column(stmt, 7, columns.class) && same_column(stmt, 8, columns.binding);
}

static bool see_event(struct audit_chain *chain, struct db_stmt *stmt)
{
	struct audit_link link;
	struct str text = db_str(stmt, 2);
	chain->verdict->broken_seq = (uint64_t)db_int(stmt, 0); /* until it is seen to hold */
	if (!audit_chain_event(chain, text, &link))
		return false;
	chain->verdict->broken_seq = link.seq;
	if ((uint64_t)db_int(stmt, 0) != link.seq || !str_eq(db_blob(stmt, 1), str_of(link.hash, SHA256_SIZE)) ||
	    !columns_agree(stmt, text))
		return audit_chain_break(chain, "event %llu is filed under other names than its text has",
					 (unsigned long long)link.seq);
	chain->verdict->broken_seq = 0;
	return true;
}

typedef bool see_row(struct audit_chain *chain, struct db_stmt *stmt);

/* -1 when the rows cannot be read; otherwise whether the chain holds. */
static int see_rows(struct audit_chain *chain, struct db_stmt *stmt, see_row *see, struct err *err)
{
	int got;
	bool holds = true;
	while (holds && (got = db_step(stmt, err)) == 1)
		holds = see(chain, stmt);
	db_finish(stmt);
	return !holds ? 0 : got < 0 ? -1 : 1;
}

int audit_verify_db(struct db_tx *tx, struct str key, struct audit_verdict *ret, struct err *err)
{
	if (check_key(key, err) != 0)
		return -1;
	struct audit_verdict verdict;
	struct audit_chain chain;
	audit_chain_init(&chain, &verdict, key);
	int holds =
		see_rows(&chain, db_stmt(tx, "SELECT seq, hash, public_key, signature FROM checkpoints ORDER BY seq"),
			 see_checkpoint, err);
	if (holds == 1)
		holds = see_rows(&chain,
				 db_stmt(tx,
					 "SELECT seq, hash, text, audit_id, type, connector, action, class, binding, "
					 "ts_ns FROM audit ORDER BY seq"),
				 see_event, err);
	if (holds == 1)
		holds = audit_chain_end(&chain);
	audit_chain_release(&chain);
	if (holds < 0)
		return -1;
	*ret = verdict;
	return 0;
}
