/*
 * consent: what a person agrees to when they bind a credential
 *
 * Made of what `connector show` says: the hosts that the connector may reach, and for OAuth the endpoints, the client and the
 * scopes. It is shown, and sealed to the keeper together with the value, which then gives the credential to no other host.
 */
#pragma once
#include "cli/cli.h"
#include "vault/binding.h"

/*
 * Of a connector's full description. --allow-private of the verb's line must be among the hosts: USAGE. Strings live as long as
 * the cli and the description.
 */
int consent_make(struct cli *cli, const struct json *connector, struct binding_consent *ret, struct err *err)
	__attribute__((warn_unused_result));
/* What the connector is and may do, on standard error, before anything is asked. */
void consent_show(struct cli *cli, const struct json *connector, const struct binding_consent *consent);
/* The same description for `connector show`, in full. */
void consent_describe(struct cli *cli, struct printer *out, const struct json *connector);
