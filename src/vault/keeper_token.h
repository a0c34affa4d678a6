/*
 * keeper_token: what the vault holds for a binding of kind oauth2
 *
 *     {"access_token":"…","refresh_token":"…","expires_at":"2026-01-01T01:00:00Z","token_type":"Bearer",
 *      "client_id":"…","client_secret":"…","token_url":"…","scopes":["a","b"]}
 *
 * refresh_token, token_type, client_secret and scopes are left out when empty; an unknown expiry is
 * "0001-01-01T00:00:00Z". It is read and written without a tree, since a tree would leave copies of the tokens on the heap:
 * every text lies in one secret. Members that are not known are skipped. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "crypto/secret.h"

struct keeper_token {
	struct secret *text; /* what the fields of a token that was read borrow from; NULL = from elsewhere */
	struct str access_token, refresh_token, token_type, client_id, client_secret, token_url;
	struct str scopes;     /* joined by one space */
	uint64_t expires_at_s; /* Unix; 0 = unknown */
};
/* PARSE_ERROR when it is not JSON of that form or has no access token; it quotes nothing. */
int keeper_token_read(struct str json, struct keeper_token *ret, struct err *err) __attribute__((warn_unused_result));
/* The JSON as a secret, or NULL: LIMIT above SECRET_MAX. */
struct secret *keeper_token_write(const struct keeper_token *token, struct err *err)
	__attribute__((warn_unused_result));
void keeper_token_release(struct keeper_token *token); /* safe on {0} and twice */
#define AUTO_TOKEN __attribute__((cleanup(keeper_token_release))) struct keeper_token
