#include "control/bindings.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "control/keeper_client.h"
#include "text/json_members.h"
#include "text/wire.h"
#include "vault/path.h"
#include <stdlib.h>

/* -------------------------------------------------------------------------------------------------------------- reading */

static struct str label(struct arena *arena, const struct json *labels, const char *name)
{
	struct str value = STR_EMPTY;
	if (!json_get_str(json_member(labels, str_from(name)), &value))
		return STR_EMPTY;
	return arena_str(arena, value);
}

static uint64_t seconds(struct arena *arena, const struct json *labels, const char *name)
{
	uint64_t value = 0;
	(void)str_to_u64(label(arena, labels, name), UINT64_MAX / TIME_SECOND, &value);
	return value;
}

static struct str either(struct str first, struct str second)
{
	return first.n > 0 ? first : second;
}

static void read_labels(struct arena *arena, const struct json *labels, struct binding *binding)
{
	struct binding_fields *f = &binding->fields;
	f->service = either(label(arena, labels, "service"), f->service);
	f->identity = either(label(arena, labels, "identity"), f->identity);
	f->connector_fqn = label(arena, labels, "connector_fqn");
	f->account = label(arena, labels, "account");
	f->access_key_id = label(arena, labels, "access_key_id");
	f->region = label(arena, labels, "region");
	f->username = label(arena, labels, "username");
	f->scope = label(arena, labels, "scope");
	binding->status = either(label(arena, labels, "status"), S("active"));
	binding->stale_reason = label(arena, labels, "stale_reason");
	binding->granted_scopes = label(arena, labels, "granted_scopes");
	binding->missing_scopes = label(arena, labels, "missing_scopes");
	binding->created_at = seconds(arena, labels, "created_at");
	binding->last_refreshed_at = seconds(arena, labels, "last_refreshed_at");
	binding->last_used_at = seconds(arena, labels, "last_used_at");
	binding->has_refresh_token = str_eq(label(arena, labels, "refresh_token_present"), S("true"));
}

/* False for what is no binding, or cannot be read as one: lists leave it out. */
static bool read_entry(struct arena *arena, const struct keeper_entry *entry, struct binding *ret)
{
	struct binding binding = {.name = entry->path, .generation = entry->generation};
	struct binding_fields *f = &binding.fields;
	if (vault_scope_of(entry->path) != VAULT_SCOPE_BINDING ||
	    !vault_binding_split(entry->path, &f->kind, &f->service, &f->identity))
		return false;
	f->kind = either(entry->type, f->kind);
	AUTO(json) *labels = json_parse(entry->labels, JSON_READ_STRICT, NULL);
	if (json_kind(labels) != JSON_KIND_OBJECT)
		return false;
	read_labels(arena, labels, &binding);
	binding.consented = entry->consent.n > 0;
	if (binding.consented && binding_consent_get(arena, entry->consent, &binding.consent, NULL) < 0)
		return false;
	*ret = binding;
	return true;
}

uint64_t binding_number(const struct binding *binding)
{
	const struct binding_version version = {
		.kind = binding->fields.kind,
		.generation = binding->generation,
		.created_at = binding->created_at,
		.account = binding->fields.account,
		.granted_scopes = binding->granted_scopes,
		.consent = &binding->consent,
	};
	return binding_version_number(&version);
}

/* What the database knows beyond the vault: when it was used last. */
static int add_use(struct db_tx *tx, struct binding *binding, struct err *err)
{
	struct db_stmt *q = db_stmt(tx, "SELECT last_used_ns FROM binding_use WHERE path = ?");
	db_bind_str(q, binding->name);
	int got = db_step(q, err);
	if (got == 1 && !db_is_null(q, 0))
		binding->last_used_at = (uint64_t)db_int(q, 0) / TIME_SECOND;
	db_finish(q);
	return got < 0 ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct binding *)a)->name, ((const struct binding *)b)->name);
}

/* Most entries of a large vault are of other connectors, and need not be read to see that: no name has escapes in JSON. */
static bool may_name(const struct keeper_entry *entry, struct str connector_fqn)
{
	return str_find(entry->labels, connector_fqn) != STR_NPOS;
}

