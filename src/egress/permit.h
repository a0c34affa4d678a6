/*
 * permit: a call's credential that lies with the keeper
 *
 * Stands beside a grant whose binding is BINDING_PERMIT. Nothing is asked of the keeper before a request needs the
 * credential, was found fit to carry it and has an address that it may go to; then
 *
 *     a value (api_key, oauth2, basic)    is claimed, once a call, and held until the call ends, whatever becomes of the
 *                                         request; then it is wiped. It goes nowhere that the keeper was not asked about:
 *                                         for each further host, or way to a host, the use is extended first
 *     a key that signs (aws_sigv4,        stays with the keeper, which signs each request: the scheme is run once to learn
 *     signing_key)                        what is to be signed, and again with the signature
 *
 * so that nobody waits: other calls go on while the keeper answers. Of several permits (aws_sigv4 alone) the one of the
 * region in the request's host serves, else one without a region; a single one serves any.
 *
 * Failures are those of the keeper, made fit for a guest: BINDING_REQUIRED (details required "vault.passphrase", hint)
 * while the vault is locked or the keeper is gone, BINDING_FAILED, CAPABILITY_DENIED; CONNECTOR_RUNTIME_ERROR (details
 * candidates) when none of several permits serves the region. One loop's thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "egress/inject.h"

struct keeper_link;
struct permits;
struct watchlist;

struct permits_options {
	struct egress_grant *grant; /* gets secret, user name and pool; outlives the permits, as do the others */
	struct arena *arena;        /* the grant's */
	struct watchlist *watchlist;
	struct keeper_link *keeper;
};
struct permits *permits_new(const struct permits_options *options) __attribute__((returns_nonnull));
void permits_free(struct permits *permits); /* wipes the value; NULL is fine */
DEFINE_AUTO(permits, permits_free)

struct permit_ask {
	struct arena *arena; /* the request's */
	const struct message *message;
	uint8_t way;           /* of keeper_way: what is known of the addresses that will be dialled */
	uint64_t now;          /* as in inject_options */
	struct injection *ret; /* filled when it is done */
	/* From the loop, at most once; `err` NULL = done. May end the request. */
	void (*done)(void *context, const struct err *err);
	void *context;
};
/*
 * inject_apply() with what the keeper has: 1 when it is done already; 0 when the keeper was asked, and what `ask` points to
 * must stay until `done`; -1. One request of a call at a time.
 */
int permits_inject(struct permits *permits, const struct permit_ask *ask, struct err *err)
	__attribute__((warn_unused_result));
/* The request is given up: no `done`. A claim under way goes on, for the call's next request. */
void permits_cancel(struct permits *permits);
