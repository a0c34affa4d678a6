#include "base/ascii.h"
#include "text/wire.h"
#include "vault/keeper_kind.h"
#include "vault/keeper_private.h"
#include <arpa/inet.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------------------ permits */

static struct str key_of(const uint64_t *number)
{
	return str_of(number, sizeof *number);
}

static void take_out(struct keeper *keeper, struct str key)
{
	struct keeper_use *use = map_remove(keeper->uses, key);
	if (use == NULL)
		return;
	keeper->uses_bytes -= use->bytes;
	held_key_free(use->key);
	secret_free(use->secret);
	arena_free(use->arena);
	free(use);
}

void keeper_end_use(struct keeper *keeper, uint64_t number)
{
	take_out(keeper, key_of(&number));
}

void keeper_end_uses(struct keeper *keeper)
{
	struct map_iter it = {0};
	while (map_next(keeper->uses, &it))
		take_out(keeper, it.key);
}

static void end_expired_uses(struct keeper *keeper)
{
	uint64_t now = keeper_now(keeper);
	struct map_iter it = {0};
	while (map_next(keeper->uses, &it)) {
		const struct keeper_use *use = it.value;
		if (now >= use->permit.deadline_ns)
			take_out(keeper, it.key);
	}
}

static int deny_host(struct str path, struct str host, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED,
	     "the credential '%.*s' was not given for '%.*s'; bind it again to agree to that host", STR_FMT(path),
	     STR_FMT(str_slice(host, 0, 300)));
	err_detail(err, "host", str_slice(host, 0, 300));
	return -1;
}

static bool is_version(const struct vault_entry *entry, const struct binding_consent *consent, uint64_t number)
{
	struct binding_version version = {
		.kind = entry->type,
		.generation = entry->generation,
		.account = vault_label_of(entry, S("account")),
		.granted_scopes = vault_label_of(entry, S("granted_scopes")),
		.consent = consent,
	};
	(void)str_to_u64(vault_label_of(entry, S("created_at")), UINT64_MAX / TIME_SECOND, &version.created_at);
	return binding_version_number(&version) == number;
}

/* What the person agreed to still holds for this permit, host by host. */
static int check_entry(const struct vault_entry *entry, const struct keeper_permit *permit,
		       const struct binding_consent *consent, struct err *err)
{
	if (!str_eq(entry->type, permit->kind))
		return fail(err, ERR_KIND_MISMATCH, "the binding '%.*s' is of kind %.*s, not %.*s",
			    STR_FMT(entry->path), STR_FMT(entry->type), STR_FMT(str_slice(permit->kind, 0, 64)));
	if (!str_eq(vault_label_of(entry, S("connector_fqn")), permit->connector))
		return fail(err, ERR_CAPABILITY_DENIED, "the binding '%.*s' is another connector's",
			    STR_FMT(entry->path));
	struct str status = vault_label_of(entry, S("status")), reason = vault_label_of(entry, S("stale_reason"));
	if (str_eq(status, S("revoked")))
		return fail(err, ERR_BINDING_FAILED, "the binding '%.*s' was revoked", STR_FMT(entry->path));
	if (str_eq(status, S("stale")) && str_starts(reason, S("refresh_")))
		return fail(err, ERR_BINDING_FAILED,
			    "the binding '%.*s' is stale (%.*s); authorize it again with 'aileron binding reauthorize'",
			    STR_FMT(entry->path), STR_FMT(reason));
	if (permit->version != 0 && !is_version(entry, consent, permit->version))
		return fail(err, ERR_BINDING_FAILED,
			    "the binding '%.*s' is not what it was when this run was allowed to use it; ask anew",
			    STR_FMT(entry->path));
	for (size_t i = 0; i < permit->n_hosts; i++) {
		if (!binding_consent_allows(consent, permit->hosts[i]))
			return deny_host(entry->path, permit->hosts[i], err);
	}
	return 0;
}

static int read_consent(struct arena *arena, const struct vault_entry *entry, struct binding_consent *ret,
			struct err *err)
{
	if (entry->consent.n == 0)
		return fail(err, ERR_CAPABILITY_DENIED,
			    "nobody agreed yet where the credential '%.*s' may go; bind it again",
			    STR_FMT(entry->path));
	return binding_consent_get(arena, entry->consent, ret, err);
}

