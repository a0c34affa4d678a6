#include "audit/line.h"
#include "base/hex.h"
#include "base/time.h"
#include "base/ulid.h"
#include "text/canonical.h"
#include "text/json_writer.h"

#define FIELD_MAX    4096 /* bytes of an actor's fields */
#define TYPICAL_REST 1024 /* bytes of a line around its payload */

static const char *const actor_names[] = {
	[AUDIT_ACTOR_HUMAN] = "human",
	[AUDIT_ACTOR_AGENT] = "agent",
	[AUDIT_ACTOR_SERVICE] = "service",
	[AUDIT_ACTOR_CONNECTOR_RUNTIME] = "connector_runtime",
};

/* The time in front of 74 random bits: ids of one time lie on one page of their index, which each append writes. */
static void make_id(uint64_t now_ns, char ret[AUDIT_ID_SIZE])
{
	static const unsigned char groups[] = {4, 2, 2, 2, 6};
	unsigned char bytes[ULID_BYTES];
	ulid_bytes(now_ns, bytes);
	bytes[6] = (bytes[6] & 0x0f) | 0x40; /* version 4 and variant 10 of RFC 9562, 5.4 */
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	memcpy(ret, "audit", 5);
	char *to = ret + 5;
	size_t done = 0;
	for (size_t i = 0; i < sizeof groups; i++) {
		*to++ = '-';
		hex_format(str_of(bytes + done, groups[i]), to);
		to += 2 * (size_t)groups[i];
		done += groups[i];
	}
}

static int check_field(const char *name, struct str value, struct err *err)
{
	if (value.n > FIELD_MAX)
		return fail(err, ERR_LIMIT, "'%s' of an event is larger than %d bytes", name, FIELD_MAX);
	if (!str_is_utf8(value))
		return fail(err, ERR_VALIDATION_ERROR, "'%s' of an event is not UTF-8", name);
	return 0;
}

static int check_event(const struct audit_event *event, struct err *err)
{
	if (event->type == AUDIT_EXTERNAL && !audit_name_is_external(event->external_name))
		return fail(err, ERR_VALIDATION_ERROR, "no event of that name may be recorded from outside");
	unsigned char trace[16];
	if (event->trace_id.n > 0 && !audit_hex(event->trace_id, trace, sizeof trace))
		return fail(err, ERR_VALIDATION_ERROR, "'trace_id' of an event is not 32 lower-case hex digits");
	if (check_field("actor.id", event->actor_id, err) != 0 ||
	    check_field("actor.identity_label", event->identity_label, err) != 0)
		return -1;
	return check_field("actor.credential_binding", event->credential_binding, err);
}

/* A payload as it is written, and the columns by which its event is found, which point into it. */
struct payload {
	struct str text;
	struct audit_columns columns;
	bool unsure;       /* a column cannot be taken as it stands */
	struct json *json; /* NULL when the text was canonical as it came */
	struct buf made;
};

static void take_column(struct payload *payload, struct str value, struct str *ret)
{
	if (value.n < 2 || value.p[0] != '"')
		return;
	*ret = str_slice(value, 1, value.n - 1);
	payload->unsure |= str_find_char(*ret, '\\') != STR_NPOS;
}

static void see_member(void *user, struct str name, struct str value)
{
	struct payload *payload = user;
	struct audit_columns *columns = &payload->columns;
	if (!str_starts(name, S("aileron.")))
		return;
	if (str_eq(name, S("aileron.connector.fqn")))
		take_column(payload, value, &columns->connector);
	else if (str_eq(name, S("aileron.action.fqn")))
		take_column(payload, value, &columns->action);
	else if (str_eq(name, S("aileron.failure.class")))
		take_column(payload, value, &columns->class);
	else if (str_eq(name, S("aileron.binding.name")))
		take_column(payload, value, &columns->binding);
	else if (str_eq(name, S("aileron.failure.details")))
		payload->unsure |= value.p[0] == '{';
}

static int no_object(struct err *err)
{
	return fail(err, ERR_VALIDATION_ERROR, "the payload of an event is no JSON object");
}

/* The payload in its canonical form; mostly it came so. */
static int make_payload(const struct audit_event *event, struct payload *payload, struct err *err)
{
	struct str text = event->payload_text.n > 0 ? event->payload_text : S("{}");
	if (event->payload == NULL && text.p[0] == '{' &&
	    json_canonical_at_sight(text, AUDIT_DEPTH_MAX, see_member, payload) && !payload->unsure) {
		payload->text = text;
		if (event->credential_binding.n > 0)
			payload->columns.binding = event->credential_binding;
		return 0;
	}
	const struct json *json = event->payload;
	if (json == NULL && (json = payload->json = json_parse(text, JSON_READ_ALLOW_NUL, NULL)) == NULL)
		return no_object(err);
	if (json_kind(json) != JSON_KIND_OBJECT)
		return no_object(err);
	if (json_canonical_quoting(&payload->made, json, err) != 0)
		return wrap(err, "the payload of an event");
	payload->text = buf_str(&payload->made);
	payload->columns = audit_columns_of(json, event->credential_binding);
	if (audit_is_deeper(payload->text, AUDIT_DEPTH_MAX))
		return fail(err, ERR_VALIDATION_ERROR, "the payload of an event is nested deeper than %d",
			    AUDIT_DEPTH_MAX);
	return 0;
}

static void payload_release(struct payload *payload)
{
	json_free(payload->json);
	buf_release(&payload->made);
}

