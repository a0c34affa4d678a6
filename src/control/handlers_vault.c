#include "base/base64.h"
#include "base/hex.h"
#include "base/limits.h"
#include "control/bindings.h"
#include "control/control.h"
#include "control/keeper_client.h"
#include "control/setup.h"
#include "control/vault_record.h"
#include "control/vault_status.h"
#include "control/vault_watch.h"
#include "text/canonical.h"
#include "text/json_members.h"
#include "text/wire.h"
#include "vault/path.h"
#include "vault/sealed.h"

#define METADATA_MAX (512 * KIB)

/* Passes on what the request carries sealed; the rest of `sealed` is filled in. */
static int ask_state(struct request *request, struct keeper_state *ret, struct err *err)
{
	return keeper_ask_state(request->control->keeper, request->arena, ret, err);
}

static void put_status(struct json_writer *w, const struct keeper_state *state)
{
	jsonw_begin_object(w);
	vault_status_put_members(w, state);
	jsonw_end_object(w);
}

/* ----------------------------------------------------------------------------------------------------------- status */

int handle_vault_status(struct request *request, struct err *err)
{
	struct keeper_state state;
	if (ask_state(request, &state, err) < 0)
		return -1;
	put_status(&request->json, &state);
	return 0;
}

int handle_vault_nonce(struct request *request, struct err *err)
{
	struct str body;
	if (keeper_ask(request->control->keeper, KEEPER_NONCE, STR_EMPTY, request->arena, &body, err) < 0)
		return -1;
	if (body.n != SEALED_NONCE + SEALED_KEY_ID + SEALED_PUBLIC)
		return fail(err, ERR_PROTOCOL, "the keeper's nonce has %zu bytes", body.n);
	AUTO_BUF nonce = BUF_INIT(64);
	base64_encode(&nonce, str_slice(body, 0, SEALED_NONCE), BASE64_STANDARD);
	char key_id[2 * SEALED_KEY_ID + 1];
	hex_format(str_slice(body, SEALED_NONCE, SEALED_NONCE + SEALED_KEY_ID), key_id);
	char public_key[2 * SEALED_PUBLIC + 1];
	hex_format(str_slice(body, SEALED_NONCE + SEALED_KEY_ID, body.n), public_key);
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_str(w, "nonce", buf_str(&nonce));
	member_z(w, "key_id", key_id);
	member_z(w, "public_key", public_key);
	member_u64(w, "expires_in", SEALED_NONCE_S);
	jsonw_end_object(w);
	return 0;
}

/* ----------------------------------------------------------------------------------------- making, opening, locking */

int handle_vault_init(struct request *request, struct err *err)
{
	struct keeper_sealed sealed = {.operation = KEEPER_OP_INIT};
	struct keeper_state state;
	if (request_ask_sealed(request, &sealed, NULL, err) < 0)
		return -1;
	/* What was done is recorded also when the keeper cannot be asked any more how it is now. */
	bool known = ask_state(request, &state, err) == 0;
	const struct vault_record record = {.type = AUDIT_VAULT_CREATED, .state = known ? &state : NULL};
	if (vault_record(request, &record, known ? err : NULL) < 0 || !known)
		return -1;
	put_status(&request->json, &state);
	return 0;
}

struct unlocked {
	uint8_t upgraded_from;
	struct str backup, member;
	bool older; /* an older file was accepted */
};

static int read_unlocked(struct str body, struct unlocked *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	ret->upgraded_from = wire_u8(&r);
	ret->backup = wire_str(&r);
	ret->member = wire_str(&r);
	ret->older = wire_bool(&r);
	return wire_done(&r, "unlocked", err);
}

static int record_unlocked(struct request *request, const struct unlocked *done, const struct keeper_state *state,
			   struct err *err)
{
	struct vault_record record = {
		.type = AUDIT_VAULT_UNLOCKED, .state = state, .member = done->member, .backup = done->backup};
	if (vault_record(request, &record, err) < 0)
		return -1;
	record.type = AUDIT_VAULT_ROLLBACK_ACCEPTED;
	return done->older ? vault_record(request, &record, err) : 0;
}

static bool accepts_older(const struct request *request)
{
	return request_bool(request, "accept_rollback", false);
}

/* Nothing tells afterwards that the file was an older one: that it was asked for is on record before the keeper writes. */
static int record_asked(struct request *request, const struct keeper_state *before, struct err *err)
{
	const struct vault_record record = {.type = AUDIT_VAULT_ROLLBACK_ASKED, .state = before};
	return accepts_older(request) ? vault_record(request, &record, err) : 0;
}

/*
 * Whoever must wait has asked for nothing that is to be on record. So the keeper does not hear of it either: the wait may be
 * over by then.
 */
static int check_wait(const struct request *request, const struct keeper_state *before, struct err *err)
{
	if (!accepts_older(request) || before->throttled_ms == 0)
		return 0;
	return keeper_refuse_throttled(before->throttled_ms, err);
}

