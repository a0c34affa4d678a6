#include "egress/permit.h"
#include "crypto/sign.h"
#include "egress/keeper_link.h"
#include "egress/sigv4.h"
#include "egress/watchlist.h"
#include <stdlib.h>

#define UNLOCK_HINT "run `aileron vault unlock`, then call again"

/* Destinations of a call's value that are remembered; for another one the keeper is asked anew. */
#define TARGETS_MAX 16

struct permits {
	struct permits_options options;
	struct secret *secret; /* the value, once it was claimed */
	uint32_t claim;        /* the keeper's question under way, for `asked`; 0 = none */
	struct keeper_target asked;
	struct keeper_target targets[TARGETS_MAX]; /* where the value may go, as the keeper said; the newest */
	size_t n_targets;
	uint32_t signing;
	unsigned char signature[SIGNATURE_MAX]; /* the answer, for the second run of the scheme */
	size_t signature_n;
	const struct egress_permit *chosen;
	bool waiting; /* for the keeper: `ask` is a request's */
	struct permit_ask ask;
};

struct permits *permits_new(const struct permits_options *options)
{
	struct permits *permits = NEW(struct permits);
	permits->options = *options;
	return permits;
}

void permits_cancel(struct permits *permits)
{
	permits->waiting = false;
	keeper_forget(permits->options.keeper, permits->signing);
	permits->signing = 0;
}

void permits_free(struct permits *permits)
{
	if (permits == NULL)
		return;
	permits_cancel(permits);
	keeper_forget(permits->options.keeper, permits->claim);
	secret_free(permits->secret);
	free(permits);
}

/* ---- failures ---- */

static void require_passphrase(struct err *err)
{
	struct str required;
	if (err_detail_get(err, "required", &required))
		return;
	err_detail(err, "required", S("vault.passphrase"));
	err_detail(err, "hint", S(UNLOCK_HINT));
}

/* What the keeper said, or that there is none, as the guest may see it. */
static int explain(const struct permits *permits, struct err *err)
{
	const struct egress_grant *grant = permits->options.grant;
	enum err_class class = err->class;
	if (class == ERR_UNAVAILABLE || class == ERR_VAULT_LOCKED) /* one that was started anew has a locked vault */
		fail(err, ERR_BINDING_REQUIRED, "%s", err->message);
	else if (class != ERR_BINDING_REQUIRED && class != ERR_BINDING_FAILED && class != ERR_CAPABILITY_DENIED &&
		 class != ERR_NETWORK_ERROR)
		fail(err, ERR_BINDING_FAILED, "%s", err->message);
	if (err->class == ERR_BINDING_REQUIRED)
		require_passphrase(err);
	if (err->class != ERR_NETWORK_ERROR)
		err_set_boundary(err, BOUNDARY_SANDBOX);
	err_detail(err, "connector", grant->connector);
	err_detail(err, "capability_kind", str_from(credential_kind_name(grant->declared)));
	return wrap(err, "http_request: the credential of '%.*s'", STR_FMT(grant->connector));
}

static int fail_ambiguous(const struct permits *permits, struct str region, struct err *err)
{
	const struct egress_grant *grant = permits->options.grant;
	struct str candidates[EGRESS_PERMITS_MAX];
	for (size_t i = 0; i < grant->n_permits; i++)
		candidates[i] = grant->permits[i].binding;
	fail(err, ERR_CONNECTOR_RUNTIME_ERROR,
	     "http_request: resolve credential: %zu bindings of '%.*s' are possible and none is for region '%.*s'; set "
	     "one up for it",
	     grant->n_permits, STR_FMT(grant->connector), STR_FMT(region));
	err_detail_list(err, "candidates", candidates, grant->n_permits);
	err_detail(err, "region", region);
	err_detail(err, "connector", grant->connector);
	return -1;
}

/* ---- which permit ---- */

static int choose(struct permits *permits, const struct url *url, struct err *err)
{
	const struct egress_grant *grant = permits->options.grant;
	const struct egress_permit *any = grant->n_permits == 1 ? &grant->permits[0] : NULL;
	struct str region = STR_EMPTY, service;
	permits->chosen = NULL;
	if (!sigv4_host_scope(url->host, &region, &service))
		region = grant->region;
	for (size_t i = 0; i < grant->n_permits && permits->chosen == NULL; i++) {
		const struct egress_permit *permit = &grant->permits[i];
		if (permit->region.n == 0 && any == NULL)
			any = permit;
		else if (permit->region.n > 0 && str_eq_fold(permit->region, region))
			permits->chosen = permit;
	}
	if (permits->chosen == NULL)
		permits->chosen = any;
	return permits->chosen != NULL ? 0 : fail_ambiguous(permits, region, err);
}

