#include "base/log.h"
#include "text/wire.h"
#include "vault/keeper_metadata.h"
#include "vault/keeper_private.h"
#include "vault/keeper_token.h"
#include <stdlib.h>

/*
 * One refresh of one binding. Before it goes out the entry is marked (refresh_started_at) on the disk; the mark goes in the
 * same write that brings the new tokens, or when the server has refused. An entry that is marked while nothing is under way
 * belongs to a refresh whose outcome nobody knows: a rotated token may be lost with it, so the binding is stale.
 */
#define MARK "refresh_started_at"

struct waiting {
	uint32_t id;
	uint64_t use;
	char *host;
	uint8_t way;
};

struct keeper_refresh {
	char *path;
	uint32_t id;         /* of REFRESH, and of the claim that led to it */
	uint64_t generation; /* of the value that is refreshed */
	uint64_t until_ns;
	VEC(struct waiting) waiting;
};

static void refresh_free(struct keeper_refresh *refresh)
{
	VEC_FOREACH (waiting, &refresh->waiting)
		free(waiting->host);
	vec_release(&refresh->waiting);
	free(refresh->path);
	free(refresh);
}

static struct keeper_refresh *by_id(struct keeper *keeper, uint32_t id)
{
	struct map_iter it = {0};
	while (map_next(keeper->refreshes, &it)) {
		struct keeper_refresh *refresh = it.value;
		if (refresh->id == id)
			return refresh;
	}
	return NULL;
}

static void wait_for(struct keeper_refresh *refresh, uint32_t id, uint64_t use, const struct keeper_target *target)
{
	struct waiting waiting = {.id = id, .use = use, .host = str_dup(target->host), .way = target->way};
	if (!vec_push(&refresh->waiting, waiting))
		BUG("more claims than uses");
}

/* ------------------------------------------------------------------------------------------------------------- labels */

static void push_stale(struct keeper *keeper, struct str path, const char *reason)
{
	keeper_push_note(keeper, &(struct keeper_note){.what = "stale", .path = path, .detail = str_from(reason)});
	keeper_push_changed(keeper, "written");
}

static void set_stale(struct keeper *keeper, struct str path, const char *reason)
{
	const struct vault_label labels[] = {
		{S(MARK), STR_EMPTY}, {S("status"), S("stale")}, {S("stale_reason"), str_from(reason)}};
	static struct err err;
	if (vault_set_labels(keeper->vault, path, labels, ARRAY_LEN(labels), &err) == 0) {
		log_warn("binding_stale", log_str("binding", path), log_z("reason", reason));
		push_stale(keeper, path, reason);
		return;
	}
	log_error("binding_not_marked", log_str("binding", path), log_err(&err));
}

static void clear_mark(struct keeper *keeper, struct str path)
{
	const struct vault_label label = {S(MARK), STR_EMPTY};
	static struct err err;
	if (vault_set_labels(keeper->vault, path, &label, 1, &err) != 0)
		log_error("binding_not_marked", log_str("binding", path), log_err(&err));
}

void keeper_mark_lost(struct keeper *keeper)
{
	/* Labels move no entry to another place, but a write makes all of them anew. */
	for (size_t i = 0; i < vault_count(keeper->vault); i++) {
		const struct vault_entry *entry = vault_entry_at(keeper->vault, i);
		if (vault_label_of(entry, S(MARK)).n > 0 && !map_has(keeper->refreshes, entry->path)) {
			AUTO_FREE char *path = str_dup(entry->path);
			set_stale(keeper, str_from(path), "refresh_lost");
		}
	}
}

/* -------------------------------------------------------------------------------------------------------------- tokens */

