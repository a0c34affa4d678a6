/*
 * approving: a person's decision, from the card to the daemon
 *
 * What is decided is what was shown: the digest of the card goes with the decision, sealed with the passphrase where the settings
 * want one. A vault that is locked is unlocked in between, when the person can.
 */
#pragma once
#include "cli/cli.h"

struct approving {
	bool approved, grant;
	struct str reason;         /* of a denial; "" = none */
	const struct json *edited; /* arguments in the place of those asked for; NULL = none */
};
/* The API's Pending, by the id of the approval or of its run; the caller's. */
int approving_get(struct cli *cli, struct str id, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* The card as it is now. */
void approving_show(struct cli *cli, struct printer *out, const struct json *pending, bool full);
/* What would run instead; nothing when nothing was changed. */
void approving_show_edited(struct printer *out, const struct approving *approving);
/* ALREADY_DECIDED says by whom; APPROVAL_STALE when it is not what was shown any more. */
int approving_decide(struct cli *cli, const struct json *pending, const struct approving *approving, struct err *err)
	__attribute__((warn_unused_result));
