#include "approval/grant.h"
#include "approval/record.h"
#include "base/vec.h"

#define GRANTS_MAX 1000

static int record_grant(struct db_tx *tx, enum audit_type type, const struct grant *grant, struct str why,
			const struct audit_event *who, struct err *err)
{
	const struct run of = {
		.action = grant->action,
		.caller = {.id = grant->caller, .session = grant->session},
		.grant_id = grant->id,
	};
	AUTO_RECORD record;
	record_begin(&record, type, who, &of);
	member_time(&record.json, "aileron.grant.expires_at", grant->expires_ns);
	member_str_given(&record.json, "aileron.reason", why);
	return record_append(tx, &record, NULL, err);
}

int grant_issue(struct db_tx *tx, const struct grant *grant, const struct audit_event *who, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "INSERT INTO grants (id, caller, session, action, bound, issued_ns, expires_ns)"
					" VALUES (?, ?, ?, ?, ?, ?, ?)");
	db_bind_str(q, grant->id);
	db_bind_str(q, grant->caller);
	db_bind_str(q, grant->session);
	db_bind_str(q, grant->action);
	db_bind_str(q, grant->bound);
	db_bind_int(q, (int64_t)grant->issued_ns);
	db_bind_int(q, (int64_t)grant->expires_ns);
	if (db_run(q, err) < 0)
		return -1;
	return record_grant(tx, AUDIT_GRANT_ISSUED, grant, STR_EMPTY, who, err);
}

int grant_find(struct db_tx *tx, struct arena *arena, const struct grant *like, uint64_t now_ns, struct str *ret_id,
	       struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, "SELECT id FROM grants WHERE ended_ns IS NULL AND caller = ? AND session = ? AND"
			    " action = ? AND bound = ? AND issued_ns <= ?5 AND expires_ns > ?5 LIMIT 1");
	db_bind_str(q, like->caller);
	db_bind_str(q, like->session);
	db_bind_str(q, like->action);
	db_bind_str(q, like->bound);
	db_bind_int(q, (int64_t)now_ns);
	int got = db_step(q, err);
	if (got == 1)
		*ret_id = arena_str(arena, db_str(q, 0));
	db_finish(q);
	return got;
}

int grant_holds(struct db_tx *tx, struct str id, uint64_t now_ns, struct err *err)
{
	struct db_stmt *q = db_stmt(
		tx, "SELECT 1 FROM grants WHERE id = ? AND ended_ns IS NULL AND issued_ns <= ?2 AND expires_ns > ?2");
	db_bind_str(q, id);
	db_bind_int(q, (int64_t)now_ns);
	int got = db_step(q, err);
	db_finish(q);
	return got;
}

static int read_grants(struct db_stmt *q, struct arena *arena, struct grant_list *ret, struct err *err)
{
	AUTO_VEC(struct grant) rows = VEC_INIT(GRANTS_MAX);
	int got;
	while ((got = db_step(q, err)) == 1) {
		const struct grant grant = {
			.id = arena_str(arena, db_str(q, 0)),
			.caller = arena_str(arena, db_str(q, 1)),
			.session = arena_str(arena, db_str(q, 2)),
			.action = arena_str(arena, db_str(q, 3)),
			.bound = arena_str(arena, db_str(q, 4)),
			.issued_ns = db_time(q, 5),
			.expires_ns = db_time(q, 6),
			.caller_name = arena_str(arena, db_str(q, 7)),
		};
		if (!vec_push(&rows, grant))
			break;
	}
	db_finish(q);
	if (got < 0)
		return -1;
	ret->items = arena_array(arena, rows.n + 1, sizeof *ret->items);
	ret->n = rows.n;
	if (rows.n > 0)
		memcpy(ret->items, rows.items, rows.n * sizeof *rows.items);
	return 0;
}

#define SELECT_OPEN                                                                                                    \
	"SELECT id, caller, coalesce(session, ''), action, bound, issued_ns, expires_ns,"                              \
	" coalesce((SELECT name FROM agents WHERE agents.id = grants.caller), caller) FROM grants WHERE ended_ns IS "  \
	"NULL"

int grant_list(struct db_tx *tx, struct arena *arena, uint64_t now_ns, struct grant_list *ret, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, SELECT_OPEN " AND expires_ns > ? ORDER BY issued_ns DESC");
	db_bind_int(q, (int64_t)now_ns);
	return read_grants(q, arena, ret, err);
}

static int end_one(struct db_tx *tx, const struct grant *grant, const struct grant_end *end, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "UPDATE grants SET ended_ns = ?, ended_why = ? WHERE id = ?");
	db_bind_int(q, (int64_t)end->now_ns);
	db_bind_str(q, end->why);
	db_bind_str(q, grant->id);
	if (db_run(q, err) < 0)
		return -1;
	/* One whose time was over has ended by itself. */
	if (grant->expires_ns <= end->now_ns)
		return 0;
	return record_grant(tx, AUDIT_GRANT_REVOKED, grant, end->why, &end->who, err);
}

int64_t grant_end(struct db_tx *tx, const struct grant_end *end, struct err *err)
{
	int64_t n = 0;
	struct grant_list list;
	do {
		AUTO(arena) *arena = arena_new();
		struct db_stmt *q = db_stmt(tx, SELECT_OPEN " AND (?1 = '' OR id = ?1) AND (?2 = '' OR session = ?2)");
		db_bind_str(q, end->id);
		db_bind_str(q, end->session);
		list = (struct grant_list){0};
		if (read_grants(q, arena, &list, err) < 0)
			return -1;
		for (size_t i = 0; i < list.n; i++) {
			if (end_one(tx, &list.items[i], end, err) < 0)
				return -1;
		}
		n += (int64_t)list.n;
	} while (list.n == GRANTS_MAX); /* no list holds more, and all of them end */
	return n;
}
