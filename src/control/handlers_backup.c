/* The vault as a whole: copies of it, and what opening it costs. */
#include "base/base64.h"
#include "base/limits.h"
#include "control/control.h"
#include "control/keeper_client.h"
#include "control/vault_record.h"
#include "text/json_members.h"
#include "text/wire.h"

#define FILE_MAX        (24 * MIB)
#define TUNE_DEFAULT_MS 500

/* ------------------------------------------------------------------------------------------------ export and import */

int handle_vault_export(struct request *request, struct err *err)
{
	struct keeper_sealed sealed = {.operation = KEEPER_OP_EXPORT};
	struct vault_record_counts counts = {.exported = true};
	struct vault_record record = {.type = AUDIT_VAULT_EXPORTED, .counts = &counts};
	struct str body;
	if (request_ask_sealed(request, &sealed, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	record.member = wire_str(&r);
	record.kind = wire_str(&r);
	counts.entries = wire_u32(&r);
	struct str file = wire_str(&r);
	if (wire_done(&r, "export", err) < 0)
		return -1;
	AUTO_BUF text = BUF_INIT(FILE_MAX);
	base64_encode(&text, file, BASE64_STANDARD);
	if (buf_check(&text, "the export", err) < 0 || vault_record(request, &record, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_str(w, "file", buf_str(&text));
	jsonw_end_object(w);
	return 0;
}

int handle_vault_import(struct request *request, struct err *err)
{
	AUTO_BUF file = BUF_INIT(FILE_MAX);
	if (base64_decode(&file, request_str(request, "file"), BASE64_STANDARD, err) < 0) {
		err_clear(err);
		return fail(err, ERR_INVALID_REQUEST, "'file' is not the base64 of an export");
	}
	struct keeper_sealed sealed = {
		.operation = KEEPER_OP_IMPORT,
		.flags = request_bool(request, "replace", false) ? KEEPER_FLAG_REPLACE : 0,
		.blob = buf_str(&file),
	};
	struct vault_record_counts counts = {.exported = false};
	const struct vault_record record = {.type = AUDIT_VAULT_IMPORTED, .counts = &counts};
	struct str body;
	if (request_ask_sealed(request, &sealed, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	counts.added = wire_u32(&r);
	counts.replaced = wire_u32(&r);
	counts.kept = wire_u32(&r);
	if (wire_done(&r, "import", err) < 0 || vault_record(request, &record, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_u64(w, "added", counts.added);
	member_u64(w, "replaced", counts.replaced);
	member_u64(w, "kept", counts.kept);
	jsonw_end_object(w);
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------- backups */

int handle_backup_list(struct request *request, struct err *err)
{
	struct str body;
	if (keeper_ask(request->control->keeper, KEEPER_BACKUPS, STR_EMPTY, request->arena, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	uint32_t n = wire_count(&r, 4 + 8 + 8 + 4);
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "backups");
	for (uint32_t i = 0; i < n; i++) {
		jsonw_begin_object(w);
		member_str(w, "name", wire_str(&r));
		member_u64(w, "bytes", wire_u64(&r));
		member_time(w, "modified_at", wire_u64(&r) * TIME_SECOND);
		member_str(w, "version", wire_str(&r));
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_end_object(w);
	return wire_done(&r, "backups", err);
}

int handle_backup_delete(struct request *request, struct err *err)
{
	struct str name = request->parameters[0];
	AUTO_BUF question = BUF_INIT(16 * KIB);
	wire_put_str(&question, name);
	const struct vault_record record = {.type = AUDIT_VAULT_BACKUP_REMOVED, .backup = name};
	if (keeper_ask(request->control->keeper, KEEPER_DROP_BACKUP, buf_str(&question), request->arena, NULL, err) < 0)
		return -1;
	return vault_record(request, &record, err);
}

int handle_vault_tune(struct request *request, struct err *err)
{
	int64_t target_ms = TUNE_DEFAULT_MS;
	(void)json_get_int(request_member(request, "target_ms"), &target_ms);
	AUTO_BUF question = BUF_INIT(8);
	wire_put_u32(&question, (uint32_t)target_ms);
	struct str body;
	if (keeper_ask(request->control->keeper, KEEPER_TUNE, buf_str(&question), request->arena, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_u64(w, "t", wire_u32(&r));
	member_u64(w, "m_kib", wire_u32(&r));
	member_u64(w, "p", wire_u32(&r));
	member_u64(w, "ms", wire_u32(&r));
	jsonw_end_object(w);
	return wire_done(&r, "tune", err);
}