static bool is_wanted(const struct binding *binding, struct str connector_fqn, struct str kind)
{
	return (connector_fqn.n == 0 || str_eq(binding->fields.connector_fqn, connector_fqn)) &&
	       (kind.n == 0 || str_eq(binding->fields.kind, kind));
}

int bindings_list(struct control *control, struct arena *arena, struct str connector_fqn, struct str kind,
		  struct binding_list *ret, struct err *err)
{
	struct keeper_entry *entries = NULL;
	size_t n = 0;
	bool verified = false;
	/* A binding's name begins with its kind. */
	struct str prefix = kind.n > 0 ? arena_printf(arena, "%.*s/", STR_FMT(kind)) : STR_EMPTY;
	if (keeper_ask_list(control->keeper, prefix, arena, &entries, &n, &verified, err) < 0)
		return -1;
	struct binding_list list = {.items = arena_array(arena, n + 1, sizeof *list.items), .verified = verified};
	for (size_t i = 0; i < n; i++) {
		struct binding *binding = &list.items[list.n];
		if (!may_name(&entries[i], connector_fqn) || !read_entry(arena, &entries[i], binding) ||
		    !is_wanted(binding, connector_fqn, kind))
			continue;
		binding->verified = verified;
		list.n++;
	}
	qsort(list.items, list.n, sizeof *list.items, by_name);
	*ret = list;
	return 0;
}

int bindings_add_uses(struct control *control, struct binding_list *list, struct err *err)
{
	struct db_tx *tx = db_read(control->db);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < list->n; i++)
		rc = add_use(tx, &list->items[i], err);
	db_done(tx);
	return rc;
}

size_t bindings_count(struct control *control, struct arena *arena)
{
	struct keeper_entry *entries = NULL;
	size_t n = 0, count = 0;
	bool verified = false;
	(void)!keeper_ask_list(control->keeper, STR_EMPTY, arena, &entries, &n, &verified, NULL);
	for (size_t i = 0; i < n; i++)
		count += vault_scope_of(entries[i].path) == VAULT_SCOPE_BINDING;
	return count;
}

int bindings_get(struct control *control, struct arena *arena, struct str name, struct binding *ret, struct err *err)
{
	struct str body;
	AUTO_BUF question = BUF_INIT(KIB);
	wire_put_str(&question, str_slice(name, 0, VAULT_PATH_MAX + 1));
	struct err why = {0};
	if (keeper_ask(control->keeper, KEEPER_GET, buf_str(&question), arena, &body, &why) < 0) {
		if (why.class == ERR_VAULT_NOT_FOUND || why.class == ERR_VAULT_MISSING)
			return fail(err, ERR_BINDING_NOT_FOUND,
				    "there is no binding '%.*s'; see `aileron binding list`", STR_FMT(name));
		if (err != NULL)
			*err = why;
		return -1;
	}
	struct wire_reader r = wire_reader(body);
	struct keeper_entry entry;
	struct binding binding;
	bool verified = wire_bool(&r);
	keeper_entry_get(&r, &entry);
	if (wire_done(&r, "entry", err) < 0)
		return -1;
	if (!read_entry(arena, &entry, &binding))
		return fail(err, ERR_BINDING_NOT_FOUND, "'%.*s' is no binding", STR_FMT(name));
	binding.verified = verified;
	struct db_tx *tx = db_read(control->db);
	int rc = add_use(tx, &binding, err);
	db_done(tx);
	if (rc == 0)
		*ret = binding;
	return rc;
}

/* -------------------------------------------------------------------------------------------------------------- showing */