static int check_permit(struct keeper *keeper, struct arena *arena, const struct keeper_permit *permit, struct err *err)
{
	uint64_t now = keeper_now(keeper);
	if (keeper_need_unlocked(keeper, err) != 0)
		return -1;
	if (permit->n_hosts == 0 || permit->deadline_ns <= now || permit->deadline_ns - now > KEEPER_PERMIT_NS)
		return fail(err, ERR_INVALID_REQUEST, "a permit names hosts and ends within an hour");
	if (map_has(keeper->uses, key_of(&permit->use)))
		return fail(err, ERR_INVALID_REQUEST, "use %llu is permitted already", (unsigned long long)permit->use);
	const struct vault_entry *entry = vault_find(keeper->vault, permit->path);
	if (entry == NULL || keeper_kind_named(entry->type) == NULL)
		return fail(err, ERR_BINDING_NOT_FOUND, "there is no binding '%.*s'",
			    STR_FMT(str_slice(permit->path, 0, VAULT_PATH_MAX)));
	struct binding_consent consent;
	if (read_consent(arena, entry, &consent, err) != 0)
		return -1;
	return check_entry(entry, permit, &consent, err);
}

static struct keeper_use *use_new(const struct keeper_permit *permit)
{
	struct keeper_use *use = NEW(struct keeper_use);
	use->number = permit->use;
	use->arena = arena_new();
	use->permit = *permit;
	use->permit.path = arena_str(use->arena, permit->path);
	use->permit.connector = arena_str(use->arena, permit->connector);
	use->permit.kind = arena_str(use->arena, permit->kind);
	struct str *hosts = arena_array(use->arena, permit->n_hosts, sizeof *hosts);
	for (size_t i = 0; i < permit->n_hosts; i++)
		hosts[i] = arena_str(use->arena, permit->hosts[i]);
	use->permit.hosts = hosts;
	return use;
}

static bool has_room(const struct keeper *keeper, size_t bytes)
{
	return map_count(keeper->uses) < KEEPER_USES_MAX && bytes <= KEEPER_USES_BYTES - keeper->uses_bytes;
}

int keeper_permit(struct keeper *keeper, struct str body, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_permit permit;
	if (keeper_permit_get(arena, body, &permit, err) != 0 || check_permit(keeper, arena, &permit, err) != 0)
		return -1;
	if (!has_room(keeper, body.n))
		end_expired_uses(keeper);
	if (!has_room(keeper, body.n))
		return fail(err, ERR_UNAVAILABLE, "too many uses of credentials are permitted at once");
	struct keeper_use *use = use_new(&permit);
	use->bytes = body.n;
	keeper->uses_bytes += body.n;
	if (!map_add(keeper->uses, key_of(&use->number), use))
		BUG("no room for a use");
	keeper_active(keeper);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- claims */

static bool is_permitted(const struct keeper_permit *permit, struct str host)
{
	for (size_t i = 0; i < permit->n_hosts; i++) {
		if (str_eq(permit->hosts[i], S("*")) || str_eq_fold(permit->hosts[i], host))
			return true;
	}
	return false;
}

static int find_use(struct keeper *keeper, uint64_t number, struct keeper_use **ret, struct err *err)
{
	struct keeper_use *use = map_get(keeper->uses, key_of(&number));
	if (use == NULL)
		return fail(err, ERR_CAPABILITY_DENIED, "the credential is not permitted for this call, or no longer");
	if (keeper_now(keeper) >= use->permit.deadline_ns)
		return fail(err, ERR_CAPABILITY_DENIED,
			    "the permit for the credential '%.*s' ended with its call's time",
			    STR_FMT(use->permit.path));
	*ret = use;
	return 0;
}

/* What a guest may be told: failures of ours that are outside the closed set are those of the binding. */
static int close_class(struct err *err)
{
	if (!err_class_is_closed(err->class)) {
		err->class = ERR_BINDING_FAILED;
		err->boundary = err_row(ERR_BINDING_FAILED)->boundary;
	}
	return -1;
}

/* Whether "host:port" is a plain address, which nobody can turn into another. */
static bool is_address(struct str host_port)
{
	char host[INET6_ADDRSTRLEN + 1];
	struct in6_addr address;
	size_t colon = str_find_last_char(host_port, ':');
	struct str text = colon == STR_NPOS ? STR_EMPTY : str_slice(host_port, 0, colon);
	if (str_starts(text, S("[")) && str_ends(text, S("]")))
		text = str_slice(text, 1, text.n - 1);
	if (text.n == 0 || text.n >= sizeof host || str_find_char(text, '\0') != STR_NPOS)
		return false;
	memcpy(host, text.p, text.n);
	host[text.n] = '\0';
	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool names(const struct str *items, size_t n, struct str host)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq_fold(items[i], host))
			return true;
	}
	return false;
}

