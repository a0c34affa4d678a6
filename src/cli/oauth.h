/*
 * oauth: a binding by way of an authorization server (docs/formats/oauth.md)
 *
 * With a browser: this program makes the PKCE verifier, which the daemon never sees (it is sealed to the keeper with the consent),
 * and listens for the browser's return itself. Before a browser goes anywhere, the address that the daemon made is checked: it
 * must be the connector's own endpoint, with our challenge and our listener. With a device code: the passphrase, sealed with the
 * consent, proves that a person is there; a code is shown, to be typed elsewhere.
 */
#pragma once
#include "cli/cli.h"
#include "vault/binding.h"

struct oauth_wish {
	struct binding_fields fields; /* kind oauth2, scope = the connector's, joined by one space */
	struct binding_consent consent;
	bool reauthorize;
};
/* The binding, which the caller frees. --device and --no-browser are of the verb's line. */
int oauth_bind(struct cli *cli, const struct oauth_wish *wish, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* Whether the address is that endpoint with these two parameters and S256; PROTOCOL says what is wrong. */
int oauth_check_address(struct str address, struct str endpoint, struct str challenge, struct str redirect_uri,
			struct err *err) __attribute__((warn_unused_result));
