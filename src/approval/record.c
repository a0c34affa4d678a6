#include "approval/record.h"

#define PAYLOAD_MAX ((size_t)40 << 10)
#define TEXT_MAX    ((size_t)4 << 10) /* of a reason, a message */

void record_begin(struct record *record, enum audit_type type, const struct audit_event *who, const struct run *run)
{
	*record = (struct record){.audit = *who, .payload = BUF_INIT(PAYLOAD_MAX)};
	record->audit.type = type;
	struct json_writer *w = &record->json;
	jsonw_init(w, &record->payload, JSON_WRITER_PLAIN);
	jsonw_begin_object(w);
	member_str_given(w, "aileron.action.fqn", run->action);
	member_str_given(w, "aileron.action.hash", run->action_hash);
	member_str_given(w, "aileron.action.version", run->action_version);
	if (!str_eq(run->caller.id, S("user")))
		member_str_given(w, "aileron.agent.id", run->caller.id);
	if (run->approval_id.n > 0) {
		member_str(w, "aileron.approval.action", run->action);
		member_str(w, "aileron.approval.id", run->approval_id);
		member_z(w, "aileron.approval.kind", "action");
	}
	member_str_given(w, "aileron.grant.id", run->grant_id);
	member_str_given(w, "aileron.run.id", run->id);
	member_str_given(w, "aileron.session.id", run->caller.session);
}

void record_release(struct record *record)
{
	buf_release(&record->payload);
}

int record_append(struct db_tx *tx, struct record *record, char *ret_id, struct err *err)
{
	jsonw_end_object(&record->json);
	if (buf_check(&record->payload, "the event of this", err) < 0)
		return -1;
	record->audit.payload_text = buf_str(&record->payload);
	return audit_append(tx, &record->audit, ret_id, NULL, err);
}

void record_put_failure(struct json_writer *w, const struct err *error)
{
	member_z(w, "aileron.failure.class", err_row(error->class)->name);
	member_z(w, "aileron.failure.boundary", err_boundary_name(error->boundary));
	member_bool(w, "aileron.failure.retriable", error->retriable);
	member_str(w, "aileron.failure.message", str_slice(str_from(error->message), 0, TEXT_MAX));
	if (error->details_n == 0)
		return;
	/* As text: details may hold numbers that have no canonical form. */
	AUTO_BUF details = BUF_INIT(ERR_DETAILS_MAX + 8);
	buf_addf(&details, "{%s}", error->details);
	member_str(w, "aileron.failure.details", buf_str(&details));
}
