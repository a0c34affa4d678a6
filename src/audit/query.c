#include "audit/line.h"
#include "store/schema.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

/* The first row of the first statement that has one; when retention has taken every event, the last checkpoint's. */
static int read_end(struct db_tx *tx, const char *const sources[2], struct audit_head *ret, struct err *err)
{
	int got = 0;
	for (size_t i = 0; i < 2 && got == 0; i++) {
		struct db_stmt *stmt = db_stmt(tx, sources[i]);
		got = db_step(stmt, err);
		struct str hash = got == 1 ? db_blob(stmt, 1) : STR_EMPTY;
		if (hash.n == SHA256_SIZE) {
			ret->seq = (uint64_t)db_int(stmt, 0);
			memcpy(ret->hash, hash.p, SHA256_SIZE);
			ret->last_ns = (uint64_t)db_int(stmt, 2);
			ret->first = (uint64_t)db_int(stmt, 3);
		}
		db_finish(stmt);
	}
	return got < 0 ? -1 : 0;
}

#define LAST_CHECKPOINT "SELECT seq, hash, newest_ns, 0 FROM checkpoints ORDER BY seq DESC LIMIT 1"

int audit_head(struct db_tx *tx, struct audit_head *ret, struct err *err)
{
	static const char *const sources[] = {
		"SELECT seq, hash, ts_ns, (SELECT min(seq) FROM audit) FROM audit ORDER BY seq DESC LIMIT 1",
		LAST_CHECKPOINT,
	};
	struct audit_head head = {0};
	if (read_end(tx, sources, &head, err) != 0)
		return -1;
	*ret = head;
	return 0;
}

int audit_next_link(struct db_tx *tx, struct audit_link *ret, struct err *err)
{
	static const char *const sources[] = {
		"SELECT seq, hash, 0, 0 FROM audit ORDER BY seq DESC LIMIT 1",
		LAST_CHECKPOINT,
	};
	struct audit_head head = {0};
	if (read_end(tx, sources, &head, err) != 0)
		return -1;
	*ret = (struct audit_link){.seq = head.seq + 1};
	memcpy(ret->prev, head.hash, SHA256_SIZE);
	return 0;
}

int audit_get(struct db_tx *tx, struct str audit_id, struct buf *out, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "SELECT text FROM audit WHERE audit_id = ?");
	db_bind_str(stmt, audit_id);
	int got = db_step(stmt, err);
	if (got == 1)
		buf_add_str(out, db_str(stmt, 0));
	db_finish(stmt);
	return got == 1 && buf_check(out, "an event", err) != 0 ? -1 : got;
}

/*
 * One statement for each way in: SQLite finds the rows by the column that tells most of them apart, and the other filters
 * are applied to what it finds. Rows come in the order of seq from each index, so none is sorted. Types that each call has
 * are in no index: most rows are of them.
 */
#define FILTERS                                                                                                        \
	"seq > ?1 AND seq < ?2 AND ts_ns >= ?3 AND ts_ns < ?4 AND (?5 IS NULL OR audit_id = ?5) AND "                  \
	"(?6 IS NULL OR connector = ?6 OR action = ?6) AND (?7 IS NULL OR class = ?7) AND "                            \
	"(?8 IS NULL OR binding = ?8) AND (?9 IS NULL OR type = ?9) ORDER BY seq "
#define BOTH_ORDERS(way_in)                                                                                            \
	{                                                                                                              \
		"SELECT seq, text FROM audit WHERE " way_in FILTERS "DESC LIMIT ?10",                                  \
			"SELECT seq, text FROM audit WHERE " way_in FILTERS "ASC LIMIT ?10"                            \
	}

static const struct way_in {
	size_t filter; /* offset in struct audit_query of the filter that must be there */
	const char *sql[2];
} ways_in[] = {
	{offsetof(struct audit_query, audit_id), BOTH_ORDERS("audit_id = ?5 AND ")},
	{offsetof(struct audit_query, class), BOTH_ORDERS("class = ?7 AND ")},
	{offsetof(struct audit_query, binding), BOTH_ORDERS("binding = ?8 AND ")},
	{offsetof(struct audit_query, connector_fqn),
	 BOTH_ORDERS(
		 "seq IN (SELECT seq FROM audit WHERE connector = ?6 UNION SELECT seq FROM audit WHERE action = ?6) "
		 "AND ")},
	{offsetof(struct audit_query, type), BOTH_ORDERS("type = ?9 AND " SCHEMA_NOT_OF_A_CALL " AND ")},
	{SIZE_MAX, BOTH_ORDERS("")},
};

static const char *choose(const struct audit_query *query)
{
	size_t i = 0;
	for (; ways_in[i].filter != SIZE_MAX; i++) {
		struct str filter;
		memcpy(&filter, (const char *)query + ways_in[i].filter, sizeof filter);
		bool is_type = ways_in[i].filter == offsetof(struct audit_query, type);
		if (filter.n > 0 && !(is_type && str_find(S(SCHEMA_NOT_OF_A_CALL), filter) != STR_NPOS))
			break;
	}
	return ways_in[i].sql[query->after_seq > 0];
}

/*
 * An event that all since a time come after, so that a listing does not walk through all that are older: that before the
 * first checkpoint with one of them, or the last checkpoint. Clocks may be set back: the time of each event is looked at too.
 */
static int seq_before(struct db_tx *tx, uint64_t since_ns, int64_t *ret, struct err *err)
{
	*ret = 0;
	if (since_ns == 0)
		return 0;
	struct db_stmt *stmt = db_stmt(
		tx, "SELECT coalesce((SELECT first_seq FROM checkpoints WHERE newest_ns >= ? ORDER BY seq LIMIT 1), "
		    "(SELECT max(seq) + 1 FROM checkpoints), 1) - 1");
	db_bind_int(stmt, (int64_t)MIN(since_ns, (uint64_t)INT64_MAX));
	int got = db_step(stmt, err);
	if (got == 1)
		*ret = db_int(stmt, 0);
	db_finish(stmt);
	return got < 0 ? -1 : 0;
}

static int64_t or_largest(uint64_t value)
{
	return value == 0 || value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

int audit_list(struct db_tx *tx, const struct audit_query *query, audit_row *row, void *user, struct err *err)
{
	int64_t before_first;
	if (seq_before(tx, query->since_ns, &before_first, err) != 0)
		return -1;
	uint64_t after = MIN(query->after_seq, (uint64_t)INT64_MAX);
	struct db_stmt *stmt = db_stmt(tx, choose(query));
	db_bind_int(stmt, MAX(before_first, (int64_t)after));
	db_bind_int(stmt, or_largest(query->before_seq));
	db_bind_int(stmt, (int64_t)MIN(query->since_ns, (uint64_t)INT64_MAX));
	db_bind_int(stmt, or_largest(query->until_ns));
	db_bind_str_given(stmt, query->audit_id);
	db_bind_str_given(stmt, query->connector_fqn);
	db_bind_str_given(stmt, query->class);
	db_bind_str_given(stmt, query->binding);
	db_bind_str_given(stmt, query->type);
	db_bind_int(stmt, query->limit == 0 ? LIMIT_DEFAULT : MIN(query->limit, LIMIT_MAX));
	int got;
	while ((got = db_step(stmt, err)) == 1 && row(user, (uint64_t)db_int(stmt, 0), db_str(stmt, 1)) == 0)
		;
	db_finish(stmt);
	return got < 0 ? -1 : 0;
}