void keeper_exchange_of(struct arena *arena, const struct binding_consent *consent, struct keeper_exchange *ret)
{
	AUTO_BUF scopes = BUF_INIT(VAULT_CONSENT_MAX);
	for (size_t i = 0; i < consent->n_scopes; i++) {
		buf_add_z(&scopes, i > 0 ? " " : "");
		buf_add_str(&scopes, consent->scopes[i]);
	}
	*ret = (struct keeper_exchange){
		.token_url = consent->token_url,
		.device_authorization_url = consent->device_authorization_url,
		.client_id = consent->client_id,
		.client_secret = consent->client_secret,
		.scopes = arena_str(arena, buf_str(&scopes)),
		.allow_private = keeper_url_is_loopback(consent->token_url),
	};
}

struct secret *keeper_token_of(const struct keeper *keeper, const struct binding_consent *consent,
			       const struct keeper_tokens *tokens, const struct keeper_token *old, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_exchange exchange;
	keeper_exchange_of(arena, consent, &exchange);
	struct keeper_token token = {
		.access_token = tokens->access_token,
		.refresh_token = tokens->refresh_token,
		.token_type = tokens->token_type,
		.client_id = consent->client_id,
		.client_secret = consent->client_secret,
		.token_url = consent->token_url,
		.scopes = tokens->has_scope && tokens->scope.n > 0 ? tokens->scope : exchange.scopes,
	};
	if (old != NULL && token.refresh_token.n == 0)
		token.refresh_token = old->refresh_token;
	if (old != NULL && !(tokens->has_scope && tokens->scope.n > 0))
		token.scopes = old->scopes;
	if (tokens->expires_in > 0)
		token.expires_at_s = keeper_now_s(keeper) + MIN(tokens->expires_in, UINT64_C(3153600000));
	else if (old != NULL)
		token.expires_at_s = old->expires_at_s;
	return keeper_token_write(&token, err);
}

/* ------------------------------------------------------------------------------------------------------------ claiming */

static int send_refresh(struct keeper *keeper, uint32_t id, const struct keeper_claim *claim,
			const struct keeper_token *token, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct keeper_exchange exchange;
	keeper_exchange_of(arena, &claim->consent, &exchange);
	exchange.refresh_token = token->refresh_token;
	AUTO_BUF body = BUF_INIT_SECRET(4 * SECRET_MAX);
	keeper_exchange_put(&body, &exchange);
	if (buf_check(&body, "a token request", err) != 0)
		return -1;
	struct str part = buf_str(&body);
	return rpc_queue(keeper->egress, KEEPER_REFRESH, id, &part, 1, err);
}

static int begin_refresh(struct keeper *keeper, uint32_t id, const struct keeper_claim *claim,
			 const struct keeper_token *token, const struct keeper_target *target, struct err *err)
{
	if (claim->consent.token_url.n == 0)
		return fail(err, ERR_BINDING_FAILED,
			    "the token of '%.*s' has expired, and nobody agreed to where it is refreshed; authorize it "
			    "again",
			    STR_FMT(claim->entry->path));
	struct str path = claim->use->permit.path;
	uint64_t generation = claim->entry->generation;
	struct keeper_number now;
	const struct vault_label mark = {S(MARK), keeper_number(&now, keeper_now_s(keeper))};
	if (vault_set_labels(keeper->vault, path, &mark, 1, err) != 0)
		return wrap(err, "refreshing the token of '%.*s'", STR_FMT(path));
	if (send_refresh(keeper, id, claim, token, err) != 0) {
		clear_mark(keeper, path);
		return -1;
	}
	struct keeper_refresh *refresh = NEW(struct keeper_refresh);
	*refresh = (struct keeper_refresh){
		.path = str_dup(path),
		.id = id,
		.generation = generation,
		.until_ns = keeper_now(keeper) + KEEPER_REFRESH_WAIT_NS,
		.waiting = VEC_INIT(KEEPER_USES_MAX),
	};
	wait_for(refresh, id, claim->use->number, target);
	if (!map_add(keeper->refreshes, path, refresh))
		BUG("a second refresh of a binding");
	return 0;
}