/* ---- values ---- */

static int inject_value(struct permits *permits, struct err *err)
{
	const struct permit_ask *ask = &permits->ask;
	const struct inject_options options = {.now = ask->now};
	if (watchlist_hold(permits->options.watchlist, permits->secret, err) != 0)
		return -1;
	return inject_apply(ask->arena, permits->options.grant, ask->message, &options, ask->ret, err);
}

static void finish(struct permits *permits, const struct err *err)
{
	permits->waiting = false;
	permits->ask.done(permits->ask.context, err);
}

static struct keeper_target target_of(const struct permits *permits)
{
	const struct permit_ask *ask = &permits->ask;
	return (struct keeper_target){.host = url_authority(ask->arena, ask->message->url), .way = ask->way};
}

static bool is_same_target(const struct keeper_target *a, const struct keeper_target *b)
{
	return a->way == b->way && str_eq_fold(a->host, b->host);
}

static bool may_go_to(const struct permits *permits, const struct keeper_target *target)
{
	for (size_t i = 0; i < permits->n_targets; i++) {
		if (is_same_target(&permits->targets[i], target))
			return true;
	}
	return false;
}

static void remember_target(struct permits *permits)
{
	if (permits->n_targets == TARGETS_MAX) {
		memmove(permits->targets, permits->targets + 1, (TARGETS_MAX - 1) * sizeof permits->targets[0]);
		permits->n_targets--;
	}
	permits->targets[permits->n_targets++] = permits->asked;
}

/* Into the grant and secret memory; the watchlist learns of it when it is first used. */
static int take_value(struct permits *permits, const struct keeper_answer *answer, struct err *err)
{
	struct egress_grant *grant = permits->options.grant;
	if (permits->secret != NULL)
		return 0;
	if (!str_eq(answer->kind, str_from(credential_kind_name(grant->bound))))
		return fail(err, ERR_CAPABILITY_DENIED, "the credential bound for it is of another kind than '%s'",
			    credential_kind_name(grant->bound));
	permits->secret = secret_from(str_trim(answer->secret), err);
	if (permits->secret == NULL)
		return -1;
	if (answer->username.n > 0)
		grant->username = arena_str(permits->options.arena, answer->username);
	grant->pool = arena_str(permits->options.arena, answer->pool);
	grant->secret = permits->secret;
	return 0;
}

static int obtain_value(struct permits *permits, struct err *err);

static void on_released(void *context, const struct keeper_answer *answer)
{
	static struct err err; /* large, and one loop has one thread */
	struct permits *permits = context;
	permits->claim = 0;
	err_clear(&err);
	int rc = -1;
	if (answer->err != NULL)
		err = *answer->err;
	else
		rc = take_value(permits, answer, &err);
	if (rc != 0)
		explain(permits, &err);
	else
		remember_target(permits);
	if (!permits->waiting)
		return;
	/* The claim of a request that was given up is another's now, which may want to go elsewhere. */
	const struct keeper_target target = target_of(permits);
	bool elsewhere = !is_same_target(&permits->asked, &target);
	if (elsewhere)
		err_clear(&err);
	if (rc == 0 || elsewhere)
		rc = obtain_value(permits, &err);
	if (rc != 0)
		finish(permits, rc > 0 ? NULL : &err);
}

/* The value for where this request goes, or leave to take it there. */
static int ask_for_target(struct permits *permits, const struct keeper_target *target, struct err *err)
{
	const struct keeper_ask ask = {.answered = on_released, .context = permits};
	struct keeper_link *keeper = permits->options.keeper;
	uint64_t use = permits->chosen->use;
	permits->asked =
		(struct keeper_target){.host = arena_str(permits->options.arena, target->host), .way = target->way};
	permits->claim = permits->secret == NULL ? keeper_claim(keeper, use, &permits->asked, &ask, err)
						 : keeper_extend(keeper, use, &permits->asked, &ask, err);
	return permits->claim != 0 ? 0 : explain(permits, err);
}

