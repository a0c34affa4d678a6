#include "control/credential.h"
#include "base/limits.h"
#include "control/keeper_client.h"

#define PERMIT_MAX (256 * KIB)

/* ------------------------------------------------------------------------------------------------------------ choosing */

static struct str names_of(struct arena *arena, const struct binding_list *list, const char *between)
{
	AUTO_BUF names = BUF_INIT(list->n * KIB);
	for (size_t i = 0; i < list->n; i++) {
		buf_add_z(&names, i > 0 ? between : "");
		buf_add_str(&names, list->items[i].name);
	}
	return arena_str(arena, buf_str(&names));
}

static int list_usable(struct control *control, struct arena *arena, const struct credential_owner *owner,
		       struct binding_list *ret, struct err *err)
{
	struct binding_list all = {0};
	struct str kind = str_from(credential_kind_name(owner->manifest->credential.kind));
	if (bindings_list(control, arena, owner->fqn, kind, &all, err) < 0)
		return -1;
	*ret = (struct binding_list){.items = arena_array(arena, all.n + 1, sizeof *ret->items)};
	for (size_t i = 0; i < all.n; i++) {
		if (!str_eq(all.items[i].status, S("revoked")))
			ret->items[ret->n++] = all.items[i];
	}
	return 0;
}

int credential_choose(struct control *control, struct arena *arena, const struct credential_owner *owner,
		      struct credential_use *ret, struct err *err)
{
	const struct manifest_credential *declared = &owner->manifest->credential;
	struct credential_use use = {.credential = {.binding = BINDING_NO_RESOLVER}};
	if (!declared->present) {
		*ret = use;
		return 0;
	}
	if (list_usable(control, arena, owner, &use.bindings, err) < 0)
		return -1;
	use.credential.kind = declared->kind;
	use.credential.binding = BINDING_MISSING;
	bool one_of_many = declared->kind == CREDENTIAL_AWS_SIGV4 && use.bindings.n <= BINDINGS_OF_CALL_MAX;
	if (use.bindings.n == 0) {
		use.credential.error = arena_printf(
			arena,
			"'%.*s' needs a credential of kind '%s' and none is bound; run `aileron binding setup %.*s`",
			STR_FMT(owner->fqn), credential_kind_name(declared->kind), STR_FMT(owner->fqn));
	} else if (use.bindings.n > 1 && !one_of_many) {
		use.credential.error = arena_printf(arena, "several bindings fit '%.*s': %.*s; revoke all but one",
						    STR_FMT(owner->fqn), STR_FMT(names_of(arena, &use.bindings, ", ")));
		use.bindings.n = 0;
	} else {
		use.credential.binding = BINDING_PERMIT;
		use.names = names_of(arena, &use.bindings, " ");
	}
	*ret = use;
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------- permitting */

/* What this call may reach with that binding: what the manifest names and the person agreed to. */
static struct str_list hosts_of(struct arena *arena, const struct connector_manifest *manifest,
				const struct binding *binding)
{
	static const struct str any[] = {{"*", 1}};
	if (grant_is_permissive(manifest))
		return binding_consent_allows(&binding->consent, S("*")) ? (struct str_list){any, 1}
									 : (struct str_list){NULL, 0};
	struct str *hosts = arena_array(arena, manifest->hosts.n + 1, sizeof *hosts);
	size_t n = 0;
	for (size_t i = 0; i < manifest->hosts.n; i++) {
		if (binding_consent_allows(&binding->consent, manifest->hosts.items[i]))
			hosts[n++] = arena_lower(arena, manifest->hosts.items[i]);
	}
	return (struct str_list){hosts, n};
}

static int permit_one(struct control *control, struct arena *arena, const struct credential_owner *owner,
		      const struct keeper_permit *permit, bool consented, struct err *err)
{
	if (!consented)
		return fail(err, ERR_BINDING_FAILED,
			    "nobody has consented to the hosts of the binding '%.*s' yet, which is of an earlier "
			    "version; `aileron binding hosts %.*s` does",
			    STR_FMT(permit->path), STR_FMT(permit->path));
	if (permit->n_hosts == 0)
		return fail(err, ERR_BINDING_FAILED,
			    "the binding '%.*s' was consented for other hosts than '%.*s' names now; see them with "
			    "`aileron binding inspect`, change them with `aileron binding hosts`",
			    STR_FMT(permit->path), STR_FMT(owner->fqn));
	AUTO_BUF body = BUF_INIT(PERMIT_MAX);
	keeper_permit_put(&body, permit);
	if (buf_check(&body, "the permit", err) < 0)
		return -1;
	return keeper_ask(control->keeper, KEEPER_PERMIT, buf_str(&body), arena, NULL, err);
}

/* A locked vault is a binding that is required; what else the keeper refuses keeps its own class, if callers know it. */
static int tell_refusal(struct err *err)
{
	if (err->class == ERR_VAULT_LOCKED || err->class == ERR_VAULT_MISSING || err->class == ERR_UNAVAILABLE) {
		char why[256];
		struct str text = str_slice(str_from(err->message), 0, sizeof why - 1);
		memcpy(why, text.p, text.n);
		why[text.n] = '\0';
		fail(err, ERR_BINDING_REQUIRED, "the credential cannot be used: %s", why);
		err_detail(err, "required", S("vault.passphrase"));
		err_detail(err, "hint", S("run `aileron vault unlock`"));
	} else if (!err_class_is_closed(err->class)) {
		err->class = ERR_BINDING_FAILED;
		err->boundary = err_row(ERR_BINDING_FAILED)->boundary;
	}
	return -1;
}

int credential_permit(struct control *control, struct arena *arena, const struct credential_owner *owner,
		      struct credential_use *use, uint64_t until_ns, struct err *err)
{
	use->permits = arena_array(arena, use->bindings.n + 1, sizeof *use->permits);
	for (size_t i = 0; i < use->bindings.n; i++) {
		const struct binding *binding = &use->bindings.items[i];
		struct str_list hosts = hosts_of(arena, owner->manifest, binding);
		const struct keeper_permit permit = {
			.use = keeper_new_number(control->keeper),
			.path = binding->name,
			.connector = owner->fqn,
			.kind = binding->fields.kind,
			.hosts = hosts.items,
			.n_hosts = hosts.n,
			.deadline_ns = until_ns,
			.version = use->fixed ? binding_number(binding) : 0,
		};
		credential_uses_add(control->uses, permit.use, &use->call);
		if (permit_one(control, arena, owner, &permit, binding->consented, err) < 0) {
			credential_uses_end(control->uses, permit.use);
			return tell_refusal(err);
		}
		use->permits[use->n_permits++] = (struct egress_permit){
			.use = permit.use,
			.binding = binding->name,
			.region = binding->fields.region,
			.access_key_id = binding->fields.access_key_id,
		};
	}
	return 0;
}

void credential_end(struct control *control, const struct credential_use *use)
{
	for (size_t i = 0; i < use->n_permits; i++) {
		keeper_tell_end_use(control->keeper, use->permits[i].use);
		credential_uses_end(control->uses, use->permits[i].use);
	}
}

/* ------------------------------------------------------------------------------------------------------------ granting */

/* The hosts that the person opened although their addresses are private. */
static struct grant_openings openings_of(struct arena *arena, const struct binding_list *bindings)
{
	size_t n = 0, max = 0;
	for (size_t i = 0; i < bindings->n; i++)
		max += bindings->items[i].consent.n_allow_private;
	struct egress_opening *openings = arena_array(arena, max + 1, sizeof *openings);
	for (size_t i = 0; i < bindings->n; i++) {
		const struct binding_consent *consent = &bindings->items[i].consent;
		for (size_t k = 0; k < consent->n_allow_private; k++) {
			struct str text = arena_lower(arena, consent->allow_private[k]);
			size_t colon = str_find_last_char(text, ':');
			uint64_t port = 0;
			if (colon == STR_NPOS || !str_to_u64(str_slice(text, colon + 1, text.n), UINT16_MAX, &port))
				continue;
			openings[n++] =
				(struct egress_opening){.host = str_slice(text, 0, colon), .port = (uint16_t)port};
		}
	}
	return (struct grant_openings){openings, n};
}

struct egress_grant credential_grant(struct arena *arena, const struct credential_owner *owner,
				     const struct call_limits *limits, const struct credential_use *use)
{
	struct egress_grant grant =
		grant_make(owner->manifest, limits, &use->credential, openings_of(arena, &use->bindings));
	grant.connector = owner->fqn;
	grant.permits = use->permits;
	grant.n_permits = use->n_permits;
	if (use->bindings.n == 1) {
		const struct binding_fields *f = &use->bindings.items[0].fields;
		if (f->username.n > 0)
			grant.username = f->username;
		grant.bound_region = f->region;
		grant.bound_access_key_id = f->access_key_id;
	}
	return grant;
}
