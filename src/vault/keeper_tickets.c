#include "base/ascii.h"
#include "base/log.h"
#include "text/url.h"
#include "text/wire.h"
#include "vault/keeper_metadata.h"
#include "vault/keeper_private.h"
#include "vault/keeper_token.h"
#include <arpa/inet.h>
#include <stdlib.h>

/*
 * One OAuth flow between its beginning, when the person agreed, and its tokens. The verifier of a code flow goes out once: a
 * second exchange would be somebody else's. A device flow asks as often as it likes.
 */
struct keeper_ticket {
	uint64_t number;
	struct arena *arena; /* what these point into */
	struct str path, metadata, consent;
	struct secret *verifier; /* NULL for the device flow */
	struct secret *device_code;
	bool create, exchanged;
	uint64_t until_ns;
};

static struct str key_of(const uint64_t *number)
{
	return str_of(number, sizeof *number);
}

static void ticket_free(void *value)
{
	struct keeper_ticket *ticket = value;
	if (ticket == NULL)
		return;
	secret_free(ticket->verifier);
	secret_free(ticket->device_code);
	arena_free(ticket->arena);
	free(ticket);
}

void keeper_end_tickets(struct keeper *keeper)
{
	struct map_iter it = {0};
	while (map_next(keeper->tickets, &it))
		ticket_free(map_remove(keeper->tickets, it.key));
}

static void end_expired_tickets(struct keeper *keeper)
{
	uint64_t now = keeper_now(keeper);
	struct map_iter it = {0};
	while (map_next(keeper->tickets, &it)) {
		if (now >= ((const struct keeper_ticket *)it.value)->until_ns)
			ticket_free(map_remove(keeper->tickets, it.key));
	}
}

/* ---------------------------------------------------------------------------------------------------------- beginning */

static bool is_loopback(const struct url *url)
{
	char host[URL_HOST_MAX + 1];
	struct in6_addr v6;
	unsigned char v4[4];
	if (url->host.n >= sizeof host)
		return false;
	memcpy(host, url->host.p, url->host.n);
	host[url->host.n] = '\0';
	if (url->host_is_ipv6)
		return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, host, v4) == 1 && v4[0] == 127;
}

bool keeper_url_is_loopback(struct str text)
{
	AUTO(arena) *arena = arena_new();
	struct url url;
	return text.n > 0 && url_parse(arena, text, &url, NULL) == 0 && url.host.n > 0 && is_loopback(&url);
}

/* Secrets go there: over https, or to this very machine. */
static int check_endpoint(struct arena *arena, const char *name, struct str text, struct err *err)
{
	struct url url;
	if (text.n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the consent names no %s", name);
	if (url_parse(arena, text, &url, err) != 0)
		return wrap(err, "reading the %s", name);
	bool safe = str_eq(url.scheme, S("https")) || (str_eq(url.scheme, S("http")) && is_loopback(&url));
	if (!safe || url.host.n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the %s is neither https nor http to an address of this machine",
			    name);
	return 0;
}

/* RFC 7636, 4.1 */
static bool is_verifier(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_letter(s.p[i]) && !ascii_is_digit(s.p[i]) && strchr("-._~", s.p[i]) == NULL)
			return false;
	}
	return s.n >= 43 && s.n <= 128;
}