static int obtain_value(struct permits *permits, struct err *err)
{
	const struct keeper_target target = target_of(permits);
	if (permits->secret != NULL && may_go_to(permits, &target))
		return inject_value(permits, err) == 0 ? 1 : -1;
	if (permits->claim == 0 && ask_for_target(permits, &target, err) != 0)
		return -1;
	permits->waiting = true;
	return 0;
}

/* ---- keys that sign ---- */

static void on_signed(void *context, const struct keeper_answer *answer);

/* The first run of a scheme asks, and fails for now; the second gets the answer. */
static int sign(struct permits *permits, const struct keeper_signing *what, size_t expected, unsigned char *ret,
		struct err *err)
{
	if (permits->signature_n > 0) {
		if (permits->signature_n != expected)
			return fail(err, ERR_BINDING_FAILED, "the keeper's signature has %zu bytes instead of %zu",
				    permits->signature_n, expected);
		memcpy(ret, permits->signature, expected);
		return 0;
	}
	const struct keeper_ask ask = {.answered = on_signed, .context = permits};
	struct keeper_signing signing = *what;
	signing.use = permits->chosen->use;
	signing.target = target_of(permits);
	permits->signing = keeper_sign(permits->options.keeper, &signing, &ask, err);
	return permits->signing != 0 ? fail(err, ERR_UNAVAILABLE, "the keeper was asked") : -1;
}

static int sign_aws_sigv4(void *context, const struct sigv4_scope *scope, struct str to_sign,
			  unsigned char ret_mac[SHA256_SIZE], struct err *err)
{
	const struct keeper_signing signing = {.scope = scope, .bytes = to_sign};
	return sign(context, &signing, SHA256_SIZE, ret_mac, err);
}

static int sign_bytes(void *context, enum signing_algorithm algorithm, struct str bytes,
		      unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err)
{
	const struct keeper_signing signing = {.algorithm = algorithm, .bytes = bytes};
	size_t n = algorithm == SIGNING_ED25519 ? ED25519_SIGNATURE_SIZE : SHA256_SIZE;
	if (sign(context, &signing, n, ret_signature, err) != 0)
		return -1;
	*ret_n = n;
	return 0;
}

static int run_scheme(struct permits *permits, struct err *err)
{
	const struct permit_ask *ask = &permits->ask;
	const struct signer signer = {.context = permits, .aws_sigv4 = sign_aws_sigv4, .sign = sign_bytes};
	const struct inject_options options = {.signer = &signer, .now = ask->now};
	struct egress_grant grant = *permits->options.grant;
	grant.bound_access_key_id = permits->chosen->access_key_id;
	grant.bound_region = permits->chosen->region;
	return inject_apply(ask->arena, &grant, ask->message, &options, ask->ret, err);
}

static void on_signed(void *context, const struct keeper_answer *answer)
{
	static struct err err;
	struct permits *permits = context;
	permits->signing = 0;
	err_clear(&err);
	int rc = -1;
	if (answer->err != NULL) {
		err = *answer->err;
		explain(permits, &err);
	} else if (answer->signature.n == 0 || answer->signature.n > sizeof permits->signature) {
		fail(&err, ERR_BINDING_FAILED, "the keeper's signature has %zu bytes", answer->signature.n);
		explain(permits, &err);
	} else {
		permits->signature_n = answer->signature.n;
		memcpy(permits->signature, answer->signature.p, answer->signature.n);
		rc = run_scheme(permits, &err);
		permits->signature_n = 0;
	}
	finish(permits, rc == 0 ? NULL : &err);
}

/* What the scheme finds wrong by itself is told as it says it. */
static int obtain_signature(struct permits *permits, struct err *err)
{
	if (!keeper_link_is_up(permits->options.keeper)) {
		fail(err, ERR_UNAVAILABLE, "the keeper of the vault does not run");
		return explain(permits, err);
	}
	permits->options.grant->pool = permits->chosen->binding;
	if (run_scheme(permits, err) == 0)
		return 1;
	if (permits->signing == 0)
		return -1;
	if (err != NULL)
		err_clear(err);
	permits->waiting = true;
	return 0;
}

int permits_inject(struct permits *permits, const struct permit_ask *ask, struct err *err)
{
	enum credential_kind kind = permits->options.grant->bound;
	permits->ask = *ask;
	if (choose(permits, ask->message->url, err) != 0)
		return -1;
	if (kind == CREDENTIAL_AWS_SIGV4 || kind == CREDENTIAL_SIGNING_KEY)
		return obtain_signature(permits, err);
	return obtain_value(permits, err);
}