/*
 * A public address over TLS is what any consent means, and all that "*" does. Less than that, where no certificate stands
 * in the way of whoever listens there, the person has named: the host as one that may be private, or the very address.
 */
static int check_way(const struct binding_consent *consent, struct str path, const struct keeper_target *target,
		     struct err *err)
{
	struct str host = target->host;
	if (target->way == 0 || names(consent->allow_private, consent->n_allow_private, host) ||
	    (is_address(host) && names(consent->hosts, consent->n_hosts, host)))
		return 0;
	fail(err, ERR_CAPABILITY_DENIED,
	     "the credential '%.*s' was not given for '%.*s' %s; bind it again and agree to that host as a private one",
	     STR_FMT(path), STR_FMT(str_slice(host, 0, 300)),
	     (target->way & KEEPER_WAY_PLAIN) != 0 ? "over plain http" : "at a private address");
	err_detail(err, "host", str_slice(host, 0, 300));
	err_detail(err, "rule", S("private"));
	return -1;
}

int keeper_check_claim(struct keeper *keeper, struct arena *arena, uint64_t number, const struct keeper_target *target,
		       struct keeper_claim *ret, struct err *err)
{
	struct keeper_claim claim;
	struct str host = target->host;
	if (!keeper_is_serving(keeper))
		return fail(err, ERR_BINDING_REQUIRED, "the vault is locked; unlock it with 'aileron vault unlock'");
	if (find_use(keeper, number, &claim.use, err) != 0)
		return -1;
	const struct keeper_permit *permit = &claim.use->permit;
	if (!is_permitted(permit, host))
		return deny_host(permit->path, host, err);
	claim.entry = vault_find(keeper->vault, permit->path);
	if (claim.entry == NULL)
		return fail(err, ERR_BINDING_REQUIRED, "the binding '%.*s' was removed", STR_FMT(permit->path));
	if (read_consent(arena, claim.entry, &claim.consent, err) != 0 ||
	    check_entry(claim.entry, permit, &claim.consent, err) != 0)
		return close_class(err);
	if (!binding_consent_allows(&claim.consent, host))
		return deny_host(permit->path, host, err);
	if (check_way(&claim.consent, permit->path, target, err) != 0)
		return -1;
	*ret = claim;
	return 0;
}

static void note(struct keeper *keeper, struct keeper_use *use, const char *what, struct str host)
{
	if (!use->released)
		keeper_push_note(keeper, &(struct keeper_note){.what = what,
							       .path = use->permit.path,
							       .host = host,
							       .detail = use->permit.connector,
							       .use = use->number});
	use->released = true;
}

void keeper_release(struct keeper *keeper, uint32_t id, struct keeper_use *use, struct str host, struct str secret)
{
	const struct vault_entry *entry = vault_find(keeper->vault, use->permit.path);
	AUTO_BUF pool = BUF_INIT(VAULT_PATH_MAX + 32);
	buf_add_str(&pool, use->permit.path);
	buf_addf(&pool, "@%llu", (unsigned long long)(entry != NULL ? entry->generation : 0));
	AUTO_BUF head = BUF_INIT(VAULT_PATH_MAX + 16384);
	wire_put_str(&head, use->permit.kind);
	wire_put_str(&head, entry != NULL ? vault_label_of(entry, S("username")) : STR_EMPTY);
	wire_put_str(&head, buf_str(&pool));
	if (secret.n > 0)
		note(keeper, use, "released", host);
	keeper_tell_egress(keeper, KEEPER_RELEASED, id, &head, &secret);
}

