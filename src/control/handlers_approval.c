/* Approvals and grants over HTTP. */
#include "approval/grant.h"
#include "approval/run_table.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "control/answer.h"
#include "control/control.h"
#include "control/runs.h"
#include "text/json_members.h"
#include <stdatomic.h>

#define HEARTBEAT_NS (30 * TIME_SECOND)
#define PIECE_MAX    (64 * MIB)

/* ------------------------------------------------------------------------------------------------------------- looking */

static int list_in(struct request *r, struct arena *arena, enum run_state state, struct run_list *ret, struct err *err)
{
	const struct run_filter filter = {.state = str_from(run_state_name(state)), .open = true, .approval = true};
	struct db_tx *tx = db_read(r->control->db);
	int rc = run_list(tx, arena, &filter, ret, err);
	db_done(tx);
	return rc;
}

static int put_list(struct request *r, struct arena *arena, const struct run_list *list, struct json_writer *w,
		    struct err *err)
{
	jsonw_begin_object(w);
	member_begin_array(w, "items");
	for (size_t i = 0; i < list->n; i++) {
		if (run_put_pending(r->control->runs, arena, &list->items[i], w, err) < 0)
			return -1;
	}
	jsonw_end_array(w);
	struct run_list awaiting = {0};
	if (list_in(r, arena, RUN_AWAITING_VAULT, &awaiting, err) < 0)
		return -1;
	member_u64(w, "awaiting_vault", awaiting.n);
	jsonw_end_object(w);
	return 0;
}

int handle_approval_list(struct request *r, struct err *err)
{
	struct run_list list = {0};
	if (list_in(r, r->arena, RUN_PENDING_APPROVAL, &list, err) < 0)
		return -1;
	return put_list(r, r->arena, &list, &r->json, err);
}

static int get(struct request *r, struct run *ret, struct err *err)
{
	struct run run;
	int rc = runs_get(r->control->runs, r->arena, STR_EMPTY, r->parameters[0], &run, err);
	if (rc < 0 && err->class != ERR_NOT_FOUND)
		return -1;
	if (rc < 0 || run.approval_id.n == 0)
		return fail(err, ERR_NOT_FOUND, "there is no approval '%.*s'; see `aileron approval list`",
			    STR_FMT(str_slice(r->parameters[0], 0, RUN_APPROVAL_ID_SIZE)));
	*ret = run;
	return 0;
}

int handle_approval_show(struct request *r, struct err *err)
{
	struct run run;
	if (get(r, &run, err) < 0)
		return -1;
	return run_put_pending(r->control->runs, r->arena, &run, &r->json, err);
}

