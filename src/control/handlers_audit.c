#include "api/timestamp.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/answer.h"
#include "control/audit_service.h"
#include "control/control.h"
#include "control/keeper_client.h"
#include "text/json_members.h"

#define LIST_DEFAULT  100
#define TAIL_ROWS     100         /* read at a time */
#define TAIL_PIECE    (256 * KIB) /* of events, sent at a time */
#define TAIL_QUIET_MS 15000       /* after which a comment shows that the stream lives */
#define EXPORT_PIECE  (64 * KIB)

/* ------------------------------------------------------------------------------------------------------------ lists */

static int read_time(const struct request *request, const char *name, uint64_t *ret, struct err *err)
{
	struct str text = request_query(request, name);
	if (text.n > 0 && timestamp_parse(text, ret, err) < 0)
		return wrap(err, "'%s'", name);
	return 0;
}

static int put_row(void *user, uint64_t seq, struct str text)
{
	(void)seq;
	jsonw_raw(user, text);
	return 0;
}

int handle_audit_list(struct request *request, struct err *err)
{
	struct audit_query query = {
		.audit_id = request_query(request, "audit_id"),
		.type = request_query(request, "type"),
		.connector_fqn = request_query(request, "connector_fqn"),
		.class = request_query(request, "class"),
		.binding = request_query(request, "binding"),
		.after_seq = request_query_u64(request, "after_seq", 0),
		.before_seq = request_query_u64(request, "before_seq", 0),
		.limit = (uint32_t)request_query_u64(request, "limit", LIST_DEFAULT),
	};
	if (read_time(request, "since", &query.since_ns, err) < 0 ||
	    read_time(request, "until", &query.until_ns, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "events");
	struct db_tx *tx = db_read(request->control->db);
	int rc = audit_list(tx, &query, put_row, w, err);
	db_done(tx);
	jsonw_end_array(w);
	jsonw_end_object(w);
	return rc;
}

int handle_audit_get(struct request *request, struct err *err)
{
	struct str id = request->parameters[0];
	struct db_tx *tx = db_read(request->control->db);
	int got = audit_get(tx, id, &request->answer, err);
	db_done(tx);
	if (got == 0)
		return fail(err, ERR_NOT_FOUND, "there is no event '%.*s'; see `aileron audit list`",
			    STR_FMT(str_slice(id, 0, AUDIT_ID_SIZE)));
	return got < 0 ? -1 : 0;
}

/* ----------------------------------------------------------------------------------------------------- from outside */

/* Members of the payload that belong to the actor (reference 7.3). */
static const char *const lifted[] = {"aileron.actor.identity_label", "aileron.actor.credential_binding"};

#define FOREIGN "aileron.recorded_for_others"

static void put_payload(struct json_writer *w, const struct json *payload)
{
	jsonw_begin_object(w);
	struct json_iter it;
	for (json_iter_init(&it, payload); json_iter_next(&it);) {
		if (str_eq(it.name, str_from(lifted[0])) || str_eq(it.name, str_from(lifted[1])))
			continue;
		if (str_eq(it.name, S(FOREIGN)))
			continue;
		jsonw_key(w, it.name);
		jsonw_value(w, it.value);
	}
	/* Whatever it calls itself: the daemon did not see it happen. */
	jsonw_key(w, S(FOREIGN));
	jsonw_bool(w, true);
	jsonw_end_object(w);
}

static enum audit_actor actor_named(struct str name)
{
	static const char *const names[] = {
		[AUDIT_ACTOR_HUMAN] = "human",
		[AUDIT_ACTOR_AGENT] = "agent",
		[AUDIT_ACTOR_SERVICE] = "service",
		[AUDIT_ACTOR_CONNECTOR_RUNTIME] = "connector_runtime",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(name, str_from(names[i])))
			return (enum audit_actor)i;
	}
	BUG("the schema let an actor of another type through");
}