static int release_value(struct keeper *keeper, uint32_t id, const struct keeper_claim *claim, struct str host,
			 struct err *err)
{
	AUTO(secret) *secret = NULL;
	if (vault_get(keeper->vault, claim->entry->path, &secret, err) != 0)
		return -1;
	keeper_release(keeper, id, claim->use, host, secret_borrow(secret));
	return 0;
}

static int claim_use(struct keeper *keeper, uint32_t id, uint64_t number, const struct keeper_target *target,
		     struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_claim claim;
	struct str host = target->host;
	if (keeper_check_claim(keeper, arena, number, target, &claim, err) != 0)
		return -1;
	keeper_active(keeper);
	enum keeper_kind_use how = keeper_kind_named(claim.entry->type)->use;
	if (how == KEEPER_KIND_AWS || how == KEEPER_KIND_KEY) {
		keeper_release(keeper, id, claim.use, host, STR_EMPTY);
		return 0;
	}
	if (claim.use->released)
		return fail(err, ERR_CAPABILITY_DENIED, "the credential '%.*s' was released for this call already",
			    STR_FMT(claim.use->permit.path));
	if (how == KEEPER_KIND_TOKEN)
		return keeper_claim_token(keeper, id, &claim, target, err);
	return release_value(keeper, id, &claim, host, err);
}

int keeper_on_claim(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	uint64_t use = wire_u64(&r);
	struct keeper_target target;
	keeper_target_get(&r, &target);
	if (wire_done(&r, "claim", err) != 0)
		return -1;
	if (claim_use(keeper, frame->id, use, &target, err) != 0) {
		close_class(err);
		keeper_refuse_egress(keeper, KEEPER_RELEASED, frame->id, err);
	}
	return 0;
}

/* Egress has the value, and asks where else it may go. */
static int extend_use(struct keeper *keeper, uint32_t id, uint64_t number, const struct keeper_target *target,
		      struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_claim claim;
	if (keeper_check_claim(keeper, arena, number, target, &claim, err) != 0)
		return -1;
	if (!claim.use->released)
		return fail(err, ERR_CAPABILITY_DENIED, "the credential '%.*s' was not released for this call",
			    STR_FMT(claim.use->permit.path));
	keeper_release(keeper, id, claim.use, target->host, STR_EMPTY);
	return 0;
}

