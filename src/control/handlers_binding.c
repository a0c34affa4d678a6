#include "base/base64.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/bindings.h"
#include "control/connectors.h"
#include "control/control.h"
#include "control/keeper_client.h"
#include "control/setup.h"
#include "text/wire.h"
#include "vault/sealed.h"

#define SEALED_MAX (SEALED_FIELDS_MAX + SEALED_OVERHEAD)

/* -------------------------------------------------------------------------------------------------------------- reading */

int handle_binding_list(struct request *r, struct err *err)
{
	struct binding_list list = {0};
	if (bindings_list(r->control, r->arena, request_query(r, "connector_fqn"), request_query(r, "kind"), &list,
			  err) < 0 ||
	    bindings_add_uses(r->control, &list, err) < 0)
		return -1;
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_begin_array(w, "items");
	for (size_t i = 0; i < list.n; i++)
		binding_put_json(w, &list.items[i]);
	jsonw_end_array(w);
	member_bool(w, "verified", list.verified);
	jsonw_end_object(w);
	return 0;
}

int handle_binding_get(struct request *r, struct err *err)
{
	struct binding binding;
	if (bindings_get(r->control, r->arena, r->parameters[0], &binding, err) < 0)
		return -1;
	binding_put_json(&r->json, &binding);
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- setting up */

int setup_check_kind(const struct connector_opened *opened, struct str kind, struct err *err)
{
	const struct manifest_credential *declared = &opened->manifest->credential;
	struct str wanted = str_from(credential_kind_name(declared->kind));
	if (!declared->present)
		return fail(err, ERR_NO_CREDENTIAL_CAPABILITY,
			    "'%.*s' declares no credential; there is nothing to bind", STR_FMT(opened->row.fqn));
	if (credential_kind_named(kind) == CREDENTIAL_NONE) {
		char shown[ESCAPE_SHOWN_SIZE];
		return fail(err, ERR_UNSUPPORTED_KIND, "there is no kind of credential '%s'",
			    escape_shown(kind, shown));
	}
	if (!str_eq(kind, wanted)) {
		fail(err, ERR_KIND_MISMATCH, "'%.*s' declares a credential of kind '%.*s', not '%.*s'",
		     STR_FMT(opened->row.fqn), STR_FMT(wanted), STR_FMT(kind));
		err_detail(err, "declared_kind", wanted);
		return -1;
	}
	return 0;
}

int setup_tell(struct request *r, enum audit_type type, const struct binding *binding, struct event *ret,
	       struct err *err)
{
	event_begin(ret, request_event(r, type));
	ret->audit.credential_binding = binding->name;
	struct json_writer *w = &ret->json;
	member_str(w, "aileron.binding.name", binding->name);
	member_str(w, "aileron.capability.kind", binding->fields.kind);
	member_str(w, "aileron.connector.fqn", binding->fields.connector_fqn);
	member_bool(w, "aileron.connector.linked", true);
	member_list(w, "aileron.binding.hosts", binding->consent.hosts, binding->consent.n_hosts);
	return event_end(ret, err);
}

int setup_record(struct request *r, enum audit_type type, const struct binding *binding, struct err *err)
{
	AUTO_EVENT event;
	return setup_tell(r, type, binding, &event, err) < 0 ? -1
							     : audit_record(r->control->db, &event.audit, NULL, err);
}

/* What the keeper has done is recorded also when it cannot be asked any more how it is now: then without the hosts. */
static int look_and_record(struct request *r, enum audit_type type, const struct binding *known, struct binding *ret,
			   struct err *err)
{
	if (bindings_get(r->control, r->arena, known->name, ret, err) == 0)
		return setup_record(r, type, ret, err);
	struct err why;
	err_clear(&why);
	if (setup_record(r, type, known, &why) < 0)
		log_error("binding_not_recorded", log_str("binding", known->name), log_err(&why));
	return -1;
}

/* The member `sealed` of one source; its plain twin is refused before anything else looks at it. */
static int read_sealed(struct request *r, const struct json *source, struct str *ret, struct err *err)
{
	struct str text;
	if (json_member(source, S("value")) != NULL || !json_get_str(json_member(source, S("sealed")), &text))
		return fail(err, ERR_SEALED_REQUIRED,
			    "a value is sent sealed to the keeper (`sealed`), never plain; `aileron binding setup` "
			    "does it");
	AUTO_BUF bytes = BUF_INIT(SEALED_MAX);
	if (base64_decode(&bytes, text, BASE64_STANDARD, err) < 0)
		return wrap(err, "reading 'sealed'");
	*ret = arena_str(r->arena, buf_str(&bytes));
	return 0;
}

static struct str text_of(struct request *r, const struct json *object, const char *name)
{
	struct str value = STR_EMPTY;
	(void)!json_get_str(json_member(object, str_from(name)), &value);
	return arena_str(r->arena, value);
}

static int put_value(struct request *r, const struct binding_fields *fields, struct str name, struct str sealed,
		     uint32_t flags, struct err *err)
{
	AUTO_BUF metadata = BUF_INIT(16 * KIB);
	binding_metadata_put(&metadata, fields);
	if (buf_check(&metadata, "the binding's metadata", err) < 0)
		return -1;
	const struct keeper_sealed message = {
		.operation = KEEPER_OP_PUT,
		.flags = flags,
		.path = name,
		.metadata = buf_str(&metadata),
		.sealed = sealed,
	};
	return keeper_ask_sealed(r->control->keeper, &message, r->arena, NULL, err);
}

/* What a value has to be: the connector says it, and who opens the value looks. */
static uint32_t flags_of_value(const struct connector_opened *opened)
{
	return str_eq(opened->manifest->credential.algorithm, S("ed25519")) ? KEEPER_FLAG_ED25519 : 0U;
}

struct setup {
	struct request *r;
	const struct connector_opened *opened;
	bool skip_existing;
	struct binding *created;
	size_t n_created;
	struct str *skipped;
	size_t n_skipped;
};

static int set_up_one(struct setup *s, const struct json *item, struct err *err)
{
	struct request *r = s->r;
	const struct json *source = json_member(item, S("source"));
	struct binding_fields fields = {
		.kind = text_of(r, source, "kind"),
		.connector_fqn = s->opened->row.fqn,
		.service = binding_service(s->opened->row.fqn, text_of(r, item, "service")),
		.identity = text_of(r, item, "identity"),
		.account = text_of(r, item, "account"),
		.access_key_id = text_of(r, source, "access_key_id"),
		.region = text_of(r, source, "region"),
		.username = text_of(r, source, "username"),
	};
	struct str sealed;
	AUTO_BUF name = BUF_INIT(KIB);
	if (setup_check_kind(s->opened, fields.kind, err) < 0 || binding_name_put(&name, &fields, err) < 0 ||
	    binding_fields_check(&fields, err) < 0)
		return -1;
	if (str_eq(fields.kind, S("oauth2")))
		return fail(err, ERR_UNSUPPORTED_KIND,
			    "an oauth2 binding is made in a browser; begin it with `aileron binding setup`");
	if (read_sealed(r, source, &sealed, err) < 0)
		return -1;
	struct err why = {0};
	uint32_t flags = KEEPER_FLAG_CREATE | flags_of_value(s->opened);
	if (put_value(r, &fields, buf_str(&name), sealed, flags, &why) < 0) {
		if (why.class == ERR_BINDING_EXISTS && s->skip_existing) {
			s->skipped[s->n_skipped++] = arena_str(r->arena, buf_str(&name));
			return 0;
		}
		*err = why;
		return -1;
	}
	const struct binding known = {.name = buf_str(&name), .fields = fields};
	if (look_and_record(r, AUDIT_BINDING_CREATED, &known, &s->created[s->n_created], err) < 0)
		return -1;
	s->n_created++;
	return 0;
}

static void put_setup(struct json_writer *w, const struct setup *s)
{
	jsonw_begin_object(w);
	member_begin_array(w, "created");
	for (size_t i = 0; i < s->n_created; i++)
		binding_put_json(w, &s->created[i]);
	jsonw_end_array(w);
	if (s->n_skipped > 0) {
		member_begin_array(w, "skipped");
		for (size_t i = 0; i < s->n_skipped; i++)
			jsonw_str(w, s->skipped[i]);
		jsonw_end_array(w);
	}
	jsonw_end_object(w);
}

/* In order, and the first error ends it: what was made before stays. */
int handle_binding_setup(struct request *r, struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	if (connector_open(r->control, r->arena, request_str(r, "connector_fqn"), &opened, err) < 0)
		return -1;
	const struct json *items = request_member(r, "bindings");
	size_t n = json_length(items);
	struct setup s = {
		.r = r,
		.opened = &opened,
		.skip_existing = request_bool(r, "skip_existing", true),
		.created = arena_array(r->arena, n + 1, sizeof *s.created),
		.skipped = arena_array(r->arena, n + 1, sizeof *s.skipped),
	};
	for (size_t i = 0; i < n; i++) {
		if (set_up_one(&s, json_at(items, i), err) < 0)
			return -1;
	}
	put_setup(&r->json, &s);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- rebinding, revoking */

/* The connector of a key that signs says how it signs. */
static int flags_of_binding(struct request *r, const struct binding_fields *fields, uint32_t *ret, struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	*ret = KEEPER_FLAG_KEEP;
	if (!str_eq(fields->kind, S("signing_key")))
		return 0;
	if (connector_open(r->control, r->arena, fields->connector_fqn, &opened, err) < 0)
		return -1;
	*ret |= flags_of_value(&opened);
	return 0;
}

int handle_binding_rebind(struct request *r, struct err *err)
{
	const struct json *source = request_member(r, "source");
	struct binding binding;
	struct str sealed;
	if (bindings_get(r->control, r->arena, r->parameters[0], &binding, err) < 0)
		return -1;
	if (!str_eq(text_of(r, source, "kind"), binding.fields.kind))
		return fail(err, ERR_KIND_MISMATCH, "'%.*s' is of kind '%.*s'", STR_FMT(binding.name),
			    STR_FMT(binding.fields.kind));
	if (str_eq(binding.fields.kind, S("oauth2")))
		return fail(err, ERR_UNSUPPORTED_KIND,
			    "'%.*s' is an oauth2 binding; run `aileron binding reauthorize %.*s`",
			    STR_FMT(binding.name), STR_FMT(binding.name));
	if (read_sealed(r, source, &sealed, err) < 0)
		return -1;
	/* What the request leaves out stays as it is; both sides seal the whole. */
	struct binding_fields fields = binding.fields;
	struct str access_key_id = text_of(r, source, "access_key_id"), region = text_of(r, source, "region");
	struct str username = text_of(r, source, "username");
	fields.access_key_id = access_key_id.n > 0 ? access_key_id : fields.access_key_id;
	fields.region = region.n > 0 ? region : fields.region;
	fields.username = username.n > 0 ? username : fields.username;
	uint32_t flags;
	if (binding_fields_check(&fields, err) < 0 || flags_of_binding(r, &fields, &flags, err) < 0 ||
	    put_value(r, &fields, binding.name, sealed, flags, err) < 0)
		return -1;
	struct binding now;
	if (look_and_record(r, AUDIT_BINDING_REBOUND, &binding, &now, err) < 0)
		return -1;
	binding_put_json(&r->json, &now);
	return 0;
}

struct revocation {
	struct str name;
	struct event event;
};

/* The next binding of that name begins anew. */
static int do_revoke(struct db_tx *tx, void *user, struct err *err)
{
	const struct revocation *revocation = user;
	struct db_stmt *q = db_stmt(tx, "DELETE FROM binding_use WHERE path = ?");
	db_bind_str(q, revocation->name);
	if (db_run(q, err) < 0)
		return -1;
	return event_append(tx, &revocation->event, err);
}

static int revoke_binding(struct request *r, const struct binding *binding, struct revocation *revocation,
			  struct err *err)
{
	AUTO_BUF body = BUF_INIT(KIB);
	wire_put_str(&body, binding->name);
	/* What could not be recorded is not done. */
	if (setup_tell(r, AUDIT_BINDING_REVOKED, binding, &revocation->event, err) < 0 ||
	    keeper_ask(r->control->keeper, KEEPER_DELETE, buf_str(&body), r->arena, NULL, err) < 0)
		return -1;
	return db_write(r->control->db, do_revoke, revocation, err);
}

int handle_binding_delete(struct request *r, struct err *err)
{
	struct binding binding;
	if (bindings_get(r->control, r->arena, r->parameters[0], &binding, err) < 0)
		return -1;
	struct revocation revocation = {.name = binding.name};
	int rc = revoke_binding(r, &binding, &revocation, err);
	event_release(&revocation.event);
	return rc;
}