int handle_approval_result(struct request *r, struct err *err)
{
	struct run run;
	if (get(r, &run, err) < 0)
		return -1;
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_z(w, "status", run_state_name(run.state));
	member_str_given(w, "audit_id", run.audit_id);
	member_str_given(w, "result", run.result);
	member_str_given(w, "reason", run.reason);
	if (run_state_is_terminal(run.state) && run.state != RUN_COMPLETED) {
		struct err failure;
		AUTO_BUF text = BUF_INIT(RUN_ERROR_MAX);
		run_error(&run, &failure);
		run_put_error(&text, &failure);
		member_raw(w, "failure", buf_str(&text));
	}
	jsonw_end_object(w);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ deciding */

/* What the person can do now is unlock and approve again: 409, and it still waits. */
static void answer_locked(struct request *r, const struct err *err)
{
	struct json_writer *w = &r->json;
	r->status = 409;
	jsonw_begin_object(w);
	member_begin_object(w, "error");
	member_z(w, "code", err_row(err->class)->name);
	member_z(w, "message", err->message);
	member_str(w, "request_id", http_request_id(r->exchange));
	jsonw_end_object(w);
	jsonw_end_object(w);
}

int handle_approval_decide(struct request *r, struct err *err)
{
	struct run run;
	struct run_decision decision = {
		.id = r->parameters[0],
		.approved = request_bool(r, "approved", false),
		.reason = request_str(r, "reason"),
		.edited = request_member(r, "edited_payload"),
		.grant = request_bool(r, "grant", false),
		.by = request_event(r, AUDIT_APPROVAL_APPROVED),
	};
	if (get(r, &run, err) < 0)
		return -1;
	if (request_str(r, "sealed").n > 0 && request_sealed(r, &decision.sealed, err) < 0)
		return -1;
	int rc = runs_decide(r->control->runs, &decision, err);
	if (rc == 0 || err->class != ERR_VAULT_LOCKED)
		return rc;
	answer_locked(r, err);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ watching */

static _Atomic unsigned watchers;

/* One that was told as pending, until it is told as resolved. */
struct told {
	struct str id, preview;
};
struct watch {
	struct request *request;
	struct arena *arena; /* of what was told */
	struct told *told;
	size_t n_told;
	struct buf piece;
};

static void put_event(struct watch *watch, const char *event, struct str data)
{
	http_put_event(&watch->piece, str_from(event), STR_EMPTY, data);
}

static const struct told *told_of(const struct watch *watch, struct str id)
{
	for (size_t i = 0; i < watch->n_told; i++) {
		if (str_eq(watch->told[i].id, id))
			return &watch->told[i];
	}
	return NULL;
}

static bool is_among(const struct run_list *list, struct str id)
{
	for (size_t i = 0; i < list->n; i++) {
		if (str_eq(list->items[i].id, id))
			return true;
	}
	return false;
}

static int put_pending(struct watch *watch, struct arena *arena, const struct run *run, struct err *err)
{
	AUTO_BUF text = BUF_INIT(PIECE_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	if (run_put_pending(watch->request->control->runs, arena, run, &w, err) < 0)
		return -1;
	put_event(watch, "pending", buf_str(&text));
	return 0;
}

static void put_resolved(struct watch *watch, struct arena *arena, struct str id)
{
	struct run run;
	AUTO_BUF text = BUF_INIT(MIB);
	struct json_writer w;
	if (runs_get(watch->request->control->runs, arena, STR_EMPTY, id, &run, NULL) < 0)
		return;
	bool refused = run.state == RUN_DENIED || run.state == RUN_EXPIRED || run.state == RUN_REFUSED ||
		       (run.state == RUN_CANCELLED && run.decided_by.n == 0);
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "id", run.approval_id);
	member_z(&w, "kind", "action");
	member_bool(&w, "approved", !refused);
	member_z(&w, "state", run_state_name(run.state));
	member_str_given(&w, "reason", run.reason);
	member_time_given(&w, "decided_at", run.decided_ns > 0 ? run.decided_ns : run.ended_ns);
	jsonw_end_object(&w);
	put_event(watch, "resolved", buf_str(&text));
}

static void remember(struct watch *watch, const struct run_list *list)
{
	struct arena *arena = arena_new();
	struct told *told = arena_array(arena, list->n + 1, sizeof *told);
	for (size_t i = 0; i < list->n; i++)
		told[i] = (struct told){arena_str(arena, list->items[i].id), arena_str(arena, list->items[i].preview)};
	arena_free(watch->arena);
	watch->arena = arena;
	watch->told = told;
	watch->n_told = list->n;
}

/* What changed since it was told last; all of it the first time. */
static int put_changes(struct watch *watch, struct err *err)
{
	struct request *r = watch->request;
	AUTO(arena) *arena = arena_new();
	struct run_list list = {0};
	if (list_in(r, arena, RUN_PENDING_APPROVAL, &list, err) < 0)
		return -1;
	if (watch->arena == NULL) {
		AUTO_BUF text = BUF_INIT(PIECE_MAX);
		struct json_writer w;
		jsonw_init(&w, &text, JSON_WRITER_PLAIN);
		if (put_list(r, arena, &list, &w, err) < 0)
			return -1;
		put_event(watch, "snapshot", buf_str(&text));
	}
	for (size_t i = 0; watch->arena != NULL && i < list.n; i++) {
		const struct told *told = told_of(watch, list.items[i].id);
		if ((told == NULL || !str_eq(told->preview, list.items[i].preview)) &&
		    put_pending(watch, arena, &list.items[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < watch->n_told; i++) {
		if (!is_among(&list, watch->told[i].id))
			put_resolved(watch, arena, watch->told[i].id);
	}
	remember(watch, &list);
	return buf_check(&watch->piece, "what changed", err);
}

static void follow(struct watch *watch)
{
	struct request *r = watch->request;
	struct err err;
	uint64_t seen = 0;
	err_clear(&err);
	while (!request_is_over(r)) {
		buf_clear(&watch->piece);
		/* The number of changes first: what happens while it is read is seen by the next turn. */
		int changed = runs_await(r->control->runs, &seen, clock_monotonic_ns(NULL) + HEARTBEAT_NS,
					 request_is_over, r);
		if (changed < 0)
			return;
		if (changed == 0) {
			buf_add_z(&watch->piece, ": heartbeat\n\n");
		} else if (put_changes(watch, &err) < 0) {
			log_warn("approvals_not_told", log_err(&err));
			return;
		}
		if (watch->piece.n > 0 && http_stream_write(r->exchange, buf_str(&watch->piece)) < 0)
			return;
	}
}

int handle_approval_watch(struct request *r, struct err *err)
{
	if (atomic_fetch_add(&watchers, 1) >= CONTROL_WATCHERS) {
		atomic_fetch_sub(&watchers, 1);
		return fail(err, ERR_UNAVAILABLE, "%d watch the approvals already", CONTROL_WATCHERS);
	}
	const struct h1_header headers[] = {
		answer_revision(), {S("Cache-Control"), S("no-cache")}, {S("X-Accel-Buffering"), S("no")}};
	const struct http_answer head = {.status = 200,
					 .content_type = S("text/event-stream"),
					 .headers = headers,
					 .n_headers = ARRAY_LEN(headers)};
	struct watch watch = {.request = r, .piece = BUF_INIT(PIECE_MAX)};
	r->answered = true;
	http_stream_begin(r->exchange, &head);
	follow(&watch);
	http_stream_end(r->exchange);
	arena_free(watch.arena);
	buf_release(&watch.piece);
	atomic_fetch_sub(&watchers, 1);
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- grants */

static void put_grant(struct json_writer *w, const struct grant *grant)
{
	jsonw_begin_object(w);
	member_str(w, "id", grant->id);
	member_str(w, "action", grant->action);
	member_str(w, "caller", grant->caller);
	member_str(w, "caller_name", grant->caller_name);
	member_str_given(w, "session", grant->session);
	member_time(w, "issued_at", grant->issued_ns);
	member_time(w, "expires_at", grant->expires_ns);
	member_raw(w, "bound", grant->bound);
	jsonw_end_object(w);
}

int handle_grant_list(struct request *r, struct err *err)
{
	struct grant_list list = {0};
	struct db_tx *tx = db_read(r->control->db);
	int rc = grant_list(tx, r->arena, clock_wall_ns(NULL), &list, err);
	db_done(tx);
	if (rc < 0)
		return -1;
	jsonw_begin_object(&r->json);
	member_begin_array(&r->json, "items");
	for (size_t i = 0; i < list.n; i++)
		put_grant(&r->json, &list.items[i]);
	jsonw_end_array(&r->json);
	jsonw_end_object(&r->json);
	return 0;
}

static int do_revoke(struct db_tx *tx, void *user, struct err *err)
{
	const struct grant_end *end = user;
	int64_t n = grant_end(tx, end, err);
	if (n == 0)
		return fail(err, ERR_NOT_FOUND, "there is no grant '%.*s' that holds; see `aileron approval grants`",
			    STR_FMT(end->id));
	return n < 0 ? -1 : 0;
}

int handle_grant_revoke(struct request *r, struct err *err)
{
	struct grant_end end = {
		.id = r->parameters[0],
		.why = S("revoked"),
		.now_ns = clock_wall_ns(NULL),
		.who = request_event(r, AUDIT_GRANT_REVOKED),
	};
	return db_write(r->control->db, do_revoke, &end, err);
}