int keeper_on_extend(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	uint64_t use = wire_u64(&r);
	struct keeper_target target;
	keeper_target_get(&r, &target);
	if (wire_done(&r, "extend", err) != 0)
		return -1;
	if (extend_use(keeper, frame->id, use, &target, err) != 0) {
		close_class(err);
		keeper_refuse_egress(keeper, KEEPER_RELEASED, frame->id, err);
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ signing */

/* The use's key, opened when it first signs and kept until the use ends. */
static int claim_key(struct keeper *keeper, uint64_t number, const struct keeper_target *target,
		     enum keeper_kind_use how, struct keeper_use **ret, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_claim claim;
	if (keeper_check_claim(keeper, arena, number, target, &claim, err) != 0)
		return -1;
	if (keeper_kind_named(claim.entry->type)->use != how)
		return fail(err, ERR_CAPABILITY_DENIED, "the credential '%.*s' does not sign this way",
			    STR_FMT(claim.entry->path));
	keeper_active(keeper);
	struct keeper_use *use = claim.use;
	if (use->secret == NULL && vault_get(keeper->vault, use->permit.path, &use->secret, err) != 0)
		return -1;
	if (use->key == NULL)
		use->key = held_key_new(use->secret);
	*ret = use;
	return 0;
}

static void tell_signature(struct keeper *keeper, uint32_t id, struct str signature)
{
	AUTO_BUF head = BUF_INIT(4 + SIGNATURE_MAX);
	wire_put_str(&head, signature);
	keeper_tell_egress(keeper, KEEPER_SIGNED, id, &head, NULL);
}

struct sigv4_request {
	uint64_t use;
	struct keeper_target target;
	struct str day, region, service, to_sign;
};

/* Only what begins as such a text does: the key says nothing about anything else. */
static bool is_to_sign(const struct sigv4_request *request)
{
	AUTO_BUF scope = BUF_INIT(1024);
	buf_addf(&scope, "\n%.*s/%.*s/%.*s/aws4_request\n", STR_FMT(request->day), STR_FMT(request->region),
		 STR_FMT(request->service));
	struct str rest = request->to_sign;
	if (request->day.n != 8 || !buf_ok(&scope) || !str_starts(rest, S("AWS4-HMAC-SHA256\n")))
		return false;
	for (size_t i = 0; i < request->day.n; i++) {
		if (!ascii_is_digit(request->day.p[i]))
			return false;
	}
	rest = str_slice(rest, S("AWS4-HMAC-SHA256\n").n, rest.n);
	return str_starts(rest, request->day) && str_starts(str_slice(rest, 16, rest.n), buf_str(&scope));
}

static int sign_sigv4(struct keeper *keeper, uint32_t id, const struct sigv4_request *request, struct err *err)
{
	struct keeper_use *use;
	if (claim_key(keeper, request->use, &request->target, KEEPER_KIND_AWS, &use, err) != 0)
		return -1;
	const struct vault_entry *entry = vault_find(keeper->vault, use->permit.path);
	struct str bound = entry != NULL ? vault_label_of(entry, S("region")) : STR_EMPTY;
	if (bound.n > 0 && !str_eq(bound, request->region))
		return fail(err, ERR_CAPABILITY_DENIED, "the credential '%.*s' is for the region '%.*s' alone",
			    STR_FMT(use->permit.path), STR_FMT(bound));
	if (!is_to_sign(request))
		return fail(err, ERR_CAPABILITY_DENIED, "what is to be signed is no request to AWS");
	struct sigv4_scope scope = {.region = request->region, .service = request->service};
	memcpy(scope.day, request->day.p, 8);
	unsigned char mac[SHA256_SIZE];
	if (held_key_aws_sigv4(use->key, &scope, request->to_sign, mac, err) != 0)
		return -1;
	note(keeper, use, "signed", request->target.host);
	tell_signature(keeper, id, str_of(mac, sizeof mac));
	return 0;
}

int keeper_on_sign_sigv4(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	struct sigv4_request request = {.use = wire_u64(&r)};
	keeper_target_get(&r, &request.target);
	request.day = wire_str(&r);
	request.region = wire_str(&r);
	request.service = wire_str(&r);
	request.to_sign = wire_str(&r);
	if (wire_done(&r, "sign_sigv4", err) != 0)
		return -1;
	if (sign_sigv4(keeper, frame->id, &request, err) != 0) {
		close_class(err);
		keeper_refuse_egress(keeper, KEEPER_SIGNED, frame->id, err);
	}
	return 0;
}

static int sign_bytes(struct keeper *keeper, const struct rpc_frame *frame, struct wire_reader *r, struct err *err)
{
	uint64_t number = wire_u64(r);
	struct keeper_target target;
	keeper_target_get(r, &target);
	uint8_t algorithm = wire_u8(r);
	struct str bytes = wire_str(r);
	if (algorithm >= SIGNING__MAX)
		r->bad = true;
	struct keeper_use *use;
	if (wire_done(r, "sign_bytes", err) != 0 || claim_key(keeper, number, &target, KEEPER_KIND_KEY, &use, err) != 0)
		return -1;
	unsigned char signature[SIGNATURE_MAX];
	size_t n;
	if (held_key_sign(use->key, (enum signing_algorithm)algorithm, bytes, signature, &n, err) != 0)
		return -1;
	note(keeper, use, "signed", target.host);
	tell_signature(keeper, frame->id, str_of(signature, n));
	return 0;
}

int keeper_on_sign_bytes(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	if (sign_bytes(keeper, frame, &r, err) == 0)
		return 0;
	if (err->class == ERR_PROTOCOL)
		return -1;
	close_class(err);
	keeper_refuse_egress(keeper, KEEPER_SIGNED, frame->id, err);
	return 0;
}
