/*
 * credential: what a call may use of what is bound, and what that opens
 *
 * In three steps, in this order: chosen by the connector's manifest, permitted by the keeper (no secret comes here: egress
 * claims it with the permit's number), granted to egress. What is not bound, or cannot be chosen, is no failure of these
 * functions: the call runs and fails where it would use the credential, with the message that the grant carries. Worker
 * threads; strings live in the arena.
 */
#pragma once
#include "connector/grant.h"
#include "control/bindings.h"
#include "control/credential_uses.h"

struct credential_owner {
	struct str fqn;
	const struct connector_manifest *manifest;
};
struct credential_use {
	struct credential credential;
	struct binding_list bindings; /* that are used */
	struct str names;             /* of them, joined by one space; "" = none */
	bool fixed;                   /* of a run: as they were chosen, or not at all */
	struct credential_call call;  /* who uses them, for the record */
	struct egress_permit *permits;
	size_t n_permits;
};

/* None, one, or (aws_sigv4, chosen by region when a request is made) several. -1 when the keeper cannot be asked. */
int credential_choose(struct control *control, struct arena *arena, const struct credential_owner *owner,
		      struct credential_use *ret, struct err *err) __attribute__((warn_unused_result));
/*
 * A permit for each, until `until_ns` (monotonic). BINDING_REQUIRED when the vault is locked, missing or its keeper
 * away; BINDING_FAILED when the person agreed to none of the hosts, or what is fixed has become another. What was
 * permitted is ended by credential_end() in any case.
 */
int credential_permit(struct control *control, struct arena *arena, const struct credential_owner *owner,
		      struct credential_use *use, uint64_t until_ns, struct err *err)
	__attribute__((warn_unused_result));
void credential_end(struct control *control, const struct credential_use *use);
/* Borrows from all that it is made of. */
struct egress_grant credential_grant(struct arena *arena, const struct credential_owner *owner,
				     const struct call_limits *limits, const struct credential_use *use);