static int unlock(struct request *request, const struct keeper_state *before, struct unlocked *ret, struct err *err)
{
	struct vault_mark seen;
	struct str sealed_bytes, body;
	if (request_sealed(request, &sealed_bytes, err) < 0 ||
	    vault_mark_find(request->control->db, request->arena, before->vault_id, &seen, err) < 0 ||
	    record_asked(request, before, err) < 0)
		return -1;
	const struct keeper_sealed sealed = {
		.operation = KEEPER_OP_UNLOCK,
		.flags = accepts_older(request) ? KEEPER_FLAG_ACCEPT_ROLLBACK : 0,
		.high_vault_id = seen.vault_id,
		.high_generation = seen.generation,
		.sealed = sealed_bytes,
	};
	if (keeper_ask_sealed(request->control->keeper, &sealed, request->arena, &body, err) < 0)
		return -1;
	return read_unlocked(body, ret, err);
}

int handle_vault_unlock(struct request *request, struct err *err)
{
	struct keeper_state state;
	struct unlocked done = {0};
	if (ask_state(request, &state, err) < 0)
		return -1;
	if (state.state == KEEPER_UNLOCKED) {
		request->status = 409;
		put_status(&request->json, &state);
		return 0;
	}
	if (check_wait(request, &state, err) < 0)
		return -1;
	if (unlock(request, &state, &done, err) < 0) {
		/* Whoever must wait has not tried; what is on record as asked for has its end there all the same. */
		if ((err->class != ERR_THROTTLED || accepts_older(request)) && err->class != ERR_SEALED_REQUIRED)
			vault_record_failure(request, AUDIT_VAULT_UNLOCK_FAILED, err);
		return -1;
	}
	if (ask_state(request, &state, err) < 0 || record_unlocked(request, &done, &state, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	vault_status_put_members(w, &state);
	member_str_given(w, "member", done.member);
	if (done.upgraded_from < 2)
		member_u64(w, "upgraded_from", done.upgraded_from);
	member_str_given(w, "backup", done.backup);
	jsonw_end_object(w);
	return 0;
}

int handle_vault_lock(struct request *request, struct err *err)
{
	struct keeper_state before, state;
	if (ask_state(request, &before, err) < 0 ||
	    keeper_ask(request->control->keeper, KEEPER_LOCK, STR_EMPTY, request->arena, NULL, err) < 0 ||
	    ask_state(request, &state, err) < 0)
		return -1;
	const struct vault_record record = {.type = AUDIT_VAULT_LOCKED, .state = &before, .reason = S("locked")};
	if (before.state == KEEPER_UNLOCKED && vault_record(request, &record, err) < 0)
		return -1;
	put_status(&request->json, &state);
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------- entries */

static void put_metadata(struct json_writer *w, const struct keeper_entry *entry)
{
	AUTO(json) *labels = json_parse(entry->labels.n > 0 ? entry->labels : S("{}"), JSON_READ_STRICT, NULL);
	member_begin_object(w, "metadata");
	member_str(w, "type", entry->type);
	member_str(w, "environment", entry->environment);
	member_begin_object(w, "labels");
	struct json_iter it;
	for (json_iter_init(&it, labels); json_iter_next(&it);) {
		struct str value;
		/* The keeper's own mark of a refresh that is under way. */
		if (!str_eq(it.name, S("refresh_started_at")) && json_get_str(it.value, &value)) {
			jsonw_key(w, it.name);
			jsonw_str(w, value);
		}
	}
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void put_entry(struct json_writer *w, const struct keeper_entry *entry, bool verified)
{
	jsonw_begin_object(w);
	member_str(w, "path", entry->path);
	member_z(w, "scope", vault_scope_name(vault_scope_of(entry->path)));
	member_u64(w, "generation", entry->generation);
	put_metadata(w, entry);
	member_bool(w, "verified", verified);
	jsonw_end_object(w);
}

static int by_path(const void *a, const void *b)
{
	return str_cmp(((const struct keeper_entry *)a)->path, ((const struct keeper_entry *)b)->path);
}

int handle_vault_list(struct request *request, struct err *err)
{
	struct keeper_entry *entries = NULL;
	size_t n = 0;
	bool verified = false;
	if (keeper_ask_list(request->control->keeper, request_query(request, "prefix"), request->arena, &entries, &n,
			    &verified, err) < 0)
		return -1;
	if (n > 0)
		qsort(entries, n, sizeof *entries, by_path);
	struct str only = request_query(request, "scope");
	bool all = request_query_bool(request, "include_control_plane");
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_begin_array(w, "entries");
	for (size_t i = 0; i < n; i++) {
		enum vault_scope scope = vault_scope_of(entries[i].path);
		if (only.n > 0 ? !str_eq(only, str_from(vault_scope_name(scope)))
			       : !all && vault_scope_is_control_plane(scope))
			continue;
		put_entry(w, &entries[i], verified);
	}
	jsonw_end_array(w);
	member_bool(w, "verified", verified);
	jsonw_end_object(w);
	return 0;
}

static int path_of(const struct request *request, struct str *ret, struct err *err)
{
	struct str path = request->parameters[0];
	if (!vault_path_is_valid(path))
		return fail(err, ERR_INVALID_REQUEST,
			    "a path of the vault has at most %d printable characters in segments between '/'",
			    VAULT_PATH_MAX);
	*ret = path;
	return 0;
}

/* What is a binding has verbs of its own, which know what else must be said with its value. */
static int writable_path(const struct request *request, const char *verb, struct str *ret, struct err *err)
{
	if (path_of(request, ret, err) < 0)
		return -1;
	if (vault_scope_of(*ret) == VAULT_SCOPE_BINDING)
		return fail(err, ERR_INVALID_REQUEST, "'%.*s' names a binding; use `aileron binding %s`", STR_FMT(*ret),
			    verb);
	return 0;
}

int handle_vault_get_meta(struct request *request, struct err *err)
{
	struct str path, body;
	if (path_of(request, &path, err) < 0)
		return -1;
	AUTO_BUF question = BUF_INIT(VAULT_PATH_MAX + 8);
	wire_put_str(&question, path);
	if (keeper_ask(request->control->keeper, KEEPER_GET, buf_str(&question), request->arena, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	struct keeper_entry entry = {0};
	bool verified = wire_bool(&r);
	keeper_entry_get(&r, &entry);
	if (wire_done(&r, "entry", err) < 0)
		return -1;
	put_entry(&request->json, &entry, verified);
	return 0;
}

/* The metadata as whoever sealed the value wrote it: canonical, with what was left out of the request filled in. */
static int canonical_metadata(struct request *request, struct buf *out, struct err *err)
{
	const struct json *metadata = request_member(request, "metadata");
	struct str type = STR_EMPTY, environment = STR_EMPTY;
	(void)json_get_str(json_member(metadata, S("type")), &type);
	(void)json_get_str(json_member(metadata, S("environment")), &environment);
	const struct json *labels = json_member(metadata, S("labels"));
	AUTO_BUF text = BUF_INIT(METADATA_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "environment", environment);
	jsonw_key(&w, S("labels"));
	if (labels != NULL)
		jsonw_value(&w, labels);
	else
		jsonw_raw(&w, S("{}"));
	member_str(&w, "type", type);
	jsonw_end_object(&w);
	if (buf_check(&text, "the metadata", err) < 0)
		return -1;
	AUTO(json) *whole = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	return whole != NULL ? json_canonical(out, whole, err) : -1;
}

int handle_vault_put(struct request *request, struct err *err)
{
	struct str path, body;
	AUTO_BUF metadata = BUF_INIT(METADATA_MAX);
	if (writable_path(request, "setup", &path, err) < 0 || canonical_metadata(request, &metadata, err) < 0)
		return -1;
	struct keeper_sealed sealed = {.operation = KEEPER_OP_PUT, .path = path, .metadata = buf_str(&metadata)};
	if (request_ask_sealed(request, &sealed, &body, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(body);
	uint64_t generation = wire_u64(&r);
	if (wire_done(&r, "put", err) < 0)
		return -1;
	bool user = vault_scope_of(path) == VAULT_SCOPE_USER;
	const struct vault_record record = {
		.type = user ? AUDIT_VAULT_USER_CREDENTIAL_WRITE : AUDIT_VAULT_CREDENTIAL_WRITE, .path = path};
	if (vault_record(request, &record, err) < 0)
		return -1;
	struct json_writer *w = &request->json;
	jsonw_begin_object(w);
	member_str(w, "path", path);
	member_u64(w, "generation", generation);
	jsonw_end_object(w);
	return 0;
}

int handle_vault_delete(struct request *request, struct err *err)
{
	struct str path;
	if (writable_path(request, "revoke", &path, err) < 0)
		return -1;
	AUTO_BUF question = BUF_INIT(VAULT_PATH_MAX + 8);
	wire_put_str(&question, path);
	if (keeper_ask(request->control->keeper, KEEPER_DELETE, buf_str(&question), request->arena, NULL, err) < 0)
		return -1;
	bool user = vault_scope_of(path) == VAULT_SCOPE_USER;
	const struct vault_record record = {
		.type = user ? AUDIT_VAULT_USER_CREDENTIAL_DELETE : AUDIT_VAULT_CREDENTIAL_DELETE, .path = path};
	return vault_record(request, &record, err);
}

int handle_vault_consent(struct request *request, struct err *err)
{
	struct str path;
	struct binding binding;
	if (path_of(request, &path, err) < 0 || bindings_get(request->control, request->arena, path, &binding, err) < 0)
		return -1;
	struct keeper_sealed sealed = {.operation = KEEPER_OP_CONSENT, .path = path};
	if (request_ask_sealed(request, &sealed, NULL, err) < 0 ||
	    bindings_get(request->control, request->arena, path, &binding, err) < 0 ||
	    setup_record(request, AUDIT_BINDING_REBOUND, &binding, err) < 0)
		return -1;
	binding_put_json(&request->json, &binding);
	return 0;
}