void binding_put_json(struct json_writer *w, const struct binding *binding)
{
	const struct binding_fields *f = &binding->fields;
	jsonw_begin_object(w);
	member_str_given(w, "name", binding->name);
	member_str_given(w, "kind", f->kind);
	member_str_given(w, "service", f->service);
	member_str_given(w, "identity", f->identity);
	member_str_given(w, "scope", f->scope);
	member_str(w, "connector_fqn", f->connector_fqn);
	member_str_given(w, "account", f->account);
	member_str_given(w, "access_key_id", f->access_key_id);
	member_str_given(w, "region", f->region);
	member_str_given(w, "username", f->username);
	member_time_given(w, "created_at", binding->created_at * TIME_SECOND);
	member_time_given(w, "last_used_at", binding->last_used_at * TIME_SECOND);
	member_time_given(w, "last_refreshed_at", binding->last_refreshed_at * TIME_SECOND);
	if (binding->has_refresh_token) {
		member_bool(w, "refresh_token_present", true);
	}
	member_str_given(w, "status", binding->status);
	member_words_given(w, "granted_scopes", binding->granted_scopes, ' ');
	member_str_given(w, "stale_reason", binding->stale_reason);
	member_words_given(w, "missing_scopes", binding->missing_scopes, ' ');
	member_list(w, "hosts", binding->consent.hosts, binding->consent.n_hosts);
	member_list(w, "allow_private", binding->consent.allow_private, binding->consent.n_allow_private);
	member_bool(w, "consented", binding->consented);
	member_bool(w, "verified", binding->verified);
	jsonw_end_object(w);
}

/* ---------------------------------------------------------------------------------------------------------- scope drift */

static bool has_word(struct str joined, struct str wanted)
{
	while (joined.n > 0) {
		struct str word;
		joined = str_cut(joined, ' ', &word);
		if (str_eq(word, wanted))
			return true;
	}
	return false;
}

struct drift {
	struct str status, reason, missing;
};

static struct drift judge(struct arena *arena, const struct binding *binding, struct str_list required)
{
	if (binding->granted_scopes.n == 0)
		return (struct drift){S("stale"), S("no_grant_record"), STR_EMPTY};
	AUTO_BUF missing = BUF_INIT(64 * KIB);
	for (size_t i = 0; i < required.n; i++) {
		if (has_word(binding->granted_scopes, required.items[i]))
			continue;
		buf_add_z(&missing, missing.n > 0 ? " " : "");
		buf_add_str(&missing, required.items[i]);
	}
	if (missing.n > 0)
		return (struct drift){S("stale"), S("scope_drift"), arena_str(arena, buf_str(&missing))};
	return (struct drift){S("active"), STR_EMPTY, STR_EMPTY};
}

/* A binding that is stale for another reason (a refresh that was lost) stays as it is. */
static bool is_drift(struct str reason)
{
	return reason.n == 0 || str_eq(reason, S("scope_drift")) || str_eq(reason, S("no_grant_record"));
}

static int write_drift(struct control *control, struct arena *arena, const struct binding *binding,
		       const struct drift *drift, struct err *err)
{
	AUTO_BUF body = BUF_INIT(128 * KIB);
	wire_put_str(&body, binding->name);
	wire_put_u32(&body, 3);
	wire_put_str(&body, S("status"));
	wire_put_str(&body, drift->status);
	wire_put_str(&body, S("stale_reason"));
	wire_put_str(&body, drift->reason);
	wire_put_str(&body, S("missing_scopes"));
	wire_put_str(&body, drift->missing);
	return keeper_ask(control->keeper, KEEPER_LABELS, buf_str(&body), arena, NULL, err);
}

void bindings_check_drift(struct control *control, struct arena *arena, struct str connector_fqn,
			  const struct connector_manifest *manifest)
{
	struct err err = {0};
	struct binding_list list = {0};
	struct str_list required = manifest->credential.oauth2.scopes;
	if (bindings_list(control, arena, connector_fqn, S("oauth2"), &list, &err) < 0) {
		log_warn("scope_drift_not_checked", log_str("connector", connector_fqn), log_err(&err));
		return;
	}
	for (size_t i = 0; i < list.n; i++) {
		const struct binding *binding = &list.items[i];
		struct drift drift = judge(arena, binding, required);
		bool same = str_eq(drift.status, binding->status) && str_eq(drift.reason, binding->stale_reason) &&
			    str_eq(drift.missing, binding->missing_scopes);
		if (same || !is_drift(binding->stale_reason) || str_eq(binding->status, S("revoked")))
			continue;
		if (write_drift(control, arena, binding, &drift, &err) < 0)
			log_warn("scope_drift_not_kept", log_str("binding", binding->name), log_err(&err));
	}
}
