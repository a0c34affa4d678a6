#include "control/vault_record.h"
#include "base/log.h"
#include "control/event.h"
#include "vault/path.h"

static void put_state(struct json_writer *w, const struct keeper_state *state)
{
	if (state == NULL || state->vault_id.n == 0)
		return;
	member_str(w, "aileron.vault.id", state->vault_id);
	member_u64(w, "aileron.vault.generation", state->generation);
}

/* agents/NAME/PURPOSE and user/SERVICE are told by their parts too. */
static void put_path(struct json_writer *w, struct str path)
{
	if (path.n == 0)
		return;
	member_str(w, "aileron.vault.path", path);
	struct str scope, rest = str_cut(path, '/', &scope);
	switch (vault_scope_of(path)) {
	case VAULT_SCOPE_AGENT: {
		struct str agent, purpose = str_cut(rest, '/', &agent);
		member_str(w, "aileron.vault.agent", agent);
		member_str(w, "aileron.vault.purpose", purpose);
		break;
	}
	case VAULT_SCOPE_USER:
		member_str(w, "aileron.vault.user.service", rest);
		break;
	case VAULT_SCOPE_BINDING:
		member_str(w, "aileron.binding.name", path);
		break;
	case VAULT_SCOPE_SECRET:
	case VAULT_SCOPE_CONNECTED_ACCOUNT:
	case VAULT_SCOPE_LLM_CONFIG:
	case VAULT_SCOPE_OTHER:
	case VAULT_SCOPE__MAX:
		break;
	}
}

static void put_counts(struct json_writer *w, const struct vault_record_counts *counts)
{
	if (counts == NULL)
		return;
	if (counts->exported) {
		member_u64(w, "aileron.vault.entries", counts->entries);
		return;
	}
	member_u64(w, "aileron.vault.added", counts->added);
	member_u64(w, "aileron.vault.replaced", counts->replaced);
	member_u64(w, "aileron.vault.kept", counts->kept);
}

static void put_payload(struct json_writer *w, const struct vault_record *record)
{
	put_state(w, record->state);
	put_path(w, record->path);
	member_str_given(w, "aileron.vault.member", record->member);
	member_str_given(w, "aileron.vault.backup", record->backup);
	member_str_given(w, "aileron.vault.kind", record->kind);
	put_counts(w, record->counts);
	member_str_given(w, "aileron.reason", record->reason);
	if (record->failure != NULL)
		member_z(w, "aileron.failure.class", err_row(record->failure->class)->name);
}

struct record_job {
	struct event event;
	const struct vault_mark *mark;
};

static int do_record(struct db_tx *tx, void *user, struct err *err)
{
	const struct record_job *job = user;
	if (job->mark != NULL && vault_mark_store(tx, job->mark, true, err) < 0)
		return -1;
	return event_append(tx, &job->event, err);
}

int vault_record(struct request *request, const struct vault_record *record, struct err *err)
{
	struct record_job job = {.mark = record->mark};
	event_begin(&job.event, request_event(request, record->type));
	put_payload(&job.event.json, record);
	int rc = event_end(&job.event, err);
	if (rc == 0)
		rc = db_write(request->control->db, do_record, &job, err);
	event_release(&job.event);
	return rc;
}

void vault_record_failure(struct request *request, enum audit_type type, const struct err *failure)
{
	const struct vault_record record = {.type = type, .failure = failure};
	struct err err;
	err_clear(&err);
	if (vault_record(request, &record, &err) < 0)
		log_error("vault_not_recorded", log_err(&err));
}
