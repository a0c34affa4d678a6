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

static int do_record(struct db_tx *tx, void *user, struct err *err)
{
	const struct event *event = user;
	return event_append(tx, event, err);
}

int vault_record(struct request *request, const struct vault_record *record, struct err *err)
{
	AUTO_EVENT event;
	event_begin(&event, request_event(request, record->type));
	put_payload(&event.json, record);
	return event_end(&event, err) < 0 ? -1 : db_write(request->control->db, do_record, &event, err);
}

void vault_record_failure(struct request *request, enum audit_type type, const struct err *failure)
{
	const struct vault_record record = {.type = type, .failure = failure};
	struct err err;
	err_clear(&err);
	if (vault_record(request, &record, &err) < 0)
		log_error("vault_not_recorded", log_err(&err));
}