/* Everything before the chain's own members. */
static int put_event(struct buf *out, const struct audit_event *event, struct str payload, const char *id,
		     uint64_t now_ns, struct err *err)
{
	char time[TIME_RFC3339_SIZE];
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	buf_add_z(out, "{\"event\":{\"actor\":{");
	if (event->credential_binding.n > 0) {
		jsonw_key(&w, S("credential_binding"));
		jsonw_str(&w, event->credential_binding);
	}
	jsonw_key(&w, S("id"));
	jsonw_str(&w, event->actor_id);
	if (event->identity_label.n > 0) {
		jsonw_key(&w, S("identity_label"));
		jsonw_str(&w, event->identity_label);
	}
	jsonw_key(&w, S("type"));
	jsonw_str(&w, str_from(actor_names[event->actor]));
	buf_add_z(out, "},\"audit_id\":\"");
	buf_add_z(out, id);
	buf_add_z(out, "\",\"event_type\":\"");
	if (event->type == AUDIT_EXTERNAL)
		buf_add_str(out, event->external_name);
	else
		buf_add_z(out, audit_type_name(event->type));
	buf_add_z(out, "\",\"payload\":");
	buf_add_str(out, payload);
	buf_add_z(out, ",\"timestamp\":\"");
	buf_add_z(out, time_format_rfc3339(now_ns, 9, time));
	buf_add_z(out, "\"}");
	return buf_check(out, "an event", err);
}

static int insert(struct db_tx *tx, const struct audit_event *event, const struct audit_columns *columns,
		  const struct audit_link *link, const char *id, uint64_t now_ns, struct str text, struct err *err)
{
	struct db_stmt *stmt = db_stmt(tx, "INSERT INTO audit (seq, audit_id, ts_ns, type, connector, action, class, "
					   "binding, hash, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	db_bind_int(stmt, (int64_t)link->seq);
	db_bind_str(stmt, str_from(id));
	db_bind_int(stmt, (int64_t)now_ns);
	db_bind_str(stmt,
		    event->type == AUDIT_EXTERNAL ? event->external_name : str_from(audit_type_name(event->type)));
	db_bind_str_given(stmt, columns->connector);
	db_bind_str_given(stmt, columns->action);
	db_bind_str_given(stmt, columns->class);
	db_bind_str_given(stmt, columns->binding);
	db_bind_blob(stmt, str_of(link->hash, SHA256_SIZE));
	db_bind_str(stmt, text);
	return db_run(stmt, err) < 0 ? -1 : 0;
}

/*
 * The end of the chain as the last append left it: good as long as the same transaction goes on and nothing of it was
 * undone. Retention may take that event, but not its place in the chain.
 */
static _Thread_local struct end {
	uint64_t version;
	struct audit_link link;
} last;

static int next_link(struct db_tx *tx, struct audit_link *ret, struct err *err)
{
	if (last.version != db_tx_version(tx))
		return audit_next_link(tx, ret, err);
	*ret = (struct audit_link){.seq = last.link.seq + 1};
	memcpy(ret->prev, last.link.hash, sizeof ret->prev);
	return 0;
}

static int append(struct db_tx *tx, const struct audit_event *event, const struct payload *payload, char *ret_id,
		  uint64_t *ret_seq, struct err *err)
{
	struct audit_link link;
	if (next_link(tx, &link, err) != 0)
		return -1;
	char id[AUDIT_ID_SIZE];
	uint64_t now_ns = clock_wall_ns(NULL);
	make_id(now_ns, id);
	AUTO_BUF text = BUF_INIT(AUDIT_TEXT_MAX);
	buf_reserve(&text, MIN(payload->text.n + TYPICAL_REST, AUDIT_TEXT_MAX)); /* one allocation, mostly */
	if (put_event(&text, event, payload->text, id, now_ns, err) != 0)
		return -1;
	audit_line_close(&text, event->trace_id, &link);
	if (buf_check(&text, "an event", err) != 0 ||
	    insert(tx, event, &payload->columns, &link, id, now_ns, buf_str(&text), err) != 0)
		return -1;
	last = (struct end){.version = db_tx_version(tx), .link = link};
	if (ret_id != NULL)
		memcpy(ret_id, id, sizeof id);
	if (ret_seq != NULL)
		*ret_seq = link.seq;
	return 0;
}

int audit_append(struct db_tx *tx, const struct audit_event *event, char ret_id[AUDIT_ID_SIZE], uint64_t *ret_seq,
		 struct err *err)
{
	struct payload payload = {.made = BUF_INIT(AUDIT_TEXT_MAX)};
	int appended = check_event(event, err) != 0 || make_payload(event, &payload, err) != 0
			       ? -1
			       : append(tx, event, &payload, ret_id, ret_seq, err);
	payload_release(&payload);
	return appended;
}

struct record {
	const struct audit_event *event;
	char *ret_id;
};

static int record_job(struct db_tx *tx, void *user, struct err *err)
{
	struct record *record = user;
	return audit_append(tx, record->event, record->ret_id, NULL, err);
}

int audit_record(struct db *db, const struct audit_event *event, char ret_id[AUDIT_ID_SIZE], struct err *err)
{
	char id[AUDIT_ID_SIZE];
	struct record record = {event, id};
	if (db_write(db, record_job, &record, err) != 0)
		return -1;
	if (ret_id != NULL)
		memcpy(ret_id, id, sizeof id);
	return 0;
}