static int check_request(struct keeper *keeper, struct arena *arena, const struct keeper_ticket_request *request,
			 struct err *err)
{
	struct keeper_metadata metadata;
	struct binding_consent consent;
	if (request->number == 0 || map_has(keeper->tickets, key_of(&request->number)))
		return fail(err, ERR_INVALID_REQUEST, "the ticket's number is 0 or taken");
	if (!vault_path_is_valid(request->path) || vault_scope_of(request->path) != VAULT_SCOPE_BINDING)
		return fail(err, ERR_INVALID_IDENTITY, "'%.*s' is no name of a binding",
			    STR_FMT(str_slice(request->path, 0, VAULT_PATH_MAX)));
	if (keeper_metadata_read(arena, request->metadata, &metadata, err) != 0 ||
	    binding_consent_get(arena, request->consent, &consent, err) != 0)
		return -1;
	if (!str_eq(metadata.type, S("oauth2")))
		return fail(err, ERR_NOT_OAUTH2, "a binding of kind '%.*s' is not authorized",
			    STR_FMT(str_slice(metadata.type, 0, 64)));
	if (keeper_label_of(&metadata.labels, S("connector_fqn")).n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the binding '%.*s' names no connector", STR_FMT(request->path));
	if (check_endpoint(arena, "token_url", consent.token_url, err) != 0)
		return -1;
	if (request->verifier == NULL)
		return check_endpoint(arena, "device_authorization_url", consent.device_authorization_url, err);
	if (!is_verifier(secret_borrow(request->verifier)))
		return fail(err, ERR_VALIDATION_ERROR, "the verifier is not 43 to 128 letters, digits and '-._~'");
	return 0;
}

static int check_place(struct keeper *keeper, struct str path, bool create, struct err *err)
{
	const struct vault_entry *there = vault_find(keeper->vault, path);
	if (create && there != NULL)
		return fail(err, ERR_BINDING_EXISTS, "the binding '%.*s' exists already; reauthorize it",
			    STR_FMT(path));
	if (!create && there == NULL)
		return fail(err, ERR_BINDING_NOT_FOUND, "there is no binding '%.*s'", STR_FMT(path));
	return 0;
}

int keeper_ticket_make(struct keeper *keeper, const struct keeper_ticket_request *request, struct err *err)
{
	AUTO(arena) *scratch = arena_new();
	end_expired_tickets(keeper);
	if (check_request(keeper, scratch, request, err) != 0 ||
	    check_place(keeper, request->path, request->create, err) != 0)
		return -1;
	if (map_count(keeper->tickets) == KEEPER_TICKETS_MAX)
		return fail(err, ERR_UNAVAILABLE, "%d authorizations are under way already", KEEPER_TICKETS_MAX);
	AUTO(secret) *verifier = NULL;
	if (request->verifier != NULL) {
		verifier = secret_from(secret_borrow(request->verifier), err);
		if (verifier == NULL)
			return -1;
	}
	struct keeper_ticket *ticket = NEW(struct keeper_ticket);
	uint64_t life = verifier != NULL ? KEEPER_TICKET_NS : KEEPER_DEVICE_NS;
	*ticket = (struct keeper_ticket){
		.number = request->number,
		.arena = arena_new(),
		.verifier = TAKE(verifier),
		.create = request->create,
		.until_ns = keeper_now(keeper) + life,
	};
	ticket->path = arena_str(ticket->arena, request->path);
	ticket->metadata = arena_str(ticket->arena, request->metadata);
	ticket->consent = arena_str(ticket->arena, request->consent);
	if (!map_add(keeper->tickets, key_of(&ticket->number), ticket))
		BUG("no room for a ticket");
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- egress */

static struct keeper_ticket *find_ticket(struct keeper *keeper, uint64_t number, struct err *err)
{
	end_expired_tickets(keeper);
	struct keeper_ticket *ticket = map_get(keeper->tickets, key_of(&number));
	if (ticket == NULL)
		fail(err, ERR_SESSION_NOT_FOUND,
		     "the authorization is over: it took too long, the vault was locked meanwhile, or it was finished");
	return ticket;
}

static int exchange(struct keeper *keeper, uint32_t id, uint64_t number, struct err *err)
{
	struct keeper_ticket *ticket = find_ticket(keeper, number, err);
	if (ticket == NULL)
		return -1;
	if (ticket->verifier != NULL && ticket->exchanged)
		return fail(err, ERR_SESSION_NOT_FOUND, "the authorization's code was exchanged before");
	AUTO(arena) *arena = arena_new();
	struct binding_consent consent;
	struct keeper_exchange told;
	if (binding_consent_get(arena, ticket->consent, &consent, err) != 0)
		return -1;
	keeper_exchange_of(arena, &consent, &told);
	if (ticket->verifier != NULL)
		told.verifier = secret_borrow(ticket->verifier);
	if (ticket->device_code != NULL)
		told.device_code = secret_borrow(ticket->device_code);
	AUTO_BUF head = BUF_INIT_SECRET(4 * SECRET_MAX);
	keeper_exchange_put(&head, &told);
	if (buf_check(&head, "a token request", err) != 0)
		return -1;
	ticket->exchanged = true;
	keeper_active(keeper);
	keeper_tell_egress(keeper, KEEPER_TICKET, id, &head, NULL);
	return 0;
}

int keeper_on_exchange(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	uint64_t number = wire_u64(&r);
	if (wire_done(&r, "exchange", err) != 0)
		return -1;
	if (exchange(keeper, frame->id, number, err) != 0)
		keeper_refuse_egress(keeper, KEEPER_TICKET, frame->id, err);
	return 0;
}

static int store(struct keeper *keeper, const struct keeper_ticket *ticket, const struct keeper_tokens *tokens,
		 struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_metadata metadata;
	struct binding_consent consent;
	if (tokens->access_token.n == 0)
		return fail(err, ERR_TOKEN_EXCHANGE_FAILED, "the token endpoint gave no access token");
	if (keeper_need_unlocked(keeper, err) != 0 || check_place(keeper, ticket->path, ticket->create, err) != 0 ||
	    keeper_metadata_read(arena, ticket->metadata, &metadata, err) != 0 ||
	    binding_consent_get(arena, ticket->consent, &consent, err) != 0)
		return -1;
	AUTO(secret) *value = keeper_token_of(keeper, &consent, tokens, NULL, err);
	if (value == NULL)
		return -1;
	struct keeper_exchange asked;
	keeper_exchange_of(arena, &consent, &asked);
	const struct vault_entry *there = vault_find(keeper->vault, ticket->path);
	if (there != NULL)
		keeper_labels_keep(&metadata.labels, there);
	struct keeper_number now;
	if (keeper_label_of(&metadata.labels, S("created_at")).n == 0)
		keeper_label(&metadata.labels, S("created_at"), keeper_number(&now, keeper_now_s(keeper)));
	keeper_label(&metadata.labels, S("status"), S("active"));
	keeper_label(&metadata.labels, S("refresh_token_present"), tokens->refresh_token.n > 0 ? S("true") : S(""));
	keeper_label(&metadata.labels, S("granted_scopes"),
		     tokens->has_scope && tokens->scope.n > 0 ? tokens->scope : asked.scopes);
	const struct vault_put put = {
		.path = ticket->path,
		.type = metadata.type,
		.environment = metadata.environment,
		.consent = ticket->consent,
		.value = secret_borrow(value),
		.labels = metadata.labels.items,
		.n_labels = metadata.labels.n,
	};
	return vault_put(keeper->vault, &put, NULL, err);
}

int keeper_on_tokens(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	uint64_t number = wire_u64(&r);
	struct keeper_tokens tokens;
	keeper_tokens_get(&r, &tokens);
	if (wire_done(&r, "tokens", err) != 0)
		return -1;
	const struct keeper_ticket *ticket = find_ticket(keeper, number, err);
	if (ticket != NULL && !ticket->exchanged) {
		fail(err, ERR_SESSION_NOT_FOUND, "nobody asked for these tokens");
		ticket = NULL;
	}
	if (ticket == NULL || store(keeper, ticket, &tokens, err) != 0) {
		keeper_refuse_egress(keeper, KEEPER_STORED, frame->id, err);
		return 0;
	}
	log_info("binding_authorized", log_str("binding", ticket->path));
	ticket_free(map_remove(keeper->tickets, key_of(&number)));
	keeper_active(keeper);
	AUTO_BUF nothing = BUF_INIT(1);
	keeper_tell_egress(keeper, KEEPER_STORED, frame->id, &nothing, NULL);
	keeper_push_changed(keeper, "written");
	return 0;
}

static int keep_device_code(struct keeper *keeper, uint64_t number, struct str code, struct err *err)
{
	struct keeper_ticket *ticket = find_ticket(keeper, number, err);
	if (ticket == NULL)
		return -1;
	if (ticket->verifier != NULL || !ticket->exchanged || code.n == 0)
		return fail(err, ERR_INVALID_REQUEST, "a device code belongs to a device flow that has begun");
	struct secret *kept = secret_from(code, err);
	if (kept == NULL)
		return -1;
	secret_free(ticket->device_code);
	ticket->device_code = kept;
	return 0;
}

int keeper_on_device_code(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	uint64_t number = wire_u64(&r);
	struct str code = wire_str(&r);
	if (wire_done(&r, "device_code", err) != 0)
		return -1;
	AUTO_BUF nothing = BUF_INIT(1);
	if (keep_device_code(keeper, number, code, err) == 0)
		keeper_tell_egress(keeper, KEEPER_STORED, frame->id, &nothing, NULL);
	else
		keeper_refuse_egress(keeper, KEEPER_STORED, frame->id, err);
	return 0;
}
