/* Who may open the vault. */
#include "control/control.h"
#include "control/keeper_client.h"
#include "control/vault_record.h"
#include "text/json_members.h"
#include "text/wire.h"

/* An operation that answers with the backups that the old passphrase opens still. */
static int answer_backups(struct request *request, struct wire_reader *r, struct err *err)
{
	uint32_t n = wire_count(r, 4);
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "backups");
	for (uint32_t i = 0; i < n; i++)
		jsonw_str(w, wire_str(r));
	jsonw_end_array(w);
	jsonw_end_object(w);
	return wire_done(r, "backups", err);
}

int handle_vault_passwd(struct request *request, struct err *err)
{
	struct keeper_sealed sealed = {.operation = KEEPER_OP_PASSWD};
	struct vault_record record = {.type = AUDIT_VAULT_PASSPHRASE_CHANGED};
	struct str body;
	if (request_ask_sealed(request, &sealed, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	record.member = wire_str(&r);
	record.kind = wire_str(&r);
	if (vault_record(request, &record, err) < 0)
		return -1;
	return answer_backups(request, &r, err);
}

/* ---------------------------------------------------------------------------------------------------------- members */

int handle_member_list(struct request *request, struct err *err)
{
	struct str body;
	if (keeper_ask(request->control->keeper, KEEPER_MEMBERS, STR_EMPTY, request->arena, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	uint32_t n = wire_count(&r, 4 + 4 + 8);
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "members");
	for (uint32_t i = 0; i < n; i++) {
		jsonw_begin_object(w);
		member_str(w, "name", wire_str(&r));
		member_str(w, "kind", wire_str(&r));
		member_time(w, "created_at", wire_u64(&r) * TIME_SECOND);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_end_object(w);
	return wire_done(&r, "members", err);
}

int handle_member_add(struct request *request, struct err *err)
{
	struct str name = request_str(request, "name");
	struct keeper_sealed sealed = {.operation = KEEPER_OP_MEMBER_ADD, .name = name};
	const struct vault_record record = {.type = AUDIT_VAULT_MEMBER_ADDED, .member = name};
	if (request_ask_sealed(request, &sealed, NULL, err) < 0 || vault_record(request, &record, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_str(w, "name", name);
	jsonw_end_object(w);
	return 0;
}

int handle_member_remove(struct request *request, struct err *err)
{
	struct str name = request->parameters[0], body;
	struct keeper_sealed sealed = {.operation = KEEPER_OP_MEMBER_REMOVE, .name = name};
	const struct vault_record record = {.type = AUDIT_VAULT_MEMBER_REMOVED, .member = name};
	if (request_ask_sealed(request, &sealed, &body, err) < 0 || vault_record(request, &record, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	return answer_backups(request, &r, err);
}