int keeper_claim_token(struct keeper *keeper, uint32_t id, const struct keeper_claim *claim,
		       const struct keeper_target *target, struct err *err)
{
	struct keeper_refresh *under_way = map_get(keeper->refreshes, claim->entry->path);
	if (under_way != NULL && under_way->waiting.n >= KEEPER_USES_MAX)
		return fail(err, ERR_BINDING_FAILED, "too many requests wait for a new token");
	if (under_way != NULL) {
		wait_for(under_way, id, claim->use->number, target);
		return 0;
	}
	if (vault_label_of(claim->entry, S(MARK)).n > 0) { /* left by a write that failed */
		set_stale(keeper, claim->use->permit.path, "refresh_lost");
		return fail(err, ERR_BINDING_FAILED, "the new token of '%.*s' was lost; authorize it again",
			    STR_FMT(claim->use->permit.path));
	}
	AUTO(secret) *json = NULL;
	AUTO_TOKEN token = {0};
	if (vault_get(keeper->vault, claim->entry->path, &json, err) != 0 ||
	    keeper_token_read(secret_borrow(json), &token, err) != 0)
		return -1;
	bool due = token.expires_at_s > 0 && token.refresh_token.n > 0 &&
		   keeper_now_s(keeper) + KEEPER_REFRESH_NS / TIME_SECOND >= token.expires_at_s;
	if (due)
		return begin_refresh(keeper, id, claim, &token, target, err);
	keeper_release(keeper, id, claim->use, target->host, token.access_token);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- ending */

static void answer_one(struct keeper *keeper, const struct waiting *waiting, const struct secret *access,
		       const struct err *why)
{
	static struct err err;
	err_clear(&err);
	AUTO(arena) *arena = arena_new();
	struct keeper_claim claim;
	const struct keeper_target target = {.host = str_from(waiting->host), .way = waiting->way};
	if (access == NULL) {
		keeper_refuse_egress(keeper, KEEPER_RELEASED, waiting->id, why);
		return;
	}
	int rc = keeper_check_claim(keeper, arena, waiting->use, &target, &claim, &err);
	if (rc == 0 && claim.use->released)
		rc = fail(&err, ERR_CAPABILITY_DENIED, "the credential was released for this call already");
	if (rc != 0)
		keeper_refuse_egress(keeper, KEEPER_RELEASED, waiting->id, &err);
	else
		keeper_release(keeper, waiting->id, claim.use, target.host, secret_borrow(access));
}

/* Takes the refresh out and answers all who waited: with the token, or with the error. */
static void end_refresh(struct keeper *keeper, struct keeper_refresh *refresh, const struct secret *access,
			const struct err *why)
{
	map_remove(keeper->refreshes, str_from(refresh->path));
	VEC_FOREACH (waiting, &refresh->waiting)
		answer_one(keeper, waiting, access, why);
	refresh_free(refresh);
}

void keeper_lose_refreshes(struct keeper *keeper)
{
	static struct err err;
	struct map_iter it = {0};
	while (map_next(keeper->refreshes, &it)) {
		struct keeper_refresh *refresh = it.value;
		fail(&err, ERR_BINDING_FAILED, "refreshing the token of '%s' was interrupted; authorize it again",
		     refresh->path);
		if (vault_is_unlocked(keeper->vault))
			set_stale(keeper, str_from(refresh->path), "refresh_lost");
		end_refresh(keeper, refresh, NULL, &err);
	}
}

void keeper_expire_refreshes(struct keeper *keeper)
{
	uint64_t now = keeper_now(keeper);
	struct map_iter it = {0};
	bool late = false;
	while (map_next(keeper->refreshes, &it))
		late = late || now >= ((const struct keeper_refresh *)it.value)->until_ns;
	/* Egress answers within its own limits: one that does not is as good as gone. */
	if (late)
		keeper_lose_refreshes(keeper);
}

static int store(struct keeper *keeper, const struct keeper_refresh *refresh, const struct keeper_tokens *tokens,
		 struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct str path = str_from(refresh->path);
	const struct vault_entry *entry = vault_find(keeper->vault, path);
	if (!vault_is_unlocked(keeper->vault))
		return fail(err, ERR_BINDING_REQUIRED, "the vault was locked while the token of '%s' was refreshed",
			    refresh->path);
	if (entry == NULL || entry->generation != refresh->generation)
		return fail(err, ERR_BINDING_FAILED,
			    "the binding '%s' was changed while its token was refreshed; try again", refresh->path);
	struct binding_consent consent;
	AUTO(secret) *old = NULL, *new = NULL;
	AUTO_TOKEN token = {0};
	if (binding_consent_get(arena, entry->consent, &consent, err) != 0 ||
	    vault_get(keeper->vault, path, &old, err) != 0 || keeper_token_read(secret_borrow(old), &token, err) != 0 ||
	    (new = keeper_token_of(keeper, &consent, tokens, &token, err)) == NULL)
		return -1;
	struct keeper_number now;
	struct keeper_labels labels = {.n = 0};
	keeper_label(&labels, S(MARK), STR_EMPTY);
	keeper_label(&labels, S("last_refreshed_at"), keeper_number(&now, keeper_now_s(keeper)));
	if (tokens->has_scope && tokens->scope.n > 0)
		keeper_label(&labels, S("granted_scopes"), tokens->scope);
	return vault_set_value(keeper->vault, path, secret_borrow(new), labels.items, labels.n, err);
}

int keeper_on_refreshed(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	struct keeper_tokens tokens;
	keeper_tokens_get(&r, &tokens);
	if (wire_done(&r, "refreshed", err) != 0)
		return -1;
	struct keeper_refresh *refresh = by_id(keeper, frame->id);
	if (refresh == NULL) /* it took too long, and was given up */
		return 0;
	keeper_active(keeper);
	AUTO(secret) *access = NULL;
	if (tokens.access_token.n == 0)
		fail(err, ERR_BINDING_FAILED, "the token endpoint gave no access token");
	else if (store(keeper, refresh, &tokens, err) == 0)
		access = secret_from(tokens.access_token, err);
	if (access != NULL) {
		keeper_push_note(keeper, &(struct keeper_note){.what = "refreshed", .path = str_from(refresh->path)});
		keeper_push_changed(keeper, "written");
	} else {
		/* The tokens are lost, and with them perhaps the only refresh token that is good. */
		const struct vault_entry *entry = vault_find(keeper->vault, str_from(refresh->path));
		if (vault_is_unlocked(keeper->vault) && entry != NULL && entry->generation == refresh->generation)
			set_stale(keeper, str_from(refresh->path), "refresh_lost");
		log_error("binding_not_refreshed", log_z("binding", refresh->path), log_err(err));
		err->class = vault_is_unlocked(keeper->vault) ? ERR_BINDING_FAILED : ERR_BINDING_REQUIRED;
	}
	end_refresh(keeper, refresh, access, err);
	return 0;
}

int keeper_on_refresh_failed(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	struct wire_reader r = wire_reader(frame->body);
	static struct err why;
	wire_get_err(&r, &why);
	if (why.class != ERR_BINDING_FAILED && why.class != ERR_NETWORK_ERROR)
		r.bad = true;
	if (wire_done(&r, "binding_not_refreshed", err) != 0)
		return -1;
	struct keeper_refresh *refresh = by_id(keeper, frame->id);
	if (refresh == NULL)
		return 0;
	struct str path = str_from(refresh->path);
	const struct vault_entry *entry = vault_find(keeper->vault, path);
	if (vault_is_unlocked(keeper->vault) && entry != NULL && entry->generation == refresh->generation) {
		/* Refused is final; whoever could not be reached may be asked again, with the same token. */
		if (why.class == ERR_BINDING_FAILED)
			set_stale(keeper, path, "refresh_refused");
		else
			clear_mark(keeper, path);
	}
	end_refresh(keeper, refresh, NULL, &why);
	return 0;
}