int handle_audit_post(struct request *request, struct err *err)
{
	const struct json *actor = request_member(request, "actor"), *payload = request_member(request, "payload");
	struct str type = STR_EMPTY;
	struct audit_event event = request_event(request, AUDIT_EXTERNAL);
	(void)json_get_str(json_member(actor, S("type")), &type);
	(void)json_get_str(json_member(actor, S("id")), &event.actor_id);
	(void)json_get_str(json_member(payload, str_from(lifted[0])), &event.identity_label);
	(void)json_get_str(json_member(payload, str_from(lifted[1])), &event.credential_binding);
	event.actor = actor_named(type);
	event.external_name = request_str(request, "event_type");
	AUTO_BUF text = BUF_INIT(AUDIT_TEXT_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	put_payload(&w, payload);
	if (buf_check(&text, "the payload", err) < 0)
		return -1;
	event.payload_text = buf_str(&text);
	char id[AUDIT_ID_SIZE];
	if (audit_record(request->control->db, &event, id, err) < 0) {
		if (err->class == ERR_VALIDATION_ERROR)
			err->class = ERR_INVALID_REQUEST;
		return -1;
	}
	jsonw_begin_object(&request->json);
	member_z(&request->json, "audit_id", id);
	jsonw_end_object(&request->json);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- tail */

static void begin_stream(struct request *request, struct str content_type)
{
	const struct h1_header revision = answer_revision();
	const struct http_answer head = {
		.status = 200, .content_type = content_type, .headers = &revision, .n_headers = 1};
	request->answered = true;
	http_stream_begin(request->exchange, &head);
}

struct tail {
	struct buf piece;
	uint64_t seq; /* of the last event in it */
	uint32_t rows;
};

static int put_event(void *user, uint64_t seq, struct str text)
{
	struct tail *tail = user;
	char id[24];
	snprintf(id, sizeof id, "%llu", (unsigned long long)seq);
	http_put_event(&tail->piece, S("audit"), str_from(id), text);
	tail->seq = seq;
	tail->rows++;
	return tail->piece.n >= TAIL_PIECE;
}

/* The events after the last one, as far as one piece goes. */
static int read_piece(struct control *control, struct tail *tail, struct err *err)
{
	buf_clear(&tail->piece);
	tail->rows = 0;
	struct audit_query query = {.after_seq = tail->seq, .limit = TAIL_ROWS};
	struct db_tx *tx = db_read(control->db);
	struct audit_head head = {0};
	int rc = audit_head(tx, &head, err);
	if (tail->seq == 0) {
		/* "After none" would be no bound; the oldest is the one before the second. */
		query.before_seq = head.first + 1;
		query.limit = 1;
	}
	if (rc == 0 && head.seq > tail->seq)
		rc = audit_list(tx, &query, put_event, tail, err);
	db_done(tx);
	return rc;
}

/* Until the client is gone, or the daemon ends. */
static void follow(struct request *request, struct tail *tail)
{
	struct control *control = request->control;
	struct err err;
	err_clear(&err);
	uint64_t seen = 0;
	bool go_on = true;
	while (go_on && !request_is_over(request)) {
		/* What is committed while we read is seen by the next wait, which then does not. */
		if (read_piece(control, tail, &err) < 0) {
			log_warn("audit_tail_not_sent", log_err(&err));
			return;
		}
		if (tail->rows == 0) {
			uint64_t before = seen;
			go_on = audit_wait(control->audit, &seen, TAIL_QUIET_MS);
			if (go_on && seen == before)
				buf_add_z(&tail->piece, ":\n\n");
		}
		if (tail->piece.n > 0 && http_stream_write(request->exchange, buf_str(&tail->piece)) < 0)
			return;
	}
}

static int newest_seq(struct control *control, uint64_t *ret, struct err *err)
{
	struct audit_head head = {0};
	struct db_tx *tx = db_read(control->db);
	int rc = audit_head(tx, &head, err);
	db_done(tx);
	if (rc == 0)
		*ret = head.seq;
	return rc;
}

int handle_audit_tail(struct request *request, struct err *err)
{
	struct tail tail = {.piece = BUF_INIT(TAIL_PIECE + 2 * AUDIT_TEXT_MAX)};
	struct str last = http_header(request->exchange, S("Last-Event-ID"));
	bool told = request_query(request, "after_seq").n > 0;
	tail.seq = request_query_u64(request, "after_seq", 0);
	if (!told && !str_to_u64(last, INT64_MAX, &tail.seq) && newest_seq(request->control, &tail.seq, err) < 0)
		return -1;
	if (audit_follow(request->control->audit, err) < 0)
		return -1;
	begin_stream(request, S("text/event-stream"));
	follow(request, &tail);
	http_stream_end(request->exchange);
	audit_unfollow(request->control->audit);
	buf_release(&tail.piece);
	return 0;
}

/* ----------------------------------------------------------------------------------------------------------- export */

struct export
{
	struct http_exchange *exchange;
	struct buf piece;
};

static int flush(struct export *export, struct err *err)
{
	if (export->piece.n > 0 && http_stream_write(export->exchange, buf_str(&export->piece)) < 0)
		return fail(err, ERR_CANCELLED, "whoever asked for the export is gone");
	buf_clear(&export->piece);
	return 0;
}

static int write_export(void *user, struct str bytes, struct err *err)
{
	struct export *export = user;
	buf_add_str(&export->piece, bytes);
	return export->piece.n >= EXPORT_PIECE ? flush(export, err) : 0;
}

static int stream_export(struct control *control, struct export *export, struct err *err)
{
	struct audit_head head = {0};
	uint64_t count = 0;
	struct db_tx *tx = db_read(control->db);
	int rc = audit_export(tx, write_export, export, &head, &count, err);
	db_done(tx);
	struct audit_signature signature;
	if (rc < 0 || flush(export, err) < 0 || audit_sign_head(control, &head, count, &signature, err) < 0)
		return -1;
	audit_head_line(&export->piece, &head, count, str_of(signature.signature, sizeof signature.signature),
			str_of(signature.public_key, sizeof signature.public_key));
	return flush(export, err);
}

/* Without its last line, which is the signed head, an export shows that it was cut short. */
int handle_audit_export(struct request *request, struct err *err)
{
	struct keeper_state state;
	if (keeper_ask_state(request->control->keeper, request->arena, &state, err) < 0)
		return wrap(err, "the export cannot be signed");
	if (audit_follow(request->control->audit, err) < 0)
		return -1;
	struct export export = {.exchange = request->exchange, .piece = BUF_INIT(EXPORT_PIECE + 4 * AUDIT_TEXT_MAX)};
	begin_stream(request, S("application/x-ndjson"));
	if (stream_export(request->control, &export, err) < 0)
		log_warn("audit_export_not_sent", log_err(err));
	http_stream_end(request->exchange);
	audit_unfollow(request->control->audit);
	buf_release(&export.piece);
	return 0;
}
